"""Orders of a day that come within a minute: an import, no rise of demand.

Exports that know dates alone put all orders of a day at midnight, and a nightly import puts them
where it runs. To a test of minutes that is a thousand times the baseline; in truth it is a day like
others. So a tick that holds much of what the whole shop sells in a day stands for as much time as
its orders amount to (`streams.detection.order_feed`), and items are judged by the totals of days.

What tells an import from a surge is learned from the items' own rates:

- Items come several times in it. A cart holds many items, each once; two carts in one minute hold
  few items in common.
- It holds items as broadly as a day does: of the demand of items that a day would bring, half.
- It holds `LEAST_SHARE` of the repeats of a day at least: in a minute that is 72 times the baseline
  of the whole shop. Of an item no more is counted than its day brings, so one item alone is no
  import, however fast it sells, where the shop has several.
- The one before was most of a day ago, or long enough for what this one holds: a shop whose orders
  come each hour at once, and many more than before, is in a surge.

A surge that looks like an import all the same is called later, not never: once its day has more
orders than a day may have.
"""

import math
from typing import NamedTuple

import numpy as np

from streams.types import Float64Array, Int64Array

LEAST_SHARE = 0.05
_LEAST_REPEATS = 4.0
_LEAST_BREADTH = 0.5
_LONGEST_TICK_MS = 600_000  # in a longer one, a busy hour and an import look alike
_MOST_OF_A_DAY = 0.5
_LEAST_ORDERS = 8


class ShopDay(NamedTuple):
    """What an operational day of the shop brings, by the rates of its items.

    Attributes:
        orders: in all.
        repeats: orders of an item beyond its first.
        breadth: demand of the items that are sold at all.
    """

    orders: float = 0.0
    repeats: float = 0.0
    breadth: float = 0.0


def shop_day(rates: Float64Array) -> ShopDay:
    """Return what a day brings, the same in whatever order the items stand.

    Args:
        rates: orders of each item per operational day, shape (item,).
    """
    none = np.exp(-rates)
    parts = (rates, rates - 1.0 + none, rates * (1.0 - none))
    return ShopDay(*(math.fsum(part.tolist()) for part in parts))


def is_import(orders: Int64Array, rates: Float64Array, day: ShopDay, tick_ms: int) -> bool:
    """Return whether the orders of a tick are those of a day.

    Args:
        orders: of each item in the tick, shape (n,).
        rates: of these items per operational day, shape (n,).
        day: what a day of the shop brings.
        tick_ms: width of the tick.

    >>> rates = np.array([20.0, 5.0])
    >>> is_import(np.array([17, 6]), rates, shop_day(rates), 60_000)
    True
    >>> is_import(np.array([0, 90]), rates, shop_day(rates), 60_000)
    False
    """
    if not day.orders > 0 or tick_ms > _LONGEST_TICK_MS:
        return False
    least = max(_LEAST_REPEATS, LEAST_SHARE * max(tick_ms / 60_000, 1.0) * day.repeats)
    repeats = np.maximum(np.minimum(orders, rates + 1.0) - 1.0, 0.0)
    sold = rates[orders > 0]
    is_broad = math.fsum(sold.tolist()) >= _LEAST_BREADTH * day.breadth
    return is_broad and math.fsum(repeats.tolist()) >= least


def holds_the_day(burst_orders: int, day_orders: int, tick_ms: int) -> bool:
    """Return whether most orders of a day that is over came within two ticks of it."""
    enough = burst_orders >= max(_LEAST_ORDERS, _MOST_OF_A_DAY * day_orders)
    return enough and tick_ms <= _LONGEST_TICK_MS
