"""Build the terms of one item's dynamic program from two demand moments and a family.

The daily cost of net inventory is half the cost at the day's start plus half at its end (Eq. 10 of
the paper, corrected as P17), so A, B and C are trapezoids over days. Their values at a level are
exact for the family, whatever the cell; only E V(b - D_T) is discretised: demand is spread over
the two neighbouring cells (hat weights), which keeps its mean, and its variance is lowered by
cell^2 / 6 first, which is what hat weights add.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled
from policy.dual_kernel import Terms
from policy.loss_kernel import (
    COUNT_NEGATIVE_BINOMIAL,
    COUNT_POISSON,
    SPREAD_GAMMA,
    SPREAD_NORMAL,
    fill_loss,
)

FloatArray = npt.NDArray[np.float64]

FAMILY_NORMAL = 1
FAMILY_POISSON = 2
FAMILY_NEGATIVE_BINOMIAL = 3
FAMILY_GAMMA = 4

_MOST_DAILY_STEPS = 32
_NEGLIGIBLE = 1e-10


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


@compiled
def fill_transition(
    family: int,
    mean: float,
    variance: float,
    days: float,
    cell: float,
    at_least: FloatArray,
    beyond: FloatArray,
) -> int:
    """Write P(D_T >= k cells) and E(D_T - k cells)+ for k = 0..; return the cells that matter."""
    size = at_least.size
    levels = np.arange(size).astype(np.float64) * cell
    tail = np.empty(size)
    code = spread_code(family, cell)
    counts = code >= COUNT_POISSON
    total = mean * days
    spread = variance * days if counts else max(0.0, variance * days - cell * cell / 6.0)
    fill_loss(code, total, spread, demand_skew(family, total, spread), levels, beyond, tail)
    beyond[0] = total
    at_least[0] = 1.0
    last = 0
    for k in range(1, size):
        chance = tail[k - 1] if counts else (beyond[k - 1] - beyond[k]) / cell
        at_least[k] = min(at_least[k - 1], max(0.0, chance))
        if at_least[k] < _NEGLIGIBLE:
            at_least[k] = 0.0
        else:
            last = k
    return last


@compiled
def fill_joint(
    family: int,
    mean: float,
    variance: float,
    wait_days: float,
    rest_days: float,
    cell: float,
    levels: FloatArray,
    tail_wait: FloatArray,
) -> tuple[FloatArray, int]:
    """P(D_wait <= a, D_wait + D_rest > b): one row per level a from the first where it is positive.

    `tail_wait` is P(D_wait > level). With no wait the table is the single row P(D_rest > b).
    """
    size = levels.size
    whole = spread_code(family, cell) >= COUNT_POISSON
    if wait_days <= 0.0:
        row = np.empty((1, size))
        fill_tail(family, mean, variance, rest_days, cell, levels, row[0])
        return row, 0
    first = 0
    while first < size - 1 and tail_wait[first] >= 1.0:
        first += 1
    last = first
    while last < size - 1 and tail_wait[last] > _NEGLIGIBLE:
        last += 1
    distance = (np.arange(size).astype(np.float64) + (0.0 if whole else 0.5)) * cell
    rest_tail = np.empty(size)
    fill_tail(family, mean, variance, rest_days, cell, distance, rest_tail)
    table = np.zeros((last - first + 1, size))
    for a in range(first, last + 1):
        mass = (tail_wait[a - 1] if a > 0 else 1.0) - tail_wait[a]
        row = table[a - first]
        if a > first:
            row[a:] = table[a - first - 1, a:]
        for b in range(a, size):
            row[b] += mass * rest_tail[b - a]
    return table, first


@compiled
def build_terms(
    family: int,
    mean: float,
    variance: float,
    review_days: float,
    lean_days: float,
    flexible_days: float,
    holding: float,
    backorder: float,
    deep_slope: float,
    cell: float,
    levels: FloatArray,
) -> Terms:
    """Return all terms of the dynamic program on `levels` (ascending, one cell apart).

    Where an order outlives the review, a level is the inventory position and the stock costs are
    those of the days [tau_2, T + tau_2), the first that this review can still change.
    """
    size = levels.size
    cover = review_days + flexible_days
    outlives = lean_days >= review_days
    first_day = flexible_days if outlives else 0.0
    last_day = cover if outlives else review_days
    days = (first_day, flexible_days, lean_days, last_day, cover)
    loss, tail = np.empty((5, size)), np.empty((5, size))
    for row in range(5):
        fill_days(family, mean, variance, days[row], cell, levels, loss[row], tail[row])
    costs = np.empty((3, size))
    for part in range(3):
        fill_segment_cost(
            family,
            mean,
            variance,
            days[part],
            days[part + 1],
            holding,
            backorder,
            cell,
            levels,
            loss[part],
            loss[part + 1],
            costs[part],
        )
    fill_tail(family, mean, variance, lean_days, cell, levels, tail[2])
    wait = lean_days if lean_days > flexible_days else 0.0
    joint, first = fill_joint(family, mean, variance, wait, cover - wait, cell, levels, tail[2])
    at_least, beyond = np.empty(size), np.empty(size)
    last = fill_transition(family, mean, variance, review_days, cell, at_least, beyond)
    mass = np.zeros(last + 1)
    for k in range(last + 1):
        mass[k] = at_least[k] - (at_least[k + 1] if k + 1 < size else 0.0)
    return Terms(
        levels,
        costs[0],
        costs[1],
        costs[2],
        tail[2] if wait > 0.0 else np.zeros(size),
        joint,
        first,
        loss[2] - loss[1],
        loss[4] - loss[2],
        np.zeros(size),
        mass,
        at_least,
        beyond,
        deep_slope,
    )
