"""The short way from bytes to columns, for order records that are written plainly.

Most records are flat JSON objects of ASCII text and small numbers. A compiled scanner reads those
straight out of the batch. It never says that a record is bad: whatever it is not sure of, it hands
over, and msgspec judges. So it may accept only what the structs in `streams.events` accept, with
the same values, and it keeps away from their limits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from policy.compiled import compiled_with
from streams.events import DEFAULT_WAREHOUSE, Kind
from streams.text import BAD_TIMESTAMP, LATEST_MS, SEED, mix, parse_one_time
from streams.types import Int8Array, Int32Array, Int64Array, UInt8Array, UInt64Array

PADDING = 32
"""Bytes that must follow the last value: the kernels read eight at a time."""

Pointer = Any
"""To the data of an array. An array that is handed to a function with a loop costs
two atomic operations, more than reading a short text; a pointer costs nothing."""

_TEXT_BYTES = 128  # of an identifier or a source
_MOST_DIGITS = 18  # a number of so many digits fits into 64 bits
_PRICE_DIGITS = 11  # before the point; thirteen are over the limit of Money
_MOST_UNITS = 1_000_000

_FIELDS = (
    *("kind", "event_id", "occurred_at", "sku", "order_id", "quantity", "warehouse", "source"),
    *("price", "currency", "campaign_id", "promised_by"),
)
_KIND, _EVENT_ID, _OCCURRED_AT, _SKU, _ORDER_ID, _QUANTITY, _WAREHOUSE, _SOURCE = range(8)
_PRICE = 8
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
    """The eight bytes of each text from `8 * part` on, as `_word` reads them."""
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


_compiled = compiled_with(error_model="numpy")


# -- reading bytes --------------------------------------------------------------------------------


@intrinsic  # type: ignore[untyped-decorator]
def _pointer_to(typing_context: Any, array: Any) -> Any:
    """Return a pointer to the data of an array, that must outlive it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return make_array(array)(context, builder, arguments[0]).data

    return types.CPointer(array.dtype)(array), generate


@_compiled
def _byte(text: Pointer, place: int) -> int:
    return np.int64(text[place])


@_compiled
def _word(text: Pointer, place: int) -> int:
    """Return eight bytes, the first one lowest. The compiler makes one load of it."""
    return (
        np.uint64(text[place])
        | np.uint64(text[place + 1]) << np.uint64(8)
        | np.uint64(text[place + 2]) << np.uint64(16)
        | np.uint64(text[place + 3]) << np.uint64(24)
        | np.uint64(text[place + 4]) << np.uint64(32)
        | np.uint64(text[place + 5]) << np.uint64(40)
        | np.uint64(text[place + 6]) << np.uint64(48)
        | np.uint64(text[place + 7]) << np.uint64(56)
    )


@_compiled
def _word_within(text: Pointer, place: int, stop: int) -> int:
    """Return the bytes of a word that lie before `stop`, and zeros in place of the others."""
    count = stop - place
    if count >= 8:
        return _word(text, place)
    if count <= 0:
        return np.uint64(0)
    return _word(text, place) & ((_ONE << np.uint64(8 * count)) - _ONE)


@_compiled
def _same(text: Pointer, start: int, other: Pointer, other_start: int, count: int) -> bool:
    for place in range(0, count, 8):
        word = _word_within(text, start + place, start + count)
        if word != _word_within(other, other_start + place, other_start + count):
            return False
    return True


@_compiled
def _hash_text(text: Pointer, start: int, stop: int, onto: int) -> int:
    """Return the key that `streams.text.hash_texts` gives."""
    key = SEED
    length = np.uint64(stop - start)
    while stop - start >= 8:
        key = mix(key, _word(text, start))
        start += 8
    return mix(mix(onto ^ key, _word_within(text, start, stop)), length)


# -- reading JSON ---------------------------------------------------------------------------------


@_compiled
def _skip_space(text: Pointer, place: int, end: int) -> int:
    while place < end:
        byte = _byte(text, place)
        if byte > _SPACE:
            break
        if byte not in (_SPACE, _NEWLINE, _RETURN, _TAB):
            break
        place += 1
    return place


@_compiled
def _text_end(text: Pointer, place: int, end: int) -> int:
    """Return where the text that goes on here has its closing quote; -1 if it is not plain."""
    while place < end:
        word = _word(text, place)
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
            return place if place < end and _byte(text, place) == _QUOTE else -1
        place += 8
    return -1


@_compiled
def _digits_end(text: Pointer, place: int, end: int) -> int:
    while place < end and _ZERO <= _byte(text, place) <= _NINE:
        place += 1
    return place


@_compiled
def _integer_end(text: Pointer, place: int, end: int) -> int:
    stop = _digits_end(text, place, end)
    leads_with_zero = _byte(text, place) == _ZERO and stop > place + 1
    return -1 if leads_with_zero or stop - place > _MOST_DIGITS else stop


