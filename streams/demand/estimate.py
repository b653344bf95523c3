"""The demand estimate: orders per operational day, units per order, and how sure both are.

**Rate.** Discounted counts: orders known / days known. The discount follows the rate, as a Kalman
filter's gain for Poisson counts with a drifting mean does: gain per day = sqrt(drift x rate), so
that a fast item follows within days and a slow one remembers months. Around it stands a gamma
prior with the mean of the category (or shop) and a weight in days that is fitted to how different
the items are: an empirical Bayes estimate. That weight fades as an item's own orders come in,
because the rates of a shop have longer tails than a gamma distribution, and its best sellers would
be drawn down (limited translation: Efron, Morris 1972). A shard pools over its own partition's
items: it sees no others.

**Size.** The logs of units per order, with the shop's mean and spread as a prior; a bulk order
teaches as if it were at the edge of the expected range. What logs and edges lose of the mean is
given back by one factor for the shop, units sold over units foreseen.

**Class.** By the mean days between days with orders (ADI, at 1.32) and the squared coefficient of
variation of what they sold (at 0.49): Syntetos, Boylan, Croston (2005). The class names the method.

**Spread.** Units of x days have mean D x and variance V x + (D x)^2 / K. V is learned from what the
estimate itself missed: the squared errors of its days, counted in orders of the size foreseen, so
that items can be pooled. K are the orders on which the level rests. An error is cut where only a
bulk order or a surge can reach: they are no part of an ordinary day's spread.

Sums over items are taken in whole millionths, so that they do not depend on the items' order.
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from policy.compiled import compiled
from streams.settings import EstimateSettings
from streams.timestamps import DAY_MS
from streams.types import AnyArray, Float64Array, Int32Array, Int64Array, Record, Table


class DemandClass(IntEnum):
    """How an item sells; other books say stable, erratic and capricious."""

    UNKNOWN = 0
    SMOOTH = 1
    ERRATIC = 2
    INTERMITTENT = 3
    LUMPY = 4


METHODS = {
    DemandClass.UNKNOWN: "none",
    DemandClass.SMOOTH: "damped_trend",
    DemandClass.ERRATIC: "level",
    DemandClass.INTERMITTENT: "pooled_rate",
    DemandClass.LUMPY: "pooled_rate",
}
"""What an estimate of each class is: all have the level, the pool and the sizes in common."""

ADI_LIMIT = 1.32
CV2_LIMIT = 0.49
LARGEST_SIZE = 200.0  # times the units foreseen: more of one day is no news of the baseline size


class Correction(NamedTuple):
    """Units sold and foreseen by the shop's sizes, older days with less weight."""

    sold_units: float = 0.0
    foreseen_units: float = 0.0

    @property
    def factor(self) -> float:
        """By which foreseen units have to be multiplied."""
        return self.sold_units / self.foreseen_units if self.foreseen_units > 0 else 1.0


class _Pool(NamedTuple):
    """What items have in common."""

    prior_days: float
    size_log: float
    size_spread: float
    order_dispersion: float
    unit_dispersion: float
    correction: float


_ITEMS, _RATES, _SQUARES, _NOISE, _ORDERS, _DAYS = range(6)
_SIZES, _LOGS, _LOG_SQUARES, _WITHIN, _FREE = range(6, 11)
_ERRORS, _UNIT_ERRORS, _MEANS, _SOLD, _FORESEEN = range(11, 16)
_MILLIONTH = 1e-6
_LARGEST = 1e6  # of one item's share in a sum, so that the sum of millions of them is exact


@compiled
def _whole(value: float) -> int:
    """A value in whole millionths, so that sums are exact."""
    return math.floor(min(max(value, -_LARGEST), _LARGEST) / _MILLIONTH + 0.5)


@compiled
def _learn_errors(row: Record, days: float, settings: EstimateSettings) -> None:
    """Note by how much the day's orders and units missed what the estimate said before it."""
    mean = row.order_level_per_day * days
    kept = 0.5 ** (1.0 / settings.error_half_life_days)
    row.error_squares = row.error_squares * kept + (row.day_taught_orders - mean) ** 2
    row.error_means = row.error_means * kept + mean
    error = 0.0
    if row.demand_level_units_per_day > 0.0:
        size = row.units_per_order
        error = abs(row.day_taught_units / size - mean)
        sd = math.sqrt(row.demand_variance_units * days) / (size * row.kept_share)
        error = min(error, settings.error_edge * max(sd, 1.0))
    row.unit_error_squares = row.unit_error_squares * kept + error * error


