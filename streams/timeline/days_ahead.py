"""The days ahead of items under review: level, trend, week, plans on their own days, surges."""

import numpy as np

from policy.slow_lean import SHORTEST_LEAN_DAYS
from streams.demand.campaigns import Lines, planned_extra_units
from streams.demand.week_profile import operational_days
from streams.detection.factors import surge_units_per_day
from streams.replenishment.outlook import Ahead, open_orders
from streams.timeline.partition_state import State
from streams.timestamps import DAY_MS
from streams.types import BoolArray, Float64Array, Int64Array

_LONGEST_DISPATCH_DAYS = 9
_NEAR_DAYS = 7
"""A campaign that begins so soon after a flexible order of now would come is near."""


def days_ahead(
    state: State,
    items: Int64Array,
    level_units_per_day: Float64Array,
    boundary: int,
) -> Ahead | None:
    """Return what is known of the days ahead; None where no item has a slow lean supplier.

    Args:
        state: of the partition.
        items: places of the items under review, shape (n,).
        level_units_per_day: of a calendar day over the cover, without plans and surges, shape (n,).
        boundary: event time of the review.
    """
    rows = state.items.rows[items]
    slow = rows["lead_time_days_lean"] >= SHORTEST_LEAN_DAYS
    if not slow.any():
        return None
    cover = np.ceil(rows["lead_time_days_lean"] + rows["review_period_days"]).astype(np.int64)
    days = int(cover[slow].max()) + _LONGEST_DISPATCH_DAYS
    path = _week_path(state, level_units_per_day, cover, days, boundary)
    path += _planned_path(state, items, days, boundary)
    _add_surges(state, items, level_units_per_day, path)
    of_items = (
        state.supply.of_item(int(item)) if is_slow else ()
        for item, is_slow in zip(items.tolist(), slow.tolist(), strict=True)
    )
    return Ahead(
        open_orders(of_items, boundary),
        path,
        level_units_per_day,
        _is_raised(state, items, boundary),
    )


def _week_path(
    state: State, level: Float64Array, cover: Int64Array, days: int, boundary: int
) -> Float64Array:
    """Return the level of each day, by how much of the week's sales falls on it."""
    starts = boundary + np.arange(days) * DAY_MS
    open_days = operational_days(state.profile.elapsed, starts, starts + DAY_MS)
    means = np.cumsum(open_days)[np.minimum(cover, days) - 1] / np.minimum(cover, days)
    path: Float64Array = level[:, None] * open_days / np.maximum(means, 1e-9)[:, None]
    return path


def _planned_path(state: State, items: Int64Array, days: int, boundary: int) -> Float64Array:
    """Return what campaigns add to each day beyond the baseline level, shape (item, day)."""
    extra = np.zeros((items.size, days))
    lines = state.lines.chosen((state.lines.ends_ms > boundary) & np.isin(state.lines.item, items))
    if not lines.item.size:
        return extra
    places = _places(items, lines)
    baseline = state.items.rows["demand_level_units_per_day"][lines.item]
    for day in range(days):
        start = np.full(lines.item.size, boundary + day * DAY_MS)
        units = planned_extra_units(lines, baseline, state.profile.elapsed, start, start + DAY_MS)
        np.add.at(extra[:, day], places, units)
    return extra


def _places(items: Int64Array, lines: Lines) -> Int64Array:
    """Return the place of each line's item among the items."""
    order = np.argsort(items)
    places: Int64Array = order[np.searchsorted(items[order], lines.item)]
    return places


def _add_surges(state: State, items: Int64Array, level: Float64Array, path: Float64Array) -> None:
    """Raise the days of items in a surge, which decays to the baseline."""
    settings = state.settings.surge
    ahead = np.arange(path.shape[1]) + 0.5
    for place in np.flatnonzero(state.items.rows["surge_since_ms"][items] > 0).tolist():
        row = state.items.rows[items[place]]
        beyond = surge_units_per_day(row, settings) - float(level[place])
        path[place] += max(beyond, 0.0) * np.exp2(-ahead / settings.half_life_days)


def _is_raised(state: State, items: Int64Array, boundary: int) -> BoolArray:
    """Return whether a surge is on, or a campaign near, on or over for less than a lean lead."""
    rows = state.items.rows[items]
    raised: BoolArray = rows["surge_since_ms"] > 0
    lines = state.lines.chosen(np.isin(state.lines.item, items))
    if lines.item.size:
        places = _places(items, lines)
        near = (rows["lead_time_days_flexible"][places] + _NEAR_DAYS) * DAY_MS
        after = rows["lead_time_days_lean"][places] * DAY_MS
        is_on = (lines.starts_ms <= boundary + near) & (lines.ends_ms > boundary - after)
        raised = raised.copy()
        raised[places[is_on]] = True
    return raised
