"""The orders that teach the shop its hours: those of ordinary time, and what stands for the rest.

An import tells how much a day sold, not when. What a surge or the catch-up after an outage brought
tells neither: it is taken out, and for that time stands what was due.
"""

import numpy as np

from streams.demand.week_profile import due_by_hour, hours_of_day, operational_days
from streams.detection.imports import holds_the_day
from streams.exact_sums import MILLIONTHS, millionths
from streams.state.items import Columns
from streams.timeline.partition_state import State
from streams.timestamps import DAY_MS, HOUR_MS
from streams.types import AnyArray, BoolArray, Float64Array, Int32Array, Int64Array, Table

_LEAST_LIKELY = 0.01
_KNOWN_ORDERS = 10.0  # of a day, that the hours known before are worth


def teach_tick(state: State, boundary: int, *, is_import: bool, is_catch_up: bool) -> None:
    """Take the orders of the tick that ends into the hours of the open day."""
    taught, state.tick_hour_orders = state.tick_hour_orders, np.zeros(24)
    if not taught.any() or (is_catch_up and knows_the_week(state)):
        return
    if is_import:
        state.alerts.order_feed.state.day_import_orders += float(taught.sum())
    else:
        state.hour_orders += taught


def forget_sequence(state: State, sold: str) -> None:
    """Let it mean nothing in what order the items of an import sold.

    Args:
        state: of the shard.
        sold: the column that counts its orders.
    """
    rows = state.rows()
    items = np.flatnonzero(rows[sold] > 0)
    rows["quiet_since_orders"][items] = state.shop_orders
    state.changed.add(items)


def spread_imports(state: State, boundary: int) -> None:
    """Let the imports of the day that ends teach how much it sold, and no hours.

    They are taken to have come as its other orders did; where those are few, as is known already.
    """
    feed = state.alerts.order_feed.state
    if holds_the_day(feed.day_burst_orders, feed.day_orders, state.settings.tick_ms):
        hour = feed.day_burst_ms // HOUR_MS % 24
        burst = min(float(feed.day_burst_orders), float(state.hour_orders[hour]))
        state.hour_orders[hour] -= burst
        feed.day_import_orders += burst
        forget_sequence(state, "day_orders")
    imported, feed.day_import_orders = feed.day_import_orders, 0.0
    if imported:
        shape = state.hour_orders + _KNOWN_ORDERS * hours_of_day(state.profile, boundary - 1)
        state.hour_orders += imported * shape / shape.sum()


def knows_the_week(state: State) -> bool:
    """Whether every weekday was seen: before that, what is taken for an outage may be its night."""
    return bool((state.profile.days > 0).all())


def make_outage_whole(state: State, start_ms: int, end_ms: int) -> None:
    """Let what was due stand for an outage and its catch-up, as far as they lie in the open day."""
    if not knows_the_week(state) or end_ms <= start_ms:
        return
    day_ms = _day_of(end_ms)
    due = due_by_hour(state.profile, day_ms // DAY_MS)
    state.hour_orders += due * _inside(day_ms, np.array([start_ms]), end_ms)[0]


def had_surges(rows: Table | Columns, at_ms: int) -> BoolArray:
    """Return which items are in a surge, or were in one earlier in the day, shape (n,)."""
    is_open: BoolArray = rows["surge_since_ms"] > 0
    return is_open | (rows["surge_published_ms"] > at_ms // DAY_MS * DAY_MS)


def leave_out_surges(state: State, called: Int32Array, boundary: int) -> None:
    """Take out what surges have brought that are called now, for the rest of their day."""
    day_ms = _day_of(boundary)
    known = state.rows()["surge_published_ms"][called] > day_ms  # out for today already
    items = _without_plans(state, called[~known], boundary)
    if not items.size:
        return
    rows = state.items.rows[items]
    starts_ms = np.maximum(rows["surge_start_ms"], day_ms)
    so_far = _inside(day_ms, np.array([day_ms]), boundary)[0]
    due = due_by_hour(state.profile, day_ms // DAY_MS) * so_far
    likely = (
        np.maximum(state.hour_orders - due, 0.0) + _LEAST_LIKELY
    )  # where the surge's orders lie
    inside = _inside(day_ms, starts_ms, boundary) * likely
    shares = inside / np.maximum(inside.sum(axis=1, keepdims=True), 1e-9)
    left = state.hour_orders - _exact(shares * rows["surge_orders"][:, None])
    feed = state.alerts.order_feed.state
    too_much = float(-np.minimum(left, 0.0).sum())  # it was imported
    feed.day_import_orders = max(feed.day_import_orders - too_much, 0.0)
    state.hour_orders = np.maximum(left, 0.0)
    _add_due(state, items, starts_ms, day_ms)


def make_surges_whole(state: State, items: AnyArray, boundary: int) -> None:
    """Let what was due stand for the day of items whose surge began on an earlier one."""
    day_ms = _day_of(boundary)
    is_old = state.rows()["surge_since_ms"][items] <= day_ms
    items = _without_plans(state, items[is_old], boundary)
    if items.size:
        _add_due(state, items, np.full(items.size, day_ms), day_ms)


def _add_due(state: State, items: Int64Array, starts_ms: Int64Array, day_ms: int) -> None:
    """Add the orders that are due of items from a time to the end of the day."""
    rows = state.items.rows[items]
    hours_ms = day_ms + np.arange(24) * HOUR_MS
    days = operational_days(state.profile.elapsed, hours_ms, hours_ms + HOUR_MS)
    # The baseline follows a surge far more slowly than the estimate does.
    rates = rows["baseline_orders"] / np.maximum(rows["baseline_days"], 1e-9)
    inside = _inside(day_ms, starts_ms, day_ms + DAY_MS)
    state.hour_orders += _exact(rates[:, None] * inside * days)


def _day_of(boundary: int) -> int:
    """When the day began that a boundary belongs to, or ends."""
    return (boundary - 1) // DAY_MS * DAY_MS


def _inside(day_ms: int, starts_ms: Int64Array, end_ms: int) -> Float64Array:
    """Which share of each hour of a day lies in stretches up to a time, shape (n, 24)."""
    hours_ms = day_ms + np.arange(24) * HOUR_MS
    ends = np.minimum(hours_ms + HOUR_MS, end_ms)
    starts = np.maximum(hours_ms, starts_ms[:, None])
    shares: Float64Array = np.maximum(ends - starts, 0) / HOUR_MS
    return shares


def _exact(values: Float64Array) -> Float64Array:
    """Sum values of items, shape (n, 24), the same in whatever order the items stand."""
    sums: Float64Array = millionths(values).sum(axis=0) / MILLIONTHS
    return sums


def _without_plans(state: State, items: AnyArray, boundary: int) -> Int64Array:
    """Leave out items with a campaign in the day: their orders teach nothing there anyway."""
    items = items.astype(np.int64)
    if not items.size or not state.profile.is_known:
        return items[:0]
    lines = state.lines_between(_day_of(boundary), boundary)
    kept: Int64Array = items[~np.isin(items, lines.item)]
    return kept


def surge_items(rows: Table) -> Int64Array:
    """Return the items in a surge."""
    found: Int64Array = np.flatnonzero(rows["surge_since_ms"] > 0)
    return found
