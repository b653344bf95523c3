"""Demand of one period by family: chances, expected shortage, quantiles, and sums over periods."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import betainc, gammainc, gammaincc, gammainccinv, ndtr, ndtri

from policy.classic.fields import FloatArray, Given, Number
from policy.classic.normal import normal_loss
from policy.errors import PolicyInputError
from policy.sourcing.demand import demand_from as read_whole_demand

NEGLIGIBLE_CHANCE = 1e-14
TAIL_CHANCE = 1e-13  # of demand beyond a grid
MOST_CELLS = 1 << 22  # of a table: a second of work
_TIE = 1e-12  # sums of chances that differ by less are equal


class Demand(ABC):
    """Demand of one period; independent from period to period."""

    mean: float
    is_whole: bool  # whether it falls on whole units

    @property
    @abstractmethod
    def sd(self) -> float:
        """Standard deviation of a period's demand."""

    @abstractmethod
    def above(self, level: Given) -> FloatArray:
        """Return P(D > level)."""

    @abstractmethod
    def loss(self, level: Given) -> FloatArray:
        """Return E(D - level)+, the expected demand beyond `level`."""

    @abstractmethod
    def over(self, periods: float) -> Demand:
        """Return the demand of the sum of so many periods."""

    @abstractmethod
    def describe(self) -> str:
        """Return the family and its parameters in words."""

    def level_for(self, chance: float) -> float:
        """Return the least level that demand exceeds with at most this chance, inside (0, 1).

        On whole units it is found by halving, because a Poisson and a negative binomial share
        nothing but their chances.
        """
        low, high = -1, max(1, math.ceil(self.mean))
        while not self._is_enough(high, chance):
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._is_enough(middle, chance) else (middle, high)
        return float(high)

    def _is_enough(self, level: int, chance: float) -> bool:
        return float(self.above(level)) <= chance * (1 + _TIE)


@dataclass(frozen=True)
class NormalDemand(Demand):
    """Normal demand, negative values and all; `sd` 0 is certain demand."""

    mean: float
    spread: float
    is_whole = False

    @property
    def sd(self) -> float:
        return self.spread

    def above(self, level: Given) -> FloatArray:
        level = np.asarray(level, dtype=float)
        if self.spread == 0:
            return np.asarray(level < self.mean, dtype=float)
        return np.asarray(ndtr((self.mean - level) / self.spread))

    def loss(self, level: Given) -> FloatArray:
        return normal_loss(level, self.mean, self.spread)

    def level_for(self, chance: float) -> float:
        return self.mean - self.spread * float(ndtri(chance))

    def over(self, periods: float) -> NormalDemand:
        return NormalDemand(self.mean * periods, self.spread * math.sqrt(periods))

    def describe(self) -> str:
        if self.spread == 0:
            return f"constant, {self.mean:g}"
        return f"normal, mean {self.mean:g}, sd {self.spread:g}"


@dataclass(frozen=True)
class GammaDemand(Demand):
    """Gamma demand."""

    mean: float
    shape: float
    is_whole = False

    @property
    def sd(self) -> float:
        return self.mean / math.sqrt(self.shape)

    def above(self, level: Given) -> FloatArray:
        return np.asarray(gammaincc(self.shape, self._scaled(level)))

    def loss(self, level: Given) -> FloatArray:
        level = np.asarray(level, dtype=float)
        scaled = self._scaled(level)
        beyond = self.mean * gammaincc(self.shape + 1, scaled)
        return np.asarray(np.maximum(beyond - level * gammaincc(self.shape, scaled), 0.0))

    def level_for(self, chance: float) -> float:
        return float(gammainccinv(self.shape, chance)) * self.mean / self.shape

    def over(self, periods: float) -> Demand:
        if periods == 0:
            return NormalDemand(0.0, 0.0)
        return GammaDemand(self.mean * periods, self.shape * periods)

    def describe(self) -> str:
        return f"gamma, mean {self.mean:g}, sd {self.sd:g}"

    def _scaled(self, level: Given) -> FloatArray:
        above_zero = np.maximum(np.asarray(level, dtype=float), 0.0)
        return np.asarray(above_zero * self.shape / self.mean)


