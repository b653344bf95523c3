"""Capital against service: the allocation is the cheapest, and never dearer than equal targets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from policy.classic.capital import Assortment, capital_curve, equal_targets, least_capital
from policy.classic.cases.answer import answer
from policy.errors import PolicyInputError

columns = st.integers(1, 6).flatmap(
    lambda size: st.tuples(
        *(
            st.lists(st.floats(low, high), min_size=size, max_size=size)
            for low, high in ((0.1, 500), (0, 300), (1, 900), (0.1, 2000))
        )
    )
)


@settings(max_examples=30)
@given(columns, st.floats(0.05, 0.999))
def test_allocation_beats_equal_targets_at_equal_service(items, target) -> None:
    """Both serve the target, where it needs any stock at all, and the best one binds less."""
    shop = Assortment.of(*items)
    best, equal = least_capital(shop, target), equal_targets(shop, target)
    without = shop.fill(np.zeros_like(shop.lot))
    for found in (best, equal):
        assert found.fill == pytest.approx(max(target, without), abs=1e-9)
        assert (found.k >= 0).all()
    assert best.safety_capital <= equal.safety_capital * (1 + 1e-9) + 1e-9


def test_no_other_allocation_is_cheaper() -> None:
    """A general solver over all safety factors finds the same capital."""
    shop = Assortment.of([10, 3, 40], [20, 60, 5], [50, 80, 20], [100, 40, 30])
    best = least_capital(shop, 0.97)
    found = minimize(
        shop.safety_capital,
        np.ones(3),
        bounds=[(0, 6)] * 3,
        constraints={"type": "ineq", "fun": lambda k: shop.fill(k) - 0.97},
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 500},
    )
    assert best.safety_capital == pytest.approx(found.fun, rel=1e-5)


def test_curve_rises_with_the_target() -> None:
    """More service never binds less capital; the last points are the dear ones."""
    shop = Assortment.of([10, 1], [20, 60], [50, 50], [100, 100])
    curve = capital_curve(shop)
    assert (np.diff(curve.best_capital) > 0).all()
    slope = np.diff(curve.best_capital) / np.diff(curve.targets)
    assert slope[-1] > 2 * slope[0]


ITEM = {
    "unit_cost": 10,
    "order_quantity": 50,
    "demand_mean_per_period": 100,
    "demand_sd_per_period": 20,
    "lead_time_periods": 4,
}


def test_case_shows_where_you_are() -> None:
    """Today's safety stocks are a point beside the curve: better served for less is possible."""
    items = [
        {**ITEM, "name": "dear", "safety_stock": 96},
        {**ITEM, "name": "cheap", "unit_cost": 1, "demand_sd_per_period": 60, "safety_stock": 96},
    ]
    found = answer({"model": "capital", "items": items, "target": 0.9})
    here = found["here"]
    assert here["capital"] == 96 * 11
    better = answer({"model": "capital", "items": items, "target": here["fill_rate"]})
    assert better["capital"] < here["capital"]
    assert [row["name"] for row in found["items"]] == ["dear", "cheap"]
    assert found["cycle_capital"] == 275
    assert found["capital"] == pytest.approx(
        sum(
            row["safety_stock"] * item["unit_cost"]
            for row, item in zip(found["items"], items, strict=True)
        )
    )


def test_certain_items_need_no_capital() -> None:
    """Without spread every target is met with nothing."""
    found = answer(
        {"model": "capital", "items": [{**ITEM, "demand_sd_per_period": 0}], "target": 0.99}
    )
    assert (found["capital"], found["fill_rate"]) == (0, 1)


@pytest.mark.parametrize(
    ("items", "complaint"),
    [
        ([], "items must be a list of objects"),
        ([{**ITEM, "unit_cost": 0}], r"items\[0\].unit_cost must be > 0, got 0"),
        ([ITEM, {"unit_cost": 1}], r"items\[1\].demand_mean_per_period must be >= 0, got None"),
        ([{**ITEM, "cost": 1}], r"items\[0\].cost must be one of unit_cost"),
        ([{**ITEM, "demand_mean_per_period": 0}], "demand_per_period must be > 0 for at least one"),
    ],
)
def test_bad_item_is_named(items, complaint) -> None:
    """The item, the field, the rule and the value."""
    with pytest.raises(PolicyInputError, match=complaint):
        answer({"model": "capital", "items": items})
