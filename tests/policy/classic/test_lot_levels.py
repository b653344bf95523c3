"""(r, Q): the cheapest of all pairs, and the least reorder point for a fill rate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from policy.classic.cases.answer import answer
from policy.classic.demand import NormalDemand, PoissonDemand, read_demand
from policy.classic.lot_levels import best_lot_policy, fill_rate, reorder_point_for_fill
from policy.errors import PolicyInputError


def cost_of(r, lot, setup, holding, backorder, demand, lead) -> float:
    cover = demand.over(lead)
    levels = r + np.arange(1, lot + 1)
    missing = cover.loss(levels)
    stock = holding * (levels - cover.mean + missing) + backorder * missing
    return (setup * demand.mean + stock.sum()) / lot


@pytest.mark.parametrize(
    "family",
    [1.5, {"family": "negative_binomial", "mean": 3, "sd": 4}, [0, 0, 1, 6], 0],
    ids=str,
)
@pytest.mark.parametrize(("setup", "backorder"), [(0, 5), (3, 5), (100, 150)])
def test_no_pair_is_cheaper(family, setup, backorder) -> None:
    """All whole pairs around the one found cost at least as much."""
    demand = read_demand(family)
    found = best_lot_policy(setup, 2, backorder, demand, 2)
    r, lot = int(found.r), int(found.Q)
    terms = (setup, 2, backorder, demand, 2)
    assert found.cost_per_period == pytest.approx(cost_of(r, lot, *terms))
    for other in range(max(1, lot - 4), lot + 5):
        for point in range(r - 4, r + 5):
            assert found.cost_per_period <= cost_of(point, other, *terms) + 1e-9
        fixed = best_lot_policy(*terms, quantity=other)
        assert fixed.cost_per_period >= found.cost_per_period - 1e-9
        assert other == fixed.Q


@pytest.mark.parametrize(
    "family", [{"mean": 1300, "sd": 150}, {"family": "gamma", "mean": 9, "sd": 9}]
)
def test_continuous_pair_is_the_optimum(family) -> None:
    """A plain minimiser over both numbers finds no lower cost."""
    demand = read_demand(family)
    found = best_lot_policy(8, 0.225, 7.5, demand, 1 / 12)
    cover = demand.over(1 / 12)
    nodes, node_weights = np.polynomial.legendre.leggauss(200)

    def cost(pair) -> float:
        r, lot = pair
        levels, weights = r + lot * (nodes + 1) / 2, node_weights / 2
        missing = cover.loss(levels)
        stock = 0.225 * (levels - cover.mean + missing) + 7.5 * missing
        return float(8 * demand.mean / lot + weights @ stock)

    assert found.cost_per_period == pytest.approx(cost((found.r, found.Q)), rel=1e-6)
    best = minimize(cost, (found.r, found.Q), method="Nelder-Mead", options={"maxiter": 60}).fun
    assert found.cost_per_period <= best * (1 + 1e-6)
    fixed = best_lot_policy(8, 0.225, 7.5, demand, 1 / 12, quantity=found.Q)
    assert (fixed.r, fixed.cost_per_period) == pytest.approx((found.r, found.cost_per_period))


def test_published_continuous_pair_comes_out() -> None:
    """Snyder and Shen's example of normal demand, by the exact loss function."""
    found = best_lot_policy(8, 0.225, 7.5, NormalDemand(1300, 150), 1 / 12)
    assert (round(found.r, 4), round(found.Q, 4)) == (126.8671, 328.4491)


def test_certain_demand_is_the_economic_lot_with_backorders() -> None:
    """Without spread the (r, Q) policy is the closed formula."""
    found = best_lot_policy(8, 0.225, 5, NormalDemand(1300, 0), 0.1)
    assert (found.Q, found.cost_per_period) == pytest.approx((310.812555, 66.921364), rel=1e-6)
    assert found.r == pytest.approx(130 - 0.0430622 * 310.812555, rel=1e-5)


@pytest.mark.parametrize("mean", [0, 1e-3, 1e5])
def test_extreme_demand_is_solved(mean) -> None:
    """Nothing at all, hardly anything, and very much."""
    found = best_lot_policy(10, 1, 9, PoissonDemand(mean), 1)
    assert found.Q >= 1
    assert np.isfinite(found.cost_per_period)


@settings(max_examples=30)
@given(st.floats(0.05, 0.99), st.integers(1, 60), st.floats(0.1, 30), st.sampled_from([0.5, 3]))
def test_reorder_point_for_fill_is_the_least(target, lot, mean, lead) -> None:
    """One unit less misses the target; for normal demand the target is met exactly."""
    demand = PoissonDemand(mean)
    r = reorder_point_for_fill(demand, lead, lot, target)
    assert fill_rate(demand, lead, r, lot) >= target - 1e-9
    assert fill_rate(demand, lead, r - 1, lot) < target
    normal = NormalDemand(mean, 0.3 * mean)
    exact = reorder_point_for_fill(normal, lead, lot, target)
    assert float(fill_rate(normal, lead, exact, lot)) == pytest.approx(target, abs=1e-9)


@settings(max_examples=30)
@given(st.floats(-20, 40), st.floats(0.5, 40))
def test_fill_rises_with_the_reorder_point(r, lot) -> None:
    """More stock never serves less."""
    demand = PoissonDemand(4.5)
    assert fill_rate(demand, 2, r + 1, lot) >= fill_rate(demand, 2, r, lot) - 1e-12


def test_case_takes_a_fill_target_instead_of_a_backorder_cost() -> None:
    """The lot is given, or is the economic one in whole units."""
    case = {
        "model": "r_Q",
        "holding_cost_per_unit_period": 1,
        "lead_time_periods": 2,
        "demand_rate_per_period": 1.5,
        "fill_target": 0.95,
    }
    found = answer(case | {"order_quantity": 5})
    assert (found["r"], found["Q"], found["safety_stock"]) == (5, 5, 2)
    assert found["fill_rate"] >= 0.95
    economic = answer(case | {"order_cost": 20})
    assert economic["Q"] == 8
    assert economic["fill_rate"] >= 0.95
    assert economic["cost_per_period"] > 20 * 1.5 / 8


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"fill_target": 0.9}, "backorder_cost_per_unit_period must be > 0, or absent beside fill"),
        ({"order_cost": None}, "order_cost must be >= 0, or absent beside order_quantity"),
        ({"demand_rate_per_period": None}, "demand_rate_per_period must be >= 0, or absent beside"),
        ({"demand": 2}, "demand_rate_per_period must be absent, or the mean of demand, 2, got 1.5"),
        ({"order_quantity": 2.5}, "order_quantity must be a whole number from 1 to 2000000"),
    ],
)
def test_contradiction_is_named(change, complaint) -> None:
    """What is missing, double or does not fit."""
    case = {
        "model": "r_Q",
        "order_cost": 100,
        "holding_cost_per_unit_period": 20,
        "backorder_cost_per_unit_period": 150,
        "demand_rate_per_period": 1.5,
        "lead_time_periods": 2,
    }
    assert answer(case | {"demand": {"family": "poisson", "mean": 1.5}})["Q"] == 5
    with pytest.raises(PolicyInputError, match=complaint):
        answer(case | change)
