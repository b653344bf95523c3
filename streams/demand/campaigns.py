"""Planned campaign lines: what they add to the expected rate, and what promotions brought.

A line plans units for a window; inside it they spread as the shop's profile does. Time and orders
inside windows do not teach the baseline level. When a window is over, what was sold in it beside
what the baseline level would have sold is one sample of the uplift of its type of promotion.
"""

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from streams.demand.week_profile import operational_days
from streams.exact_sums import millionths
from streams.timestamps import HOUR_MS, one_time
from streams.types import BoolArray, Float64Array, Int64Array, Table

if TYPE_CHECKING:
    from streams.contracts.events import CampaignLine

_LEAST_OUTSIDE = 0.25  # of the baseline orders, from which the whole is known


class Lines(NamedTuple):
    """Campaign lines as columns, by item and start; every array has shape (line,)."""

    item: Int64Array
    starts_ms: Int64Array
    ends_ms: Int64Array
    expected_units: Float64Array
    promotion: list[str]
    campaign: list[str]

    def chosen(self, where: BoolArray) -> "Lines":
        """Return some of the lines."""
        places = np.flatnonzero(where)
        return Lines(
            self.item[places],
            self.starts_ms[places],
            self.ends_ms[places],
            self.expected_units[places],
            [self.promotion[place] for place in places.tolist()],
            [self.campaign[place] for place in places.tolist()],
        )


def campaign_lines(campaigns: Mapping[int, Mapping[str, "CampaignLine"]]) -> Lines:
    """Return the lines of items as columns.

    Args:
        campaigns: item -> campaign -> line.
    """
    found = sorted(
        (item, one_time(line.starts_at), one_time(line.ends_at), campaign_id, line)
        for item, lines in campaigns.items()
        for campaign_id, line in lines.items()
    )
    whole = np.array([line[:3] for line in found], np.int64).reshape(len(found), 3)
    expected = np.array([line[4].expected_units for line in found], np.float64)
    kinds = [promotion_type(line[4]) for line in found]
    names = [line[3] for line in found]
    item, starts_ms, ends_ms = np.ascontiguousarray(whole.T)
    return Lines(item, starts_ms, ends_ms, expected, kinds, names)


def promotion_type(line: "CampaignLine") -> str:
    """Return the type of a promotion: its discount in bands of ten points, and a promise.

    >>> from streams.contracts.events import CampaignPlanned
    >>> line = CampaignPlanned(event_id="e", occurred_at=0, sku="lamp", campaign_id="c",
    ...                        starts_at=0, ends_at=1, expected_units=5, discount=0.25)
    >>> promotion_type(line)
    'discount_20'
    """
    if line.discount:
        # A share like 0.3 is a little less than three tenths in binary.
        return f"discount_{math.floor(line.discount * 10 + 1e-9) * 10}"
    return "no_discount" if line.promise_days is None else "delivery_promise"


def baseline_orders(
    orders: Float64Array, due: Float64Array, lines: Lines, rates: Float64Array, day_ms: int
) -> Float64Array:
    """Return what the shop would have sold in the hours of a day if there were no campaigns.

    What sold outside of windows is made whole by the share of the baseline orders that fall
    outside. An hour with less than `_LEAST_OUTSIDE` of them tells little: there what was due
    stands, times what the other hours say of the day.

    Args:
        orders: that came outside of windows in each hour, shape (24,).
        due: what the week expects of each hour, shape (24,).
        lines: the plan.
        rates: baseline orders per day of each item, shape (item,).
        day_ms: beginning of the day.

    Returns:
        Orders, shape (24,).

    >>> hour = Lines(np.array([0]), np.array([0]), np.array([HOUR_MS]), np.ones(1), [""], [""])
    >>> rates = np.array([1.0, 3.0])
    >>> baseline_orders(np.full(24, 6.0), np.full(24, 8.0), hour, rates, 0)[:2].tolist()
    [8.0, 6.0]
    """
    hours_ms = day_ms + np.arange(24) * HOUR_MS
    starts = np.maximum(lines.starts_ms[:, None], hours_ms)
    ends = np.minimum(lines.ends_ms[:, None], hours_ms + HOUR_MS)
    inside = np.maximum(ends - starts, 0) / HOUR_MS
    items, places = np.unique(lines.item, return_inverse=True)
    shares = np.zeros((items.size, 24))
    np.maximum.at(shares, places, inside)
    whole = int(millionths(rates).sum())
    planned = millionths(rates[items, None] * shares).sum(axis=0)
    outside = 1.0 - planned / whole if whole else np.ones(24)
    known = outside >= _LEAST_OUTSIDE
    made_whole = orders[known] / outside[known]
    was_due = due[known].sum()
    pace = made_whole.sum() / was_due if was_due > 0 else 1.0
    found = due * pace
    found[known] = made_whole
    return found


def window_days(
    lines: Lines, elapsed: Float64Array, start_ms: int | Int64Array, end_ms: int | Int64Array
) -> Float64Array:
    """Return the operational days of each line's window that lie in a stretch, shape (line,)."""
    starts = np.maximum(lines.starts_ms, start_ms)
    ends = np.maximum(np.minimum(lines.ends_ms, end_ms), starts)
    days: Float64Array = operational_days(elapsed, starts, ends)
    return days


