"""The tests of a boundary: surges of items and groups, plans that fall short, silent items."""

import numpy as np

from streams.contracts.alerts import AlertKind
from streams.demand.campaigns import Lines, planned_orders, planned_units
from streams.demand.week_profile import operational_days
from streams.detection.factors import is_hardly_more, plan_factors
from streams.detection.imports import LEAST_SHARE, is_import
from streams.detection.phantom_stock import suspicious_items
from streams.detection.shortfall import (
    begin_plans_anew,
    close_plan_day,
    due_orders,
    forget_plans,
    has_caught_up,
    is_short,
    open_lines,
    weigh_plans,
)
from streams.detection.surge import is_proved_still, proved_or_open, surge_tick
from streams.settings import SurgeSettings
from streams.state.items import Columns
from streams.timeline.group_facts import (
    note_hour,
    note_plans,
    note_short,
    note_surging,
    note_tick,
)
from streams.timeline.hour_orders import (
    forget_sequence,
    leave_out_surges,
    make_outage_whole,
    make_surges_whole,
    teach_tick,
)
from streams.timeline.partition_state import State
from streams.timestamps import DAY_MS, HOUR_MS
from streams.types import BoolArray, Float64Array, Int32Array, Int64Array


def close_tick(state: State, boundary: int) -> Int32Array:
    """Run the surge test of items, and tell what it found; return who is called."""
    covered_days = _take_orders(state, boundary)
    tested = _tested_items(state, boundary)
    called, ended, grown = _test_items(state, tested, boundary, covered_days)
    leave_out_surges(state, called, boundary)
    make_surges_whole(state, ended, boundary)
    alerts, items = state.alerts, state.items
    state.effects.extend(alerts.raise_surges(called, items, boundary))
    state.effects.extend(alerts.resolve_surges(ended, items, boundary))
    state.effects.extend(alerts.update_surges(grown, items, boundary))
    is_hour = boundary % HOUR_MS == 0
    if called.size or ended.size or (is_hour and (state.rows()["surge_since_ms"] > 0).any()):
        note_surging(state, boundary)
    if is_hour:
        note_hour(state, boundary)
    return called


def _take_orders(state: State, boundary: int) -> float:
    """Take the tick into the feed and the hours; return the days that it stands for, as import."""
    feed, tick_ms = state.alerts.order_feed, state.settings.tick_ms
    was_catching_up, blackout = feed.is_catching_up, feed.blackout
    is_import = _is_import(state)
    note_tick(state, boundary, feed, is_import=is_import)
    covered_days = feed.close_tick(boundary, tick_ms, is_import=is_import)
    is_import, is_catch_up = covered_days > 0, feed.is_catching_up
    if is_import:
        forget_sequence(state, "tick_orders")
    teach_tick(state, boundary, is_import=is_import, is_catch_up=is_catch_up)
    if was_catching_up and not is_catch_up:
        make_outage_whole(state, blackout.start_ms, boundary - tick_ms)
    return covered_days


def _is_import(state: State) -> bool:
    """Whether the orders of the tick are those of a day."""
    day = state.shop_day
    if state.alerts.order_feed.tick_orders < LEAST_SHARE * day.repeats:
        return False
    rows = state.rows()
    items = np.flatnonzero(rows["tick_orders"] > 0)
    orders, rates = rows["tick_orders"][items], rows["order_level_per_day"][items]
    return is_import(orders, rates, day, state.settings.tick_ms)


def _tested_items(state: State, boundary: int) -> Int32Array:
    """Items with orders in the tick; each hour those in a surge; each day all with evidence.

    Only at these times, so that it does not matter which other boundaries are visited.
    """
    rows = state.rows()
    is_tested = rows["tick_orders"] > 0
    if boundary % HOUR_MS == 0:
        is_tested |= rows["surge_since_ms"] > 0
    if boundary % DAY_MS == 0:
        is_tested |= rows["surge_sums"].any(axis=1)
    return np.flatnonzero(is_tested).astype(np.int32)


def _test_items(
    state: State, items: Int32Array, boundary: int, covered_days: float
) -> tuple[Int32Array, Int32Array, Int32Array]:
    """Run the surge test for items; return who is called, who has calmed, and who has news."""
    if not items.size:
        return items, items, items
    state.changed.add(items)
    settings, feed = state.settings, state.alerts.order_feed
    state.effects.extend(state.alerts.raise_bulk_orders(items, state.items, boundary))
    means = surge_tick(
        state.items.rows,
        items,
        state.profile,
        boundary,
        settings.tick_ms,
        state.pool,
        settings.surge,
        feed.before_import if covered_days else feed.blackout,
        _plan_factors(state, items, boundary),
        covered_days=covered_days,
    )
    found = proved_or_open(state.items.rows, items)
    items, chosen = items[found], Columns(state.items.rows, items[found])
    is_open = chosen["surge_since_ms"] > 0
    enough = is_proved_still(chosen, means[found], settings.surge.level, settings.surge)
    is_little = is_hardly_more(chosen, settings.surge)
    called: Int32Array = items[enough & ~is_open & ~is_little]
    has_ended = is_open & ((chosen["surge_path"] <= 0) | is_little)
    ended = items[has_ended]
    grown = items[is_open & ~has_ended & _is_news(chosen, boundary, settings.surge)]
    return called, ended, grown


