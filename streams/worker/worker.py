"""The worker: owns the shards of its partitions, and moves data between Kafka, shards and Redis.

Data flows one way: fetched batch -> shard -> one fenced commit -> Kafka's offsets and the outbox.
Nothing here decides anything about an item.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from faust.types import TP

from policy import PolicyCache
from streams.contracts.events import TOPICS
from streams.contracts.outgoing import OutboxRecord
from streams.handover.gate import Gate, GateThresholds
from streams.handover.rules import Controls, HoldReason, Limits
from streams.ingest.chunks import from_offset, in_parts, values_of, written_ms
from streams.ingest.dead_letters import set_aside
from streams.ingest.decode import DecodeLimits, TopicDecoder
from streams.ingest.transport import BatchConsumer, Chunk
from streams.shard.checkpoint import restore, take_commit
from streams.shard.shard import Shard, ShardSettings
from streams.timestamps import NO_CLOCK
from streams.worker.lag import Progress
from streams.worker.order_release import OrderRelease
from streams.worker.ports import (
    Lease,
    NoRecorder,
    Observer,
    Publish,
    Recorder,
    Store,
    WriteHeartbeats,
)
from streams.worker.shard_task import ShardTask

log = logging.getLogger("tidegate.worker")

_PUBLISH_AT_ONCE = 2_000
_BOUNDARIES_AT_ONCE = 10
_PING_SECONDS = 2.0
_LOOK_SECONDS = 0.25  # between looks at whether held orders may go
_FLOOD_ROWS = 20_000  # folded between two commits
_BUSY_SHARE = 0.1  # of the time that building commits may take in a flood


_NO_CONTROLS = Controls()
_OF_AN_ORDER = frozenset(
    {
        *(HoldReason.STALE_STOCK, HoldReason.HELD, HoldReason.APPROVAL),
        *(HoldReason.CAP_UNITS, HoldReason.CAP_AMOUNT),
    }
)


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How the worker moves data."""

    commit_interval_s: float = 0.01  # between commits, at the least
    offsets_interval_s: float = 1.0  # between commits of offsets to Kafka
    heartbeat_interval_s: float = 1.0
    live_within_s: float = 300.0  # a log this near to now is live: heartbeats are written to it
    stuck_after_s: float = 60.0  # records wait and none is read: the worker is not alive
    limits: DecodeLimits = field(default_factory=DecodeLimits)
    handover: GateThresholds = field(default_factory=GateThresholds)
    order_limits: Limits = field(default_factory=Limits)
    shard: ShardSettings = field(default_factory=ShardSettings)


