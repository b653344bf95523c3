"""Speeds over time, beside the plan and the week before."""

import numpy as np

from infra.page.contracts import Sales, Span
from infra.page.snapshot import Snapshot
from infra.page.views.now import RATE_MINUTES, is_seen
from infra.page.views.sales_rate import plan_units_per_minute
from streams.state.minute_totals import MINUTES_A_DAY
from streams.timestamps import MINUTE_MS
from streams.types import Float64Array

# How many steps, minutes from one to the next, and minutes of which each is the mean. Those of the
# hour overlap: the newest one is of the same minutes as the speed that the page has in large type.
_STEPS = {Span.HOUR: (60, 1, RATE_MINUTES), Span.DAY: (96, 15, 15), Span.WEEK: (168, 60, 60)}


def sales(snapshot: Snapshot, span: Span) -> Sales:
    """Return the whole steps of the span, the newest one ending at the shop's time."""
    steps, width, mean_of = _STEPS[span]
    if snapshot.shop_ms is None:
        return Sales(
            span=span,
            step_minutes=width,
            from_ms=[],
            lines=[],
            units=[],
            plan_units=[],
            week_ago_units=[],
            dispatched_units=[],
        )
    stop = snapshot.shop_ms // MINUTE_MS // width * width
    starts = stop - steps * width + width * np.arange(steps)
    first = snapshot.totals.oldest_sale_minute
    if first is not None:
        starts = starts[starts >= first // width * width]  # before it, nothing is known
    middle = ((starts + width) * MINUTE_MS - mean_of * MINUTE_MS // 2).astype(np.int64)
    plan = plan_units_per_minute(snapshot, middle)
    count = starts.size
    return Sales(
        span=span,
        step_minutes=width,
        from_ms=(starts * MINUTE_MS).tolist(),
        lines=_by_step(snapshot, stop, count, width, mean_of, "lines").tolist(),
        units=_by_step(snapshot, stop, count, width, mean_of, "units").tolist(),
        plan_units=[None] * count if plan is None else np.round(plan, 3).tolist(),
        week_ago_units=_week_ago(snapshot, stop, count, width, mean_of),
        dispatched_units=_by_step(
            snapshot, stop, count, width, mean_of, "dispatched_units"
        ).tolist(),
    )


def _by_step(
    snapshot: Snapshot, stop: int, count: int, width: int, mean_of: int, column: str
) -> Float64Array:
    """Return the mean of the minutes up to the end of each step, shape (step,)."""
    first = stop - (count - 1) * width - mean_of
    minutes = snapshot.totals.between(first, stop)[column] if count else np.zeros(0)
    sums = np.concatenate([[0.0], np.cumsum(minutes)])
    ends = mean_of + width * np.arange(count)
    rates: Float64Array = np.round((sums[ends] - sums[ends - mean_of]) / mean_of, 3)
    return rates


def _week_ago(
    snapshot: Snapshot, stop: int, count: int, width: int, mean_of: int
) -> list[float | None]:
    before = stop - 7 * MINUTES_A_DAY
    rates = _by_step(snapshot, before, count, width, mean_of, "units").tolist()
    starts = range(before - (count - 1) * width - mean_of, before - mean_of + 1, width)
    return [
        rate if is_seen(snapshot, start) else None
        for rate, start in zip(rates, starts, strict=True)
    ]
