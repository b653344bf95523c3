"""Stock, backlog and demand in event time: what an event does to its item when its time comes."""

import numpy as np

from policy.compiled import compiled
from streams.events import Kind
from streams.types import Int32Array, Table

_PLACED = int(Kind.PLACED)
_CANCELLED = int(Kind.CANCELLED)
_RETURNED = int(Kind.RETURNED)
_DISPATCHED = int(Kind.DISPATCHED)
_COUNTED = int(Kind.COUNTED)
_ADJUSTED = int(Kind.ADJUSTED)


@compiled
def _apply(entries: Table, rows: Table) -> None:
    for place in range(entries.size):
        entry = entries[place]
        row = rows[entry.item]
        units = entry.quantity
        code = entry.code
        if code == _PLACED:
            row.tick_orders += entry.is_new_order
            row.day_orders += entry.is_new_order
            row.day_units += units
            if row.assume_dispatched:
                row.on_hand_units -= units
            else:
                row.backlog_units += units
        elif code == _CANCELLED:
            row.cancelled_units += units
            row.day_units -= units
            # What already left comes back; what did not leave is no longer owed.
            if row.assume_dispatched:
                row.on_hand_units += units
            else:
                row.backlog_units = max(0, row.backlog_units - units)
        elif code == _RETURNED:
            row.returned_units += units
            row.on_hand_units += units
        elif code == _DISPATCHED:
            row.on_hand_units -= units
            row.backlog_units = max(0, row.backlog_units - units)
        elif code == _COUNTED:
            row.on_hand_units = units
            row.counted_at_ms = entry.effective_ms
        elif code == _ADJUSTED:
            row.on_hand_units += units


def apply_entries(entries: Table, rows: Table) -> Int32Array:
    """Apply entries to the rows of their items, in place, in the order given.

    Args:
        entries: `streams.pending.ENTRY` records, in the order in which they take effect.
        rows: `streams.items.ROW` records, shape (item,).

    Returns:
        The items that were touched, each once, ascending.
    """
    _apply(entries, rows)
    return np.unique(entries["item"])
