"""Writes records to the partitions of the input topics, a round at a time, in order."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from infra.replay.faults import Record
from streams.contracts.events import TOPICS
from streams.contracts.topics import COMPACTED

HEARTBEAT_KEY = b"heartbeat"  # a compacted topic refuses a record without a key
_BATCH_BYTES = 900_000  # below the 1 MiB that a broker takes by default


class ReplayError(RuntimeError):
    """A replay cannot go on."""


def partition_for(key: bytes, partitions: int) -> int:
    """Return the partition that Kafka's own default partitioner chooses for a key.

    >>> partition_for(b"lamp", 4)
    0
    """
    return (int(murmur2(key)) & 0x7FFFFFFF) % partitions


@dataclass
class _Lane:
    """What waits for one topic partition."""

    topic: str  # with prefix
    partition: int
    heartbeat_key: bytes | None
    waiting: list[tuple[bytes | None, bytes]] = field(default_factory=list)
    end_offset: int | None = None


class LogWriter:
    """Appends records to topic partitions, a round at a time.

    A round is written while the next one is read. It is only begun when the one before it is
    acknowledged: nothing overtakes within a partition, and a failure leaves a prefix behind.
    """

    def __init__(
        self,
        producer: AIOKafkaProducer,
        partitions: int,
        topic_prefix: str,
        batch_records: int | None,
    ) -> None:
        self._producer = producer
        self._partitions = partitions
        self._batch_records = batch_records
        self._lanes = {
            topic: [
                _Lane(
                    topic_prefix + topic, partition, HEARTBEAT_KEY if topic in COMPACTED else None
                )
                for partition in range(partitions)
            ]
            for topic in TOPICS
        }
        self._routes: dict[tuple[str, bytes], list[tuple[bytes | None, bytes]]] = {}
        self._round: list[asyncio.Task[None]] = []
        self.pending_records = 0
        self.heartbeats = 0

    def append(self, record: Record) -> None:
        waiting = self._routes.get((record.topic, record.key))
        if waiting is None:
            waiting = self._route(record)
        waiting.append((record.key, record.value))
        self.pending_records += 1

    def _route(self, record: Record) -> list[tuple[bytes | None, bytes]]:
        lane = self._lanes[record.topic][partition_for(record.key, self._partitions)]
        self._routes[record.topic, record.key] = lane.waiting
        return lane.waiting

    def write_heartbeats(self, time_ms: int) -> None:
        """Tell every topic partition that it is `time_ms`."""
        value = b'{"kind":"heartbeat","occurred_at":%d}' % time_ms
        for lane in self._all_lanes():
            lane.waiting.append((lane.heartbeat_key, value))
            self.heartbeats += 1
            self.pending_records += 1

    async def flush(self) -> None:
        """Begin to write what waits, when everything before is acknowledged.

        Raises:
            ReplayError: a batch was not accepted.
        """
        await self._settle()
        self._round = [
            asyncio.create_task(self._write(lane, self._take(lane)))
            for lane in self._all_lanes()
            if lane.waiting
        ]
        self.pending_records = 0
        await asyncio.sleep(0)

    async def drain(self) -> None:
        """Write what waits and return when it is acknowledged."""
        await self.flush()
        await self._settle()

    def end_offsets(self) -> dict[tuple[str, int], int]:
        return {
            (lane.topic, lane.partition): lane.end_offset
            for lane in self._all_lanes()
            if lane.end_offset is not None
        }

    def _all_lanes(self) -> Iterator[_Lane]:
        for lanes in self._lanes.values():
            yield from lanes

    @staticmethod
    def _take(lane: _Lane) -> list[tuple[bytes | None, bytes]]:
        # The list itself stays: routes point to it.
        taken = lane.waiting.copy()
        lane.waiting.clear()
        return taken

    async def _settle(self) -> None:
        if not self._round:
            return
        # Unlike gather, wait does not take the writers along when the replay is cancelled.
        done, _ = await asyncio.wait(self._round)
        self._round = []
        failures = [error for task in done if (error := task.exception()) is not None]
        if failures:
            raise failures[0]

    async def _write(self, lane: _Lane, records: list[tuple[bytes | None, bytes]]) -> None:
        start = 0
        while start < len(records):
            builder = self._producer.create_batch()
            count = _fill(builder, records, start, self._batch_records)
            start += count
            lane.end_offset = await self._send(lane, builder) + count

    async def _send(self, lane: _Lane, builder: Any) -> int:
        """Return the batch's first offset once the broker has it."""
        name = f"{lane.topic}, partition {lane.partition}"
        try:
            accepted = await self._producer.send_batch(
                builder, lane.topic, partition=lane.partition
            )
            metadata = await accepted
        except KafkaError as error:
            raise ReplayError(f"{name}: the broker did not take a batch: {error!r}") from error
        return int(metadata.offset)


def _fill(
    builder: Any, records: list[tuple[bytes | None, bytes]], start: int, limit: int | None
) -> int:
    """Append records from `start` on; return how many fitted."""
    written_ms = int(time.time() * 1000)
    end = len(records) if limit is None else min(len(records), start + limit)
    append = builder.append
    for index in range(start, end):
        key, value = records[index]
        if append(timestamp=written_ms, key=key, value=value) is None:
            return index - start
    return end - start


@asynccontextmanager
async def connected_producer(
    bootstrap: str, options: dict[str, Any]
) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        **{"max_batch_size": _BATCH_BYTES, **options}, bootstrap_servers=bootstrap, acks="all"
    )
    try:
        try:
            await producer.start()
        except KafkaError as error:
            rule = f"bootstrap {bootstrap!r} must be a reachable broker"
            raise ReplayError(f"{rule}: {error}") from error
        yield producer
    finally:
        await producer.stop()


async def require_topics(producer: AIOKafkaProducer, prefix: str, partitions: int) -> None:
    # All topics are asked for, not ours by name: some brokers create what they are asked for.
    metadata = await producer.client.fetch_all_metadata()
    for name in TOPICS:
        count = len(metadata.partitions_for_topic(prefix + name) or ())
        if count != partitions:
            raise ReplayError(
                f"topic {prefix + name!r} must have {partitions} partitions, got {count}"
            )