class Worker:
    """Owns shards; made by `infra.bootstrap`.

    Args:
        store: where shards are kept.
        publish: writes to output topics.
        write_heartbeats: writes heartbeats to input topics.
        settings: as above.
        observer: takes measurements.
        unreachable: errors that mean "away for now".
        topic_prefix: in front of every topic's name.
        clock: wall-clock seconds; serves freshness only.
        controls: returns what people have ordered; the same object as long as that is the same.
        recorder: takes what has to be known later about the hand-over.
        cache: solved policies, to be shared with other workers; none: its own.
    """

    def __init__(
        self,
        store: Store,
        publish: Publish,
        write_heartbeats: WriteHeartbeats,
        settings: WorkerSettings,
        observer: Observer,
        *,
        unreachable: tuple[type[Exception], ...] = (OSError,),
        topic_prefix: str = "",
        clock: Callable[[], float] = time.time,
        controls: Callable[[], Controls] = lambda: _NO_CONTROLS,
        recorder: Recorder | None = None,
        cache: PolicyCache | None = None,
    ) -> None:
        self._store = store
        self._publish = publish
        self._write_heartbeats = write_heartbeats
        self._settings = settings
        self._observer = observer
        self._unreachable = unreachable
        self._away: tuple[type[Exception], ...] = (TimeoutError, *unreachable)
        self._prefix = topic_prefix
        self._clock = clock
        self.controls = controls
        review = settings.shard.timeline.review
        self._release = OrderRelease(
            settings.handover,
            settings.order_limits,
            settings.live_within_s,
            review.stock_valid_ms,
            controls,
            recorder or NoRecorder(),
            clock,
        )
        self._cache = PolicyCache() if cache is None else cache
        self._decoders = {topic: TopicDecoder(topic, settings.limits) for topic in TOPICS}
        self._consumer: BatchConsumer | None = None
        self._generation: Callable[[], int] = lambda: 0
        self.tasks: dict[int, ShardTask] = {}
        self.progress = Progress(self.tasks, topic_prefix, clock)
        self._parked: dict[int, ShardTask] = {}
        self._work = asyncio.Event()
        self._outgoing = asyncio.Event()
        self._overdue = asyncio.Event()
        self._committed = asyncio.Event()
        self._taking_over = asyncio.Lock()
        self._committing = asyncio.Lock()
        self._loops: list[asyncio.Task[None]] = []
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ready_since: float | None = None
        self.store_failed_since: float | None = None
        self._parked_since: float | None = None
        self._rows_folded = 0

    # -- life ---------------------------------------------------------------------------------

    def attach(self, consumer: BatchConsumer, generation: Callable[[], int]) -> None:
        """Say which consumer feeds this worker."""
        self._consumer = self.progress.consumer = consumer
        self._generation = generation

    def start(self) -> None:
        """Begin to commit, publish and write heartbeats."""
        loops = (
            *(self._commit_loop, self._publish_loop, self._offsets_loop, self._heartbeat_loop),
            *(self._store_loop, self._overdue_loop, self._gate_loop),
        )
        for loop in loops:
            self._loops.append(asyncio.create_task(self._forever(loop), name=loop.__name__))

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
        await _end(self._loops)
        self._loops = []
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
            for partition in [*self.tasks, *self._parked]:
                if partition not in wanted:
                    self.tasks.pop(partition, None)
                    self._parked.pop(partition, None)
            for partition in sorted(wanted):
                await self._take_over(partition)
            beginnings = await self._beginnings(assigned)
            self.ready_since = self.ready_since or self._clock()
            self._parked_since = None
            return {tp: self._next_offset(tp, beginnings.get(tp, 0)) for tp in assigned}

    async def park(self) -> None:
        """Commit what there is before the partitions are assigned anew."""
        try:
            async with asyncio.timeout(5):
                await self._commit_all()
        except self._away as error:
            log.warning("no commit before the rebalance, the next owner reads again: %s", error)
        async with self._taking_over:
            self._parked.update(self.tasks)
            self.tasks.clear()
            self.ready_since = None
            self._parked_since = self._parked_since or self._clock()

    async def _take_over(self, partition: int) -> None:
        if partition in self.tasks:
            return
        parked = self._parked.pop(partition, None)
        task = await self._patiently(lambda: self._acquire(partition, parked), "lease")
        self.tasks[partition] = task
        self._resume_outbox(task)
        self._overdue.set()

    async def _acquire(self, partition: int, parked: ShardTask | None) -> ShardTask:
        """Lease a shard and load it, unless it is parked here and nothing happened to it since.

        A shard can move to somebody else between the two; then both are tried again.
        """
        lease = await self._store.acquire(partition, self._generation())
        if parked and parked.is_stored and _same_past(parked.lease, lease):
            self._store.resume(lease, parked.lease)
            parked.lease = lease
            self._release.shut(parked)
            return parked  # itself: who is publishing for it will say so there
        stored = await self._store.load(lease)
        shard = Shard(partition, self._settings.shard, self._cache)
        if stored is not None:
            restore(shard, stored)
        return ShardTask(shard, lease, dict(shard.offsets), Gate(self._settings.handover))

    async def _patiently(self, attempt: Callable[[], Awaitable[Any]], what: str) -> Any:
        while True:
            try:
                return await attempt()
            except self._unreachable as error:
                self._note_store(ok=False)
                self._observer.failed(what)
                log.warning("%s: %s; trying again", what, error)
                await asyncio.sleep(0.5)

    def _resume_outbox(self, task: ShardTask) -> None:
        """What an earlier owner stored and perhaps did not publish goes out now."""
        task.publishable_to = task.shard.outbox.next_number
        if len(task.shard.outbox):
            self._outgoing.set()

    async def _beginnings(self, assigned: set[TP]) -> Mapping[TP, int]:
        fresh = {
            tp for tp in assigned if self._topic(tp) not in self.tasks[tp.partition].shard.offsets
        }
        if not fresh or self._consumer is None:
            return {}
        return await self._consumer.earliest(fresh)

    def _next_offset(self, tp: TP, beginning: int) -> int:
        shard = self.tasks[tp.partition].shard
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

    async def _disown(self, lost: ShardTask) -> None:
        """Somebody else took the shard, or Redis lost it: load it again if it is still ours."""
        partition = lost.shard.partition
        log.warning(
            "shard %d: Redis has another past than this worker; loading it again", partition
        )
        consumer = self._consumer
        async with self._taking_over:
            if self.tasks.get(partition) is not lost or consumer is None:
                return
            del self.tasks[partition]
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
        task = self.tasks.get(tp.partition)
        if task is None:
            return
        topic = self._topic(tp)
        await self._wait_for_room(task)
        for part in in_parts(chunks):
            task = self.tasks.get(tp.partition)
            if task is None:
                return
            expected = task.shard.offsets.get(topic, 0)
            part = from_offset(part, expected)
            if not part:
                continue
            if part[0].start > expected:
                await self._mend_gap(tp, task, expected)
                return
            self._fold(task, topic, part)
            await self._advance(task)

    async def _mend_gap(self, tp: TP, task: ShardTask, expected: int) -> None:
        """Read again from where the state stands, or, if the log has lost that, from its start."""
        if self._consumer is None:
            return
        beginning = (await self._consumer.earliest({tp}))[tp]
        if beginning > expected:
            log.warning("%s/%d: lost %d to %d", tp.topic, tp.partition, expected, beginning)
            task.shard.skip_to(self._topic(tp), beginning)
            task.is_dirty = True
            expected = beginning
        else:
            log.warning("%s/%d: gap at %d, reading again", tp.topic, tp.partition, expected)
        await self._consumer.read_again({tp: expected})

    async def _wait_for_room(self, task: ShardTask) -> None:
        """Backpressure: nothing more is read while a commit or Kafka is behind."""
        while not task.has_room and self.tasks.get(task.shard.partition) is task:
            self._committed.clear()
            self._work.set()
            await self._committed.wait()

    def _fold(self, task: ShardTask, topic: str, part: Sequence[Chunk]) -> None:
        values = values_of(part)
        decoded = self._decoders[topic].decode(values, written_ms(part))
        folded = task.shard.fold(topic, decoded, part[-1].next_offset)
        if decoded.rejects or folded.late_rows:
            source, partition = self._prefix + topic, task.shard.partition
            for copy in set_aside(
                topic, source, partition, part, decoded.rejects, folded.late_rows
            ):
                task.shard.outbox.put(copy)
        self._rows_folded += len(values)
        task.newest_written_ms = max(task.newest_written_ms, part[-1].written_ms)
        task.written_ms[topic] = part[-1].written_ms
        task.is_dirty = True
        self._work.set()

    async def _advance(self, task: ShardTask) -> None:
        before_ms = task.shard.timeline.applied_ms
        while not task.shard.advance(_BOUNDARIES_AT_ONCE):
            task.is_dirty = True
            self._work.set()
            await asyncio.sleep(0)
            await self._wait_for_room(task)
            if self.tasks.get(task.shard.partition) is not task:
                return
        if task.shard.timeline.applied_ms != before_ms:
            task.is_dirty = True
            self._work.set()

    async def _overdue_loop(self) -> None:
        """Go on deciding where an earlier owner ended: perhaps nothing more will ever be read."""
        while True:
            await self._overdue.wait()
            self._overdue.clear()
            for task in list(self.tasks.values()):
                await self._advance(task)

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
            return sum(await asyncio.gather(*map(self._commit, list(self.tasks.values()))))

    async def _commit(self, task: ShardTask) -> float:
        if task.in_flight is None and not task.is_dirty:
            return 0.0
        started = time.perf_counter()
        newest_ms = task.newest_written_ms
        if task.in_flight is None:
            task.is_dirty = False
            task.in_flight = take_commit(task.shard)
        commit = task.in_flight
        busy = time.perf_counter() - started
        outcome = await self._patiently(lambda: self._store.commit(task.lease, commit), "commit")
        task.in_flight = None
        self._note_store(ok=True)
        self._committed.set()
        if outcome != "stored":
            await self._disown(task)
            return busy
        task.stored_offsets = commit.offsets
        task.publishable_to = commit.outbox_stored_to
        if len(task.shard.outbox):
            self._outgoing.set()
        visible = self._clock() - newest_ms / 1000 if newest_ms > 0 else 0.0
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
            for task in list(self.tasks.values()):
                await self._require_known_past(task)

    async def _require_known_past(self, task: ShardTask) -> None:
        """Load a shard again of which the store has another past: a store that came back older.

        The next commit would notice it, too; where nothing more is read, there is none.
        """
        async with self._committing:
            if task.in_flight is None and not await self._patiently(
                lambda: self._store.is_current(task.lease), "ping"
            ):
                await self._disown(task)

    async def _offsets_loop(self) -> None:
        while True:
            await asyncio.sleep(self._settings.offsets_interval_s)
            await self._commit_offsets()

    async def _commit_offsets(self) -> None:
        """Tell Kafka what Redis has: Kafka is only ever behind Redis."""
        offsets = {
            TP(self._prefix + topic, partition): offset
            for partition, task in self.tasks.items()
            for topic, offset in task.stored_offsets.items()
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
        for task in list(self.tasks.values()):
            while batch := self._free_to_go(task):
                await self._let_go(task, batch)
            await self._hand_over(task)

    def _free_to_go(self, task: ShardTask) -> list[tuple[int, OutboxRecord]]:
        """Records that no gate holds. While the store is away alerts do not wait for it.

        An alert follows from the log alone: lost with this worker, it is made again, byte for byte.
        """
        outbox = task.shard.outbox
        batch = outbox.stored_before(task.publishable_to, _PUBLISH_AT_ONCE)
        if not batch and self.store_failed_since is not None:
            return outbox.alerts(_PUBLISH_AT_ONCE)
        return batch

    async def _let_go(
        self, task: ShardTask, batch: Sequence[tuple[int, OutboxRecord]], *, is_wanted: bool = True
    ) -> None:
        """Publish records, unless nobody wants them any more, and let the outbox forget them.

        It forgets an order only once that is written down: after a crash in between the next owner
        does both again, with the same bytes under the same id.
        """
        try:
            if is_wanted:
                await self._publish([outgoing for _, outgoing in batch])
            await self._release.note_left(batch)
        except BaseException:
            self._outgoing.set()
            task.judgement = None
            raise
        task.shard.outbox.published([number for number, _ in batch])
        task.is_dirty = True
        self._work.set()

    # -- hand-over ----------------------------------------------------------------------------

    async def _gate_loop(self) -> None:
        """Look whether the gates have moved, and wake the publishing where they have."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for task in list(self.tasks.values()):
                self._look(task)
                if self._release.has_to_judge(task) or self.store_failed_since is not None:
                    self._outgoing.set()

    def _look(self, task: ShardTask) -> None:
        """Let the gate of a partition see how things stand."""
        is_store_away = self.store_failed_since is not None
        self._release.look(task, self.progress.lags(task), is_store_away=is_store_away)

    async def _hand_over(self, task: ShardTask) -> None:
        """Publish the orders that may go; the others stay where they are."""
        self._look(task)
        for batch, is_wanted in self._release.leaving(task):
            await self._let_go(task, batch, is_wanted=is_wanted)
            self._look(task)
        if task.judgement is None:
            self._outgoing.set()
        if task.is_dirty:
            self._work.set()

    async def _heartbeat_loop(self) -> None:
        while True:
            await asyncio.sleep(self._settings.heartbeat_interval_s)
            now_ms = int(self._clock() * 1000)
            if self.tasks and self.is_live(now_ms):
                targets = [(topic, partition) for partition in self.tasks for topic in TOPICS]
                await self._write_heartbeats(targets, now_ms)
                self._note_heartbeat(now_ms)

    def _note_heartbeat(self, now_ms: int) -> None:
        for task in self.tasks.values():
            if task.unread_heartbeat_ms <= min(task.shard.clocks.values()):
                task.unread_heartbeat_ms = now_ms

    def is_live(self, now_ms: int) -> bool:
        """Whether the logs are near to now, as against a replay of old events."""
        newest = max(
            (max(task.shard.clocks.values()) for task in self.tasks.values()), default=NO_CLOCK
        )
        return abs(now_ms - newest) <= self._settings.live_within_s * 1000

    # -- health -------------------------------------------------------------------------------

    @property
    def shards(self) -> list[Shard]:
        """The shards that this worker owns now."""
        return [task.shard for task in self.tasks.values()]

    def holds(self) -> list[str]:
        """Why purchase orders wait, in words; empty when they go out."""
        said = []
        for partition, task in sorted(self.tasks.items()):
            if task.gate.reasons:
                said.append(f"partition {partition}: {', '.join(task.gate.reasons)}")
            said += [
                f"partition {partition}: {count} orders wait, {reason}"
                for reason, count in sorted(Counter(task.held.values()).items())
                if reason in _OF_AN_ORDER
            ]
        for pause in self.controls().pauses:
            what = [f"{name} {text}" for name, text in pause.names().items()] or ["everything"]
            said.append(f"paused by {pause.who}, {', '.join(what)}: {pause.why}")
        return said

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
        """Whether reading goes on, or is about to, as in a rebalance.

        While the store is away it rests: a restart mends nothing.
        """
        stuck_s = self.progress.stuck_for_s()  # asked in any case: it notes what has moved
        if self._parked_since is not None:
            stuck_s = max(stuck_s, self._clock() - self._parked_since)
        return self.store_failed_since is not None or stuck_s < self._settings.stuck_after_s


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended.

    On Python 3.11 `asyncio.wait_for`, through which the Redis client sends, can swallow one.
    """
    waiting = set(tasks)
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=0.5)


def _same_past(before: Lease, now: Lease) -> bool:
    """Whether nobody else committed in between; two histories can come to the same numbers."""
    stands = before.sequence, before.offsets, before.writer
    return stands == (now.sequence, now.offsets, now.writer) and now.sequence > 0
