"""Whole record batches through Faust, on a real broker; and what this relies on still exists."""

import asyncio
import inspect
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiokafka
import faust
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.consumer import fetcher
from aiokafka.errors import IllegalStateError
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition
from faust.transport.consumer import Consumer as FaustConsumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.ingest import transport
from streams.ingest.record_batches import RecordBatches
from streams.ingest.transport import Chunk, batch_topic, install
from tests.streams.fakes import CONTROL, TRANSACTIONAL, Sent, batch_bytes

BASE = 1_700_000_000_000


def record(number: int, size: int = 20) -> Sent:
    """A record of which every byte tells its number."""
    value = (b"%d," % number) * (size // 4)
    return b"k\x00%d" % number, value, [("h", b"\xff%d" % number), ("h", b"")], BASE + number


# -- on a real broker ------------------------------------------------------------------------------


async def make_topics(stack, *names: str) -> list[str]:
    """Create topics with one partition."""
    client = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap)
    await client.start()
    topics = [stack.prefix + name for name in names]
    try:
        await client.create_topics([NewTopic(topic, 1, 1) for topic in topics])
    finally:
        await client.close()
    return topics


async def produce(stack, topic: str, batches: Sequence[Sequence[Sent]], codec: str | None) -> None:
    """Write record batches of exactly these records."""
    producer = AIOKafkaProducer(
        bootstrap_servers=stack.bootstrap, compression_type=codec, enable_idempotence=False
    )
    await producer.start()
    try:
        for records in batches:
            batch = producer.create_batch()
            for key, value, headers, timestamp in records:
                assert batch.append(key=key, value=value, timestamp=timestamp, headers=headers)
            await (await producer.send_batch(batch, topic, partition=0))
    finally:
        await producer.stop()


@asynccontextmanager
async def reading(
    stack, topics: list[str], start: dict[str, int] | None = None
) -> AsyncIterator[tuple[faust.App, dict[str, list[Chunk]]]]:
    """An app that collects chunks from the offsets given."""
    directory = tempfile.TemporaryDirectory()
    app = faust.App(
        stack.prefix + "group",
        broker=f"kafka://{stack.bootstrap}",
        store="memory://",
        datadir=directory.name,
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=6.0,
        broker_rebalance_timeout=3.0,
        broker_heartbeat_interval=0.5,
        stream_wait_empty=False,
    )
    got: dict[str, list[Chunk]] = {topic: [] for topic in topics}

    async def read_from(assigned: set[TP]) -> dict[TP, int]:
        return {tp: (start or {}).get(tp.topic, 0) for tp in assigned}

    install(app, read_from)

    @app.agent(batch_topic(app, topics), name="collect", concurrency=1)
    async def collect(stream: faust.Stream) -> None:
        async for event in stream.events():
            got[event.message.tp.topic].extend(event.value)

    del collect
    await app.start()
    try:
        yield app, got
    finally:
        await app.stop()
        directory.cleanup()


async def until(is_so, seconds: float = 40) -> None:
    """Wait for records."""
    async with asyncio.timeout(seconds):
        while not is_so():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)


def values_of(chunks: list[Chunk]) -> list[bytes | None]:
    """All values in order."""
    return [value for chunk in chunks for value in chunk.values]


CODECS = [None, "gzip", "snappy", "lz4", "zstd"]


async def test_every_compression_is_read_and_chunks_cover_the_log(stack):
    """Batches of each codec: values, offsets, keys, headers and times as they were produced, no
    offset twice or never; and a plain consumer in the same process reads records as ever.
    """
    topics = await make_topics(stack, *(str(codec) for codec in CODECS))
    batches = [[record(n) for n in range(first, first + 7)] for first in (0, 7, 14)]
    batches.append([(None, None, [], BASE + 21)])
    sent = [one for batch in batches for one in batch]
    for topic, codec in zip(topics, CODECS, strict=True):
        await produce(stack, topic, batches, codec)
    async with reading(stack, topics) as (app, got):
        await until(lambda: all(len(values_of(got[topic])) == 22 for topic in topics))
        await plain_consumer_is_untouched(stack, topics[0], sent)
        tp = TP(topics[0], 0)
        assert (await app.consumer.earliest([tp]))[tp] == 0
        assert app.consumer.highwater(tp) == 22
        await app.consumer.read_again({tp: 17, TP("not-assigned", 0): 3})
        await until(lambda: len(values_of(got[topics[0]])) == 27)
        assert await app.consumer.commit_stored({tp: 5, TP("not-assigned", 0): 3})
        assert not await app.consumer.commit_stored({TP("not-assigned", 0): 3})
    for topic in topics:
        chunks = [chunk for chunk in got[topic] if chunk.values]
        check_chunks(chunks[: 5 if topic == topics[0] else None], sent)
    again = got[topics[0]]
    assert values_of(again)[22:] == [value for _, value, _, _ in sent[17:]]


