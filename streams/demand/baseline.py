"""The baseline: an item's rate of distinct orders, and how much its days differ.

The surge test needs an baseline rate that a surge does not teach and that a new item cannot make
up for itself, so it keeps one of its own, apart from the demand estimate, which follows faster:

- The rate is a mean over `memory_days` operational days in which no day counts for more than
  `cap_sds` standard deviations above the tested rate: a surge raises it slowly, and a lasting
  change of level becomes the baseline within weeks.
- An item that first sells in a shop of some age comes with `launch_days` of next to nothing: so
  much was sold of it before, and a launch that takes off without a plan is news.
- A shop that grows sells more than its mean of four weeks, every day anew. So what came in the
  newest `pace_days` is compared with the baseline in them: an item's pace, drawn to the shop's
  where the item is thin (empirical Bayes). What of it the null does not allow for anyway
  (`pace_allowed`) multiplies the rate that is tested; a shop that shrinks keeps the higher rate, as
  a baseline that is too high raises nothing.
- Days differ by more than chance. The size of the negative binomial is estimated from the
  differences of successive days, which a slow change of level does not blow up:
  `E (n - r m)**2 - n - r**2 m = 2 mean**2 / size` for counts n, m of two days of one rate, r the
  ratio of their lengths. It is drawn to the shop's where an item alone says too little (empirical
  Bayes): because it sells too little, or because a few weeks of days, however full, do not tell
  how much days differ.
"""

import math
from typing import NamedTuple

import numpy as np

from policy.compiled import compiled
from streams.demand.hourly_dispersion import Hours, pool_hours
from streams.settings import BaselineSettings
from streams.types import Float64Array, Record, Table

LEAST_SIZE = 0.25
LARGEST_SIZE = 50.0


class Pool(NamedTuple):
    """What the items of a shard have in common.

    Attributes:
        rate: orders a day that an item had before its first; 0 while the shop is young.
        dispersion: 1 / size of the negative binomial, of an item like most of those that sell.
        pace: how many times the baseline orders came in the newest days.
        hours: how unevenly orders fall within a day.
    """

    rate: float
    dispersion: float
    pace: float = 1.0
    hours: Hours = Hours()


def pool_items(rows: Table, shop_days: float, settings: BaselineSettings) -> Pool:
    """Return what the items have in common, the same in whatever order they stand.

    Args:
        rows: `streams.state.items.ROW` records, shape (item,).
        shop_days: days that the shop's profile rests on.
        settings: as above.
    """
    known = rows[rows["baseline_days"] > 0]
    orders, days = (
        math.fsum(known[name].tolist()) for name in ("baseline_orders", "baseline_days")
    )
    is_mature = days > 0 and shop_days >= settings.mature_days
    rate = min(orders / days, settings.launch_rate) if is_mature else 0.0
    return Pool(
        rate,
        _dispersion(known, settings),
        _pace(known, settings),
        pool_hours(known, settings.hours),
    )


def _dispersion(known: Table, settings: BaselineSettings) -> float:
    """Mean over the items, each with as much weight as its orders can tell; one more is assumed."""
    whole = known["baseline_squares"] + settings.prior_squares
    excess = math.fsum((known["baseline_excess"] / whole).tolist()) + 1.0 / settings.prior_size
    weight = math.fsum((known["baseline_squares"] / whole).tolist()) + 1.0
    return min(max(excess / weight, 1 / LARGEST_SIZE), 1 / LEAST_SIZE)


def _pace(known: Table, settings: BaselineSettings) -> float:
    """How many times the baseline orders of settled items came in the newest days."""
    settled = known[known["observed_days"] >= settings.mature_observed_days]
    came, due = (math.fsum(settled[name].tolist()) for name in ("pace_orders", "pace_due"))
    few = settings.pace_orders
    return (came + few) / (due + few)


@compiled
def baseline_rate(orders: float, days: float, pace: float, pool_rate: float, least: float) -> float:
    """Orders per operational day of an item with these sums, a new one among them."""
    if days > 0.0:
        return max(orders / days * max(pace, 1.0), least)
    return max(pool_rate, least)


@compiled
def own_dispersion(row: Record, pooled: float, prior: float, prior_days: float) -> float:
    """1 / size of the negative binomial of an item's days."""
    weight = prior
    if row.baseline_days > 0.0:
        weight += prior_days * row.baseline_squares / row.baseline_days
    own: float = (row.baseline_excess + pooled * weight) / (row.baseline_squares + weight)
    return max(own, 0.0)