@compiled
def _learn_orders(row: Record, days: float, settings: EstimateSettings) -> None:
    """Take an exposure and its orders into the level, the trend and their errors."""
    orders = float(row.day_taught_orders)
    rate = row.order_level_per_day
    mean = rate * days
    if row.known_days + row.quiet_days > 5.0 and days > 0.2:
        _learn_errors(row, days, settings)
    gain = min(max(math.sqrt(settings.drift * rate), settings.least_gain), settings.greatest_gain)
    known = row.known_days + row.quiet_days
    if row.estimate_class == 1 and row.level_orders >= settings.trend_orders:
        error = (orders - mean) * gain * settings.trend_gain
        row.order_trend = row.order_trend * settings.trend_kept**days + error
        row.known_orders = max(row.known_orders + row.order_trend * days * known, 0.0)
    else:
        row.order_trend = 0.0
    kept = math.exp(-gain * days)
    row.known_orders = row.known_orders * kept + orders
    row.known_days *= kept
    row.quiet_days = row.quiet_days * kept + days
    if row.day_orders > 0:
        row.known_days += row.quiet_days
        row.quiet_days = 0.0
    units = min(float(row.day_taught_units), LARGEST_SIZE * max(row.units_per_order, 1.0) * orders)
    if row.units_per_order == 0.0:
        units = float(row.day_taught_units)
    row.sale_days = row.sale_days * kept + (orders > 0)
    row.sale_units = row.sale_units * kept + units
    row.sale_unit_squares = row.sale_unit_squares * kept + units * units
    undone = min(float(row.day_undone_units), LARGEST_SIZE * max(row.units_per_order, 1.0))
    row.undone_units = row.undone_units * kept + undone


@compiled
def _add_to_shop(row: Record, shop: Int64Array, pooled: Int64Array, group: int) -> None:
    """Add an item's share to the sums of shop and category."""
    known = row.known_days + row.quiet_days
    if known >= 5.0:
        rate = min(row.known_orders / known, 1e3)
        shop[_ITEMS] += 1
        shop[_RATES] += _whole(rate)
        shop[_SQUARES] += _whole(rate * rate)
        shop[_NOISE] += _whole(rate / known)
        shop[_ORDERS] += _whole(row.known_orders)
        shop[_DAYS] += _whole(known)
        pooled[group, 0] += _whole(row.known_orders)
        pooled[group, 1] += _whole(known)
    shop[_SIZES] += _whole(row.size_count)
    shop[_LOGS] += _whole(row.size_logs)
    shop[_LOG_SQUARES] += _whole(row.size_log_squares)
    if row.size_count > 2.0:
        shop[_WITHIN] += _whole(row.size_log_squares - row.size_logs**2 / row.size_count)
        shop[_FREE] += _whole(row.size_count - 1.0)
    shop[_ERRORS] += _whole(row.error_squares)
    shop[_UNIT_ERRORS] += _whole(row.unit_error_squares)
    shop[_MEANS] += _whole(row.error_means)


@compiled
def _take_day(
    rows: Table,
    end_ms: int,
    groups: Int32Array,
    settings: EstimateSettings,
    correction: float,
    shop: Int64Array,
    pooled: Int64Array,
) -> None:
    for place in range(rows.size):
        row = rows[place]
        orders = row.day_taught_orders
        if row.known_orders > 0 or row.known_days > 0 or orders > 0:
            days = row.day_exposure_days
            if days > 0 or orders > 0:
                foreseen = row.units_per_order / correction * orders
                if foreseen > 0:
                    most = LARGEST_SIZE * foreseen
                    shop[_SOLD] += _whole(min(float(row.day_taught_units), most))
                    shop[_FORESEEN] += _whole(foreseen)
                _learn_orders(row, days, settings)
                row.observed_days += 1
                row.estimated_ms = end_ms
            _add_to_shop(row, shop, pooled, groups[place])
        row.day_orders = row.day_units = 0
        row.day_taught_orders = row.day_taught_units = row.day_undone_units = 0


