"""Exponential smoothing with a trend and without a season (Holt)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policy.classic.fields import FloatArray, Given, Number
from policy.errors import PolicyInputError

ALPHA = Number("alpha", "weight of the newest demand in the level", high=1)
BETA = Number("beta", "weight of the newest change of the level in the trend", high=1)
START_LEVEL = Number("level", "level before the first period", low=-1e15)
START_TREND = Number("trend", "trend before the first period", low=-1e15)


@dataclass(frozen=True)
class Smoothed:
    """Level and trend after each period, shape (..., period)."""

    levels: FloatArray
    trends: FloatArray
    forecasts: FloatArray
    """What was forecast for each period from the ones before it; nan for a period that started
    the level."""

    def ahead(self, periods: int) -> FloatArray:
        """Return the forecast of the next periods, shape (..., periods)."""
        steps = np.arange(1, periods + 1)
        return self.levels[..., -1:] + self.trends[..., -1:] * steps


def holt(
    demand: Given, alpha: float, beta: float, *, level: Given | None = None, trend: Given = 0.0
) -> Smoothed:
    """Smooth demand: l = alpha d + (1 - alpha)(l + b), b = beta (l - l before) + (1 - beta) b.

    Args:
        demand: units by period, shape (..., period), at least one.
        alpha, beta: weights, >= 0 and <= 1.
        level, trend: before the first period. A level of None starts with the first period's
            demand, and smooths from the second one on.

    Raises:
        PolicyInputError: an argument breaks a range above.

    Source: Nahmias & Olsen (2015), Production and Operations Analysis, chapter 2:

    >>> smoothed = holt([200, 250, 175, 186], 0.1, 0.1, level=200, trend=10)
    >>> smoothed.forecasts.round(1).tolist(), smoothed.levels.round(1).tolist()
    ([210.0, 218.9, 232.2, 236.1], [209.0, 222.0, 226.5, 231.1])
    """
    units = Number("demand", "", low=-1e15).check(demand)
    if not units.ndim or not units.shape[-1]:
        raise PolicyInputError("demand", "at least one period", demand)
    weight, trend_weight = float(ALPHA.check(alpha)), float(BETA.check(beta))
    slope = START_TREND.check(trend) + np.zeros(units.shape[:-1])
    first = 0 if level is not None else 1
    at = units[..., 0] if level is None else START_LEVEL.check(level) + np.zeros_like(slope)
    levels, trends, forecasts = (np.full(units.shape, np.nan) for _ in range(3))
    if first:
        levels[..., 0], trends[..., 0] = at, slope
    for period in range(first, units.shape[-1]):
        forecasts[..., period] = at + slope
        new = weight * units[..., period] + (1 - weight) * (at + slope)
        slope = trend_weight * (new - at) + (1 - trend_weight) * slope
        at = new
        levels[..., period], trends[..., period] = at, slope
    return Smoothed(levels, trends, forecasts)
