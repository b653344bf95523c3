"""Applies a mapping to one record: the fields of its events, or what is wrong with it. Pure."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from infra.connect.cells import (
    money,
    order_status,
    read_currency,
    read_number,
    read_share,
    read_sku,
    read_text,
    read_units,
    read_when,
)
from infra.connect.faults import CellError
from infra.connect.mapping import FROM_FIELDS, UNITS, Emit, FieldSpec, ShopMapping

Getter = Callable[[Any, Any], Any]
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_TRUE = frozenset(("true", "1", "yes", "y", "ja", "oui", "si", "sí", "wahr", "vrai", "x", "✓"))
_FALSE = frozenset(("false", "0", "no", "n", "nein", "non", "falsch", "faux", "-"))
_REMEMBERED = 4_096
_END_OF_DAY = timedelta(hours=23, minutes=59, seconds=59)


class FieldFault(Exception):
    """A value of a record breaks the rule of its field."""

    def __init__(self, spec: FieldSpec, error: CellError) -> None:
        super().__init__(f"{spec.label} {error}")
        self.spec = spec
        self.error = error


@dataclass
class Made:
    """The fields of one event, or of one line, and what was wrong with others."""

    emit: Emit
    fields: dict[str, Any]
    faults: list[FieldFault]


class Mapper:
    """A mapping, ready to be applied many times."""

    def __init__(self, mapping: ShopMapping) -> None:
        self.mapping = mapping
        self._source = None if mapping.source_from is None else _getter(mapping.source_from)
        self._emits = [
            (emit, [(spec, _getter(spec), _converter(spec)) for spec in emit.fields])
            for emit in mapping.emits
        ]

    def source_of(self, record: Mapping[str, Any]) -> str:
        """Return the name of the source that a record gives itself; empty means none."""
        return "" if self._source is None else str(self._source(record, record) or "")

    def make(self, record: Mapping[str, Any]) -> Iterator[Made]:
        """Yield what a record gives."""
        for emit, fields in self._emits:
            if emit.when is not None and not emit.when.search(record):
                continue
            for line in _lines(emit, record):
                yield _make(emit, fields, record, line)


def _lines(emit: Emit, record: Mapping[str, Any]) -> Sequence[Any]:
    if emit.each is None:
        return (record,)
    found = emit.each.search(record)
    if found is None:
        return ()
    return found if isinstance(found, list) else (found,)


def _make(
    emit: Emit,
    fields: list[tuple[FieldSpec, Getter, Callable[[Any], Any]]],
    record: Mapping[str, Any],
    line: Any,
) -> Made:
    made: dict[str, Any] = {}
    faults = []
    for spec, get, convert in fields:
        try:
            value = _derived(spec, made) if spec.place in FROM_FIELDS else get(record, line)
            if value is None or value == "":
                if spec.has_empty:
                    made[spec.name] = spec.empty
                continue
            made[spec.name] = convert(value)
        except CellError as error:
            faults.append(FieldFault(spec, error))
    return Made(emit, {k: v for k, v in made.items() if k[0] != "_"}, faults)


def _derived(spec: FieldSpec, made: Mapping[str, Any]) -> Any:
    """Return what is made of other fields; None where they are missing or wrong."""
    if spec.place == "times":
        return _product(spec, made)
    return next((made[name] for name in spec.argument if made.get(name) is not None), None)


def _product(spec: FieldSpec, made: Mapping[str, Any]) -> float | None:
    product = 1.0
    for one in spec.argument:
        factor = made.get(one) if isinstance(one, str) else one
        if factor is None:
            return None
        product *= factor
    return round(product, 9)


# --- from where -------------------------------------------------------------------------------


def _getter(spec: FieldSpec) -> Getter:
    argument = spec.argument
    if spec.place == "column":
        return lambda record, line: record.get(argument)
    if spec.place == "path":
        return path_getter(argument)
    if spec.place == "const":
        return lambda record, line: argument
    if spec.place == "first":
        return _first([_place(one) for one in argument])
    if spec.place == "join":
        return _join([_part(one) for one in argument])
    if spec.place == "hash":
        return _hash([_place(one) for one in argument])
    if spec.place == "row_id":
        return _row_id([_place(one) for one in argument])
    if spec.place == "count_within":
        return lambda record, line: f"r{record[ROW_IN_GROUP]}"
    return lambda record, line: None


ROW_IN_GROUP = "\x00row"
"""The cell that numbers the rows of one order, from 1."""


def _place(one: Any) -> Getter:
    """Return the getter of one place in a list: a path, or a column."""
    if isinstance(one, dict):
        column = one["column"]
        return lambda record, line: record.get(column)
    if one[:1] in ("$", "@"):
        return path_getter(one)
    return lambda record, line: record.get(one)


def _part(one: Any) -> Getter:
    """Return the getter of one part of a text: a path, a column, or the text itself."""
    if isinstance(one, dict) or (isinstance(one, str) and one[:2] in ("$.", "@.")):
        return _place(one)
    return lambda record, line: one


def _first(getters: Sequence[Getter]) -> Getter:
    def get(record: Any, line: Any) -> Any:
        for getter in getters:
            if (value := getter(record, line)) not in (None, ""):
                return value
        return None

    return get


def _join(getters: Sequence[Getter]) -> Getter:
    def get(record: Any, line: Any) -> Any:
        parts = [getter(record, line) for getter in getters]
        return None if None in parts else "".join(map(read_text, parts))

    return get


def _hash(getters: Sequence[Getter]) -> Getter:
    def get(record: Any, line: Any) -> Any:
        return "h" + digest_of([getter(record, line) for getter in getters])

    return get


def _row_id(getters: Sequence[Getter]) -> Getter:
    """Number rows that are the same, so that each has an id, whatever the order of the rows."""
    counts: Counter[str] = Counter()

    def get(record: Any, line: Any) -> Any:
        digest = digest_of([getter(record, line) for getter in getters])
        counts[digest] += 1
        return f"{digest}-{counts[digest]}"

    return get


def digest_of(values: Sequence[Any]) -> str:
    """Return twelve digits that stand for values."""
    text = "\x1f".join("" if value is None else str(value) for value in values)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def path_getter(path: str) -> Getter:
    """Return a function that follows a path; what is not there is None.

    >>> path_getter("$.order.lines[0].sku")({"order": {"lines": [{"sku": "lamp"}]}}, None)
    'lamp'
    """
    is_line = not path.startswith("$")
    steps = [
        int(index) if index else name
        for name, index in _STEP.findall(path.lstrip("$@").removeprefix("."))
    ]
    if len(steps) == 1 and isinstance(steps[0], str):
        return _one_step(steps[0], is_line)

    def get(record: Any, line: Any) -> Any:
        value = line if is_line else record
        for step in steps:
            if isinstance(value, dict) and isinstance(step, str):
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                value = value[step]
            else:
                return None
        return value

    return get


def _one_step(step: str, is_line: bool) -> Getter:
    def get(record: Any, line: Any) -> Any:
        value = line if is_line else record
        return value.get(step) if isinstance(value, dict) else None

    return get


# --- how it is read ---------------------------------------------------------------------------


def _converter(spec: FieldSpec) -> Callable[[Any], Any]:
    convert = _BY_CONVERT[spec.convert](spec)
    if spec.place in FROM_FIELDS:
        return lambda value: value
    return _remembering(_fresh_converter(spec, convert))


def _remembering(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Remember what texts were read as: cells of a column are often the same."""
    known = lru_cache(maxsize=_REMEMBERED)(convert)
    return lambda value: known(value) if type(value) is str else convert(value)


