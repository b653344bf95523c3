"""What a campaign did, as a running installation knows it: units by hour, and what went wrong."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from infra.campaigns.document import Document, window_of
from infra.kafka.topic_reader import read_topics
from infra.redis.reader import ItemState, Reader
from infra.settings import Settings
from streams.contracts.alerts import Alert, AlertKind, AlertState
from streams.contracts.topics import ALERTS
from streams.timestamps import DAY_MS, HOUR_MS, one_time, rfc3339

_SURGES = (AlertKind.SURGE, AlertKind.BROAD_SURGE)
_MOST_DAYS = 400

Span = tuple[AlertKind, str | None, int, int]
"""An incident: kind, sku (None means the whole shop), begin and end in milliseconds."""


def with_actuals(
    reader: Reader, document: Document, spans: Iterable[Span], now_ms: int
) -> tuple[Document, list[str]]:
    """Return a document with what its lines sold, and what was assumed.

    Hours are known for about two days; after that the days of the window count, whole and in UTC.
    An hour without a sale while the item's low cover was open counts as without stock.
    """
    window = window_of(document)
    if window["starts_at"] is None:
        return document, ["the campaign names no start: nothing is known of its sales"]
    starts = one_time(window["starts_at"])
    ends = min(now_ms, one_time(window["ends_at"] or rfc3339(now_ms)))
    incidents = list(spans)
    made: list[Document] = []
    assumed: dict[str, None] = {}
    for line in document.get("lines", []):
        places = reader.find(line["sku"], line.get("warehouse"))
        own: Document = {"actual_units": 0}
        if places and ends > starts:
            partition, place = places[0]
            state = reader.item(partition, place, days=_MOST_DAYS)
            own, words = _line(reader, state, (starts, ends), incidents)
            assumed[words] = None
        made.append({**own, **line})
    return {**document, "lines": made}, [words for words in assumed if words]


def _line(
    reader: Reader, state: ItemState, window: tuple[int, int], incidents: list[Span]
) -> tuple[Document, str]:
    starts, ends = window
    key = f"{state.sku}@{state.warehouse}"
    first, last = starts // HOUR_MS, (ends - 1) // HOUR_MS
    newest = (state.applied_ms or 0) // HOUR_MS
    if first <= newest - 46:
        days = {day: int(cell["units"]) for day, cell in state.days}
        inside = {rfc3339(at)[:10] for at in range(starts // DAY_MS * DAY_MS, ends, DAY_MS)}
        units = sum(count for day, count in days.items() if day in inside)
        return {"actual_units": units}, "hours are kept for two days: whole days in UTC are counted"
    sold = reader.hour_units(state.partition, key, first, last)
    hours = [
        _hour(at - first, sold.get(at, 0), at, state.sku, incidents)
        for at in range(first, last + 1)
    ]
    return {"actual_hours": hours}, (
        "an hour without a sale while low cover was open counts as without stock"
    )


def _hour(number: int, units: int, at: int, sku: str, incidents: list[Span]) -> Document:
    open_kinds = {
        kind
        for kind, about, begin, end in incidents
        if about in (None, sku) and begin < (at + 1) * HOUR_MS and end > at * HOUR_MS
    }
    is_out = units == 0 and AlertKind.LOW_COVER in open_kinds
    return {
        "hour": number,
        "units": units,
        "out_share": 1.0 if is_out else 0.0,
        "late_supply": AlertKind.LATE_DELIVERY in open_kinds,
        "surge": any(kind in open_kinds for kind in _SURGES),
    }


async def read_spans(settings: Settings, now_ms: int) -> list[Span]:
    """Return the incidents that the topic `alerts` tells of; those still open end now."""
    decoder = msgspec.json.Decoder(Alert)
    alerts: list[Alert] = []
    async for record in read_topics(settings, [settings.topic_prefix + ALERTS]):
        if record.value:
            alerts.append(decoder.decode(record.value))
    return list(spans_of(alerts, now_ms))


def spans_of(alerts: Iterable[Alert], now_ms: int) -> Iterator[Span]:
    """Yield incidents with their begin and end, from their steps in any order."""
    found: dict[str, Alert] = {}
    ends: dict[str, int] = {}
    for alert in alerts:
        found[alert.incident_id] = alert
        if alert.state == AlertState.RESOLVED:
            ends[alert.incident_id] = one_time(alert.occurred_at)
    for name, alert in found.items():
        yield alert.kind, alert.sku, one_time(alert.started_at), ends.get(name, now_ms)


def span_rows(spans: Iterable[Span], window: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the incidents inside a window, for the report."""
    if window.get("starts_at") is None:
        return []
    starts = one_time(window["starts_at"])
    ends = one_time(window["ends_at"]) if window.get("ends_at") else None
    return [
        {"kind": str(kind), "sku": sku, "from": rfc3339(begin), "to": rfc3339(end)}
        for kind, sku, begin, end in spans
        if end > starts and (ends is None or begin < ends)
    ]
