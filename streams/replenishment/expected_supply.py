"""Which units on order a position leaves out: those due too late, and those that hardly come."""

from collections.abc import Iterable

import numpy as np

from policy.dual_index.arrivals import counted_share
from streams.contracts.purchase_orders import SupplierRole
from streams.state.open_orders import AWAITING_APPROVAL, OpenOrder
from streams.timestamps import DAY_MS
from streams.types import Int64Array, Table

NOT_SENT = (AWAITING_APPROVAL, "held")
"""States of orders that have not left: their supplier is not late with them."""


def uncounted_units(
    orders: Iterable[OpenOrder], row: Table, latest_ms: float, now_ms: int
) -> Int64Array:
    """Return the units of one item's open orders that bring nothing in time, shape (role,).

    An order that is due after a lean order of the next review would be counts not at all: it would
    hide a gap. One that is overdue counts with the chance that it still comes; overdue beyond what
    lead times explain it counts not at all, until a new date is named.

    Args:
        orders: that are open.
        row: one record of `streams.state.items.ROW`.
        latest_ms: when a lean order of the next review would be due.
        now_ms: event time of the review.
    """
    left_out = np.zeros(len(SupplierRole), np.int64)
    for order in orders:
        place = list(SupplierRole).index(order.role)
        if order.due_ms > latest_ms:
            left_out[place] += order.outstanding
        elif order.due_ms < now_ms and order.state not in NOT_SENT:
            due_in_days = np.array((order.due_ms - now_ms) / DAY_MS)
            lead_days = np.array(float(row[f"lead_time_days_{order.role}"]))
            share = float(counted_share(due_in_days, lead_days))
            left_out[place] += order.outstanding - round(share * order.outstanding)
    return left_out
