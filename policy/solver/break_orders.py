"""Compiled price breaks: when a larger order, at a lower price for all its units, costs less.

`break_units` and `break_savings` have shape (role, tier), roles in the order lean, flexible. An
order of at least so many units costs that much less a unit, in the money of a parameter row. Unused
tiers are infinite. Breaks are no part of a parameter row: the future is priced without them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled
from policy.solver.candidates import after, between, price_split, whole_order
from policy.solver.columns import (
    A_CELL,
    A_LEVELS,
    A_LOWEST,
    P_CAPACITY,
    P_FLEXIBLE_LEAST,
    P_FLEXIBLE_PACK,
    P_HOLDING,
    P_LEAN_LEAST,
    P_LEAN_PACK,
    P_MEAN,
    P_REVIEW,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LEAN = 0
FLEXIBLE = 1


@compiled
def unit_saving(units: int, break_units: FloatArray, break_savings: FloatArray) -> float:
    """What each unit of an order costs less by the highest break that the order reaches."""
    saving = 0.0
    for tier in range(break_units.size):
        if units >= break_units[tier]:
            saving = break_savings[tier]
    return saving


@compiled
def split_saving(split: IntArray, break_units: FloatArray, break_savings: FloatArray) -> float:
    """What the breaks save on (lean, flexible) units together."""
    saving = 0.0
    for role in range(2):
        saving += split[role] * unit_saving(split[role], break_units[role], break_savings[role])
    return saving


@compiled
def break_lot(units: int, role: int, at_least: float, row: FloatArray) -> int:
    """Return the smallest order above `units` that reaches a break; 0 where none is allowed."""
    if not at_least < np.inf:
        return 0
    least, pack = row[P_LEAN_LEAST], row[P_LEAN_PACK]
    most = row[P_CAPACITY]
    if role == FLEXIBLE:
        least, pack, most = row[P_FLEXIBLE_LEAST], row[P_FLEXIBLE_PACK], np.inf
    floor = max(at_least, least)
    lot = whole_order(floor, floor, most, pack)[0]
    return lot if lot > units and lot >= at_least else 0


@compiled
def _beyond_lattice(
    fast: float, final: float, row: FloatArray, answer: FloatArray, tables: FloatArray, start: int
) -> float:
    """Money of stock above the highest level, where the tables end.

    The slope at the top goes on; and a unit that lies above others waits until they are sold.
    """
    cell, size = answer[A_CELL], int(answer[A_LEVELS])
    top = size - 1.0
    above = max((fast - answer[A_LOWEST]) / cell - top, 0.0)
    money = above * (between(tables, start, size, top) - between(tables, start, size, top - 1.0))
    above = max((final - answer[A_LOWEST]) / cell - top, 0.0)
    money += above * (after(tables, start, size, top) - after(tables, start, size, top - 1.0))
    surplus = above * cell
    return float(money + row[P_HOLDING] * surplus * surplus / (2.0 * row[P_MEAN]))


@compiled
def take_breaks(
    choice: int,
    here: float,
    scale: float,
    fast: int,
    all_in: int,
    row: FloatArray,
    answer: FloatArray,
    tables: FloatArray,
    start: int,
    split: IntArray,
    money: float,
    break_units: FloatArray,
    break_savings: FloatArray,
) -> tuple[float, bool]:
    """Raise a candidate's units to breaks where that costs less; return its money, and whether.

    The arguments are those of `price_split`; `money` is what it gave.
    """
    best = money - split_saving(split, break_units, break_savings)
    highest = answer[A_LOWEST] + answer[A_CELL] * (answer[A_LEVELS] - 1.0)
    if not (money < np.inf and here <= highest):
        return best, False
    is_raised = False
    trial = split.copy()
    for role in range(2):
        for tier in range(break_units.shape[1] if split[role] > 0 else 0):
            lot = break_lot(split[role], role, break_units[role, tier], row)
            if lot == 0:
                continue
            trial[:] = split
            trial[role] = lot
            cost = price_split(choice, here, scale, fast, all_in, row, answer, tables, start, trial)
            quick = here + trial[FLEXIBLE] * scale
            final = quick + trial[LEAN] * scale
            cost += _beyond_lattice(quick, final, row, answer, tables, start) / scale
            cost -= split_saving(trial, break_units, break_savings)
            if cost < best:
                best, is_raised = cost, True
                split[role] = lot
    return best, is_raised


@compiled
def raise_to_break(
    units: int, role: int, row: FloatArray, break_units: FloatArray, break_savings: FloatArray
) -> int:
    """Return the order of a rule that knows no future money: `units`, or the best break's lot.

    What is bought beyond `units` is bought less at the next reviews, and lies on the shelf until
    they have: `surplus (surplus / mean + T) / 2` unit-days. All-units discounts, e.g. Snyder and
    Shen, 2nd ed., section 3.4.
    """
    best, least = units, 0.0
    base = unit_saving(units, break_units, break_savings)
    for tier in range(break_units.size if units > 0 else 0):
        lot = break_lot(units, role, break_units[tier], row)
        if lot == 0:
            continue
        surplus = lot - units
        days = 0.5 * surplus * (surplus / row[P_MEAN] + row[P_REVIEW])
        saving = unit_saving(lot, break_units, break_savings) - base
        extra = row[P_HOLDING] * days - saving * lot
        if extra < least:
            best, least = lot, extra
    return best
