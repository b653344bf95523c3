"""Cover, turnover and value of each item, and the stock that nobody asks for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from policy.classic.fields import FloatArray, Given, Number

BoolArray = npt.NDArray[np.bool_]

ON_HAND = Number("on_hand_units", "units in stock")
RATE = Number("demand_units_per_day", "units demanded in a day")
COST = Number("unit_cost", "what a unit costs")
DAYS_PER_YEAR = Number("days_per_year", "basis of turns", is_above=True, high=366)
QUIET = Number("days_since_sale", "days since the last sale")
LIMIT = Number("dead_after_days", "days without a sale after which stock is dead", is_above=True)


@dataclass(frozen=True)
class StockCover:
    """How long the stock of each item lasts, and what it binds; arrays of shape (item,)."""

    cover_days: FloatArray
    """On hand / demand of a day; infinite where there is stock and no demand, 0 without stock."""
    turns_per_year: FloatArray
    """Demand of a year / stock; nan without stock."""
    value: FloatArray
    """Money tied up, at cost."""

    @property
    def total_turns(self) -> float:
        """Turns of the whole stock by value: usage at cost / value; nan without stock."""
        value = float(self.value.sum())
        used = np.where(self.value > 0, self.value * self.turns_per_year, 0.0)
        return float(used.sum()) / value if value > 0 else float("nan")


def stock_cover(
    on_hand: Given, demand_per_day: Given, unit_cost: Given, days_per_year: float = 365
) -> StockCover:
    """Return cover, turnover and value of each item.

    Args:
        on_hand: units, >= 0.
        demand_per_day: units, >= 0.
        unit_cost: money, >= 0.
        days_per_year: the basis of turns, such as 365 or 240, > 0.

    Raises:
        PolicyInputError: an argument breaks a range above.

    >>> found = stock_cover([60, 5, 0], [2, 0, 3], [10, 4, 1])
    >>> found.cover_days.tolist(), found.value.tolist()
    ([30.0, inf, 0.0], [600.0, 20.0, 0.0])
    """
    stock, rate = np.broadcast_arrays(ON_HAND.check(on_hand), RATE.check(demand_per_day))
    year = float(DAYS_PER_YEAR.check(days_per_year))
    cover = np.where(stock > 0, np.inf, 0.0)
    np.divide(stock, rate, out=cover, where=(rate > 0) & (stock > 0))
    turns = np.divide(rate * year, stock, out=np.full(stock.shape, np.nan), where=stock > 0)
    return StockCover(cover, turns, stock * COST.check(unit_cost))


def is_dead(on_hand: Given, days_since_sale: Given, dead_after_days: Given) -> BoolArray:
    """Return whether each item has stock and has not sold for so long.

    Args:
        on_hand: units, >= 0.
        days_since_sale: days, >= 0; of an item that never sold, days since it came.
        dead_after_days: the limit, > 0; reaching it counts.

    >>> is_dead([5, 5, 0], [90, 89, 400], 90).tolist()
    [True, False, False]
    """
    stock, quiet = ON_HAND.check(on_hand), QUIET.check(days_since_sale)
    return np.asarray((stock > 0) & (quiet >= LIMIT.check(dead_after_days)))
