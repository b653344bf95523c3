"""Change events of a database by Debezium, and what their rows say of order lines. Pure.

A row says absolute numbers, so snapshots, repeats and the order of records do not matter to the
ledger. A delete names the primary key alone; what the line was is known from the ledger.
"""

import base64
from dataclasses import dataclass
from typing import Any

import msgspec

from infra.connect.cells import order_status
from infra.connect.faults import CellError
from infra.connect.files import Row
from infra.connect.guessing.guess import assign
from infra.connect.guessing.sample import Sample
from infra.connect.ledger import Fields, Ledger
from infra.connect.lines import NotALine, line_state
from infra.connect.mapped import Mapper
from infra.connect.presets import PRESETS
from infra.connect.shops.payloads import About, News, Notes, PayloadError, checked_ms, money
from infra.connect.times import TimeStyle, read_time
from streams.timestamps import rfc3339

_DECIMAL = "org.apache.kafka.connect.data.Decimal"
_VARIABLE = "io.debezium.data.VariableScaleDecimal"
_EPOCHS_MS = {
    "io.debezium.time.Timestamp": 1.0,
    "io.debezium.time.MicroTimestamp": 1e-3,
    "io.debezium.time.NanoTimestamp": 1e-6,
    "org.apache.kafka.connect.data.Timestamp": 1.0,
    "io.debezium.time.Date": 86_400_000.0,
    "org.apache.kafka.connect.data.Date": 86_400_000.0,
}
_MOST_DIGITS = 38  # after the point, as databases have them
_SAVED = ("c", "u", "r")
_NOTHING = ("t", "m")
_KEYS = ("id", "line_id", "order_line_id", "pk")
_MS_OF_DIGITS = {10: 1_000.0, 13: 1.0, 16: 1e-3, 19: 1e-6}


@dataclass(frozen=True)
class Change:
    """One change of a row."""

    op: str  # c, u, r: the row is as in `row`; d: it is gone, and `row` has its key at least
    row: dict[str, Any]
    at_ms: int  # when the database made it
    database: str
    table: str


def unwrap(payload: Any, about: About) -> Change | None:
    """Return the change that a record says; None means none, as for a tombstone.

    Raises:
        PayloadError: it is no record of Debezium.
    """
    if payload is None:
        return None
    if not isinstance(payload, dict):
        raise PayloadError("the record", "a JSON object", payload)
    schema: dict[str, Any] = {}
    if payload.keys() >= {"schema", "payload"}:
        schema, payload = payload["schema"] or {}, payload["payload"]
        if payload is None:
            return None
        if not isinstance(payload, dict):
            raise PayloadError("payload", "a JSON object", payload)
    if "__deleted" in payload or "__op" in payload:
        return _flattened(payload)
    if "op" not in payload or "source" not in payload:
        raise PayloadError(
            "the record", "an envelope of Debezium with op and source", sorted(payload)[:8]
        )
    op = payload["op"]
    if op in _NOTHING:
        return None
    if op not in (*_SAVED, "d"):
        raise PayloadError("op", "one of c, u, r, d, t, m", op)
    side = "before" if op == "d" else "after"
    row = payload.get(side) or (about.key if isinstance(about.key, dict) else None)
    if not isinstance(row, dict):
        raise PayloadError(side, "a row", row)
    source = payload["source"]
    if not isinstance(source, dict):
        raise PayloadError("source", "a JSON object", source)
    at_ms = source.get("ts_ms") or payload.get("ts_ms")
    if not isinstance(at_ms, int) or isinstance(at_ms, bool):
        raise PayloadError("source.ts_ms", "milliseconds since 1970", at_ms)
    checked_ms("source.ts_ms", at_ms)
    try:
        types = _types_of(schema, side)
        values = {name: _plain(value, types.get(name)) for name, value in row.items()}
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, PayloadError):
            raise
        raise PayloadError("schema", "one of Kafka Connect that fits the row", str(error)) from None
    return Change(op, values, at_ms, str(source.get("name", "")), str(source.get("table", "")))


