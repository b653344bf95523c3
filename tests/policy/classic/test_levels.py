"""(s, S): the cheapest of all pairs, by a Markov chain that shares nothing with the search."""

import numpy as np
import pytest

from policy.classic.demand import read_demand
from policy.classic.levels import best_levels
from policy.errors import PolicyInputError


def cost_of(s: int, top: int, setup, holding, backorder, mass, lead: int = 0) -> float:
    """Cost per period of (s, S), from the stationary position after ordering."""
    size = top - s
    chain = np.zeros((size, size))
    order = np.zeros(size)
    for cell in range(size):
        for units, chance in enumerate(mass):
            left = cell + units
            chain[cell, left if left < size else 0] += chance
            order[cell] += chance if left >= size else 0
    system = np.vstack([chain.T - np.eye(size), np.ones(size)])
    share = np.linalg.lstsq(system, np.r_[np.zeros(size), 1], rcond=None)[0]
    whole = np.ones(1)
    for _ in range(lead + 1):
        whole = np.convolve(whole, mass)
    ends = (top - np.arange(size))[:, None] - np.arange(whole.size)
    stock = np.where(ends > 0, holding * ends, -backorder * ends) @ whole
    return float(share @ (setup * order + stock))


CASES = [
    ({"family": "poisson", "mean": 2}, 5, 1, 4, 0),
    ({"family": "poisson", "mean": 0.4}, 8, 0.5, 9, 1),
    ({"family": "pmf", "probabilities": [0.5, 0, 0.2, 0, 0, 0.3]}, 12, 1, 6, 0),
    ({"family": "negative_binomial", "mean": 2, "sd": 3}, 10, 1, 9, 0),
    ({"family": "uniform", "low": 0, "high": 4}, 0, 1, 3, 2),
    ({"family": "normal", "mean": 4, "sd": 1.5}, 15, 1, 8, 0),
]


@pytest.mark.parametrize(("family", "setup", "holding", "backorder", "lead"), CASES)
def test_no_pair_is_cheaper(family, setup, holding, backorder, lead) -> None:
    """All pairs around the one found cost at least as much, and its cost is its own."""
    demand = read_demand(family)
    found = best_levels(setup, holding, backorder, demand, lead)
    edges = np.arange(200) + (0.0 if demand.is_whole else 0.5)
    mass = -np.diff(demand.above(edges), prepend=1.0)
    terms = (setup, holding, backorder, np.maximum(mass, 0), lead)
    s, top = int(found.s), int(found.S)
    assert found.cost_per_period == pytest.approx(cost_of(s, top, *terms), rel=1e-7)
    for other in range(s - 3, s + 4):
        for level in range(max(other + 1, top - 3), top + 4):
            assert found.cost_per_period <= cost_of(other, level, *terms) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("mean", "s", "top", "cost"),
    [
        *((10, 6, 40, 35.022), (15, 10, 49, 42.698), (20, 14, 62, 49.173), (25, 19, 56, 54.262)),
        *((30, 23, 66, 57.819), (40, 33, 87, 64.512), (50, 42, 108, 70.975)),
        *((61, 52, 131, 77.929), (63, 54, 73, 78.287), (75, 67, 86, 79.554)),
    ],
)
def test_published_table_comes_out(mean, s, top, cost) -> None:
    """Table 1 of Zheng and Federgruen: order cost 64, holding 1, backorder 9."""
    found = best_levels(64, 1, 9, read_demand(mean))
    assert (found.s, found.S, round(found.cost_per_period, 3)) == (s, top, cost)


def test_normal_demand_is_rounded_to_units() -> None:
    """As a table of its rounded chances is solved."""
    edges = np.arange(121) + 0.5
    chances = -np.diff(read_demand({"mean": 50, "sd": 8}).above(edges), prepend=1.0)
    table = read_demand({"family": "pmf", "probabilities": (chances / chances.sum()).tolist()})
    found = best_levels(2.5, 0.18, 0.70, read_demand({"mean": 50, "sd": 8}))
    same = best_levels(2.5, 0.18, 0.70, table)
    assert (found.s, found.S) == (same.s, same.S) == (45, 57)
    assert found.cost_per_period == pytest.approx(same.cost_per_period, rel=1e-6)


def test_without_an_order_cost_it_is_a_base_stock() -> None:
    """Every unit is ordered again at once: s = S - 1."""
    found = best_levels(0, 1, 4, read_demand(6))
    assert (found.s, found.S) == (7, 8)
    assert round(found.cost_per_period, 6) == 3.570107


@pytest.mark.slow
def test_large_demand_is_solved_on_wider_cells() -> None:
    """A million units a period take a moment, and are said to be on cells of many units."""
    found = best_levels(5e6, 1, 9, read_demand(1e6))
    assert found.cell_units > 1
    assert found.s < found.S
    small = best_levels(5e6 / 1e4, 1, 9, read_demand({"mean": 100, "sd": 0.1}))
    assert found.cost_per_period == pytest.approx(1e4 * small.cost_per_period, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_steady_demand_is_solved_whatever_its_mean(spread) -> None:
    """Certain demand of 1.5 million a period neither hangs nor fills the memory."""
    found = best_levels(1e6, 1, 9, read_demand({"mean": 1.5e6, "sd": spread}))
    assert found.s < found.S


def test_nothing_demanded_is_never_ordered() -> None:
    """The levels of no demand are 0 and below it."""
    found = best_levels(5, 1, 4, read_demand(0))
    assert (found.s, found.S, found.cost_per_period) == (-1, 0, 0)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((5, 1, 0, 6), "backorder_cost_per_unit_period must be > 0, got 0"),
        ((5, 1, 1, 6, 0.5), "lead_time_periods must be a whole number >= 0, got 0.5"),
        ((1e12, 1, 1, 6), "order_cost must be such that an economic order has at most 40000"),
    ],
)
def test_bad_value_is_named(arguments, complaint) -> None:
    """Field, rule and value."""
    setup, holding, backorder, mean, *lead = arguments
    with pytest.raises(PolicyInputError, match=complaint):
        best_levels(setup, holding, backorder, read_demand(mean), *lead)
