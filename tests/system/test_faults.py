"""Invariants 1 to 3: whatever is killed, frozen, cut, filled or moved, the outcome is the same."""

import asyncio
import os
import random
from collections.abc import Iterator

import pytest

from infra.local.embedded import EmbeddedRedis
from tests.conftest import Broker
from tests.kafka_server import KafkaServer
from tests.system.conftest import Events, Reference, delete_topics
from tests.system.faults import network_faults, server_faults, worker_faults
from tests.system.faults.lab import Lab, run_all

_SEED_VARIABLE = "TIDEGATE_FAULT_SEED"  # other moments for the faults; the same ones without it
_REDIS_DATABASE = 4_094

SCENARIOS = worker_faults.SCENARIOS | network_faults.SCENARIOS | server_faults.SCENARIOS

TESTED_ON = {
    "embedded": (
        "killed_while_events_arrive",
        "killed_between_commit_and_publish",
        "redis_killed_and_restarted",
        "redis_connections_are_cut",
    ),
    "kafka": (
        "killed_while_it_catches_up",
        "one_of_two_killed",
        "zombie_is_thawed",
        "second_worker_joins_and_leaves",
        "redis_wiped",
        "redis_comes_back_with_an_older_snapshot",
        "kafka_connections_are_cut",
        "kafka_is_held_up",
        "broker_is_killed_and_restarted",
    ),
}
"""Which of the scenarios are tests, and on which broker: on Apache Kafka those in which much is
read again, or in which the broker or the consumer group has a part. `make faults` runs all of them
there: as tests on both brokers they took half of the time of CI, and starved what ran beside them.
"""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each scenario that is tested on the broker of this run."""
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", TESTED_ON[metafunc.config.getoption("--broker")])


@pytest.fixture(scope="module")
def endings(
    request: pytest.FixtureRequest,
    broker: Broker,
    redis_server: EmbeddedRedis,
    events: Events,
    reference: Reference,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, BaseException | None]]:
    """Run those scenarios that are asked for, side by side; return how each ended."""
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
            chance=random.Random(f"{name}{os.environ.get(_SEED_VARIABLE, '')}"),
            on_kafka=isinstance(broker, KafkaServer),
        )
        for name in asked
    ]
    work = [(lab, SCENARIOS[name]) for lab, name in zip(labs, asked, strict=True)]
    yield dict(zip(asked, asyncio.run(run_all(work)), strict=True))
    if broker.running:
        for name in asked:
            asyncio.run(delete_topics(broker.bootstrap, f"{name}-"))


@pytest.mark.timeout(900)
def test_nothing_is_lost_doubled_or_decided_otherwise(
    name: str, endings: dict[str, BaseException | None]
) -> None:
    """Days, items, decisions, orders and alerts are, byte for byte, those of a run in peace."""
    ending = endings[name]
    if ending is not None:
        raise ending
