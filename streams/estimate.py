"""The demand estimate: level, trend and variance of daily demand, exponentially weighted.

Holt's method with the variance of its one-step errors (ids PS-15, DS-17). While an item is young,
the weights are those of the plain mean, so that the first days are not overrated.
"""

from dataclasses import dataclass

import numpy as np

from streams.types import Table


@dataclass(frozen=True, slots=True)
class EstimateSettings:
    """How fast the estimate forgets, each inside (0, 1)."""

    level_weight: float = 0.1
    trend_weight: float = 0.02
    variance_weight: float = 0.1


def close_day(rows: Table, settings: EstimateSettings) -> None:
    """Take the open day of every item into its estimate, in place, and open the next one.

    Days before an item's first sale do not count. Cancellations of the day reduce it, to no less
    than nothing.

    Args:
        rows: `streams.items.ROW` records, shape (item,).
        settings: weights.
    """
    sold = np.maximum(rows["day_units"], 0).astype(np.float64)
    known = np.flatnonzero((rows["observed_days"] > 0) | (rows["day_orders"] > 0))
    if known.size:
        days = rows["observed_days"][known]
        _holt(rows, known, sold[known], days, settings)
        _orders(rows, known, days, settings)
        rows["observed_days"][known] = days + 1
    rows["day_units"] = 0
    rows["day_orders"] = 0


def _holt(
    rows: Table,
    known: "np.ndarray",
    sold: "np.ndarray",
    days: "np.ndarray",
    settings: EstimateSettings,
) -> None:
    level = rows["demand_level_units_per_day"][known]
    trend = rows["demand_trend_units_per_day"][known]
    is_first = days == 0
    weight = np.maximum(settings.level_weight, 1.0 / (days + 1.0))
    expected = np.where(is_first, sold, np.maximum(level + trend, 0.0))
    error = sold - expected
    new_level = expected + weight * error
    moved = np.where(days < 14, 0.0, settings.trend_weight * (new_level - level - trend))
    variance_weight = np.maximum(settings.variance_weight, 1.0 / np.maximum(days, 1.0))
    variance = rows["demand_variance_units"][known]
    rows["demand_level_units_per_day"][known] = new_level
    rows["demand_trend_units_per_day"][known] = np.where(is_first, 0.0, trend + moved)
    # One day tells nothing of the spread: until the second, that of a Poisson count is taken.
    rows["demand_variance_units"][known] = np.where(
        is_first, sold, variance + variance_weight * (error * error - variance)
    )


def _orders(
    rows: Table, known: "np.ndarray", days: "np.ndarray", settings: EstimateSettings
) -> None:
    orders = rows["day_orders"][known].astype(np.float64)
    level = rows["order_level_per_day"][known]
    variance = rows["order_variance"][known]
    weight = np.maximum(settings.level_weight, 1.0 / (days + 1.0))
    error = orders - level
    rows["order_level_per_day"][known] = level + weight * error
    rows["order_variance"][known] = np.where(
        days == 0, orders, variance + weight * (error * error - variance)
    )
