"""What the benchmarks must know of Tidegate: how its worker starts, and what it keeps in Redis."""

import asyncio
import json
import sys
from typing import Any

import redis

from infra.bootstrap import redis_pool
from infra.redis.keys import Keys
from infra.redis.options import retention_of
from infra.redis.shard_store import RedisStore
from infra.settings import Settings
from policy import PolicyCache
from streams.contracts.events import TOPICS
from streams.ingest.decode import TopicDecoder
from streams.shard.checkpoint import restore, take_commit
from streams.shard.shard import Shard

COMMAND = [sys.executable, "-m", "infra.cli", "worker", "--no-supervise"]
_PREFIX = "tg:"


def environment(*, bootstrap: str, redis_url: str, prefix: str, group: str) -> dict[str, str]:
    """The worker's settings as environment variables; everything else is as it comes."""
    return {
        "TIDEGATE_KAFKA_BOOTSTRAP": bootstrap,
        "TIDEGATE_REDIS_URL": redis_url,
        "TIDEGATE_TOPIC_PREFIX": prefix,
        "TIDEGATE_GROUP_ID": group,
        "TIDEGATE_ADMIN_PORT": "0",
        "TIDEGATE_SESSION_TIMEOUT_SECONDS": "6",
        "TIDEGATE_LOG_LEVEL": "warning",
    }


def committed(client: redis.Redis) -> dict[int, int]:
    """The next offset of each partition of the orders topic that is durable in Redis."""
    pipeline = client.pipeline(transaction=False)
    partitions = range(4)
    for partition in partitions:
        pipeline.hget(Keys(_PREFIX).shard(partition), "offsets")
    offsets = {}
    for partition, stored in zip(partitions, pipeline.execute(), strict=True):
        if stored:
            offsets[partition] = json.loads(stored).get("orders", 0)
    return offsets


# --- for memory.py: one shard of one partition ------------------------------------------------

_DAY = "2026-03-02"
_ITEMS_A_BATCH = 20_000


def build(items: int) -> Any:
    """A shard that knows `items` items, each with sales in some minutes, hours and days."""
    settings = Settings().worker().shard
    shard = Shard(0, settings, PolicyCache())
    decoder = TopicDecoder("orders")
    offset = 0
    for first in range(0, items, _ITEMS_A_BATCH):
        values = [_order(item) for item in range(first, min(first + _ITEMS_A_BATCH, items))]
        offset += len(values)
        shard.fold("orders", decoder.decode(values, None), offset)
    for topic in TOPICS:
        beat = b'{"kind":"heartbeat","occurred_at":"2026-03-04T00:00:00Z"}'
        offset += 1
        shard.fold(topic, TopicDecoder(topic).decode([beat], None), offset)
    while not shard.advance():
        pass
    return shard


def _order(item: int) -> bytes:
    time = f"{_DAY}T{10 + item % 3:02d}:{item % 60:02d}:{item % 59:02d}Z"
    return (
        f'{{"kind":"placed","event_id":"e{item}","occurred_at":"{time}","sku":"SKU-{item:07d}",'
        f'"order_id":"o{item}","quantity":{1 + item % 5},"price":9.99}}'
    ).encode()


def _store(redis_url: str) -> RedisStore:
    settings = Settings()
    return RedisStore(redis_pool(redis_url), Keys(_PREFIX), retention_of(settings))


def save(shard: Any, redis_url: str) -> None:
    """Commit the whole shard to Redis."""

    async def run() -> None:
        store = _store(redis_url)
        lease = await store.acquire(0, 1)
        await store.load(lease)
        await store.commit(lease, take_commit(shard))

    asyncio.run(run())


def load(redis_url: str) -> Any:
    """What a worker does on assignment: the shard from Redis, ready for events."""

    async def run() -> Shard:
        store = _store(redis_url)
        shard = Shard(0, Settings().worker().shard, PolicyCache())
        stored = await store.load(await store.acquire(0, 2))
        assert stored is not None
        restore(shard, stored)
        return shard

    return asyncio.run(run())


def items(shard: Any) -> int:
    """How many items the shard knows (the check that `load` brought them all)."""
    return len(shard.timeline.items)
