"""Faults of servers: Redis or Kafka dies, fills up, freezes or forgets; and guests.

`SCENARIOS` are tests. `LONG` ones run with all the others in `python -m tests.system.faults`.
"""

import asyncio
import resource
import shutil
import signal
from collections.abc import Awaitable, Callable

import pytest
import redis

from tests.kafka_server import KafkaServer
from tests.system.faults.lab import (
    REPLAY_SECONDS,
    THINKING_SECONDS,
    Lab,
    RedisOnDisk,
    by_name,
)
from tests.system.support.running import (
    SESSION_TIMEOUT_SECONDS,
    Installation,
    WorkerUnderTest,
    eventually,
)

_VISITS = 4
_SOME_PINGS_SECONDS = 5.0  # Redis refuses those too

# --- Redis ------------------------------------------------------------------------------------


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
    await lab.time_recovery(worker.wait_until_ready())
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
    await lab.time_recovery(worker.wait_until_ready())
    await lab.prove(tidegate, result, patience_seconds=150.0)


async def disk_is_full(lab: Lab) -> None:
    """Neither Redis nor the worker's log can write a byte more: the worker holds, and says so.

    What Redis refused to keep is stored once there is room again.
    """
    server = await lab.own_redis()
    tidegate = await lab.install(redis_url=server.url)
    result = await tidegate.replay(lab.events.records, batch_records=500)
    worker = await tidegate.add_worker(thinking_seconds=THINKING_SECONDS)
    await tidegate.wait_until_consumed(0.02, sum(result.end_offsets.values()))
    for process in (worker, server):
        _limit_files(process, 1)
    await eventually(lambda: not worker.is_ready(), "the worker says that it cannot store")
    await asyncio.sleep(_SOME_PINGS_SECONDS)
    worker.require_alive()
    for process in (worker, server):
        _limit_files(process, resource.RLIM_INFINITY)
    await lab.time_recovery(worker.wait_until_ready())
    await lab.prove(tidegate, result, patience_seconds=150.0)


def _limit_files(process: RedisOnDisk | WorkerUnderTest, size_bytes: int) -> None:
    """Let no file of a running process grow beyond a size, as on a full disk."""
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))


# --- workers ----------------------------------------------------------------------------------


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


# --- Kafka ------------------------------------------------------------------------------------

Absence = Callable[[KafkaServer], Awaitable[None]]


async def _broker_goes_away(lab: Lab, absence: Absence) -> None:
    """The broker is away while orders wait to be published, and once more while nothing happens."""
    broker = await lab.own_broker()
    assert isinstance(broker, KafkaServer)
    tidegate = await lab.install(bootstrap=broker.bootstrap)
    result = await tidegate.replay(lab.events.records, batch_records=500)
    await tidegate.add_worker(thinking_seconds=THINKING_SECONDS)
    await tidegate.wait_until_consumed(0.02, sum(result.end_offsets.values()))
    await asyncio.sleep(lab.chance.uniform(0.0, 2.0))
    await absence(broker)
    await tidegate.wait_until_stored(result, 150.0)
    await absence(broker)
    result = await lab.time_reading(tidegate, result)
    await lab.prove(tidegate, result)


@pytest.mark.kafka
async def broker_is_killed_and_restarted(lab: Lab) -> None:
    """Kill -9 of the only broker: its log stays, and so does the outcome."""

    async def killed(broker: KafkaServer) -> None:
        await asyncio.to_thread(broker.kill)
        await asyncio.sleep(lab.chance.uniform(0.0, 3.0))
        await asyncio.to_thread(broker.start)

    await _broker_goes_away(lab, killed)


@pytest.mark.kafka
async def broker_ends_and_is_restarted(lab: Lab) -> None:
    """SIGTERM, and a new start after longer than a session."""

    async def ended(broker: KafkaServer) -> None:
        await asyncio.to_thread(broker.stop)
        await asyncio.sleep(SESSION_TIMEOUT_SECONDS + lab.chance.uniform(0.0, 6.0))
        await asyncio.to_thread(broker.start)

    await _broker_goes_away(lab, ended)


@pytest.mark.kafka
async def broker_is_frozen(lab: Lab) -> None:
    """The only broker stands still for longer than a session, with all connections open."""

    async def frozen(broker: KafkaServer) -> None:
        broker.signal(signal.SIGSTOP)
        await asyncio.sleep(SESSION_TIMEOUT_SECONDS + lab.chance.uniform(1.0, 10.0))
        broker.signal(signal.SIGCONT)

    await _broker_goes_away(lab, frozen)


@pytest.mark.kafka
async def one_of_three_brokers_is_killed(lab: Lab) -> None:
    """Kill -9 of a replica's node while events arrive: another leads; then it comes back."""
    cluster = await lab.own_cluster()
    tidegate = await lab.install(
        bootstrap=cluster.bootstrap, replication_factor=cluster.replication_factor
    )
    await tidegate.add_ready_worker()
    replaying = lab.begin_replay(tidegate, 6 * REPLAY_SECONDS)
    await asyncio.sleep(lab.chance.uniform(2.0, REPLAY_SECONDS))
    node = lab.chance.choice(cluster.nodes)
    await asyncio.to_thread(node.kill)
    await lab.time_recovery(_every_partition_grows(tidegate))
    await asyncio.to_thread(node.start)
    await lab.prove(tidegate, await replaying, patience_seconds=150.0)


async def _every_partition_grows(tidegate: Installation) -> None:
    """Return when orders that were not stored before are stored in each partition."""
    before = _orders_stored(tidegate)

    def have_grown() -> bool:
        now = _orders_stored(tidegate)
        return bool(before) and all(now.get(at, 0) > offset for at, offset in before.items())

    await eventually(have_grown, "orders of every partition are stored")


def _orders_stored(tidegate: Installation) -> dict[tuple[str, int], int]:
    return {at: offset for at, offset in tidegate.stored_offsets().items() if at[0] == "orders"}


SCENARIOS = by_name(
    redis_comes_back_with_an_older_snapshot,
    redis_has_no_memory_left,
    disk_is_full,
    workers_come_and_go,
    broker_is_killed_and_restarted,
)

LONG = by_name(
    broker_ends_and_is_restarted,
    broker_is_frozen,
    one_of_three_brokers_is_killed,
)
