"""The surge test: do distinct orders come faster than the baseline rate, and than its spread?

For each item, and for each factor in `streams.state.items.SURGE_FACTORS`, a Shiryaev-Roberts sum of
likelihood ratios; their mean is an e-detector. Orders of a day are Poisson with the baseline mean
times a factor, drawn anew each day from a gamma distribution: negative binomial counts,
overdispersed between days and dependent within one, so that the many ticks of a busy day are not
taken for many proofs. What the calm part of a day tells of its factor is kept: the alternative
has the day run at the baseline up to the estimated beginning, which is known before each step. The
null is inflated: "at most `NULL_FACTOR` times the baseline", so that a baseline that is too low
raises nothing. Within a day orders are not Poisson either: they come in clumps and waves. So counts
and means are divided by the dispersion of the item's hours (`streams.demand.hourly_dispersion`),
which is learned: three orders of one customer are one proof. Time is operational
(`streams.demand.week_profile`): what is expected follows the hours of the shop's week, and what a
closed shop does not sell is no lull.

New sums start at each tick with orders and at each full hour, with the operational days of that
tick or hour as their weight, shared between the two by how much the item expects in an hour. So one
operational day starts a weight of one at the most, and under the null the mean exceeds a level
within `days` operational days with a chance of at most `days / level` (Doob; leaving out starts, or
holding the mean at the level, only lowers it). In truth it is far less: see
`streams.settings.SLACK`.

Every parameter, and why:

- Factors 1.5 to 20 above the null, evenly weighted: what a sale brings is not known before.
- `NULL_FACTOR` 1.5: a baseline that is 30 % too low is exceeded 1.43 times on a day like others.
- `false_items_per_100000` in a sale of `sale_days`: the budget, from which the levels come. Its
  parts are `ITEM_SHARE` for single items, `GROUP_SHARE` for the totals of groups
  (`streams.groups.stage`; a group is held to what an item of that part would be, and there are
  far fewer groups than items) and `PLAN_SHARE` for campaigns short of their plan
  (`streams.detection.shortfall`).
- `minimum_orders` 8 since the estimated beginning: with fewer, the rate is not known to within a
  factor of two (the 5 % point of a gamma posterior of 8 orders is half its mean), and no decision
  turns on it.
- `least_rate` 0.2 orders a day: rarer items are judged as if they sold once in five days.
- `minimum_days` of an item before its test begins: the first tells rate and hours, the second how
  uneven those are. How little that is, and that other weekdays were not seen (`_WEEKDAY_DOUBT`),
  is inside the test.
- `least_factor` 1.2: what has come no faster than that since its beginning is no surge, and one
  that is open ends.
- `end_evidence`: an incident ends when, since the evidence was at its height, the orders speak
  e**3 = 20 to 1 for the null against three times as much; to flap it would have to come all back.
- `half_life_days` of what a surge brings beyond the baseline, in the demand that decisions see.
- `bulk_lines`, `bulk_days`: one line of ten mean ones that takes four weeks' demand is a bulk
  order, raised on its own; the test counts distinct orders and so does not see its size.
- The baseline is learned in `streams.demand.baseline`, with parameters of its own.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from policy.compiled import compiled
from streams.demand.baseline import Pool, baseline_rate, baseline_size
from streams.demand.hourly_dispersion import hourly_dispersion, note_orders
from streams.demand.week_profile import WEEKDAYS, Profile, operational_days
from streams.settings import SurgeSettings
from streams.state.items import SURGE_FACTORS, Columns
from streams.timestamps import DAY_MS, HOUR_MS
from streams.types import BoolArray, Float64Array, Int32Array, Int64Array, Table

NULL_FACTOR = 1.5
DAYS_CARRY = 0.1
"""What evidence is worth on the next day: a surge is a matter of hours, and slow growth is for the
estimate to follow. (A sale that crosses midnight in UTC has its proof anew within minutes.)"""
PATH_FACTOR = 3.0
"""The change point is the last zero of a CUSUM against this factor above the null."""

_FACTORS = np.array(SURGE_FACTORS)
_HIGHEST_LOG = 600.0  # some way beyond it the exponential is no number
_LEAST_SHARE = 0.9  # of the days asked for: a week's days differ in length
_NOTHING = 1e-9  # a sum below it is not worth keeping
_LEAST_START_DAYS = 0.01  # an hour that weighs less starts no sum of its own
_WEEKDAY_DOUBT = 0.15  # of a day's factor, squared, on a weekday that the shop was not seen on
_TICKS_FROM = 2.0  # orders in an hour, from which on sums rather start at ticks than at hours


class Blackout(NamedTuple):
    """Time of which the orders say nothing: the feed was silent, then brought what it owed."""

    start_ms: int = 0
    end_ms: int = 0


_NO_BLACKOUT = Blackout()


class _Test(NamedTuple):
    """What the kernels have to know of the settings."""

    least_rate: float  # orders a day
    minimum_days: float  # that the baseline knows of an item, weighted
    launch_days: float  # that the pooled rate is worth for a new item
    prior_squares: float
    prior_days: float
    own_weight: float  # of what is pooled of the dispersion of hours
    weekday_doubt: float
    level: float  # the mean sum is held there
    end_evidence: float
    covered_days: float  # that the tick stands for beside its own time


@compiled
def _tested_days(elapsed: Float64Array, start_ms: int, end_ms: int, blackout: Blackout) -> float:
    """Operational days between two times, without the blackout."""
    days = operational_days(elapsed, start_ms, end_ms)
    start, end = max(start_ms, blackout.start_ms), min(end_ms, blackout.end_ms)
    if start < end:
        days -= operational_days(elapsed, start, end)
    return max(days, 0.0)


@compiled
def _is_dark(boundary_ms: int, tick_ms: int, blackout: Blackout) -> bool:
    """Whether the tick that ends lies in time of which the orders say nothing."""
    return blackout.start_ms < boundary_ms and boundary_ms - tick_ms < blackout.end_ms


@compiled
def _log_weight(
    size: float, null: float, factor: float, calm: float, days: float, seen: float
) -> float:
    """Log ratio of the chances of a day so far, without the part that new orders bring.

    Under the alternative the day was calm up to the estimated beginning, and showed its own factor.
    """
    faster = calm + factor * (days - calm)
    return math.log((size + null * days) / (size + null * faster)) * (size + seen)


@compiled
def _pass_time(
    sums: Float64Array,
    size: float,
    null: float,
    calm: float,
    before: float,
    after: float,
    seen: float,
    new: float,
) -> None:
    """Multiply the sums by the ratios of a part of a day in which `new` orders came.

    Args:
        sums: one for each factor, in place.
        size: of the negative binomial.
        null: orders per operational day that the null allows.
        calm: operational days of the day before the estimated beginning.
        before: operational days of the day before the part.
        after: those with it.
        seen: orders of the day before the part.
        new: orders in it.
    """
    weight, grown = size + null * after, (size + null * after) / (size + null * before)
    for place in range(sums.size):
        factor = _FACTORS[place]
        later = size + null * (calm + factor * (after - calm))
        earlier = size + null * (calm + factor * (before - calm))
        log_ratio = math.log(grown * earlier / later) * (size + seen)
        step = factor * weight / later
        if new > 0.0 and new != 1.0:
            log_ratio += math.log(step) * new
        sums[place] *= math.exp(min(log_ratio, _HIGHEST_LOG))
        if new == 1.0:  # as most are, and a logarithm is a large part of the test
            sums[place] *= step


@compiled
def _begin_anew(row: Any, start_ms: int) -> None:
    """Let the estimated beginning of a surge be here: before it nothing speaks for one."""
    row.surge_path = 0.0
    row.surge_start_ms = start_ms
    row.surge_calm_days = row.surge_day_days
    row.surge_orders = 0
    row.surge_units = 0
    row.surge_days = 0.0
    row.surge_is_proved = False


@compiled
def _begin_day(row: Any, today_ms: int) -> None:
    """Begin a day: it has a factor of its own, and what came before it hardly counts."""
    row.surge_day_orders = 0
    row.surge_day_days = 0.0
    row.surge_calm_days = 0.0
    sums = row.surge_sums
    sums *= DAYS_CARRY
    if row.surge_since_ms == 0:
        _begin_anew(row, today_ms)


@compiled
def _reach(
    row: Any,
    elapsed: Float64Array,
    until_ms: int,
    null: float,
    size: float,
    dispersion: float,
    plan: float,
    blackout: Blackout,
) -> None:
    """Bring a row up to a time before which no order came, with a new start at each full hour."""
    sums = row.surge_sums
    moment = row.surge_ticked_ms
    today_ms = until_ms // DAY_MS * DAY_MS
    if moment <= today_ms:
        moment = today_ms
        _begin_day(row, today_ms)
    before = row.surge_day_days
    seen = row.surge_day_orders / dispersion
    while moment < until_ms:
        if moment % HOUR_MS == 0:
            hour = _tested_days(elapsed, moment, moment + HOUR_MS, blackout)
            if hour >= _LEAST_START_DAYS:
                sums += hour * _TICKS_FROM / (_TICKS_FROM + null * hour)
        ends = min(until_ms, (moment // HOUR_MS + 1) * HOUR_MS)
        days = plan * _tested_days(elapsed, moment, ends, blackout)
        after = row.surge_day_days + days
        _pass_time(
            sums,
            size,
            null,
            row.surge_calm_days,
            row.surge_day_days,
            after,
            seen,
            0.0,
        )
        row.surge_day_days = after
        moment = ends
    days = row.surge_day_days - before
    row.surge_days += days
    calm = row.surge_calm_days
    later = _log_weight(size, null, PATH_FACTOR, calm, row.surge_day_days, seen)
    row.surge_path += later - _log_weight(size, null, PATH_FACTOR, calm, before, seen)
    row.surge_ticked_ms = until_ms


@compiled
def _pass_day(row: Any, start_ms: int, days: float, null: float, size: float) -> None:
    """Pass a whole day without orders at once; that it starts no sums only lowers them."""
    _begin_day(row, start_ms)
    sums = row.surge_sums
    _pass_time(sums, size, null, 0.0, 0.0, days, 0.0, 0.0)
    if sums.max() < _NOTHING:
        sums[:] = 0.0
    row.surge_path += _log_weight(size, null, PATH_FACTOR, 0.0, days, 0.0)
    row.surge_days += days
    row.surge_day_days = days


@compiled
def _tick_row(
    row: Any,
    elapsed: Float64Array,
    boundary_ms: int,
    tick_ms: int,
    null: float,
    size: float,
    dispersion: float,
    plan: float,
    blackout: Blackout,
    test: _Test,
) -> float:
    start_ms = boundary_ms - tick_ms
    _reach(row, elapsed, start_ms, null, size, dispersion, plan, blackout)
    if row.surge_path <= 0.0 and row.surge_since_ms == 0:
        _begin_anew(row, start_ms)
    orders = 0 if _is_dark(boundary_ms, tick_ms, blackout) else row.tick_orders
    sums = row.surge_sums
    shop_days = _tested_days(elapsed, start_ms, boundary_ms, blackout) + test.covered_days
    days = plan * shop_days
    hour_ms = start_ms // HOUR_MS * HOUR_MS
    an_hour = null * operational_days(elapsed, hour_ms, hour_ms + HOUR_MS)
    if start_ms % HOUR_MS == 0:
        hour = _tested_days(elapsed, hour_ms, hour_ms + HOUR_MS, blackout)
        if hour >= _LEAST_START_DAYS:
            sums += hour * _TICKS_FROM / (_TICKS_FROM + an_hour)
    if orders > 0:
        expected = max(an_hour, null * test.covered_days)
        sums += shop_days * expected / (_TICKS_FROM + expected)
    before, seen, new = row.surge_day_days, row.surge_day_orders / dispersion, orders / dispersion
    after = before + days
    _pass_time(sums, size, null, row.surge_calm_days, before, after, seen, new)
    later = _log_weight(size, null, PATH_FACTOR, row.surge_calm_days, after, seen + new)
    earlier = _log_weight(size, null, PATH_FACTOR, row.surge_calm_days, before, seen)
    row.surge_path += math.log(PATH_FACTOR) * new + later - earlier
    if row.surge_since_ms > 0:
        row.surge_path = min(row.surge_path, test.end_evidence)
    row.surge_day_days = after
    row.surge_day_orders += orders
    row.surge_days += days
    row.surge_orders += orders
    if orders > 0:
        row.surge_units += row.tick_units
    row.surge_ticked_ms = boundary_ms
    mean = sums.mean()
    if mean >= test.level:
        # Held at the level: evidence without bound would take as long to fall again.
        sums *= test.level / mean
        row.surge_is_proved = True
        mean = test.level
    return mean


@compiled
def _tick(
    rows: Table,
    items: Int32Array,
    elapsed: Float64Array,
    boundary_ms: int,
    tick_ms: int,
    pool: Pool,
    blackout: Blackout,
    test: _Test,
    plans: Float64Array,
    null_factors: Float64Array,
    means: Float64Array,
) -> None:
    for place in range(items.size):
        row = rows[items[place]]
        if row.tick_orders > 0:
            hour_ms = (boundary_ms - tick_ms) // HOUR_MS * HOUR_MS
            due = row.baseline_orders / row.baseline_days if row.baseline_days > 0.0 else 0.0
            note_orders(row, hour_ms, row.tick_orders, elapsed, due)
        is_new = row.baseline_days == 0.0 and pool.rate > 0.0
        if is_new or row.baseline_days >= test.minimum_days:
            orders, days = row.baseline_orders, row.baseline_days
            if is_new:
                orders = test.launch_days * pool.rate
            rate = baseline_rate(orders, days, row.baseline_pace, pool.rate, test.least_rate)
            times = null_factors[place] * plans[place]
            dispersion = hourly_dispersion(row, rate, pool.hours, test.own_weight, times)
            row.surge_dispersion = dispersion
            null = null_factors[place] * rate / dispersion
            size = baseline_size(row, orders, pool.dispersion, test.prior_squares, test.prior_days)
            size = size / (1.0 + size * test.weekday_doubt)
            if row.tick_orders == 0 and row.surge_ticked_ms <= boundary_ms - DAY_MS:
                days = plans[place] * _tested_days(
                    elapsed, boundary_ms - DAY_MS, boundary_ms, blackout
                )
                _pass_day(row, boundary_ms - DAY_MS, days, null, size)
                row.surge_ticked_ms = boundary_ms
                means[place] = row.surge_sums.mean()
            else:
                means[place] = _tick_row(
                    row,
                    elapsed,
                    boundary_ms,
                    tick_ms,
                    null,
                    size,
                    dispersion,
                    plans[place],
                    blackout,
                    test,
                )
        else:
            row.surge_ticked_ms = boundary_ms
            row.surge_start_ms = boundary_ms
        row.tick_orders = 0
        row.tick_units = 0
        row.tick_largest_units = 0


def _test_of(
    settings: SurgeSettings, level: float | None, covered_days: float, is_new_weekday: bool
) -> _Test:
    baseline = settings.baseline
    return _Test(
        least_rate=settings.least_rate,
        minimum_days=_LEAST_SHARE * baseline.weight_of(settings.minimum_days),
        launch_days=baseline.launch_days,
        prior_squares=baseline.prior_squares,
        prior_days=baseline.prior_days,
        own_weight=baseline.hours.own_weight,
        weekday_doubt=_WEEKDAY_DOUBT if is_new_weekday else 0.0,
        level=settings.level if level is None else level,
        end_evidence=settings.end_evidence,
        covered_days=covered_days,
    )


def surge_tick(
    rows: Table,
    items: Int32Array,
    profile: Profile,
    boundary_ms: int,
    tick_ms: int,
    pool: Pool,
    settings: SurgeSettings,
    blackout: Blackout = _NO_BLACKOUT,
    plans: Float64Array | None = None,
    *,
    level: float | None = None,
    covered_days: float = 0.0,
    null_factors: Float64Array | None = None,
) -> Float64Array:
    """Close the tick that ends at the boundary for the items given; return their mean sums.

    Args:
        rows: `streams.state.items.ROW` records, shape (item,), changed in place.
        items: those with orders in the tick, and any other to be brought up to date, shape (n,).
            At a day's end all whose sums are not zero: a new day has a new factor.
        profile: the shop's week.
        boundary_ms: end of the tick.
        tick_ms: its width; divides an hour.
        pool: what the items have in common.
        settings: the test.
        blackout: the newest time of which the orders say nothing.
        plans: how many times its baseline orders a campaign plans for each item, shape (n,); none:
            there is no campaign.
        level: the mean sum is held there; none: `settings.level`.
        covered_days: operational days that the tick stands for beside its own: it is an import.
        null_factors: how many times its baseline each item may sell, shape (n,); none:
            `NULL_FACTOR`.

    Returns:
        Mean over the factors, shape (n,), at most the level; 0 where an item is not tested.
    """
    means = np.zeros(items.size)
    weekday = (boundary_ms - 1) // DAY_MS % WEEKDAYS
    is_new_weekday = profile.is_known and profile.days[weekday] == 0
    _tick(
        rows,
        items,
        profile.elapsed,
        boundary_ms,
        tick_ms,
        pool,
        blackout,
        _test_of(settings, level, covered_days, is_new_weekday),
        np.ones(items.size) if plans is None else plans,
        np.full(items.size, NULL_FACTOR) if null_factors is None else null_factors,
        means,
    )
    return means


@compiled
def _proved_or_open(rows: Table, items: Int32Array, found: Int64Array) -> int:
    count = 0
    for place in range(items.size):
        row = rows[items[place]]
        if row.surge_is_proved or row.surge_since_ms > 0:
            found[count] = place
            count += 1
    return count


def proved_or_open(rows: Table, items: Int32Array) -> Int64Array:
    """Return the few places among `items` whose evidence has reached the level, or is called."""
    found = np.empty(items.size, np.int64)
    return found[: _proved_or_open(rows, items, found)]


def is_proved_still(
    rows: Table | Columns, means: Float64Array, level: float, settings: SurgeSettings
) -> BoolArray:
    """Return which items have reached the level, with the orders asked for, and not lost it since.

    What a few orders at once have proved is over when the next ones come at the baseline: it is
    called only while the evidence is not further below the level than where an incident would end.

    Args:
        rows: after the tick, shape (n,).
        means: as `surge_tick` returned them, shape (n,).
        level: at which they are held.
        settings: the test.
    """
    holds = means >= level * math.exp(-settings.end_evidence)
    least = np.rint(settings.minimum_orders * np.maximum(rows["surge_dispersion"], 1.0))
    enough = rows["surge_orders"] >= least
    proved: BoolArray = rows["surge_is_proved"] & enough & holds
    return proved