def check_chunks(chunks: list[Chunk], sent: list[Sent]) -> None:
    """Chunks cover the log without gaps, up to its end, and re-read byte for byte."""
    covered = 0
    for chunk in chunks:
        if chunk.start < covered:  # what was read again
            break
        assert chunk.start == covered
        assert len(chunk.values) == chunk.next_offset - chunk.start
        covered = chunk.next_offset
        expected = sent[chunk.start : chunk.next_offset]
        records = list(chunk.records())
        assert [one.offset for one in records] == list(range(chunk.start, chunk.next_offset))
        assert [(r.key, r.value, r.headers, r.timestamp_ms) for r in records] == expected
        assert chunk.values == [value for _, value, _, _ in expected]
        assert chunk.written_ms == expected[-1][3]
    assert covered == len(sent)


async def plain_consumer_is_untouched(stack, topic: str, sent: list[Sent]) -> None:
    """A consumer that the transport did not make yields records."""
    assert fetcher.PartitionRecords is transport._PartitionRecords
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        got = [await consumer.getone() for _ in sent]
    finally:
        await consumer.stop()
    assert [(r.key, r.value, list(r.headers), r.timestamp) for r in got] == sent


async def test_seek_into_a_batch_yields_only_the_rest(stack):
    """The state stands in the middle of a batch: what is before it is not handed over again."""
    (topic,) = await make_topics(stack, "middle")
    sent = [record(number) for number in range(10)]
    await produce(stack, topic, [sent[:6], sent[6:]], "gzip")
    async with reading(stack, [topic], {topic: 4}) as (_, got):
        await until(lambda: len(values_of(got[topic])) == 6)
    assert [(chunk.start, chunk.next_offset) for chunk in got[topic]] == [(4, 6), (6, 10)]
    assert values_of(got[topic]) == [value for _, value, _, _ in sent[4:]]
    assert [one.offset for one in got[topic][0].records()] == [4, 5]


# -- batches by hand -------------------------------------------------------------------------------


def unpack(raw: bytes, fetch_offset: int = 0, **settings) -> list[Chunk]:
    """Unpack a fetch as a marked consumer does."""
    values = {"aborted_transactions": [], "check_crcs": True, "isolation_level": 0, **settings}
    return list(
        transport._PartitionRecords(
            tp=TopicPartition("t", 0),
            records=RecordBatches(raw),
            fetch_offset=fetch_offset,
            key_deserializer=transport._as_chunks,
            value_deserializer=None,
            **values,
        )
    )


def spans(chunks: list[Chunk]) -> list[tuple[int, int, int]]:
    """What chunks cover, and how many values they have."""
    return [(chunk.start, chunk.next_offset, len(chunk.values)) for chunk in chunks]


MARKER: Sent = (b"\x00\x00\x00\x01", b"\x00\x00\x00\x00\x00\x00", [], BASE)
ABORT: Sent = (b"\x00\x00\x00\x00", b"\x00\x00\x00\x00\x00\x00", [], BASE)


def test_markers_of_transactions_leave_no_gap():
    """Control batches have no values, yet the chunks cover their offsets."""
    raw = (
        batch_bytes([record(0), record(1)], 0, attributes=TRANSACTIONAL, producer_id=7)
        + batch_bytes([MARKER], 2, attributes=CONTROL | TRANSACTIONAL, producer_id=7)
        + batch_bytes([record(3)], 3)
        + batch_bytes([MARKER], 4, attributes=CONTROL | TRANSACTIONAL, producer_id=7)
    )
    chunks = unpack(raw)
    assert spans(chunks) == [(0, 2, 2), (2, 3, 0), (3, 4, 1), (4, 5, 0)]
    assert [one.offset for chunk in chunks for one in chunk.records()] == [0, 1, 3]


