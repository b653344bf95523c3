"""Times of events: reading many texts at once, and writing one."""

import datetime
from collections.abc import Sequence

import numpy as np

from policy.compiled import compiled, compiled_with
from streams.hashing import SEPARATOR
from streams.types import Int64Array

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
NO_CLOCK = np.iinfo(np.int64).min
BAD_TIMESTAMP = np.iinfo(np.int64).min
LATEST_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z


@compiled_with(inline="always")
def _digits(joined: np.ndarray, start: int, count: int) -> int:
    value = 0
    for position in range(start, start + count):
        digit = np.int64(joined[position]) - 48
        if digit < 0 or digit > 9:
            return -1
        value = value * 10 + digit
    return value


@compiled_with(inline="always")
def _days_from_civil(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 (Howard Hinnant's algorithm)."""
    shifted = year - 1 if month <= 2 else year
    era = shifted // 400
    year_of_era = shifted - era * 400
    month_from_march = month - 3 if month > 2 else month + 9
    day_of_year = (153 * month_from_march + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * 146_097 + day_of_era - 719_468


@compiled
def parse_one_time(joined: np.ndarray, start: int, stop: int) -> int:
    """Milliseconds of `YYYY-MM-DDTHH:MM:SS[.fff](Z|+HH:MM)`, or the sentinel."""
    if stop - start < 20:
        return BAD_TIMESTAMP
    year = _digits(joined, start, 4)
    month = _digits(joined, start + 5, 2)
    day = _digits(joined, start + 8, 2)
    hour = _digits(joined, start + 11, 2)
    minute = _digits(joined, start + 14, 2)
    second = _digits(joined, start + 17, 2)
    between = joined[start + 10]
    if joined[start + 4] != 45 or joined[start + 7] != 45 or joined[start + 13] != 58:
        return BAD_TIMESTAMP
    if joined[start + 16] != 58 or (between != 84 and between != 116 and between != 32):
        return BAD_TIMESTAMP
    if year < 1970 or month < 1 or month > 12 or day < 1 or hour < 0 or hour > 23:
        return BAD_TIMESTAMP
    if minute < 0 or minute > 59 or second < 0 or second > 59:
        return BAD_TIMESTAMP
    leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0
    longest = 30 if month in (4, 6, 9, 11) else (28 + leap if month == 2 else 31)
    if day > longest:
        return BAD_TIMESTAMP
    position = start + 19
    millisecond = 0
    if joined[position] == 46:
        position += 1
        scale = 100
        first = position
        while position < stop and 48 <= joined[position] <= 57:
            millisecond += (np.int64(joined[position]) - 48) * scale
            scale //= 10
            position += 1
        if position == first:
            return BAD_TIMESTAMP
    if position >= stop:
        return BAD_TIMESTAMP
    offset_minutes = 0
    zone = joined[position]
    if zone == 90 or zone == 122:
        if position + 1 != stop:
            return BAD_TIMESTAMP
    elif zone == 43 or zone == 45:
        if stop - position != 6 or joined[position + 3] != 58:
            return BAD_TIMESTAMP
        zone_hour = _digits(joined, position + 1, 2)
        zone_minute = _digits(joined, position + 4, 2)
        if zone_hour < 0 or zone_hour > 23 or zone_minute < 0 or zone_minute > 59:
            return BAD_TIMESTAMP
        offset_minutes = zone_hour * 60 + zone_minute
        if zone == 45:
            offset_minutes = -offset_minutes
    else:
        return BAD_TIMESTAMP
    minutes = (_days_from_civil(year, month, day) * 24 + hour) * 60 + minute - offset_minutes
    milliseconds = (minutes * 60 + second) * 1000 + millisecond
    return milliseconds if milliseconds >= 0 else BAD_TIMESTAMP


@compiled
def _parse_times(joined: np.ndarray, times_ms: np.ndarray) -> int:
    row = 0
    start = 0
    for position in range(joined.size + 1):
        if position == joined.size or joined[position] == 0:
            if row < times_ms.size:
                times_ms[row] = parse_one_time(joined, start, position)
            row += 1
            start = position + 1
    return row


def parse_times(values: Sequence[str | int]) -> Int64Array:
    """Return milliseconds since 1970, shape (row,); `BAD_TIMESTAMP` where a value is no time.

    Args:
        values: RFC 3339 text with a zone, or whole milliseconds.

    >>> parse_times(["2011-09-01T08:15:00Z", "2011-09-01T09:15:00.250+01:00", 7, "yesterday"])
    array([       1314864900000,        1314864900250,                    7,
           -9223372036854775808])
    """
    kinds = set(map(type, values))
    if kinds == {int}:
        return _checked_milliseconds(values)
    if kinds == {int, str}:
        return _parse_mixed(values)
    if not values:
        return np.empty(0, np.int64)
    times_ms = np.empty(len(values), np.int64)
    joined = SEPARATOR.join(values).encode("utf-8", "surrogatepass")
    if _parse_times(np.frombuffer(joined, np.uint8), times_ms) != len(values):
        clean = ["" if SEPARATOR in str(value) else value for value in values]
        return parse_times(clean)
    return times_ms


def _parse_mixed(values: Sequence[str | int]) -> Int64Array:
    is_text = np.array([type(value) is str for value in values])
    times_ms = np.empty(len(values), np.int64)
    times_ms[is_text] = parse_times([value for value in values if type(value) is str])
    times_ms[~is_text] = parse_times([value for value in values if type(value) is not str])
    return times_ms


def _checked_milliseconds(values: Sequence[str | int]) -> Int64Array:
    try:
        times_ms = np.array(values, np.int64)
    except OverflowError:
        bounded = [value if 0 <= int(value) <= LATEST_MS else -1 for value in values]
        times_ms = np.array(bounded, np.int64)
    times_ms[(times_ms < 0) | (times_ms > LATEST_MS)] = BAD_TIMESTAMP
    return times_ms


def one_time(value: str | int) -> int:
    """Return the milliseconds of one time that a detail carries, or the sentinel."""
    return int(parse_times([value])[0])


def rfc3339(milliseconds: int) -> str:
    """Return a time as text, to the second where it is whole, else to the millisecond.

    >>> rfc3339(1314864900000)
    '2011-09-01T08:15:00Z'
    """
    moment = datetime.datetime.fromtimestamp(milliseconds // 1000, datetime.UTC)
    fraction = f".{milliseconds % 1000:03d}" if milliseconds % 1000 else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"
