"""The flood of the benchmarks: order records as a sale writes them, loaded into a broker fast.

An order has about three lines, and they lie in several partitions. Event times advance by
`events_per_second`. SKUs are drawn evenly: the hard case for durability, because every item changes
in every flush. `event_id` looks random, so that nothing profits from its order.
"""

import multiprocessing
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from aiokafka.partitioner import murmur2
from confluent_kafka import KafkaException, Producer

from tests.bench.progress import Progress

LINES_PER_ORDER = 3
HEARTBEAT_KEY = "heartbeat"  # Apache Kafka takes no record without a key into a compacted topic
_SCATTER = 0x9E3779B97F4A7C15  # odd: a bijection of 64-bit numbers, so event ids stay unique
_CHUNK = 2_000


@dataclass(frozen=True)
class Flood:
    """Which records; the same values give the same bytes."""

    events: int
    start_ms: int  # event time of the first one
    items: int = 10_000
    partitions: int = 4
    events_per_second: int = 10_000  # in event time, over all partitions
    seed: int = 7
    first: int = 0  # number of the first event: other numbers, other event and order ids

    def __post_init__(self) -> None:
        if self.start_ms % 1000:
            raise ValueError(f"start_ms must be a whole second, got {self.start_ms}")

    @classmethod
    def ending_now(cls, events: int, **options: int) -> "Flood":
        """A flood whose last event happens now, so that none lies in the future."""
        flood = cls(events=events, start_ms=0, **options)
        start_ms = (int(time.time()) - flood.seconds) * 1000
        return cls(events=events, start_ms=start_ms, **options)

    @property
    def seconds(self) -> int:
        """Length in event time, rounded up."""
        return -(-self.events // self.events_per_second)

    @cached_property
    def skus(self) -> list[list[str]]:
        """The SKUs of each partition, as the default partitioner of Java clients places them."""
        placed: list[list[str]] = [[] for _ in range(self.partitions)]
        for number in range(self.items):
            sku = f"SKU-{number:06d}"
            placed[partition_of(sku, self.partitions)].append(sku)
        return placed

    def count(self, partition: int) -> int:
        """How many records the partition has."""
        return len(range(partition, self.events, self.partitions))

    def records(self, partition: int) -> Iterator[tuple[str, bytes]]:
        """Key and value of the partition's records, in order."""
        draw = random.Random(self.seed * 1_000 + partition)
        skus = self.skus[partition]
        second, clock = -1, ""
        for index in range(partition, self.events, self.partitions):
            number = self.first + index
            milliseconds = index * 1000 // self.events_per_second
            if milliseconds // 1000 != second:
                second = milliseconds // 1000
                clock = rfc3339(self.start_ms + second * 1000)[:-4]  # start_ms is a whole second
            sku = skus[int(draw.random() * len(skus))]
            yield (
                sku,
                (
                    f'{{"kind":"placed","event_id":"{number * _SCATTER & 0xFFFFFFFFFFFFFFFF:016x}",'
                    f'"occurred_at":"{clock}{milliseconds % 1000:03d}Z","sku":"{sku}",'
                    f'"order_id":"W{number // LINES_PER_ORDER:09d}","quantity":{index % 3 + 1}}}'
                ).encode(),
            )


def partition_of(sku: str, partitions: int) -> int:
    return int(murmur2(sku.encode()) & 0x7FFFFFFF) % partitions


def rfc3339(epoch_ms: int) -> str:
    seconds, milliseconds = divmod(epoch_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"


def heartbeat(epoch_ms: int) -> bytes:
    return f'{{"kind":"heartbeat","occurred_at":"{rfc3339(epoch_ms)}"}}'.encode()


def item(sku: str, epoch_ms: int) -> bytes:
    """Master data, so that the items have something to decide about."""
    return (
        f'{{"kind":"item","event_id":"item-{sku}","occurred_at":"{rfc3339(epoch_ms)}",'
        f'"sku":"{sku}","unit_cost_lean":10,"unit_cost_flexible":12,"lead_time_days_lean":21,'
        f'"lead_time_days_flexible":3,"review_period_days":1,"holding_cost_per_unit_day":0.01,'
        f'"backorder_cost_per_unit_day":0.5,"assume_dispatched":true,"assume_received":true}}'
    ).encode()


def load(flood: Flood, bootstrap: str, topic: str, *, compression: str, processes: int) -> None:
    """Write the whole flood to `topic` from several processes; show the progress."""
    context = multiprocessing.get_context("spawn")
    done = context.Value("q", 0)
    shares = [range(first, flood.partitions, processes) for first in range(processes)]
    workers = [
        context.Process(
            target=_load_partitions,
            args=(flood, bootstrap, topic, list(share), compression, done),
            daemon=True,
        )
        for share in shares
        if share
    ]
    with Progress(f"loading {flood.events:,} orders", flood.events) as progress:
        for worker in workers:
            worker.start()
        while any(worker.is_alive() for worker in workers):
            progress.update(done.value)
            time.sleep(0.1)
        progress.update(done.value)
    failed = [worker.exitcode for worker in workers if worker.exitcode]
    if failed or done.value != flood.events:
        raise RuntimeError(f"loading ended at {done.value:,} of {flood.events:,} orders: {failed}")


def _load_partitions(flood, bootstrap, topic, partitions, compression, done) -> None:  # type: ignore[no-untyped-def]
    producer = make_producer(bootstrap, compression)
    streams = [(partition, flood.records(partition)) for partition in partitions]
    while streams:
        # Partitions advance together, as they do in a live sale.
        for partition, records in list(streams):
            written = 0
            for sku, value in records:
                produce(producer, topic, partition, sku, value)
                written += 1
                if written == _CHUNK:
                    break
            else:
                streams.remove((partition, records))
            producer.poll(0)
            with done.get_lock():
                done.value += written
    flush(producer)


def load_side_topics(flood: Flood, bootstrap: str, prefix: str, topics: list[str]) -> None:
    """Write what lies beside the orders: the catalog, and a heartbeat a second everywhere else."""
    producer = make_producer(bootstrap, "none")
    for partition, skus in enumerate(flood.skus):
        for sku in skus:
            produce(producer, f"{prefix}catalog", partition, sku, item(sku, flood.start_ms))
    for second in range(flood.seconds + 1):
        value = heartbeat(flood.start_ms + second * 1000)
        for topic in topics:
            if topic != f"{prefix}orders":
                for partition in range(flood.partitions):
                    produce(producer, topic, partition, HEARTBEAT_KEY, value)
    flush(producer)


def make_producer(bootstrap: str, compression: str, *, linger_ms: int = 20) -> Producer:
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "compression.type": compression,
            "linger.ms": linger_ms,
            "batch.size": 262_144,
            "queue.buffering.max.messages": 1_000_000,
            "acks": "all",
            "on_delivery": _require_delivery,
        }
    )


def produce(
    producer: Producer, topic: str, partition: int, key: str, value: bytes, **options: object
) -> None:
    while True:
        try:
            producer.produce(topic, value, key, partition, **options)
            return
        except BufferError:
            producer.poll(0.05)


def flush(producer: Producer) -> None:
    if left := producer.flush(60):
        raise RuntimeError(f"{left:,} records were not delivered within 60 s")


def _require_delivery(error, message) -> None:  # type: ignore[no-untyped-def]
    if error is not None:
        raise KafkaException(error)
