"""Compiled reading of a solved policy at one stock position: candidates, quantities, reason.

Each candidate is rounded to whole units, packs and limits first and priced then, so that the costs
told are those of the quantities told.
"""

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
    P_BACKORDER,
    P_CAPACITY,
    P_FLEXIBLE_LEAST,
    P_FLEXIBLE_PACK,
    P_FLEXIBLE_SETUP,
    P_FLEXIBLE_UNIT,
    P_HOLDING,
    P_LEAN_LEAST,
    P_LEAN_PACK,
    P_LEAN_SETUP,
    P_LEAN_UNIT,
    P_MEAN,
    P_SERVICE_TYPE,
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
)
from policy.rules_kernel import decided_days

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
def _planned(
    answer: FloatArray, levels: LevelArray, start: int, near: int, place: float
) -> tuple[int, int]:
    """The levels that the plan raises a place (in cells) to: flexible, then final."""
    if near == answer[A_SPLIT_LEVEL] and place >= answer[A_SPLIT]:
        return int(answer[A_SPLIT_FLEXIBLE]), int(answer[A_SPLIT_FINAL])
    return int(levels[start + near, L_PLAN_FLEXIBLE]), int(levels[start + near, L_PLAN_FINAL])


@compiled
def _levels_of(choice: int, levels: LevelArray, start: int, near: int) -> tuple[int, int]:
    """Levels that a candidate raises a position near a level to: flexible, final; -1 if none."""
    row = start + near
    if choice == T_LEAN:
        return near, int(levels[row, L_LEAN])
    if choice == T_FLEXIBLE:
        return int(levels[row, L_FLEXIBLE]), int(levels[row, L_FLEXIBLE])
    return int(levels[row, L_BOTH_FLEXIBLE]), int(levels[row, L_BOTH_FINAL])


@compiled
def _kind(near: int, middle: int, final: int) -> int:
    """The candidate that raises a level to these two."""
    if middle > near:
        return T_BOTH if final > middle else T_FLEXIBLE
    return T_LEAN if final > near else T_NOTHING


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
def _whole_split(
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
def _price_split(
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
    tabled = _at(tables, start, size, (here - low) / cell, choice)
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
    `start`. A position between two levels of the lattice counts to the nearer one.
    """
    cell, size = answer[A_CELL], int(answer[A_LEVELS])
    scale = row[P_MEAN] / mean
    here = position * scale
    place = (here - answer[A_LOWEST]) / cell
    near = int(min(max(math.floor(place + 0.5), 0.0), size - 1.0))
    reading[D_NOTHING] = _at(tables, start, size, place, T_NOTHING) / scale
    planned = -1
    middle = final = near
    if allow_lean and row[P_SERVICE_TYPE] != SERVICE_COST:
        middle, final = _planned(answer, levels, start, near, place)
        planned = _kind(near, middle, final)
    best, reason = T_NOTHING, REASON_COST_OPTIMAL
    for choice in range(T_LEAN, T_BOTH + 1):
        split = orders[O_CANDIDATES + 2 * choice - 2 : O_CANDIDATES + 2 * choice]
        fast, all_in = _levels_of(choice, levels, start, near)
        if choice == planned:
            bound = _whole_split(choice, here, scale, middle, final, row, answer, split)
        else:
            bound = _whole_split(choice, here, scale, fast, all_in, row, answer, split)
        reading[choice] = _price_split(
            choice, here, scale, fast, all_in, row, answer, tables, start, split
        )
        cheaper = reading[choice] < reading[best] and (allow_lean or choice == T_FLEXIBLE)
        if choice == planned or (planned < 0 and cheaper):
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
