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
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from infra.replay.faults import Record, SourceError
from infra.replay.log_writer import LogWriter, ReplayError, connected_producer, require_topics
from infra.replay.read_ahead import ReadAhead

_ROUND_RECORDS = 16_384  # how far the logs of two topics may be apart
_FLUSH_SECONDS = 0.05
_PACE_STEP_SECONDS = 0.1
_SHORTEST_WAIT_SECONDS = 0.01
_STOP_SECONDS = 10.0


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
    first_ms: int | None  # event time of the first record; None means there was none
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
        speed: event time over real time, > 0; None means as fast as possible.
        heartbeat_seconds: between two heartbeats, in event time, >= 1.
        allowed_lateness_seconds: the last heartbeat is this much after the newest record, >= 0.
        batch_records: records in one record batch, at most; None means as many as fit.
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
    async with connected_producer(bootstrap, options) as producer:
        await require_topics(producer, topic_prefix, partitions)
        run = _Run(
            log=LogWriter(producer, partitions, topic_prefix, batch_records),
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
        self._last_heartbeat_ms = -(1 << 62)

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
            self.first_ms = self._last_heartbeat_ms = occurred_ms
            return occurred_ms
        return self.write_heartbeats_until(occurred_ms)

    def write_heartbeats_until(self, time_ms: int) -> int | None:
        """Return the newest boundary up to `time_ms`, if it has not been written yet."""
        boundary_ms = time_ms - time_ms % self.step_ms
        if boundary_ms <= self._last_heartbeat_ms:
            return None
        self._last_heartbeat_ms = boundary_ms
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
    log: "LogWriter"
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
                self.log.write_heartbeats(self.clock.now_ms + allowed_lateness_ms)
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
        with ReadAhead(records) as source:
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

    def _is_flush_due(self, source: ReadAhead) -> bool:
        if self.log.pending_records >= _ROUND_RECORDS:
            return True
        # A reader that is only a little slower must not shred the log into tiny batches.
        waited_seconds = time.monotonic() - self._flushed_at
        is_waiting = self.log.pending_records > 0 and not source.has_more()
        return is_waiting and waited_seconds > _FLUSH_SECONDS

    def _write(self, record: Record) -> None:
        heartbeat_ms = self.clock.advance(record.occurred_ms)
        if heartbeat_ms is not None:
            if heartbeat_ms == self.clock.first_ms:
                self.pace.start(heartbeat_ms)
            self.log.write_heartbeats(heartbeat_ms)
        self.log.append(record)
        self._records_by_topic[record.topic] += 1

    async def _wait_for(self, occurred_ms: int) -> None:
        """Write what is due and sleep until that event time has come, telling silence meanwhile."""
        while self.clock.first_ms is not None and self.pace.is_early(occurred_ms):
            heartbeat_ms = self.clock.write_heartbeats_until(self.pace.now_ms())
            if heartbeat_ms is not None:
                self.log.write_heartbeats(heartbeat_ms)
            await self._flush()
            pause_seconds = min(
                max(self.pace.wait_seconds(occurred_ms), _SHORTEST_WAIT_SECONDS), _PACE_STEP_SECONDS
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
