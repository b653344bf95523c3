"""Live decisions of items with a slow lean supplier: by the days ahead, and computed again."""

import numpy as np
import pytest

from infra.wording.orders import differences
from policy import recompute
from policy.review_inputs import OUTLOOK_FIELDS
from streams.contracts.purchase_orders import PurchaseOrder, SupplierRole
from streams.replenishment.decision_record import DECISION, ORDER_INPUTS
from streams.replenishment.outlook import open_orders
from streams.state.open_orders import AWAITING_APPROVAL, OpenOrder
from streams.timestamps import DAY_MS
from tests.streams.replenishment.test_reviews import orders_of, stocked
from tests.streams.runs import Run, read_whole

SLOW = {
    "lead_time_days_lean": 30.0,
    "lead_time_days_flexible": 3.0,
    "review_period_days": 7.0,
    "setup_cost_lean": 50.0,
    "setup_cost_flexible": 5.0,
    "holding_cost_per_unit_day": 0.0068,
}
NOW_MS = 1000 * DAY_MS


@pytest.fixture(scope="module")
def run() -> Run:
    """A shop that sells twelve a day, with lean a month away."""
    return read_whole(stocked(18, **SLOW))


def slow_orders(run: Run) -> list[PurchaseOrder]:
    """The orders that were decided by the days ahead."""
    return [order for order in orders_of(run) if order.method == "dual_index"]


def test_orders_of_slow_items_carry_the_days_ahead(run):
    """Each of them has the outlook among its inputs; both suppliers are asked."""
    orders = slow_orders(run)
    assert {order.supplier_role for order in orders} == set(SupplierRole)
    assert all(set(OUTLOOK_FIELDS) <= set(order.inputs) for order in orders)


def test_a_slow_decision_follows_from_its_order_alone(run):
    """Dates and path are part of the record: the same quantities, costs and reason."""
    for order in slow_orders(run):
        again = recompute({name: order.inputs[name] for name in ORDER_INPUTS})
        assert again["method"] == "dual_index"
        assert differences(order, again) == []


def test_an_order_of_before_still_explains_itself(run):
    """A record without the days ahead is computed by the rule of then."""
    order = slow_orders(run)[0]
    known = {name: value for name, value in order.inputs.items() if name in ORDER_INPUTS}
    before = {name: value for name, value in known.items() if name not in OUTLOOK_FIELDS}
    assert recompute(before)["method"] == "gap_rule"


def test_lean_is_not_asked_for_what_flexible_bridges(run):
    """The shelf is empty: flexible brings a week or so, lean what comes after its lead time."""
    newest = np.frombuffer(sorted(run.decisions)[0][-1], DECISION)[0]
    assert newest["method"] == b"dual_index"
    assert 40 <= newest["quantity_flexible_units"] <= 300
    assert newest["quantity_lean_units"] > newest["quantity_flexible_units"]


def test_an_order_that_waits_for_a_person_is_not_overdue():
    """It comes at the earliest now."""

    def order(state: str) -> OpenOrder:
        return OpenOrder(
            po_id=f"po-{state}",
            item=0,
            role=SupplierRole.LEAN,
            supplier="s",
            quantity=5,
            outstanding=5,
            due_ms=NOW_MS - 3 * DAY_MS,
            is_assumed=False,
            state=state,
        )

    found = open_orders([[order("proposed")], [order(AWAITING_APPROVAL)]], NOW_MS)
    assert found.due_in_days.tolist() == [-3.0, 0.0]
    assert found.item.tolist() == [0, 1]
