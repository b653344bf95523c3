"""Compiled reading of a solved policy at one stock position: candidates, quantities, reason."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled
from policy.item_columns import (
    A_CELL,
    A_LEVELS,
    A_LOWEST,
    A_MET,
    A_PENALTY,
    A_SPLIT,
    A_SPLIT_FINAL,
    A_SPLIT_FLEXIBLE,
    A_SPLIT_LEVEL,
    L_BOTH_FINAL,
    L_BOTH_FLEXIBLE,
    L_FLEXIBLE,
    L_LEAN,
    L_PLAN_FINAL,
    L_PLAN_FLEXIBLE,
    P_CAPACITY,
    P_FLEXIBLE_LEAST,
    P_FLEXIBLE_PACK,
    P_LEAN_LEAST,
    P_LEAN_PACK,
    P_MEAN,
    P_SERVICE_TYPE,
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
def _cheapest(reading: FloatArray, allow_lean: bool) -> int:
    best = T_NOTHING
    for choice in range(1, 4):
        if not allow_lean and choice != T_FLEXIBLE:
            continue
        if reading[choice] < reading[best]:
            best = choice
    return best


@compiled
def _planned(
    answer: FloatArray, levels: LevelArray, start: int, near: int, place: float
) -> tuple[int, int]:
    """The levels that the plan raises a place (in cells) to: flexible, then final."""
    if near == answer[A_SPLIT_LEVEL] and place >= answer[A_SPLIT]:
        return int(answer[A_SPLIT_FLEXIBLE]), int(answer[A_SPLIT_FINAL])
    return int(levels[start + near, L_PLAN_FLEXIBLE]), int(levels[start + near, L_PLAN_FINAL])


@compiled
def _levels_of(choice: int, levels: LevelArray, start: int, near: int) -> tuple[int, int]:
    """The levels that a candidate raises a position near a level to: flexible, then final."""
    if choice == T_LEAN:
        return near, int(levels[start + near, L_LEAN])
    if choice == T_FLEXIBLE:
        level = int(levels[start + near, L_FLEXIBLE])
        return level, level
    if choice == T_BOTH:
        row = start + near
        return int(levels[row, L_BOTH_FLEXIBLE]), int(levels[row, L_BOTH_FINAL])
    return near, near


@compiled
def _read_costs(
    place: float, size: int, tables: FloatArray, start: int, reading: FloatArray
) -> None:
    """Interpolate the candidates' costs; above the lattice differences are those of its top."""
    i = int(min(max(math.floor(place), 0.0), size - 2.0))
    part = min(place, size - 1.0) - i
    for table in range(READINGS):
        low, high = tables[start + i, table], tables[start + i + 1, table]
        reading[table] = low + part * (high - low) if low < np.inf else np.inf
    if place < 0.0 or place > size - 1.0:
        reading[T_PREMIUM] = tables[start + (0 if place < 0.0 else size - 1), T_PREMIUM]


@compiled
def _why(reason: int, allow_lean: bool, row: FloatArray, answer: FloatArray) -> int:
    """Name what bound an order: its supplier's rules first, then the target."""
    if not allow_lean:
        return REASON_FLEXIBLE_ONLY_SURGE
    if reason != REASON_COST_OPTIMAL:
        return reason
    if answer[A_MET] == 0.0:
        return REASON_SERVICE_OUT_OF_REACH
    if answer[A_PENALTY] > 0.0 or row[P_SERVICE_TYPE] == SERVICE_PAPER:
        return REASON_SERVICE_TARGET
    return reason


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
    `start`. A position between two levels of the lattice counts to the nearer one.
    """
    cell, size = answer[A_CELL], int(answer[A_LEVELS])
    scale = row[P_MEAN] / mean
    here = position * scale
    place = (here - answer[A_LOWEST]) / cell
    _read_costs(place, size, tables, start, reading)
    near = int(min(max(math.floor(place + 0.5), 0.0), size - 1.0))
    if allow_lean and row[P_SERVICE_TYPE] != SERVICE_COST:
        middle, final = _planned(answer, levels, start, near, place)
    else:
        middle, final = _levels_of(_cheapest(reading, allow_lean), levels, start, near)
    orders[0], orders[1], orders[2] = 0, 0, REASON_POSITION_COVERS
    if final <= near:
        return
    reason = REASON_COST_OPTIMAL
    bought = 0
    if middle > near:
        wanted = max((answer[A_LOWEST] + cell * middle - here) / scale, 0.0)
        bought, reason = whole_order(wanted, row[P_FLEXIBLE_LEAST], np.inf, row[P_FLEXIBLE_PACK])
        orders[1] = bought
    if final > middle:
        wanted = max((answer[A_LOWEST] + cell * final - here) / scale - bought, 0.0)
        wanted = _at_limit(wanted, final - middle, cell, row)
        lean, bound = whole_order(wanted, row[P_LEAN_LEAST], row[P_CAPACITY], row[P_LEAN_PACK])
        orders[0] = lean
        if bound != REASON_COST_OPTIMAL:
            reason = bound
    orders[2] = _why(reason, allow_lean, row, answer)


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
