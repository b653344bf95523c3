"""What is to be sent, on disk: each message once for each destination, whatever is killed.

A file of SQLite. A message and the place in the topic that it came from are written together, so a
record becomes a message once. A try is written down before it is made: after a crash a message that
was being sent is of unknown end, never waiting as if nothing had happened.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import msgspec

from infra.deliver.gathering import documents, key_of
from infra.deliver.messages import Message, Said, after

_FILE = "outbox.sqlite"
_TABLES = """
CREATE TABLE IF NOT EXISTS message (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, destination TEXT NOT NULL, message_id TEXT NOT NULL,
    po_id TEXT NOT NULL, version INTEGER NOT NULL, body BLOB NOT NULL, state TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0, next_s REAL NOT NULL,
    came_s REAL NOT NULL, changed_s REAL NOT NULL, said TEXT NOT NULL DEFAULT '',
    UNIQUE (destination, message_id));
CREATE INDEX IF NOT EXISTS by_state ON message (destination, state, sequence);
CREATE INDEX IF NOT EXISTS by_order ON message (po_id, sequence);
CREATE TABLE IF NOT EXISTS event (
    message INTEGER NOT NULL, at_s REAL NOT NULL, what TEXT NOT NULL, said TEXT NOT NULL,
    who TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS by_message ON event (message);
CREATE TABLE IF NOT EXISTS known (po_id TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS word (
    event_id TEXT PRIMARY KEY, po_id TEXT NOT NULL, body BLOB NOT NULL, is_done INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS word_by_order ON word (po_id);
CREATE TABLE IF NOT EXISTS document (
    destination TEXT NOT NULL, document_id TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (destination, document_id));
CREATE TABLE IF NOT EXISTS member (
    destination TEXT NOT NULL, po_id TEXT NOT NULL, document_id TEXT NOT NULL,
    PRIMARY KEY (destination, po_id));
CREATE TABLE IF NOT EXISTS place (
    topic TEXT NOT NULL, number INTEGER NOT NULL, next_offset INTEGER NOT NULL,
    PRIMARY KEY (topic, number));
CREATE TABLE IF NOT EXISTS destination (
    name TEXT PRIMARY KEY, stopped TEXT NOT NULL DEFAULT '', stopped_s REAL NOT NULL DEFAULT 0,
    pause_s REAL NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0);
"""


class State(StrEnum):
    """Where a message stands at one destination."""

    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
    GATHERING = "gathering"  # waits for other orders of its document
    GATHERED = "gathered"  # is in a document, which is a message of its own


OPEN = (State.WAITING, State.SENDING, State.UNKNOWN, State.GATHERING)


class Route(NamedTuple):
    """Where a message goes."""

    name: str
    skipped: str = ""  # why it is not sent there; empty: it is
    is_gathered: bool = False  # into a document


class OutboxError(ValueError):
    """Something that may not be done to a message; names field, rule and value."""

    def __init__(self, field: str, rule: str, value: object) -> None:
        super().__init__(f"{field} must be {rule}, got {value!r}")


@dataclass(frozen=True)
class Delivery:
    """A message at one destination."""

    sequence: int
    destination: str
    message: Message
    state: State
    tries: int
    failures: int
    next_s: float
    came_s: float
    changed_s: float
    said: str


@dataclass(frozen=True)
class DestinationState:
    """How a destination stands."""

    name: str
    stopped: str  # why nothing is sent to it; empty: it is not stopped
    stopped_s: float
    pause_s: float
    failures: int  # since it last took something


class Outbox:
    """The file of one folder.

    Args:
        folder: is made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / _FILE, isolation_level=None, timeout=10)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_TABLES)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # --- what comes in -------------------------------------------------------------------------

    def places(self) -> dict[tuple[str, int], int]:
        """Return where each topic is read on, by topic and partition."""
        rows = self._db.execute("SELECT topic, number, next_offset FROM place")
        return {(row["topic"], row["number"]): row["next_offset"] for row in rows}

    def begin_at(self, places: Mapping[tuple[str, int], int]) -> None:
        """Note where topics are read from that were not read yet."""
        with self._writing():
            for (topic, number), offset in places.items():
                self._db.execute(
                    "INSERT OR IGNORE INTO place VALUES (?, ?, ?)", (topic, number, offset)
                )

    def take(
        self,
        place: tuple[str, int, int],
        came: Message | Said | None,
        destinations: Iterable[Route],
        now_s: float,
    ) -> None:
        """Take a record in: its messages and its place, together.

        Args:
            place: topic, partition and offset of the record.
            came: what it is; None means nothing for anybody.
            destinations: where the message goes.
            now_s: wall clock.
        """
        topic, number, offset = place
        with self._writing():
            if isinstance(came, Message):
                self._add(came, destinations, now_s)
                for word in self._words(came.po_id):
                    self._follow(word, destinations, now_s)
            elif came is not None:
                self._db.execute(
                    "INSERT OR IGNORE INTO word VALUES (?, ?, ?, 0)",
                    (came.event_id, came.po_id, msgspec.json.encode(came)),
                )
                for word in self._words(came.po_id):
                    self._follow(word, destinations, now_s)
            self._db.execute(
                "INSERT INTO place VALUES (?, ?, ?) ON CONFLICT (topic, number) "
                "DO UPDATE SET next_offset = max(next_offset, excluded.next_offset)",
                (topic, number, offset + 1),
            )

    def _words(self, po_id: str) -> list[Said]:
        """Return the words about an order that nothing was made of yet, if it is known."""
        if self._known(po_id) is None:
            return []
        rows = self._db.execute(
            "SELECT body FROM word WHERE po_id = ? AND is_done = 0 ORDER BY rowid", (po_id,)
        )
        return [msgspec.json.decode(row["body"], type=Said) for row in rows]

    def _follow(self, word: Said, destinations: Iterable[Route], now_s: float) -> None:
        known = self._known(word.po_id)
        assert known is not None
        message = after(known, word, known.version + 1)
        self._db.execute("UPDATE word SET is_done = 1 WHERE event_id = ?", (word.event_id,))
        if message is not None:
            self._add(message, destinations, now_s)

    def known(self, po_id: str) -> Message | None:
        """Return the newest message of an order; None means that it never left."""
        return self._known(po_id)

    def _known(self, po_id: str) -> Message | None:
        row = self._db.execute("SELECT body FROM known WHERE po_id = ?", (po_id,)).fetchone()
        return None if row is None else msgspec.json.decode(row["body"], type=Message)

    def _add(self, message: Message, destinations: Iterable[Route], now_s: float) -> None:
        body = msgspec.json.encode(message)
        known = self._known(message.po_id)
        if known is None or known.version < message.version:
            self._db.execute("INSERT OR REPLACE INTO known VALUES (?, ?)", (message.po_id, body))
        for name, skipped, is_gathered in destinations:
            state = State.GATHERING if is_gathered else State.WAITING
            if skipped:
                state = State.SKIPPED
            self._insert(message, Route(name, skipped), state, now_s)

    def _insert(self, message: Message, route: Route, state: State, now_s: float) -> None:
        self._db.execute(
            "INSERT OR IGNORE INTO message (destination, message_id, po_id, version, body, state, "
            "next_s, came_s, changed_s, said) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (route.name, message.message_id, message.po_id, message.version,
             msgspec.json.encode(message), str(state), now_s, now_s, now_s, route.skipped),
        )  # fmt: skip

    def gather(self, destination: str, gather_s: float, now_s: float) -> int:
        """Close the documents whose time has come; return how many messages they became.

        Args:
            destination: that gathers.
            gather_s: from the first order of a document until it is closed.
            now_s: wall clock.
        """
        waiting = self._select("destination = ? AND state = ?", (destination, str(State.GATHERING)))
        due = {key_of(one.message) for one in waiting if one.came_s + gather_s <= now_s}
        if not due:
            return 0
        with self._writing():
            waiting = self._select(
                "destination = ? AND state = ?", (destination, str(State.GATHERING))
            )
            return sum(
                self._close_documents(
                    destination, [one for one in waiting if key_of(one.message) == key], now_s
                )
                for key in sorted(due)
            )

    def _close_documents(self, destination: str, rows: list[Delivery], now_s: float) -> int:
        known = {}
        for one in rows:
            found = self._document_of(destination, one.message.po_id)
            if found is not None:
                known[one.message.po_id] = found
        made = documents([one.message for one in rows], known)
        where = {line.po_id: document.po_id for document in made for line in document.lines}
        for document in made:
            body = msgspec.json.encode(document)
            self._db.execute(
                "INSERT OR REPLACE INTO document VALUES (?, ?, ?)",
                (destination, document.po_id, body),
            )
            self._db.executemany(
                "INSERT OR IGNORE INTO member VALUES (?, ?, ?)",
                [(destination, line.po_id, document.po_id) for line in document.lines],
            )
            self._insert(document, Route(destination), State.WAITING, now_s)
        for one in rows:
            name = where.get(one.message.po_id)
            said = f"in {name}" if name else "cancelled before it was sent"
            self._end(one, State.GATHERED, said, now_s, now_s)
        return len(made)

    def _document_of(self, destination: str, po_id: str) -> Message | None:
        row = self._db.execute(
            "SELECT body FROM document JOIN member USING (destination, document_id) "
            "WHERE destination = ? AND po_id = ?",
            (destination, po_id),
        ).fetchone()
        return None if row is None else msgspec.json.decode(row["body"], type=Message)

    def document_lines(self) -> dict[tuple[str, str], str]:
        """Return which order is meant by the number of a document and a sku, prefixes left out."""
        rows = self._db.execute("SELECT body FROM document")
        found = [msgspec.json.decode(row["body"], type=Message) for row in rows]
        return {
            (one.po_id.removeprefix("do-"), line.sku): line.po_id
            for one in found
            for line in one.lines
        }

    # --- what goes out -------------------------------------------------------------------------

    def recover(self, now_s: float) -> int:
        """After a start: what was being sent is of unknown end; return how many these are."""
        with self._writing():
            rows = self._select("state = ?", (str(State.SENDING),))
            for one in rows:
                self._end(one, State.UNKNOWN, "the process ended while it was sent", now_s, now_s)
        return len(rows)

    def next_due(self, destination: str, asks_first: bool, now_s: float) -> Delivery | None:
        """Return the first message that may be sent now: a later version never overtakes one."""
        states = [str(State.WAITING)] if asks_first else [str(State.WAITING), str(State.UNKNOWN)]
        marks = ", ".join("?" * len(states))
        rows = self._select(
            f"destination = ? AND state IN ({marks}) AND next_s <= ? AND NOT EXISTS ("
            "SELECT 1 FROM message AS earlier WHERE earlier.destination = message.destination "
            "AND earlier.po_id = message.po_id AND earlier.sequence < message.sequence "
            "AND earlier.state IN ('waiting', 'sending', 'unknown'))",
            (destination, *states, now_s),
            limit=1,
        )
        return rows[0] if rows else None

    def begin(self, one: Delivery, now_s: float) -> bool:
        """Note that a try begins, before it does; False where somebody skipped it meanwhile."""
        with self._writing():
            changed = self._db.execute(
                "UPDATE message SET state = ?, tries = tries + 1, changed_s = ? "
                "WHERE sequence = ? AND state = ?",
                (str(State.SENDING), now_s, one.sequence, str(one.state)),
            )
        return changed.rowcount == 1

    def end(self, one: Delivery, state: State, said: str, now_s: float, next_s: float) -> None:
        """Note how a try ended, and when the next one may be.

        Args:
            one: the message.
            state: it is in from now on.
            said: by the destination.
            now_s: wall clock.
            next_s: of the next try.
        """
        with self._writing():
            self._end(one, state, said, now_s, next_s)

    def _end(
        self, one: Delivery, state: State, said: str, now_s: float, next_s: float, who: str = ""
    ) -> None:
        failed = state in (State.WAITING, State.UNKNOWN) and not who
        self._db.execute(
            "UPDATE message SET state = ?, said = ?, changed_s = ?, next_s = ?, "
            "failures = failures + ? WHERE sequence = ?",
            (str(state), said, now_s, next_s, int(failed), one.sequence),
        )
        self._db.execute(
            "INSERT INTO event VALUES (?, ?, ?, ?, ?)",
            (one.sequence, now_s, str(state), said, who),
        )

    def was_unknown(self, one: Delivery) -> bool:
        """Return whether a try of a message ever had an unknown end."""
        row = self._db.execute(
            "SELECT 1 FROM event WHERE message = ? AND what = ?", (one.sequence, str(State.UNKNOWN))
        ).fetchone()
        return row is not None

    # --- destinations --------------------------------------------------------------------------

    def destination(self, name: str) -> DestinationState:
        """Return how a destination stands."""
        row = self._db.execute("SELECT * FROM destination WHERE name = ?", (name,)).fetchone()
        return DestinationState(name, "", 0.0, 0.0, 0) if row is None else DestinationState(**row)

    def set_destination(self, state: DestinationState) -> None:
        """Note how a destination stands."""
        with self._writing():
            self._db.execute(
                "INSERT OR REPLACE INTO destination VALUES (?, ?, ?, ?, ?)",
                (state.name, state.stopped, state.stopped_s, state.pause_s, state.failures),
            )

    # --- people --------------------------------------------------------------------------------

    def listed(
        self, destination: str | None = None, states: Sequence[str] = (), limit: int = 1_000
    ) -> list[Delivery]:
        """Return messages, those that came first first."""
        terms, values = ["1"], []
        if destination is not None:
            terms.append("destination = ?")
            values.append(destination)
        if states:
            terms.append(f"state IN ({', '.join('?' * len(states))})")
            values.extend(states)
        return self._select(" AND ".join(terms), tuple(values), limit=limit)

    def counts(self) -> dict[tuple[str, str], int]:
        """Return how many messages there are, by destination and state."""
        rows = self._db.execute(
            "SELECT destination, state, count(*) AS n FROM message GROUP BY destination, state"
        )
        return {(row["destination"], row["state"]): row["n"] for row in rows}

    def oldest_open(self) -> dict[str, float]:
        """Return when the oldest message came that is still to be sent, by destination."""
        marks = ", ".join("?" * len(OPEN))
        rows = self._db.execute(
            f"SELECT destination, min(came_s) AS came_s FROM message WHERE state IN ({marks}) "
            "GROUP BY destination",
            [str(one) for one in OPEN],
        )
        return {row["destination"]: row["came_s"] for row in rows}

    def stopped(self) -> list[DestinationState]:
        """Return the destinations to which nothing is sent any more."""
        rows = self._db.execute("SELECT * FROM destination WHERE stopped != '' ORDER BY name")
        return [DestinationState(**row) for row in rows]

    def find(self, message_id: str, destination: str | None = None) -> list[Delivery]:
        """Return a message at its destinations, by its id or that of its order.

        Raises:
            OutboxError: there is none.
        """
        rows = [
            one
            for one in self._select("message_id = ? OR po_id = ?", (message_id, message_id))
            if destination in (None, one.destination)
        ]
        if not rows:
            rule = "of a message or an order (`tidegate deliver list` names them)"
            raise OutboxError("id", rule, message_id)
        return rows

    def events(self, one: Delivery) -> list[dict[str, object]]:
        """Return what happened to a message, the oldest first."""
        rows = self._db.execute(
            "SELECT at_s, what, said, who FROM event WHERE message = ? ORDER BY rowid",
            (one.sequence,),
        )
        return [dict(row) for row in rows]

    def retry(self, one: Delivery, who: str, why: str, now_s: float) -> None:
        """Let a message be sent once more, by a person's word; its destination goes on, too.

        Raises:
            OutboxError: it is delivered, or being sent.
        """
        with self._writing():
            self._require_open(one, is_retry=True)
            self._end(one, State.WAITING, f"to be sent again: {why}", now_s, now_s, who)
            self._db.execute("UPDATE message SET failures = 0 WHERE sequence = ?", (one.sequence,))
            self._db.execute("DELETE FROM destination WHERE name = ?", (one.destination,))

    def skip(self, one: Delivery, who: str, why: str, now_s: float) -> None:
        """Never send a message again, by a person's word.

        Raises:
            OutboxError: it is delivered, or being sent.
        """
        with self._writing():
            self._require_open(one, is_retry=False)
            self._end(one, State.SKIPPED, why, now_s, now_s, who)

    def _require_open(self, one: Delivery, *, is_retry: bool) -> None:
        """Refuse a message that is delivered, or being sent, as it stands now."""
        now = self._select("sequence = ?", (one.sequence,))[0].state
        if now in (State.DELIVERED, State.SENDING):
            raise OutboxError("message", "refused, unknown, skipped or waiting", str(now))
        if now == State.GATHERED or (is_retry and now == State.GATHERING):
            raise OutboxError("message", "sent in its document, not by itself", str(now))

    def _select(
        self, where: str, values: tuple[object, ...], limit: int = 100_000
    ) -> list[Delivery]:
        rows = self._db.execute(
            f"SELECT * FROM message WHERE {where} ORDER BY sequence LIMIT {limit:d}", values
        )
        return [
            Delivery(
                sequence=row["sequence"],
                destination=row["destination"],
                message=msgspec.json.decode(row["body"], type=Message),
                state=State(row["state"]),
                tries=row["tries"],
                failures=row["failures"],
                next_s=row["next_s"],
                came_s=row["came_s"],
                changed_s=row["changed_s"],
                said=row["said"],
            )
            for row in rows
        ]
