"""What an item shard says: boundaries are whole before they leave, and bad records are refused."""

import msgspec
import pytest

from streams.groups.facts import FactsError, Gathered, TickOrders, read_facts
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


def test_many_boundaries_are_cut_into_records_whose_markers_do_not_promise_too_much():
    """Between two of them a crash must not lose what the second one holds."""
    gathered = Gathered(0, 1, GRID_MS)
    for cell in range(450):
        gathered.at(cell * GRID_MS + 1).ticks.append(TICK)
    records = [read_facts(one.value) for one in gathered.take(450 * GRID_MS)]
    assert [one.upto_ms for one in records] == [200 * GRID_MS, 400 * GRID_MS, 450 * GRID_MS]
    assert sum(len(one.boundaries) for one in records) == 450  # type: ignore[union-attr]


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
