"""A shard of which Redis has lost a part: seen when it is loaded, and built anew from the log."""

import json
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from infra.bootstrap import redis_pool
from infra.redis.keys import Keys
from infra.redis.shard_store import CommitOutcome, MovedError, RedisStore
from tests.infra.redis.test_shard_store import RETENTION, ready, sample
from tests.streams.runs import Run, pieces, require_same

KEYS = Keys()
PIECES = ((0, 2, 1), (3, 1, 0), (1, 3, 5), (5, 1, 1), (2, 7, 0), (4, 1, 2))
OTHERS = ("tg:rows:{1}", "tg:item:{1}:lamp@main", "tg:shard:{1}", "tg:other:{0}", "tg:probe")


@asynccontextmanager
async def stored_shard(url: str):
    """A store, a client to harm Redis with, and what a run has committed in several pieces."""
    pool = redis_pool(url)
    store = RedisStore(pool, KEYS, RETENTION)
    run = Run()
    async with Redis.from_url(url) as redis:
        await redis.flushdb()
        lease, _ = await ready(store)
        await read_all(store, lease, run)
        yield store, redis, run
    await pool.disconnect()


async def read_all(store: RedisStore, lease, run: Run) -> None:
    """Read the whole log, and commit now and then."""
    for topic, batch, limit in pieces(sample(), PIECES):
        run.read(topic, batch)
        run.advance(limit)
        assert await store.commit(lease, run.commit()) == CommitOutcome.STORED
    run.advance_fully()
    assert await store.commit(lease, run.commit()) == CommitOutcome.STORED


async def keys_of(redis: Redis, pattern: str = "*") -> list[bytes]:
    """Keys that fit."""
    return sorted([key async for key in redis.scan_iter(match=pattern)])


FAMILIES = [
    *("names", "rows", "orders", "catalog", "groups", "outbox", "memory"),
    *("minute", "hour", "day", "totals", "shard"),
]


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
async def test_shard_that_lost_keys_is_forgotten_and_built_anew(redis_url, caplog, family):
    """Whichever keys are gone: what is left is deleted, and the log gives the same state again."""
    async with stored_shard(redis_url) as (store, redis, run):
        gone = await keys_of(redis, f"tg:{family}:{{0}}*")
        assert gone, "the sample has none"
        for key in OTHERS:
            await redis.hset(key, "any", "thing")
        await redis.delete(gone[-1])
        lease, stored = await ready(store)
        assert stored is None
        assert "has holes" in caplog.text
        left = await keys_of(redis)
        assert left == sorted([*map(str.encode, OTHERS), KEYS.shard(0).encode()])

        anew = Run()
        await read_all(store, lease, anew)
        _, stored = await ready(store)
        assert stored is not None
        anew.restart(stored)
        run.outputs, run.decisions, run.late, run.days = [], [], [], {}
        anew.outputs, anew.decisions, anew.late, anew.days = [], [], [], {}
        require_same(anew, run)


@pytest.mark.slow
async def test_hash_that_came_back_with_less_is_a_hole_too(redis_url):
    """Redis evicts a key while the worker runs, and its next commit makes it anew."""
    async with stored_shard(redis_url) as (store, redis, _):
        name, line = next(iter((await redis.hgetall(KEYS.catalog(0))).items()))
        await redis.delete(KEYS.catalog(0))
        await redis.hset(KEYS.catalog(0), name, line)
        assert (await ready(store))[1] is None


@pytest.mark.slow
async def test_inventory_of_another_commit_says_nothing(redis_url):
    """An older version of Tidegate went on meanwhile, and wrote none of its own."""
    async with stored_shard(redis_url) as (store, redis, _):
        key = KEYS.shard(0)
        inventory = json.loads(await redis.hget(key, "inventory"))
        inventory["sequence"] -= 1
        inventory["counts"]["catalog"] += 7
        await redis.hset(key, "inventory", json.dumps(inventory))
        assert (await ready(store))[1] is not None


@pytest.mark.slow
async def test_shard_with_holes_that_somebody_else_took_is_left_alone(redis_url):
    """Only who holds the lease may delete what is left."""
    async with stored_shard(redis_url) as (store, redis, _):
        await redis.delete(KEYS.catalog(0))
        lease = await store.acquire(0, 1)
        await store.acquire(0, 2)
        before = await keys_of(redis)
        with pytest.raises(MovedError):
            await store.load(lease)
        assert await keys_of(redis) == before
