"""The levels of the rule for one item, found by simulation, and what they cost and serve.

Every choice sees the same demand and the same lead times. The claim is simulated anew, with other
random numbers than those that the levels were chosen on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from policy.codes import DemandFamily
from policy.dual_index.arrivals import HALF_A_DAY, SMALLEST_SD_DAYS, lead_time_shares
from policy.dual_index.rule import (
    L_COVER,
    L_FLEXIBLE_LOT,
    L_FLEXIBLE_UP_Z,
    L_FLEXIBLE_Z,
    L_LEAN_LOT,
    L_LEAN_Z,
    L_WINDOW,
    LEVELS,
    LOTS,
    NO_FLEXIBLE,
)
from policy.dual_index.simulation import (
    BATCHES,
    S_ASKED,
    S_CLEAN_CYCLES,
    S_CLEAN_WINDOWS,
    S_CYCLES,
    S_DAYS,
    S_FLEXIBLE,
    S_LINE_SHORT,
    S_MONEY,
    S_SHORT,
    S_STOCK,
    S_WINDOWS,
    SUMS,
    World,
    run_world,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

SEED = 1
SEARCH_ORDERS, SEARCH_DAYS = 1000, (25_000, 60_000)
POLISH_TIMES, CLAIM_TIMES = 2, 4
HIGHEST_Z = 7.0
SCANNED_Z = (2.4, 1.4, 0.7, 0.0, -0.7, -1.6, -3.0, -30.0)
WIDTH_Z = 1.0
"""Half of the stretch of factors in which a cheaper one is looked for."""
DRAWS = 20_000
FLEXIBLE_Z = (0.0, 0.4, 0.8, 1.3, 1.9, 2.5)
UP_Z = 1.0
"""Up to which factor the flexible supplier brings at least, where it is asked for a week."""
LOT_FACTORS = (1.0, 1.3, 0.75, 1.7)


class Share(IntEnum):
    """What a service target is a share of."""

    COST = 0  # no target: the cheapest levels
    CYCLE = 1  # review windows [tau_2, T + tau_2) without a stock-out
    FILL = 2  # units served from stock
    ORDER_CYCLE = 4  # order cycles, from one arrival to the next, without a stock-out
    ORDER_LINE = 5  # order lines served in full from stock


F_COST, F_CYCLE, F_ORDER_CYCLE, F_FILL, F_LINE, F_FLEXIBLE, F_STOCK = range(7)
FOUND = 7
"""Columns of what levels come to: controllable cost a day, shares served (review windows, order
cycles, units, order lines), share of units from the flexible supplier, mean stock."""
SERVED = {
    Share.COST: F_FILL,
    Share.CYCLE: F_CYCLE,
    Share.FILL: F_FILL,
    Share.ORDER_CYCLE: F_ORDER_CYCLE,
    Share.ORDER_LINE: F_LINE,
}
_RATIOS = (
    (S_MONEY, S_DAYS, False),
    (S_CLEAN_WINDOWS, S_WINDOWS, False),
    (S_CLEAN_CYCLES, S_CYCLES, False),
    (S_SHORT, S_ASKED, True),
    (S_LINE_SHORT, S_ASKED, True),
    (S_FLEXIBLE, S_ASKED, False),
    (S_STOCK, S_DAYS, False),
)
"""Of each column of what was found: its sums above and below, and whether it is the rest to 1."""


def found_of(sums: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return what batches of sums come to and the standard errors, columns F_... each."""
    found, errors = np.zeros(FOUND), np.zeros(FOUND)
    for place, (above, below, is_rest) in enumerate(_RATIOS):
        whole = sums[:, below].sum()
        if whole <= 0.0:
            found[place] = 1.0
            continue
        ratio = sums[:, above].sum() / whole
        off = sums[:, above] - ratio * sums[:, below]
        errors[place] = math.sqrt(float((off * off).sum()) * len(sums) / (len(sums) - 1)) / whole
        found[place] = 1.0 - ratio if is_rest else ratio
    return found, errors


@dataclass(frozen=True)
class Fitted:
    """Levels of the rule for one item, and what they come to in the long run."""

    levels: FloatArray
    """Columns L_...: safety factors and lots in units."""
    found: FloatArray
    """Columns F_... of a run on fresh random numbers."""
    errors: FloatArray
    """Their standard errors."""
    is_met: bool
    """Whether the service target is within reach; true without one."""


class Draws:
    """Random numbers of one item's world, the same for all levels that are tried."""

    def __init__(self, world: World, family: int, days: int, seed: int) -> None:
        generator = np.random.default_rng([SEED, seed])
        self.demand = draw_demand(world, family, days, generator)
        self.lean = draw_leads(world.lean_days, world.lean_sd_days, generator)
        self.flexible = draw_leads(world.flexible_days, world.flexible_sd_days, generator)
        self.lean_shares = share_table(world.lean_days, world.lean_sd_days)
        self.flexible_shares = share_table(world.flexible_days, world.flexible_sd_days)


