"""The schema of the UCI Online Retail data: orders of a UK wholesaler, with assumed master data."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from infra.replay.faults import Record, SchemaError, decode_line, occurred_ms
from streams.contracts.broken_rules import Nothing
from streams.contracts.fields import Identifier, Money, Timestamp

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
class UciAdapter:
    rules: UciRules
    _known_skus: set[str] = field(default_factory=set)

    def __call__(self, text: bytes) -> Sequence[Record]:
        line = decode_line(_uci_decoder, text)
        mapping = _UCI_MAPPINGS.get((line.type, line.kind))
        if mapping is None:
            raise SchemaError("kind", f"one that type {line.type} knows", line.kind)
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
        raise SchemaError("quantity", ">= 0 in a stock level", line.quantity)
    return {"level": line.quantity}


def _units(line: UciLine, name: str, units: int, rule: str) -> int:
    if not 1 <= units <= _QUANTITY_UNITS_MAX:
        raise SchemaError(name, rule, line.quantity)
    return units


def _required(value: str | None, name: str) -> str:
    if value is None:
        raise SchemaError(name, "present", Nothing())
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
