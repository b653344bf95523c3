"""Build the terms of one item's dynamic program from two demand moments and a family.

Only E V(b - D_T) is discretised: demand is spread over the two neighbouring cells (hat weights),
which keeps its mean, and its variance is lowered by cell^2 / 6 first, which is what hat weights
add.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled
from policy.solver.columns import (
    P_BACKORDER,
    P_FLEXIBLE_DAYS,
    P_HOLDING,
    P_LEAN_DAYS,
    P_MEAN,
    P_REVIEW,
)
from policy.solver.demand_days import (
    demand_skew,
    fill_days,
    fill_segment_cost,
    fill_tail,
    spread_code,
)
from policy.solver.expected_loss import COUNT_POISSON, fill_loss
from policy.solver.order_rules import decided_days

FloatArray = npt.NDArray[np.float64]

_NEGLIGIBLE = 1e-10


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
    row: FloatArray,
    family: int,
    variance: float,
    deep_slope: float,
    cell: float,
    levels: FloatArray,
) -> Terms:
    """Return all terms of the dynamic program on `levels` (ascending, one cell apart).

    Where an order outlives the review, a level is the inventory position and the stock costs are
    those of the days [tau_2, T + tau_2), the first that this review can still change.
    """
    size = levels.size
    mean, holding, backorder = row[P_MEAN], row[P_HOLDING], row[P_BACKORDER]
    review_days, lean_days, flexible_days = row[P_REVIEW], row[P_LEAN_DAYS], row[P_FLEXIBLE_DAYS]
    cover = review_days + flexible_days
    first_day, _, _, last_day = decided_days(row)
    days = (first_day, flexible_days, lean_days, last_day, cover)
    loss, tail = np.empty((5, size)), np.empty((5, size))
    for k in range(5):
        fill_days(family, mean, variance, days[k], cell, levels, loss[k], tail[k])
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
