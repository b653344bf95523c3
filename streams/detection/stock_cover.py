"""What can be sold, how long it lasts, and whether that is until goods can come."""

import math
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from policy.compiled import compiled
from streams.demand.week_profile import Profile, operational_days, operational_ends_ms
from streams.state.items import Columns
from streams.timestamps import DAY_MS, HOUR_MS, MINUTE_MS
from streams.types import Float64Array, Int64Array, Table

_LONGEST_DAYS = 3_650.0  # what lasts longer never runs out


def net_stock_units(rows: Table | Columns) -> Int64Array:
    """Return the stock less what customers wait for; below 0 more is owed than is there.

    Args:
        rows: `streams.state.items.ROW` records, or one of them.
    """
    units: Int64Array = rows["on_hand_units"] - rows["backlog_units"]
    return units


def available_units(rows: Table | Columns) -> Int64Array:
    """Return what can be sold: the net stock, or 0 where more is owed than is there."""
    units: Int64Array = np.maximum(net_stock_units(rows), 0)
    return units


def minutes_to_zero(
    rows: Table, units_per_day: Float64Array | float, profile: Profile, now_ms: int
) -> Float64Array:
    """Return minutes until each stock is sold at these rates, by the hours of the shop's week.

    Args:
        rows: `streams.state.items.ROW` records, shape (n,), or one of them.
        units_per_day: per operational day, shape (n,), or any shape for one record.
        profile: the shop's week.
        now_ms: event time.

    Returns:
        Minutes, of the rates' shape: 0 where nothing is available, infinite where the stock never
        runs out or was never counted.
    """
    rates = np.asarray(units_per_day, np.float64)
    available = np.broadcast_to(available_units(rows), rates.shape)
    days = np.full(rates.shape, np.inf)
    np.divide(available, rates, out=days, where=rates > 0)
    days[available == 0] = 0.0
    is_known = (rows["counted_at_ms"] > 0) & (days <= _LONGEST_DAYS)
    ends_ms = operational_ends_ms(profile.elapsed, now_ms, days[is_known])
    minutes = np.full(rates.shape, np.inf)
    minutes[is_known] = np.maximum(ends_ms - now_ms, 0) / MINUTE_MS
    return minutes


def whole_minutes(minutes: float) -> int | None:
    """Return minutes as they are shown; None means that the stock never runs out, or is not known.

    >>> whole_minutes(12.4), whole_minutes(np.inf)
    (12, None)
    """
    return round(float(minutes)) if np.isfinite(minutes) else None


@compiled
def _ratios(
    rows: Table, items: Int64Array, available: Int64Array, at_ms: int, ratios: Float64Array
) -> None:
    for place in range(items.size):
        row = rows[items[place]]
        level = row.demand_level_units_per_day
        if row.counted_at_ms > 0 and row.next_review_ms > 0 and level > 0.0:
            waits_days = row.lead_time_days_flexible
            if row.next_due_ms > at_ms:
                waits_days = (row.next_due_ms - at_ms) / DAY_MS
            needed = level * waits_days
            if needed > 0.0:
                ratios[place] = available[place] / needed


def cover_ratios(rows: Table, items: Int64Array, at_ms: int) -> Float64Array:
    """Return days that the stock lasts divided by days until goods can come; infinite: not known.

    Goods come with the next open order, or else with an order placed now at the fast supplier.

    Args:
        rows: `streams.state.items.ROW` records, shape (item,).
        items: places in them, shape (n,).
        at_ms: event time.

    Returns:
        Ratios, shape (n,).
    """
    ratios = np.full(items.size, np.inf)
    _ratios(rows, items, available_units(Columns(rows, items)), at_ms, ratios)
    return ratios


class Shortage(NamedTuple):
    """What will be missing before goods can come, of n items."""

    chance: Float64Array  # of running out
    units: Float64Array  # short in the mean
    days: Float64Array  # operational ones, that these units sell in
    wait_hours: Float64Array  # until goods come


def shortage(
    rows: Table,
    units_per_day: Float64Array,
    elapsed: Float64Array,
    at_ms: int,
) -> Shortage:
    """Return how likely each item runs out before goods can come, and how much it will lack.

    What sells until then is normal, with the spread of the item's days and the doubt about its
    level; both are in the chance and in the units. Goods come with the next open order, or else
    with an order placed now at the fast supplier.

    Args:
        rows: `streams.state.items.ROW` records, shape (n,).
        units_per_day: that sell now per operational day, shape (n,).
        elapsed: of the shop's profile, shape (169,).
        at_ms: event time.

    >>> import numpy as np
    >>> from streams.demand.week_profile import flat_profile
    >>> from streams.state.items import ROW
    >>> row = np.zeros(1, ROW)
    >>> row["on_hand_units"], row["counted_at_ms"] = 40, 1
    >>> row["lead_time_days_flexible"], row["level_orders"] = 1.0, 1e9
    >>> row["demand_variance_units"] = 25.0
    >>> lacks = shortage(row, np.array([50.0]), flat_profile().elapsed, 0)
    >>> round(float(lacks.chance[0]), 3), round(float(lacks.units[0]), 1)
    (0.977, 10.0)
    """
    due_ms = rows["next_due_ms"]
    fast_ms = at_ms + (rows["lead_time_days_flexible"] * DAY_MS).astype(np.int64)
    comes_ms = np.where(due_ms > at_ms, due_ms, fast_ms)
    days = operational_days(elapsed, np.full(rows.size, at_ms), comes_ms)
    mean = units_per_day * days
    doubt = mean * mean / np.maximum(rows["level_orders"], 1.0)
    spread = np.sqrt(np.maximum(rows["demand_variance_units"] * days + doubt, 1e-9))
    reach = (available_units(rows) - mean) / spread
    chance = ndtr(-reach)
    density = np.exp(-reach * reach / 2.0) / math.sqrt(2.0 * math.pi)
    units = spread * np.maximum(density - reach * chance, 0.0)
    is_known = (rows["counted_at_ms"] > 0) & (units_per_day > 0)
    chance, units = np.where(is_known, chance, 0.0), np.where(is_known, units, 0.0)
    lasting = units / np.maximum(units_per_day, 1e-9)
    return Shortage(chance, units, lasting, (comes_ms - at_ms) / HOUR_MS)
