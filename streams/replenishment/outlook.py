"""Stock and demand of the days ahead, for the items whose lean supplier is slow."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from policy.dual_index.projection import OpenOrders, project, strain_of
from policy.slow_lean import stated_suppliers, window_days
from streams.contracts.purchase_orders import InputValue, SupplierRole
from streams.replenishment.expected_supply import NOT_SENT
from streams.state.open_orders import OpenOrder
from streams.timestamps import DAY_MS
from streams.types import AnyArray, BoolArray, Float64Array, Int64Array, Table

OutlookRecord = dict[str, InputValue]
"""The fields `outlook_...` of `policy.ReviewInputs` for one item, as plain values."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """What is known of the days ahead of the items under review."""

    orders: OpenOrders
    """The place of an order's item is that among the items under review."""
    path_units: Float64Array
    """Expected units of each day ahead, shape (item, day)."""
    level_units_per_day: Float64Array
    """Of an ordinary day, without plans and surges, shape (item,)."""
    is_demand_raised: BoolArray
    """By a campaign or surge, now or within a lean lead time, shape (item,)."""


def open_orders(of_items: Iterable[Iterable[OpenOrder]], now_ms: int) -> OpenOrders:
    """Return the open orders of items as columns; one that has not left is due at the earliest now.

    Args:
        of_items: the orders of each item under review.
        now_ms: event time of the review.
    """
    found = [
        (
            place,
            order.outstanding,
            max(order.due_ms, now_ms) if order.state in NOT_SENT else order.due_ms,
            order.role == SupplierRole.LEAN,
        )
        for place, orders in enumerate(of_items)
        for order in orders
    ]
    item, units, due_ms, is_lean = zip(*found, strict=True) if found else ((), (), (), ())
    return OpenOrders(
        item=np.array(item, np.int64),
        units=np.array(units, np.float64),
        due_in_days=(np.array(due_ms, np.float64) - now_ms) / DAY_MS,
        is_lean=np.array(is_lean, np.bool_),
    )


def outlook_columns(decisions: Table, places: Int64Array, ahead: Ahead) -> dict[str, AnyArray]:
    """Return the fields `outlook_...` of all decisions; zeros for those that are not chosen.

    Sets the position of the chosen ones to what is still expected to come.

    Args:
        decisions: records of `streams.replenishment.decision_record`.
        places: of those whose lean supplier is slow.
        ahead: what is known of the days ahead, of all.
    """
    chosen = decisions[places]
    leads = [
        chosen[f"lead_time_days_{role}"] + chosen[f"dispatch_delay_days_{role}"]
        for role in SupplierRole
    ]
    review = chosen["review_period_days"]
    suppliers = stated_suppliers(review, *leads)
    orders = _of_places(ahead.orders, places)
    path = ahead.path_units[places]
    mean = np.maximum(chosen["demand_mean_units_per_day"], 1e-9)
    index = chosen["demand_sd_units_per_day"] ** 2 / mean
    seen = project(
        (chosen["on_hand_units"] - chosen["backlog_units"]).astype(np.float64),
        orders,
        path,
        path * index[:, None],
        suppliers,
        window_days(review, *leads),
    )
    decisions["inventory_position_units"][places] = seen.position
    columns = {
        "outlook_demand_units": seen.mean,
        "outlook_demand_variance": seen.variance,
        "outlook_supply_units": seen.supply,
        "outlook_arrival_chance": seen.chance,
        "outlook_uncertain_units": seen.uncertain_units,
        "outlook_strain": strain_of(orders, suppliers, ahead.is_demand_raised[places]),
        "outlook_level_units_per_day": ahead.level_units_per_day[places],
    }
    return {name: _spread(values, places, decisions.size) for name, values in columns.items()}


def _spread(values: AnyArray, places: Int64Array, size: int) -> AnyArray:
    """Return values at their places among zeros."""
    column: AnyArray = np.zeros((size, *values.shape[1:]), values.dtype)
    column[places] = values
    return column


def _of_places(orders: OpenOrders, places: Int64Array) -> OpenOrders:
    """Return the orders of some items, by their place among those."""
    known = np.isin(orders.item, places)
    return OpenOrders(
        np.searchsorted(places, orders.item[known]),
        orders.units[known],
        orders.due_in_days[known],
        orders.is_lean[known],
    )


def outlook_record(columns: dict[str, AnyArray], place: int) -> OutlookRecord:
    """Return the outlook of one decision as plain values, from which it can be computed again."""
    return {name: values[place].tolist() for name, values in columns.items()}
