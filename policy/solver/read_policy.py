"""Compiled reading of a solved policy at one stock position: candidates, quantities, reason."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled
from policy.solver.break_orders import take_breaks
from policy.solver.candidates import at, price_split, whole_split
from policy.solver.columns import (
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
    P_HOLDING,
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
    T_SHORT,
    T_WAIT,
)
from policy.solver.order_rules import decided_days
from policy.solver.reading_columns import (
    D_BACKORDER,
    D_HOLDING,
    D_NOTHING,
    D_PREMIUM,
    D_REVIEW_SERVICE,
    O_CANDIDATES,
    O_FLEXIBLE,
    O_LEAN,
    O_REASON,
    REASON_COST_OPTIMAL,
    REASON_FLEXIBLE_ONLY_SURGE,
    REASON_POSITION_COVERS,
    REASON_PRICE_BREAK,
    REASON_SERVICE_OUT_OF_REACH,
    REASON_SERVICE_TARGET,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
LevelArray = npt.NDArray[np.int16]


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
    reading[D_REVIEW_SERVICE] = 1.0 - at(tables, start, size, place, T_SHORT)


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
    break_units: FloatArray,
    break_savings: FloatArray,
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
    reading[D_NOTHING] = at(tables, start, size, place, T_NOTHING) / scale
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
            bound = whole_split(choice, here, scale, middle, final, row, answer, split)
        else:
            bound = whole_split(choice, here, scale, fast, all_in, row, answer, split)
        reading[choice] = price_split(
            choice, here, scale, fast, all_in, row, answer, tables, start, split
        )
        if break_units.shape[1] > 0:
            reading[choice], is_raised = take_breaks(
                choice,
                here,
                scale,
                fast,
                all_in,
                row,
                answer,
                tables,
                start,
                split,
                reading[choice],
                break_units,
                break_savings,
            )
            bound = REASON_PRICE_BREAK if is_raised else bound
        cheaper = reading[choice] < reading[best] and (allow_lean or choice == T_FLEXIBLE)
        if choice == planned or (planned < 0 and cheaper):
            best, reason = choice, bound
    reading[D_PREMIUM] = at(tables, start, size, min(max(place, 0.0), size - 1.0), T_PREMIUM)
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
    break_units: FloatArray,
    break_savings: FloatArray,
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
            break_units[k],
            break_savings[k],
            readings[k],
            orders[k],
        )
