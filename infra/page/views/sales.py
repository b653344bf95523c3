"""Speeds over time, beside the plan and the week before."""

import numpy as np

from infra.page.contracts import Sales, Span
from infra.page.snapshot import Snapshot
from infra.page.views.now import is_seen
from infra.page.views.sales_rate import plan_units_per_minute
from streams.state.minute_totals import MINUTES_A_DAY
from streams.timestamps import MINUTE_MS
from streams.types import Float64Array

_STEPS = {Span.HOUR: (60, 1), Span.DAY: (96, 15), Span.WEEK: (168, 60)}  # how many, minutes each


def sales(snapshot: Snapshot, span: Span) -> Sales:
    """Return the whole steps of the span, the newest one ending at the shop's time."""
    steps, width = _STEPS[span]
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
    middle = (starts * MINUTE_MS + width * MINUTE_MS // 2).astype(np.int64)
    plan = plan_units_per_minute(snapshot, middle)
    count = starts.size
    return Sales(
        span=span,
        step_minutes=width,
        from_ms=(starts * MINUTE_MS).tolist(),
        lines=_by_step(snapshot, stop, count, width, "lines").tolist(),
        units=_by_step(snapshot, stop, count, width, "units").tolist(),
        plan_units=[None] * count if plan is None else np.round(plan, 3).tolist(),
        week_ago_units=_week_ago(snapshot, stop, count, width),
        dispatched_units=_by_step(snapshot, stop, count, width, "dispatched_units").tolist(),
    )


def _by_step(snapshot: Snapshot, stop: int, count: int, width: int, column: str) -> Float64Array:
    minutes = snapshot.totals.between(stop - count * width, stop)[column]
    rates: Float64Array = np.round(minutes.reshape(count, width).mean(axis=1), 3)
    return rates


def _week_ago(snapshot: Snapshot, stop: int, count: int, width: int) -> list[float | None]:
    before = stop - 7 * MINUTES_A_DAY
    rates = _by_step(snapshot, before, count, width, "units").tolist()
    starts = range(before - count * width, before, width)
    return [
        rate if is_seen(snapshot, start) else None
        for rate, start in zip(rates, starts, strict=True)
    ]
