"""Solve one item: lattice, stock-out price for the service target, and the tables a review reads.

The service target is met by a price delta on the measure. Cost as a function of the measure allowed
is convex when two plans may alternate, so the price is found by chords: the price at which the best
plan below the target and the best plan above it cost the same. When a solve at that price finds no
cheaper plan, it is the optimal price, and the value there is a certified lower bound.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled, compiled_with
from policy.dual_kernel import (
    MEASURE_CYCLE,
    MEASURE_FILL,
    Columns,
    Plan,
    Rules,
    Terms,
    evaluate,
    flexible_cost,
    improve,
    new_columns,
    new_plan,
    settle,
    solve_at_penalty,
)
from policy.terms_kernel import (
    FAMILY_NEGATIVE_BINOMIAL,
    FAMILY_NORMAL,
    FAMILY_POISSON,
    build_terms,
    demand_skew,
    fill_tail,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Columns of a parameter row.
P_MEAN = 0
P_SD = 1
P_REVIEW = 2
P_LEAN_DAYS = 3
P_FLEXIBLE_DAYS = 4
P_LEAN_SETUP = 5
P_FLEXIBLE_SETUP = 6
P_LEAN_UNIT = 7
P_FLEXIBLE_UNIT = 8
P_HOLDING = 9
P_BACKORDER = 10
P_TARGET = 11
P_SERVICE_TYPE = 12
P_CAPACITY = 13
P_LEAN_LEAST = 14
P_FLEXIBLE_LEAST = 15
P_LEAN_PACK = 16
P_FLEXIBLE_PACK = 17
P_FAMILY = 18
PARAMETERS = 19

SERVICE_COST = 0
SERVICE_CYCLE = 1
SERVICE_FILL = 2
SERVICE_PAPER = 3

LEVELS_MOST = 320
LEVELS_CAP = 720  # a lot or a capacity may ask for finer cells than LEVELS_MOST
WORK_CELLS = 5000.0
UNIT_WORK_CELLS = 12000.0  # single units are worth more work: counts are exact on them
TIGHTEN = 3e-4  # a single-unit plan with a larger gap is improved by a search between two plans

# Rows of the tables that a review reads, one column per level.
T_NOTHING = 0
T_LEAN = 1
T_FLEXIBLE = 2
T_BOTH = 3
T_PREMIUM = 4
T_WAIT = 5  # stock cost of the days before the flexible delivery, from this level
T_FAST = 6  # of the days between the two deliveries
T_AFTER = 7  # of the days after the lean delivery
T_PRICED = 8  # the service target's price on stock-outs between the two deliveries
T_SHORT = 9  # P(what is there at this level does not last until the end of the days decided)
TABLES = 10
# Rows of the level tables: first the plan that meets the target, then the one just below it.
L_LEAN = 0
L_FLEXIBLE = 1
L_BOTH_FLEXIBLE = 2
L_BOTH_FINAL = 3
L_CHOICE = 4  # the table row of the candidate that the plan chooses
PLAN_ROWS = 5
LEVEL_ROWS = 2 * PLAN_ROWS

# Entries of the answer row.
A_LOWEST = 0
A_CELL = 1
A_LEVELS = 2
A_WEIGHT = 3  # of the plan that meets the target
A_COST = 4  # money per review
A_GAP = 5  # relative
A_CYCLE = 6
A_FILL = 7
A_PENALTY = 8
A_FAMILY = 9
A_MET = 10  # 1 if the service target is met
A_SWEEPS = 11
A_INTERVALS = 12  # how many intervals follow: their ends (in cells), then their candidates
A_ENDS = 13
MOST_INTERVALS = 8
A_CHOICES = A_ENDS + MOST_INTERVALS
ANSWERS = A_CHOICES + MOST_INTERVALS


@compiled
def named_family(mean: float, sd: float, days: float) -> int:
    """Choose the family by the dispersion index sd^2 / mean of daily demand.

    Above 1.1 negative binomial, below 0.9 normal if that is safely positive over a review period
    (coefficient of variation at most 1/4), Poisson otherwise.
    """
    index = sd * sd / mean if mean > 0.0 else 0.0
    if index > 1.1:
        return FAMILY_NEGATIVE_BINOMIAL
    if index < 0.9 and sd <= 0.25 * mean * math.sqrt(days):
        return FAMILY_NORMAL
    return FAMILY_POISSON


@compiled
def _reach(row: FloatArray, family: int, variance: float, days: float, z: float) -> float:
    """A level that demand of `days` days passes rarely: mean + z sd with a skewness correction."""
    mean, spread = row[P_MEAN] * days, variance * days
    skew = min(demand_skew(family, mean, spread), 6.0)
    return float(mean + math.sqrt(spread) * (z + skew * (z * z - 1.0) / 6.0))


@compiled
def _order_scale(row: FloatArray) -> tuple[float, float]:
    """Economic order quantity and planned backlog of the dearer usable set-up."""
    setup = 0.0
    if row[P_LEAN_SETUP] < np.inf and row[P_CAPACITY] > 0.0:
        setup = row[P_LEAN_SETUP]
    if row[P_FLEXIBLE_SETUP] < np.inf:
        setup = max(setup, row[P_FLEXIBLE_SETUP])
    holding, backorder = row[P_HOLDING], row[P_BACKORDER]
    lot = math.sqrt(2.0 * setup * row[P_MEAN] / holding)
    backlog = lot * math.sqrt((holding + backorder) / backorder) * holding / (holding + backorder)
    return lot, backlog


@compiled
def _cell_size(row: FloatArray, span: float, demand_reach: float) -> float:
    """Units per cell: one where the work allows it, else so that levels * demand is bounded.

    A pack or a lean capacity that binds becomes a whole number of cells, as far as the cap on
    levels allows it.
    """
    finest = span / (LEVELS_CAP - 8.0)
    cell = max(math.sqrt(span * demand_reach / WORK_CELLS), span / (LEVELS_MOST - 4.0))
    if cell <= 1.0 or (span <= LEVELS_MOST - 4.0 and span * demand_reach <= UNIT_WORK_CELLS):
        return 1.0
    lot = row[P_LEAN_PACK] if row[P_LEAN_PACK] > 1.0 else row[P_FLEXIBLE_PACK]
    if row[P_CAPACITY] < span and lot <= 1.0 and row[P_CAPACITY] > 0.0:
        lot = row[P_CAPACITY]
    if lot > cell:
        return float(max(lot / math.ceil(lot / cell - 1e-9), finest, 1.0))
    if lot == row[P_CAPACITY] and lot >= finest:
        return float(max(lot, 1.0))
    return math.ceil(cell)


@compiled
def _in_cells(units: float, cell: float) -> int:
    return int(max(1.0, math.ceil(units / cell - 1e-9)))


@compiled
def _pack_cells(pack: float, cell: float) -> int:
    """Cells of a pack if it is a whole number of cells, else 1 (rounded after the split)."""
    cells = round(pack / cell)
    return int(cells) if cells >= 1 and abs(cells * cell - pack) < 1e-6 * pack else 1


@compiled
def make_rules(row: FloatArray, cell: float, size: int) -> Rules:
    """Return the order rules of a parameter row in cells."""
    most = size if row[P_CAPACITY] == np.inf else int(row[P_CAPACITY] / cell + 1e-6)
    use_lean = 1 if row[P_LEAN_SETUP] < np.inf and most >= 1 else 0
    return Rules(
        row[P_LEAN_SETUP],
        row[P_FLEXIBLE_SETUP],
        row[P_LEAN_UNIT],
        row[P_FLEXIBLE_UNIT],
        use_lean,
        1 if row[P_FLEXIBLE_SETUP] < np.inf else 0,
        _in_cells(row[P_LEAN_LEAST], cell),
        min(most, size),
        _pack_cells(row[P_LEAN_PACK], cell),
        _in_cells(row[P_FLEXIBLE_LEAST], cell),
        _pack_cells(row[P_FLEXIBLE_PACK], cell),
    )


@compiled
def outlives_review(row: FloatArray) -> bool:
    """Whether an order can still be on its way at the next review; levels are then positions."""
    return bool(row[P_LEAN_DAYS] >= row[P_REVIEW])


@compiled
def deep_slope(row: FloatArray) -> float:
    """Money that one more unit of backlog costs when all of it is ordered at this review."""
    first_day = row[P_FLEXIBLE_DAYS] if outlives_review(row) else 0.0
    lean = row[P_LEAN_UNIT] + row[P_BACKORDER] * (row[P_LEAN_DAYS] - first_day)
    flexible = row[P_FLEXIBLE_UNIT] + row[P_BACKORDER] * (row[P_FLEXIBLE_DAYS] - first_day)
    if row[P_FLEXIBLE_SETUP] == np.inf:
        return float(lean)
    if row[P_LEAN_SETUP] == np.inf or row[P_CAPACITY] < np.inf:
        return float(flexible)
    return float(min(lean, flexible))


@compiled
def paper_level(row: FloatArray, family: int, variance: float, cell: float) -> float:
    """Smallest level U with P(D_{T+tau2} <= U) >= target, by bisection."""
    days = row[P_REVIEW] + row[P_FLEXIBLE_DAYS]
    low, high = -1.0, _reach(row, family, variance, days, 12.0) + 2.0
    level, tail = np.empty(1), np.empty(1)
    whole = cell == 1.0 and family != FAMILY_NORMAL
    for _ in range(60):
        middle = 0.5 * (low + high)
        level[0] = math.floor(middle) if whole else middle
        fill_tail(family, row[P_MEAN], variance, days, cell, level, tail)
        if 1.0 - tail[0] >= row[P_TARGET]:
            high = middle
        else:
            low = middle
        if high - low < 1e-6 * (1.0 + abs(high)):
            break
    return math.floor(high) if whole else high


@compiled
def lattice_reach(row: FloatArray, variance: float) -> tuple[float, float]:
    """Units of backlog and of stock that the lattice must hold, before any widening."""
    family = int(row[P_FAMILY])
    if family == 0:
        family = named_family(row[P_MEAN], row[P_SD], row[P_REVIEW])
    lot, backlog = _order_scale(row)
    cover = row[P_REVIEW] + max(row[P_LEAN_DAYS], row[P_FLEXIBLE_DAYS])
    least = max(row[P_LEAN_LEAST], row[P_FLEXIBLE_LEAST])
    packs = row[P_LEAN_PACK] + row[P_FLEXIBLE_PACK]
    top = _reach(row, family, variance, cover, 4.0) + 1.2 * lot + least + packs
    review_sd = math.sqrt(variance * row[P_REVIEW])
    return 1.2 * backlog + 0.5 * review_sd + 0.1 * row[P_MEAN] * row[P_REVIEW], top


@compiled
def _make_levels(
    row: FloatArray, family: int, variance: float, widen_down: float, widen_up: float
) -> FloatArray:
    """Return the lattice: from a backlog at which everything is ordered to beyond useful levels."""
    bottom, top = lattice_reach(row, variance)
    top, bottom = top * widen_up + 1.0, bottom * widen_down + 1.0
    if outlives_review(row):  # what is on its way covers the wait for the flexible supplier
        bottom -= row[P_MEAN] * row[P_FLEXIBLE_DAYS]
    cell = _cell_size(row, top + bottom, _reach(row, family, variance, row[P_REVIEW], 5.0) + 1.0)
    zero = 0.0
    if row[P_SERVICE_TYPE] == SERVICE_PAPER:
        level = paper_level(row, family, variance, cell)
        zero = level - cell * math.floor(level / cell)
    low = zero - cell * math.ceil(bottom / cell + 1.0)
    count = math.ceil((top - low) / cell) + 1
    steps: FloatArray = np.arange(count).astype(np.float64)
    return low + cell * steps


@compiled
def _set_paper_penalty(row: FloatArray, family: int, variance: float, terms: Terms) -> None:
    """Make every final level below the paper's U very dear."""
    cell = terms.level_units[1] - terms.level_units[0]
    level = paper_level(row, family, variance, cell)
    price = 1e3 * (row[P_BACKORDER] * row[P_REVIEW] + row[P_LEAN_UNIT] + 1.0)
    if row[P_FLEXIBLE_SETUP] < np.inf:
        price += 1e3 * row[P_FLEXIBLE_UNIT]
    for b in range(terms.level_units.size):
        terms.level_penalty[b] = price * max(0.0, level - 1e-6 * cell - terms.level_units[b])


