"""Numbers, times and spans as people read them."""

import math
from typing import Any


def number(value: Any, digits: int = 0) -> str:
    """Return a number with thousands apart; more digits only where it has some.

    Args:
        value: the number.
        digits: after the point, at most; a number that would be shown as 0 gets its first one.
            0 means that things are counted.

    >>> number(1234567), number(0.25, 2), number(12.0, 2)
    ('1,234,567', '0.25', '12')
    >>> number(0.0417, 1), number(-0.0004, 2), number(-0.2)
    ('0.04', '-0.0004', '0')
    """
    size = abs(value)
    if digits and 0 < size < 0.5 * 10.0**-digits:
        digits = -math.floor(math.log10(size))
    text = f"{value:,.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def moment(milliseconds: int) -> str:
    """Return a time for people, in UTC.

    >>> moment(1314864900000)
    '2011-09-01 08:15 UTC'
    """
    from streams.timestamps import rfc3339

    return plain_time(rfc3339(milliseconds))


def plain_time(text: str) -> str:
    """Return an RFC 3339 time in UTC for people; another text stays as it is.

    >>> plain_time("2011-09-01T08:15:30Z"), plain_time("2011-09-01T08:15:00+01:00")
    ('2011-09-01 08:15:30 UTC', '2011-09-01T08:15:00+01:00')
    """
    if not text.endswith("Z"):
        return text
    shown = text[:16] if text.endswith(":00Z") else text[:-1]
    return f"{shown.replace('T', ' ')} UTC"


def duration(seconds: float) -> str:
    """Return a time span for people, in its two largest units.

    >>> duration(42), duration(3700), duration(9 * 86_400 + 7300)
    ('42 s', '1 h 1 min', '9 d 2 h')
    """
    left = round(seconds)
    parts = []
    for name, size in (("y", 31_536_000), ("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"
