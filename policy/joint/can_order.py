"""Can-order levels: each item against the others, then together where that is exact.

Seen from one item, the others trigger orders at some rate; at those moments it pays for its line
alone. Its levels at that rate are found exactly, and from them the rate of its own triggers, until
the rates agree (Federgruen, Groenevelt & Tijms 1984). Where the positions of all items are few, the
levels are then moved a little as long as the exact cost falls; where they are many, levels around
the best review calendar are tried too, by simulation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular

from policy.classic.fields import FloatArray
from policy.joint.chain import exact_cost, states_of
from policy.joint.items import CanOrderLevels, JointItem, JointProblem, ReviewLevels
from policy.joint.periodic import best_review, review_levels
from policy.joint.simulation import Effort, simulated_cost

_MOST_ROUNDS = 100
_FIRST_STEP = 4
_CLOSE = 1e-5
_RATE_ROUNDS = 12
_TRIGGER_CHANCES = (0.5, 0.3, 0.15, 0.05)
_SHIFTS = (-0.3, -0.15, 0.15, 0.3)
_SHORT = Effort(runs=16, periods=500, warm_up_periods=100)
_FEW_STATES = 256  # a neighbour then takes some milliseconds
_FEWER_STATES = 144  # one


@dataclass(frozen=True)
class _Single:
    """Levels of one item at a rate of others' orders, and the rate of its own."""

    s: int
    c: int
    top: int
    triggers: float


def can_order_levels(problem: JointProblem) -> CanOrderLevels:
    """Return good can-order levels.

    >>> from policy.classic.demand import PoissonDemand, on_cells
    >>> two = on_cells(PoissonDemand(2), 1)
    >>> can_order_levels(JointProblem([JointItem(name, two, 1, 1, 9) for name in "ab"], 10))
    CanOrderLevels(s=(1, 1), c=(4, 4), S=(6, 6))
    """
    levels = _by_rates(problem)
    if states_of(levels) <= _FEW_STATES:
        return _improved(problem, levels)
    calendar = best_review(problem, review_levels).levels
    best, least = levels, simulated_cost(problem, levels, _SHORT).total
    shape = [_TRIGGER_CHANCES[0], 0.0, 0.0]
    for place, values in enumerate((_TRIGGER_CHANCES, _SHIFTS, _SHIFTS)):
        for value in values:
            tried = [*shape[:place], value, *shape[place + 1 :]]
            near = _around(problem, calendar, tried[0], tried[1], tried[2])
            cost = simulated_cost(problem, near, _SHORT).total
            if cost < least:
                best, least, shape = near, cost, tried
    return best


def _around(
    problem: JointProblem, calendar: ReviewLevels, chance: float, join: float, raised: float
) -> CanOrderLevels:
    """Return levels around the best review calendar: who would be ordered there joins here.

    Rates of single items overstate how often many items order, so with many of them these are
    better.

    Args:
        problem: the items.
        calendar: its best levels.
        chance: of running out before an order arrives, at which an item triggers one.
        join: by how much of an item's lot its c is above the s of the calendar.
        raised: likewise its S above the S of the calendar.
    """
    cover = problem.lead_time_periods + 1
    s, c, tops = [], [], []
    for item, low, top in zip(problem.items, calendar.s, calendar.S, strict=True):
        trigger = int(item.sum_over(cover).level_for(chance))
        tops.append(top + round(raised * (top - low)))
        c.append(min(low + round(join * (top - low)), tops[-1] - 1))
        s.append(min(trigger, c[-1]))
    return CanOrderLevels(tuple(s), tuple(c), tuple(tops))


def _by_rates(problem: JointProblem) -> CanOrderLevels:
    """Return the levels of items against the rates at which the others order."""
    cover, header = problem.lead_time_periods + 1, problem.header_cost
    both = [(item, _grid(item, header, cover)) for item in problem.items]
    single = [_best_single(item, header, grid, 0.0) for item, grid in both]
    for _ in range(_RATE_ROUNDS):
        before = [one.triggers for one in single]
        for at, (item, grid) in enumerate(both):
            quiet = math.prod(1 - one.triggers for place, one in enumerate(single) if place != at)
            single[at] = _best_single(item, header, grid, 1 - quiet, single[at])
        if max(abs(old - one.triggers) for old, one in zip(before, single, strict=True)) < _CLOSE:
            break
    return CanOrderLevels(
        tuple(one.s for one in single),
        tuple(one.c for one in single),
        tuple(one.top for one in single),
    )


@dataclass(frozen=True)
class _Grid:
    """Positions between which an item moves."""

    low: int
    costs: FloatArray
    """Of a period, by the position after the order."""
    moves: FloatArray
    """From a position after the order to one before the next; those below the first are it."""


