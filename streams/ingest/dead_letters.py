"""Bad and late records: copied byte for byte to their topics, with the reason in the headers."""

from collections.abc import Sequence

from streams.contracts.outgoing import OutboxRecord
from streams.ingest.decode import Reject
from streams.ingest.transport import Chunk, RawRecord

_LATE = "occurred_at must be within the grace period of its topic's clock"


def side_exit_records(
    topic: str,
    source: str,
    partition: int,
    part: Sequence[Chunk],
    rejects: Sequence[Reject],
    late_rows: Sequence[int],
) -> list[OutboxRecord]:
    """Return the copies of bad records for the dead-letter topic, then those of late ones.

    Args:
        topic: the input topic's name in contracts, without a prefix.
        source: its name in Kafka.
        partition: of the input topic.
        part: the chunks that the records lie in.
        rejects: the bad records, by row within the part.
        late_rows: rows of the late ones.
    """
    records = [record for chunk in part for record in chunk.records()]
    bad = [(f"{topic}.dlt", one.row, str(one.code), one.message) for one in rejects]
    late = [(f"{topic}.late", row, "late", _LATE) for row in late_rows]
    return [
        _copy(to, records[row], _failure_headers(source, partition, records[row], code, message))
        for to, row, code, message in (*bad, *late)
    ]


def _copy(topic: str, record: RawRecord, headers: list[tuple[str, bytes]]) -> OutboxRecord:
    return OutboxRecord(topic, record.key, record.value, [*record.headers, *headers])


def _failure_headers(
    topic: str, partition: int, record: RawRecord, code: str, message: str
) -> list[tuple[str, bytes]]:
    """Headers as Spring Kafka's dead-letter publisher writes them, and our stable code."""
    return [
        ("kafka_dlt-original-topic", topic.encode()),
        ("kafka_dlt-original-partition", partition.to_bytes(4, "big")),
        ("kafka_dlt-original-offset", record.offset.to_bytes(8, "big")),
        ("kafka_dlt-original-timestamp", max(record.timestamp_ms, 0).to_bytes(8, "big")),
        ("kafka_dlt-original-timestamp-type", b"CreateTime"),
        ("kafka_dlt-exception-fqcn", b"tidegate.BadRecord"),
        ("kafka_dlt-exception-message", message.encode()),
        ("tidegate-error-code", code.encode()),
    ]
