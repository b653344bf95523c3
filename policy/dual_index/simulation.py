"""What given levels cost and serve in the long run: the same demand and lead times for all levels.

A day runs: receive what has come, review (every so many days), meet demand or owe it. It costs half
of what its start level costs plus half of its end level. Units are paid when they are demanded, so
that only the premium of the flexible supplier, set-ups, holding and backorders are left to count:
the controllable cost.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled
from policy.dual_index.arrivals import HOPELESS, NEVER_COMES, OVERDUE_SHARE
from policy.dual_index.rule import (
    GAP_POINTS,
    HORIZON,
    L_FLEXIBLE_Z,
    L_LEAN_LOT,
    L_LEAN_Z,
    L_WINDOW,
    LATE_SUPPLY,
    NO_FLEXIBLE,
    ORDINARY,
    POINTS,
    READINGS,
    WINDOW_POINTS,
    order_now,
    units_to_reach,
    upper_tail,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

MOST_OPEN = 256
BATCHES = 40

S_MONEY, S_WINDOWS, S_CLEAN_WINDOWS, S_CYCLES, S_CLEAN_CYCLES = range(5)
S_ASKED, S_SHORT, S_LINE_SHORT, S_FLEXIBLE, S_STOCK, S_DAYS = range(5, 11)
SUMS = 11
"""Columns of what is summed up in each batch of days."""


class World(NamedTuple):
    """One item, its suppliers and costs; days are whole."""

    mean: float
    sd: float
    review_days: int
    lean_days: float
    lean_sd_days: float
    flexible_days: float
    flexible_sd_days: float
    premium: float
    lean_setup: float
    flexible_setup: float
    holding: float
    backorder: float
    is_lost: bool
    """Demand that is not met is lost, and costs `backorder` once a unit."""
    line_units: float
    has_flexible: bool


@compiled
def _chance_by(shares: FloatArray, age: int, days: int) -> float:
    """Chance that an order of an age has come by the end of some days from now."""
    last = shares.size - 1
    now = shares[min(age, last)]
    if now >= 1.0:
        return 0.0
    then = shares[min(age + days - 1, last)] if days > 0 else now
    return float(max(then - now, 0.0) / (1.0 - now))


@compiled
def _chance_ever(shares: FloatArray, age: int, due: float) -> float:
    """Chance that an order which has not come comes at all; 0 where it is hopeless."""
    late = 1.0 - shares[min(age, shares.size - 1)]
    comes = (1.0 - NEVER_COMES) * late
    chance = comes / (comes + NEVER_COMES)
    if age <= due:
        return 1.0
    return 0.0 if chance < HOPELESS else chance


@compiled
def is_overdue(shares: FloatArray, age: int) -> bool:
    """Whether an order of an age is later than its supplier's lead times explain."""
    return bool(1.0 - shares[min(age, shares.size - 1)] < OVERDUE_SHARE)


