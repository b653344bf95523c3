"""The watch of the logs: are they still those that the shards' states were made from?

A log that is not is read no further, and its partition's purchase orders are held, until somebody
brings the old one back or says that the new one counts (`tidegate state adopt-logs`).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping

from streams.contracts.events import TOPICS
from streams.shard.logs import LogChange, LogIdentity, compare
from streams.worker.shard_task import ShardTask
from streams.worker.shared import Shared

log = logging.getLogger("tidegate.worker")

ReadIdentities = Callable[[Iterable[str]], Awaitable[Mapping[str, LogIdentity]]]
"""Returns what topics, by their full names, are at this moment; one that is not there is missing.
Raises an error of the worker's `unreachable` when no broker answers."""

ReadFirst = Callable[[], Awaitable[Mapping[str, LogIdentity]]]
"""Returns what the logs of shard 0 were when it began, by topic; empty where nothing is stored."""


async def nothing_stored() -> Mapping[str, LogIdentity]:
    """A `ReadFirst` that knows of no shard."""
    return {}


_LOOK_SECONDS = 10.0
_AGAIN_SECONDS = 1.0
_PATIENCE_SECONDS = 5.0  # with a broker that does not answer: partitions are being taken over
_UNSURE = frozenset({LogChange.MISSING, LogChange.SHORTER})  # a broker that starts says so, too


class LogWatch:
    """Compares what the broker has with what the states were made from.

    Args:
        read_identities: asks the broker.
        read_first: asks the store: a shard that is new has to have as many partitions as others.
        shared: what the parts of a worker share.
        unreachable: errors that mean "away for now".
    """

    def __init__(
        self,
        read_identities: ReadIdentities,
        read_first: ReadFirst,
        shared: Shared,
        unreachable: tuple[type[Exception], ...],
    ) -> None:
        self._read_identities = read_identities
        self._read_first = read_first
        self._source, self._tasks, self._signals = shared.source, shared.tasks, shared.signals
        self._unreachable = unreachable
        self._suspects: set[tuple[int, str]] = set()  # seen once: to be seen again

    async def watch_loop(self) -> None:
        """Look every ten seconds, and soon after something was strange."""
        while True:
            await asyncio.sleep(_AGAIN_SECONDS)
            if not self._suspects:
                try:
                    async with asyncio.timeout(_LOOK_SECONDS - _AGAIN_SECONDS):
                        await self._signals.strange_log.wait()
                except TimeoutError:
                    pass
            self._signals.strange_log.clear()
            await self.look()

    async def look_if_possible(self) -> None:
        """Look; with no broker, the loop will."""
        try:
            await self.look()
        except self._unreachable as error:
            log.warning("the topics cannot be looked at: %s", error)

    async def look(self) -> None:
        """Compare all logs of the worker's partitions once."""
        names = {topic: self._source.topic_prefix + topic for topic in TOPICS}
        async with asyncio.timeout(_PATIENCE_SECONDS):
            found = await self._read_identities(names.values())
        first = (
            await self._read_first() if any(not t.shard.logs for t in self._tasks.values()) else {}
        )
        await self._note_starts()
        for task in list(self._tasks.values()):
            for topic, name in names.items():
                known = task.shard.logs.get(topic) or _without_id(first.get(topic))
                self._compare(task, topic, known, found.get(name))

    async def _note_starts(self) -> None:
        """Note where the logs begin: what retention deletes may be unread."""
        tasks = dict(self._tasks)
        places = {self._source.partition(topic, p): (p, topic) for p in tasks for topic in TOPICS}
        if self._source.consumer is None or not places:
            return
        async with asyncio.timeout(_PATIENCE_SECONDS):
            starts = await self._source.consumer.earliest(set(places))
        for tp, start in starts.items():
            partition, topic = places[tp]
            tasks[partition].log_starts[topic] = start

    def _compare(
        self, task: ShardTask, topic: str, known: LogIdentity | None, now: LogIdentity | None
    ) -> None:
        tp = self._source.partition(topic, task.shard.partition)
        end = None if self._source.consumer is None else self._source.consumer.highwater(tp)
        changed = compare(known, now, task.shard.offsets.get(topic, 0), end)
        place = (task.shard.partition, topic)
        if changed is not None and changed.change in _UNSURE and place not in self._suspects:
            self._suspects.add(place)
            return
        self._suspects.discard(place)
        if changed is None:
            if task.changed_logs.pop(topic, None) is not None:
                log.warning("%s/%d is again the log that was read", *tp)
            self._remember(task, topic, now)
        elif task.changed_logs.get(topic) != changed:
            task.changed_logs[topic] = changed
            log.error(
                "%s/%d %s: it is not read, no order leaves", tp.topic, tp.partition, changed.text
            )
            task.shard.note_changed_log()
            self._touch(task)

    def _remember(self, task: ShardTask, topic: str, now: LogIdentity | None) -> None:
        known = task.shard.logs.get(topic)
        if now is None or known == now or (known is not None and known.topic_id):
            return
        task.shard.logs[topic] = now
        self._touch(task)

    def _touch(self, task: ShardTask) -> None:
        task.is_dirty = True
        self._signals.work.set()


def _without_id(identity: LogIdentity | None) -> LogIdentity | None:
    return None if identity is None else LogIdentity("", identity.partitions)