def _plan_factors(state: State, items: Int32Array, boundary: int) -> Float64Array | None:
    """How many times the baseline orders are planned for the tick; none without a campaign."""
    start = boundary - state.settings.tick_ms
    lines = state.lines_between(start, boundary)
    if not lines.item.size:
        return None
    elapsed = state.profile.elapsed
    planned = planned_orders(lines, state.rows(), elapsed, start, boundary)[items]
    days = float(operational_days(elapsed, start, boundary))
    chosen = Columns(state.items.rows, items)
    return plan_factors(chosen, planned, days, state.settings.surge)


def update_shortfalls(state: State, boundary: int) -> None:
    """Raise and end shortfalls of campaign lines at a full hour."""
    lines = open_lines(state.lines, boundary)
    rows = state.rows()
    was_short = np.flatnonzero(rows["plan_shortfall_since_ms"] > 0)
    items = np.unique(np.concatenate([lines.item, was_short]))
    if not items.size:
        return
    day_ms = (boundary - 1) // DAY_MS * DAY_MS
    until_ms = min(boundary, max(state.alerts.order_feed.last_order_ms, day_ms))
    stretch, blackout = (day_ms, until_ms), state.alerts.order_feed.blackout
    due = due_orders(lines, rows, items, state.profile.elapsed, stretch, blackout)
    note_plans(state, lines, items, due, boundary)
    _judge_plans(state, lines, items, due, boundary)


def _judge_plans(
    state: State, lines: Lines, items: Int64Array, due: Float64Array, boundary: int
) -> None:
    rows, surge = state.rows(), state.settings.surge
    evidence = weigh_plans(rows, items, due, state.pool, surge)
    is_open = rows["plan_shortfall_since_ms"][items] > 0
    is_over = ~np.isin(items, lines.item[lines.ends_ms > boundary])
    called = items[is_short(rows, items, evidence, surge) & ~is_open & ~is_over]
    caught_up = is_open & ~is_over & has_caught_up(evidence, surge)
    ended = items[(is_open & is_over) | caught_up]
    left = _units_left(state, boundary)
    state.effects.extend(state.alerts.close_shortfalls(called, ended, state.items, boundary, left))
    if called.size or ended.size:
        note_short(state, boundary)
    begin_plans_anew(rows, items[caught_up], evidence[caught_up])
    forget_plans(rows, items[is_over])
    if boundary % DAY_MS == 0:
        close_plan_day(rows, items[~is_over], state.pool, surge)
    state.changed.add(items)


def _units_left(state: State, boundary: int) -> Float64Array:
    """Units that the plans still expect of each item, shape (item,)."""
    lines = state.lines.chosen(state.lines.ends_ms > boundary)
    left = np.zeros(len(state.items))
    if lines.item.size:
        ends = int(lines.ends_ms.max())
        units = planned_units(lines, state.profile.elapsed, boundary, ends)
        np.add.at(left, lines.item, units)
    return left


def watch_silence(state: State, boundary: int) -> None:
    """Raise and end the suspicion that the stock of silent items is not there."""
    rows = state.rows()
    ended = _ended_silences(state, boundary)
    if ended.size:
        is_real = rows["quiet_since_ms"][ended] < rows["silent_since_ms"][ended]
        is_real &= rows["out_since_ms"][ended] == 0
        state.effects.extend(
            state.alerts.resolve(AlertKind.PHANTOM_STOCK, ended, state.items, boundary)
        )
        rows["silent_since_ms"][ended[is_real]] = -1
        state.silent.difference_update(ended.tolist())
    if boundary % HOUR_MS == 0:
        silent = suspicious_items(
            rows,
            state.profile.elapsed,
            boundary,
            state.shop_orders,
            state.shop_rate,
            state.settings.silence,
        )
        state.effects.extend(
            state.alerts.raise_(AlertKind.PHANTOM_STOCK, silent, state.items, boundary)
        )
        state.silent.update(silent.tolist())


def _ended_silences(state: State, boundary: int) -> Int32Array:
    """Silences that a sale, a refill, a count, an empty shelf or their length has ended."""
    items = np.array(sorted(state.silent), np.int32)
    rows = Columns(state.items.rows, items)
    since = rows["silent_since_ms"]
    is_over = (rows["quiet_since_ms"] >= since) | (rows["counted_at_ms"] >= since)
    is_over |= rows["out_since_ms"] != 0
    if boundary % HOUR_MS == 0:
        is_over |= boundary - since >= state.settings.silence.longest_days * DAY_MS
    return items[is_over]


def _is_news(rows: Columns, boundary: int, settings: SurgeSettings) -> BoolArray:
    """Which open surges have twice the orders published, or go on at full evidence today."""
    has_doubled = rows["surge_orders"] >= 2 * rows["surge_published_orders"]
    is_today = rows["surge_published_ms"] // DAY_MS == boundary // DAY_MS
    goes_on = ~is_today & (rows["surge_day_orders"] >= settings.minimum_orders)
    news: BoolArray = has_doubled | goes_on
    return news
