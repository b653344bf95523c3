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
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from operator import or_
from typing import Any

import msgspec

from infra.replay.faults import (
    FAR_FUTURE,
    LineError,
    Record,
    SchemaError,
    SourceError,
    decode_line,
    occurred_ms,
)
from infra.replay.uci_schema import UciAdapter, UciRules
from streams.contracts.event_times import detail_times, time_fault
from streams.contracts.events import TOPICS, Heartbeat
from streams.contracts.fields import Identifier, Timestamp
from streams.timestamps import LATEST_MS, rfc3339

Adapter = Callable[[bytes], Sequence[Record]]
"""Turns one line into its records; raises `SchemaError` for a line that breaks the schema."""


def adapt(
    lines: Iterable[bytes],
    *,
    schema: str,
    uci: UciRules | None = None,
    on_bad: Callable[[LineError], None] | None = None,
    latest_ms: int | None = None,
) -> Iterator[Record]:
    """Yield the records of `lines`, in their order.

    Args:
        lines: UTF-8 JSON Lines, with or without line ends.
        schema: one of `SCHEMAS`.
        uci: choices of the `uci` schema.
        on_bad: takes the error of a bad line, which is then left out. None means it is raised.
        latest_ms: a line that is later is bad, as its event would be; None means none is.

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
    return _adapt_lines(lines, adapter, on_bad, latest_ms)


def _make_adapter(schema: str, uci: UciRules) -> Adapter:
    if schema == "tidegate":
        return _adapt_tidegate
    if schema == "uci":
        return UciAdapter(uci)
    raise SourceError(f"schema must be one of {', '.join(SCHEMAS)}, got {schema!r}")


SCHEMAS = ("tidegate", "uci")


def _adapt_lines(
    lines: Iterable[bytes],
    adapter: Adapter,
    on_bad: Callable[[LineError], None] | None,
    latest_ms: int | None,
) -> Iterator[Record]:
    for number, line in enumerate(lines, 1):
        if number == 1:
            line = line.removeprefix(BOM_UTF8)  # editors and spreadsheets put it there
        try:
            made = adapter(line)
            if latest_ms is not None and made and made[-1].occurred_ms > latest_ms:
                rule = f"at most {rfc3339(latest_ms)}, soon after now"
                at = rfc3339(made[-1].occurred_ms)
                raise SchemaError("occurred_at", rule, at, FAR_FUTURE)
        except SchemaError as fault:
            if not line.strip():
                continue
            error = LineError(number, fault.field, fault.rule, fault.value, fault.code, fault.looks)
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
    event = decode_line(_event_decoders[topic], line)
    value = b"{" + line[len(_topic_prefixes[topic]) - len(b'"kind":') :].rstrip()
    return _event_records(topic, event, value)


def _adapt_tidegate_slowly(line: bytes) -> Sequence[Record]:
    address = decode_line(_address_decoder, line)
    if address.topic not in TOPICS:
        raise SchemaError("topic", f"one of {', '.join(TOPICS)}", address.topic)
    if address.raw is not None or address.raw_base64 is not None:
        return [_raw_record(decode_line(_raw_decoder, line))]
    event = decode_line(_event_decoders[address.topic], line)
    return _event_records(address.topic, event, _encode_verbatim(line))


def _event_records(topic: str, event: Any, value: bytes) -> Sequence[Record]:
    if isinstance(event, Heartbeat):
        return ()
    at_ms = occurred_ms(event.occurred_at)
    for name, time in detail_times(event):
        if (fault := time_fault(time, latest_ms=LATEST_MS)) is not None:
            raise SchemaError(name, fault.rule, time, fault.code, fault.looks)
    return (Record(topic, event.sku.encode(), value, at_ms),)


def _encode_verbatim(line: bytes) -> bytes:
    fields = decode_line(_object_decoder, line)
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
        raise SchemaError("raw_base64", "base64", line.raw_base64) from None


# --- uci --------------------------------------------------------------------------------------


# --- values and faults ------------------------------------------------------------------------
