"""Adapters: lines of a file in some schema become records of Tidegate's input topics.

Every line is one JSON object. Blank lines are skipped. A line that breaks its schema is one
`LineError` that names the line number, the field, the rule and the value; with `on_bad` it is
handed over and left out instead.

Schema `tidegate`: Tidegate's own events, one a line, with one more field `topic`, the name of the
input topic without prefix. The event goes to that topic verbatim, without `topic`, keyed by `sku`,
and must satisfy the contract of its kind. Heartbeats in the file are left out: replay writes its
own. A deliberately bad record is carried by the fields `topic`, `key`, `occurred_at` (where it
stands in time) and either `raw` (text) or `raw_base64` (bytes); it goes out byte for byte.

Schema `uci`: one shop's order lines and stock corrections. Quantities are signed.

    line                             topic      kind        fields
    type order, no kind, > 0         orders     placed      order_id, quantity, price, currency GBP
    type order, kind cancellation    orders     cancelled   order_id, -quantity, price, currency GBP
    type shipment, kind outbound     shipments  dispatched  order_id, quantity
    type shipment, kind inbound      shipments  received    po_id (or order_id, or event_id),
                                                            supplier (or lean), quantity
    type stock, kind adjustment      stock      adjusted    change = quantity, reason
    type stock, kind level           stock      counted     level = quantity

`event_id`, `occurred_at` and `sku` are kept; every line belongs to warehouse `main`.

That shop has no master data, no stock levels and no shipments. So, unless `assume` is off, a SKU's
first line is preceded by two made-up events of the same time, from that line alone (no look-ahead):

    assumed-catalog-<sku>   catalog  item
        unit_cost_lean                50 % of the line's price; of 1.00 if it has none
        unit_cost_flexible            1.3 x unit_cost_lean
        setup_cost_lean, _flexible    90 x and 9 x unit_cost_lean
        holding_, backorder_cost      9 % and 20 % of unit_cost_lean per unit and day
        lead_time_days                4 (lean), 2 (flexible)
        review_period_days            9, or as asked
        service_target                0.95 of cycles
        assume_dispatched             true: a sale leaves the shelf when it is placed
        assume_received               true: a purchase order arrives on its due date
    assumed-count-<sku>     stock    counted
        level                         10 x the line's quantity, from 48 to 1,000,000 units

These are the proportions of the published case that the policy reproduces (unit costs 10 and 13,
set-ups 900 and 90, holding 0.9, backorder 2). A yearly holding rate of 15 % would put the critical
ratio above 0.99 and make every decision the same. A count stands after the movements of its own
instant, so the opening level is what is left when the first minute is over. A first line that is
itself a level needs no made-up count. Event ids are deterministic: a second replay adds nothing.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache, reduce
from operator import or_
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from streams.contracts.events import TOPICS, Heartbeat, Identifier, Money, Timestamp

MARGIN_SHARE = 0.5
ASSUMED_PRICE = 1.0
FLEXIBLE_COST_RATIO = 1.3
SETUP_UNIT_COSTS_LEAN = 90.0
SETUP_UNIT_COSTS_FLEXIBLE = 9.0
HOLDING_SHARE_PER_DAY = 0.09
BACKORDER_SHARE_PER_DAY = 0.2
OPENING_QUANTITY_MULTIPLE = 10
OPENING_UNITS_MIN = 48
OPENING_UNITS_MAX = 1_000_000

_QUANTITY_UNITS_MAX = 1_000_000
_SHOWN_CHARACTERS = 80


class Record(NamedTuple):
    """One record on its way to an input topic."""

    topic: str  # without prefix
    key: bytes
    value: bytes
    occurred_ms: int  # where it stands in event time; the value may claim something else


class SourceError(ValueError):
    """A source of events cannot be read."""


class LineError(SourceError):
    """A line breaks its schema."""

    def __init__(self, line_number: int, field: str, rule: str, value: object) -> None:
        shown = value if isinstance(value, _Nothing) else _clip(repr(value))
        super().__init__(f"line {line_number}: {field} must be {rule}, got {shown}")
        self.line_number = line_number
        self.field = field
        self.rule = rule
        self.value = value


@dataclass(frozen=True)
class UciRules:
    """What the `uci` adapter may choose."""

    assume: bool = True  # make up master data and an opening count at a SKU's first line
    review_period_days: float = 9.0

    def __post_init__(self) -> None:
        if not 0 < self.review_period_days <= 365:
            raise ValueError(
                f"review_period_days must be > 0 and <= 365, got {self.review_period_days!r}"
            )


Adapter = Callable[[bytes], Sequence[Record]]
"""Turns one line into its records; raises `_Fault` for a line that breaks the schema."""


def adapt(
    lines: Iterable[bytes],
    *,
    schema: str,
    uci: UciRules | None = None,
    on_bad: Callable[[LineError], None] | None = None,
) -> Iterator[Record]:
    """Yield the records of `lines`, in their order.

    Args:
        lines: UTF-8 JSON Lines, with or without line ends.
        schema: one of `SCHEMAS`.
        uci: choices of the `uci` schema.
        on_bad: takes the error of a bad line, which is then left out. None: it is raised.

    Raises:
        LineError: a line breaks the schema and `on_bad` is None.
        SourceError: the schema is unknown.

    >>> line = b'{"type":"stock","kind":"level","event_id":"e1","sku":"007","quantity":5,'
    >>> line += b'"occurred_at":"2011-01-04T10:00:00Z"}'
    >>> record, = adapt([line], schema="uci", uci=UciRules(assume=False))
    >>> record.topic, record.key, record.occurred_ms
    ('stock', b'007', 1294135200000)
    """
    adapter = _make_adapter(schema, uci or UciRules())
    return _adapt_lines(lines, adapter, on_bad)


def _make_adapter(schema: str, uci: UciRules) -> Adapter:
    if schema == "tidegate":
        return _adapt_tidegate
    if schema == "uci":
        return _UciAdapter(uci)
    raise SourceError(f"schema must be one of {', '.join(SCHEMAS)}, got {schema!r}")


SCHEMAS = ("tidegate", "uci")


def _adapt_lines(
    lines: Iterable[bytes], adapter: Adapter, on_bad: Callable[[LineError], None] | None
) -> Iterator[Record]:
    for number, line in enumerate(lines, 1):
        try:
            made = adapter(line)
        except _Fault as fault:
            if not line.strip():
                continue
            error = LineError(number, fault.field, fault.rule, fault.value)
            if on_bad is None:
                raise error from None
            on_bad(error)
            continue
        yield from made


# --- tidegate ---------------------------------------------------------------------------------


class _Address(msgspec.Struct):
    """The fields of a `tidegate` line that are not the event's own."""

    topic: str
    raw: str | None = None
    raw_base64: str | None = None


