"""Records that no consumer can use, one maker for each error code that they are expected to get."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from infra.sale.settings import SaleSettings
from infra.sale.telling import rfc_3339
from infra.sale.world import Items
from streams.timestamps import DAY_MS, HOUR_MS

PER_CODE = 2
_OVERSIZED_BYTES = 100_000  # above what Tidegate takes by default, below what a broker refuses
_FAR_FUTURE_DAYS = 20 * 365  # a time that an event may have, by another clock


@dataclass(frozen=True)
class BadRecord:
    """One bad record, the line that carries it, and the code that it must get."""

    code: str
    topic: str
    key: str
    at_ms: int
    line: str


def make_bad_records(
    settings: SaleSettings, items: Items, random: np.random.Generator
) -> list[BadRecord]:
    made = []
    for code, make in _MAKERS.items():
        for number in range(PER_CODE):
            at_ms = int(random.integers(settings.at(0, 8), settings.end_ms - HOUR_MS))
            key = items.names[int(random.integers(0, settings.skus))]
            event = _good_event(f"bad-{code}-{number}", key, at_ms)
            made.append(_carried(code, key, at_ms, *make(event)))
    return made


def _good_event(event_id: str, sku: str, at_ms: int) -> dict[str, Any]:
    return {
        "kind": "placed",
        "event_id": event_id,
        "occurred_at": rfc_3339(np.array([at_ms]))[0],
        "sku": sku,
        "warehouse": "north",
        "order_id": event_id,
        "quantity": 1,
    }


def _carried(code: str, key: str, at_ms: int, topic: str, value: bytes) -> BadRecord:
    carrier = {"topic": topic, "key": key, "occurred_at": rfc_3339(np.array([at_ms]))[0]}
    try:
        carrier["raw"] = value.decode()
    except UnicodeDecodeError:
        carrier["raw_base64"] = base64.b64encode(value).decode()
    return BadRecord(code, topic, key, at_ms, msgspec.json.encode(carrier).decode())


_Made = tuple[str, bytes]
_encode = msgspec.json.encode


def _oversized(event: dict[str, Any]) -> _Made:
    return "orders", _encode(event | {"note": "x" * _OVERSIZED_BYTES})


def _empty(event: dict[str, Any]) -> _Made:
    return "orders", b""


def _not_utf8(event: dict[str, Any]) -> _Made:
    return "orders", _encode(event).replace(b'"placed"', b'"placed\xff"')


def _not_json(event: dict[str, Any]) -> _Made:
    return "orders", f"placed;{event['event_id']};{event['sku']};1".encode()


def _truncated(event: dict[str, Any]) -> _Made:
    return "orders", _encode(event)[:-20]


def _wrong_type(event: dict[str, Any]) -> _Made:
    return "orders", _encode(event | {"quantity": "one"})


def _missing_field(event: dict[str, Any]) -> _Made:
    del event["order_id"]
    return "shipments", _encode(event | {"kind": "dispatched"})


def _out_of_range(event: dict[str, Any]) -> _Made:
    return "stock", _encode(event | {"kind": "counted", "level": -3})


def _unknown_kind(event: dict[str, Any]) -> _Made:
    return "orders", _encode(event | {"kind": "teleported"})


def _bad_timestamp(event: dict[str, Any]) -> _Made:
    return "orders", _encode(event | {"occurred_at": "yesterday at noon"})


def _far_future(event: dict[str, Any]) -> _Made:
    at_ms = np.datetime64(event["occurred_at"].removesuffix("Z"), "ms").astype(np.int64)
    future = rfc_3339(np.array([at_ms + _FAR_FUTURE_DAYS * DAY_MS]))[0]
    return "orders", _encode(event | {"occurred_at": future})


_MAKERS: dict[str, Callable[[dict[str, Any]], _Made]] = {
    "oversized": _oversized,
    "empty": _empty,
    "not_utf8": _not_utf8,
    "not_json": _not_json,
    "truncated": _truncated,
    "wrong_type": _wrong_type,
    "missing_field": _missing_field,
    "out_of_range": _out_of_range,
    "unknown_kind": _unknown_kind,
    "bad_timestamp": _bad_timestamp,
    "far_future": _far_future,
}