@compiled
def _write_levels(plan: Plan, out: IntArray, first: int) -> None:
    """Copy the order-up-to levels of all candidates, and the choice, into rows first..first+4."""
    for i in range(plan.total.size):
        out[first + L_LEAN, i] = plan.lean_level[i]
        out[first + L_FLEXIBLE, i] = plan.best_stay[i]
        both = plan.best_both[i]
        out[first + L_BOTH_FLEXIBLE, i] = both
        out[first + L_BOTH_FINAL, i] = plan.lean_level[both] if both >= 0 else -1
        a, b = plan.flexible_level[i], plan.final_level[i]
        fast, slow = a > i, b > a
        choice = T_NOTHING
        if fast and slow:
            choice = T_BOTH
        elif fast:
            choice = T_FLEXIBLE
        elif slow:
            choice = T_LEAN
        out[first + L_CHOICE, i] = choice


@compiled
def _intervals(choice: IntArray, ends: IntArray, choices: IntArray) -> int:
    """Write the runs of equal choices; return their number, or -1 if there are too many."""
    count = 0
    for i in range(choice.size):
        if i > 0 and choice[i] == choice[i - 1]:
            ends[count - 1] = i
            continue
        if count == ends.size:
            return -1
        ends[count], choices[count] = i, choice[i]
        count += 1
    return count


