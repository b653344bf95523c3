"""What the catalog says of price breaks and dispatch days reaches the purchase orders."""

import datetime as dt

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.wording.orders import differences
from policy import recompute
from streams.ingest.decode import TopicDecoder
from streams.replenishment.decision_record import DECISION, POLICY_INPUTS, inputs_record
from streams.replenishment.supplier_terms import dispatch_delay_days
from tests.oracle import DAY, HOUR
from tests.streams.fakes import MemoryStore
from tests.streams.logs import START_MS, catalog_line
from tests.streams.replenishment.test_reviews import orders_of, stocked, time_of
from tests.streams.runs import Run, read_whole

ITEM = ("lamp", "main")


@given(
    st.integers(START_MS, START_MS + 30 * DAY),
    st.sets(st.integers(1, 7)),
    st.floats(0, 24),
)
def test_an_order_waits_for_the_next_dispatch_day(at_ms, weekdays, cut_off_hour):
    """It counts as sent at once, before the cut-off of such a day, or as one of them begins."""
    delay_ms = round(dispatch_delay_days(at_ms, sorted(weekdays), cut_off_hour) * DAY)
    sent = dt.datetime.fromtimestamp((at_ms + delay_ms) / 1000, dt.UTC)
    assert not weekdays or sent.isoweekday() in weekdays
    if delay_ms == 0:
        assert at_ms % DAY < cut_off_hour * HOUR or at_ms % DAY == 0
    else:
        assert (at_ms + delay_ms) % DAY == 0
        first = at_ms - at_ms % DAY + (0 if at_ms % DAY < cut_off_hour * HOUR else DAY)
        skipped = range(first, at_ms + delay_ms, DAY)
        days = [dt.datetime.fromtimestamp(ms / 1000, dt.UTC).isoweekday() for ms in skipped]
        assert not set(days) & (weekdays or set(range(1, 8)))


def test_purchase_orders_have_the_price_and_the_day_of_the_terms():
    """The unit cost is that of the break, the due date counts from the next dispatch day."""
    terms = {
        "price_breaks_lean": [{"from_units": 500, "unit_cost": 1.0}],
        "dispatch_weekdays_lean": [5],
        "supplier_flexible": "nobody",
    }
    run = read_whole(stocked(5, **terms))
    lean = [order for order in orders_of(run) if order.supplier_role == "lean"]
    assert lean
    for order in lean:
        assert (order.quantity, order.unit_cost, order.reason) == (500, 1.0, "price_break")
        sent = time_of(order.expected_at) - 2 * DAY
        assert dt.datetime.fromtimestamp(sent / 1000, dt.UTC).isoweekday() == 5
        assert 0 <= sent - time_of(order.decided_at) < 7 * DAY
        again = recompute({name: order.inputs[name] for name in POLICY_INPUTS})
        assert differences(order, again) == []
        assert order.inputs["price_break_units_lean"] == [500.0]


def test_terms_survive_a_restart():
    """A restored shard decides as the one that never went down."""
    terms = {"price_breaks_lean": [{"from_units": 500, "unit_cost": 1.0}]}
    logs = stocked(6, **terms)
    store = MemoryStore()
    run, lease = Run(), store.acquire_now(0)
    whole = read_whole(stocked(6, **terms))
    for topic, batch in logs:
        run.read(topic, batch[:-1])
    run.advance_fully()
    store.commit_now(lease, run.commit())
    again = Run()
    again.restart(store.load_now(store.acquire_now(0)))
    for topic, batch in logs:
        again.read(topic, batch[-1:])
    again.advance_fully()
    again.commit()
    told = {order.po_id: order for order in orders_of(run) + orders_of(again)}
    assert told == {order.po_id: order for order in orders_of(whole)}


def test_decisions_without_terms_tell_none():
    """No breaks is an empty list, no delay is zero."""
    _, _, _, packed = read_whole(stocked(4)).decisions[0]
    record = inputs_record(np.frombuffer(packed, DECISION)[0])
    assert record["price_break_units_lean"] == record["price_break_unit_cost_flexible"] == []
    assert record["dispatch_delay_days_lean"] == 0.0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"price_breaks_lean": [{"from_units": 9, "unit_cost": 4.0}]}, "price_breaks_lean"),
        (
            {"price_breaks_lean": [{"from_units": n, "unit_cost": 1.0 / n} for n in (9, 9)]},
            "ascending in from_units, got 9",
        ),
        (
            {"price_breaks_lean": [{"from_units": n, "unit_cost": 1.0 / n} for n in range(1, 5)]},
            "length",
        ),
        ({"dispatch_weekdays_lean": [0]}, "dispatch_weekdays_lean"),
        ({"dispatch_weekdays_flexible": [8]}, "dispatch_weekdays_flexible"),
        ({"cut_off_hour_lean": 24.5}, "cut_off_hour_lean"),
    ],
)
def test_bad_terms_are_dead_lettered_by_name(changes, said):
    """The reject names the field and the rule."""
    value = catalog_line("c", START_MS, ITEM, **changes)
    (reject,) = TopicDecoder("catalog").decode([value], None).rejects
    assert said in reject.message


def test_a_line_with_terms_is_read_back_as_told():
    """The contract of the catalog keeps every tier."""
    breaks = [{"from_units": 10, "unit_cost": 3.5}, {"from_units": 20, "unit_cost": 3.0}]
    value = catalog_line("c", START_MS, ITEM, price_breaks_lean=breaks)
    decoded = TopicDecoder("catalog").decode([value], None)
    (line,) = decoded.columns.updates.values()
    assert msgspec.to_builtins(line.price_breaks_lean) == breaks
