"""Movements: what an event does to its item, against a loop over plain numbers."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contracts.codes import Kind
from streams.demand.week_profile import flat_profile
from streams.state.items import ROW
from streams.state.pending import ENTRY
from streams.timeline.movements import apply_entries

STOCK = (
    *("on_hand_units", "counted_at_ms", "backlog_units", "cancelled_units", "returned_units"),
    *("day_units", "day_orders", "tick_orders", "assume_dispatched"),
)
CODES = [
    *(Kind.PLACED, Kind.CANCELLED, Kind.RETURNED, Kind.DISPATCHED, Kind.COUNTED, Kind.ADJUSTED)
]


def moved(row: dict[str, int], code: int, units: int, opens: int, moment: int) -> None:
    """What an event does to its item."""
    at_once = row["assume_dispatched"]
    if code == Kind.PLACED:
        row["day_units"] += units
        row["day_orders"] += opens
        row["tick_orders"] += opens
        row["on_hand_units" if at_once else "backlog_units"] += -units if at_once else units
    elif code == Kind.CANCELLED:
        row["cancelled_units"] += units
        row["day_units"] -= units
        if at_once:
            row["on_hand_units"] += units
        else:
            row["backlog_units"] = max(0, row["backlog_units"] - units)
    elif code == Kind.RETURNED:
        row["returned_units"] += units
        row["on_hand_units"] += units
    elif code == Kind.DISPATCHED:
        row["on_hand_units"] -= units
        row["backlog_units"] = max(0, row["backlog_units"] - units)
    elif code == Kind.COUNTED:
        row["on_hand_units"], row["counted_at_ms"] = units, moment
    else:
        row["on_hand_units"] += units


@settings(deadline=None, max_examples=100)
@given(
    drawn=st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(CODES), st.integers(1, 50), st.booleans()),
        max_size=40,
    )
)
def test_movements_are_those_of_a_loop(drawn):
    """Stock, backlog, cancellations and returns follow the entries one by one."""
    entries = np.zeros(len(drawn), ENTRY)
    rows = np.zeros(3, ROW)
    rows["assume_dispatched"] = [False, True, False]
    plain = [{name: int(row[name]) for name in STOCK} for row in rows]
    for place, (item, code, units, opens) in enumerate(drawn):
        entries[place] = (1_000 + place, units, item, code, opens)
        moved(plain[item], code, units, int(opens), 1_000 + place)
    outside = np.zeros(entries.size, np.bool_)
    touched = apply_entries(entries, rows, outside, flat_profile().elapsed, 0, 0.98)
    assert touched.tolist() == sorted({item for item, *_ in drawn})
    for row, expected in zip(rows, plain, strict=True):
        assert {name: int(row[name]) for name in expected} == expected
