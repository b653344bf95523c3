"""Equal run-out: quantities after which all items of a supplier last equally long.

The last packs go one by one to the item that would run out first, ties by key, so that identical
items share what is left.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from policy.classic.fields import FloatArray
from policy.errors import PolicyInputError

_TOLERANCE = 1e-9  # relative: sums of sizes that differ by less are equal


@dataclass(frozen=True)
class RunOut:
    """Quantities of one order."""

    run_out_periods: float | None
    """How long stock and order last, for the items that order; None without demand."""
    quantities: FloatArray
    """Units, shape (item,)."""


def equal_run_out(
    demand: FloatArray,
    stock: FloatArray,
    sizes: FloatArray,
    rooms: FloatArray,
    least: FloatArray | None = None,
) -> RunOut:
    """Return the quantities that use up a room and let all items last equally long.

    An item that lasts longer already orders nothing, or its least quantity.

    Args:
        demand: units a period, shape (item,), >= 0; without demand an item orders its least.
        stock: units on hand and on order less those owed, shape (item,).
        sizes: of a unit, by constraint, shape (constraint, item), >= 0: volume, weight, money.
        rooms: of each constraint, shape (constraint,); the one that fills first ends it.
        least: units that are ordered in any case, shape (item,); None means 0.

    Raises:
        PolicyInputError: the least quantities do not fit.

    Source: MODEL, section 7:

    >>> filled = equal_run_out(np.array([10.0, 5, 2]), np.array([60.0, 20, 30]),
    ...                        np.array([[0.1, 0.2, 0.5]]), np.array([30.0]))
    >>> round(filled.run_out_periods, 4), filled.quantities.round(2).tolist()
    (18.3333, [123.33, 71.67, 6.67])
    """
    fixed = np.zeros_like(demand) if least is None else np.asarray(least, dtype=float)
    used = sizes @ fixed
    if not (used <= rooms * (1 + _TOLERANCE)).all():
        raise PolicyInputError("least quantities", f"within {rooms.tolist()}", used.tolist())
    sells = demand > 0
    ends = [
        _end(demand[sells], stock[sells] + fixed[sells], size[sells], float(room - base))
        for size, room, base in zip(sizes, rooms, used, strict=True)
    ]
    end = min(ends, default=np.inf)
    if not np.isfinite(end):
        return RunOut(None, fixed)
    return RunOut(float(end), np.where(sells, np.maximum(fixed, demand * end - stock), fixed))


def _end(demand: FloatArray, stock: FloatArray, size: FloatArray, room: float) -> float:
    """Return when all items run out together once they have filled the room; inf means never."""
    takes = size * demand > 0
    demand, stock, size = demand[takes], stock[takes], size[takes]
    if not demand.size:
        return np.inf
    begins = stock / demand  # from when on an item takes room
    order = np.argsort(begins, kind="stable")
    rate, held = np.cumsum((size * demand)[order]), np.cumsum((size * stock)[order])
    ends = (room + held) / rate  # if the first 1, 2, ... items order
    following = np.append(begins[order][1:], np.inf)
    return float(ends[np.argmax(ends <= following)])


def in_packs(
    wanted: RunOut,
    demand: FloatArray,
    stock: FloatArray,
    packs: FloatArray,
    keys: Sequence[str],
    fits: Callable[[FloatArray], bool],
) -> FloatArray:
    """Return whole packs: those wanted rounded down, then one by one to whoever runs out first.

    Args:
        wanted: quantities in any units.
        demand, stock: as for `equal_run_out`.
        packs: units of a pack, shape (item,), > 0.
        keys: names of the items; of two that run out together the earlier name is served first.
        fits: whether quantities, shape (item,), are still allowed.

    >>> three = np.full(3, 10.0)
    >>> wanted = RunOut(1.0, np.full(3, 6.0))
    >>> in_packs(wanted, three, 0 * three, three / 2, "cab", lambda units: units.sum() <= 22)
    array([ 5., 10.,  5.])
    """
    units = np.floor(wanted.quantities / packs + _TOLERANCE) * packs
    waiting = [
        ((stock[at] + units[at]) / demand[at], keys[at], at)
        for at in range(demand.size)
        if demand[at] > 0
    ]
    heapq.heapify(waiting)
    while waiting:
        _, key, at = heapq.heappop(waiting)
        units[at] += packs[at]
        if fits(units):
            heapq.heappush(waiting, ((stock[at] + units[at]) / demand[at], key, at))
        else:
            units[at] -= packs[at]  # a later item may be smaller
    return units


def fill_container(
    demand: FloatArray,
    stock: FloatArray,
    sizes: FloatArray,
    rooms: FloatArray,
    packs: FloatArray | None = None,
    keys: Sequence[str] = (),
) -> RunOut:
    """Return the order that fills a container by equal run-out, in whole packs if they are given.

    Args:
        demand, stock, sizes, rooms: as for `equal_run_out`.
        packs: units of a pack, shape (item,); None leaves quantities as they are.
        keys: names of the items; empty means their places.
    """
    filled = equal_run_out(demand, stock, sizes, rooms)
    if packs is None or filled.run_out_periods is None:
        return filled
    room = rooms * (1 + _TOLERANCE)
    names = keys or [f"{at:09}" for at in range(demand.size)]

    def fits(units: FloatArray) -> bool:
        return bool((sizes @ units <= room).all())

    return RunOut(
        filled.run_out_periods,
        in_packs(filled, demand, stock, packs, names, fits),
    )


def raise_to_value(
    demand: FloatArray,
    stock: FloatArray,
    unit_cost: FloatArray,
    proposed: FloatArray,
    value: float,
    packs: FloatArray,
    keys: Sequence[str] = (),
) -> RunOut:
    """Return an order of at least a value: what is proposed, raised by equal run-out.

    Args:
        demand, stock: as for `equal_run_out`.
        unit_cost: of each item, shape (item,), >= 0.
        proposed: units that each item orders in any case.
        value: least money that the order must be worth.
        packs: units of a pack, shape (item,), > 0.
        keys: names of the items; empty means their places.

    Returns:
        An order of exactly the proposed units if they are worth enough, or if nothing sells.

    >>> raised = raise_to_value(np.array([4.0, 4]), np.zeros(2), np.array([5.0, 5]),
    ...                         np.array([10.0, 2]), 100, np.ones(2))
    >>> raised.quantities.tolist()
    [10.0, 10.0]
    """
    if float(unit_cost @ proposed) >= value:
        return RunOut(None, proposed)
    reached = equal_run_out(demand, stock, unit_cost[None, :], np.array([value]), least=proposed)
    names = keys or [f"{at:09}" for at in range(demand.size)]
    enough = value * (1 - _TOLERANCE)
    units = proposed + np.floor((reached.quantities - proposed) / packs + _TOLERANCE) * packs
    sells = [at for at in range(demand.size) if demand[at] * unit_cost[at] > 0]
    while sells and float(unit_cost @ units) < enough:
        first = min(sells, key=lambda at: ((stock[at] + units[at]) / demand[at], names[at]))
        units[first] += packs[first]
    return RunOut(reached.run_out_periods, units)
