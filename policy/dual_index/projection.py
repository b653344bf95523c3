"""Stock and demand of the days to come, from open orders by date and the forecast path.

What is stored of a decision are these projections, not the orders: they are rounded to single
precision at once, so that a decision computed again from its record is the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled
from policy.dual_index.arrivals import (
    are_overdue,
    arrival_chances,
    chance_still_to_come,
)
from policy.dual_index.rule import (
    GAP_POINTS,
    HORIZON,
    LATE_SUPPLY,
    ORDINARY,
    POINTS,
    RAISED_DEMAND,
    READINGS,
    WINDOW_POINTS,
    order_now,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Suppliers:
    """Days of the items' reviews and lead times, each of shape (item,)."""

    review_days: FloatArray
    lean_days: FloatArray
    lean_sd_days: FloatArray
    flexible_days: FloatArray
    flexible_sd_days: FloatArray


@dataclass(frozen=True)
class OpenOrders:
    """Open orders of all items, each of shape (order,)."""

    item: IntArray
    units: FloatArray
    due_in_days: FloatArray
    """Days from now; below 0 means overdue."""
    is_lean: BoolArray


@dataclass(frozen=True)
class Outlook:
    """What the rule looks at; shape (item, POINTS) but for the last two, which are (item,)."""

    mean: FloatArray
    """Units demanded from now to each point."""
    variance: FloatArray
    supply: FloatArray
    """Stock less backlog, and what has come by then but for the order that is uncertain."""
    chance: FloatArray
    """That the order which is uncertain has come."""
    uncertain_units: FloatArray
    position: FloatArray
    """Stock less backlog, and all on order that is still expected."""


def point_days(suppliers: Suppliers, window_days: FloatArray) -> FloatArray:
    """Return the days from now of the points, shape (item, POINTS).

    First those that a flexible order of now has to help, then those until a lean order of now
    arrives, then the end of what that one covers.

    >>> one = lambda value: np.array([float(value)])
    >>> suppliers = Suppliers(one(7), one(30), one(0), one(3), one(0))
    >>> point_days(suppliers, one(7))[0].tolist()
    [4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 13.0, 15.0, 18.0, 20.0, 23.0, 25.0, 28.0, 30.0, 37.0]
    """
    days = np.zeros((window_days.size, POINTS))
    steps = np.arange(1, WINDOW_POINTS + 1) / WINDOW_POINTS
    inside = np.minimum(np.ceil(window_days[:, None] * steps - 1e-9), window_days[:, None])
    days[:, :WINDOW_POINTS] = suppliers.flexible_days[:, None] + inside
    gap = np.maximum(suppliers.lean_days - suppliers.flexible_days - window_days, 0.0)
    steps = np.arange(1, GAP_POINTS + 1) / GAP_POINTS
    inside = np.minimum(np.ceil(gap[:, None] * steps - 1e-9), gap[:, None])
    days[:, WINDOW_POINTS:HORIZON] = days[:, [WINDOW_POINTS - 1]] + inside
    days[:, HORIZON] = suppliers.lean_days + suppliers.review_days
    return days


def project(
    net_units: FloatArray,
    orders: OpenOrders,
    path_mean: FloatArray,
    path_variance: FloatArray,
    suppliers: Suppliers,
    window_days: FloatArray,
) -> Outlook:
    """Return what stock and demand of the items will be.

    Args:
        net_units: stock less backlog, shape (item,).
        orders: that are open.
        path_mean: expected units of each day ahead, shape (item, day); the last stands for all
            days beyond.
        path_variance: of the same, independent between days.
        suppliers: of the items.
        window_days: that a flexible order has to help, shape (item,).
    """
    days = point_days(suppliers, window_days)
    supply = np.repeat(net_units[:, None], POINTS, axis=1)
    chance = np.zeros((net_units.size, POINTS))
    uncertain, position = np.zeros(net_units.size), net_units.copy()
    if orders.item.size:
        of = orders.item
        lead = np.where(orders.is_lean, suppliers.lean_days[of], suppliers.flexible_days[of])
        sd = np.where(orders.is_lean, suppliers.lean_sd_days[of], suppliers.flexible_sd_days[of])
        ever = chance_still_to_come(orders.due_in_days, lead, sd)
        np.add.at(position, of, ever * orders.units)
        comes = arrival_chances(days[of], orders.due_in_days[:, None], lead[:, None], sd[:, None])
        _add_supply(of, orders.units, comes, supply, chance, uncertain)
    return Outlook(
        mean=_single(_sums_to(path_mean, days)),
        variance=_single(_sums_to(path_variance, days)),
        supply=_single(supply),
        chance=_single(chance),
        uncertain_units=_single(uncertain),
        position=_single(position),
    )


