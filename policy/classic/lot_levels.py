"""The best (r, Q) policy of a continuous review, and the reorder point for a fill rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.integrate import fixed_quad
from scipy.optimize import brentq

from policy.classic.demand import Demand
from policy.classic.fields import FloatArray, Given, Number
from policy.classic.lots import BACKORDER, HOLDING, ORDER_COST, QUANTITY
from policy.classic.newsvendor import LEAD_TIME
from policy.errors import PolicyInputError

FILL_TARGET = Number(
    "fill_target",
    "share of units to be served from stock, instead of a backorder cost",
    is_above=True,
    high=1,
    is_below=True,
)
# Levels that are compared at the most.
MOST_LEVELS = 2_000_000
_NODES = 48  # of the integral of a smooth part of the costs: exact to 12 digits


@dataclass(frozen=True)
class LotPolicy:
    """Order Q when the position is at r or below."""

    r: float
    Q: float
    cost_per_period: float


@dataclass(frozen=True)
class LeadTimeCosts:
    """Costs per period of a position, by the demand `cover` of the lead time."""

    holding: float
    backorder: float
    cover: Demand

    def of(self, level: Given) -> FloatArray:
        """Return the expected holding and backorder cost of a period at a position `level`."""
        level = np.asarray(level, dtype=float)
        missing = self.cover.loss(level)
        return self.holding * (level - self.cover.mean + missing) + self.backorder * missing

    def mean_over(self, r: float, lot: float) -> float:
        """Return the mean cost of the positions of an (r, Q) policy."""
        if self.cover.is_whole:
            return float(self.of(r + np.arange(1.0, lot + 1)).mean())
        return _area(self, r, r + lot) / lot

    def best_level(self) -> float:
        """Return the position of least cost."""
        return self.cover.level_for(self.holding / (self.holding + self.backorder))


def best_lot_policy(
    order_cost: float,
    holding_cost: float,
    backorder_cost: float,
    demand: Demand,
    lead_time_periods: float,
    quantity: float | None = None,
) -> LotPolicy:
    """Return the (r, Q) policy of least cost per period.

    The position after an order is spread evenly over r + 1 ... r + Q, so the cost is the mean of
    the costs of these positions plus the orders' cost. Families on whole units have whole r and Q.

    Args:
        order_cost: an order of Q units, >= 0.
        holding_cost, backorder_cost: a unit and period, > 0.
        demand: of a period.
        lead_time_periods: periods from an order to its arrival, >= 0.
        quantity: Q, > 0, where it is given (a whole number for whole demand). None means the best.

    Raises:
        PolicyInputError: an argument breaks a range above.

    Source: Federgruen & Zheng (1992), Operations Research 40(4), doi 10.1287/opre.40.4.808:

    >>> from policy.classic.demand import read_demand
    >>> best = best_lot_policy(100, 20, 150, read_demand(1.5), 2)
    >>> best.r, best.Q, round(best.cost_per_period, 7)
    (3.0, 5.0, 107.9235806)
    """
    costs = LeadTimeCosts(
        float(HOLDING.check(holding_cost)),
        float(BACKORDER.check(backorder_cost)),
        demand.over(float(LEAD_TIME.check(lead_time_periods))),
    )
    paid = float(ORDER_COST.check(order_cost)) * demand.mean
    if quantity is None:
        return _whole(costs, paid) if demand.is_whole else _continuous(costs, paid)
    lot = checked_lot(quantity, demand)
    if demand.is_whole:
        return _whole(costs, paid, int(lot))
    middle = costs.best_level()
    level = _rising_root(lambda r: float(costs.of(r + lot) - costs.of(r)), middle - lot, middle)
    return LotPolicy(level, lot, paid / lot + costs.mean_over(level, lot))


def checked_lot(quantity: float, demand: Demand) -> float:
    """Return a lot size, which is whole where demand is; its positions can then be listed."""
    lot = float(QUANTITY.check(quantity))
    if demand.is_whole and not (lot == round(lot) and lot <= MOST_LEVELS):
        rule = f"a whole number from 1 to {MOST_LEVELS} for whole demand"
        raise PolicyInputError(QUANTITY.name, rule, quantity)
    return lot


def _whole(costs: LeadTimeCosts, paid: float, lot: int | None = None) -> LotPolicy:
    """Take the cheapest positions one by one while that lowers the mean; they lie side by side."""
    middle = round(costs.best_level())
    reach = max(16, 2 * (lot or 0))
    while True:
        levels = np.arange(middle - reach, middle + reach + 1, dtype=float)
        at = costs.of(levels)
        order = np.argsort(at, kind="stable")
        means = (paid + np.cumsum(at[order])) / np.arange(1, at.size + 1)
        count = lot or int(np.argmin(means)) + 1
        if at[order[count - 1]] < min(at[0], at[-1]):
            chosen = levels[order[:count]]
            return LotPolicy(float(chosen.min()) - 1, float(count), float(means[count - 1]))
        reach *= 4
        if reach > MOST_LEVELS:
            raise PolicyInputError(
                ORDER_COST.name, f"such that Q is below {MOST_LEVELS}", f"{reach} units"
            )


def _continuous(costs: LeadTimeCosts, paid: float) -> LotPolicy:
    """Find the cost c at which the area of c above the positions' costs pays for an order."""
    middle = costs.best_level()
    least = float(costs.of(middle))
    if paid == 0:
        return LotPolicy(middle, 0.0, least)

    def ends(cost: float) -> tuple[float, float]:
        # At the outer ends of the brackets, the cost without any spread is `cost` already.
        low = min(costs.cover.mean - cost / costs.backorder, middle)
        high = max(costs.cover.mean + cost / costs.holding, middle)
        below = _rising_root(lambda level: cost - float(costs.of(level)), low, middle)
        return below, _rising_root(lambda level: float(costs.of(level)) - cost, middle, high)

    def surplus(cost: float) -> float:
        low, high = ends(cost)
        return cost * (high - low) - _area(costs, low, high) - paid

    step = math.sqrt(2 * paid * costs.holding)
    while surplus(least + step) < 0:
        step *= 2
    cost = float(brentq(surplus, least, least + step, xtol=1e-12 * (least + step), rtol=1e-14))
    low, high = ends(cost)
    return LotPolicy(low, high - low, cost)


