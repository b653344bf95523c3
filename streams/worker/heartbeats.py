"""Heartbeats: they let event time go on in the input topics while no event comes."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from streams.contracts.events import TOPICS
from streams.worker.ports import WriteHeartbeats
from streams.worker.shard_task import ShardTask

_FAR_SECONDS = 60.0
log = logging.getLogger("tidegate.worker")


class Heartbeats:
    """Writes heartbeats to the logs of the worker's partitions, while these logs are live.

    Args:
        write: writes heartbeats to input topics.
        tasks: the shards of the worker by partition.
        interval_s: between heartbeats.
        live_within_s: a log this near to now is live; a replay of old events tells its own time.
        clock: wall-clock seconds.
    """

    def __init__(
        self,
        write: WriteHeartbeats,
        tasks: Mapping[int, ShardTask],
        *,
        interval_s: float,
        live_within_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._write = write
        self._tasks = tasks
        self._interval_s = interval_s
        self._live_within_s = live_within_s
        self._clock = clock
        self._is_far = False

    async def heartbeat_loop(self) -> None:
        """Write heartbeats at every interval."""
        while True:
            await asyncio.sleep(self._interval_s)
            now_ms = int(self._clock() * 1000)
            if self._tasks and self.is_live(now_ms):
                targets = [(topic, partition) for partition in self._tasks for topic in TOPICS]
                broker_ms = await self._write(targets, now_ms)
                self._note(now_ms)
                if broker_ms is not None:
                    answered_ms = int(self._clock() * 1000)
                    # It took the heartbeat between the two, however long that was.
                    ahead_ms = min(broker_ms - now_ms, 0) or max(broker_ms - answered_ms, 0)
                    self._compare_clocks(ahead_ms / 1000)

    def is_live(self, now_ms: int) -> bool:
        """Whether a log is near to now, as against a replay of old events.

        One is enough: a log that a wrong clock has moved stops no other.
        """
        clocks = (clock for task in self._tasks.values() for clock in task.shard.clocks.values())
        return any(abs(now_ms - clock) <= self._live_within_s * 1000 for clock in clocks)

    def _compare_clocks(self, broker_ahead_s: float) -> None:
        """Take in how far the broker's clock is ahead of this machine's, and say when it is far."""
        is_far = abs(broker_ahead_s) > _FAR_SECONDS
        if is_far and not self._is_far:
            log.error(
                "this machine's clock is %.0f s %s that of the broker: set it, orders are held",
                abs(broker_ahead_s),
                "behind" if broker_ahead_s > 0 else "ahead of",
            )
        self._is_far = is_far
        for task in self._tasks.values():
            task.broker_ahead_s = broker_ahead_s

    def _note(self, now_ms: int) -> None:
        for task in self._tasks.values():
            if task.unread_heartbeat_ms <= min(task.shard.clocks.values()):
                task.unread_heartbeat_ms = now_ms
