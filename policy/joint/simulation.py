"""The rules simulated: many runs side by side, with one stream of random numbers for all rules."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from policy.classic.fields import FloatArray
from policy.joint.items import CanOrderLevels, JointCost, JointProblem, ReviewLevels

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Effort:
    """How much is simulated."""

    runs: int = 64
    periods: int = 4_000
    """Of each run."""
    warm_up_periods: int = 200
    """Before them, not counted."""
    seed: int = 17


def simulated_cost(
    problem: JointProblem,
    rule: CanOrderLevels | ReviewLevels,
    effort: Effort | None = None,
) -> JointCost:
    """Return the cost per period of a rule by simulation, with the standard error of its mean.

    Args:
        problem: the items.
        rule: levels.
        effort: how much is simulated; the same effort gives every rule the same demand.
    """
    effort = effort or Effort()
    draw = _Draws(problem, effort)
    top = np.array(rule.S)
    position = np.tile(top, (effort.runs, 1))
    pipeline = [np.zeros_like(position) for _ in range(problem.lead_time_periods)]
    hand = position.copy()
    sums = np.zeros((3, effort.runs))  # headers, lines, stock
    costs = _costs(problem)
    for period in range(-effort.warm_up_periods, effort.periods):
        ordered = _ordered(rule, position, period)
        units = np.where(ordered, top - position, 0)
        position += units
        pipeline.append(units)
        hand += pipeline.pop(0)
        sold = draw.next()
        hand -= sold
        position -= sold
        if period >= 0:
            sums += _paid(problem, costs, ordered & (units > 0), hand)
    return _summed(problem, sums / effort.periods, effort)


class _Draws:
    """Demand of a period by run and item, by the inverse of its distribution."""

    def __init__(self, problem: JointProblem, effort: Effort) -> None:
        self._random = np.random.default_rng(effort.seed)
        self._shape = (len(problem.items), effort.runs)
        self._below = [np.cumsum(item.demand.mass) for item in problem.items]

    def next(self) -> IntArray:
        chances = self._random.random(self._shape)
        columns = [
            np.minimum(np.searchsorted(below, row, side="right"), below.size - 1)
            for below, row in zip(self._below, chances, strict=True)
        ]
        return np.stack(columns, axis=1)


def _ordered(
    rule: CanOrderLevels | ReviewLevels, position: IntArray, period: int
) -> npt.NDArray[np.bool_]:
    """Return which items are ordered, by run."""
    is_low = position <= np.array(rule.s)
    if isinstance(rule, ReviewLevels):
        return is_low & (period % rule.review_periods == 0)
    is_called = is_low.any(axis=1, keepdims=True)
    return np.asarray(is_called & (position <= np.array(rule.c)))


def _costs(problem: JointProblem) -> tuple[FloatArray, FloatArray, FloatArray]:
    return (
        np.array([item.line_cost for item in problem.items]),
        np.array([item.holding_cost for item in problem.items]),
        np.array([item.backorder_cost for item in problem.items]),
    )


def _paid(
    problem: JointProblem,
    costs: tuple[FloatArray, FloatArray, FloatArray],
    ordered: npt.NDArray[np.bool_],
    hand: IntArray,
) -> FloatArray:
    lines, holding, backorder = costs
    stock = np.maximum(hand, 0) @ holding + np.maximum(-hand, 0) @ backorder
    return np.stack((problem.header_cost * ordered.any(axis=1), ordered @ lines, stock))


def _summed(problem: JointProblem, costs: FloatArray, effort: Effort) -> JointCost:
    total = costs.sum(axis=0)
    headers, lines, stock = costs.mean(axis=1).tolist()
    orders = headers / problem.header_cost if problem.header_cost else math.nan
    error = float(total.std(ddof=1)) / math.sqrt(effort.runs)
    return JointCost(float(total.mean()), headers, lines, stock, orders, error)