def _area(costs: LeadTimeCosts, low: float, high: float) -> float:
    """Return the integral of the costs over the positions from `low` to `high`."""
    cover = costs.cover
    marks = sorted({cover.mean + k * cover.sd for k in (-8.0, -3.0, 0.0, 3.0, 8.0)} | {0.0})
    edges = [low, *(mark for mark in marks if low < mark < high), high]
    return sum(float(fixed_quad(costs.of, a, b, n=_NODES)[0]) for a, b in pairwise(edges))


def _rising_root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a rising function is 0; an end, where it is not crossed inside."""
    if function(low) >= 0:
        return low
    if function(high) <= 0:
        return high
    return float(brentq(function, low, high, xtol=1e-13 * max(1.0, abs(high)), rtol=1e-14))


def fill_rate(demand: Demand, lead_time_periods: float, r: Given, quantity: float) -> FloatArray:
    """Return the share of units that an (r, Q) policy serves from stock.

    FR = 1 - (loss(r) - loss(r + Q)) / Q, by the demand over the lead time.

    >>> from policy.classic.demand import NormalDemand
    >>> float(fill_rate(NormalDemand(100, 25), 1, 125.530964, 100).round(9))
    0.98
    """
    cover = demand.over(float(LEAD_TIME.check(lead_time_periods)))
    lot = float(QUANTITY.check(quantity))
    level = np.asarray(r, dtype=float)
    return np.asarray(1 - (cover.loss(level) - cover.loss(level + lot)) / lot)


def reorder_point_for_fill(
    demand: Demand, lead_time_periods: float, quantity: float, fill_target: float
) -> float:
    """Return the least reorder point with which lots of `quantity` serve this share of units.

    It may be below 0: then the lot alone serves more than the target.

    >>> from policy.classic.demand import NormalDemand, PoissonDemand
    >>> round(reorder_point_for_fill(NormalDemand(100, 25), 1, 100, 0.98), 6)
    125.530964
    >>> reorder_point_for_fill(PoissonDemand(1.5), 2, 5, 0.95)
    5.0
    """
    target = float(FILL_TARGET.check(fill_target))
    lot = checked_lot(quantity, demand)
    cover = demand.over(float(LEAD_TIME.check(lead_time_periods)))

    def excess(r: float) -> float:
        return float(fill_rate(demand, lead_time_periods, r, lot)) - target

    low = -lot - 1.0
    high = max(1.0, math.ceil(cover.mean + cover.sd))
    while excess(low) >= 0:
        low *= 2
    while excess(high) < 0:
        high *= 2
    if not demand.is_whole:
        return _rising_root(excess, low, high)
    while high - low > 1:
        middle = math.floor((low + high) / 2)
        low, high = (low, middle) if excess(middle) >= -1e-12 else (middle, high)
    return float(high)
