"""One improvement: what every level should order, given the values that follow.

`V(I) + g = A(I) + min_{a>=I} { e2[a>I] + b2(a-I) + B(a) + min_{b>=a} { e1[b>a] + b1(b-a) + C(b)
+ E V(b - D_T) } }` with levels in cells (MODEL section 2): two minimisations, each a suffix minimum
where only the level reached matters.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled
from policy.solver.order_rules import Rules
from policy.solver.policy_evaluation import MEASURE_CYCLE, MEASURE_FILL, Values
from policy.solver.terms import Terms

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Plan(NamedTuple):
    """Work space and result of improvement: what each level would order, and what that costs."""

    value_after: FloatArray  # G(b)
    lean_cost: FloatArray  # min over b of G(b) + joint penalty, without set-up
    lean_level: IntArray
    stay_cost: FloatArray  # flexible not used: B(a) + ... + G(a), no lean order
    both_cost: FloatArray  # the same with a lean order on top
    best_stay: IntArray  # best a > I without a lean order on top
    best_both: IntArray  # best a > I with a lean order on top
    flexible_level: IntArray  # chosen a
    final_level: IntArray  # chosen b
    total: FloatArray  # TV


@compiled
def new_plan(size: int) -> Plan:
    """Return empty work space for `size` levels."""
    return Plan(
        np.zeros(size),
        np.zeros(size),
        np.zeros(size, np.int64),
        np.zeros(size),
        np.zeros(size),
        np.zeros(size, np.int64),
        np.zeros(size, np.int64),
        np.zeros(size, np.int64),
        np.zeros(size, np.int64),
        np.zeros(size),
    )


@compiled
def _least(value: FloatArray, first: int, last: int, step: int) -> tuple[float, int]:
    """Smallest of value[first..last] in steps; (inf, -1) if there is none."""
    best, arg = np.inf, -1
    for b in range(first, last + 1, step):
        if value[b] < best:
            best, arg = value[b], b
    return best, arg


@compiled
def _least_with(
    value: FloatArray, penalty: FloatArray, price: float, first: int, last: int, step: int
) -> tuple[float, int]:
    """Smallest of value + price * penalty over first..last in steps; (inf, -1) if none."""
    best, arg = np.inf, -1
    for b in range(first, last + 1, step):
        total = value[b] + price * penalty[b]
        if total < best:
            best, arg = total, b
    return best, arg


@compiled
def _suffix_lean(value: FloatArray, least: int, cost: FloatArray, level: IntArray) -> None:
    """Best lean level for every a when only b matters: one suffix minimum."""
    size = value.size
    best, arg = np.inf, -1
    for a in range(size - 1, -1, -1):
        b = a + least
        if b < size and value[b] <= best:
            best, arg = value[b], b
        cost[a], level[a] = best, arg


@compiled
def _search_lean(
    value: FloatArray,
    joint: FloatArray,
    joint_first: int,
    price: float,
    least: int,
    most: int,
    pack: int,
    cost: FloatArray,
    level: IntArray,
) -> None:
    """Best lean level for every a: it never falls as a rises, so strides halve the ranges.

    (The joint probability has decreasing differences in (a, b); windows [a+least, a+most] keep it.
    Packs break it, so with packs each a searches its own multiples.)
    """
    size = value.size
    if pack > 1:
        least = -(-least // pack) * pack
    stride = 1
    while stride * 2 < size:
        stride *= 2
    outer = True
    while stride >= 1:
        for a in range(0 if outer else stride, size, stride if outer else 2 * stride):
            first, last = a + least, min(a + most, size - 1)
            if pack == 1 and not outer:
                first = max(first, level[a - stride])
                if a + stride < size and level[a + stride] >= 0:
                    last = min(last, level[a + stride])
            row = min(a - joint_first, joint.shape[0] - 1)
            if row < 0 or price == 0.0:
                cost[a], level[a] = _least(value, first, last, pack)
            else:
                cost[a], level[a] = _least_with(value, joint[row], price, first, last, pack)
        outer = False
        stride //= 2


@compiled
def _plan_lean(terms: Terms, rules: Rules, plan: Plan, price: float, joint: bool) -> None:
    """Fill the lean columns of the plan."""
    size = plan.value_after.size
    if rules.use_lean == 0:
        plan.lean_cost[:] = np.inf
        plan.lean_level[:] = -1
    elif not joint and rules.pack_lean == 1 and rules.most_lean >= size:
        _suffix_lean(plan.value_after, rules.least_lean, plan.lean_cost, plan.lean_level)
    else:
        _search_lean(
            plan.value_after,
            terms.stockout_joint,
            terms.joint_first_level,
            price if joint else 0.0,
            rules.least_lean,
            rules.most_lean,
            rules.pack_lean,
            plan.lean_cost,
            plan.lean_level,
        )


@compiled
def _plan_levels(
    terms: Terms, rules: Rules, plan: Plan, values: Values, price: float, measure: int
) -> None:
    """Fill G, and the cost from level a on with and without a lean order."""
    joint = measure == MEASURE_CYCLE and price > 0.0
    cycle_price = price if measure == MEASURE_CYCLE else 0.0
    fill_price = price if measure == MEASURE_FILL else 0.0
    value = plan.value_after
    _total_after(terms, values, rules.unit_lean, cycle_price, fill_price, value)
    _plan_lean(terms, rules, plan, price, joint)
    stay, both, lean_cost = plan.stay_cost, plan.both_cost, plan.lean_cost
    units, before = terms.level_units, terms.cost_before_lean
    stockout, short = terms.stockout_before_lean, terms.short_before_lean
    table, first = terms.stockout_joint, terms.joint_first_level
    rows = table.shape[0]
    for a in range(value.size):
        base = before[a] + cycle_price * stockout[a] + fill_price * short[a]
        base -= rules.unit_lean * units[a]
        here = value[a]
        if joint and a >= first:
            here += cycle_price * table[min(a - first, rows - 1), a]
        stay[a] = base + here
        both[a] = base + rules.setup_lean + lean_cost[a]


@compiled
def _total_after(
    terms: Terms,
    values: Values,
    unit: float,
    cycle_price: float,
    fill_price: float,
    value: FloatArray,
) -> None:
    """Write G(b): buying up to b, what follows the lean arrival, and the next review's value."""
    units, after, penalty = terms.level_units, terms.cost_after_lean, terms.level_penalty
    short, later, risk = terms.short_after_lean, values.later_cost, values.later_measure
    price = cycle_price + fill_price  # one of them is 0
    for b in range(value.size):
        value[b] = unit * units[b] + after[b] + penalty[b] + fill_price * short[b] + later[b]
        value[b] += price * risk[b]


