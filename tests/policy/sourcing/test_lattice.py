"""Demand on a coarser lattice brackets the cost of the demand itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.sourcing.demand import GridDemand, demand_from
from policy.sourcing.exact import solve_exact
from policy.sourcing.lattice import _on, lattice_bounds, shrink, spread
from policy.sourcing.model import read_instance, two_speed
from policy.sourcing.solve import solve


def instance(demand: dict, lead: int = 2, backorder: float = 95) -> dict:
    """Return an instance without set-ups."""
    return {
        "regular_lead_periods": lead,
        "expedited_cost": 20,
        "holding": 5,
        "backorder": backorder,
        "demand": demand,
    }


def beyond(chances: np.ndarray, step: int, points: np.ndarray) -> np.ndarray:
    """Return E[(D - k)+] for each k of `points`."""
    values = step * np.arange(len(chances))
    return np.maximum(values[None, :] - points[:, None], 0.0) @ chances


weights = st.lists(st.integers(0, 9), min_size=9, max_size=24).filter(lambda w: sum(w[4:]) > 0)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(weights, st.integers(2, 4))
def test_spread_demand_is_above_and_shrunk_below_in_convex_order(
    drawn: list[int], step: int
) -> None:
    """Equal means, and E[(D - k)+] ordered at every k."""
    chances = np.trim_zeros(np.array(drawn, dtype=float) / sum(drawn), "b")
    demand = GridDemand(chances, 1, float(np.arange(len(chances)) @ chances))
    points = np.arange(len(chances) + step)
    middle = beyond(chances, 1, points)
    assert np.all(beyond(spread(demand, step).probabilities, step, points) >= middle - 1e-9)
    shrunk = shrink(demand, step)
    if shrunk is not None:
        assert np.all(beyond(shrunk.probabilities, step, points) <= middle + 1e-5)


@pytest.mark.parametrize(
    "demand",
    [
        {"family": "poisson", "mean": 20},
        {"family": "uniform", "low": 0, "high": 20},
        {"family": "negative_binomial", "mean": 6, "variance": 30},
    ],
)
@pytest.mark.parametrize("step", [2, 3])
def test_lattice_optima_bracket_the_optimum(demand: dict, step: int) -> None:
    """The exact cost lies between those of shrunk and spread demand."""
    model = two_speed(read_instance(instance(demand)))
    exact = solve_exact(model, 1e12)
    above = solve_exact(_on(model, spread(model.demand, step), step), 1e12)
    shrunk = shrink(demand_from(demand), step)
    assert exact is not None
    assert above is not None
    assert shrunk is not None
    below = solve_exact(_on(model, shrunk, step), 1e12)
    assert below is not None
    assert below.lower * (1 - 1e-5) <= exact.lower
    assert exact.upper <= above.upper
    assert above.upper - below.lower < 0.07 * exact.upper


def test_least_step_within_the_work_is_taken() -> None:
    """More work allowed gives a finer lattice."""
    model = two_speed(read_instance(instance({"family": "uniform", "low": 0, "high": 60})))
    few, many = lattice_bounds(model, 1e6), lattice_bounds(model, 1e8)
    assert few is not None
    assert many is not None
    assert few[2] > many[2]
    assert few[0] <= many[1]
    assert many[0] <= few[1]


@pytest.mark.slow
def test_demand_of_thousands_of_units_is_bracketed_closely() -> None:
    """Poisson demand of mean 2,000 is out of exact reach, yet its bounds are within 0.3 %."""
    print("seed 1")
    answer = solve(instance({"family": "poisson", "mean": 2000}))
    assert answer["method"] != "exact"
    assert 0 < answer["upper"] - answer["lower"] < 0.003 * answer["upper"]
    assert answer["lower"] <= answer["cost_per_period"] <= answer["upper"]
