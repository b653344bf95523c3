"""What can be sold, how long it lasts, and whether that is until goods can come."""

import numpy as np

from policy.compiled import compiled
from streams.demand.week_profile import Profile, operational_ends_ms
from streams.state.items import Columns
from streams.timestamps import DAY_MS, MINUTE_MS
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
