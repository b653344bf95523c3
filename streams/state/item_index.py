"""The index of a shard: places of items by sku and warehouse."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from streams.ingest.byte_kernels import (
    fast,
    pointer_to,
    same_bytes,
)
from streams.ingest.item_names import Names
from streams.types import Int32Array, Int64Array, UInt8Array, UInt64Array

# What the table knows of an item: its hash, and where its name lies in `known`.
_HASH, _SKU_START, _SKU_END, _WAREHOUSE_START, _WAREHOUSE_END = range(5)


@fast
def _slot_of(item_hash: int, slots: int) -> int:
    return np.int64(item_hash >> np.uint64(20)) & (slots - 1)


@fast
def find_items(
    item_hash: UInt64Array,
    joined: UInt8Array,
    sku_start: Int64Array,
    sku_end: Int64Array,
    warehouse_start: Int64Array,
    warehouse_end: Int64Array,
    slots: Int32Array,
    entries: Int64Array,
    known: UInt8Array,
    found: Int32Array,
) -> None:
    """Find the place of each named item.

    Args:
        item_hash, joined, sku_start, sku_end, warehouse_start, warehouse_end: a `Names`.
        slots, entries, known: the arrays of an `ItemTable`.
        found: is filled, shape (row,); -1 for an item that is not in the table.
    """
    text, names = pointer_to(joined), pointer_to(known)
    for row in range(item_hash.size):
        wanted = np.int64(item_hash[row])
        sku_bytes = sku_end[row] - sku_start[row]
        warehouse_bytes = warehouse_end[row] - warehouse_start[row]
        slot = _slot_of(item_hash[row], slots.size)
        while True:
            item = np.int64(slots[slot]) - 1
            if item < 0:
                break
            # The hash alone proves nothing: the bytes decide.
            if (
                entries[item, _HASH] == wanted
                and entries[item, _SKU_END] - entries[item, _SKU_START] == sku_bytes
                and entries[item, _WAREHOUSE_END] - entries[item, _WAREHOUSE_START]
                == warehouse_bytes
                and same_bytes(text, sku_start[row], names, entries[item, _SKU_START], sku_bytes)
                and same_bytes(
                    text,
                    warehouse_start[row],
                    names,
                    entries[item, _WAREHOUSE_START],
                    warehouse_bytes,
                )
            ):
                break
            slot = (slot + 1) & (slots.size - 1)
        found[row] = item


@fast
def _fill_slots(entries: Int64Array, first: int, count: int, slots: Int32Array) -> None:
    for item in range(first, count):
        slot = _slot_of(np.uint64(entries[item, _HASH]), slots.size)
        while slots[slot] != 0:
            slot = (slot + 1) & (slots.size - 1)
        slots[slot] = item + 1


class ItemTable:
    """Finds items by the bytes of their names; an item's place says how many came before it."""

    def __init__(self) -> None:
        self._slots: Int32Array = np.zeros(1024, np.int32)  # place + 1; 0 where free
        self._entries: Int64Array = np.zeros((512, 5), np.int64)
        self._known: UInt8Array = np.zeros(16_384, np.uint8)
        self._known_bytes = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def find(self, names: Names) -> Int32Array:
        """Return the place of each item, shape (row,); -1 for one that is not there."""
        found = np.empty(names.item_hash.size, np.int32)
        find_items(
            names.item_hash,
            *(names.joined, names.sku_start, names.sku_end),
            *(names.warehouse_start, names.warehouse_end),
            *(self._slots, self._entries, self._known, found),
        )
        return found

    def add(self, skus: Sequence[str], warehouses: Sequence[str]) -> None:
        """Give new items the next places. Each must be new, and named once."""
        names = Names.of(skus, warehouses)
        first, self._count = self._count, self._count + len(skus)
        start, self._known_bytes = self._known_bytes, self._known_bytes + names.joined.size
        self._entries = _longer(self._entries, self._count)
        self._known = _longer(self._known, self._known_bytes)
        self._known[start : self._known_bytes] = names.joined
        entries = self._entries[first : self._count]
        entries[:, _HASH] = names.item_hash.view(np.int64)
        for column, places in enumerate(names[2:], _SKU_START):
            entries[:, column] = places + start
        if 2 * self._count > self._slots.size:
            first = 0
            self._slots = np.zeros(1 << (4 * self._count).bit_length(), np.int32)
        _fill_slots(self._entries, first, self._count, self._slots)


def _longer(array: Any, rows: int) -> Any:
    """Return the array with room for `rows`, doubled when it has to grow."""
    if rows <= len(array):
        return array
    longer = np.zeros((max(rows, 2 * len(array)), *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return longer
