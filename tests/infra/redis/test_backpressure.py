"""A slow Redis: reading rests, memory stays bounded, and in the end nothing is missing."""

import time

import pytest
from faust.types import TP

from infra.bootstrap import KafkaPorts, bootstrap, redis_pool
from infra.redis.keys import Keys, Retention
from infra.redis.shard_store import RedisStore
from streams.settings import WorkerSettings
from streams.worker import shard_task as shard_task_module
from tests.oracle import DAY
from tests.streams.fakes import FakeConsumer, FakeObserver, chunk_of
from tests.streams.logs import ITEMS, START_MS, event
from tests.streams.runs import SETTINGS
from tests.streams.tcp_proxy import proxy_to
from tests.streams.worker.worker_bench import ASSIGNED, Kafka, MemoryStore

BATCH = 500
BATCHES = 20
RINGS = 3


@pytest.mark.slow
async def test_slow_redis_bounds_memory_and_loses_nothing(redis_server, redis_url, monkeypatch):
    """Behind a link that creeps, what waits never exceeds the bound by more than one fetch."""
    monkeypatch.setattr(shard_task_module, "_CELLS_AT_MOST", 2)
    database = redis_url.rpartition("/")[2]
    async with proxy_to("127.0.0.1", redis_server.port) as proxy:
        pool = redis_pool(f"redis://127.0.0.1:{proxy.port}/{database}")
        kafka = Kafka(MemoryStore())
        worker = bootstrap(
            WorkerSettings(shard=SETTINGS),
            store=RedisStore(pool, Keys("t:"), Retention()),
            kafka=KafkaPorts(kafka.publish, kafka.beat, topic_prefix="t-"),
            clock=time.time,
            observer=FakeObserver(),
        )
        worker.attach(FakeConsumer(ASSIGNED), lambda: 1)
        await worker.read_from(ASSIGNED)
        worker.start()
        proxy.pause_s = 0.003  # for each piece of 1 kB, either way
        waited = []
        for number in range(BATCHES):
            cells = worker.tasks[0].shard.changed_cells()
            await worker.take(TP("t-orders", 0), [sales(number)])
            waited.append(cells)
        proxy.pause_s = 0.0
        await worker.stop()
        await pool.disconnect()
        assert max(waited) <= RINGS * len(ITEMS), "more than one fetch waited"
        assert max(waited) > 2, "reading never had to wait"
        assert worker.tasks[0].stored_offsets["orders"] == BATCH * BATCHES
        assert worker.tasks[0].shard.counts["orders:folded"] == BATCH * BATCHES


def sales(number: int):
    """A fetch of order lines, each of another minute, over all items."""
    values = [
        event(
            "placed",
            f"e{number}-{place}",
            START_MS + 60_000 * number,
            ITEMS[place % len(ITEMS)],
            order_id=f"o{number}-{place}",
            quantity=1,
        )
        for place in range(BATCH)
    ]
    return chunk_of(values, number * BATCH, START_MS + DAY)
