"""The standard normal loss function G(k) = phi(k) - k sf(k), its inverse, and Serv2's equation."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import ndtr, ndtri

from policy.classic.fields import FloatArray, Given

_MOST_STEPS = 200
_CLOSE = 1e-9  # the step that is left: the next one, were it made, is its square
# Below this lot in standard deviations the middle of the lot stands for its mean: G(k) - G(k + w)
# would lose its digits, and the error of the middle is w^2 k / 24.
_NARROW = 1e-4


def density(k: Given) -> FloatArray:
    """Return phi(k)."""
    at = np.asarray(k, dtype=float)
    return np.asarray(np.exp(-0.5 * at * at) / math.sqrt(2 * math.pi))


def standard_loss(k: Given) -> FloatArray:
    """Return G(k), the expected shortage of a standard normal beyond k; never below 0.

    >>> standard_loss([-2, 0, 1.021239, 8]).round(6).tolist(), bool(standard_loss(30.0) > 0)
    ([2.008491, 0.398942, 0.08, 0.0], True)
    """
    at = np.asarray(k, dtype=float)
    return np.asarray(np.maximum(density(at) - at * ndtr(-at), 0.0))


def normal_loss(level: Given, mean: Given, sd: Given) -> FloatArray:
    """Return the expected demand beyond `level`; without spread it is (mean - level)+."""
    above, spread = np.subtract(level, mean, dtype=float), np.asarray(sd, dtype=float)
    uncertain = spread * standard_loss(above / np.where(spread > 0, spread, 1.0))
    return np.where(spread > 0, uncertain, np.maximum(-above, 0.0))


def factor_for_loss(loss: Given) -> FloatArray:
    """Return k with G(k) = loss, for losses > 0.

    The start is at the right of k: G(k) < exp(-k^2 / 2) for small losses, and G(-loss) > loss.

    >>> float(factor_for_loss(0.08).round(6)), float(factor_for_loss(50.0).round(6))
    (1.021239, -50.0)
    """
    wanted = np.maximum(np.asarray(loss, dtype=float), 1e-300)
    k = np.where(wanted < 0.1, np.sqrt(-2 * np.log(np.minimum(wanted, 0.1))), 0.0)
    k = np.where(wanted > 5.0, -wanted, k)
    return _log_newton(lambda k: (standard_loss(k), ndtr(-k)), wanted, k)


def factor_for_lot(missing_share: Given, lot: Given) -> FloatArray:
    """Return k with G(k) - G(k + lot) = missing_share x lot, the lot in standard deviations.

    The left side over the lot is the mean of sf over [k, k + lot]. So k is at most z, where sf(z) =
    missing_share, and at most the factor without G(k + lot).

    Args:
        missing_share: share of units that are not served from stock, inside (0, 1).
        lot: order quantity / standard deviation of demand over the lead time, > 0.

    >>> float(factor_for_lot(0.05, 88.5 / 123.958333).round(6))
    1.322485
    """
    share, width = np.broadcast_arrays(
        np.asarray(missing_share, dtype=float), np.asarray(lot, dtype=float)
    )
    z = -ndtri(share)
    narrow = width < _NARROW
    wide = np.where(narrow, 1.0, width)

    def missed(k: FloatArray) -> tuple[FloatArray, FloatArray]:
        further = k + wide
        loss = standard_loss(k) - standard_loss(further)
        return loss / wide, (ndtr(-k) - ndtr(-further)) / wide

    start = np.minimum(z, factor_for_loss(share * wide))
    return np.where(narrow, z - width / 2, _log_newton(missed, share, start))


def _log_newton(
    missed: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    wanted: FloatArray,
    k: FloatArray,
) -> FloatArray:
    """Return where a falling, log-concave function has the wanted value, from a start at its right.

    Newton's method on its logarithm: that is concave and falls, so no step goes beyond the place.

    Args:
        missed: returns the function, > 0, and how fast it falls.
        wanted: > 0.
        k: start, where the function is at most the wanted value.
    """
    for _ in range(_MOST_STEPS):
        value, falls = missed(k)
        step = np.log(value / wanted) * value / falls
        k = k + step
        if not (np.abs(step) > _CLOSE * (1 + np.abs(k))).any():
            break
    return np.asarray(k)


def falling_root(
    excess: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    low: FloatArray,
    high: FloatArray,
    start: FloatArray,
) -> FloatArray:
    """Return where a falling function is 0: Newton's method, kept inside [low, high] by halving.

    Args:
        excess: returns the function and how fast it falls (>= 0), both shaped like its argument.
        low, high: the function is >= 0 at `low` and <= 0 at `high`.
        start: inside [low, high].
    """
    low, high, at = np.array(low), np.array(high), np.array(start)
    for _ in range(_MOST_STEPS):
        value, falls = excess(at)
        low, high = np.where(value >= 0, at, low), np.where(value <= 0, at, high)
        newton = at + value / np.where(falls > 0, falls, math.inf)
        is_inside = (newton > low) & (newton < high) & (falls > 0)
        new = np.where(is_inside, newton, (low + high) / 2)
        moved = np.abs(new - at)
        at = new
        if not (moved > _CLOSE * (1 + np.abs(at))).any():
            break
    return at