def _fresh_converter(spec: FieldSpec, convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    if spec.name == "line_id" and spec.place not in ("hash", "row_id", "count_within"):
        return lambda value: f"l{read_text(value)}"
    if spec.lookup is None:
        return convert
    lookup = spec.lookup

    def look_up(value: Any) -> Any:
        key = read_text(value)
        if key not in lookup and "*" not in lookup:
            raise CellError(f"one of {', '.join(lookup)}", value)
        return convert(lookup.get(key, lookup.get("*")))

    return look_up


def _number(spec: FieldSpec) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        number = read_number(value, spec.numbers)
        if spec.scale:
            number = number / 10**spec.scale
        return -number if spec.negate else number

    return convert


def _int(spec: FieldSpec) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        units = read_units(value, spec.numbers)
        return -units if spec.negate else units

    return convert


def _time(spec: FieldSpec) -> Callable[[Any], Any]:
    if spec.unit is None:
        return lambda value: read_when(value, spec.times)
    factor = UNITS[spec.unit]

    def convert(value: Any) -> Any:
        return int(read_number(value, spec.numbers) * factor)

    return convert


def _end_of_day(spec: FieldSpec) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        text = read_when(value, spec.times)
        day = datetime.fromisoformat(text).replace(hour=0, minute=0, second=0, microsecond=0)
        return (day + _END_OF_DAY).isoformat(timespec="seconds").replace("+00:00", "Z")

    return convert


def _bool(spec: FieldSpec) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        text = str(value).strip().casefold()
        if text not in _TRUE | _FALSE:
            raise CellError("true or false", value)
        return text in _TRUE

    return convert


_BY_CONVERT: dict[str, Callable[[FieldSpec], Callable[[Any], Any]]] = {
    "text": lambda spec: read_text,
    "any": lambda spec: lambda value: value,
    "sku": lambda spec: lambda value: read_sku(value, width=spec.width),
    "int": _int,
    "number": _number,
    "share": lambda spec: lambda value: read_share(value, spec.numbers),
    "time": _time,
    "end_of_day": _end_of_day,
    "currency": lambda spec: read_currency,
    "bool": _bool,
    "status": lambda spec: order_status,
    "money": lambda spec: money,
    "woo_status": lambda spec: lambda value: order_status(value, pending_counts=False),
}