@compiled
def _points(review: int, lean: int, flexible: int, window: int, days: IntArray) -> None:
    """Write the days of the POINTS, counted in whole days of demand."""
    for k in range(WINDOW_POINTS):
        days[k] = flexible + -(-window * (k + 1) // WINDOW_POINTS)
    gap = max(lean - flexible - window, 0)
    for k in range(GAP_POINTS):
        days[WINDOW_POINTS + k] = flexible + window + -(-gap * (k + 1) // GAP_POINTS)
    days[HORIZON] = lean + review


@compiled
def _is_urgent(
    day: int,
    level: float,
    count: int,
    placed: IntArray,
    is_lean: BoolArray,
    lean_shares: FloatArray,
    lean_days: float,
    flexible_days: float,
) -> bool:
    """Whether an extra review is due: an order is overdue since today, or the item is out and
    nothing is due before a flexible order of now would come."""
    is_coming = False
    for k in range(count):
        age = day - placed[k]
        if is_lean[k] and is_overdue(lean_shares, age) and not is_overdue(lean_shares, age - 1):
            return True
        due = (lean_days if is_lean[k] else flexible_days) - age
        is_coming |= 0.0 <= due <= flexible_days
    return level <= 0.0 and not is_coming


@compiled
def _project(
    day: int,
    level: float,
    days: IntArray,
    count: int,
    units: FloatArray,
    placed: IntArray,
    is_lean: BoolArray,
    ever: FloatArray,
    lean_shares: FloatArray,
    flexible_shares: FloatArray,
    supply: FloatArray,
    chance: FloatArray,
) -> float:
    """Write what has come by each point; return the units of the order of which that is open.

    Its chance is written apart, those of all others count in the supply.
    """
    supply[:], chance[:] = level, 0.0
    best, big_place = 0.0, -1
    for k in range(count):
        if ever[k] > 0.0:
            shares = lean_shares if is_lean[k] else flexible_shares
            age = day - placed[k]
            first = ever[k] * _chance_by(shares, age, days[0])
            last = ever[k] * _chance_by(shares, age, days[WINDOW_POINTS - 1])
            doubt = max(first * (1.0 - first), last * (1.0 - last)) * units[k]
            if doubt > best:
                best, big_place = doubt, k
    for k in range(count):
        if ever[k] > 0.0:
            shares = lean_shares if is_lean[k] else flexible_shares
            age = day - placed[k]
            comes = 0.0
            for j in range(HORIZON):
                if j == 0 or days[j] != days[j - 1]:
                    comes = ever[k] * _chance_by(shares, age, days[j])
                if k == big_place:
                    chance[j] = comes
                else:
                    supply[j] += comes * units[k]
    return units[big_place] if big_place >= 0 else 0.0


@compiled
def run_world(
    world: World,
    demand: FloatArray,
    lean_draws: IntArray,
    flexible_draws: IntArray,
    lean_shares: FloatArray,
    flexible_shares: FloatArray,
    levels: FloatArray,
    lots: FloatArray,
    sums: FloatArray,
) -> None:
    """Follow the levels; add up `sums`, shape (BATCHES, SUMS), which come as zeros."""
    lean_days = round(world.lean_days)
    flexible_days = round(world.flexible_days)
    review = world.review_days
    days = np.zeros(POINTS, np.int64)
    _points(review, lean_days, flexible_days, int(levels[L_WINDOW]), days)
    means, variances = np.zeros(POINTS), np.zeros(POINTS)
    for k in range(POINTS):
        means[k], variances[k] = world.mean * days[k], world.sd**2 * days[k]
    supply, chance, reading = np.zeros(POINTS), np.zeros(POINTS), np.zeros(READINGS)
    units = np.zeros(MOST_OPEN)
    placed = np.zeros(MOST_OPEN, np.int64)
    arrives = np.zeros(MOST_OPEN, np.int64)
    is_lean = np.zeros(MOST_OPEN, np.bool_)
    count = 0
    supply[:] = 0.0
    enough = stretched = -1e18
    if levels[L_FLEXIBLE_Z] > NO_FLEXIBLE:
        allowed = upper_tail(levels[L_FLEXIBLE_Z])
        enough = units_to_reach(means, variances, supply, chance, 0.0, allowed, WINDOW_POINTS)
        stretched = means[WINDOW_POINTS - 1] + 6.0 * np.sqrt(variances[WINDOW_POINTS - 1])
    safety = np.sqrt(variances[HORIZON] + (world.mean * world.lean_sd_days) ** 2)
    trigger = means[HORIZON] + levels[L_LEAN_Z] * safety
    ever = np.zeros(MOST_OPEN)
    level = float(np.floor(means[HORIZON] + levels[L_LEAN_LOT]))
    warm = 4 * (lean_days + review) + int(2 * levels[L_LEAN_LOT] / max(world.mean, 1e-9))
    warm = min(warm, demand.size // 4)
    counted_days = demand.size - warm
    lean_orders = flexible_orders = 0
    window_clean, cycle_clean = True, True
    next_arrival = 1 << 60
    last_extra = -1
    for day in range(demand.size):
        counted = day >= warm
        batch = (day - warm) * BATCHES // counted_days if counted else 0
        if next_arrival <= day:
            k = 0
            came = False
            next_arrival = 1 << 60
            while k < count:
                if arrives[k] <= day:
                    level += units[k]
                    came = True
                    count -= 1
                    units[k], placed[k] = units[count], placed[count]
                    arrives[k], is_lean[k] = arrives[count], is_lean[count]
                else:
                    next_arrival = min(next_arrival, arrives[k])
                    k += 1
            if came:
                if counted:
                    sums[batch, S_CYCLES] += 1.0
                    sums[batch, S_CLEAN_CYCLES] += 1.0 if cycle_clean else 0.0
                cycle_clean = True
        if (day - flexible_days) % review == 0:
            if counted:
                sums[batch, S_WINDOWS] += 1.0
                sums[batch, S_CLEAN_WINDOWS] += 1.0 if window_clean else 0.0
            window_clean = True
        money = 0.0
        is_review = day % review == 0
        is_extra = False
        if world.has_flexible and not is_review and last_extra < day - day % review:
            is_extra = _is_urgent(
                day, level, count, placed, is_lean, lean_shares, world.lean_days,
                world.flexible_days,
            )  # fmt: skip
            if is_extra:
                last_extra = day
        if is_review or is_extra:
            position, is_stretched = level, False
            for k in range(count):
                shares = lean_shares if is_lean[k] else flexible_shares
                due = world.lean_days if is_lean[k] else world.flexible_days
                ever[k] = _chance_ever(shares, day - placed[k], due)
                position += ever[k] * units[k]
                if is_lean[k] and is_overdue(lean_shares, day - placed[k]):
                    is_stretched = True
            lean, flexible = 0, 0
            # Most reviews order nothing: neither level is near, whatever is on its way.
            if position <= trigger or level < (stretched if is_stretched else enough):
                big = 0.0
                if count > 0:
                    big = _project(
                        day, level, days, count, units, placed, is_lean, ever,
                        lean_shares, flexible_shares, supply, chance,
                    )  # fmt: skip
                else:
                    supply[:], chance[:] = level, 0.0
                lean, flexible = order_now(
                    means,
                    variances,
                    supply,
                    chance,
                    big,
                    position,
                    world.lean_days,
                    world.lean_sd_days,
                    float(days[HORIZON]),
                    is_review,
                    LATE_SUPPLY if is_stretched else ORDINARY,
                    levels,
                    lots,
                    reading,
                )
            if lean > 0 and count < MOST_OPEN:
                lead = lean_draws[lean_orders % lean_draws.size]
                lean_orders += 1
                units[count], placed[count], is_lean[count] = lean, day, True
                arrives[count] = day + lead
                next_arrival = min(next_arrival, arrives[count])
                count += 1
                money += world.lean_setup
            if flexible > 0 and count < MOST_OPEN:
                lead = flexible_draws[flexible_orders % flexible_draws.size]
                flexible_orders += 1
                units[count], placed[count], is_lean[count] = flexible, day, False
                arrives[count] = day + lead
                next_arrival = min(next_arrival, arrives[count])
                count += 1
                money += world.flexible_setup + world.premium * flexible
                if counted:
                    sums[batch, S_FLEXIBLE] += flexible
            if next_arrival <= day:  # a lead time of 0 days delivers before today's demand
                k = 0
                while k < count:
                    if arrives[k] <= day:
                        level += units[k]
                        count -= 1
                        units[k], placed[k] = units[count], placed[count]
                        arrives[k], is_lean[k] = arrives[count], is_lean[count]
                    else:
                        k += 1
                next_arrival = 1 << 60
                for k in range(count):
                    next_arrival = min(next_arrival, arrives[k])
        start = level
        level -= demand[day]
        served = min(max(start, 0.0), demand[day])
        if level < 0.0:
            window_clean, cycle_clean = False, False
        missing = demand[day] - served
        if world.is_lost:
            level = max(level, 0.0)
        if counted:
            held = 0.5 * (max(start, 0.0) + max(level, 0.0))
            owed = 0.5 * (max(-start, 0.0) + max(-level, 0.0))
            money += world.holding * held
            money += world.backorder * (missing if world.is_lost else owed)
            sums[batch, S_MONEY] += money
            sums[batch, S_DAYS] += 1.0
            sums[batch, S_STOCK] += held
            sums[batch, S_ASKED] += demand[day]
            sums[batch, S_SHORT] += missing
            if missing > 0.0:
                lines_served = np.floor(served / world.line_units + 1e-9)
                sums[batch, S_LINE_SHORT] += demand[day] - lines_served * world.line_units
