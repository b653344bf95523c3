"""The lattice of one item: which family of demand, how deep, how high, and how wide a cell."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled
from policy.solver.columns import (
    FAMILY_AUTO,
    FAMILY_NEGATIVE_BINOMIAL,
    FAMILY_NORMAL,
    FAMILY_POISSON,
    LEVELS_CAP,
    P_BACKORDER,
    P_CAPACITY,
    P_FAMILY,
    P_FLEXIBLE_DAYS,
    P_FLEXIBLE_LEAST,
    P_FLEXIBLE_PACK,
    P_FLEXIBLE_SETUP,
    P_HOLDING,
    P_LEAN_DAYS,
    P_LEAN_LEAST,
    P_LEAN_PACK,
    P_LEAN_SETUP,
    P_MEAN,
    P_REVIEW,
    P_SD,
    P_SERVICE_TYPE,
    P_TARGET,
    SERVICE_PAPER,
)
from policy.solver.demand_days import demand_skew, fill_tail
from policy.solver.order_rules import outlives_review

FloatArray = npt.NDArray[np.float64]

LEVELS_MOST = 320
WORK_CELLS = 5000.0
UNIT_WORK_CELLS = 12000.0  # single units are worth more work: counts are exact on them


@compiled
def named_family(row: FloatArray) -> int:
    """Return the row's family; for AUTO choose by the dispersion index sd^2 / mean of a day.

    Above 1.1 negative binomial, below 0.9 normal if that is safely positive over a review period
    (coefficient of variation at most 1/4), Poisson otherwise.
    """
    family = int(row[P_FAMILY])
    if family != FAMILY_AUTO:
        return family
    mean, sd = row[P_MEAN], row[P_SD]
    index = sd * sd / mean if mean > 0.0 else 0.0
    if index > 1.1:
        return FAMILY_NEGATIVE_BINOMIAL
    if index < 0.9 and sd <= 0.25 * mean * math.sqrt(row[P_REVIEW]):
        return FAMILY_NORMAL
    return FAMILY_POISSON


@compiled
def demand_reach(row: FloatArray, family: int, variance: float, days: float, z: float) -> float:
    """A level that demand of `days` days passes rarely: mean + z sd with a skewness correction."""
    mean, spread = row[P_MEAN] * days, variance * days
    skew = min(demand_skew(family, mean, spread), 6.0)
    return float(mean + math.sqrt(spread) * (z + skew * (z * z - 1.0) / 6.0))


@compiled
def order_scale(row: FloatArray) -> tuple[float, float]:
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
def _cell_size(row: FloatArray, span: float, reach: float) -> float:
    """Units per cell: one where the work allows it, else so that levels * demand is bounded.

    A pack or a lean capacity that binds becomes a whole number of cells, as far as the cap on
    levels allows it.
    """
    finest = span / (LEVELS_CAP - 8.0)
    cell = max(math.sqrt(span * reach / WORK_CELLS), span / (LEVELS_MOST - 4.0))
    if cell <= 1.0 or (span <= LEVELS_MOST - 4.0 and span * reach <= UNIT_WORK_CELLS):
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
def paper_level(row: FloatArray, family: int, variance: float, cell: float) -> float:
    """Smallest level U with P(D_{T+tau2} <= U) >= target, by bisection."""
    days = row[P_REVIEW] + row[P_FLEXIBLE_DAYS]
    low, high = -1.0, demand_reach(row, family, variance, days, 12.0) + 2.0
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
    lot, backlog = order_scale(row)
    cover = row[P_REVIEW] + max(row[P_LEAN_DAYS], row[P_FLEXIBLE_DAYS])
    least = max(row[P_LEAN_LEAST], row[P_FLEXIBLE_LEAST])
    packs = row[P_LEAN_PACK] + row[P_FLEXIBLE_PACK]
    top = demand_reach(row, named_family(row), variance, cover, 4.0) + 1.2 * lot + least + packs
    review_sd = math.sqrt(variance * row[P_REVIEW])
    return 1.2 * backlog + 0.5 * review_sd + 0.1 * row[P_MEAN] * row[P_REVIEW], top


@compiled
def make_levels(
    row: FloatArray, family: int, variance: float, widen_down: float, widen_up: float
) -> FloatArray:
    """Return the lattice: from a backlog at which everything is ordered to beyond useful levels."""
    bottom, top = lattice_reach(row, variance)
    top, bottom = top * widen_up + 1.0, bottom * widen_down + 1.0
    if outlives_review(row):  # what is on its way covers the wait for the flexible supplier
        bottom -= row[P_MEAN] * row[P_FLEXIBLE_DAYS]
    reach = demand_reach(row, family, variance, row[P_REVIEW], 5.0) + 1.0
    cell = _cell_size(row, top + bottom, reach)
    zero = 0.0
    if row[P_SERVICE_TYPE] == SERVICE_PAPER:
        level = paper_level(row, family, variance, cell)
        zero = level - cell * math.floor(level / cell)
    low = zero - cell * math.ceil(bottom / cell + 1.0)
    count = math.ceil((top - low) / cell) + 1
    steps: FloatArray = np.arange(count).astype(np.float64)
    return low + cell * steps
