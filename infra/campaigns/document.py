"""A campaign document: what a file, the store or an installation gives, made ready for the check.

A document is the object that `policy.campaigns` reads, with dates in place of days: `starts_at`,
`ends_at`, `expected_at` of arrivals, `expires_at` of lots. A few other names are read, too, where
events have them.
"""

import copy
import json
from collections.abc import Mapping
from typing import Any

from infra.campaigns.times import days_between, moment_ms
from policy.campaigns.check import check_campaign
from policy.errors import PolicyInputError
from streams.timestamps import DAY_MS, rfc3339

Document = dict[str, Any]

_OTHER_NAMES = {
    "": {"id": "campaign_id", "items": "lines"},
    "lines": {"level": "stock_units", "on_hand_units": "stock_units", "quantity": "expected_units"},
    "stock": {"level": "stock_units", "on_hand_units": "stock_units"},
    "lots": {"quantity": "units"},
    "arrivals": {"quantity": "units"},
    "orders": {"quantity": "units", "promised_by": "promised_at"},
}
_DATES = {
    "": {"starts_at": ("starts_in_days", False), "ends_at": ("ends_in_days", True)},
    "lots": {"expires_at": ("expires_in_days", True)},
    "arrivals": {"expected_at": ("arrives_in_days", False)},
    "orders": {"promised_at": ("promised_in_days", True)},
    "noticed": {"date": ("in_days", True)},
}
_INNER = {
    "": ("lines", "orders", "noticed"),
    "lines": ("lots", "stock", "arrivals"),
    "stock": ("lots",),
}


def check_document(document: Any, now_ms: int) -> dict[str, Any]:
    """Return the check of a document, with dates.

    Args:
        document: as a file holds it.
        now_ms: the moment of the check, unless the document names one (`checked_at`).

    Raises:
        PolicyInputError: names the field, its rule and the value.
    """
    case, at_ms = case_of(document, now_ms)
    found = check_campaign(case)
    has_dates = isinstance(document, Mapping) and document.get("starts_at") is not None
    for action in found["actions"]:
        days = action.pop("by_in_days")
        action["by"] = rfc3339(at_ms + round(days * DAY_MS)) if has_dates else None
        if not has_dates:
            action["by_in_days"] = days
    found["checked_at"] = rfc3339(at_ms)
    for name, moment in window_of(document).items():
        found[name] = moment
    return found


def window_of(document: Any) -> dict[str, str | None]:
    """Return when a document's campaign starts and ends; None means that it does not say."""
    zone = document.get("timezone") or "UTC"
    return {
        name: None
        if document.get(name) is None
        else rfc3339(moment_ms(document[name], name, zone, is_end=name == "ends_at"))
        for name in ("starts_at", "ends_at")
    }


def case_of(document: Any, now_ms: int) -> tuple[Document, int]:
    """Return the case of a document, in days from the moment of the check, and that moment."""
    if not isinstance(document, Mapping):
        raise PolicyInputError("the campaign", "an object", document)
    case: Document = copy.deepcopy(dict(document))
    zone = case.pop("timezone", None) or "UTC"
    if not isinstance(zone, str):
        raise PolicyInputError("timezone", "the name of a time zone, as Europe/Berlin", zone)
    checked_at = case.pop("checked_at", None)
    at_ms = now_ms if checked_at is None else moment_ms(checked_at, "checked_at", zone)
    _make_ready(case, "", "", at_ms, zone)
    _release_hours(case, at_ms, zone)
    return case, at_ms


def _release_hours(case: Document, at_ms: int, zone: str) -> None:
    """Turn the times of release batches into hours after the start."""
    starts = case.get("starts_in_days")
    lines = case.get("lines")
    for owner in [case, *(lines if isinstance(lines, list) else [])]:
        release = owner.get("release") if isinstance(owner, dict) else None
        batches = release.get("batches") if isinstance(release, dict) else None
        for number, batch in enumerate(batches if isinstance(batches, list) else ()):
            if not isinstance(batch, dict) or batch.get("at") is None:
                continue
            name = f"release.batches[{number}].at"
            if not isinstance(starts, int | float):
                raise PolicyInputError(name, "given together with starts_at", batch["at"])
            days = days_between(moment_ms(batch.pop("at"), name, zone), at_ms)
            batch["after_hours"] = round((days - starts) * 24, 9)


def _make_ready(value: Document, kind: str, place: str, at_ms: int, zone: str) -> None:
    """Rename fields and turn dates into days, in an object and the objects inside it."""
    dot = f"{place}." if place else ""
    for other, name in _OTHER_NAMES.get(kind, {}).items():
        if other in value and name not in value:
            value[name] = value.pop(other)
    for date, (days, is_end) in _DATES.get(kind, {}).items():
        given = value.pop(date, None)
        if given is not None:
            if value.get(days) is not None:
                raise PolicyInputError(f"{dot}{date}", f"left out where {days} is given", given)
            moment = moment_ms(given, f"{dot}{date}", zone, is_end=is_end)
            value[days] = days_between(moment, at_ms)
    if kind == "" and None not in (
        ends := (value.get("starts_in_days"), value.get("ends_in_days"))
    ):
        _check_window(value, ends)
    if kind == "lines" and isinstance(value.get("stock"), int | float):
        value.setdefault("stock_units", value.pop("stock"))
    for name in _INNER.get(kind, ()):
        inner = value.get(name)
        for number, one in enumerate(inner if isinstance(inner, list) else ()):
            if isinstance(one, dict):
                _make_ready(one, name, f"{dot}{name}[{number}]", at_ms, zone)


def _check_window(value: Document, ends: tuple[Any, Any]) -> None:
    start, end = ends
    if isinstance(start, int | float) and isinstance(end, int | float) and not end > start:
        raise PolicyInputError("ends_at", "later than starts_at", f"{end - start:g} days after it")


def merged(document: Document, more: Mapping[str, Any]) -> Document:
    """Return a document with the fields of another one on top; lines join by sku and warehouse.

    >>> merged({"a": 1, "lines": [{"sku": "x", "b": 1}]}, {"lines": [{"sku": "x", "c": 2}]})
    {'a': 1, 'lines': [{'sku': 'x', 'b': 1, 'c': 2}]}
    """
    made = {**document, **{name: value for name, value in more.items() if name != "lines"}}
    lines = [dict(line) for line in document.get("lines") or []]
    for one in more.get("lines") or []:
        own = next((line for line in lines if _is_same(line, one)), None)
        if own is None:
            lines.append(dict(one))
        else:
            own.update(one)
    return {**made, "lines": lines}


def _is_same(line: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    names = (line.get("warehouse"), other.get("warehouse"))
    return line.get("sku") == other.get("sku") and (None in names or names[0] == names[1])


def canonical(document: Mapping[str, Any]) -> str:
    """Return a document as the one text that stands for it."""
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
