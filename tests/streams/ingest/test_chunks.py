"""A fetch is cut without losing, doubling or reordering a record."""

from typing import Any

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from streams.ingest.chunks import from_offset, in_parts, values_of, written_ms
from streams.ingest.transport import Chunk
from streams.timestamps import LATEST_MS


def chunk(start: int, values: list[bytes | None], at_ms: int = 1_000) -> Chunk:
    """A record batch as Kafka stores it, read as a chunk."""
    arguments: dict[str, Any] = {
        **{"magic": 2, "compression_type": 0, "is_transactional": 0},
        **{"producer_id": -1, "producer_epoch": -1, "base_sequence": -1, "batch_size": 1 << 20},
    }
    builder = DefaultRecordBatchBuilder(**arguments)
    for offset, value in enumerate(values):
        builder.append(offset, at_ms, b"lamp", value, [])
    raw = builder.build()
    raw[:8] = start.to_bytes(8, "big")  # the base offset, which the broker writes
    return Chunk(values, start, start + len(values), at_ms, bytes(raw))


def test_parts_hold_whole_chunks_in_order() -> None:
    """A part ends after the chunk with which it is large enough; the rest is the last part."""
    chunks = [chunk(start, [b""] * 9_000) for start in range(0, 45_000, 9_000)]
    parts = list(in_parts(chunks))
    assert [len(part) for part in parts] == [3, 2]
    assert [one for part in parts for one in part] == chunks
    assert list(in_parts([])) == []


def test_records_before_an_offset_are_left_out() -> None:
    """A chunk that was read goes, one that was read in part keeps its rest, others stay."""
    first, second, third = chunk(0, [b"a", b"b"]), chunk(2, [b"c", b"d", b"e"]), chunk(5, [b"f"])
    kept = from_offset([first, second, third], 3)
    assert values_of(kept) == [b"d", b"e", b"f"]
    assert [(one.start, one.next_offset) for one in kept] == [(3, 5), (5, 6)]
    assert [record.offset for record in kept[0].records()] == [3, 4]
    assert from_offset([first, second], 0) == [first, second]


def test_each_record_has_the_time_of_its_batch() -> None:
    """Times follow the values, also around a tombstone and an empty chunk."""
    part = [chunk(0, [b"a", None], at_ms=7), Chunk([], 2, 3, 8, b""), chunk(3, [b"b"], at_ms=9)]
    assert values_of(part) == [b"a", None, b"b"]
    assert written_ms(part).tolist() == [7, 7, 9]


def test_no_time_of_a_batch_can_overflow() -> None:
    """A producer writes any 64 bits as a time; -1 says that there is none."""
    times = [-(1 << 63), -5, -1, 0, (1 << 63) - 1]
    part = [chunk(place, [b""], at_ms=at) for place, at in enumerate(times)]
    assert written_ms(part).tolist() == [-1, -1, -1, 0, LATEST_MS]
