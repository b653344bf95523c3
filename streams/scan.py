"""The short way from bytes to columns, for order records that are written plainly.

Most records are flat JSON objects of printable ASCII and small numbers. A compiled scanner reads
those straight out of the batch. It never says that a record is bad: whatever it is not sure of, it
hands over, and msgspec judges. So it may only accept what the structs in `streams.events` accept,
with the same values, and it says nothing about anything near one of their limits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from streams.events import DEFAULT_WAREHOUSE, Kind
from streams.text import _LATEST_MS, _SEED, BAD_TIMESTAMP, _parse_time, hash_texts, mix
from streams.types import BoolArray, Int8Array, Int32Array, Int64Array, UInt8Array, UInt64Array

PADDING = 32
"""Bytes that must follow the last value, because the kernels read eight at a time."""

_TEXT_BYTES = 128  # the longest identifier, and the longest source
_MOST_DIGITS = 18  # any number of so many digits fits into 64 bits
_PRICE_DIGITS = 11  # before the point: far from the limit of Money
_MOST_QUANTITY = 1_000_000

# A field's number; `seen` has the bit of each field that a record has.
_KIND, _EVENT_ID, _OCCURRED_AT, _SKU, _ORDER_ID, _QUANTITY = range(6)
_WAREHOUSE, _SOURCE, _PRICE, _CURRENCY, _CAMPAIGN_ID, _PROMISED_BY, _UNKNOWN = range(6, 13)
_HEARTBEAT_FIELDS = 1 << _KIND | 1 << _OCCURRED_AT
_ORDER_FIELDS = (1 << _QUANTITY + 1) - 1

# What a value may look like, and which looks each field allows.
_TEXT, _INTEGER, _DECIMAL, _NULL, _BOOLEAN = 1, 2, 4, 8, 16
_ALLOWED = np.array(
    [
        _TEXT,  # kind
        _TEXT,  # event_id
        _TEXT | _INTEGER,  # occurred_at
        _TEXT,  # sku
        _TEXT,  # order_id
        _INTEGER,  # quantity
        _TEXT,  # warehouse
        _TEXT,  # source
        _INTEGER | _DECIMAL | _NULL,  # price
        _TEXT | _NULL,  # currency
        _TEXT | _NULL,  # campaign_id
        _TEXT | _INTEGER | _NULL,  # promised_by
        _TEXT | _INTEGER | _DECIMAL | _NULL | _BOOLEAN,  # unknown
    ],
    np.uint8,
)

_QUOTE, _COLON, _COMMA, _OPEN, _CLOSE, _POINT, _AT = (ord(character) for character in '":,{}.@')
_ZERO, _NINE = ord("0"), ord("9")
_NEWLINE, _TAB, _RETURN, _SPACE = (ord(character) for character in "\n\t\r ")


def _word_of(text: str) -> np.uint64:
    """The first eight characters as `_word` reads them."""
    return np.uint64(int.from_bytes(text[:8].encode(), "little"))


_IS_KIND, _IS_SKU, _IS_PRICE, _IS_SOURCE = map(_word_of, ("kind", "sku", "price", "source"))
_IS_EVENT_ID, _IS_ORDER_ID = map(_word_of, ("event_id", "order_id"))
_IS_QUANTITY, _IS_CURRENCY = map(_word_of, ("quantity", "currency"))
_IS_OCCURRED, _AT_END = _word_of("occurred"), _word_of("_at")
_IS_CAMPAIGN, _ID_END = _word_of("campaign"), _word_of("_id")
_IS_PROMISED, _BY_END = _word_of("promised"), _word_of("_by")
_IS_WAREHOUS, _E_END = _word_of("warehous"), _word_of("e")
_IS_PLACED, _IS_RETURNED, _IS_CANCELLE = map(_word_of, ("placed", "returned", "cancelle"))
_D_END, _IS_HEARTBEA, _T_END = map(_word_of, ("d", "heartbea", "t"))
_IS_NULL, _IS_TRUE, _IS_FALSE = map(_word_of, ("null", "true", "false"))
_IS_MAIN = _word_of(DEFAULT_WAREHOUSE)

_PLACED, _CANCELLED, _RETURNED = int(Kind.PLACED), int(Kind.CANCELLED), int(Kind.RETURNED)
_HEARTBEAT = int(Kind.HEARTBEAT)

_EACH_1 = np.uint64(0x0101010101010101)
_EACH_HIGH = np.uint64(0x8080808080808080)
_EACH_SPACE = _EACH_1 * np.uint64(_SPACE)
_EACH_QUOTE = _EACH_1 * np.uint64(_QUOTE)
_EACH_BACKSLASH = _EACH_1 * np.uint64(ord("\\"))
_PLACES = np.uint64(0x0001020304050607)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_NONE = np.uint64(0)


@intrinsic
def _pointer_to(typing_context, array):
    def generate(context, builder, signature, arguments):
        return make_array(array)(context, builder, arguments[0]).data

    return types.CPointer(array.dtype)(array), generate


@njit(cache=True, error_model="numpy")
def _byte(joined, place):
    return np.int64(joined[place])


@njit(cache=True, error_model="numpy")
def _word(joined, place):
    """Return eight bytes, the first one lowest; compiles to a single load."""
    return (
        np.uint64(joined[place])
        | np.uint64(joined[place + 1]) << np.uint64(8)
        | np.uint64(joined[place + 2]) << np.uint64(16)
        | np.uint64(joined[place + 3]) << np.uint64(24)
        | np.uint64(joined[place + 4]) << np.uint64(32)
        | np.uint64(joined[place + 5]) << np.uint64(40)
        | np.uint64(joined[place + 6]) << np.uint64(48)
        | np.uint64(joined[place + 7]) << np.uint64(56)
    )


@njit(cache=True, error_model="numpy")
def _first_bytes(word, count):
    """Return the word with only its first `count` bytes left, 0 to 8 of them."""
    if count >= 8:
        return word
    return word & ((np.uint64(1) << np.uint64(8 * count)) - np.uint64(1))


@njit(cache=True, error_model="numpy")
def _text_end(joined, place, end):
    """Return where the text that begins here has its closing quote; -1 if it is not plain."""
    while place < end:
        word = _word(joined, place)
        quote = word ^ _EACH_QUOTE
        backslash = word ^ _EACH_BACKSLASH
        # The high bit of a byte is set where it is a quote, a backslash, a control character or
        # not ASCII. A borrow can only falsify bytes after the first one that is set.
        marked = (
            (quote - _EACH_1) & ~quote
            | (backslash - _EACH_1) & ~backslash
            | (word - _EACH_SPACE) & ~word
            | word
        ) & _EACH_HIGH
        if marked != _NONE:
            lowest = (marked & (~marked + np.uint64(1))) >> np.uint64(7)
            place += np.int64((lowest * _PLACES) >> np.uint64(56))
            return place if place < end and _byte(joined, place) == _QUOTE else -1
        place += 8
    return -1


@njit(cache=True, error_model="numpy")
def _digits_end(joined, place, end):
    while place < end and _ZERO <= _byte(joined, place) <= _NINE:
        place += 1
    return place


@njit(cache=True, error_model="numpy")
def _skip_space(joined, place, end):
    while place < end:
        byte = _byte(joined, place)
        if byte > _SPACE:
            return place
        if byte != _SPACE and byte != _NEWLINE and byte != _RETURN and byte != _TAB:
            return place
        place += 1
    return place


@njit(cache=True, error_model="numpy")
def _field_of(joined, start, stop):
    """Return the number of the field that the bytes name."""
    length = stop - start
    first = _first_bytes(_word(joined, start), length)
    if length <= 8:
        if first == _IS_KIND:
            return _KIND
        if first == _IS_EVENT_ID:
            return _EVENT_ID
        if first == _IS_SKU:
            return _SKU
        if first == _IS_ORDER_ID:
            return _ORDER_ID
        if first == _IS_QUANTITY:
            return _QUANTITY
        if first == _IS_PRICE:
            return _PRICE
        if first == _IS_CURRENCY:
            return _CURRENCY
        if first == _IS_SOURCE:
            return _SOURCE
        return _UNKNOWN
    if length > 11:
        return _UNKNOWN
    rest = _first_bytes(_word(joined, start + 8), length - 8)
    if first == _IS_OCCURRED and rest == _AT_END:
        return _OCCURRED_AT
    if first == _IS_WAREHOUS and rest == _E_END:
        return _WAREHOUSE
    if first == _IS_CAMPAIGN and rest == _ID_END:
        return _CAMPAIGN_ID
    if first == _IS_PROMISED and rest == _BY_END:
        return _PROMISED_BY
    return _UNKNOWN


@njit(cache=True, error_model="numpy")
def _number_end(joined, place, end):
    """Return where the plain number that begins here ends; -1 if it is not plain."""
    stop = _digits_end(joined, place, end)
    if _byte(joined, place) == _ZERO and stop > place + 1:
        return -1
    if _byte(joined, stop) == _POINT:
        point = stop
        stop = _digits_end(joined, stop + 1, end)
        if stop == point + 1 or point - place > _PRICE_DIGITS:
            return -1
    return stop if stop - place <= _MOST_DIGITS else -1


@njit(cache=True, error_model="numpy")
def _find_members(joined, place, end, spans):
    """Find where each value lies; return which fields there are, or 0 when in doubt."""
    seen = 0
    place = _skip_space(joined, place, end)
    if _byte(joined, place) != _OPEN:
        return 0
    while True:
        place = _skip_space(joined, place + 1, end)
        if _byte(joined, place) != _QUOTE:
            return 0
        stop = _text_end(joined, place + 1, end)
        if stop < 0:
            return 0
        field = _field_of(joined, place + 1, stop)
        place = _skip_space(joined, stop + 1, end)
        if _byte(joined, place) != _COLON:
            return 0
        start = _skip_space(joined, place + 1, end)
        first = _byte(joined, start)
        if first == _QUOTE:
            look = _TEXT
            start += 1
            stop = _text_end(joined, start, end)
            place = stop + 1
        elif _ZERO <= first <= _NINE:
            stop = _number_end(joined, start, end)
            look = _INTEGER
            place = stop
        else:
            return 0
        if stop < 0 or _ALLOWED[field] & look == 0:
            return 0
        if field != _UNKNOWN and seen >> field & 1:
            return 0
        seen |= 1 << field
        spans[2 * field] = start
        spans[2 * field + 1] = stop
        place = _skip_space(joined, place, end)
        after = _byte(joined, place)
        if after == _CLOSE:
            break
        if after != _COMMA:
            return 0
    return seen if _skip_space(joined, place + 1, end) == end else 0


@njit(cache=True, error_model="numpy")
def _hash_text(joined, start, stop, key):
    state = _SEED
    length = np.uint64(stop - start)
    while stop - start >= 8:
        state = mix(state, _word(joined, start))
        start += 8
    return mix(mix(key ^ state, _first_bytes(_word(joined, start), stop - start)), length)


@njit(cache=True, error_model="numpy")
def _time_of(joined, start, stop):
    if _byte(joined, start - 1) == _QUOTE:
        return _parse_time(joined, start, stop)
    ms = _integer(joined, start, stop)
    return ms if ms <= _LATEST_MS else BAD_TIMESTAMP


@njit(cache=True, error_model="numpy")
def _integer(joined, start, stop):
    value = 0
    for place in range(start, stop):
        value = value * 10 + _byte(joined, place) - _ZERO
    return value


@njit(cache=True, error_model="numpy")
def _kind_of(joined, start, stop):
    length = stop - start
    first = _first_bytes(_word(joined, start), length)
    if length <= 8:
        if first == _IS_PLACED:
            return _PLACED
        return _RETURNED if first == _IS_RETURNED else -1
    if length > 9:
        return -1
    rest = _first_bytes(_word(joined, start + 8), length - 8)
    if first == _IS_CANCELLE and rest == _D_END:
        return _CANCELLED
    if first == _IS_HEARTBEA and rest == _T_END:
        return _HEARTBEAT
    return -1


@njit(cache=True, error_model="numpy")
def _is_name(spans, field):
    return 1 <= spans[2 * field + 1] - spans[2 * field] <= _TEXT_BYTES


@njit(cache=True, error_model="numpy")
def _scan_rows(
    joined,
    ends,
    scratch,
    ok,
    code,
    occurred_ms,
    quantity,
    event_key,
    order_key,
    sku_start,
    sku_end,
    warehouse_start,
    warehouse_end,
    item_hash,
):
    text = _pointer_to(joined)
    spans = _pointer_to(scratch)
    start = 0
    for row in range(ends.size):
        end = ends[row]
        seen = _find_members(text, start, end, spans)
        start = end
        if seen & _ORDER_FIELDS != _ORDER_FIELDS:
            continue
        kind = _kind_of(text, spans[2 * _KIND], spans[2 * _KIND + 1])
        if kind < 0:
            continue
        ms = _time_of(text, spans[2 * _OCCURRED_AT], spans[2 * _OCCURRED_AT + 1])
        if ms == BAD_TIMESTAMP:
            continue
        units = _integer(text, spans[2 * _QUANTITY], spans[2 * _QUANTITY + 1])
        if units < 1 or units > _MOST_QUANTITY:
            continue
        if not (
            _is_name(spans, _EVENT_ID) and _is_name(spans, _ORDER_ID) and _is_name(spans, _SKU)
        ):
            continue
        source = _NONE
        code[row] = kind
        occurred_ms[row] = ms
        quantity[row] = units
        event_key[row] = _hash_text(text, spans[2 * _EVENT_ID], spans[2 * _EVENT_ID + 1], source)
        order_key[row] = _hash_text(text, spans[2 * _ORDER_ID], spans[2 * _ORDER_ID + 1], source)
        item_hash[row] = _hash_text(text, spans[2 * _SKU], spans[2 * _SKU + 1], _NONE)
        sku_start[row] = spans[2 * _SKU]
        sku_end[row] = spans[2 * _SKU + 1]
        warehouse_start[row] = -1
        ok[row] = 1
