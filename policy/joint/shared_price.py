"""One price for what many items share: a budget, a capacity. The last fill goes by key.

At a price, a unit costs every item so much more as it takes of what is shared. The least price at
which all fits is found by halving. Where several items would jump at that very price, each gets the
same part of its jump, and what packs leave over goes round by key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from policy.classic.demand import Demand
from policy.classic.fields import FloatArray

_HALVINGS = 200
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Shares:
    """What each item orders of something shared."""

    price: float
    """What one more of the shared thing would save; 0 where all fits."""
    units: FloatArray
    """Shape (item,)."""


def share_by_answers(
    prices: FloatArray,
    answers: FloatArray,
    sizes: FloatArray,
    room: float,
    packs: FloatArray,
    keys: Sequence[str] = (),
) -> Shares:
    """Return what items order of a shared room, from their answers at some prices.

    Between two prices an answer is a straight line. Beyond the last price nobody gets more than
    its answer there, cut down alike where even that does not fit.

    Args:
        prices: rising from 0, shape (price,).
        answers: units that an item would order at each price, falling, shape (item, price).
        sizes: what a unit takes of the room, shape (item,), > 0.
        room: of all together, >= 0.
        packs: units of a pack, shape (item,), > 0.
        keys: names of the items; empty means their places.

    >>> ten = np.ones(10)
    >>> alike = share_by_answers(np.array([0.0, 1.0]), np.tile([100.0, 0.0], (10, 1)), ten, 255.0,
    ...                          5 * ten)
    >>> alike.price, alike.units.tolist()
    (0.745, [30.0, 25.0, 25.0, 25.0, 25.0, 25.0, 25.0, 25.0, 25.0, 25.0])
    """
    used = sizes @ answers
    if used[0] <= room * (1 + _TOLERANCE):
        return Shares(0.0, answers[:, 0])
    if used[-1] > room:
        upper, lower, price, part = answers[:, -1], 0 * sizes, float(prices[-1]), room / used[-1]
    else:
        after = int(np.argmax(used <= room))
        upper, lower = answers[:, after - 1], answers[:, after]
        part = float((room - used[after]) / (used[after - 1] - used[after]))
        price = float(prices[after] - part * (prices[after] - prices[after - 1]))
    return Shares(price, last_fill(lower, upper, sizes, room, packs, keys, part))


def last_fill(
    lower: FloatArray,
    upper: FloatArray,
    sizes: FloatArray,
    room: float,
    packs: FloatArray,
    keys: Sequence[str] = (),
    part: float | None = None,
) -> FloatArray:
    """Return whole packs between two answers that fill a room.

    Args:
        lower, upper: units that fit, and that do not, shape (item,).
        sizes, room, packs, keys: as for `share_by_answers`.
        part: of the way from `lower` to `upper` that fits; None has it computed.
    """
    if part is None:
        more = float(sizes @ (upper - lower))
        part = min(1.0, (room - float(sizes @ lower)) / more) if more > 0 else 0.0
    units = np.floor((lower + part * (upper - lower)) / packs + _TOLERANCE) * packs
    names = keys or [f"{at:09}" for at in range(units.size)]
    left = room * (1 + _TOLERANCE) - float(sizes @ units)
    waiting = sorted(range(units.size), key=lambda at: names[at])
    while waiting:
        served = []
        for at in waiting:
            if units[at] + packs[at] <= upper[at] + _TOLERANCE and sizes[at] * packs[at] <= left:
                units[at] += packs[at]
                left -= sizes[at] * packs[at]
                served.append(at)
        waiting = served
    return units


def share_budget(
    demand: Sequence[Demand],
    unit_cost: FloatArray,
    overage_cost: FloatArray,
    underage_cost: FloatArray,
    budget: float,
    keys: Sequence[str] = (),
) -> Shares:
    """Return the orders for one season whose purchases fit a budget, at the least expected cost.

    Args:
        demand: of the season, by item.
        unit_cost: money that a unit takes of the budget, shape (item,), > 0.
        overage_cost, underage_cost: a unit left over, or missing, shape (item,), > 0.
        budget: money, >= 0.
        keys: names of the items; empty means their places.

    Source: MODEL, section 7:

    >>> from policy.classic.demand import NormalDemand
    >>> found = share_budget(
    ...     [NormalDemand(100, 30), NormalDemand(200, 50), NormalDemand(150, 60)],
    ...     np.array([10.0, 5, 8]), np.array([2, 1, 1.5]), np.array([8.0, 5, 6]), 2600)
    >>> round(found.price, 6), found.units.round(3).tolist()
    (0.530032, [81.613, 186.248, 106.579])
    """

    def wanted(price: float) -> FloatArray:
        chances = (overage_cost + price * unit_cost) / (overage_cost + underage_cost)
        return np.array(
            [
                max(one.level_for(chance), 0.0) if chance < 1 else 0.0
                for one, chance in zip(demand, chances.tolist(), strict=True)
            ]
        )

    highest = float((underage_cost / unit_cost).max())
    price, lower, upper = least_price(wanted, unit_cost, budget, highest)
    if price == 0.0 or not any(one.is_whole for one in demand):
        return Shares(price, lower)
    # Only whole units jump at a price; the rest keeps its answer.
    whole = np.array([one.is_whole for one in demand])
    packs = np.where(whole, 1.0, np.inf)
    left = budget - float(unit_cost[~whole] @ lower[~whole])
    units = lower.copy()
    names = [keys[at] if keys else f"{at:09}" for at in np.flatnonzero(whole).tolist()]
    units[whole] = last_fill(
        lower[whole], upper[whole], unit_cost[whole], left, packs[whole], names
    )
    return Shares(price, units)


def least_price(
    wanted: Callable[[float], FloatArray], sizes: FloatArray, room: float, highest: float
) -> tuple[float, FloatArray, FloatArray]:
    """Return the least price at which all fits, with the answers at it and just below it.

    Args:
        wanted: units at a price, shape (item,), falling with it.
        sizes: what a unit takes of the room, shape (item,).
        room: of all together.
        highest: a price at which nothing is wanted.
    """
    free = wanted(0.0)
    if float(sizes @ free) <= room * (1 + _TOLERANCE):
        return 0.0, free, free
    low, high = 0.0, highest
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        is_fit = float(sizes @ wanted(middle)) <= room
        low, high = (low, middle) if is_fit else (middle, high)
    return high, wanted(high), wanted(low)
