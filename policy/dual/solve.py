"""The exact dual-sourcing policy of one item, with a certificate and an exact evaluation.

MODEL section 2: both lead times shorter than the review period, so nothing is on order at a review
and the state is net inventory alone. `decide` uses the same compiled core on a coarser lattice;
here demand is any distribution on a grid and the lattice is that grid, so the answer is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from policy.dual.evaluation import Evaluation, IntervalTable, evaluate_dual
from policy.dual.problem import DualProblem, parameter_row, suppliers_alone
from policy.dual.terms import grid_terms, lattice_levels
from policy.errors import PolicyInputError
from policy.review_inputs import ServiceType
from policy.solver.mixed_plan import follow, tightest
from policy.solver.order_rules import Rules, make_rules
from policy.solver.policy_evaluation import MEASURE_CYCLE, MEASURE_FILL, new_values
from policy.solver.policy_improvement import new_plan
from policy.solver.service_multiplier import (
    BELOW,
    MET,
    PLANS,
    allowed_measure,
    first_price,
    search_price,
)
from policy.solver.start_values import set_first_values
from policy.solver.terms import Terms

__all__ = [
    "DualPolicy",
    "DualProblem",
    "Evaluation",
    "IntervalTable",
    "evaluate_dual",
    "solve_dual",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class DualPolicy:
    """An optimal policy, its certificate and its evaluation. Money per step."""

    table: IntervalTable
    evaluation: Evaluation
    cost: float
    lower_bound: float
    """Certified: no policy that meets the target costs less, a mixed one included."""
    gap: float
    """(cost - lower_bound) / cost."""
    stockout_price: float
    """Penalty on the service measure at which the target is met; 0 where it does not bind."""
    target_met: bool
    sweeps: int


def solve_dual(
    problem: DualProblem, *, tolerance: float = 1e-6, between: bool = True
) -> DualPolicy:
    """Return the cheapest policy of one item subject to its service target, with a certificate.

    Args:
        problem: the item; demand independent between steps.
        tolerance: relative gap of MacQueen's bounds at which a solve stops, in (0, 0.01].
        between: also search between the two plans at the optimal price, which meets the target with
            hardly a surplus; False keeps the plan of one price, often a simpler table.

    Raises:
        PolicyInputError: an argument breaks its range.

    Source: Xiang, Naseem, Ahmad (2025), DOI 10.37256/cm.6520257779, corrected (P1-P30); the
    paper's case without a target costs 520,783 per 360 days:

    >>> from policy.dual.demand import normal_demand
    >>> policy = solve_dual(DualProblem(
    ...     demand=normal_demand(100, 50, below_zero="replace"), review_period_steps=9,
    ...     lead_time_steps_lean=4, lead_time_steps_flexible=2, setup_cost_lean=900,
    ...     setup_cost_flexible=90, unit_cost_lean=10, unit_cost_flexible=13,
    ...     holding_cost_per_unit_step=0.9, backorder_cost_per_unit_step=2))
    >>> round(policy.cost * 360)
    520783
    """
    if not 0.0 < tolerance <= 0.01:
        raise PolicyInputError("tolerance", "in (0, 0.01]", tolerance)
    problem = suppliers_alone(problem)
    down, up = 1.0, 1.0
    for _ in range(10):
        units = lattice_levels(problem, down, up)
        terms = grid_terms(problem, units)
        found = _search(problem, terms, tolerance)
        if found is None:
            down *= 2.0
        elif found.touches_top:
            up *= 1.5
        else:
            return _policy(problem, terms, found, between)
    raise PolicyInputError("problem", "one whose orders fit a lattice", problem)


@dataclass(frozen=True)
class _Found:
    """What the price search returned on one lattice."""

    rules: Rules
    plans: IntArray
    lower: float
    price: float
    met: bool
    sweeps: int
    touches_top: bool
    reached_by: FloatArray


def _measure(problem: DualProblem) -> int:
    return MEASURE_FILL if problem.service_type is ServiceType.FILL else MEASURE_CYCLE


def _search(problem: DualProblem, terms: Terms, tolerance: float) -> _Found | None:
    """Search the stock-out price; None when the lattice must reach deeper."""
    size = terms.level_units.size
    row = parameter_row(problem)
    rules: Rules = make_rules(row, problem.demand.cell_units, size)
    plan, values = new_plan(size), new_values(size)
    set_first_values(row, terms.level_units, values)
    plans, reached_by = np.empty((PLANS, size), np.int64), np.zeros(2)
    price, lower, met, sweeps = search_price(
        terms,
        rules,
        plan,
        values,
        _measure(problem),
        allowed_measure(row),
        first_price(row, problem.demand.sd_units**2, _measure(problem)),
        tolerance,
        1e-3 * tolerance,
        plans,
        reached_by,
    )
    if sweeps < 0:
        return None
    top = int(plans[MET + 1, 0]) >= size - 1 and rules.most_lean >= size
    return _Found(rules, plans, lower, price, met, sweeps, top, reached_by)


def _policy(problem: DualProblem, terms: Terms, found: _Found, between: bool) -> DualPolicy:
    table, evaluation = _best_between(problem, terms, found, between)
    lower = found.lower / problem.review_period_steps
    gap = (evaluation.cost - lower) / evaluation.cost if evaluation.cost else 0.0
    return DualPolicy(
        table,
        evaluation,
        evaluation.cost,
        lower,
        max(0.0, gap) if found.met else 1.0,
        found.price,
        found.met,
        found.sweeps,
    )


def _best_between(
    problem: DualProblem, terms: Terms, found: _Found, between: bool
) -> tuple[IntervalTable, Evaluation]:
    """Return the cheapest plan found that meets the target.

    The two plans at the optimal price bracket the target; plans in between, which follow the one
    below a level and the other above, meet it with hardly a surplus.
    """
    candidates = [found.plans[MET : MET + 2]]
    if between and found.met and found.price > 0.0:
        candidates += [
            _between(problem, terms, found, *ends) for ends in ((MET, BELOW), (BELOW, MET))
        ]
    evaluated = []
    for middle, final in candidates:
        table = _interval_table(terms.level_units, middle, final)
        evaluated.append((table, evaluate_dual(problem, table)))
    meeting = [one for one in evaluated if _meets(problem, one[1])]
    return min(meeting or evaluated[:1], key=lambda one: one[1].cost)


def _between(problem: DualProblem, terms: Terms, found: _Found, first: int, then: int) -> IntArray:
    chosen = np.empty((2, terms.level_units.size), np.int64)
    allowed = allowed_measure(parameter_row(problem))
    measure = _measure(problem)
    split, _ = tightest(
        terms, found.rules, found.plans, first, measure, allowed, found.reached_by, chosen
    )
    follow(found.plans, first, then, split, chosen)
    return chosen


def _meets(problem: DualProblem, evaluation: Evaluation) -> bool:
    if problem.service_type is ServiceType.FILL:
        return evaluation.fill_rate >= problem.service_target
    return evaluation.cycle_service >= problem.service_target


def _interval_table(units: FloatArray, middle: IntArray, final: IntArray) -> IntervalTable:
    """Merge levels with the same targets into rows."""
    here = np.arange(units.size)
    flexible_to = np.where(middle > here, units[middle], -np.inf)
    lean_to = np.where(final > middle, units[final], -np.inf)
    change = (flexible_to[1:] != flexible_to[:-1]) | (lean_to[1:] != lean_to[:-1])
    first = np.concatenate([[0], np.flatnonzero(change) + 1])
    return IntervalTable(units[first], flexible_to[first], lean_to[first])
