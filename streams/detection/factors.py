"""How many times its baseline an item sells, and what that means for its demand."""

import math
from typing import NamedTuple

import numpy as np

from streams.settings import SurgeSettings
from streams.state.items import Columns
from streams.types import BoolArray, Float64Array, Table

_Z_90 = 1.6448536269514722  # of a two-sided range of 90 %
_PRIOR_ORDERS, _PRIOR_BASELINE = 2.0, 0.5  # a factor of four, of which little is known
_PRIOR_PLAN = (1.0, 1.0)  # the plan holds, of which little is known


class Factor(NamedTuple):
    """How many times the baseline rate orders come: posterior mean, and a range of 90 %."""

    mean: float
    low: float
    high: float


def factor_of(
    orders: float,
    baseline_orders: float,
    prior: tuple[float, float] = (_PRIOR_ORDERS, _PRIOR_BASELINE),
) -> Factor:
    """Return the factor's posterior after so many orders where so many were expected.

    Gamma; the prior is that of two orders in half an expected one: four times the baseline, so that
    a handful of orders within minutes is not taken for a hundredfold day. Quantiles by Wilson and
    Hilferty, to 1 % from 5 orders on.

    Args:
        orders: distinct orders, >= 0.
        baseline_orders: that were due by the baseline rate, > 0.
        prior: orders, and how many were due, that stand for what is known before.

    >>> tuple(round(value, 1) for value in factor_of(10, 2.0))
    (4.8, 2.8, 7.3)
    """
    shape, rate = orders + prior[0], baseline_orders + prior[1]
    low, high = (
        shape * max(0.0, 1 - 1 / (9 * shape) + z / (3 * math.sqrt(shape))) ** 3
        for z in (-_Z_90, _Z_90)
    )
    return Factor(shape / rate, low / rate, high / rate)


def surge_factor(row: Table, settings: SurgeSettings) -> Factor:
    """Return how many times the baseline rate an item's orders come since the beginning.

    Args:
        row: one record of `streams.state.items.ROW`, with an estimated beginning.
        settings: of the test.
    """
    baseline = baseline_rate_of(row, settings) * float(row["surge_days"])
    dispersion = max(float(row["surge_dispersion"]), 1.0)
    return factor_of(float(row["surge_orders"]) / dispersion, max(baseline / dispersion, 1e-6))


def baseline_rate_of(row: Table, settings: SurgeSettings) -> float:
    """Baseline orders of an item per operational day, as the test takes them."""
    days, pace = float(row["baseline_days"]), max(float(row["baseline_pace"]), 1.0)
    rate = float(row["baseline_orders"]) / days * pace if days > 0 else 0.0
    return max(rate, settings.least_rate)


def baseline_rates(rows: Table | Columns, settings: SurgeSettings) -> Float64Array:
    """Return the same of many items, shape (n,)."""
    rates = rows["baseline_orders"] / np.maximum(rows["baseline_days"], 1e-9)
    floored: Float64Array = np.maximum(
        rates * np.maximum(rows["baseline_pace"], 1.0), settings.least_rate
    )
    return floored


def sold_orders(rows: Table) -> Float64Array:
    """Return orders of the open day in campaigns, or units in orders of the baseline size if more.

    Args:
        rows: `streams.state.items.ROW` records, shape (n,).
    """
    sizes = np.maximum(rows["units_per_order"], 1.0)
    sold: Float64Array = np.maximum(rows["plan_day_orders"], rows["plan_day_units"] / sizes)
    return sold


def is_hardly_more(rows: Table | Columns, settings: SurgeSettings) -> BoolArray:
    """Return which items' orders came less than `least_factor` times the baseline rate, shape (n,).

    Since the estimated beginning of their surge. A few busy minutes are a proof, and yet no surge.

    Args:
        rows: `streams.state.items.ROW` records, shape (n,).
        settings: of the test.
    """
    due = baseline_rates(rows, settings) * rows["surge_days"]
    little: BoolArray = rows["surge_orders"] < settings.least_factor * due
    return little


