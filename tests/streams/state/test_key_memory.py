"""The bounded memory of keys, against a plain model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.state.key_memory import KeyMemory, recall


class Model:
    """Two generations in dictionaries."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.newer: dict[int, int] = {}
        self.older: dict[int, int] = {}

    def recall(self, key: int, value: int) -> int:
        """As `streams.state.key_memory.recall`."""
        if key in self.newer:
            return self.newer[key]
        if key in self.older:
            return self.older[key]
        if len(self.newer) == self.limit:
            self.older, self.newer = self.newer, {}
        self.newer[key] = value
        return -1


KEYS = st.lists(st.integers(0, 60).map(lambda n: n * 0x9E3779B97F4A7C15 % 2**64), max_size=150)


def ask(memory: KeyMemory, keys: list[int], first_value: int = 0) -> list[int]:
    """Recall keys in one batch."""
    memory.reserve(len(keys))
    return [
        int(recall(*memory.arrays[:3], np.uint64(key), first_value + number))
        for number, key in enumerate(keys)
    ]


def stored(memory: KeyMemory, sides: list[bytearray]) -> list[int]:
    """Store what is new, as the store does; return the counters."""
    for tail in memory.take_tails():
        if tail.is_fresh:
            sides[tail.side].clear()
        sides[tail.side].extend(bytes(max(0, tail.start - len(sides[tail.side]))))
        sides[tail.side][tail.start : tail.start + len(tail.data)] = tail.data
    return memory.state()


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(
    limit=st.integers(1, 40),
    batches=st.lists(st.tuples(KEYS, st.sampled_from(["go on", "store", "restart"])), max_size=6),
)
def test_memory_remembers_what_the_model_does(limit, batches):
    """Any keys in any batches, with commits and restarts among them and several generations
    between two commits.
    """
    memory, model = KeyMemory(limit), Model(limit)
    sides = [bytearray(), bytearray()]
    asked = 0
    for keys, then in batches:
        expected = [model.recall(key, asked + number) for number, key in enumerate(keys)]
        assert ask(memory, keys, asked) == expected
        asked += len(keys)
        if then != "go on":
            state = stored(memory, sides)
        if then == "restart":
            memory = KeyMemory(limit)
            memory.restore(state, (bytes(sides[0]), bytes(sides[1])))
        assert len(memory) == len(model.newer) + len(model.older)
        oldest = model.older or model.newer
        assert memory.oldest_value == (next(iter(oldest.values())) if oldest else -1)


def test_at_least_the_newest_keys_are_remembered_and_at_most_twice_as_many():
    """The promise of the memory, past its first growth."""
    memory = KeyMemory(3_000)
    keys = [number * 0x9E3779B97F4A7C15 % 2**64 for number in range(10_000)]
    for start in range(0, 10_000, 700):
        assert ask(memory, keys[start : start + 700]) == [-1] * len(keys[start : start + 700])
        assert len(memory) <= 6_000
    assert min(ask(memory, keys[-3_000:])) >= 0


def test_lowered_limit_takes_effect_at_the_next_key():
    """A stored generation above a lowered limit is closed, not written past."""
    memory = KeyMemory(50)
    ask(memory, list(range(1, 41)))
    state, (first, second) = memory.state(), [bytearray(), bytearray()]
    stored(memory, [first, second])
    smaller = KeyMemory(10)
    smaller.restore(state, (bytes(first), bytes(second)))
    assert ask(smaller, [7]) == [6]
    assert ask(smaller, [1_000]) == [-1]
    assert smaller.state() == [1, 1, 40]
