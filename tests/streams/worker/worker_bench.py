"""A worker between a fake store, a fake consumer and what takes its output."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager

from faust.types import TP

from streams.contracts.events import TOPICS
from streams.contracts.outgoing import OrderSummary, OutboxRecord
from streams.handover.rules import Controls
from streams.settings import GateThresholds, WorkerSettings
from streams.shard.logs import LogIdentity
from streams.worker.ports import NoRecorder
from streams.worker.worker import Worker
from tests.oracle import DAY
from tests.streams.fakes import (
    FakeConsumer,
    FakeObserver,
    MemoryStore,
    chunk_of,
)
from tests.streams.logs import ITEMS, START_MS, event
from tests.streams.runs import SETTINGS

PREFIX = "t-"
NOW = START_MS + 5 * DAY  # when Kafka got the records
ORDERS = TP(PREFIX + "orders", 0)
ASSIGNED = {TP(PREFIX + topic, partition) for topic in TOPICS for partition in (0, 1)}


class Kafka:
    """Takes what the worker publishes."""

    def __init__(self, store: MemoryStore) -> None:
        self.published: list[OutboxRecord] = []
        self.failures = 0
        self.beats: list[tuple[str, int]] = []
        self.ahead_ms: int | None = None  # its clock; None means that it gives no time of its own
        self.is_slow: asyncio.Event | None = None  # answers when it is set
        self._store = store

    async def publish(self, outgoing) -> None:
        """Take records, or fail after taking some, as a broken connection does."""
        self._store.log.append(f"publish {len(outgoing)}")
        if self.failures:
            self.failures -= 1
            self.published.extend(outgoing[:1])
            raise ConnectionError("Kafka is away")
        if self.is_slow is not None:
            await self.is_slow.wait()
        self.published.extend(outgoing)

    async def beat(self, targets, now_ms) -> None:
        """Take heartbeats."""
        self.beats.extend(targets)
        return None if self.ahead_ms is None else now_ms + self.ahead_ms


class Recorder(NoRecorder):
    """Takes down which orders left, while it can."""

    def __init__(self) -> None:
        self.is_away = False
        self.asked = 0
        self.left: list[str] = []

    async def orders_left(self, orders: Sequence[OrderSummary]) -> None:
        """Write it down."""
        self.asked += 1
        if self.is_away:
            raise TimeoutError("the audit log is away")
        self.left += [summary.po_id for summary in orders]


class Bench:
    """A worker and all around it."""

    def __init__(
        self,
        store: MemoryStore | None = None,
        *,
        topics: dict[str, LogIdentity] | None = None,
        first: dict[str, LogIdentity] | None = None,
        **settings,
    ) -> None:
        self.store = store or MemoryStore()
        self.kafka = Kafka(self.store)
        self.consumer = FakeConsumer(ASSIGNED)
        self.observer = FakeObserver()
        self.now = START_MS / 1000
        values = {
            "commit_interval_s": 0.001,
            "shard": SETTINGS,
            "handover": GateThresholds(calm_s=0.0),
            **settings,
        }
        self.controls = Controls()
        self.recorder = Recorder()
        self.topics = topics  # what the broker has, by name; None means that nobody watches it

        async def read_identities(names):
            return {name: self.topics[name] for name in names if name in self.topics}

        async def read_first():
            return first or {}

        self.worker = Worker(
            self.store,
            self.kafka.publish,
            self.kafka.beat,
            WorkerSettings(**values),
            self.observer,
            unreachable=(OSError,),
            topic_prefix=PREFIX,
            clock=lambda: self.now,
            controls=lambda: self.controls,
            recorder=self.recorder,
            read_identities=None if topics is None else read_identities,
            read_first=read_first,
        )
        self.worker.attach(self.consumer, lambda: 1)

    async def read(self, topic: str, values, start: int, partition: int = 0) -> None:
        """Hand one chunk over."""
        await self.worker.take(TP(PREFIX + topic, partition), [chunk_of(values, start, NOW)])

    def offset(self, topic: str = "orders") -> int:
        """Where the shard stands."""
        return self.worker.tasks[0].shard.offsets[topic]

    def sold(self) -> int:
        """Units that the shard has counted."""
        return int(self.worker.tasks[0].shard.rings["day"].arrays.cells["units"].sum())

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for the worker's own loops."""
        deadline = time.monotonic() + 5
        while not is_so():
            assert time.monotonic() < deadline, self.store.log
            await asyncio.sleep(0.002)


@asynccontextmanager
async def bench(store: MemoryStore | None = None, *, assigned: bool = True, **settings):
    """A worker with its loops running."""
    made = Bench(store, **settings)
    if assigned:
        await made.worker.read_from(ASSIGNED)
    made.worker.start()
    try:
        yield made
    finally:
        made.store.is_away = False
        await made.worker.stop()


def sale(number: int, units: int = 1, at: int = START_MS) -> bytes:
    """One order line."""
    return event("placed", f"e{number}", at, ITEMS[0], order_id=f"o{number}", quantity=units)


def sales(first: int, count: int) -> list[bytes]:
    """Order lines of one unit each."""
    return [sale(number) for number in range(first, first + count)]
