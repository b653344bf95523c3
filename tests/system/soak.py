"""A worker under steady load for long: `python -m tests.system.soak --minutes 30`.

First a flood says how much this machine can take; then the same shop's orders arrive at half of
that rate, while memory, open files, lag and latency are looked at. Event time runs faster than the
clock, by about three days a minute, so that every item is reviewed again and again and its purchase
orders come and go. At the end every order has been counted once, and nothing may have grown: what
did is named, and the command ends with code 1.

The first half is not judged. Supply settles in it: until the lean supplier's lead time is over,
each day adds purchase orders, and few arrive. And the process comes to hold what a moment of lag
takes at most, which it does not give back.

What a soak of minutes cannot show: years of history in Redis.
"""

import argparse
import asyncio
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from confluent_kafka import Producer
from prometheus_client.parser import text_string_to_metric_families

from infra.local.embedded import EmbeddedBroker, EmbeddedRedis
from streams.contracts.events import TOPICS
from tests.bench.harness import machine, memory_bytes
from tests.bench.orders import (
    HEARTBEAT_KEY,
    Flood,
    flush,
    heartbeat,
    item,
    load,
    make_producer,
    produce,
    rfc3339,
)
from tests.kafka_server import KafkaServer
from tests.system.support.running import PARTITIONS, Installation, WorkerUnderTest

PREFIX = "soak-"
_TOPIC = f"{PREFIX}orders"
_FLOOD_EVENTS = 1_000_000
_LINES_AN_ITEM_DAY = 110  # in event time: half of 127,000 orders/s is 3.4 days a minute
_DAYS_AT_MOST = 365  # of event time
_SETTLED_DAYS = 28  # the lean lead time, and a week until every item is decided about
_HEARTBEAT_MS = 3_600_000  # of event time
_SILENT_TOPICS = sorted(TOPICS.keys() - {"orders"})  # that the watermark waits for
_LEVEL_AT_START = 4_000  # units: about half a month of demand
_DAY_SECONDS = 86_400
_SAMPLE_SECONDS = 5.0
_PERCENTILES = (50.0, 99.0)
_LATENCY = "tidegate_record_visible_seconds_bucket"
_LAG = "tidegate_consumer_lag_records"
_REVIEWS = "tidegate_reviews_total"
_OPEN_PURCHASE_ORDERS = "tidegate_open_purchase_orders"
_SUMMED = {_LAG, _REVIEWS, _OPEN_PURCHASE_ORDERS}  # over shards
_RETENTION = {"retention.bytes": "268435456", "segment.bytes": "67108864"}  # of each partition

_GROWTH_AN_HOUR_AT_MOST = 0.05  # of memory
_TIMES_AT_MOST = 1.25  # what lag and latency may have become
_LAG_SECONDS = 1.0  # of the rate, below which a lag is no growth
_LATENCY_SECONDS = 0.1  # below which a latency is none

Buckets = dict[float, float]  # upper bound -> observations up to it


@dataclass(frozen=True)
class Sample:
    """How the worker stands at one moment."""

    seconds: float
    memory_bytes: int
    open_files: int
    lag_records: float
    latency: Buckets
    redis_memory_bytes: int
    reviews: float = 0.0
    open_purchase_orders: float = 0.0


# --- what the samples say (pure) --------------------------------------------------------------


def growth_an_hour(samples: Sequence[Sample]) -> tuple[float, float]:
    """Return the slope of memory, as a share of its median an hour, and its standard error.

    Of means over a minute: what is looked at every few seconds hardly differs from one time to the
    next, and would make the error too small.
    """
    minutes = np.array([sample.seconds for sample in samples]) // 60
    every, places = np.unique(minutes, return_inverse=True)
    hours = every / 60
    memory = np.bincount(places, [sample.memory_bytes for sample in samples]) / np.bincount(places)
    (slope, _), covariance = np.polyfit(hours, memory, 1, cov=True)
    middle = float(np.median(memory))
    return float(slope) / middle, float(np.sqrt(covariance[0, 0])) / middle


