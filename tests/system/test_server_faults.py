"""Invariants 1 to 3 when Redis comes back older or full, and when workers come and go."""

import asyncio
import shutil
import signal

import pytest
import redis

from tests.system.lab import THINKING_SECONDS, Endings, Lab, by_name
from tests.system.running import eventually

_VISITS = 4


async def redis_comes_back_with_an_older_snapshot(lab: Lab) -> None:
    """What Redis lost is read again: as a restore from a backup, or a replica that was behind."""
    server = await lab.own_redis()
    tidegate = await lab.install(redis_url=server.url)
    result = await tidegate.replay(lab.events.records, batch_records=500)
    total = sum(result.end_offsets.values())
    worker = await tidegate.add_worker(thinking_seconds=THINKING_SECONDS)
    await tidegate.wait_until_consumed(0.02, total)
    backup = lab.directory / "backup"
    server.signal(signal.SIGSTOP)
    shutil.copytree(server.directory / "appendonlydir", backup)
    server.signal(signal.SIGCONT)
    before = tidegate.consumed()
    await eventually(lambda: tidegate.consumed() > before, "more is stored than in the backup")
    await asyncio.to_thread(server.kill)
    shutil.rmtree(server.directory / "appendonlydir")
    shutil.move(backup, server.directory / "appendonlydir")
    await asyncio.to_thread(server.start)
    await worker.wait_until_ready()
    await lab.prove(tidegate, result, patience_seconds=150.0)


async def redis_has_no_memory_left(lab: Lab) -> None:
    """A commit that Redis refuses leaves no part of itself; with room again all goes on."""
    server = await lab.own_redis()
    tidegate = await lab.install(redis_url=server.url)
    result = await tidegate.replay(lab.events.records, batch_records=500)
    worker = await tidegate.add_worker(thinking_seconds=THINKING_SECONDS)
    await tidegate.wait_until_consumed(0.02, sum(result.end_offsets.values()))
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1mb")
        await eventually(lambda: not worker.is_ready(), "the worker says that it cannot store")
        tidegate.require_balance()
        client.config_set("maxmemory", "0")
    await worker.wait_until_ready()
    await lab.prove(tidegate, result, patience_seconds=150.0)


async def workers_come_and_go(lab: Lab) -> None:
    """Again and again a second worker takes half of the partitions and dies, however it likes."""
    tidegate = await lab.install()
    await tidegate.add_ready_worker()
    replaying = lab.begin_replay(tidegate)
    for visit in range(_VISITS):
        guest = await tidegate.add_worker()
        await asyncio.sleep(lab.chance.uniform(0.0, 4.0))
        if visit % 2:
            guest.kill()
        else:
            await guest.end()
    await lab.prove(tidegate, await replaying, patience_seconds=150.0)


SCENARIOS = by_name(
    redis_comes_back_with_an_older_snapshot,
    redis_has_no_memory_left,
    workers_come_and_go,
)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SCENARIOS)
def test_failing_server_loses_doubles_and_changes_nothing(name: str, endings: Endings) -> None:
    """Days, items, decisions, orders and alerts are, byte for byte, those of a run in peace."""
    ending = endings[name]
    if ending is not None:
        raise ending
