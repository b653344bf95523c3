"""The economic order quantity: with backorders, at a finite production rate, and its cost curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policy.classic.fields import FloatArray, Given, Number
from policy.errors import PolicyInputError

ORDER_COST = Number("order_cost", "fixed cost of an order, whatever its size")
HOLDING = Number(
    "holding_cost_per_unit_period", "cost of one unit in stock for one period", is_above=True
)
BACKORDER = Number(
    "backorder_cost_per_unit_period", "cost of one unit owed for one period", is_above=True
)
DEMAND_RATE = Number("demand_per_period", "units demanded in a period")
PRODUCTION_RATE = Number(
    "production_rate_per_period", "units a period while a lot arrives", is_above=True
)
QUANTITY = Number("order_quantity", "units of an order", is_above=True)


@dataclass(frozen=True)
class Lot:
    """Economic lots; every array has the shape of the inputs, broadcast."""

    order_quantity: FloatArray
    cost_per_period: FloatArray
    backorder_share: FloatArray
    """Share of a cycle in which units are owed."""
    largest_stock: FloatArray
    largest_backlog: FloatArray


def economic_lot(
    order_cost: Given,
    holding_cost: Given,
    demand: Given,
    *,
    backorder_cost: Given | None = None,
    production_rate: Given | None = None,
) -> Lot:
    """Return the lots of least cost per period, purchases left out.

    Args:
        order_cost: an order, >= 0.
        holding_cost: a unit and period, > 0.
        demand: units a period, constant, >= 0; 0 gives a lot of 0.
        backorder_cost: a unit owed and period, > 0. None means that nothing is ever owed.
        production_rate: units a period while a lot arrives, above the demand. None means that a
            lot arrives at once.

    Raises:
        PolicyInputError: an argument breaks a range above.

    Source: Snyder & Shen (2019), Fundamentals of Supply Chain Theory, chapter 3, example 3.1:

    >>> lot = economic_lot(8, 0.225, 1300)
    >>> float(lot.order_quantity.round(5)), float(lot.cost_per_period.round(6))
    (304.04678, 68.410526)
    """
    setup, rate = ORDER_COST.check(order_cost), DEMAND_RATE.check(demand)
    holding = HOLDING.check(holding_cost)
    kept = _kept_share(rate, production_rate)
    served = _served_share(holding, backorder_cost)
    quantity = np.sqrt(2 * setup * rate / (holding * kept * served))
    return Lot(
        order_quantity=quantity,
        cost_per_period=np.sqrt(2 * setup * rate * holding * kept * served),
        backorder_share=1 - served + 0 * quantity,
        largest_stock=quantity * kept * served,
        largest_backlog=quantity * kept * (1 - served),
    )


def lot_cost(
    quantity: Given,
    order_cost: Given,
    holding_cost: Given,
    demand: Given,
    *,
    backorder_cost: Given | None = None,
    production_rate: Given | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Return the costs per period of ordering and of stock, where lots have `quantity` units.

    With backorders, the share of a cycle in which units are owed is the best one: it is the same
    for every lot.

    >>> ordering, stock = lot_cost([100, 304.04678, 600], 8, 0.225, 1300)
    >>> (ordering + stock).round(2).tolist()
    [115.25, 68.41, 84.83]
    """
    setup, rate = ORDER_COST.check(order_cost), DEMAND_RATE.check(demand)
    holding, lot = HOLDING.check(holding_cost), QUANTITY.check(quantity)
    kept = _kept_share(rate, production_rate)
    served = _served_share(holding, backorder_cost)
    return setup * rate / lot, holding * kept * served * lot / 2


def _kept_share(demand: FloatArray, production_rate: Given | None) -> FloatArray:
    """Share of a lot that is in stock when the last of it has arrived."""
    if production_rate is None:
        return np.ones(())
    rate = PRODUCTION_RATE.check(production_rate)
    if not (rate > demand).all():
        slow = float(np.broadcast_to(rate, np.broadcast_shapes(rate.shape, demand.shape)).min())
        raise PolicyInputError(PRODUCTION_RATE.name, f"> {DEMAND_RATE.name}", slow)
    return np.asarray(1 - demand / rate)


def _served_share(holding: FloatArray, backorder_cost: Given | None) -> FloatArray:
    """Share of a cycle in which nothing is owed."""
    if backorder_cost is None:
        return np.ones(())
    backorder = BACKORDER.check(backorder_cost)
    return np.asarray(backorder / (holding + backorder))
