"""Stock, backlog and demand in event time: what an event does to its item when its time comes."""

import math

import numpy as np

from policy.compiled import compiled
from streams.contracts.codes import Kind
from streams.demand.exposure import note_sale, note_stock
from streams.state.backlog_age import owe, settle
from streams.types import BoolArray, Float64Array, Int32Array, Record, Table

_PLACED = int(Kind.PLACED)
_CANCELLED = int(Kind.CANCELLED)
_RETURNED = int(Kind.RETURNED)
_DISPATCHED = int(Kind.DISPATCHED)
_COUNTED = int(Kind.COUNTED)
_ADJUSTED = int(Kind.ADJUSTED)


@compiled
def _teach_sale(row: Record, units: int, is_new_order: bool, size_kept: float) -> None:
    """Keep a sale outside campaigns for the estimate of its day, and the size of its order."""
    row.day_taught_orders += is_new_order
    row.day_taught_units += units
    if is_new_order:
        limit = row.size_limit_units
        log = math.log(min(float(units), limit) if limit > 0 else float(units))
        row.size_count = row.size_count * size_kept + 1.0
        row.size_logs = row.size_logs * size_kept + log
        row.size_log_squares = row.size_log_squares * size_kept + log * log


@compiled
def _apply(
    entries: Table,
    rows: Table,
    in_campaign: BoolArray,
    elapsed: Float64Array,
    shop_orders: int,
    size_kept: float,
) -> None:
    for place in range(entries.size):
        entry = entries[place]
        row = rows[entry.item]
        units = entry.quantity
        code = entry.code
        if code == _PLACED:
            shop_orders += entry.is_new_order
            note_sale(row, entry.effective_ms, elapsed, shop_orders)
            row.tick_orders += entry.is_new_order
            row.tick_units += units
            row.tick_largest_units = max(row.tick_largest_units, units)
            row.day_orders += entry.is_new_order
            row.day_units += units
            if in_campaign[place]:
                row.campaign_units += units
                row.plan_day_orders += entry.is_new_order
                row.plan_day_units += units
            else:
                _teach_sale(row, units, entry.is_new_order, size_kept)
            if row.assume_dispatched:
                row.on_hand_units -= units
            else:
                row.backlog_units += units
                owe(row, units, entry.effective_ms)
        elif code == _CANCELLED:
            row.cancelled_units += units
            row.day_undone_units += units
            row.day_units -= units
            # What already left comes back; what did not leave is no longer owed.
            if row.assume_dispatched:
                row.on_hand_units += units
            else:
                row.backlog_units = max(0, row.backlog_units - units)
                settle(row, units)
        elif code == _RETURNED:
            row.returned_units += units
            row.day_undone_units += units
            row.on_hand_units += units
        elif code == _DISPATCHED:
            row.on_hand_units -= units
            row.backlog_units = max(0, row.backlog_units - units)
            settle(row, units)
        elif code == _COUNTED:
            row.on_hand_units = units
            row.counted_at_ms = entry.effective_ms
        elif code == _ADJUSTED:
            row.on_hand_units += units
        note_stock(rows, entry.item, entry.effective_ms, elapsed, shop_orders)


def apply_entries(
    entries: Table,
    rows: Table,
    in_campaign: BoolArray,
    elapsed: Float64Array,
    shop_orders: int,
    size_kept: float,
) -> Int32Array:
    """Apply entries to the rows of their items, in place, in the order given.

    Args:
        entries: `streams.state.pending.ENTRY` records, in the order in which they take effect.
        rows: `streams.state.items.ROW` records, shape (item,).
        in_campaign: which entries fall into a campaign window of their item, shape (entry,).
        elapsed: of the shop's profile, shape (169,).
        shop_orders: the shop's orders, by item and day, before the entries.
        size_kept: weight of what is known of an item's order sizes, after one more order.

    Returns:
        The items that were touched, each once, ascending.
    """
    _apply(entries, rows, in_campaign, elapsed, shop_orders, size_kept)
    is_touched = np.zeros(rows.size, np.bool_)
    is_touched[entries["item"]] = True
    touched: Int32Array = np.flatnonzero(is_touched).astype(np.int32)
    return touched
