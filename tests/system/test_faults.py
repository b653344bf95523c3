"""Invariants 1 to 3: whatever is killed, frozen, moved or wiped, the outcome is the same.

Every scenario ends with exports that are byte-equal to a run in peace (`reference`), with records
that add up, and with one body for each purchase order. A scenario mostly waits, for session
timeouts above all; so those that are asked for run side by side, each in an installation of its
own, and each test then tells how its own one ended.
"""

import asyncio
import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
from aiokafka import AIOKafkaProducer

from infra.cli.waiting import remaining
from infra.embedded import EmbeddedRedis
from infra.replay import ReplayResult
from infra.topics import ALERTS
from streams.events import TOPICS
from tests.conftest import Broker
from tests.system.conftest import Events, Reference, delete_topics
from tests.system.running import (
    SESSION_TIMEOUT_SECONDS,
    Installation,
    WorkerUnderTest,
    eventually,
)

REPLAY_SECONDS = 6.0
THINKING_SECONDS = 0.02  # of a worker that a fault must find at work, however fast the machine is
_AT_ONCE = 4
_REDIS_DATABASE = 4_094
SEED_VARIABLE = "TIDEGATE_FAULT_SEED"  # other moments for the faults; the same ones without it


@dataclass
class Lab:
    """What one scenario needs; everything in it ends with `equipment`."""

    name: str
    directory: Path
    bootstrap: str
    redis_url: str
    events: Events
    reference: Reference
    chance: random.Random
    equipment: ExitStack = field(default_factory=ExitStack)

    async def install(self, *, redis_url: str | None = None, **settings: Any) -> Installation:
        """Make an installation, with its topics and without a worker."""
        tidegate = Installation(
            self.directory, self.bootstrap, redis_url or self.redis_url, self.name, **settings
        )
        self.equipment.callback(tidegate.close)
        return await tidegate.make_topics()

    async def own_redis(self) -> EmbeddedRedis:
        """Start a Redis of its own that keeps its data over `kill()`, `start()`."""
        server = EmbeddedRedis(self.directory / "own-redis", append_only=True)
        return await asyncio.to_thread(self.equipment.enter_context, server)

    def begin_replay(
        self, tidegate: Installation, seconds: float = REPLAY_SECONDS, **options: Any
    ) -> "asyncio.Task[ReplayResult]":
        """Let the events arrive over so many seconds."""
        speed = self.events.speed_for(seconds)
        return asyncio.create_task(tidegate.replay(self.events.records, speed=speed, **options))

    async def prove(
        self, tidegate: Installation, result: ReplayResult, patience_seconds: float = 90.0
    ) -> None:
        """Fail unless the outcome is that of a run in peace."""
        seconds = await tidegate.wait_until_stored(result, patience_seconds)
        exports = await tidegate.exports()
        exports.require_same(self.reference.exports)
        assert exports.day_rows() == self.events.days
        tidegate.require_balance()
        assert tidegate.consumed() == sum(result.end_offsets.values())
        assert await tidegate.require_one_body_for_each_order() > 50
        print(f"{self.name}: all stored after {seconds:.1f} s more")


async def _kill_and_revive(worker: WorkerUnderTest) -> None:
    worker.kill()
    started = time.monotonic()
    await worker.begin()
    await worker.wait_until_ready()
    print(f"{worker.name}: ready {time.monotonic() - started:.1f} s after kill -9")


# --- workers that die -------------------------------------------------------------------------


async def killed_while_it_catches_up(lab: Lab) -> None:
    """The whole log lies there; the worker is killed on the way through it, twice."""
    tidegate = await lab.install()
    result = await tidegate.replay(lab.events.records, batch_records=500)
    total = sum(result.end_offsets.values())
    worker = await tidegate.add_worker()
    for low, high in ((0.05, 0.45), (0.5, 0.9)):
        await tidegate.wait_until_consumed(lab.chance.uniform(low, high), total)
        await _kill_and_revive(worker)
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
        await _kill_and_revive(worker)
        await asyncio.sleep(lab.chance.uniform(0.0, 0.3))
        await _kill_and_revive(worker)
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
    await _kill_and_revive(worker)
    await lab.prove(tidegate, result, patience_seconds=30.0)


