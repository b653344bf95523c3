"""JSON as a stream of objects, whatever stands around them. Pure but for reading the text."""

import json
from collections.abc import Iterator, Mapping
from typing import IO, Any, cast

from infra.connect.faults import FileError

BLANKS = " \t\r\n\v\f\u00a0\u200b\ufeff\u2007\u202f\u3000"
"""What may stand around a cell or a value and is no part of it."""

_BLOCK_CHARACTERS = 1 << 20
_LIST_KEYS = ("orders", "data", "items", "results", "records", "rows", "value", "order_lines")


def json_values(text: IO[str], name: str) -> Iterator[Any]:
    """Yield the objects of an array, of an envelope around one, or of values one after another."""
    buffer, decoder, place = text.read(_BLOCK_CHARACTERS), json.JSONDecoder(), 0
    is_array = buffer.lstrip(BLANKS)[:1] == "["
    if is_array:
        place = buffer.index("[") + 1
    while True:
        while place < len(buffer) and buffer[place] in " \t\r\n,\ufeff":
            place += 1
        if place < len(buffer) and is_array and buffer[place] == "]":
            return
        try:
            value, end = decoder.raw_decode(buffer, place)
        except ValueError as error:
            more = text.read(max(_BLOCK_CHARACTERS, len(buffer)))
            if not more:
                if not buffer[place:].strip(BLANKS):
                    return
                raise FileError(f"{name} must be JSON: {error}") from None
            buffer, place = buffer[place:] + more, 0
            continue
        yield from _unwrapped(value) if not is_array else (value,)
        place = end
        if place > _BLOCK_CHARACTERS:
            buffer, place = buffer[place:], 0


def _unwrapped(value: Any) -> Iterator[Any]:
    """Yield the objects of `{"orders": [...]}`, or the value itself."""
    if isinstance(value, dict):
        for key in _LIST_KEYS:
            inner = value.get(key)
            is_list = isinstance(inner, list) and inner and isinstance(inner[0], dict)
            if is_list and _is_envelope(value, key):
                yield from cast(list[Any], inner)
                return
    yield value


def _is_envelope(value: Mapping[str, Any], key: str) -> bool:
    """Whether an object only wraps a list: an order has an id of its own beside its lines."""
    if any(isinstance(other, list) for name, other in value.items() if name != key):
        return False
    others = {name.casefold() for name in value if name != key}
    return not any("id" in name or "order" in name or "number" in name for name in others)
