"""Times as shops write them, turned into RFC 3339. Pure.

A text that is RFC 3339 with a zone stays as it is. What names no zone is read in the zone that the
reader was given; a date without a time of day stands for noon there, so that it is the same day in
every zone of the reader's neighbourhood. `03/04/2026` is read by the order that the reader was
given.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DateOrder = Literal["dmy", "mdy"]

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", flags=re.ASCII)
_CLOCK = (
    r"(?P<hour>\d{1,2})\s?[:h.]\s?(?P<minute>\d{2})"
    r"(?:[:.m](?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?s?"
    r"(?:\s*(?P<half>[ap])\.?\s?m\.?)?(?:\s?uhr)?"
)
_ZONE = r"(?:\s*\(?(?P<zone>z|[a-z]{2,5}|(?:utc|gmt)?\s?[+-]\d{1,2}(?::?\d{2})?)\)?)?"
_AT = r"(?:[t,]?\s*(?:at\s|um\s|à\s)?" + _CLOCK + _ZONE + r")?"
_YEAR_FIRST = re.compile(
    r"(?P<year>\d{4})\s?[-/.年]\s?(?P<month>\d{1,2})\s?[-/.月]\s?(?P<day>\d{1,2})日?\s*" + _AT,
    flags=re.ASCII,
)
_YEAR_LAST = re.compile(
    r"(?P<first>\d{1,2})\s?[-/.]\s?(?P<second_>\d{1,2})\s?[-/.]\s?(?P<year>\d{4}|\d{2})\s*" + _AT,
    flags=re.ASCII,
)
_DAY_NAME = re.compile(
    r"(?:[^\W\d_]{2,10}\.?,?\s+)?(?P<day>\d{1,2})(?:\.|st|nd|rd|th|er)?[\s-]+(?:de\s+)?"
    r"(?P<name>[^\W\d_]{3,12})\.?[\s-]+(?:de\s+)?,?\s*(?P<year>\d{4})\s*" + _AT
)
_NAME_DAY = re.compile(
    r"(?:[^\W\d_]{2,10}\.?,?\s+)?(?P<name>[^\W\d_]{3,12})\.?[\s-]+(?P<day>\d{1,2})"
    r"(?:st|nd|rd|th)?,?[\s-]+(?P<year>\d{4}|\d{2})\s*" + _AT
)
_DIGITS = re.compile(r"\d{8}(\d{4}(\d\d)?)?", flags=re.ASCII)
_EPOCH = re.compile(r"\d{10}(\d{3})?", flags=re.ASCII)
_EXCEL = re.compile(r"[2-7]\d{4}([.,]\d+)?", flags=re.ASCII)

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar janvier janv enero ene gennaio gen januari sty stycznia januari",
            "feb february februar fevrier fevr fev febrero febbraio februari lut lutego fevereiro",
            "mar march maerz marz mar mars marzo maart mrt marca marco",
            "apr april avril avr abril abr aprile kwi kwietnia",
            "may mai mayo maggio mag mei maj maja maio",
            "jun june juni juin junio giugno giu cze czerwca junho",
            "jul july juli juillet juil julio luglio lug lip lipca julho",
            "aug august aout agosto ago augustus augusti sie sierpnia",
            "sep sept september septembre septiembre settembre set wrz wrzesnia setembro",
            "oct october okt oktober octobre octubre ottobre ott paz pazdziernika outubro out",
            "nov november novembre noviembre lis listopada novembro",
            "dec december dez dezember decembre diciembre dic dicembre gru grudnia dezembro des",
        ),
        1,
    )
    for name in names.split()
}
_ZONES = {
    **dict.fromkeys(("z", "utc", "gmt"), 0),
    **{"cet": 60, "cest": 120, "mez": 60, "mesz": 120, "bst": 60, "est": -300, "edt": -240},
    **{"cst": -360, "cdt": -300, "mst": -420, "mdt": -360, "pst": -480, "pdt": -420, "jst": 540},
}
_SECOND_MS = 1000
_EXCEL_EPOCH = datetime(1899, 12, 30)


class BadTimeError(ValueError):
    """A text is no time; the text of the error is the rule that it breaks."""


@dataclass(frozen=True)
class TimeStyle:
    """How the times of a column are read."""

    zone: str = "UTC"  # of times that name none
    order: DateOrder = "dmy"  # of 03/04/2026

    def rule(self) -> str:
        """What a time must be, in words."""
        example = "31/12/2026" if self.order == "dmy" else "12/31/2026"
        return f"a date and time, as 2026-12-31 18:30:00 or {example}"


def zone_of(name: str) -> tzinfo:
    """Return a time zone by its name in the IANA database.

    Raises:
        ValueError: there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        rule = "the name of a time zone, as Europe/Berlin or UTC"
        raise ValueError(f"timezone must be {rule}, got {name!r}") from None


