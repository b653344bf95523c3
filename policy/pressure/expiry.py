"""Units of lots that will not sell before they expire, where the next to expire sells first."""

from __future__ import annotations

import numpy as np

from policy.classic.fields import FloatArray, Given, Number
from policy.errors import PolicyInputError
from policy.pressure.cover import RATE

LOT_UNITS = Number("lot_units", "units in a lot")
DAYS_LEFT = Number("days_left", "days until a lot expires; below 0 it has expired", low=-1e15)


def units_at_risk(lot_units: Given, days_left: Given, demand_per_day: Given) -> FloatArray:
    """Return how many units of each lot will be left when it expires.

    Args:
        lot_units: shape (..., lot), >= 0; 0 fills a row whose item has fewer lots.
        days_left: shape (..., lot), in any order.
        demand_per_day: units of the item, shape (...,), >= 0, every day alike.

    Returns:
        Units, shaped as `lot_units`; each lot's stand at its place. Of one lot: stock - demand x
        days left, and never below 0.

    By the day a lot expires, demand x days left units have been sold of it and the lots before it.
    What earlier lots could not sell was thrown away, and takes no sales from it.

    Raises:
        PolicyInputError: an argument breaks a range above.

    >>> units_at_risk([100, 40], [10, 30], 4.0).tolist()  # 40 of the first sell, all of the second
    [60.0, 0.0]
    """
    units, days = np.broadcast_arrays(LOT_UNITS.check(lot_units), DAYS_LEFT.check(days_left))
    rate = RATE.check(demand_per_day)
    if not units.ndim or rate.shape not in ((), units.shape[:-1]):
        rule = f"one number, or of shape {units.shape[:-1]}, as the rows of lot_units"
        raise PolicyInputError(RATE.name, rule, rate.shape)
    order = np.argsort(days, axis=-1, kind="stable")
    lots = np.take_along_axis(units, order, axis=-1)
    could = rate[..., None] * np.maximum(np.take_along_axis(days, order, axis=-1), 0.0)
    # Sold of the first i lots: the least over j <= i of could(j) + lots j+1 ... i, or all of them.
    through = np.cumsum(lots, axis=-1)
    sold = through + np.minimum(np.minimum.accumulate(could - through, axis=-1), 0.0)
    left = np.empty_like(lots)
    np.put_along_axis(left, order, lots - np.diff(sold, axis=-1, prepend=0.0), axis=-1)
    return np.asarray(np.maximum(left, 0.0))


def rate_to_sell(lot_units: Given, days_left: Given) -> FloatArray:
    """Return the demand a day at which every lot sells before it expires.

    Args:
        lot_units, days_left: as for `units_at_risk`.

    Returns:
        Units a day, shape (...,); infinite where a lot with units has expired.

    >>> float(rate_to_sell([100, 40], [10, 30]))
    10.0
    """
    units, days = np.broadcast_arrays(LOT_UNITS.check(lot_units), DAYS_LEFT.check(days_left))
    order = np.argsort(days, axis=-1, kind="stable")
    lots = np.take_along_axis(units, order, axis=-1)
    until = np.take_along_axis(days, order, axis=-1)
    through = np.cumsum(lots, axis=-1)
    needed = np.where(lots > 0, np.inf, 0.0)
    np.divide(through, until, out=needed, where=(until > 0) & (lots > 0))
    return np.asarray(needed.max(axis=-1, initial=0.0))
