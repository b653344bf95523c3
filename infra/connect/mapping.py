"""Mapping files: which field of an event comes from which column or path. Declarative, in TOML.

    source = "shop-kafka"

    [read]                             # how a file is read; all of it may be left out
    encoding = "utf-8-sig"
    delimiter = ";"
    decimal = ","
    thousands = "."
    timezone = "Europe/Berlin"         # of times that name no zone
    date_order = "dmy"                 # of 03/04/2026

    [[emit]]
    to = "orders"                      # a topic; or "lines": absolute numbers for the line ledger
    kind = "placed"
    when = 'channel != `"test"`'       # JMESPath on the whole record
    each = "items[?article != 'SHIP']" # JMESPath: one event for each of these

    [emit.fields]                      # $ is the whole record, @ the line
    sku = "@.article"                  # a path
    order_id = { column = "Order no" } # a column of a table
    warehouse = { const = "main" }
    event_id = { join = ["o", "$.order", "/l", "@.pos", "/placed"] }
    unit_cost_flexible = { times = ["unit_cost_lean", 1.3] }

What a field may say beside where it comes from: `as` (text, sku, int, number, money, share, time,
end_of_day, currency, bool, status), `unit` of a number that is a time (s, ms, us, ns), `scale` (2:
cents), `empty` (the value of an empty cell), `lookup` (a table of values), `decimal`, `thousands`,
`timezone`, `date_order`, `width` (digits of a sku), `keep_text` (zeros at its start belong to it).

Other places: `first` names several, of which the first that is filled counts; `either` names fields
above it, likewise; `hash` makes an id of several columns, `row_id` one for each row of the same;
`count_within` numbers the rows of one order. A field whose name begins with `_` serves others only.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import jmespath
from jmespath.exceptions import JMESPathError

from infra.connect.cells import NumberStyle
from infra.connect.mapping_text import MappingError, Places, only
from infra.connect.times import TimeStyle, zone_of
from streams.contracts.events import TOPICS

LINES = "lines"
"""The target of absolute numbers of order lines."""

Convert = Literal[
    "text",
    "sku",
    "int",
    "number",
    "share",
    "time",
    "end_of_day",
    "currency",
    "bool",
    "status",
    "woo_status",
    "money",
    "any",
]
_CONVERTS: tuple[Convert, ...] = get_args(Convert)
MOST_DIGITS = 18
UNITS = {"s": 1_000.0, "ms": 1.0, "us": 1e-3, "ns": 1e-6}
_PLACES = (
    *("column", "path", "const", "join", "times", "either", "first", "hash", "row_id"),
    "count_within",
)
FROM_FIELDS = ("times", "either")
"""Places that are made of fields above them."""

_OPTIONS = (
    *("as", "unit", "scale", "empty", "lookup", "decimal", "thousands", "timezone", "date_order"),
    *("width", "keep_text", "negate"),
)
_READ = (
    *("encoding", "delimiter", "decimal", "thousands", "timezone", "date_order", "sheet"),
    *("header_row", "group_by", "fill_down", "pair_by", "sku_width", "items_in"),
)
_TOP = ("source", "source_from", "topic", "format", "read", "emit", "about")
FORMATS = ("json", "csv", "debezium-json")

LINE_FIELDS = (
    *("order_id", "line_id", "sku", "quantity", "current_quantity", "undone_quantity"),
    *("dispatched_quantity", "delivered_quantity", "price", "line_total", "currency"),
    *("promised_by", "warehouse", "placed_at", "changed_at", "cancelled_at", "dispatched_at"),
    *("status", "name", "is_void"),
)
_LINE_REQUIRED = ("order_id", "sku", "quantity", "placed_at")
_UNIT_FIELDS = ("quantity", "level", "change", "expected_units")
_TIMES = (
    *("occurred_at", "expected_at", "starts_at", "ends_at", "promised_by", "discontinued_from"),
    *("placed_at", "changed_at", "cancelled_at", "dispatched_at"),
)


POINT, UTC_TIMES = NumberStyle(), TimeStyle()


@dataclass(frozen=True)
class FieldSpec:
    """Where one field comes from, and how it is read."""

    name: str
    place: str  # one of _PLACES
    argument: Any
    convert: Convert
    label: str  # what a person calls the place
    unit: str | None = None
    scale: int | None = None
    empty: Any = None
    has_empty: bool = False
    lookup: Mapping[str, Any] | None = None
    numbers: NumberStyle = POINT
    times: TimeStyle = UTC_TIMES
    width: int | None = None
    keep_text: bool = False
    negate: bool = False


@dataclass(frozen=True)
class Emit:
    """One kind of event, made of each record or of each of its lines."""

    to: str
    kind: str
    fields: tuple[FieldSpec, ...]
    when: Any = None  # compiled JMESPath
    each: Any = None

    def field(self, name: str) -> FieldSpec | None:
        """Return the place of a field."""
        return next((one for one in self.fields if one.name == name), None)


@dataclass(frozen=True)
class ShopMapping:
    """A whole mapping file."""

    source: str
    emits: tuple[Emit, ...]
    read: dict[str, Any] = field(default_factory=dict)
    format: str = "json"
    document: dict[str, Any] = field(default_factory=dict)  # as it is written
    source_from: FieldSpec | None = None  # where a message itself names its source

    def columns(self) -> list[str]:
        """Return the columns that are used, in their order: nothing else of a row is kept."""
        names: dict[str, None] = {}
        for emit in self.emits:
            for spec in emit.fields:
                names.update(dict.fromkeys(_columns_of(spec.place, spec.argument)))
        return list(names)


def load_mapping(path: Path) -> ShopMapping:
    """Read a mapping file.

    Raises:
        MappingError: it breaks a rule.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise MappingError(f"{path} must be a readable file in UTF-8: {error}") from None
    return parse_mapping(text, path.name)


