"""The ownership of shards: which are this worker's, taken over and parked as Kafka assigns them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from faust.types import TP

from policy import PolicyCache
from streams.settings import ShardSettings
from streams.shard.checkpoint import restore
from streams.shard.shard import Shard
from streams.worker.order_release import OrderRelease
from streams.worker.ports import Lease, Store
from streams.worker.shard_task import ShardTask
from streams.worker.shared import Shared

log = logging.getLogger("tidegate.worker")


class Ownership:
    """Takes shards over and parks them; only this changes which tasks there are.

    Args:
        store: where shards are kept.
        shared: what the parts of a worker share.
        release: shuts the gate of what is taken over.
        settings: of each shard.
        cache: solved policies, shared by the shards.
        look_at_logs: compares the logs with what the states were made from, before they are read.
    """

    def __init__(
        self,
        store: Store,
        shared: Shared,
        release: OrderRelease,
        settings: ShardSettings,
        cache: PolicyCache,
        look_at_logs: Callable[[], Awaitable[None]],
    ) -> None:
        self._look_at_logs = look_at_logs
        self._store = store
        self._source, self._health = shared.source, shared.health
        self._tasks, self._signals = shared.tasks, shared.signals
        self._release = release
        self._settings = settings
        self._cache = cache
        self._clock = shared.clock
        self._parked: dict[int, ShardTask] = {}
        self._taking_over = asyncio.Lock()
        self.ready_since: float | None = None
        self.parked_since: float | None = None

    async def read_from(self, assigned: set[TP]) -> Mapping[TP, int]:
        """Take over the shards of the assigned partitions; return where to read on.

        This is the transport's `ReadFrom`.
        """
        async with self._taking_over:
            wanted = {tp.partition for tp in assigned}
            for partition in [*self._tasks, *self._parked]:
                if partition not in wanted:
                    self._tasks.pop(partition, None)
                    self._parked.pop(partition, None)
            for partition in sorted(wanted):
                await self._take_over(partition)
            offsets = await self._next_offsets(assigned)
            self.ready_since = self.ready_since or self._clock()
            self.parked_since = None
            return offsets

    async def park(self) -> None:
        """Keep the shards aside while the partitions are assigned anew."""
        async with self._taking_over:
            self._parked.update(self._tasks)
            self._tasks.clear()
            self.ready_since = None
            self.parked_since = self.parked_since or self._clock()

    async def disown(self, lost: ShardTask) -> None:
        """Somebody else took the shard, or Redis lost it: load it again if it is still ours."""
        partition = lost.shard.partition
        log.warning(
            "shard %d: Redis has another past than this worker; loading it again", partition
        )
        consumer = self._source.consumer
        async with self._taking_over:
            if self._tasks.get(partition) is not lost or consumer is None:
                return
            del self._tasks[partition]
            tps = {tp for tp in consumer.assignment() if tp.partition == partition}
            if not tps:
                return
            await self._take_over(partition)
            offsets = await self._next_offsets(tps)
        await consumer.read_again(offsets)

    async def _take_over(self, partition: int) -> None:
        if partition in self._tasks:
            return
        parked = self._parked.pop(partition, None)
        task = await self._health.ask(lambda: self._acquire(partition, parked), "lease")
        self._tasks[partition] = task
        self._resume_outbox(task)
        self._signals.overdue.set()

    async def _acquire(self, partition: int, parked: ShardTask | None) -> ShardTask:
        """Lease a shard and load it, unless it is parked here and nothing happened to it since.

        A shard can move to somebody else between the two; then both are tried again.
        """
        lease = await self._store.acquire(partition, self._source.generation())
        if parked and parked.is_stored and _same_past(parked.lease, lease):
            self._store.resume(lease, parked.lease)
            parked.lease = lease
            self._release.shut(parked)
            return parked  # itself: who is publishing for it will say so there
        stored = await self._store.load(lease)
        shard = Shard(partition, self._settings, self._cache)
        if stored is not None:
            restore(shard, stored)
        task = ShardTask(shard, lease, dict(shard.offsets))
        self._release.shut(task)
        return task

    def _resume_outbox(self, task: ShardTask) -> None:
        """What an earlier owner stored and perhaps did not publish goes out now."""
        task.publishable_to = task.shard.outbox.next_number
        if len(task.shard.outbox):
            self._signals.outgoing.set()

    async def _next_offsets(self, tps: set[TP]) -> Mapping[TP, int]:
        await self._look_at_logs()
        consumer = self._source.consumer
        beginnings = {} if consumer is None else await consumer.earliest(tps)
        return {tp: self._next_offset(tp, beginnings.get(tp, 0)) for tp in tps}

    def _next_offset(self, tp: TP, beginning: int) -> int:
        task = self._tasks[tp.partition]
        shard = task.shard
        topic = self._source.topic(tp)
        if topic not in shard.offsets:
            shard.skip_to(topic, beginning)
            if beginning:
                log.warning(
                    "%s/%d begins at offset %d: what was before is not in the state",
                    tp.topic,
                    tp.partition,
                    beginning,
                )
        elif beginning > shard.offsets[topic] and topic not in task.changed_logs:
            note_loss(task, tp, topic, beginning)
            self._signals.work.set()
        return shard.offsets[topic]


def note_loss(task: ShardTask, tp: TP, topic: str, beginning: int) -> None:
    """Go on where a log begins: what lay before it was deleted before it was read."""
    first = task.shard.offsets[topic]
    lost = task.shard.lose(topic, beginning)
    task.is_dirty = True
    log.error(
        "%s/%d: %d records are lost, from offset %d on: they were deleted before they were read",
        tp.topic,
        tp.partition,
        lost,
        first,
    )


def _same_past(before: Lease, now: Lease) -> bool:
    """Whether nobody else committed in between; two histories can come to the same numbers."""
    stands = before.sequence, before.offsets, before.writer
    return stands == (now.sequence, now.offsets, now.writer) and now.sequence > 0
