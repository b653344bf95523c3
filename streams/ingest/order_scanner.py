"""The short way from bytes to columns, for order records that are written plainly.

Most records are flat JSON objects of ASCII text and small numbers. A compiled scanner reads those
straight out of the batch. It never says that a record is bad: whatever it is not sure of, it hands
over, and msgspec judges. So it may accept only what the structs in `streams.contracts.events`
accept, with the same values, and it keeps away from their limits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from streams.contracts.codes import DEFAULT_WAREHOUSE, Kind
from streams.contracts.event_times import EARLIEST_EVENT_MS, LATEST_EVENT_MS
from streams.ingest.byte_kernels import (
    PADDING,
    Pointer,
    byte_at,
    fast,
    hash_text,
    join_padded,
    pointer_to,
    word_at,
    word_within,
)
from streams.ingest.item_names import Names, hash_name
from streams.timestamps import BAD_TIMESTAMP, parse_one_time
from streams.types import Int8Array, Int64Array, UInt8Array, UInt64Array

_TEXT_BYTES = 128  # of an identifier or a source
_MOST_DIGITS = 18  # a number of so many digits fits into 64 bits
_PRICE_DIGITS = 11  # before the point; thirteen are over the limit of Money
_MOST_UNITS = 1_000_000

_FIELDS = (
    *("kind", "event_id", "occurred_at", "sku", "order_id", "quantity", "warehouse", "source"),
    *("price", "currency", "campaign_id", "promised_by"),
)
_KIND, _EVENT_ID, _OCCURRED_AT, _SKU, _ORDER_ID, _QUANTITY, _WAREHOUSE, _SOURCE = range(8)
_PRICE, _PROMISED_BY = 8, 11
_UNKNOWN = len(_FIELDS)
# A record's fields are a sum of such bits.
_IN_HEARTBEAT = 1 << _KIND | 1 << _OCCURRED_AT
_IN_ORDER = _IN_HEARTBEAT | 1 << _EVENT_ID | 1 << _SKU | 1 << _ORDER_ID | 1 << _QUANTITY

# How a value may look, and which looks each field allows. An unknown field is ignored, yet a nested
# value would have to be read to find its end.
_TEXT, _INTEGER, _DECIMAL, _NULL, _BOOLEAN = 1, 2, 4, 8, 16
_ALLOWED = np.array(
    [
        _TEXT,
        _TEXT,
        _TEXT | _INTEGER,
        _TEXT,
        _TEXT,
        _INTEGER,
        _TEXT,
        _TEXT,
        _INTEGER | _DECIMAL | _NULL,
        _TEXT | _NULL,
        _TEXT | _NULL,
        _TEXT | _INTEGER | _NULL,
        _TEXT | _INTEGER | _DECIMAL | _NULL | _BOOLEAN,
    ]
)


def _words(texts: Sequence[str], part: int = 0) -> UInt64Array:
    """The eight bytes of each text from `8 * part` on, as `word_at` reads them."""
    cut = [text.encode()[8 * part : 8 * part + 8] for text in texts]
    return np.array([int.from_bytes(word, "little") for word in cut], np.uint64)


# Nothing known fills two words.
_FIELD_WORDS, _FIELD_RESTS = _words(_FIELDS), _words(_FIELDS, 1)
_KINDS = (Kind.PLACED, Kind.CANCELLED, Kind.RETURNED, Kind.HEARTBEAT)
_KIND_NAMES = tuple(kind.name.lower() for kind in _KINDS)
_KIND_WORDS, _KIND_RESTS = _words(_KIND_NAMES), _words(_KIND_NAMES, 1)
_KIND_CODES = np.array(_KINDS, np.int64)
_HEARTBEAT = int(Kind.HEARTBEAT)
_NULL_WORD, _TRUE_WORD, _FALSE_WORD, _DEFAULT_WORD = _words(
    ["null", "true", "false", DEFAULT_WAREHOUSE]
)
_DEFAULT_BYTES = len(DEFAULT_WAREHOUSE)

_QUOTE, _BACKSLASH, _COLON, _COMMA, _OPEN, _CLOSE, _POINT, _AT = map(ord, '"\\:,{}.@')
_SPACE, _TAB, _NEWLINE, _RETURN = map(ord, " \t\n\r")
_ZERO, _NINE, _N, _T, _F = map(ord, "09ntf")

_EACH = np.uint64(0x0101010101010101)  # times a byte: that byte eight times
_EACH_HIGH = _EACH * np.uint64(0x80)
_EACH_SPACE = _EACH * np.uint64(_SPACE)
_EACH_QUOTE = _EACH * np.uint64(_QUOTE)
_EACH_BACKSLASH = _EACH * np.uint64(_BACKSLASH)
_PLACE_OF_BIT = np.uint64(0x0001020304050607)  # times 256 ** place: the place in the highest byte
_NO_KEY = np.uint64(0)
_ONE = np.uint64(1)


# -- reading JSON ---------------------------------------------------------------------------------


@fast
def _skip_space(text: Pointer, place: int, end: int) -> int:
    while place < end:
        byte = byte_at(text, place)
        if byte > _SPACE:
            break
        if byte not in (_SPACE, _NEWLINE, _RETURN, _TAB):
            break
        place += 1
    return place


@fast
def _text_end(text: Pointer, place: int, end: int) -> int:
    """Return where the text that goes on here has its closing quote; -1 if it is not plain."""
    while place < end:
        word = word_at(text, place)
        quote = word ^ _EACH_QUOTE
        backslash = word ^ _EACH_BACKSLASH
        # The high bit of a byte says: a quote, a backslash, a control character or not ASCII. A
        # borrow sets it wrongly only behind a byte where it is set rightly; the first one counts.
        special = (
            (quote - _EACH) & ~quote
            | (backslash - _EACH) & ~backslash
            | (word - _EACH_SPACE) & ~word
            | word
        ) & _EACH_HIGH
        if special != 0:
            first = (special & (~special + _ONE)) >> np.uint64(7)
            place += np.int64(first * _PLACE_OF_BIT >> np.uint64(56))
            return place if place < end and byte_at(text, place) == _QUOTE else -1
        place += 8
    return -1


@fast
def _digits_end(text: Pointer, place: int, end: int) -> int:
    while place < end and _ZERO <= byte_at(text, place) <= _NINE:
        place += 1
    return place


@fast
def _integer_end(text: Pointer, place: int, end: int) -> int:
    stop = _digits_end(text, place, end)
    leads_with_zero = byte_at(text, place) == _ZERO and stop > place + 1
    return -1 if leads_with_zero or stop - place > _MOST_DIGITS else stop


@fast
def _fraction_end(text: Pointer, point: int, end: int) -> int:
    stop = _digits_end(text, point + 1, end)
    return stop if 1 < stop - point <= _MOST_DIGITS else -1


@fast
def _look_of(first: int) -> int:
    """Return how a value looks that begins with this byte; 0 for one that is not plain."""
    if first == _QUOTE:
        return _TEXT
    if _ZERO <= first <= _NINE:
        return _INTEGER
    if first == _N:
        return _NULL
    return _BOOLEAN if first in (_T, _F) else 0


@fast
def _literal_end(text: Pointer, place: int) -> int:
    word = word_within(text, place, place + 4)
    if word in (_NULL_WORD, _TRUE_WORD):
        return place + 4
    return place + 5 if word_within(text, place, place + 5) == _FALSE_WORD else -1


@fast
def _which(text: Pointer, start: int, stop: int, words: Pointer, rests: Pointer, count: int) -> int:
    """Return which of the known names the bytes are, or `count`.

    No plain text holds a zero, and every known name leaves zeros in its two words: so only the name
    itself has the same ones.
    """
    word = word_within(text, start, stop)
    rest = word_within(text, start + 8, stop)
    for which in range(count):
        if word == words[which] and rest == rests[which]:
            return which
    return count


@fast
def _find_values(text: Pointer, place: int, end: int, starts: Pointer, stops: Pointer) -> int:
    """Find the value of each field of one record.

    Args:
        text: the batch.
        place, end: where the record begins and ends.
        starts, stops: where the value of each field lies, without quotes; are filled.

    Returns:
        Which fields there are; 0 when in any doubt.
    """
    seen = 0
    words, rests = pointer_to(_FIELD_WORDS), pointer_to(_FIELD_RESTS)
    # `place` never goes back, and must be `end` at last: so whoever reads into the next record
    # fails. All reading stops soon behind `end`, within the padding.
    place = _skip_space(text, place, end)
    if byte_at(text, place) != _OPEN:
        return 0
    while True:
        start = _skip_space(text, place + 1, end) + 1
        if byte_at(text, start - 1) != _QUOTE:
            return 0
        stop = _text_end(text, start, end)
        if stop < 0:
            return 0
        field = _which(text, start, stop, words, rests, _UNKNOWN)
        place = _skip_space(text, stop + 1, end)
        if byte_at(text, place) != _COLON:
            return 0
        start = _skip_space(text, place + 1, end)
        look = _look_of(byte_at(text, start))
        if look == _TEXT:
            start += 1
            stop = _text_end(text, start, end)
            place = stop + 1
        elif look == _INTEGER:
            stop = _integer_end(text, start, end)
            if stop >= 0 and byte_at(text, stop) == _POINT:
                look = _DECIMAL
                stop = _fraction_end(text, stop, end)
            place = stop
        else:
            stop = _literal_end(text, start)
            place = stop
        twice = seen >> field & 1 and field != _UNKNOWN
        if stop < 0 or twice or _ALLOWED[field] & look == 0:
            return 0
        seen |= 1 << field
        starts[field] = start
        stops[field] = stop
        place = _skip_space(text, place, end)
        following = byte_at(text, place)
        if following == _CLOSE:
            break
        if following != _COMMA:
            return 0
    return seen if _skip_space(text, place + 1, end) == end else 0


# -- from texts to columns ------------------------------------------------------------------------


@fast
def _integer(text: Pointer, start: int, stop: int) -> int:
    value = 0
    for place in range(start, stop):
        value = value * 10 + byte_at(text, place) - _ZERO
    return value


@fast
def _time(text: Pointer, start: int, stop: int) -> int:
    """Return a time that an event may have, or the sentinel for one that has to be judged."""
    if byte_at(text, start - 1) == _QUOTE:
        value = parse_one_time(text, start, stop)
    else:
        value = _integer(text, start, stop)
    return value if EARLIEST_EVENT_MS <= value <= LATEST_EVENT_MS else BAD_TIMESTAMP


@fast
def _is_identifier(starts: Pointer, stops: Pointer, field: int) -> bool:
    return 1 <= stops[field] - starts[field] <= _TEXT_BYTES


@fast
def _is_good_order(text: Pointer, seen: int, starts: Pointer, stops: Pointer) -> bool:
    """Return whether what a struct says of an order's values is true of these."""
    if seen & _IN_ORDER != _IN_ORDER:
        return False
    units = _integer(text, starts[_QUANTITY], stops[_QUANTITY])
    if units < 1 or units > _MOST_UNITS:
        return False
    for field in (_EVENT_ID, _SKU, _ORDER_ID):
        if not _is_identifier(starts, stops, field):
            return False
    if seen >> _WAREHOUSE & 1:
        if not _is_identifier(starts, stops, _WAREHOUSE):
            return False
        for place in range(starts[_WAREHOUSE], stops[_WAREHOUSE]):
            if byte_at(text, place) == _AT:
                return False
    if seen >> _SOURCE & 1 and stops[_SOURCE] - starts[_SOURCE] > _TEXT_BYTES:
        return False
    if seen >> _PROMISED_BY & 1 and not _is_promise(text, starts, stops):
        return False
    if seen >> _PRICE & 1:
        start = starts[_PRICE]
        return _digits_end(text, start, stops[_PRICE]) - start <= _PRICE_DIGITS
    return True