def parse_mapping(text: str, name: str = "mapping") -> ShopMapping:
    """Check the text of a mapping file.

    Raises:
        MappingError: it breaks a rule.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MappingError(f"{name} must be TOML: {error}") from None
    return build_mapping(document, Places(text, name))


def build_mapping(document: dict[str, Any], places: Places | None = None) -> ShopMapping:
    """Check a mapping that is already a table."""
    places = places or Places("", "mapping")
    only(document, _TOP, places, "")
    read = document.get("read", {})
    if not isinstance(read, dict):
        raise places.error("read", "a table", read)
    only(read, _READ, places, "read.")
    form = document.get("format", "json")
    if form not in FORMATS:
        raise places.error("format", f"one of {', '.join(FORMATS)}", form)
    _check_read(read, places)
    emits = document.get("emit")
    if not isinstance(emits, list) or not emits:
        raise places.error("emit", "at least one [[emit]]", emits)
    made = tuple(_emit(one, read, places.within(number)) for number, one in enumerate(emits))
    source = document.get("source", "")
    if not isinstance(source, str) or len(source) > 128:
        raise places.error("source", "a text of at most 128 characters", source)
    source_from = None
    if "source_from" in document:
        source_from = _field("source_from", document["source_from"], read, places)
    return ShopMapping(source, made, dict(read), form, document, source_from)


def _check_read(read: Mapping[str, Any], places: Places) -> None:
    if "timezone" in read:
        _zone(read["timezone"], places, "timezone")
    for name, allowed in (("decimal", (".", ",")), ("date_order", ("dmy", "mdy"))):
        if name in read and read[name] not in allowed:
            raise places.error(name, f"one of {', '.join(allowed)}", read[name])
    delimiter = read.get("delimiter", ",")
    if not isinstance(delimiter, str) or len(delimiter) != 1:
        raise places.error("delimiter", "one character", delimiter)


# --- one emit ---------------------------------------------------------------------------------


def _emit(one: Any, read: Mapping[str, Any], places: Places) -> Emit:
    if not isinstance(one, dict):
        raise places.error("emit", "a table", one)
    only(one, ("to", "kind", "when", "each", "fields"), places, "")
    to = one.get("to")
    if to != LINES and to not in TOPICS:
        raise places.error("to", f"one of {', '.join((*TOPICS, LINES))}", to)
    kind = one.get("kind", "")
    allowed = _allowed_fields(to, kind, places)
    fields = one.get("fields")
    if not isinstance(fields, dict) or not fields:
        raise places.error("fields", "a table of fields", fields)
    only({name: 0 for name in fields if name[:1] != "_"}, allowed, places, "fields.")
    specs = tuple(_field(name, spec, read, places) for name, spec in fields.items())
    missing = [name for name in _required_fields(to, kind) if name not in fields]
    if missing:
        raise places.error("fields", f"with {', '.join(missing)}", "none of it")
    for spec in specs:
        if spec.place in FROM_FIELDS:
            _check_product(spec, fields, places)
    when, each = (_query(one, name, places) for name in ("when", "each"))
    return Emit(to, kind, specs, when, each)


def _allowed_fields(to: str, kind: str, places: Places) -> tuple[str, ...]:
    if to == LINES:
        return LINE_FIELDS
    return tuple(struct_field.encode_name for struct_field in _struct_fields(to, kind, places))


def _struct_fields(to: str, kind: str, places: Places | None = None) -> Sequence[Any]:
    import msgspec

    kinds = {struct.__struct_config__.tag: struct for struct in TOPICS[to]}
    kinds.pop("heartbeat", None)
    if kind not in kinds:
        places = places or Places("", "mapping")
        raise places.error("kind", f"one of {', '.join(map(str, kinds))}", kind)
    return msgspec.structs.fields(kinds[kind])


def _required_fields(to: str, kind: str) -> list[str]:
    if to == LINES:
        return list(_LINE_REQUIRED)
    required = [one.encode_name for one in _struct_fields(to, kind) if one.required]
    made = ("event_id", "occurred_at")  # from the row, and from --at or now
    return [name for name in required if name not in made]


def _check_product(spec: FieldSpec, fields: Mapping[str, Any], places: Places) -> None:
    names = [one for one in spec.argument if isinstance(one, str)]
    for name in names:
        if name not in fields or list(fields).index(name) > list(fields).index(spec.name):
            raise places.error(spec.name, "made of fields above it", name)


def _query(one: Mapping[str, Any], name: str, places: Places) -> Any:
    text = one.get(name)
    if text is None:
        return None
    try:
        return jmespath.compile(text)
    except (JMESPathError, TypeError, AttributeError) as error:
        problem = " ".join(str(error).split())
        raise places.error(name, "JMESPath", f"{text!r}: {problem}") from None


# --- one field --------------------------------------------------------------------------------


def _field(name: str, spec: Any, read: Mapping[str, Any], places: Places) -> FieldSpec:
    if isinstance(spec, str):
        spec = {"path": spec}
    if not isinstance(spec, dict):
        raise places.error(name, "a path or a table", spec)
    only(spec, (*_PLACES, *_OPTIONS), places, f"{name}.", name)
    given = [place for place in _PLACES if place in spec]
    if len(given) != 1:
        raise places.error(name, f"with one of {', '.join(_PLACES)}", ", ".join(given) or spec)
    (place,) = given
    argument = spec[place]
    _check_argument(name, place, argument, places)
    convert = spec.get("as", default_convert(name))
    if convert not in _CONVERTS:
        raise places.error(name, f"with `as` one of {', '.join(_CONVERTS)}", convert)
    unit = spec.get("unit")
    if unit is not None and unit not in UNITS:
        raise places.error(name, f"with `unit` one of {', '.join(UNITS)}", unit)
    scale = spec.get("scale")
    if scale is not None and not (isinstance(scale, int) and 0 <= scale <= MOST_DIGITS):
        raise places.error(name, f"with `scale` from 0 to {MOST_DIGITS}", scale)
    lookup = spec.get("lookup")
    if lookup is not None and not isinstance(lookup, dict):
        raise places.error(name, "with `lookup` a table", lookup)
    return FieldSpec(
        name=name,
        place=place,
        argument=argument,
        convert=convert,
        label=label_of(place, argument, name),
        unit=unit,
        scale=spec.get("scale"),
        empty=spec.get("empty"),
        has_empty="empty" in spec,
        lookup=None if lookup is None else {str(key): value for key, value in lookup.items()},
        numbers=_numbers(name, spec, read, places),
        times=_times(name, spec, read, places),
        width=spec.get("width", read.get("sku_width") if convert == "sku" else None),
        keep_text=bool(spec.get("keep_text", False)),
        negate=bool(spec.get("negate", False)),
    )


def default_convert(name: str) -> Convert:
    """Return how a field is read unless its mapping says otherwise: as its contract needs it."""
    name = name.lstrip("_")
    if name in ("sku", "status", "currency"):
        return name  # type: ignore[return-value]
    if name in _TIMES:
        return "time"
    is_units = "units" in name or name.endswith("_quantity") or name in _UNIT_FIELDS
    if is_units and not name.startswith("price_breaks"):
        return "int"
    if name.startswith("assume_") or name == "is_void":
        return "bool"
    if name in ("service_target", "discount"):
        return "share"
    numbers = ("cost", "price", "days", "hour", "total")
    if any(word in name.split("_") for word in numbers) and "breaks" not in name:
        return "number"
    return "any" if "breaks" in name or "weekdays" in name or name == "lots" else "text"


def _check_argument(name: str, place: str, argument: Any, places: Places) -> None:
    if place in ("column", "path", "count_within"):
        if not isinstance(argument, str) or not argument:
            raise places.error(name, f"with `{place}` a text", argument)
    elif place != "const":
        if not isinstance(argument, list) or not argument:
            raise places.error(name, f"with `{place}` a list", argument)
        if place == "times" and not all(isinstance(one, str | int | float) for one in argument):
            raise places.error(name, "a product of fields and numbers", argument)
    if place == "path" and not re.match(r"[@$\w]", argument):
        raise places.error(name, "a path as $.order or @.sku", argument)


def label_of(place: str, argument: Any, name: str) -> str:
    """Return what a person calls the place of a field: its column or path."""
    if place in ("column", "path"):
        return str(argument)
    if place == "first":
        return " or ".join(map(str, argument))
    return name


def _columns_of(place: str, argument: Any) -> Iterator[str]:
    if place in ("column", "count_within"):
        yield argument
    elif place in ("first", "hash", "row_id", "join"):
        for one in argument:
            if isinstance(one, dict):
                yield one["column"]
            elif place != "join":
                yield str(one)


def _numbers(
    name: str, spec: Mapping[str, Any], read: Mapping[str, Any], places: Places
) -> NumberStyle:
    decimal = spec.get("decimal", read.get("decimal", "."))
    if decimal not in (".", ","):
        raise places.error(name, "with `decimal` one of '.', ','", decimal)
    own = "thousands" in spec or "decimal" not in spec
    thousands = spec.get("thousands", read.get("thousands") if own else None)
    return NumberStyle(decimal, thousands if thousands != decimal else None)


def _times(
    name: str, spec: Mapping[str, Any], read: Mapping[str, Any], places: Places
) -> TimeStyle:
    zone = spec.get("timezone", read.get("timezone", "UTC"))
    _zone(zone, places, name)
    order = spec.get("date_order", read.get("date_order", "dmy"))
    if order not in ("dmy", "mdy"):
        raise places.error(name, "with `date_order` one of dmy, mdy", order)
    return TimeStyle(zone, order)


def _zone(zone: Any, places: Places, name: str) -> None:
    try:
        zone_of(zone)
    except (ValueError, TypeError):
        raise places.error(name, "a time zone, as Europe/Berlin", zone) from None