def planned_units(
    lines: Lines, elapsed: Float64Array, start_ms: int | Int64Array, end_ms: int | Int64Array
) -> Float64Array:
    """Return the units that each line plans for a stretch, baseline demand included.

    Args:
        lines: the plan.
        elapsed: of the shop's profile, shape (169,).
        start_ms: of the stretch, or one for each line, shape (line,).
        end_ms: likewise.

    Returns:
        Units, shape (line,).
    """
    whole = operational_days(elapsed, lines.starts_ms, lines.ends_ms)
    share = window_days(lines, elapsed, start_ms, end_ms) / np.maximum(whole, 1e-9)
    units: Float64Array = lines.expected_units * share
    return units


def planned_orders(
    lines: Lines, rows: Table, elapsed: Float64Array, start_ms: int, end_ms: int
) -> Float64Array:
    """Return the orders that the plans expect of each item in a stretch, baseline ones included.

    An item whose orders have no known size is taken to sell one unit an order.

    Args:
        lines: the plan.
        rows: `streams.state.items.ROW` records, shape (item,).
        elapsed: of the shop's profile, shape (169,).
        start_ms: of the stretch.
        end_ms: likewise.

    Returns:
        Orders, shape (item,); 0 without a plan there.
    """
    units = planned_units(lines, elapsed, start_ms, end_ms)
    sizes = np.maximum(rows["units_per_order"][lines.item], 1.0)
    return _by_item(lines, units / sizes, rows.size)


def planned_extra_units(
    lines: Lines,
    baseline_units_per_day: Float64Array,
    elapsed: Float64Array,
    start_ms: Int64Array,
    end_ms: Int64Array,
) -> Float64Array:
    """Return what each line plans for a stretch beyond the baseline level, at least nothing.

    Args:
        lines: the plan.
        baseline_units_per_day: of each line's item, per operational day, shape (line,).
        elapsed: of the shop's profile, shape (169,).
        start_ms: of each line's stretch, shape (line,).
        end_ms: likewise.

    Returns:
        Units, shape (line,).
    """
    units = planned_units(lines, elapsed, start_ms, end_ms)
    baseline = baseline_units_per_day * window_days(lines, elapsed, start_ms, end_ms)
    extra: Float64Array = np.maximum(units - baseline, 0.0)
    return extra


def item_window_days(
    lines: Lines, items: int, elapsed: Float64Array, start_ms: int, end_ms: int
) -> Float64Array:
    """Return the operational days of a stretch that lie in an item's windows, shape (item,).

    Where windows of an item overlap, their days count for each: at most the whole stretch.
    """
    days = _by_item(lines, window_days(lines, elapsed, start_ms, end_ms), items)
    return np.minimum(days, float(operational_days(elapsed, start_ms, end_ms)))


def _by_item(lines: Lines, values: Float64Array, items: int) -> Float64Array:
    sums = np.zeros(items)
    np.add.at(sums, lines.item, values)
    return sums


def in_window(lines: Lines, items: Int64Array, times_ms: Int64Array) -> BoolArray:
    """Return which events fall into a window of their item, shape (event,).

    Args:
        lines: by item, as `campaign_lines` gives them.
        items: of the events, shape (event,).
        times_ms: their times, ascending, shape (event,).
    """
    inside = np.zeros(items.size, np.bool_)
    if not items.size or not lines.item.size:
        return inside
    lines = lines.chosen((lines.starts_ms <= times_ms[-1]) & (lines.ends_ms > times_ms[0]))
    first = np.searchsorted(lines.item, items, "left")
    last = np.searchsorted(lines.item, items, "right")
    for offset in range(int((last - first).max(initial=0))):
        has = np.flatnonzero(first + offset < last)
        line = first[has] + offset
        starts, ends = lines.starts_ms[line], lines.ends_ms[line]
        inside[has] |= (starts <= times_ms[has]) & (times_ms[has] < ends)
    return inside


class Uplift(msgspec.Struct):
    """What promotions of one type brought, summed over the item windows that are over."""

    windows: int = 0
    units: float = 0.0
    baseline_units: float = 0.0
    unit_squares: float = 0.0
    baseline_squares: float = 0.0
    products: float = 0.0

    def add(self, samples: Iterable[tuple[float, float]]) -> None:
        """Take in windows: units sold, and units that the baseline level would have sold.

        The order of the samples does not matter.
        """
        found = list(samples)
        self.windows += len(found)
        self.units += math.fsum(units for units, _ in found)
        self.baseline_units += math.fsum(baseline for _, baseline in found)
        self.unit_squares += math.fsum(units * units for units, _ in found)
        self.baseline_squares += math.fsum(baseline * baseline for _, baseline in found)
        self.products += math.fsum(units * baseline for units, baseline in found)

    def merge(self, other: "Uplift") -> None:
        """Take in what another shard knows."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def factor(self) -> float | None:
        """How many times the baseline units were sold; None means nothing to compare with."""
        return self.units / self.baseline_units if self.baseline_units > 0 else None

    @property
    def factor_error(self) -> float | None:
        """Standard error of the factor, as of a ratio of means; none below two windows.

        Source: Cochran, Sampling Techniques, 3rd ed., eq. 2.39.
        """
        factor = self.factor
        if factor is None or self.windows < 2:
            return None
        squares = (
            self.unit_squares
            - 2.0 * factor * self.products
            + factor * factor * self.baseline_squares
        )
        scale = self.windows / (self.windows - 1)
        return math.sqrt(max(squares, 0.0) * scale) / self.baseline_units