@compiled
def size_of(dispersion: float) -> float:
    """Size of a negative binomial, within limits."""
    return 1.0 / min(max(dispersion, 1.0 / LARGEST_SIZE), 1.0 / LEAST_SIZE)


@compiled
def baseline_size(
    row: Record, orders: float, pooled: float, prior: float, prior_days: float
) -> float:
    """Size of the negative binomial of a day's orders, the doubt about the rate included.

    The rate is a gamma posterior of so many orders, of days that each had a factor of its own.
    """
    own = own_dispersion(row, pooled, prior, prior_days)
    return size_of(own + 1.0 / (orders + 1.0) + own / (row.baseline_days + 1.0))


def baseline_dispersion(rows: Table, pool: Pool, settings: BaselineSettings) -> Float64Array:
    """Return the dispersion of items' days, the doubt about their rates included.

    Args:
        rows: `streams.state.items.ROW` records, shape (item,).
        pool: what the items have in common.
        settings: the priors.

    Returns:
        Variances of a day's factor, shape (item,).
    """
    found = np.zeros(rows.size)
    _sizes(rows, pool, settings.prior_squares, settings.prior_days, found)
    return 1.0 / found


@compiled
def _sizes(rows: Table, pool: Pool, prior: float, prior_days: float, found: Float64Array) -> None:
    for place in range(rows.size):
        row = rows[place]
        found[place] = baseline_size(row, row.baseline_orders, pool.dispersion, prior, prior_days)


@compiled
def _learn(
    rows: Table,
    kept_a_day: float,
    pool: Pool,
    launch_days: float,
    cap_sds: float,
    pace_kept_a_day: float,
    pace_orders: float,
    pace_allowed: float,
    prior: float,
    prior_days: float,
    null_factor: float,
    least: float,
) -> None:
    for place in range(rows.size):
        row = rows[place]
        days = row.day_exposure_days
        if days <= 0.0 or (row.baseline_days == 0.0 and row.day_taught_orders == 0):
            continue
        if row.baseline_days == 0.0 and pool.rate > 0.0:
            row.baseline_days = launch_days
            row.baseline_orders = launch_days * pool.rate
        orders = float(row.day_taught_orders)
        if row.baseline_days > 0.0:
            baseline = row.baseline_orders / row.baseline_days
            rate = baseline_rate(
                row.baseline_orders, row.baseline_days, row.baseline_pace, pool.rate, least
            )
            size = baseline_size(row, row.baseline_orders, pool.dispersion, prior, prior_days)
            mean = null_factor * rate * days
            orders = min(orders, max(2.0, mean + cap_sds * math.sqrt(mean + mean * mean / size)))
            kept = pace_kept_a_day**days
            row.pace_orders = row.pace_orders * kept + orders
            row.pace_due = row.pace_due * kept + baseline * days
            came = row.pace_orders + pace_orders * pool.pace
            row.baseline_pace = came / (row.pace_due + pace_orders) / pace_allowed
        kept = kept_a_day**days
        row.baseline_orders = row.baseline_orders * kept + orders
        row.baseline_days = row.baseline_days * kept + days
        row.baseline_excess *= kept
        row.baseline_squares *= kept
        if days < 0.3:
            continue  # a day on which the shop is all but shut tells nothing of its days
        if row.day_before_days > 0.0:
            ratio = days / row.day_before_days
            before = row.day_before_orders
            difference = orders - ratio * before
            row.baseline_excess += 0.5 * (difference * difference - orders - ratio * ratio * before)
            row.baseline_squares += ratio * orders * before
        row.day_before_orders = orders
        row.day_before_days = days


def learn_baseline(
    rows: Table, pool: Pool, settings: BaselineSettings, *, null_factor: float, least_rate: float
) -> None:
    """Take the closed day into the baseline, in place.

    Args:
        rows: `streams.state.items.ROW` records, shape (item,), with the day's orders outside
            campaigns and the operational days in which they could come: none while the shop was
            shut or the item out of stock.
        pool: what the items have in common, before the day.
        settings: how fast.
        null_factor: the tested rate is at most so many times the baseline.
        least_rate: the baseline rate is taken to be at least this.
    """
    _learn(
        rows,
        math.exp(-1.0 / settings.memory_days),
        pool,
        settings.launch_days,
        settings.cap_sds,
        math.exp(-1.0 / settings.pace_days),
        settings.pace_orders,
        settings.pace_allowed,
        settings.prior_squares,
        settings.prior_days,
        null_factor,
        least_rate,
    )
