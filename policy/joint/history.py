"""Joint orders against single ones on real demand: levels learnt before, played after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policy.classic.demand import Demand, NegativeBinomialDemand, PoissonDemand
from policy.classic.fields import FloatArray
from policy.joint.items import JointProblem, ReviewLevels
from policy.joint.periodic import best_review, review_levels


@dataclass(frozen=True)
class Played:
    """What a rule cost over the periods that were played."""

    orders: int
    header_cost: float
    line_cost: float
    stock_cost: float
    """Stock and backlog at the ends of periods."""
    units: float
    """Demanded."""
    served: float
    """Of them, from stock at once."""

    @property
    def cost(self) -> float:
        """Everything but purchases."""
        return self.header_cost + self.line_cost + self.stock_cost

    def plus(self, other: Played) -> Played:
        """Return the sum of two."""
        return Played(
            self.orders + other.orders,
            self.header_cost + other.header_cost,
            self.line_cost + other.line_cost,
            self.stock_cost + other.stock_cost,
            self.units + other.units,
            self.served + other.served,
        )


NOTHING = Played(0, 0.0, 0.0, 0.0, 0.0, 0.0)


def learnt_demand(history: FloatArray) -> Demand:
    """Return the demand of a period that fits a history: Poisson, or negative binomial if wider.

    >>> learnt_demand(np.array([2.0, 2, 2])).describe()
    'poisson, mean 2'
    >>> learnt_demand(np.array([0.0, 0, 6])).describe()
    'negative binomial, mean 2, sd 3.4641'
    """
    mean = float(history.mean())
    variance = float(history.var(ddof=1)) if history.size > 1 else 0.0
    if variance <= mean * 1.0001:
        return PoissonDemand(mean)
    return NegativeBinomialDemand(mean, mean**2 / (variance - mean))


def play_apart(problem: JointProblem, demand: FloatArray) -> Played:
    """Return what ordering each item by itself costs, with a header for each order.

    Args:
        problem: the items of one supplier, with the demand that was learnt.
        demand: units that were demanded after that, shape (item, period).
    """
    total = NOTHING
    for item, row in zip(problem.items, demand, strict=True):
        single = JointProblem([item], problem.header_cost, problem.lead_time_periods)
        levels = review_levels(single, 1).levels
        total = total.plus(_play(single, levels, row[None, :]))
    return total


def play_together(problem: JointProblem, demand: FloatArray) -> tuple[Played, int]:
    """Return what the best review calendar costs, and its periods between two reviews."""
    levels = best_review(problem, review_levels).levels
    return _play(problem, levels, demand), levels.review_periods


def _play(problem: JointProblem, levels: ReviewLevels, demand: FloatArray) -> Played:
    """Play a rule from full stock; demand is in the cells of the items."""
    s, top = np.array(levels.s, dtype=float), np.array(levels.S, dtype=float)
    hand, position = top.copy(), top.copy()
    pipeline = [np.zeros_like(top) for _ in range(problem.lead_time_periods)]
    lines = np.array([item.line_cost for item in problem.items])
    holding = np.array([item.holding_cost for item in problem.items])
    backorder = np.array([item.backorder_cost for item in problem.items])
    cells = np.array([item.cell_units for item in problem.items])
    orders, line_cost, stock_cost, served = 0, 0.0, 0.0, 0.0
    for period, sold in enumerate((demand / cells[:, None]).T):
        is_due = (position <= s) & (period % levels.review_periods == 0)
        units = np.where(is_due, top - position, 0.0)
        orders += bool((units > 0).any())
        line_cost += float(lines[units > 0].sum())
        position = position + units
        pipeline.append(units)
        hand = hand + pipeline.pop(0)
        served += float((np.clip(hand, 0.0, sold) * cells).sum())
        hand, position = hand - sold, position - sold
        stock = np.maximum(hand, 0.0) @ holding + np.maximum(-hand, 0.0) @ backorder
        stock_cost += float(stock)
    header_cost = orders * problem.header_cost
    return Played(orders, header_cost, line_cost, stock_cost, float(demand.sum()), served)
