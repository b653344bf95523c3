"""Compiled core of the dual-sourcing dynamic program: one item, levels on a lattice.

`V(I) + g = A(I) + min_{a>=I} { e2[a>I] + b2(a-I) + B(a) + min_{b>=a} { e1[b>a] + b1(b-a) + C(b)
+ E V(b - D_T) } }` with levels in cells. One improvement is two minimisations; one evaluation
walks up the lattice once, because a review that orders nothing only leads to lower levels. That
walk is policy evaluation by elimination: exact inside an order cycle, lagged only between
order-up-to levels.

MacQueen's bounds `min/max (TV - V)` hold for any V, so they certify whatever this heuristic order
of updates arrives at. Below the lattice V goes on with a fixed slope (there everything is ordered).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MEASURE_CYCLE = 0
MEASURE_FILL = 1


class Terms(NamedTuple):
    """Expected values per level and the demand of one review period, all on one lattice."""

    level_units: FloatArray
    cost_before_flexible: FloatArray  # A
    cost_before_lean: FloatArray  # B
    cost_after_lean: FloatArray  # C
    stockout_before_lean: FloatArray  # P(D_tau1 > a)
    stockout_joint: FloatArray  # P(D_tau1 <= a, D_{T+tau2} > b); row 0 is level `first`
    joint_first_level: int
    short_before_lean: FloatArray  # units
    short_after_lean: FloatArray  # units
    level_penalty: FloatArray  # the paper's hard condition on b, as a steep penalty
    demand_mass: FloatArray  # P(D_T = k cells)
    demand_at_least: FloatArray  # P(D_T >= k cells)
    demand_beyond_units: FloatArray  # E(D_T - k cells)+
    deep_slope: float  # -dV/dI far below zero


class Rules(NamedTuple):
    """Costs and order rules; lots in cells. A supplier with `use` 0 is never ordered from."""

    setup_lean: float
    setup_flexible: float
    unit_lean: float
    unit_flexible: float
    use_lean: int
    use_flexible: int
    least_lean: int
    most_lean: int
    pack_lean: int
    least_flexible: int
    pack_flexible: int


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


class Columns(NamedTuple):
    """Relative value per level b, one array per accumulated quantity."""

    cost: FloatArray
    stockout: FloatArray
    short: FloatArray


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
def new_columns(size: int) -> Columns:
    """Return zero relative values for `size` levels."""
    return Columns(np.zeros(size), np.zeros(size), np.zeros(size))


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
    value: FloatArray, penalty: FloatArray, delta: float, first: int, last: int, step: int
) -> tuple[float, int]:
    """Smallest of value + delta * penalty over first..last in steps; (inf, -1) if none."""
    best, arg = np.inf, -1
    for b in range(first, last + 1, step):
        total = value[b] + delta * penalty[b]
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
    delta: float,
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
            if row < 0 or delta == 0.0:
                cost[a], level[a] = _least(value, first, last, pack)
            else:
                cost[a], level[a] = _least_with(value, joint[row], delta, first, last, pack)
        outer = False
        stride //= 2


@compiled
def _plan_lean(terms: Terms, rules: Rules, plan: Plan, delta: float, joint: bool) -> None:
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
            delta if joint else 0.0,
            rules.least_lean,
            rules.most_lean,
            rules.pack_lean,
            plan.lean_cost,
            plan.lean_level,
        )


@compiled
def _plan_levels(
    terms: Terms, rules: Rules, plan: Plan, columns: Columns, delta: float, measure: int
) -> None:
    """Fill G, and the cost from level a on with and without a lean order."""
    joint = measure == MEASURE_CYCLE and delta > 0.0
    cycle_price = delta if measure == MEASURE_CYCLE else 0.0
    fill_price = delta if measure == MEASURE_FILL else 0.0
    value = plan.value_after
    _total_after(terms, columns, rules.unit_lean, cycle_price, fill_price, value)
    _plan_lean(terms, rules, plan, delta, joint)
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
    columns: Columns,
    unit: float,
    cycle_price: float,
    fill_price: float,
    value: FloatArray,
) -> None:
    """Write G(b): buying up to b, what follows the lean arrival, and the next review's value."""
    units, after, penalty = terms.level_units, terms.cost_after_lean, terms.level_penalty
    short, cost = terms.short_after_lean, columns.cost
    later_stockout, later_short = columns.stockout, columns.short
    for b in range(value.size):
        value[b] = unit * units[b] + after[b] + penalty[b] + fill_price * short[b] + cost[b]
        value[b] += cycle_price * later_stockout[b] + fill_price * later_short[b]


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
    terms: Terms, rules: Rules, plan: Plan, columns: Columns, delta: float, measure: int
) -> None:
    """Fill the plan with the best choice of every level against the relative values."""
    _plan_levels(terms, rules, plan, columns, delta, measure)
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


