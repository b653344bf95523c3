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


class StoreHealth:
    """Asks the store until it answers, and remembers since when it does not.

    Args:
        unreachable: errors that mean "away for now".
        observer: is told of every failure.
        clock: wall-clock seconds.
    """

    def __init__(
        self,
        unreachable: tuple[type[Exception], ...],
        observer: Observer,
        clock: Callable[[], float],
    ) -> None:
        self._unreachable = unreachable
        self._observer = observer
        self._clock = clock
        self.failed_since: float | None = None

    @property
    def is_away(self) -> bool:
        """Whether the store did not answer last."""
        return self.failed_since is not None

    def note(self, *, ok: bool) -> None:
        """Note whether the store has answered."""
        if ok:
            self.failed_since = None
        elif self.failed_since is None:
            self.failed_since = self._clock()

    async def ask(self, attempt: Callable[[], Awaitable[T]], what: str) -> T:
        """Try until the store answers; the caller notes that it did, where that is news.

        Args:
            attempt: asks the store once.
            what: the name of it for the observer.
        """
        while True:
            try:
                return await attempt()
            except self._unreachable as error:
                self.note(ok=False)
                self._observer.failed(what)
                log.warning("%s: %s; trying again", what, error)
                await asyncio.sleep(0.5)


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
