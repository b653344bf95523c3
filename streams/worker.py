"""The worker: owns the shards of its partitions, and moves data between Kafka, shards and Redis.

Data flows one way: fetched batch -> shard -> one fenced commit -> Kafka's offsets and the outbox.
Nothing here decides anything about an item.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from faust.types import TP

from policy import PolicyCache
from streams.commit import Commit, StoredShard
from streams.decode import Decoded, DecodeLimits, TopicDecoder
from streams.events import TOPICS
from streams.fold import NO_CLOCK
from streams.outbox import Outgoing
from streams.shard import Shard, ShardSettings
from streams.transport import BatchConsumer, Chunk, RawRecord
from streams.types import Int64Array

log = logging.getLogger("tidegate.worker")

_ROWS_AT_ONCE = 20_000
_CELLS_AT_MOST = 150_000  # changed cells that one commit may carry
_OUTBOX_AT_MOST = 20_000  # records that may wait for Kafka before reading pauses
_PUBLISH_AT_ONCE = 2_000
_BOUNDARIES_AT_ONCE = 10
_PING_SECONDS = 2.0
_FLOOD_ROWS = 20_000  # folded between two commits
_BUSY_SHARE = 0.1  # of the time that building commits may take in a flood


class Claim(Protocol):
    """The right to commit a shard."""

    partition: int
    epoch: int
    sequence: int
    offsets: str


class Store(Protocol):
    """Where shards are kept. `commit` may raise `OSError` or the store's own error when away."""

    async def claim(self, partition: int, generation: int) -> Any:
        """Take a shard over."""

    async def load(self, claim: Any) -> StoredShard | None:
        """Return what is stored."""

    async def commit(self, claim: Any, commit: Commit) -> str:
        """Store, and say "stored" or "fenced"."""

    async def ping(self) -> None:
        """Return if the store answers."""


Publish = Callable[[Sequence[Outgoing]], Awaitable[None]]
"""Writes records to Kafka and returns when all of them are there (acks=all)."""

Beat = Callable[[Sequence[tuple[str, int]], int], Awaitable[None]]
"""Writes a heartbeat of a time to each (topic, partition)."""


class Observer(Protocol):
    """Takes measurements; see `infra.metrics`."""

    def committed(self, seconds: float, visible_seconds: float) -> None:
        """A commit took so long; its newest record became visible so long after it was written."""

    def failed(self, what: str) -> None:
        """Something outside failed and is tried again."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How the worker moves data."""

    commit_interval_s: float = 0.01  # between commits, at the least
    offsets_interval_s: float = 1.0  # between commits of offsets to Kafka
    heartbeat_interval_s: float = 1.0
    live_within_s: float = 300.0  # a log this near to now is live: heartbeats are written to it
    stuck_after_s: float = 60.0  # records wait and none is read: the worker is not alive
    limits: DecodeLimits = field(default_factory=DecodeLimits)
    shard: ShardSettings = field(default_factory=ShardSettings)


@dataclass(slots=True)
class Owned:
    """A shard that this worker owns."""

    shard: Shard
    claim: Any
    stored_offsets: dict[str, int]
    is_dirty: bool = False
    in_flight: Commit | None = None  # sent, and its fate is not known yet
    newest_written_ms: int = -1
    publishable_to: int = 0


