"""Faults side by side: what a scenario needs, and how many of them are run at once.

A scenario does harm to an installation of its own and ends with `Lab.prove`: exports that are
byte-equal to those of a run in peace, records that add up, one body for each purchase order. It
mostly waits, for session timeouts above all; so those that are asked for run side by side, and each
test then tells how its own one ended.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiokafka.errors import KafkaError

from infra.local.embedded import LOOPBACK, EmbeddedBroker, EmbeddedRedis
from infra.replay.faults import Record
from infra.replay.replay import ReplayResult
from tests.conftest import Broker
from tests.kafka_server import KafkaCluster, KafkaServer
from tests.system.conftest import Events, Reference
from tests.system.support.running import Installation, WorkerUnderTest

REPLAY_SECONDS = 6.0
THINKING_SECONDS = 0.02  # of a worker that a fault must find at work, however fast the machine is
_AT_ONCE = 4
_PATIENCE_SECONDS = 400.0


class BrokerElsewhere(EmbeddedBroker):
    """The embedded broker, sending its clients to another port."""

    def __init__(self, directory: Path, advertised_port: int | None) -> None:
        super().__init__(directory)
        self._advertised_port = advertised_port

    def _command(self) -> list[str]:
        command = super()._command()
        if self._advertised_port is not None:
            place = command.index("--advertised-listener-url") + 1
            command[place] = f"tcp://{LOOPBACK}:{self._advertised_port}"
        return command


class RedisOnDisk(EmbeddedRedis):
    """Redis with an append-only file. A file that may not grow is an error to it, not its end."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, append_only=True)

    def _command(self) -> list[str]:
        return ["sh", "-c", 'trap "" XFSZ; exec "$@"', "redis", *super()._command()]


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
    on_kafka: bool
    equipment: ExitStack = field(default_factory=ExitStack)
    recovery_seconds: list[float] = field(default_factory=list)

    async def install(
        self, *, bootstrap: str | None = None, redis_url: str | None = None, **settings: Any
    ) -> Installation:
        """Make an installation, with its topics and without a worker."""
        tidegate = Installation(
            self.directory,
            bootstrap or self.bootstrap,
            redis_url or self.redis_url,
            self.name,
            **settings,
        )
        self.equipment.callback(tidegate.close)
        return await tidegate.make_topics()

    async def own_broker(self, *, advertised_port: int | None = None) -> Broker:
        """Start a broker of its own, of the tier that the tests run on.

        With `advertised_port` clients are sent there, as to a broker behind a network.
        """
        directory = self.directory / "own-broker"
        server: Broker = (
            KafkaServer(directory, advertised_port=advertised_port)
            if self.on_kafka
            else BrokerElsewhere(directory, advertised_port)
        )
        return await asyncio.to_thread(self.equipment.enter_context, server)

    async def own_cluster(self) -> KafkaCluster:
        """Start three Kafka nodes of its own."""
        cluster = KafkaCluster(self.directory / "own-cluster")
        return await asyncio.to_thread(self.equipment.enter_context, cluster)

    async def own_redis(self) -> RedisOnDisk:
        """Start a Redis of its own that keeps its data over `kill()`, `start()`."""
        server = RedisOnDisk(self.directory / "own-redis")
        return await asyncio.to_thread(self.equipment.enter_context, server)

    def begin_replay(
        self, tidegate: Installation, seconds: float = REPLAY_SECONDS, **options: Any
    ) -> "asyncio.Task[ReplayResult]":
        """Let the events arrive over so many seconds."""
        speed = self.events.speed_for(seconds)
        return asyncio.create_task(tidegate.replay(self.events.records, speed=speed, **options))

    async def kill_and_revive(self, worker: WorkerUnderTest) -> None:
        """Kill -9, start again, and return when it owns its partitions."""
        worker.kill()
        await self.time_recovery(worker.begin(), worker.wait_until_ready())

    async def time_recovery(self, *steps: Awaitable[Any]) -> None:
        """Go through steps after which all is as before the fault; note how long they took."""
        started = time.monotonic()
        for step in steps:
            await step
        self.recovery_seconds.append(time.monotonic() - started)
        print(f"{self.name}: recovered after {self.recovery_seconds[-1]:.1f} s", flush=True)

    async def time_reading(self, tidegate: Installation, result: ReplayResult) -> ReplayResult:
        """Write an event that is known already and note how long it takes into Redis.

        Returns:
            What there is to be read, with it.
        """
        ends = dict(result.end_offsets)

        async def write_and_read() -> None:
            again = await _replay_patiently(tidegate, self.events.records[-1:])
            ends.update(again.end_offsets)
            await tidegate.wait_until_read(again)

        await self.time_recovery(write_and_read())
        return replace(result, end_offsets=ends)

    async def prove(
        self, tidegate: Installation, result: ReplayResult, patience_seconds: float = 180.0
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


async def _replay_patiently(tidegate: Installation, records: Sequence[Record]) -> ReplayResult:
    """Write records as soon as the broker, which may just have come back, takes them."""
    while True:
        try:
            return await tidegate.replay(records)
        except KafkaError:
            await asyncio.sleep(0.1)


# --- side by side -----------------------------------------------------------------------------

Scenario = Callable[[Lab], Awaitable[None]]


def by_name(*scenarios: Scenario) -> dict[str, Scenario]:
    """Return scenarios by the names of their functions."""
    return {scenario.__name__: scenario for scenario in scenarios}


def needs_kafka(scenario: Scenario) -> bool:
    """Whether it wants Apache Kafka: the embedded broker keeps nothing on disk."""
    return any(mark.name == "kafka" for mark in getattr(scenario, "pytestmark", ()))


async def run_all(
    work: Sequence[tuple[Lab, Scenario]], at_once: int = _AT_ONCE
) -> list[BaseException | None]:
    """Run each scenario in its lab, so many side by side; return how each ended."""
    room = asyncio.Semaphore(at_once)

    async def run(lab: Lab, scenario: Scenario) -> None:
        async with room:
            started = time.monotonic()
            with lab.equipment:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await scenario(lab)
            print(f"{lab.name}: {time.monotonic() - started:.1f} s in all")

    return await asyncio.gather(*(run(*each) for each in work), return_exceptions=True)
