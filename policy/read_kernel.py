"""Compiled reading of a solved policy at one stock position: candidates, quantities, reason.

Each candidate is rounded to whole units, packs and limits first and priced then, so that the costs
told are those of the quantities told.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled
from policy.item_kernel import (
    A_CELL,
    A_CHOICES,
    A_ENDS,
    A_INTERVALS,
    A_LEVELS,
    A_LOWEST,
    A_MET,
    A_PENALTY,
    A_WEIGHT,
    L_BOTH_FINAL,
    L_BOTH_FLEXIBLE,
    L_CHOICE,
    L_FLEXIBLE,
    L_LEAN,
    P_BACKORDER,
    P_CAPACITY,
    P_FLEXIBLE_DAYS,
    P_FLEXIBLE_LEAST,
    P_FLEXIBLE_PACK,
    P_FLEXIBLE_SETUP,
    P_FLEXIBLE_UNIT,
    P_HOLDING,
    P_LEAN_DAYS,
    P_LEAN_LEAST,
    P_LEAN_PACK,
    P_LEAN_SETUP,
    P_LEAN_UNIT,
    P_MEAN,
    P_REVIEW,
    P_SERVICE_TYPE,
    PLAN_ROWS,
    SERVICE_COST,
    SERVICE_PAPER,
    T_AFTER,
    T_BOTH,
    T_FAST,
    T_FLEXIBLE,
    T_LEAN,
    T_NOTHING,
    T_PREMIUM,
    T_PRICED,
    T_SHORT,
    T_WAIT,
    outlives_review,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
LevelArray = npt.NDArray[np.int16]

REASON_POSITION_COVERS = 0
REASON_COST_OPTIMAL = 1
REASON_SERVICE_TARGET = 2
REASON_SERVICE_OUT_OF_REACH = 3
REASON_LEAN_CAPACITY_BOUND = 4
REASON_MINIMUM_ORDER = 5
REASON_PACK_SIZE = 6
REASON_FLEXIBLE_ONLY_SURGE = 7
REASON_NO_DEMAND = 8
REASON_GAP_RULE = 9

# Columns of a decision's float row.
D_NOTHING = 0
D_LEAN = 1
D_FLEXIBLE = 2
D_BOTH = 3
D_PREMIUM = 4
D_HOLDING = 5
D_BACKORDER = 6
D_REVIEW_SERVICE = 7
READINGS = 8

# Columns of a decision's row of whole numbers.
O_LEAN = 0
O_FLEXIBLE = 1
O_REASON = 2
O_CANDIDATES = 3  # (lean, flexible) units of: lean only, flexible only, both
ORDERS = 9


@compiled
def whole_order(wanted: float, least: float, most: float, pack: float) -> tuple[int, int]:
    """Round a wanted quantity (> 0) to whole units, packs and limits; return it and what bound it.

    The pack is the nearest multiple; never below the minimum after rounding, never above `most`.
    The second number is a reason code, or REASON_COST_OPTIMAL when nothing bound.
    """
    lot = max(1.0, math.ceil(pack - 1e-9))
    count = math.floor(wanted / lot + 0.5)
    reason = REASON_PACK_SIZE if lot > 1.0 and abs(count * lot - wanted) > 0.5 else 1
    smallest = math.ceil(max(least, 1.0) / lot - 1e-9)
    if count <= smallest:
        count, reason = smallest, REASON_MINIMUM_ORDER if least > 1.0 else reason
    if most < np.inf and count * lot > most - 0.5:
        count = min(count, math.floor(most / lot + 1e-9))
        reason = REASON_LEAN_CAPACITY_BOUND
    return int(count * lot), reason


@compiled
def _at_limit(wanted: float, cells: int, cell: float, row: FloatArray) -> float:
    """The limit itself where the lattice chose the least or the most that a lean order may be."""
    if row[P_LEAN_LEAST] > 1.0 and cells <= math.ceil(row[P_LEAN_LEAST] / cell - 1e-9):
        return float(min(wanted, row[P_LEAN_LEAST]))
    if row[P_CAPACITY] < np.inf and cells >= math.floor(row[P_CAPACITY] / cell + 1e-6):
        return float(max(wanted, row[P_CAPACITY]))
    return wanted


@compiled
def _level_units(levels: LevelArray, answer: FloatArray, start: int, near: int, row: int) -> float:
    """Order-up-to level in units: the two plans mixed by weight; -inf if the plan has none."""
    met, below = levels[start + near, row], levels[start + near, row + PLAN_ROWS]
    if met < 0:
        return -np.inf
    mixed = float(met)
    if below >= 0:
        mixed = answer[A_WEIGHT] * met + (1.0 - answer[A_WEIGHT]) * below
    return float(answer[A_LOWEST] + answer[A_CELL] * mixed)


@compiled
def _tabled(answer: FloatArray, levels: LevelArray, start: int, near: int, place: float) -> int:
    """The candidate that the interval table names for a place in cells."""
    count = int(answer[A_INTERVALS])
    if count < 0:
        return int(levels[start + near, L_CHOICE])
    for k in range(count):
        if place < answer[A_ENDS + k]:
            return int(answer[A_CHOICES + k])
    return T_NOTHING


@compiled
def _at(tables: FloatArray, start: int, size: int, place: float, table: int) -> float:
    """A table at a place in cells: straight on below the lattice, level above it.

    Above the lattice the differences between candidates are those of its highest level.
    """
    i = int(min(max(math.floor(place), 0.0), size - 2.0))
    low, high = tables[start + i, table], tables[start + i + 1, table]
    return low + (min(place, size - 1.0) - i) * (high - low) if low < np.inf else np.inf


@compiled
def _between(tables: FloatArray, start: int, size: int, place: float) -> float:
    """Money between the two deliveries, the price on stock-outs included."""
    i = int(min(max(math.floor(place), 0.0), size - 2.0))
    low, high = tables[start + i], tables[start + i + 1]
    part = min(place, size - 1.0) - i
    from_low, from_high = low[T_FAST] + low[T_PRICED], high[T_FAST] + high[T_PRICED]
    return float(from_low + part * (from_high - from_low))


@compiled
def _after(tables: FloatArray, start: int, size: int, place: float) -> float:
    """Money from the lean delivery on, future included, with this much bought by then."""
    i = int(min(max(math.floor(place), 0.0), size - 2.0))
    low, high = tables[start + i], tables[start + i + 1]
    part = min(place, size - 1.0) - i
    from_low = low[T_NOTHING] - low[T_WAIT] - low[T_FAST] - low[T_PRICED]
    from_high = high[T_NOTHING] - high[T_WAIT] - high[T_FAST] - high[T_PRICED]
    return float(from_low + part * (from_high - from_low))


@compiled
def _target_levels(
    choice: int, here: float, answer: FloatArray, levels: LevelArray, start: int, near: int
) -> tuple[float, float]:
    """Levels to which a candidate lifts stock by flexible and then by lean; -inf if it cannot."""
    if choice == T_LEAN:
        return here, _level_units(levels, answer, start, near, L_LEAN)
    if choice == T_FLEXIBLE:
        return _level_units(levels, answer, start, near, L_FLEXIBLE), here
    return (
        _level_units(levels, answer, start, near, L_BOTH_FLEXIBLE),
        _level_units(levels, answer, start, near, L_BOTH_FINAL),
    )


@compiled
def _whole_split(
    choice: int,
    wanted_fast: float,
    wanted_all: float,
    row: FloatArray,
    levels: LevelArray,
    start: int,
    near: int,
    cell: float,
    split: IntArray,
) -> int:
    """Write whole (lean, flexible) units of a candidate; return what bound them."""
    reason = REASON_COST_OPTIMAL
    split[0], split[1] = 0, 0
    if choice != T_LEAN:
        split[1], reason = whole_order(
            wanted_fast, row[P_FLEXIBLE_LEAST], np.inf, row[P_FLEXIBLE_PACK]
        )
    if choice != T_FLEXIBLE:
        from_level = near if choice == T_LEAN else levels[start + near, L_BOTH_FLEXIBLE]
        to_level = levels[start + near, L_LEAN if choice == T_LEAN else L_BOTH_FINAL]
        wanted = _at_limit(max(wanted_all - split[1], 0.0), to_level - from_level, cell, row)
        split[0], bound = whole_order(wanted, row[P_LEAN_LEAST], row[P_CAPACITY], row[P_LEAN_PACK])
        if bound != REASON_COST_OPTIMAL:
            reason = bound
    return reason


@compiled
def _price_split(
    choice: int,
    here: float,
    scale: float,
    to_fast: float,
    to_final: float,
    row: FloatArray,
    answer: FloatArray,
    tables: FloatArray,
    start: int,
    split: IntArray,
) -> float:
    """Money of a candidate with its whole quantities.

    The table has the money of the best quantities of the lattice; the terms of the dynamic program
    at both levels tell what the rounded ones change.
    """
    cell, size, low = answer[A_CELL], int(answer[A_LEVELS]), answer[A_LOWEST]
    tabled = _at(tables, start, size, (here - low) / cell, choice)
    if not tabled < np.inf:
        split[0], split[1] = 0, 0
        return np.inf
    fast, final = here + split[1] * scale, here + (split[0] + split[1]) * scale
    if to_fast == -np.inf or to_final == -np.inf:  # no room: the table has the smallest order
        to_fast, to_final = fast, final
    to_final = max(to_fast, to_final)
    bought = row[P_FLEXIBLE_UNIT] * split[1] if split[1] > 0 else 0.0
    saved = row[P_FLEXIBLE_UNIT] * (to_fast - here)
    if split[0] > 0:
        bought += row[P_LEAN_UNIT] * split[0]
        saved += row[P_LEAN_UNIT] * (to_final - to_fast)
    place = (fast - low) / cell
    change = _between(tables, start, size, place)
    change -= _between(tables, start, size, (to_fast - low) / cell)
    change += _after(tables, start, size, (final - low) / cell)
    change -= _after(tables, start, size, (to_final - low) / cell)
    setup = (row[P_FLEXIBLE_SETUP] if split[1] > 0 else 0.0) + (
        row[P_LEAN_SETUP] if split[0] > 0 else 0.0
    )
    return float(setup + bought + (tabled - setup - saved + change) / scale)


@compiled
def _chosen_reason(bound: int, allow_lean: bool, row: FloatArray, answer: FloatArray) -> int:
    """Name what bound an order that is not nothing."""
    if not allow_lean:
        return REASON_FLEXIBLE_ONLY_SURGE
    if bound != REASON_COST_OPTIMAL:
        return bound
    if answer[A_MET] == 0.0:
        return REASON_SERVICE_OUT_OF_REACH
    if answer[A_PENALTY] > 0.0 or row[P_SERVICE_TYPE] == SERVICE_PAPER:
        return REASON_SERVICE_TARGET
    return REASON_COST_OPTIMAL


@compiled
def _beyond(tables: FloatArray, start: int, size: int, place: float, table: int) -> float:
    """A stock cost at a place in cells, which goes straight on beyond both ends."""
    i = int(min(max(math.floor(place), 0.0), size - 2.0))
    low, high = tables[start + i, table], tables[start + i + 1, table]
    return float(low + (place - i) * (high - low))


@compiled
def _write_outlook(
    here: float,
    scale: float,
    row: FloatArray,
    answer: FloatArray,
    tables: FloatArray,
    start: int,
    orders: IntArray,
    reading: FloatArray,
) -> None:
    """Write expected holding and backorder money of the days decided, and the review service.

    A day's cost is linear in net inventory but for the backlog, whose share follows from it.
    """
    cell, size, low = answer[A_CELL], int(answer[A_LEVELS]), answer[A_LOWEST]
    fast = here + orders[O_FLEXIBLE] * scale
    final = fast + orders[O_LEAN] * scale
    first, quick, slow, last = decided_days(row)
    cost = _beyond(tables, start, size, (here - low) / cell, T_WAIT)
    cost += _beyond(tables, start, size, (fast - low) / cell, T_FAST)
    cost += _beyond(tables, start, size, (final - low) / cell, T_AFTER)
    net = (quick - first) * here + (slow - quick) * fast + (last - slow) * final
    net -= row[P_MEAN] * (last * last - first * first) / 2.0
    holding, backorder = row[P_HOLDING], row[P_BACKORDER]
    short = max(0.0, (cost - holding * net) / (holding + backorder))
    reading[D_BACKORDER] = backorder * short / scale
    reading[D_HOLDING] = max(0.0, holding * (net + short)) / scale
    place = min(max((final - low) / cell, 0.0), size - 1.0)
    reading[D_REVIEW_SERVICE] = 1.0 - _at(tables, start, size, place, T_SHORT)


@compiled
def decided_days(row: FloatArray) -> tuple[float, float, float, float]:
    """First day whose stock cost this review decides, both delivery days, and the last day."""
    quick, slow = row[P_FLEXIBLE_DAYS], row[P_LEAN_DAYS]
    if outlives_review(row):
        return quick, quick, slow, row[P_REVIEW] + quick
    return 0.0, quick, slow, row[P_REVIEW]


@compiled
def read_policy(
    position: float,
    mean: float,
    allow_lean: bool,
    row: FloatArray,
    answer: FloatArray,
    tables: FloatArray,
    levels: LevelArray,
    start: int,
    reading: FloatArray,
    orders: IntArray,
) -> None:
    """Decide one item: write its readings (columns D_...) and its orders (columns O_...).

    `tables` (level, table) and `levels` (level, row) hold many policies; this one begins at
    `start`.
    """
    cell, size = answer[A_CELL], int(answer[A_LEVELS])
    scale = row[P_MEAN] / mean
    here = position * scale
    place = (here - answer[A_LOWEST]) / cell
    i = int(min(max(math.floor(place), 0.0), size - 2.0))
    near = i + 1 if min(place, size - 1.0) - i >= 0.5 else i
    reading[D_NOTHING] = _at(tables, start, size, place, T_NOTHING) / scale
    best, reason = T_NOTHING, REASON_COST_OPTIMAL
    wanted = -1
    if allow_lean and row[P_SERVICE_TYPE] != SERVICE_COST:
        wanted = _tabled(answer, levels, start, near, place)
    for choice in range(T_LEAN, T_BOTH + 1):
        split = orders[O_CANDIDATES + 2 * choice - 2 : O_CANDIDATES + 2 * choice]
        to_fast, to_final = _target_levels(choice, here, answer, levels, start, near)
        if choice == T_FLEXIBLE:
            to_final = to_fast
        bound = _whole_split(
            choice,
            max((to_fast - here) / scale, 0.0),
            max((to_final - here) / scale, 0.0),
            row,
            levels,
            start,
            near,
            cell,
            split,
        )
        reading[choice] = _price_split(
            choice, here, scale, to_fast, to_final, row, answer, tables, start, split
        )
        cheaper = reading[choice] < reading[best] and (allow_lean or choice == T_FLEXIBLE)
        if choice == wanted or (wanted < 0 and cheaper):
            best, reason = choice, bound
    reading[D_PREMIUM] = _at(tables, start, size, min(max(place, 0.0), size - 1.0), T_PREMIUM)
    orders[O_LEAN], orders[O_FLEXIBLE], orders[O_REASON] = 0, 0, REASON_POSITION_COVERS
    if best != T_NOTHING:
        orders[O_LEAN] = orders[O_CANDIDATES + 2 * best - 2]
        orders[O_FLEXIBLE] = orders[O_CANDIDATES + 2 * best - 1]
        orders[O_REASON] = _chosen_reason(reason, allow_lean, row, answer)
    _write_outlook(here, scale, row, answer, tables, start, orders, reading)


@compiled
def read_many(
    items: IntArray,
    places: IntArray,
    position: FloatArray,
    mean: FloatArray,
    allow_lean: npt.NDArray[np.bool_],
    rows: FloatArray,
    answers: FloatArray,
    tables: FloatArray,
    levels: LevelArray,
    starts: IntArray,
    readings: FloatArray,
    orders: IntArray,
) -> None:
    """Read the policy at `places[j]` (index into answers and starts) for each item `items[j]`."""
    for j in range(items.size):
        k, p = items[j], places[j]
        read_policy(
            position[k],
            mean[k],
            allow_lean[k],
            rows[k],
            answers[p],
            tables,
            levels,
            starts[p],
            readings[k],
            orders[k],
        )
