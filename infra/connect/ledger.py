"""The line ledger: what a shop says of its order lines, as events that say what is new. Pure.

Shops repeat themselves, in any order: the same order comes under several topics, twice at once, or
after a newer state of it. So a source says *absolute* numbers of a line, and the ledger keeps the
sums of the events so far:

    net = units ordered - units undone

    net rises by d           placed, quantity d, id  o<order>/<line>/placed/<sum of all placed>
    net falls by d           cancelled or returned,  o<order>/<line>/undone/<sum of all undone>
    dispatched rises by d    dispatched,             o<order>/<line>/dispatched/<sum>
    dispatched falls by d    adjusted by +d,         o<order>/<line>/undispatched/<sum>
    delivered rises by d     delivered,              o<order>/<line>/delivered/<sum>

The sums never fall, so an id is never used for two events. A state that is older than the newest
one is ignored. A refund or a shipment is a part: it is kept under an id of its own, and counts as
long as no newer state of its line leaves it out. Units that were taken back are

    cancelled   while they were not dispatched,
    returned    once they are on the shelf again,
    no event    where they were dispatched and did not come back: nothing moved.

Where a line is dispatched in part, a refund that restocks nothing is taken from the units that are
still to be dispatched; shops do not say which ones it was.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any, Literal

import msgspec

Fields = dict[str, Any]
"""An event as a line of the schema `tidegate`: topic, kind and the fields of its contract."""

StockIs = Literal["available", "on_hand"]
"""What the shop's stock figure means: `available` falls with an order, `on_hand` when it leaves."""


class PartKind(StrEnum):
    """What a document about a part of a line says."""

    CANCELLED = "cancelled"  # taken back before it was dispatched
    RETURNED = "returned"  # on the shelf again
    RESTOCKED = "restocked"  # on the shelf again; where it was depends on whether it had left
    LOST = "lost"  # taken back, and not on the shelf again
    DISPATCHED = "dispatched"
    DELIVERED = "delivered"


_REFUNDS = (PartKind.CANCELLED, PartKind.RETURNED, PartKind.RESTOCKED, PartKind.LOST)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A refund or a shipment of some units of one line."""

    order_id: str
    line_id: str  # with its letter: l for an id of the shop, r for a row
    part_id: str
    kind: PartKind
    units: int  # 0 where the shop took the document back
    at: str | int
    at_ms: int
    sku: str = ""


class LineState(msgspec.Struct, frozen=True, kw_only=True):
    """All that a shop says of one line at one moment."""

    order_id: str
    line_id: str
    sku: str
    placed: int  # units ordered, with later edits
    undone: int = 0  # of them, what was taken back, as far as the state itself says
    is_void: bool = False  # the whole line was taken back: its order is cancelled, or it is deleted
    is_counted: bool = True  # no: an order that was never placed, as one that waits for payment
    dispatched: int = 0
    delivered: int = 0
    price: float | None = None
    currency: str | None = None
    promised_by: str | int | None = None
    warehouse: str | None = None
    placed_at: str | int
    changed_at: str | int
    changed_ms: int
    undone_at: str | int | None = None  # None means when it changed
    dispatched_at: str | int | None = None  # likewise
    parts: frozenset[str] | None = None  # its refunds; None means that it does not say


class Entry(msgspec.Struct):
    """What is kept of one line: its newest state, its parts, and the sums of its events."""

    state: LineState | None = None
    parts: dict[str, Part] = {}
    placed: int = 0
    cancelled: int = 0
    returned: int = 0
    dispatched: int = 0
    undispatched: int = 0
    delivered: int = 0


class Ledger:
    """The open lines of one source.

    Args:
        source: names the shop, stable for ever; event ids are unique within it.
        stock_is: with `available` nothing is said of dispatches: the stock fell with the order.
    """

    def __init__(self, source: str, stock_is: StockIs = "available") -> None:
        self.source = source
        self.stock_is = stock_is
        self._entries: dict[tuple[str, str], Entry] = {}
        self._order_of_line: dict[str, str] = {}
        self._changed: set[tuple[str, str]] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def apply(self, news: Iterable[LineState | Part]) -> Iterator[Fields]:
        """Take what a document says; yield the events that it makes."""
        changed: dict[tuple[str, str], str] = {}
        for one in news:
            name = (one.order_id, one.line_id)
            self._order_of_line[one.line_id] = one.order_id
            if _take(self._entries.setdefault(name, Entry()), one):
                changed[name] = one.sku or changed.get(name, "")
        self._changed |= changed.keys()
        for name, sku in changed.items():
            yield from self._events(name, sku)

    def entry(self, order_id: str, line_id: str) -> Entry:
        """Return what is kept of a line; nothing is known of a new one."""
        return self._entries.get((order_id, line_id), Entry())

    def state_of(self, line_id: str) -> LineState | None:
        """Return the newest state of a line whose order is not named."""
        entry = self._entries.get((self._order_of_line.get(line_id, ""), line_id))
        return None if entry is None else entry.state

    def states_of(self, order_id: str) -> list[LineState]:
        """Return the newest states of an order's lines."""
        entries = [entry for name, entry in self._entries.items() if name[0] == order_id]
        return [entry.state for entry in entries if entry.state is not None]

    def take_changed(self) -> list[tuple[tuple[str, str], Entry]]:
        """Return the lines that changed since this was asked last, by order and line."""
        changed = [(name, self._entries[name]) for name in sorted(self._changed)]
        self._changed.clear()
        return changed

    def restore(self, order_id: str, line_id: str, entry: Entry) -> None:
        """Know a line again as it was kept."""
        self._entries[order_id, line_id] = entry
        self._order_of_line[line_id] = order_id

    def forget_before(self, moment_ms: int) -> list[tuple[str, str]]:
        """Forget the lines of which nothing came since a time; return which they were."""
        old = [name for name, entry in self._entries.items() if _newest_ms(entry) < moment_ms]
        for name in old:
            del self._entries[name]
            self._order_of_line.pop(name[1], None)
        return old

    def _events(self, name: tuple[str, str], sku: str) -> Iterator[Fields]:
        entry = self._entries[name]
        if sku := sku if entry.state is None else entry.state.sku:
            yield from _events(entry, name, sku, self.source, self.stock_is)


