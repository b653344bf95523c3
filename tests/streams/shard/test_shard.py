"""Invariants 1 and 3: the state is a function of the logs alone, and it is the right one."""

import dataclasses
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import index_set as marks
from streams.contracts.events import TOPICS
from streams.settings import ShardSettings
from streams.shard import shard
from streams.shard.checkpoint import STATE_VERSION
from streams.shard.folding import waiting_entries
from streams.state import open_orders as supply
from streams.state import pending
from streams.state.key_memory import KeyMemory
from streams.state.open_lines import OpenLines
from streams.timestamps import rfc3339
from tests.oracle import DAY, HOUR
from tests.streams.against_oracle import oracle_of, require_as_oracle
from tests.streams.fakes import MemoryStore, as_json
from tests.streams.logs import (
    ITEMS,
    START_MS,
    KnownOrders,
    Logs,
    Step,
    build,
    event,
    heartbeat,
    random_steps,
    steps,
)
from tests.streams.runs import (
    SETTINGS,
    Run,
    Schedule,
    pieces,
    read_in_pieces,
    read_whole,
    require_same,
    tell,
)

SCHEDULES = st.lists(
    st.tuples(
        st.integers(0, 5), st.sampled_from((1, 2, 3, 7, 1000)), st.sampled_from((0, 1, 3, 1000))
    ),
    min_size=1,
    max_size=12,
)
FORGETFUL = dataclasses.replace(
    SETTINGS, timeline=dataclasses.replace(SETTINGS.timeline, open_lines=3)
)
"""More order lines are open than are remembered: which are written off follows from the logs."""

TICK_MS = SETTINGS.timeline.tick_ms
LAMP = ITEMS[0]


def logs_of(drawn: list[Step]) -> Logs:
    """The logs of some steps, in which suppliers speak of orders that are really placed."""
    return build(drawn, orders_of(read_whole(build(drawn))))


def orders_of(run: Run) -> KnownOrders:
    """The purchase orders of a run, with their items."""
    orders = [as_json(out.value) for out in run.outputs if out.topic == "purchase-orders"]
    return tuple((order["po_id"], (order["sku"], order["warehouse"])) for order in orders)


# -- any way of reading ----------------------------------------------------------------------------


def check_any_way_of_reading(
    logs: Logs, schedule: Schedule, chosen: ShardSettings = SETTINGS
) -> None:
    """Compare reading in pieces with reading in one piece."""
    in_pieces = read_in_pieces(logs, schedule, settings=chosen)
    require_same(in_pieces, read_whole(logs, chosen))


@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(drawn=steps(), schedule=SCHEDULES, chosen=st.sampled_from((SETTINGS, FORGETFUL)))
def test_batches_interleaving_and_pace_change_nothing(drawn, schedule, chosen):
    """Any batch sizes, topic order and advance limits give the state, decisions and outputs of
    reading each log in one piece.
    """
    check_any_way_of_reading(logs_of(drawn), schedule, chosen)


@pytest.mark.slow
@settings(deadline=None, max_examples=24)
@given(drawn=steps(200), schedule=SCHEDULES)
def test_batches_and_interleaving_change_nothing_in_long_logs(drawn, schedule):
    """The same over longer logs and more of them."""
    check_any_way_of_reading(logs_of(drawn), schedule)


_WITH_A_SURGE_ORDER = 69  # one in fifty has one


@pytest.mark.slow
def test_sample_logs_reach_every_corner():
    """The logs that the properties run on bring orders, surges, and each kind of alert."""
    wanted = {
        *("surge", "low_cover", "late_delivery", "stale_input", "stale_stock", "phantom_stock"),
        *("raised", "updated", "resolved", "proposed", "regular occasion", "surge occasion"),
    }
    for seed in (_WITH_A_SURGE_ORDER, *range(40)):
        for out in read_whole(sample(seed)).outputs:
            told = as_json(out.value)
            wanted -= {told["kind"], told.get("state"), f"{told.get('occasion')} occasion"}
        if not wanted:
            break
    assert wanted == set()


def sample(seed: int) -> Logs:
    """Logs by a seed."""
    return logs_of(random_steps(seed))


