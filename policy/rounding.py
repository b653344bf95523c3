"""The grid on which live demand estimates are rounded, so that a small move solves nothing anew.

Means lie on 2^(k / 24) (steps of 2.9 %, at most 1.5 % off) and standard deviations on 2^(k / 12)
(steps of 5.9 %, at most 2.9 % off). Zero stays zero. The error of the mean does not shift the order
levels where stock is counted in cells of more than one unit: the policy of the rounded mean m' is
read at position * m'/m and its quantities are multiplied by m/m', because the model is scale-free.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled

FloatArray = npt.NDArray[np.float64]

MEAN_STEPS_PER_DOUBLING = 24
SD_STEPS_PER_DOUBLING = 12
SMALLEST_MEAN = 1e-6
"""Units a day below which an item counts as having no demand."""


@compiled
def _round_one(value: float, steps: int) -> float:
    if value <= 0.0:
        return 0.0
    code = math.floor(math.log2(value) * steps + 0.5)
    return float(2.0 ** (code / steps))


@compiled
def _round_all(values: FloatArray, steps: int, out: FloatArray) -> None:
    # One scalar at a time: a vector library may round the same number differently by its place.
    for i in range(values.size):
        out[i] = _round_one(values[i], steps)


def round_to_grid(values: FloatArray, steps_per_doubling: int) -> FloatArray:
    """Return each value rounded to the nearest 2^(k / steps_per_doubling); zero stays zero.

    Args:
        values: any unit, any shape, >= 0.
        steps_per_doubling: grid points between x and 2x, >= 1.

    >>> round_to_grid(np.array([0.0, 1.0, 100.0, 101.0]), 24).round(3)
    array([  0.   ,   1.   , 101.594, 101.594])
    """
    values = np.ascontiguousarray(values, dtype=np.float64)
    out = np.empty_like(values)
    _round_all(values.ravel(), steps_per_doubling, out.ravel())
    return out
