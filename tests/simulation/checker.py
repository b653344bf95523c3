"""What must hold: in each commit, when all is settled, and in everything that was published."""

import json
import struct
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from faust.types import TP

from infra.bootstrap import redis_pool
from infra.redis.shard_store import Lease, RedisStore
from streams.contracts.events import TOPICS
from streams.contracts.outgoing import OutboxRecord
from streams.contracts.topics import ALERTS, GROUP_FACTS, PURCHASE_ORDERS
from streams.groups.facts import group_partition, read_facts
from streams.ingest.decode import TopicDecoder
from streams.replenishment.decision_record import DECISION
from streams.settings import ShardSettings
from streams.shard.checkpoint import readable_columns
from streams.state.bucket_rings import DAY_CELL
from streams.state.items import READABLE
from tests.simulation.doorman import Listening, Order, check_hand_over, orders_of
from tests.simulation.kafka import Kafka
from tests.simulation.loop import SimulatedLoop
from tests.simulation.network import Link, Network, NetworkFaults
from tests.simulation.redis_server import RedisServer, Value
from tests.simulation.violation import Violation
from tests.streams.against_oracle import require_as_oracle
from tests.streams.fakes import as_json
from tests.streams.logs import Logs
from tests.streams.runs import Run, tell, tell_decisions

if TYPE_CHECKING:
    from tests.simulation.world import World

OUTCOMES = ("folded", "duplicate", "late", "dead_lettered", "heartbeat")
_DECODERS = {topic: TopicDecoder(topic) for topic in TOPICS}
_OF_THE_HAND_OVER = ("outputs", "statuses", "late")  # the pure fold hands nothing over
_OF_A_RESUMED_RUN = (*_OF_THE_HAND_OVER, "decisions", "days")  # it did not see how they began


# --- on the way -------------------------------------------------------------------------------


def check_counts(offsets: Mapping[str, int], counts: Mapping[str, int]) -> None:
    """Every record that was consumed became exactly one thing (invariant 4)."""
    for topic, offset in offsets.items():
        if topic == GROUP_FACTS:  # what waits for another partition is read again
            continue
        found = sum(counts.get(f"{topic}:{outcome}", 0) for outcome in OUTCOMES)
        if found != offset:
            raise Violation(f"{topic}: {found} records are accounted for, {offset} were consumed")


def is_settled(
    redis: RedisServer, kafka: Kafka, settings: ShardSettings, *, outbox: bool
) -> str | None:
    """Return what is still to be done, or nothing.

    Args:
        redis, kafka, settings: of the world.
        outbox: whether everything that waits to be published has to be; else only alerts and what
            was set aside.
    """
    for partition in range(kafka.partitions):
        stored = redis.data.get(b"tg:shard:{%d}" % partition, {})
        assert isinstance(stored, dict)
        offsets = json.loads(stored.get(b"offsets", b"{}"))
        for topic in TOPICS:
            end = kafka.logs[TP(topic, partition)].end
            if offsets.get(topic, 0) != end:
                return f"{topic}/{partition} is stored to {offsets.get(topic, 0)} of {end}"
        meta = json.loads(stored[b"meta"])
        watermark_ms = min(meta["clocks"].values()) - settings.allowed_lateness_ms
        tick_ms = settings.timeline.tick_ms
        if meta["applied_ms"] is None or meta["applied_ms"] < watermark_ms // tick_ms * tick_ms:
            return f"shard {partition} is decided to {meta['applied_ms']} of {watermark_ms}"
        waiting = redis.data.get(b"tg:outbox:{%d}" % partition, {})
        assert isinstance(waiting, dict)
        records = [msgspec.msgpack.decode(stored, type=OutboxRecord) for stored in waiting.values()]
        if wrong := [record.topic for record in records if outbox or record.order_summary is None]:
            return f"{len(wrong)} records of shard {partition} wait to be published"
    return _groups_unsettled(redis, kafka)