def sparse_and_dense(seed: int) -> tuple[Logs, Logs]:
    """The same events, without and with a heartbeat at the clock of its log after each."""
    sparse, dense = sample(seed), Logs()
    oracle = oracle_of()
    for topic, log in sparse:
        for value, written_ms in log:
            oracle.read(topic, value, written_ms)
            dense.add(topic, value, written_ms)
            if topic in oracle.clocks:
                dense.add(topic, heartbeat(oracle.clocks[topic]), written_ms)
    return sparse, dense


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_heartbeats_that_move_no_clock_decide_nothing(seed):
    """With dense heartbeats the decisions and outputs are those of sparse ones."""
    few, many = (tell(read_whole(logs)) for logs in sparse_and_dense(seed))
    for part in ("decisions", "outputs", "rows", "supply", "cells", "alerts", "profile"):
        assert few[part] == many[part]


# -- the right state -------------------------------------------------------------------------------


def check_against_oracle(logs: Logs, run: Run | None = None) -> None:
    """Compare a run with the oracle."""
    require_as_oracle(run or read_whole(logs), logs)


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(drawn=steps())
def test_state_is_what_a_plain_reading_says(drawn):
    """Sums by minute, hour and day, distinct orders, stock, backlog and counts equal the oracle."""
    check_against_oracle(build(drawn))


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(drawn=steps(200))
def test_state_is_what_a_plain_reading_says_in_long_logs(drawn):
    """The same over longer logs and more of them."""
    check_against_oracle(build(drawn))


# -- going on after a restart ----------------------------------------------------------------------


def read_with_restarts(
    logs: Logs, schedule: Schedule, restart_after: set[int], chosen: ShardSettings = SETTINGS
) -> Run:
    """Read in pieces, commit after each, and at some points start anew from what was stored."""
    store = MemoryStore()
    lease = store.acquire_now(0)
    run = Run(chosen)
    for number, (topic, batch, limit) in enumerate(pieces(logs, schedule)):
        run.read(topic, batch)
        if limit:
            run.advance(limit)
        if number % 4 == 0:
            run.judge_groups()
        if number % 3 == 0 or number in restart_after:
            lease = keep(store, lease, run)
        if number in restart_after:
            lease = store.acquire_now(0)
            run.restart(store.load_now(lease))
    run.advance_fully(7)
    lease = keep(store, lease, run)
    run.judge_groups()
    keep(store, lease, run)
    waiting = {chunk.number for chunk in run.shard.timeline.pending._chunks}
    assert set(store.kept[0].pending) == waiting  # what took effect is not stored for ever
    run.restart(store.load_now(store.acquire_now(0)))
    return run


def keep(store: MemoryStore, lease, run: Run):
    """Commit, and return the lease as it stands afterwards."""
    commit = run.commit()
    assert store.commit_now(lease, commit) == "stored"
    kept = store.kept[0]
    return dataclasses.replace(lease, sequence=kept.sequence, offsets=kept.offsets)


def check_restarts(
    logs: Logs, schedule: Schedule, restart_after: set[int], chosen: ShardSettings = SETTINGS
) -> None:
    """Compare a run with restarts with one without."""
    restarted = read_with_restarts(logs, schedule, restart_after, chosen)
    require_same(restarted, read_whole(logs, chosen))


@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(
    drawn=steps(),
    schedule=SCHEDULES,
    restart_after=st.sets(st.integers(0, 60)),
    chosen=st.sampled_from((SETTINGS, FORGETFUL)),
)
def test_restart_at_any_point_changes_nothing(drawn, schedule, restart_after, chosen):
    """A shard that goes on from what a commit stored ends in the same state, bit for bit."""
    check_restarts(logs_of(drawn), schedule, restart_after, chosen)


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(drawn=steps(200), schedule=SCHEDULES, restart_after=st.sets(st.integers(0, 200)))
def test_restart_at_any_point_changes_nothing_in_long_logs(drawn, schedule, restart_after):
    """The same over longer logs and more of them."""
    check_restarts(logs_of(drawn), schedule, restart_after)


# -- each guard is needed --------------------------------------------------------------------------

PIECES: Schedule = ((0, 2, 1), (3, 1, 0), (1, 3, 5), (5, 1, 1), (2, 7, 0), (4, 1, 2))


