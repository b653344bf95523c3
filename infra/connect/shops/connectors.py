"""Messages of one source, one after another: adapter, ledger, checked events. Pure.

What a receiver or a consumer adds is only where messages come from and where events go.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from infra.connect.faults import CellError
from infra.connect.ledger import Entry, Fields, Ledger
from infra.connect.lines import NotALine, line_state
from infra.connect.mapped import Made, Mapper
from infra.connect.mapping import LINES, ShopMapping, load_mapping
from infra.connect.reading import check
from infra.connect.shops.debezium import DebeziumAdapter
from infra.connect.shops.payloads import About, Adapter, News, Notes, PayloadError, ShopSettings
from infra.connect.shops.shopify import ShopifyAdapter
from infra.connect.shops.woocommerce import WooCommerceAdapter
from infra.replay.faults import Record

_log = logging.getLogger(__name__)
_MAPPINGS = Path(__file__).parents[1] / "mappings"
MAPPED = tuple(sorted(path.stem for path in _MAPPINGS.glob("*.toml")))
"""Sources that are read by a mapping that Tidegate brings along."""

_LINE, _NOTE = "line", "note"

SOURCES = ("shopify", "woocommerce", "debezium", "bigcommerce", *MAPPED)
"""Sources of messages that are known without a mapping."""


@dataclass
class Outcome:
    """What became of one message."""

    records: list[Record] = field(default_factory=list)
    events: list[Fields] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    fetch: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Connector:
    """One source: its adapter and its ledgers, one for each name that its events have.

    Args:
        kind: one of `SOURCES`, or `mapping`.
        shop: names the shop; empty means that a message or the kind alone does.
        settings: what the operator chooses.
        mapping: of `mapping` and `debezium`.
        latest_ms: an event that is later is refused.
    """

    def __init__(
        self,
        kind: str,
        *,
        shop: str = "",
        settings: ShopSettings | None = None,
        mapping: ShopMapping | None = None,
        latest_ms: int | None = None,
    ) -> None:
        self._kind = kind
        self._shop = shop
        self._settings = settings or ShopSettings()
        self._latest_ms = latest_ms
        self._ledgers: dict[str, Ledger] = {}
        self._adapter = _adapter_of(kind, self._settings, mapping)

    def take(self, payload: Any, about: About | None = None) -> Outcome:
        """Take a message; what is refused of it stands in the outcome and stops nothing."""
        about = about or About()
        outcome = Outcome()
        try:
            ledger = self._ledger(self._source(payload, about))
            news = self._adapter.read(payload, about, ledger)
            events = [*ledger.apply(news.lines), *news.events]
        except PayloadError as error:
            value = error.value if isinstance(error.value, str | int | float) else str(error.value)
            outcome.refused.append({"field": error.field, "rule": error.rule, "value": value})
            return outcome
        except Exception as error:  # a message that nobody foresaw stops no other one
            _log.exception("a message of %s cannot be read", self._kind)
            value = f"{type(error).__name__}: {error}"[:200]
            rule = "readable: this is a fault of Tidegate"
            outcome.refused.append({"field": "the message", "rule": rule, "value": value})
            return outcome
        outcome.left_out, outcome.fetch, outcome.notes = news.left_out, news.fetch, news.notes
        for event in events:
            self._check(event, outcome)
        return outcome

    def __len__(self) -> int:
        return sum(map(len, self._ledgers.values()))

    def take_changed(self) -> Iterator[tuple[list[str], Any]]:
        """Yield what has to be kept since this was asked last: its name, and what JSON has of it.

        `restore` takes both back. Kept behind the events that came of it, and read before the next
        message, it makes each event once, whatever is lost in between: see `infra.receiver`.
        """
        for source, ledger in self._ledgers.items():
            for (order_id, line_id), entry in ledger.take_changed():
                yield [_LINE, source, order_id, line_id], entry
        for name, value in self._adapter.notes.take_changed():
            yield [_NOTE, name], value

    def restore(self, name: Sequence[str], value: bytes) -> None:
        """Know again what `take_changed` gave.

        Args:
            name: as it gave it.
            value: JSON of what it gave.
        """
        if name[0] == _LINE:
            source, order_id, line_id = name[1:]
            entry = msgspec.json.decode(value, type=Entry)
            self._ledger(source).restore(order_id, line_id, entry)
        else:
            self._adapter.notes.restore(name[1], msgspec.json.decode(value))

    def forget_before(self, moment_ms: int) -> Iterator[list[str]]:
        """Forget the lines of which nothing came since a time; yield their names."""
        for source, ledger in self._ledgers.items():
            for order_id, line_id in ledger.forget_before(moment_ms):
                yield [_LINE, source, order_id, line_id]

    def _check(self, event: Fields, outcome: Outcome) -> None:
        record, fault = check(event, self._latest_ms)
        if record is not None:
            outcome.records.append(record)
            outcome.events.append(event)
        elif fault is not None:
            value = str(fault.value)
            outcome.refused.append({"field": fault.field, "rule": fault.rule, "value": value})

    def _ledger(self, source: str) -> Ledger:
        if source not in self._ledgers:
            self._ledgers[source] = Ledger(source, self._settings.stock_is)
        return self._ledgers[source]

    def _source(self, payload: Any, about: About) -> str:
        """Return the name of the events' source."""
        shop = about.shop or self._shop
        if isinstance(self._adapter, MappedAdapter):
            return self._adapter.source_of(payload, shop)
        if self._kind == "debezium" and not shop:
            shop = _database_of(payload) or next(iter(self._ledgers), "").partition(":")[2]
        return f"{self._kind}:{shop}" if shop else self._kind


