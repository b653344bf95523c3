"""From the raw values of one fetched batch to columns; what is bad leaves with a stable code."""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Union

import msgspec
import numpy as np

from streams.contracts.broken_rules import broken_rule, rule_text
from streams.contracts.codes import Kind
from streams.contracts.event_times import (
    EARLIEST_EVENT_MS,
    LATEST_EVENT_MS,
    detail_fault,
    explain,
    has_detail_times,
    time_fault,
)
from streams.contracts.events import TOMBSTONES, TOPICS, AnyEvent, Tombstone, stored_kinds
from streams.contracts.integers import decode_whole
from streams.hashing import hash_texts
from streams.ingest.item_names import Names
from streams.ingest.order_scanner import PlainBatch, decode_plain
from streams.settings import DecodeLimits
from streams.timestamps import parse_times
from streams.types import BoolArray, Int8Array, Int64Array, UInt64Array

_log = logging.getLogger(__name__)


class RejectCode(StrEnum):
    """Why a record went to the dead-letter topic. These names are a contract."""

    OVERSIZED = "oversized"
    EMPTY = "empty"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    TRUNCATED = "truncated"
    WRONG_TYPE = "wrong_type"
    MISSING_FIELD = "missing_field"
    OUT_OF_RANGE = "out_of_range"
    UNKNOWN_KIND = "unknown_kind"
    BAD_TIMESTAMP = "bad_timestamp"
    TIME_IN_SECONDS = "time_in_seconds"
    TIME_IN_MICROSECONDS = "time_in_microseconds"
    TIME_IN_NANOSECONDS = "time_in_nanoseconds"
    TIME_OUT_OF_RANGE = "time_out_of_range"
    FAR_FUTURE = "far_future"
    WRONG_KEY = "wrong_key"
    REUSED_ID = "reused_id"  # counted as a duplicate
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Reject:
    """One bad record: its place in the batch and why."""

    row: int
    code: RejectCode
    message: str


@dataclass(frozen=True, slots=True)
class Columns:
    """The good records of one batch, in log order; every array has shape (row,)."""

    rows: Int64Array  # place in the batch
    code: Int8Array  # Kind
    occurred_ms: Int64Array
    quantity: Int64Array
    event_key: UInt64Array  # (source, event_id)
    order_key: UInt64Array  # (source, order_id)
    order_id_key: UInt64Array  # of order_id alone: the shop and its warehouse are two sources
    names: Names  # of items; a heartbeat's is empty
    updates: dict[int, AnyEvent]  # index into the arrays -> the whole event, for kinds kept whole

    def __len__(self) -> int:
        return self.rows.size


@dataclass(frozen=True, slots=True)
class Decoded:
    """What became of a batch."""

    columns: Columns
    rejects: list[Reject]


class TombstoneValue(bytes):
    """The event that a record without a value stands for, as `streams.ingest.tombstones` says."""


