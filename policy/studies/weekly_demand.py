"""Table 1 of the paper: the demand of six weeks, and what it says of a day."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

WEEKLY_UNITS = (701, 699, 702, 700, 719, 666)
DAYS_PER_WEEK = 7


@dataclass(frozen=True)
class WeeklyDemand:
    """Mean and spread of weeks, and of days if these are independent."""

    mean_per_week: float
    sd_per_week: float
    mean_per_day: float
    sd_per_day: float


def weekly_demand(units: tuple[float, ...] = WEEKLY_UNITS) -> WeeklyDemand:
    """Return what some weeks say of demand; the spread is that of a sample.

    The paper simulates days of N(100, 50), whose weeks would have a spread of 132: its own table
    has 17.

    >>> found = weekly_demand()
    >>> [round(one, 1) for one in (found.mean_per_week, found.sd_per_week, found.mean_per_day)]
    [697.8, 17.3, 99.7]
    """
    mean, sd = float(np.mean(units)), float(np.std(units, ddof=1))
    return WeeklyDemand(mean, sd, mean / DAYS_PER_WEEK, sd / math.sqrt(DAYS_PER_WEEK))
