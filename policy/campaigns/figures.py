"""Figures of campaigns: the rules that they keep while one runs, and how answers show them."""

from __future__ import annotations

import math

from policy.classic.fields import Number

UNITS = Number("units", "units")
PER_DAY = Number("units_per_day", "units a day")
DAY = Number("day", "days from now; below 0 it is over", low=-36_500, high=36_500)
HOURS = Number("hours", "hours")
MONEY = Number("money", "an amount")
RATE = Number("units_per_hour", "units an hour")
SHARE = Number("share", "a share", high=1)

_DIGITS = 6
_SLACK = 1e-6


def tidy(value: float) -> float | int:
    """Return a number without the dust of its arithmetic; a whole one as an integer.

    >>> tidy(2999.999999), tidy(0.1 + 0.2)
    (3000, 0.3)
    """
    whole = round(value)
    if abs(value - whole) <= _SLACK + abs(value) * 1e-9:
        return whole
    return round(value, _DIGITS)


def whole_units(value: float) -> int:
    """Return whole units, rounded down; what lacks a millionth counts as whole.

    >>> whole_units(1499.9999999), whole_units(1499.6)
    (1500, 1499)
    """
    return math.floor(value + max(_SLACK, abs(value) * 1e-9))