def _groups_unsettled(redis: RedisServer, kafka: Kafka) -> str | None:
    """Whether the groups are judged as far as all partitions have said everything."""
    partition = group_partition(kafka.partitions)
    upto_ms: dict[int, int] = defaultdict(int)
    for value, _ in kafka.logs[TP(GROUP_FACTS, partition)].records():
        facts = read_facts(value)
        upto_ms[facts.partition] = max(upto_ms[facts.partition], facts.upto_ms)
    stored = redis.data[b"tg:shard:{%d}" % partition]
    assert isinstance(stored, dict)
    applied_ms = json.loads(stored[b"meta"])["groups"]["applied_ms"]
    wanted_ms = min(upto_ms[one] for one in range(kafka.partitions))
    return None if applied_ms == wanted_ms else f"groups are judged to {applied_ms}"


# --- when all is settled ----------------------------------------------------------------------


async def check_end(world: "World") -> None:
    """Compare the state in Redis and all that was published with the logs folded in one piece, and
    that with a plain reading, record by record.
    """
    kafka, redis, settings = world.kafka, world.redis, world.plan.settings
    expected: list[OutboxRecord] = []
    orders: list[Order] = []
    bodies: dict[str, set[bytes | None]] = {}
    side_exit_records: list[tuple[Any, ...]] = []
    counted_ms: dict[tuple[str, str], int] = {}
    for partition, pure in enumerate(fold_all(kafka, settings)):
        if not world.plan.forgets:
            _compare_with_oracle(kafka, partition, pure)
        expected += pure.outputs
        assert isinstance(pure.shard.outbox, Listening)
        orders += orders_of(pure.shard.outbox)
        bodies |= pure.shard.outbox.bodies
        items = pure.shard.timeline.items
        rows = items.rows[: len(items)]
        counted_ms |= zip(items.names, rows["counted_at_ms"].tolist(), strict=True)
        side_exit_records += _side_exits(kafka, partition, pure)
        stored = await load(redis, world.loop, partition, settings)
        _compare_readable(redis, pure, partition)
        _compare(tell(stored), tell(pure), f"shard {partition}", leave_out=_OF_THE_HAND_OVER)
    if world.plan.hand_over is not None:
        left = check_hand_over(world, orders, counted_ms)
        expected = [record for record in expected if not _waits(record, left)]
    _compare_orders(kafka, expected, bodies)
    _compare_outputs(kafka, expected, ALERTS)
    _compare_side_exits(kafka, side_exit_records)


async def check_prefix(
    kafka: Kafka, snapshot: dict[bytes, Value], loop: SimulatedLoop, settings: ShardSettings
) -> None:
    """Compare the state after some commit with the fold of what it had consumed (invariant 1)."""
    redis = RedisServer()
    redis.restart(snapshot)
    for partition in range(kafka.partitions):
        stored = await load(redis, loop, partition, settings)
        if not stored.shard.offsets:
            continue
        pure = fold(kafka, partition, settings, stored.shard.offsets)
        stored.advance_fully()
        _read_facts(stored, kafka)
        _read_facts(pure, kafka)
        stored.commit()
        name = f"shard {partition} at {stored.shard.offsets}"
        _compare(tell(stored), tell(pure), name, leave_out=_OF_A_RESUMED_RUN)


def fold(
    kafka: Kafka,
    partition: int,
    settings: ShardSettings,
    offsets: Mapping[str, int] | None = None,
) -> Run:
    """Fold each log, or its beginning, in one piece."""
    run = Run(settings, partition=partition)
    run.shard.outbox = Listening(run.shard.timeline)
    for topic in TOPICS:
        records = kafka.logs[TP(topic, partition)].records(offsets and offsets.get(topic, 0))
        if records:
            run.read(topic, records)
        else:
            run.shard.skip_to(topic, 0)
    run.advance_fully(1)
    run.commit()
    return run


def fold_all(kafka: Kafka, settings: ShardSettings) -> list[Run]:
    """Fold the logs of all partitions, and judge the groups from what these folds say.

    What really lies in `group-facts` was written by workers that died and began anew.
    """
    runs = [fold(kafka, partition, settings) for partition in range(kafka.partitions)]
    facts = [value for run in runs for value in run.facts_log]
    owner = runs[group_partition(kafka.partitions)]
    owner.shard.fold_facts(facts, 0, len(facts))
    owner.commit()
    return runs