def _best_single(
    item: JointItem, header: float, grid: _Grid, rate: float, before: _Single | None = None
) -> _Single:
    """Return the best levels of an item where others order with chance `rate` in a period."""
    line, alone = item.line_cost, item.line_cost + header
    places = np.arange(grid.costs.size)
    start = int(np.argmin(grid.costs))
    s, c, top = 0, max(start - 1, 0), max(start, 1)
    if before is not None:
        s, c, top = before.s - grid.low, before.c - grid.low, before.top - grid.low
    for _ in range(_MOST_ROUNDS):
        worth = _values(grid, rate, line, alone, s, c, top)
        best = max(int(np.argmin(worth)), 1)
        worth = worth - worth[best]
        new_s = _count_low(worth[:best] > alone + 1e-12)
        new_c = max(_count_low(worth[:best] > line + 1e-12), new_s)
        if (new_s, new_c, best) == (s, c, top):
            break
        s, c, top = new_s, new_c, best
    stays = _stays(grid, rate, s, c)
    visits = solve_triangular(stays, places == top, lower=True, trans="T")
    triggers = float(visits @ grid.moves[:, : s + 1].sum(axis=1)) / float(visits.sum())
    return _Single(grid.low + s, grid.low + c, grid.low + top, triggers)


def _count_low(is_ordered: npt.NDArray[np.bool_]) -> int:
    """Return the highest place from the bottom up to which all are ordered; at least the first."""
    rest = np.flatnonzero(~is_ordered)
    return max(int(rest[0]) if rest.size else is_ordered.size, 1) - 1


def _grid(item: JointItem, header: float, cover: int) -> _Grid:
    """Return the positions of an item: as far down and up as an order is worth, or two lots."""
    best = item.best_level(cover)
    worth = header + item.line_cost
    mean, holding, backorder = item.demand.mean, item.holding_cost, item.backorder_cost
    lot = math.sqrt(2 * worth * mean * (holding + backorder) / (holding * backorder))
    reach = math.ceil(2 * lot + 2 * mean) + 2
    levels = np.arange(best - reach, best + reach + 1, dtype=float)
    costs = item.level_costs(levels, cover)
    is_near = costs <= costs[reach] + worth
    low = max(int(np.argmax(is_near)) - 1, 0)
    high = levels.size - int(np.argmax(is_near[::-1]))
    levels, costs = levels[low : high + 1], costs[low : high + 1]
    fall = np.subtract.outer(np.arange(levels.size), np.arange(levels.size))
    mass = item.demand.mass
    moves = np.where((fall >= 0) & (fall < mass.size), mass[np.clip(fall, 0, mass.size - 1)], 0.0)
    moves[:, 0] += 1 - moves.sum(axis=1)
    return _Grid(int(levels[0]), costs, moves)


def _stays(grid: _Grid, rate: float, s: int, c: int) -> FloatArray:
    """Return I less the moves without an order. Demand only takes away, so it is triangular."""
    moves = -grid.moves
    moves[:, : s + 1] = 0.0
    moves[:, s + 1 : c + 1] *= 1 - rate
    moves[np.diag_indices_from(moves)] += 1.0
    return np.asarray(moves)


def _values(
    grid: _Grid, rate: float, line: float, alone: float, s: int, c: int, top: int
) -> FloatArray:
    """Return the relative values of positions after the order under a rule."""
    paid = ((1 - rate) * alone + rate * line) * grid.moves[:, : s + 1].sum(axis=1)
    paid = paid + rate * line * grid.moves[:, s + 1 : c + 1].sum(axis=1)
    right = np.stack((grid.costs + paid, np.ones(paid.size)), axis=1)
    cost, periods = solve_triangular(_stays(grid, rate, s, c), right, lower=True).T
    return np.asarray(cost - cost[top] / periods[top] * periods)


def _improved(problem: JointProblem, levels: CanOrderLevels) -> CanOrderLevels:
    """Return levels of which none can be moved by a unit at a gain, nor two where they are few."""
    best, least = levels, exact_cost(problem, levels).total
    step, is_pair = _FIRST_STEP, False
    while True:
        before = least
        near = _two_moved(best, step) if is_pair else _one_moved(best, step)
        for one in near:
            if states_of(one) > 2 * _FEW_STATES:
                continue
            cost = exact_cost(problem, one).total
            if cost < least * (1 - _CLOSE):
                best, least = one, cost
                break  # the first that is better will do
        if least < before:
            is_pair = False
        elif step > 1:
            step //= 2
        elif not is_pair and states_of(best) <= _FEWER_STATES:
            is_pair = True
        else:
            return best


def _one_moved(levels: CanOrderLevels, step: int) -> list[CanOrderLevels]:
    return [moved for at in range(len(levels.s)) for moved in _moved(levels, at, step)]


def _two_moved(levels: CanOrderLevels, step: int) -> list[CanOrderLevels]:
    return [
        moved
        for first, second in combinations(range(len(levels.s)), 2)
        for one in _moved(levels, first, step)
        for moved in _moved(one, second, step)
    ]


def _moved(levels: CanOrderLevels, at: int, step: int) -> list[CanOrderLevels]:
    """Return the levels with one of an item's moved by a step, or its S together with its c."""
    found = []
    for parts, change in product(("s", "c", "S", "cS"), (-step, step)):
        values = {part: list(getattr(levels, part)) for part in parts}
        for part in parts:
            values[part][at] += change
        moved = replace(levels, **{part: tuple(one) for part, one in values.items()})
        if moved.s[at] <= moved.c[at] < moved.S[at]:
            found.append(moved)
    return found