def test_aborted_transactions_are_not_read():
    """With read_committed the records of an aborted transaction are skipped, without a gap."""
    raw = (
        batch_bytes([record(0)], 0, attributes=TRANSACTIONAL, producer_id=7)
        + batch_bytes([record(1)], 1)
        + batch_bytes([ABORT], 2, attributes=CONTROL | TRANSACTIONAL, producer_id=7)
        + batch_bytes([record(3)], 3, attributes=TRANSACTIONAL, producer_id=7)
    )
    committed = unpack(raw, isolation_level=fetcher.READ_COMMITTED, aborted_transactions=[(7, 0)])
    assert spans(committed) == [(0, 1, 0), (1, 2, 1), (2, 3, 0), (3, 4, 1)]
    assert spans(unpack(raw)) == [(0, 1, 1), (1, 2, 1), (2, 3, 0), (3, 4, 1)]
    assert [one.offset for chunk in committed for one in chunk.records()] == [1, 3]


def test_compacted_log_is_covered_over_its_holes():
    """Offsets that compaction took away are covered by the next chunk."""
    raw = batch_bytes([record(0)], 5) + batch_bytes([record(1)], 9)
    assert spans(unpack(raw, 2)) == [(2, 6, 1), (6, 10, 1)]


def test_broken_batch_is_refused():
    """A flipped bit is found by the checksum, after the batches before it."""
    good, bad = batch_bytes([record(0)], 0), bytearray(batch_bytes([record(1)], 1))
    bad[-1] ^= 1
    with pytest.raises(fetcher.Errors.CorruptRecordException):
        unpack(good + bytes(bad))
    assert spans(unpack(good + bytes(bad), check_crcs=False)) == [(0, 1, 1), (1, 2, 1)]


def test_records_of_a_chunk_are_not_those_of_its_neighbours():
    """Re-reading looks at the chunk's own batch in a fetch of several."""
    batches = [[record(n) for n in range(first, first + 3)] for first in (0, 3, 6)]
    raw = b"".join(
        batch_bytes(batch, batch_start)
        for batch_start, batch in zip((0, 3, 6), batches, strict=True)
    )
    for chunk, batch in zip(unpack(raw), batches, strict=True):
        assert [one.value for one in chunk.records()] == [value for _, value, _, _ in batch]


# -- races -----------------------------------------------------------------------------------------


def bare_consumer(monkeypatch, assigned: set[TP], during_read=lambda: None):
    """A consumer without a broker; `seek_wait` fails for what is not assigned, as Kafka's does."""
    consumer = object.__new__(transport.BatchConsumer)
    sought: list[dict[TP, int]] = []

    async def seek_wait(offsets):
        for tp in offsets:
            if tp not in assigned or tp.topic == "revoked":
                raise IllegalStateError(f"No current assignment for partition {tp}")
        sought.append(dict(offsets))

    async def read_from(tps):
        offsets = dict.fromkeys(tps, 5)
        during_read()
        return offsets

    class Quiet:
        def info(self, *_):
            pass

    monkeypatch.setattr(consumer, "assignment", lambda: set(assigned), raising=False)
    monkeypatch.setattr(consumer, "seek_wait", seek_wait, raising=False)
    monkeypatch.setattr(
        type(consumer),
        "transport",
        type("T", (), {"read_from": staticmethod(read_from)}),
        raising=False,
    )
    monkeypatch.setattr(type(consumer), "log", Quiet(), raising=False)
    return consumer, sought


async def test_seek_survives_a_revoked_partition(monkeypatch):
    """A partition is revoked while its seek is under way: the next assignment seeks again."""
    consumer, _ = bare_consumer(monkeypatch, {TP("revoked", 0)})
    called = []

    async def faust_seek(self):
        called.append(await self.seek_to_committed())

    monkeypatch.setattr(FaustConsumer, "perform_seek", faust_seek)
    monkeypatch.setattr(driver.Consumer, "perform_seek", faust_seek, raising=False)
    await consumer.perform_seek()
    assert called == []
    await consumer.read_again({TP("revoked", 0): 3})


async def test_only_what_is_still_assigned_is_sought(monkeypatch):
    """While the state was loaded a partition moved on."""
    assigned = {TP("a", 0), TP("b", 0)}
    consumer, sought = bare_consumer(monkeypatch, assigned, lambda: assigned.discard(TP("b", 0)))
    await consumer.seek_to_committed()
    assert sought == [{TP("a", 0): 5}]