@fast
def _is_promise(text: Pointer, starts: Pointer, stops: Pointer) -> bool:
    """Return whether the time that an order is promised by is null or a time that may be."""
    start, stop = starts[_PROMISED_BY], stops[_PROMISED_BY]
    is_null = byte_at(text, start) == _N and byte_at(text, start - 1) != _QUOTE
    return is_null or _time(text, start, stop) != BAD_TIMESTAMP


@fast
def _source_key(text: Pointer, seen: int, starts: Pointer, stops: Pointer) -> int:
    start, stop = starts[_SOURCE], stops[_SOURCE]
    if seen >> _SOURCE & 1 == 0 or start == stop:
        return _NO_KEY
    return hash_text(text, start, stop, _NO_KEY)


@fast
def _names_warehouse(text: Pointer, seen: int, starts: Pointer, stops: Pointer) -> bool:
    """Return whether there is a warehouse and it is not the default one."""
    if seen >> _WAREHOUSE & 1 == 0:
        return False
    start, stop = starts[_WAREHOUSE], stops[_WAREHOUSE]
    return stop - start != _DEFAULT_BYTES or word_within(text, start, stop) != _DEFAULT_WORD


@fast
def _scan_rows(
    joined: UInt8Array,
    ends: Int64Array,
    scratch: Int64Array,
    ok: UInt8Array,
    code: Int8Array,
    occurred_ms: Int64Array,
    quantity: Int64Array,
    event_key: UInt64Array,
    order_key: UInt64Array,
    order_id_key: UInt64Array,
    item_hash: UInt64Array,
    sku_start: Int64Array,
    sku_end: Int64Array,
    warehouse_start: Int64Array,
    warehouse_end: Int64Array,
) -> None:
    text, starts, stops = pointer_to(joined), pointer_to(scratch[0]), pointer_to(scratch[1])
    kinds, kind_rests = pointer_to(_KIND_WORDS), pointer_to(_KIND_RESTS)
    end = 0
    for row in range(ends.size):
        start, end = end, ends[row]
        if end < start or end > joined.size - PADDING:
            break
        seen = _find_values(text, start, end, starts, stops)
        if seen & _IN_HEARTBEAT != _IN_HEARTBEAT:
            continue
        kind = _which(text, starts[_KIND], stops[_KIND], kinds, kind_rests, _KIND_CODES.size)
        time_ms = _time(text, starts[_OCCURRED_AT], stops[_OCCURRED_AT])
        if kind == _KIND_CODES.size or time_ms == BAD_TIMESTAMP:
            continue
        if _KIND_CODES[kind] == _HEARTBEAT:
            if seen & ~(1 << _UNKNOWN) != _IN_HEARTBEAT:
                continue
            for field in range(_UNKNOWN):  # its texts are empty and its quantity is 0
                starts[field] = stops[field] = 0
        elif not _is_good_order(text, seen, starts, stops):
            continue
        source_key = _source_key(text, seen, starts, stops)
        if _names_warehouse(text, seen, starts, stops):
            warehouse_start[row] = starts[_WAREHOUSE]
            warehouse_end[row] = stops[_WAREHOUSE]
        ok[row] = 1
        code[row] = _KIND_CODES[kind]
        occurred_ms[row] = time_ms
        quantity[row] = _integer(text, starts[_QUANTITY], stops[_QUANTITY])
        event_key[row] = hash_text(text, starts[_EVENT_ID], stops[_EVENT_ID], source_key)
        id_key = hash_text(text, starts[_ORDER_ID], stops[_ORDER_ID], _NO_KEY)
        order_id_key[row] = order_key[row] = id_key
        if source_key != _NO_KEY:
            order_key[row] = hash_text(text, starts[_ORDER_ID], stops[_ORDER_ID], source_key)
        sku_start[row] = starts[_SKU]
        sku_end[row] = stops[_SKU]
        item_hash[row] = hash_name(
            text, sku_start[row], sku_end[row], warehouse_start[row], warehouse_end[row]
        )