class TopicDecoder:
    """Decodes the batches of one input topic.

    Args:
        topic: a name in `streams.contracts.events.TOPICS`, without prefix.
        limits: what a record may be.
        scans: read plain order records without msgspec; the result is the same.
    """

    def __init__(
        self, topic: str, limits: DecodeLimits | None = None, *, scans: bool = True
    ) -> None:
        self._limits = limits or DecodeLimits()
        self._scans = scans and topic == "orders"
        self._decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(
            Union[stored_kinds(topic)]  # noqa: UP007
        )
        self._has_details = any(map(has_detail_times, TOPICS[topic]))
        self._has_tombstones = topic in TOMBSTONES

    def decode(self, values: Sequence[bytes | None], written_ms: Int64Array | None) -> Decoded:
        """Decode a batch.

        Args:
            values: the records' values as they lie in the log.
            written_ms: when the log says that each record was written, shape (row,); one that is
                dated far ahead of that is refused. Below 0 or none: unknown, nothing is refused.

        Returns:
            Columns of the good records and a reject for each bad one; together they are the batch.
        """
        try:
            return self._decode_batch(values, written_ms)
        except Exception:  # whatever it is: a bad record never stops a partition
            _log.exception("a batch cannot be decoded: looking for the record that stops it")
        rejects = list(self._unreadable(values, written_ms))
        if not rejects:
            return self._decode_batch(values, written_ms)
        rows = np.setdiff1d(np.arange(len(values)), [reject.row for reject in rejects])
        decoded = self._decode_batch(*_some(values, written_ms, rows))
        rejects += [replace(one, row=int(rows[one.row])) for one in decoded.rejects]
        rejects.sort(key=lambda reject: reject.row)
        return Decoded(replace(decoded.columns, rows=rows[decoded.columns.rows]), rejects)

    def _unreadable(
        self, values: Sequence[bytes | None], written_ms: Int64Array | None
    ) -> Iterator[Reject]:
        """Find the records that cannot be decoded for a reason that nobody foresaw."""
        for row in range(len(values)):
            try:
                self._decode_batch(*_some(values, written_ms, np.array([row])))
            except Exception as error:
                message = f"value must be readable, got {type(error).__name__}: a fault of Tidegate"
                yield Reject(row, RejectCode.UNREADABLE, message)

    def _decode_batch(
        self, values: Sequence[bytes | None], written_ms: Int64Array | None
    ) -> Decoded:
        if not self._scans:
            return self._judge(values, written_ms)
        limits = self._limits
        plain = decode_plain(
            values, written_ms, record_bytes=limits.record_bytes, future_ms=limits.future_ms
        )
        columns = _plain_columns(plain)
        rows = plain.others
        if not rows.size:
            return Decoded(columns, [])
        if not plain.rows.size:
            return self._judge(values, written_ms)
        judged = self._judge(*_some(values, written_ms, rows))
        rejects = [replace(reject, row=int(rows[reject.row])) for reject in judged.rejects]
        moved = replace(judged.columns, rows=rows[judged.columns.rows])
        return Decoded(_in_log_order(columns, moved), rejects)

    def _judge(self, values: Sequence[bytes | None], written_ms: Int64Array | None) -> Decoded:
        """Decode with msgspec, that decides what is good."""
        rejects: list[Reject] = []
        events: list[AnyEvent]
        rows: Sequence[int] = range(len(values))
        try:
            if max(map(len, values), default=0) > self._limits.record_bytes:  # type: ignore[arg-type]
                raise msgspec.DecodeError("oversized")
            events = list(map(self._decoder.decode, values))  # type: ignore[arg-type]
        except (msgspec.DecodeError, UnicodeDecodeError, TypeError, RecursionError):
            rows, events = self._decode_one_by_one(values, rejects)
        times_ms = parse_times([event.occurred_at for event in events])
        bad = self._bad_times(events, times_ms, written_ms, rows, rejects)
        bad = _bad_warehouses(events, rows, bad, rejects)
        if self._has_details:
            bad = _bad_details(events, rows, bad, rejects)
        if self._has_tombstones:
            bad = _made_up_tombstones(events, values, rows, bad, rejects)
        if bad.any():
            keep = np.flatnonzero(~bad)
            events = [events[index] for index in keep]
            rows = [rows[index] for index in keep.tolist()]
            times_ms = times_ms[keep]
        rejects.sort(key=lambda reject: reject.row)
        return Decoded(_to_columns(events, rows, times_ms), rejects)

    def _decode_one_by_one(
        self, values: Sequence[bytes | None], rejects: list[Reject]
    ) -> tuple[list[int], list[AnyEvent]]:
        rows: list[int] = []
        events: list[AnyEvent] = []
        for row, value in enumerate(values):
            try:
                if value is None or len(value) > self._limits.record_bytes:
                    raise msgspec.DecodeError("size")
                events.append(decode_whole(self._decoder, value))
                rows.append(row)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                rejects.append(Reject(row, *self._explain(value, error)))
        return rows, events

    def _explain(self, value: bytes | None, error: Exception) -> tuple[RejectCode, str]:
        if value is None or not value:
            return RejectCode.EMPTY, "value must not be empty"
        limit = self._limits.record_bytes
        if len(value) > limit:
            return RejectCode.OVERSIZED, f"value must be <= {limit} bytes, got {len(value)}"
        try:
            value.decode("utf-8")
        except UnicodeDecodeError as undecodable:
            return RejectCode.NOT_UTF8, f"value must be UTF-8: {undecodable.reason}"
        code, message = _classify(str(error), isinstance(error, msgspec.ValidationError))
        if not isinstance(error, msgspec.ValidationError) or " must be " in message:
            return code, message
        try:
            return code, rule_text(*broken_rule(message, value))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return code, message  # it is no JSON further on

    def _bad_times(
        self,
        events: Sequence[AnyEvent],
        times_ms: Int64Array,
        written_ms: Int64Array | None,
        rows: Sequence[int],
        rejects: list[Reject],
    ) -> BoolArray:
        bad: BoolArray = (times_ms < EARLIEST_EVENT_MS) | (times_ms > LATEST_EVENT_MS)
        for index in np.flatnonzero(bad).tolist():
            value = events[index].occurred_at
            if (fault := time_fault(value)) is not None:
                message = explain("occurred_at", value, fault)
                rejects.append(Reject(rows[index], RejectCode(fault.code), message))
        if written_ms is None:
            return bad
        written_ms = written_ms[rows] if isinstance(rows, list) else written_ms
        future = ~bad & (times_ms > written_ms + self._limits.future_ms) & (written_ms >= 0)
        for index in np.flatnonzero(future).tolist():
            ahead_s = (int(times_ms[index]) - int(written_ms[index])) // 1000
            rule = f"at most {self._limits.future_ms // 1000} s after the record was written"
            source = f" (source {events[index].source!r})" if events[index].source else ""
            message = f"occurred_at must be {rule}, got {ahead_s} s{source}"
            rejects.append(Reject(rows[index], RejectCode.FAR_FUTURE, message))
        return bad | future


