"""What was sold in each of the newest minutes, hours and days: sums by bucket of event time.

Sums commute, so a batch is added at once, whatever its order. A ring has a row of cells for each
bucket that it keeps; when time moves on, the oldest row is cleared and used again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from policy.compiled import compiled, compiled_with
from streams.types import AnyArray, Int32Array, Int64Array, UInt8Array

CELL = np.dtype([("units", "<i8"), ("lines", "<i4"), ("orders", "<i4")])
DAY_CELL = np.dtype([*CELL.descr, ("cancelled_units", "<i8"), ("returned_units", "<i8")])


class RingArrays(NamedTuple):
    """What the kernels work on; cell (slot, item)."""

    cells: AnyArray  # shape (slot, item)
    dirty: UInt8Array  # shape (slot, item): 1 when listed below
    listed: Int64Array  # shape (cells that changed,): slot * capacity + item
    counters: Int64Array  # newest bucket or -1, how many are listed


@compiled
def slot_of(cells: AnyArray, counters: Int64Array, bucket: int) -> int:
    """Return the slot of a bucket that is still kept, or -1."""
    length = cells.shape[0]
    if bucket <= counters[0] - length or bucket > counters[0]:
        return -1
    return bucket % length


@compiled_with(inline="always")
def list_cell(
    dirty: UInt8Array, listed: Int64Array, counters: Int64Array, slot: int, item: int
) -> None:
    """List a cell as changed, once.

    Takes the arrays of a `RingArrays` one by one: passing the tuple costs more than the work.
    """
    if dirty[slot, item] == 0:
        dirty[slot, item] = 1
        listed[counters[1]] = slot * dirty.shape[1] + item
        counters[1] += 1


@dataclass(frozen=True, slots=True)
class CellChanges:
    """Cells of one bucket that changed since the last commit, with their sums as they are now."""

    bucket: int
    items: Int32Array
    cells: AnyArray


class Ring:
    """The newest `length` buckets of one width.

    Args:
        width_ms: what one bucket covers.
        length: buckets kept.
        cell: dtype of a cell.
        keeps_history: cells that leave the ring before they were committed are still handed to the
            next commit, because the store keeps these buckets longer than the ring does.
    """

    def __init__(
        self, width_ms: int, length: int, cell: np.dtype[np.void], *, keeps_history: bool = False
    ) -> None:
        self.width_ms = width_ms
        self._keeps_history = keeps_history
        self._left: list[CellChanges] = []
        self.arrays = RingArrays(
            np.zeros((length, 0), cell),
            np.zeros((length, 0), np.uint8),
            np.zeros(0, np.int64),
            np.array([-1, 0], np.int64),
        )

    @property
    def length(self) -> int:
        """Buckets kept."""
        return int(self.arrays.cells.shape[0])

    @property
    def newest(self) -> int:
        """The newest bucket, or -1."""
        return int(self.arrays.counters[0])

    @property
    def left_cells(self) -> int:
        """Changed cells that left the ring since the last commit."""
        return sum(change.items.size for change in self._left)

    def buckets(self) -> range:
        """The buckets kept, oldest first."""
        return range(max(0, self.newest - self.length + 1), self.newest + 1)

    def of_bucket(self, bucket: int) -> AnyArray:
        """The cells of a bucket that is kept, shape (item,)."""
        row: AnyArray = self.arrays.cells[bucket % self.length]
        return row

    def reserve(self, items: int, rows: int) -> None:
        """Make room for `items` items and `rows` more changes."""
        cells, dirty, listed, counters = self.arrays
        capacity = cells.shape[1]
        if items > capacity:
            wider = max(256, items, capacity * 2)
            slots, columns = np.divmod(listed[: counters[1]], max(capacity, 1))
            listed = listed.copy()
            listed[: counters[1]] = slots * wider + columns
            cells = _widen(cells, wider)
            dirty = _widen(dirty, wider)
        wanted = int(counters[1]) + rows
        if wanted > listed.size:
            listed = np.concatenate([listed, np.zeros(max(wanted, 4096), np.int64)])
        self.arrays = RingArrays(cells, dirty, listed, counters)

    def roll_to(self, bucket: int) -> None:
        """Let `bucket` be the newest one, if it is newer."""
        newest = self.newest
        if bucket <= newest:
            return
        first = max(newest + 1, bucket - self.length + 1)
        slots = np.unique(np.arange(first, bucket + 1) % self.length)
        self._leave(slots)
        self.arrays.cells[slots] = np.zeros((), self.arrays.cells.dtype)
        self.arrays.counters[0] = bucket

    def _leave(self, slots: Int64Array) -> None:
        if self.newest < 0 or not self.arrays.counters[1]:
            return
        leaving = np.zeros(self.length, np.bool_)
        leaving[slots] = True
        changes, staying = self._listed(leaving)
        if self._keeps_history:
            self._left.extend(changes)
        self.arrays.listed[: staying.size] = staying
        self.arrays.counters[1] = staying.size
        self.arrays.dirty[slots] = 0

    def _listed(self, wanted: AnyArray) -> tuple[list[CellChanges], Int64Array]:
        """Split what is listed into changes of the wanted slots and the rest."""
        listed = self.arrays.listed[: self.arrays.counters[1]]
        slots, items = np.divmod(listed, max(self.arrays.cells.shape[1], 1))
        chosen = wanted[slots]
        return list(self._by_bucket(slots[chosen], items[chosen])), listed[~chosen].copy()

    def _by_bucket(self, slots: Int64Array, items: Int64Array) -> Iterator[CellChanges]:
        order = np.lexsort((items, slots))
        slots, items = slots[order], items[order]
        starts = np.flatnonzero(np.diff(slots, prepend=-1))
        for start, stop in zip(starts, np.append(starts, slots.size)[1:], strict=True):
            slot = int(slots[start])
            bucket = self.newest - (self.newest - slot) % self.length
            chosen = items[start:stop]
            yield CellChanges(
                bucket, chosen.astype(np.int32), self.arrays.cells[slot, chosen].copy()
            )

    def take_changes(self) -> list[CellChanges]:
        """Return the cells that changed since the last call, oldest bucket first."""
        changes, _ = self._listed(np.ones(self.length, np.bool_))
        listed = self.arrays.listed[: self.arrays.counters[1]]
        self.arrays.dirty.reshape(-1)[listed] = 0
        self.arrays.counters[1] = 0
        left, self._left = self._left, []
        return sorted(left + changes, key=lambda change: change.bucket)

    def restore(self, newest: int, stored: dict[int, tuple[Int64Array, AnyArray]]) -> None:
        """Take over stored cells: bucket -> items and their cells."""
        self.arrays.counters[0] = newest
        for bucket, (items, cells) in stored.items():
            if newest - self.length < bucket <= newest:
                self.arrays.cells[bucket % self.length, items] = cells


def _widen(array: AnyArray, capacity: int) -> AnyArray:
    wider = np.zeros((array.shape[0], capacity), array.dtype)
    wider[:, : array.shape[1]] = array
    return wider