def _flattened(row: dict[str, Any]) -> Change:
    """Return the change of a row without an envelope (ExtractNewRecordState)."""
    gone = str(row.get("__deleted", "")).lower() == "true" or row.get("__op") == "d"
    at_ms = row.get("__source_ts_ms") or row.get("__ts_ms")
    if not isinstance(at_ms, int) or isinstance(at_ms, bool):
        raise PayloadError("__source_ts_ms", "added by the transform (add.fields)", at_ms)
    checked_ms("__source_ts_ms", at_ms)
    plain = {name: _plain(value, None) for name, value in row.items() if name[:2] != "__"}
    name, table = row.get("__name", ""), row.get("__table", "")
    return Change("d" if gone else "u", plain, at_ms, str(name), str(table))


def _types_of(schema: dict[str, Any], side: str) -> dict[str, dict[str, Any]]:
    """Return the type of each column, as the schema beside the payload names it."""
    for part in schema.get("fields") or ():
        if part.get("field") == side:
            return {one["field"]: one for one in part.get("fields") or () if "field" in one}
    return {}


def _plain(value: Any, column: dict[str, Any] | None) -> Any:
    """Return a value of a row as JSON writes it: decimals as numbers, times as RFC 3339."""
    if value is None or column is None:
        if isinstance(value, dict) and value.keys() == {"scale", "value"}:
            return decimal_of(value["value"], int(value["scale"]))
        return value
    name = column.get("name") or ""
    if name == _DECIMAL and isinstance(value, str):
        return decimal_of(value, int((column.get("parameters") or {}).get("scale", 0)))
    if name == _VARIABLE and isinstance(value, dict):
        return decimal_of(value["value"], int(value["scale"]))
    if name in _EPOCHS_MS and isinstance(value, int):
        return rfc3339(int(value * _EPOCHS_MS[name]))
    return value


def decimal_of(text: str, scale: int) -> float:
    """Return a decimal of Kafka Connect: base64 of a big-endian number and a scale.

    >>> decimal_of("BOI=", 2)
    12.5
    """
    if not 0 <= scale <= _MOST_DIGITS:
        raise PayloadError("a decimal", f"of a scale from 0 to {_MOST_DIGITS}", scale)
    try:
        number = int.from_bytes(base64.b64decode(text, validate=True), "big", signed=True)
    except ValueError:
        rule = "a decimal in base64; decimal.handling.mode=string avoids it"
        raise PayloadError("a decimal", rule, text) from None
    return float(number / 10**scale)


class DebeziumAdapter:
    """Reads changes of a table of order lines, or of a table of stock.

    Args:
        mapper: what the columns are; None means that they are found out by their names.
    """

    def __init__(self, mapper: Mapper | None = None) -> None:
        self.notes = Notes()
        self._mapper = mapper
        self._roles: dict[frozenset[str], dict[str, str]] = {}

    def read(self, payload: Any, about: About, ledger: Ledger) -> News:
        """Return what a record says."""
        news = News()
        change = unwrap(payload, about)
        if change is None:
            news.notes.append("nothing to read: a tombstone, or no change of a row")
        elif change.op == "d":
            self._gone(change, ledger, news)
        elif self._mapper is not None:
            self._mapped(change, self._mapper, news)
        else:
            self._found(change, ledger, news)
        return news

    def _gone(self, change: Change, ledger: Ledger, news: News) -> None:
        key = next((change.row[name] for name in _KEYS if name in change.row), None)
        if key is None and len(change.row) == 1:
            key = next(iter(change.row.values()))
        if key is None and (column := self._known_key(change.row)) is not None:
            key = change.row[column]
        state = None if key is None else ledger.state_of(f"l{key}")
        if state is None:
            news.leave_out(key, "deleted_before_it_was_known")
            return
        at = rfc3339(change.at_ms)
        own = {"is_void": True, "changed_at": at, "changed_ms": change.at_ms, "undone_at": None}
        news.lines.append(msgspec.structs.replace(state, **own))

    def _known_key(self, row: dict[str, Any]) -> str | None:
        found = (roles.get("line_id") for roles in self._roles.values())
        return next((column for column in found if column in row), None)

    def _mapped(self, change: Change, mapper: Mapper, news: News) -> None:
        record = {**change.row, "__op": change.op, "__ts_ms": change.at_ms, "__table": change.table}
        for made in mapper.make(record):
            if made.faults:
                fault = made.faults[0]
                raise PayloadError(fault.spec.label, fault.error.rule, fault.error.value)
            made.fields.setdefault("changed_at", rfc3339(change.at_ms))
            _add_line(made.fields, news)

    def _found(self, change: Change, ledger: Ledger, news: News) -> None:
        roles = self._roles_of(change.row)
        if "order_id" in roles and "sku" in roles and "quantity" in roles:
            _add_line(_line_fields(change, roles), news)
        elif "sku" in roles and "quantity" in roles:
            news.events.append(_count(change, roles, ledger))
        else:
            missing = ", ".join(one for one in ("order_id", "sku", "quantity") if one not in roles)
            seen = ", ".join(sorted(change.row))
            rule = f"with columns for {missing}; a mapping says which (--mapping)"
            raise PayloadError("the row", rule, seen)

    def _roles_of(self, row: dict[str, Any]) -> dict[str, str]:
        names = frozenset(row)
        if names not in self._roles:
            roles = assign(PRESETS["orders"].roles, Sample([Row(1, 1, row)]), by_name=True)
            if "line_id" not in roles:
                own = next(
                    (name for name in _KEYS if name in row and name not in roles.values()), ""
                )
                roles |= {"line_id": own} if own else {}
            self._roles[names] = roles
        return self._roles[names]