class _RawLine(msgspec.Struct):
    """A line that carries a deliberately bad record."""

    topic: str
    key: Identifier
    occurred_at: Timestamp
    raw: str | None = None
    raw_base64: str | None = None


_address_decoder = msgspec.json.Decoder(_Address)
_raw_decoder = msgspec.json.Decoder(_RawLine)
_object_decoder = msgspec.json.Decoder(dict[str, Any])
_event_decoders: dict[str, msgspec.json.Decoder[Any]] = {
    topic: msgspec.json.Decoder(reduce(or_, kinds)) for topic, kinds in TOPICS.items()
}
# Lines that start like this need no second look to find the topic and to cut it out.
_topic_prefixes = {topic: f'{{"topic":"{topic}","kind":'.encode() for topic in TOPICS}
_topic_by_start = {prefix[:16]: topic for topic, prefix in _topic_prefixes.items()}
assert len(_topic_by_start) == len(TOPICS)


def _adapt_tidegate(line: bytes) -> Sequence[Record]:
    topic = _topic_by_start.get(line[:16])
    if topic is None or not line.startswith(_topic_prefixes[topic]):
        return _adapt_tidegate_slowly(line)
    event = _decode(_event_decoders[topic], line)
    value = b"{" + line[len(_topic_prefixes[topic]) - len(b'"kind":') :].rstrip()
    return _event_records(topic, event, value)


def _adapt_tidegate_slowly(line: bytes) -> Sequence[Record]:
    address = _decode(_address_decoder, line)
    if address.topic not in TOPICS:
        raise _Fault("topic", f"one of {', '.join(TOPICS)}", address.topic)
    if address.raw is not None or address.raw_base64 is not None:
        return [_raw_record(_decode(_raw_decoder, line))]
    event = _decode(_event_decoders[address.topic], line)
    return _event_records(address.topic, event, _encode_verbatim(line))


def _event_records(topic: str, event: Any, value: bytes) -> Sequence[Record]:
    if isinstance(event, Heartbeat):
        return ()
    return (Record(topic, event.sku.encode(), value, occurred_ms(event.occurred_at)),)


def _encode_verbatim(line: bytes) -> bytes:
    fields = _decode(_object_decoder, line)
    del fields["topic"]
    return msgspec.json.encode({"kind": fields.pop("kind"), **fields})


def _raw_record(line: _RawLine) -> Record:
    return Record(line.topic, line.key.encode(), _raw_value(line), occurred_ms(line.occurred_at))


