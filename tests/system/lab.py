"""Faults side by side: what a scenario needs, and how many of them are run at once.

A scenario does harm to an installation of its own and ends with `Lab.prove`: exports that are
byte-equal to those of a run in peace, records that add up, one body for each purchase order. It
mostly waits, for session timeouts above all; so those that are asked for run side by side, and each
test then tells how its own one ended.
"""

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from infra.embedded import LOOPBACK, EmbeddedBroker, EmbeddedRedis
from infra.replay import ReplayResult
from tests.conftest import Broker
from tests.kafka_server import KafkaServer
from tests.system.conftest import Events, Reference, delete_topics
from tests.system.running import Installation, WorkerUnderTest

REPLAY_SECONDS = 6.0
THINKING_SECONDS = 0.02  # of a worker that a fault must find at work, however fast the machine is
SEED_VARIABLE = "TIDEGATE_FAULT_SEED"  # other moments for the faults; the same ones without it
_AT_ONCE = 4
_REDIS_DATABASE = 4_094


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


async def kill_and_revive(worker: WorkerUnderTest) -> None:
    """Kill -9, start again, and return when it owns its partitions."""
    worker.kill()
    started = time.monotonic()
    await worker.begin()
    await worker.wait_until_ready()
    print(f"{worker.name}: ready {time.monotonic() - started:.1f} s after kill -9")


# --- side by side -----------------------------------------------------------------------------

Scenario = Callable[[Lab], Awaitable[None]]
Endings = dict[str, BaseException | None]


def by_name(*scenarios: Scenario) -> dict[str, Scenario]:
    """Return scenarios by the names of their functions."""
    return {scenario.__name__: scenario for scenario in scenarios}


def run_scenarios(
    scenarios: Mapping[str, Scenario],
    request: pytest.FixtureRequest,
    broker: Broker,
    redis_server: EmbeddedRedis,
    events: Events,
    reference: Reference,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Endings]:
    """Run those scenarios that the tests of this module ask for; yield how each ended."""
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
            on_kafka=isinstance(broker, KafkaServer),
        )
        for name in asked
    ]
    yield dict(zip(asked, asyncio.run(_run_all(scenarios, labs)), strict=True))
    if broker.running:
        for name in asked:
            asyncio.run(delete_topics(broker.bootstrap, f"{name}-"))


async def _run_all(
    scenarios: Mapping[str, Scenario], labs: Sequence[Lab]
) -> list[BaseException | None]:
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def run(lab: Lab) -> None:
        async with at_once:
            started = time.monotonic()
            with lab.equipment:
                async with asyncio.timeout(200):
                    await scenarios[lab.name.removesuffix("-")](lab)
            print(f"{lab.name}: {time.monotonic() - started:.1f} s in all")

    return await asyncio.gather(*map(run, labs), return_exceptions=True)
