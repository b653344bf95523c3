"""Invariants 1 and 2 under faults: whatever is killed, frozen, joined or wiped, the outcome is the same.

Every scenario ends with exports that are byte-equal to a run in peace (`reference`), with records
that add up, and with one body for each purchase order. Scenarios that mostly wait for session
timeouts run side by side, each in an installation of its own.
"""

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable

import pytest
import redis

from infra.embedded import EmbeddedRedis
from infra.replay import ReplayResult
from tests.system.conftest import Events, Install, Reference
from tests.system.running import (
    SESSION_TIMEOUT_SECONDS,
    Installation,
    WorkerUnderTest,
    eventually,
)

Scenario = Callable[[Installation, Events, random.Random], Awaitable[ReplayResult]]
REPLAY_SECONDS = 6.0


async def _prove(
    tidegate: Installation, result: ReplayResult, events: Events, reference: Reference
) -> None:
    """Fail unless the outcome is that of a run in peace."""
    seconds = await tidegate.wait_until_stored(result)
    exports = await tidegate.exports()
    exports.require_same(reference.exports)
    assert exports.day_rows() == events.days
    tidegate.require_balance()
    assert tidegate.consumed() == sum(result.end_offsets.values())
    count = await tidegate.require_one_body_for_each_order()
    assert count > 50
    print(f"{tidegate.settings.topic_prefix}: all stored after {seconds:.1f} s more")


async def _kill_and_revive(worker: WorkerUnderTest) -> None:
    worker.kill()
    started = time.monotonic()
    await worker.begin()
    await worker.wait_until_ready()
    print(f"{worker.name}: ready {time.monotonic() - started:.1f} s after kill -9")


# --- workers that die -------------------------------------------------------------------------


async def _killed_far_behind(
    tidegate: Installation, events: Events, chance: random.Random
) -> ReplayResult:
    """The whole log lies there; the worker is killed while it catches up, twice."""
    result = await tidegate.replay(events.records, batch_records=500)
    total = sum(result.end_offsets.values())
    worker = await tidegate.add_worker()
    for low, high in ((0.05, 0.45), (0.5, 0.9)):
        await tidegate.wait_until_consumed(chance.uniform(low, high), total)
        await _kill_and_revive(worker)
    return result


async def _killed_while_live(
    tidegate: Installation, events: Events, chance: random.Random
) -> ReplayResult:
    """Events arrive all the time; the worker is killed, and once more while it takes over."""
    worker = await tidegate.add_ready_worker()
    replaying = asyncio.create_task(
        tidegate.replay(events.records, speed=events.speed_for(REPLAY_SECONDS))
    )
    await asyncio.sleep(chance.uniform(1.0, REPLAY_SECONDS - 1.0))
    await _kill_and_revive(worker)
    await asyncio.sleep(chance.uniform(0.0, 0.3))
    await _kill_and_revive(worker)
    return await replaying


async def _one_of_two_killed(
    tidegate: Installation, events: Events, chance: random.Random
) -> ReplayResult:
    """Two workers share the partitions; one is killed, the other carries on with all of them."""
    first = await tidegate.add_worker()
    second = await tidegate.add_worker()
    await asyncio.gather(first.wait_until_ready(), second.wait_until_ready())
    replaying = asyncio.create_task(
        tidegate.replay(events.records, speed=events.speed_for(REPLAY_SECONDS))
    )
    await asyncio.sleep(chance.uniform(1.0, REPLAY_SECONDS - 1.0))
    chance.choice([first, second]).kill()
    return await replaying


@pytest.mark.parametrize(
    ("scenario", "seed"),
    [(_killed_far_behind, 1), (_killed_while_live, 2), (_one_of_two_killed, 3)],
)
async def test_killed_workers_lose_and_double_nothing(
    scenario: Scenario, seed: int, install: Install, events: Events, reference: Reference
) -> None:
    """kill -9 at random points: each row, decision, order and alert is as if nothing had happened."""
    tidegate = await install()
    result = await scenario(tidegate, events, random.Random(seed))
    await _prove(tidegate, result, events, reference)


async def test_worker_joins_in_the_middle_and_leaves(
    install: Install, events: Events, reference: Reference
) -> None:
    """Partitions move to a second worker and back while events arrive, without a trace."""
    tidegate = await install()
    await tidegate.add_ready_worker()
    replaying = asyncio.create_task(
        tidegate.replay(events.records, speed=events.speed_for(2 * REPLAY_SECONDS))
    )
    await asyncio.sleep(1.0)
    second = await tidegate.add_ready_worker()
    await asyncio.sleep(1.0)
    code, _ = await second.end()
    assert code == 0
    await _prove(tidegate, await replaying, events, reference)


