"""A bounded memory of order lines: how much of each is still open, so that one pays for no other.

A line is what one order has of one item. Its open units are those ordered, less those dispatched
and those cancelled in time. Below zero they were dispatched before their order came, or more left
than was ordered. The backlog of an item is what is open above zero, summed over its lines, and the
units of orders that are not known one by one: those that an older version had summed up.

Changes are appended, and the newest one of a line holds. When a generation is full, a new one
begins with the lines that are not settled; if those are more than half of it, the oldest are
written off. What is remembered depends only on the sequence of changes, never on how they were
batched. A generation is append-only: what a commit has to store is its new tail.
"""

from typing import NamedTuple

import numpy as np

from policy.compiled import compiled, compiled_with
from streams.state.key_memory import Tail
from streams.types import BoolArray, Int32Array, Int64Array, Table

LINE = np.dtype([("key", "<u8"), ("item", "<i4"), ("open_units", "<i4")])
"""One change of a line, as it is stored."""

WRITTEN_OFF_LINES, WRITTEN_OFF_UNITS = "backlog:written_off_lines", "backlog:written_off_units"
"""Under which a shard counts what it wrote off."""

_FIRST_CAPACITY = 65_536  # costs nothing before it is touched
_GROWTH = 4
_MOST_UNITS = 2**31 - 1
_GENERATION, _CHANGES, _LIMIT = range(3)


class LineArrays(NamedTuple):
    """What the kernels work on."""

    changes: Table  # `LINE` records, shape (capacity,)
    is_newest: BoolArray  # whether no later change is of the same line, shape (capacity,)
    slots: Int32Array  # place + 1 of the newest change of a line, 0 where free: (power of two,)
    counters: Int64Array  # generation number, changes in it, changes that it may have


@compiled_with(inline="always")
def find(changes: Table, slots: Int32Array, key: int) -> int:
    """Return the slot that holds a line, or the free slot where it would go."""
    mask = slots.size - 1
    slot = np.int64(np.uint64(key) >> np.uint64(20)) & mask
    while True:
        place = slots[slot]
        if place == 0 or changes[place - 1].key == np.uint64(key):
            return int(slot)
        slot = (slot + 1) & mask


@compiled_with(inline="always")
def warm(changes: Table, slots: Int32Array, key: int) -> int:
    """Read what a later look-up of a line will read, so that it finds it in the cache."""
    place = slots[np.int64(np.uint64(key) >> np.uint64(20)) & (slots.size - 1)]
    return int(changes[max(place - 1, 0)].open_units)


@compiled_with(inline="always")
def remember(
    changes: Table,
    is_newest: BoolArray,
    slots: Int32Array,
    counters: Int64Array,
    slot: int,
    key: int,
    item: int,
    open_units: int,
) -> int:
    """Append how much of a line is open now, and return it, within what can be stored.

    There must be room. `slot` is what `find` gives for the key.

    Takes the arrays of a `LineArrays` one by one: passing the tuple costs more than the look-up.
    """
    before = slots[slot]
    if before != 0:
        is_newest[before - 1] = False
    count = counters[_CHANGES]
    changes[count].key = key
    changes[count].item = item
    open_units = min(max(open_units, -_MOST_UNITS), _MOST_UNITS)
    changes[count].open_units = open_units
    is_newest[count] = True
    counters[_CHANGES] = count + 1
    slots[slot] = count + 1
    return open_units


@compiled
def is_full(counters: Int64Array) -> bool:
    """Return whether a new generation has to begin before the next change."""
    return bool(counters[_CHANGES] >= counters[_LIMIT])


