"""What an unforeseen rise of demand means for the days ahead: it decays to the ordinary level."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

SHORTEST_HALF_LIFE_DAYS, LONGEST_HALF_LIFE_DAYS = 1.5, 3.0
SHARE_OF_AGE = 0.35
"""A rise that has lasted longer is expected to last longer, within the two limits."""


def surge_path(factor: float, age_days: float, days: int) -> FloatArray:
    """Return the factor on demand of each day ahead, shape (day,).

    Args:
        factor: times the ordinary level at which the item sells now, >= 0.
        age_days: for how long it has.
        days: ahead.

    >>> surge_path(4.0, 2.0, 4).round(2).tolist()
    [3.38, 2.5, 1.94, 1.6]
    """
    longest = min(SHARE_OF_AGE * age_days, LONGEST_HALF_LIFE_DAYS)
    half_life = max(SHORTEST_HALF_LIFE_DAYS, longest)
    ahead = np.arange(days) + 0.5
    path: FloatArray = 1.0 + (factor - 1.0) * np.exp2(-ahead / half_life)
    return path