@compiled
def _class_of(row: Record, known: float) -> int:
    if row.sale_days <= 0:
        return 0
    mean = row.sale_units / row.sale_days
    spread = max(row.sale_unit_squares / row.sale_days - mean * mean, 0.0)
    is_even = spread <= CV2_LIMIT * mean * mean
    if known <= ADI_LIMIT * row.sale_days:
        return 1 if is_even else 2
    return 3 if is_even else 4


@compiled
def _derive_sizes(row: Record, pool: _Pool, settings: EstimateSettings) -> None:
    """Set the units per order and their limit."""
    count, weight = row.size_count, settings.size_prior_orders
    log = (row.size_logs + weight * pool.size_log) / (count + weight)
    weight = settings.size_spread_orders
    within = max(row.size_log_squares - row.size_logs**2 / max(count, 1e-9), 0.0)
    spread = (within + weight * pool.size_spread) / (max(count - 1.0, 0.0) + weight)
    row.size_limit_units = math.exp(log + settings.size_edge * math.sqrt(spread))
    row.units_per_order = math.exp(log + spread / 2.0) * pool.correction


@compiled
def _dispersion(squares: float, means: float, pooled: float, weight: float) -> float:
    """Squared errors per order foreseen, an item's own and the pool's; chance alone makes 1."""
    return max((squares + weight * pooled) / (means + weight), 1.0)


@compiled
def _derive(
    rows: Table, groups: Int32Array, means: Float64Array, pool: _Pool, settings: EstimateSettings
) -> None:
    weight = settings.error_prior_orders
    for place in range(rows.size):
        row = rows[place]
        if row.known_orders <= 0 and row.known_days <= 0:
            continue
        known = row.known_days
        if row.silent_since_ms <= row.quiet_since_ms:
            known += row.quiet_days
        prior_days = pool.prior_days / (1.0 + row.known_orders / settings.own_orders)
        whole = known + prior_days
        row.level_orders = row.known_orders + prior_days * means[groups[place]]
        row.pooled_share = prior_days / whole
        rate = row.level_orders / whole
        row.order_level_per_day = rate
        dispersion = _dispersion(row.error_squares, row.error_means, pool.order_dispersion, weight)
        row.order_variance = dispersion * rate
        if row.quiet_days == 0.0:
            row.quiet_rate = rate
            row.quiet_rate_orders = row.level_orders
            row.quiet_dispersion = dispersion
        _derive_sizes(row, pool, settings)
        kept = 1.0
        if row.sale_units > 0:
            kept = 1.0 - min(row.undone_units / row.sale_units, 1.0)
        row.kept_share = kept
        size = row.units_per_order * kept
        row.demand_level_units_per_day = rate * size
        row.demand_trend_units_per_day = row.order_trend * size
        dispersion = _dispersion(
            row.unit_error_squares, row.error_means, pool.unit_dispersion, weight
        )
        row.demand_variance_units = dispersion * rate * size * size
        row.estimate_class = _class_of(row, known)


def close_day(
    rows: Table,
    end_ms: int,
    categories: Int32Array,
    correction: Correction,
    settings: EstimateSettings,
) -> Correction:
    """Take the closed day of every item into its estimate, in place, and open the next one.

    Days before an item's first sale do not count.

    Args:
        rows: `streams.state.items.ROW` records, shape (item,), with `day_exposure_days` set.
        end_ms: when the day ended.
        categories: number of each item's category, 0 for none, shape (item,). Which number stands
            for which category does not matter.
        correction: the shop's, before the day.
        settings: weights.

    Returns:
        The shop's correction after the day.
    """
    shop = np.zeros(16, np.int64)
    pooled = np.zeros((int(categories.max(initial=0)) + 1, 2), np.int64)
    _take_day(rows, end_ms, categories, settings, correction.factor, shop, pooled)
    sums = shop * _MILLIONTH
    kept = 0.5 ** (1.0 / settings.correction_half_life_days)
    if sums[_FORESEEN] > 0:
        correction = Correction(
            correction.sold_units * kept + float(sums[_SOLD]),
            correction.foreseen_units * kept + float(sums[_FORESEEN]),
        )
    means = _category_means(sums, pooled * _MILLIONTH, settings)
    _derive(rows, categories, means, _pool(sums, shop[_ITEMS], correction, settings), settings)
    return correction