def against_oracle(logs: Logs) -> None:
    """The comparison with the oracle, read in pieces."""
    check_against_oracle(logs, read_in_pieces(logs, PIECES, Run.commit))


def with_restarts(logs: Logs) -> None:
    """The comparison of a run with restarts with one without."""
    check_restarts(logs, PIECES, {3, 11, 12, 30, 50})


def check_each(seen: list[Logs], check: Callable[[Logs], None]) -> None:
    """Check logs until one fails."""
    for logs in seen:
        check(logs)


def _forget_duplicates(patch):
    patch.setattr(shard, "KeyMemory", lambda limit: KeyMemory(1))


def _mix_up_topics(patch):
    patch.setattr(pending, "_TOPIC_NAMES", list(reversed(TOPICS)))


def _take_effect_again(patch):
    restore = pending.Pending.restore
    patch.setattr(
        pending.Pending, "restore", lambda self, number, stored, _: restore(self, number, stored, 0)
    )


def _late_at_its_own_time(patch):
    admit = shard.admit_rows

    def admitted(**columns):
        result = admit(**columns)
        return dataclasses.replace(result, effective_ms=columns["occurred_ms"].copy())

    patch.setattr(shard, "admit_rows", admitted)


def _never_roll(patch):
    patch.setattr(shard.Ring, "roll_to", lambda self, bucket: None)


def _lose_history(patch):
    class Ring(shard.Ring):
        def __init__(self, *args, **_):
            super().__init__(*args)

    patch.setattr(shard, "Ring", Ring)


def _lose_due_dates(patch):
    patch.setattr(supply.Supply, "mark", lambda self, order: None)


def _forget_open_lines(patch):
    patch.setattr(OpenLines, "restore", lambda self, state, sides: None)


def _write_off_by_batch(patch):
    reserve = OpenLines.reserve

    def reserved(self, changes):
        reserve(self, changes)
        self.arrays.counters[2] = max(self.arrays.counters[1], 1)

    patch.setattr(OpenLines, "reserve", reserved)


def _pay_in_sum(patch):
    def without_orders(*batch):
        entries, updates = waiting_entries(*batch)
        entries["order_key"] = 0
        return entries, updates

    patch.setattr(shard, "waiting_entries", without_orders)


def _forget_open_tick(patch):
    take = marks.IndexSet.take
    patch.setattr(marks.IndexSet, "take", lambda self: take(self)[1:])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("break_it", "check"),
    [
        (_forget_duplicates, against_oracle),
        (_mix_up_topics, against_oracle),
        (_late_at_its_own_time, against_oracle),
        (_lose_history, against_oracle),
        (_never_roll, against_oracle),
        (_pay_in_sum, against_oracle),
        (_write_off_by_batch, against_oracle),
        (_take_effect_again, with_restarts),
        (_lose_due_dates, with_restarts),
        (_forget_open_lines, with_restarts),
        (_forget_open_tick, with_restarts),
    ],
)
def test_comparisons_notice_a_missing_guard(monkeypatch, break_it, check):
    """Without any one of these guards the comparisons above fail; with it they do not."""
    seen = [build(random_steps(seed)) for seed in range(12)]
    check(seen[0])
    break_it(monkeypatch)
    with pytest.raises(AssertionError):
        check_each(seen, check)


# -- where it went wrong once ----------------------------------------------------------------------


def read_all(*records: tuple[str, bytes, int], whole: bool) -> Run:
    """Read records of several topics in one batch each, or one by one."""
    logs = Logs()
    for topic, value, written_ms in records:
        logs.add(topic, value, written_ms)
    return read_whole(logs) if whole else read_in_pieces(logs, [(0, 1, 1)])