@compiled
def begin_generation(
    changes: Table, is_newest: BoolArray, slots: Int32Array, counters: Int64Array
) -> Table:
    """Begin a generation with the lines that are not settled.

    Returns:
        The lines that are written off, oldest first: what is not settled beyond half the limit.
    """
    filled = counters[_CHANGES]
    unsettled = 0
    for place in range(filled):
        unsettled += is_newest[place] and changes[place].open_units != 0
    surplus = max(0, unsettled - counters[_LIMIT] // 2)
    written_off = np.empty(surplus, changes.dtype)
    gone = kept = 0
    for place in range(filled):
        if is_newest[place] and changes[place].open_units != 0:
            if gone < surplus:
                written_off[gone] = changes[place]
                gone += 1
            else:
                changes[kept] = changes[place]
                kept += 1
    counters[_GENERATION] += 1
    counters[_CHANGES] = kept
    slots[:] = 0
    _index(changes, is_newest, slots, kept)
    return written_off


@compiled
def _index(changes: Table, is_newest: BoolArray, slots: Int32Array, count: int) -> None:
    for place in range(count):
        slot = find(changes, slots, changes[place].key)
        if slots[slot] != 0:
            is_newest[slots[slot] - 1] = False
        slots[slot] = place + 1
        is_newest[place] = True


class OpenLines:
    """The memory and what of it is already stored.

    Args:
        limit: lines that are not settled, of which none is written off.
    """

    def __init__(self, limit: int) -> None:
        self._most_changes = 2 * limit
        self.arrays = _allocate(min(self._most_changes, _FIRST_CAPACITY))
        self.arrays.counters[_LIMIT] = self._most_changes
        self._stored = (0, 0)

    def __len__(self) -> int:
        """Lines that are not settled."""
        return int(self.unsettled().size)

    def unsettled(self) -> Table:
        """Return the lines that are not settled, as `LINE` records."""
        filled = int(self.arrays.counters[_CHANGES])
        changes: Table = self.arrays.changes[:filled]
        unsettled: Table = changes[self.arrays.is_newest[:filled] & (changes["open_units"] != 0)]
        return unsettled

    def reserve(self, changes: int) -> None:
        """Make room for so many more changes, as far as the limit goes."""
        wanted = min(self._most_changes, int(self.arrays.counters[_CHANGES]) + changes)
        capacity = self.arrays.changes.size
        if wanted <= capacity:
            return
        while capacity < wanted:
            capacity *= _GROWTH
        self._take_over(self.arrays.changes, self.state(), min(capacity, self._most_changes))

    def _take_over(self, changes: Table, state: list[int], capacity: int) -> None:
        generation, filled, _ = state
        self.arrays = _allocate(capacity)
        self.arrays.counters[:] = (generation, filled, self._most_changes)
        self.arrays.changes[:filled] = changes[:filled]
        _index(self.arrays.changes, self.arrays.is_newest, self.arrays.slots, filled)

    def take_tails(self) -> list[Tail]:
        """Return what was remembered since the last call."""
        stored_generation, stored = self._stored
        generation, filled, _ = self.state()
        side = generation & 1
        tails = []
        if is_fresh := generation > stored_generation:
            tails.append(Tail(1 - side, 0, b"", is_fresh=True))
            stored = 0
        if filled > stored or is_fresh:
            data = self.arrays.changes[stored:filled].tobytes()
            tails.append(Tail(side, stored * LINE.itemsize, data, is_fresh))
        self._stored = (generation, filled)
        return tails

    def state(self) -> list[int]:
        """The generation, the changes in it, and 0: nothing of the one before it is needed."""
        return [*map(int, self.arrays.counters[:_LIMIT]), 0]

    def restore(self, state: list[int], sides: tuple[bytes, bytes]) -> None:
        """Take over what was stored."""
        generation, filled, _ = state
        kept: Table = np.frombuffer(sides[generation & 1], LINE)
        capacity = max(filled, min(self._most_changes, _FIRST_CAPACITY))
        self._take_over(kept, state, capacity)
        self._stored = (generation, filled)


def _allocate(capacity: int) -> LineArrays:
    slots = 1 << max(4, (2 * capacity - 1).bit_length())
    counters: Int64Array = np.zeros(3, np.int64)
    return LineArrays(
        np.zeros(capacity, LINE),
        np.zeros(capacity, np.bool_),
        np.zeros(slots, np.int32),
        counters,
    )
