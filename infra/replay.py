"""Replay: records of a file go to the input topics, in order, with heartbeats in event time.

The logs that a replay writes are a function of the records, of the number of partitions and of
`heartbeat_seconds`. Speed and batch size change when a record is written and how many lie in one
batch, never which records a partition holds, their order, or the clock at any of them.

Heartbeats tell every topic partition that time passes. All of them get one at the time of the first
record; one whenever event time crosses a multiple of `heartbeat_seconds`, written before the first
record at or after that boundary; and one when the file is over, so late that nothing can come
before it any more. A long silence ends with one heartbeat, at its last boundary; a replay at a
given speed tells it boundary by boundary, when each one is due. Event time is the newest time so
far: a record may be older than the one before it.

Kafka's own timestamp of a record is the moment of writing. Event time would not do: a broker with
its default retention deletes records of last year within minutes.
"""

import asyncio
import gzip
import os
import threading
import time
import zlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from infra.adapters import Record, SourceError
from infra.topics import COMPACTED
from streams.events import TOPICS

HEARTBEAT_KEY = b"heartbeat"  # a compacted topic refuses a record without a key
STANDARD_INPUT = "-"

_ROUND_RECORDS = 16_384  # how far the logs of two topics may be apart
_BATCH_BYTES = 900_000  # below the 1 MiB that a broker takes by default
_READ_AHEAD_RECORDS = 2 * _ROUND_RECORDS
_SLICE_RECORDS = 1_024  # between two looks at the stop signal and at the sockets
_IDLE_SECONDS = 0.01
_FLUSH_SECONDS = 0.05
_PACE_STEP_SECONDS = 0.1
_STOP_SECONDS = 10.0


class ReplayError(RuntimeError):
    """A replay cannot go on."""


@dataclass(frozen=True)
class Progress:
    """How far a replay has come."""

    records: int  # handed to the broker
    heartbeats: int
    clock_ms: int | None  # event time; None before the first record
    seconds: float  # since the start
    finished: bool = False


@dataclass(frozen=True)
class ReplayResult:
    """What a replay wrote."""

    records_by_topic: dict[str, int]  # topic without prefix, without heartbeats
    heartbeats: int
    end_offsets: dict[tuple[str, int], int]  # (topic with prefix, partition): offset after the last
    first_ms: int | None  # event time of the first record; None: there was none
    last_ms: int | None  # newest event time of a record
    seconds: float
    complete: bool  # False: stopped before the end of the records

    @property
    def records(self) -> int:
        return sum(self.records_by_topic.values())


def heartbeat_seconds_for(speed: float | None) -> int:
    """Return a spacing at which heartbeats come about once a second of real time, at most hourly.

    Two replays are only sure to write the same logs with the same spacing: whether a record is too
    late depends on its partition's clock, and heartbeats move it.

    >>> heartbeat_seconds_for(None), heartbeat_seconds_for(60), heartbeat_seconds_for(1)
    (3600, 60, 1)
    """
    if speed is None:
        return 3600
    return next(step for step in (3600, 900, 300, 60, 15, 5, 1) if step <= max(speed, 1))


def partition_for(key: bytes, partitions: int) -> int:
    """Return the partition that Kafka's own default partitioner chooses for a key.

    >>> partition_for(b"lamp", 4)
    0
    """
    return (int(murmur2(key)) & 0x7FFFFFFF) % partitions


