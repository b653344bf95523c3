"""Demand of one period on whole numbers: the families an instance may name, and their sums."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.signal import fftconvolve

from policy.errors import PolicyInputError

FloatArray = npt.NDArray[np.float64]

LARGEST_DEMAND_UNITS = 5_000
# Mass beyond the last grid point, relative to the mean, that a cut tail may leave behind. The cost
# it can cause is added to both bounds, so it only has to be small, not zero.
TAIL_UNITS = 1e-13


@dataclass(frozen=True)
class GridDemand:
    """Demand of one period on 0, 1, 2, ... lots of `lot_units` units.

    `probabilities[k]` is the chance of k lots, `mean_units` the mean before the tail was cut,
    `tail_probability` and `tail_units` the chance beyond the grid and E[(D - last point)+].
    """

    probabilities: FloatArray
    lot_units: int
    mean_units: float
    tail_probability: float = 0.0
    tail_units: float = 0.0

    @property
    def largest_lots(self) -> int:
        """Largest demand of one period, in lots."""
        return len(self.probabilities) - 1

    @property
    def mean_lots(self) -> float:
        """Mean demand of one period on the grid, in lots."""
        return float(np.arange(len(self.probabilities)) @ self.probabilities)

    def over_periods(self, periods: int) -> FloatArray:
        """Return the probabilities of the sum of `periods` independent periods."""
        total = np.ones(1)
        for _ in range(periods):
            total = _sum_of(total, self.probabilities)
        return total


def _sum_of(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the probabilities of a sum; by Fourier transform where the plain way takes long."""
    if len(first) * len(second) < 10_000_000:
        return np.convolve(first, second)
    total: FloatArray = np.maximum(fftconvolve(first, second), 0.0)
    return total


def demand_from(spec: object) -> GridDemand:
    """Return the demand grid that a `demand` entry of an instance describes.

    Args:
        spec: a mapping with `family` and its parameters, in units per period:
            `uniform` (low, high: whole numbers), `poisson` (mean), `negative_binomial` (two of
            mean, variance > mean, size > 0 and probability of a success inside (0, 1): demand
            counts the failures before success number `size`), `pmf` (probabilities of the values
            0, 1, 2, ... unless `values` gives others; they sum to 1 within 1e-6). No demand of a
            period is above 5,000 units.

    Raises:
        PolicyInputError: family or parameter out of range; the message names it.

    >>> demand_from({"family": "uniform", "low": 0, "high": 4}).probabilities
    array([0.2, 0.2, 0.2, 0.2, 0.2])
    """
    if not isinstance(spec, Mapping):
        raise PolicyInputError("demand", "an object with a family", spec)
    family = spec.get("family")
    if not isinstance(family, str) or family not in _FAMILIES:
        raise PolicyInputError("demand.family", f"one of {', '.join(_FAMILIES)}", family)
    builder, allowed = _FAMILIES[family]
    for name in spec:
        if name != "family" and name not in allowed:
            raise PolicyInputError(
                f"demand.{name}", f"absent ({family} takes {', '.join(allowed)})", spec[name]
            )
    return builder(spec)


def real(spec: Mapping[str, Any], path: str, rule: str, low: float, strict: bool = False) -> float:
    """Return the finite number at the last part of `path`, at least (above, if strict) `low`."""
    value = spec.get(path.rpartition(".")[2])
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise PolicyInputError(path, rule, value)
    number = float(value)
    if not (number > low if strict else number >= low) or not math.isfinite(number):
        raise PolicyInputError(path, rule, value)
    return number


def whole(spec: Mapping[str, Any], path: str, low: int, high: int) -> int:
    """Return the whole number at the last part of `path`, inside [low, high]."""
    rule = f"a whole number from {low} to {high}"
    number = real(spec, path, rule, low)
    if number != int(number) or number > high:
        raise PolicyInputError(path, rule, spec.get(path.rpartition(".")[2]))
    return int(number)


def _uniform(spec: Mapping[str, Any]) -> GridDemand:
    low = whole(spec, "demand.low", 0, LARGEST_DEMAND_UNITS)
    high = whole(spec, "demand.high", low, LARGEST_DEMAND_UNITS)
    probabilities = np.zeros(high + 1)
    probabilities[low:] = 1 / (high - low + 1)
    return _on_lots(probabilities)


def _poisson(spec: Mapping[str, Any]) -> GridDemand:
    mean = real(spec, "demand.mean", f"from 0 to {LARGEST_DEMAND_UNITS // 2}", 0)
    if mean > LARGEST_DEMAND_UNITS // 2:
        raise PolicyInputError("demand.mean", f"from 0 to {LARGEST_DEMAND_UNITS // 2}", mean)
    return _cut(stats.poisson(mean), mean)


