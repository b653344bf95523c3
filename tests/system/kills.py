"""Kill a worker again and again while events arrive: `python -m tests.system.kills --times 200`.

The outcome has to be, byte for byte, that of a run in peace over the same events; recovery times
are told at the end. Moments are drawn from a seed that is printed, so that a run can be repeated.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path

from rich.progress import track

from infra.adapters import adapt
from infra.embedded import EmbeddedBroker, EmbeddedRedis
from infra.sale import SaleSettings, generate_sale
from tests.kafka_server import KafkaServer
from tests.system.conftest import Events, Reference, run_in_peace
from tests.system.lab import Lab
from tests.system.running import Installation, WorkerUnderTest

_LONGEST_LIFE_SECONDS = 8.0
_SECONDS_A_KILL = 8.0  # of the replay: what a life and a takeover last on the average


def _events(count: int) -> Events:
    made = generate_sale(SaleSettings(events=max(20_000, count), skus=200))
    days = [tuple(map(str, row)) for row in made.truth["days"]]
    return Events(list(adapt(made.lines, schema="tidegate")), days)


async def _live_and_die(worker: WorkerUnderTest, chance: random.Random) -> float:
    """Start, be ready, work for a random while, die; return the seconds until it was ready."""
    started = time.monotonic()
    await worker.begin()
    await worker.wait_until_ready()
    recovery_seconds = time.monotonic() - started
    await asyncio.sleep(chance.uniform(0.0, _LONGEST_LIFE_SECONDS))
    worker.kill()
    return recovery_seconds


async def _kill(lab: Lab, times: int) -> list[float]:
    tidegate = await lab.install()
    worker = WorkerUnderTest(lab.directory, tidegate.settings, number=1, port=None)
    tidegate.workers.append(worker)
    replaying = lab.begin_replay(tidegate, times * _SECONDS_A_KILL)
    seconds = [await _live_and_die(worker, lab.chance) for _ in track(range(times), "killing")]
    await worker.begin()
    await lab.prove(tidegate, await replaying, patience_seconds=600.0)
    return seconds


async def _run(directory: Path, on_kafka: bool, times: int, seed: int, events: Events) -> None:
    server = KafkaServer if on_kafka else EmbeddedBroker
    with server(directory / "broker") as broker, EmbeddedRedis(directory / "redis") as redis:
        redis_url = f"redis://{redis.address}/0"
        peace = Installation(directory, broker.bootstrap, redis_url, "reference-")
        try:
            reference: Reference = await run_in_peace(peace, events)
            lab = Lab(
                name="kills-",
                directory=directory,
                bootstrap=broker.bootstrap,
                redis_url=redis_url,
                events=events,
                reference=reference,
                chance=random.Random(seed),
                on_kafka=on_kafka,
            )
            with lab.equipment:
                seconds = await _kill(lab, times)
        finally:
            peace.close()
    median, worst = statistics.median(seconds), max(seconds)
    print(f"{times} kills, seed {seed}: 0 violations")
    print(f"ready {median:.1f} s after a start (median), {worst:.1f} s at worst")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200, help="kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--events", type=int, default=50_000, help="about so many")
    parser.add_argument("--broker", choices=("embedded", "kafka"), default="embedded")
    given = parser.parse_args()
    print(f"seed {given.seed}, {given.times} kills")
    with tempfile.TemporaryDirectory() as directory:
        wanted = (given.broker == "kafka", given.times, given.seed, _events(given.events))
        asyncio.run(_run(Path(directory), *wanted))
