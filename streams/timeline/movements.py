"""Stock, backlog and demand in event time: what an event does to its item when its time comes."""

import math
from typing import NamedTuple

import numpy as np

from policy.compiled import compiled
from streams.contracts.codes import Kind
from streams.demand.exposure import note_sale, note_stock
from streams.hashing import mix
from streams.state.backlog_age import owe, settle
from streams.state.open_lines import (
    OpenLines,
    begin_generation,
    find,
    is_full,
    remember,
    warm,
)
from streams.types import BoolArray, Float64Array, Int32Array, Int64Array, Record, Table

_PLACED = int(Kind.PLACED)
_CANCELLED = int(Kind.CANCELLED)
_RETURNED = int(Kind.RETURNED)
_DISPATCHED = int(Kind.DISPATCHED)
_COUNTED = int(Kind.COUNTED)
_ADJUSTED = int(Kind.ADJUSTED)
_CHUNK = 256


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
def _change_backlog(row: Record, units: int, at_ms: int) -> None:
    """Let units be owed from now on, or, below zero, no longer."""
    row.backlog_units += units
    if units > 0:
        owe(row, units, at_ms)
    elif units < 0:
        settle(row, -units)


@compiled
def _change_line(row: Record, before: int, after: int) -> int:
    """Note how much of a line is open now; return by how much the backlog changes."""
    change = max(0, after) - max(0, before)
    row.open_line_units += change
    return change


@compiled
def _order(
    row: Record,
    entry: Record,
    key: int,
    changes: Table,
    is_newest: BoolArray,
    slots: Int32Array,
    counters: Int64Array,
) -> None:
    """Let an order wait, less what was dispatched or cancelled of its line before it came."""
    change = entry.quantity
    if entry.order_key != 0:
        slot = find(changes, slots, key)
        place = slots[slot] - 1
        before = np.int64(changes[place].open_units) if place >= 0 else 0
        after = before + entry.quantity
        after = remember(changes, is_newest, slots, counters, slot, key, entry.item, after)
        change = _change_line(row, before, after)
    _change_backlog(row, change, entry.effective_ms)


@compiled
def _leave(
    row: Record,
    entry: Record,
    key: int,
    changes: Table,
    is_newest: BoolArray,
    slots: Int32Array,
    counters: Int64Array,
) -> None:
    """Take units of an order out of the backlog: those of its own line, if it is remembered.

    A cancellation undoes no dispatch: it takes at most what is open. If the line is not remembered,
    its order is one of those that are not known one by one; or it is still to come, and then it
    will find them taken.
    """
    units = entry.quantity
    slot = find(changes, slots, key)
    place = slots[slot] - 1 if entry.order_key != 0 else -1
    if place >= 0:
        before = np.int64(changes[place].open_units)
        taken = units if entry.code == _DISPATCHED else min(units, max(0, before))
        change = 0
    else:
        before = 0
        paid = min(units, row.backlog_units - row.open_line_units)
        is_awaited = entry.order_key != 0 and not row.assume_dispatched
        taken = units - paid if is_awaited else 0
        change = -paid
    if taken > 0:
        after = before - taken
        after = remember(changes, is_newest, slots, counters, slot, key, entry.item, after)
        change += _change_line(row, before, after)
    _change_backlog(row, change, entry.effective_ms)


@compiled
def _apply(
    entries: Table,
    rows: Table,
    changes: Table,
    is_newest: BoolArray,
    slots: Int32Array,
    counters: Int64Array,
    in_campaign: BoolArray,
    elapsed: Float64Array,
    shop_orders: int,
    size_kept: float,
    is_touched: BoolArray,
) -> tuple[int, int, int]:
    """Apply entries; return lines and units that were written off, and what it was warmed by."""
    keys = np.empty(_CHUNK, np.uint64)
    lines_gone = units_gone = warmed = 0
    for place in range(entries.size):
        if place % _CHUNK == 0:
            for ahead in range(place, min(place + _CHUNK, entries.size)):
                key = mix(entries[ahead].order_key, entries[ahead].item)
                keys[ahead - place] = key
                warmed += warm(changes, slots, key)
        entry = entries[place]
        key = keys[place % _CHUNK]
        row = rows[entry.item]
        units = entry.quantity
        code = entry.code
        is_touched[entry.item] = True
        if is_full(counters):
            for line in begin_generation(changes, is_newest, slots, counters):
                if line.open_units > 0:
                    lines_gone += 1
                    units_gone += line.open_units
                    rows[line.item].open_line_units -= line.open_units
                    _change_backlog(rows[line.item], -line.open_units, entry.effective_ms)
                    note_stock(rows, line.item, entry.effective_ms, elapsed, shop_orders)
                    is_touched[line.item] = True
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
                _order(row, entry, key, changes, is_newest, slots, counters)
        elif code == _CANCELLED:
            row.cancelled_units += units
            row.day_undone_units += units
            row.day_units -= units
            # What left with its order comes back; else what did not leave is no longer owed.
            if row.assume_dispatched:
                row.on_hand_units += units
            else:
                _leave(row, entry, key, changes, is_newest, slots, counters)
        elif code == _RETURNED:
            row.returned_units += units
            row.day_undone_units += units
            row.on_hand_units += units
        elif code == _DISPATCHED:
            if not row.assume_dispatched:  # else it left when it was placed
                row.on_hand_units -= units
            _leave(row, entry, key, changes, is_newest, slots, counters)
        elif code == _COUNTED:
            row.on_hand_units = units
            row.counted_at_ms = entry.effective_ms
        elif code == _ADJUSTED:
            row.on_hand_units += units
        note_stock(rows, entry.item, entry.effective_ms, elapsed, shop_orders)
    return lines_gone, units_gone, warmed


class WrittenOff(NamedTuple):
    """What was written off of customers' orders, because too many of them are open."""

    lines: int
    units: int


def apply_entries(
    entries: Table,
    rows: Table,
    lines: OpenLines,
    in_campaign: BoolArray,
    elapsed: Float64Array,
    shop_orders: int,
    size_kept: float,
) -> tuple[Int32Array, WrittenOff]:
    """Apply entries to the rows of their items, in place, in the order given.

    Args:
        entries: `streams.state.pending.ENTRY` records, in the order in which they take effect.
        rows: `streams.state.items.ROW` records, shape (item,).
        lines: what is open of each order, changed in place.
        in_campaign: which entries fall into a campaign window of their item, shape (entry,).
        elapsed: of the shop's profile, shape (169,).
        shop_orders: the shop's orders, by item and day, before the entries.
        size_kept: weight of what is known of an item's order sizes, after one more order.

    Returns:
        The items that were touched, each once, ascending, and what was written off.
    """
    lines.reserve(entries.size)
    is_touched = np.zeros(rows.size, np.bool_)
    gone_lines, gone_units, _ = _apply(
        entries,
        rows,
        *lines.arrays,
        in_campaign,
        elapsed,
        shop_orders,
        size_kept,
        is_touched,
    )
    touched: Int32Array = np.flatnonzero(is_touched).astype(np.int32)
    return touched, WrittenOff(gone_lines, gone_units)
