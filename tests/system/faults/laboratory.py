"""A laboratory outside of pytest: servers, events without shared data, and a run in peace."""

import random
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from infra.local.embedded import EmbeddedBroker, EmbeddedRedis
from infra.replay.schemas import adapt
from infra.sale import SaleSettings, generate_sale
from tests.kafka_server import KafkaServer
from tests.system.conftest import Events, run_undisturbed
from tests.system.faults.lab import Lab
from tests.system.support.running import Installation

_EVENTS_AT_LEAST = 20_000  # fewer bring too few purchase orders to prove anything

MakeLab = Callable[[str, random.Random], Lab]
"""Makes a lab with a name of its own and chances of its own."""


def made_up_events(count: int) -> Events:
    """Return a synthetic sale of about so many events, with its days."""
    made = generate_sale(SaleSettings(events=max(_EVENTS_AT_LEAST, count), skus=200))
    days = [tuple(map(str, row)) for row in made.truth["days"]]
    return Events(list(adapt(made.lines, schema="tidegate")), days)


@asynccontextmanager
async def laboratory(events: Events, *, on_kafka: bool) -> AsyncIterator[MakeLab]:
    """Start servers and let one worker read the events in peace; yield what makes labs there."""
    server = KafkaServer if on_kafka else EmbeddedBroker
    with (
        tempfile.TemporaryDirectory(prefix="tidegate-faults-") as scratch,
        server(Path(scratch, "broker")) as broker,
        EmbeddedRedis(Path(scratch, "redis")) as redis_server,
    ):
        directory = Path(scratch)
        peace = Installation(directory, broker.bootstrap, redis_server.url, "reference-")
        try:
            reference = await run_undisturbed(peace, events)

            def make(name: str, chance: random.Random) -> Lab:
                own = directory / name
                own.mkdir()
                return Lab(
                    name=f"{name}-",
                    directory=own,
                    bootstrap=broker.bootstrap,
                    redis_url=redis_server.url,
                    events=events,
                    reference=reference,
                    chance=chance,
                    on_kafka=on_kafka,
                )

            yield make
        finally:
            peace.close()
