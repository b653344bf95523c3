"""What the days of a case cost and served, each with its standard error over runs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from policy.dual_index.fit import (
    F_COST,
    F_CYCLE,
    F_FILL,
    F_FLEXIBLE,
    F_LINE,
    F_ORDER_CYCLE,
    F_STOCK,
    Fitted,
)
from policy.studies.item.case import Case, Event
from policy.studies.item.world import Days

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

OUT_DAYS, AFTER_DAYS, STOCK_AFTER_DAYS = 60, 20, 15
BATCHES = 20
"""A single run is cut into so many parts for its standard errors."""
FIGURES = (
    "cost_per_day",
    "controllable_cost_per_day",
    "order_cycle_service",
    "cycle_service",
    "fill_rate",
    "order_line_fill",
    "flexible_share",
    "mean_stock_units",
)
_CLAIMED = {
    "controllable_cost_per_day": F_COST,
    "order_cycle_service": F_ORDER_CYCLE,
    "cycle_service": F_CYCLE,
    "fill_rate": F_FILL,
    "order_line_fill": F_LINE,
    "flexible_share": F_FLEXIBLE,
    "mean_stock_units": F_STOCK,
}


def claimed_figures(case: Case, fitted: Fitted) -> dict[str, dict[str, float]]:
    """Return what the rule claims of a world without events."""
    figures = {
        name: {"value": float(fitted.found[column]), "standard_error": float(fitted.errors[column])}
        for name, column in _CLAIMED.items()
    }
    controllable = figures["controllable_cost_per_day"]
    purchases = case.lean.unit_cost * case.demand.mean
    if case.is_lost:
        purchases *= figures["fill_rate"]["value"]
    total = {
        "value": controllable["value"] + purchases,
        "standard_error": controllable["standard_error"],
    }
    return {"cost_per_day": total, **figures}


def achieved_figures(case: Case, runs: Sequence[Days]) -> dict[str, dict[str, float]]:
    """Return what the runs came to; the days of warming up do not count."""
    count = max(1, -(-BATCHES // len(runs)))
    parts = np.array([part for run in runs for part in _parts(case, run, count)])
    figures: dict[str, dict[str, float]] = {}
    for place, name in enumerate(FIGURES):
        value, error = _ratio(parts[:, place, 0], parts[:, place, 1])
        figures[name] = {"value": value, "standard_error": error}
    return figures


def _ratio(above: FloatArray, below: FloatArray) -> tuple[float, float]:
    whole = float(below.sum())
    if whole <= 0.0:
        return 1.0, 0.0
    value = float(above.sum()) / whole
    off = above - value * below
    count = above.size
    error = float(np.sqrt((off * off).sum() * count / (count - 1))) / whole if count > 1 else 0.0
    return value, error


def _parts(case: Case, days: Days, count: int) -> list[list[tuple[float, float]]]:
    """Return the figures of equal stretches of a run as (above, below)."""
    edges = np.linspace(case.warm_up_days, case.days, count + 1).astype(int)
    money = _money(case, days)
    windows = _windows(case, days)
    cycles = _cycles(days)
    found = []
    for first, last in pairwise(edges):
        part = slice(first, last)
        length, asked = float(last - first), float(days.demand[part].sum())
        bought = float(days.flexible_units[part].sum())
        controllable = float(money[part].sum())
        purchases = case.lean.unit_cost * case.demand.mean * length
        if case.is_lost:
            purchases = case.lean.unit_cost * (asked - float(days.missed[part].sum()))
        found.append(
            [
                (controllable + purchases, length),
                (controllable, length),
                _share_of(cycles, first, last),
                _share_of(windows, first, last),
                (asked - float(days.missed[part].sum()), asked),
                (asked - float(_missed_lines(case, days)[part].sum()), asked),
                (bought, asked),
                (float(_stock(days)[part].sum()), length),
            ]
        )
    return found


def _money(case: Case, days: Days) -> FloatArray:
    """Return the controllable cost of each day; units are paid when they are demanded."""
    premium = 0.0
    if case.flexible is not None:
        premium = case.flexible.unit_cost - case.lean.unit_cost
    money = days.setups + premium * days.flexible_units + case.holding_per_unit_day * _stock(days)
    if case.is_lost:
        return money + case.lost_sale_cost_per_unit * days.missed
    owed = 0.5 * (np.maximum(-days.start, 0.0) + np.maximum(-days.end, 0.0))
    return money + case.backorder_cost_per_unit_day * owed


def _stock(days: Days) -> FloatArray:
    return 0.5 * (np.maximum(days.start, 0.0) + np.maximum(days.end, 0.0))


def _missed_lines(case: Case, days: Days) -> FloatArray:
    """Return the units of order lines that were not served in full."""
    size = case.demand.units_per_line
    served = days.demand - days.missed
    whole = np.where(days.missed > 0.0, np.floor(served / size + 1e-9) * size, served)
    return days.demand - whole


def _is_short(days: Days) -> BoolArray:
    return days.missed > 0.0


def _windows(case: Case, days: Days) -> list[tuple[int, bool]]:
    """Return the review windows: the day on which each ends, and whether it had no stock-out."""
    fast = case.lean if case.flexible is None else case.flexible
    lead, period = round(fast.lead_time_days), case.review_period_days
    short = (days.end < 0.0) | _is_short(days)
    return [
        (start + period, not bool(short[start : start + period].any()))
        for start in range(lead, case.days - period + 1, period)
    ]


def _cycles(days: Days) -> list[tuple[int, bool]]:
    """Return the order cycles, from one arrival to the next, likewise."""
    arrivals = np.flatnonzero(days.has_arrival)
    short = (days.end < 0.0) | _is_short(days)
    return [(int(last), not bool(short[first:last].any())) for first, last in pairwise(arrivals)]


def _share_of(cycles: list[tuple[int, bool]], first: int, last: int) -> tuple[float, float]:
    inside = [is_clean for end, is_clean in cycles if first < end <= last]
    return float(sum(inside)), float(len(inside))


def event_figures(case: Case, runs: Sequence[Days], place: int) -> dict[str, Any]:
    """Return what one event did, as means over runs with standard errors."""
    event = case.events[place]
    found = [_event_of(case, run, event, place) for run in runs]
    names = list(found[0])
    figures: dict[str, Any] = {"day": event.day, "kind": event.kind}
    for name in names:
        values = np.array([one[name] for one in found])
        known = values[~np.isnan(values)]
        if not known.size:
            figures[name] = None
            continue
        error = float(known.std(ddof=1) / np.sqrt(known.size)) if known.size > 1 else 0.0
        figures[name] = {"value": float(known.mean()), "standard_error": error}
    return figures


def _event_of(case: Case, days: Days, event: Event, place: int) -> dict[str, float]:
    """Return the figures of one run; the 60 days of a lost order begin when it was due."""
    start = days.event_starts.get(place, event.day)
    end = min(start + (event.days or OUT_DAYS), case.days)
    short = (days.end < 0.0) | _is_short(days)
    ordered_from = max(event.day - event.announced_days_before, 0)
    after = slice(end, min(end + AFTER_DAYS, case.days))
    day = end + STOCK_AFTER_DAYS
    left = float(max(days.end[day], 0.0)) / case.demand.mean if day < case.days else float("nan")
    return {
        "days_out": float(short[start : start + max(OUT_DAYS, event.days)].sum()),
        "fill_during": _fill(days, slice(start, end)),
        "fill_after_20_days": _fill(days, after),
        "flexible_units": float(days.flexible_units[ordered_from : end + AFTER_DAYS].sum()),
        "stock_days_after_15_days": left,
    }


def _fill(days: Days, part: slice) -> float:
    asked = float(days.demand[part].sum())
    return 1.0 - float(days.missed[part].sum()) / asked if asked > 0.0 else float("nan")