@compiled
def _suffix_flexible(rules: Rules, units: FloatArray, cost: FloatArray, best: IntArray) -> None:
    """Best flexible level a >= I + least for every I, in steps of the pack."""
    size = cost.size
    pack = rules.pack_flexible
    least = -(-rules.least_flexible // pack) * pack
    for i in range(size - 1, -1, -1):
        best[i] = best[i + pack] if i + pack < size else -1
        a = i + least
        if a < size and cost[a] < np.inf:
            old = best[i]
            if (
                old < 0
                or cost[a] + rules.unit_flexible * units[a]
                <= cost[old] + rules.unit_flexible * units[old]
            ):
                best[i] = a


@compiled
def flexible_cost(
    units: FloatArray, setup: float, unit: float, cost: FloatArray, best: IntArray, i: int
) -> float:
    """Cost from level i when the flexible supplier raises it to best[i]; inf if it cannot."""
    a = best[i]
    return np.inf if a < 0 else setup + unit * (units[a] - units[i]) + cost[a]


@compiled
def improve(
    terms: Terms, rules: Rules, plan: Plan, values: Values, price: float, measure: int
) -> None:
    """Fill the plan with the best choice of every level against the relative values."""
    _plan_levels(terms, rules, plan, values, price, measure)
    plan.best_stay[:] = -1
    plan.best_both[:] = -1
    if rules.use_flexible > 0:
        _suffix_flexible(rules, terms.level_units, plan.stay_cost, plan.best_stay)
        _suffix_flexible(rules, terms.level_units, plan.both_cost, plan.best_both)
    _choose(
        terms.level_units,
        terms.cost_before_flexible,
        rules.setup_flexible,
        rules.unit_flexible,
        plan,
    )


@compiled
def _choose(units: FloatArray, before: FloatArray, setup: float, unit: float, plan: Plan) -> None:
    """Choose the cheapest of the four candidates at every level."""
    stay, both, lean_level = plan.stay_cost, plan.both_cost, plan.lean_level
    best_stay, best_both = plan.best_stay, plan.best_both
    middle, final, total = plan.flexible_level, plan.final_level, plan.total
    for i in range(units.size):
        best, a, b = stay[i], i, i
        if both[i] < best:
            best, b = both[i], lean_level[i]
        value = flexible_cost(units, setup, unit, stay, best_stay, i)
        if value < best:
            best, a, b = value, best_stay[i], best_stay[i]
        value = flexible_cost(units, setup, unit, both, best_both, i)
        if value < best:
            best, a, b = value, best_both[i], lean_level[best_both[i]]
        middle[i], final[i] = a, b
        total[i] = before[i] + best