def test_bad_record_has_the_time_of_its_place_in_the_log():
    """The clock at the bad record's place dates it, not that of the batch in which it was read."""
    values = [
        heartbeat(START_MS),
        b"{",
        heartbeat(START_MS + 2 * DAY),
        heartbeat(START_MS + 4 * DAY),
    ]
    records = [("orders", value, START_MS + 4 * DAY) for value in values]
    records += [(topic, heartbeat(START_MS + 5 * DAY), START_MS + 5 * DAY) for topic in TOPICS]
    alerts = [
        [as_json(out.value) for out in read_all(*records, whole=whole).outputs]
        for whole in (True, False)
    ]
    assert alerts[0] == alerts[1]
    assert [(alert["state"], alert["started_at"]) for alert in alerts[0]] == [
        ("raised", rfc3339(-(-(START_MS + 1) // TICK_MS) * TICK_MS)),
        ("resolved", rfc3339(-(-(START_MS + 1) // TICK_MS) * TICK_MS)),
    ]


def test_record_without_source_has_one_identity():
    """A redelivered record is a duplicate whether or not its batch has records with a source."""
    fields = {"order_id": "o", "quantity": 1}
    plain = event("placed", "a", START_MS, LAMP, **fields)
    other = event("placed", "a", START_MS, LAMP, **fields, source="web")
    run = Run()
    run.read("orders", [(plain, START_MS)])
    run.read("orders", [(plain, START_MS), (other, START_MS)])
    assert run.shard.counts["orders:duplicate"] == 1
    assert run.shard.counts["orders:folded"] == 2


def test_cancellation_before_the_first_sale_ends_with_its_day():
    """A day's units are closed in Redis too: after a restart the first day is not short by them."""
    records = [
        ("orders", event("cancelled", "a", START_MS, LAMP, order_id="o", quantity=2)),
        *((topic, heartbeat(START_MS + HOUR)) for topic in TOPICS),
        *((topic, heartbeat(START_MS + DAY)) for topic in TOPICS),
        ("orders", event("placed", "b", START_MS + DAY, LAMP, order_id="p", quantity=5)),
        *((topic, heartbeat(START_MS + 3 * DAY)) for topic in TOPICS),
    ]
    logs = Logs()
    for topic, value in records:
        logs.add(topic, value, START_MS + 3 * DAY)
    in_turn = [(number, 1, 1000) for number in range(len(TOPICS))]
    check_restarts(logs, in_turn, set(range(30)))


def test_duplicate_does_not_move_the_rings():
    """A second record with an id that was seen changes nothing, whatever else it says."""
    fields = {"order_id": "o", "quantity": 1}
    run = Run()
    run.read("orders", [(event("placed", "a", START_MS, LAMP, **fields), START_MS)])
    before = tell(run)["cells"]
    later = event("placed", "a", START_MS + 30 * DAY, LAMP, **fields)
    run.read("orders", [(later, START_MS + 30 * DAY)])
    assert run.shard.counts["orders:duplicate"] == 1
    assert tell(run)["cells"] == before


@pytest.mark.slow
def test_state_of_another_version_is_refused():
    """A state that this version cannot read is said to be so, not guessed at."""
    store = MemoryStore()
    lease = store.acquire_now(0)
    run = read_whole(sample(0))
    store.commit_now(lease, run.commit())
    kept = store.kept[0]
    kept.meta = kept.meta.replace(b'"version":%d' % STATE_VERSION, b'"version":99')
    with pytest.raises(ValueError, match=f"state version must be {STATE_VERSION}, got 99"):
        run.restart(store.load_now(store.acquire_now(0)))


def test_nothing_is_decided_until_every_topic_has_spoken():
    """Silence of one topic holds event time: without its clock no boundary is applied."""
    run = Run()
    for topic in list(TOPICS)[:-1]:
        run.read(topic, [(heartbeat(START_MS + DAY), START_MS + DAY)])
    run.advance_fully()
    assert run.shard.timeline.applied_ms is None
    run.read(list(TOPICS)[-1], [(heartbeat(START_MS), START_MS)])
    run.advance_fully()
    assert run.shard.timeline.applied_ms == (START_MS - 10_000) // TICK_MS * TICK_MS


@pytest.mark.slow
@pytest.mark.parametrize("limit", [1, 1_000])
def test_what_is_said_of_an_order_before_it_is_decided_says_nothing(limit):
    """However many boundaries are applied in one go: its word came first in event time."""
    logs = build(random_steps(3))
    orders = orders_of(read_whole(logs))
    assert orders
    for number, (po_id, item) in enumerate(orders):
        held = event("held", f"early-{number}", START_MS, item, po_id=po_id)
        logs.of["order-responses"].insert(0, (held, START_MS))
    run = Run()
    for topic, log in logs:
        run.read(topic, log)
    run.advance_fully(limit)
    assert set(tell(run)["statuses"].values()) == {""}
