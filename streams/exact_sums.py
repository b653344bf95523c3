"""Sums over items in whole millionths, so that they do not depend on the items' order.

Places of items differ from run to run: which topic is read first decides them. Sums of
floating-point numbers would differ with them, by a hair, and decisions by more.
"""

import numpy as np

from streams.types import Float64Array, Int64Array

MILLIONTHS = 1e6


def millionths(values: Float64Array) -> Int64Array:
    """Return values as whole millionths, of their shape.

    >>> int(millionths(np.array([0.1, 0.2])).sum()) == int(millionths(np.array([0.3])).sum())
    True
    """
    return np.floor(values * MILLIONTHS + 0.5).astype(np.int64)
