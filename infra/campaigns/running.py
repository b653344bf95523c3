"""A campaign that runs, with dates: promises, advice and late orders of a document."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from infra.campaigns.document import case_of
from infra.connect.times import zone_of
from policy.campaigns import running
from streams.timestamps import DAY_MS, HOUR_MS, rfc3339


def promises_now(document: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    """Return what may be sold and promised now, with dates in the shop's zone.

    Args:
        document: with the figures of a campaign that runs.
        now_ms: unless the document names a moment.
    """
    case, at_ms = case_of(document, now_ms)
    found = running.promises(case)
    zone = document.get("timezone") or "UTC"
    for line in found["lines"]:
        day, hours = line.pop("promise_day"), line.pop("next_release_in_hours")
        line["promise_date"] = None if day is None else date_of_day(day, at_ms, zone)
        line["next_release_at"] = None if hours is None else rfc3339(at_ms + round(hours * HOUR_MS))
    return {**found, "at": rfc3339(at_ms)}


def advice_now(document: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    """Return limits reached, money to move, staff and advice."""
    case, at_ms = case_of(document, now_ms)
    return {**running.advise(case), "at": rfc3339(at_ms)}


def slips_now(document: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    """Return the orders that will be late, with dates in the shop's zone."""
    case, at_ms = case_of(document, now_ms)
    found = running.slips(case)
    zone = document.get("timezone") or "UTC"
    for one in found["late"]:
        day = one.pop("new_day")
        one["new_date"] = None if day is None else date_of_day(day, at_ms, zone)
        one["promised_date"] = date_of_day(one.pop("promised_day"), at_ms, zone)
    return {**found, "at": rfc3339(at_ms)}


def date_of_day(day: int, at_ms: int, zone: str) -> str:
    """Return the date on which the n-th day from a moment ends.

    >>> date_of_day(1, 0, "UTC"), date_of_day(1, 3_600_000, "UTC")
    ('1970-01-01', '1970-01-02')
    """
    end_ms = at_ms + day * DAY_MS - 1
    return datetime.fromtimestamp(end_ms / 1000, zone_of(zone)).date().isoformat()