def _raw_value(line: _RawLine) -> bytes:
    if line.raw_base64 is None:
        return (line.raw or "").encode()
    try:
        return base64.b64decode(line.raw_base64, validate=True)
    except binascii.Error:
        raise _Fault("raw_base64", "base64", line.raw_base64) from None


# --- uci --------------------------------------------------------------------------------------


class UciLine(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One line of the `uci` schema."""

    type: Literal["order", "shipment", "stock"]
    event_id: Identifier
    sku: Identifier
    quantity: Annotated[int, Meta(ge=-1_000_000_000, le=1_000_000_000)]
    occurred_at: Timestamp
    kind: Literal["cancellation", "outbound", "inbound", "adjustment", "level"] | None = None
    order_id: Identifier | None = None
    price: Money | None = None
    reason: str | None = None
    category: str | None = None
    po_id: Identifier | None = None
    supplier: Identifier | None = None


_uci_decoder = msgspec.json.Decoder(UciLine)
_encode = msgspec.json.Encoder().encode
Fields = dict[str, Any]


@dataclass
class _UciAdapter:
    rules: UciRules
    _known_skus: set[str] = field(default_factory=set)

    def __call__(self, text: bytes) -> Sequence[Record]:
        line = _decode(_uci_decoder, text)
        mapping = _UCI_MAPPINGS.get((line.type, line.kind))
        if mapping is None:
            raise _Fault("kind", f"one that type {line.type} knows", line.kind)
        topic, kind, own_fields = mapping
        at_ms = occurred_ms(line.occurred_at)
        record = _record(topic, kind, line, at_ms, line.event_id, own_fields(line))
        if line.sku in self._known_skus or not self.rules.assume:
            return (record,)
        self._known_skus.add(line.sku)
        return (*self._assumed_records(line, at_ms), record)

    def _assumed_records(self, line: UciLine, at_ms: int) -> Iterator[Record]:
        item = _assumed_item(line, self.rules.review_period_days)
        yield _record("catalog", "item", line, at_ms, f"assumed-catalog-{line.sku}", item)
        if line.kind != "level":
            level = {"level": _assumed_level_units(line.quantity)}
            yield _record("stock", "counted", line, at_ms, f"assumed-count-{line.sku}", level)


def _record(topic: str, kind: str, line: UciLine, at_ms: int, event_id: str, own: Fields) -> Record:
    # The kind comes first: a decoder that knows it early decodes the rest faster.
    event = {
        "kind": kind,
        "event_id": event_id,
        "occurred_at": line.occurred_at,
        "sku": line.sku,
        **own,
    }
    return Record(topic, line.sku.encode(), _encode(event), at_ms)


def _placed(line: UciLine) -> Fields:
    return _order_fields(line, _units(line, "quantity", line.quantity, "from 1 to 1000000"))


def _cancelled(line: UciLine) -> Fields:
    rule = "from -1000000 to -1 in a cancellation"
    return _order_fields(line, _units(line, "quantity", -line.quantity, rule))


def _order_fields(line: UciLine, quantity: int) -> Fields:
    fields: Fields = {"order_id": _required(line.order_id, "order_id"), "quantity": quantity}
    if line.price is not None:
        fields["price"] = line.price
        fields["currency"] = "GBP"
    return fields


def _dispatched(line: UciLine) -> Fields:
    quantity = _units(line, "quantity", line.quantity, "from 1 to 1000000")
    return {"order_id": _required(line.order_id, "order_id"), "quantity": quantity}


def _received(line: UciLine) -> Fields:
    return {
        "po_id": line.po_id or line.order_id or line.event_id,
        "supplier": line.supplier or "lean",
        "quantity": _units(line, "quantity", line.quantity, "from 1 to 1000000"),
    }


def _adjusted(line: UciLine) -> Fields:
    fields: Fields = {"change": line.quantity}
    if line.reason is not None:
        fields["reason"] = line.reason
    return fields


def _counted(line: UciLine) -> Fields:
    if line.quantity < 0:
        raise _Fault("quantity", ">= 0 in a stock level", line.quantity)
    return {"level": line.quantity}


def _units(line: UciLine, name: str, units: int, rule: str) -> int:
    if not 1 <= units <= _QUANTITY_UNITS_MAX:
        raise _Fault(name, rule, line.quantity)
    return units


def _required(value: str | None, name: str) -> str:
    if value is None:
        raise _Fault(name, "present", _Nothing())
    return value


_UCI_MAPPINGS: dict[tuple[str, str | None], tuple[str, str, Callable[[UciLine], Fields]]] = {
    ("order", None): ("orders", "placed", _placed),
    ("order", "cancellation"): ("orders", "cancelled", _cancelled),
    ("shipment", "outbound"): ("shipments", "dispatched", _dispatched),
    ("shipment", "inbound"): ("shipments", "received", _received),
    ("stock", "adjustment"): ("stock", "adjusted", _adjusted),
    ("stock", "level"): ("stock", "counted", _counted),
}


def _assumed_item(line: UciLine, review_period_days: float) -> Fields:
    unit_cost = max(0.01, round((line.price or ASSUMED_PRICE) * MARGIN_SHARE, 4))
    fields: Fields = {
        "unit_cost_lean": unit_cost,
        "unit_cost_flexible": round(unit_cost * FLEXIBLE_COST_RATIO, 4),
        "setup_cost_lean": round(unit_cost * SETUP_UNIT_COSTS_LEAN, 4),
        "setup_cost_flexible": round(unit_cost * SETUP_UNIT_COSTS_FLEXIBLE, 4),
        "lead_time_days_lean": 4,
        "lead_time_days_flexible": 2,
        "review_period_days": review_period_days,
        "holding_cost_per_unit_day": round(unit_cost * HOLDING_SHARE_PER_DAY, 6),
        "backorder_cost_per_unit_day": round(unit_cost * BACKORDER_SHARE_PER_DAY, 6),
        "service_target": 0.95,
        "service_type": "cycle",
        "currency": "GBP",
        "assume_dispatched": True,
        "assume_received": True,
    }
    if line.category is not None:
        fields["category"] = line.category
    return fields


def _assumed_level_units(first_quantity: int) -> int:
    wished = abs(first_quantity) * OPENING_QUANTITY_MULTIPLE
    return min(max(wished, OPENING_UNITS_MIN), OPENING_UNITS_MAX)


# --- values and faults ------------------------------------------------------------------------

_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", flags=re.ASCII
)


@lru_cache(maxsize=65_536)  # many lines share a second
def occurred_ms(occurred_at: str | int) -> int:
    """Return an event time as milliseconds since 1970.

    >>> occurred_ms("1970-01-01T00:00:01.500Z"), occurred_ms(7)
    (1500, 7)
    """
    if isinstance(occurred_at, int):
        return occurred_at
    if not _RFC_3339.fullmatch(occurred_at):
        raise _Fault("occurred_at", "RFC 3339 with a zone, or milliseconds", occurred_at)
    try:
        # Whole milliseconds by integer arithmetic: a float of seconds would round some of them.
        elapsed = datetime.fromisoformat(occurred_at.upper()) - _EPOCH
    except ValueError:
        raise _Fault("occurred_at", "a date and time that exist", occurred_at) from None
    return (elapsed.days * 86_400 + elapsed.seconds) * 1000 + elapsed.microseconds // 1000


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class _Nothing:
    """Stands for a value that is not there."""

    def __str__(self) -> str:
        return "nothing"


class _Fault(ValueError):
    """A field breaks a rule; who catches it knows the line."""

    def __init__(self, field: str, rule: str, value: object) -> None:
        super().__init__(f"{field} must be {rule}, got {value!r}")
        self.field = field
        self.rule = rule
        self.value = value


_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_FAULT_MISSING = re.compile(r"missing required field `(?P<name>[^`]+)`")


def _decode(decoder: msgspec.json.Decoder[Any], line: bytes) -> Any:
    try:
        return decoder.decode(line)
    except msgspec.ValidationError as error:
        raise _fault_of(str(error), line) from None
    except _NOT_JSON:
        raise _no_object(line) from None


def _no_object(line: bytes) -> _Fault:
    return _Fault("the line", "a JSON object in UTF-8", line.rstrip())


def _fault_of(message: str, line: bytes) -> _Fault:
    """Say what the decoder found in terms of field, rule and value."""
    if missing := _FAULT_MISSING.search(message):
        return _Fault(missing["name"], "present", _Nothing())
    rule, _, path = message.partition(" - at `$")
    rule = rule.removeprefix("Expected ").split(", got ")[0].replace("`", "")
    if rule.startswith("Invalid"):
        rule = "a known value"
    if rule == "object":
        rule = "a JSON object"
    try:
        value = msgspec.json.decode(line)
    except _NOT_JSON:  # a rule can be broken before the place where the line is no JSON
        return _no_object(line)
    path = path.strip("`.")
    if not path or not isinstance(value, dict):
        return _Fault(path or "the line", rule, value)
    return _Fault(path, rule, value.get(re.split(r"[.\[]", path)[0]))


def _clip(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."
