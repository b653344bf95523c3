"""Movements: what an event does to its item, against a loop over plain numbers."""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contracts.codes import Kind
from streams.demand.week_profile import flat_profile
from streams.state.items import ROW
from streams.state.open_lines import OpenLines
from streams.state.pending import ENTRY
from streams.timeline.movements import WrittenOff, apply_entries
from streams.types import Int32Array, Table

STOCK = (
    *("on_hand_units", "counted_at_ms", "backlog_units", "cancelled_units", "returned_units"),
    *("day_units", "day_orders", "tick_orders", "assume_dispatched"),
)
CODES = [
    *(Kind.PLACED, Kind.CANCELLED, Kind.RETURNED, Kind.DISPATCHED, Kind.COUNTED, Kind.ADJUSTED)
]
PLACED, CANCELLED, DISPATCHED, RETURNED = (
    *(Kind.PLACED, Kind.CANCELLED, Kind.DISPATCHED, Kind.RETURNED),
)
MANY = 1_000  # lines that are remembered: all
Event = tuple[int, int, int]  # number of an order, kind, units


@dataclass
class Plain:
    """An item in plain numbers: what is open by order, and of orders that are not known."""

    values: dict[str, int]
    lines: dict[int, int] = field(default_factory=dict)
    unknown: int = 0

    def backlog(self) -> int:
        return self.unknown + sum(max(0, units) for units in self.lines.values())

    def move(self, order: int, code: int, units: int, opens: int, moment: int) -> None:
        row, at_once = self.values, self.values["assume_dispatched"]
        if code == PLACED:
            row["day_units"] += units
            row["day_orders"] += opens
            row["tick_orders"] += opens
            if at_once:
                row["on_hand_units"] -= units
            elif order:
                self.lines[order] = self.lines.get(order, 0) + units
            else:
                self.unknown += units
        elif code == CANCELLED:
            row["cancelled_units"] += units
            row["day_units"] -= units
            if at_once:
                row["on_hand_units"] += units
            else:
                self.leave(order, min(units, max(0, self.lines.get(order, units))))
        elif code == RETURNED:
            row["returned_units"] += units
            row["on_hand_units"] += units
        elif code == DISPATCHED:
            if not row["assume_dispatched"]:
                row["on_hand_units"] -= units
            self.leave(order, units)
        elif code == Kind.COUNTED:
            row["on_hand_units"], row["counted_at_ms"] = units, moment
        else:
            row["on_hand_units"] += units
        row["backlog_units"] = self.backlog()

    def leave(self, order: int, units: int) -> None:
        if order in self.lines:
            self.lines[order] -= units
            return
        left = max(0, units - self.unknown)
        self.unknown -= units - left
        if left and order and not self.values["assume_dispatched"]:
            self.lines[order] = -left


def key_of(order: int) -> int:
    """A key as hashes give them; 0 for an order that is not known."""
    return order * 0x9E3779B97F4A7C15 % 2**64


def apply(
    rows: Table, lines: OpenLines, *entries: tuple[int, ...]
) -> tuple[Int32Array, WrittenOff]:
    """Apply (time, units, order, item, kind, opens) to rows."""
    table = np.zeros(len(entries), ENTRY)
    for place, (moment, units, order, *rest) in enumerate(entries):
        table[place] = (moment, units, key_of(order), *rest)
    outside = np.zeros(table.size, np.bool_)
    return apply_entries(table, rows, lines, outside, flat_profile().elapsed, 0, 0.98)


@settings(deadline=None, max_examples=150)
@given(
    drawn=st.lists(
        st.tuples(
            st.integers(0, 2),
            st.sampled_from(CODES),
            st.integers(1, 6),
            st.integers(0, 4),
            st.booleans(),
        ),
        max_size=40,
    ),
    summed_up=st.integers(0, 9),
)
def test_movements_are_those_of_a_loop(drawn, summed_up):
    """Stock, backlog, cancellations and returns follow the entries one by one; a backlog is what is
    open of each order, and what an older version had summed up.
    """
    rows = np.zeros(3, ROW)
    rows["assume_dispatched"] = [False, True, False]
    rows["backlog_units"] = rows["waiting_units"][:, 0] = [summed_up, 0, 0]
    plain = [Plain({name: int(row[name]) for name in STOCK}) for row in rows]
    plain[0].unknown = summed_up
    entries = []
    for place, (item, code, units, order, opens) in enumerate(drawn):
        entries.append((1_000 + place, units, order, item, code, opens))
        plain[item].move(order, code, units, int(opens), 1_000 + place)
    lines = OpenLines(MANY)
    touched, written_off = apply(rows, lines, *entries)
    assert touched.tolist() == sorted({item for item, *_ in drawn})
    assert written_off == (0, 0)
    for row, expected in zip(rows, plain, strict=True):
        assert {name: int(row[name]) for name in STOCK} == expected.values
    require_sums(rows, lines)
    assert sorted(lines.unsettled()["open_units"].tolist()) == sorted(
        units for item in plain for units in item.lines.values() if units
    )