async def replay(
    records: Iterable[Record],
    *,
    bootstrap: str,
    partitions: int,
    topic_prefix: str = "",
    speed: float | None = None,
    heartbeat_seconds: int = 3600,
    allowed_lateness_seconds: int = 300,
    batch_records: int | None = None,
    compression: str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    stop: asyncio.Event | None = None,
    client_options: Mapping[str, Any] | None = None,
) -> ReplayResult:
    """Write `records` to the input topics, which must exist.

    At most one record batch of a partition is in flight, so that a retry cannot change their order.
    A retry may write a batch twice; event ids make that harmless.

    Args:
        records: read in a thread of its own, so that a slow source stops nothing.
        bootstrap: `host:port`, several with commas between them.
        partitions: of every input topic.
        topic_prefix: in front of every topic name.
        speed: event time over real time, > 0; None: as fast as possible.
        heartbeat_seconds: between two heartbeats, in event time, >= 1.
        allowed_lateness_seconds: the last heartbeat is this much after the newest record, >= 0.
        batch_records: records in one record batch, at most; None: as many as fit.
        compression: None, gzip, lz4, snappy or zstd.
        on_progress: called several times a second, and at the end, also of a cancelled replay.
        stop: once set, what was read is written, and the result says `complete=False`.
        client_options: more for aiokafka's producer: security, timeouts.

    Raises:
        ReplayError: the broker cannot be reached, a topic has another number of partitions, or a
            batch was not accepted.
        SourceError: `records` raised it; everything before is written.
        asyncio.CancelledError: cancelled; everything that was read before is written.
    """
    _require("partitions", "> 0", partitions, partitions > 0)
    _require("speed", "> 0 or none", speed, speed is None or speed > 0)
    _require("heartbeat_seconds", ">= 1", heartbeat_seconds, heartbeat_seconds >= 1)
    _require(
        "allowed_lateness_seconds",
        ">= 0",
        allowed_lateness_seconds,
        allowed_lateness_seconds >= 0,
    )
    _require(
        "batch_records", ">= 1 or none", batch_records, batch_records is None or batch_records > 0
    )
    options = dict(client_options or {}, compression_type=compression)
    async with _connected_producer(bootstrap, options) as producer:
        await _require_topics(producer, topic_prefix, partitions)
        run = _Run(
            log=_LogWriter(producer, partitions, topic_prefix, batch_records),
            clock=EventClock(heartbeat_seconds * 1000),
            pace=_Pace(speed),
            on_progress=on_progress,
            stop=stop or asyncio.Event(),
        )
        return await run.play(records, allowed_lateness_seconds * 1000)


def _require(name: str, rule: str, value: object, holds: bool) -> None:
    if not holds:
        raise ValueError(f"{name} must be {rule}, got {value!r}")


# --- event time -------------------------------------------------------------------------------


class EventClock:
    """The newest event time so far, and the heartbeats that it calls for. Pure."""

    def __init__(self, step_ms: int) -> None:
        self.step_ms = step_ms
        self.first_ms: int | None = None
        self.now_ms = -(1 << 62)
        self._last_beat_ms = -(1 << 62)

    def advance(self, occurred_ms: int) -> int | None:
        """Move on to an event's time; return the heartbeat to write before it, if any.

        >>> clock = EventClock(step_ms=60_000)
        >>> [clock.advance(at) for at in (90_000, 100_000, 95_000, 400_000, 420_000)]
        [90000, None, None, 360000, 420000]
        """
        if occurred_ms <= self.now_ms:
            return None
        self.now_ms = occurred_ms
        if self.first_ms is None:
            self.first_ms = self._last_beat_ms = occurred_ms
            return occurred_ms
        return self.beat_until(occurred_ms)

    def beat_until(self, time_ms: int) -> int | None:
        """Return the newest boundary up to `time_ms`, if it has not been told yet."""
        boundary_ms = time_ms - time_ms % self.step_ms
        if boundary_ms <= self._last_beat_ms:
            return None
        self._last_beat_ms = boundary_ms
        return boundary_ms


class _Pace:
    """Maps event time to real time."""

    def __init__(self, speed: float | None) -> None:
        self._speed = speed
        self._first_ms = 0
        self._started_at: float | None = None
        self._due_ms: float = float("inf") if speed is None else -1.0

    def start(self, first_ms: int) -> None:
        self._first_ms = first_ms
        self._started_at = time.monotonic()
        if self._speed is not None:
            self._due_ms = float(first_ms)

    def is_early(self, occurred_ms: int) -> bool:
        """Whether that moment is still to come."""
        # The first record starts the pace, so it is never early.
        if self._speed is None or self._started_at is None or occurred_ms <= self._due_ms:
            return False
        elapsed_seconds = time.monotonic() - self._started_at
        self._due_ms = self._first_ms + elapsed_seconds * 1000 * self._speed
        return occurred_ms > self._due_ms

    def now_ms(self) -> int:
        """Event time at the last look."""
        return int(self._due_ms)

    def wait_seconds(self, occurred_ms: int) -> float:
        assert self._speed is not None
        return (occurred_ms - self._due_ms) / 1000 / self._speed


