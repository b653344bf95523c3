"""A shop in Redis without Kafka: a real worker, fed by hand, over the real store."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from faust.types import TP
from prometheus_client import CollectorRegistry

from infra.admin.server import AdminServer
from infra.bootstrap import KafkaPorts, bootstrap, make_operator_port, redis_pool
from infra.redis.keys import Keys
from infra.redis.options import keys_of, retention_of
from infra.redis.shard_store import RedisStore
from infra.replay.faults import Record
from infra.replay.log_writer import partition_for
from infra.settings import Settings
from streams.contracts.events import TOPICS
from streams.contracts.outgoing import OutboxRecord
from tests.infra.memory_log import MemoryLog
from tests.streams.fakes import FakeConsumer, FakeObserver, chunk_of

PARTITIONS = 2
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
_CHUNK = 1_000


class Shop:
    """Events in, everything that a page reads in Redis.

    Args:
        redis_url: a database of its own.
        clock: wall-clock seconds.
        settings: as of `infra.settings.Settings`.
    """

    def __init__(
        self, redis_url: str, *, clock: Callable[[], float] = time.time, **settings: Any
    ) -> None:
        chosen = {"dedupe_keys": 100_000, "order_keys": 100_000, **settings}
        self.settings = Settings(redis_url=redis_url, partitions=PARTITIONS, **chosen)
        self.clock = clock
        self._pool = redis_pool(redis_url)
        self._ends: dict[TP, int] = defaultdict(int)
        self._numbers = 0
        self.worker = bootstrap(
            self.settings.worker(),
            store=RedisStore(self._pool, keys_of(self.settings), retention_of(self.settings)),
            kafka=KafkaPorts(self._publish, self._write_heartbeats),
            clock=clock,
            observer=FakeObserver(),
        )
        self.published: list[OutboxRecord] = []

    async def _publish(self, outgoing: Sequence[OutboxRecord]) -> None:
        self.published += outgoing

    async def _write_heartbeats(self, targets: Sequence[tuple[str, int]], now_ms: int) -> None:
        value = msgspec.json.encode({"kind": "heartbeat", "occurred_at": now_ms})
        for topic, partition in targets:
            await self._take(TP(topic, partition), [value], now_ms)

    async def open(self) -> "Shop":
        """Own every partition."""
        tps = {TP(topic, p) for topic in TOPICS for p in range(PARTITIONS)}
        self.worker.attach(FakeConsumer(tps), lambda: 1)
        self.worker.start()
        await self.worker.read_from(tps)
        return self

    async def close(self) -> None:
        """Stop."""
        await self.worker.stop()
        await self._pool.disconnect()

    # -- feeding ------------------------------------------------------------------------------

    async def tell(self, topic: str, *events: Mapping[str, Any]) -> None:
        """Let events happen; what every event needs is filled in."""
        by_partition: dict[int, list[bytes]] = defaultdict(list)
        newest = 0
        for event in events:
            self._numbers += 1
            at = event.get("occurred_at", self.now_ms)
            newest = max(newest, at)
            whole = {"event_id": f"e{self._numbers}", "occurred_at": at, **event}
            partition = partition_for(str(event["sku"]).encode(), PARTITIONS)
            by_partition[partition].append(msgspec.json.encode(whole))
        for partition, values in by_partition.items():
            await self._take(TP(topic, partition), values, newest)

    async def tell_bytes(self, topic: str, value: bytes) -> None:
        """Let a record come in as it is."""
        await self._take(TP(topic, 0), [value], self.now_ms)

    async def feed(self, records: Iterable[Record]) -> None:
        """Let records of a sale come in, an hour of them at a time."""
        batches: dict[TP, list[bytes]] = defaultdict(list)
        hour = 0
        for record in records:
            if record.occurred_ms // HOUR_MS > hour and batches:
                await self._flush(batches, hour)
            hour = max(hour, record.occurred_ms // HOUR_MS)
            partition = partition_for(record.key, PARTITIONS)
            batches[TP(record.topic, partition)].append(record.value)
        await self._flush(batches, hour)

    async def _flush(self, batches: dict[TP, list[bytes]], hour: int) -> None:
        written_ms = min((hour + 1) * HOUR_MS, self.now_ms)
        for tp, values in batches.items():
            await self._take(tp, values, written_ms)
        batches.clear()
        await self.write_heartbeats(written_ms)

    async def write_heartbeats(self, at_ms: int | None = None) -> None:
        """Let time pass on every topic."""
        targets = [(topic, partition) for topic in TOPICS for partition in range(PARTITIONS)]
        await self._write_heartbeats(targets, self.now_ms if at_ms is None else at_ms)

    async def _take(self, tp: TP, values: Sequence[bytes], written_ms: int) -> None:
        for start in range(0, len(values), _CHUNK):
            piece = list(values[start : start + _CHUNK])
            chunk = chunk_of(piece, self._ends[tp], written_ms - len(piece))
            self._ends[tp] += len(piece)
            await self.worker.take(tp, [chunk])

    @property
    def now_ms(self) -> int:
        """The wall clock."""
        return int(self.clock() * 1000)

    async def settle(self) -> None:
        """Return when Redis has it all."""
        async with asyncio.timeout(60):
            while not self._is_settled():  # noqa: ASYNC110 - the worker has no event for it
                await asyncio.sleep(0.005)

    def _is_settled(self) -> bool:
        return not any(
            one.is_dirty or one.in_flight or one.stored_offsets != one.shard.offsets
            for one in self.worker.tasks.values()
        )


# --- events -----------------------------------------------------------------------------------


def item(sku: str, at: int, **more: Any) -> dict[str, Any]:
    """A catalog line whose lead times need the cheap rule only."""
    line = {
        "kind": "item",
        "sku": sku,
        "occurred_at": at,
        "unit_cost_lean": 4.0,
        "unit_cost_flexible": 5.0,
        "setup_cost_lean": 20.0,
        "setup_cost_flexible": 5.0,
        "lead_time_days_lean": 2.0,
        "lead_time_days_flexible": 1.0,
        "review_period_days": 1.0,
        "holding_cost_per_unit_day": 0.01,
        "backorder_cost_per_unit_day": 1.0,
        "service_target": 0.95,
        "currency": "EUR",
    }
    return {**line, **more}


def counted(sku: str, at: int, level: int) -> dict[str, Any]:
    """A count of the shelf."""
    return {"kind": "counted", "sku": sku, "occurred_at": at, "level": level}


def placed(sku: str, at: int, quantity: int = 1, order: str = "") -> dict[str, Any]:
    """An order line."""
    name = order or f"o-{sku}-{at}"
    return {
        "kind": "placed",
        "sku": sku,
        "occurred_at": at,
        "order_id": name,
        "quantity": quantity,
    }


def dispatched(sku: str, at: int, quantity: int = 1) -> dict[str, Any]:
    """A parcel that left."""
    return {
        "kind": "dispatched",
        "sku": sku,
        "occurred_at": at,
        "order_id": f"o-{sku}-{at}",
        "quantity": quantity,
    }


# --- serving ----------------------------------------------------------------------------------


class NoWorker:
    """A worker's health, for a port that only shows the page."""

    tasks: dict[int, None] = {}  # noqa: RUF012

    def is_alive(self) -> bool:
        """Whether reading goes on."""
        return True

    def faults(self) -> list[str]:
        """Why it is not ready."""
        return []


