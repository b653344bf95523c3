"""Compiled candidates of a decision: whole quantities of two levels, and their money.

Each candidate is rounded to whole units, packs and limits first and priced then, so that the costs
told are those of the quantities told.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled
from policy.solver.columns import (
    A_CELL,
    A_LEVELS,
    A_LOWEST,
    P_CAPACITY,
    P_FLEXIBLE_LEAST,
    P_FLEXIBLE_PACK,
    P_FLEXIBLE_SETUP,
    P_FLEXIBLE_UNIT,
    P_LEAN_LEAST,
    P_LEAN_PACK,
    P_LEAN_SETUP,
    P_LEAN_UNIT,
    T_FAST,
    T_FLEXIBLE,
    T_LEAN,
    T_NOTHING,
    T_PRICED,
    T_WAIT,
)
from policy.solver.reading_columns import (
    REASON_COST_OPTIMAL,
    REASON_LEAN_CAPACITY_BOUND,
    REASON_MINIMUM_ORDER,
    REASON_PACK_SIZE,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


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
def at(tables: FloatArray, start: int, size: int, place: float, table: int) -> float:
    """A table at a place in cells: straight on below the lattice, level above it.

    Above the lattice the differences between candidates are those of its highest level.
    """
    i = int(min(max(math.floor(place), 0.0), size - 2.0))
    low, high = tables[start + i, table], tables[start + i + 1, table]
    return low + (min(place, size - 1.0) - i) * (high - low) if low < np.inf else np.inf


@compiled
def between(tables: FloatArray, start: int, size: int, place: float) -> float:
    """Money between the two deliveries, the price on stock-outs included."""
    i = int(min(max(math.floor(place), 0.0), size - 2.0))
    low, high = tables[start + i], tables[start + i + 1]
    part = min(place, size - 1.0) - i
    from_low, from_high = low[T_FAST] + low[T_PRICED], high[T_FAST] + high[T_PRICED]
    return float(from_low + part * (from_high - from_low))


@compiled
def after(tables: FloatArray, start: int, size: int, place: float) -> float:
    """Money from the lean delivery on, future included, with this much bought by then."""
    i = int(min(max(math.floor(place), 0.0), size - 2.0))
    low, high = tables[start + i], tables[start + i + 1]
    part = min(place, size - 1.0) - i
    from_low = low[T_NOTHING] - low[T_WAIT] - low[T_FAST] - low[T_PRICED]
    from_high = high[T_NOTHING] - high[T_WAIT] - high[T_FAST] - high[T_PRICED]
    return float(from_low + part * (from_high - from_low))


@compiled
def whole_split(
    choice: int,
    here: float,
    scale: float,
    middle: int,
    final: int,
    row: FloatArray,
    answer: FloatArray,
    split: IntArray,
) -> int:
    """Write whole (lean, flexible) units that raise a position to two levels; return the reason."""
    cell, low = answer[A_CELL], answer[A_LOWEST]
    reason = REASON_COST_OPTIMAL
    split[0], split[1] = 0, 0
    if choice != T_LEAN:
        wanted = max((low + cell * middle - here) / scale, 0.0)
        split[1], reason = whole_order(wanted, row[P_FLEXIBLE_LEAST], np.inf, row[P_FLEXIBLE_PACK])
    if choice != T_FLEXIBLE:
        wanted = max((low + cell * final - here) / scale - split[1], 0.0)
        wanted = _at_limit(wanted, final - middle, cell, row)
        split[0], bound = whole_order(wanted, row[P_LEAN_LEAST], row[P_CAPACITY], row[P_LEAN_PACK])
        if bound != REASON_COST_OPTIMAL:
            reason = bound
    return reason


@compiled
def price_split(
    choice: int,
    here: float,
    scale: float,
    middle: int,
    final_level: int,
    row: FloatArray,
    answer: FloatArray,
    tables: FloatArray,
    start: int,
    split: IntArray,
) -> float:
    """Money of a candidate with its whole quantities.

    The table has the money of the candidate's levels; the terms of the dynamic program there and
    where the whole quantities lead tell the difference.
    """
    cell, size, low = answer[A_CELL], int(answer[A_LEVELS]), answer[A_LOWEST]
    tabled = at(tables, start, size, (here - low) / cell, choice)
    if not tabled < np.inf:
        split[0], split[1] = 0, 0
        return np.inf
    fast, final = here + split[1] * scale, here + (split[0] + split[1]) * scale
    to_fast = here if choice == T_LEAN else low + cell * middle
    to_final = to_fast if choice == T_FLEXIBLE else low + cell * final_level
    if middle < 0 or final_level < 0:  # no room: the table has the smallest order
        to_fast, to_final = fast, final
    bought = row[P_FLEXIBLE_UNIT] * split[1] if split[1] > 0 else 0.0
    saved = row[P_FLEXIBLE_UNIT] * (to_fast - here)
    if split[0] > 0:
        bought += row[P_LEAN_UNIT] * split[0]
        saved += row[P_LEAN_UNIT] * (to_final - to_fast)
    place = (fast - low) / cell
    change = between(tables, start, size, place)
    change -= between(tables, start, size, (to_fast - low) / cell)
    change += after(tables, start, size, (final - low) / cell)
    change -= after(tables, start, size, (to_final - low) / cell)
    setup = (row[P_FLEXIBLE_SETUP] if split[1] > 0 else 0.0) + (
        row[P_LEAN_SETUP] if split[0] > 0 else 0.0
    )
    return float(setup + bought + (tabled - setup - saved + change) / scale)
