"""Numbers as answers show them."""

from __future__ import annotations

import math

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
