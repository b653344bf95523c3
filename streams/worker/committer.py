"""The committer: one fenced commit of each changed shard to the store, then Kafka's offsets."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from streams.shard.checkpoint import take_commit
from streams.worker.ports import Observer, Store
from streams.worker.shard_task import ShardTask
from streams.worker.shared import Shared

_PING_SECONDS = 2.0
_FLOOD_ROWS = 20_000  # folded between two commits
_BUSY_SHARE = 0.1  # of the time that building commits may take in a flood


class Committer:
    """Stores what the shards know.

    The commit protocol of a shard:

    1. Folding marks the task dirty and wakes the commit loop.
    2. `take_commit` takes all that changed since the last commit, with the offsets up to which
       the logs are in it. From here on it is in flight, and further changes make the task dirty
       again.
    3. The store compares the lease and where the commit starts from, and stores all of it or
       nothing. A lost reply leaves the fate open, so the very same commit is sent until the store
       answers; one that is stored already is "stored" again.
    4. "fenced": the store has another past. Nothing of this shard counts any more; it is disowned,
       which loads it again if the partition is still ours, and reads the log from there.
    5. "stored": its offsets are the stored ones, and the records of its outbox may be published.
    6. The stored offsets are committed to Kafka now and then. Kafka is only ever behind the store,
       so what is read again is known by its offset and passed over.
    7. What Kafka has taken of the outbox is forgotten by the next commit. A crash in between
       publishes the same bytes again under the same id.

    Args:
        store: where shards are kept.
        shared: what the parts of a worker share.
        disown: takes a shard of which the store has another past.
        observer: takes measurements.
        commit_interval_s: between commits, at the least.
        offsets_interval_s: between commits of offsets to Kafka.
    """

    def __init__(
        self,
        store: Store,
        shared: Shared,
        disown: Callable[[ShardTask], Awaitable[None]],
        observer: Observer,
        *,
        commit_interval_s: float,
        offsets_interval_s: float,
    ) -> None:
        self._store = store
        self._source, self._health = shared.source, shared.health
        self._tasks, self._signals = shared.tasks, shared.signals
        self._disown = disown
        self._observer = observer
        self._commit_interval_s = commit_interval_s
        self._offsets_interval_s = offsets_interval_s
        self._clock = shared.clock
        self._committing = asyncio.Lock()
        self._rows_folded = 0

    def note_folded(self, rows: int) -> None:
        """Note that so many records wait for the next commit."""
        self._rows_folded += rows

    async def commit_loop(self) -> None:
        """Commit whenever there is something to commit."""
        while True:
            await self._signals.work.wait()
            self._signals.work.clear()
            rows, self._rows_folded = self._rows_folded, 0
            busy = await self.commit_all()
            # A flood is committed in few large pieces, a trickle at once.
            pause = busy / _BUSY_SHARE if rows > _FLOOD_ROWS else 0.0
            await asyncio.sleep(max(self._commit_interval_s, pause))

    async def commit_all(self) -> float:
        """Commit every changed shard; return the seconds that this took from the event loop."""
        async with self._committing:
            return sum(await asyncio.gather(*map(self._commit, list(self._tasks.values()))))

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
        outcome = await self._health.ask(lambda: self._store.commit(task.lease, commit), "commit")
        task.in_flight = None
        self._signals.committed.set()
        if outcome != "stored":
            await self._disown(task)
            return busy
        task.stored_offsets = commit.offsets
        task.publishable_to = commit.outbox_stored_to
        if len(task.shard.outbox):
            self._signals.outgoing.set()
        visible = self._clock() - newest_ms / 1000 if newest_ms > 0 else 0.0
        self._observer.counted(commit.counted - task.counted)
        task.counted = commit.counted
        self._observer.committed(time.perf_counter() - started, visible)
        return busy

    async def store_loop(self) -> None:
        """Ask the store now and then, so that an idle worker knows too when it is away."""
        while True:
            await asyncio.sleep(_PING_SECONDS)
            await self._health.ask(self._store.ping, "ping")
            for task in list(self._tasks.values()):
                await self._require_known_past(task)

    async def _require_known_past(self, task: ShardTask) -> None:
        """Load a shard again of which the store has another past: a store that came back older.

        The next commit would notice it, too; where nothing more is read, there is none.
        """
        async with self._committing:
            if task.in_flight is None and not await self._health.ask(
                lambda: self._store.is_current(task.lease), "ping"
            ):
                await self._disown(task)

    async def offsets_loop(self) -> None:
        """Tell Kafka now and then how far the store is."""
        while True:
            await asyncio.sleep(self._offsets_interval_s)
            await self.commit_offsets()

    async def commit_offsets(self) -> None:
        """Tell Kafka what Redis has: Kafka is only ever behind Redis."""
        offsets = {
            self._source.partition(topic, partition): offset
            for partition, task in self._tasks.items()
            for topic, offset in task.stored_offsets.items()
        }
        if offsets and self._source.consumer is not None:
            await self._source.consumer.commit_stored(offsets)