def draw_demand(world: World, family: int, days: int, generator: np.random.Generator) -> FloatArray:
    """Return demand of days, of the family or what the moments allow."""
    mean, variance = world.mean, world.sd**2
    if variance <= 1e-12 * mean:
        return np.full(days, mean)
    if family == DemandFamily.NORMAL:
        return np.maximum(generator.normal(mean, world.sd, days), 0.0)
    if family == DemandFamily.GAMMA:
        return generator.gamma(mean * mean / variance, variance / mean, days)
    if family == DemandFamily.POISSON or variance <= mean * (1.0 + 1e-9):
        return generator.poisson(mean, days).astype(np.float64)
    size = mean * mean / (variance - mean)
    return generator.poisson(generator.gamma(size, mean / size, days)).astype(np.float64)


def draw_leads(mean: float, sd: float, generator: np.random.Generator) -> IntArray:
    """Return lead times in whole days."""
    if sd <= SMALLEST_SD_DAYS or mean <= 0.0:
        return np.full(DRAWS, round(mean), np.int64)
    scale = sd * sd / mean
    return np.rint(generator.gamma(mean / scale, scale, DRAWS)).astype(np.int64)


def share_table(mean: float, sd: float) -> FloatArray:
    """Return the share of lead times of at most 0, 1, 2, ... whole days, up to one that has all."""
    days = np.arange(math.ceil(mean + 12.0 * sd) + 2, dtype=np.float64)
    shares = lead_time_shares(days + HALF_A_DAY, np.array(mean), np.array(sd))
    shares[-1] = 1.0
    return shares


def fit_levels(
    world: World,
    family: int,
    service_type: Share,
    target: float,
    lots: FloatArray,
    *,
    claim_times: int = CLAIM_TIMES,
    z_floor: float | None = None,
) -> Fitted:
    """Find the cheapest levels that keep the target, and what they come to.

    Args:
        world: the item and its suppliers.
        family: DemandFamily code of a day's demand.
        service_type: what the target is a share of; COST means none.
        target: inside (0, 1).
        lots: columns Q_... of `policy.dual_index.rule`.
        claim_times: how many times the days of the search the claim rests on.
        z_floor: least safety factor of the flexible supplier; None means by premium and backorders.
    """
    economic = math.sqrt(2.0 * world.lean_setup * world.mean / world.holding)
    days = _search_days(world)
    search = _Search(world, family, service_type, target, lots, days)
    best = _best_levels(search, economic, _least_flexible_z(world, service_type, z_floor))
    polished = _Search(world, family, service_type, target, lots, days * POLISH_TIMES, seed=1)
    lean_z, _ = polished.lean_z(best, float(best[L_LEAN_Z]))
    best[L_LEAN_Z] = lean_z
    claim = _Search(world, family, service_type, target, lots, days * claim_times, seed=2)
    found, errors = found_of(claim.run(best))
    return Fitted(best, found, errors, claim.is_near(found))


def fit_lean_z(
    world: World,
    family: int,
    service_type: Share,
    target: float,
    lots: FloatArray,
    like: FloatArray,
) -> float:
    """Return the lean factor of a world for levels that were fitted in one much like it."""
    days = _search_days(world)
    search = _Search(world, family, service_type, target, lots, days)
    return search.lean_z(like, float(like[L_LEAN_Z]))[0]


def fit_quickly(
    world: World, family: int, service_type: Share, target: float, lots: FloatArray
) -> Fitted:
    """Find the lean factor alone; the lot and what the flexible supplier is for stand by rule.

    The flexible supplier helps where the item is more likely than not to be out over the days
    looked at. For many items at once: a tenth of the time of `fit_levels`. The claim is that of the
    choice's own random numbers.
    """
    levels = np.zeros(LEVELS)
    levels[L_FLEXIBLE_Z] = _least_flexible_z(world, service_type, None)
    economic = math.sqrt(2.0 * world.lean_setup * world.mean / world.holding)
    levels[L_LEAN_LOT] = _lean_lot(world, economic, 1.15)
    levels[L_COVER], levels[L_WINDOW] = help_days(
        world.review_days, world.lean_days, world.flexible_days
    )
    levels[L_FLEXIBLE_UP_Z] = UP_Z
    search = _Search(world, family, service_type, target, lots, _search_days(world))
    levels[L_LEAN_Z] = search.lean_z(levels, search.near_z(levels))[0]
    found, errors = found_of(search.run(levels))
    return Fitted(levels, found, errors, search.is_near(found))


