"""Demand of one step (a day or an hour) as probabilities on a whole grid, its sums, and its fit.

A grid has cells of `cell_units` units: entry k is P(demand = k cells). The lattice rule: one unit
per cell while the demand of a review period spreads over fewer than some 2,000 units; above, a
cell of at most an eighth of that demand's standard deviation (`lattice_cell`), because a wider one
starts to show in the cost (the error is of second order in cell / sd).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from policy.errors import PolicyInputError

FloatArray = npt.NDArray[np.float64]

NEGLIGIBLE_MASS = 1e-13
MOST_CELLS = 4_000_000


@dataclass(frozen=True)
class GridDemand:
    """Independent, identically distributed demand of one step on a grid of cells.

    Attributes:
        mass: P(demand = k cells), shape (cell,), sums to 1.
        cell_units: units per cell, > 0.
    """

    mass: FloatArray
    cell_units: float = 1.0

    def __post_init__(self) -> None:
        mass = np.asarray(self.mass, dtype=np.float64)
        if mass.ndim != 1 or mass.size == 0 or not bool(np.all(mass >= 0.0)):
            raise PolicyInputError("mass", "one row of probabilities >= 0", self.mass)
        if not abs(float(mass.sum()) - 1.0) < 1e-9:
            raise PolicyInputError("mass", "a row that sums to 1", float(mass.sum()))
        if not (self.cell_units > 0.0 and math.isfinite(self.cell_units)):
            raise PolicyInputError("cell_units", "> 0 and finite", self.cell_units)
        object.__setattr__(self, "mass", mass)

    @property
    def mean_units(self) -> float:
        return float(self.mass @ np.arange(self.mass.size)) * self.cell_units

    @property
    def sd_units(self) -> float:
        cells = np.arange(self.mass.size)
        mean = float(self.mass @ cells)
        return math.sqrt(float(self.mass @ (cells - mean) ** 2)) * self.cell_units


def lattice_cell(mean: float, sd: float, steps: float) -> int:
    """Return a cell for demand summed over `steps`: 1 unit, or an eighth of the sum's sd if wider.

    >>> lattice_cell(100, 50, 9), lattice_cell(2, 1.5, 9), lattice_cell(1e6, 2e5, 9)
    (18, 1, 75000)
    """
    _positive(mean=mean, steps=steps)
    _not_negative(sd=sd)
    return max(1, int(sd * math.sqrt(steps) / 8.0))


def normal_demand(
    mean: float,
    sd: float,
    *,
    below_zero: Literal["clip", "replace"] = "clip",
    replacement: float | None = None,
    cell_units: float = 1.0,
) -> GridDemand:
    """Return normal demand rounded to cells; draws below 0 become 0, or `replacement`.

    Args:
        mean, sd: units per step, before the treatment of draws below 0; sd > 0.
        below_zero: "clip" counts them as 0; "replace" as `replacement` (default `mean`), which is
            what the paper does (P10): it raises the mean.
        replacement: units, >= 0.
        cell_units: units per cell, > 0.

    Raises:
        PolicyInputError: an argument breaks a range above.

    >>> demand = normal_demand(100, 50, below_zero="replace")
    >>> round(demand.mean_units, 2), round(demand.sd_units, 2)
    (102.7, 46.54)
    """
    _positive(sd=sd, cell_units=cell_units)
    if not math.isfinite(mean):
        raise PolicyInputError("mean", "finite", mean)
    if below_zero not in ("clip", "replace"):
        raise PolicyInputError("below_zero", "clip or replace", below_zero)
    edges = (np.arange(_cells(mean + 8.0 * sd, cell_units) + 1) + 0.5) * cell_units
    inside = stats.norm.cdf(edges, mean, sd)
    mass = np.diff(inside, prepend=stats.norm.cdf(0.0, mean, sd))
    below = float(stats.norm.cdf(0.0, mean, sd))
    target = mean if replacement is None else replacement
    place = 0 if below_zero == "clip" else round(_checked(target, "replacement") / cell_units)
    mass[min(place, mass.size - 1)] += below
    return GridDemand(_trimmed(mass), cell_units)


def poisson_demand(mean: float) -> GridDemand:
    """Return Poisson demand; mean in units per step, > 0, on single units.

    >>> poisson_demand(2.0).mass[:3].round(4)
    array([0.1353, 0.2707, 0.2707])
    """
    _positive(mean=mean)
    last = _cells(mean + 9.0 * math.sqrt(mean) + 30.0, 1.0)
    return GridDemand(_trimmed(stats.poisson.pmf(np.arange(last), mean)))


def negative_binomial_demand(mean: float, sd: float) -> GridDemand:
    """Return negative binomial demand with this mean and sd (sd^2 > mean), on single units.

    >>> demand = negative_binomial_demand(4.0, 3.0)
    >>> round(demand.mean_units, 6), round(demand.sd_units, 6)
    (4.0, 3.0)
    """
    _positive(mean=mean, sd=sd)
    if not sd * sd > mean:
        raise PolicyInputError("sd", "> sqrt(mean), else use Poisson", sd)
    size, chance = mean * mean / (sd * sd - mean), mean / (sd * sd)
    last = _cells(float(stats.nbinom.isf(NEGLIGIBLE_MASS, size, chance)) + 2.0, 1.0)
    return GridDemand(_trimmed(stats.nbinom.pmf(np.arange(last), size, chance)))


def gamma_demand(mean: float, sd: float, *, cell_units: float = 1.0) -> GridDemand:
    """Return gamma demand with this mean and sd, rounded to cells.

    >>> demand = gamma_demand(100.0, 60.0)
    >>> round(demand.mean_units, 1), round(demand.sd_units, 1)
    (100.0, 60.0)
    """
    _positive(mean=mean, sd=sd, cell_units=cell_units)
    shape, scale = (mean / sd) ** 2, sd * sd / mean
    top = float(stats.gamma.isf(NEGLIGIBLE_MASS, shape, scale=scale))
    edges = (np.arange(_cells(top, cell_units) + 2) + 0.5) * cell_units
    mass = np.diff(stats.gamma.cdf(edges, shape, scale=scale), prepend=0.0)
    return GridDemand(_trimmed(mass), cell_units)


def empirical_demand(observations: npt.ArrayLike, *, cell_units: float = 1.0) -> GridDemand:
    """Return the observed demands of single steps as a distribution, rounded to cells.

    Args:
        observations: units per step, shape (step,), >= 0, at least one.
        cell_units: units per cell, > 0.

    >>> empirical_demand([0, 0, 1, 3]).mass
    array([0.5 , 0.25, 0.  , 0.25])
    """
    seen = np.asarray(observations, dtype=np.float64)
    _positive(cell_units=cell_units)
    if seen.ndim != 1 or seen.size == 0 or not bool(np.all((seen >= 0) & np.isfinite(seen))):
        raise PolicyInputError("observations", "one row, not empty, >= 0 and finite", observations)
    places = np.rint(seen / cell_units).astype(np.int64)
    _cells(float(seen.max()), cell_units)
    return GridDemand(np.bincount(places) / places.size, cell_units)


def summed(demand: GridDemand, steps: int) -> FloatArray:
    """Return P(demand of `steps` steps = k cells), shape (cell,); direct convolution by doubling.

    >>> summed(GridDemand(np.array([0.5, 0.5])), 2)
    array([0.25, 0.5 , 0.25])
    """
    if not steps >= 0:
        raise PolicyInputError("steps", ">= 0", steps)
    total = np.ones(1)
    power = demand.mass
    while steps > 0:
        if steps & 1:
            total = _trimmed(np.convolve(total, power))
        steps >>= 1
        if steps:
            power = _trimmed(np.convolve(power, power))
    return total


def _trimmed(mass: FloatArray) -> FloatArray:
    """Drop a negligible upper tail and make the rest sum to 1."""
    above = np.cumsum(mass[::-1])[::-1]
    keep = max(1, int(np.searchsorted(-above, -NEGLIGIBLE_MASS)))
    kept = np.maximum(mass[:keep], 0.0)
    return np.asarray(kept / kept.sum(), dtype=np.float64)


def _cells(top_units: float, cell_units: float) -> int:
    cells = math.ceil(max(top_units, 0.0) / cell_units) + 1
    if cells > MOST_CELLS:
        raise PolicyInputError("cell_units", f"coarse enough for {MOST_CELLS} cells", cell_units)
    return cells


def _checked(value: float, name: str) -> float:
    _not_negative(**{name: value})
    return value


def _positive(**values: Any) -> None:
    for name, value in values.items():
        if not (value > 0 and math.isfinite(value)):
            raise PolicyInputError(name, "> 0 and finite", value)


def _not_negative(**values: Any) -> None:
    for name, value in values.items():
        if not (value >= 0 and math.isfinite(value)):
            raise PolicyInputError(name, ">= 0 and finite", value)
