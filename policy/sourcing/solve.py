"""The classic periodic dual-sourcing model with backorders: cost per period, with bounds.

Conventions: in every period both orders are placed, what is due arrives (an expedited order with
lead 0 at once), demand is met, and holding or backorder cost is paid on what is left. Unit costs
are paid for every unit ordered, set-ups for every order above 0. Lead times, costs and demand of an
instance are those of Veeraraghavan & Scheller-Wolf (2008), doi 10.1287/opre.1080.0552, with
optional fixed costs per order as in Boettcher, Asikis & Fragkos (2023), doi
10.1287/ijoc.2022.0136; what they call set-ups 10/5 is expedited 10 and regular 5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from policy.sourcing.exact import ExactResult, solve_exact
from policy.sourcing.lattice import lattice_bounds
from policy.sourcing.model import TwoSpeedModel, period_cost, read_instance, two_speed
from policy.sourcing.rules import best_rule

# Multiply-adds: about three quarters of a minute on one core.
MOST_WORK = 4e10
# A lower bound is worth a second whatever the limit.
LEAST_WORK = 2e9
# Bounds this close need no simulated rule between them.
CLOSE_RELATIVE = 1e-3
_ON_LATTICE = "exact on a coarser lattice"


def solve(
    instance: Mapping[str, Any],
    *,
    timer: Callable[[], float] | None = None,
    most_work: float = MOST_WORK,
    generator: np.random.Generator | None = None,
) -> dict[str, Any]:
    """Return the least cost per period of one instance, with bounds that hold.

    Args:
        instance: `regular_lead_periods`, `expedited_lead_periods` (whole periods, expedited <
            regular <= 60), `regular_cost`, `expedited_cost` (per unit), `regular_setup`,
            `expedited_setup` (per order), `holding`, `backorder` (per unit and period, > 0) and
            `demand` (per period, a family with its parameters, see
            `policy.sourcing.demand.demand_from`). Set-ups, `regular_cost` and
            `expedited_lead_periods` are 0 when absent. `name` is given back.
        timer: returns seconds; the answer then has `seconds`. The policy has no clock of its own.
        most_work: multiply-adds the exact method may take; the bounds take about as much again.
        generator: random numbers for simulated rules, by default from seed 1.

    Returns:
        `cost_per_period`, `lower`, `upper`, `gap` (of the bounds, relative to `upper`), `method`
        and `detail`, which says where the bounds come from. Method `exact`: relative value
        iteration; the bounds are MacQueen's and the cost their middle. Without set-ups, demand on a
        coarser lattice may give bounds that are close enough (`policy.sourcing.lattice`). Otherwise
        the cost is the simulated mean of the rule that `method` names, `upper` four standard errors
        above it, and `lower` the exact optimum for a shorter regular lead (whoever has the shorter
        lead can wait, so the longer one never costs less) or for no set-ups.

    Raises:
        PolicyInputError: a field is missing, unknown or out of range.

    Source: Boettcher, Asikis & Fragkos (2023), lead 2, premium 20, backorder 495, demand 0..4:

    >>> answer = solve({"regular_lead_periods": 2, "expedited_cost": 20, "holding": 5,
    ...                 "backorder": 495, "demand": {"family": "uniform", "low": 0, "high": 4}})
    >>> round(answer["cost_per_period"], 6), answer["method"]
    (23.071429, 'exact')
    """
    started = timer() if timer else 0.0
    model = two_speed(read_instance(instance))
    exact = solve_exact(model, most_work)
    if exact is not None:
        answer = _exact_answer(model, exact)
    else:
        answer = _bounded_answer(model, most_work, generator or np.random.default_rng(1))
    answer["gap"] = (answer["upper"] - answer["lower"]) / max(answer["upper"], 1e-300)
    if timer:
        answer["seconds"] = timer() - started
    return {"name": instance["name"], **answer} if "name" in instance else answer


def _exact_answer(model: TwoSpeedModel, exact: ExactResult) -> dict[str, Any]:
    below, above = model.tail_allowance()
    return {
        "cost_per_period": model.base_cost + (exact.lower + exact.upper) / 2,
        "lower": model.base_cost + exact.lower - exact.rounding - below,
        "upper": model.base_cost + exact.upper + exact.rounding + above,
        "method": "exact",
        "detail": f"{exact.grid.cells(model)} states, {exact.sweeps} sweeps",
    }


def _bounded_answer(
    model: TwoSpeedModel, most_work: float, generator: np.random.Generator
) -> dict[str, Any]:
    below, above = _lattice(model, max(most_work / 8, LEAST_WORK))
    if below.cost >= (1 - CLOSE_RELATIVE) * above.cost:
        return _answer(model, _ON_LATTICE, (below.cost + above.cost) / 2, below, above)
    rule = best_rule(model, generator)
    shorter = _shorter_lead(model, most_work / 4)
    below = max(below, shorter, key=lambda bound: bound.cost)
    if above.cost < rule.upper:
        return _answer(model, _ON_LATTICE, min(rule.cost, above.cost), below, above)
    above = _Bound(rule.upper, f"cost + 4 standard errors of {rule.standard_error:.6f}")
    return _answer(model, rule.method, rule.cost, below, above)


@dataclass(frozen=True)
class _Bound:
    """A bound on the cost per period and where it comes from."""

    cost: float
    source: str


def _answer(
    model: TwoSpeedModel, method: str, cost: float, below: _Bound, above: _Bound
) -> dict[str, Any]:
    tail_below, tail_above = model.tail_allowance()
    return {
        "cost_per_period": model.base_cost + cost,
        "lower": model.base_cost + below.cost - tail_below,
        "upper": model.base_cost + above.cost + tail_above,
        "method": method,
        "detail": f"lower: {below.source}; upper: {above.source}",
    }


def _lattice(model: TwoSpeedModel, most_work: float) -> tuple[_Bound, _Bound]:
    """Return bounds from coarser lattices; with set-ups only a lower one, of doing without them."""
    convex = replace(model, fast_setup=0.0, slow_setup=0.0)
    coarse = lattice_bounds(convex, most_work)
    if coarse is None:
        return _Bound(0.0, "nothing is free"), _Bound(math.inf, "none")
    lower, upper, step = coarse
    without = "without set-ups, " if model.has_setups else ""
    below = _Bound(lower, f"{without}exact for less spread demand on steps of {step}")
    if model.has_setups:
        return below, _Bound(math.inf, "none")
    return below, _Bound(upper, f"exact for more spread demand on steps of {step}")


def _shorter_lead(model: TwoSpeedModel, most_work: float) -> _Bound:
    """Return the optimum for the longest shorter gap between leads that can be solved."""
    for gap_periods in range(model.gap_periods - 1, 0, -1):
        shorter = solve_exact(model.with_gap(gap_periods), max(most_work, LEAST_WORK))
        if shorter is not None:
            text = f"exact with the leads {gap_periods} periods apart, not {model.gap_periods}"
            return _Bound(shorter.lower, text)
    nearest = solve_exact(model.with_gap(0), max(most_work, LEAST_WORK))
    # Without any ordering cost every period still pays the least stock cost of one level.
    last = model.cover_periods * model.demand.largest_lots
    floor = float(period_cost(model, model.cover_periods, 0, last).min())
    return _Bound(max(floor, nearest.lower if nearest else 0.0), "exact with equal leads")
