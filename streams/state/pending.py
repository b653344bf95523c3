"""Events that were read but whose time has not come: they wait for the watermark.

A chunk holds what one batch left to wait, in log order. It is stored once and removed once all of
it has taken effect.
"""

import logging
from dataclasses import dataclass, field
from typing import Union

import msgspec
import numpy as np

from streams.contracts.events import TOPICS, AnyEvent, stored_kinds
from streams.types import Int64Array, Table

ENTRY = np.dtype(
    [
        ("effective_ms", "<i8"),
        ("quantity", "<i8"),
        ("order_key", "<u8"),  # of the customer's order; 0: not known
        ("item", "<i4"),
        ("code", "i1"),
        ("is_new_order", "?"),
    ]
)

_log = logging.getLogger(__name__)
_TOPIC_NAMES = list(TOPICS)
_DECODERS = {
    topic: msgspec.json.Decoder(Union[stored_kinds(topic)])  # noqa: UP007
    for topic in TOPICS
}


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one batch of one topic left to wait; `updates` maps a place in it to the whole event."""

    number: int
    topic: str
    entries: Table
    updates: dict[int, AnyEvent] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The form in which it is stored."""
        updates = {place: msgspec.json.encode(event) for place, event in self.updates.items()}
        return msgspec.msgpack.encode((self.topic, self.entries.tobytes(), updates))

    @staticmethod
    def from_bytes(number: int, stored: bytes) -> "Chunk":
        """Read the stored form; an update that no contract knows any more has no effect."""
        topic, entries, updates = msgspec.msgpack.decode(
            stored, type=tuple[str, bytes, dict[int, bytes]]
        )
        events = {}
        for place, event in updates.items():
            try:
                events[place] = _DECODERS[topic].decode(event)
            except (msgspec.DecodeError, UnicodeDecodeError):  # never one that this version stored
                _log.exception("chunk %d of %s: an update cannot be read: left out", number, topic)
        return Chunk(number, topic, np.frombuffer(entries, ENTRY), events)

    def only(self, kept: Int64Array) -> "Chunk":
        """The chunk with the entries at `kept` only."""
        updates = {}
        if self.updates:
            place_of = {int(old): new for new, old in enumerate(kept)}
            updates = {
                place_of[old]: event for old, event in self.updates.items() if old in place_of
            }
        return Chunk(self.number, self.topic, self.entries[kept], updates)


@dataclass(frozen=True, slots=True)
class Due:
    """Entries in the order in which they take effect; `updates` as in a chunk."""

    entries: Table
    updates: dict[int, AnyEvent]


class Pending:
    """The chunks that wait."""

    def __init__(self) -> None:
        self._chunks: list[Chunk] = []
        self._next_number = 0
        self._added: list[Chunk] = []
        self._drawn: list[int] = []
        self._removed: list[int] = []

    def __len__(self) -> int:
        return sum(chunk.entries.size for chunk in self._chunks)

    def add(self, topic: str, entries: Table, updates: dict[int, AnyEvent]) -> None:
        """Let the entries of one batch wait."""
        if not entries.size:
            return
        chunk = Chunk(self._next_number, topic, entries, updates)
        self._next_number += 1
        self._chunks.append(chunk)
        self._added.append(chunk)

    def take_before(self, boundary_ms: int) -> Due:
        """Draw what takes effect before the boundary; `settle` says that it has.

        The order is that of effective time; at one instant that of the topics in
        `streams.contracts.events.TOPICS`, and within a topic that of the log. So it does not depend
        on how the topics were read.
        """
        parts: list[Chunk] = []
        left: list[Chunk] = []
        for chunk in self._chunks:
            is_due = chunk.entries["effective_ms"] < boundary_ms
            if is_due.all():
                parts.append(chunk)
                self._drawn.append(chunk.number)
            elif is_due.any():
                taken, kept = np.flatnonzero(is_due), np.flatnonzero(~is_due)
                parts.append(chunk.only(taken))
                left.append(chunk.only(kept))
            else:
                left.append(chunk)
        self._chunks = left
        return _in_order(parts)

    def settle(self) -> None:
        """Note that all that was drawn has taken effect, so that it need not be stored."""
        self._removed.extend(self._drawn)
        self._drawn = []

    def take_changes(self) -> tuple[list[tuple[int, bytes]], list[int]]:
        """Return the chunks to store, as (number, bytes), and the numbers of those to remove."""
        gone = set(self._removed)
        added = [
            (chunk.number, chunk.to_bytes()) for chunk in self._added if chunk.number not in gone
        ]
        born = {chunk.number for chunk in self._added}
        removed = [number for number in self._removed if number not in born]
        self._added, self._removed = [], []
        return added, removed

    @property
    def next_number(self) -> int:
        """The number that the next chunk will have."""
        return self._next_number

    def restore(self, next_number: int, stored: dict[int, bytes], applied_ms: int) -> None:
        """Take over stored chunks; what is before `applied_ms` has already taken effect."""
        self._next_number = next_number
        for number in sorted(stored):
            chunk = Chunk.from_bytes(number, stored[number])
            is_due = chunk.entries["effective_ms"] < applied_ms
            if is_due.all():
                self._removed.append(number)
                continue
            self._chunks.append(chunk.only(np.flatnonzero(~is_due)))


def _in_order(parts: list[Chunk]) -> Due:
    if not parts:
        return Due(np.zeros(0, ENTRY), {})
    parts = sorted(parts, key=lambda chunk: _TOPIC_NAMES.index(chunk.topic))
    entries = np.concatenate([chunk.entries for chunk in parts])
    updates = {}
    start = 0
    for chunk in parts:
        updates.update({start + place: event for place, event in chunk.updates.items()})
        start += chunk.entries.size
    order = np.argsort(entries["effective_ms"], kind="stable")
    if updates:
        new_place = np.empty(order.size, np.int64)
        new_place[order] = np.arange(order.size)
        updates = {int(new_place[place]): event for place, event in updates.items()}
    return Due(entries.take(order), updates)
