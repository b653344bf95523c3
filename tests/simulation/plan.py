"""What happens in a world, drawn from its seed before it begins."""

import dataclasses
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

import msgspec
from faust.types import TP

from streams.contracts.events import TOPICS
from streams.settings import GateThresholds, Limits, ShardSettings
from tests.oracle import DAY, HOUR, MINUTE
from tests.simulation.kafka import FaultInjector
from tests.simulation.people import draw_scope, partition_of
from tests.simulation.resting import ABOUT_PEOPLE, TRIED
from tests.streams.fakes import as_json
from tests.streams.logs import ITEMS, Logs, build, random_steps
from tests.streams.runs import SETTINGS as SMALL
from tests.streams.runs import read_whole

_ALL_KEYS, _FEW_KEYS = 2_000, 40


def make_settings(
    keys: int = _ALL_KEYS, stock_valid_days: int = 4_000, tick_ms: int = HOUR
) -> ShardSettings:
    """Return settings that are cheap to run.

    Args:
        keys: that memories hold. With few they forget within a world, and the oracle, which never
            forgets, is not asked.
        stock_valid_days: orders that wait for longer are held until the next count.
        tick_ms: between boundaries.
    """
    review = dataclasses.replace(SMALL.timeline.review, stock_valid_ms=stock_valid_days * DAY)
    timeline = dataclasses.replace(SMALL.timeline, tick_ms=tick_ms, review=review)
    return dataclasses.replace(SMALL, dedupe_keys=keys, order_keys=keys, timeline=timeline)