@dataclass(frozen=True)
class PoissonDemand(Demand):
    """Poisson demand on whole units."""

    mean: float
    is_whole = True

    @property
    def sd(self) -> float:
        return math.sqrt(self.mean)

    def above(self, level: Given) -> FloatArray:
        whole = np.floor(np.asarray(level, dtype=float))
        return np.where(whole < 0, 1.0, gammainc(np.maximum(whole, 0) + 1, self.mean))

    def loss(self, level: Given) -> FloatArray:
        level = np.asarray(level, dtype=float)
        beyond = self.mean * self.above(np.floor(level) - 1) - level * self.above(level)
        return np.asarray(np.maximum(beyond, 0.0))

    def over(self, periods: float) -> PoissonDemand:
        return PoissonDemand(self.mean * periods)

    def describe(self) -> str:
        return f"poisson, mean {self.mean:g}"


@dataclass(frozen=True)
class NegativeBinomialDemand(Demand):
    """Negative binomial demand on whole units: failures before success number `size`."""

    mean: float
    size: float
    is_whole = True

    @property
    def sd(self) -> float:
        return math.sqrt(self.mean * (1 + self.mean / self.size))

    def above(self, level: Given) -> FloatArray:
        return self._above(level, self.size)

    def loss(self, level: Given) -> FloatArray:
        level = np.asarray(level, dtype=float)
        beyond = self.mean * self._above(np.floor(level) - 1, self.size + 1)
        return np.asarray(np.maximum(beyond - level * self.above(level), 0.0))

    def over(self, periods: float) -> Demand:
        if periods == 0:
            return PoissonDemand(0.0)
        return NegativeBinomialDemand(self.mean * periods, self.size * periods)

    def describe(self) -> str:
        return f"negative binomial, mean {self.mean:g}, sd {self.sd:g}"

    def _above(self, level: Given, size: float) -> FloatArray:
        whole = np.floor(np.asarray(level, dtype=float))
        failure = self.mean / (self.mean + self.size)
        beyond = betainc(np.maximum(whole, 0) + 1, size, failure)
        return np.where(whole < 0, 1.0, beyond)


@dataclass(frozen=True, eq=False)
class TableDemand(Demand):
    """Demand of 0, 1, 2, ... cells of `cell_units` with the chances `mass`."""

    mass: FloatArray
    family: str
    cell_units: float = 1.0

    @property
    def is_whole(self) -> bool:  # type: ignore[override]
        return self.cell_units == int(self.cell_units)

    @cached_property
    def mean(self) -> float:  # type: ignore[override]
        return float(self.mass @ np.arange(self.mass.size)) * self.cell_units

    @property
    def sd(self) -> float:
        cells = np.arange(self.mass.size)
        variance = float(self.mass @ (cells - self.mean / self.cell_units) ** 2)
        return math.sqrt(variance) * self.cell_units

    @cached_property
    def _above(self) -> FloatArray:
        """P(D > k cells) for k = -1, 0, 1, ..., largest."""
        return np.append(np.cumsum(self.mass[::-1])[::-1], 0.0)

    @cached_property
    def _loss(self) -> FloatArray:
        """E(D - k cells)+ in cells for k = 0, 1, ..., largest."""
        return np.cumsum(self._above[1:][::-1])[::-1]

    def above(self, level: Given) -> FloatArray:
        cells = np.floor(np.asarray(level, dtype=float) / self.cell_units + 1e-9)
        return np.asarray(self._above[np.clip(cells, -1, self.mass.size - 1).astype(int) + 1])

    def loss(self, level: Given) -> FloatArray:
        cells = np.asarray(level, dtype=float) / self.cell_units
        places = np.arange(self._loss.size)
        inside = np.interp(cells, places, self._loss)
        return np.asarray((inside - np.minimum(cells, 0.0)) * self.cell_units)

    def level_for(self, chance: float) -> float:
        is_enough = self._above[1:] <= chance * (1 + _TIE)
        return float(np.argmax(is_enough)) * self.cell_units

    def over(self, periods: float) -> TableDemand:
        count = round(periods)
        if count != periods:
            rule = f"a whole number where demand is {self.family}"
            raise PolicyInputError("lead_time_periods", rule, periods)
        reach = (self.mass.size - 1) * count + 1
        if reach > MOST_CELLS:
            rule = f"such that demand over it is below {MOST_CELLS * self.cell_units:g} units"
            raise PolicyInputError("lead_time_periods", rule, periods)
        length = 1 << max(reach - 1, 1).bit_length()
        total = np.fft.irfft(np.fft.rfft(self.mass, length) ** count, length)[:reach]
        return TableDemand(_trimmed(total), self.family, self.cell_units)

    def describe(self) -> str:
        return f"{self.family}, mean {self.mean:g}, sd {self.sd:g}"