def _read_facts(run: Run, kafka: Kafka) -> None:
    """Read what all shards have said of groups, from where the run stands to the end."""
    values = [value for value, _ in kafka.logs[TP(GROUP_FACTS, run.shard.partition)].records()]
    start = run.shard.offsets.get(GROUP_FACTS, 0)
    run.shard.fold_facts(values[start:], start, len(values))


def _waits(record: OutboxRecord, left: Collection[str]) -> bool:
    """Whether it is an order that may not have left."""
    return record.topic == PURCHASE_ORDERS and as_json(record.value)["po_id"] not in left


def _compare_with_oracle(kafka: Kafka, partition: int, pure: Run) -> None:
    logs = Logs({topic: kafka.logs[TP(topic, partition)].records() for topic in TOPICS})
    try:
        require_as_oracle(pure, logs)
    except AssertionError as error:
        raise Violation(f"shard {partition}, folded in one piece, is not right: {error}") from error


async def load(
    redis: RedisServer, loop: SimulatedLoop, partition: int, settings: ShardSettings
) -> Run:
    """Return a run that goes on from what Redis has."""
    from tests.simulation.node import KEYS, RETENTION

    calm = Network(loop, _Calm())  # type: ignore[arg-type]
    loop.connect = lambda protocol: Link(calm, NetworkFaults(), protocol, redis.answer)
    pool = redis_pool("redis://simulated")
    run = Run(settings, partition=partition)
    try:
        run.restart(await RedisStore(pool, KEYS, RETENTION).load(_lease_of(redis, partition)))
    finally:
        await pool.disconnect()
    _restore_history(run, redis, partition)
    return run


class _Calm:
    """Chance that never does harm."""

    def random(self) -> float:
        """A share."""
        return 1.0

    def expovariate(self, _: float) -> float:
        """A delay."""
        return 0.0


def _lease_of(redis: RedisServer, partition: int) -> Lease:
    """The lease of whoever owns the shard."""
    stored = redis.data.get(b"tg:shard:{%d}" % partition, {})
    assert isinstance(stored, dict)
    sequence, offsets = int(stored.get(b"sequence", b"0")), stored.get(b"offsets", b"{}").decode()
    return Lease(partition, 0, sequence, offsets, stored.get(b"claim", b"").decode(), writer="")


def _restore_history(run: Run, redis: RedisServer, partition: int) -> None:
    """What Redis keeps of the past beyond the shard: days and decisions."""
    items = run.shard.timeline.items
    for key, value in redis.data.items():
        family, _, rest = key.removeprefix(b"tg:").partition(b":{%d}:" % partition)
        if family == b"day" and isinstance(value, dict):
            day = int(np.datetime64(rest.decode(), "D").astype(int))
            for name, cell in value.items():
                run.days[day, name.decode()] = np.frombuffer(cell, DAY_CELL)[0].item()
        elif family == b"decisions" and isinstance(value, dict):
            for table in value.values():
                run.decisions.extend(tell_decisions(np.frombuffer(table, DECISION), items))


def _compare_readable(redis: RedisServer, pure: Run, partition: int) -> None:
    """What an item shows by name is what decides about it."""
    items = pure.shard.timeline.items
    shown = readable_columns(pure.shard, np.arange(len(items)))
    for place in range(len(items)):
        found = redis.data.get(f"tg:item:{{{partition}}}:{items.key(place)}".encode(), {})
        assert isinstance(found, dict)
        for name in READABLE:
            value = shown[name][place].item()
            expected = value if isinstance(value, bytes) else repr(value).encode()
            if found.get(name.encode()) != expected:
                raise Violation(
                    f"{items.key(place)} shows {name} = {found.get(name.encode())!r}, "
                    f"its log says {expected!r}"
                )


def _compare(
    found: Mapping[str, Any], expected: Mapping[str, Any], what: str, leave_out: Sequence[str]
) -> None:
    for part, value in expected.items():
        if part not in leave_out and found[part] != value:
            raise Violation(f"{what}: {part}: {difference(found[part], value)}")