class Scanned(NamedTuple):
    """What the scanner read; every array has shape (row,). Only rows that are `ok` say anything."""

    ok: UInt8Array
    code: Int8Array  # Kind
    occurred_ms: Int64Array
    quantity: Int64Array
    event_key: UInt64Array  # (source, event_id)
    order_key: UInt64Array  # (source, order_id)
    order_id_key: UInt64Array
    item_hash: UInt64Array
    sku_start: Int64Array
    sku_end: Int64Array
    warehouse_start: Int64Array  # -1: the default one, by name or without
    warehouse_end: Int64Array


def scan(joined: UInt8Array, ends: Int64Array) -> Scanned:
    """Read the plain ones among the values of the orders topic.

    Args:
        joined: the values one after the other, and at least `PADDING` bytes. Who reaches into the
            last `PADDING` bytes is not plain.
        ends: where each of them ends in `joined`, shape (row,).
    """
    rows = ends.size
    no_warehouse = np.full((2, rows), -1)
    scanned = Scanned(
        ok=np.zeros(rows, np.uint8),
        code=np.zeros(rows, np.int8),
        occurred_ms=np.zeros(rows, np.int64),
        quantity=np.zeros(rows, np.int64),
        event_key=np.zeros(rows, np.uint64),
        order_key=np.zeros(rows, np.uint64),
        order_id_key=np.zeros(rows, np.uint64),
        item_hash=np.zeros(rows, np.uint64),
        sku_start=np.zeros(rows, np.int64),
        sku_end=np.zeros(rows, np.int64),
        warehouse_start=no_warehouse[0],
        warehouse_end=no_warehouse[1],
    )
    _scan_rows(joined, ends, np.zeros((2, _UNKNOWN + 1), np.int64), *scanned)
    return scanned


