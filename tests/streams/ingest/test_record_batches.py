"""Whatever Kafka takes as a record can be read, by the worker and by any other consumer."""

import struct

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record import default_records
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition

from streams.ingest.record_batches import RawRecord, RecordBatches, read_any_header_name
from tests.streams.fakes import Sent, batch_bytes

NAME = b"XXXXXX"
SENT: list[Sent] = [
    (b"a", b"1", [(NAME.decode(), None), ("", b"")], 7),
    (None, None, [], 7),
    (b"", b"", [("two", b"\x00"), ("two", None)], 7),
]


def with_name(raw: bytes, name: bytes) -> bytes:
    """The same batch with other bytes in place of the name of a header."""
    changed = bytearray(raw.replace(NAME, name))
    changed[17:21] = struct.pack(">I", calc_crc32c(bytes(changed[21:])))
    return bytes(changed)


def read(raw: bytes) -> list[RawRecord]:
    """All records of a fetch."""
    batches, found = RecordBatches(raw), []
    while batches.has_next():
        batch = batches.next_batch()
        assert batch.validate_crc()
        found += [RawRecord.of(record) for record in batch]
    return found


@pytest.mark.parametrize(
    "name", [b"\xff\xfe\x80\x00ab", "tür😀"[:4].encode()[:6], b"ab\xed\xa0\x80c"]
)
def test_name_of_a_header_may_be_any_bytes(name):
    """A batch with a name that is no UTF-8 is read, and so are its neighbours."""
    odd = with_name(batch_bytes(SENT, 0), name)
    plain = batch_bytes(SENT, 3)
    found = read(odd + plain)
    assert [one.offset for one in found] == [0, 1, 2, 3, 4, 5]
    shown = name.decode("utf-8", "backslashreplace")
    assert found[0].headers == [(shown, None), ("", b"")]
    assert [(one.key, one.value, one.headers) for one in found[1:3]] == [
        (key, value, headers) for key, value, headers, _ in SENT[1:]
    ]
    batches = RecordBatches(odd + plain)
    expected = ([b"a", None, b""], [b"1", None, b""])
    assert batches.next_batch().keys_and_values() == expected
    assert batches.next_batch().keys_and_values() == expected


def test_aiokafka_alone_fails_there():
    """What this module is for: when aiokafka reads such names itself, it can go."""
    batch = MemoryRecords(with_name(batch_bytes(SENT, 0), b"\xff" * 6)).next_batch()
    with pytest.raises(UnicodeDecodeError):
        list(batch)


def test_any_consumer_of_the_process_reads_such_names():
    """Commands read topics with plain consumers; one odd header must not end them."""
    read_any_header_name()
    raw = with_name(batch_bytes(SENT, 5), b"\xff\xff\xff\xff\xff\xff")
    unpacked = fetcher.PartitionRecords(
        tp=TopicPartition("t", 0),
        records=fetcher.MemoryRecords(raw),
        aborted_transactions=[],
        fetch_offset=6,
        key_deserializer=None,
        value_deserializer=None,
        check_crcs=True,
        isolation_level=fetcher.READ_COMMITTED,
    )
    assert [(record.offset, record.value) for record in unpacked] == [(6, None), (7, b"")]


def test_names_inside_aiokafka_are_there():
    """`_EscapingBatch` stands on these; read them again when this fails."""
    source = default_records._DefaultRecordBatchPy
    assert {"_maybe_uncompress", "_read_msg", "__next__"} <= set(dir(source))
    assert set(vars(source(batch_bytes(SENT, 0)))) >= {"_buffer", "_decompressed"}
