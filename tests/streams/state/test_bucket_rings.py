"""Rings of buckets, against a dictionary of sums."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.state.bucket_rings import DAY_CELL, Ring, list_cell, slot_of

LENGTH = 5
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("sell"), st.integers(-6, 1), st.integers(0, 300)),
        st.tuples(st.just("roll"), st.sampled_from([0, 1, 2, 4, 5, 17]), st.just(0)),
        st.tuples(st.just("take"), st.just(0), st.just(0)),
        st.tuples(st.just("restart"), st.just(0), st.just(0)),
    ),
    max_size=60,
)


def sell(ring: Ring, bucket: int, item: int) -> None:
    """Add a unit to a cell if its bucket is kept."""
    ring.reserve(item + 1, 1)
    cells, dirty, listed, counters = ring.arrays
    slot = slot_of(cells, counters, bucket)
    if slot >= 0:
        list_cell(dirty, listed, counters, slot, item)
        cells[slot, item]["units"] += 1


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(moves=MOVES)
def test_ring_holds_the_sums_of_the_newest_buckets(moves):
    """Rolling over gaps, late sales, growth and restarts leave the model's sums, and the changes
    taken add up to the whole history.
    """
    ring = Ring(1_000, LENGTH, DAY_CELL, keeps_history=True)
    model: dict[tuple[int, int], int] = {}
    history: dict[tuple[int, int], int] = {}
    newest = 100
    ring.roll_to(newest)
    for move, by, item in [*moves, ("take", 0, 0)]:
        if move == "roll":
            newest += by
            ring.roll_to(newest)
        elif move == "sell":
            bucket = newest + by
            sell(ring, bucket, item)
            if newest - LENGTH < bucket <= newest:
                model[bucket, item] = model.get((bucket, item), 0) + 1
        else:
            take(ring, history)
            assert ring.arrays.counters[1] == 0
            assert not ring.arrays.dirty.any()
        if move == "restart":
            ring = restarted(ring, history)
        assert told(ring) == {
            key: units for key, units in model.items() if key[0] in ring.buckets()
        }
        assert ring.buckets() == range(newest - LENGTH + 1, newest + 1)
    assert history == model


def take(ring: Ring, history: dict[tuple[int, int], int]) -> None:
    """Write the changes of a ring down."""
    buckets = []
    for change in ring.take_changes():
        buckets.append(change.bucket)
        assert len(set(change.items.tolist())) == change.items.size
        for item, cell in zip(change.items.tolist(), change.cells, strict=True):
            history[change.bucket, item] = int(cell["units"])
    assert len(set(buckets)) == len(buckets)


def restarted(ring: Ring, history: dict[tuple[int, int], int]) -> Ring:
    """A new ring from what was written down."""
    fresh = Ring(1_000, LENGTH, DAY_CELL, keeps_history=True)
    fresh.reserve(ring.arrays.cells.shape[1], 0)
    stored = {}
    for bucket in {bucket for bucket, _ in history}:
        items = np.array([item for day, item in history if day == bucket], np.int64)
        cells = np.zeros(items.size, DAY_CELL)
        cells["units"] = [history[bucket, int(item)] for item in items]
        stored[bucket] = (items, cells)
    fresh.restore(ring.newest, stored)
    return fresh


def told(ring: Ring) -> dict[tuple[int, int], int]:
    """All cells that are not empty."""
    return {
        (bucket, item): units
        for bucket in ring.buckets()
        for item, units in enumerate(ring.of_bucket(bucket)["units"].tolist())
        if units
    }


def test_ring_without_history_drops_what_left_it():
    """Minutes and hours that left the ring are forgotten; nobody keeps them longer."""
    ring = Ring(1_000, LENGTH, DAY_CELL)
    ring.roll_to(0)
    sell(ring, 0, 3)
    ring.roll_to(LENGTH)
    assert ring.take_changes() == []
