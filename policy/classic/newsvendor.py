"""One order for one season (the newsvendor), and its repetition: the base stock level."""

from __future__ import annotations

from dataclasses import dataclass

from policy.classic.demand import Demand
from policy.classic.fields import Number
from policy.classic.lots import BACKORDER, HOLDING

OVERAGE = Number("overage_cost", "cost of a unit that is left over", is_above=True)
UNDERAGE = Number("underage_cost", "cost of a unit that is missing", is_above=True)
LEAD_TIME = Number("lead_time_periods", "periods from an order to its arrival")
REVIEW = Number("review_periods", "periods between two reviews")


@dataclass(frozen=True)
class Newsvendor:
    """An order quantity, its expected cost and what the cost consists of."""

    order_quantity: float
    cost: float
    expected_left_over: float
    expected_missing: float


def newsvendor(demand: Demand, overage_cost: float, underage_cost: float) -> Newsvendor:
    """Return the order of least expected cost.

    Args:
        demand: of the season.
        overage_cost: a unit that is left over, > 0.
        underage_cost: a unit that is missing, > 0.

    Raises:
        PolicyInputError: an argument breaks a range above.

    The least quantity that covers demand with chance underage / (underage + overage); never below
    0. On whole units it is whole.

    Source: Snyder & Shen (2019), example 4.3:

    >>> from policy.classic.demand import read_demand
    >>> best = newsvendor(read_demand({"family": "normal", "mean": 50, "sd": 8}), 0.18, 0.70)
    >>> round(best.order_quantity, 6), round(best.cost, 6)
    (56.603956, 1.997605)
    """
    over, under = float(OVERAGE.check(overage_cost)), float(UNDERAGE.check(underage_cost))
    quantity = max(demand.level_for(over / (under + over)), 0.0)
    missing = float(demand.loss(quantity))
    left_over = quantity - demand.mean + missing
    return Newsvendor(quantity, over * left_over + under * missing, left_over, missing)


def base_stock(
    demand: Demand,
    holding_cost: float,
    backorder_cost: float,
    lead_time_periods: float,
    review_periods: float = 1.0,
) -> Newsvendor:
    """Return the level to which every review raises the position, and its cost per period.

    Without an order cost this is optimal. The level covers lead time + review; with a review of 0
    periods (after every sale) the lead time alone.

    >>> from policy.classic.demand import read_demand
    >>> level = base_stock(read_demand(6), 1, 4, 0)
    >>> level.order_quantity, round(level.cost, 6)
    (8.0, 3.570107)
    """
    cover = float(LEAD_TIME.check(lead_time_periods)) + float(REVIEW.check(review_periods))
    holding, backorder = float(HOLDING.check(holding_cost)), float(BACKORDER.check(backorder_cost))
    return newsvendor(demand.over(cover), holding, backorder)
