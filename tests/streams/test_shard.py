"""Invariants 1 and 3: the state is a function of the logs alone, and it is the right one."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import estimate, pending, shard, text, timeline
from streams.events import TOPICS
from streams.memory import KeyMemory
from streams.outputs import rfc3339
from tests.oracle import DAY, HOUR, MINUTE, Oracle
from tests.streams import logs as logs_module
from tests.streams.fakes import MemoryStore, as_json
from tests.streams.logs import (
    ITEMS,
    START_MS,
    KnownOrders,
    Logs,
    Step,
    build,
    catalog_line,
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
    tell,
)

SCHEDULES = st.lists(
    st.tuples(
        st.integers(0, 5), st.sampled_from((1, 2, 3, 7, 1000)), st.sampled_from((0, 1, 3, 1000))
    ),
    min_size=1,
    max_size=12,
)
WIDTHS = {"minute": MINUTE, "hour": HOUR, "day": DAY}
LAMP = ITEMS[0]


def logs_of(drawn: list[Step]) -> Logs:
    """The logs of some steps, in which suppliers speak of orders that are really placed."""
    return build(drawn, orders_of(read_whole(build(drawn))))


def orders_of(run: Run) -> KnownOrders:
    """The purchase orders of a run, with their items."""
    orders = [as_json(out.value) for out in run.outputs if out.topic == "purchase-orders"]
    return tuple((order["po_id"], (order["sku"], order["warehouse"])) for order in orders)


# -- any way of reading ----------------------------------------------------------------------------


def check_any_way_of_reading(logs: Logs, schedule: Schedule) -> None:
    """Compare reading in pieces with reading in one piece."""
    assert tell(read_in_pieces(logs, schedule)) == tell(read_whole(logs))


@settings(deadline=None, max_examples=50)
@given(drawn=steps(), schedule=SCHEDULES)
def test_batches_interleaving_and_pace_change_nothing(drawn, schedule):
    """Any batch sizes, topic order and advance limits give the state, decisions and outputs of
    reading each log in one piece.
    """
    check_any_way_of_reading(logs_of(drawn), schedule)


@pytest.mark.slow
@settings(deadline=None, max_examples=400)
@given(drawn=steps(200), schedule=SCHEDULES)
def test_batches_and_interleaving_change_nothing_in_long_logs(drawn, schedule):
    """The same over longer logs and more of them."""
    check_any_way_of_reading(logs_of(drawn), schedule)


def test_sample_logs_reach_every_corner():
    """The logs that the properties run on bring orders, surges, and each kind of alert."""
    outputs = [out for seed in range(40) for out in read_whole(sample(seed)).outputs]
    told = [as_json(out.value) for out in outputs]
    assert {one["alert"] for one in told if "alert" in one} >= {
        *("surge", "low_cover", "late_delivery", "stale_input", "stale_stock")
    }
    assert {one["kind"] for one in told} == {"raised", "resolved", "proposed"}
    assert {one["occasion"] for one in told if "occasion" in one} == {"regular", "surge"}


def sample(seed: int) -> Logs:
    """Logs by a seed."""
    return logs_of(random_steps(seed))


def sparse_and_dense(seed: int) -> tuple[Logs, Logs]:
    """The same events, without and with further heartbeats at the clock of each log."""
    sparse, dense = sample(seed), Logs()
    for topic, log in sparse:
        clock = 0
        for value, written_ms in log:
            dense.add(topic, value, written_ms)
            record = as_json(value)
            if record["kind"] == "heartbeat" or dense.of[topic].count((value, written_ms)) == 1:
                clock = max(clock, record["occurred_at"])
            dense.add(topic, heartbeat(clock), written_ms)
    return sparse, dense


@pytest.mark.parametrize("seed", range(5))
def test_heartbeats_that_move_no_clock_decide_nothing(seed):
    """With dense heartbeats the decisions and outputs are those of sparse ones."""
    few, many = (tell(read_whole(logs)) for logs in sparse_and_dense(seed))
    for part in ("decisions", "outputs", "rows", "supply", "cells", "alerts", "profile"):
        assert few[part] == many[part]


# -- the right state -------------------------------------------------------------------------------


def read_by_oracle(logs: Logs) -> Oracle:
    """Read logs record by record."""
    oracle = Oracle(
        allowed_lateness_ms=SETTINGS.allowed_lateness_ms, grace_ms=SETTINGS.grace_ms
    )
    for topic, log in logs:
        for value, written_ms in log:
            oracle.read(topic, value, written_ms)
    return oracle


def check_against_oracle(logs: Logs, run: Run | None = None) -> None:
    """Compare a run with the oracle."""
    run = run or read_whole(logs)
    oracle = read_by_oracle(logs)
    _check_counts(run, oracle)
    _check_rings(run, oracle)
    _check_history(run, oracle)
    _check_stock(run, oracle)


def _check_counts(run: Run, oracle: Oracle) -> None:
    for topic in TOPICS:
        for outcome in ("folded", "duplicate", "late", "dead_lettered", "heartbeat"):
            assert run.shard.counts[f"{topic}:{outcome}"] == oracle.counts[topic, outcome]


def _check_rings(run: Run, oracle: Oracle) -> None:
    items = run.shard.timeline.items
    for name, ring in run.shard.rings.items():
        if oracle.newest_sale >= 0:
            assert ring.newest == oracle.newest_sale // WIDTHS[name]
        for bucket in ring.buckets():
            cells = ring.of_bucket(bucket)
            for place, item in enumerate(items.names):
                expected = oracle.buckets.get((WIDTHS[name], bucket, item))
                figures = expected.figures() if expected else (0, 0, 0)
                assert tuple(cells[place].tolist()[:3]) == figures


def _check_history(run: Run, oracle: Oracle) -> None:
    days = {
        (bucket, f"{name[0]}@{name[1]}"): (*sums.figures(), sums.cancelled, sums.returned)
        for (width, bucket, name), sums in oracle.buckets.items()
        if width == DAY
    }
    assert {key: cell for key, cell in run.days.items() if any(cell)} == days


def _check_stock(run: Run, oracle: Oracle) -> None:
    timeline = run.shard.timeline
    assert run.shard.watermark_ms == oracle.watermark
    tick_ms = SETTINGS.timeline.tick_ms
    assert timeline.applied_ms == oracle.watermark // tick_ms * tick_ms
    stocks = oracle.stocks(timeline.applied_ms)
    for place, item in enumerate(timeline.items.names):
        row, stock = timeline.items.rows[place], stocks[item]
        assert row["on_hand_units"] == stock.on_hand
        assert row["backlog_units"] == stock.backlog
        assert row["counted_at_ms"] == stock.counted_at
        assert row["cancelled_units"] == stock.cancelled
        assert row["returned_units"] == stock.returned


@settings(deadline=None, max_examples=60)
@given(drawn=steps())
def test_state_is_what_a_plain_reading_says(drawn):
    """Sums by minute, hour and day, distinct orders, stock, backlog and counts equal the oracle."""
    check_against_oracle(build(drawn))


@pytest.mark.slow
@settings(deadline=None, max_examples=600)
@given(drawn=steps(200))
def test_state_is_what_a_plain_reading_says_in_long_logs(drawn):
    """The same over longer logs and more of them."""
    check_against_oracle(build(drawn))


# -- going on after a restart ----------------------------------------------------------------------


def read_with_restarts(logs: Logs, schedule: Schedule, restart_after: set[int]) -> Run:
    """Read in pieces, commit after each, and at some points start anew from what was stored."""
    store = MemoryStore()
    claim = store.claim_now(0)
    run = Run()
    for number, (topic, batch, limit) in enumerate(pieces(logs, schedule)):
        run.read(topic, batch)
        if limit:
            run.advance(limit)
        if number % 3 == 0 or number in restart_after:
            claim = keep(store, claim, run)
        if number in restart_after:
            claim = store.claim_now(0)
            run.restart(store.load_now(claim))
    run.advance_fully(7)
    keep(store, claim, run)
    run.restart(store.load_now(store.claim_now(0)))
    return run


def keep(store: MemoryStore, claim, run: Run):
    """Commit, and return the claim as it stands afterwards."""
    commit = run.commit()
    assert store.commit_now(claim, commit) == "stored"
    kept = store.kept[0]
    return dataclasses.replace(claim, sequence=kept.sequence, offsets=kept.offsets)


def check_restarts(logs: Logs, schedule: Schedule, restart_after: set[int]) -> None:
    """Compare a run with restarts with one without."""
    assert tell(read_with_restarts(logs, schedule, restart_after)) == tell(read_whole(logs))


@settings(deadline=None, max_examples=50)
@given(drawn=steps(), schedule=SCHEDULES, restart_after=st.sets(st.integers(0, 60)))
def test_restart_at_any_point_changes_nothing(drawn, schedule, restart_after):
    """A shard that goes on from what a commit stored ends in the same state, bit for bit."""
    check_restarts(logs_of(drawn), schedule, restart_after)


@pytest.mark.slow
@settings(deadline=None, max_examples=400)
@given(drawn=steps(200), schedule=SCHEDULES, restart_after=st.sets(st.integers(0, 200)))
def test_restart_at_any_point_changes_nothing_in_long_logs(drawn, schedule, restart_after):
    """The same over longer logs and more of them."""
    check_restarts(logs_of(drawn), schedule, restart_after)