def _negative_binomial(spec: Mapping[str, Any]) -> GridDemand:
    given = tuple(name for name in ("mean", "variance", "size", "probability") if name in spec)
    if given not in _SIZE_AND_SUCCESS:
        rule = "described by two of mean, variance, size, probability, not by size and variance"
        raise PolicyInputError("demand", rule, dict(spec))
    first = real(spec, f"demand.{given[0]}", "> 0", 0, strict=True)
    second = real(spec, f"demand.{given[1]}", "> 0", 0, strict=True)
    if given == ("mean", "variance") and not second > first:
        raise PolicyInputError("demand.variance", "> demand.mean", spec["variance"])
    if "probability" in given and not second < 1:
        raise PolicyInputError("demand.probability", "inside (0, 1)", spec["probability"])
    size, success = _SIZE_AND_SUCCESS[given](first, second)
    return _cut(stats.nbinom(size, success), size * (1 - success) / success)


_SIZE_AND_SUCCESS: dict[tuple[str, ...], Callable[[float, float], tuple[float, float]]] = {
    ("mean", "variance"): lambda mean, variance: (mean**2 / (variance - mean), mean / variance),
    ("mean", "size"): lambda mean, size: (size, size / (size + mean)),
    ("mean", "probability"): lambda mean, success: (mean * success / (1 - success), success),
    ("size", "probability"): lambda size, success: (size, success),
}


def _pmf(spec: Mapping[str, Any]) -> GridDemand:
    chances = _numbers(spec, "probabilities", "a list of numbers >= 0 that sum to 1")
    if not np.all(chances >= 0) or abs(chances.sum() - 1) > 1e-6:
        raise PolicyInputError(
            "demand.probabilities", "a list of numbers >= 0 that sum to 1", spec["probabilities"]
        )
    values = np.arange(len(chances), dtype=float)
    if "values" in spec:
        values = _numbers(spec, "values", "whole numbers >= 0, one per probability")
    inside = (values >= 0) & (values <= LARGEST_DEMAND_UNITS) & (values == np.floor(values))
    if len(values) != len(chances) or not inside.all():
        rule = f"whole numbers from 0 to {LARGEST_DEMAND_UNITS}, one per probability"
        raise PolicyInputError("demand.values", rule, spec.get("values", len(values)))
    probabilities = np.zeros(int(values.max()) + 1)
    np.add.at(probabilities, values.astype(int), chances / chances.sum())
    return _on_lots(np.trim_zeros(probabilities, "b"))


def _numbers(spec: Mapping[str, Any], name: str, rule: str) -> FloatArray:
    value = spec.get(name)
    if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str) or not len(value):
        raise PolicyInputError(f"demand.{name}", rule, value)
    try:
        numbers = np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise PolicyInputError(f"demand.{name}", rule, value) from error
    if numbers.ndim != 1 or not np.isfinite(numbers).all():
        raise PolicyInputError(f"demand.{name}", rule, value)
    return numbers


def _on_lots(probabilities: FloatArray) -> GridDemand:
    """Measure demand in its largest common lot: an optimal order is then whole lots too.

    Costs are linear between lots for a fixed choice of who is ordered from, so the best quantities
    lie on the lattice that demand and start stock span.
    """
    values = np.flatnonzero(probabilities)
    mean = float(values @ probabilities[values])
    lot = max(1, math.gcd(*(int(value) for value in values)))
    return GridDemand(probabilities[::lot].copy(), lot, mean)


def _cut(family: Any, mean: float) -> GridDemand:
    largest = int(family.isf(TAIL_UNITS)) + 1
    for _ in range(40):
        tail_units = _mean_beyond(family, largest)
        if tail_units <= TAIL_UNITS * max(1.0, mean) or largest > LARGEST_DEMAND_UNITS:
            break
        largest += max(1, largest // 20)
    if largest > LARGEST_DEMAND_UNITS:
        rule = f"a family within {LARGEST_DEMAND_UNITS} units a period"
        raise PolicyInputError("demand", rule, f"{largest} units in its tail")
    probabilities = np.asarray(family.pmf(np.arange(largest + 1)), dtype=float)
    probabilities /= probabilities.sum()
    return GridDemand(probabilities, 1, mean, float(family.sf(largest)), tail_units)


def _mean_beyond(family: Any, largest: int) -> float:
    """Return E[(D - largest)+] as the sum of the chances to exceed each further point."""
    reach = max(200, largest)
    return float(np.sum(family.sf(np.arange(largest, largest + reach))))


_FAMILIES: dict[str, tuple[Callable[[Mapping[str, Any]], GridDemand], tuple[str, ...]]] = {
    "uniform": (_uniform, ("low", "high")),
    "poisson": (_poisson, ("mean",)),
    "negative_binomial": (_negative_binomial, ("mean", "variance", "size", "probability")),
    "pmf": (_pmf, ("probabilities", "values")),
}
