"""Fitted levels, kept: what is alike is fitted once."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from policy.dual_index.fit import (
    F_COST,
    F_STOCK,
    Fitted,
    Share,
    fit_lean_z,
    fit_levels,
    fit_quickly,
)
from policy.dual_index.rule import (
    L_FLEXIBLE_LOT,
    L_LEAN_LOT,
    L_LEAN_Z,
    LOTS,
    Q_FLEXIBLE_LEAST,
    Q_FLEXIBLE_PACK,
    Q_LEAN_LEAST,
    Q_LEAN_MOST,
    Q_LEAN_PACK,
)
from policy.dual_index.simulation import World

FloatArray = npt.NDArray[np.float64]

LEAD_NODES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.9)
"""Spreads of the lead time over its mean that are fitted; between two the factor is a line."""
MOST_CELLS, MOST_ROWS = 20_000, 200_000
MANY_UNITS = 400.0
"""Units over lead time and review period above which a mean does not matter any more."""


@dataclass(frozen=True)
class Target:
    """What the levels have to keep."""

    share: Share
    value: float


class LevelTable:
    """Levels of items, fitted when they are first asked for.

    Args:
        claim_times: how many times the days of the search a claim rests on.
    """

    def __init__(self, claim_times: int = 3) -> None:
        self._claim_times = claim_times
        self._cells: OrderedDict[tuple[object, ...], Fitted] = OrderedDict()
        self.rows: dict[bytes, tuple[FloatArray, FloatArray, FloatArray]] = {}
        """Levels, lots and answers by parameter row, for callers that have such."""
        self._factors: dict[tuple[object, ...], float] = {}

    def __len__(self) -> int:
        return len(self._cells)

    def levels(
        self,
        anchor: World,
        lean_leads: tuple[float, float],
        family: int,
        target: Target,
        lots: FloatArray,
    ) -> FloatArray:
        """Return the levels of one item for lead times (mean, sd) that were learned.

        All is that of the anchor but the lean factor, which is a line between two spreads. Means
        are taken in steps of a twelfth.

        Args:
            anchor: the item's world with the lead times that were stated.
            lean_leads: of the lean supplier, in days.
            family: DemandFamily code.
            target: what the levels have to keep.
            lots: columns Q_....
        """
        levels = self.fitted(anchor, family, target, lots).levels.copy()
        if not anchor.lean_days > 0.0 or not lean_leads[0] > 0.0:
            return levels
        steps = round(12.0 * math.log(lean_leads[0] / anchor.lean_days))
        mean = max(float(round(anchor.lean_days * math.exp(steps / 12.0))), 1.0)
        variation = min(lean_leads[1] / lean_leads[0], LEAD_NODES[-1])
        above = next(k for k, node in enumerate(LEAD_NODES) if variation <= node + 1e-9)
        low, high = LEAD_NODES[max(above - 1, 0)], LEAD_NODES[above]
        first, second = (
            self._lean_z(
                anchor._replace(lean_days=mean, lean_sd_days=node * mean),
                family,
                target,
                lots,
                levels,
            )
            for node in (low, high)
        )
        weight = (variation - low) / (high - low) if high > low else 1.0
        levels[L_LEAN_Z] = (1.0 - weight) * first + weight * second
        return levels

    def _lean_z(
        self, world: World, family: int, target: Target, lots: FloatArray, like: FloatArray
    ) -> float:
        key = ("z", world, family, target, lots.tobytes(), like.tobytes())
        if key not in self._factors:
            self._factors[key] = fit_lean_z(world, family, target.share, target.value, lots, like)
        return self._factors[key]

    def alike(self, world: World, family: int, target: Target) -> Fitted:
        """Return quickly fitted levels and claims of an item, from those of items much like it.

        The fit is scale-free: at equal variation and equal lot in days, factors and shares are
        those of any mean. Items that sell much over the cover share cells of a grid; of what sells
        little, the mean counts too.
        """
        cell = snapped(world)
        key = ("alike", cell, family, target)
        found = self._cells.get(key)
        if found is None:
            found = fit_quickly(cell, family, target.share, target.value, PLAIN_LOTS)
            self._keep(key, found)
        return _scaled(found, cell, world)

    def keep_row(
        self, key: bytes, row: tuple[FloatArray, FloatArray, FloatArray]
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Keep what belongs to a parameter row, and return it."""
        if len(self.rows) >= MOST_ROWS:
            self.rows.clear()
        self.rows[key] = row
        return row

    def _keep(self, key: tuple[object, ...], found: Fitted) -> None:
        if len(self._cells) >= MOST_CELLS:
            self._cells.popitem(last=False)
        self._cells[key] = found

    def fitted(self, world: World, family: int, target: Target, lots: FloatArray) -> Fitted:
        """Return the fit of exactly this item, from the table where it is there."""
        key = (world, family, target, tuple(float(one) for one in lots))
        found = self._cells.get(key)
        if found is None:
            found = fit_levels(
                world, family, target.share, target.value, lots, claim_times=self._claim_times
            )
            self._keep(key, found)
        return found


