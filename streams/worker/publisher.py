"""The publisher: what the outboxes hold goes to Kafka, orders only while no gate holds them."""

import asyncio
from collections.abc import Sequence

from streams.contracts.outgoing import OutboxRecord
from streams.worker.lag import Progress
from streams.worker.order_release import OrderRelease
from streams.worker.ports import Publish
from streams.worker.shard_task import ShardTask
from streams.worker.shared import Shared

_PUBLISH_AT_ONCE = 2_000
_LOOK_SECONDS = 0.25  # between looks at whether held orders may go


class Publisher:
    """Publishes what is stored, at least once and in order.

    Args:
        publish: writes to output topics.
        release: says which orders may go.
        progress: says how far the logs are read.
        shared: what the parts of a worker share.
    """

    def __init__(
        self,
        publish: Publish,
        release: OrderRelease,
        progress: Progress,
        shared: Shared,
    ) -> None:
        self._publish = publish
        self._release = release
        self._progress = progress
        self._health = shared.health
        self._tasks, self._signals = shared.tasks, shared.signals

    async def publish_loop(self) -> None:
        """Publish whenever something may go."""
        while True:
            await self._signals.outgoing.wait()
            self._signals.outgoing.clear()
            await self.publish_all()

    async def publish_all(self) -> None:
        """Publish all that may go now."""
        for task in list(self._tasks.values()):
            while batch := self._free_to_go(task):
                await self._let_go(task, batch)
            await self._hand_over(task)

    def _free_to_go(self, task: ShardTask) -> list[tuple[int, OutboxRecord]]:
        """Records that no gate holds. While the store is away alerts do not wait for it.

        An alert follows from the log alone: lost with this worker, it is made again, byte for byte.
        """
        outbox = task.shard.outbox
        batch = outbox.stored_before(task.publishable_to, _PUBLISH_AT_ONCE)
        if not batch and self._health.is_away:
            return outbox.alerts(_PUBLISH_AT_ONCE)
        return batch

    async def _let_go(
        self, task: ShardTask, batch: Sequence[tuple[int, OutboxRecord]], *, is_wanted: bool = True
    ) -> None:
        """Publish records, except orders that were called off, and take all out of the outbox.

        An order is taken out only when the audit log has that it left: after a crash in between the
        next owner does both again, with the same bytes under the same id.
        """
        try:
            if is_wanted:
                await self._publish([outgoing for _, outgoing in batch])
            await self._release.note_left(batch)
        except BaseException:
            self._signals.outgoing.set()
            task.judgement = None
            raise
        task.shard.outbox.published([number for number, _ in batch])
        task.is_dirty = True
        self._signals.work.set()

    async def _hand_over(self, task: ShardTask) -> None:
        """Publish the orders that may go; the others stay where they are."""
        self._look(task)
        for batch, is_wanted in self._release.leaving(task):
            await self._let_go(task, batch, is_wanted=is_wanted)
            self._look(task)
        if task.judgement is None:
            self._signals.outgoing.set()
        if task.is_dirty:
            self._signals.work.set()

    async def gate_loop(self) -> None:
        """Look whether the gates have moved, and wake the publishing where they have."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for task in list(self._tasks.values()):
                self._look(task)
                if self._release.has_to_judge(task) or self._health.is_away:
                    self._signals.outgoing.set()

    def _look(self, task: ShardTask) -> None:
        """Let the gate of a partition see how things stand."""
        lags = self._progress.lags(task)
        self._release.look(task, lags, is_store_away=self._health.is_away)
