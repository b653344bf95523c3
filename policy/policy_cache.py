"""A bounded store of solved policies, keyed by their full rounded parameter row.

The tables of all policies lie in two rings of levels; a new policy overwrites the oldest. What is
found here is what a solve would give, bit for bit, so the size changes the time and nothing else.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from policy.dual_index.table import LevelTable
from policy.errors import PolicyInputError
from policy.solver.columns import ANSWERS, LEVEL_ROWS, LEVELS_CAP, TABLES

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class CacheCounts:
    """How often parameter sets were found, solved and dropped since the cache was made."""

    hits: int
    misses: int
    evictions: int


class PolicyCache:
    """Solved policies for `decide`; one per thread of callers.

    Args:
        levels: stock levels stored in total, >= 100,000; one takes 92 bytes and a policy has about
            150 of them, so the default holds some 13,000 policies in 184 MB (used as filled).

    Raises:
        PolicyInputError: `levels` is out of range.
    """

    def __init__(self, levels: int = 2_000_000) -> None:
        if not levels >= 100_000:
            raise PolicyInputError("levels", ">= 100000", levels)
        self._levels = levels
        self.levels = LevelTable()
        """Of the rule for slow lean suppliers."""
        self.tables: FloatArray = np.empty((levels, TABLES))
        self.order_levels: npt.NDArray[np.int16] = np.empty((levels, LEVEL_ROWS), np.int16)
        self._slots = levels // 32
        self.answers: FloatArray = np.empty((self._slots, ANSWERS))
        self.starts: IntArray = np.full(self._slots, -1, np.int64)
        self._sizes: IntArray = np.zeros(self._slots, np.int64)
        self._slot_of: OrderedDict[bytes, int] = OrderedDict()
        self._next_level = 0
        self._next_slot = 0
        self._hits = self._misses = self._evictions = 0

    def __len__(self) -> int:
        return len(self._slot_of)

    @property
    def counts(self) -> CacheCounts:
        return CacheCounts(self._hits, self._misses, self._evictions)

    def find(self, keys: list[bytes]) -> IntArray:
        """Return the slot of each key, -1 where the policy is not stored."""
        get = self._slot_of.get
        slots = np.array([get(key, -1) for key in keys], np.int64)
        found = int((slots >= 0).sum())
        self._hits += found
        self._misses += len(keys) - found
        return slots

    def store(
        self, key: bytes, answer: FloatArray, tables: FloatArray, order_levels: IntArray
    ) -> int:
        """Copy one solved policy in, dropping the oldest ones where it needs room.

        Shapes: `answer` (entry,), `tables` (table, level), `order_levels` (row, level).
        """
        size = tables.shape[1]
        if self._next_level + size > self._levels:
            self._drop_to(self._levels)
            self._next_level = 0
        self._drop_to(self._next_level + size)
        while len(self._slot_of) >= self._slots:
            self._drop_oldest()
        slot = self._next_slot
        self._next_slot = (slot + 1) % self._slots
        start = self._next_level
        self.answers[slot] = answer
        self.starts[slot], self._sizes[slot] = start, size
        self.tables[start : start + size] = tables.T
        self.order_levels[start : start + size] = order_levels.T
        self._slot_of[key] = slot
        self._next_level = start + size
        return slot

    def _drop_to(self, end: int) -> None:
        """Drop the oldest policies that lie between the write position and `end`."""
        while self._slot_of:
            slot = next(iter(self._slot_of.values()))
            if not self._next_level <= self.starts[slot] < end:
                return
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._slot_of.popitem(last=False)
        self._evictions += 1


SMALLEST_ROOM = 100_000 // LEVELS_CAP
"""Policies that the smallest cache is sure to hold at once."""
