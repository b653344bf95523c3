"""From a live estimate to a fitted distribution: its family by name, and a check of the fit.

A mean and a spread come from an estimate that has already drawn a thin item to its category and
shop (`streams.demand.estimate`), so no second prior is laid over them here.

The family errs on the wide side: it follows the dispersion index sd^2 / mean itself, because a
spread that is not yet proven costs a little stock when it is believed and service when it is not.
What the data prove, the check says: Fisher's index-of-dispersion test, by which (n - 1) times the
index of n Poisson counts is chi-squared with n - 1 degrees of freedom.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from scipy import special

from policy.errors import PolicyInputError
from policy.review_inputs import LARGEST_DEMAND, BoolArray, DemandFamily, FloatArray, IntArray
from policy.rounding import SMALLEST_MEAN

OVER_INDEX, UNDER_INDEX = 1.1, 0.9
"""Dispersion between these counts as Poisson."""
FEWEST_DAYS = 7
"""Closed days below which nothing is tested: a week has every weekday once."""
MEMORY_DAYS = 19
"""Days that a spread counts for at most in the test, fewer than an estimate remembers: a part of it
is what items have in common and proves nothing of this one."""
LEVEL = 0.05
"""Chance of calling Poisson demand over- or underdispersed, both sides together."""
LARGEST_COUNT_MEAN = 1_000.0
"""Units a day above which single units no longer matter and demand is a real number."""
SAFE_VARIATION = 0.25
"""A normal distribution with a coefficient of variation up to this is never negative in effect."""


class FitCheck(IntEnum):
    """What the fit rests on."""

    NO_DEMAND = 0  # nothing sells
    TOO_LITTLE_HISTORY = 1  # untested; spread at least that of Poisson counts
    EQUIDISPERSED = 2  # not distinguishable from Poisson counts
    OVERDISPERSED = 3  # proven wider than Poisson
    UNDERDISPERSED = 4  # proven narrower than Poisson


@dataclass(frozen=True)
class FittedDemand:
    """Demand of a day of each item; every array has shape (item,), no value is NaN."""

    mean_units_per_day: FloatArray
    sd_units_per_day: FloatArray
    family: IntArray
    """DemandFamily codes; AUTO only where nothing sells."""
    check: IntArray
    """FitCheck codes."""
    dispersion_index: FloatArray
    """sd^2 / mean of what was observed; 1 where nothing sells."""
    p_value: FloatArray
    """Of the two-sided dispersion test; 1 where nothing was tested."""


def fit_demand(
    mean: FloatArray,
    sd: FloatArray,
    observed_days: IntArray,
    review_period_days: FloatArray,
    *,
    memory_days: int = MEMORY_DAYS,
) -> FittedDemand:
    """Name a distribution for each estimate, and what the data say of it.

    Args:
        mean, sd: units per day, shape (item,), >= 0.
        observed_days: closed days that the estimate has seen, shape (item,), >= 0.
        review_period_days: over which a normal must not be negative, shape (item,), > 0.
        memory_days: days that the spread counts for at most, >= 2.

    Raises:
        PolicyInputError: an argument breaks a range above.

    Source: Fisher's index of dispersion; Hoel (1943), On indices of dispersion.

    >>> fit = fit_demand(np.array([4.0, 4.0, 100.0]), np.array([3.0, 2.0, 2.0]),
    ...                  np.array([30, 30, 30]), np.full(3, 7.0))
    >>> [DemandFamily(code).name for code in fit.family]
    ['NEGATIVE_BINOMIAL', 'POISSON', 'NORMAL']
    >>> [FitCheck(code).name for code in fit.check]
    ['OVERDISPERSED', 'EQUIDISPERSED', 'UNDERDISPERSED']
    """
    mean, sd = _amounts("mean", mean), _amounts("sd", sd)
    days = np.asarray(observed_days)
    if not (days.shape == mean.shape == sd.shape and bool(np.all(days >= 0))):
        raise PolicyInputError("observed_days", f">= 0, of shape {mean.shape}", observed_days)
    if not memory_days >= 2:
        raise PolicyInputError("memory_days", ">= 2", memory_days)
    sells = mean >= SMALLEST_MEAN
    index = np.where(sells, sd * sd / np.where(sells, mean, 1.0), 1.0)
    thin = sells & (days < FEWEST_DAYS)
    used = np.where(thin, np.maximum(index, 1.0), index)
    p_value, check = _tested(index, np.minimum(days, memory_days), sells & ~thin)
    check = np.where(thin, FitCheck.TOO_LITTLE_HISTORY, check)
    spread = np.sqrt(used * mean)
    return FittedDemand(
        mean_units_per_day=mean,
        sd_units_per_day=np.where(thin, spread, sd),
        family=_family(mean, np.where(thin, spread, sd), used, review_period_days, sells),
        check=check.astype(np.int64),
        dispersion_index=index,
        p_value=p_value,
    )


def _amounts(name: str, values: FloatArray) -> FloatArray:
    column = np.asarray(values, dtype=np.float64)
    good = (column >= 0.0) & (column <= LARGEST_DEMAND)
    if not bool(good.all()):
        first = float(column.ravel()[int(np.argmin(good))])
        raise PolicyInputError(name, f">= 0 and <= {LARGEST_DEMAND:g}", first)
    return column


def _tested(index: FloatArray, days: IntArray, can: BoolArray) -> tuple[FloatArray, IntArray]:
    """Return p-values and checks of the dispersion test over so many days."""
    freedom = np.maximum(days - 1.0, 1.0)
    above = special.chdtrc(freedom, freedom * index)
    below = special.chdtr(freedom, freedom * index)
    p_value = np.where(can, np.minimum(1.0, 2.0 * np.minimum(above, below)), 1.0)
    proven = np.where(above < below, FitCheck.OVERDISPERSED, FitCheck.UNDERDISPERSED)
    check = np.where(p_value < LEVEL, proven, FitCheck.EQUIDISPERSED)
    return p_value, np.where(can, check, FitCheck.NO_DEMAND).astype(np.int64)


def _family(
    mean: FloatArray, sd: FloatArray, index: FloatArray, days: FloatArray, sells: BoolArray
) -> IntArray:
    safe = sd <= SAFE_VARIATION * mean * np.sqrt(days)
    family = np.select(
        [
            ~sells,
            (mean >= LARGEST_COUNT_MEAN) & safe,
            mean >= LARGEST_COUNT_MEAN,
            index > OVER_INDEX,
            (index < UNDER_INDEX) & safe,
        ],
        [
            DemandFamily.AUTO,
            DemandFamily.NORMAL,
            DemandFamily.GAMMA,
            DemandFamily.NEGATIVE_BINOMIAL,
            DemandFamily.NORMAL,
        ],
        DemandFamily.POISSON,
    )
    return family.astype(np.int64)
