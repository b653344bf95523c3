"""Wagner and Whitin: the cheapest of all plans, found by trying them."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.classic.dynamic_lots import least_cost_orders
from policy.errors import PolicyInputError

demands = st.lists(st.sampled_from([0, 0, 1, 5, 12, 40.5]), min_size=1, max_size=7)


def cost_of(orders, setup, holding, demand) -> float:
    left = np.cumsum(orders) - np.cumsum(demand)
    if (left < -1e-9).any():
        return np.inf
    return float(np.sum(np.where(orders > 0, setup, 0)) + np.sum(holding * left))


@settings(max_examples=30)
@given(demands, st.floats(0, 100), st.floats(0.01, 5), st.randoms(use_true_random=False))
def test_no_plan_is_cheaper(demand, setup, holding, chance) -> None:
    """Of all choices of order periods, each covering demand up to the next, none costs less."""
    units = np.array(demand, dtype=float)
    setups = np.array([setup * chance.uniform(0.5, 2) for _ in demand])
    holdings = np.array([holding * chance.uniform(0.5, 2) for _ in demand])
    plan = least_cost_orders(setups, holdings, units)
    assert cost_of(plan.orders, setups, holdings, units) == pytest.approx(plan.cost)
    assert plan.orders.sum() == pytest.approx(units.sum())
    for chosen in product((False, True), repeat=len(demand) - 1):
        starts = [0, *(period for period, is_start in enumerate(chosen, 1) if is_start)]
        orders = np.zeros_like(units)
        for start, end in zip(starts, [*starts[1:], len(demand)], strict=True):
            orders[start] = units[start:end].sum()
        assert plan.cost <= cost_of(orders, setups, holdings, units) + 1e-9


def test_periods_without_demand_order_nothing() -> None:
    """Nothing is ordered where nothing is needed, not even at no cost."""
    plan = least_cost_orders(0, 1, [0, 0, 5, 0, 3, 0])
    assert (plan.orders.tolist(), plan.cost) == ([0, 0, 5, 0, 3, 0], 0)
    plan = least_cost_orders(10, 1, [0, 0])
    assert (plan.orders.tolist(), plan.cost) == ([0, 0], 0)


def test_of_equal_plans_the_one_with_less_stock_is_chosen() -> None:
    """Keeping 5 units for a period costs as much as a second order: it is ordered."""
    assert least_cost_orders(10, 2, [5, 5]).orders.tolist() == [5, 5]


def test_long_horizons_are_quick() -> None:
    """Ten years of days are planned, and every day is covered."""
    demand = np.random.default_rng(1).poisson(3, 3650)
    plan = least_cost_orders(40, 0.1, demand)
    assert (np.cumsum(plan.orders) >= np.cumsum(demand)).all()


def test_bad_demand_is_named() -> None:
    """Rows and lengths are checked."""
    with pytest.raises(PolicyInputError, match="demand must be one row of periods"):
        least_cost_orders(1, 1, [])
    with pytest.raises(PolicyInputError, match="order_cost must be one number, or 3 as demand has"):
        least_cost_orders([1, 2], 1, [1, 2, 3])
