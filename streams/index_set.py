"""Places that were marked: a set of small whole numbers, as fast as an array."""

import numpy as np

from streams.types import BoolArray, Int32Array, Int64Array


class IndexSet:
    """What was marked since it was last taken.

    >>> marks = IndexSet()
    >>> marks.add(np.array([7, 2, 7]))
    >>> marks.take().tolist(), marks.take().tolist()
    ([2, 7], [])
    """

    def __init__(self) -> None:
        self._is_marked: BoolArray = np.zeros(256, np.bool_)

    def add(self, places: Int32Array | Int64Array) -> None:
        """Mark places, shape (n,), in any order."""
        if not places.size:
            return
        needed = int(places.max()) + 1
        if needed > self._is_marked.size:
            more = np.zeros(max(needed, 2 * self._is_marked.size), np.bool_)
            more[: self._is_marked.size] = self._is_marked
            self._is_marked = more
        self._is_marked[places] = True

    def add_one(self, place: int) -> None:
        """Mark a place."""
        self.add(np.array([place], np.int64))

    def take(self) -> Int64Array:
        """Return the marked places, ascending, and forget them."""
        taken = np.flatnonzero(self._is_marked)
        self._is_marked[taken] = False
        return taken