_NO_WORKER: Any = NoWorker()
TOKEN = "operators-token-of-the-tests-0123456789"


class Server:
    """The page on a port that stays the same over restarts."""

    def __init__(
        self,
        redis_url: str,
        keys: Keys | None = None,
        clock: Callable[[], float] = time.time,
        host: str = "127.0.0.1",
        log: MemoryLog | None = None,
        **limits: Any,
    ) -> None:
        self._host = host
        self._redis_url = redis_url
        self._keys = keys or Keys()
        self._clock = clock
        self._limits = limits
        self.log = log or MemoryLog(clock)
        self._port = 0
        self._server: AdminServer | None = None
        self.url = ""

    async def start(self) -> str:
        """Listen; return the URL."""
        settings = Settings(
            admin_host=self._host,
            operator_token=TOKEN,
            redis_url=self._redis_url,
            redis_prefix=self._keys.prefix,
            **self._limits,
        )
        log: Any = self.log
        app = make_operator_port(settings, _NO_WORKER, CollectorRegistry(), log, self._clock)
        self._server = AdminServer(app, self._host, self._port)
        self.url = await self._server.start()
        self._port = int(self.url.rpartition(":")[2])
        return self.url

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            await self._server.stop()
            self._server = None


@asynccontextmanager
async def serving(redis_url: str, **more: Any):
    """A page that is served."""
    server = Server(redis_url, **more)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def open_shop(redis_url: str, **more: Any):
    """A shop that is open."""
    shop = await Shop(redis_url, **more).open()
    try:
        yield shop
    finally:
        await shop.close()
