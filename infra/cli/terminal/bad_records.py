"""A bad or late record as people and programs see it."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from infra.cli.terminal.output import heading, make_facts, make_table, safe, safe_bytes
from infra.kafka.topic_reader import TopicRecord
from infra.wording.format import moment, number
from streams.timestamps import LATEST_MS, rfc3339

CODE_HEADER = "tidegate-error-code"
MESSAGE_HEADER = "kafka_dlt-exception-message"
_NUMBERS = {"kafka_dlt-original-partition", "kafka_dlt-original-offset"}
_TIMES = {"kafka_dlt-original-timestamp"}
_VALUE_SHOWN_CHARACTERS = 60


def code_of(record: TopicRecord) -> str:
    """Return the error code of a dead letter."""
    code = record.header(CODE_HEADER)
    return "(none)" if code is None else code.decode("utf-8", "replace")


def print_record(console: Console, record: TopicRecord) -> None:
    """Show one dead letter; nothing in it can harm the terminal."""
    place = f"partition {record.partition}, offset {record.offset}"
    console.print(heading(f"{record.topic}, {place}"))
    console.print(make_facts([("code", code_of(record)), ("message", _message(record))]))
    console.print()
    console.print(heading("headers"))
    console.print(make_facts((safe(key), _header_text(key, v)) for key, v in record.headers))
    console.print()
    console.print(heading("key"))
    console.print("(none)" if record.key is None else safe_bytes(record.key), soft_wrap=True)
    console.print()
    console.print(heading(f"value, {number(len(record.value or b''))} bytes"))
    console.print("(none)" if record.value is None else safe_bytes(record.value), soft_wrap=True)


def newest_table(latest: Sequence[TopicRecord]) -> Any:
    """Return a table with a row for each record."""
    columns = [
        ("written", False),
        ("topic", False),
        ("partition", True),
        ("offset", True),
        ("code", False),
        ("key", False),
        ("value", False),
    ]
    rows = [
        (
            second(record.written_ms),
            record.topic,
            record.partition,
            record.offset,
            code_of(record),
            _clip(safe_bytes(record.key or b"")),
            _clip(safe_bytes(record.value or b"")),
        )
        for record in latest
    ]
    return make_table(columns, rows)


def _clip(text: str) -> str:
    if len(text) <= _VALUE_SHOWN_CHARACTERS:
        return text
    return text[: _VALUE_SHOWN_CHARACTERS - 1] + "…"


def _message(record: TopicRecord) -> str:
    return (record.header(MESSAGE_HEADER) or b"").decode("utf-8", "replace")


def _header_text(name: str, value: bytes | None) -> str:
    """Spring writes numbers as big-endian bytes; anybody else may write anything."""
    if value is None:
        return "(null)"
    if name in _NUMBERS and len(value) in (4, 8):
        return str(int.from_bytes(value, "big"))
    if name in _TIMES and len(value) == 8:
        return _when(int.from_bytes(value, "big"))
    return safe_bytes(value)


def second(milliseconds: int) -> str:
    """Return a time to the second for people; one that no calendar knows as its number."""
    return _when(milliseconds - milliseconds % 1000)


def _when(milliseconds: int) -> str:
    return moment(milliseconds) if 0 <= milliseconds <= LATEST_MS else str(milliseconds)


def time_text(milliseconds: int) -> str | None:
    """Return a record's time; None means that it has none, or one that no calendar knows."""
    return rfc3339(milliseconds) if 0 <= milliseconds <= LATEST_MS else None


def record_values(record: TopicRecord) -> dict[str, Any]:
    """Return a dead letter as JSON values; bytes that are no UTF-8 stand as escapes."""
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "written_at": time_text(record.written_ms),
        "code": code_of(record),
        "message": _message(record),
        "key": None if record.key is None else _text(record.key),
        "value": None if record.value is None else _text(record.value),
        "headers": [
            [name, None if value is None else _header_text(name, value)]
            for name, value in record.headers
        ],
    }


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
