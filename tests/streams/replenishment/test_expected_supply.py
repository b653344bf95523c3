"""Which units on order a position leaves out."""

import numpy as np
import pytest

from streams.contracts.purchase_orders import SupplierRole
from streams.replenishment.decision_record import DECISION
from streams.replenishment.expected_supply import uncounted_units
from streams.state.items import ROW
from streams.state.open_orders import AWAITING_APPROVAL, OpenOrder
from streams.timestamps import DAY_MS
from tests.streams.replenishment.test_reviews import orders_of, stocked
from tests.streams.runs import read_whole

NOW_MS = 1000 * DAY_MS


def order(due_in_days: float, role: str = "lean", state: str = "proposed") -> OpenOrder:
    return OpenOrder(
        po_id="po-1",
        item=0,
        role=SupplierRole(role),
        supplier="s",
        quantity=80,
        outstanding=80,
        due_ms=NOW_MS + round(due_in_days * DAY_MS),
        is_assumed=False,
        state=state,
    )


def left_out(*orders: OpenOrder) -> list[int]:
    row = np.zeros(1, ROW)[0]
    row["lead_time_days_lean"], row["lead_time_days_flexible"] = 4.0, 2.0
    found: list[int] = uncounted_units(orders, row, NOW_MS + 11 * DAY_MS, NOW_MS).tolist()
    return found


def test_what_is_due_in_time_counts_and_what_is_due_too_late_does_not():
    """A delayed order would hide a gap."""
    assert left_out(order(3.0), order(10.0, "flexible")) == [0, 0]
    assert left_out(order(12.0), order(20.0, "flexible")) == [80, 80]


def test_an_overdue_order_counts_less_by_the_day_and_then_not_at_all():
    """A receipt may be booked a day late; an order that is days late likely never comes."""
    counts = [80 - left_out(order(-days))[0] for days in (0.0, 0.4, 1.5, 2.5, 5.0)]
    assert counts[:2] == [80, 80]
    assert counts == sorted(counts, reverse=True)
    assert 0 < counts[3] < 60
    assert counts[4] == 0


@pytest.mark.parametrize("state", [AWAITING_APPROVAL, "held"])
def test_an_order_that_has_not_left_is_not_overdue(state):
    """It waits for a person: its supplier is not late with it."""
    assert left_out(order(-9.0, state=state)) == [0, 0]


def test_a_review_sees_no_supply_in_an_order_that_is_days_late():
    """Without any news: the order is open still, and the position of the decision is without it."""
    run = read_whole(stocked(7))
    first = min(orders_of(run), key=lambda one: one.decided_at)
    newest = np.frombuffer(sorted(run.decisions)[-1][-1], DECISION)[0]
    assert run.shard.timeline.supply.get(first.po_id) is not None
    counted = newest["on_order_lean_units"] + newest["on_order_flexible_units"]
    placed = sum(one.quantity for one in orders_of(run) if one.decided_at != first.decided_at)
    assert counted <= placed
    assert newest["inventory_position_units"] == (
        newest["on_hand_units"] - newest["backlog_units"] + counted
    )
