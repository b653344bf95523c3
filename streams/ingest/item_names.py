"""From the bytes of items' names to their places, without a Python object for each name."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from streams.contracts.codes import DEFAULT_WAREHOUSE
from streams.ingest.byte_kernels import (
    Pointer,
    fast,
    hash_text,
    join_padded,
    pointer_to,
)
from streams.types import Int64Array, UInt8Array, UInt64Array

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
