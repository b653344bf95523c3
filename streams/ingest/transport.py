"""Whole record batches through Faust: this and `record_batches` know aiokafka's insides.

An ordinary Faust agent costs 80 to 250 microseconds an event, nearly all of it for objects around
each record. Here the fetcher hands over the values of a record batch as they lie in it, and Faust
carries one message for each partition and fetch. Faust stays the runtime: group membership,
rebalancing, timers.

Three places are replaced, for consumers that this transport makes and for no others:

- `aiokafka.consumer.fetcher.PartitionRecords` unpacks a fetch into chunks instead of records;
- `aiokafka.consumer.fetcher.MemoryRecords` keeps the raw bytes, so that the key, headers and time
  of a single bad record can be read again (`record_batches`);
- Faust's `Consumer` asks the owner of the state where to read on, instead of Kafka's own memory of
  offsets, and commits to Kafka only the offsets that it is given.

`tests/streams/ingest/test_transport.py` fails when a new version of either changes what is relied
on.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import faust
from aiokafka.consumer import fetcher
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode.threads import WorkerThread

from streams.ingest.record_batches import RawRecord, RecordBatches, read_any_header_name

ReadFrom = Callable[[set[TP]], Awaitable[Mapping[TP, int]]]
"""Returns where to read on for the partitions that are assigned now."""

_PlainPartitionRecords: Any = fetcher.PartitionRecords
_FETCH_WAIT_MS = 100


@dataclass(frozen=True, slots=True)
class Chunk:
    """The values of one record batch; it covers the log from `start` to before `next_offset`."""

    values: list[bytes | None]
    start: int
    next_offset: int
    written_ms: int  # newest time that the log gives to a record of the batch
    raw: bytes
    keys: list[bytes | None] | None = None  # of the records; None means that nobody looks at them

    def records(self) -> Iterator[RawRecord]:
        """Read the chunk's records again, with offsets, keys and headers; slow."""
        if not self.values:
            return
        batches = RecordBatches(self.raw)
        while batches.has_next():
            batch = batches.next_batch()
            if batch.base_offset >= self.next_offset:
                return
            if batch.next_offset > self.start and not batch.is_control_batch:
                for record in batch:
                    if self.start <= record.offset < self.next_offset:
                        yield RawRecord.of(record)


def _as_chunks(key: bytes) -> bytes:
    """Mark a consumer, in place of its key deserializer: it wants chunks. Never called."""
    raise AssertionError("keys are not deserialized in chunks")


class _PartitionRecords(_PlainPartitionRecords):  # type: ignore[misc]
    """Unpacks a fetch of a marked consumer into chunks."""

    next_fetch_offset: int

    def _unpack_records(self) -> Iterator[Any]:
        if self._key_deserializer is _as_chunks:
            return self._unpack_chunks()
        unpacked: Iterator[Any] = super()._unpack_records()
        return unpacked

    def _unpack_chunks(self) -> Iterator[Chunk]:
        """As in aiokafka, batch by batch, but for the loop over the records."""
        records = self._records
        while records.has_next():
            batch = records.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise fetcher.Errors.CorruptRecordException(f"Invalid CRC - {self._tp}")
            start: int = self.next_fetch_offset
            keys: list[bytes | None]
            values: list[bytes | None]
            if self._is_aborted(batch) or batch.is_control_batch:
                keys, values = [], []  # the chunk is empty, but it covers its part of the log
            elif batch.base_offset < start:
                records_left = [record for record in batch if record.offset >= start]
                keys = [record.key for record in records_left]
                values = [record.value for record in records_left]
            else:
                keys, values = batch.keys_and_values()
            self.next_fetch_offset = max(start, batch.next_offset)
            yield Chunk(
                values, start, self.next_fetch_offset, batch.max_timestamp, records.raw, keys
            )

    def _is_aborted(self, batch: Any) -> bool:
        if self._isolation_level != fetcher.READ_COMMITTED or batch.producer_id is None:
            return False
        self._consume_aborted_up_to(batch.base_offset)
        if batch.is_control_batch and self._contains_abort_marker(batch):
            self._aborted_producers.discard(batch.producer_id)
        return batch.is_transactional and batch.producer_id in self._aborted_producers


class _DaemonThread(WorkerThread):  # type: ignore[misc]
    """Does not keep a process alive that has ended: with Kafka away the thread does not end."""

    def __init__(self, service: Any, **options: Any) -> None:
        super().__init__(service, **options)
        self.daemon = True


