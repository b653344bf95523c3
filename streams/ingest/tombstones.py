"""Records without a value: in a compacted topic they say that what their key names is gone.

They are read as events, so that the rest of the way knows nothing of them. Key, time and offset of
such a record make the event; everywhere else a record without a value is a bad one.
"""

import logging
from collections.abc import Iterator, Sequence

import msgspec

from streams.contracts.events import TOMBSTONES, Tombstone
from streams.ingest.chunks import values_of
from streams.ingest.decode import TombstoneValue
from streams.ingest.placement import Place, home_of
from streams.ingest.record_batches import RawRecord
from streams.ingest.transport import Chunk

_log = logging.getLogger(__name__)


def read_values(topic: str, part: Sequence[Chunk], place: Place) -> list[bytes | None]:
    """Return the values of all records, in the order of the log, with tombstones as events.

    Args:
        topic: the input topic's name in contracts, without a prefix.
        part: the chunks of it.
        place: where they lie.
    """
    kind = TOMBSTONES.get(topic)
    values = values_of(part)
    if kind is None or None not in values:
        return values
    return [value for chunk in part for value in _values_of(kind, chunk, place)]


def _values_of(kind: type[Tombstone], chunk: Chunk, place: Place) -> Iterator[bytes | None]:
    if None not in chunk.values:
        yield from chunk.values
        return
    try:
        records = list(chunk.records())
    except Exception:  # whatever it is: a bad record never stops a partition
        _log.exception("a batch with tombstones cannot be read again")
        records = []
    if len(records) != len(chunk.values):
        yield from chunk.values
        return
    for record in records:
        yield _event(kind, record, place) if record.value is None else record.value


def _event(kind: type[Tombstone], record: RawRecord, place: Place) -> bytes | None:
    """Return the event that a tombstone stands for; None where its key names nothing."""
    try:
        key = (record.key or b"").decode()
    except UnicodeDecodeError:
        return None
    if not key:
        return None
    event = kind(
        event_id=f"tombstone-{record.offset}-{record.timestamp_ms}",
        occurred_at=record.timestamp_ms,
        sku=_sku_of(key, place),
        key=key,
    )
    return TombstoneValue(msgspec.json.encode(event))


def _sku_of(key: str, place: Place) -> str:
    """Return as much of a key, up to an "@" or its end, as puts it where it lies."""
    ends = [at for at, char in enumerate(key) if char == "@" and at]
    beginnings = [key[:end] for end in ends]
    home = (one for one in beginnings if home_of(one.encode(), place.partitions) == place.partition)
    return next(home, key)
