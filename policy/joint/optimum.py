"""The least possible cost of two items: value iteration over both positions, with bounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policy.classic.fields import FloatArray
from policy.joint.items import JointItem, JointProblem

_CLOSE = 1e-7  # of the cost: bounds that are nearer end the search
_MOST_SWEEPS = 20_000
MOST_POSITIONS = 90_000
"""Of both items together: some seconds."""


@dataclass(frozen=True)
class Optimum:
    """Bounds on the least cost per period."""

    lower: float
    upper: float

    @property
    def cost(self) -> float:
        """The middle of the bounds."""
        return (self.lower + self.upper) / 2


@dataclass(frozen=True)
class _Axis:
    """Positions of one item that matter: below the first it is always ordered."""

    levels: FloatArray
    costs: FloatArray
    moves: FloatArray
    """From a position after the order to one before the next, shape (position, position)."""


def least_cost(problem: JointProblem) -> Optimum | None:
    """Return bounds on the cost of the best rule there is for two items; None where it is too much.

    Source: MacQueen's bounds on relative value iteration; MODEL, section 7:

    >>> from policy.classic.demand import PoissonDemand, on_cells
    >>> two = on_cells(PoissonDemand(2), 1)
    >>> found = least_cost(JointProblem([JointItem(name, two, 1, 1, 9) for name in "ab"], 10))
    >>> round(found.cost, 5)
    12.56237
    """
    if len(problem.items) != 2:
        return None
    cover = problem.lead_time_periods + 1
    first, second = (_axis(item, problem.header_cost, cover) for item in problem.items)
    if first.levels.size * second.levels.size > MOST_POSITIONS:
        return None
    lines = [item.line_cost for item in problem.items]
    costs = np.add.outer(first.costs, second.costs)
    value = np.zeros_like(costs)
    lower, upper = -np.inf, np.inf
    for _ in range(_MOST_SWEEPS):
        after = costs + first.moves @ value @ second.moves.T
        new = _ordered(after, problem.header_cost, lines)
        change = new - value
        lower, upper = max(lower, float(change.min())), min(upper, float(change.max()))
        if upper - lower <= _CLOSE * abs(upper):
            break
        value = new - new[-1, -1]
    return Optimum(lower, upper)


def _ordered(after: FloatArray, header: float, lines: list[float]) -> FloatArray:
    """Return the value of positions before the order, from those after it."""
    up_first = np.minimum.accumulate(after[::-1], axis=0)[::-1]
    up_second = np.minimum.accumulate(after[:, ::-1], axis=1)[:, ::-1]
    up_both = np.minimum.accumulate(up_first[:, ::-1], axis=1)[:, ::-1]
    with_order = np.minimum(up_first + lines[0], up_second + lines[1])
    with_order = np.minimum(with_order, up_both + sum(lines))
    return np.asarray(np.minimum(after, header + with_order))


def _axis(item: JointItem, header: float, cover: int) -> _Axis:
    """Return the positions between which an optimal rule moves.

    Where a period costs more than the least by an order with its line, waiting for the next period
    is not worth it at the low end, nor raising so far at the high end.
    """
    best = item.best_level(cover)
    least = float(item.level_costs(np.array([float(best)]), cover)[0])
    most = least + header + item.line_cost
    low, high = best, best
    while float(item.level_costs(np.array([float(low)]), cover)[0]) < most:
        low -= 1
    while float(item.level_costs(np.array([float(high)]), cover)[0]) < most:
        high += 1
    levels = np.arange(low, high + 1, dtype=float)
    fall = np.subtract.outer(np.arange(levels.size), np.arange(levels.size))
    mass = item.demand.mass
    moves = np.where((fall >= 0) & (fall < mass.size), mass[np.clip(fall, 0, mass.size - 1)], 0.0)
    moves[:, 0] += 1 - moves.sum(axis=1)  # the lowest stands for all below it
    return _Axis(levels, item.level_costs(levels, cover), moves)
