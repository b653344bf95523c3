"""Ordering rules: at their limits, over many items, and over the periods of a plan."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.classic.cases.answer import answer
from policy.classic.planning import (
    net_requirements,
    order_by_cover,
    position,
    reorder_in_lots,
    reorder_up_to,
    review_order,
)
from policy.errors import PolicyInputError

stocks = st.integers(-5000, 5000).map(lambda tenths: tenths / 10)


@settings(max_examples=30)
@given(stocks, stocks, st.floats(0.5, 90))
def test_lots_lift_the_position_just_above_the_reorder_point(at, point, lot) -> None:
    """The fewest lots that do; none above the point."""
    order = float(reorder_in_lots(at, point, lot))
    if at > point:
        assert order == 0
    else:
        assert at + order > point - 1e-9
        assert at + order <= point + lot + 1e-9


def test_reorder_point_itself_orders() -> None:
    """At or below the point is below; a backlog counts."""
    case = {"model": "reorder_point", "reorder_point": 20, "on_order": 10}
    at = answer(case | {"on_hand": 12, "backlog": 2, "order_quantity": 30})
    assert (at["position"], at["order_now"], at["order_quantity"]) == (20, True, 30)
    above = answer(case | {"on_hand": 11, "level": 60})
    assert (above["order_now"], above["order_quantity"]) == (False, 0)
    below = answer(case | {"on_hand": 9, "level": 60})
    assert below["order_quantity"] == 41


def test_cover_equal_to_the_limit_does_not_order() -> None:
    """Less than lead time + safety time orders; equal does not."""
    at = order_by_cover([70, 69.9], 10, 5, 2, 3)
    assert at.order_quantity.round(6).tolist() == [0, 30.1]


def test_no_demand_orders_its_backlog_only() -> None:
    """Cover without demand is not a number of periods."""
    case = {"model": "cover_time", "on_hand": 5, "demand_per_period": 0, "lead_time_periods": 3}
    found = answer(case)
    assert (found["cover_periods"], found["order_quantity"]) == (None, 0)
    assert answer(case | {"backlog": 9})["order_quantity"] == 4


def test_review_orders_up_to_its_level() -> None:
    """Never a negative order; arrays of items in one call."""
    at = position([90, 200], [10, 0], [0, 5])
    assert review_order(at, 175).tolist() == [75, 0]
    assert reorder_up_to(at, 100, 175).tolist() == [75, 0]


plans = st.lists(st.sampled_from([0.0, 0, 5, 12, 40]), min_size=1, max_size=12)


@settings(max_examples=30)
@given(plans, plans, st.floats(0, 60), st.integers(0, 4), st.floats(0, 20), st.integers(1, 4))
def test_plan_keeps_the_safety_stock(gross, receipts, stock, lead, safety, span) -> None:
    """The projection balances, never falls below the safety stock, and orders a lead earlier."""
    plan = net_requirements(gross, receipts[: len(gross)], stock, lead_time_periods=lead,
                            safety_stock=safety, lot_periods=span)  # fmt: skip
    coming = np.zeros(len(gross))
    coming[: len(receipts[: len(gross)])] = receipts[: len(gross)]
    flow = stock + np.cumsum(coming + plan.planned_receipts - np.array(gross))
    assert plan.projected_stock == pytest.approx(flow)
    assert (plan.projected_stock >= safety - 1e-9).all()
    assert plan.planned_orders.sum() + plan.overdue_orders == pytest.approx(
        plan.planned_receipts.sum()
    )
    early = max(len(gross) - lead, 0)
    assert plan.planned_orders[:early] == pytest.approx(plan.planned_receipts[lead:])


def test_lot_covers_the_periods_it_should() -> None:
    """Two periods a lot: every second one orders, and receipts on their way count."""
    plan = net_requirements([10, 20, 30, 40], [], 0, lead_time_periods=0, lot_periods=2)
    assert plan.planned_receipts.tolist() == [30, 0, 70, 0]
    plan = net_requirements([10, 20, 30], [], 5, lead_time_periods=0, lot_periods=3)
    assert plan.planned_receipts.tolist() == [55, 0, 0]
    plan = net_requirements([10, 20, 5], [0, 50], 0, lead_time_periods=0, lot_periods=2)
    assert plan.planned_receipts.tolist() == [10, 0, 0]


def test_orders_that_are_too_late_are_said() -> None:
    """What should have been ordered before the first period is not hidden in it."""
    plan = net_requirements([30, 0, 20], [], 10, lead_time_periods=2, minimum_order=25)
    assert (plan.overdue_orders, plan.planned_orders.tolist()) == (25, [25, 0, 0])


@pytest.mark.parametrize(
    ("case", "complaint"),
    [
        (
            {"model": "reorder_point", "on_hand": 1, "reorder_point": 5},
            "order_quantity must be > 0",
        ),
        (
            {"model": "reorder_point", "on_hand": 1, "reorder_point": 5, "level": 4},
            "level must be >= reorder_point, got 4",
        ),
        (
            {"model": "mrp", "gross_requirements": [1, -2], "on_hand": 0, "lead_time_periods": 0},
            r"gross_requirements\[1\] must be >= 0, got -2",
        ),
        (
            {"model": "mrp", "gross_requirements": [1], "on_hand": 0, "lead_time_periods": 0.5},
            "lead_time_periods must be a whole number >= 0, got 0.5",
        ),
        (
            {
                "model": "mrp",
                "gross_requirements": [1],
                "scheduled_receipts": [1, 1],
                "on_hand": 0,
                "lead_time_periods": 0,
            },
            "scheduled_receipts must be a list of at most 1 numbers",
        ),
    ],
)
def test_bad_case_is_named(case, complaint) -> None:
    """Field, rule and value."""
    with pytest.raises(PolicyInputError, match=complaint):
        answer(case)
