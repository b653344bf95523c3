"""The newsvendor: no other quantity is cheaper, whatever the family of demand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.classic.cases.answer import answer
from policy.classic.demand import Demand, read_demand
from policy.classic.newsvendor import base_stock, newsvendor
from policy.errors import PolicyInputError

FAMILIES = [
    {"family": "normal", "mean": 50, "sd": 8},
    {"family": "normal", "mean": 5, "sd": 20},
    {"family": "normal", "mean": 5, "sd": 0},
    {"family": "poisson", "mean": 6.3},
    {"family": "poisson", "mean": 0},
    {"family": "negative_binomial", "mean": 4, "sd": 3},
    {"family": "gamma", "mean": 4, "sd": 6},
    {"family": "constant", "mean": 7.5},
    {"family": "uniform", "low": 3, "high": 9},
    {"family": "pmf", "probabilities": [0.2, 0.2, 0.2, 0.2, 0.2]},
    {"family": "empirical", "observations": [0, 3, 3, 7]},
]


def cost_of(demand: Demand, quantity: float, over: float, under: float) -> float:
    missing = float(demand.loss(quantity))
    return over * (quantity - demand.mean + missing) + under * missing


@pytest.mark.parametrize("family", FAMILIES, ids=str)
@settings(max_examples=12)
@given(over=st.floats(0.05, 20), under=st.floats(0.05, 20))
def test_no_other_quantity_is_cheaper(family, over, under) -> None:
    """Neighbours and far quantities cost at least as much; the quantity is never below 0."""
    demand = read_demand(family)
    best = newsvendor(demand, over, under)
    assert best.order_quantity >= 0
    assert best.cost == pytest.approx(cost_of(demand, best.order_quantity, over, under), abs=1e-9)
    step = 1.0 if demand.is_whole else 0.01
    for other in best.order_quantity + step * np.array([-50, -1, 1, 50]):
        if other >= 0:
            assert best.cost <= cost_of(demand, other, over, under) + 1e-9


def test_smallest_of_equal_quantities_is_chosen() -> None:
    """At a ratio of exactly 0.8, three units cost as much as four."""
    demand = read_demand([0, 1, 2, 3, 4])
    assert newsvendor(demand, 1, 4).order_quantity == 3
    assert (
        newsvendor(read_demand({"family": "uniform", "low": 0, "high": 9}), 3, 7).order_quantity
        == 6
    )


@pytest.mark.parametrize("mean", [1e3, 1e6, 1e9])
def test_large_poisson_demand_is_almost_normal(mean) -> None:
    """A huge mean neither overflows nor takes long."""
    poisson = newsvendor(read_demand(mean), 1, 9)
    normal = newsvendor(read_demand({"mean": mean, "sd": mean**0.5}), 1, 9)
    assert poisson.order_quantity == pytest.approx(normal.order_quantity, rel=0.02 / mean**0.5)
    assert poisson.cost == pytest.approx(normal.cost, rel=0.02)


@pytest.mark.parametrize(
    "family", [{"mean": 5, "sd": 1}, 6, {"family": "gamma", "mean": 4, "sd": 3}]
)
def test_dear_shortage_is_covered_far_into_the_tail(family) -> None:
    """A ratio that a float rounds to 1 still has a quantity: few units more for a thousandth."""
    demand = read_demand(family)
    quantities = [newsvendor(demand, 1e-15, 10.0**power).order_quantity for power in (3, 9, 15)]
    assert quantities == sorted(quantities)
    assert demand.mean < quantities[0] < quantities[2] < 300


def test_nothing_demanded_needs_nothing() -> None:
    """The share served of no demand is not known, rather than 0 or 1."""
    case = {"model": "newsvendor", "demand": 0, "overage_cost": 1, "underage_cost": 4}
    found = answer(case)
    assert (found["order_quantity"], found["cost"], found["fill_rate"]) == (0, 0, None)


def test_base_stock_covers_lead_time_and_review() -> None:
    """By normal demand: the sum of the periods, and their spread."""
    level = base_stock(read_demand({"mean": 50, "sd": 8}), 0.18, 0.70, 4)
    alone = newsvendor(read_demand({"mean": 250, "sd": 8 * 5**0.5}), 0.18, 0.70)
    assert level == alone
    at_once = base_stock(read_demand(1.5), 20, 150, 2, review_periods=0)
    assert at_once == newsvendor(read_demand(3), 20, 150)


def test_bad_value_is_named() -> None:
    """Costs are above 0; tables need whole lead times."""
    with pytest.raises(PolicyInputError, match="overage_cost must be > 0, got 0"):
        newsvendor(read_demand(6), 0, 1)
    with pytest.raises(PolicyInputError, match="lead_time_periods must be a whole number where"):
        base_stock(read_demand([0, 1]), 1, 1, 0.5)
