"""Expected shortage and tail probability of demand over s days, on a lattice of stock levels.

Compiled leaves: no checks here, the callers check. For demand D and level y the two numbers that
the whole policy needs are the loss E(D - y)+ and the tail P(D > y); costs, service and the
transition probabilities of the dynamic program all follow from them.

Loops run in a fixed order and nothing is compiled with relaxed floating-point rules, so a table is
bit-identical whatever else is computed beside it.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled

FloatArray = npt.NDArray[np.float64]

SPREAD_NORMAL = 0
SPREAD_GAMMA = 1
COUNT_POISSON = 2
COUNT_NEGATIVE_BINOMIAL = 3

# Above this gamma shape an Edgeworth series (exact skewness) replaces the incomplete gamma.
_LARGEST_EXACT_SHAPE = 64.0
_NEGLIGIBLE = 1e-13


@compiled
def _gamma_tail(shape: float, x: float, front: float) -> float:
    """Return Q(shape, x), the regularised upper incomplete gamma function, at x > 0.

    `front` is x^shape exp(-x) / Gamma(shape).
    """
    if x < shape + 1.0:
        term = 1.0 / shape
        total = term
        for n in range(1, 1000):
            term *= x / (shape + n)
            total += term
            if term < total * 1e-15:
                break
        return max(0.0, 1.0 - front * total)
    b = x + 1.0 - shape
    c = 1e300
    d = 1.0 / b
    h = d
    for n in range(1, 1000):
        a = -n * (n - shape)
        b += 2.0
        d = 1.0 / (a * d + b)
        c = b + a / c
        step = d * c
        h *= step
        if abs(step - 1.0) < 1e-15:
            break
    return front * h


@compiled
def _fill_certain(mean: float, levels: FloatArray, loss: FloatArray, tail: FloatArray) -> None:
    for i in range(levels.size):
        loss[i] = max(0.0, mean - levels[i])
        tail[i] = 1.0 if mean > levels[i] else 0.0


@compiled
def _fill_edgeworth(
    mean: float, sd: float, skew: float, levels: FloatArray, loss: FloatArray, tail: FloatArray
) -> None:
    for i in range(levels.size):
        z = (levels[i] - mean) / sd
        if z < -9.0:
            loss[i], tail[i] = mean - levels[i], 1.0
        elif z > 9.0:
            loss[i], tail[i] = 0.0, 0.0
        else:
            density = 0.3989422804014327 * math.exp(-0.5 * z * z)
            above = 0.5 * math.erfc(z * 0.7071067811865476)
            q = z * z
            # Edgeworth series to second order, with the excess kurtosis 1.5 skew^2 of a gamma.
            first, second, third = skew / 6.0, skew * skew / 16.0, skew * skew / 72.0
            bend = first * z + second * (q - 1.0) + third * ((q - 6.0) * q + 3.0)
            lean = first * (q - 1.0) + z * (second * (q - 3.0) + third * ((q - 10.0) * q + 15.0))
            loss[i] = max(sd * (density * (1.0 + bend) - z * above), mean - levels[i], 0.0)
            tail[i] = min(1.0, max(0.0, above + density * lean))


@compiled
def _fill_gamma(
    mean: float, variance: float, levels: FloatArray, loss: FloatArray, tail: FloatArray
) -> None:
    shape = mean * mean / variance
    scale = variance / mean
    log_gamma = math.lgamma(shape)
    gone = False
    for i in range(levels.size):
        x = levels[i] / scale
        if gone:
            loss[i], tail[i] = 0.0, 0.0
        elif x <= 0.0:
            loss[i], tail[i] = mean - levels[i], 1.0
        else:
            front = math.exp(shape * math.log(x) - x - log_gamma)
            above = _gamma_tail(shape, x, front)
            tail[i] = above
            loss[i] = max(mean * (above + front / shape) - levels[i] * above, mean - levels[i], 0.0)
            gone = above < _NEGLIGIBLE and x > shape


@compiled
def _fill_count(
    mean: float, variance: float, levels: FloatArray, loss: FloatArray, tail: FloatArray
) -> None:
    """Poisson (variance <= mean) or negative binomial; levels are whole numbers one unit apart."""
    spread = variance > mean * (1.0 + 1e-9)
    size = mean * mean / (variance - mean) if spread else 0.0
    fail = 1.0 - mean / variance if spread else 0.0
    log_mass = size * math.log1p(-fail) if spread else -mean
    log_mean = math.log(mean)
    mass = math.exp(log_mass)
    above = 1.0 - mass  # P(D > k)
    missing = mean  # E(D - k)+
    k = 0
    for i in range(levels.size):
        if levels[i] < 0.0:
            loss[i], tail[i] = mean - levels[i], 1.0
            continue
        while k < int(levels[i]):
            missing = max(0.0, missing - above)
            k += 1
            if spread:
                log_mass += math.log((size + k - 1.0) / k * fail)
            else:
                log_mass += log_mean - math.log(k)
            mass = math.exp(log_mass)
            above = max(0.0, above - mass)
            if k > mean and above < _NEGLIGIBLE:
                above, missing = 0.0, 0.0
        loss[i], tail[i] = missing, above


@compiled
def fill_loss(
    family: int,
    mean: float,
    variance: float,
    skew: float,
    levels: FloatArray,
    loss: FloatArray,
    tail: FloatArray,
) -> None:
    """Write E(D - y)+ and P(D > y) for every level y (ascending, units).

    `family` is one of the codes above; `skew` is read by the Edgeworth branch only.
    """
    if mean <= 0.0 or (family <= SPREAD_GAMMA and variance <= 1e-18 * mean * mean):
        _fill_certain(max(mean, 0.0), levels, loss, tail)
    elif family == SPREAD_NORMAL:
        _fill_edgeworth(mean, math.sqrt(variance), 0.0, levels, loss, tail)
    elif family == SPREAD_GAMMA and mean * mean > _LARGEST_EXACT_SHAPE * variance:
        _fill_edgeworth(mean, math.sqrt(variance), skew, levels, loss, tail)
    elif family == SPREAD_GAMMA:
        _fill_gamma(mean, variance, levels, loss, tail)
    else:
        _fill_count(mean, variance, levels, loss, tail)