_HELD = b'"kind": "held"'  # keeps an order back for good where nobody looks at the hand-over
_LAG_S = 1_000.0  # twice as much as a world may take to come to rest
BAD_WEATHER_S = (0.3, 4.0)
KINDS = (
    *("kill", "kill_at_step", "kill_at_point", "freeze", "end", "clock", "unheard"),
    *("group_moves", "group_moves_in_commit", "silence", "broker_clock"),
    *(
        "redis_forgets",
        "redis_forgets_in_load",
        "redis_forgets_lease",
        "redis_forgets_all",
        "redis_storm",
        "redis_cut",
        "redis_slow",
    ),
    *("kafka_storm", "kafka_cut", "kafka_slow"),
)
CONTROL_KINDS = ("control_cut", "control_storm")  # where people are at the hand-over
# After these two may own a partition, or what people ordered is not known.
_OFTEN = ("freeze", "unheard", "redis_storm", "control_cut")


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong."""

    at_s: float
    kind: str
    node: int
    lasts_s: float
    amount: float  # inside (0, 1); what it means depends on the kind


@dataclass(frozen=True)
class OrderFeed:
    """Records that a producer writes in one batch."""

    at_s: float
    tp: TP
    values: list[bytes | None]
    written_ms: int


@dataclass(frozen=True)
class Act:
    """Something that a person does."""

    at_s: float
    kind: str  # pause, resume, or a word about an order that waits, as in `order-responses`
    scope: dict[str, str]  # of a pause
    chance: float  # inside (0, 1); which pause, or which order


@dataclass(frozen=True)
class HandOver:
    """The hand-over with its guards on, and people at it."""

    bounds: GateThresholds
    limits: Limits
    acts: list[Act]
    resumes_all: bool  # in the end
    tried_at_rest: str | None  # of `tests.simulation.resting`
    counted_at_rest: list[tuple[str, str]]  # items that somebody counts in the end


@dataclass(frozen=True)
class Plan:
    """Everything that a seed decides before a world begins."""

    seed: int
    partitions: int
    nodes: int
    feeds: list[OrderFeed]
    ends_s: float
    faults: list[Fault]
    fault_injector: FaultInjector
    heartbeat_s: float
    settings: ShardSettings
    commit_interval_s: float
    hand_over: HandOver | None  # none: everything may leave at any time
    forgets_at_rest: int  # snapshots that Redis loses when all is done
    looked_at_commit: int  # the state after it is compared with the fold of its prefixes; 0: none

    @property
    def forgets(self) -> bool:
        """Whether memories of keys are smaller than what the logs bring."""
        return self.settings.dedupe_keys < _ALL_KEYS

    @property
    def stock_valid_ms(self) -> int:
        """An older count is no stock to order on."""
        return self.settings.timeline.review.stock_valid_ms


def draw_plan(seed: int) -> Plan:
    """Draw a world."""
    chance = random.Random(f"plan {seed}")
    partitions = chance.choice([1, 1, 1, 2])
    nodes = chance.choice([1, 2, 3, 3])
    is_guarded = chance.random() < 0.4
    settings = make_settings(
        chance.choice([_ALL_KEYS, _ALL_KEYS, _FEW_KEYS]),
        chance.choice([1, 4_000]) if is_guarded else 4_000,
        chance.choice([20 * MINUTE, HOUR, HOUR, HOUR]),
    )
    logs = _logs(chance, seed, settings)
    timeline = replace(settings.timeline, partitions=partitions)
    settings = replace(settings, timeline=timeline)
    feeds = list(_feeds(chance, logs, partitions, with_holds=is_guarded))
    ends_s = max(feed.at_s for feed in feeds) + chance.uniform(0.0, 3.0)
    if is_guarded:
        ends_s += chance.uniform(2.0, 8.0)
    return Plan(
        seed=seed,
        partitions=partitions,
        nodes=nodes,
        feeds=feeds,
        ends_s=ends_s,
        faults=_faults(chance, nodes, ends_s, KINDS + CONTROL_KINDS * is_guarded),
        fault_injector=_fault_injector(chance, partitions),
        heartbeat_s=chance.choice([2.0, 5.0, 15.0, 1_000.0]),
        settings=settings,
        commit_interval_s=chance.choice([0.01, 0.01, 0.1, 0.3]),
        hand_over=_hand_over(chance, ends_s) if is_guarded else None,
        forgets_at_rest=chance.choice([0, 0, 1, 4]),
        looked_at_commit=chance.choice([0, 0, chance.randint(1, 40)]),
    )


# --- records ----------------------------------------------------------------------------------


def _logs(chance: random.Random, seed: int, settings: ShardSettings) -> Logs:
    """Logs in which suppliers mostly speak of orders that are placed when nothing disturbs.

    Few of them go over weeks: a day of event time costs as much as a second of faults.
    """
    longest_ms = chance.choices([5 * HOUR, 30 * HOUR, 4 * DAY], [12, 6, 1])[0]
    steps = random_steps(seed, chance.randint(8, 26), longest_ms)
    if chance.random() < 0.4:
        return build(steps)
    outputs = read_whole(build(steps), settings).outputs
    told = [as_json(out.value) for out in outputs if out.topic == "purchase-orders"]
    return build(steps, tuple((one["po_id"], (one["sku"], one["warehouse"])) for one in told))


def _feeds(
    chance: random.Random, logs: Logs, partitions: int, *, with_holds: bool
) -> Iterator[OrderFeed]:
    """Cut logs into batches, some of them written twice, some topics later than others."""
    lags_s = {topic: chance.choice([0.0, 0.0, 0.0, chance.uniform(0, 5)]) for topic in TOPICS}
    pace_s = chance.choice([0.05, 0.2, 0.4])
    records = sorted(
        (
            (written_ms, topic, value)
            for topic, log in logs
            for value, written_ms in log
            if with_holds or _HELD not in (value or b"")
        ),
        key=lambda record: record[0],
    )
    at_s = 4.0 * chance.random()
    waiting: dict[TP, list[tuple[int, bytes | None]]] = {}
    for written_ms, topic, value in records:
        for partition in _partitions_of(value, partitions):
            waiting.setdefault(TP(topic, partition), []).append((written_ms, value))
        if chance.random() < 0.4:
            at_s += chance.expovariate(1.0) * pace_s * 2.5
            yield from _flush(chance, waiting, at_s, lags_s)
    yield from _flush(chance, waiting, at_s + pace_s, lags_s)


def _flush(
    chance: random.Random,
    waiting: dict[TP, list[tuple[int, bytes | None]]],
    at_s: float,
    lags_s: dict[str, float],
) -> Iterator[OrderFeed]:
    for tp, records in waiting.items():
        values = [value for _, value in records]
        feed = OrderFeed(at_s + lags_s[tp.topic], tp, values, records[-1][0])
        yield feed
        if chance.random() < 0.04:  # a producer that missed the answer sends it again
            yield feed
    waiting.clear()


def _partitions_of(value: bytes | None, partitions: int) -> list[int]:
    """By sku; a heartbeat goes to each of them, a bad record anywhere."""
    try:
        record = msgspec.json.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        record = None
    if isinstance(record, dict) and record.get("kind") == "heartbeat":
        return list(range(partitions))
    sku = record.get("sku", "") if isinstance(record, dict) else ""
    return [partition_of(str(sku), partitions)]


# --- faults -----------------------------------------------------------------------------------


def _faults(
    chance: random.Random, nodes: int, ends_s: float, all_kinds: tuple[str, ...]
) -> list[Fault]:
    """Some kinds of faults only, so that each world has a character of its own."""
    kinds = [kind for kind in all_kinds if chance.random() < (0.6 if kind in _OFTEN else 0.3)]
    if not kinds:
        return []
    faults = [
        Fault(
            at_s=chance.uniform(0.0, ends_s),
            kind=chance.choice(kinds),
            node=chance.randrange(nodes),
            lasts_s=chance.uniform(*BAD_WEATHER_S) * chance.choice([0.2, 1.0, 2.0]),
            amount=chance.random(),
        )
        for _ in range(chance.randint(1, 14))
    ]
    return sorted(faults, key=lambda fault: fault.at_s)


def _fault_injector(chance: random.Random, partitions: int) -> FaultInjector:
    slow = {
        TP(topic, partition): chance.uniform(0.1, 2.0)
        for topic in TOPICS
        for partition in range(partitions)
        if chance.random() < 0.1
    }
    return FaultInjector(
        again=chance.choice([0.0, 0.05, 0.2]),
        gap=chance.choice([0.0, 0.0, 0.05]),
        stale=chance.choice([0.0, 0.3, 1.0]),
        slow=slow,
    )


# --- the hand-over ----------------------------------------------------------------------------


def _hand_over(chance: random.Random, ends_s: float) -> HandOver:
    """Event time runs much faster here than the wall clock: hours without a record are usual."""
    bounds = GateThresholds(
        lag_records=chance.choice([3, 12, 1 << 60]),
        lag_s=chance.choice([1e12, 1e12, _LAG_S]),
        clock_s=30.0,
        calm_s=0.4,
    )
    tried = chance.choice([None, None, *TRIED])
    limits = Limits(
        approval_amount=chance.choice([None, None, 30.0, 80.0]),
        cap_units_per_item_day=chance.choice([None, None, 8, 20]),
        cap_amount_per_item_day=chance.choice([None, None, 60.0]),
    )
    if tried in ABOUT_PEOPLE:
        limits = Limits(approval_amount=0.01)
    kinds = ["pause", "resume", "approved", "held", "released", "rejected", "cancelled"]
    weights = [chance.random() for _ in kinds]
    acts = [
        Act(
            at_s=chance.uniform(0.0, ends_s),
            kind=chance.choices(kinds, weights)[0],
            scope=draw_scope(chance),
            chance=chance.random(),
        )
        for _ in range(chance.randint(0, 12))
    ]
    return HandOver(
        bounds,
        limits,
        acts,
        resumes_all=chance.random() < 0.7,
        tried_at_rest=tried,
        counted_at_rest=[item for item in ITEMS if chance.random() < 0.7],
    )
