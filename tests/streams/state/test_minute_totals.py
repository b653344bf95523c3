"""Sums of whole minutes, against a dictionary."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contracts.codes import Kind
from streams.state.minute_totals import DAYS_KEPT, MINUTES_A_DAY, TOTAL, MinuteTotals
from streams.timestamps import MINUTE_MS

KEPT = DAYS_KEPT * MINUTES_A_DAY
START = 20_000 * MINUTES_A_DAY
KINDS = (Kind.PLACED, Kind.DISPATCHED, Kind.CANCELLED, Kind.RETURNED, Kind.COUNTED)
PLACES = dict(zip(KINDS, ("units", "dispatched_units", "cancelled_units", "returned_units"),
                  strict=False))  # fmt: skip
ROWS = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.sampled_from([0, 1, 2, 59, 1440, KEPT - 1, KEPT, KEPT + 1, 3 * KEPT]),
        st.integers(1, 9),
        st.booleans(),  # it counts
        st.booleans(),  # it is its order's first line
    ),
    min_size=1,
    max_size=12,
)


def add(totals: MinuteTotals, rows) -> None:
    """Add a batch."""
    kinds, minutes, units, folded, new = zip(*rows, strict=True)
    totals.add(
        np.array(kinds, np.int8),
        (START + np.array(minutes, np.int64)) * MINUTE_MS + 123,
        np.array(units, np.int64),
        np.array(folded),
        np.array(new, np.uint8),
    )


def expected(batches) -> dict[int, dict[str, int]]:
    """The sums of the minutes that are kept."""
    sums: dict[int, dict[str, int]] = defaultdict(lambda: dict.fromkeys(TOTAL.names, 0))
    for kind, minute, units, folded, new in (row for rows in batches for row in rows):
        if folded and kind in PLACES:
            cell = sums[START + minute]
            cell[PLACES[kind]] += units
            if kind == Kind.PLACED:
                cell["lines"] += 1
                cell["orders"] += new
    newest = max(sums, default=0)
    return {minute: cell for minute, cell in sums.items() if minute > newest - KEPT}


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(batches=st.lists(ROWS, min_size=1, max_size=6), restart=st.booleans())
def test_a_minute_holds_what_was_sold_and_sent_in_it(batches, restart):
    """Whatever the batches, over gaps, late events and a restart, the sums are those of the rows;
    the changes taken add up to the same.
    """
    totals, stored = MinuteTotals(), {}
    for rows in batches:
        add(totals, rows)
        changes = totals.take_changes()
        stored.update(zip(changes.minutes.tolist(), changes.cells, strict=True))
        if restart:
            totals = MinuteTotals()
            cells = np.array(list(stored.values()), TOTAL)
            totals.restore(np.array(list(stored), np.int64), cells)
    model = {minute: tuple(cell.values()) for minute, cell in expected(batches).items()}
    assert totals.sums() == model
    assert {minute: stored[minute].item() for minute in model} == model
    assert totals.take_changes().minutes.size == 0


def test_changes_are_cut_at_days():
    """A store keeps a hash for each day."""
    totals = MinuteTotals()
    rows = [(Kind.PLACED, minute, 2, True, True) for minute in (1439, 1440, 1441)]
    add(totals, rows)
    cut = [(day, minutes.tolist()) for day, minutes, _ in totals.take_changes().by_day()]
    assert cut == [(20_000, [1439]), (20_001, [0, 1])]
