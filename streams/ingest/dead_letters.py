"""Bad and late records: copied byte for byte to their topics, with the reason in the headers."""

import logging
from collections.abc import Sequence

from streams.contracts.outgoing import Header, OutboxRecord
from streams.ingest.chunks import values_of
from streams.ingest.decode import Reject
from streams.ingest.record_batches import RawRecord
from streams.ingest.transport import Chunk

_LATE = "occurred_at must be within the grace period of its topic's clock"
_LOST = "; its key and headers could not be read"
_log = logging.getLogger(__name__)


def side_exit_records(
    topic: str,
    source: str,
    partition: int,
    part: Sequence[Chunk],
    rejects: Sequence[Reject],
    late_rows: Sequence[int],
) -> list[OutboxRecord]:
    """Return the copies of bad records for the dead-letter topic, then those of late ones.

    Whatever a record holds, there is a copy of it: where it cannot be read again as a whole, the
    copy has its value alone, and says so.

    Args:
        topic: the input topic's name in contracts, without a prefix.
        source: its name in Kafka.
        partition: of the input topic.
        part: the chunks that the records lie in.
        rejects: the bad records, by row within the part.
        late_rows: rows of the late ones.
    """
    bad = [(f"{topic}.dlt", one.row, str(one.code), one.message) for one in rejects]
    late = [(f"{topic}.late", row, "late", _LATE) for row in late_rows]
    records = _read_again(part)
    lost = ""
    if records is None:
        records, lost = _values_alone(part), _LOST
    return [
        _copy(
            to,
            records[row],
            _failure_headers(source, partition, records[row], code, message + lost),
        )
        for to, row, code, message in (*bad, *late)
    ]


def _read_again(part: Sequence[Chunk]) -> list[RawRecord] | None:
    """Return the whole records; None means that they cannot be read again."""
    try:
        records = [record for chunk in part for record in chunk.records()]
    except Exception:  # whatever it is: a bad record never stops a partition
        _log.exception("a fetch with bad records cannot be read again")
        return None
    return records if len(records) == sum(len(chunk.values) for chunk in part) else None


def _values_alone(part: Sequence[Chunk]) -> list[RawRecord]:
    """Return records without key and headers; in a compacted log their offsets are a guess."""
    places = [(chunk, place) for chunk in part for place in range(len(chunk.values))]
    return [
        RawRecord(chunk.start + place, chunk.written_ms, None, value, [])
        for (chunk, place), value in zip(places, values_of(part), strict=True)
    ]


def _copy(topic: str, record: RawRecord, headers: Sequence[Header]) -> OutboxRecord:
    return OutboxRecord(topic, record.key, record.value, [*record.headers, *headers])


def _failure_headers(
    topic: str, partition: int, record: RawRecord, code: str, message: str
) -> list[Header]:
    """Headers as Spring Kafka's dead-letter publisher writes them, and our stable code."""
    return [
        ("kafka_dlt-original-topic", topic.encode()),
        ("kafka_dlt-original-partition", partition.to_bytes(4, "big")),
        ("kafka_dlt-original-offset", record.offset.to_bytes(8, "big")),
        ("kafka_dlt-original-timestamp", max(record.timestamp_ms, 0).to_bytes(8, "big")),
        ("kafka_dlt-original-timestamp-type", b"CreateTime"),
        ("kafka_dlt-exception-fqcn", b"tidegate.BadRecord"),
        ("kafka_dlt-exception-message", message.encode("utf-8", "backslashreplace")),
        ("tidegate-error-code", code.encode()),
    ]
