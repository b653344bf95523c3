"""Servers for the system tests, the same on both tiers: `pytest --broker embedded|kafka`.

Tests share one broker and one Redis-compatible server per run, and each has its own topics (by a
prefix) and its own Redis database. A test that kills a server takes `own_broker` or `own_redis`.
"""

import asyncio
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from hypothesis import settings

from infra.local.embedded import EmbeddedBroker, EmbeddedRedis
from tests.kafka_server import KafkaServer, why_no_kafka

Broker = EmbeddedBroker | KafkaServer

# The same examples on every machine, none called too slow: a red run means a broken property.
# `HYPOTHESIS_PROFILE=exploring` looks for new ones and prints how to get them again.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("exploring", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

# Programs, not tests: `--doctest-modules` would import them all.
collect_ignore = [
    str(path)
    for path in (Path(__file__).parent / "bench").rglob("*.py")
    if not path.name.startswith("test_")
] + [str(Path(__file__).parent / "fuzz" / "guided.py")]  # wants atheris
_REDIS_DATABASES = 4096
_ROOT = Path(__file__).parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--broker",
        choices=("embedded", "kafka"),
        default="embedded",
        help="what the system tests run on: the embedded broker, or Apache Kafka",
    )


def pytest_xdist_auto_num_workers() -> int:
    """Return one process for each core, and one more: tests with servers wait part of their time.

    With two for each core a slow machine starved the servers: tests that pass alone ran out of
    their patience.
    """
    return 1 + (os.cpu_count() or 1)


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses by the markers
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Who takes a broker is a `system` test; who needs Apache Kafka is skipped elsewhere.

    The system tests come first, then files with slow ones: they wait more than they compute, and
    with several processes what is quick fills the gaps that they leave.
    """
    embedded = config.getoption("--broker") == "embedded"
    for item in items:
        if {"broker", "own_broker"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.system)
        if embedded and item.get_closest_marker("kafka"):
            item.add_marker(pytest.mark.skip(reason="needs Apache Kafka: pytest --broker kafka"))
    has_system = {item.path for item in items if item.get_closest_marker("system")}
    has_slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path not in has_system, item.path not in has_slow))


@dataclass(frozen=True)
class Stack:
    """What one test needs: servers it shares, names that only it has."""

    bootstrap: str
    redis_url: str  # a database of its own: FLUSHDB harms nobody
    prefix: str  # in front of every topic and consumer group


def make_broker(config: pytest.Config, directory: Path) -> Broker:
    """Return a broker of the tier that `--broker` chose, not started."""
    if config.getoption("--broker") == "embedded":
        return EmbeddedBroker(directory)
    if reason := why_no_kafka():
        if os.environ.get("TIDEGATE_REQUIRE_KAFKA") == "1":
            pytest.fail(f"{reason} (and TIDEGATE_REQUIRE_KAFKA=1 wants it)", pytrace=False)
        pytest.skip(reason)
    return KafkaServer(directory)


@pytest.fixture(scope="session")
def broker(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Broker]:
    """The broker that tests share: do not stop it."""
    with make_broker(pytestconfig, tmp_path_factory.mktemp("broker")) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """The Redis-compatible server that tests share: do not stop it."""
    directory = tmp_path_factory.mktemp("redis")
    with EmbeddedRedis(directory, databases=_REDIS_DATABASES) as server:
        yield server


@pytest.fixture
def own_broker(pytestconfig: pytest.Config, tmp_path: Path) -> Iterator[Broker]:
    """A broker of the test's own, to kill and start again.

    The embedded one comes back empty, Apache Kafka with its records.
    """
    with make_broker(pytestconfig, tmp_path / "own-broker") as server:
        yield server


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis-compatible server of the test's own, that keeps its data over `kill()`, `start()`."""
    with EmbeddedRedis(tmp_path / "own-redis", append_only=True) as server:
        yield server


_numbers = itertools.count()


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis) -> str:
    """An empty Redis database that no other test uses."""
    return f"redis://{redis_server.address}/{next(_numbers) % _REDIS_DATABASES}"


@pytest.fixture
def stack(broker: Broker, redis_url: str) -> Iterator[Stack]:
    """Shared servers, own topics and own keys. The test makes its topics; they go after it."""
    stack = Stack(broker.bootstrap, redis_url, prefix=f"t{next(_numbers)}-")
    yield stack
    if broker.running:
        asyncio.run(_delete_topics(stack))


async def _delete_topics(stack: Stack) -> None:
    client = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap)
    await client.start()
    try:
        own = [name for name in await client.list_topics() if name.startswith(stack.prefix)]
        if own:
            await client.delete_topics(own)
    finally:
        await client.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the real orders: `shared/data` beside the checkout."""
    folder = _ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real orders are not here: no folder {folder}")
    return folder