def plan_factors(
    rows: Table | Columns, planned_orders: Float64Array, days: float, settings: SurgeSettings
) -> Float64Array:
    """Return how many times its baseline orders a campaign plans for each item, at least once.

    Args:
        rows: `streams.state.items.ROW` records, shape (n,).
        planned_orders: baseline ones included, in a stretch, shape (n,); 0: no plan.
        days: operational days of the stretch, > 0.
        settings: of the test.
    """
    rate = rows["baseline_orders"] / np.maximum(rows["baseline_days"], 1e-9)
    rate *= np.maximum(rows["baseline_pace"], 1.0)
    due = np.maximum(rate, settings.least_rate) * days
    factors: Float64Array = np.maximum(planned_orders / due, 1.0)
    return factors


def units_per_order(row: Table) -> float:
    """Units that an order of the item brings, by its baseline levels."""
    orders_per_day = float(row["order_level_per_day"])
    return float(row["demand_level_units_per_day"]) / orders_per_day if orders_per_day > 0 else 1.0


def decayed_factor(factor: float, cover_days: float, half_life_days: float) -> float:
    """Return the mean factor over the coming days: a surge decays back to the baseline level.

    >>> round(decayed_factor(5.0, 2.0, 2.0), 3)
    3.885
    """
    if not cover_days > 0:
        return factor
    turns = cover_days / half_life_days * math.log(2)
    return 1.0 + (factor - 1.0) * -math.expm1(-turns) / turns


def surge_units_per_day(row: Table, settings: SurgeSettings) -> float:
    """Return units per operational day at which an item in a surge sells.

    Args:
        row: one record of `streams.state.items.ROW`, with an estimated beginning.
        settings: of the test.
    """
    orders_per_day = surge_factor(row, settings).mean * baseline_rate_of(row, settings)
    return orders_per_day * units_per_order(row)


def current_units_per_day(rows: Table, settings: SurgeSettings) -> Float64Array:
    """Return units per operational day at which items sell: in a surge its rate, else the baseline.

    Args:
        rows: `streams.state.items.ROW` records, shape (n,).
        settings: of the surge test.

    Returns:
        Units, shape (n,); 0: nothing sells, or no day has closed yet.
    """
    units: Float64Array = np.maximum(rows["demand_level_units_per_day"], 0.0)
    for place in np.flatnonzero(rows["surge_since_ms"] > 0).tolist():
        units[place] = surge_units_per_day(rows[place], settings)
    return units


def is_bulk(rows: Table | Columns, settings: SurgeSettings) -> "np.ndarray":
    """Whether the largest line of the open tick is a bulk order, shape (item,).

    One line of at least `bulk_lines` mean ones that takes `bulk_days` of the baseline demand, or
    all that was left to sell: it matters to the stock, and tells nothing of how many customers want
    the item.
    """
    units_per_day = rows["demand_level_units_per_day"]
    baseline_line = np.ones(rows.size)
    is_sold = rows["order_level_per_day"] > 0
    np.divide(units_per_day, rows["order_level_per_day"], out=baseline_line, where=is_sold)
    baseline_line = np.maximum(baseline_line, 1.0)
    largest = rows["tick_largest_units"]
    is_known = (rows["baseline_days"] >= settings.minimum_days) & (rows["bulk_since_ms"] == 0)
    left = rows["on_hand_units"] - rows["backlog_units"]
    empties = (rows["counted_at_ms"] > 0) & (left <= 0) & (left + largest > 0)
    is_large = largest >= settings.bulk_lines * baseline_line
    is_much = empties | (largest >= settings.bulk_days * units_per_day)
    bulk: np.ndarray = is_known & (largest > 0) & is_large & is_much
    return bulk


def surge_demand(row: Table, mean: float, cover_days: float, settings: SurgeSettings) -> float:
    """Return the demand that a decision sees for an item in a surge.

    The posterior rate of orders, at the baseline units an order, decays back to the baseline mean
    with `settings.half_life_days`; the mean over the cover is what counts.

    Args:
        row: one record of `streams.state.items.ROW`.
        mean: units per day that the decision would see without the surge.
        cover_days: that the decision has to last.
        settings: of the test.
    """
    surge = surge_units_per_day(row, settings)
    if not surge > mean > 0:
        return mean
    return mean * decayed_factor(surge / mean, cover_days, settings.half_life_days)
