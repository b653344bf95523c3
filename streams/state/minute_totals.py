"""What all items of a partition sold and sent in each minute, by event time.

The rings know each item for an hour; these sums reach back over a week, so that a live sale can be
shown beside the same minutes of the week before. Sums commute, as the rings' do.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from streams.contracts.codes import Kind
from streams.timestamps import DAY_MS, MINUTE_MS
from streams.types import BoolArray, Int8Array, Int64Array, Table, UInt8Array

TOTAL = np.dtype(
    [
        ("units", "<i8"),
        ("lines", "<i8"),
        ("orders", "<i8"),  # by item and day: an order of two items counts twice
        ("dispatched_units", "<i8"),
        ("cancelled_units", "<i8"),
        ("returned_units", "<i8"),
    ]
)
"""The sums of one minute."""

MINUTES_A_DAY = DAY_MS // MINUTE_MS
DAYS_KEPT = 8  # the same minute a week ago, and a day for events that come late

_UNITS_OF = {
    Kind.PLACED: "units",
    Kind.DISPATCHED: "dispatched_units",
    Kind.CANCELLED: "cancelled_units",
    Kind.RETURNED: "returned_units",
}


@dataclass(frozen=True, slots=True)
class TotalChanges:
    """Minutes that changed since the last commit, with their sums as they are now."""

    minutes: Int64Array  # since the epoch, ascending, shape (n,)
    cells: Table  # `TOTAL`, shape (n,)

    def by_day(self) -> Iterator[tuple[int, Int64Array, Table]]:
        """Yield day, minutes of that day and their sums."""
        days = self.minutes // MINUTES_A_DAY
        for day in np.unique(days).tolist():
            chosen = days == day
            yield day, self.minutes[chosen] % MINUTES_A_DAY, self.cells[chosen]


class MinuteTotals:
    """The newest `DAYS_KEPT` days, minute by minute."""

    def __init__(self) -> None:
        self._cells: Table = np.zeros(DAYS_KEPT * MINUTES_A_DAY, TOTAL)
        self._is_dirty: BoolArray = np.zeros(self._cells.size, np.bool_)
        self._newest = -1

    @property
    def newest(self) -> int:
        """The newest minute since the epoch, or -1."""
        return self._newest

    def add(
        self,
        code: Int8Array,
        occurred_ms: Int64Array,
        quantity: Int64Array,
        is_folded: BoolArray,
        is_new_order: UInt8Array,
    ) -> None:
        """Add the rows that count, shape (row,) each."""
        for kind, units in _UNITS_OF.items():
            chosen = is_folded & (code == kind)
            if chosen.any():
                minutes = occurred_ms[chosen] // MINUTE_MS
                columns = {units: quantity[chosen]}
                if kind == Kind.PLACED:
                    columns |= {"lines": np.ones_like(minutes), "orders": is_new_order[chosen]}
                self._add(minutes, columns)

    def _add(self, minutes: Int64Array, columns: dict[str, Int64Array]) -> None:
        first = int(minutes.min())
        self._roll_to(int(minutes.max()))
        sums = {
            name: np.bincount(minutes - first, weights=column).astype(np.int64)
            for name, column in columns.items()
        }
        touched = np.flatnonzero(np.bincount(minutes - first))
        kept = touched[first + touched > self._newest - self._cells.size]
        slots = (first + kept) % self._cells.size
        for name, column in sums.items():
            self._cells[name][slots] += column[kept]
        self._is_dirty[slots] = True

    def _roll_to(self, minute: int) -> None:
        if minute <= self._newest:
            return
        first = max(self._newest + 1, minute - self._cells.size + 1)
        slots = np.arange(first, minute + 1) % self._cells.size
        self._cells[slots] = np.zeros((), TOTAL)
        self._is_dirty[slots] = False
        self._newest = minute

    def take_changes(self) -> TotalChanges:
        """Return the minutes that changed since the last call."""
        slots = np.flatnonzero(self._is_dirty)
        minutes = self._newest - (self._newest - slots) % self._cells.size
        order = np.argsort(minutes)
        self._is_dirty[slots] = False
        return TotalChanges(minutes[order], self._cells[slots[order]].copy())

    def sums(self) -> dict[int, tuple[int, ...]]:
        """Return the sums of each minute that has any."""
        slots = np.flatnonzero(np.any([self._cells[name] for name in TOTAL.names or ()], axis=0))
        minutes = self._newest - (self._newest - slots) % self._cells.size
        return dict(zip(minutes.tolist(), self._cells[slots].tolist(), strict=True))

    def restore(self, minutes: Int64Array, cells: Table) -> None:
        """Take over stored sums, in any order."""
        if not minutes.size:
            return
        self._roll_to(int(minutes.max()))
        kept = minutes > self._newest - self._cells.size
        self._cells[minutes[kept] % self._cells.size] = cells[kept]