def strain_of(orders: OpenOrders, suppliers: Suppliers, is_demand_raised: BoolArray) -> IntArray:
    """Return what is out of the ordinary of each item, a code of `policy.dual_index.rule`.

    Args:
        orders: that are open.
        suppliers: of the items.
        is_demand_raised: by a campaign or surge, now or within a lean lead time, shape (item,).
    """
    of = orders.item
    lead, sd = suppliers.lean_days[of], suppliers.lean_sd_days[of]
    late = are_overdue(orders.due_in_days, lead, sd) | (orders.due_in_days > lead + 1.0)
    strain = np.full(suppliers.lean_days.size, ORDINARY, np.int64)
    strain[of[late & orders.is_lean]] = LATE_SUPPLY
    strain[is_demand_raised] = RAISED_DEMAND
    return strain


def _single(values: FloatArray) -> FloatArray:
    return values.astype(np.float32).astype(np.float64)


def _add_supply(
    item: IntArray,
    units: FloatArray,
    comes: FloatArray,
    supply: FloatArray,
    chance: FloatArray,
    uncertain: FloatArray,
) -> None:
    """Add what comes; of each item the order whose arrival is most uncertain stands apart."""
    ends = comes[:, [0, WINDOW_POINTS - 1]]
    doubt = (ends * (1.0 - ends)).max(axis=1) * units
    place = np.lexsort((-doubt, item))
    first = place[np.flatnonzero(np.diff(item[place], prepend=-1))]
    apart = np.zeros(item.size, np.bool_)
    apart[first[doubt[first] > 0.0]] = True
    np.add.at(supply, item[~apart], comes[~apart] * units[~apart, None])
    chance[item[apart]] = comes[apart]
    uncertain[item[apart]] = units[apart]


def _sums_to(path: FloatArray, days: FloatArray) -> FloatArray:
    """Return sums of a path up to some days, shape as `days`; part of a day counts in part."""
    sums = np.zeros((path.shape[0], path.shape[1] + 1))
    np.cumsum(path, axis=1, out=sums[:, 1:])
    last = path.shape[1]
    whole = np.minimum(np.floor(days), last - 1).astype(np.int64)
    rows = np.arange(path.shape[0])[:, None]
    found: FloatArray = sums[rows, whole] + (days - whole) * path[rows, whole]
    return found


@compiled
def _order_all(
    mean: FloatArray,
    variance: FloatArray,
    supply: FloatArray,
    chance: FloatArray,
    uncertain: FloatArray,
    position: FloatArray,
    lean_days: FloatArray,
    lean_sd_days: FloatArray,
    cover_days: FloatArray,
    allow_lean: BoolArray,
    strain: IntArray,
    levels: FloatArray,
    lots: FloatArray,
    readings: FloatArray,
    orders: IntArray,
) -> None:
    for k in range(position.size):
        lean, flexible = order_now(
            mean[k],
            variance[k],
            supply[k],
            chance[k],
            uncertain[k],
            position[k],
            lean_days[k],
            lean_sd_days[k],
            cover_days[k],
            allow_lean[k],
            strain[k],
            levels[k],
            lots[k],
            readings[k],
        )
        orders[k, 0], orders[k, 1] = lean, flexible


def order_items(
    outlook: Outlook,
    suppliers: Suppliers,
    levels: FloatArray,
    lots: FloatArray,
    allow_lean: BoolArray,
    strain: IntArray,
) -> tuple[IntArray, FloatArray]:
    """Return units to order, shape (item, role), lean first, and readings, columns R_....

    Args:
        outlook: of the items.
        suppliers: of the items.
        levels: columns L_..., shape (item, LEVELS).
        lots: columns Q_..., shape (item, LOTS).
        allow_lean: whether the lean supplier may be asked, shape (item,).
        strain: ORDINARY, LATE_SUPPLY or RAISED_DEMAND, shape (item,).
    """
    size = outlook.position.size
    readings, orders = np.zeros((size, READINGS)), np.zeros((size, 2), np.int64)
    _order_all(
        outlook.mean,
        outlook.variance,
        outlook.supply,
        outlook.chance,
        outlook.uncertain_units,
        outlook.position,
        suppliers.lean_days,
        suppliers.lean_sd_days,
        suppliers.lean_days + suppliers.review_days,
        allow_lean,
        strain,
        levels,
        lots,
        readings,
        orders,
    )
    return orders, readings
