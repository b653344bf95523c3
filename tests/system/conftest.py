"""What the system tests share: events with a known outcome, and installations."""

import asyncio
import csv
import gzip
import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from infra.local.embedded import EmbeddedRedis
from infra.replay.faults import Record
from infra.replay.line_source import open_lines
from infra.replay.replay import ReplayResult
from infra.replay.schemas import adapt
from infra.sale import SaleSettings, generate_sale
from tests.conftest import Broker, Stack
from tests.system.support.running import Exports, Installation

SAMPLE = "uci_sample_2011_autumn_300skus"
SLICE_LINES = 10_000
_REFERENCE_DATABASE = 4_095

DayRow = tuple[str, ...]  # day, sku, orders, lines, units, as in a CSV file


@dataclass(frozen=True)
class Events:
    """Records with the days that they must come to."""

    records: list[Record]
    days: list[DayRow]

    @property
    def span_seconds(self) -> float:
        """Event time from the first to the last record."""
        times = [record.occurred_ms for record in self.records]
        return (max(times) - min(times)) / 1000

    def speed_for(self, seconds: float) -> float:
        """Return the speed at which a replay takes so long."""
        return self.span_seconds / seconds


# --- events -----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def sample(shared_data: Path) -> Events:
    """The whole sample of real orders, with the totals that came with it."""
    with gzip.open(shared_data / f"{SAMPLE}.daily.csv.gz", "rt", newline="") as file:
        days = [tuple(row) for row in csv.reader(file)][1:]
    return Events(_uci_records(shared_data, None), days)


@pytest.fixture(scope="session")
def sale() -> tuple[Events, dict[str, Any]]:
    """A small synthetic sale with its truth: duplicates, late events, bad records."""
    made = generate_sale(SaleSettings(seed=7, events=20_000, skus=200))
    days = [tuple(map(str, row)) for row in made.truth["days"]]
    return Events(list(adapt(made.lines, schema="tidegate")), days), made.truth


@pytest.fixture(scope="session")
def events(request: pytest.FixtureRequest) -> Events:
    """Real orders, as many as a fault needs; without the shared data the synthetic sale."""
    try:
        shared_data = request.getfixturevalue("shared_data")
    except pytest.skip.Exception:
        made: Events = request.getfixturevalue("sale")[0]
        return made
    return Events(_uci_records(shared_data, SLICE_LINES), _uci_days(shared_data, SLICE_LINES))


def _uci_lines(shared_data: Path, count: int | None) -> Iterator[bytes]:
    return itertools.islice(open_lines(shared_data / f"{SAMPLE}.jsonl.gz"), count)


def _uci_records(shared_data: Path, count: int | None) -> list[Record]:
    return list(adapt(_uci_lines(shared_data, count), schema="uci"))


def _uci_days(shared_data: Path, count: int) -> list[DayRow]:
    """Count the sales lines by hand: distinct orders, lines and units of each UTC day and sku."""
    orders: dict[tuple[str, str], set[str]] = {}
    sums: dict[tuple[str, str], list[int]] = {}
    for text in _uci_lines(shared_data, count):
        line = msgspec.json.decode(text)
        if line["type"] == "order" and "kind" not in line and line["quantity"] > 0:
            key = (line["occurred_at"][:10], line["sku"])
            orders.setdefault(key, set()).add(line["order_id"])
            total = sums.setdefault(key, [0, 0])
            total[0] += 1
            total[1] += line["quantity"]
    return [(*key, str(len(orders[key])), *map(str, sums[key])) for key in sorted(sums)]


# --- installations ----------------------------------------------------------------------------

Install = Callable[..., Awaitable[Installation]]


@pytest.fixture
def install(stack: Stack, tmp_path: Path) -> Iterator[Install]:
    """Make installations on the shared servers, each under a name; they end with the test.

    A test that harms Redis hands over the URL of its own.
    """
    made: list[Installation] = []

    async def make(name: str = "", *, redis_url: str | None = None, **settings: Any) -> Any:
        installation = Installation(
            tmp_path / f"installation-{name or 'main'}",
            stack.bootstrap,
            redis_url or stack.redis_url,
            f"{stack.prefix}{name}{'-' if name else ''}",
            **settings,
        )
        installation.directory.mkdir()
        made.append(installation)
        return await installation.make_topics()

    yield make
    for installation in made:
        installation.close()


@dataclass(frozen=True)
class Reference:
    """What comes out of `events` when nothing happens."""

    installation: Installation
    exports: Exports
    result: ReplayResult


@pytest.fixture(scope="session")
def reference(
    broker: Broker,
    redis_server: EmbeddedRedis,
    events: Events,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Reference]:
    """One worker reads the whole log in peace; every fault is measured against this."""
    redis_url = f"redis://{redis_server.address}/{_REFERENCE_DATABASE}"
    directory = tmp_path_factory.mktemp("reference")
    installation = Installation(directory, broker.bootstrap, redis_url, "reference-")
    try:
        yield asyncio.run(run_undisturbed(installation, events))
    finally:
        installation.close()
        if broker.running:
            asyncio.run(delete_topics(broker.bootstrap, "reference-"))


async def run_undisturbed(installation: Installation, events: Events) -> Reference:
    """Let one worker read everything, undisturbed; return what came out."""
    await installation.make_topics()
    result = await installation.replay(events.records)
    await installation.add_worker()
    await installation.wait_until_stored(result)
    return Reference(installation, await installation.exports(), result)


async def delete_topics(bootstrap: str, prefix: str) -> None:
    """Delete the topics of installations that are over."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        own = [name for name in await client.list_topics() if name.startswith(prefix)]
        if own:
            await client.delete_topics(own)
    finally:
        await client.close()
