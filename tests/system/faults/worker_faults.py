"""Faults of workers, and of what they read: killed, frozen, moved, restarted, in any order."""

import asyncio
import signal
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec
import redis
from aiokafka import AIOKafkaProducer

from infra.cli.terminal.wait import remaining
from streams.contracts.events import TOPICS
from streams.contracts.topics import ALERTS
from tests.system.faults.lab import (
    REPLAY_SECONDS,
    THINKING_SECONDS,
    Lab,
    by_name,
)
from tests.system.support.running import (
    SESSION_TIMEOUT_SECONDS,
    Installation,
    WorkerUnderTest,
    eventually,
)

# --- workers that die -------------------------------------------------------------------------


async def killed_while_it_catches_up(lab: Lab) -> None:
    """The whole log lies there; the worker is killed on the way through it, twice."""
    tidegate = await lab.install()
    result = await tidegate.replay(lab.events.records, batch_records=500)
    total = sum(result.end_offsets.values())
    worker = await tidegate.add_worker()
    for low, high in ((0.05, 0.45), (0.5, 0.9)):
        await tidegate.wait_until_consumed(lab.chance.uniform(low, high), total)
        await lab.kill_and_revive(worker)
    await lab.prove(tidegate, result)


async def killed_while_events_arrive(lab: Lab) -> None:
    """The worker is killed at a random moment, and once more when it has just taken over.

    Kafka's offsets never get ahead of Redis meanwhile.
    """
    tidegate = await lab.install()
    worker = await tidegate.add_ready_worker()
    async with tidegate.offsets_watched():
        replaying = lab.begin_replay(tidegate)
        await asyncio.sleep(lab.chance.uniform(1.5, REPLAY_SECONDS - 1.0))
        await lab.kill_and_revive(worker)
        await asyncio.sleep(lab.chance.uniform(0.0, 0.3))
        await lab.kill_and_revive(worker)
        await lab.prove(tidegate, await replaying)


async def one_of_two_killed(lab: Lab) -> None:
    """Two workers share the partitions; one is killed, the other carries on with all of them."""
    tidegate = await lab.install()
    first, second = await tidegate.add_worker(), await tidegate.add_worker()
    await asyncio.gather(first.wait_until_ready(), second.wait_until_ready())
    async with tidegate.offsets_watched():
        replaying = lab.begin_replay(tidegate)
        await asyncio.sleep(lab.chance.uniform(1.5, REPLAY_SECONDS - 1.0))
        lab.chance.choice([first, second]).kill()
        await lab.prove(tidegate, await replaying)


async def second_worker_joins_and_leaves(lab: Lab) -> None:
    """Partitions move to a second worker and back while events arrive."""
    tidegate = await lab.install()
    await tidegate.add_ready_worker()
    replaying = lab.begin_replay(tidegate, 2 * REPLAY_SECONDS)
    await asyncio.sleep(1.0)
    second = await tidegate.add_ready_worker()
    await asyncio.sleep(1.0)
    code, _ = await second.end()
    assert code == 0
    await lab.prove(tidegate, await replaying)


async def zombie_is_thawed(lab: Lab) -> None:
    """Frozen for longer than its session, a worker finds its commits refused when it goes on."""
    tidegate = await lab.install()
    result = await tidegate.replay(lab.events.records, batch_records=500)
    total = sum(result.end_offsets.values())
    zombie = await tidegate.add_worker(thinking_seconds=THINKING_SECONDS)
    await tidegate.wait_until_consumed(0.1, total)
    zombie.freeze()
    frozen_at = time.monotonic()
    left = total - tidegate.consumed()
    assert left > 0, "it was frozen too late to have something in hand"
    heir = await tidegate.add_worker()
    await tidegate.wait_until_stored(result)
    away_seconds = time.monotonic() - frozen_at
    assert away_seconds > SESSION_TIMEOUT_SECONDS
    print(f"{lab.name}: {left} records taken over {away_seconds:.1f} s after the freeze")
    (await tidegate.exports()).require_same(lab.reference.exports)
    zombie.thaw()
    await eventually(lambda: "has another past" in zombie.log_text(), "the zombie was refused")
    await asyncio.sleep(SESSION_TIMEOUT_SECONDS / 2)
    await asyncio.gather(zombie.wait_until_ready(), heir.wait_until_ready())
    await lab.prove(tidegate, result)