def _some(
    values: Sequence[bytes | None], written_ms: Int64Array | None, rows: Int64Array
) -> tuple[list[bytes | None], Int64Array | None]:
    return [values[row] for row in rows.tolist()], None if written_ms is None else written_ms[rows]


def _bad_warehouses(
    events: Sequence[AnyEvent], rows: Sequence[int], bad: BoolArray, rejects: list[Reject]
) -> BoolArray:
    """Refuse a warehouse with "@": an item is named sku@warehouse, and the name must be one."""
    if not any("@" in name for name in {event.warehouse for event in events}):
        return bad
    for index, event in enumerate(events):
        if "@" in event.warehouse and not bad[index]:
            bad[index] = True
            message = f"warehouse must be without '@', got {event.warehouse!r}"
            rejects.append(Reject(rows[index], RejectCode.OUT_OF_RANGE, message))
    return bad


def _made_up_tombstones(
    events: Sequence[AnyEvent],
    values: Sequence[bytes | None],
    rows: Sequence[int],
    bad: BoolArray,
    rejects: list[Reject],
) -> BoolArray:
    """Refuse a value that says it is a tombstone: only a record without a value is one."""
    for index, event in enumerate(events):
        is_made_up = isinstance(event, Tombstone) and not isinstance(
            values[rows[index]], TombstoneValue
        )
        if is_made_up and not bad[index]:
            bad[index] = True
            message = "kind must be one that is sent as a value, got 'tombstone'"
            rejects.append(Reject(rows[index], RejectCode.UNKNOWN_KIND, message))
    return bad


def _bad_details(
    events: Sequence[AnyEvent], rows: Sequence[int], bad: BoolArray, rejects: list[Reject]
) -> BoolArray:
    """Refuse an event of which another time than its own cannot be."""
    for index, event in enumerate(events):
        if not bad[index] and (found := detail_fault(event)) is not None:
            bad[index] = True
            code, message = found
            rejects.append(Reject(rows[index], RejectCode(code), message))
    return bad