def difference(found: Any, expected: Any) -> str:
    """Return the first few things in which two values differ."""
    if isinstance(found, dict) and isinstance(expected, dict):
        keys = [
            key
            for key in sorted({*found, *expected}, key=str)
            if found.get(key) != expected.get(key)
        ]
        told = [f"{key}: {found.get(key)!r:.300}, not {expected.get(key)!r:.300}" for key in keys]
        return f"{len(keys)} differ: " + "; ".join(told[:3])
    if isinstance(found, list) and isinstance(expected, list):
        more = [one for one in found if one not in expected]
        less = [one for one in expected if one not in found]
        return f"has {more!r:.500} and lacks {less!r:.500} ({len(found)}, not {len(expected)})"
    return f"{found!r:.300}, not {expected!r:.300}"


# --- what was published -----------------------------------------------------------------------


def _compare_outputs(kafka: Kafka, expected: Sequence[OutboxRecord], topic: str) -> None:
    """Each output is there, with one body, and nothing else is."""
    found = _published(kafka, topic)
    wanted = {_identity(one): one.value for one in expected if one.topic == topic}
    if found != wanted:
        raise Violation(f"{topic}: {difference(found, wanted)}")


def _compare_orders(
    kafka: Kafka, expected: Sequence[OutboxRecord], bodies: Mapping[str, set[bytes | None]]
) -> None:
    """Each order left, and only as it was decided or as people had changed it by then."""
    left = defaultdict(set)
    for value in _published(kafka, PURCHASE_ORDERS).values():
        left[as_json(value)["po_id"]].add(value)
    wanted = {as_json(one.value)["po_id"] for one in expected if one.topic == PURCHASE_ORDERS}
    if left.keys() != wanted:
        raise Violation(f"{PURCHASE_ORDERS}: {difference([*left], [*wanted])}")
    for po_id, values in left.items():
        if unknown := values - bodies[po_id]:
            raise Violation(f"{po_id} left as {unknown!r:.500}, not as {bodies[po_id]!r:.500}")


def _published(kafka: Kafka, topic: str) -> dict[str, bytes]:
    """The body of each version of each output."""
    bodies: dict[str, set[bytes]] = defaultdict(set)
    for record in kafka.outputs[topic]:
        bodies[_identity(record)].add(record.value or b"")
    doubled = {name: values for name, values in bodies.items() if len(values) > 1}
    if doubled:
        raise Violation(f"{topic}: several bodies under one id: {doubled!r:.1000}")
    return {name: values.pop() for name, values in bodies.items()}


def _identity(record: OutboxRecord) -> str:
    told = as_json(record.value)
    return f"{told.get('po_id') or told.get('incident_id')}/{told['version']}"


def _side_exits(kafka: Kafka, partition: int, pure: Run) -> list[tuple[Any, ...]]:
    """Bad and late records of the logs: output topic, partition, offset, value."""
    found: list[tuple[Any, ...]] = []
    for topic in TOPICS:
        records = kafka.logs[TP(topic, partition)].records()
        values = [value for value, _ in records]
        written = np.array([written_ms for _, written_ms in records], np.int64)
        rejects = _DECODERS[topic].decode(values, written).rejects
        bad = [(f"{topic}.dlt", reject.row) for reject in rejects]
        late = [(f"{topic}.late", row) for name, row in pure.late if name == topic]
        found += [(name, partition, row, values[row]) for name, row in (*bad, *late)]
    return found


def _compare_side_exits(kafka: Kafka, expected: Sequence[tuple[Any, ...]]) -> None:
    found = Counter(
        (topic, *_origin(record), record.value)
        for topic, records in kafka.outputs.items()
        if topic.endswith((".dlt", ".late"))
        for record in records
    )
    if found.keys() != set(expected):
        raise Violation(f"set aside: {difference([*found], [*expected])}")


def _origin(record: OutboxRecord) -> tuple[int, int]:
    headers = dict(record.headers)
    (partition,) = struct.unpack(">i", headers["kafka_dlt-original-partition"])
    (offset,) = struct.unpack(">q", headers["kafka_dlt-original-offset"])
    return partition, offset