async def killed_when_all_is_read_and_not_all_decided(lab: Lab) -> None:
    """With no record left to read, the next worker still decides what is left to decide."""
    tidegate = await lab.install()
    result = await tidegate.replay(lab.events.records)
    total = sum(result.end_offsets.values())
    worker = await tidegate.add_worker(thinking_seconds=THINKING_SECONDS)
    await tidegate.wait_until_consumed(1.0, total)
    worker.freeze()
    target = tidegate.target(result)
    assert remaining(tidegate.shards(), target).undecided, "it was through with deciding"
    worker.thinking_seconds = 0.0
    await lab.kill_and_revive(worker)
    await lab.prove(tidegate, result, patience_seconds=30.0)


async def killed_between_commit_and_publish(lab: Lab) -> None:
    """Decisions that were stored and not yet published go out after the restart, the same bytes."""
    tidegate = await lab.install()
    result = await tidegate.replay(lab.events.records, batch_records=500)
    worker = await tidegate.add_worker()
    held = await _freeze_with_something_to_publish(tidegate, worker)
    await lab.kill_and_revive(worker)
    await lab.prove(tidegate, result)
    published = defaultdict(set)
    for topic in {record.topic for record in held}:
        for found in await tidegate.read(topic):
            published[topic].add((found.key, found.value))
    lost = [one for one in held if (one.key, one.value) not in published[one.topic]]
    assert not lost
    print(f"{lab.name}: {len(held)} records were stored and not published when it was killed")


async def _freeze_with_something_to_publish(tidegate: Installation, worker: WorkerUnderTest) -> Any:
    for _ in range(500):
        await eventually(tidegate.frozen_outbox, "a decision is in the outbox", every=0.001)
        worker.freeze()
        if held := tidegate.frozen_outbox():
            return held
        worker.thaw()
    raise AssertionError("the outbox was always empty when the worker was looked at")


async def shut_down_and_restarted(lab: Lab) -> None:
    """SIGTERM: it commits, tells Kafka, leaves with 0; the next one goes on where it stopped."""
    tidegate = await lab.install()
    worker = await tidegate.add_ready_worker()
    async with tidegate.offsets_watched():
        replaying = lab.begin_replay(tidegate)
        await asyncio.sleep(lab.chance.uniform(2.0, REPLAY_SECONDS - 1.0))
        await eventually(tidegate.open_orders, "an order is open, to be kept over a restart")
        code, seconds = await worker.end()
        assert code == 0, worker.log_tail()
        stored = {at: offset for at, offset in tidegate.stored_offsets().items() if offset}
        assert await tidegate.committed_offsets() == stored
        assert 0 < sum(stored.values()) < sum(lab.reference.result.end_offsets.values())
        before = tidegate.open_orders()
        await worker.begin()
        await worker.wait_until_ready()
        result = await replaying
    await lab.prove(tidegate, result)
    await _require_whole_incidents(tidegate)
    print(f"{lab.name}: ended {seconds:.2f} s after SIGTERM, with {len(before)} open orders")


async def _require_whole_incidents(tidegate: Installation) -> None:
    """Each incident is raised once, published in steps, and resolved at most once, at its end."""
    steps: dict[str, dict[int, str]] = defaultdict(dict)
    for record in await tidegate.read(ALERTS):
        alert = msgspec.json.decode(record.value or b"")
        steps[alert["incident_id"]][alert["version"]] = alert["state"]
    for versions in steps.values():
        assert sorted(versions) == list(range(1, len(versions) + 1))
        kinds = [versions[version] for version in sorted(versions)]
        assert kinds[0] == "raised"
        assert kinds[1:].count("raised") == 0
        assert "resolved" not in kinds[:-1]
    assert steps


# --- Redis that forgets or goes away ----------------------------------------------------------


async def redis_wiped(lab: Lab) -> None:
    """FLUSHALL in the middle, and once more at the end: the topics bring everything back."""
    server = await lab.own_redis()
    tidegate = await lab.install(redis_url=server.url)
    await tidegate.add_ready_worker()
    replaying = lab.begin_replay(tidegate)
    with redis.Redis.from_url(server.url) as client:
        await asyncio.sleep(lab.chance.uniform(1.5, REPLAY_SECONDS - 1.0))
        while not tidegate.consumed():  # noqa: ASYNC110 (however slow this machine is)
            await asyncio.sleep(0.05)
        client.flushall()
        result = await replaying
        await lab.prove(tidegate, result)
        client.flushall()
    # Nobody notices before something happens; one event that is known already is enough.
    again = await tidegate.replay(lab.events.records[-1:])
    prefix = tidegate.settings.topic_prefix
    ends = {**result.end_offsets, **again.end_offsets}
    await tidegate.wait_until_reached(
        {(topic.removeprefix(prefix), partition): end for (topic, partition), end in ends.items()}
    )
    (await tidegate.exports()).require_same(lab.reference.exports)
    tidegate.require_balance()
    await tidegate.require_one_body_for_each_order()


