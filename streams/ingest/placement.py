"""Does a record lie where it belongs? Its key must be its sku, and its partition the sku's.

Compaction keeps one record of a key, and a sku has a catalog line in each of its warehouses and a
line in each of its campaigns. So there a key may go on after the sku: `sku@warehouse`.

Every topic has to be split in the same way, or an item's orders lie in one shard and its stock in
another. Kafka's Java clients do so by murmur2; librdkafka's default is another one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from streams.contracts.codes import Kind
from streams.ingest.byte_kernels import (
    Pointer,
    byte_at,
    fast,
    join_padded,
    pointer_to,
    same_bytes,
    word_at,
)
from streams.ingest.decode import Columns, Decoded, Reject, RejectCode
from streams.types import Int8Array, Int64Array, UInt8Array

_SHOWN_BYTES = 60
_MURMUR2 = (
    "set partitioner=murmur2_random in a librdkafka client (Python, Go, .NET, Node.js), "
    "and name no partition yourself"
)
_HEARTBEAT = int(Kind.HEARTBEAT)
_WRONG_KEY, _WRONG_PARTITION = 1, 2
_GOES_ON = ord("@")

_U32 = np.uint64(0xFFFFFFFF)
_MULTIPLY = np.uint64(0x5BD1E995)
_SEED = np.uint64(0x9747B28C)


@dataclass(frozen=True, slots=True)
class Place:
    """A partition, and how many its topic has."""

    partition: int
    partitions: int


@fast
def _murmur2(text: Pointer, start: int, stop: int) -> int:
    """Return the hash by which Kafka's own clients choose a partition, without its sign."""
    found = _SEED ^ np.uint64(stop - start)
    while stop - start >= 4:
        word = ((word_at(text, start) & _U32) * _MULTIPLY) & _U32
        word = ((word ^ (word >> np.uint64(24))) * _MULTIPLY) & _U32
        found = ((found * _MULTIPLY) & _U32) ^ word
        start += 4
    if stop > start:
        for place in range(stop - 1, start - 1, -1):
            found ^= np.uint64(byte_at(text, place)) << np.uint64(8 * (place - start))
        found = (found * _MULTIPLY) & _U32
    found = ((found ^ (found >> np.uint64(13))) * _MULTIPLY) & _U32
    return np.int64((found ^ (found >> np.uint64(15))) & np.uint64(0x7FFFFFFF))


@fast
def _find_misplaced(
    code: Int8Array,
    sku_text: UInt8Array,
    sku_start: Int64Array,
    sku_end: Int64Array,
    key_text: UInt8Array,
    key_ends: Int64Array,
    rows: Int64Array,
    partition: int,
    partitions: int,
    may_go_on: bool,
    wrong: UInt8Array,
) -> int:
    """Say of each row what is wrong with its place, and return of how many something is."""
    skus, keys = pointer_to(sku_text), pointer_to(key_text)
    count = 0
    for row in range(code.size):
        if code[row] == _HEARTBEAT:  # it is meant for the partition where it lies
            continue
        at = rows[row]
        start = 0 if at == 0 else key_ends[at - 1]
        key_bytes = key_ends[at] - start
        size = sku_end[row] - sku_start[row]
        goes_on = may_go_on and key_bytes > size and byte_at(keys, start + size) == _GOES_ON
        if (key_bytes != size and not goes_on) or not same_bytes(
            keys, start, skus, sku_start[row], size
        ):
            wrong[row] = _WRONG_KEY
            count += 1
        elif partitions > 1 and _murmur2(keys, start, start + size) % partitions != partition:
            wrong[row] = _WRONG_PARTITION
            count += 1
    return count


def home_of(key: bytes, partitions: int) -> int:
    """Return the partition that Kafka's own default partitioner chooses for a key.

    >>> home_of(b"lamp", 4)
    0
    """
    return int(_hash_key(join_padded([key]), len(key))) % partitions


@fast
def _hash_key(text: UInt8Array, size: int) -> int:
    return _murmur2(pointer_to(text), 0, size)


def refuse_misplaced(
    decoded: Decoded, keys: Sequence[bytes | None], place: Place, *, is_compacted: bool = False
) -> Decoded:
    """Refuse the good records that do not lie where their sku belongs.

    Args:
        decoded: a batch.
        keys: of all its records, as they lie in the log.
        place: where the batch lies.
        is_compacted: the topic is, so that keys may go on after the sku.
    """
    columns = decoded.columns
    try:
        text = join_padded(keys)
        sizes = np.fromiter(map(len, keys), np.int64, len(keys))
    except TypeError:  # a record without a key, which is no sku: none is empty
        text = join_padded([key or b"" for key in keys])
        sizes = np.array([len(key or b"") for key in keys], np.int64)
    wrong = np.zeros(len(columns), np.uint8)
    names = columns.names
    found = _find_misplaced(
        columns.code,
        names.joined,
        names.sku_start,
        names.sku_end,
        text,
        np.cumsum(sizes),
        columns.rows,
        place.partition,
        place.partitions,
        is_compacted,
        wrong,
    )
    if not found:
        return decoded
    rejects = [
        Reject(int(columns.rows[at]), RejectCode.WRONG_KEY, _explain(columns, at, keys, place))
        for at in np.flatnonzero(wrong).tolist()
    ]
    rejects = sorted([*decoded.rejects, *rejects], key=lambda reject: reject.row)
    return Decoded(_only(columns, np.flatnonzero(wrong == 0)), rejects)


def _only(columns: Columns, kept: Int64Array) -> Columns:
    new_place = {int(old): new for new, old in enumerate(kept.tolist())} if columns.updates else {}
    return replace(
        columns,
        rows=columns.rows[kept],
        code=columns.code[kept],
        occurred_ms=columns.occurred_ms[kept],
        quantity=columns.quantity[kept],
        event_key=columns.event_key[kept],
        order_key=columns.order_key[kept],
        order_id_key=columns.order_id_key[kept],
        names=columns.names.take(kept),
        updates={
            new_place[old]: event for old, event in columns.updates.items() if old in new_place
        },
    )


def _explain(columns: Columns, at: int, keys: Sequence[bytes | None], place: Place) -> str:
    """Say what is wrong with the place of one row, and the producer's setting that mends it."""
    sku, _ = columns.names.text(at)
    key = keys[int(columns.rows[at])]
    if key is None:
        return f"key must be the sku, {sku!r}, got none: set key = sku in the producer"
    whole = sku.encode("utf-8", "surrogatepass")
    if key == whole or key.startswith(whole + b"@"):
        home = home_of(whole, place.partitions)
        rule = f"lie in partition {home} of {place.partitions}, where murmur2 puts it"
        return f"key {sku!r} must {rule}, got {place.partition}: {_MURMUR2}"
    shown = key[:_SHOWN_BYTES].decode("utf-8", "backslashreplace")
    return f"key must be the sku, {sku!r}, got {shown!r}: {_mend_of(key, sku)}"


def _mend_of(key: bytes, sku: str) -> str:
    """Return what to set in the producer, by what the key looks like."""
    if key.startswith(b"\x00") and len(key) > len(b"\x00") + 4:
        return "it begins as a schema registry's keys do; set the key serializer to a plain string"
    if key.startswith((b'"', b"{")):
        return "it looks like JSON; set the key serializer to a plain string of the sku"
    if key.strip().lower() == sku.strip().lower().encode("utf-8", "surrogatepass"):
        return "write both alike, also in case and spaces"
    return "set key = sku in the producer"