@_compiled
def _fraction_end(text: Pointer, point: int, end: int) -> int:
    stop = _digits_end(text, point + 1, end)
    return stop if 1 < stop - point <= _MOST_DIGITS else -1


@_compiled
def _look_of(first: int) -> int:
    """Return how a value looks that begins with this byte; 0 for one that is not plain."""
    if first == _QUOTE:
        return _TEXT
    if _ZERO <= first <= _NINE:
        return _INTEGER
    if first == _N:
        return _NULL
    return _BOOLEAN if first in (_T, _F) else 0


@_compiled
def _literal_end(text: Pointer, place: int) -> int:
    word = _word_within(text, place, place + 4)
    if word in (_NULL_WORD, _TRUE_WORD):
        return place + 4
    return place + 5 if _word_within(text, place, place + 5) == _FALSE_WORD else -1


@_compiled
def _which(text: Pointer, start: int, stop: int, words: Pointer, rests: Pointer, count: int) -> int:
    """Return which of the known names the bytes are, or `count`.

    No plain text holds a zero, and every known name leaves zeros in its two words: so only the name
    itself has the same ones.
    """
    word = _word_within(text, start, stop)
    rest = _word_within(text, start + 8, stop)
    for which in range(count):
        if word == words[which] and rest == rests[which]:
            return which
    return count


@_compiled
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
    words, rests = _pointer_to(_FIELD_WORDS), _pointer_to(_FIELD_RESTS)
    # `place` never goes back, and must be `end` at last: so whoever reads into the next record
    # fails. All reading stops soon behind `end`, within the padding.
    place = _skip_space(text, place, end)
    if _byte(text, place) != _OPEN:
        return 0
    while True:
        start = _skip_space(text, place + 1, end) + 1
        if _byte(text, start - 1) != _QUOTE:
            return 0
        stop = _text_end(text, start, end)
        if stop < 0:
            return 0
        field = _which(text, start, stop, words, rests, _UNKNOWN)
        place = _skip_space(text, stop + 1, end)
        if _byte(text, place) != _COLON:
            return 0
        start = _skip_space(text, place + 1, end)
        look = _look_of(_byte(text, start))
        if look == _TEXT:
            start += 1
            stop = _text_end(text, start, end)
            place = stop + 1
        elif look == _INTEGER:
            stop = _integer_end(text, start, end)
            if stop >= 0 and _byte(text, stop) == _POINT:
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
        following = _byte(text, place)
        if following == _CLOSE:
            break
        if following != _COMMA:
            return 0
    return seen if _skip_space(text, place + 1, end) == end else 0


# -- from texts to columns ------------------------------------------------------------------------


@_compiled
def _integer(text: Pointer, start: int, stop: int) -> int:
    value = 0
    for place in range(start, stop):
        value = value * 10 + _byte(text, place) - _ZERO
    return value


@_compiled
def _time(text: Pointer, start: int, stop: int) -> int:
    if _byte(text, start - 1) == _QUOTE:
        return parse_one_time(text, start, stop)
    value = _integer(text, start, stop)
    return value if value <= LATEST_MS else BAD_TIMESTAMP


@_compiled
def _is_identifier(starts: Pointer, stops: Pointer, field: int) -> bool:
    return 1 <= stops[field] - starts[field] <= _TEXT_BYTES


@_compiled
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
            if _byte(text, place) == _AT:
                return False
    if seen >> _SOURCE & 1 and stops[_SOURCE] - starts[_SOURCE] > _TEXT_BYTES:
        return False
    if seen >> _PRICE & 1:
        start = starts[_PRICE]
        return _digits_end(text, start, stops[_PRICE]) - start <= _PRICE_DIGITS
    return True


@_compiled
def _source_key(text: Pointer, seen: int, starts: Pointer, stops: Pointer) -> int:
    start, stop = starts[_SOURCE], stops[_SOURCE]
    if seen >> _SOURCE & 1 == 0 or start == stop:
        return _NO_KEY
    return _hash_text(text, start, stop, _NO_KEY)


@_compiled
def _names_warehouse(text: Pointer, seen: int, starts: Pointer, stops: Pointer) -> bool:
    """Return whether there is a warehouse and it is not the default one."""
    if seen >> _WAREHOUSE & 1 == 0:
        return False
    start, stop = starts[_WAREHOUSE], stops[_WAREHOUSE]
    return stop - start != _DEFAULT_BYTES or _word_within(text, start, stop) != _DEFAULT_WORD


@_compiled
def _hash_name(
    text: Pointer, sku_start: int, sku_end: int, warehouse_start: int, warehouse_end: int
) -> int:
    key = _hash_text(text, sku_start, sku_end, _NO_KEY)
    if warehouse_start < 0:
        return key
    return _hash_text(text, warehouse_start, warehouse_end, key)