async def test_thawed_zombie_writes_nothing(
    install: Install, events: Events, reference: Reference
) -> None:
    """A worker frozen for longer than its session finds its shards taken, and its commits refused."""
    tidegate = await install()
    result = await tidegate.replay(events.records, batch_records=500)
    total = sum(result.end_offsets.values())
    zombie = await tidegate.add_worker()
    await tidegate.wait_until_consumed(0.1, total)
    zombie.freeze()
    frozen_at = time.monotonic()
    left = total - tidegate.consumed()
    assert left > 0, "it was frozen too late to have something in hand"
    heir = await tidegate.add_worker()
    await tidegate.wait_until_stored(result)
    assert time.monotonic() - frozen_at > SESSION_TIMEOUT_SECONDS
    print(f"taken over {time.monotonic() - frozen_at:.1f} s after the freeze, {left} records left")
    epochs = {shard.partition: shard.epoch for shard in tidegate.shards()}
    at_rest = await tidegate.exports()
    at_rest.require_same(reference.exports)
    zombie.thaw()
    await eventually(lambda: "has another past" in zombie.log_text(), "the zombie was refused")
    await asyncio.sleep(SESSION_TIMEOUT_SECONDS / 2)
    await asyncio.gather(zombie.wait_until_ready(), heir.wait_until_ready())
    assert all(shard.epoch >= epochs[shard.partition] for shard in tidegate.shards())
    await _prove(tidegate, result, events, reference)


# --- Redis that forgets or goes away ----------------------------------------------------------


async def test_wiped_redis_is_healed_by_replay(
    install: Install, own_redis: EmbeddedRedis, events: Events, reference: Reference
) -> None:
    """FLUSHALL in the middle, and once more at the end: the topics bring everything back."""
    tidegate = await install(redis_url=own_redis.url)
    worker = await tidegate.add_ready_worker()
    replaying = asyncio.create_task(
        tidegate.replay(events.records, speed=events.speed_for(REPLAY_SECONDS))
    )
    with redis.Redis.from_url(own_redis.url) as client:
        await asyncio.sleep(random.Random(4).uniform(1.0, REPLAY_SECONDS - 1.0))
        client.flushall()
        result = await replaying
        await _prove(tidegate, result, events, reference)
        client.flushall()
    # Nobody notices before something happens; one event that is known already is enough.
    again = await tidegate.replay(events.records[-1:])
    ends = {**result.end_offsets, **again.end_offsets}
    prefix = tidegate.settings.topic_prefix
    await tidegate.wait_until_reached(
        {(topic.removeprefix(prefix), partition): end for (topic, partition), end in ends.items()}
    )
    (await tidegate.exports()).require_same(reference.exports)
    tidegate.require_balance()
    await tidegate.require_one_body_for_each_order()
    worker.require_alive()


async def test_restarted_redis_costs_only_time(
    install: Install, own_redis: EmbeddedRedis, events: Events, reference: Reference
) -> None:
    """Redis is killed and comes back from its append-only file while events arrive."""
    tidegate = await install(redis_url=own_redis.url)
    worker = await tidegate.add_ready_worker()
    replaying = asyncio.create_task(
        tidegate.replay(events.records, speed=events.speed_for(REPLAY_SECONDS))
    )
    chance = random.Random(5)
    for _ in range(2):
        await asyncio.sleep(chance.uniform(0.5, REPLAY_SECONDS / 2 - 0.5))
        await asyncio.to_thread(own_redis.kill)
        await eventually(lambda: not worker.is_ready(), "the worker says that Redis is away")
        await asyncio.to_thread(own_redis.start)
        await worker.wait_until_ready()
    await _prove(tidegate, await replaying, events, reference)


async def test_frozen_redis_costs_only_time(
    install: Install, own_redis: EmbeddedRedis, events: Events, reference: Reference
) -> None:
    """Redis stops in the middle of commits and goes on: replies that got lost double nothing."""
    tidegate = await install(redis_url=own_redis.url)
    await tidegate.add_ready_worker()
    replaying = asyncio.create_task(
        tidegate.replay(events.records, speed=events.speed_for(REPLAY_SECONDS))
    )
    await asyncio.sleep(2.0)
    own_redis.signal(signal.SIGSTOP)
    await asyncio.sleep(12.0)  # longer than the worker waits for an answer
    own_redis.signal(signal.SIGCONT)
    await _prove(tidegate, await replaying, events, reference)
