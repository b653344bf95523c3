"""Compiled answer of one item to prices: what it would order if lean units or money were dearer.

A solved policy's tables hold the money from each level on, so an item answers a price on this
review's orders with one pass over its levels; nothing is solved again. The future stays priced as
it was: a shortage of this review is not taken for one of every review.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled
from policy.solver.candidates import whole_order
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
    P_MEAN,
    T_FAST,
    T_NOTHING,
    T_PRICED,
    T_WAIT,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@compiled
def answer_prices(
    position: float,
    mean: float,
    row: FloatArray,
    answer: FloatArray,
    tables: FloatArray,
    lean_price: float,
    money_price: float,
) -> tuple[int, int]:
    """Return whole (lean, flexible) units that are best for one item at prices.

    Args:
        position, mean: units, units a day; the item's own, `row` has the rounded mean.
        row, answer: of its policy; `tables` (level, table) are its levels.
        lean_price: money per lean unit on top of its cost, >= 0, in units of the row.
        money_price: per unit of money spent on orders now, on top of it, >= 0.
    """
    cell, size = answer[A_CELL], int(answer[A_LEVELS])
    scale = row[P_MEAN] / mean
    here = position * scale
    start = int(min(max(math.floor((here - answer[A_LOWEST]) / cell + 0.5), 0.0), size - 1.0))
    dear = 1.0 + money_price
    lean_unit = row[P_LEAN_UNIT] * dear + lean_price
    fast_unit = row[P_FLEXIBLE_UNIT] * dear
    has_fast = row[P_FLEXIBLE_SETUP] < np.inf
    # Best level to buy up to by lean from each level, going down.
    best, best_at = np.inf, -1
    cheapest, fast_to, lean_to = np.inf, start, start
    least = math.ceil(row[P_LEAN_LEAST] / cell - 1e-9)
    most = row[P_CAPACITY] * scale / cell
    for a in range(size - 1, start - 1, -1):
        b = a + least
        if b < size:
            cost = _after(tables[b]) + lean_unit * cell * b
            if cost < best:
                best, best_at = cost, b
        if a > start and not has_fast:
            continue
        before = tables[a, T_FAST] + tables[a, T_PRICED]
        if a > start:
            before += row[P_FLEXIBLE_SETUP] * dear + fast_unit * cell * (a - start)
        stay = before + _after(tables[a])
        if stay <= cheapest:
            cheapest, fast_to, lean_to = stay, a, a
        if best_at > a and row[P_LEAN_SETUP] < np.inf:
            reach, value = best_at, best
            if best_at - a > most:  # no further than the item's own limit
                reach = a + int(most)
                value = _after(tables[reach]) + lean_unit * cell * reach
            if reach - a >= least and reach > a:
                both = before + row[P_LEAN_SETUP] * dear + value - lean_unit * cell * a
                if both < cheapest:
                    cheapest, fast_to, lean_to = both, a, reach
    lean, fast = 0, 0
    low = answer[A_LOWEST]
    if fast_to > start:
        wanted = max((low + cell * fast_to - here) / scale, 0.0)
        fast = whole_order(wanted, row[P_FLEXIBLE_LEAST], np.inf, row[P_FLEXIBLE_PACK])[0]
    if lean_to > fast_to:
        wanted = max((low + cell * lean_to - here) / scale - fast, 0.0)
        lean = whole_order(wanted, row[P_LEAN_LEAST], row[P_CAPACITY], row[P_LEAN_PACK])[0]
    return lean, fast


@compiled
def _after(level: FloatArray) -> float:
    """Money from the lean delivery on, future included."""
    return float(level[T_NOTHING] - level[T_WAIT] - level[T_FAST] - level[T_PRICED])


@compiled
def answer_many(
    items: IntArray,
    slots: IntArray,
    position: FloatArray,
    mean: FloatArray,
    rows: FloatArray,
    answers: FloatArray,
    tables: FloatArray,
    starts: IntArray,
    lean_prices: FloatArray,
    money_prices: FloatArray,
    units: IntArray,
) -> None:
    """Write (lean, flexible) units of each item `items[j]`, whose policy lies at `slots[j]`."""
    for j in range(items.size):
        k, p = items[j], slots[j]
        levels = tables[starts[p] : starts[p] + int(answers[p, A_LEVELS])]
        units[k, 0], units[k, 1] = answer_prices(
            position[k], mean[k], rows[k], answers[p], levels, lean_prices[k], money_prices[k]
        )
