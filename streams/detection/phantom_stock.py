"""Phantom stock: an item that is in stock by the record, but does not sell."""

import math

import numpy as np

from policy.compiled import compiled
from streams.demand.week_profile import operational_days
from streams.settings import SilenceSettings
from streams.types import Float64Array, Int32Array, Table


@compiled
def chance_of_none(mean: float, dispersion: float, level_orders: float) -> float:
    """Return the chance of no order where `mean` were expected: negative binomial.

    Args:
        mean: orders expected, > 0.
        dispersion: variance over mean of orders when their level is known, >= 1.
        level_orders: what the level rests on, in orders, > 0: it may be wrong itself.

    Returns:
        A probability. With a well-known level and dispersion 1 it is Poisson's:

    >>> bool(abs(chance_of_none(2.0, 1.0, 1e9) - math.exp(-2.0)) < 1e-6)
    True
    """
    excess = (dispersion - 1.0) * mean + mean * mean / level_orders
    if excess <= 1e-9 * mean:
        return math.exp(-mean)
    size = mean * mean / excess
    return math.exp(-size * math.log1p(mean / size))


@compiled
def _suspicious(
    rows: Table,
    elapsed: Float64Array,
    at_ms: int,
    shop_orders: int,
    shop_rate: float,
    settings: SilenceSettings,
    found: Int32Array,
) -> int:
    count = 0
    least = -math.log(settings.chance)
    for place in range(rows.size):
        row = rows[place]
        rate = row.quiet_rate
        is_settled = row.silent_since_ms != 0 or row.out_since_ms != 0 or row.counted_at_ms == 0
        if is_settled or row.quiet_since_ms == 0 or row.quiet_rate_orders < settings.least_orders:
            continue
        by_shop = rate / shop_rate * (shop_orders - row.quiet_since_orders)
        if by_shop < least:
            continue
        mean = min(by_shop, rate * operational_days(elapsed, row.quiet_since_ms, at_ms))
        if mean < least:
            continue
        if chance_of_none(mean, row.quiet_dispersion, row.quiet_rate_orders) < settings.chance:
            found[count] = place
            count += 1
    return count


def suspicious_items(
    rows: Table,
    elapsed: Float64Array,
    at_ms: int,
    shop_orders: int,
    shop_rate: float,
    settings: SilenceSettings,
) -> Int32Array:
    """Return the items whose silence began to be suspicious: stock by the record, and no sale.

    Args:
        rows: `streams.state.items.ROW` records, shape (item,).
        elapsed: of the profile, shape (169,).
        at_ms: now, in event time.
        shop_orders: the shop's orders (by item and day) since the beginning.
        shop_rate: its orders per operational day.
        settings: what suspicious is.

    Returns:
        Places, ascending.
    """
    if not shop_rate > 0:
        return np.zeros(0, np.int32)
    found = np.empty(rows.size, np.int32)
    count = _suspicious(rows, elapsed, at_ms, shop_orders, shop_rate, settings, found)
    return found[:count]
