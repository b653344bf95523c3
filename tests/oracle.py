"""What the logs mean, a second time, in the plainest Python: one record after the other.

An oracle for the fold and the time rules. It shares nothing with `streams` but the contracts'
structs: times are parsed by `datetime`, orders are counted in sets, and nothing is ever forgotten.
"""

import datetime
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, Union

import msgspec

from streams.contracts.events import (
    TOPICS,
    Adjusted,
    Cancelled,
    Counted,
    Dispatched,
    Heartbeat,
    Placed,
    Received,
    Returned,
)
from streams.contracts.events import Item as CatalogLine

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_DECODERS = {
    topic: msgspec.json.Decoder(Union[kinds])  # noqa: UP007 - a tuple, not two types
    for topic, kinds in TOPICS.items()
}

Name = tuple[str, str]  # sku, warehouse


def milliseconds(time: str | int) -> int | None:
    """Milliseconds since 1970, rounded down; none where it is no time with a zone since 1970."""
    if isinstance(time, int):
        return time if 0 <= time <= 253_402_300_799_999 else None
    try:
        moment = datetime.datetime.fromisoformat(time)
        if moment.tzinfo is None:
            return None
        passed = (moment - _EPOCH) // datetime.timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        return None
    return passed if passed >= 0 else None


@dataclass
class Bucket:
    """Sums of one item in one minute, hour or day."""

    units: int = 0
    lines: int = 0
    cancelled: int = 0
    returned: int = 0
    orders: set[tuple[str, str]] = field(default_factory=set)

    def figures(self) -> tuple[int, int, int]:
        """Units, lines, distinct orders."""
        return self.units, self.lines, len(self.orders)


@dataclass
class Line:
    """What became of one item in one customer's order."""

    ordered: int = 0
    sent: int = 0
    taken_back: int = 0  # before it was sent

    @property
    def left(self) -> int:
        """Units to be sent; below 0 more were sent than ordered until now."""
        return self.ordered - self.sent - self.taken_back

    @property
    def owed(self) -> int:
        """Units that the customer still waits for."""
        return max(0, self.left)


@dataclass
class Stock:
    """What an item has and owes."""

    on_hand: int = 0
    lines: dict[str, Line] = field(default_factory=dict)  # by order id
    counted_at: int = 0
    cancelled: int = 0
    returned: int = 0
    leaves_at_once: bool = False

    @property
    def backlog(self) -> int:
        """Units that customers wait for."""
        return sum(line.owed for line in self.lines.values())


class Oracle:
    """Reads logs.

    Args:
        allowed_lateness_ms, grace_ms, future_ms: as the shard's and the decoder's settings.
        record_bytes: the largest record that is read.
    """

    def __init__(
        self,
        *,
        allowed_lateness_ms: int,
        grace_ms: int,
        future_ms: int = 600_000,
        record_bytes: int = 65_536,
    ) -> None:
        self._lateness = allowed_lateness_ms
        self._grace = grace_ms
        self._future = future_ms
        self._record_bytes = record_bytes
        self._seen: set[tuple[str, str, str]] = set()
        self.clocks: dict[str, int] = {}
        self.counts: Counter[tuple[str, str]] = Counter()
        self.buckets: dict[tuple[int, int, Name], Bucket] = defaultdict(Bucket)
        self.newest_sale = -1
        self._effects: list[tuple[int, int, int, Name, Any]] = []

    def read(self, topic: str, value: bytes | None, written_ms: int) -> str:
        """Read the next record of a topic; return what became of it."""
        outcome = self._read(topic, value, written_ms)
        self.counts[topic, outcome] += 1
        return outcome

    def _read(self, topic: str, value: bytes | None, written_ms: int) -> str:
        event = self._decoded(topic, value, written_ms)
        if event is None:
            return "dead_lettered"
        occurred = milliseconds(event.occurred_at)
        assert occurred is not None
        clock = max(self.clocks.get(topic, occurred), occurred)
        if isinstance(event, Heartbeat):
            self.clocks[topic] = clock
            return "heartbeat"
        identity = (topic, event.source, event.event_id)
        if identity in self._seen:
            return "duplicate"
        self._seen.add(identity)
        self.clocks[topic] = clock
        if occurred < clock - self._grace:
            return "late"
        if topic == "orders":
            self.newest_sale = max(self.newest_sale, occurred)
        self._count(event, occurred)
        effective = clock if occurred < clock - self._lateness else occurred
        name = (event.sku, event.warehouse)
        place = (effective, list(TOPICS).index(topic), len(self._effects))
        self._effects.append((*place, name, event))
        return "folded"

    def _decoded(self, topic: str, value: bytes | None, written_ms: int) -> Any:
        if not value or len(value) > self._record_bytes:
            return None
        try:
            event = _DECODERS[topic].decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        occurred = milliseconds(event.occurred_at)
        if occurred is None or "@" in event.warehouse:
            return None
        return None if occurred > written_ms + self._future else event

    def _count(self, event: Any, occurred: int) -> None:
        name = (event.sku, event.warehouse)
        if isinstance(event, Placed):
            for width in (MINUTE, HOUR, DAY):
                bucket = self.buckets[width, occurred // width, name]
                bucket.units += event.quantity
                bucket.lines += 1
                bucket.orders.add((event.source, event.order_id))
        elif isinstance(event, Cancelled):
            self.buckets[DAY, occurred // DAY, name].cancelled += event.quantity
        elif isinstance(event, Returned):
            self.buckets[DAY, occurred // DAY, name].returned += event.quantity

    @property
    def watermark(self) -> int | None:
        """Before this nothing takes effect any more; none until every topic has a clock."""
        if len(self.clocks) < len(TOPICS):
            return None
        return min(self.clocks.values()) - self._lateness

    def stocks(self, before_ms: int) -> dict[Name, Stock]:
        """Every item's stock after all that takes effect before a time."""
        stocks: dict[Name, Stock] = defaultdict(Stock)
        for effective, _, _, name, event in sorted(self._effects, key=lambda effect: effect[:3]):
            if effective < before_ms:
                _move(stocks[name], event, effective)
        return stocks


def _move(stock: Stock, event: Any, effective: int) -> None:
    match event:
        case Placed():
            if stock.leaves_at_once:
                stock.on_hand -= event.quantity
            else:
                stock.lines.setdefault(event.order_id, Line()).ordered += event.quantity
        case Cancelled():
            stock.cancelled += event.quantity
            if stock.leaves_at_once:
                stock.on_hand += event.quantity
            else:
                _take_back(stock, event)
        case Returned():
            stock.returned += event.quantity
            stock.on_hand += event.quantity
        case Dispatched():
            if not stock.leaves_at_once:
                stock.on_hand -= event.quantity
            if event.order_id in stock.lines or not stock.leaves_at_once:
                stock.lines.setdefault(event.order_id, Line()).sent += event.quantity
        case Received():
            stock.on_hand += event.quantity
        case Counted():
            stock.on_hand, stock.counted_at = event.level, effective
        case Adjusted():
            stock.on_hand += event.change
        case CatalogLine():
            stock.leaves_at_once = event.assume_dispatched


def _take_back(stock: Stock, event: Cancelled) -> None:
    """What was sent is not taken back by a cancellation; of an order that is still to come, all."""
    line = stock.lines.get(event.order_id)
    if line is None:
        stock.lines[event.order_id] = Line(taken_back=event.quantity)
    else:
        line.taken_back += min(event.quantity, line.owed)