# -- a batch --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlainBatch:
    """The plain records of a batch, in log order, and the places of those to be judged."""

    rows: Int64Array  # place in the batch; this and all columns have shape (row,)
    code: Int8Array  # Kind
    occurred_ms: Int64Array
    quantity: Int64Array
    event_key: UInt64Array
    order_key: UInt64Array
    order_id_key: UInt64Array
    names: Names  # a heartbeat's is empty
    others: Int64Array  # places in the batch, shape (other,)


def decode_plain(
    values: Sequence[bytes | None],
    written_ms: Int64Array | None,
    *,
    record_bytes: int,
    future_ms: int,
) -> PlainBatch:
    """Decode what is plain in a batch of the orders topic.

    Args:
        values: the records' values as they lie in the log.
        written_ms: when the log says that each record was written, shape (row,); one that is dated
            more than `future_ms` ahead of that is handed over. Below 0 or none: unknown.
        record_bytes: a longer record is handed over.
        future_ms: see `written_ms`.
    """
    try:
        joined = join_padded(values)
    except TypeError:  # a record without a value: to be judged, as an empty one is
        values = [value or b"" for value in values]
        joined = join_padded(values)
    sizes = np.fromiter(map(len, values), np.int64, len(values))
    scanned = scan(joined, np.cumsum(sizes))
    ok = (scanned.ok != 0) & (sizes <= record_bytes)
    if written_ms is not None:
        ok &= (scanned.occurred_ms <= written_ms + future_ms) | (written_ms < 0)
    rows = np.flatnonzero(ok)
    if rows.size < ok.size:
        scanned = Scanned._make(column[rows] for column in scanned)
    return PlainBatch(
        rows=rows,
        code=scanned.code,
        occurred_ms=scanned.occurred_ms,
        quantity=scanned.quantity,
        event_key=scanned.event_key,
        order_key=scanned.order_key,
        order_id_key=scanned.order_id_key,
        names=Names(joined, *scanned[-5:]),
        others=np.flatnonzero(~ok),
    )
