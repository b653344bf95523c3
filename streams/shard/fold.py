"""The fold: one batch of one topic partition into the sums, and what must wait for its time.

Pure: the columns, the clock of the log and the memories decide; no wall clock, no I/O.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from policy.compiled import compiled_with
from streams.contracts.codes import Kind
from streams.hashing import mix
from streams.state.bucket_rings import RingArrays, list_cell, slot_of
from streams.state.key_memory import MemoryArrays, recall
from streams.timestamps import DAY_MS, MINUTE_MS, NO_CLOCK
from streams.types import Int8Array, Int32Array, Int64Array, UInt8Array, UInt64Array


class Outcome(IntEnum):
    """What became of a record. The four of them and the rejects are all that was consumed."""

    FOLDED = 0
    DUPLICATE = 1
    LATE = 2
    HEARTBEAT = 3


_PLACED = int(Kind.PLACED)
_CANCELLED = int(Kind.CANCELLED)
_RETURNED = int(Kind.RETURNED)
_HEARTBEAT = int(Kind.HEARTBEAT)
_FOLDED = int(Outcome.FOLDED)
_DUPLICATE = int(Outcome.DUPLICATE)
_LATE = int(Outcome.LATE)
_BEAT = int(Outcome.HEARTBEAT)
_CHUNK = 256
_SECONDS_BITS = 33  # of what is remembered of an event; above them is a hash of its content
_CONTENT_MASK = (1 << 30) - 1
_HOUR_SALT = 1 << 40


@dataclass(frozen=True, slots=True)
class Admitted:
    """For each row: what became of it, and when it takes effect."""

    outcome: UInt8Array
    effective_ms: Int64Array
    late_folded: int  # older than the allowed lateness, within the grace
    clock_ms: int
    is_reused: UInt8Array  # a duplicate by its id, with other content


@compiled_with(inline="always")
def _content(order_key: int, item_hash: int, quantity: int, code: int) -> int:
    """Return what an event says, in 30 bits; never 0: that is an event of which none is known."""
    whole = mix(mix(mix(order_key, item_hash), quantity), code)
    return np.int64(np.uint64(whole) & np.uint64(_CONTENT_MASK)) | 1


@compiled_with(inline="always")
def _prefetch(slots: Int32Array, key: int) -> int:
    """Read the slots of a key, so that the later look-up finds them in the cache."""
    slot = np.int64(np.uint64(key) >> np.uint64(20)) & (slots.shape[1] - 1)
    return slots[0, slot] + slots[1, slot]


@compiled_with(error_model="numpy")
def _admit(
    code: Int8Array,
    occurred_ms: Int64Array,
    event_key: UInt64Array,
    order_key: UInt64Array,
    item_hash: UInt64Array,
    quantity: Int64Array,
    clock_ms: int,
    allowed_lateness_ms: int,
    grace_ms: int,
    seen: MemoryArrays,
    outcome: UInt8Array,
    effective_ms: Int64Array,
    is_reused: UInt8Array,
) -> tuple[int, int, int]:
    """Decide what becomes of each row, and move the log's clock."""
    entries, slots, counters = seen
    late_folded = 0
    warmed = 0
    for start in range(0, code.size, _CHUNK):
        stop = min(start + _CHUNK, code.size)
        for row in range(start, stop):
            warmed += _prefetch(slots, event_key[row])
        for row in range(start, stop):
            occurred = occurred_ms[row]
            if code[row] == _HEARTBEAT:
                outcome[row] = _BEAT
                clock_ms = max(clock_ms, occurred)
                continue
            now_s = max(clock_ms, occurred) // 1000
            content = _content(order_key[row], item_hash[row], quantity[row], code[row])
            remembered = now_s | (content << _SECONDS_BITS)
            before = recall(entries, slots, counters, event_key[row], remembered)
            if before >= 0:
                outcome[row] = _DUPLICATE
                known = before >> _SECONDS_BITS
                is_reused[row] = known != 0 and known != content
                continue
            clock_ms = max(clock_ms, occurred)
            if occurred < clock_ms - grace_ms:
                outcome[row] = _LATE
                continue
            outcome[row] = _FOLDED
            is_late = occurred < clock_ms - allowed_lateness_ms
            late_folded += is_late
            effective_ms[row] = clock_ms if is_late else occurred
    return clock_ms, late_folded, warmed