async def killed_between_commit_and_publish(lab: Lab) -> None:
    """Decisions that were stored and not yet published go out after the restart, the same bytes."""
    tidegate = await lab.install()
    result = await tidegate.replay(lab.events.records, batch_records=500)
    worker = await tidegate.add_worker()
    held = await _freeze_with_something_to_publish(tidegate, worker)
    await _kill_and_revive(worker)
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


async def ended_politely_and_restarted(lab: Lab) -> None:
    """SIGTERM: it commits, tells Kafka, leaves with 0; the next one goes on where it stopped."""
    tidegate = await lab.install()
    worker = await tidegate.add_ready_worker()
    async with tidegate.offsets_watched():
        replaying = lab.begin_replay(tidegate)
        await asyncio.sleep(lab.chance.uniform(2.0, REPLAY_SECONDS - 1.0))
        code, seconds = await worker.end()
        assert code == 0, worker.log_tail()
        assert seconds < 10
        stored = {at: offset for at, offset in tidegate.stored_offsets().items() if offset}
        assert await tidegate.committed_offsets() == stored
        assert 0 < sum(stored.values()) < sum(lab.reference.result.end_offsets.values())
        before = tidegate.open_orders()
        assert before, "nothing to keep over a restart"
        await worker.begin()
        await worker.wait_until_ready()
        result = await replaying
    await lab.prove(tidegate, result)
    await _require_whole_incidents(tidegate)
    print(f"{lab.name}: ended {seconds:.2f} s after SIGTERM, with {len(before)} open orders")


async def _require_whole_incidents(tidegate: Installation) -> None:
    """Each incident is raised once, told in steps, and resolved at most once, at its end."""
    steps: dict[str, dict[int, str]] = defaultdict(dict)
    for record in await tidegate.read(ALERTS):
        alert = msgspec.json.decode(record.value or b"")
        steps[alert["incident_id"]][alert["version"]] = alert["kind"]
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


# --- side by side -----------------------------------------------------------------------------

Scenario = Callable[[Lab], Awaitable[None]]

SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        killed_while_it_catches_up,
        killed_while_events_arrive,
        one_of_two_killed,
        zombie_is_thawed,
        killed_when_all_is_read_and_not_all_decided,
        second_worker_joins_and_leaves,
        killed_between_commit_and_publish,
        ended_politely_and_restarted,
        redis_frozen,
        redis_wiped,
        redis_killed_and_restarted,
        slowly_in_small_batches_with_two_workers,
        one_topic_after_the_other,
        orders_after_everything_else,
    )
}


@pytest.fixture(scope="module")
def endings(
    request: pytest.FixtureRequest,
    broker: Broker,
    redis_server: EmbeddedRedis,
    events: Events,
    reference: Reference,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, BaseException | None]]:
    """Run the scenarios that are asked for; return how each ended."""
    asked = [
        item.callspec.params["name"]
        for item in request.session.items
        if item.path == request.path and hasattr(item, "callspec")
    ]
    labs = [
        Lab(
            name=f"{name}-",
            directory=tmp_path_factory.mktemp(name),
            bootstrap=broker.bootstrap,
            redis_url=f"redis://{redis_server.address}/{_REDIS_DATABASE}",
            events=events,
            reference=reference,
            chance=random.Random(f"{name}{os.environ.get(SEED_VARIABLE, '')}"),
        )
        for name in asked
    ]
    yield dict(zip(asked, asyncio.run(_run_all(labs)), strict=True))
    if broker.running:
        for name in asked:
            asyncio.run(delete_topics(broker.bootstrap, f"{name}-"))


async def _run_all(labs: Sequence[Lab]) -> list[BaseException | None]:
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def run(lab: Lab) -> None:
        async with at_once:
            started = time.monotonic()
            with lab.equipment:
                async with asyncio.timeout(200):
                    await SCENARIOS[lab.name.removesuffix("-")](lab)
            print(f"{lab.name}: {time.monotonic() - started:.1f} s in all")

    return await asyncio.gather(*map(run, labs), return_exceptions=True)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_is_lost_doubled_or_decided_otherwise(
    name: str, endings: dict[str, BaseException | None]
) -> None:
    """Days, items, decisions, orders and alerts are, byte for byte, those of a run in peace."""
    ending = endings[name]
    if ending is not None:
        raise ending
