"""Exact optimum of the two-speed model: relative value iteration with certified bounds.

State before ordering: stock x (with all that is due at once) and the slow orders due 1, 2, ...,
gap - 1 periods ahead. The fast order lifts stock to y, the slow order z joins the end of the
pipeline. Because z matters only through y + (first order due) and the rest of the pipeline, a sweep
is one convolution, one minimum over z and one suffix minimum over y.

MacQueen: for any function V, min(TV - V) <= optimal cost per period <= max(TV - V). So any V will
do, and between two sweeps the policy found last is followed for a while, which costs a fraction of
a sweep: no minimum, and a convolution only where its slow orders lead (modified policy iteration).

What the finite grid leaves out:
 * Orders above `highest_useful_level` are never needed (proof there).
 * The grid also holds y at or above `low` and z at or below `most`. Both are widened until the
   optimal policy touches neither in any state it visits. Without set-ups the whole problem is
   convex, and a limit that an optimum does not touch costs nothing, so the bounds hold for the
   model without the limits. With set-ups this is a check, not a proof, so a still wider grid must
   give the same cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled
from policy.sourcing.demand import FloatArray
from policy.sourcing.model import IntArray, TwoSpeedModel, highest_useful_level, period_cost

AnyInts = npt.NDArray[Any]

MOST_CELLS = 48_000_000  # about 1.2 GB
GAP_RELATIVE = 1e-9
FOLLOWED_SWEEPS = 10
LEAST_ROUNDS = 3  # what takes more than the work for so few is not begun
# Work that one state costs besides its convolution, in multiply-adds.
STATE_WORK = 8


@dataclass(frozen=True)
class Grid:
    """Limits of the finite problem, in lots."""

    low: int  # least stock after ordering
    most: int  # largest slow order
    fast_top: int  # no fast order lifts stock above this
    slow_top: int  # no slow order lifts stock plus pipeline above this
    top: int  # largest stock plus pipeline

    def cells(self, model: TwoSpeedModel) -> int:
        """Return the number of states."""
        rows = int((self.most + 1) ** max(0, model.gap_periods - 1))
        return rows * (self.top - self.low + model.demand.largest_lots + 1)


@dataclass(frozen=True)
class ExactResult:
    """Optimal cost per period of the two-speed model with its certificate."""

    lower: float
    upper: float
    sweeps: int
    work: float  # multiply-adds that were spent
    grid: Grid
    values: FloatArray  # relative values, shape (pipeline row, stock - low + largest demand)

    @property
    def rounding(self) -> float:
        """What floating point may have moved a bound by: a few last digits of the values."""
        return 8e-16 * float(max(self.values.max(), -self.values.min()))


def grid_for(model: TwoSpeedModel, low: int, most: int) -> Grid:
    """Return the grid with the given least stock and largest slow order."""
    fast_top = highest_useful_level(model, model.cover_periods, model.fast_setup)
    slow_top = highest_useful_level(
        model, model.cover_periods + model.gap_periods, model.slow_setup
    )
    if model.gap_periods == 0:
        fast_top = slow_top = max(fast_top, slow_top)
    low = min(low, fast_top)
    most = max(1, min(most, slow_top - low))
    behind = max(0, model.gap_periods - 1) * most
    return Grid(low, most, fast_top, slow_top, max(slow_top, fast_top + behind))


def first_grid(model: TwoSpeedModel) -> Grid:
    """Return a grid that is usually wide enough."""
    chances = np.cumsum(model.demand.probabilities)
    likely = int(np.searchsorted(chances, 0.98))
    order = math.sqrt(2 * model.slow_setup * model.demand.mean_lots / model.holding)
    return grid_for(model, low=-1 - likely // 2, most=likely + 2 + math.ceil(1.5 * order))


def solve_exact(model: TwoSpeedModel, most_work: float) -> ExactResult | None:
    """Return the certified optimum, or None when it takes more than `most_work` multiply-adds."""
    if model.demand.largest_lots == 0:
        return ExactResult(0.0, 0.0, 0, 0.0, first_grid(model), np.zeros((1, 1)))
    # With set-ups a part of the work is kept for the second look below.
    share = 0.5 if model.has_setups else 1.0
    best = _solve_wide_enough(model, first_grid(model), None, share * most_work)
    # Without convexity a limit may hide a better policy that the visited states do not show.
    while best is not None and model.has_setups:
        wide = _second_look(model, best.grid)
        start = _carried_over(model, best, wide) if wide.cells(model) <= MOST_CELLS else None
        wider = _solve_wide_enough(model, wide, start, most_work - best.work)
        if wider is None:
            return None
        spent = best.work + wider.work
        if wider.upper >= best.upper - 1e-7 * (1 + abs(best.upper)):
            break
        best = replace(wider, work=spent)
    return best


def _solve_wide_enough(
    model: TwoSpeedModel, grid: Grid, values: FloatArray | None, most_work: float
) -> ExactResult | None:
    """Solve on `grid`, widened until its policy touches no limit; None when that is too much."""
    spent, tight = 0.0, False
    for _ in range(60):
        if grid.cells(model) > MOST_CELLS or LEAST_ROUNDS * _round_work(model, grid) > most_work:
            return None
        # A loose solve is enough to see whether the grid is wide enough; the last one is tight.
        gap = GAP_RELATIVE if tight else 1e-5
        result = _solve_on(model, grid, gap, values, most_work - spent)
        spent += result.work
        if result.upper - result.lower > 1e-5 * max(model.holding, abs(result.upper)):
            return None
        wider = _widened(model, result)
        exhausted = spent + _round_work(model, grid) > most_work
        if wider == grid and (tight or exhausted):
            return replace(result, work=spent)
        tight = wider == grid
        if exhausted or wider.cells(model) > MOST_CELLS:
            return None
        values = result.values if tight else _carried_over(model, result, wider)
        grid = wider
    return None


def _round_work(model: TwoSpeedModel, grid: Grid) -> float:
    """Return the multiply-adds of one sweep and of following its policy afterwards."""
    points = len(model.demand.probabilities)
    one = float(points + STATE_WORK)
    if model.gap_periods >= 2:
        one += FOLLOWED_SWEEPS * (points / (grid.most + 1) + STATE_WORK)
    return float(grid.cells(model) * one)


def _widened(model: TwoSpeedModel, result: ExactResult) -> Grid:
    """Return the grid of a result, wider where its policy touches a limit."""
    grid = result.grid
    least, largest = _limits_used(model, result)
    wider = _next_grid(model, grid)
    low = wider.low if least <= grid.low else grid.low
    most = wider.most if largest >= grid.most and model.gap_periods > 1 else grid.most
    return grid_for(model, low, most)


def _second_look(model: TwoSpeedModel, grid: Grid) -> Grid:
    """Return a grid wider by a little: where pipelines are long, more would not fit."""
    low = grid.low - 1 - model.demand.largest_lots // 2
    return grid_for(model, low, grid.most + 1 + grid.most // 8)


def _next_grid(model: TwoSpeedModel, grid: Grid) -> Grid:
    low = grid.low - 1 - model.demand.largest_lots // 2
    return grid_for(model, low, math.ceil(grid.most * 1.35) + 1)


def _solve_on(
    model: TwoSpeedModel,
    grid: Grid,
    gap_relative: float,
    values: FloatArray | None,
    most_work: float,
) -> ExactResult:
    if values is None:
        values = np.zeros(_shape(model, grid))
    damping = 0.9 if model.has_setups else 1.0
    round_work = _round_work(model, grid)
    rounds = min(20_000, max(1, int(most_work / round_work)))
    lower, upper, rounds = _iterate(
        values, *_kernel(model, grid), damping, gap_relative, model.holding, rounds
    )
    return ExactResult(lower, upper, int(rounds), rounds * round_work, grid, values)


def _carried_over(model: TwoSpeedModel, result: ExactResult, wider: Grid) -> FloatArray:
    """Return a first guess of the values on a wider grid: those of the nearest known state."""
    values = np.zeros(_shape(model, wider))
    old = result.grid
    places = np.array([old.low, old.most + 1, old.top, wider.low, wider.most + 1])
    pipeline = max(0, model.gap_periods - 1)
    _carry(result.values, values, pipeline, places, model.demand.largest_lots, model.fast_unit)
    return values


def _limits_used(model: TwoSpeedModel, result: ExactResult) -> tuple[int, int]:
    """Return the least stock after ordering and the largest slow order the policy ever uses."""
    fast, slow = _greedy(result.values, *_kernel(model, result.grid))
    least, largest = _visit(fast, slow, *_kernel(model, result.grid))
    return int(least), int(largest)


def _shape(model: TwoSpeedModel, grid: Grid) -> tuple[int, int]:
    rows = (grid.most + 1) ** max(0, model.gap_periods - 1)
    return rows, grid.top - grid.low + model.demand.largest_lots + 1


def _kernel(model: TwoSpeedModel, grid: Grid) -> tuple[int, int, Any, Any, Any, Any]:
    """Return what every kernel takes after its first arguments."""
    stock_cost = period_cost(model, model.cover_periods, grid.low, grid.top)
    prices = np.array([model.fast_unit, model.slow_unit, model.fast_setup, model.slow_setup])
    limits = np.array([grid.low, grid.fast_top, grid.slow_top, grid.top], dtype=np.int64)
    return (
        model.gap_periods,
        grid.most + 1,
        model.demand.probabilities,
        stock_cost,
        prices,
        limits,
    )


# Kernels. Column i of `values` is stock low - largest demand + i, so column `reach` (the largest
# demand) is stock `low`. A row numbers the pipeline (first due, ..., last due) in base `sizes`; its
# group is the row without the order due first.


@compiled
def _digit_sum(number: int, base: int) -> int:
    total = 0
    while number > 0:
        total += number % base
        number //= base
    return total


@compiled
def _expected(
    values: FloatArray, row: int, chances: FloatArray, last: int, expected: FloatArray
) -> None:
    """Fill expected[i] with E[values[row, i - demand]] for columns reach..last."""
    reach = len(chances) - 1
    expected[reach : last + 1] = 0.0
    for demand in range(reach + 1):
        chance = chances[demand]
        if chance > 0.0:
            for i in range(reach, last + 1):
                expected[i] += chance * values[row, i - demand]


@compiled
def _look_ahead(
    values: FloatArray,
    gap: int,
    sizes: int,
    chances: FloatArray,
    prices: FloatArray,
    limits: IntArray,
    ahead: FloatArray,
    amount: AnyInts,
) -> None:
    """Fill ahead[group, i]: the best cost to go when the next period starts from stock i.

    Column i already holds the fast order and the slow order due next; amount[group, i] is the slow
    order placed now.
    """
    reach = len(chances) - 1
    zero = reach - limits[0]
    slow_unit, slow_setup = prices[1], prices[3]
    expected = np.empty(values.shape[1])
    if gap < 2:
        _expected(values, 0, chances, values.shape[1] - 1, ahead[0])
        amount[0, :] = 0
        if gap == 1:
            best, where = np.inf, 0
            for i in range(values.shape[1] - 1, reach - 1, -1):
                here = ahead[0, i] + slow_unit * i
                if best + slow_setup < here:
                    ahead[0, i] = best + slow_setup - slow_unit * i
                    amount[0, i] = where - i
                if i - zero <= limits[2] and here <= best:
                    best, where = here, i
        return
    for group in range(ahead.shape[0]):
        pipeline = _digit_sum(group, sizes)
        ahead[group, :] = np.inf
        amount[group, :] = 0
        for order in range(sizes):
            top = limits[3] if order == 0 else limits[2] - order
            last = top - pipeline + zero
            if last < reach:
                continue
            _expected(values, group * sizes + order, chances, last, expected)
            price = slow_unit * order + (slow_setup if order > 0 else 0.0)
            for i in range(reach, last + 1):
                if expected[i] + price < ahead[group, i]:
                    ahead[group, i] = expected[i] + price
                    amount[group, i] = order


@compiled
def _decide_fast(
    ahead: FloatArray,
    group: int,
    first: int,
    last: int,
    gap: int,
    stock_cost: FloatArray,
    reach: int,
    prices: FloatArray,
    limits: IntArray,
    out: FloatArray,
    level: AnyInts,
) -> None:
    """Fill out[0..last] with the cost to go of one pipeline row, level[i] with the stock raised to.

    `first` is the order due next, `last` the highest column the pipeline leaves room for. Without
    a gap the slow supplier is a second price for the same order.
    """
    zero = reach - limits[0]
    best, where = np.inf, 0
    other, other_where = np.inf, 0
    for i in range(last, -1, -1):
        stay = np.inf
        if i >= reach:
            stay = stock_cost[i - reach] + ahead[group, i + first]
        out[i] = stay
        level[i] = i
        if best + prices[2] - prices[0] * i < out[i]:
            out[i] = best + prices[2] - prices[0] * i
            level[i] = where
        if gap == 0 and other + prices[3] - prices[1] * i < out[i]:
            out[i] = other + prices[3] - prices[1] * i
            level[i] = other_where
        if i >= reach and i - zero <= limits[1]:
            if stay + prices[0] * i <= best:
                best, where = stay + prices[0] * i, i
            if stay + prices[1] * i <= other:
                other, other_where = stay + prices[1] * i, i


@compiled
def _groups(gap: int, sizes: int) -> int:
    return int(sizes ** max(0, gap - 2))


@compiled
def _iterate(
    values: FloatArray,
    gap: int,
    sizes: int,
    chances: FloatArray,
    stock_cost: FloatArray,
    prices: FloatArray,
    limits: IntArray,
    damping: float,
    gap_relative: float,
    least_scale: float,
    most_sweeps: int,
) -> tuple[float, float, int]:
    """Iterate `values` in place until the MacQueen bounds close; return them and the sweeps."""
    rows, columns = values.shape
    reach = len(chances) - 1
    zero = reach - limits[0]
    groups = _groups(gap, sizes)
    ahead = np.full((groups, columns), np.inf)
    amount = np.zeros((groups, columns), dtype=np.int32)
    out = np.empty(columns)
    level = np.zeros((rows if gap >= 2 else 1, columns), dtype=np.int32)
    lower, upper = -np.inf, np.inf
    for sweep in range(1, most_sweeps + 1):
        _look_ahead(values, gap, sizes, chances, prices, limits, ahead, amount)
        least, largest = np.inf, -np.inf
        for row in range(rows):
            last = limits[3] - _digit_sum(row, sizes) + zero
            first, group = row // groups if gap >= 2 else 0, row % groups
            to = level[row]
            _decide_fast(ahead, group, first, last, gap, stock_cost, reach, prices, limits, out, to)
            for i in range(last + 1):
                change = out[i] - values[row, i]
                least, largest = min(least, change), max(largest, change)
                values[row, i] += damping * change
        values -= values[0, reach]
        # Each sweep's bounds hold on their own, so the best of each may be kept.
        lower, upper = max(lower, least), min(upper, largest)
        if upper - lower <= gap_relative * max(least_scale, abs(upper)):
            return lower, upper, sweep
        if gap >= 2:
            for _ in range(FOLLOWED_SWEEPS):
                _follow(
                    values,
                    level,
                    amount,
                    sizes,
                    groups,
                    chances,
                    stock_cost,
                    prices,
                    limits,
                    ahead,
                    out,
                    damping,
                )
    return lower, upper, most_sweeps


@compiled
def _follow(
    values: FloatArray,
    level: AnyInts,
    amount: AnyInts,
    sizes: int,
    groups: int,
    chances: FloatArray,
    stock_cost: FloatArray,
    prices: FloatArray,
    limits: IntArray,
    ahead: FloatArray,
    out: FloatArray,
    damping: float,
) -> None:
    """Update `values` in place by one period of the policy in `level` and `amount`."""
    rows, columns = values.shape
    reach = len(chances) - 1
    zero = reach - limits[0]
    for group in range(groups):
        last = min(columns - 1, limits[3] - _digit_sum(group, sizes) + zero)
        for i in range(reach, last + 1):
            order = amount[group, i]
            row = group * sizes + order
            total = prices[1] * order + (prices[3] if order > 0 else 0.0)
            for demand in range(reach + 1):
                total += chances[demand] * values[row, i - demand]
            ahead[group, i] = total
    for row in range(rows):
        last = limits[3] - _digit_sum(row, sizes) + zero
        first, group = row // groups, row % groups
        for i in range(last + 1):
            to = level[row, i]
            paid = stock_cost[to - reach] + ahead[group, to + first]
            if to > i:
                paid += prices[2] + prices[0] * (to - i)
            out[i] = paid
        for i in range(last + 1):
            values[row, i] += damping * (out[i] - values[row, i])
    values -= values[0, reach]


@compiled
def _carry(
    known: FloatArray,
    values: FloatArray,
    pipeline: int,
    places: IntArray,
    reach: int,
    fast_unit: float,
) -> None:
    """Fill `values` from the nearest state of `known`; places: low, sizes, top, new low, sizes."""
    low, sizes, top, new_low, new_sizes = places
    for new_row in range(values.shape[0]):
        row, rest, place, orders = 0, new_row, 1, 0
        for _ in range(pipeline):
            order = min(rest % new_sizes, sizes - 1)
            row += order * place
            orders += order
            place *= sizes
            rest //= new_sizes
        last = top - orders - low + reach
        for i in range(values.shape[1]):
            column = i + new_low - low
            nearest = max(0, min(column, last))
            below = nearest - column if column < 0 else 0
            values[new_row, i] = known[row, nearest] + fast_unit * below


@compiled
def _greedy(
    values: FloatArray,
    gap: int,
    sizes: int,
    chances: FloatArray,
    stock_cost: FloatArray,
    prices: FloatArray,
    limits: IntArray,
) -> tuple[AnyInts, AnyInts]:
    """Return the column each state is raised to, and the slow order per group and column."""
    rows, columns = values.shape
    reach = len(chances) - 1
    groups = _groups(gap, sizes)
    ahead = np.full((groups, columns), np.inf)
    amount = np.zeros((groups, columns), dtype=np.int32)
    fast = np.zeros((rows, columns), dtype=np.int32)
    out = np.empty(columns)
    _look_ahead(values, gap, sizes, chances, prices, limits, ahead, amount)
    for row in range(rows):
        last = limits[3] - _digit_sum(row, sizes) + reach - limits[0]
        first, group = row // groups if gap >= 2 else 0, row % groups
        _decide_fast(
            ahead, group, first, last, gap, stock_cost, reach, prices, limits, out, fast[row]
        )
    return fast, amount


@compiled
def _step(
    row: int, i: int, fast: AnyInts, amount: AnyInts, gap: int, sizes: int
) -> tuple[int, int, int]:
    """Return the next row, the column before demand, and the slow order."""
    groups = _groups(gap, sizes)
    group = row % groups
    if gap < 2:
        order = amount[0, fast[row, i]]
        return 0, fast[row, i] + order, order
    column = fast[row, i] + row // groups
    order = amount[group, column]
    return group * sizes + order, column, order


@compiled
def _visit(
    fast: AnyInts,
    amount: AnyInts,
    gap: int,
    sizes: int,
    chances: FloatArray,
    stock_cost: FloatArray,
    prices: FloatArray,
    limits: IntArray,
) -> tuple[int, int]:
    """Return the least stock after ordering and the largest slow order over all visited states."""
    reach = len(chances) - 1
    likely = np.argmax(chances)
    row, i = 0, reach - limits[0]
    for _ in range(1000):  # leave the transient states of an empty pipeline
        row, i, _order = _step(row, i, fast, amount, gap, sizes)
        i -= likely
    columns = fast.shape[1]
    seen = np.zeros(fast.size, dtype=np.bool_)
    waiting = np.empty(fast.size, dtype=np.int64)
    waiting[0], count = row * columns + i, 1
    seen[waiting[0]] = True
    least, largest = columns, 0
    while count > 0:
        count -= 1
        row, i = waiting[count] // columns, waiting[count] % columns
        least = min(least, fast[row, i])
        row, i, order = _step(row, i, fast, amount, gap, sizes)
        largest = max(largest, order)
        for demand in range(reach + 1):
            state = row * columns + i - demand
            if chances[demand] > 0.0 and not seen[state]:
                seen[state] = True
                waiting[count], count = state, count + 1
    return least - reach + limits[0], largest
