"""The best (s, S) policy of a periodic review with an order cost (Zheng & Federgruen 1991)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.signal import lfilter

from policy.classic.demand import TAIL_CHANCE, Demand, TableDemand, on_cells
from policy.classic.lots import BACKORDER, HOLDING, ORDER_COST, economic_lot
from policy.classic.newsvendor import LEAD_TIME
from policy.errors import PolicyInputError

# Levels that the search may walk through: a second or two of work.
MOST_CELLS = 40_000
_CELLS_WANTED = 10_000


@dataclass(frozen=True)
class LevelPolicy:
    """Order up to S when the position is at s or below; the optimum on its grid."""

    s: float
    S: float
    cost_per_period: float
    cell_units: float
    """Distance of the levels that were compared: 1 unit, or more where demand is large."""


def best_levels(
    order_cost: float,
    holding_cost: float,
    backorder_cost: float,
    demand: Demand,
    lead_time_periods: float = 0,
) -> LevelPolicy:
    """Return the (s, S) policy of least cost per period.

    In each period: review and order, receive what is due, meet demand or backorder it, and pay for
    what is left or owed. An order placed at a review arrives `lead_time_periods` later, 0 at once.

    Args:
        order_cost: an order, >= 0.
        holding_cost, backorder_cost: a unit and period, > 0.
        demand: of a period; continuous families are rounded to whole units, negative values to 0.
        lead_time_periods: whole periods, >= 0.

    Raises:
        PolicyInputError: an argument breaks a range above, or the order cost is so high that an
            economic order has more than 40,000 cells.

    Source: Zheng & Federgruen (1991), Operations Research 39(4), doi 10.1287/opre.39.4.654:

    >>> from policy.classic.demand import read_demand
    >>> best = best_levels(64, 1, 9, read_demand(25))
    >>> best.s, best.S, round(best.cost_per_period, 5)
    (19.0, 56.0, 54.26217)
    """
    setup, holding = float(ORDER_COST.check(order_cost)), float(HOLDING.check(holding_cost))
    backorder = float(BACKORDER.check(backorder_cost))
    cover = 1 + float(LEAD_TIME.check(lead_time_periods))
    if cover != int(cover):
        raise PolicyInputError(LEAD_TIME.name, "a whole number >= 0", lead_time_periods)
    lot = economic_lot(setup, holding, max(demand.mean, 0.0), backorder_cost=backorder)
    cell = _cell(demand, cover, float(lot.order_quantity))
    grid = on_cells(demand, cell)
    if grid.mass.size == 1:  # nothing is ever demanded
        return LevelPolicy(-1.0, 0.0, 0.0, cell)
    whole = grid.over(cover)
    start = round(whole.level_for(holding / (holding + backorder)) / cell)
    costs = _Costs(setup, holding * cell, backorder * cell, grid, whole)
    s, best, cost = search_levels(costs, start)
    return LevelPolicy(s * cell, best * cell, cost, cell)


def _cell(demand: Demand, cover: float, economic_lot: float) -> float:
    """Return the distance of levels: 1 unit, or more where some 10,000 units would not reach.

    A cell is at most an eighth of the demand's sd, or a five-thousandth of its mean.
    """
    finest = max(1.0, math.floor(max(demand.sd / 8, demand.mean / 5_000)))
    reach = economic_lot + cover * demand.mean + 8 * demand.sd * math.sqrt(cover)
    tail = demand.level_for(TAIL_CHANCE)
    wanted = max(reach / _CELLS_WANTED, tail / MOST_CELLS)
    cell = min(finest, max(1.0, math.ceil(wanted)))
    if economic_lot > MOST_CELLS * cell:
        rule = (
            f"such that an economic order has at most {MOST_CELLS * cell:g} units, backlog and all"
        )
        raise PolicyInputError(ORDER_COST.name, rule, f"{economic_lot:g} units")
    return cell


class _Costs:
    """Expected costs in cells: G(y) of a period, and c(s, S) of a policy."""

    def __init__(
        self,
        setup: float,
        holding: float,
        backorder: float,
        period: TableDemand,
        cover: TableDemand,
    ) -> None:
        self._setup, self._holding, self._backorder = setup, holding, backorder
        self._mass, self._cover = period.mass, cover
        self._mean_cells = cover.mean / cover.cell_units
        self._reach = 512
        self._grow()

    def of_level(self, level: int) -> float:
        """Return the expected cost of a period after which the position was `level` cells."""
        while abs(level) > self._reach:
            self._grow()
        return float(self._levels[self._reach + level])

    def of_policy(self, s: int, top: int) -> float:
        """Return the cost per period of ordering up to `top` at `s` or below."""
        while max(top - s, abs(s), abs(top)) > self._reach:
            self._grow()
        at = self._levels[self._reach + s + 1 : self._reach + top + 1]
        visited = self._visits[: top - s]
        return (self._setup + float(visited @ at[::-1])) / float(self._periods[top - s - 1])

    def _grow(self) -> None:
        """Compute costs of levels up to `_reach` and of as many visits.

        Visits are the periods that a position spends 0, 1, 2, ... cells below S between two
        orders: a renewal series.
        """
        self._reach *= 2
        levels = np.arange(-self._reach, self._reach + 1, dtype=float)
        missing = self._cover.loss(levels * self._cover.cell_units) / self._cover.cell_units
        stock = levels - self._mean_cells + missing
        self._levels = self._holding * stock + self._backorder * missing
        one = np.zeros(self._reach)
        one[0] = 1.0
        self._visits = np.asarray(lfilter([1.0], np.r_[1 - self._mass[0], -self._mass[1:]], one))
        self._periods = np.cumsum(self._visits)


class LevelCosts(Protocol):
    """Expected costs by level in cells."""

    def of_level(self, level: int) -> float:
        """Return the cost of a period after which the position was `level`; it has one valley."""

    def of_policy(self, s: int, top: int) -> float:
        """Return the cost per period of ordering up to `top` at `s` or below."""


def search_levels(costs: LevelCosts, start: int) -> tuple[int, int, float]:
    """Return s, S and the cost, from the level of least expected cost of a period."""
    s = start - 1
    while costs.of_policy(s, start) > costs.of_level(s):
        s -= 1
    best, least = start, costs.of_policy(s, start)
    top = start + 1
    while costs.of_level(top) <= least:
        cost = costs.of_policy(s, top)
        if cost < least:
            best, least = top, cost
            while costs.of_policy(s, best) <= costs.of_level(s + 1):
                s += 1
            least = costs.of_policy(s, best)
        top += 1
    return s, best, least
