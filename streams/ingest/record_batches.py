"""Record batches as they lie in the log, read so that no record can stop a reader.

Kafka takes any bytes as the name of a header. aiokafka wants UTF-8 there and fails for the whole
batch, for ever: then the batch is read again with other bytes in the names as escapes (`\\xff`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

from streams.contracts.outgoing import Header

_LENGTH_ENDS = 12  # a batch begins with its offset and the number of bytes that follow


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record as it lies in the log."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: list[Header]

    @classmethod
    def of(cls, record: Any) -> "RawRecord":
        """Return a record of aiokafka."""
        key, value = record.key, record.value
        return cls(record.offset, record.timestamp, key, value, list(record.headers))


class RecordBatches:
    """`MemoryRecords` of aiokafka that keeps its bytes and whose batches read any header name."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._records = MemoryRecords(raw)
        self._place = 0
        self.has_next = self._records.has_next
        self.size_in_bytes = self._records.size_in_bytes

    def next_batch(self) -> "RecordBatch":
        """Return the next batch."""
        start = self._place
        length = int.from_bytes(self.raw[start + 8 : start + _LENGTH_ENDS], "big")
        self._place = start + _LENGTH_ENDS + length
        return RecordBatch(self._records.next_batch(), self.raw, start, self._place)


class RecordBatch:
    """A batch of aiokafka; the names of headers may be any bytes.

    Args:
        batch: as aiokafka made it.
        raw: what was fetched.
        start, stop: where the batch lies in it.
    """

    __slots__ = ("_batch", "_raw", "_start", "_stop")

    def __init__(self, batch: Any, raw: bytes, start: int, stop: int) -> None:
        self._batch = batch
        self._raw, self._start, self._stop = raw, start, stop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        """Return the first record: aiokafka asks so for that of a control batch."""
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        try:
            records = list(self._batch)
        except UnicodeDecodeError:
            records = list(self._with_escapes())
        return iter(records)

    def keys_and_values(self) -> tuple[list[bytes | None], list[bytes | None]]:
        """Return the records' keys and values, without keeping an object for each record."""
        try:
            return _keys_and_values(self._batch)
        except UnicodeDecodeError:
            return _keys_and_values(self._with_escapes())

    def _with_escapes(self) -> Any:
        return _EscapingBatch(bytearray(self._raw[self._start : self._stop]))


def _keys_and_values(batch: Any) -> tuple[list[bytes | None], list[bytes | None]]:
    keys: list[bytes | None] = []
    values: list[bytes | None] = []
    add_key, add_value = keys.append, values.append
    for record in batch:
        add_key(record.key)
        add_value(record.value)
    return keys, values


class _EscapingBatch(_DefaultRecordBatchPy):  # type: ignore[misc]
    """The batch as aiokafka's own Python reads it; the only texts in it are names of headers."""

    _buffer: Any

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _EscapedText(self._buffer)


class _EscapedText(bytearray):
    """Bytes that can always be read as text."""

    def __getitem__(self, place: Any) -> Any:
        found: Any = super().__getitem__(place)
        return _EscapedText(found) if isinstance(place, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the text, with escapes in place of an error."""
        del errors
        return super().decode(encoding, "backslashreplace")


def read_any_header_name() -> None:
    """Let every consumer of this process read batches so. Safe to call again."""
    fetcher.MemoryRecords = RecordBatches
