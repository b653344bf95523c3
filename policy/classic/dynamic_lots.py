"""Orders of least cost for known demand that changes from period to period (Wagner & Whitin)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policy.classic.fields import FloatArray, Given
from policy.classic.lots import DEMAND_RATE, HOLDING, ORDER_COST
from policy.errors import PolicyInputError


@dataclass(frozen=True)
class OrderPlan:
    """Orders by period, and what they cost over all periods."""

    orders: FloatArray
    order_cost: float
    holding_cost: float

    @property
    def cost(self) -> float:
        """Cost of all orders and of the stock between periods."""
        return self.order_cost + self.holding_cost


def least_cost_orders(order_cost: Given, holding_cost: Given, demand: Given) -> OrderPlan:
    """Return the orders of least cost that meet demand in time, for an empty start and end.

    Args:
        order_cost: an order, >= 0; one number, or one for each period.
        holding_cost: a unit that is left at the end of a period, > 0; one number, or one for each.
        demand: units by period, shape (period,), >= 0. An order meets demand of its own period.

    Raises:
        PolicyInputError: an argument breaks a range above.

    Each order covers whole periods, so a plan is a path through the periods, and the cheapest is
    found from the last period back. Of equal plans the one with less stock is chosen.

    Source: Snyder & Shen (2019), example 3.9:

    >>> plan = least_cost_orders(500, 2, [90, 120, 80, 70])
    >>> plan.orders.tolist(), plan.cost
    ([210.0, 0.0, 150.0, 0.0], 1380.0)
    """
    units = DEMAND_RATE.check(demand)
    if units.ndim != 1 or not units.size:
        raise PolicyInputError("demand", "one row of periods, not empty", demand)
    setup = _by_period(ORDER_COST.check(order_cost), units.size, ORDER_COST.name)
    holding = _by_period(HOLDING.check(holding_cost), units.size, HOLDING.name)
    until = _next_orders(setup, holding, units)
    orders = np.zeros_like(units)
    period = 0
    while period < units.size:
        orders[period] = units[period : until[period]].sum()
        period = until[period]
    left = np.maximum(np.cumsum(orders) - np.cumsum(units), 0.0)
    return OrderPlan(orders, float(setup[orders > 0].sum()), float(left @ holding))


def _by_period(value: FloatArray, periods: int, name: str) -> FloatArray:
    if value.ndim and value.shape != (periods,):
        raise PolicyInputError(name, f"one number, or {periods} as demand has", value.tolist())
    return np.broadcast_to(value, (periods,))


def _next_orders(setup: FloatArray, holding: FloatArray, units: FloatArray) -> list[int]:
    """Return, for an order in each period, the period of the next one."""
    periods = units.size
    kept = np.concatenate(([0.0], np.cumsum(holding)))[:-1]  # holding a unit from period 0 on
    total = np.concatenate(([0.0], np.cumsum(units)))
    weighted = np.concatenate(([0.0], np.cumsum(units * kept)))
    cheapest = np.zeros(periods + 1)
    until = [0] * periods
    for period in range(periods - 1, -1, -1):
        ordered = total[period + 1 :] - total[period]
        stock = weighted[period + 1 :] - weighted[period] - kept[period] * ordered
        cost = np.where(ordered > 0, setup[period], 0.0) + stock + cheapest[period + 1 :]
        best = int(np.argmin(cost))
        cheapest[period], until[period] = cost[best], period + 1 + best
    return until
