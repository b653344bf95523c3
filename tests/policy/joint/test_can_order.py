"""Levels of several items under uncertain demand: the certified cases, exactly and simulated."""

import pytest

from policy.classic.demand import PoissonDemand, on_cells
from policy.joint.can_order import can_order_levels
from policy.joint.chain import exact_cost
from policy.joint.items import CanOrderLevels, JointItem, JointProblem
from policy.joint.optimum import least_cost
from policy.joint.periodic import alone, best_review, review_levels, up_to_levels
from policy.joint.simulation import Effort, simulated_cost


def problem_of(
    means: tuple[float, ...], header: float, line: float, backorder: float, lead: int = 0
) -> JointProblem:
    items = [
        JointItem(f"item {mean} {at}", on_cells(PoissonDemand(mean), 1), line, 1, backorder)
        for at, mean in enumerate(means)
    ]
    return JointProblem(items, header, lead)


EQUAL = problem_of((2, 2), 10, 1, 9)
UNEQUAL = problem_of((3, 1), 20, 2, 19)
EFFORT = Effort(runs=32, periods=1_500)


@pytest.mark.parametrize(
    ("problem", "least"), [(EQUAL, 12.562368), (UNEQUAL, 17.587659)], ids=["equal", "unequal"]
)
def test_the_certified_cases(problem: JointProblem, least: float) -> None:
    """The optimum to the printed digits; can-order within 1 %, the others as stated."""
    optimum = least_cost(problem)
    assert optimum is not None
    assert optimum.cost == pytest.approx(least, abs=1e-6)
    assert exact_cost(problem, can_order_levels(problem)).total <= 1.005 * least
    calendar = best_review(problem, up_to_levels).cost.total / least
    assert calendar == pytest.approx(1.11 if problem is EQUAL else 1.14, abs=0.005)
    assert best_review(problem, review_levels).cost.total <= 1.11 * least
    assert alone(problem).total == pytest.approx(1.15 * least, abs=0.005 * least)


def test_the_printed_levels() -> None:
    """For Poisson 2, 2 the search finds s 1, c 4, S 6 for both items."""
    assert can_order_levels(EQUAL) == CanOrderLevels((1, 1), (4, 4), (6, 6))


@pytest.mark.parametrize("lead", [0, 2])
def test_simulation_agrees_with_exact_costs(lead: int) -> None:
    """Can-order and calendar rules, simulated event by event, cost what the chains say."""
    problem = problem_of((3, 1), 20, 2, 19, lead)
    levels = can_order_levels(problem)
    calendar = best_review(problem, review_levels)
    for rule, exact in (
        (levels, exact_cost(problem, levels)),
        (calendar.levels, calendar.cost),
    ):
        found = simulated_cost(problem, rule, EFFORT)
        assert found.standard_error is not None
        assert abs(found.total - exact.total) < 4 * found.standard_error
        assert found.lines == pytest.approx(exact.lines, rel=0.05)
        assert found.headers == pytest.approx(exact.headers, rel=0.05)


@pytest.mark.slow
def test_many_items_order_together() -> None:
    """With a dear header 8 items cost far less together, by either rule."""
    problem = problem_of((0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4), 100, 2, 9, 1)
    apart = alone(problem).total
    calendar = best_review(problem, review_levels).cost.total
    joined = simulated_cost(problem, can_order_levels(problem), EFFORT).total
    assert calendar < 0.65 * apart
    assert joined < 1.06 * calendar