def snapped(world: World) -> World:
    """Return the world on a grid: variation, lots in days, prices, and the mean where it is small.

    Money is counted in holding cost of a unit and day.
    """
    variation = _on_grid(world.sd / world.mean, 4.0)
    lean_lot, flexible_lot = (
        _on_grid(math.sqrt(2.0 * setup / (world.mean * world.holding)), 2.0)
        for setup in (world.lean_setup, world.flexible_setup)
    )
    cover = world.lean_days + world.review_days
    mean = _on_grid(world.mean, 2.0)
    if mean * cover > MANY_UNITS:
        mean = MANY_UNITS / cover
    mean = max(mean, 1e-3)
    return world._replace(
        mean=mean,
        sd=variation * mean,
        lean_setup=0.5 * mean * lean_lot**2,
        flexible_setup=0.5 * mean * flexible_lot**2,
        premium=_on_grid(world.premium / world.holding, 4.0),
        backorder=_on_grid(world.backorder / world.holding, 4.0),
        holding=1.0,
        lean_days=float(round(world.lean_days)),
        flexible_days=float(round(world.flexible_days)),
        lean_sd_days=round(world.lean_sd_days, 1),
        flexible_sd_days=round(world.flexible_sd_days, 1),
    )


def _on_grid(value: float, steps_per_doubling: float) -> float:
    if value < 1e-9:
        return 0.0
    return float(2.0 ** (round(steps_per_doubling * math.log2(value)) / steps_per_doubling))


def _scaled(found: Fitted, cell: World, world: World) -> Fitted:
    """Return levels and claims of a cell in the units and the money of one of its items."""
    units, money = world.mean / cell.mean, world.holding / cell.holding
    levels, claim, errors = found.levels.copy(), found.found.copy(), found.errors.copy()
    levels[[L_LEAN_LOT, L_FLEXIBLE_LOT]] *= units
    for figures in (claim, errors):
        figures[F_STOCK] *= units
        figures[F_COST] *= units * money
    return Fitted(levels, claim, errors, found.is_met)


def lot_row(
    lean_least: float,
    lean_pack: float,
    lean_most: float,
    flexible_least: float,
    flexible_pack: float,
) -> FloatArray:
    """Return what suppliers accept as columns Q_..., in units."""
    row = np.zeros(LOTS)
    row[Q_LEAN_LEAST], row[Q_LEAN_PACK] = max(lean_least, 1.0), max(lean_pack, 1.0)
    row[Q_LEAN_MOST] = lean_most
    row[Q_FLEXIBLE_LEAST], row[Q_FLEXIBLE_PACK] = max(flexible_least, 1.0), max(flexible_pack, 1.0)
    return row


PLAIN_LOTS = lot_row(0.0, 1.0, np.inf, 0.0, 1.0)
