"""Finds out what a file of JSON holds: a shop's own messages, events, or orders in any shape."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from infra.connect.faults import FileError
from infra.connect.files import Row, Source
from infra.connect.guessing.answers import Answers
from infra.connect.guessing.guess import (
    Guess,
    checked_roles,
    recognise,
    say_columns,
    settle_reading,
)
from infra.connect.guessing.headers import name_score
from infra.connect.guessing.sample import SAMPLE_ROWS, Sample
from infra.connect.guessing.styles import settle_styles
from infra.connect.presets import PRESETS, SHOP_PRESETS, Defaults, Document, emits_of

_DEPTH = 3
SHAPES = {
    "shopify": "orders of Shopify's API",
    "woocommerce": "orders of WooCommerce's API",
    "tidegate": "events of Tidegate",
    "uci": "order lines as in the UCI data",
}
"""Files that need no mapping, in words."""


def known_shape(row: Mapping[str, Any]) -> str | None:
    """Return what a shop or a schema an object is of; None means of none that is known."""
    names = row.keys()
    if names >= {"topic", "kind"}:
        return "tidegate"
    if names >= {"type", "event_id", "sku", "quantity"} and "topic" not in names:
        return "uci"
    lines = row.get("line_items")
    if not isinstance(lines, list):
        return None
    if "date_created_gmt" in names:
        return "woocommerce"
    line = lines[0] if lines and isinstance(lines[0], dict) else {}
    marks = {"financial_status", "admin_graphql_api_id", "presentment_currency", "cancelled_at"}
    return "shopify" if marks & names or "current_quantity" in line else None


def guess_json(
    source: Source,
    answers: Answers,
    *,
    preset: str | None = None,
    defaults: Defaults | None = None,
    columns: dict[str, str] | None = None,
    name: str | None = None,
) -> Guess:
    """Propose the mapping of JSON: flat objects, or orders that hold their lines.

    Raises:
        FileError: no sku, quantity or time is found.
        UnansweredError: nobody answers what is not certain.
    """
    settle_reading(source, answers)
    rows = [row for row in source.sample(SAMPLE_ROWS) if not row.fault]
    if not rows:
        raise FileError(f"{source.name} must hold JSON objects, got none")
    each = _lines_of([row.cells for row in rows]) if preset in (None, "orders") else ()
    sample = Sample(list(_flat_rows(rows, each)))
    if preset is None:
        preset = "orders" if each or columns else recognise(source, sample)
    kind = PRESETS[SHOP_PRESETS.get(preset, preset)]
    roles = checked_roles(source, kind, sample, columns or {})
    made: dict[str, Any] = {role: {"column": column} for role, column in roles.items()}
    say_columns(source, made, answers)
    settle_styles(source, made, sample, answers)
    emits = emits_of(kind.name, made, defaults or Defaults())
    for emit in emits:
        emit["fields"] = {field: _as_path(place) for field, place in emit["fields"].items()}
        if each:
            emit["each"] = _query(each)
    document: Document = {"source": name or "files", "format": "json", "emit": emits}
    shape = f"{kind.words}, as JSON" if not each else "orders as JSON, their lines inside"
    return Guess(kind.name, document, shape)


def _as_path(place: dict[str, Any]) -> dict[str, Any]:
    """Return a place of a table as a place of an object."""
    if "column" in place:
        return {"path": place["column"], **{k: v for k, v in place.items() if k != "column"}}
    if "join" in place:
        parts = [part["column"] if isinstance(part, dict) else part for part in place["join"]]
        return {**place, "join": parts}
    return place


def _query(path: tuple[str, ...]) -> str:
    return ".".join(name if re.fullmatch(r"[A-Za-z_]\w*", name) else f'"{name}"' for name in path)


# --- flattening -------------------------------------------------------------------------------


def _flat_rows(rows: list[Row], each: tuple[str, ...]) -> Iterator[Row]:
    """Yield a row for each line, its cells named by their paths: $ is the order, @ the line."""
    for row in rows:
        order = dict(_flat(row.cells, "$"))
        if not each:
            yield row._replace(cells=order)
            continue
        for line in _at(row.cells, each) or ():
            if isinstance(line, dict):
                yield row._replace(cells={**order, **dict(_flat(line, "@"))})


def _flat(value: Mapping[str, Any], path: str, depth: int = _DEPTH) -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        place = f"{path}.{name}"
        if isinstance(inner, dict) and depth > 1:
            yield from _flat(inner, place, depth - 1)
        elif not isinstance(inner, dict | list):
            yield place, inner


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _lines_of(records: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return the path of the list that holds the lines of an order; empty means none."""
    best: float = 0.0
    found: tuple[str, ...] = ()
    for record in records[:50]:
        for path, line in _lists(record, ()):
            names = [name for name, _ in _flat(line, "@")]
            score = sum(
                max((name_score(role, name) for name in names), default=0.0)
                for role in ("sku", "quantity", "price")
            )
            if score > best:
                best, found = score, path
    return found if best >= 0.8 else ()


def _lists(
    value: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    for name, inner in value.items():
        if isinstance(inner, list) and inner and isinstance(inner[0], dict):
            yield (*path, name), inner[0]
        elif isinstance(inner, dict) and len(path) < _DEPTH:
            yield from _lists(inner, (*path, name))
