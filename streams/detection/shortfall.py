"""Does a campaign sell well below its plan? The surge test's mirror image.

Inside its window a line plans orders; what was due of them is compared with what came, one
likelihood ratio for each share of the plan in `PLAN_SHARES`. Days differ by a gamma factor as in
`streams.detection.surge`, each drawn anew, so that a weak morning is not taken for many proofs. A
shortfall may begin with the window or on a later day of it: a Shiryaev-Roberts sum with a new start
of weight 1 on each day. While at least `NULL_SHARE` of the plan comes, its mean over the shares
reaches a level within so many days with a chance of at most days / level (Doob), however often it
is looked at.

Due is only what could be sold: not while the record says that there is nothing, nor in suspicious
silence, nor before the shop's newest order of any item, nor in a blackout of the feed. What came is
counted in orders, or in units of the baseline size where that is more: fewer and larger orders that
bring the planned units are no shortfall.

Every parameter, and why:

- `NULL_SHARE` two thirds: the mirror of the surge test's 1.5. A plan is no promise.
- `streams.state.items.PLAN_SHARES`, a half, a fifth and a twentieth, evenly weighted: sold weakly,
  badly, and hardly at all.
- The level, `SurgeSettings.plan_level`: the plans' part of the false alarms that are allowed, held
  where a plan is 30 % too high (tests/bench/calibration.py measures it).
- `SurgeSettings.minimum_orders` due at the least: no decision should turn on the absence of fewer.
- `SurgeSettings.end_evidence`: a shortfall ends when, since the evidence was at its height, the
  orders speak e**3 = 20 to 1 for the null. Then the evidence starts at 1 again.
"""

import math
from typing import NamedTuple

import numpy as np

from policy.compiled import compiled
from streams.demand.baseline import Pool, own_dispersion, size_of
from streams.demand.campaigns import Lines, item_window_days, planned_orders
from streams.demand.exposure import censored_days
from streams.demand.hourly_dispersion import hourly_dispersion
from streams.demand.week_profile import operational_days
from streams.detection.surge import Blackout
from streams.settings import SurgeSettings
from streams.state.items import PLAN_SHARES
from streams.timestamps import HOUR_MS
from streams.types import BoolArray, Float64Array, Int64Array, Record, Table

NULL_SHARE = 2 / 3

_SHARES = np.array(PLAN_SHARES)
_HIGHEST_LOG = 700.0  # beyond it the exponential is no number
_LEAST = 1e-300


@compiled
def _day_log(share: float, sold: float, due: float, size: float) -> float:
    """Log ratio of the chances of a day's orders: this share of the plan against the null's."""
    ratio = (size + NULL_SHARE * due) / (size + share * due)
    log: float = sold * math.log(share / NULL_SHARE) + (size + sold) * math.log(ratio)
    return log


@compiled
def _sold_orders(row: Record) -> float:
    """Orders of the open day, or its units in orders of the baseline size where that is more."""
    size = max(row.units_per_order, 1.0)
    sold: float = max(float(row.plan_day_orders), row.plan_day_units / size)
    return sold


class _Prior(NamedTuple):
    """What the kernels have to know of the settings."""

    squares: float
    days: float
    own_weight: float  # of the pooled dispersion of hours


def _prior_of(settings: SurgeSettings) -> _Prior:
    baseline = settings.baseline
    return _Prior(baseline.prior_squares, baseline.prior_days, baseline.hours.own_weight)


@compiled
def _dispersion_of_hours(row: Record, pool: Pool, prior: _Prior) -> float:
    """How far the orders of an hour are from Poisson's, at the baseline."""
    rate = row.baseline_orders / row.baseline_days if row.baseline_days > 0.0 else 0.0
    hours: float = hourly_dispersion(row, rate, pool.hours, prior.own_weight, 1.0)
    return hours


@compiled
def _weigh(
    rows: Table,
    items: Int64Array,
    due: Float64Array,
    pool: Pool,
    prior: _Prior,
    log_level: float,
    evidence: Float64Array,
) -> None:
    for place in range(items.size):
        row = rows[items[place]]
        row.plan_day_due_orders = due[place]
        hours = _dispersion_of_hours(row, pool, prior)
        sold, planned = _sold_orders(row) / hours, due[place] / hours
        size = size_of(own_dispersion(row, pool.dispersion, prior.squares, prior.days))
        logs = row.plan_logs
        total = 0.0
        for one in range(_SHARES.size):
            log = logs[one] + _day_log(_SHARES[one], sold, planned, size)
            total += math.exp(min(log, _HIGHEST_LOG))
        mean_log = math.log(max(total / _SHARES.size, _LEAST))
        if mean_log > log_level:
            # Held at the level, as the surge test's sums are.
            logs -= mean_log - log_level
            mean_log = log_level
        evidence[place] = mean_log