def line_events(state: LineState, source: str, stock_is: StockIs = "available") -> list[Fields]:
    """Return the events of a line that is said once and completely, as in an export."""
    name = (state.order_id, state.line_id)
    return list(_events(Entry(state), name, state.sku, source, stock_is))


def _events(
    entry: Entry, name: tuple[str, str], sku: str, source: str, stock_is: StockIs
) -> Iterator[Fields]:
    """Yield what is new of a line; its sums have it then."""
    order_id, line_id = name
    common = {"order_id": order_id, "source": source}
    if entry.state is not None and entry.state.warehouse is not None:
        common["warehouse"] = entry.state.warehouse
    shipments = _shipment_events(entry) if stock_is == "on_hand" else ()
    for fields in (*_order_events(entry), *shipments):
        event = {"topic": fields.pop("topic"), "kind": fields.pop("kind")}
        event["event_id"] = f"o{order_id}/{line_id}/{fields.pop('id')}"
        event["occurred_at"] = fields.pop("at")
        event["sku"] = sku
        own = common if event["topic"] != "stock" else {"source": source}
        yield {**event, **fields, **own}


# --- taking -----------------------------------------------------------------------------------


def _take(entry: Entry, news: LineState | Part) -> bool:
    """Keep what is new; return whether it is."""
    if isinstance(news, LineState):
        if entry.state is not None and _age(news) <= _age(entry.state):
            return False
        entry.state = news
        return True
    known = entry.parts.get(news.part_id)
    if known is not None and (news.at_ms, news.units) <= (known.at_ms, known.units):
        return False
    if not entry.parts:
        entry.parts = {}
    entry.parts[news.part_id] = news
    return True


def _newest_ms(entry: Entry) -> int:
    """When the newest thing that is known of a line happened."""
    state_ms = 0 if entry.state is None else entry.state.changed_ms
    return max([state_ms, *(part.at_ms for part in entry.parts.values())])


def _age(state: LineState) -> tuple[int, bool, int, int, int]:
    """Order states: of two that changed in the same instant, the one of which more has happened."""
    return (state.changed_ms, state.is_void, state.undone, state.dispatched, state.placed)


def _valid_parts(entry: Entry) -> list[Part]:
    """Parts but the refunds that a newer state does not know any more: they were deleted."""
    state = entry.state
    if not entry.parts or state is None or state.parts is None:
        return list(entry.parts.values())
    return [
        part
        for part in entry.parts.values()
        if part.kind not in _REFUNDS or part.part_id in state.parts or part.at_ms > state.changed_ms
    ]


# --- orders -----------------------------------------------------------------------------------


class Numbers(msgspec.Struct, frozen=True):
    """What a line comes to."""

    net: int
    cancelled: int
    returned: int
    dispatched: int
    delivered: int

    @property
    def undone(self) -> int:
        return self.cancelled + self.returned


def _units_by_kind(parts: list[Part]) -> dict[PartKind, int]:
    return {kind: sum(one.units for one in parts if one.kind == kind) for kind in PartKind}


_NO_UNITS = dict.fromkeys(PartKind, 0)