@compiled_with(error_model="numpy")
def _count(
    code: Int8Array,
    occurred_ms: Int64Array,
    quantity: Int64Array,
    order_key: UInt64Array,
    item: Int32Array,
    outcome: UInt8Array,
    orders: MemoryArrays,
    again: MemoryArrays,
    minutes: RingArrays,
    hours: RingArrays,
    days: RingArrays,
    is_new_order: UInt8Array,
) -> int:
    """Add the folded order lines to the rings."""
    orders_entries, orders_slots, orders_counters = orders
    again_entries, again_slots, again_counters = again
    minute_cells, minute_dirty, minute_listed, minute_counters = minutes
    hour_cells, hour_dirty, hour_listed, hour_counters = hours
    day_cells, day_dirty, day_listed, day_counters = days
    warmed = 0
    open_minute = NO_CLOCK
    minute_slot = hour_slot = day_slot = -1
    for start in range(0, code.size, _CHUNK):
        stop = min(start + _CHUNK, code.size)
        for row in range(start, stop):
            if code[row] == _PLACED:
                day = occurred_ms[row] // DAY_MS
                order_key[row] = mix(mix(order_key[row], item[row]), day)
                warmed += _prefetch(orders_slots, order_key[row])
        for row in range(start, stop):
            if outcome[row] != _FOLDED:
                continue
            occurred = occurred_ms[row]
            kind = code[row]
            sku = item[row]
            units = quantity[row]
            if kind == _PLACED:
                minute = occurred // MINUTE_MS
                hour = minute // 60
                # `orders` remembers the minute of an order's first line of the day; the few
                # orders with lines in further minutes are remembered by those in `again`.
                key = order_key[row]
                first = recall(orders_entries, orders_slots, orders_counters, key, minute)
                new_day = new_hour = new_minute = first < 0
                if first >= 0 and first != minute:
                    by_minute = mix(key, minute)
                    new_minute = (
                        recall(again_entries, again_slots, again_counters, by_minute, 0) < 0
                    )
                    if first // 60 != hour:
                        by_hour = mix(key, _HOUR_SALT + hour)
                        new_hour = (
                            recall(again_entries, again_slots, again_counters, by_hour, 0) < 0
                        )
                if minute != open_minute:
                    # Rows come nearly in time order: most of them fall into the open minute.
                    open_minute = minute
                    minute_slot = slot_of(minute_cells, minute_counters, minute)
                    hour_slot = slot_of(hour_cells, hour_counters, hour)
                    day_slot = slot_of(day_cells, day_counters, hour // 24)
                if minute_slot >= 0:
                    list_cell(minute_dirty, minute_listed, minute_counters, minute_slot, sku)
                    minute_cells[minute_slot, sku].units += units
                    minute_cells[minute_slot, sku].lines += 1
                    minute_cells[minute_slot, sku].orders += new_minute
                if hour_slot >= 0:
                    list_cell(hour_dirty, hour_listed, hour_counters, hour_slot, sku)
                    hour_cells[hour_slot, sku].units += units
                    hour_cells[hour_slot, sku].lines += 1
                    hour_cells[hour_slot, sku].orders += new_hour
                if day_slot >= 0:
                    list_cell(day_dirty, day_listed, day_counters, day_slot, sku)
                    day_cells[day_slot, sku].units += units
                    day_cells[day_slot, sku].lines += 1
                    day_cells[day_slot, sku].orders += new_day
                is_new_order[row] = new_day
            elif kind == _CANCELLED or kind == _RETURNED:  # noqa: SIM109 (numba is faster so)
                slot = slot_of(day_cells, day_counters, occurred // DAY_MS)
                if slot >= 0:
                    list_cell(day_dirty, day_listed, day_counters, slot, sku)
                    if kind == _CANCELLED:
                        day_cells[slot, sku].cancelled_units += units
                    else:
                        day_cells[slot, sku].returned_units += units
    return warmed


def admit_rows(
    *,
    code: Int8Array,
    occurred_ms: Int64Array,
    event_key: UInt64Array,
    order_key: UInt64Array,
    item_hash: UInt64Array,
    quantity: Int64Array,
    clock_ms: int,
    allowed_lateness_ms: int,
    grace_ms: int,
    seen: MemoryArrays,
) -> Admitted:
    """Decide what becomes of rows, in log order.

    Args:
        code, occurred_ms, event_key, order_key, item_hash, quantity: columns, shape (row,).
        clock_ms: newest time so far in this log, `NO_CLOCK` at its beginning.
        allowed_lateness_ms: an event older than clock - this takes effect at the clock.
        grace_ms: an event older than clock - this is not folded.
        seen: events seen, changed in place; it must have room for the rows.
    """
    outcome = np.zeros(code.size, np.uint8)
    effective_ms = np.zeros(code.size, np.int64)
    is_reused = np.zeros(code.size, np.uint8)
    clock_ms, late_folded, _ = _admit(
        code,
        occurred_ms,
        event_key,
        order_key,
        item_hash,
        quantity,
        clock_ms,
        allowed_lateness_ms,
        grace_ms,
        seen,
        outcome,
        effective_ms,
        is_reused,
    )
    return Admitted(outcome, effective_ms, late_folded, clock_ms, is_reused)


def remembered_s(value: int) -> int:
    """Return the event time, in seconds, in what the memory of event ids holds of an event."""
    return value & ((1 << _SECONDS_BITS) - 1)


def count_rows(
    *,
    code: Int8Array,
    occurred_ms: Int64Array,
    quantity: Int64Array,
    order_key: UInt64Array,
    item: Int32Array,
    outcome: UInt8Array,
    memories: tuple[MemoryArrays, MemoryArrays],
    rings: tuple[RingArrays, RingArrays, RingArrays],
) -> UInt8Array:
    """Add the folded order lines to the rings, in place.

    Args:
        code, occurred_ms, quantity, order_key, item: columns, shape (row,).
        outcome: what `admit_rows` decided, shape (row,).
        memories: orders by item and day, orders with lines in several minutes. They must have
            room for the rows.
        rings: minutes, hours, days. They must have room, and be rolled to the newest folded row.

    Returns:
        For each row, whether it is the first line of its order for this item on this day.
    """
    is_new_order = np.zeros(code.size, np.uint8)
    _count(
        code,
        occurred_ms,
        quantity,
        order_key.copy(),
        item,
        outcome,
        *memories,
        *rings,
        is_new_order,
    )
    return is_new_order
