"""What the rule orders now, from the projection of stock and demand and the fitted levels.

Flexible: so much that on no day which only an order of now can still help (from its arrival until
that of the next review's order) the chance of a stock-out is above the fitted one. The largest
order whose arrival is uncertain either has come by then or has not; all others count with their
chance. Lean: where the total position is at or below s, up to S; what the flexible supplier will be
asked for before a lean order could arrive counts as if it were ordered.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

WINDOW_POINTS = 7
GAP_POINTS = 8
POINTS = WINDOW_POINTS + GAP_POINTS + 1
"""Days looked at: those that a flexible order of now helps, those until a lean order of now
arrives, and the end of what that one covers."""
HORIZON = POINTS - 1
NO_FLEXIBLE = -9.0
"""A safety factor at or below this means that the flexible supplier is not asked."""
ORDINARY, LATE_SUPPLY, RAISED_DEMAND = range(3)
"""How a review is: as ever; a lean order is overdue beyond what its supplier's lead times explain,
or will come later than one of now; a campaign or surge is near, on, or was within a lead time."""
STRETCHED_Z, STRETCHED_UP_Z = (0.0, 0.8, 1.5), (0.0, 1.4, 2.0)
"""The flexible supplier's least factors for each: from which it is asked, up to which it brings."""
SMALLEST_ORDER = 0.5
SMALLEST_STEP = 0.02
"""Units to which a quantity is found."""

L_LEAN_Z, L_LEAN_LOT, L_FLEXIBLE_Z, L_FLEXIBLE_UP_Z, L_FLEXIBLE_LOT = range(5)
L_WINDOW, L_COVER = range(5, 7)
LEVELS = 7
"""Columns of fitted levels: the lean trigger's safety factor and the units from s to S; the factor
from which the flexible supplier is asked, the one up to which it brings, and units beyond; the days
after its arrival that are looked at to see whether it is asked, and those that it then covers."""

Q_LEAN_LEAST, Q_LEAN_PACK, Q_LEAN_MOST, Q_FLEXIBLE_LEAST, Q_FLEXIBLE_PACK = range(5)
LOTS = 5
"""Columns of what suppliers accept, in units: least order, pack, most."""

R_POSITION, R_PROMISED, R_TRIGGER, R_TARGET, R_NEED = range(5)
READINGS = 5
"""Columns of what a decision looked at: total position with what the flexible supplier brings now,
what it will be asked for later, lean trigger and target, units that the flexible supplier should
bring."""


@compiled
def upper_tail(z: float) -> float:
    """P(N > z) of a standard normal N."""
    return 0.5 * math.erfc(z * 0.7071067811865476)


@compiled
def shortage_chance(stock: float, big: float, comes: float, mean: float, sd: float) -> float:
    """Chance that demand exceeds the stock, with an order of `big` units that may have come."""
    spread = max(sd, 1e-9)
    chance = (1.0 - comes) * upper_tail((stock - mean) / spread)
    if comes > 0.0:
        chance += comes * upper_tail((stock + big - mean) / spread)
    return chance


@compiled
def window_chance(
    mean: FloatArray,
    variance: FloatArray,
    supply: FloatArray,
    chance: FloatArray,
    big: float,
    more: float,
    points: int,
) -> float:
    """Mean chance of a stock-out over the first points, with so many units more."""
    total, one = 0.0, 0.0
    for k in range(points):
        if k == 0 or mean[k] != mean[k - 1]:  # a short window has fewer days than points
            sd = math.sqrt(variance[k])
            one = shortage_chance(supply[k] + more, big, chance[k], mean[k], sd)
        total += one
    return total / points


