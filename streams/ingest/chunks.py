"""Cutting the chunks of a fetch."""

from collections.abc import Iterable, Sequence

import numpy as np

from streams.ingest.transport import Chunk
from streams.timestamps import LATEST_MS
from streams.types import Int64Array

_ROWS_AT_ONCE = 20_000


def in_parts(chunks: Sequence[Chunk]) -> Iterable[list[Chunk]]:
    """Cut a fetch into parts small enough for the cache, at the borders of its chunks."""
    part: list[Chunk] = []
    rows = 0
    for chunk in chunks:
        part.append(chunk)
        rows += len(chunk.values)
        if rows >= _ROWS_AT_ONCE:
            yield part
            part, rows = [], 0
    if part:
        yield part


def from_offset(part: Sequence[Chunk], offset: int) -> list[Chunk]:
    """Return the chunks without the records before an offset."""
    kept = []
    for chunk in part:
        if chunk.next_offset <= offset:
            continue
        if chunk.start < offset:
            left = [record for record in chunk.records() if record.offset >= offset]
            values = [record.value for record in left]
            keys = None if chunk.keys is None else [record.key for record in left]
            chunk = Chunk(values, offset, chunk.next_offset, chunk.written_ms, chunk.raw, keys)
        kept.append(chunk)
    return kept


def values_of(part: Sequence[Chunk]) -> list[bytes | None]:
    """Return the values of all records, in the order of the log."""
    if len(part) == 1:
        return part[0].values
    return [value for chunk in part for value in chunk.values]


def keys_of(part: Sequence[Chunk]) -> list[bytes | None] | None:
    """Return the keys of all records, in the order of the log; None means they are not known."""
    if len(part) == 1:
        return part[0].keys
    keys: list[bytes | None] = []
    for chunk in part:
        if chunk.keys is None:
            return None
        keys += chunk.keys
    return keys


def written_ms(part: Sequence[Chunk]) -> Int64Array:
    """Return when each record was written, in milliseconds, shape (record,); -1: not known.

    A producer may claim any 64 bits; what is added to them must not overflow.
    """
    times_ms = np.array([chunk.written_ms for chunk in part], np.int64)
    return np.repeat(np.clip(times_ms, -1, LATEST_MS), [len(chunk.values) for chunk in part])
