"""Records in the order of their times, however large the file: sorted in pieces on disk.

Shops export the newest order first, and Kafka's logs have to be written in the order of time. An
event that is there twice is left out once.
"""

import heapq
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import IO

import msgspec

from infra.replay.faults import Record
from streams.contracts.topics import INPUTS

PIECE_RECORDS = 200_000
"""Records that are in memory at once: about 150 MB."""

_Sorted = tuple[int, int, bytes, str, bytes]
_places = {topic: place for place, topic in enumerate(INPUTS)}
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Sorted)
_LENGTH_BYTES = 4


def in_order_of_time(
    records: Iterable[Record],
    *,
    on_same: Callable[[Record], None] | None = None,
    piece_records: int = PIECE_RECORDS,
    further: Callable[[], Iterable[Record]] | None = None,
) -> Iterator[Record]:
    """Yield records by time, then by topic, key and value; of equal ones the first.

    Args:
        records: in any order.
        on_same: takes a record that is the same as the one before it.
        piece_records: sorted in memory at once.
        further: gives more records once all others are read, as those that follow from them.
    """
    with tempfile.TemporaryDirectory(prefix="tidegate-sort-") as directory:
        pieces = _pieces(records, piece_records, directory)
        if further is not None:
            pieces.append(sorted(map(_sortable, further())))
        before: _Sorted | None = None
        for one in heapq.merge(*pieces):
            record = Record(one[3], one[2], one[4], one[0])
            if one == before:
                if on_same is not None:
                    on_same(record)
                continue
            before = one
            yield record


def _pieces(
    records: Iterable[Record], piece_records: int, directory: str
) -> list[Iterable[_Sorted]]:
    """Read all records into sorted pieces; all but the last one lie on disk."""
    records = iter(records)
    pieces: list[Iterable[_Sorted]] = []
    while piece := sorted(map(_sortable, islice(records, piece_records))):
        if len(piece) < piece_records:
            pieces.append(piece)
            break
        pieces.append(_on_disk(piece, f"{directory}/{len(pieces)}"))
    return pieces


def _sortable(record: Record) -> _Sorted:
    place = _places.get(record.topic, len(_places))
    return (record.occurred_ms, place, record.key, record.topic, record.value)


def _on_disk(piece: list[_Sorted], path: str) -> Iterator[_Sorted]:
    with open(path, "wb", buffering=1 << 20) as file:
        for one in piece:
            packed = _encoder.encode(one)
            file.write(len(packed).to_bytes(_LENGTH_BYTES, "big"))
            file.write(packed)
    return _read(open(path, "rb", buffering=1 << 18))


def _read(file: IO[bytes]) -> Iterator[_Sorted]:
    with file:
        while size := file.read(_LENGTH_BYTES):
            yield _decoder.decode(file.read(int.from_bytes(size, "big")))