def _line_fields(change: Change, roles: dict[str, str]) -> Fields:
    """Return the fields of a line by the columns that were found."""
    values = {role: change.row[column] for role, column in roles.items()}
    fields: Fields = {role: value for role, value in values.items() if value not in (None, "")}
    for name in ("order_id", "sku"):
        if name in fields:
            fields[name] = str(fields[name])
    if "line_id" in fields:
        fields["line_id"] = f"l{fields['line_id']}"
    for name in ("quantity", "current_quantity", "undone_quantity", "dispatched_quantity"):
        if name in fields:
            fields[name] = _units(name, fields[name])
    for name in ("price", "line_total"):
        if name in fields:
            fields[name] = money(fields[name])
    for name in ("placed_at", "cancelled_at", "dispatched_at", "promised_by"):
        if name in fields:
            fields[name] = time_text(name, fields[name])
    fields.setdefault("placed_at", rfc3339(change.at_ms))
    if "status" in fields:
        fields["status"] = order_status(fields["status"])
    fields["changed_at"] = rfc3339(change.at_ms)
    return fields


def _units(name: str, value: Any) -> int:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not number.is_integer():
        raise PayloadError(name, "a whole number of units", value)
    return int(number)


def time_text(name: str, value: Any) -> str:
    """Return a time of a row as RFC 3339: a text, or a number in the unit that its digits show."""
    if isinstance(value, int) and (factor := _MS_OF_DIGITS.get(len(str(abs(value))))):
        return rfc3339(int(value * factor))
    try:
        return read_time(str(value), TimeStyle())
    except ValueError as error:
        raise PayloadError(name, str(error), value) from None


def _add_line(fields: Fields, news: News) -> None:
    try:
        news.lines.append(line_state(fields))
    except NotALine as why:
        news.leave_out(fields.get("line_id", fields.get("order_id")), str(why))
    except CellError as error:
        raise PayloadError("the row", error.rule, error.value) from None


def _count(change: Change, roles: dict[str, str], ledger: Ledger) -> Fields:
    """Return the count that a row of stock says."""
    row_id = next(
        (change.row[name] for name in _KEYS if name in change.row), change.row[roles["sku"]]
    )
    at = rfc3339(change.at_ms)
    event = {
        "topic": "stock",
        "kind": "counted",
        "event_id": f"{change.table or 'stock'}/{row_id}/{at}",
        "occurred_at": at,
        "sku": str(change.row[roles["sku"]]),
        "level": max(0, _units("quantity", change.row[roles["quantity"]])),
        "source": ledger.source,
    }
    checked_ms("source.ts_ms", at)
    warehouse = change.row.get(roles.get("warehouse", ""))
    return {**event, "warehouse": str(warehouse)} if warehouse else event