async def redis_killed_and_restarted(lab: Lab) -> None:
    """Redis is killed twice and comes back from its append-only file while events arrive."""
    server = await lab.own_redis()
    tidegate = await lab.install(redis_url=server.url)
    worker = await tidegate.add_ready_worker()
    replaying = lab.begin_replay(tidegate, 2 * REPLAY_SECONDS)
    for _ in range(2):
        await asyncio.sleep(lab.chance.uniform(1.0, 4.0))
        await asyncio.to_thread(server.kill)
        await eventually(lambda: not worker.is_ready(), "the worker says that Redis is away")
        await asyncio.to_thread(server.start)
        await worker.wait_until_ready()
    await lab.prove(tidegate, await replaying)


async def redis_frozen(lab: Lab) -> None:
    """Redis stops in the middle of commits and goes on: replies that got lost double nothing."""
    server = await lab.own_redis()
    tidegate = await lab.install(redis_url=server.url)
    await tidegate.add_ready_worker()
    replaying = lab.begin_replay(tidegate)
    await asyncio.sleep(2.0)
    server.signal(signal.SIGSTOP)
    await asyncio.sleep(12.0)  # longer than the worker waits for an answer
    server.signal(signal.SIGCONT)
    await lab.prove(tidegate, await replaying)


# --- the same logs in another way (invariant 3) -----------------------------------------------


async def slowly_in_small_batches_with_two_workers(lab: Lab) -> None:
    """Another speed, another batch size, another number of workers: not one byte is different."""
    tidegate = await lab.install()
    first, second = await tidegate.add_worker(), await tidegate.add_worker()
    await asyncio.gather(first.wait_until_ready(), second.wait_until_ready())
    result = await lab.begin_replay(tidegate, 4.0, batch_records=7)
    await lab.prove(tidegate, result)


async def one_topic_after_the_other(lab: Lab) -> None:
    """Each topic is read to its end before the next begins, the last one first."""
    await _copy_topics(lab, list(TOPICS)[::-1])


async def orders_after_everything_else(lab: Lab) -> None:
    """Orders come when all other topics have been read to their ends, in their own order."""
    await _copy_topics(lab, sorted(TOPICS, key=lambda topic: topic == "orders"))


async def _copy_topics(lab: Lab, order: Sequence[str]) -> None:
    tidegate = await lab.install()
    await tidegate.add_ready_worker()
    theirs, ours = lab.reference.installation.settings.topic_prefix, tidegate.settings.topic_prefix
    ends: dict[tuple[str, int], int] = defaultdict(int)
    async with AIOKafkaProducer(bootstrap_servers=lab.bootstrap, acks="all") as producer:
        for topic in order:
            for record in await lab.reference.installation.read(topic):
                name, partition = record.topic.replace(theirs, ours), record.partition
                await producer.send(name, record.value, record.key, partition=partition)
                ends[topic, partition] += 1
            await producer.flush()
            await eventually(lambda: _has(tidegate, ends), f"all of {topic} is stored")
    await tidegate.wait_until_reached(ends)
    (await tidegate.exports()).require_same(lab.reference.exports)
    tidegate.require_balance()


def _has(tidegate: Installation, ends: dict[tuple[str, int], int]) -> bool:
    stored = tidegate.stored_offsets()
    return all(stored.get(at, 0) >= end for at, end in ends.items())


SCENARIOS = by_name(
    killed_while_it_catches_up,
    killed_while_events_arrive,
    one_of_two_killed,
    zombie_is_thawed,
    killed_when_all_is_read_and_not_all_decided,
    second_worker_joins_and_leaves,
    killed_between_commit_and_publish,
    shut_down_and_restarted,
    redis_frozen,
    redis_wiped,
    redis_killed_and_restarted,
    slowly_in_small_batches_with_two_workers,
    one_topic_after_the_other,
    orders_after_everything_else,
)