def _database_of(payload: Any) -> str:
    """Return the name of the connector that wrote a change."""
    inner = payload.get("payload", payload) if isinstance(payload, dict) else None
    source = inner.get("source") if isinstance(inner, dict) else None
    return str(source.get("name", "")) if isinstance(source, dict) else ""


def _adapter_of(kind: str, settings: ShopSettings, mapping: ShopMapping | None) -> Adapter:
    if kind == "shopify":
        return ShopifyAdapter(settings)
    if kind == "woocommerce":
        return WooCommerceAdapter(settings)
    if kind == "bigcommerce":
        return BigCommerceAdapter()
    if kind == "debezium" or (mapping is not None and mapping.format == "debezium-json"):
        return DebeziumAdapter(None if mapping is None else Mapper(mapping))
    if kind in MAPPED:
        return MappedAdapter(load_mapping(_MAPPINGS / f"{kind}.toml"))
    if mapping is None:
        raise ValueError(f"the source must be one of {', '.join(SOURCES)}, got {kind!r}")
    return MappedAdapter(mapping)


class BigCommerceAdapter:
    """BigCommerce names only an id: the order has to be fetched."""

    def __init__(self) -> None:
        self.notes = Notes()

    def read(self, payload: Any, about: About, ledger: Ledger) -> News:
        """Return what has to be fetched."""
        data = payload.get("data") if isinstance(payload, dict) else None
        if not isinstance(data, dict) or "id" not in data:
            raise PayloadError("data.id", "present", payload)
        news = News()
        if data.get("type") == "order":
            news.fetch += [f"/v2/orders/{data['id']}", f"/v2/orders/{data['id']}/products"]
        else:
            news.notes.append(f"{payload.get('scope')} is not of interest")
        return news


class MappedAdapter:
    """Reads any JSON by a mapping.

    Args:
        mapping: what its fields are.
    """

    def __init__(self, mapping: ShopMapping) -> None:
        self.notes = Notes()
        self._mapping = mapping
        self._mapper = Mapper(mapping)

    def source_of(self, payload: Any, shop: str) -> str:
        """Return the name of a message's source."""
        if isinstance(payload, Mapping):
            name = self._mapper.source_of({**payload, "_shop": shop or "shop"})
            if name:
                return name
        return self._mapping.source or shop or "mapping"

    def read(self, payload: Any, about: About, ledger: Ledger) -> News:
        """Return what a message says."""
        if not isinstance(payload, dict):
            raise PayloadError("the record", "a JSON object", payload)
        news = News()
        for made in self._mapper.make(expanded(payload)):
            if made.faults:
                fault = made.faults[0]
                raise PayloadError(fault.spec.label, fault.error.rule, fault.error.value)
            if made.emit.to == LINES:
                _add_line(made, news)
            else:
                news.events.append(_event(made, ledger.source))
        return news


def expanded(payload: dict[str, Any]) -> dict[str, Any]:
    """Return a record whose `value` is JSON in a text, as an outbox may hold it, as an object."""
    value = payload.get("value")
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return {**payload, "value": msgspec.json.decode(value)}
        except msgspec.DecodeError:
            return payload
    return payload


def _add_line(made: Made, news: News) -> None:
    try:
        news.lines.append(line_state(made.fields))
    except NotALine as why:
        news.leave_out(made.fields.get("line_id", "").removeprefix("l"), str(why))
    except CellError as error:
        missing = [one for one in ("order_id", "quantity", "placed_at") if one not in made.fields]
        spec = made.emit.field(missing[0]) if missing else None
        raise PayloadError(spec.label if spec else "the line", error.rule, error.value) from None


def _event(made: Made, source: str) -> Fields:
    fields = dict(made.fields)
    event: Fields = {"topic": made.emit.to, "kind": made.emit.kind}
    for name in ("event_id", "occurred_at", "sku"):
        if name in fields:
            event[name] = fields.pop(name)
    return {**event, **fields, **({"source": source} if source else {})}
