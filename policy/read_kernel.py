"""Compiled reading of a solved policy at one stock position: candidates, quantities, reason."""

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
    P_CAPACITY,
    P_FLEXIBLE_LEAST,
    P_FLEXIBLE_PACK,
    P_LEAN_LEAST,
    P_LEAN_PACK,
    P_MEAN,
    P_SERVICE_TYPE,
    PLAN_ROWS,
    SERVICE_COST,
    SERVICE_PAPER,
    T_BOTH,
    T_FLEXIBLE,
    T_LEAN,
    T_NOTHING,
    T_PREMIUM,
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
READINGS = 5


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
def _cheapest(reading: FloatArray, allow_lean: bool) -> int:
    best = T_NOTHING
    for choice in range(1, 4):
        if not allow_lean and choice != T_FLEXIBLE:
            continue
        if reading[choice] < reading[best]:
            best = choice
    return best


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
    """Decide one item: write candidate costs and premium, then (lean, flexible, reason) orders.

    `tables` (level, table) and `levels` (level, row) hold many policies; this one begins at
    `start`.
    """
    cell, size = answer[A_CELL], int(answer[A_LEVELS])
    scale = row[P_MEAN] / mean
    here = position * scale
    place = (here - answer[A_LOWEST]) / cell
    i = int(min(max(math.floor(place), 0.0), size - 2.0))
    # Above the lattice the differences between candidates are those of its highest level.
    part = min(place, size - 1.0) - i
    for table in range(READINGS):
        low, high = tables[start + i, table], tables[start + i + 1, table]
        reading[table] = low + part * (high - low) if low < np.inf else np.inf
    if place < 0.0 or place > size - 1.0:
        reading[T_PREMIUM] = tables[start + (0 if place < 0.0 else size - 1), T_PREMIUM]
    near = i + 1 if part >= 0.5 else i
    if allow_lean and row[P_SERVICE_TYPE] != SERVICE_COST:
        choice = _tabled(answer, levels, start, near, place)
    else:
        choice = _cheapest(reading, allow_lean)
    orders[0], orders[1], orders[2] = 0, 0, REASON_POSITION_COVERS
    if choice == T_NOTHING:
        return
    flexible_to, lean_to = here, here
    if choice == T_LEAN:
        lean_to = _level_units(levels, answer, start, near, L_LEAN)
    elif choice == T_FLEXIBLE:
        flexible_to = _level_units(levels, answer, start, near, L_FLEXIBLE)
    else:
        flexible_to = _level_units(levels, answer, start, near, L_BOTH_FLEXIBLE)
        lean_to = _level_units(levels, answer, start, near, L_BOTH_FINAL)
    reason = REASON_COST_OPTIMAL
    bought = 0
    if choice in (T_FLEXIBLE, T_BOTH):
        wanted = max((flexible_to - here) / scale, 0.0)
        bought, reason = whole_order(wanted, row[P_FLEXIBLE_LEAST], np.inf, row[P_FLEXIBLE_PACK])
        orders[1] = bought
    if choice in (T_LEAN, T_BOTH):
        wanted = max((lean_to - here) / scale - bought, 0.0)
        from_level = near if choice == T_LEAN else levels[start + near, L_BOTH_FLEXIBLE]
        to_level = levels[start + near, L_LEAN if choice == T_LEAN else L_BOTH_FINAL]
        wanted = _at_limit(wanted, to_level - from_level, cell, row)
        lean, bound = whole_order(wanted, row[P_LEAN_LEAST], row[P_CAPACITY], row[P_LEAN_PACK])
        orders[0] = lean
        if bound != REASON_COST_OPTIMAL:
            reason = bound
    if not allow_lean:
        reason = REASON_FLEXIBLE_ONLY_SURGE
    elif reason == REASON_COST_OPTIMAL and answer[A_MET] == 0.0:
        reason = REASON_SERVICE_OUT_OF_REACH
    elif reason == REASON_COST_OPTIMAL and (
        answer[A_PENALTY] > 0.0 or row[P_SERVICE_TYPE] == SERVICE_PAPER
    ):
        reason = REASON_SERVICE_TARGET
    orders[2] = reason


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