async def test_end_of_a_log_that_was_just_revoked_is_not_known(monkeypatch):
    """Partitions go in the consumer's thread at any moment; that once ended the worker."""
    consumer, _ = bare_consumer(monkeypatch, set())
    plain = AIOKafkaConsumer()
    monkeypatch.setattr(consumer, "_thread", plain, raising=False)
    with pytest.raises(AssertionError):
        plain.highwater(TP("revoked", 0))
    assert consumer.highwater(TP("revoked", 0)) is None
    await plain.stop()


# -- what is relied on -----------------------------------------------------------------------------


def parameters(function) -> list[str]:
    """Names of parameters, without self."""
    return [name for name in inspect.signature(function).parameters if name != "self"]


def test_versions_are_those_that_were_read():
    """`streams/ingest/transport.py` rests on these; read both again before changing this."""
    assert aiokafka.__version__ == "0.14.0"
    assert faust.__version__ == "0.15.3"


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (
            transport._PlainPartitionRecords.__init__,
            [
                *("tp", "records", "aborted_transactions", "fetch_offset", "key_deserializer"),
                *("value_deserializer", "check_crcs", "isolation_level"),
            ],
        ),
        (transport._PlainPartitionRecords._unpack_records, []),
        (transport._PlainPartitionRecords._consume_aborted_up_to, ["batch_offset"]),
        (transport._PlainPartitionRecords._contains_abort_marker, ["next_batch"]),
        (driver.AIOKafkaConsumerThread._create_worker_consumer, ["transport"]),
        (driver.AIOKafkaConsumerThread.earliest_offsets, ["partitions"]),
        (driver.Consumer._new_consumer_thread, []),
        (driver.Consumer._wait_next_records, ["timeout"]),
        (driver.Consumer.getmany, ["timeout"]),
        (driver.Consumer.perform_seek, []),
        (driver.Consumer.seek_to_committed, []),
        (driver.Consumer.seek_wait, ["partitions"]),
        (driver.Consumer.assignment, []),
        (driver.Consumer.highwater, ["tp"]),
        (driver.Consumer._commit, ["offsets"]),
        (driver.Consumer.stop_flow, []),
        (driver.Transport.__init__, ["args", "kwargs"]),
        (faust.Topic._compile_decode, []),
        (faust.Topic._create_event, ["key", "value", "headers", "message"]),
    ],
)
def test_functions_that_are_replaced_or_called_have_their_signatures(function, expected):
    """A new version that changes one of them fails here, not in production."""
    assert parameters(function) == expected


def test_attributes_that_are_read_exist():
    """Names inside the libraries that have no signature."""
    source = inspect.getsource(transport._PlainPartitionRecords)
    for name in (
        *("_tp", "_records", "_key_deserializer", "_check_crcs", "_isolation_level"),
        *("_aborted_producers", "next_fetch_offset", "_records_iterator"),
    ):
        assert f"self.{name} = " in source
    made = inspect.getsource(AIOKafkaConsumer.__init__) + inspect.getsource(AIOKafkaConsumer.start)
    for name in ("_key_deserializer", "_fetch_max_wait_ms", "_partition_assignment_strategy"):
        assert f"self.{name} = " in made
        assert f"self.{name}" in inspect.getsource(AIOKafkaConsumer)
    fetched = inspect.getsource(fetcher)
    assert "MemoryRecords(" in fetched
    assert "PartitionRecords(" in fetched
    assert {"has_next", "next_batch", "size_in_bytes"} <= set(dir(MemoryRecords(b"")))
    batch = MemoryRecords(batch_bytes([record(0)], 3)).next_batch()
    assert (batch.base_offset, batch.next_offset, batch.max_timestamp) == (3, 4, BASE)
    assert not batch.is_control_batch
    assert not batch.is_transactional
    assert batch.validate_crc()
    assert "_buffered_partitions" in inspect.getsource(FaustConsumer)


def test_original_calls_nothing_else_of_the_records_than_is_passed_on():
    """`RecordBatches` stands for `MemoryRecords` in the fetcher."""
    source = inspect.getsource(fetcher)
    assert source.count("MemoryRecords(") == 1
    used = {name for name in dir(MemoryRecords(b"")) if f"records.{name}(" in source}
    assert used <= {"has_next", "next_batch", "size_in_bytes"}
