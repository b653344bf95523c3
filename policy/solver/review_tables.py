"""The tables that a review reads: the plan, the other candidates, and what each of them costs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled
from policy.solver.columns import (
    L_BOTH_FINAL,
    L_BOTH_FLEXIBLE,
    L_FLEXIBLE,
    L_LEAN,
    L_PLAN_FINAL,
    L_PLAN_FLEXIBLE,
    T_AFTER,
    T_BOTH,
    T_FAST,
    T_FLEXIBLE,
    T_LEAN,
    T_NOTHING,
    T_PREMIUM,
    T_PRICED,
    T_WAIT,
)
from policy.solver.order_rules import Rules
from policy.solver.policy_evaluation import MEASURE_FILL
from policy.solver.policy_improvement import Plan, flexible_cost
from policy.solver.terms import Terms

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@compiled
def write_levels(plan: Plan, chosen: IntArray, out: IntArray) -> None:
    """Write the levels of the chosen plan and of every candidate (-1: it has none)."""
    out[L_PLAN_FLEXIBLE, :], out[L_PLAN_FINAL, :] = chosen[0], chosen[1]
    for i in range(plan.total.size):
        out[L_LEAN, i] = plan.lean_level[i]
        out[L_FLEXIBLE, i] = plan.best_stay[i]
        both = plan.best_both[i]
        out[L_BOTH_FLEXIBLE, i] = both
        out[L_BOTH_FINAL, i] = plan.lean_level[both] if both >= 0 else -1


@compiled
def _fill_no_room(rules: Rules, cell: float, out: FloatArray, i: int) -> None:
    """Near the top of the lattice an order has no room: charge it on top of ordering nothing."""
    lean = rules.setup_lean + rules.unit_lean * rules.least_lean * cell
    flexible = rules.setup_flexible + rules.unit_flexible * rules.least_flexible * cell
    if rules.use_lean > 0 and out[T_LEAN, i] == np.inf:
        out[T_LEAN, i] = out[T_NOTHING, i] + lean
    if rules.use_flexible > 0 and out[T_FLEXIBLE, i] == np.inf:
        out[T_FLEXIBLE, i] = out[T_NOTHING, i] + flexible
    if rules.use_lean * rules.use_flexible > 0 and out[T_BOTH, i] == np.inf:
        out[T_BOTH, i] = out[T_NOTHING, i] + lean + flexible


@compiled
def write_costs(
    terms: Terms, rules: Rules, plan: Plan, price: float, measure: int, out: FloatArray
) -> None:
    """Write the cost of the four candidates, what one fast unit is worth, and the parts."""
    short = terms.short_before_lean if measure == MEASURE_FILL else terms.stockout_before_lean
    size = plan.total.size
    units = terms.level_units
    setup, unit = rules.setup_flexible, rules.unit_flexible
    for i in range(size):
        base = terms.cost_before_flexible[i]
        out[T_NOTHING, i] = base + plan.stay_cost[i]
        out[T_LEAN, i] = base + plan.both_cost[i]
        out[T_FLEXIBLE, i] = base + flexible_cost(
            units, setup, unit, plan.stay_cost, plan.best_stay, i
        )
        out[T_BOTH, i] = base + flexible_cost(units, setup, unit, plan.both_cost, plan.best_both, i)
        _fill_no_room(rules, units[1] - units[0], out, i)
        low, high = max(i - 1, 0), min(i + 1, size - 1)
        before = plan.stay_cost[high] - plan.value_after[high] + rules.unit_lean * units[high]
        before -= plan.stay_cost[low] - plan.value_after[low] + rules.unit_lean * units[low]
        out[T_PREMIUM, i] = -before / (units[high] - units[low])
        out[T_WAIT, i], out[T_FAST, i] = base, terms.cost_before_lean[i]
        out[T_AFTER, i], out[T_PRICED, i] = terms.cost_after_lean[i], price * short[i]
