"""The grid on which live demand estimates are rounded, so that a small move solves nothing anew.

Means lie on 2^(k / 16) (steps of 4.4 %, at most 2.2 % off); coefficients of variation sd / mean on
2^(k / 12) (steps of 5.9 %, at most 2.9 % off). Zero stays zero. The error of the mean does not
shift the order levels: the policy of the rounded mean m' is read at position * m'/m and its
quantities are multiplied by m/m', because the model is scale-free but for the set-up costs. What
remains is a set-up cost weighed 2.2 % wrongly at most, which a flat optimum hardly feels, and the
spread.

What it costs, by `python -m tests.bench.rounding`: the live rule evaluated exactly on single units
under unrounded negative binomial demand, as cost over the certified optimum at the same service,
for items of 1 to 100 units a day (worst, mean), their cells included; and the cycle service that a
target of 95 % then reaches, since half a step of spread moves the safety stock:

    estimates           no target         95 % of cycles    cycle service reached
    on the grid         0.053 %, 0.024 %  0.063 %, 0.041 %  95.00 to 95.09 %
    a quarter step off  0.096 %, 0.025 %  0.068 %, 0.040 %  94.45 to 95.69 %
    half a step off     0.070 %, 0.030 %  0.070 %, 0.039 %  93.80 to 96.22 %
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled

FloatArray = npt.NDArray[np.float64]

MEAN_STEPS_PER_DOUBLING = 16
VARIATION_STEPS_PER_DOUBLING = 12
SMALLEST_MEAN = 1e-5
"""Units a day below which an item counts as having no demand."""
SIGNIFICANT_DIGITS = 9
"""Of proportions of costs: quotients that differ in their last bits are the same."""
WIDEST_SPREAD = 30.0
"""A standard deviation above this many times max(mean, sqrt(mean)) is cut to it: no estimate of a
heavier tail can be distinguished from a few large orders."""


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

    >>> round_to_grid(np.array([0.0, 1.0, 100.0, 101.0]), 16).round(3)
    array([  0.   ,   1.   ,  98.701, 103.071])
    """
    values = np.ascontiguousarray(values, dtype=np.float64)
    out = np.empty_like(values)
    _round_all(values.ravel(), steps_per_doubling, out.ravel())
    return out


@compiled
def _round_digits(values: FloatArray, out: FloatArray) -> None:
    for i in range(values.size):
        value = values[i]
        if value == 0.0 or math.isinf(value):
            out[i] = value
            continue
        scale = 10.0 ** (SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(abs(value))))
        out[i] = math.floor(value * scale + 0.5) / scale


def round_to_digits(values: FloatArray) -> FloatArray:
    """Return each value to SIGNIFICANT_DIGITS digits; zero and infinity stay as they are.

    >>> round_to_digits(np.array([0.3 / 0.1, np.inf, 1234.56789012]))
    array([   3.     ,        inf, 1234.56789])
    """
    values = np.ascontiguousarray(values, dtype=np.float64)
    out = np.empty_like(values)
    _round_digits(values.ravel(), out.ravel())
    return out


def rounded_demand(mean: FloatArray, sd: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return (mean, sd) on the rounding grid; both in units a day, shape (item,), >= 0.

    A mean below SMALLEST_MEAN becomes 0, a spread beyond WIDEST_SPREAD is cut.

    >>> mean, sd = rounded_demand(np.array([102.7]), np.array([46.54]))
    >>> mean.round(2), sd.round(2)
    (array([103.07]), array([45.91]))
    """
    used = round_to_grid(np.where(mean < SMALLEST_MEAN, 0.0, mean), MEAN_STEPS_PER_DOUBLING)
    cut = np.minimum(sd, WIDEST_SPREAD * np.maximum(mean, np.sqrt(mean)))
    variation = np.where(used > 0.0, cut / np.where(used > 0.0, mean, 1.0), 0.0)
    return used, used * round_to_grid(variation, VARIATION_STEPS_PER_DOUBLING)
