"""Redis fails over by name: the name leads to another server, and the old one lives on."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from infra.local.embedded import EmbeddedRedis
from tests.infra.redis.refusing_server import MovingName, running
from tests.system.conftest import Events, Install
from tests.system.support.running import WorkerUnderTest, eventually

_RECORDS = 3_000


@pytest.fixture
def replica(own_redis: EmbeddedRedis, tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A second server that follows the first."""
    with EmbeddedRedis(tmp_path / "replica") as server:
        with redis.Redis.from_url(server.url) as client:
            client.replicaof("127.0.0.1", own_redis.port)
        yield server


def _is_in_sync(replica: EmbeddedRedis) -> bool:
    with redis.Redis.from_url(replica.url) as client:
        return client.info("replication").get("master_link_status") == "up"


def _promote(replica: EmbeddedRedis, old: EmbeddedRedis) -> None:
    """As a failover does it: the replica is the primary now, and the old primary follows it."""
    with redis.Redis.from_url(replica.url) as client:
        client.replicaof("NO", "ONE")
    with redis.Redis.from_url(old.url) as client:
        client.replicaof("127.0.0.1", replica.port)


def _says_replica(worker: WorkerUnderTest) -> bool:
    answer = worker.ask("/readyz")
    return answer.status == 503 and "redis_url must lead to the primary" in answer.text


async def test_worker_follows_its_redis_by_name(
    install: Install, own_redis: EmbeddedRedis, replica: EmbeddedRedis, events: Events
) -> None:
    """The old primary refuses writes on connections that stay open: they are given up. Until the
    name has moved the worker says what it is connected to; then it goes on, and nothing is lost.
    """
    await eventually(lambda: _is_in_sync(replica), "the replica follows")
    name = MovingName(own_redis.port)
    with running(name):
        tidegate = await install(redis_url=name.url)
        worker = await tidegate.add_ready_worker()
        half = len(events.records[:_RECORDS]) // 2
        await tidegate.wait_until_stored(await tidegate.replay(events.records[:half]))

        await asyncio.to_thread(_promote, replica, own_redis)
        await eventually(lambda: _says_replica(worker), "the old primary is reported", seconds=30)
        name.target = replica.port
        result = await tidegate.replay(events.records[half:_RECORDS])
        await worker.wait_until_ready(60)
        await tidegate.wait_until_stored(result)
        tidegate.require_balance()
        with redis.Redis.from_url(replica.url, decode_responses=True) as client:
            assert client.info("replication")["role"] == "master"
            keys = list(client.scan_iter(f"{tidegate.settings.redis_prefix}shard:*"))
            offsets = [json.loads(str(client.hget(key, "offsets"))) for key in keys]
        assert sum(sum(one.values()) for one in offsets) >= tidegate.consumed() > 0
