"""The small objects that the parts of a worker share."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from faust.types import TP

from streams.ingest.transport import BatchConsumer
from streams.worker.ports import Observer
from streams.worker.shard_task import ShardTask

log = logging.getLogger("tidegate.worker")

T = TypeVar("T")


@dataclass(slots=True)
class Signals:
    """What one part of the worker wakes another with."""

    work: asyncio.Event = field(default_factory=asyncio.Event)  # there is something to commit
    outgoing: asyncio.Event = field(default_factory=asyncio.Event)  # something may be published
    overdue: asyncio.Event = field(default_factory=asyncio.Event)  # event time may go on
    committed: asyncio.Event = field(default_factory=asyncio.Event)  # there may be room again
    strange_log: asyncio.Event = field(default_factory=asyncio.Event)  # a log begins anew, perhaps


@dataclass(slots=True)
class Source:
    """The input topics: their names, and the consumer that reads them; None until it is attached.

    Attributes:
        topic_prefix: in front of every topic's name.
        generation: of the consumer group, as Kafka counts its rebalances.
    """

    topic_prefix: str
    consumer: BatchConsumer | None = None
    generation: Callable[[], int] = lambda: 0

    def topic(self, tp: TP) -> str:
        """Return the name of a partition's topic without the prefix."""
        topic: str = tp.topic.removeprefix(self.topic_prefix)
        return topic

    def partition(self, topic: str, partition: int) -> TP:
        """Return a partition of a topic as Kafka knows it."""
        return TP(self.topic_prefix + topic, partition)


@dataclass(frozen=True, slots=True)
class StoreFailure:
    """Something that the store does not do."""

    since: float
    reason: str  # for people


class StoreHealth:
    """Asks the store until it answers, and remembers what it does not do, since when, and why.

    Each thing that is asked for has its own failure: a replica that answers a read has not thereby
    taken a commit.

    Args:
        unreachable: errors that mean "away for now".
        observer: takes every failure.
        clock: wall-clock seconds.
        explain: says what an error means and what mends it.
    """

    def __init__(
        self,
        unreachable: tuple[type[Exception], ...],
        observer: Observer,
        clock: Callable[[], float],
        explain: Callable[[Exception], str] = str,
    ) -> None:
        self._unreachable = unreachable
        self._observer = observer
        self._clock = clock
        self._explain = explain
        self._failures: dict[str, StoreFailure] = {}

    @property
    def failure(self) -> StoreFailure | None:
        """What fails for longest; None means that the store answers."""
        return min(self._failures.values(), key=lambda one: one.since, default=None)

    @property
    def failed_since(self) -> float | None:
        """Since when the store does not answer; None means that it does."""
        return None if self.failure is None else self.failure.since

    @property
    def is_away(self) -> bool:
        """Whether the store did not do what it was asked for last."""
        return bool(self._failures)

    def note_failure(self, what: str, error: Exception) -> str:
        """Note that the store did not do something; return why, for people."""
        reason = self._explain(error)
        before = self._failures.get(what)
        since = self._clock() if before is None else before.since
        self._failures[what] = StoreFailure(since, reason)
        return reason

    async def ask(self, attempt: Callable[[], Awaitable[T]], what: str) -> T:
        """Try until the store answers.

        Args:
            attempt: asks the store once.
            what: the name of it, for the observer too.
        """
        try:
            while True:
                try:
                    return await attempt()
                except self._unreachable as error:
                    reason = self.note_failure(what, error)
                    self._observer.failed(what)
                    log.warning("%s: %s; trying again", what, reason)
                    await asyncio.sleep(0.5)
        finally:  # answered, or nobody wants it any more
            self._failures.pop(what, None)


@dataclass(frozen=True, slots=True)
class Shared:
    """What every part of a worker works over.

    Attributes:
        source: the input topics.
        health: asks the store until it answers.
        tasks: the shards of the worker by partition; only ownership adds and takes away.
        signals: wakes the other parts.
        clock: wall-clock seconds.
    """

    source: Source
    health: StoreHealth
    tasks: dict[int, ShardTask]
    signals: Signals
    clock: Callable[[], float]
