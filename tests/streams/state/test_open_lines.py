"""The memory of open order lines, against a plain model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.state.open_lines import LINE, OpenLines, begin_generation, find, is_full, remember

Change = tuple[int, int]  # number of a line, its open units


class Model:
    """The changes of one generation, in a list."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.generation = 0
        self.changes: list[Change] = []

    def of(self, line: int) -> int | None:
        """How much of a line is open; None means that it is not remembered."""
        return dict(self.changes).get(line)

    def unsettled(self) -> list[Change]:
        """Lines that are not settled, by their newest change."""
        newest = {line: place for place, (line, _) in enumerate(self.changes)}
        return [self.changes[place] for place in sorted(newest.values()) if self.changes[place][1]]

    def change(self, line: int, units: int) -> list[Change]:
        """Remember a change; return what was written off before."""
        gone = []
        if len(self.changes) >= 2 * self.limit:
            unsettled = self.unsettled()
            kept = unsettled[max(0, len(unsettled) - self.limit) :]
            gone = unsettled[: len(unsettled) - len(kept)]
            self.generation, self.changes = self.generation + 1, kept
        self.changes.append((line, units))
        return gone


def key_of(line: int) -> np.uint64:
    """A key as hashes give them."""
    return np.uint64((line + 1) * 0x9E3779B97F4A7C15 % 2**64)


LINES = {int(key_of(line)): line for line in range(40)}
CHANGES = st.lists(st.tuples(st.integers(0, 39), st.integers(-3, 5)), max_size=60)


def changes_of(table: np.ndarray) -> list[Change]:
    """Lines by their numbers."""
    return [(LINES[int(line["key"])], int(line["open_units"])) for line in table]


def slot_of(memory: OpenLines, key: int) -> int:
    """Where a line is, or would go."""
    return find(memory.arrays.changes, memory.arrays.slots, np.uint64(key))


def remember_line(memory: OpenLines, key: int, item: int, units: int) -> None:
    """Remember a change of a line."""
    remember(*memory.arrays, slot_of(memory, key), np.uint64(key), item, units)


def change_all(memory: OpenLines, changes: list[Change]) -> list[Change]:
    """Remember changes in one batch; return what was written off."""
    memory.reserve(len(changes))
    gone: list[Change] = []
    for line, units in changes:
        if is_full(memory.arrays.counters):
            gone += changes_of(begin_generation(*memory.arrays))
        remember_line(memory, int(key_of(line)), line % 3, units)
    return gone


def store(memory: OpenLines, sides: list[bytearray]) -> list[int]:
    """Store what is new, as the store does; return the counters."""
    for tail in memory.take_tails():
        if tail.is_fresh:
            sides[tail.side].clear()
        sides[tail.side].extend(bytes(max(0, tail.start - len(sides[tail.side]))))
        sides[tail.side][tail.start : tail.start + len(tail.data)] = tail.data
    return memory.state()


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(
    limit=st.integers(1, 25),
    batches=st.lists(
        st.tuples(CHANGES, st.sampled_from(["go on", "store", "restart"])), max_size=6
    ),
)
def test_memory_remembers_what_the_model_does(limit, batches):
    """Any changes in any batches, with commits and restarts among them and several generations
    between two commits.
    """
    memory, model = OpenLines(limit), Model(limit)
    sides = [bytearray(), bytearray()]
    for changes, then in batches:
        expected = [one for change in changes for one in model.change(*change)]
        assert change_all(memory, changes) == expected
        if then != "go on":
            state = store(memory, sides)
            assert state == [model.generation, len(model.changes), 0]
            assert len(sides[1 - (model.generation & 1)]) == 0  # nothing is kept twice
        if then == "restart":
            memory = OpenLines(limit)
            memory.restore(state, (bytes(sides[0]), bytes(sides[1])))
        assert changes_of(memory.unsettled()) == model.unsettled()
        for line in range(40):
            slots = memory.arrays.slots
            place = slots[slot_of(memory, int(key_of(line)))] - 1
            found = None if place < 0 else memory.arrays.changes[place]["open_units"]
            assert found == model.of(line)


def test_lines_that_are_not_settled_are_kept_up_to_the_limit():
    """Of thousands of lines, past the first growth, the newest are open, the rest written off."""
    memory = OpenLines(3_000)
    lines: dict[int, int] = {}
    gone = 0
    for start in range(0, 20_000, 700):
        memory.reserve(700)
        for line in range(start, start + 700):
            if is_full(memory.arrays.counters):
                gone += begin_generation(*memory.arrays).size
            key = int(key_of(line))
            remember_line(memory, key, 0, 1)
            lines[key] = line
    left = [lines[int(line["key"])] for line in memory.unsettled()]
    assert left == list(range(gone, start + 700))
    assert 3_000 <= len(left) <= 6_000


def test_lowered_limit_takes_effect_at_the_next_change():
    """A stored generation above a lowered limit is closed, not written past."""
    memory = OpenLines(50)
    change_all(memory, [(line, 1) for line in range(30)])
    sides = [bytearray(), bytearray()]
    state = store(memory, sides)
    smaller = OpenLines(4)
    smaller.restore(state, (bytes(sides[0]), bytes(sides[1])))
    assert change_all(smaller, [(35, 7)]) == [(line, 1) for line in range(26)]
    assert changes_of(smaller.unsettled()) == [(26, 1), (27, 1), (28, 1), (29, 1), (35, 7)]


def test_a_line_takes_16_bytes():
    """What `infra/README.md` says of the memory's size rests on it."""
    assert LINE.itemsize == 16