def _trimmed(mass: FloatArray) -> FloatArray:
    """Leave out what rounding makes of chances that are 0, at the upper end."""
    mass = np.maximum(mass, 0.0)
    is_above = np.cumsum(mass[::-1])[::-1] > NEGLIGIBLE_CHANCE
    kept = mass[: max(1, int(np.count_nonzero(is_above)))]
    return np.asarray(kept / kept.sum())


def on_cells(demand: Demand, cell_units: float) -> TableDemand:
    """Return a demand on a grid of cells; demand below 0 counts as 0.

    Whole units on cells of one unit stay what they are. Otherwise values are rounded to the
    nearest cell, or split between the two nearest where rounding would change the mean by 1 %.
    """
    if isinstance(demand, TableDemand) and demand.cell_units == cell_units:
        return demand
    largest = math.ceil(demand.level_for(TAIL_CHANCE) / cell_units) + 2
    cells = np.arange(max(largest, 1) + 1)
    family = demand.describe()
    if demand.is_whole and cell_units == 1:
        return TableDemand(_trimmed(_falls(demand.above(cells))), family)
    rounded = _trimmed(_falls(demand.above((cells + 0.5) * cell_units)))
    mean = float(demand.loss(0.0))
    if abs(float(rounded @ cells[: rounded.size]) * cell_units - mean) > 0.01 * mean:
        losses = demand.loss(np.arange(-1, largest + 2) * cell_units) / cell_units
        losses[0] = losses[1] + 1.0  # demand below 0 counts as 0
        rounded = _trimmed(np.diff(losses, 2))
    return TableDemand(rounded, family, cell_units)


def _falls(above: FloatArray) -> FloatArray:
    return -np.diff(above, prepend=1.0)


# --- as a case gives it -----------------------------------------------------------------------

_MEAN = Number("mean", "")
_SPREAD = Number("sd", "")
_ABOVE_ZERO = Number("", "", is_above=True)
_CHANCE = Number("probability", "", is_above=True, high=1, is_below=True)
_PARAMETERS = {
    "normal": ("mean", "sd"),
    "poisson": ("mean",),
    "negative_binomial": ("mean", "sd", "variance", "size", "probability"),
    "gamma": ("mean", "sd"),
    "constant": ("mean",),
    "uniform": ("low", "high"),
    "pmf": ("probabilities", "values"),
    "empirical": ("observations",),
}
FAMILIES = tuple(_PARAMETERS)


