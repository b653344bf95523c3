"""What is wrong with a line of a file, and which line it is."""

import re
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from streams.contracts.broken_rules import SHOWN_CHARACTERS, Nothing, broken_rule
from streams.contracts.event_times import (
    BAD_TIME,
    EARLIEST_EVENT_MS,
    LATEST_EVENT_MS,
    TimeFault,
    time_fault,
)
from streams.contracts.integers import decode_whole

BAD_LINE = "bad_line"
"""The code of whatever has none of its own."""

FAR_FUTURE = "far_future"


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

    def __init__(
        self,
        line_number: int,
        field: str,
        rule: str,
        value: object,
        code: str = BAD_LINE,
        looks: str = "",
    ) -> None:
        shown = value if isinstance(value, Nothing) else clip(repr(value))
        ending = f": {looks}" if looks else ""
        super().__init__(f"line {line_number}: {field} must be {rule}, got {shown}{ending}")
        self.line_number = line_number
        self.code = code
        self.field = field
        self.rule = rule
        self.value = value


_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", flags=re.ASCII
)


@lru_cache(maxsize=65_536)  # many lines share a second
def occurred_ms(occurred_at: str | int) -> int:
    """Return an event time as milliseconds since 1970.

    >>> occurred_ms("2026-01-01T00:00:01.500Z"), occurred_ms(1_700_000_000_007)
    (1767225601500, 1700000000007)

    Raises:
        SchemaError: it is none that an event may have; `code` says what it looks like.
    """
    at_ms = occurred_at if isinstance(occurred_at, int) else _parsed_ms(occurred_at)
    if EARLIEST_EVENT_MS <= at_ms <= LATEST_EVENT_MS:
        return at_ms
    fault = time_fault(occurred_at) or TimeFault(BAD_TIME, "a time that may be")
    raise SchemaError("occurred_at", fault.rule, occurred_at, fault.code, fault.looks)


def _parsed_ms(text: str) -> int:
    """Return the milliseconds of a text."""
    if not _RFC_3339.fullmatch(text):
        rule = "RFC 3339 with a zone, or milliseconds"
        raise SchemaError("occurred_at", rule, text, BAD_TIME)
    try:
        # Whole milliseconds by integer arithmetic: a float of seconds would round some of them.
        elapsed = datetime.fromisoformat(text.upper()) - _EPOCH
    except ValueError:
        raise SchemaError("occurred_at", "a date and time that exist", text, BAD_TIME) from None
    return (elapsed.days * 86_400 + elapsed.seconds) * 1000 + elapsed.microseconds // 1000


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class SchemaError(ValueError):
    """A field breaks a rule; who catches it knows the line."""

    def __init__(
        self, field: str, rule: str, value: object, code: str = BAD_LINE, looks: str = ""
    ) -> None:
        super().__init__(f"{field} must be {rule}, got {value!r}")
        self.code = code
        self.looks = looks
        self.field = field
        self.rule = rule
        self.value = value


_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode_line(decoder: msgspec.json.Decoder[Any], line: bytes) -> Any:
    try:
        return decode_whole(decoder, line)
    except msgspec.ValidationError as error:
        raise schema_error_of(str(error), line) from None
    except _NOT_JSON:
        raise no_object(line) from None


def no_object(line: bytes) -> SchemaError:
    """Return the fault of a line that is no JSON object, with what it looks like instead."""
    text = line.rstrip().decode("utf-8", "backslashreplace")
    return SchemaError("the line", "a JSON object in UTF-8", text, looks=_looks_like(text))


def _looks_like(text: str) -> str:
    """Say what a clerk's file is instead, and how to make JSON Lines of it; empty: no idea.

    >>> _looks_like("Name,Email,Total"), _looks_like("42")
    ('looks like CSV: write each row as one JSON object, one a line', '')
    """
    if text.lstrip()[:1] in ("{", "[") and len(text.strip()) <= 2:
        return "looks like one JSON document over many lines: write one object a line (jq -c)"
    if text[:1] not in ("{", "[", '"') and any(mark in text for mark in ",;\t"):
        return "looks like CSV: write each row as one JSON object, one a line"
    return ""


def schema_error_of(message: str, line: bytes) -> SchemaError:
    """Say what the decoder found in terms of field, rule and value."""
    try:
        field, rule, value = broken_rule(message, line)
    except _NOT_JSON:  # a rule can be broken before the place where the line is no JSON
        return no_object(line)
    return SchemaError(field or "the line", rule, value)


def clip(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "..."