@compiled
def units_to_reach(
    mean: FloatArray,
    variance: FloatArray,
    supply: FloatArray,
    chance: FloatArray,
    big: float,
    allowed: float,
    points: int,
) -> float:
    """Least units that bring the mean chance of a stock-out down to the allowed; 0 if it is."""
    if window_chance(mean, variance, supply, chance, big, 0.0, points) <= allowed:
        return 0.0
    low, high = 0.0, 0.0
    for k in range(points):
        high = max(high, mean[k] + 6.0 * math.sqrt(variance[k]) - supply[k])
    for _ in range(40):
        if high - low < SMALLEST_STEP:
            break
        middle = 0.5 * (low + high)
        if window_chance(mean, variance, supply, chance, big, middle, points) > allowed:
            low = middle
        else:
            high = middle
    return high


@compiled
def covered_points(levels: FloatArray) -> int:
    """Points of the window that lie in the days which a flexible order covers."""
    share = min(float(levels[L_COVER]) / max(float(levels[L_WINDOW]), 1e-9), 1.0)
    return max(math.ceil(share * WINDOW_POINTS - 1e-9), 1)


@compiled
def lot(units: float, least: float, pack: float, most: float) -> int:
    """Raise an order to the least one and whole packs, down to the most; 0 where it is nothing."""
    if units < SMALLEST_ORDER or most < max(least, 1.0):
        return 0
    size = max(pack, 1.0)
    wanted = max(math.ceil(units - 0.5), least, 1.0)
    packs = math.ceil(wanted / size - 1e-9)
    if packs * size > most:
        packs = math.floor(most / size + 1e-9)
    whole = packs * size
    return int(whole) if whole >= least else 0


@compiled
def order_now(
    mean: FloatArray,
    variance: FloatArray,
    supply: FloatArray,
    chance: FloatArray,
    big: float,
    position: float,
    lean_days: float,
    lean_sd_days: float,
    cover_days: float,
    allow_lean: bool,
    strain: int,
    levels: FloatArray,
    lots: FloatArray,
    reading: FloatArray,
) -> tuple[int, int]:
    """Return (lean, flexible) units of one item.

    `mean`, `variance`: of demand from now to each of the POINTS; `supply`: stock less backlog and
    what has come by then without the big order; `chance`: that the big order of `big` units has
    come; `position`: stock less backlog and all that is on order and still expected.
    """
    z = levels[L_FLEXIBLE_Z]
    need = 0.0
    flexible = 0
    if z > NO_FLEXIBLE:
        covered = covered_points(levels)
        looked_at, up_z = WINDOW_POINTS, max(levels[L_FLEXIBLE_UP_Z], z)
        if strain > ORDINARY:
            looked_at = covered
            z, up_z = max(z, STRETCHED_Z[strain]), max(up_z, STRETCHED_UP_Z[strain])
        out = window_chance(mean, variance, supply, chance, big, 0.0, looked_at)
        if out > upper_tail(z):
            allowed = upper_tail(up_z)
            need = units_to_reach(mean, variance, supply, chance, big, allowed, covered)
            wanted = need + levels[L_FLEXIBLE_LOT]
            if need >= SMALLEST_ORDER:
                flexible = lot(wanted, lots[Q_FLEXIBLE_LEAST], lots[Q_FLEXIBLE_PACK], 1e18)
    rate = mean[HORIZON] / max(cover_days, 1e-9)
    sd = math.sqrt(variance[HORIZON] + (rate * lean_sd_days) ** 2)
    trigger = mean[HORIZON] + levels[L_LEAN_Z] * sd
    target = trigger + levels[L_LEAN_LOT]
    total, promised = position + flexible, 0.0
    lean = 0
    if allow_lean and total <= trigger:
        if z > NO_FLEXIBLE:
            for k in range(WINDOW_POINTS, HORIZON):
                short = mean[k] - supply[k] - chance[k] * big - flexible
                promised = max(promised, short)
        if total + promised <= trigger:
            wanted = target - total - promised
            lean = lot(wanted, lots[Q_LEAN_LEAST], lots[Q_LEAN_PACK], lots[Q_LEAN_MOST])
    reading[R_POSITION], reading[R_PROMISED] = total, promised
    reading[R_TRIGGER], reading[R_TARGET], reading[R_NEED] = trigger, target, need
    return lean, flexible