def _search_days(world: World) -> int:
    """Return so many days that a choice sees about so many orders."""
    economic = math.sqrt(2.0 * world.lean_setup * world.mean / world.holding)
    cycle_days = max(economic / max(world.mean, 1e-9), world.review_days)
    return int(min(max(SEARCH_ORDERS * cycle_days, SEARCH_DAYS[0]), SEARCH_DAYS[1]))


def _least_flexible_z(world: World, service_type: Share, floor: float | None) -> float:
    """Return the least safety factor that is tried: help is asked for when it is more likely than
    not that the item is out, where being out for a lead time is worth the premium."""
    if not world.has_flexible:
        return NO_FLEXIBLE
    if floor is not None:
        return floor
    worth = world.backorder * (1.0 if world.is_lost else world.lean_days + world.review_days)
    return 0.0 if service_type != Share.COST or worth > world.premium else NO_FLEXIBLE


def _best_levels(search: _Search, economic: float, least_z: float) -> FloatArray:
    """Choose the lot, then what the flexible supplier is for, then the lot again."""
    world = search.world
    base = np.zeros(LEVELS)
    base[L_FLEXIBLE_Z] = least_z
    base[L_LEAN_LOT] = _lean_lot(world, economic, 1.15)
    cover, window = help_days(world.review_days, world.lean_days, world.flexible_days)
    base[L_COVER], base[L_WINDOW], base[L_FLEXIBLE_UP_Z] = cover, window, UP_Z
    best, cost, lean_z = _try_lots(search, base, economic, search.near_z(base))
    if not world.has_flexible:
        return best
    most_z = best[L_FLEXIBLE_Z]
    uses = [(cover, UP_Z), (cover, 0.0), (world.review_days, 0.0)]
    for days, up_z in uses if cover > world.review_days else uses[:2]:
        for z in FLEXIBLE_Z:
            levels = best.copy()
            levels[L_FLEXIBLE_Z], levels[L_FLEXIBLE_UP_Z] = z, max(z, up_z)
            levels[L_COVER] = levels[L_WINDOW] = days
            levels[L_LEAN_LOT] = base[L_LEAN_LOT]
            found_z, found_cost = search.lean_z(levels, search.near_z(levels))
            if found_cost < cost:
                best, cost, lean_z, most_z = levels, found_cost, found_z, z
                best[L_LEAN_Z] = lean_z
            elif z > most_z + 0.5:
                break
    if best[L_WINDOW] != window:
        best, cost, lean_z = _try_flexible_lot(search, best, cost, lean_z)
        best, cost, lean_z = _try_lots(search, best, economic, lean_z)
    return best


def help_days(review_days: float, lean_days: float, flexible_days: float) -> tuple[int, int]:
    """Return the days that an order of the flexible supplier covers, and those looked at.

    A stock-out of a few days before a lean order comes is no reason to ask it, one of weeks is.

    >>> help_days(7, 30, 3), help_days(1, 14, 5)
    ((7, 14), (7, 9))
    """
    slower, review = max(int(lean_days - flexible_days), 1), max(round(review_days), 1)
    cover = max(min(7, slower), review)
    return cover, max(min(14, slower), cover)


def _lean_lot(world: World, economic: float, factor: float) -> float:
    """Units from s to S, so that an order with what demand took it below s is about the lot."""
    return max(economic * factor - 0.5 * world.review_days * world.mean, 0.0)


def _try_lots(
    search: _Search, base: FloatArray, economic: float, lean_z: float
) -> tuple[FloatArray, float, float]:
    best, cost = base, math.inf
    lots = dict.fromkeys(_lean_lot(search.world, economic, factor) for factor in LOT_FACTORS)
    for units in lots:
        levels = base.copy()
        levels[L_LEAN_LOT] = units
        found_z, found_cost = search.lean_z(levels, lean_z)
        if found_cost < cost:
            best, cost, lean_z = levels, found_cost, found_z
            best[L_LEAN_Z] = found_z
    return best, cost, lean_z


def _try_flexible_lot(
    search: _Search, base: FloatArray, cost: float, lean_z: float
) -> tuple[FloatArray, float, float]:
    world, best = search.world, base
    economic = math.sqrt(2.0 * world.flexible_setup * world.mean / world.holding)
    for units in (0.5 * economic, economic):
        levels = base.copy()
        levels[L_FLEXIBLE_LOT] = max(units - 0.5 * world.review_days * world.mean, 0.0)
        if levels[L_FLEXIBLE_LOT] <= 0.0:
            continue
        found_z, found_cost = search.lean_z(levels, lean_z)
        if found_cost < cost:
            best, cost, lean_z = levels, found_cost, found_z
            best[L_LEAN_Z] = found_z
    return best, cost, lean_z