_QUOTED = re.compile(r"'.*'", re.DOTALL)
_MESSAGES: tuple[tuple[str, RejectCode], ...] = (
    (": looks like seconds: ", RejectCode.TIME_IN_SECONDS),
    (": looks like microseconds: ", RejectCode.TIME_IN_MICROSECONDS),
    (": looks like nanoseconds: ", RejectCode.TIME_IN_NANOSECONDS),
    ("must be from 1990 to ", RejectCode.TIME_OUT_OF_RANGE),
    ("missing required field `kind`", RejectCode.UNKNOWN_KIND),
    ("missing required field", RejectCode.MISSING_FIELD),
    (">=", RejectCode.OUT_OF_RANGE),
    ("<=", RejectCode.OUT_OF_RANGE),
    (">", RejectCode.OUT_OF_RANGE),
    ("<", RejectCode.OUT_OF_RANGE),
    ("of length", RejectCode.OUT_OF_RANGE),
    ("out of range", RejectCode.OUT_OF_RANGE),
    ("must be RFC 3339", RejectCode.BAD_TIMESTAMP),
)


def _classify(message: str, is_validation: bool) -> tuple[RejectCode, str]:
    """Tell the code from what msgspec says; what it quotes of the record must not matter."""
    if not is_validation:
        return (RejectCode.TRUNCATED if "truncated" in message else RejectCode.NOT_JSON), message
    if message.endswith("`$.kind`"):
        return RejectCode.UNKNOWN_KIND, message
    rule = _QUOTED.sub("", message)
    for part, code in _MESSAGES:
        if part in rule:
            return code, message
    return RejectCode.WRONG_TYPE, message


def _plain_columns(plain: PlainBatch) -> Columns:
    return Columns(
        rows=plain.rows,
        code=plain.code,
        occurred_ms=plain.occurred_ms,
        quantity=plain.quantity,
        event_key=plain.event_key,
        order_key=plain.order_key,
        order_id_key=plain.order_id_key,
        names=plain.names,
        updates={},
    )


def _in_log_order(first: Columns, second: Columns) -> Columns:
    """Merge columns of a topic whose kinds are not kept whole."""
    rows = np.concatenate([first.rows, second.rows])
    order = np.argsort(rows)
    return Columns(
        rows=rows[order],
        code=np.concatenate([first.code, second.code])[order],
        occurred_ms=np.concatenate([first.occurred_ms, second.occurred_ms])[order],
        quantity=np.concatenate([first.quantity, second.quantity])[order],
        event_key=np.concatenate([first.event_key, second.event_key])[order],
        order_key=np.concatenate([first.order_key, second.order_key])[order],
        order_id_key=np.concatenate([first.order_id_key, second.order_id_key])[order],
        names=Names.concatenate(first.names, second.names).take(order),
        updates={},
    )


def _to_columns(
    events: Sequence[AnyEvent], rows: Sequence[int], occurred_ms: Int64Array
) -> Columns:
    sources = [event.source for event in events]
    source_key = _source_key(sources) if any(sources) else None
    order_ids = [event.order_id for event in events]
    order_id_key = hash_texts(order_ids)
    return Columns(
        rows=np.asarray(rows, np.int64),
        code=_codes(events),
        occurred_ms=occurred_ms,
        quantity=np.array([event.quantity for event in events], np.int64),
        event_key=hash_texts([event.event_id for event in events], onto=source_key),
        order_key=order_id_key if source_key is None else hash_texts(order_ids, onto=source_key),
        order_id_key=order_id_key,
        names=Names.of([event.sku for event in events], [event.warehouse for event in events]),
        updates=_updates_of(events),
    )


def _source_key(sources: Sequence[str]) -> UInt64Array:
    """Return keys of sources; 0 for none, as in a batch where no record has a source."""
    keys = hash_texts(sources)
    keys[[not source for source in sources]] = 0
    return keys


def _codes(events: Sequence[AnyEvent]) -> Int8Array:
    if len(set(map(type, events))) == 1:
        return np.full(len(events), events[0].code, np.int8)
    return np.array([event.code for event in events], np.int8)


def _updates_of(events: Sequence[AnyEvent]) -> dict[int, AnyEvent]:
    one_of_each = {type(event): event for event in events}.values()
    if all(event.code != Kind.ENTITY for event in one_of_each):
        return {}
    return {index: event for index, event in enumerate(events) if event.code == Kind.ENTITY}
