"""The audit log: what it says, and that nobody can quietly change what it said."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.control.entries import (
    ACKNOWLEDGED_FOR_MS,
    AuditError,
    AuditState,
    Closed,
    Opened,
    OrderLeft,
    OrderWaits,
    UnknownHoldError,
    make_acknowledgement,
    make_pause,
    make_resume,
    sealed,
)
from streams.contracts.alerts import Alert, AlertKind, AlertState
from streams.handover.rules import HoldReason
from streams.timestamps import one_time

AT = "2026-01-01T00:00:00Z"


def written(entries, writers=None) -> list[bytes]:
    """The records of a log; each entry by a writer that has seen all but some of those before."""
    records: list[bytes] = []
    for place, entry in enumerate(entries):
        unseen = writers[place] if writers else 0
        state = fold(records[: max(0, place - unseen)])
        records.append(msgspec.json.encode(sealed(entry, state.heads, AT)))
    return records


def fold(records) -> AuditState:
    """The state after some records."""
    state = AuditState()
    for offset, record in enumerate(records):
        state.take(record, f"audit/0/{offset}")
    return state


def waits(number: int) -> OrderWaits:
    """An entry."""
    return OrderWaits(who="t", why="w", po_id=f"po-{number}", reason=HoldReason.APPROVAL)


def test_pause_is_in_force_until_it_is_resumed():
    """The fold of the log is what workers go by."""
    records = written([make_pause("ada", "wrong price", supplier="acme")])
    state = fold(records)
    (hold,) = state.pauses.values()
    assert (hold.who, hold.why, hold.since, hold.supplier) == ("ada", "wrong price", AT, "acme")
    resume = make_resume("bob", "mended", hold.hold_id, state.pauses.values())
    records.append(msgspec.json.encode(sealed(resume, state.heads, AT)))
    assert fold(records).pauses == {}
    with pytest.raises(UnknownHoldError, match="hold_id"):
        make_resume("bob", "again", hold.hold_id, fold(records).pauses.values())


def test_gates_and_orders_are_followed():
    """What is held by itself is known from the log too."""
    closed = Closed(who="t", why="w", partition=3, reasons=[HoldReason.LAG])
    records = written([closed, waits(1), waits(2)])
    assert fold(records).closed == {3: [HoldReason.LAG]}
    assert set(fold(records).waiting) == {"po-1", "po-2"}
    left = OrderLeft(who="t", why="w", po_id="po-1", status="approved")
    records = written([closed, waits(1), left, Opened(who="t", why="w", partition=3)])
    assert fold(records).closed == fold(records).waiting == {}


def test_order_that_left_waits_no_more_whatever_comes_late():
    """A worker that was robbed can write down late that it waited."""
    left = OrderLeft(who="t", why="w", po_id="po-1", status="approved")
    assert fold(written([left, waits(1), waits(2)])).waiting.keys() == {"po-2"}


@given(st.lists(st.integers(0, 3), min_size=2, max_size=20), st.data())
def test_missing_entry_shows(writers, data):
    """Whoever takes out an entry that something followed is seen, also among concurrent writers."""
    records = written([waits(number) for number in range(len(writers))], writers)
    assert fold(records).faults == []
    followed = set(range(len(records))) - {
        place
        for place, record in enumerate(records)
        if msgspec.json.decode(record)["entry_id"] in fold(records).heads
    }
    if followed:
        gone = data.draw(st.sampled_from(sorted(followed)))
        assert fold(records[:gone] + records[gone + 1 :]).faults


@given(st.integers(1, 8), st.data())
def test_altered_entry_shows(count, data):
    """Another who, why or reason under the same id is seen."""
    records = written([waits(number) for number in range(count)])
    place = data.draw(st.integers(0, count - 1))
    altered = msgspec.json.decode(records[place])
    altered[data.draw(st.sampled_from(["who", "why", "po_id", "at"]))] = "another"
    records[place] = msgspec.json.encode(altered)
    (fault,) = fold(records).faults
    assert f"audit/0/{place}" in fault


def test_record_written_twice_is_one_entry():
    """A producer that lost a reply writes again: same bytes, same id, no fault."""
    records = written([waits(1), waits(2)])
    state = fold([records[0], records[0], records[1], records[0]])
    assert state.faults == []
    assert state.heads == fold(records).heads


@pytest.mark.parametrize("value", [None, b"", b"{}", b'{"kind":"paused"}', b"\xff", b"[1]"])
def test_record_that_is_no_entry_is_a_fault_and_stops_nothing(value):
    """What follows is read."""
    records = [value, *written([waits(1)])]
    state = fold(records)
    assert len(state.faults) == 1
    assert set(state.waiting) == {"po-1"}


@given(st.binary(max_size=200))
def test_any_bytes_are_taken(value):
    """The log is only as clean as those who may write to it."""
    AuditState().take(value, "somewhere")


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"who": "", "why": "x"}, "who"),
        ({"who": "a", "why": "\x1b[2J"}, "why"),
        ({"who": "a", "why": "x" * 501}, "why"),
        ({"who": "a", "why": "x", "sku": ""}, "sku"),
        ({"who": "a", "why": "x", "warehouse": "main"}, "warehouse"),
    ],
)
def test_pause_without_a_name_or_reason_is_refused(arguments, field):
    """Who and why are the point of the log."""
    with pytest.raises(AuditError, match=field):
        make_pause(**arguments)


INCIDENT = Alert(
    state=AlertState.RAISED,
    incident_id="in-0123456789abcdef0123",
    version=1,
    kind=AlertKind.LOW_COVER,
    subject="lamp@main",
    sku="lamp",
    warehouse="main",
    started_at=AT,
    occurred_at=AT,
    summary="lamp@main will run out",
    action="expedite",
    figures={},
)


def test_incident_is_in_the_hands_of_whoever_took_it_on_last_for_a_day():
    """Who, when and which; a day after, their word stands for nothing."""
    words = [make_acknowledgement(who, "", INCIDENT) for who in ("ada", "bob")]
    state = fold(written(words))
    (found,) = state.acknowledged(one_time(AT) + ACKNOWLEDGED_FOR_MS - 1).values()
    assert (found.who, found.at, found.incident_id) == ("bob", AT, INCIDENT.incident_id)
    assert (found.alert, found.subject) == ("low_cover", "lamp@main")
    assert state.acknowledged(one_time(AT) + ACKNOWLEDGED_FOR_MS) == {}


@pytest.mark.parametrize(("who", "note"), [("", ""), ("ada\n", ""), ("ada", "x" * 501)])
def test_incident_is_acknowledged_by_somebody_with_a_name(who, note):
    """The log holds printable texts of a bounded length; a note may be missing."""
    with pytest.raises(AuditError, match="must be"):
        make_acknowledgement(who, note, INCIDENT)
