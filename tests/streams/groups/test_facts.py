"""What an item shard says: boundaries are whole before they leave, and bad records are refused."""

import msgspec
import pytest

from streams.groups.facts import FactsError, Gathered, HourFact, TickOrders, read_facts
from streams.timestamps import MINUTE_MS

GRID_MS = 10 * MINUTE_MS
TICK = TickOrders(0, 3, 1, 2, False)


def test_a_boundary_leaves_once_it_is_over():
    """What came in the open cell stays; the marker is never ahead of what took effect."""
    gathered = Gathered(1, 4, GRID_MS)
    gathered.at(3 * MINUTE_MS).ticks.append(TICK)
    gathered.at(10 * MINUTE_MS).ticks.append(TICK)
    gathered.at(11 * MINUTE_MS).ticks.append(TICK)
    assert gathered.take(9 * MINUTE_MS) == []
    (record,) = gathered.take(19 * MINUTE_MS)
    facts = read_facts(record.value)
    assert (facts.partition, facts.partitions, facts.upto_ms) == (1, 4, GRID_MS)  # type: ignore[union-attr]
    assert [(one.at_ms, len(one.ticks)) for one in facts.boundaries] == [(GRID_MS, 2)]  # type: ignore[union-attr]
    assert [one.at_ms for one in gathered.state()] == [2 * GRID_MS]


def test_nothing_new_is_not_said_again():
    """A marker leaves once for each cell, and before the first boundary there is none."""
    gathered = Gathered(0, 1, GRID_MS)
    assert gathered.take(None) == []
    assert len(gathered.take(25 * MINUTE_MS)) == 1
    assert gathered.take(29 * MINUTE_MS) == []


def test_many_facts_are_cut_into_records_whose_markers_do_not_promise_too_much():
    """A broker takes each of them, and between two a crash loses nothing that was promised."""
    gathered = Gathered(0, 1, GRID_MS)
    for cell in range(30):
        facts = gathered.at(cell * GRID_MS + 1)
        facts.hours = [HourFact(f"category:{n}", n, 0, 0, [("lamp@main", n)]) for n in range(500)]
    records = [one.value or b"" for one in gathered.take(31 * GRID_MS)]
    assert len(records) > 1
    assert max(map(len, records)) < 500_000
    told = [read_facts(value) for value in records]
    for one in told[:-1]:
        assert one.upto_ms == one.boundaries[-1].at_ms  # type: ignore[union-attr]
    assert told[-1].upto_ms == 31 * GRID_MS
    assert sum(len(one.boundaries) for one in told) == 30  # type: ignore[union-attr]


def test_a_boundary_of_a_shop_with_very_many_groups_still_fits():
    """It leaves out the names of items, not a single sum."""
    gathered = Gathered(0, 1, GRID_MS)
    best = [("an item with a long name@main", 1)] * 5
    gathered.at(1).hours = [HourFact(f"category:{n}", n, 0, 0, best) for n in range(9_000)]
    (record,) = gathered.take(GRID_MS)
    assert len(record.value or b"") < 1_000_000
    (boundary,) = read_facts(record.value).boundaries  # type: ignore[union-attr]
    assert sum(one.orders for one in boundary.hours) == sum(range(9_000))


def test_drafts_come_back_as_they_were():
    """What was stored goes on to grow."""
    gathered, again = Gathered(0, 1, GRID_MS), Gathered(0, 1, GRID_MS)
    gathered.at(1).ticks.append(TICK)
    again.restore(
        msgspec.json.decode(msgspec.json.encode(gathered.state()), type=list[type(gathered.at(1))])
    )  # type: ignore[misc]
    again.at(2).ticks.append(TICK)
    assert [len(one.ticks) for one in again.state()] == [2]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "Input data was truncated"),
        (b'{"kind":"gift"}', "kind"),
        (b'{"kind":"facts","partition":4,"partitions":4,"upto_ms":1}', "below 4, got 4"),
        (b'{"kind":"facts","partition":0,"partitions":0,"upto_ms":1}', "got 0"),
        (b"\xff", "malformed"),
    ],
)
def test_a_record_that_says_nothing_is_refused_with_its_reason(value, said):
    """Somebody wrote to the topic; the groups go on."""
    with pytest.raises(FactsError, match=said):
        read_facts(value)
