"""From a wanted quantity to one that a supplier sells: minimum, pack, limit and price breaks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from policy.errors import PolicyInputError
from policy.review_inputs import FloatArray, IntArray


class LotReason(IntEnum):
    """What made the quantity differ from the wanted one."""

    AS_WANTED = 0
    WHOLE_UNITS = 1
    PACK_SIZE = 2
    MINIMUM_ORDER = 3
    MOST_UNITS = 4
    PRICE_BREAK = 5


@dataclass(frozen=True, kw_only=True)
class LotRules:
    """How a supplier sells; every field has shape (item,), breaks have shape (item, tier).

    All units of an order cost what the highest break that it reaches says. An item with fewer
    breaks than others has infinite `break_units` in the last places.
    """

    unit_cost: FloatArray
    """Below the first break; money, >= 0."""
    minimum_units: FloatArray
    """0 or 1: none."""
    pack_units: FloatArray
    """0 or 1: none."""
    most_units: FloatArray
    """inf: no limit."""
    break_units: FloatArray
    """From so many units on; ascending along the tiers, > 0."""
    break_unit_cost: FloatArray
    """Money, >= 0."""


@dataclass(frozen=True)
class LotOrders:
    """Whole orders; every array has shape (item,)."""

    quantity_units: IntArray
    unit_cost: FloatArray
    """Money that each unit of the order costs."""
    reason: IntArray
    """LotReason codes."""


def round_to_lots(
    wanted_units: FloatArray,
    rules: LotRules,
    *,
    demand_mean_units_per_day: FloatArray,
    review_period_days: FloatArray,
    holding_cost_per_unit_day: FloatArray,
) -> LotOrders:
    """Return the whole order of each item that costs least, near what it wants.

    The wanted quantity is rounded to the nearest pack, not below the minimum and not above the
    limit. A higher price break is taken where that saves money: what is bought beyond the wanted
    quantity saves as much at the next reviews, but lies on the shelf until they have ordered that
    much less, `surplus (surplus / mean + T) / 2` unit-days.

    Args:
        wanted_units: shape (item,), >= 0; nothing is ordered where it is below half a unit.
        rules: the supplier's.
        demand_mean_units_per_day, review_period_days, holding_cost_per_unit_day: shape (item,).

    Raises:
        PolicyInputError: an argument is out of range.

    Source: all-units discounts, e.g. Snyder & Shen, 2nd ed., section 3.4.

    >>> rules = LotRules(unit_cost=np.array([10.0]), minimum_units=np.array([0.0]),
    ...     pack_units=np.array([12.0]), most_units=np.array([np.inf]),
    ...     break_units=np.array([[100.0]]), break_unit_cost=np.array([[9.0]]))
    >>> orders = round_to_lots(np.array([90.0]), rules,
    ...     demand_mean_units_per_day=np.array([10.0]), review_period_days=np.array([7.0]),
    ...     holding_cost_per_unit_day=np.array([0.01]))
    >>> orders.quantity_units, orders.unit_cost, LotReason(orders.reason[0]).name
    (array([108]), array([9.]), 'PRICE_BREAK')
    """
    wanted = np.asarray(wanted_units, np.float64)
    _check(wanted, rules)
    plain, reason = _plain_lot(wanted, rules)
    best, unit_cost = plain.copy(), _unit_cost(plain, rules)
    base = _unit_cost(plain, rules)
    least = np.zeros(wanted.size)  # money against the plain lot
    for tier in range(rules.break_units.shape[1]):
        lot = _up_to_pack(np.maximum(rules.break_units[:, tier], rules.minimum_units), rules)
        can = (plain > 0.0) & (lot > plain) & (lot <= rules.most_units)
        surplus = np.where(can, lot - plain, 0.0)
        cost = _unit_cost(lot, rules)
        days = _surplus_days(surplus, demand_mean_units_per_day, review_period_days)
        extra = (cost - base) * np.where(can, lot, 0.0) + holding_cost_per_unit_day * days
        better = can & (extra < least)
        best, unit_cost = np.where(better, lot, best), np.where(better, cost, unit_cost)
        least = np.where(better, extra, least)
    reason = np.where(best > plain, LotReason.PRICE_BREAK, reason)
    return LotOrders(best.astype(np.int64), unit_cost, reason.astype(np.int64))


def _check(wanted: FloatArray, rules: LotRules) -> None:
    if not bool(np.all((wanted >= 0.0) & np.isfinite(wanted))):
        raise PolicyInputError("wanted_units", ">= 0 and finite", wanted)
    for name in ("unit_cost", "minimum_units", "pack_units", "most_units", "break_unit_cost"):
        values = getattr(rules, name)
        if not bool(np.all(values >= 0.0)):
            raise PolicyInputError(name, ">= 0", values)
    breaks = rules.break_units
    if not (breaks.ndim == 2 and breaks.shape == rules.break_unit_cost.shape):
        raise PolicyInputError("break_units", "of shape (item, tier), as the costs", breaks.shape)
    rising = (breaks[:, 1:] > breaks[:, :-1]) | np.isinf(breaks[:, 1:])
    if not bool(np.all(breaks > 0.0) and np.all(rising)):
        raise PolicyInputError("break_units", "> 0 and ascending", breaks)


def _up_to_pack(units: FloatArray, rules: LotRules) -> FloatArray:
    pack = np.maximum(np.ceil(rules.pack_units), 1.0)
    lots: FloatArray = np.ceil(units / pack) * pack
    return lots


def _plain_lot(wanted: FloatArray, rules: LotRules) -> tuple[FloatArray, IntArray]:
    """Return the nearest lot without a look at price breaks, and what bound it."""
    pack = np.maximum(np.ceil(rules.pack_units), 1.0)
    near = np.floor(wanted / pack + 0.5) * pack
    smallest = _up_to_pack(np.maximum(rules.minimum_units, 1.0), rules)
    largest = np.floor(rules.most_units / pack) * pack
    lot = np.minimum(np.maximum(near, smallest), largest)
    lot = np.where((wanted < 0.5) | (lot < smallest), 0.0, lot)
    reason = np.select(
        [
            near > largest,
            (near < smallest) & (rules.minimum_units > 1.0),
            (pack > 1.0) & (np.abs(lot - wanted) > 0.5),
            lot != wanted,
        ],
        [
            LotReason.MOST_UNITS,
            LotReason.MINIMUM_ORDER,
            LotReason.PACK_SIZE,
            LotReason.WHOLE_UNITS,
        ],
        LotReason.AS_WANTED,
    )
    return lot, np.where(wanted < 0.5, LotReason.AS_WANTED, reason).astype(np.int64)


def _unit_cost(units: FloatArray, rules: LotRules) -> FloatArray:
    """Return what a unit costs in an order of so many."""
    cost = rules.unit_cost.astype(np.float64)
    for tier in range(rules.break_units.shape[1]):
        reached = units >= rules.break_units[:, tier]
        cost = np.where(reached, rules.break_unit_cost[:, tier], cost)
    return cost


def _surplus_days(surplus: FloatArray, mean: FloatArray, review_days: FloatArray) -> FloatArray:
    """Unit-days that a surplus lies until later reviews have ordered that much less."""
    sells = mean > 0.0
    days = 0.5 * surplus * (surplus / np.where(sells, mean, 1.0) + review_days)
    return np.where(surplus > 0.0, np.where(sells, days, np.inf), 0.0)