@compiled
def _close(rows: Table, items: Int64Array, pool: Pool, prior: _Prior) -> None:
    for place in range(items.size):
        row = rows[items[place]]
        sold, due = _sold_orders(row), row.plan_day_due_orders
        hours = _dispersion_of_hours(row, pool, prior)
        size = size_of(own_dispersion(row, pool.dispersion, prior.squares, prior.days))
        logs = row.plan_logs
        for one in range(_SHARES.size):
            log = logs[one] + _day_log(_SHARES[one], sold / hours, due / hours, size)
            logs[one] = math.log1p(math.exp(min(log, _HIGHEST_LOG)))  # the next day's own start
        row.plan_sold_orders += sold
        row.plan_sold_units += row.plan_day_units
        row.plan_due_orders += due
        row.plan_day_orders = 0
        row.plan_day_units = 0
        row.plan_day_due_orders = 0.0


def weigh_plans(
    rows: Table, items: Int64Array, due: Float64Array, pool: Pool, settings: SurgeSettings
) -> Float64Array:
    """Set what was due of items today; return the log of their evidence, held at the level.

    Args:
        rows: `streams.state.items.ROW` records, shape (item,), changed in place.
        items: those with a plan, shape (n,).
        due: orders due of each in the open day up to now, shape (n,).
        pool: what the items have in common.
        settings: of the tests.

    Returns:
        Natural logs, shape (n,).
    """
    evidence = np.zeros(items.size)
    log_level = math.log(settings.plan_level)
    _weigh(rows, items, due, pool, _prior_of(settings), log_level, evidence)
    return evidence


def close_plan_day(rows: Table, items: Int64Array, pool: Pool, settings: SurgeSettings) -> None:
    """Take the day that ends, as `weigh_plans` saw it last, into the evidence, in place."""
    _close(rows, items, pool, _prior_of(settings))


def begin_plans_anew(rows: Table, items: Int64Array, evidence: Float64Array) -> None:
    """Let the evidence of items, as `weigh_plans` returned it, be 1 from here on, in place."""
    rows["plan_logs"][items] -= evidence[:, None]


def forget_plans(rows: Table, items: Int64Array) -> None:
    """Forget what was seen of windows that are over, in place."""
    for name in _WINDOW_FIELDS:
        rows[name][items] = 0


_WINDOW_FIELDS = (
    "plan_logs",
    "plan_day_orders",
    "plan_day_units",
    "plan_day_due_orders",
    "plan_sold_orders",
    "plan_sold_units",
    "plan_due_orders",
)


def open_lines(lines: Lines, boundary_ms: int) -> Lines:
    """Return the lines whose window was open in the hour before a full hour."""
    return lines.chosen((lines.starts_ms < boundary_ms) & (lines.ends_ms > boundary_ms - HOUR_MS))


def due_orders(
    lines: Lines,
    rows: Table,
    items: Int64Array,
    elapsed: Float64Array,
    stretch: tuple[int, int],
    blackout: Blackout,
) -> Float64Array:
    """Return the orders that the plans expect of items in the open day while they could be sold.

    Args:
        lines: whose windows are open.
        rows: `streams.state.items.ROW` records, shape (item,).
        items: of these lines, shape (n,).
        elapsed: of the shop's profile, shape (169,).
        stretch: from the day's beginning to the time up to which orders are known.
        blackout: the newest time of which the orders say nothing.

    Returns:
        Orders, shape (n,).
    """
    start_ms, until_ms = stretch
    planned = planned_orders(lines, rows, elapsed, start_ms, until_ms)[items]
    days = item_window_days(lines, rows.size, elapsed, start_ms, until_ms)[items]
    lost = censored_days(rows[items], elapsed, start_ms, until_ms)
    paused = min(max(blackout.start_ms, start_ms), until_ms), min(blackout.end_ms, until_ms)
    if paused[0] < paused[1]:
        lost = lost + float(operational_days(elapsed, *paused))
    share = np.zeros(items.size)
    np.divide(days - lost, days, out=share, where=days > 0)
    due: Float64Array = planned * np.clip(share, 0.0, 1.0)
    return due


def is_short(
    rows: Table, items: Int64Array, evidence: Float64Array, settings: SurgeSettings
) -> BoolArray:
    """Return which items are called short of their plan, shape (n,)."""
    due = rows["plan_due_orders"][items] + rows["plan_day_due_orders"][items]
    called: BoolArray = (evidence >= math.log(settings.plan_level)) & (
        due >= settings.minimum_orders
    )
    return called


def has_caught_up(evidence: Float64Array, settings: SurgeSettings) -> BoolArray:
    """Return which items sell as planned again, shape (n,)."""
    caught: BoolArray = evidence <= math.log(settings.plan_level) - settings.end_evidence
    return caught
