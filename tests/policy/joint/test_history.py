"""Joint against single orders on a history: what is played is what happened."""

import numpy as np
import pytest

from policy.classic.demand import PoissonDemand, on_cells
from policy.joint.history import NOTHING, play_apart, play_together
from policy.joint.items import JointItem, JointProblem
from policy.joint.periodic import alone, best_review, review_levels


def problem_of(*means: float, header: float = 30.0, lead: int = 1) -> JointProblem:
    items = [
        JointItem(f"item {at}", on_cells(PoissonDemand(mean), 1), 1, 0.5, 9)
        for at, mean in enumerate(means)
    ]
    return JointProblem(items, header, lead)


def test_a_long_history_costs_what_the_chains_say() -> None:
    """Demand as it was learnt, over 12,000 periods: both rules within 4 % of their exact costs."""
    problem = problem_of(3, 1)
    periods = 12_000
    random = np.random.default_rng(5)
    demand = np.stack([random.poisson(mean, periods) for mean in (3, 1)]).astype(float)
    together, review = play_together(problem, demand)
    exact = best_review(problem, review_levels)
    assert review == exact.levels.review_periods
    assert together.cost / periods == pytest.approx(exact.cost.total, rel=0.04)
    apart = play_apart(problem, demand)
    assert apart.cost / periods == pytest.approx(alone(problem).total, rel=0.04)
    assert together.orders < apart.orders
    assert together.header_cost == together.orders * 30
    assert together.units == demand.sum()
    assert 0.8 < together.served / together.units < 1


def test_sums_of_suppliers_add_up() -> None:
    """Nothing plus a part is that part."""
    demand = np.full((1, 30), 3.0)
    part = play_apart(problem_of(3), demand)
    assert NOTHING.plus(part) == part
    assert part.plus(part).orders == 2 * part.orders


def test_units_served_are_those_in_stock() -> None:
    """A day that no level foresaw is served in part."""
    demand = np.zeros((1, 5))
    demand[0, 2] = 1_000
    played = play_apart(problem_of(3), demand)
    assert 0 < played.served < 100
    assert played.units == 1_000
