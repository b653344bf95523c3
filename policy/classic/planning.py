"""The rules by which most shops order: reorder point, periodic review, cover time, and MRP."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from policy.classic.fields import FloatArray, Given, Number, Numbers
from policy.classic.lots import DEMAND_RATE, QUANTITY
from policy.classic.newsvendor import LEAD_TIME
from policy.errors import PolicyInputError

ON_HAND = Number("on_hand", "units in stock")
ON_ORDER = Number("on_order", "units that are ordered and have not come")
BACKLOG = Number("backlog", "units that are owed to customers")
REORDER_POINT = Number(
    "reorder_point", "position at which, or below which, an order is placed", low=-1e15
)
LEVEL = Number("level", "position to which an order raises", low=-1e15)
SAFETY_PERIODS = Number("safety_periods", "periods of demand that are kept as safety stock")
ORDER_PERIODS = Number("order_periods", "periods of demand that an order covers")
_LARGEST_ORDER = 1e15


def position(on_hand: Given, on_order: Given = 0.0, backlog: Given = 0.0) -> FloatArray:
    """Return the stock position: on hand + on order - backlog."""
    stock = ON_HAND.check(on_hand) + ON_ORDER.check(on_order)
    return np.asarray(stock - BACKLOG.check(backlog))


def reorder_in_lots(position: Given, reorder_point: Given, order_quantity: Given) -> FloatArray:
    """Return the order of an (r, nQ) policy: as many lots as lift the position above r.

    >>> reorder_in_lots([5, 4, -7], 4, 10).tolist()
    [0.0, 10.0, 20.0]
    """
    at, point = np.asarray(position, dtype=float), REORDER_POINT.check(reorder_point)
    lot = QUANTITY.check(order_quantity)
    lots = np.floor((point - at) / lot) + 1
    return np.where(at <= point, lots * lot, 0.0)


def reorder_up_to(position: Given, reorder_point: Given, level: Given) -> FloatArray:
    """Return the order of an (s, S) policy: up to the level, once the position is at s or below.

    Raises:
        PolicyInputError: a level below the reorder point.

    >>> reorder_up_to([5, 4, -7], 4, 12).tolist()
    [0.0, 8.0, 19.0]
    """
    at, point = np.asarray(position, dtype=float), REORDER_POINT.check(reorder_point)
    top = LEVEL.check(level)
    if not (top >= point).all():
        raise PolicyInputError(LEVEL.name, f">= {REORDER_POINT.name}", float(top.min()))
    return np.where(at <= point, top - at, 0.0)


def review_order(position: Given, level: Given) -> FloatArray:
    """Return the order of an (R, S) policy at a review: what lacks to the level.

    >>> review_order([5, 12, -7], 12).tolist()
    [7.0, 0.0, 19.0]
    """
    return np.asarray(np.maximum(LEVEL.check(level) - np.asarray(position, dtype=float), 0.0))


@dataclass(frozen=True)
class CoverOrder:
    """Periods that the position lasts, and what is ordered."""

    cover_periods: FloatArray
    """Position / demand; infinite without demand."""
    order_quantity: FloatArray


def order_by_cover(
    position: Given,
    demand: Given,
    lead_time_periods: Given,
    safety_periods: Given,
    order_periods: Given,
) -> CoverOrder:
    """Return the order of cover-time planning.

    Ordered is when position / demand < lead time + safety time, up to a cover of lead time +
    safety time + order periods. Without demand only a backlog is ordered.

    >>> order = order_by_cover([100, 69], 10, lead_time_periods=5, safety_periods=2,
    ...                        order_periods=10)
    >>> order.cover_periods.tolist(), order.order_quantity.tolist()
    ([10.0, 6.9], [0.0, 101.0])
    """
    at, rate = np.asarray(position, dtype=float), DEMAND_RATE.check(demand)
    least = LEAD_TIME.check(lead_time_periods) + SAFETY_PERIODS.check(safety_periods)
    most = least + ORDER_PERIODS.check(order_periods)
    at, rate, least, most = np.broadcast_arrays(at, rate, least, most)
    cover = np.divide(at, rate, out=np.full(at.shape, np.inf), where=rate > 0)
    is_due = at < rate * least
    return CoverOrder(cover, np.where(is_due, np.maximum(rate * most - at, 0.0), 0.0))


GROSS = Numbers("gross_requirements", "units needed by period", Number("", ""))
RECEIPTS = Numbers(
    "scheduled_receipts", "units on their way by period of arrival", Number("", ""), fewest=0
)
SAFETY_STOCK = Number("safety_stock", "units below which the projected stock shall not fall")
LEAST_LOT = Number("minimum_order_units", "least units of an order")
LOT_MULTIPLE = Number("order_multiple_units", "orders are multiples of it; 0 means any quantity")
LOT_PERIODS = Number(
    "lot_periods", "periods of net requirements that a lot covers", low=1, high=1e4, is_whole=True
)


@dataclass(frozen=True)
class NetPlan:
    """Requirements netted against stock, by period."""

    net_requirements: FloatArray
    planned_receipts: FloatArray
    planned_orders: FloatArray
    """Planned receipts, a lead time earlier."""
    overdue_orders: float
    """Units whose order should have left before the first period."""
    projected_stock: FloatArray
    """At the end of each period, with planned receipts."""


def net_requirements(
    gross: Given,
    receipts: Given,
    on_hand: float,
    *,
    lead_time_periods: float,
    safety_stock: float = 0.0,
    minimum_order: float = 0.0,
    multiple: float = 0.0,
    lot_periods: int = 1,
) -> NetPlan:
    """Return the planned orders of material requirements planning for one item.

    Args:
        gross: units needed, shape (period,), >= 0.
        receipts: units on their way, at the start of their period; shorter than `gross` means 0.
        on_hand: units at the start, >= 0.
        lead_time_periods: whole periods from an order to its arrival, >= 0.
        safety_stock: units below which the projected stock shall not fall, >= 0.
        minimum_order, multiple: units of an order, >= 0; a multiple of 0 means any quantity.
        lot_periods: periods of net requirements in a lot; 1 is lot for lot.

    Raises:
        PolicyInputError: an argument breaks a range above.

    >>> plan = net_requirements([10, 40, 0, 30], [0, 20], 15, lead_time_periods=1, multiple=25)
    >>> plan.planned_receipts.tolist(), plan.planned_orders.tolist()
    ([0.0, 25.0, 0.0, 25.0], [25.0, 0.0, 25.0, 0.0])
    """
    needed = GROSS.element.check(gross)
    coming = np.zeros_like(needed)
    given = GROSS.element.check(receipts) if np.size(receipts) else np.zeros(0)
    if given.size > needed.size:
        rule = f"a list of at most {needed.size} numbers, as gross_requirements has"
        raise PolicyInputError(RECEIPTS.name, rule, given.tolist())
    coming[: given.size] = given
    lead = int(_whole_lead(lead_time_periods))
    safety = float(SAFETY_STOCK.check(safety_stock))
    least, step = float(LEAST_LOT.check(minimum_order)), float(LOT_MULTIPLE.check(multiple))
    span = int(LOT_PERIODS.check(lot_periods))
    stock = float(ON_HAND.check(on_hand))
    planned, net, projected = (np.zeros_like(needed) for _ in range(3))
    for period in range(needed.size):
        stock += coming[period] - needed[period]
        net[period] = max(safety - stock, 0.0)
        if net[period] > 0:
            ahead = coming[period + 1 : period + span] - needed[period + 1 : period + span]
            planned[period] = _lot(_lacking(stock, ahead, safety), least, step)
        stock += planned[period]
        projected[period] = stock
    orders = np.append(planned[lead:], np.zeros(min(lead, planned.size)))
    return NetPlan(net, planned, orders, float(planned[:lead].sum()), projected)


def _whole_lead(lead_time: float) -> float:
    lead = float(LEAD_TIME.check(lead_time))
    if lead != round(lead):
        raise PolicyInputError(LEAD_TIME.name, "a whole number >= 0", lead_time)
    return lead


def _lacking(stock: float, changes: npt.NDArray[np.float64], safety: float) -> float:
    """Return what lacks at the worst of the periods ahead."""
    lowest = stock + min(0.0, float(np.cumsum(changes).min(initial=0.0)))
    return safety - lowest


def _lot(units: float, least: float, step: float) -> float:
    lot = max(units, least)
    return step * np.ceil(lot / step - 1e-9) if step > 0 else lot
