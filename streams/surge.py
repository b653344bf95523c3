"""The surge test: do distinct orders come faster than the item's own rate, and than its spread?

For each item a Shiryaev-Roberts sum of likelihood ratios, one for each factor in
`streams.items.SURGE_FACTORS`, with the item's own overdispersion from day to day, against the
inflated null "at most 1.5 times the usual rate": a baseline that is a little too low raises
nothing. Sums start anew only in ticks with an order, which can only lower them, so that time
without orders is passed in closed form. In the simple form here the rate is spread over the day by
the shop's own profile of the hours.
"""

import math
from dataclasses import dataclass

import numpy as np

from policy.compiled import compiled
from streams.items import SURGE_FACTORS
from streams.rings import DAY_MS, HOUR_MS
from streams.types import Float64Array, Int32Array, Table

NULL_FACTOR = 1.5
_FACTORS = np.array(SURGE_FACTORS) * NULL_FACTOR
_HIGHEST_LOG = 700.0  # beyond it the exponential is no number
# A sum that could grow without bound would take as long to fall again: the surge would never end.
# One factor alone must still be able to call a surge.
_CEILING = float(len(SURGE_FACTORS))


@dataclass(frozen=True, slots=True)
class SurgeSettings:
    """When a surge is called, and when it is over."""

    threshold: float = 1e4  # mean sum at which a surge is called
    end_share: float = 1e-2  # of the threshold, below which it is over
    minimum_orders_per_day: float = 0.2  # the rate is taken to be at least this
    minimum_days: int = 3  # closed days before the test begins


@compiled
def _share_of_day(weight: Float64Array, at_ms: int) -> float:
    """Share of a day's orders that comes before a time of that day."""
    in_day = at_ms % DAY_MS
    hour = in_day // HOUR_MS
    return weight[:hour].sum() + weight[hour] * (in_day - hour * HOUR_MS) / HOUR_MS


@compiled
def _pass_time(
    sums: Float64Array, size: float, rate: float, before: float, after: float, seen: int, new: int
) -> None:
    """Multiply the sums by the likelihood ratios of a part of a day.

    A day's orders are Poisson with the usual mean times a factor, drawn anew each day from a gamma
    distribution of shape `size`: that is what makes the counts of days overdispersed. Given `seen`
    orders before, `new` ones in the part between the shares `before` and `after` of the day.
    """
    for factor in range(sums.size):
        other = _FACTORS[factor] * rate
        null = NULL_FACTOR * rate
        earlier = math.log((size + null * before) / (size + other * before)) * (size + seen)
        later = math.log((size + null * after) / (size + other * after)) * (size + seen + new)
        ratio = math.log(other / null) * new + later - earlier
        sums[factor] *= math.exp(min(ratio, _HIGHEST_LOG))


@compiled
def _tick(
    rows: Table,
    items: Int32Array,
    weight: Float64Array,
    boundary_ms: int,
    tick_ms: int,
    minimum_rate: float,
    minimum_days: int,
    highest: float,
    means: Float64Array,
) -> None:
    start = boundary_ms - tick_ms
    before = _share_of_day(weight, start)
    after = 1.0 if boundary_ms % DAY_MS == 0 else _share_of_day(weight, boundary_ms)
    for place in range(items.size):
        row = rows[items[place]]
        orders = row.tick_orders
        row.tick_orders = 0
        if row.observed_days < minimum_days:
            row.surge_ticked_ms = boundary_ms
            continue
        rate = max(row.order_level_per_day, minimum_rate)
        # Overdispersion of daily counts; at least a little, at most that of very wild items.
        excess = max(row.order_variance - rate, 0.05 * rate)
        size = min(max(rate * rate / excess, 0.25), 50.0)
        sums = row.surge_sums
        seen = max(row.day_orders - orders, 0)
        if row.surge_ticked_ms < start and row.surge_ticked_ms // DAY_MS == start // DAY_MS:
            since = _share_of_day(weight, row.surge_ticked_ms)
            _pass_time(sums, size, rate, since, before, seen, 0)
        if orders > 0:
            sums += 1.0
        _pass_time(sums, size, rate, before, after, seen, orders)
        for factor in range(sums.size):
            sums[factor] = min(sums[factor], highest)
        row.surge_ticked_ms = boundary_ms
        means[place] = sums.mean()


def surge_tick(
    rows: Table,
    items: Int32Array,
    hour_weight: Float64Array,
    boundary_ms: int,
    tick_ms: int,
    settings: SurgeSettings,
) -> Float64Array:
    """Close the tick that ends at the boundary for the items given; return their mean sums.

    Args:
        rows: `streams.items.ROW` records, shape (item,), changed in place.
        items: those with orders in the tick, and any other to be brought up to date, shape (n,).
            At a day's end all whose sums are not zero: a new day has a new factor.
        hour_weight: share of a day's orders that falls into each UTC hour, shape (24,), sum 1.
        boundary_ms: end of the tick.
        tick_ms: its width, at most an hour.
        settings: the test.

    Returns:
        Mean over the factors, shape (n,); a surge is called at `settings.threshold`.
    """
    means = np.zeros(items.size)
    _tick(
        rows,
        items,
        hour_weight,
        boundary_ms,
        tick_ms,
        settings.minimum_orders_per_day,
        settings.minimum_days,
        _CEILING * settings.threshold,
        means,
    )
    return means


def surge_factor(sums: Float64Array) -> float:
    """Return how many times the usual rate the orders come, by the weight of each factor's sum.

    >>> surge_factor(np.array([0.0, 0.0, 5.0, 0.0, 0.0, 0.0]))
    4.5
    """
    total = float(sums.sum())
    return float(sums @ _FACTORS / total) if total > 0 else 1.0
