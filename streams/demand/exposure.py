"""For how long an item was really on sale: what a day without orders may teach.

Time in which the record says that there is nothing to sell does not count, nor time of suspicious
silence: the record says stock, yet nothing was sold for so long that chance is no explanation
(phantom stock). A sale while the record says none proves the record wrong up to then, and that
time counts after all; so a shop that sells on back order, or whose counts are made up, learns.

Orders and time since an item's last sale are measured twice, by the shop's profile and by the
shop's own orders, and the shorter counts: when the whole shop is silent no item is suspicious.
"""

import numpy as np

from policy.compiled import compiled
from streams.demand.week_profile import operational_days
from streams.timestamps import DAY_MS
from streams.types import BoolArray, Float64Array, Record, Table


@compiled
def note_sale(row: Record, at_ms: int, elapsed: Float64Array, shop_orders: int) -> None:
    """Note that an item sold: the silence before it ends."""
    if row.silent_since_ms > row.quiet_since_ms:
        start = max(row.quiet_since_ms, at_ms // DAY_MS * DAY_MS)
        row.day_censored_days += operational_days(elapsed, start, at_ms)
        row.quiet_days = 0.0
    if row.silent_since_ms < 0:
        row.silent_since_ms = 0
    if row.out_since_ms > 0:
        row.quiet_days += row.out_days
        row.out_days = 0.0
        row.out_since_ms = at_ms
    row.quiet_since_ms = at_ms
    row.quiet_since_orders = shop_orders


@compiled
def note_stock(rows: Table, item: int, at_ms: int, elapsed: Float64Array, shop_orders: int) -> None:
    """Note what a movement did to the stock: whether there is something to sell."""
    row = rows[item]
    if row.counted_at_ms == 0:
        return
    if row.on_hand_units <= row.backlog_units:
        if row.out_since_ms == 0:
            row.out_since_ms = at_ms
    elif row.out_since_ms > 0:
        start = max(row.out_since_ms, at_ms // DAY_MS * DAY_MS)
        row.day_censored_days += operational_days(elapsed, start, at_ms)
        row.out_days = 0.0
        row.out_since_ms = 0
        row.quiet_since_ms = at_ms
        row.quiet_since_orders = shop_orders


@compiled
def _close(
    rows: Table,
    elapsed: Float64Array,
    start_ms: int,
    end_ms: int,
    scale: float,
    campaign_days: Float64Array,
    changed: BoolArray,
) -> None:
    whole = operational_days(elapsed, start_ms, end_ms)
    for place in range(rows.size):
        row = rows[place]
        censored = row.day_censored_days + campaign_days[place]
        changed[place] = row.day_censored_days != 0.0
        row.day_censored_days = 0.0
        if row.known_orders == 0.0 and row.day_orders == 0:
            continue  # never sold: nothing to teach
        changed[place] = True
        if row.out_since_ms > 0:
            out = operational_days(elapsed, max(row.out_since_ms, start_ms), end_ms)
            row.out_days += out * scale
            censored += out
        elif row.silent_since_ms > row.quiet_since_ms:
            censored += operational_days(elapsed, max(row.quiet_since_ms, start_ms), end_ms)
        row.day_exposure_days = max(whole - censored, 0.0) * scale


def close_exposure(
    rows: Table,
    elapsed: Float64Array,
    start_ms: int,
    end_ms: int,
    counts_days: float,
    campaign_days: Float64Array,
) -> BoolArray:
    """Set `day_exposure_days` of every item that ever sold, for the day that ends.

    Args:
        rows: `streams.state.items.ROW` records, shape (item,), changed in place.
        elapsed: of the profile in force during the day, shape (169,).
        start_ms: when the day began, or the history in it.
        end_ms: when it ends.
        counts_days: operational days for which the shop's day counts; 0: it was closed.
        campaign_days: operational days of the day inside campaign windows, shape (item,).

    Returns:
        Which rows changed, shape (item,).
    """
    whole = float(operational_days(elapsed, start_ms, end_ms))
    changed = np.zeros(rows.size, np.bool_)
    _close(rows, elapsed, start_ms, end_ms, counts_days / whole, campaign_days, changed)
    return changed


def censored_days(rows: Table, elapsed: Float64Array, day_ms: int, until_ms: int) -> Float64Array:
    """Return the operational days of the open day, up to a time, in which items were not on sale.

    Args:
        rows: `streams.state.items.ROW` records, shape (n,).
        elapsed: of the profile, shape (169,).
        day_ms: when the day began.
        until_ms: not before that.

    Returns:
        Days, shape (n,).
    """
    is_out = rows["out_since_ms"] > 0
    is_silent = ~is_out & (rows["silent_since_ms"] > rows["quiet_since_ms"])
    since = np.where(is_out, rows["out_since_ms"], rows["quiet_since_ms"])
    since = np.where(is_out | is_silent, np.clip(since, day_ms, until_ms), until_ms)
    days: Float64Array = operational_days(elapsed, since, np.full(rows.size, until_ms))
    return rows["day_censored_days"] + days
