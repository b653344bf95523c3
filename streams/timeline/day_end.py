"""The end of a day: week, exposures, baselines, estimates and uplifts take it in."""

import numpy as np

from streams.demand.baseline import learn_baseline
from streams.demand.campaigns import Uplift, baseline_orders, item_window_days
from streams.demand.estimate import close_day as close_estimates
from streams.demand.exposure import close_exposure
from streams.demand.hourly_dispersion import close_hours
from streams.demand.week_profile import due_by_hour, learn_day, operational_days
from streams.detection.surge import NULL_FACTOR
from streams.timeline.group_facts import note_day
from streams.timeline.hour_orders import (
    had_surges,
    make_outage_whole,
    make_surges_whole,
    spread_imports,
    surge_items,
)
from streams.timeline.partition_state import State
from streams.timestamps import DAY_MS
from streams.types import BoolArray, Float64Array

_WHOLE_SHARE = 0.95  # of a day, from which on an item was on sale all day


def close_day(state: State, boundary: int) -> None:
    """Take in the day that ends at the boundary."""
    rows = state.rows()
    state.changed.add(np.flatnonzero(rows["day_units"] | rows["day_orders"]))
    _complete_hours(state, boundary)
    day_ms = boundary - DAY_MS
    start_ms = max(day_ms, state.start_ms)
    before, was_known = state.profile.elapsed, state.profile.is_known
    counts_days = float(operational_days(before, start_ms, boundary))
    if start_ms == day_ms:  # half a day would teach the wrong hours
        state.profile, counts_days = learn_day(
            state.profile, _baseline_orders(state, day_ms), day_ms // DAY_MS, state.settings.profile
        )
    state.hour_orders = np.zeros(24)
    planned_days = item_window_days(state.lines, rows.size, before, start_ms, boundary)
    baseline = planned_days * rows["demand_level_units_per_day"]
    rows["campaign_baseline_units"] += baseline
    changed = close_exposure(rows, before, start_ms, boundary, counts_days, planned_days)
    state.changed.add(np.flatnonzero(changed | (rows["day_undone_units"] > 0)))
    is_calm = was_known and start_ms == day_ms and counts_days > 0 and _is_calm(state, day_ms)
    calm = _calm_items(state, boundary, counts_days) & is_calm
    close_hours(rows, before, day_ms, calm, state.settings.surge.baseline.hours)
    shares = rows["day_exposure_days"] / counts_days if counts_days > 0 else np.ones(rows.size)
    note_day(
        state,
        boundary,
        start_ms,
        shares,
        had_surges(rows, boundary - 1),
    )
    _learn_baseline(state)
    settings = state.settings.estimate
    state.correction = close_estimates(
        rows, boundary, state.category_numbers(), state.correction, settings
    )
    state.pool_items()  # of the rows as they are stored: a restart pools those
    _close_windows(state, day_ms, boundary)
    state.effects.extend(state.alerts.resolve_bulk_orders(state.items, boundary))
    state.alerts.order_feed.close_day()
    state.learn_rate()
    state.changed.add(np.flatnonzero(rows["observed_days"] > 0))


def _is_calm(state: State, day_ms: int) -> bool:
    """Whether the day's orders came as they were placed: no outage, no import."""
    feed = state.alerts.order_feed
    is_dark = feed.state.is_outage and feed.blackout.end_ms > day_ms
    return not is_dark and feed.state.import_ms < day_ms


def _calm_items(state: State, boundary: int, counts_days: float) -> BoolArray:
    """Return who was on sale all day, and in no surge."""
    rows = state.rows()
    is_whole: BoolArray = rows["day_exposure_days"] >= _WHOLE_SHARE * counts_days
    return is_whole & ~had_surges(rows, boundary - 1)


def _complete_hours(state: State, boundary: int) -> None:
    """Let the day teach no hours from what was no ordinary sale, as far as it is known by now."""
    feed = state.alerts.order_feed
    make_surges_whole(state, surge_items(state.rows()), boundary)
    if feed.is_catching_up:
        make_outage_whole(state, feed.blackout.start_ms, boundary)
    spread_imports(state, boundary)


def _baseline_orders(state: State, day_ms: int) -> Float64Array:
    """The shop's orders in the hours of the day that ends, as if there had been no campaign."""
    lines = state.lines_between(day_ms, day_ms + DAY_MS)
    if not lines.item.size or not state.profile.is_known:
        return state.hour_orders
    rows = state.rows()
    if not rows["day_orders"].any():  # a shop that is shut has no baseline either
        return np.zeros(24)
    due = due_by_hour(state.profile, day_ms // DAY_MS)
    return baseline_orders(state.hour_orders, due, lines, rows["order_level_per_day"], day_ms)


def _learn_baseline(state: State) -> None:
    surge = state.settings.surge
    learn_baseline(
        state.rows(),
        state.pool,
        surge.baseline,
        null_factor=NULL_FACTOR,
        least_rate=surge.least_rate,
    )
    rows = state.rows()
    learned = (rows["day_exposure_days"] > 0) & (rows["baseline_days"] > 0)
    state.changed.add(np.flatnonzero(learned))


def _close_windows(state: State, day_ms: int, boundary: int) -> None:
    """Take campaign windows that ended in the day into the uplift of their promotion type."""
    ends = state.lines.ends_ms
    over = state.lines.chosen((ends > day_ms) & (ends <= boundary))
    samples: dict[str, list[tuple[float, float]]] = {}
    for item, promotion in zip(over.item.tolist(), over.promotion, strict=True):
        row = state.items.rows[item]
        sample = float(row["campaign_units"]), float(row["campaign_baseline_units"])
        if any(sample):
            samples.setdefault(promotion, []).append(sample)
            row["campaign_units"], row["campaign_baseline_units"] = 0, 0.0
            state.changed.add_one(item)
    for promotion, found in sorted(samples.items()):
        state.uplifts.setdefault(promotion, Uplift()).add(found)