def _category_means(
    sums: Float64Array, pooled: Float64Array, settings: EstimateSettings
) -> Float64Array:
    """Orders per day of each category's mean item, drawn to the shop's where it is thin."""
    shop = sums[_ORDERS] / sums[_DAYS] if sums[_DAYS] > 0 else 0.0
    weight = settings.category_days
    means: Float64Array = (pooled[:, 0] + weight * shop) / (pooled[:, 1] + weight)
    means[0] = shop
    return means


def _pool(
    sums: Float64Array, items: int, correction: Correction, settings: EstimateSettings
) -> _Pool:
    """Fit what items have in common to their sums, by moments."""
    prior_days = settings.least_prior_days
    if items:
        mean = sums[_RATES] / items
        variance = sums[_SQUARES] / items - mean * mean - sums[_NOISE] / items
        # No spread beyond chance: all items sell alike, and the pool has its greatest weight.
        days = mean / variance if variance > 0 else settings.greatest_prior_days
        prior_days = min(max(float(days), prior_days), settings.greatest_prior_days)
    has_sizes, has_spread, has_errors = sums[_SIZES] > 0, sums[_FREE] > 0, sums[_MEANS] > 0
    size_spread = float(sums[_WITHIN] / sums[_FREE]) if has_spread else 1.0
    dispersion = float(max(sums[_ERRORS] / sums[_MEANS], 1.0)) if has_errors else 1.5
    # Before the first errors: what orders and lognormal sizes would make.
    of_units = (
        sums[_UNIT_ERRORS] / sums[_MEANS] if has_errors else dispersion + math.expm1(size_spread)
    )
    return _Pool(
        prior_days=prior_days,
        size_log=float(sums[_LOGS] / sums[_SIZES]) if has_sizes else 0.0,
        size_spread=size_spread,
        order_dispersion=dispersion,
        unit_dispersion=float(of_units),
        correction=correction.factor,
    )


def demand_over(rows: Table, days: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return mean and variance of the units that items will sell over operational days.

    The trend is followed to the middle of the stretch, and moves the level by no more than half
    down or twice up.

    Args:
        rows: `streams.state.items.ROW` records, shape (n,).
        days: operational days ahead, shape (n,).

    Returns:
        Units and units squared, each of shape (n,).
    """
    level = rows["demand_level_units_per_day"]
    ahead = rows["demand_trend_units_per_day"] * days / 2.0
    mean = np.clip(level + ahead, 0.5 * level, 2.0 * level) * days
    rests_on = rows["level_orders"]
    unsure = np.divide(mean * mean, rests_on, out=np.zeros_like(mean), where=rests_on > 0)
    return mean, rows["demand_variance_units"] * days + unsure


_CLASS_NAMES = np.array([one.name.lower().encode() for one in DemandClass])
_METHOD_NAMES = np.array([METHODS[one].encode() for one in DemandClass])


def estimate_words(rows: Table, now_ms: int) -> dict[str, AnyArray]:
    """Return class, method and quality of estimates as words, each of shape (item,).

    The quality is `none` (nothing was sold yet), `stale` (no day taught it for two weeks of event
    time), `pooled` (most of it is the category's or the shop's), `thin` (it rests on fewer than
    five orders) or `good`.
    """
    quality = np.full(rows.size, b"good", "S6")
    quality[rows["level_orders"] < 5.0] = b"thin"
    quality[rows["pooled_share"] > 0.5] = b"pooled"
    quality[rows["estimated_ms"] < now_ms - 14 * DAY_MS] = b"stale"
    quality[rows["estimated_ms"] == 0] = b"none"
    return {
        "estimate_class": _CLASS_NAMES[rows["estimate_class"]],
        "estimate_method": _METHOD_NAMES[rows["estimate_class"]],
        "estimate_quality": quality,
    }
