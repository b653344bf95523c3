"""Items that are ordered together: their demand, their costs, and what a level costs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from policy.classic.demand import TableDemand
from policy.classic.fields import FloatArray


@dataclass(frozen=True, eq=False)
class JointItem:
    """One item of a supplier. Positions and levels are whole units."""

    name: str
    demand: TableDemand
    """Of a period, in cells of one unit."""
    line_cost: float
    """Of a line of the item in an order."""
    holding_cost: float
    """A unit in stock at the end of a period."""
    backorder_cost: float
    """A unit owed at the end of a period."""
    cell_units: float = 1.0
    """What one unit of the above stands for, where real units are too many."""

    def level_costs(self, levels: FloatArray, periods: int) -> FloatArray:
        """Return the expected cost at the end of a period of a position, so many periods on.

        Args:
            levels: units after the order, shape (level,).
            periods: that pass until then, its own among them.
        """
        sold = _sum_of(self.demand, periods)
        missing = sold.loss(levels)
        costs = self.holding_cost * (levels - sold.mean + missing) + self.backorder_cost * missing
        return np.asarray(costs)

    def best_level(self, periods: int) -> int:
        """Return the level of least cost at the end of a period, so many periods on."""
        chance = self.holding_cost / (self.holding_cost + self.backorder_cost)
        return int(_sum_of(self.demand, periods).level_for(chance))

    def sum_over(self, periods: int) -> TableDemand:
        """Return the demand of so many periods."""
        return _sum_of(self.demand, periods)

    def mass_over(self, periods: int) -> FloatArray:
        """Return the chances of 0, 1, 2, ... units in so many periods."""
        return _sum_of(self.demand, periods).mass


@lru_cache(maxsize=4096)
def _sum_of(demand: TableDemand, periods: int) -> TableDemand:
    return demand if periods == 1 else demand.over(periods)


@dataclass(frozen=True)
class JointProblem:
    """Items of one supplier that share the header cost of an order, reviewed every period.

    In each period: review and order, receive what is due, meet demand or backorder it, pay for
    what is left or owed. An order arrives `lead_time_periods` after its review, 0 at once.
    """

    items: Sequence[JointItem]
    header_cost: float
    lead_time_periods: int = 0


@dataclass(frozen=True)
class CanOrderLevels:
    """At `s` or below an item triggers an order; items at `c` or below join it, up to `S`."""

    s: tuple[int, ...]
    c: tuple[int, ...]
    S: tuple[int, ...]


@dataclass(frozen=True)
class ReviewLevels:
    """Every so many periods, items at `s` or below are ordered up to `S`."""

    review_periods: int
    s: tuple[int, ...]
    S: tuple[int, ...]


@dataclass(frozen=True)
class JointCost:
    """What a rule costs per period."""

    total: float
    headers: float
    lines: float
    stock: float
    """Stock and backlog."""
    orders_per_period: float
    standard_error: float | None = None
    """Of the total where it is simulated; None where it is exact."""
