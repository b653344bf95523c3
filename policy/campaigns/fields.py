"""Rules of the figures that campaigns have while they run."""

from __future__ import annotations

from policy.classic.fields import Number

UNITS = Number("units", "units")
PER_DAY = Number("units_per_day", "units a day")
DAY = Number("day", "days from now; below 0 it is over", low=-36_500, high=36_500)
HOURS = Number("hours", "hours")
MONEY = Number("money", "an amount")
RATE = Number("units_per_hour", "units an hour")
SHARE = Number("share", "a share", high=1)
