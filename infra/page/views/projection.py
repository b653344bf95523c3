"""The stock as it will be if demand stays as it is estimated: a saw-tooth of sales and arrivals."""

import math
from collections.abc import Sequence

from infra.page.contracts import Projected
from streams.timestamps import DAY_MS

NINETY_PERCENT = 1.645
"""Standard deviations on each side of the mean that hold nine of ten days."""

_STEPS = 60


def projected_stock(
    *,
    start_ms: int,
    units: float,
    units_per_day: float,
    sd_per_day: float,
    arrivals: Sequence[tuple[int, float]],
    until_ms: int,
) -> list[Projected]:
    """Return the stock less what customers wait for, from now on; below zero they wait.

    Args:
        start_ms: now.
        units: what there is now.
        units_per_day: expected demand.
        sd_per_day: of a day's demand; days are taken as independent.
        arrivals: when and how many, those that are overdue at once.
        until_ms: the end of the picture.

    Returns:
        About sixty moments in time order; at an arrival two, before and after it.

    >>> shown = projected_stock(start_ms=0, units=10, units_per_day=4, sd_per_day=0,
    ...                        arrivals=[(2 * DAY_MS, 8)], until_ms=4 * DAY_MS)
    >>> [one.units for one in shown if one.at_ms in (0, 2 * DAY_MS, 4 * DAY_MS)]
    [10.0, 2.0, 10.0, 2.0]
    """
    due = sorted((max(at_ms, start_ms), count) for at_ms, count in arrivals)
    due = [(at_ms, count) for at_ms, count in due if at_ms <= until_ms]
    step = max(1, (until_ms - start_ms) // _STEPS)
    moments = sorted({*range(start_ms, until_ms + 1, step), *(at_ms for at_ms, _ in due)})
    points = []
    arrived = 0.0
    for at_ms in moments:
        days = (at_ms - start_ms) / DAY_MS
        band = NINETY_PERCENT * sd_per_day * math.sqrt(days)
        here = [count for due_ms, count in due if due_ms == at_ms]
        for more in [0.0, sum(here)] if here else [0.0]:
            arrived += more
            points.append(_point(at_ms, units + arrived - units_per_day * days, band))
    return points


def _point(at_ms: int, mean: float, band: float) -> Projected:
    low, high = round(mean - band, 2), round(mean + band, 2)
    return Projected(at_ms=at_ms, units=round(mean, 2), low=low, high=high)
