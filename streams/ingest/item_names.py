"""From the bytes of items' names to their places, without a Python object for each name."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from streams.contracts.events import DEFAULT_WAREHOUSE
from streams.ingest.byte_kernels import (
    Pointer,
    fast,
    hash_text,
    join_padded,
    pointer_to,
    same_bytes,
)
from streams.types import Int32Array, Int64Array, UInt8Array, UInt64Array

_NO_KEY = np.uint64(0)


class Names(NamedTuple):
    """The names of items as bytes that lie in one text; the other arrays have shape (row,)."""

    joined: UInt8Array  # ends with the padding
    item_hash: UInt64Array
    sku_start: Int64Array
    sku_end: Int64Array
    warehouse_start: Int64Array  # -1: the default one
    warehouse_end: Int64Array

    @classmethod
    def of(cls, skus: Sequence[str], warehouses: Sequence[str]) -> "Names":
        """Return the names that Python texts say."""
        text, edges = _lay(skus)
        sku_start, sku_end = edges[:-1], edges[1:]
        warehouse_start, warehouse_end = np.full((2, len(skus)), -1)
        if warehouses.count(DEFAULT_WAREHOUSE) < len(warehouses):
            own = ["" if name == DEFAULT_WAREHOUSE else name for name in warehouses]
            more, edges = _lay(own)
            is_default = edges[:-1] == edges[1:]
            warehouse_start = np.where(is_default, -1, edges[:-1] + len(text))
            warehouse_end = np.where(is_default, -1, edges[1:] + len(text))
            text += more
        joined, item_hash = join_padded([text]), np.empty(len(skus), np.uint64)
        _hash_names(joined, sku_start, sku_end, warehouse_start, warehouse_end, item_hash)
        return cls(joined, item_hash, sku_start, sku_end, warehouse_start, warehouse_end)

    @classmethod
    def concatenate(cls, first: "Names", second: "Names") -> "Names":
        """Return the rows of both."""
        shift = first.joined.size
        moved = (np.where(place < 0, place, place + shift) for place in second[2:])
        joined = np.concatenate([first.joined, second.joined])
        joined.setflags(write=False)  # as every other text is: the kernels are compiled for that
        return cls(
            joined,
            np.concatenate([first.item_hash, second.item_hash]),
            *map(np.concatenate, zip(first[2:], moved, strict=True)),
        )

    def take(self, rows: Any) -> "Names":
        """Return some of the rows, by a mask or by their places."""
        return Names(self.joined, *(column[rows] for column in self[1:]))

    def text(self, row: int) -> tuple[str, str]:
        """Return SKU and warehouse of a row."""
        sku = self._cut(self.sku_start[row], self.sku_end[row])
        if self.warehouse_start[row] < 0:
            return sku, DEFAULT_WAREHOUSE
        return sku, self._cut(self.warehouse_start[row], self.warehouse_end[row])

    def _cut(self, start: int, end: int) -> str:
        return self.joined[start:end].tobytes().decode("utf-8", "surrogatepass")


def _lay(texts: Sequence[str]) -> tuple[bytes, Int64Array]:
    """Return the texts one after the other, and where each begins and the last ends."""
    text = "".join(texts)
    joined = text.encode("utf-8", "surrogatepass")
    counted: Sequence[str | bytes] = texts
    if len(joined) != len(text):
        counted = [part.encode("utf-8", "surrogatepass") for part in texts]
    edges = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, counted), np.int64, len(counted)), out=edges[1:])
    return joined, edges


@fast
def hash_name(
    text: Pointer, sku_start: int, sku_end: int, warehouse_start: int, warehouse_end: int
) -> int:
    key = hash_text(text, sku_start, sku_end, _NO_KEY)
    if warehouse_start < 0:
        return key
    return hash_text(text, warehouse_start, warehouse_end, key)


@fast
def _hash_names(
    joined: UInt8Array,
    sku_start: Int64Array,
    sku_end: Int64Array,
    warehouse_start: Int64Array,
    warehouse_end: Int64Array,
    item_hash: UInt64Array,
) -> None:
    text = pointer_to(joined)
    for row in range(item_hash.size):
        item_hash[row] = hash_name(
            text, sku_start[row], sku_end[row], warehouse_start[row], warehouse_end[row]
        )


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