@compiled
def _write_intervals(levels: IntArray, weight: float, answer: FloatArray) -> None:
    """Write the interval table of the choice: ends in cells, mixed where the plans agree.

    A plan that orders at level i and not at i + 1 stands for a threshold at i + 1/2, because the
    lattice spreads a position between two levels over both.
    """
    ends = np.zeros((2, MOST_INTERVALS), np.int64)
    kinds = np.zeros((2, MOST_INTERVALS), np.int64)
    count = _intervals(levels[L_CHOICE], ends[0], kinds[0])
    other = _intervals(levels[PLAN_ROWS + L_CHOICE], ends[1], kinds[1])
    same = count == other and bool(np.all(kinds[0] == kinds[1]))
    answer[A_INTERVALS] = count
    for k in range(max(count, 0)):
        end = weight * ends[0, k] + (1.0 - weight) * ends[1, k] if same else float(ends[0, k])
        answer[A_ENDS + k] = end + 0.5
        answer[A_CHOICES + k] = kinds[0, k]


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
def _write_tables(
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


@compiled
def _measured(rates: FloatArray, measure: int) -> float:
    return float(rates[1] if measure == MEASURE_CYCLE else rates[2])


@compiled
def search_price(
    terms: Terms,
    rules: Rules,
    plan: Plan,
    columns: Columns,
    measure: int,
    allowed: float,
    first_price: float,
    tolerance: float,
    chord_tolerance: float,
    levels: IntArray,
    rates_met: FloatArray,
    rates_below: FloatArray,
) -> tuple[float, float, float, int]:
    """Find the optimal price; return (price, lower bound, weight of the plan that meets, sweeps).

    Writes the levels and rates of the plan that meets the target (rows 0-4) and of the one just
    below (rows 5-9). A sweep count of -1 asks for a deeper lattice. A weight of -1 says that no
    plan meets the target; the plan at the highest price tried is then in both places.
    """
    rates, bounds = np.zeros(3), np.zeros(2)
    used = solve_at_penalty(
        terms, rules, plan, columns, 0.0, measure, tolerance, 400, rates, bounds
    )
    if used < 0:
        return 0.0, 0.0, 0.0, -1
    sweeps = used
    _write_levels(plan, levels, PLAN_ROWS)
    rates_below[:] = rates
    lower = bounds[0]
    met = allowed < 0.0 or _measured(rates, measure) <= allowed
    if met:
        _write_levels(plan, levels, 0)
        rates_met[:] = rates
        return 0.0, lower, 1.0, sweeps
    price = last = first_price
    on_chord = False
    for attempt in range(60):
        used = solve_at_penalty(
            terms, rules, plan, columns, price, measure, tolerance, 400, rates, bounds
        )
        if used < 0:
            return 0.0, 0.0, 0.0, -1
        sweeps += used
        reached = _measured(rates, measure)
        lower = max(lower, bounds[0] - price * allowed)
        value = rates[0] + price * reached
        chord = rates_below[0] + price * _measured(rates_below, measure)
        if reached <= allowed:
            met = True
            _write_levels(plan, levels, 0)
            rates_met[:] = rates
        else:
            _write_levels(plan, levels, PLAN_ROWS)
            rates_below[:] = rates
        last = price
        if not met:
            price *= 4.0 if attempt > 3 else max(1.05 * reached / allowed, 1.2)
            on_chord = False
        elif attempt < 4 and reached < 0.8 * allowed and not on_chord:
            price *= max(0.95 * reached / allowed, 0.05)
        else:
            gain = _measured(rates_below, measure) - _measured(rates_met, measure)
            weight = (_measured(rates_below, measure) - allowed) / max(gain, 1e-300)
            mixed = weight * rates_met[0] + (1.0 - weight) * rates_below[0]
            if gain <= 1e-12 or mixed - lower <= chord_tolerance * abs(mixed):
                break
            if on_chord and chord - value <= 0.25 * chord_tolerance * abs(value):
                break
            price = (rates_met[0] - rates_below[0]) / gain
            on_chord = True
        if price > 1e9 * first_price:
            break
    price = last
    if not met:
        _write_levels(plan, levels, 0)
        rates_met[:] = rates
        return price, lower, -1.0, sweeps
    gain = _measured(rates_below, measure) - _measured(rates_met, measure)
    weight = (_measured(rates_below, measure) - allowed) / gain if gain > 1e-12 else 1.0
    return price, lower, min(1.0, max(0.0, weight)), sweeps


@compiled
def _follow(levels: IntArray, split: int, plan: Plan) -> None:
    """Set the plan to the one that meets the target below level `split`, the other one above."""
    for i in range(plan.total.size):
        first = 0 if i < split else PLAN_ROWS
        choice = levels[first + L_CHOICE, i]
        a, b = i, i
        if choice == T_LEAN:
            b = levels[first + L_LEAN, i]
        elif choice == T_FLEXIBLE:
            a = b = levels[first + L_FLEXIBLE, i]
        elif choice == T_BOTH:
            a, b = levels[first + L_BOTH_FLEXIBLE, i], levels[first + L_BOTH_FINAL, i]
        plan.flexible_level[i], plan.final_level[i] = a, b


@compiled
def _tighten(
    terms: Terms,
    rules: Rules,
    plan: Plan,
    columns: Columns,
    measure: int,
    allowed: float,
    levels: IntArray,
    rates_met: FloatArray,
) -> None:
    """Replace the plan that meets the target by a cheaper one between it and the one below.

    On single units the plans cannot be mixed by quantity, so a split level is sought by bisection.
    """
    size = plan.total.size
    low, high, best = 0, size, size
    rates = np.zeros(3)
    while high - low > 1:
        split = (low + high) // 2
        _follow(levels, split, plan)
        settle(terms, rules, plan, columns, rates)
        if _measured(rates, measure) <= allowed:
            high = split
            if rates[0] < rates_met[0]:
                best = split
                rates_met[:] = rates
        else:
            low = split
    for i in range(best, size):
        levels[:PLAN_ROWS, i] = levels[PLAN_ROWS:, i]


@compiled
def allowed_measure(row: FloatArray) -> float:
    """Most stock-outs (or units short) per review the target allows; -1 without a target."""
    if row[P_SERVICE_TYPE] == SERVICE_CYCLE:
        return float(1.0 - row[P_TARGET])
    if row[P_SERVICE_TYPE] == SERVICE_FILL:
        return float((1.0 - row[P_TARGET]) * row[P_MEAN] * row[P_REVIEW])
    return -1.0


@compiled
def first_price(row: FloatArray, variance: float, measure: int) -> float:
    """A stock-out price of the right size, from the first-order condition of a normal cycle.

    One unit more is held for a review period; it prevents the density of demand at the service
    quantile of stock-outs, in the one of n reviews that an order of n reviews' demand exposes.
    """
    held = row[P_HOLDING] * row[P_REVIEW]
    cover = row[P_REVIEW] + row[P_FLEXIBLE_DAYS]
    reviews = max(1.0, _order_scale(row)[0] / (row[P_MEAN] * row[P_REVIEW]))
    risk = min(0.4, max(1e-4, reviews * (1.0 - row[P_TARGET])))
    if measure == MEASURE_FILL:
        return float(held * reviews / risk + row[P_BACKORDER])
    tilt = math.sqrt(-2.0 * math.log(risk))
    density = risk * (0.3 + tilt)  # of a standard normal at its upper quantile, roughly
    return float(reviews * held * math.sqrt(variance * cover) / density + 1e-9)


@compiled
def set_first_values(row: FloatArray, units: FloatArray, columns: Columns) -> None:
    """Start from: a unit in stock saves buying one, a unit of backlog costs serving it at once."""
    unit = np.inf
    if row[P_LEAN_SETUP] < np.inf:
        unit = row[P_LEAN_UNIT]
    if row[P_FLEXIBLE_SETUP] < np.inf:
        unit = min(unit, row[P_FLEXIBLE_UNIT])
    deep = deep_slope(row)
    for i in range(units.size):
        columns.cost[i] = -(deep if units[i] < 0.0 else unit) * units[i]


@compiled
def _start_from_rule(
    row: FloatArray,
    family: int,
    variance: float,
    terms: Terms,
    rules: Rules,
    plan: Plan,
    columns: Columns,
) -> None:
    """Improve the first values by those of a plain (s, S) rule: reorder point and lot of Wilson.

    It need not obey minimum, capacity or pack: any values may start, good ones start nearer.
    """
    units = terms.level_units
    size = units.size
    cover = row[P_REVIEW] + (row[P_LEAN_DAYS] if rules.use_lean else row[P_FLEXIBLE_DAYS])
    point = row[P_MEAN] * (cover - 0.5 * row[P_REVIEW]) + math.sqrt(variance * cover)
    lot = max(_order_scale(row)[0], row[P_MEAN] * row[P_REVIEW])
    cell = units[1] - units[0]
    target = min(max(int((point + lot - units[0]) / cell), 1), size - 1)
    for i in range(size):
        level = target if units[i] < point and i < target else i
        plan.final_level[i] = level
        plan.flexible_level[i] = i if rules.use_lean else level
    values, rates = np.empty((3, size)), np.zeros(3)
    evaluate(terms, rules, plan, columns, values, rates)


@compiled_with(inline="always")  # compiled once, with its only caller
def _try_lattice(
    row: FloatArray,
    family: int,
    variance: float,
    wide_down: float,
    wide_up: float,
    tolerance: float,
    tables: FloatArray,
    levels: IntArray,
    answer: FloatArray,
) -> int:
    """Solve on one lattice; 0: done, 1: it must reach deeper, 2: higher, 3: it does not fit."""
    units = _make_levels(row, family, variance, wide_down, wide_up)
    size = units.size
    if size > tables.shape[1]:
        return 3
    cell = units[1] - units[0]
    terms = build_terms(
        family,
        row[P_MEAN],
        variance,
        row[P_REVIEW],
        row[P_LEAN_DAYS],
        row[P_FLEXIBLE_DAYS],
        row[P_HOLDING],
        row[P_BACKORDER],
        deep_slope(row),
        cell,
        units,
    )
    if terms.demand_at_least[1] < 1e-9:  # hardly a cell ever sells: no walk up the lattice
        return 3
    if row[P_SERVICE_TYPE] == SERVICE_PAPER:
        _set_paper_penalty(row, family, variance, terms)
    rules = make_rules(row, cell, size)
    plan, columns = new_plan(size), new_columns(size)
    set_first_values(row, units, columns)
    _start_from_rule(row, family, variance, terms, rules, plan, columns)
    measure = MEASURE_FILL if row[P_SERVICE_TYPE] == SERVICE_FILL else MEASURE_CYCLE
    rates_met, rates_below = np.zeros(3), np.zeros(3)
    price, lower, weight, sweeps = search_price(
        terms,
        rules,
        plan,
        columns,
        measure,
        allowed_measure(row),
        first_price(row, variance, measure),
        tolerance,
        tolerance if cell > 1.0 else 0.05 * tolerance,
        levels[:, :size],
        rates_met,
        rates_below,
    )
    if sweeps < 0:
        return 1
    if plan.final_level[0] >= size - 1 and rules.most_lean >= size:
        return 2
    improve(terms, rules, plan, columns, price, measure)
    _write_tables(terms, rules, plan, price, measure, tables)
    last_day = row[P_REVIEW] + (row[P_FLEXIBLE_DAYS] if outlives_review(row) else 0.0)
    fill_tail(family, row[P_MEAN], variance, last_day, cell, units, tables[T_SHORT, :size])
    meets = weight >= 0.0
    if meets and price > 0.0 and cell <= 1.0 and rates_met[0] - lower > TIGHTEN * rates_met[0]:
        _tighten(
            terms,
            rules,
            plan,
            columns,
            measure,
            allowed_measure(row),
            levels[:, :size],
            rates_met,
        )
    if not meets or cell <= 1.0:
        weight = 1.0
    per_review = row[P_MEAN] * row[P_REVIEW]
    cost = weight * rates_met[0] + (1.0 - weight) * rates_below[0]
    if not abs(cost) + abs(tables[T_NOTHING, 0]) + abs(tables[T_NOTHING, size - 1]) < np.inf:
        return 3  # values beyond floating point, e.g. one sale in a thousand years
    answer[A_LOWEST] = units[0]
    answer[A_CELL] = cell
    answer[A_LEVELS] = size
    answer[A_WEIGHT] = weight
    answer[A_COST] = cost
    answer[A_GAP] = max(0.0, (cost - lower) / abs(cost)) if meets and cost != 0.0 else 1.0
    answer[A_CYCLE] = 1.0 - (weight * rates_met[1] + (1.0 - weight) * rates_below[1])
    short = weight * rates_met[2] + (1.0 - weight) * rates_below[2]
    answer[A_FILL] = 1.0 - short / per_review
    answer[A_PENALTY] = price
    answer[A_FAMILY] = family
    answer[A_MET] = 1.0 if meets else 0.0
    answer[A_SWEEPS] = sweeps
    _write_intervals(levels[:, :size], weight, answer)
    return 0


@compiled_with(inline="always")  # compiled once, with its only caller
def solve_item(
    row: FloatArray,
    tolerance: float,
    tables: FloatArray,
    levels: IntArray,
    answer: FloatArray,
) -> bool:
    """Solve one parameter row; false when no lattice fitted (the caller then uses the gap rule)."""
    family = int(row[P_FAMILY])
    if family == 0:
        family = named_family(row[P_MEAN], row[P_SD], row[P_REVIEW])
    variance = row[P_MEAN] if family == FAMILY_POISSON else row[P_SD] * row[P_SD]
    down, up = 1.0, 1.0
    for _ in range(8):
        code = _try_lattice(row, family, variance, down, up, tolerance, tables, levels, answer)
        if code == 0:
            return True
        if code == 3:
            return False
        if code == 1:
            down *= 2.0
        else:
            up *= 1.6
    return False


@compiled
def solve_rows(
    rows: FloatArray,
    tolerance: float,
    tables: FloatArray,
    levels: IntArray,
    answers: FloatArray,
    solved: npt.NDArray[np.bool_],
) -> None:
    """Solve many parameter rows, each on its own: shapes (row, parameter), (row, table, level)."""
    for r in range(rows.shape[0]):
        solved[r] = solve_item(rows[r], tolerance, tables[r], levels[r], answers[r])
