"""What people see of the outgoing records is written with them."""

import msgspec

from infra.redis.keys import Keys
from infra.redis.projection import DEAD_LETTERS_KEPT, DeadLetter, project
from streams.contracts.alerts import Alert, AlertKind, AlertState
from streams.contracts.outgoing import OutboxRecord, alert_record
from streams.incidents.kinds import INCIDENT_KINDS
from streams.state.outbox import Outbox


def alert(state: AlertState, incident: str = "in-1") -> OutboxRecord:
    """One step of an incident."""
    return alert_record(
        Alert(
            state=state,
            incident_id=incident,
            version=1,
            kind=AlertKind.SURGE,
            subject="lamp@main",
            sku="lamp",
            warehouse="main",
            started_at="2026-03-02T10:00:00Z",
            occurred_at="2026-03-02T10:00:00Z",
            summary="lamp@main sells much faster than its baseline",
            action=INCIDENT_KINDS[AlertKind.SURGE].actions[0],
            figures={},
        )
    )


def letter(value: bytes | None, offset: int = 7, topic: str = "orders.dlt") -> OutboxRecord:
    """A dead letter as the worker makes it."""
    headers = [
        ("kafka_dlt-original-partition", (3).to_bytes(4, "big")),
        ("kafka_dlt-original-offset", offset.to_bytes(8, "big")),
        ("kafka_dlt-original-timestamp", (1_700_000_000_000).to_bytes(8, "big")),
        ("kafka_dlt-exception-message", b"quantity must be >= 1, got 0"),
        ("tidegate-error-code", b"out_of_range"),
    ]
    return OutboxRecord(topic, b"lamp", value, headers)


def numbered(*records: OutboxRecord, first: int = 0) -> list[tuple[int, OutboxRecord]]:
    """Records as a commit carries them."""
    return [(first + n, record) for n, record in enumerate(records)]


def test_the_newest_step_of_an_incident_is_kept_until_it_is_resolved():
    """Raised and updated incidents are there as published, resolved ones are not."""
    raised, updated = alert(AlertState.RAISED), alert(AlertState.UPDATED)
    other = alert(AlertState.RESOLVED, "in-2")
    found = project(numbered(raised, other, updated))
    assert found.incidents == {"in-1": updated.value, "in-2": None}


def test_a_dead_letter_says_where_it_lies_and_what_is_wrong():
    """Place, code and message come from its headers, the value is cut and shown as text."""
    (packed,) = project(numbered(letter(b"\xff" + b"x" * 1000))).dead_letters.values()
    shown = msgspec.json.decode(packed, type=DeadLetter)
    assert (shown.topic, shown.partition, shown.offset) == ("orders", 3, 7)
    assert (shown.code, shown.message) == ("out_of_range", "quantity must be >= 1, got 0")
    assert shown.value is not None
    assert shown.value.startswith("\\xffxxx")
    assert len(shown.value) < 310


def test_dead_letters_are_bounded():
    """The newest ones take the places of the oldest."""
    found = project(numbered(*(letter(b"", n) for n in range(DEAD_LETTERS_KEPT + 5))))
    assert len(found.dead_letters) == DEAD_LETTERS_KEPT
    assert msgspec.json.decode(found.dead_letters[0])["offset"] == DEAD_LETTERS_KEPT


def test_late_records_are_kept_beside_dead_letters():
    """As many of each are kept for people: a flood of the one does not displace the other."""
    late = [letter(b"", n, "orders.late") for n in range(DEAD_LETTERS_KEPT + 5)]
    found = project(numbered(letter(b"", 7), *late))
    kept = [msgspec.json.decode(one, type=DeadLetter) for one in found.dead_letters.values()]
    assert len(kept) == 1 + DEAD_LETTERS_KEPT
    assert {one.topic for one in kept} == {"orders"}
    assert kept[0].offset == 7


def test_other_records_leave_no_trace():
    """Purchase orders have a topic of their own."""
    found = project(numbered(OutboxRecord("purchase-orders", b"k", b"v", [])))
    assert not found.incidents
    assert not found.dead_letters
    assert Keys().incidents(0) != Keys().dead_letters(0)


def test_projecting_decodes_nothing():
    """The commit is the hot path: what the outbox holds is not packed and unpacked for people."""
    unreadable = msgspec.structs.replace(alert(AlertState.RAISED), value=b"no JSON")
    assert project(numbered(unreadable)).incidents == {"in-1": b"no JSON"}


def test_incident_that_ended_while_redis_was_away_is_open_no_more():
    """Alerts leave before they are stored then; the next commit tells Redis all the same."""
    outbox = Outbox()
    outbox.put(alert(AlertState.RAISED))
    added, _ = outbox.take_changes()
    assert project(added).incidents.keys() == {"in-1"}
    outbox.published([0])
    for step, incident in ((AlertState.RESOLVED, "in-1"), (AlertState.RAISED, "in-2")):
        outbox.put(alert(step, incident))
    outbox.published([1, 2])
    added, removed = outbox.take_changes()
    assert project(added).incidents == {
        "in-1": None,
        "in-2": alert(AlertState.RAISED, "in-2").value,
    }
    assert removed == [0, 1, 2], "nothing of them stays in the outbox"
    assert outbox.take_changes() == ([], [])
