"""Dates of a campaign document, turned into days from the moment of the check."""

import re
from datetime import datetime
from typing import Any

from infra.connect.times import BadTimeError, TimeStyle, read_moment, read_time, zone_of
from policy.errors import PolicyInputError
from streams.timestamps import BAD_TIMESTAMP, DAY_MS, one_time, rfc3339

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
RULE = "a time as 2026-11-11T00:00:00+08:00, or a day as 2026-11-11"


def moment_ms(value: Any, name: str, zone: str, *, is_end: bool = False) -> int:
    """Return a moment as epoch milliseconds.

    Args:
        value: text, a date of a spreadsheet, or epoch milliseconds.
        name: the field, for the complaint.
        zone: of times that name none.
        is_end: whether a day stands for its end; else for its begin.

    Raises:
        PolicyInputError: it is no time.

    >>> moment_ms("1970-01-02", "a", "UTC"), moment_ms("1970-01-01", "a", "UTC", is_end=True)
    (86400000, 86400000)
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float | datetime):
        raise PolicyInputError(name, RULE, value)
    style = TimeStyle(zone)
    zone_of(zone)
    try:
        if isinstance(value, datetime):
            return _of_spreadsheet(value, style, is_end=is_end)
        if isinstance(value, int | float):
            text = rfc3339(int(value))
        elif _DAY.fullmatch(value.strip()):
            return _of_day(value.strip(), style, is_end=is_end)
        else:
            text = read_time(value.strip(), style)
    except (BadTimeError, ValueError, OverflowError):
        raise PolicyInputError(name, RULE, value) from None
    found = one_time(text)
    if found == BAD_TIMESTAMP:
        raise PolicyInputError(name, RULE, value)
    return found


def _of_day(day: str, style: TimeStyle, *, is_end: bool) -> int:
    start = read_moment(datetime.fromisoformat(day), style)
    return one_time(start) + (DAY_MS if is_end else 0)


def _of_spreadsheet(moment: datetime, style: TimeStyle, *, is_end: bool) -> int:
    """A date without a time of day stands for the day, which the reader gives as its noon."""
    is_day = moment.tzinfo is None and moment.time().isoformat() in ("00:00:00", "12:00:00")
    if is_day:
        return _of_day(moment.date().isoformat(), style, is_end=is_end)
    return one_time(read_moment(moment, style))


def days_between(moment: int, now_ms: int) -> float:
    """Return the days from now until a moment.

    >>> days_between(DAY_MS, 0)
    1.0
    """
    return (moment - now_ms) / DAY_MS