@_compiled
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
    item_hash: UInt64Array,
    sku_start: Int64Array,
    sku_end: Int64Array,
    warehouse_start: Int64Array,
    warehouse_end: Int64Array,
) -> None:
    text, starts, stops = _pointer_to(joined), _pointer_to(scratch[0]), _pointer_to(scratch[1])
    kinds, kind_rests = _pointer_to(_KIND_WORDS), _pointer_to(_KIND_RESTS)
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
        event_key[row] = _hash_text(text, starts[_EVENT_ID], stops[_EVENT_ID], source_key)
        order_key[row] = _hash_text(text, starts[_ORDER_ID], stops[_ORDER_ID], source_key)
        sku_start[row] = starts[_SKU]
        sku_end[row] = stops[_SKU]
        item_hash[row] = _hash_name(
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
        item_hash=np.zeros(rows, np.uint64),
        sku_start=np.zeros(rows, np.int64),
        sku_end=np.zeros(rows, np.int64),
        warehouse_start=no_warehouse[0],
        warehouse_end=no_warehouse[1],
    )
    _scan_rows(joined, ends, np.zeros((2, _UNKNOWN + 1), np.int64), *scanned)
    return scanned


# -- from names to items --------------------------------------------------------------------------


class Names(NamedTuple):
    """The names of items as bytes that lie in one text; the other arrays have shape (row,)."""

    joined: UInt8Array  # ends with the padding
    item_hash: UInt64Array
    sku_start: Int64Array
    sku_end: Int64Array
    warehouse_start: Int64Array  # -1: the default one
    warehouse_end: Int64Array

    @classmethod
    def of(cls, skus: Sequence[str], warehouses: Sequence[str]) -> "Names":
        """Return the names that Python texts say."""
        text, edges = _lay(skus)
        sku_start, sku_end = edges[:-1], edges[1:]
        warehouse_start, warehouse_end = np.full((2, len(skus)), -1)
        if warehouses.count(DEFAULT_WAREHOUSE) < len(warehouses):
            own = ["" if name == DEFAULT_WAREHOUSE else name for name in warehouses]
            more, edges = _lay(own)
            is_default = edges[:-1] == edges[1:]
            warehouse_start = np.where(is_default, -1, edges[:-1] + len(text))
            warehouse_end = np.where(is_default, -1, edges[1:] + len(text))
            text += more
        joined, item_hash = _join([text]), np.empty(len(skus), np.uint64)
        _hash_names(joined, sku_start, sku_end, warehouse_start, warehouse_end, item_hash)
        return cls(joined, item_hash, sku_start, sku_end, warehouse_start, warehouse_end)

    @classmethod
    def concatenate(cls, first: "Names", second: "Names") -> "Names":
        """Return the rows of both."""
        shift = first.joined.size
        moved = (np.where(place < 0, place, place + shift) for place in second[2:])
        joined = np.concatenate([first.joined, second.joined])
        joined.setflags(write=False)  # as every other text is: the kernels are compiled for that
        return cls(
            joined,
            np.concatenate([first.item_hash, second.item_hash]),
            *map(np.concatenate, zip(first[2:], moved, strict=True)),
        )

    def take(self, rows: Any) -> "Names":
        """Return some of the rows, by a mask or by their places."""
        return Names(self.joined, *(column[rows] for column in self[1:]))

    def text(self, row: int) -> tuple[str, str]:
        """Return SKU and warehouse of a row."""
        sku = self._cut(self.sku_start[row], self.sku_end[row])
        if self.warehouse_start[row] < 0:
            return sku, DEFAULT_WAREHOUSE
        return sku, self._cut(self.warehouse_start[row], self.warehouse_end[row])

    def _cut(self, start: int, end: int) -> str:
        return self.joined[start:end].tobytes().decode("utf-8", "surrogatepass")


def _join(values: Sequence[bytes | None]) -> UInt8Array:
    return np.frombuffer(b"".join([*values, bytes(PADDING)]), np.uint8)  # type: ignore[list-item]


def _lay(texts: Sequence[str]) -> tuple[bytes, Int64Array]:
    """Return the texts one after the other, and where each begins and the last ends."""
    text = "".join(texts)
    joined = text.encode("utf-8", "surrogatepass")
    counted: Sequence[str | bytes] = texts
    if len(joined) != len(text):
        counted = [part.encode("utf-8", "surrogatepass") for part in texts]
    edges = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, counted), np.int64, len(counted)), out=edges[1:])
    return joined, edges


@_compiled
def _hash_names(
    joined: UInt8Array,
    sku_start: Int64Array,
    sku_end: Int64Array,
    warehouse_start: Int64Array,
    warehouse_end: Int64Array,
    item_hash: UInt64Array,
) -> None:
    text = _pointer_to(joined)
    for row in range(item_hash.size):
        item_hash[row] = _hash_name(
            text, sku_start[row], sku_end[row], warehouse_start[row], warehouse_end[row]
        )