class _ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Makes marked consumers."""

    Worker = _DaemonThread

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._key_deserializer = _as_chunks
        # What a transaction wrote counts once it is committed, and never where it is aborted.
        consumer._isolation_level = "read_committed"
        # Faust fixes 1,500 ms, which a broker may take as the least time for an answer.
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS
        # A shard reads the same partition of every topic: range keeps them together, round robin
        # does so only by luck.
        consumer._partition_assignment_strategy = (RangePartitionAssignor,)
        return consumer

    def highwater(self, tp: TP) -> int | None:
        """Return where what may be read ends: before the first transaction that is open."""
        consumer = self._ensure_consumer()
        stable: int | None = consumer.last_stable_offset(tp)
        end: int | None = consumer.highwater(tp)
        return end if stable is None or stable < 0 else stable

    def held_back(self, tp: TP) -> int:
        """Return how many records lie behind an open transaction."""
        end: int | None = self._ensure_consumer().highwater(tp)
        stable = self.highwater(tp)
        return 0 if end is None or stable is None else max(0, end - stable)


class BatchConsumer(driver.Consumer):  # type: ignore[misc]
    """Yields one message for each partition and fetch; its value is a list of chunks."""

    def _new_consumer_thread(self) -> Any:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(  # Faust names the argument
        self,
        timeout: float,  # noqa: ASYNC109
    ) -> AsyncIterator[tuple[TP, Any]]:
        """Fetch; hand over what belongs to the generation that fetched it."""
        records, active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if records is None or self.should_stop:
            return
        if not self.flow_active:
            await self.perform_seek()
            return
        for tp, chunks in records.items():
            if not self.flow_active or generation != self.app.consumer_generation_id:
                break
            if active is None or tp in active or tp in self._buffered_partitions:
                if (end := self.highwater(tp)) is not None:
                    self.app.monitor.track_tp_end_offset(tp, end)
                yield tp, self._batch_message(tp, chunks)

    def _batch_message(self, tp: TP, chunks: list[Chunk]) -> Any:
        last = chunks[-1]
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.next_offset - 1,
            last.written_ms / 1000.0,
            0,
            [],
            None,
            chunks,
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    def highwater(self, tp: TP) -> int | None:
        """Return where a log ends, as far as transactions are over; None means Kafka has not said,
        or the partition was just revoked.

        That happens in the consumer's thread, at any moment, and is an assertion there.
        """
        try:
            end: int | None = super().highwater(tp)
        except (AssertionError, AttributeError):
            return None
        return end

    def held_back(self, tp: TP) -> int:
        """Return how many records nobody may read yet: they lie behind an open transaction."""
        try:
            held: int = self._thread.held_back(tp)
        except (AssertionError, AttributeError):
            return 0
        return held

    async def perform_seek(self) -> None:
        """Seek to where the state stands.

        A partition can be revoked meanwhile; then the seek is void, and the next assignment brings
        another one.
        """
        try:
            await super().perform_seek()
        except IllegalStateError as error:
            self.log.info("seek given up, partitions were revoked meanwhile: %s", error)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek every assigned partition to where the owner of its state reads on."""
        assigned = self.assignment()
        offsets: Mapping[TP, int] = await self.transport.read_from(assigned)
        still = self.assignment()
        await self.seek_wait({tp: offsets[tp] for tp in assigned if tp in still})
        return offsets

    async def read_again(self, offsets: Mapping[TP, int]) -> None:
        """Seek some partitions while running, as far as they are still assigned."""
        assigned = self.assignment()
        try:
            await self.seek_wait({tp: at for tp, at in offsets.items() if tp in assigned})
        except IllegalStateError as error:
            self.log.info("seek given up, partitions were revoked meanwhile: %s", error)

    async def commit_stored(self, offsets: Mapping[TP, int]) -> bool:
        """Tell Kafka how far the state is stored. For lag displays; nothing is read from it."""
        assigned = self.assignment()
        stored = {tp: offset for tp, offset in offsets.items() if tp in assigned}
        return bool(stored) and await self._commit(stored)

    async def earliest(self, tps: Iterable[TP]) -> Mapping[TP, int]:
        """Return where the logs begin."""
        beginnings = await self._thread.earliest_offsets(*tps)
        return {TP(tp.topic, tp.partition): offset for tp, offset in beginnings.items()}


class BatchTransport(driver.Transport):  # type: ignore[misc]
    """Faust's Kafka transport with chunks.

    Args:
        url: the broker, as `app.conf.broker_consumer`.
        app: the Faust app.
        read_from: where to read on.
    """

    Consumer = BatchConsumer

    def __init__(self, url: Any, app: faust.App, read_from: ReadFrom) -> None:
        super().__init__(url, app)
        self.read_from = read_from


class BatchTopic(faust.Topic):  # type: ignore[misc]
    """A topic whose messages carry chunks, which nobody decodes."""

    def _compile_decode(self) -> None:
        async def hand_through(message: Any, *, propagate: bool = False) -> Any:
            del propagate
            return self._create_event(None, message.value, {}, message=message)

        self.decode = hand_through


class BatchApp(faust.App):  # type: ignore[misc]
    """An app that keeps nothing on disk."""

    def _create_directories(self) -> None:
        """Faust would make a directory for its tables; there are none."""


def install(app: faust.App, read_from: ReadFrom) -> None:
    """Let an app read whole record batches.

    Args:
        app: not started yet.
        read_from: returns where to read on for the partitions that are assigned now. It is the
            place where the state of a partition is taken over.
    """
    fetcher.PartitionRecords = _PartitionRecords
    read_any_header_name()
    app.transport = BatchTransport(app.conf.broker_consumer, app, read_from)


def batch_topic(app: faust.App, names: list[str]) -> BatchTopic:
    """Return one channel of several topics; Faust never commits their offsets."""
    return BatchTopic(app, topics=names, acks=False, allow_empty=True)