# --- one replay -------------------------------------------------------------------------------


@dataclass
class _Run:
    log: "_LogWriter"
    clock: EventClock
    pace: _Pace
    on_progress: Callable[[Progress], None] | None
    stop: asyncio.Event
    _started_at: float = field(default_factory=time.monotonic)
    _flushed_at: float = 0.0
    _records_by_topic: Counter[str] = field(default_factory=Counter)

    async def play(self, records: Iterable[Record], allowed_lateness_ms: int) -> ReplayResult:
        try:
            await self._write_all(records)
            complete = not self.stop.is_set()
            if complete and self.clock.first_ms is not None:
                self.log.beat(self.clock.now_ms + allowed_lateness_ms)
            await self.log.drain()
        except (SourceError, asyncio.CancelledError):
            with suppress(TimeoutError, ReplayError):
                async with asyncio.timeout(_STOP_SECONDS):
                    await self.log.drain()
            raise
        finally:
            self._report(finished=True)
        return self._result(complete)

    async def _write_all(self, records: Iterable[Record]) -> None:
        with _ReadAhead(records) as source:
            while not self.stop.is_set() and (batch := await source.take()) is not None:
                for record in batch:
                    if self.pace.is_early(record.occurred_ms):
                        await self._wait_for(record.occurred_ms)
                        if self.stop.is_set():
                            return
                    self._write(record)
                if self._is_flush_due(source):
                    await self._flush()
                else:
                    await asyncio.sleep(0)  # the sockets' turn

    def _is_flush_due(self, source: "_ReadAhead") -> bool:
        if self.log.pending_records >= _ROUND_RECORDS:
            return True
        # A reader that is only a little slower must not shred the log into tiny batches.
        waited_seconds = time.monotonic() - self._flushed_at
        is_waiting = self.log.pending_records > 0 and not source.has_more()
        return is_waiting and waited_seconds > _FLUSH_SECONDS

    def _write(self, record: Record) -> None:
        beat_ms = self.clock.advance(record.occurred_ms)
        if beat_ms is not None:
            if beat_ms == self.clock.first_ms:
                self.pace.start(beat_ms)
            self.log.beat(beat_ms)
        self.log.append(record)
        self._records_by_topic[record.topic] += 1

    async def _wait_for(self, occurred_ms: int) -> None:
        """Write what is due and sleep until that event time has come, telling silence meanwhile."""
        while self.clock.first_ms is not None and self.pace.is_early(occurred_ms):
            beat_ms = self.clock.beat_until(self.pace.now_ms())
            if beat_ms is not None:
                self.log.beat(beat_ms)
            await self._flush()
            pause_seconds = min(
                max(self.pace.wait_seconds(occurred_ms), _IDLE_SECONDS), _PACE_STEP_SECONDS
            )
            with suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), pause_seconds)
            if self.stop.is_set():
                return

    async def _flush(self) -> None:
        await self.log.flush()
        self._flushed_at = time.monotonic()
        self._report()

    def _report(self, finished: bool = False) -> None:
        if self.on_progress is not None:
            self.on_progress(
                Progress(
                    records=self._records_by_topic.total(),
                    heartbeats=self.log.heartbeats,
                    clock_ms=None if self.clock.first_ms is None else self.clock.now_ms,
                    seconds=time.monotonic() - self._started_at,
                    finished=finished,
                )
            )

    def _result(self, complete: bool) -> ReplayResult:
        is_empty = self.clock.first_ms is None
        return ReplayResult(
            records_by_topic=dict(self._records_by_topic),
            heartbeats=self.log.heartbeats,
            end_offsets=self.log.end_offsets(),
            first_ms=self.clock.first_ms,
            last_ms=None if is_empty else self.clock.now_ms,
            seconds=time.monotonic() - self._started_at,
            complete=complete,
        )


# --- writing ----------------------------------------------------------------------------------


