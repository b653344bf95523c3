"""What waits for its time: drawn in the right order, stored until all of it took effect."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contracts.events import TOPICS, Approved
from streams.state.pending import ENTRY, Pending

ADDED = st.lists(
    st.tuples(st.sampled_from(list(TOPICS)), st.lists(st.integers(0, 30), max_size=6)), max_size=12
)


class Waiting:
    """A buffer, what is stored of it, and the plain list that it should be."""

    def __init__(self) -> None:
        self.pending = Pending()
        self.kept: dict[int, bytes] = {}
        self.plain: list[tuple[int, int, int]] = []  # time, topic, number
        self.numbers = 0

    def add(self, topic: str, times: list[int]) -> None:
        """Let events wait; every third one is told in full."""
        entries = np.zeros(len(times), ENTRY)
        entries["effective_ms"] = times
        updates = {}
        for place, time in enumerate(times):
            entries["quantity"][place] = self.numbers
            if topic == "order-responses" and self.numbers % 3 == 0:
                updates[place] = Approved(
                    event_id=str(self.numbers), occurred_at=time, sku="a", po_id="p"
                )
            self.plain.append((time, list(TOPICS).index(topic), self.numbers))
            self.numbers += 1
        self.pending.add(topic, entries, updates)

    def store(self) -> None:
        """Commit."""
        added, removed = self.pending.take_changes()
        self.kept.update(added)
        for number in removed:
            del self.kept[number]

    def draw(self, before: int) -> None:
        """Draw, and compare with the plain list."""
        due = self.pending.take_before(before)
        expected = sorted(event for event in self.plain if event[0] < before)
        self.plain = [event for event in self.plain if event[0] >= before]
        assert due.entries["quantity"].tolist() == [number for _, _, number in expected]
        for place, event in due.updates.items():
            assert event.event_id == str(due.entries["quantity"][place])
        updates = [n for _, topic, n in expected if topic == len(TOPICS) - 1 and n % 3 == 0]
        assert len(due.updates) == len(updates)

    def restart(self, applied: int) -> None:
        """Go on from what is stored."""
        number = self.pending.next_number
        self.pending = Pending()
        self.pending.restore(number, self.kept, applied)


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(rounds=st.lists(st.tuples(ADDED, st.integers(0, 5), st.booleans()), max_size=6))
def test_events_are_drawn_by_time_then_topic_then_place_in_the_log(rounds):
    """Whatever the chunks, partial draws, commits and restarts, nothing is lost or drawn twice."""
    waiting = Waiting()
    now = 0
    for added, step, restarts in rounds:
        for topic, times in added:
            waiting.add(topic, [now + time for time in times])
        waiting.store()
        now += step
        waiting.draw(now)
        waiting.pending.settle()
        if restarts:
            waiting.store()
            waiting.restart(now)
        assert len(waiting.pending) == len(waiting.plain)
    waiting.draw(1_000)
    waiting.pending.settle()
    waiting.store()
    assert waiting.kept == {}


def test_what_was_drawn_and_not_applied_stays_stored():
    """A crash between drawing and applying must find the events again."""
    waiting = Waiting()
    waiting.add("orders", [1, 2, 9])
    waiting.draw(10)
    waiting.store()
    assert len(waiting.kept) == 1
    waiting.restart(2)
    waiting.plain = [(2, 3, 1), (9, 3, 2)]
    waiting.plain = [(time, list(TOPICS).index("orders"), n) for time, _, n in waiting.plain]
    waiting.draw(10)


def test_stored_update_that_no_contract_knows_has_no_effect(caplog):
    """A state of another version must not stop a shard: the update is left out, its chunk stays."""
    pending = Pending()
    entries = np.zeros(2, ENTRY)
    event = Approved(event_id="e", occurred_at=1, sku="lamp", po_id="po-1")
    pending.add("order-responses", entries, {0: event, 1: event})
    ((number, stored),), _ = pending.take_changes()
    pending.restore(number + 1, {number: stored.replace(b"approved", b"abolish!", 1)}, -1)
    due = pending.take_before(1)
    assert [entry["item"] for entry in due.entries][-2:] == [0, 0]
    assert event in due.updates.values()
    assert "cannot be read" in caplog.text
