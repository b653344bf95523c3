"""The worker: owns the shards of its partitions, and moves data between Kafka, shards and Redis.

Data flows one way: fetched batch -> shard -> one fenced commit -> Kafka's offsets and the outbox.
`Worker` reads; `ownership` takes shards over, `committer` stores them, `publisher` publishes, and
`heartbeats` keeps event time going. Nothing here decides anything about an item.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from faust.types import TP

from policy import PolicyCache
from streams.contracts.events import TOPICS
from streams.contracts.topics import COMPACTED, GROUP_FACTS
from streams.handover.rules import Controls, HoldReason
from streams.ingest.chunks import from_offset, in_parts, keys_of, written_ms
from streams.ingest.dead_letters import side_exit_records
from streams.ingest.decode import Reject, RejectCode, TopicDecoder
from streams.ingest.placement import Place, refuse_misplaced
from streams.ingest.tombstones import read_values
from streams.ingest.transport import BatchConsumer, Chunk
from streams.settings import WorkerSettings
from streams.shard.shard import Shard
from streams.worker.committer import Committer
from streams.worker.heartbeats import Heartbeats
from streams.worker.lag import Progress
from streams.worker.log_watch import LogWatch, ReadFirst, ReadIdentities, nothing_stored
from streams.worker.order_release import OrderRelease
from streams.worker.ownership import Ownership, note_loss
from streams.worker.ports import NoRecorder, Observer, Publish, Recorder, Store, WriteHeartbeats
from streams.worker.publisher import Publisher
from streams.worker.shard_task import ShardTask
from streams.worker.shared import Shared, Signals, Source, StoreHealth

log = logging.getLogger("tidegate.worker")

_BOUNDARIES_AT_ONCE = 10


_NO_CONTROLS = Controls()
_OF_AN_ORDER = frozenset(
    {
        *(HoldReason.STALE_STOCK, HoldReason.HELD, HoldReason.APPROVAL),
        *(HoldReason.CAP_UNITS, HoldReason.CAP_AMOUNT),
    }
)


class Worker:
    """Reads, and holds the parts that do the rest; made by `infra.bootstrap`.

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
        cache: solved policies, to be shared with other workers; None means one of its own.
        partitions: of each input topic; None means that nobody asks whether records lie right.
        read_identities: what the topics are now; None means that nobody watches the logs.
        read_first: what the logs of shard 0 were when it began.
        explain: says what an error of the store means and what mends it.
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
        explain: Callable[[Exception], str] = str,
        partitions: int | None = None,
        read_identities: ReadIdentities | None = None,
        read_first: ReadFirst = nothing_stored,
    ) -> None:
        self._settings = settings
        self._partitions = partitions
        self._observer = observer
        self._unreachable = unreachable
        self._away: tuple[type[Exception], ...] = (TimeoutError, *unreachable)
        self._clock = clock
        self.controls = controls
        self._decoders = {topic: TopicDecoder(topic, settings.limits) for topic in TOPICS}
        self.tasks: dict[int, ShardTask] = {}
        self.signals = Signals()
        self.progress = Progress(self.tasks, topic_prefix, clock)
        self.store_health = StoreHealth(unreachable, observer, clock, explain)
        self._source = Source(topic_prefix)
        shared = Shared(self._source, self.store_health, self.tasks, self.signals, clock)
        self.release = OrderRelease(
            settings.handover,
            settings.order_limits,
            settings.live_within_s,
            settings.shard.timeline.review.stock_valid_ms,
            controls,
            recorder or NoRecorder(),
            clock,
        )
        cache = PolicyCache() if cache is None else cache
        self._watch = None
        if read_identities is not None:
            self._watch = LogWatch(read_identities, read_first, shared, self._away)
        timeline = replace(settings.shard.timeline, partitions=partitions or 1)
        shard_settings = replace(settings.shard, timeline=timeline)
        self._ownership = Ownership(
            store, shared, self.release, shard_settings, cache, self._look_at_logs
        )
        self._committer = Committer(
            store,
            shared,
            self._ownership.disown,
            observer,
            commit_interval_s=settings.commit_interval_s,
            offsets_interval_s=settings.offsets_interval_s,
        )
        self._publisher = Publisher(publish, self.release, self.progress, shared)
        self._heartbeats = Heartbeats(
            write_heartbeats,
            self.tasks,
            interval_s=settings.heartbeat_interval_s,
            live_within_s=settings.live_within_s,
            clock=clock,
        )
        self._loops: list[asyncio.Task[None]] = []
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # -- life ---------------------------------------------------------------------------------

    def attach(self, consumer: BatchConsumer, generation: Callable[[], int]) -> None:
        """Say which consumer feeds this worker."""
        self._source.consumer = self.progress.consumer = consumer
        self._source.generation = generation

    def start(self) -> None:
        """Begin to commit, publish and write heartbeats."""
        committer, publisher = self._committer, self._publisher
        loops = (
            *(committer.commit_loop, publisher.publish_loop, committer.offsets_loop),
            *(self._heartbeats.heartbeat_loop, committer.store_loop),
            *(self._overdue_loop, publisher.gate_loop),
            *([] if self._watch is None else [self._watch.watch_loop]),
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
                await self._committer.commit_all()
                await self._publisher.publish_all()
                await self._committer.commit_all()
                await self._committer.commit_offsets()
        except self._away as error:
            log.warning("stopped without a last commit, the next worker reads again: %s", error)

    async def _look_at_logs(self) -> None:
        if self._watch is not None:
            await self._watch.look_if_possible()

    async def read_from(self, assigned: set[TP]) -> Mapping[TP, int]:
        """Take over the shards of the assigned partitions; return where to read on."""
        return await self._ownership.read_from(assigned)

    async def park(self) -> None:
        """Commit what there is before the partitions are assigned anew, and keep it aside."""
        try:
            async with asyncio.timeout(5):
                await self._committer.commit_all()
        except self._away as error:
            log.warning("no commit before the rebalance, the next owner reads again: %s", error)
        await self._ownership.park()

    # -- reading ------------------------------------------------------------------------------

    async def take(self, tp: TP, chunks: Sequence[Chunk]) -> None:
        """Fold the chunks of one fetch of one partition.

        Chunks that were folded already are passed over; after a gap the log is read again from
        where the state stands.
        """
        task = self.tasks.get(tp.partition)
        if task is None:
            return
        topic = self._source.topic(tp)
        await self._wait_for_room(task)
        for part in in_parts(chunks):
            task = self.tasks.get(tp.partition)
            if task is None:
                return
            expected = task.shard.offsets.get(topic, 0)
            if topic in task.changed_logs:
                return
            part = from_offset(part, expected)
            if not part:
                self.signals.strange_log.set()  # as when the log is shorter, and begins anew
                continue
            if part[0].start > expected:
                await self._mend_gap(tp, task, expected)
                return
            self._fold(task, topic, part)
            await self._advance(task)

    async def _mend_gap(self, tp: TP, task: ShardTask, expected: int) -> None:
        """Read again from where the state stands, or, if the log has lost that, from its start."""
        consumer = self._source.consumer
        if consumer is None:
            return
        beginning = (await consumer.earliest({tp}))[tp]
        if beginning > expected:
            await self._look_at_logs()
            if self._source.topic(tp) in task.changed_logs:
                return
            note_loss(task, tp, self._source.topic(tp), beginning)
            expected = beginning
        else:
            log.warning("%s/%d: gap at %d, reading again", tp.topic, tp.partition, expected)
        await consumer.read_again({tp: expected})

    async def _wait_for_room(self, task: ShardTask) -> None:
        """Backpressure: nothing more is read while a commit or Kafka is behind."""
        while not task.has_room and self.tasks.get(task.shard.partition) is task:
            self.signals.committed.clear()
            self.signals.work.set()
            await self.signals.committed.wait()

    def _fold(self, task: ShardTask, topic: str, part: Sequence[Chunk]) -> None:
        if topic == GROUP_FACTS:
            self._fold_facts(task, part)
            return
        place = Place(task.shard.partition, self._partitions or 1)
        values = read_values(topic, part, place)
        decoded = self._decoders[topic].decode(values, written_ms(part))
        keys = keys_of(part)
        if self._partitions is not None and keys is not None:
            is_compacted = topic in COMPACTED
            decoded = refuse_misplaced(decoded, keys, place, is_compacted=is_compacted)
        folded = task.shard.fold(topic, decoded, part[-1].next_offset)
        rejects = [*decoded.rejects, *map(_reused, folded.reused_rows)]
        if rejects or folded.late_rows:
            source, partition = self._source.topic_prefix + topic, task.shard.partition
            for copy in side_exit_records(
                topic, source, partition, part, rejects, folded.late_rows
            ):
                task.shard.outbox.put(copy)
        self._committer.note_folded(len(values))
        task.newest_written_ms = max(task.newest_written_ms, part[-1].written_ms)
        task.written_ms[topic] = part[-1].written_ms
        task.is_dirty = True
        self.signals.work.set()

    def _fold_facts(self, task: ShardTask, part: Sequence[Chunk]) -> None:
        for chunk in part:
            if len(chunk.values) == chunk.next_offset - chunk.start:
                task.shard.fold_facts(chunk.values, chunk.start, chunk.next_offset)
                continue
            for record in chunk.records():  # after a gap
                task.shard.fold_facts([record.value], record.offset, record.offset + 1)
            task.shard.offsets[GROUP_FACTS] = chunk.next_offset
        task.is_dirty = True
        self.signals.work.set()

    async def _advance(self, task: ShardTask) -> None:
        before_ms = task.shard.timeline.applied_ms
        while not task.shard.advance(_BOUNDARIES_AT_ONCE):
            task.is_dirty = True
            self.signals.work.set()
            await asyncio.sleep(0)
            await self._wait_for_room(task)
            if self.tasks.get(task.shard.partition) is not task:
                return
        if task.shard.timeline.applied_ms != before_ms:
            task.is_dirty = True
            self.signals.work.set()

    async def _overdue_loop(self) -> None:
        """Go on deciding where an earlier owner ended: perhaps nothing more will ever be read."""
        while True:
            await self.signals.overdue.wait()
            self.signals.overdue.clear()
            for task in list(self.tasks.values()):
                await self._advance(task)

    # -- health -------------------------------------------------------------------------------

    @property
    def store_failed_since(self) -> float | None:
        """Since when the store does not answer; None means that it does."""
        return self.store_health.failed_since

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
        if self._ownership.ready_since is None:
            faults.append("no partitions are assigned yet")
        for partition, task in sorted(self.tasks.items()):
            for topic, changed in task.changed_logs.items():
                name = self._source.partition(topic, partition).topic
                faults.append(
                    f"{name}/{partition} {changed.text}: `tidegate doctor` says what to do"
                )
        if (failure := self.store_health.failure) is not None:
            away_s = self._clock() - failure.since
            faults.append(f"Redis has taken nothing for {away_s:.0f} s: {failure.reason}")
        return faults

    def is_alive(self) -> bool:
        """Whether reading goes on, or is about to, as in a rebalance.

        While the store is away it rests: a restart mends nothing.
        """
        stuck_s = self.progress.stuck_for_s()  # asked in any case: it notes what has moved
        if (parked_since := self._ownership.parked_since) is not None:
            stuck_s = max(stuck_s, self._clock() - parked_since)
        return self.store_failed_since is not None or stuck_s < self._settings.stuck_after_s


def _reused(row: int) -> Reject:
    """Say of a record that its id was that of another event: only the first one counts."""
    rule = "event_id must be of one event alone"
    message = f"{rule}, got one of an event with another kind, sku, order or quantity"
    return Reject(row, RejectCode.REUSED_ID, message)


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended.

    On Python 3.11 `asyncio.wait_for`, through which the Redis client sends, can swallow one.
    """
    waiting = set(tasks)
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=0.5)