@dataclass
class _Lane:
    """What waits for one topic partition."""

    topic: str  # with prefix
    partition: int
    heartbeat_key: bytes | None
    waiting: list[tuple[bytes | None, bytes]] = field(default_factory=list)
    end_offset: int | None = None


class _LogWriter:
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

    def beat(self, time_ms: int) -> None:
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
async def _connected_producer(
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


async def _require_topics(producer: AIOKafkaProducer, prefix: str, partitions: int) -> None:
    # All topics are asked for, not ours by name: some brokers create what they are asked for.
    metadata = await producer.client.fetch_all_metadata()
    for name in TOPICS:
        count = len(metadata.partitions_for_topic(prefix + name) or ())
        if count != partitions:
            raise ReplayError(
                f"topic {prefix + name!r} must have {partitions} partitions, got {count}"
            )


# --- reading ----------------------------------------------------------------------------------


class _ReadAhead:
    """Reads records in a thread, so that a silent pipe stops neither the sockets nor Ctrl-C."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._records = records
        self._ready: deque[Record] = deque()
        self._error: BaseException | None = None
        self._is_over = threading.Event()
        self._closed = threading.Event()
        # A daemon: nobody can wake it while it waits for a pipe.
        self._thread = threading.Thread(target=self._read, name="replay-reader", daemon=True)

    def __enter__(self) -> "_ReadAhead":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()

    async def take(self) -> list[Record] | None:
        """Return some records, none while the source is silent, and None after the last one.

        Raises:
            BaseException: whatever the source raised, after its last record.
        """
        if not self._ready:
            # Asked in this order: the reader says that it is over after its last record.
            if self._is_over.is_set() and not self._ready:
                if self._error is not None:
                    raise self._error
                return None
            await asyncio.sleep(_IDLE_SECONDS)
        return [self._ready.popleft() for _ in range(min(len(self._ready), _SLICE_RECORDS))]

    def has_more(self) -> bool:
        return bool(self._ready)

    def _read(self) -> None:
        ready = self._ready
        try:
            for record in self._records:
                ready.append(record)
                while len(ready) > _READ_AHEAD_RECORDS:
                    if self._closed.wait(_IDLE_SECONDS):
                        return
        except BaseException as error:
            self._error = error
        finally:
            self._is_over.set()


class LineSource:
    """The lines of a plain or gzip file, or of standard input. Read once."""

    def __init__(self, path: str | Path) -> None:
        self._name = "standard input" if str(path) == STANDARD_INPUT else str(path)
        self._file = _open(path, self._name)
        self._total_bytes = _size_bytes(self._file)

    def share(self) -> float | None:
        """How much of the file has been read, from 0 to 1; None when its size is not known."""
        if self._total_bytes is None:
            return None
        try:
            return min(1.0, self._file.tell() / max(self._total_bytes, 1))
        except (ValueError, OSError):  # closed meanwhile: read to its end
            return 1.0

    def __iter__(self) -> Iterator[bytes]:
        try:
            with self._file as file:
                yield from gzip.GzipFile(fileobj=file) if _is_gzip(file) else file
        except (EOFError, OSError, zlib.error) as error:  # what damaged gzip files raise
            raise SourceError(f"{self._name} must be readable to its end: {error}") from error


def open_lines(path: str | Path) -> LineSource:
    """Open a file of lines: plain, gzip (by its first bytes, not by its name), or `-`.

    Raises:
        SourceError: it cannot be opened; while iterating: it is damaged.
    """
    return LineSource(path)


def _open(path: str | Path, name: str) -> BinaryIO:
    try:
        # Not sys.stdin: a thread that waits in it makes the interpreter's own exit fail.
        return os.fdopen(os.dup(0), "rb") if str(path) == STANDARD_INPUT else open(path, "rb")
    except OSError as error:
        raise SourceError(f"{name} must be a readable file: {error.strerror}") from error


def _size_bytes(file: BinaryIO) -> int | None:
    return os.fstat(file.fileno()).st_size if file.seekable() else None


def _is_gzip(file: Any) -> bool:
    return bool(file.peek(2)[:2] == b"\x1f\x8b")