class _Search:
    """Runs of one item on the same random numbers."""

    def __init__(
        self,
        world: World,
        family: int,
        service_type: Share,
        target: float,
        lots: FloatArray,
        days: int,
        seed: int = 0,
    ) -> None:
        self.world, self.service_type, self.target = world, service_type, target
        self.lots = np.zeros(LOTS) + lots
        self.draws = Draws(world, family, days, seed)
        self.sums = np.zeros((BATCHES, SUMS))
        self.served = SERVED[service_type]

    def run(self, levels: FloatArray) -> FloatArray:
        """Return the sums of a run with some levels; the next run writes over them."""
        draws = self.draws
        self.sums[:] = 0.0
        run_world(
            self.world,
            draws.demand,
            draws.lean,
            draws.flexible,
            draws.lean_shares,
            draws.flexible_shares,
            levels,
            self.lots,
            self.sums,
        )
        return self.sums

    def is_near(self, found: FloatArray) -> bool:
        """Whether a run keeps the target, but for the noise of the simulation."""
        return bool(self.service_type == Share.COST or found[self.served] >= self.target - 0.01)

    def lean_z(self, levels: FloatArray, near: float) -> tuple[float, float]:
        """Return the lean factor that is cheapest among those that keep the target, and its cost.

        Args:
            levels: all others.
            near: a factor to begin at.
        """
        tried = levels.copy()

        def run(z: float) -> tuple[float, float]:
            tried[L_LEAN_Z] = z
            found, _ = found_of(self.run(tried))
            return float(found[self.served]), float(found[F_COST])

        low, high = max(self._lowest_z(levels), near - WIDTH_Z), min(near + WIDTH_Z, HIGHEST_Z)
        if self.service_type == Share.COST:
            return _cheapest(lambda z: run(z)[1], low, high)
        if run(high)[0] < self.target:
            high = HIGHEST_Z
        z = _least_z(lambda z: run(z)[0], self.target, near, low, high)
        cost = run(z)[1]
        if run(z + 0.25)[1] < cost:
            return _cheapest(lambda z: run(z)[1], z, max(near + WIDTH_Z, z + 0.5))
        return z, cost

    def near_z(self, levels: FloatArray) -> float:
        """Return the cheapest of a few factors that keep the target, to begin at.

        There can be several cheap regions: with the lean supplier as a rule, and without it.
        """
        tried, best, cheapest = levels.copy(), SCANNED_Z[0], math.inf
        for z in SCANNED_Z:
            tried[L_LEAN_Z] = max(z, self._lowest_z(levels))
            found, _ = found_of(self.run(tried))
            is_kept = self.service_type == Share.COST or found[self.served] >= self.target
            if is_kept and found[F_COST] < cheapest:
                best, cheapest = float(tried[L_LEAN_Z]), float(found[F_COST])
        return best

    def _lowest_z(self, levels: FloatArray) -> float:
        """Return the factor at which the lean supplier is asked when most of a lot is owed."""
        world = self.world
        cover = world.lean_days + world.review_days
        spread = math.sqrt(world.sd**2 * cover + (world.mean * world.lean_sd_days) ** 2)
        owed = world.mean * cover + 0.7 * float(levels[L_LEAN_LOT])
        return -owed / max(spread, 1e-9)


def _score(share: float) -> float:
    return float(ndtri(min(max(share, 1e-4), 1.0 - 1e-6)))


def _least_z(
    served: Callable[[float], float], target: float, near: float, low: float, high: float
) -> float:
    """Return the least factor that keeps the target: served shares lie on a line in the scores."""
    wanted = _score(target)
    below, above = low, high
    z, last = near, None
    for _ in range(12):
        score = _score(served(z)) - wanted
        below, above = (z, above) if score < 0.0 else (below, z)
        if abs(score) < 0.002 or above - below < 0.004:
            break
        slope = 1.0
        if last is not None and abs(z - last[0]) > 1e-6:
            slope = min(max((score - last[1]) / (z - last[0]), 0.4), 5.0)
        last = (z, score)
        # Small steps: far below, where all comes from the other supplier, the share rises again.
        step = z - min(max(score / slope, -1.0), 0.6)
        inside = below + 0.02 * (above - below) < step < above - 0.02 * (above - below)
        z = step if inside else 0.5 * (below + above)
    return z


def _cheapest(cost: Callable[[float], float], low: float, high: float) -> tuple[float, float]:
    """Return the cheapest factor between two by golden sections, and its cost."""
    golden = 0.6180339887498949
    left, right = high - golden * (high - low), low + golden * (high - low)
    costs = [cost(left), cost(right)]
    for _ in range(8):
        if costs[0] <= costs[1]:
            high, right = right, left
            left = high - golden * (high - low)
            costs = [cost(left), costs[0]]
        else:
            low, left = left, right
            right = low + golden * (high - low)
            costs = [costs[1], cost(right)]
    return (left, costs[0]) if costs[0] <= costs[1] else (right, costs[1])
