"""Stock beyond what an item needs until its next order has come, and its value by class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from policy.classic.fields import FloatArray, Given, Number
from policy.errors import PolicyInputError
from policy.pressure.cover import COST, ON_HAND, RATE

ON_ORDER = Number("on_order_units", "units that are ordered and have not come")
COVERED = Number("covered_days", "days from a review until its order has come: review + lead time")
SAFETY = Number("safety_stock_units", "safety stock")
LOT = Number("lot_units", "units of an order")


@dataclass(frozen=True)
class Overstock:
    """Units and money beyond need; arrays of shape (item,)."""

    needed_units: FloatArray
    """Demand until the next order has come + safety stock + one lot: the most a rule would hold."""
    units: FloatArray
    """What is on hand beyond that; what is on order is not there yet, but fills the need first."""
    coming_units: FloatArray
    """What is on order beyond that: it can still be cancelled."""
    value: FloatArray


def overstock(
    on_hand: Given,
    on_order: Given,
    demand_per_day: Given,
    covered_days: Given,
    safety_stock: Given,
    lot: Given,
    unit_cost: Given,
) -> Overstock:
    """Return the stock of each item beyond its need.

    Args:
        on_hand, on_order: units, >= 0.
        demand_per_day: units, >= 0.
        covered_days: review + lead time, >= 0.
        safety_stock, lot: units, >= 0.
        unit_cost: money, >= 0.

    Raises:
        PolicyInputError: an argument breaks a range above.

    >>> found = overstock([200, 60], [0, 80], 5, 10, 20, 30, 4)
    >>> found.needed_units.tolist(), found.units.tolist(), found.coming_units.tolist()
    ([100.0, 100.0], [100.0, 0.0], [0.0, 40.0])
    """
    rate, days = RATE.check(demand_per_day), COVERED.check(covered_days)
    needed = rate * days + SAFETY.check(safety_stock) + LOT.check(lot)
    stock, coming, needed = np.broadcast_arrays(
        ON_HAND.check(on_hand), ON_ORDER.check(on_order), needed
    )
    units = np.maximum(stock - needed, 0.0)
    too_many = np.maximum(stock + coming - needed, 0.0)
    return Overstock(needed, units, too_many - units, units * COST.check(unit_cost))


def by_class(values: Given, classes: npt.ArrayLike) -> dict[str, float]:
    """Return the sum of values in each class, by the class's name.

    >>> by_class([400, 0, 20], ["A", "B", "A"])
    {'A': 420.0, 'B': 0.0}
    """
    amounts, names = np.asarray(values, dtype=np.float64), np.asarray(classes)
    if amounts.shape != names.shape:
        raise PolicyInputError("classes", f"of shape {amounts.shape}, as values", names.shape)
    found, place = np.unique(names, return_inverse=True)
    sums = np.bincount(place.ravel(), weights=amounts.ravel(), minlength=found.size)
    return {str(name): float(total) for name, total in zip(found, sums, strict=True)}