def percentile(before: Buckets, after: Buckets, percent: float) -> float:
    """Return the upper bound of the bucket in which a percentile between two looks lies, seconds.

    >>> percentile({0.1: 0, 1.0: 0, 5.0: 1}, {0.1: 90, 1.0: 99, 5.0: 101}, 50.0)
    0.1
    """
    counts = {bound: count - before.get(bound, 0.0) for bound, count in sorted(after.items())}
    wanted = max(counts.values()) * percent / 100
    return next(bound for bound, count in counts.items() if count >= wanted)


def latencies(samples: Sequence[Sample], percent: float) -> list[float]:
    """Return a percentile of each stretch between two samples in which there was a commit."""
    return [
        percentile(before.latency, after.latency, percent)
        for before, after in pairwise(samples)
        if max(after.latency.values()) > max(before.latency.values())
    ]


def what_grew(samples: Sequence[Sample], rate: float) -> list[str]:
    """Return what is not flat, in words. The first half of the samples is for warming up."""
    judged = _judged(samples)
    middle, last = judged[: len(judged) // 2], judged[len(judged) // 2 :]
    found = []
    slope, error = growth_an_hour(judged)
    if slope - 2 * error > _GROWTH_AN_HOUR_AT_MOST:
        found.append(f"memory: {slope:+.1%} an hour")
    # The fewest: a connection that is made anew is open twice for a moment.
    files = [min(sample.open_files for sample in part) for part in (middle, last)]
    if files[1] > files[0]:
        found.append(f"open files: from {files[0]} to {files[1]}")
    lags = [float(np.median([sample.lag_records for sample in part])) for part in (middle, last)]
    if lags[1] > max(_TIMES_AT_MOST * lags[0], _LAG_SECONDS * rate):
        found.append(f"lag: from {lags[0]:,.0f} to {lags[1]:,.0f} records")
    slow = [float(np.median(latencies(part, 99.0))) for part in (middle, last)]
    if slow[1] > max(_TIMES_AT_MOST * slow[0], _LATENCY_SECONDS):
        found.append(f"latency, 99 %: from {slow[0]:g} to {slow[1]:g} s")
    return found


def _judged(samples: Sequence[Sample]) -> Sequence[Sample]:
    return samples[len(samples) // 2 :]


# --- looking ----------------------------------------------------------------------------------


def look(worker: WorkerUnderTest, redis_pid: int, started: float) -> Sample:
    """Ask the worker and the kernel."""
    latency: Buckets = {}
    sums: Counter[str] = Counter()
    for family in text_string_to_metric_families(worker.ask("/metrics").text):
        for each in family.samples:
            if each.name == _LATENCY:
                latency[float(each.labels["le"])] = each.value
            elif each.name in _SUMMED:
                sums[each.name] += each.value
    return Sample(
        seconds=time.monotonic() - started,
        memory_bytes=memory_bytes(worker.pid),
        open_files=len(os.listdir(f"/proc/{worker.pid}/fd")),
        lag_records=sums[_LAG],
        latency=latency,
        redis_memory_bytes=memory_bytes(redis_pid),
        reviews=sums[_REVIEWS],
        open_purchase_orders=sums[_OPEN_PURCHASE_ORDERS],
    )


# --- load -------------------------------------------------------------------------------------


def write_steadily(bootstrap: str, flood: Flood, orders_per_second: int) -> None:
    """Write orders at that pace, and heartbeats between them; in a process of its own."""
    producer = make_producer(bootstrap, "none", linger_ms=5)
    streams = [flood.records(partition) for partition in range(flood.partitions)]
    orders_an_heartbeat = flood.events_per_second * _HEARTBEAT_MS // 1000
    started = time.monotonic()
    done = 0
    while done < flood.events:
        elapsed = time.monotonic() - started
        due = min(flood.events, int(elapsed * orders_per_second))
        for number in range(done, due):
            partition = number % flood.partitions
            sku, value = next(streams[partition])
            produce(producer, _TOPIC, partition, sku, value)
            if number % orders_an_heartbeat == 0:
                event_ms = flood.start_ms + number * 1000 // flood.events_per_second
                _write_heartbeats(producer, event_ms)
        done = max(done, due)
        producer.poll(0.005)
    flush(producer)


def _write_heartbeats(producer: Producer, event_ms: int) -> None:
    for topic in _SILENT_TOPICS:
        for partition in range(PARTITIONS):
            produce(producer, f"{PREFIX}{topic}", partition, HEARTBEAT_KEY, heartbeat(event_ms))


async def _make_topics(tidegate: Installation) -> None:
    """Keep only the newest orders: hours of them would fill the disk."""
    client = AIOKafkaAdminClient(bootstrap_servers=tidegate.settings.kafka_bootstrap)
    await client.start()
    try:
        await client.create_topics([NewTopic(_TOPIC, PARTITIONS, 1, topic_configs=_RETENTION)])
    finally:
        await client.close()
    await tidegate.make_topics()


def _write_items(bootstrap: str, flood: Flood) -> None:
    """Write what every item needs to be decided about, and that more will not come for a while."""
    producer = make_producer(bootstrap, "none")
    for partition, skus in enumerate(flood.skus):
        for sku in skus:
            produce(producer, f"{PREFIX}catalog", partition, sku, item(sku, flood.start_ms))
            counted = (
                f'{{"kind":"counted","event_id":"count-{sku}","occurred_at":'
                f'"{rfc3339(flood.start_ms)}","sku":"{sku}","level":{_LEVEL_AT_START}}}'
            )
            produce(producer, f"{PREFIX}stock", partition, sku, counted.encode())
    _write_heartbeats(producer, flood.start_ms + flood.seconds * 1000)
    flush(producer)


async def _until_stored(tidegate: Installation, orders: int) -> None:
    while sum(o for (topic, _), o in tidegate.stored_offsets().items() if topic == "orders") < (
        orders
    ):
        tidegate.workers[0].require_alive()
        await asyncio.sleep(0.05)


async def _measure_maximum(tidegate: Installation, flood: Flood) -> float:
    """Return orders a second, from the first one written until the last one is in Redis."""
    bootstrap = tidegate.settings.kafka_bootstrap
    started = time.monotonic()
    await asyncio.to_thread(load, flood, bootstrap, _TOPIC, compression="none", processes=1)
    await _until_stored(tidegate, flood.events)
    return flood.events / (time.monotonic() - started)


async def _hold(
    tidegate: Installation, redis_pid: int, flood: Flood, orders_per_second: int, seconds: float
) -> list[Sample]:
    """Write at that rate and look every few seconds."""
    worker = tidegate.workers[0]
    context = multiprocessing.get_context("spawn")
    arguments = (tidegate.settings.kafka_bootstrap, flood, orders_per_second)
    writing = context.Process(target=write_steadily, args=arguments, daemon=True)
    writing.start()
    samples = []
    started = time.monotonic()
    while writing.is_alive():
        await asyncio.sleep(_SAMPLE_SECONDS)
        sample = await asyncio.to_thread(look, worker, redis_pid, started)
        if sample.seconds < seconds:  # later ones have less load
            samples.append(sample)
            print(_line(sample), flush=True)
    if writing.exitcode:
        raise RuntimeError(f"the writer of orders ended with code {writing.exitcode}")
    return samples


def _line(sample: Sample) -> str:
    return (
        f"{sample.seconds:6.0f} s  memory {sample.memory_bytes / 1e6:6.1f} MB  "
        f"files {sample.open_files:3}  lag {sample.lag_records:8,.0f}  "
        f"Redis {sample.redis_memory_bytes / 1e6:6.1f} MB  reviews {sample.reviews:9,.0f}  "
        f"open purchase orders {sample.open_purchase_orders:7,.0f}"
    )


# --- the command ------------------------------------------------------------------------------


async def _run(given: argparse.Namespace, directory: Path) -> int:
    server = KafkaServer if given.broker == "kafka" else EmbeddedBroker
    with server(directory / "broker") as broker, EmbeddedRedis(directory / "redis") as redis_server:
        tidegate = Installation(
            *(directory, broker.bootstrap, redis_server.url, PREFIX),
            dedupe_keys=1_000_000,
            order_keys=1_000_000,
            log_level="warning",
        )
        try:
            return await _soak(tidegate, redis_server.pid, given)
        finally:
            tidegate.close()


async def _soak(tidegate: Installation, redis_pid: int, given: argparse.Namespace) -> int:
    await _make_topics(tidegate)
    worker = await tidegate.add_ready_worker()
    events_per_second = max(1, round(given.items * _LINES_AN_ITEM_DAY / _DAY_SECONDS))
    flood = Flood(
        events=_FLOOD_EVENTS,
        start_ms=int(time.time() - _DAYS_AT_MOST * _DAY_SECONDS) * 1000,
        items=given.items,
        events_per_second=events_per_second,
    )
    _write_items(tidegate.settings.kafka_bootstrap, flood)
    maximum = await _measure_maximum(tidegate, flood)
    rate = given.rate or round(maximum / 2)
    seconds = given.minutes * 60
    steady = replace(
        flood,
        events=round(rate * seconds),
        start_ms=flood.start_ms + flood.seconds * 1000,
        first=1 << 32,
    )
    days = steady.seconds / _DAY_SECONDS
    if not 2 * _SETTLED_DAYS < days < _DAYS_AT_MOST - flood.seconds / _DAY_SECONDS:
        print(
            f"{days:.0f} event days: supply settles in {_SETTLED_DAYS}, so between "
            f"{2 * _SETTLED_DAYS} and {_DAYS_AT_MOST} are wanted: change --minutes or --items"
        )
        return 2
    print(f"maximum {maximum:,.0f} orders/s, from writing to Redis; now {rate:,}/s; {machine()}")
    samples = await _hold(tidegate, redis_pid, steady, rate, seconds)
    await _until_stored(tidegate, flood.events + steady.events)
    worker.require_alive()
    tidegate.require_balance()
    counts = tidegate.outcomes_by_topic()
    expected = {
        "orders": flood.events + steady.events,
        "catalog": given.items,
        "stock": given.items,
    }
    found = {topic: counts[topic, "folded"] for topic in expected}
    assert found == expected, f"counted {found}, written {expected}"
    assert samples[-1].reviews > given.items * days / 2, "too few reviews: was it watched at all?"
    return _report(samples, rate, found["orders"])


def _report(samples: Sequence[Sample], rate: float, orders: int) -> int:
    warm = _judged(samples)
    slope, error = growth_an_hour(warm)
    files = [sample.open_files for sample in warm]
    lags = [sample.lag_records for sample in warm]
    print(f"{orders:,} orders, each counted once")
    print(
        f"{samples[-1].reviews:,.0f} reviews, "
        f"{warm[0].open_purchase_orders:,.0f} purchase orders open at the beginning of what is "
        f"judged, {warm[-1].open_purchase_orders:,.0f} at the end"
    )
    print(f"memory {warm[-1].memory_bytes / 1e6:.0f} MB, {slope:+.1%} an hour (error {error:.1%})")
    print(f"open files {min(files)}-{max(files)}")
    print(f"lag {np.median(lags):,.0f} records (median), {max(lags):,.0f} at worst")
    for percent in _PERCENTILES:
        seen = latencies(warm, percent)
        print(f"visible, {percent:g} %: {np.median(seen):g} s (median), {max(seen):g} s at worst")
    grew = what_grew(samples, rate)
    print("nothing grew" if not grew else "grew: " + "; ".join(grew))
    return int(bool(grew))


def main(arguments: Sequence[str]) -> int:
    """Soak; return 1 if anything grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=int, default=0, help="orders a second; 0: half of what goes")
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--broker", choices=("embedded", "kafka"), default="kafka")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="tidegate-soak-") as directory:
        return asyncio.run(_run(given, Path(directory)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
