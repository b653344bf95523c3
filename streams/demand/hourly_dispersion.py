"""How unevenly an item's orders fall within a day: the variance of an hour's orders over its mean.

Poisson orders have 1. Customers who split an order, invoices keyed in one after another and hours
that differ from the week's make it more, and a test that took them for Poisson would take any wave
for a proof. So each calm day teaches it: `sum (n - due)**2 / sum due` over the hours of the day,
what is due being the day's own orders spread by the shop's week. The fullest hour is left out: it
may be a surge that nobody called.

Two things make it: clumps, whatever the rate, and waves, which grow with it. An item that has
taught little is taken to be as those like it: `clump + wave * rate`, fitted to all items.

Days with a stock-out, a campaign, a called surge, an outage or an import teach nothing here.
"""

import math
from typing import NamedTuple

import numpy as np

from policy.compiled import compiled
from streams.demand.week_profile import operational_days
from streams.settings import HourSettings
from streams.timestamps import HOUR_MS
from streams.types import BoolArray, Float64Array, Record, Table

_FULLEST_SHARE, _FULLEST_ORDERS = 0.18, 4.0
"""Of the sum, the share that the fullest hour holds, and in how many orders a day half of it: by
simulation, for 12 to 24 even hours."""


class Hours(NamedTuple):
    """What the items of a shard have in common: `clump + wave * orders a day`."""

    clump: float = 1.0
    wave: float = 0.0


@compiled
def _close_hour(row: Record, elapsed: Float64Array, rate: float) -> None:
    """Take the hour that was counted into the sums of its day."""
    orders = float(row.hour_orders)
    days = operational_days(elapsed, row.hour_ms, row.hour_ms + HOUR_MS)
    row.hours_orders += orders
    row.hours_squares += orders * orders
    row.hours_products += orders * days
    fullest = row.fullest_hour_orders - rate * row.fullest_hour_days
    if row.fullest_hour_orders == 0.0 or orders - rate * days > fullest:
        row.fullest_hour_orders = orders
        row.fullest_hour_days = days
    row.hour_orders = 0


@compiled
def note_orders(row: Record, hour_ms: int, orders: int, elapsed: Float64Array, rate: float) -> None:
    """Count orders of an hour; those before in the day have been counted.

    Args:
        row: one record of `streams.state.items.ROW`, changed in place.
        hour_ms: when the hour began.
        orders: more of them, > 0.
        elapsed: of the shop's profile, shape (169,).
        rate: orders per operational day that are due.
    """
    if row.hour_ms != hour_ms and row.hour_orders > 0:
        _close_hour(row, elapsed, rate)
    row.hour_ms = hour_ms
    row.hour_orders += orders


@compiled
def _close(
    rows: Table,
    elapsed: Float64Array,
    whole: float,
    squares: float,
    teaches: BoolArray,
    kept: float,
) -> None:
    for place in range(rows.size):
        row = rows[place]
        if row.hour_orders > 0:
            rate = row.baseline_orders / row.baseline_days if row.baseline_days > 0.0 else 0.0
            _close_hour(row, elapsed, rate)
        if teaches[place] and row.hours_orders > row.fullest_hour_orders:
            orders = row.hours_orders - row.fullest_hour_orders
            days = whole - row.fullest_hour_days
            even = squares - row.fullest_hour_days**2
            rate = orders / days
            products = row.hours_products - row.fullest_hour_orders * row.fullest_hour_days
            excess = row.hours_squares - row.fullest_hour_orders**2
            excess += rate * (rate * even - 2.0 * products)
            due = orders * (1.0 - even / days**2)
            if due > 0.0:
                weight = due / (1.0 + 2.0 * due * even / days**2)
                due *= 1.0 - _FULLEST_SHARE * orders / (orders + _FULLEST_ORDERS)
                row.hourly_excess = row.hourly_excess * kept + weight * excess / due
                row.hourly_weight = row.hourly_weight * kept + weight
        row.hours_orders = row.hours_squares = row.hours_products = 0.0
        row.fullest_hour_orders = row.fullest_hour_days = 0.0


def close_hours(
    rows: Table, elapsed: Float64Array, day_ms: int, teaches: BoolArray, settings: HourSettings
) -> None:
    """Take the hours of the day that ends into what is known of each item, in place.

    Args:
        rows: `streams.state.items.ROW` records, shape (item,).
        elapsed: of the profile in force during the day, shape (169,).
        day_ms: when the day began.
        teaches: whose day was calm and whole, shape (item,).
        settings: how fast.
    """
    starts_ms = day_ms + np.arange(24) * HOUR_MS
    hours = operational_days(elapsed, starts_ms, starts_ms + HOUR_MS)
    whole, squares = float(hours.sum()), float((hours * hours).sum())
    _close(rows, elapsed, whole, squares, teaches, math.exp(-1.0 / settings.memory_days))


@compiled
def hourly_dispersion(
    row: Record, rate: float, hours: Hours, own_weight: float, times: float
) -> float:
    """Return the variance over mean of an item's orders in an hour, at least 1.

    Args:
        row: one record of `streams.state.items.ROW`.
        rate: its baseline orders a day.
        hours: what the items have in common.
        own_weight: of that, beside the item's own hours.
        times: the baseline at which it is asked for: waves grow with the rate.
    """
    alike = hours.clump + hours.wave * rate
    own = (row.hourly_excess + own_weight * alike) / (row.hourly_weight + own_weight)
    own = max(own, 1.0)
    clump = min(own, hours.clump)
    dispersion: float = clump + (own - clump) * times
    return dispersion


def pool_hours(known: Table, settings: HourSettings) -> Hours:
    """Fit what the items have in common, the same in whatever order they stand.

    Least squares of each item's dispersion on its rate; items count by how much they have taught,
    and less where waves make theirs uncertain. The prior is one item more.

    Args:
        known: `streams.state.items.ROW` records with a baseline, shape (n,).
        settings: the prior.
    """
    taught = known[known["hourly_weight"] > 0]
    rates = taught["baseline_orders"] / taught["baseline_days"]
    found = taught["hourly_excess"] / taught["hourly_weight"]
    weights = taught["hourly_weight"] / (taught["hourly_weight"] + settings.own_weight)
    weights = weights / (1.0 + settings.prior_wave * rates) ** 2
    far = settings.prior_orders**2

    def total(values: Float64Array) -> float:
        return math.fsum(values.tolist())

    one, of_rate, of_square = total(weights), total(weights * rates), total(weights * rates**2)
    one, of_square = one + 1.0, of_square + far
    clumps = total(weights * found) + settings.prior_clump
    waves = total(weights * found * rates) + far * settings.prior_wave
    clump = (clumps * of_square - waves * of_rate) / (one * of_square - of_rate**2)
    wave = (waves - clump * of_rate) / of_square
    if wave < 0.0:
        return Hours(max(clumps / one, 1.0), 0.0)
    if clump < 1.0:
        return Hours(1.0, max((waves - of_rate) / of_square, 0.0))
    return Hours(clump, wave)
