"""Files of campaigns: a JSON object, or a table with one row for each sku (CSV, Excel)."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from infra.campaigns.columns import CAPACITY, COLUMNS, LOT_PARTS, PLACES, TEXTS, column_of
from infra.campaigns.document import Document
from infra.connect.cells import NumberStyle, guess_numbers, read_number, read_sku, read_text
from infra.connect.faults import CellError, FileError
from infra.connect.files import ReadOptions, Row, open_bytes, open_source
from policy.errors import PolicyInputError

LARGEST_FILE_BYTES = 64 * 1024 * 1024
_YES = ("1", "true", "yes", "y", "x", "ja", "oui", "si", "是")
_NO = ("", "0", "false", "no", "n", "nein", "non", "否")


def read_campaign(path: Path, options: ReadOptions | None = None) -> Document:
    """Return the campaign that a file holds.

    Raises:
        FileError: it cannot be read, or holds several campaigns.
        PolicyInputError: a cell breaks its rule.
    """
    source = open_source(path, options)
    if source.form == "json":
        value = _json(path)
        if isinstance(value, list) and value and all(_is_row(one) for one in value):
            return from_rows([Row(n, n, dict(one)) for n, one in enumerate(value, 1)])
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if not isinstance(value, dict):
            raise FileError(f"{path.name} must hold one campaign: an object, got {_kind(value)}")
        return {"campaign_id": path.stem, **value} if not value.get("id") else value
    if source.form in ("csv", "jsonl") and source.options.encoding is None:
        raise FileError(f"{path.name} must be UTF-8; --encoding says another one, as cp1252")
    return {"campaign_id": path.stem, **from_rows(source.rows())}


def _json(path: Path) -> Any:
    with open_bytes(path) as file:
        text = file.read(LARGEST_FILE_BYTES + 1)
    if len(text) > LARGEST_FILE_BYTES:
        raise FileError(f"{path.name} must be at most {LARGEST_FILE_BYTES} bytes")
    try:
        return json.loads(text.decode("utf-8-sig"), object_pairs_hook=_without_repeats)
    except (UnicodeDecodeError, RecursionError, json.JSONDecodeError) as error:
        raise FileError(f"{path.name} must be JSON in UTF-8: {error}") from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise FileError(f"{twice} must stand once in an object, got it {names.count(twice)} times")
    return fields


def _is_row(value: Any) -> bool:
    return isinstance(value, dict) and "sku" in value and "lines" not in value


def _kind(value: Any) -> str:
    return f"{len(value)} of them" if isinstance(value, list) else type(value).__name__


# --- tables -----------------------------------------------------------------------------------


def from_rows(rows: Iterable[Row]) -> Document:
    """Return a campaign from a table: one row for each sku and warehouse.

    More rows of the same sku and warehouse add lots and arrivals. What belongs to the campaign or
    to a warehouse may stand in any of the rows, and has to be the same where it is repeated.

    Raises:
        FileError: the table has no rows, no column sku, or a column that nothing knows.
        PolicyInputError: names row and column, the rule and the value.
    """
    table = [row for row in rows if not row.fault]
    if not table:
        raise FileError("the campaign must hold at least one row below its header")
    names = {header: column_of(header) for row in table for header in row.cells}
    _check_columns(names)
    style = _style_of(table, names)
    builder = _Builder()
    for row in table:
        cells = {
            name: _cell(row, header, name, style)
            for header, name in names.items()
            if name is not None and row.cells.get(header) not in (None, "")
        }
        builder.take(row.number, cells)
    return builder.document()


def _check_columns(names: Mapping[str, str | None]) -> None:
    unknown = [header for header, name in names.items() if name is None]
    if unknown:
        raise FileError(
            f"column {unknown[0]!r} is not one of a campaign: {', '.join(COLUMNS)}; "
            "`tidegate template campaign` writes a file to fill in"
        )
    for needed in ("sku",):
        if needed not in names.values():
            raise FileError(f"a column {needed} must be there, got {', '.join(names)}")
    found = list(names.values())
    for name in found:
        if found.count(name) > 1:
            headers = [header for header, known in names.items() if known == name]
            raise FileError(f"only one column may be {name}, got {', '.join(headers)}")


def _style_of(table: Iterable[Row], names: Mapping[str, str | None]) -> NumberStyle:
    texts = [
        str(value)
        for row in table
        for header, value in row.cells.items()
        if names[header] not in TEXTS and isinstance(value, str) and value
    ]
    return guess_numbers(texts).style or NumberStyle()


def _cell(row: Row, header: str, name: str, style: NumberStyle) -> Any:
    value = row.cells[header]
    try:
        if name == "sku":
            return read_sku(value, width=0) if isinstance(value, int) else read_sku(value)
        if name == "lot_blocked":
            return _flag(value)
        if name in TEXTS:
            return _text(name, value)
        return read_number(value, style)
    except CellError as error:
        raise PolicyInputError(f"row {row.number}, {header}", error.rule, value) from None


def _text(name: str, value: Any) -> Any:
    """Return a text; dates of a spreadsheet stay what they are."""
    is_date = name.endswith("_at") and not isinstance(value, str)
    return value if is_date else read_text(value)


def _flag(value: Any) -> bool:
    text = str(value).strip().casefold()
    if text in _YES:
        return True
    if text in _NO:
        return False
    raise CellError("yes or no", value)


class _Builder:
    """A document that grows by rows."""

    def __init__(self) -> None:
        self._top: Document = {}
        self._lines: dict[tuple[str, str], Document] = {}
        self._capacity: dict[str, Document] = {}

    def take(self, number: int, cells: Mapping[str, Any]) -> None:
        """Take one row in."""
        sku, warehouse = cells.get("sku"), cells.get("warehouse", "")
        if sku is None:
            raise PolicyInputError(f"row {number}, sku", "given", None)
        line = self._lines.setdefault((sku, warehouse), {"sku": sku})
        if warehouse:
            line["warehouse"] = warehouse
        parts: dict[str, Document] = {"lots": {}, "arrivals": {}}
        for name, value in cells.items():
            if name in LOT_PARTS:
                kind, field = LOT_PARTS[name]
                parts[kind][field] = value
            elif name in CAPACITY:
                own = self._capacity.setdefault(warehouse, {})
                _put(own, name, value, number)
            elif name in PLACES:
                _put(self._top, name, value, number)
            elif name not in ("sku", "warehouse"):
                _put(line, name, value, number)
        for kind, part in parts.items():
            if part:
                line.setdefault(kind, []).append(part)

    def document(self) -> Document:
        """Return what was gathered."""
        made = {**self._top, "lines": list(self._lines.values())}
        _lift(made, "promise_days")
        if self._capacity:
            made["capacity"] = [
                {**({"warehouse": name} if name else {}), **fields}
                for name, fields in self._capacity.items()
            ]
        return made


def _put(target: Document, name: str, value: Any, number: int) -> None:
    if name in target and target[name] != value:
        rule = f"{target[name]!r} as in the rows before it, or empty"
        raise PolicyInputError(f"row {number}, {name}", rule, value)
    target[name] = value


def _lift(document: Document, name: str) -> None:
    """Make a field of all lines that is the same one of the campaign."""
    values = [line.get(name) for line in document["lines"]]
    known = {value for value in values if value is not None}
    if len(known) == 1:
        document[name] = known.pop()
        for line in document["lines"]:
            line.pop(name, None)