@lru_cache(maxsize=65_536)  # the lines of an order share a time
def read_time(text: str, style: TimeStyle) -> str:
    """Return a time as RFC 3339 with a zone.

    >>> read_time("2026-11-09 21:14:03 +0800", TimeStyle())
    '2026-11-09T21:14:03+08:00'
    >>> read_time("9.11.2026 21:14", TimeStyle("Europe/Berlin"))
    '2026-11-09T21:14:00+01:00'
    >>> read_time("11/09/2026", TimeStyle(order="mdy"))
    '2026-11-09T12:00:00Z'

    Raises:
        BadTimeError: it is no time.
    """
    if _RFC_3339.fullmatch(text):
        return text
    moment = _numeric(text, style) or _written(text, style)
    if moment is None:
        raise BadTimeError(style.rule())
    return rfc3339_of(moment)


def rfc3339_of(moment: datetime) -> str:
    """Return a moment with its zone as RFC 3339.

    >>> rfc3339_of(datetime(2026, 11, 9, tzinfo=UTC))
    '2026-11-09T00:00:00Z'
    """
    precision = "milliseconds" if moment.microsecond else "seconds"
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


def read_moment(moment: datetime, style: TimeStyle) -> str:
    """Return a date of a spreadsheet or a database, which may name no zone."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone_of(style.zone))
    return rfc3339_of(moment)


def _numeric(text: str, style: TimeStyle) -> datetime | None:
    if _DIGITS.fullmatch(text) and text[:2] in ("19", "20") and len(text) != 10:
        shape = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}[len(text)]
        try:
            moment = datetime.strptime(text, shape)
        except ValueError:
            return None
        return _in_zone(moment if len(text) > 8 else moment.replace(hour=12), style)
    if _EPOCH.fullmatch(text):
        seconds = int(text) / (_SECOND_MS if len(text) == 13 else 1)
        return datetime.fromtimestamp(seconds, UTC)
    if _EXCEL.fullmatch(text):
        return excel_moment(float(text.replace(",", ".")), style)
    return None


def excel_moment(days: float, style: TimeStyle) -> datetime:
    """Return the moment of a spreadsheet's number of days."""
    whole = days.is_integer()
    moment = _EXCEL_EPOCH + timedelta(days=days + (0.5 if whole else 0.0))
    return _in_zone((moment + timedelta(milliseconds=500)).replace(microsecond=0), style)


def _written(text: str, style: TimeStyle) -> datetime | None:
    low = text.strip().casefold()
    if match := _YEAR_FIRST.fullmatch(low):
        return _moment(match, int(match["year"]), int(match["month"]), int(match["day"]), style)
    if match := _YEAR_LAST.fullmatch(low):
        first, second = int(match["first"]), int(match["second_"])
        day, month = (first, second) if _is_day_first(low, style) else (second, first)
        year = int(match["year"])
        return _moment(match, year + 2000 if year < 100 else year, month, day, style)
    for shape in (_DAY_NAME, _NAME_DAY):
        if match := shape.fullmatch(low):
            month_ = _MONTHS.get(_plain(match["name"]))
            if month_ is None:
                return None
            year = int(match["year"])
            year += 2000 if year < 100 else 0
            return _moment(match, year, month_, int(match["day"]), style)
    return None