# What the table knows of an item: its hash, and where its name lies in `known`.
_HASH, _SKU_START, _SKU_END, _WAREHOUSE_START, _WAREHOUSE_END = range(5)


@_compiled
def _slot_of(item_hash: int, slots: int) -> int:
    return np.int64(item_hash >> np.uint64(20)) & (slots - 1)


@_compiled
def find_items(
    item_hash: UInt64Array,
    joined: UInt8Array,
    sku_start: Int64Array,
    sku_end: Int64Array,
    warehouse_start: Int64Array,
    warehouse_end: Int64Array,
    slots: Int32Array,
    entries: Int64Array,
    known: UInt8Array,
    found: Int32Array,
) -> None:
    """Find the place of each named item.

    Args:
        item_hash, joined, sku_start, sku_end, warehouse_start, warehouse_end: a `Names`.
        slots, entries, known: the arrays of an `ItemTable`.
        found: is filled, shape (row,); -1 for an item that is not in the table.
    """
    text, names = _pointer_to(joined), _pointer_to(known)
    for row in range(item_hash.size):
        wanted = np.int64(item_hash[row])
        sku_bytes = sku_end[row] - sku_start[row]
        warehouse_bytes = warehouse_end[row] - warehouse_start[row]
        slot = _slot_of(item_hash[row], slots.size)
        while True:
            item = np.int64(slots[slot]) - 1
            if item < 0:
                break
            # The hash alone proves nothing: the bytes decide.
            if (
                entries[item, _HASH] == wanted
                and entries[item, _SKU_END] - entries[item, _SKU_START] == sku_bytes
                and entries[item, _WAREHOUSE_END] - entries[item, _WAREHOUSE_START]
                == warehouse_bytes
                and _same(text, sku_start[row], names, entries[item, _SKU_START], sku_bytes)
                and _same(
                    text,
                    warehouse_start[row],
                    names,
                    entries[item, _WAREHOUSE_START],
                    warehouse_bytes,
                )
            ):
                break
            slot = (slot + 1) & (slots.size - 1)
        found[row] = item


@_compiled
def _fill_slots(entries: Int64Array, first: int, count: int, slots: Int32Array) -> None:
    for item in range(first, count):
        slot = _slot_of(np.uint64(entries[item, _HASH]), slots.size)
        while slots[slot] != 0:
            slot = (slot + 1) & (slots.size - 1)
        slots[slot] = item + 1


class ItemTable:
    """Finds items by the bytes of their names; an item's place says how many came before it."""

    def __init__(self) -> None:
        self._slots: Int32Array = np.zeros(1024, np.int32)  # place + 1; 0 where free
        self._entries: Int64Array = np.zeros((512, 5), np.int64)
        self._known: UInt8Array = np.zeros(16_384, np.uint8)
        self._known_bytes = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def find(self, names: Names) -> Int32Array:
        """Return the place of each item, shape (row,); -1 for one that is not there."""
        found = np.empty(names.item_hash.size, np.int32)
        find_items(
            names.item_hash,
            *(names.joined, names.sku_start, names.sku_end),
            *(names.warehouse_start, names.warehouse_end),
            *(self._slots, self._entries, self._known, found),
        )
        return found

    def add(self, skus: Sequence[str], warehouses: Sequence[str]) -> None:
        """Give new items the next places. Each must be new, and named once."""
        names = Names.of(skus, warehouses)
        first, self._count = self._count, self._count + len(skus)
        start, self._known_bytes = self._known_bytes, self._known_bytes + names.joined.size
        self._entries = _longer(self._entries, self._count)
        self._known = _longer(self._known, self._known_bytes)
        self._known[start : self._known_bytes] = names.joined
        entries = self._entries[first : self._count]
        entries[:, _HASH] = names.item_hash.view(np.int64)
        for column, places in enumerate(names[2:], _SKU_START):
            entries[:, column] = places + start
        if 2 * self._count > self._slots.size:
            first = 0
            self._slots = np.zeros(1 << (4 * self._count).bit_length(), np.int32)
        _fill_slots(self._entries, first, self._count, self._slots)


def _longer(array: Any, rows: int) -> Any:
    """Return the array with room for `rows`, doubled when it has to grow."""
    if rows <= len(array):
        return array
    longer = np.zeros((max(rows, 2 * len(array)), *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return longer


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
        joined = _join(values)
    except TypeError:  # a record without a value: to be judged, as an empty one is
        values = [value or b"" for value in values]
        joined = _join(values)
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
        names=Names(joined, *scanned[-5:]),
        others=np.flatnonzero(~ok),
    )
