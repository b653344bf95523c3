"""A bounded memory of 64-bit keys: has this event, or this order of this item, been seen?

Keys fill a generation up to the limit; then the older generation is forgotten and a new one begins,
so that at least the newest `limit` keys are always remembered and at most twice as many. What is
remembered depends only on the sequence of keys, never on how they were batched, so that a replay
decides the same. A generation is append-only: what a commit has to store is its new tail.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from policy.compiled import compiled, compiled_with
from streams.types import AnyArray, Int32Array, Int64Array, UInt64Array

_FIRST_CAPACITY = 65_536  # costs nothing before it is touched
_GROWTH = 4


class MemoryArrays(NamedTuple):
    """What the kernels work on. Entry (generation, position) holds a key and its value."""

    entries: UInt64Array  # shape (2, capacity, 2): key, value
    slots: Int32Array  # shape (2, power of two): position + 1, 0 where free
    counters: Int64Array  # generation number, keys in it, keys in the one before, limit


@compiled_with(inline="always")
def _find(entries: UInt64Array, slots: Int32Array, side: int, key: int) -> int:
    """Return the slot that holds the key in one generation, or the free slot where it would go."""
    mask = slots.shape[1] - 1
    slot = np.int64(np.uint64(key) >> np.uint64(20)) & mask
    while True:
        position = slots[side, slot]
        if position == 0 or entries[side, position - 1, 0] == np.uint64(key):
            return slot
        slot = (slot + 1) & mask


@compiled
def recall(
    entries: UInt64Array, slots: Int32Array, counters: Int64Array, key: int, value: int
) -> int:
    """Return the value under which the key is remembered; remember it with `value` if it is not.

    Takes the arrays of a `MemoryArrays` one by one: passing the tuple costs more than the look-up.
    Values are >= 0; -1 says that the key was new.
    """
    side = counters[0] & 1
    slot = _find(entries, slots, side, key)
    position = slots[side, slot]
    if position != 0:
        return np.int64(entries[side, position - 1, 1])
    if counters[2] > 0:
        older = slots[1 - side, _find(entries, slots, 1 - side, key)]
        if older != 0:
            return np.int64(entries[1 - side, older - 1, 1])
    if counters[1] >= counters[3]:
        counters[0] += 1
        counters[2] = counters[1]
        counters[1] = 0
        side = 1 - side
        slots[side, :] = 0
        slot = _find(entries, slots, side, key)
    count = counters[1]
    entries[side, count, 0] = np.uint64(key)
    entries[side, count, 1] = np.uint64(value)
    counters[1] = count + 1
    slots[side, slot] = count + 1
    return -1


@compiled
def _index(entries: UInt64Array, slots: Int32Array, side: int, count: int) -> None:
    for position in range(count):
        slot = _find(entries, slots, side, entries[side, position, 0])
        slots[side, slot] = position + 1


@dataclass(frozen=True, slots=True)
class Tail:
    """What a commit stores: `data` from byte `start` on of the generation on `side`."""

    side: int
    start: int
    data: bytes
    is_fresh: bool  # whatever the side held before is forgotten


class KeyMemory:
    """The memory and what of it is already stored.

    Args:
        limit: keys that are remembered at the least.
    """

    def __init__(self, limit: int) -> None:
        capacity = min(limit, _FIRST_CAPACITY)
        self.arrays = _allocate(capacity)
        self.arrays.counters[:] = (0, 0, 0, limit)
        self._stored = (0, 0)

    @property
    def oldest_value(self) -> int:
        """The value of the oldest remembered key, or -1."""
        generation, count, before, _ = self.arrays.counters
        if before:
            return int(self.arrays.entries[1 - (generation & 1), 0, 1])
        return int(self.arrays.entries[generation & 1, 0, 1]) if count else -1

    def __len__(self) -> int:
        return int(self.arrays.counters[1] + self.arrays.counters[2])

    def reserve(self, rows: int) -> None:
        """Make room for `rows` more keys, as far as the limit goes."""
        limit = int(self.arrays.counters[3])
        wanted = min(limit, int(self.arrays.counters[1]) + rows)
        capacity = self.arrays.entries.shape[1]
        if wanted <= capacity:
            return
        while capacity < wanted:
            capacity *= _GROWTH
        self._grow(min(capacity, limit))

    def _grow(self, capacity: int) -> None:
        old = self.arrays
        self.arrays = _allocate(capacity)
        self.arrays.counters[:] = old.counters
        generation, count, before, _ = (int(value) for value in old.counters)
        for side, filled in ((generation & 1, count), (1 - (generation & 1), before)):
            self.arrays.entries[side, :filled] = old.entries[side, :filled]
        self._reindex()

    def _reindex(self) -> None:
        generation, count, before, _ = (int(value) for value in self.arrays.counters)
        entries, slots, _ = self.arrays
        _index(entries, slots, generation & 1, count)
        _index(entries, slots, 1 - (generation & 1), before)

    def take_tails(self) -> list[Tail]:
        """Return what was remembered since the last call."""
        stored_generation, stored_count = self._stored
        generation, count, before, _ = (int(value) for value in self.arrays.counters)
        tails = []
        for number, filled in ((generation - 1, before), (generation, count)):
            is_fresh = number > stored_generation
            start = 0 if is_fresh else stored_count
            if number >= stored_generation and filled > start:
                data = self.arrays.entries[number & 1, start:filled].tobytes()
                tails.append(Tail(number & 1, start * 16, data, is_fresh))
        self._stored = (generation, count)
        return tails

    def state(self) -> list[int]:
        """The counters, to be stored beside the tails."""
        return [int(value) for value in self.arrays.counters[:3]]

    def restore(self, state: list[int], sides: tuple[bytes, bytes]) -> None:
        """Take over what was stored."""
        limit = int(self.arrays.counters[3])
        generation, count, before = state
        self.arrays = _allocate(max(count, before, min(limit, _FIRST_CAPACITY)))
        self.arrays.counters[:] = (generation, count, before, limit)
        for side, filled in ((generation & 1, count), (1 - (generation & 1), before)):
            kept: AnyArray = np.frombuffer(sides[side], np.uint64)[: 2 * filled]
            self.arrays.entries[side, :filled] = kept.reshape(-1, 2)
        self._reindex()
        self._stored = (generation, count)


def _allocate(capacity: int) -> MemoryArrays:
    slots = 1 << max(4, (2 * capacity - 1).bit_length())
    counters: Int64Array = np.zeros(4, np.int64)
    return MemoryArrays(
        np.zeros((2, capacity, 2), np.uint64), np.zeros((2, slots), np.int32), counters
    )
