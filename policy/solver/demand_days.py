"""Demand of a stretch of days of one item: shortage, tail, and what it costs to hold or to owe.

The daily cost of net inventory is half the cost at the day's start plus half at its end (Eq. 10 of
the paper, corrected as P17), so A, B and C are trapezoids over days. Their values at a level are
exact for the family, whatever the cell.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled
from policy.solver.columns import (
    FAMILY_GAMMA,
    FAMILY_NEGATIVE_BINOMIAL,
    FAMILY_NORMAL,
    FAMILY_POISSON,
)
from policy.solver.expected_loss import (
    COUNT_NEGATIVE_BINOMIAL,
    COUNT_POISSON,
    SPREAD_GAMMA,
    SPREAD_NORMAL,
    fill_loss,
)

FloatArray = npt.NDArray[np.float64]

_MOST_DAILY_STEPS = 32


@compiled
def spread_code(family: int, cell: float) -> int:
    """Return the loss-kernel code: counts stay counts only on a lattice of single units."""
    if family == FAMILY_NORMAL:
        return SPREAD_NORMAL
    if cell == 1.0 and family == FAMILY_POISSON:
        return COUNT_POISSON
    if cell == 1.0 and family == FAMILY_NEGATIVE_BINOMIAL:
        return COUNT_NEGATIVE_BINOMIAL
    return SPREAD_GAMMA


@compiled
def demand_skew(family: int, mean: float, variance: float) -> float:
    """Skewness of the family at these moments (NB and Poisson: (2v/m - 1)/sd; gamma: 2 sd/m)."""
    if variance <= 0.0 or mean <= 0.0 or family == FAMILY_NORMAL:
        return 0.0
    if family == FAMILY_GAMMA:
        return 2.0 * math.sqrt(variance) / mean
    return (2.0 * variance / mean - 1.0) / math.sqrt(variance)


@compiled
def fill_days(
    family: int,
    mean: float,
    variance: float,
    days: float,
    cell: float,
    levels: FloatArray,
    loss: FloatArray,
    tail: FloatArray,
) -> None:
    """Write E(D - y)+ and P(D > y) of the demand of `days` days; mean and variance are per day."""
    m, v = mean * days, variance * days
    fill_loss(spread_code(family, cell), m, v, demand_skew(family, m, v), levels, loss, tail)


@compiled
def fill_tail(
    family: int,
    mean: float,
    variance: float,
    days: float,
    cell: float,
    levels: FloatArray,
    tail: FloatArray,
) -> None:
    """Write P(D > y) alone: counts on cells of several units get the half-unit correction."""
    loss = np.empty(levels.size)
    counts = family in (FAMILY_POISSON, FAMILY_NEGATIVE_BINOMIAL) and cell != 1.0
    half = levels + (0.5 if counts else 0.0)
    fill_days(family, mean, variance, days, cell, half, loss, tail)


@compiled
def _next_day(now: float, end: float, step: float) -> float:
    """The next time node: the next whole day, or an even step where the segment is long."""
    following = now + step if step > 1.0 else math.floor(now + 1e-9) + 1.0
    return end if following > end - 1e-9 else following


@compiled
def fill_segment_cost(
    family: int,
    mean: float,
    variance: float,
    start: float,
    end: float,
    holding: float,
    backorder: float,
    cell: float,
    levels: FloatArray,
    loss_start: FloatArray,
    loss_end: FloatArray,
    cost: FloatArray,
) -> None:
    """Write the expected holding and backorder cost of days [start, end) from each level.

    The losses at both ends are given, because neighbouring segments share them.
    """
    size = levels.size
    cost[:] = 0.0
    if end <= start:
        return
    loss, tail = np.empty(size), np.empty(size)
    step = (end - start) / _MOST_DAILY_STEPS
    now = start
    before = 0.0
    while True:
        following = _next_day(now, end, step) if now < end else end
        weight = 0.5 * (before + (following - now))
        if now == start:
            loss[:] = loss_start
        elif now >= end:
            loss[:] = loss_end
        else:
            fill_days(family, mean, variance, now, cell, levels, loss, tail)
        for i in range(size):
            cost[i] += weight * (
                holding * (levels[i] - mean * now) + (holding + backorder) * loss[i]
            )
        if now >= end:
            return
        before = following - now
        now = following