@compiled
def _fill_steps(terms: Terms, rules: Rules, plan: Plan, steps: FloatArray) -> None:
    """Write what one review period from each level brings: money, stock-outs, units short, 1."""
    units, middle, final = terms.level_units, plan.flexible_level, plan.final_level
    first_cost, second_cost = terms.cost_before_flexible, terms.cost_before_lean
    last_cost, penalty = terms.cost_after_lean, terms.level_penalty
    stockout, short = terms.stockout_before_lean, terms.short_before_lean
    short_after, table = terms.short_after_lean, terms.stockout_joint
    first, rows = terms.joint_first_level, terms.stockout_joint.shape[0]
    for i in range(units.size):
        a, b = middle[i], final[i]
        cost = first_cost[i] + second_cost[a] + last_cost[b] + penalty[b]
        if a > i:
            cost += rules.setup_flexible + rules.unit_flexible * (units[a] - units[i])
        if b > a:
            cost += rules.setup_lean + rules.unit_lean * (units[b] - units[a])
        steps[0, i] = cost
        steps[1, i] = stockout[a]
        if a >= first:
            steps[1, i] += table[min(a - first, rows - 1), b]
        steps[2, i] = short[a] + short_after[b]
        steps[3, i] = 1.0


@compiled
def _spread(
    cost: FloatArray,
    stockout: FloatArray,
    short: FloatArray,
    periods: FloatArray,
    chances: FloatArray,
    x0: float,
    x1: float,
    x2: float,
    x3: float,
) -> None:
    """Add chances * x to the four columns; plain arrays, so that it becomes vector code."""
    for k in range(chances.size):
        p = chances[k]
        cost[k] += p * x0
        stockout[k] += p * x1
        short[k] += p * x2
        periods[k] += p * x3


@compiled
def _walk_up(
    final: IntArray,
    mass: FloatArray,
    at_least: FloatArray,
    columns: Columns,
    state: FloatArray,
    work: FloatArray,
) -> None:
    """Turn `state` from step values into values, and `work` into E of them, level by level.

    State i is its step plus the lagged value of its order level or, where it orders nothing, plus
    the value of its own level, which the lower states have already completed.
    """
    size = final.size
    cost, stockout, short = columns.cost, columns.stockout, columns.short
    for i in range(size):
        chances = at_least if i == 0 else mass
        last = min(size, i + chances.size)
        b = final[i]
        if b == i:
            scale = 1.0 / (1.0 - chances[0])
            for c in range(4):
                state[c, i] = (state[c, i] + work[c, i]) * scale
        else:
            state[0, i] += cost[b]
            state[1, i] += stockout[b]
            state[2, i] += short[b]
        _spread(
            work[0, i:last],
            work[1, i:last],
            work[2, i:last],
            work[3, i:last],
            chances[: last - i],
            state[0, i],
            state[1, i],
            state[2, i],
            state[3, i],
        )