def require_sums(rows: Table, lines: OpenLines) -> None:
    """Fail where a backlog is not the sum of what is open by line, and of orders not known."""
    opened: dict[int, int] = defaultdict(int)
    for line in lines.unsettled():
        opened[int(line["item"])] += max(0, int(line["open_units"]))
    for item, row in enumerate(rows):
        assert row["open_line_units"] == opened[item]
        assert row["backlog_units"] >= row["open_line_units"]
        assert row["backlog_units"] == row["waiting_units"].sum()


A, B = 1, 2


@pytest.mark.parametrize(
    ("events", "on_hand", "backlog"),
    [
        # the parcel of A is refused at the door, or sent again: B waits as before
        ([(A, PLACED, 5), (A, DISPATCHED, 5), (B, PLACED, 10), (A, CANCELLED, 5)], 95, 10),
        ([(A, PLACED, 5), (A, DISPATCHED, 5), (B, PLACED, 10), (A, DISPATCHED, 5)], 90, 10),
        # dispatched before the order came, whole and in part
        ([(B, PLACED, 10), (A, DISPATCHED, 5), (A, PLACED, 5)], 95, 10),
        ([(B, PLACED, 10), (A, DISPATCHED, 3), (A, PLACED, 5), (A, DISPATCHED, 2)], 95, 10),
        # two parcels, and between them
        ([(A, PLACED, 5), (B, PLACED, 10), (A, DISPATCHED, 2)], 98, 13),
        ([(A, PLACED, 5), (B, PLACED, 10), (A, DISPATCHED, 2), (A, DISPATCHED, 3)], 95, 10),
        # more left than was ordered
        ([(A, PLACED, 5), (B, PLACED, 10), (A, DISPATCHED, 8)], 92, 10),
        # cancelled twice, in part, before dispatch and after a part of it
        ([(A, PLACED, 5), (B, PLACED, 10), (A, CANCELLED, 5), (A, CANCELLED, 5)], 100, 10),
        ([(A, PLACED, 5), (B, PLACED, 10), (A, CANCELLED, 2)], 100, 13),
        ([(A, PLACED, 5), (B, PLACED, 10), (A, DISPATCHED, 2), (A, CANCELLED, 5)], 98, 10),
        # cancelled, and dispatched all the same
        ([(A, PLACED, 5), (B, PLACED, 10), (A, CANCELLED, 5), (A, DISPATCHED, 5)], 95, 10),
        # cancelled before the order came
        ([(B, PLACED, 10), (A, CANCELLED, 5), (A, PLACED, 5)], 100, 10),
        # returned, also without dispatch
        ([(A, PLACED, 5), (B, PLACED, 10), (A, DISPATCHED, 5), (A, RETURNED, 5)], 100, 10),
        ([(A, PLACED, 5), (B, PLACED, 10), (A, RETURNED, 5)], 105, 15),
        # several lines of one item in an order, and an order placed again with another line
        ([(A, PLACED, 5), (A, PLACED, 2), (B, PLACED, 10), (A, DISPATCHED, 7)], 93, 10),
        ([(A, PLACED, 5), (A, DISPATCHED, 5), (A, PLACED, 3), (B, PLACED, 10)], 95, 13),
        ([(A, PLACED, 5), (A, CANCELLED, 5), (A, PLACED, 3), (B, PLACED, 10)], 100, 13),
        # an order that nobody placed here
        ([(B, PLACED, 10), (A, DISPATCHED, 5), (A, CANCELLED, 5)], 95, 10),
    ],
)
def test_one_order_pays_for_no_other(events, on_hand, backlog):
    """Whatever becomes of order A, what is open of order B stays open."""
    rows = np.zeros(1, ROW)
    lines = OpenLines(MANY)
    counted = (1_000, 100, 0, 0, Kind.COUNTED, False)
    entries = [
        (2_000 + place, units, order, 0, kind, kind == PLACED)
        for place, (order, kind, units) in enumerate(events)
    ]
    apply(rows, lines, counted, *entries)
    assert (rows[0]["on_hand_units"], rows[0]["backlog_units"]) == (on_hand, backlog)
    require_sums(rows, lines)


def test_oldest_lines_are_written_off_and_counted():
    """Beyond the limit the oldest leave the backlog of their items, which count as touched."""
    rows = np.zeros(2, ROW)
    rows["on_hand_units"], rows["counted_at_ms"] = 4, 1
    lines = OpenLines(2)
    first = [(1_000 + order, 3, order, 0, PLACED, True) for order in (1, 2, 3)]
    touched, written_off = apply(rows, lines, *first, (1_003, 1, 4, 1, PLACED, True))
    assert (touched.tolist(), written_off) == ([0, 1], (0, 0))
    assert rows["out_since_ms"].tolist() == [1_003, 0]
    touched, written_off = apply(rows, lines, (1_004, 2, 5, 1, DISPATCHED, False))
    assert (touched.tolist(), written_off) == ([0, 1], (2, 6))
    assert rows["backlog_units"].tolist() == [3, 1]
    assert rows["out_since_ms"].tolist() == [0, 0]  # there is something to sell again
    require_sums(rows, lines)
    _, written_off = apply(rows, lines, (1_005, 3, 1, 0, DISPATCHED, False))
    assert written_off == (0, 0)
    assert rows["backlog_units"].tolist() == [3, 1]  # of the first order nothing is owed any more
