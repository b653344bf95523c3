"""Which times an event may have, and what a time looks like that it may not have.

A time in another unit than milliseconds lies in 1970 or far in the future: one such record would
make every later one late, or move the clock of a whole replay.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from streams.timestamps import BAD_TIMESTAMP, LATEST_MS, one_time, rfc3339

EARLIEST_EVENT_MS = 631_152_000_000
"""1990-01-01."""

LATEST_EVENT_MS = 4_102_444_799_999
"""2099-12-31."""

BAD_TIME = "bad_timestamp"
IN_SECONDS = "time_in_seconds"
IN_MICROSECONDS = "time_in_microseconds"
IN_NANOSECONDS = "time_in_nanoseconds"
OUT_OF_RANGE = "time_out_of_range"
TIME_CODES = frozenset({BAD_TIME, IN_SECONDS, IN_MICROSECONDS, IN_NANOSECONDS, OUT_OF_RANGE})

_DATE = re.compile(r"-?\d{4,}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d", flags=re.ASCII)
_UNITS = (
    (IN_SECONDS, "seconds", 1, 1_000),
    (IN_MICROSECONDS, "microseconds", 1_000, 1),
    (IN_NANOSECONDS, "nanoseconds", 1_000_000, 1),
)


class TimeFault(NamedTuple):
    """What is wrong with a time: a stable code, the rule, and what the time looks like."""

    code: str
    rule: str
    looks: str = ""


def time_fault(value: str | int, *, latest_ms: int = LATEST_EVENT_MS) -> TimeFault | None:
    """Return what is wrong with a time; None means nothing.

    Args:
        value: RFC 3339 with a zone, or milliseconds since 1970.
        latest_ms: a later one is out of range.

    >>> time_fault("2026-03-02T10:00:00Z"), time_fault(1_772_900_000_000)
    (None, None)
    >>> time_fault(1_772_900_000_000_000).looks
    'looks like microseconds: 2026-03-07T16:13:20Z'
    """
    at_ms = one_time(value)
    if EARLIEST_EVENT_MS <= at_ms <= latest_ms:
        return None
    if isinstance(value, str) and at_ms == BAD_TIMESTAMP and not _names_a_year(value):
        looks = "looks like a number in quotes" if value.strip().isdigit() else ""
        return TimeFault(BAD_TIME, "RFC 3339 with a zone, or milliseconds since 1970", looks)
    if isinstance(value, int):
        for code, unit, divisor, factor in _UNITS:
            as_ms = value // divisor * factor
            if EARLIEST_EVENT_MS <= as_ms <= LATEST_EVENT_MS:
                rule = "in milliseconds since 1970"
                return TimeFault(code, rule, f"looks like {unit}: {rfc3339(as_ms)}")
    rule = f"from {rfc3339(EARLIEST_EVENT_MS)[:4]} to {rfc3339(latest_ms)[:4]}"
    return TimeFault(OUT_OF_RANGE, rule, _look_of(value, at_ms))


def _names_a_year(value: str) -> bool:
    """Whether a text is a date and time of a year that is out of the question."""
    match = _DATE.match(value)
    return match is not None and not 1970 <= int(match[0].rpartition("-")[0][:-3]) <= 9999


def _look_of(value: str | int, at_ms: int) -> str:
    if isinstance(value, str):
        return ""
    return f"that is {rfc3339(at_ms)}" if 0 <= at_ms <= LATEST_MS else "that is no date"


def explain(name: str, value: str | int, fault: TimeFault) -> str:
    """Return the fault of a field in one line.

    >>> explain("occurred_at", 7, time_fault(7))
    'occurred_at must be from 1990 to 2099, got 7: that is 1970-01-01T00:00:00.007Z'
    """
    shown = repr(value) if len(repr(value)) < 60 else repr(value)[:60] + "..."
    return f"{name} must be {fault.rule}, got {shown}" + (f": {fault.looks}" if fault.looks else "")


# --- the other times of an event --------------------------------------------------------------

_DETAILS = ("expected_at", "starts_at", "ends_at", "promised_by")


def detail_times(event: Any) -> Iterator[tuple[str, str | int]]:
    """Yield the name and value of each time of an event but its own."""
    for name in _DETAILS:
        value = getattr(event, name, None)
        if value is not None:
            yield name, value
    for place, lot in enumerate(getattr(event, "lots", ())):
        if lot.expires_at is not None:
            yield f"lots[{place}].expires_at", lot.expires_at


def has_detail_times(kind: type[msgspec.Struct]) -> bool:
    """Return whether events of a kind can have such times."""
    return not {*_DETAILS, "lots"}.isdisjoint(kind.__struct_fields__)


def detail_fault(event: Any) -> tuple[str, str] | None:
    """Return code and message of the first time of an event, but its own, that cannot be."""
    for name, value in detail_times(event):
        # Goods and plans may end "never": 9999-12-31.
        if (fault := time_fault(value, latest_ms=LATEST_MS)) is not None:
            return fault.code, explain(name, value, fault)
    return None