class Worker:
    """Owns shards; made by `infra.bootstrap`.

    Args:
        store: where shards are kept.
        publish: writes to output topics.
        beat: writes heartbeats to input topics.
        settings: as above.
        observer: takes measurements.
        unreachable: errors that mean "away for now".
        topic_prefix: in front of every topic's name.
        clock: wall-clock seconds; serves freshness only.
    """

    def __init__(
        self,
        store: Store,
        publish: Publish,
        beat: Beat,
        settings: WorkerSettings,
        observer: Observer,
        *,
        unreachable: tuple[type[Exception], ...] = (OSError,),
        topic_prefix: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._publish = publish
        self._beat = beat
        self._settings = settings
        self._observer = observer
        self._unreachable = unreachable
        self._away: tuple[type[Exception], ...] = (TimeoutError, *unreachable)
        self._prefix = topic_prefix
        self._clock = clock
        self._cache = PolicyCache()
        self._decoders = {topic: TopicDecoder(topic, settings.limits) for topic in TOPICS}
        self._consumer: BatchConsumer | None = None
        self._generation: Callable[[], int] = lambda: 0
        self.owned: dict[int, Owned] = {}
        self._parked: dict[int, Owned] = {}
        self._work = asyncio.Event()
        self._outgoing = asyncio.Event()
        self._overdue = asyncio.Event()
        self._committed = asyncio.Event()
        self._taking_over = asyncio.Lock()
        self._committing = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ready_since: float | None = None
        self.store_failed_since: float | None = None
        self._rows_folded = 0
        self._progress: dict[str, tuple[int, float]] = {}

    # -- life ---------------------------------------------------------------------------------

    def attach(self, consumer: BatchConsumer, generation: Callable[[], int]) -> None:
        """Say which consumer feeds this worker."""
        self._consumer = consumer
        self._generation = generation

    def start(self) -> None:
        """Begin to commit, publish and beat."""
        loops = (
            *(self._commit_loop, self._publish_loop, self._offsets_loop, self._beat_loop),
            *(self._store_loop, self._overdue_loop),
        )
        for loop in loops:
            self._tasks.append(asyncio.create_task(self._forever(loop), name=loop.__name__))

    async def _forever(self, loop: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await loop()
            except self._unreachable as error:
                self._observer.failed(loop.__name__.strip("_"))
                log.warning("%s: %s; trying again", loop.__name__.strip("_"), error)
                await asyncio.sleep(0.5)
            except Exception as error:
                self.fail(error)
                return

    def fail(self, error: BaseException) -> None:
        """Give up: an error that nobody foresaw must not leave half a worker running."""
        log.error("the worker cannot go on", exc_info=error)
        if not self.failed.done():
            self.failed.set_exception(error)

    async def stop(self) -> None:
        """Commit and publish what there is, tell Kafka, and end the tasks."""
        await _end(self._tasks)
        self._tasks = []
        try:
            async with asyncio.timeout(10):
                await self._commit_all()
                await self._publish_all()
                await self._commit_all()
                await self._commit_offsets()
        except self._away as error:
            log.warning("stopped without a last commit, the next worker reads again: %s", error)

    # -- ownership ----------------------------------------------------------------------------

    async def read_from(self, assigned: set[TP]) -> Mapping[TP, int]:
        """Take over the shards of the assigned partitions; return where to read on.

        This is the transport's `ReadFrom`.
        """
        async with self._taking_over:
            wanted = {tp.partition for tp in assigned}
            for partition in [*self.owned, *self._parked]:
                if partition not in wanted:
                    self.owned.pop(partition, None)
                    self._parked.pop(partition, None)
            for partition in sorted(wanted):
                await self._take_over(partition)
            beginnings = await self._beginnings(assigned)
            self.ready_since = self.ready_since or self._clock()
            return {tp: self._next_offset(tp, beginnings.get(tp, 0)) for tp in assigned}

    async def park(self) -> None:
        """Commit what there is before the partitions are assigned anew."""
        try:
            async with asyncio.timeout(5):
                await self._commit_all()
        except self._away as error:
            log.warning("no commit before the rebalance, the next owner reads again: %s", error)
        async with self._taking_over:
            self._parked, self.owned = {**self._parked, **self.owned}, {}
            self.ready_since = None

    async def _take_over(self, partition: int) -> None:
        if partition in self.owned:
            return
        claim = await self._patiently(
            lambda: self._store.claim(partition, self._generation()), "claim"
        )
        parked = self._parked.pop(partition, None)
        if parked and _is_stored(parked) and _same_past(parked.claim, claim):
            self.owned[partition] = Owned(parked.shard, claim, parked.stored_offsets)
        else:
            stored = await self._patiently(lambda: self._store.load(claim), "load")
            shard = Shard(partition, self._settings.shard, self._cache)
            if stored is not None:
                shard.restore(stored)
            self.owned[partition] = Owned(shard, claim, dict(shard.offsets))
        self._resume_outbox(self.owned[partition])
        self._overdue.set()

    async def _patiently(self, attempt: Callable[[], Awaitable[Any]], what: str) -> Any:
        while True:
            try:
                return await attempt()
            except self._unreachable as error:
                self._note_store(ok=False)
                self._observer.failed(what)
                log.warning("%s: %s; trying again", what, error)
                await asyncio.sleep(0.5)

    def _resume_outbox(self, owned: Owned) -> None:
        """What an earlier owner stored and perhaps did not publish goes out now."""
        owned.publishable_to = owned.shard.outbox.next_number
        if len(owned.shard.outbox):
            self._outgoing.set()

    async def _beginnings(self, assigned: set[TP]) -> Mapping[TP, int]:
        fresh = {
            tp for tp in assigned if self._topic(tp) not in self.owned[tp.partition].shard.offsets
        }
        if not fresh or self._consumer is None:
            return {}
        return await self._consumer.earliest(fresh)

    def _next_offset(self, tp: TP, beginning: int) -> int:
        shard = self.owned[tp.partition].shard
        topic = self._topic(tp)
        if topic not in shard.offsets:
            shard.skip_to(topic, beginning)
            if beginning:
                log.warning(
                    "%s/%d begins at offset %d: what was before is not in the state",
                    tp.topic,
                    tp.partition,
                    beginning,
                )
        return shard.offsets[topic]

    def _topic(self, tp: TP) -> str:
        topic: str = tp.topic.removeprefix(self._prefix)
        return topic

    async def _disown(self, lost: Owned) -> None:
        """Somebody else took the shard, or Redis lost it: load it again if it is still ours."""
        partition = lost.shard.partition
        log.warning(
            "shard %d: Redis has another past than this worker; loading it again", partition
        )
        consumer = self._consumer
        async with self._taking_over:
            if self.owned.get(partition) is not lost or consumer is None:
                return
            del self.owned[partition]
            tps = {tp for tp in consumer.assignment() if tp.partition == partition}
            if not tps:
                return
            await self._take_over(partition)
            beginnings = await self._beginnings(tps)
            offsets = {tp: self._next_offset(tp, beginnings.get(tp, 0)) for tp in tps}
        await consumer.read_again(offsets)

    # -- reading ------------------------------------------------------------------------------

    async def take(self, tp: TP, chunks: Sequence[Chunk]) -> None:
        """Fold the chunks of one fetch of one partition.

        Chunks that were folded already are passed over; after a gap the log is read again from
        where the state stands.
        """
        owned = self.owned.get(tp.partition)
        if owned is None:
            return
        topic = self._topic(tp)
        await self._wait_for_room(owned)
        for part in _in_parts(chunks):
            owned = self.owned.get(tp.partition)
            if owned is None:
                return
            expected = owned.shard.offsets.get(topic, 0)
            part = _from_offset(part, expected)
            if not part:
                continue
            if part[0].start > expected:
                await self._mend_gap(tp, owned, expected)
                return
            self._fold(owned, topic, part)
            await self._advance(owned)

    async def _mend_gap(self, tp: TP, owned: Owned, expected: int) -> None:
        """Read again from where the state stands, or, if the log has lost that, from its start."""
        if self._consumer is None:
            return
        beginning = (await self._consumer.earliest({tp}))[tp]
        if beginning > expected:
            log.warning("%s/%d: lost %d to %d", tp.topic, tp.partition, expected, beginning)
            owned.shard.skip_to(self._topic(tp), beginning)
            owned.is_dirty = True
            expected = beginning
        else:
            log.warning("%s/%d: gap at %d, reading again", tp.topic, tp.partition, expected)
        await self._consumer.read_again({tp: expected})

    async def _wait_for_room(self, owned: Owned) -> None:
        """Backpressure: nothing more is read while a commit or Kafka is behind."""
        while (
            owned.shard.changed_cells() > _CELLS_AT_MOST
            or len(owned.shard.outbox) > _OUTBOX_AT_MOST
        ) and self.owned.get(owned.shard.partition) is owned:
            self._committed.clear()
            self._work.set()
            await self._committed.wait()

    def _fold(self, owned: Owned, topic: str, part: Sequence[Chunk]) -> None:
        values = part[0].values if len(part) == 1 else [v for chunk in part for v in chunk.values]
        decoded = self._decoders[topic].decode(values, _written_ms(part))
        folded = owned.shard.fold(topic, decoded, part[-1].next_offset)
        if decoded.rejects or folded.late_rows:
            self._set_aside(owned.shard, topic, part, decoded, folded.late_rows)
        self._rows_folded += len(values)
        owned.newest_written_ms = max(owned.newest_written_ms, part[-1].written_ms)
        owned.is_dirty = True
        self._work.set()

    def _set_aside(
        self,
        shard: Shard,
        topic: str,
        part: Sequence[Chunk],
        decoded: Decoded,
        late_rows: Sequence[int],
    ) -> None:
        """Send bad and late records, byte for byte, to their topics."""
        records = [record for chunk in part for record in chunk.records()]
        for reject in decoded.rejects:
            headers = _failure_headers(
                self._prefix + topic,
                shard.partition,
                records[reject.row],
                reject.code,
                reject.message,
            )
            shard.outbox.put(_copy(f"{topic}.dlt", records[reject.row], headers))
        for row in late_rows:
            message = "occurred_at must be within the grace period of its topic's clock"
            headers = _failure_headers(
                self._prefix + topic, shard.partition, records[row], "late", message
            )
            shard.outbox.put(_copy(f"{topic}.late", records[row], headers))

    async def _advance(self, owned: Owned) -> None:
        before_ms = owned.shard.timeline.applied_ms
        while not owned.shard.advance(_BOUNDARIES_AT_ONCE):
            owned.is_dirty = True
            self._work.set()
            await asyncio.sleep(0)
            await self._wait_for_room(owned)
            if self.owned.get(owned.shard.partition) is not owned:
                return
        if owned.shard.timeline.applied_ms != before_ms:
            owned.is_dirty = True
            self._work.set()

    async def _overdue_loop(self) -> None:
        """Go on deciding where an earlier owner ended: perhaps nothing more will ever be read."""
        while True:
            await self._overdue.wait()
            self._overdue.clear()
            for owned in list(self.owned.values()):
                await self._advance(owned)

    # -- committing ---------------------------------------------------------------------------

    async def _commit_loop(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            rows, self._rows_folded = self._rows_folded, 0
            busy = await self._commit_all()
            # A flood is committed in few large pieces, a trickle at once.
            pause = busy / _BUSY_SHARE if rows > _FLOOD_ROWS else 0.0
            await asyncio.sleep(max(self._settings.commit_interval_s, pause))

    async def _commit_all(self) -> float:
        """Commit every changed shard; return the seconds that this took from the event loop."""
        async with self._committing:
            return sum(await asyncio.gather(*map(self._commit, list(self.owned.values()))))

    async def _commit(self, owned: Owned) -> float:
        if owned.in_flight is None and not owned.is_dirty:
            return 0.0
        started = time.perf_counter()
        written_ms = owned.newest_written_ms
        if owned.in_flight is None:
            owned.is_dirty = False
            owned.in_flight = owned.shard.take_commit()
        commit = owned.in_flight
        busy = time.perf_counter() - started
        verdict = await self._patiently(lambda: self._store.commit(owned.claim, commit), "commit")
        owned.in_flight = None
        self._note_store(ok=True)
        self._committed.set()
        if verdict != "stored":
            await self._disown(owned)
            return busy
        owned.stored_offsets = commit.offsets
        owned.publishable_to = commit.outbox_stored_to
        if len(owned.shard.outbox):
            self._outgoing.set()
        visible = self._clock() - written_ms / 1000 if written_ms > 0 else 0.0
        self._observer.committed(time.perf_counter() - started, visible)
        return busy

    def _note_store(self, *, ok: bool) -> None:
        if ok:
            self.store_failed_since = None
        elif self.store_failed_since is None:
            self.store_failed_since = self._clock()

    async def _store_loop(self) -> None:
        """Ask the store now and then, so that an idle worker knows too when it is away."""
        while True:
            await asyncio.sleep(_PING_SECONDS)
            await self._patiently(self._store.ping, "ping")
            self._note_store(ok=True)

    async def _offsets_loop(self) -> None:
        while True:
            await asyncio.sleep(self._settings.offsets_interval_s)
            await self._commit_offsets()

    async def _commit_offsets(self) -> None:
        """Tell Kafka what Redis has: Kafka is only ever behind Redis."""
        offsets = {
            TP(self._prefix + topic, partition): offset
            for partition, owned in self.owned.items()
            for topic, offset in owned.stored_offsets.items()
        }
        if offsets and self._consumer is not None:
            await self._consumer.commit_stored(offsets)

    # -- writing ------------------------------------------------------------------------------

    async def _publish_loop(self) -> None:
        while True:
            await self._outgoing.wait()
            self._outgoing.clear()
            await self._publish_all()

    async def _publish_all(self) -> None:
        for owned in list(self.owned.values()):
            outbox = owned.shard.outbox
            while batch := outbox.stored_before(owned.publishable_to, _PUBLISH_AT_ONCE):
                try:
                    await self._publish([outgoing for _, outgoing in batch])
                except BaseException:
                    self._outgoing.set()
                    raise
                outbox.published([number for number, _ in batch])
                owned.is_dirty = True
                self._work.set()

    async def _beat_loop(self) -> None:
        while True:
            await asyncio.sleep(self._settings.heartbeat_interval_s)
            now_ms = int(self._clock() * 1000)
            if self.owned and self.is_live(now_ms):
                targets = [(topic, partition) for partition in self.owned for topic in TOPICS]
                await self._beat(targets, now_ms)

    def is_live(self, now_ms: int) -> bool:
        """Whether the logs are near to now, as against a replay of old events."""
        newest = max(
            (max(owned.shard.clocks.values()) for owned in self.owned.values()), default=NO_CLOCK
        )
        return abs(now_ms - newest) <= self._settings.live_within_s * 1000

    # -- health -------------------------------------------------------------------------------

    @property
    def shards(self) -> list[Shard]:
        """The shards that this worker owns now."""
        return [owned.shard for owned in self.owned.values()]

    def lag_seconds(self) -> dict[int, float]:
        """How long ago the newest record that is stored was written, where others wait; else 0."""
        now, lags = self._clock(), self.lag_records()
        return {
            partition: max(0.0, now - owned.newest_written_ms / 1000)
            if any(lags.get((topic, partition)) for topic in TOPICS) and owned.newest_written_ms > 0
            else 0.0
            for partition, owned in self.owned.items()
        }

    def lag_records(self) -> dict[tuple[str, int], int]:
        """Records in each input partition that are not stored yet, as far as Kafka has told."""
        lags = {}
        if self._consumer is not None:
            for partition, owned in self.owned.items():
                for topic in TOPICS:
                    end = self._consumer.highwater(TP(self._prefix + topic, partition)) or 0
                    lags[topic, partition] = max(0, end - owned.stored_offsets.get(topic, 0))
        return lags

    def stuck_for_s(self) -> float:
        """Seconds for which records waited somewhere and none was read; 0: none waits."""
        now = self._clock()
        longest = 0.0
        for (topic, partition), lag in self.lag_records().items():
            position = self.owned[partition].shard.offsets.get(topic, 0)
            name = f"{topic}/{partition}"
            before = self._progress.get(name)
            if before is None or before[0] != position or not lag:
                self._progress[name] = (position, now)
            else:
                longest = max(longest, now - before[1])
        return longest

    def faults(self) -> list[str]:
        """Why this worker is not ready, in words; empty when it is."""
        faults = []
        if self.ready_since is None:
            faults.append("no partitions are assigned yet")
        if self.store_failed_since is not None:
            away_s = self._clock() - self.store_failed_since
            faults.append(f"Redis has not answered for {away_s:.0f} s")
        return faults

    def is_alive(self) -> bool:
        """Whether reading goes on."""
        return self.stuck_for_s() < self._settings.stuck_after_s


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended.

    On Python 3.11 `asyncio.wait_for`, through which the Redis client sends, can swallow one.
    """
    waiting = set(tasks)
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=0.5)


def _is_stored(owned: Owned) -> bool:
    return not owned.is_dirty and owned.in_flight is None


def _same_past(before: Claim, now: Claim) -> bool:
    return before.sequence == now.sequence and before.offsets == now.offsets and now.sequence > 0


def _in_parts(chunks: Sequence[Chunk]) -> Iterable[list[Chunk]]:
    """Cut a fetch into parts small enough for the cache, at the borders of its chunks."""
    part: list[Chunk] = []
    rows = 0
    for chunk in chunks:
        part.append(chunk)
        rows += len(chunk.values)
        if rows >= _ROWS_AT_ONCE:
            yield part
            part, rows = [], 0
    if part:
        yield part


def _from_offset(part: Sequence[Chunk], offset: int) -> list[Chunk]:
    """Return the chunks without the records before an offset."""
    kept = []
    for chunk in part:
        if chunk.next_offset <= offset:
            continue
        if chunk.start < offset:
            values = [record.value for record in chunk.records() if record.offset >= offset]
            chunk = Chunk(values, offset, chunk.next_offset, chunk.written_ms, chunk.raw)
        kept.append(chunk)
    return kept


def _written_ms(part: Sequence[Chunk]) -> Int64Array:
    return np.repeat(
        np.array([chunk.written_ms for chunk in part], np.int64),
        [len(chunk.values) for chunk in part],
    )


def _copy(topic: str, record: RawRecord, headers: list[tuple[str, bytes]]) -> Outgoing:
    return Outgoing(topic, record.key, record.value, [*record.headers, *headers])


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
        ("tidegate-error-code", str(code).encode()),
    ]