@compiled
def evaluate(
    terms: Terms, rules: Rules, plan: Plan, columns: Columns, values: FloatArray, rates: FloatArray
) -> bool:
    """Walk up the lattice once: new columns, the values of each state, rates per review.

    The columns are then E V(b - D_T) of the values, so one improvement gives MacQueen's bounds.
    Writes `values` (3, level) and `rates` (cost, stock-outs, units short per review); false when
    the lowest level orders nothing, i.e. the lattice is not deep enough.
    """
    size = terms.level_units.size
    reference = plan.final_level[0]
    if reference == 0:
        return False
    work = np.zeros((4, size))
    state = np.empty((4, size))
    _fill_steps(terms, rules, plan, state)
    work[0, :] = terms.deep_slope * terms.demand_beyond_units[:size]
    _walk_up(plan.final_level, terms.demand_mass, terms.demand_at_least, columns, state, work)
    _relative(columns.cost, 0, reference, state, work, values, rates)
    _relative(columns.stockout, 1, reference, state, work, values, rates)
    _relative(columns.short, 2, reference, state, work, values, rates)
    return True


@compiled
def _relative(
    column: FloatArray,
    c: int,
    reference: int,
    state: FloatArray,
    work: FloatArray,
    values: FloatArray,
    rates: FloatArray,
) -> None:
    """Take the rate per review out of column c, and the value of the reference level."""
    anchor = column[reference]
    rate = (work[c, reference] - anchor) / work[3, reference]
    rates[c] = rate
    for i in range(column.size):
        column[i] = work[c, i] - rate * work[3, i] - anchor
        values[c, i] = state[c, i] - rate * state[3, i] - anchor


@compiled
def settle(terms: Terms, rules: Rules, plan: Plan, columns: Columns, rates: FloatArray) -> None:
    """Evaluate a fixed plan until its rates stand still."""
    values = np.empty((3, plan.total.size))
    old = np.zeros(3)
    for _ in range(60):
        evaluate(terms, rules, plan, columns, values, rates)
        if np.abs(rates - old).max() <= 1e-7 * abs(rates[0]):
            return
        old[:] = rates


@compiled
def solve_at_penalty(
    terms: Terms,
    rules: Rules,
    plan: Plan,
    columns: Columns,
    delta: float,
    measure: int,
    tolerance: float,
    sweeps_most: int,
    rates: FloatArray,
    bounds: FloatArray,
) -> int:
    """Solve for one stock-out price; return the sweeps used, or -1 if the lattice is too shallow.

    `bounds` receives MacQueen's lower and upper bound on cost + delta * measure per review, `rates`
    what the plan itself pays. Stops when the bounds are within `tolerance` (relative).
    """
    size = terms.level_units.size
    values = np.zeros((3, size))
    cycle_price = delta if measure == MEASURE_CYCLE else 0.0
    fill_price = delta if measure == MEASURE_FILL else 0.0
    bounds[0], bounds[1] = -np.inf, np.inf
    old_middle, old_final = plan.flexible_level, plan.final_level
    improve(terms, rules, plan, columns, delta, measure)
    sweeps = 0
    while sweeps < sweeps_most:
        sweeps += 1
        if not evaluate(terms, rules, plan, columns, values, rates):
            return -1
        old_middle, old_final = plan.flexible_level.copy(), plan.final_level.copy()
        improve(terms, rules, plan, columns, delta, measure)
        low, high = np.inf, -np.inf
        for i in range(size):
            old = values[0, i] + cycle_price * values[1, i] + fill_price * values[2, i]
            change = plan.total[i] - old
            low = min(low, change)
            high = max(high, change)
        bounds[0] = max(bounds[0], low)
        bounds[1] = high
        if bounds[1] - bounds[0] <= tolerance * abs(bounds[1]):
            break
    # The last improvement may have chosen another plan of equal value: rates must be its own.
    if np.any(plan.final_level != old_final) or np.any(plan.flexible_level != old_middle):
        settle(terms, rules, plan, columns, rates)
    return sweeps