def _is_day_first(text: str, style: TimeStyle) -> bool:
    """With points the day is first everywhere."""
    return style.order == "dmy" or re.match(r"\d+\s?\.", text) is not None


def _plain(name: str) -> str:
    table = str.maketrans("éèêûùôäáàçśź", "eeeuuoaaacsz")
    return name.translate(table).replace("ü", "u")


def _moment(
    match: re.Match[str], year: int, month: int, day: int, style: TimeStyle
) -> datetime | None:
    hour = 12 if match["hour"] is None else int(match["hour"])
    half = match["half"]
    if half is not None:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "p" else 0)
    micros = int((match["fraction"] or "0").ljust(6, "0")[:6])
    try:
        seconds = int(match["second"] or 0)
        moment = datetime(year, month, day, hour, int(match["minute"] or 0), seconds, micros)
        return (
            moment.replace(tzinfo=_offset(match["zone"]))
            if match["zone"]
            else _in_zone(moment, style)
        )
    except ValueError:
        return None


def _offset(zone: str) -> timezone:
    """Return the zone of an offset or an abbreviation; a ValueError: it is not known."""
    name = zone.strip()
    if name in _ZONES:
        return timezone(timedelta(minutes=_ZONES[name]))
    match = re.fullmatch(r"(?:utc|gmt)?\s?([+-])(\d{1,2}):?(\d{2})?", name)
    if match is None:
        raise ValueError(zone)
    minutes = int(match[2]) * 60 + int(match[3] or 0)
    return timezone(timedelta(minutes=minutes if match[1] == "+" else -minutes))


def _in_zone(moment: datetime, style: TimeStyle) -> datetime:
    return moment.replace(tzinfo=zone_of(style.zone))


# --- guesses ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class TimeGuess:
    """What the times of a column look like."""

    are_times: bool
    has_zone: bool  # every one names its zone
    has_clock: bool  # some one has a time of day
    order: DateOrder | None  # None means that both fit


def guess_times(texts: Iterable[str]) -> TimeGuess:
    """Return what times look like.

    >>> guess_times(["03/04/2026", "25/12/2026"]).order
    'dmy'
    >>> guess_times(["03/04/2026", "04/05/2026"]).order is None
    True
    """
    orders: set[DateOrder] = {"dmy", "mdy"}
    count = good = zoned = clocks = 0
    for text in texts:
        count += 1
        fits: list[DateOrder] = [order for order in ("dmy", "mdy") if _fits(text, order)]
        if not fits:
            continue
        good += 1
        orders &= set(fits)
        zoned += names_zone(text)
        clocks += _names_clock(text)
    order: DateOrder | None = orders.pop() if len(orders) == 1 else None
    is_most = count > 0 and good >= 0.8 * count
    return TimeGuess(is_most, zoned == good, clocks > 0, order)


def _fits(text: str, order: DateOrder) -> bool:
    try:
        return bool(read_time(text, TimeStyle(order=order)))
    except BadTimeError:
        return False


def needs_order(text: str) -> bool:
    """Whether a date may be read as day first or as month first."""
    match = _YEAR_LAST.fullmatch(text.strip().casefold())
    return match is not None and not re.match(r"\d+\s?\.", text)


def names_zone(text: str) -> bool:
    """Whether a time names its zone."""
    if _RFC_3339.fullmatch(text) or _EPOCH.fullmatch(text):
        return True
    return any(match["zone"] for match in _matches(text))


def _names_clock(text: str) -> bool:
    if _EPOCH.fullmatch(text) or _EXCEL.fullmatch(text):
        return "." in text or len(text) >= 10
    return any(match["hour"] for match in _matches(text)) or len(text) in (12, 14)


def _matches(text: str) -> Iterator[re.Match[str]]:
    low = text.strip().casefold()
    for shape in (_YEAR_FIRST, _YEAR_LAST, _DAY_NAME, _NAME_DAY):
        if match := shape.fullmatch(low):
            yield match
