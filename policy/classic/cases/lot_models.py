"""The models of a case about how much to order: lots, discounts, known demand, one season."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from policy.classic.demand import Demand, PoissonDemand
from policy.classic.discounts import Breaks, discounted_lot
from policy.classic.dynamic_lots import least_cost_orders
from policy.classic.fields import FloatArray
from policy.classic.levels import best_levels
from policy.classic.lot_levels import (
    LeadTimeCosts,
    best_lot_policy,
    checked_lot,
    fill_rate,
    reorder_point_for_fill,
)
from policy.classic.lots import DEMAND_RATE, HOLDING, economic_lot, lot_cost
from policy.classic.newsvendor import Newsvendor, base_stock, newsvendor
from policy.errors import PolicyInputError

Answer = dict[str, Any]


def eoq(
    order_cost: float,
    demand_per_period: float,
    holding_cost_per_unit_period: float | None = None,
    unit_cost: float | None = None,
    holding_rate_per_period: float | None = None,
    backorder_cost_per_unit_period: float | None = None,
    production_rate_per_period: float | None = None,
    order_periods: float | None = None,
    curve_quantities: FloatArray | None = None,
) -> Answer:
    """Economic order quantity; backorders and a finite production rate where they are given."""
    holding = _holding(holding_cost_per_unit_period, unit_cost, holding_rate_per_period)
    terms: Mapping[str, Any] = {
        "backorder_cost": backorder_cost_per_unit_period,
        "production_rate": production_rate_per_period,
    }
    lot = economic_lot(order_cost, holding, demand_per_period, **terms)
    quantity = float(lot.order_quantity)
    has_orders = quantity > 0 and demand_per_period > 0
    answer: Answer = {
        "order_quantity": quantity,
        "cost_per_period": float(lot.cost_per_period),
        "orders_per_period": demand_per_period / quantity if has_orders else None,
        "periods_between_orders": quantity / demand_per_period if has_orders else None,
        "largest_stock": float(lot.largest_stock),
    }
    if backorder_cost_per_unit_period is not None:
        answer["backorder_share"] = float(lot.backorder_share)
        answer["largest_backlog"] = float(lot.largest_backlog)

    def point(units: float) -> Answer:
        ordering, stock = lot_cost(units, order_cost, holding, demand_per_period, **terms)
        return {
            "order_quantity": units,
            "order_cost_per_period": float(ordering),
            "stock_cost_per_period": float(stock),
            "cost_per_period": float(ordering + stock),
        }

    if order_periods:
        answer["by_order_periods"] = point(order_periods * demand_per_period)
    if curve_quantities is not None:
        answer["curve"] = [point(float(units)) for units in curve_quantities]
    return answer


def _holding(cost: float | None, unit_cost: float | None, rate: float | None) -> float:
    if cost is not None and unit_cost is None and rate is None:
        return cost
    if cost is None and unit_cost is not None and rate is not None:
        return unit_cost * rate
    rule = f"{HOLDING.rule}, or absent beside unit_cost and holding_rate_per_period"
    raise PolicyInputError(HOLDING.name, rule, cost)


def eoq_discount(
    kind: Any,
    order_cost: float,
    holding_rate_per_period: float,
    demand_per_period: float,
    breaks: Breaks,
) -> Answer:
    """Economic order quantity with price breaks, and the best lot of each tier."""
    lot = discounted_lot(kind, order_cost, holding_rate_per_period, demand_per_period, breaks)
    tiers = zip(breaks, lot.tier_quantities, lot.tier_costs, strict=True)
    return {
        "order_quantity": lot.order_quantity,
        "cost_per_period": lot.cost_per_period,
        "tier": lot.tier,
        "unit_cost": lot.unit_cost,
        "tiers": [
            {
                "first_quantity": first,
                "unit_cost": price,
                "order_quantity": float(quantity),
                "cost_per_period": float(cost),
            }
            for (first, price), quantity, cost in tiers
        ],
    }


def wagner_whitin(
    order_cost: FloatArray, holding_cost_per_unit_period: FloatArray, demand: FloatArray
) -> Answer:
    """Orders of least cost for known demand by period."""
    plan = least_cost_orders(order_cost, holding_cost_per_unit_period, demand)
    return {
        "orders": plan.orders.tolist(),
        "cost": plan.cost,
        "order_cost": plan.order_cost,
        "holding_cost": plan.holding_cost,
    }


def one_season(demand: Demand, overage_cost: float, underage_cost: float) -> Answer:
    """One order for one season of uncertain demand."""
    best = newsvendor(demand, overage_cost, underage_cost)
    return {
        "order_quantity": best.order_quantity,
        "cost": best.cost,
        "critical_ratio": underage_cost / (underage_cost + overage_cost),
        **_season(best, demand),
    }


def _season(best: Newsvendor, demand: Demand) -> Answer:
    fill = 1 - best.expected_missing / demand.mean if demand.mean > 0 else None
    return {
        "cycle_service": 1 - float(demand.above(best.order_quantity)),
        "fill_rate": fill,
        "expected_left_over": best.expected_left_over,
        "expected_missing": best.expected_missing,
        "demand": demand.describe(),
    }


def base_stock_level(
    holding_cost_per_unit_period: float,
    backorder_cost_per_unit_period: float,
    demand: Demand,
    lead_time_periods: float = 0.0,
    review_periods: float = 1.0,
) -> Answer:
    """The level to order up to at every review, without an order cost."""
    holding, backorder = holding_cost_per_unit_period, backorder_cost_per_unit_period
    best = base_stock(demand, holding, backorder, lead_time_periods, review_periods)
    cover = demand.over(lead_time_periods + review_periods)
    return {
        "level": best.order_quantity,
        "cost_per_period": best.cost,
        "safety_stock": best.order_quantity - cover.mean,
        "cycle_service": 1 - float(cover.above(best.order_quantity)),
        "demand": demand.describe(),
    }


def level_policy(
    order_cost: float,
    holding_cost_per_unit_period: float,
    backorder_cost_per_unit_period: float,
    demand: Demand,
    lead_time_periods: float = 0.0,
) -> Answer:
    """The best (s, S) policy of a periodic review: at s or below, order up to S."""
    holding, backorder = holding_cost_per_unit_period, backorder_cost_per_unit_period
    best = best_levels(order_cost, holding, backorder, demand, lead_time_periods)
    return {
        "s": int(best.s),
        "S": int(best.S),
        "cost_per_period": best.cost_per_period,
        "cell_units": best.cell_units,
        "demand": demand.describe(),
    }


def lot_policy(
    holding_cost_per_unit_period: float,
    lead_time_periods: float,
    order_cost: float | None = None,
    backorder_cost_per_unit_period: float | None = None,
    fill_target: float | None = None,
    demand_rate_per_period: float | None = None,
    demand: Demand | None = None,
    order_quantity: float | None = None,
) -> Answer:
    """The best (r, Q) policy of a continuous review, by a backorder cost or for a fill rate."""
    of_period = _demand_of(demand, demand_rate_per_period)
    holding, backorder, lead = (
        holding_cost_per_unit_period,
        backorder_cost_per_unit_period,
        lead_time_periods,
    )
    if (backorder is None) == (fill_target is None):
        rule = "> 0, or absent beside fill_target"
        raise PolicyInputError("backorder_cost_per_unit_period", rule, backorder)
    if order_cost is None and order_quantity is None:
        raise PolicyInputError("order_cost", ">= 0, or absent beside order_quantity", None)
    if backorder is not None:
        setup = order_cost or 0.0
        best = best_lot_policy(setup, holding, backorder, of_period, lead, order_quantity)
        r, lot, cost = best.r, best.Q, best.cost_per_period
    else:
        lot = _lot_for_fill(order_cost, holding, of_period, order_quantity)
        r = reorder_point_for_fill(of_period, lead, lot, fill_target or 0.0)
        stock = LeadTimeCosts(holding, 0.0, of_period.over(lead)).mean_over(r, lot)
        cost = (order_cost or 0.0) * of_period.mean / lot + stock
    cover = of_period.over(lead)
    return {
        "r": int(r) if cover.is_whole else r,
        "Q": int(lot) if cover.is_whole else lot,
        "cost_per_period": cost,
        "safety_stock": r - cover.mean,
        "orders_per_period": of_period.mean / lot if lot > 0 else None,
        "cycle_service": 1 - float(cover.above(r)),
        "fill_rate": float(fill_rate(of_period, lead, r, lot)) if lot > 0 else None,
        "demand": of_period.describe(),
    }


def _demand_of(demand: Demand | None, rate: float | None) -> Demand:
    if demand is None:
        if rate is None:
            rule = f"{DEMAND_RATE.rule}, or absent beside demand"
            raise PolicyInputError("demand_rate_per_period", rule, None)
        return PoissonDemand(rate)
    if rate is not None and not abs(rate - demand.mean) <= 1e-9 * max(1.0, rate):
        rule = f"absent, or the mean of demand, {demand.mean:g}"
        raise PolicyInputError("demand_rate_per_period", rule, rate)
    return demand


def _lot_for_fill(
    order_cost: float | None, holding: float, demand: Demand, quantity: float | None
) -> float:
    """The lot that is given, or else the economic one, in whole units for whole demand."""
    if quantity is not None:
        return checked_lot(quantity, demand)
    lot = float(economic_lot(order_cost or 0.0, holding, demand.mean).order_quantity)
    if demand.is_whole:
        return max(1.0, float(np.rint(lot)))
    if not lot > 0:
        raise PolicyInputError("order_quantity", "> 0 where order_cost or demand is 0", None)
    return lot