def numbers_of(entry: Entry) -> Numbers:
    """Return the absolute numbers of a line by all that is known of it."""
    state, parts = entry.state, _valid_parts(entry)
    units = _NO_UNITS if not parts else _units_by_kind(parts)
    dispatched = units[PartKind.DISPATCHED]
    delivered = units[PartKind.DELIVERED]
    if state is None:  # the order of these parts is not known yet
        returned = units[PartKind.RETURNED]
        return Numbers(0, units[PartKind.CANCELLED], returned, dispatched, delivered)
    placed = state.placed if state.is_counted else 0
    dispatched = max(dispatched, state.dispatched)
    returned = min(placed, units[PartKind.RETURNED])
    cancelled = units[PartKind.CANCELLED]
    came_back = min(units[PartKind.RESTOCKED], max(0, dispatched - returned))
    cancelled += units[PartKind.RESTOCKED] - came_back
    returned += came_back
    explained = cancelled + returned + units[PartKind.LOST]
    whole = placed if state.is_void else min(state.undone, placed)
    # What no refund explains was taken back by an edit. It, and what is lost, moved nothing unless
    # it was still to be dispatched.
    others = units[PartKind.LOST] + max(0, whole - explained)
    cancelled += min(others, max(0, placed - dispatched - cancelled))
    returned = min(returned, placed)
    cancelled = min(cancelled, placed - returned)
    return Numbers(placed - cancelled - returned, cancelled, returned, dispatched, delivered)


def _order_events(entry: Entry) -> Iterator[Fields]:
    """Yield what makes the sums agree with the numbers; it is in the sums then."""
    now, state = numbers_of(entry), entry.state
    undone_before = entry.cancelled + entry.returned
    if state is None:
        undone, placed = max(undone_before, now.undone), entry.placed
    else:
        undone = max(undone_before, now.undone, entry.placed - now.net)
        placed = now.net + undone
    if placed > entry.placed:
        assert state is not None
        at = state.changed_at if entry.placed else state.placed_at
        yield {
            "topic": "orders",
            "kind": "placed",
            "id": f"placed/{placed}",
            "at": at,
            "quantity": placed - entry.placed,
            **_terms(state),
        }
        entry.placed = placed
    new = undone - undone_before
    back = min(new, max(0, now.returned - entry.returned))
    for kind, units in (("returned", back), ("cancelled", new - back)):
        if units:
            setattr(entry, kind, getattr(entry, kind) + units)
            number = entry.cancelled + entry.returned
            at = _undone_at(entry)
            own = {"topic": "orders", "kind": kind, "id": f"undone/{number}", "at": at}
            yield {**own, "quantity": units}


def _terms(state: LineState) -> Fields:
    names = ("price", "currency", "promised_by")
    return {name: getattr(state, name) for name in names if getattr(state, name) is not None}


def _undone_at(entry: Entry) -> str | int:
    """When units were taken back: at the newest refund if refunds explain it."""
    state = entry.state
    refunds = [part for part in _valid_parts(entry) if part.kind in _REFUNDS]
    if state is not None:
        whole = state.placed if state.is_void or not state.is_counted else state.undone
        if not refunds or sum(part.units for part in refunds) < whole:
            return state.changed_at if state.undone_at is None else state.undone_at
    return max(refunds, key=lambda part: part.at_ms).at


# --- shipments --------------------------------------------------------------------------------


def _shipment_events(entry: Entry) -> Iterator[Fields]:
    now = numbers_of(entry)
    change = now.dispatched - (entry.dispatched - entry.undispatched)
    if change > 0:
        entry.dispatched += change
        own = {"topic": "shipments", "kind": "dispatched", "id": f"dispatched/{entry.dispatched}"}
        yield {**own, "at": _shipped_at(entry, PartKind.DISPATCHED), "quantity": change}
    elif change < 0:
        entry.undispatched -= change
        own = {"topic": "stock", "kind": "adjusted", "id": f"undispatched/{entry.undispatched}"}
        at = _shipped_at(entry, PartKind.DISPATCHED)
        yield {**own, "at": at, "change": -change, "reason": "shipment taken back"}
    if now.delivered > entry.delivered:
        new, entry.delivered = now.delivered - entry.delivered, now.delivered
        own = {"topic": "shipments", "kind": "delivered", "id": f"delivered/{entry.delivered}"}
        yield {**own, "at": _shipped_at(entry, PartKind.DELIVERED), "quantity": new}


def _shipped_at(entry: Entry, kind: PartKind) -> str | int:
    shipments = [part for part in entry.parts.values() if part.kind == kind]
    if shipments:
        return max(shipments, key=lambda part: part.at_ms).at
    assert entry.state is not None
    state = entry.state
    return state.changed_at if state.dispatched_at is None else state.dispatched_at