def read_demand(value: Any, name: str = "demand") -> Demand:
    """Return the demand that a case describes.

    Args:
        value: an object with `family` and its parameters: `normal` (mean, sd), `poisson` (mean),
            `negative_binomial` (two of mean, sd or variance, size, probability), `gamma` (mean,
            sd), `constant` (mean), `uniform` (low, high: whole numbers), `pmf` (probabilities of
            0, 1, 2, ... or of `values`), `empirical` (observations: whole units). Without a family
            it is normal where `sd` is given and Poisson otherwise; a number is the mean of a
            Poisson, a list are observations.
        name: of the field, for complaints.

    Raises:
        PolicyInputError: a family or parameter that is missing, unknown or out of range.

    >>> read_demand({"mean": 50, "sd": 8}).describe(), read_demand(6).describe()
    ('normal, mean 50, sd 8', 'poisson, mean 6')
    """
    if isinstance(value, Mapping):
        return _from_object(value, name)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _from_object({"family": "empirical", "observations": value}, name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _from_object({"family": "poisson", "mean": value}, name)
    raise PolicyInputError(name, "a number, a list or an object with a family", value)


def _from_object(value: Mapping[str, Any], name: str) -> Demand:
    family = value.get("family", "normal" if "sd" in value else "poisson")
    if not isinstance(family, str) or family not in _PARAMETERS:
        raise PolicyInputError(f"{name}.family", f"one of {', '.join(FAMILIES)}", family)
    allowed = _PARAMETERS[family]
    for key in value:
        if key != "family" and key not in allowed:
            rule = f"absent ({family} takes {', '.join(allowed)})"
            raise PolicyInputError(f"{name}.{key}", rule, value[key])
    if family in ("uniform", "pmf"):
        return _table(value)
    if family == "empirical":
        return _observed(value.get("observations"), f"{name}.observations")
    if family == "negative_binomial":
        return _negative_binomial(value, name)
    mean = _part(_MEAN, value, name, "mean")
    if family in ("poisson", "constant"):
        return PoissonDemand(mean) if family == "poisson" else NormalDemand(mean, 0.0)
    sd = _part(_SPREAD, value, name, "sd")
    if family == "normal" or sd == 0 or mean == 0:
        return NormalDemand(mean, sd)
    return GammaDemand(mean, (mean / sd) ** 2)


def _part(field: Number, value: Mapping[str, Any], name: str, key: str) -> float:
    try:
        return field.read(value.get(key))
    except PolicyInputError as error:
        raise PolicyInputError(f"{name}.{key}", error.rule, error.value) from error


def _table(value: Mapping[str, Any]) -> TableDemand:
    grid = read_whole_demand(value)
    mass = np.zeros(grid.largest_lots * grid.lot_units + 1)
    mass[:: grid.lot_units] = grid.probabilities
    return TableDemand(mass, str(value["family"]))


def _observed(value: Any, name: str) -> TableDemand:
    rule = "a list of whole numbers from 0 to 1000000"
    seen = value if isinstance(value, Sequence) and not isinstance(value, str) else []
    whole = Number(name, "", high=1e6, is_whole=True)
    if not len(seen):
        raise PolicyInputError(name, rule, value)
    counts = np.bincount([int(whole.read(one)) for one in seen])
    return TableDemand(counts / len(seen), "empirical")


def _negative_binomial(value: Mapping[str, Any], name: str) -> Demand:
    given = tuple(key for key in _PARAMETERS["negative_binomial"] if key in value)
    rule = "described by two of mean, sd or variance, size, probability"
    if len(given) != 2 or ("size" in given and given[0] in ("sd", "variance")):
        raise PolicyInputError(name, rule, dict(value))
    fields = (_CHANCE if key == "probability" else _ABOVE_ZERO for key in given)
    first, second = (
        _part(field, value, name, key) for field, key in zip(fields, given, strict=True)
    )
    if given == ("size", "probability"):
        return NegativeBinomialDemand(first * (1 - second) / second, first)
    if given[0] != "mean" or given[1] in ("sd", "variance"):
        return _by_variance(given, first, second, name)
    if given[1] == "size":
        return NegativeBinomialDemand(first, second)
    return NegativeBinomialDemand(first, first * second / (1 - second))


def _by_variance(given: tuple[str, ...], first: float, second: float, name: str) -> Demand:
    if given[0] != "mean":
        rule = "described by two of mean, sd or variance, size, probability; one is the mean"
        raise PolicyInputError(name, rule, given)
    variance = second**2 if given[1] == "sd" else second
    if not variance > first:
        raise PolicyInputError(f"{name}.{given[1]}", "more spread than a Poisson's", second)
    return NegativeBinomialDemand(first, first**2 / (variance - first))
