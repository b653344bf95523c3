"""What all partitions have said: when a boundary may be applied, and what is read again."""

import random

from hypothesis import given
from hypothesis import strategies as st

from streams.groups.facts import Boundary, CloseWindow, Facts
from streams.groups.inbox import Inbox


def facts(partition: int, upto_ms: int, *at_ms: int, partitions: int = 2) -> Facts:
    """A record."""
    return Facts(partition, partitions, upto_ms, [Boundary(at) for at in at_ms])


def test_nothing_may_be_applied_before_all_have_said_everything():
    """One partition is far ahead: the other one decides."""
    inbox = Inbox()
    inbox.put(facts(0, 100, 10, 20), 0)
    assert inbox.limit_ms == 0
    inbox.put(facts(1, 20, 20), 1)
    assert (inbox.limit_ms, inbox.next_ms()) == (20, 10)
    assert [partition for partition, _ in inbox.take(20)] == [0, 1]


def test_a_marker_alone_moves_on():
    """A partition in which nothing happens says so."""
    inbox = Inbox()
    inbox.put(facts(0, 30, 10), 0)
    inbox.put(facts(1, 30), 1)
    assert inbox.limit_ms == 30


def test_what_is_said_twice_is_taken_once():
    """Also after it was applied."""
    inbox = Inbox()
    for offset in range(2):
        inbox.put(facts(0, 20, 10, 20, partitions=1), offset)
    assert len(inbox.take(10)) == 1
    inbox.note_applied(20)
    inbox.put(facts(0, 20, 10, 20, partitions=1), 2)
    assert inbox.next_ms() == 20  # of the first time, that nobody has taken
    inbox.take(20)
    inbox.put(facts(0, 20, 10, 20, partitions=1), 3)
    assert inbox.next_ms() is None


def test_a_closed_window_goes_on_without_the_partition():
    """And what it says of that time later is passed over."""
    inbox = Inbox()
    inbox.put(facts(0, 100, 10), 0)
    inbox.put(CloseWindow(1, 50, "ada", "its disk is gone"), 1)
    assert inbox.limit_ms == 50
    inbox.put(facts(1, 60, 10, 60), 2)
    assert [partition for partition, _ in inbox.take(10)] == [0]
    assert [partition for partition, _ in inbox.take(60)] == [1]


@given(
    seed=st.integers(0, 10_000),
    stops=st.lists(st.integers(1, 30), min_size=1, max_size=6),
)
def test_whoever_goes_on_from_the_pinned_offset_knows_all_that_waits(seed, stops):
    """Wherever one stops, going on there gives what one that never stopped has."""
    chance = random.Random(seed)
    clocks = [0, 0, 0]
    log = []
    for _ in range(30):
        partition = chance.randrange(3)
        before = clocks[partition]
        clocks[partition] += chance.choice([0, 10, 20, 50])
        ats = [at for at in range(before + 10, clocks[partition] + 1, 10) if chance.random() < 0.5]
        log.append(facts(partition, clocks[partition], *ats, partitions=3))
    whole, taken = read(Inbox(), log, 0)
    again, resumed = Inbox(), []
    position = 0
    for stop in sorted(stops):
        if stop > position:
            again, more = read(again, log[:stop], position)
            resumed += more
            pinned = again.pinned_offset(stop)
            fresh = Inbox()
            fresh.restore(again.applied_ms, again.partitions)
            again, position = fresh, pinned
    again, more = read(again, log, position)
    assert resumed + more == taken
    assert again.applied_ms == whole.applied_ms


def read(inbox: Inbox, log: list[Facts], position: int) -> tuple[Inbox, list[tuple[int, int]]]:
    """Read on, and apply what may be; return the boundaries and partitions that were applied."""
    taken = []
    for offset in range(position, len(log)):
        inbox.put(log[offset], offset)
        limit = inbox.limit_ms
        while (at := inbox.next_ms()) is not None and at <= limit:
            taken += [(at, partition) for partition, _ in inbox.take(at)]
        if limit > inbox.applied_ms:
            inbox.note_applied(limit)
    return inbox, taken
