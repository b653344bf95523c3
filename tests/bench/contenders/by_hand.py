"""By hand: confluent-kafka reads, msgspec decodes and checks, numpy counts, Redis keeps.

What a good engineer writes in an afternoon: units per SKU, absolute values and offsets in one
transaction. No dedupe, no event time, no dead letters, no rings.
"""

import os
import time

import numpy as np
import redis
from confluent_kafka import Consumer

from streams.contracts.events import Placed
from tests.bench.contenders.common import OFFSETS, UNITS, Settings, decode

_MOST_RECORDS = 10_000


class Counts:
    """Units by SKU, and which of them changed."""

    def __init__(self) -> None:
        self._index: dict[str, int] = {}
        self._units = np.zeros(1 << 20, dtype=np.int64)  # more SKUs than the benchmarks have
        self._changed = np.zeros(1 << 20, dtype=bool)

    def add(self, orders: list[Placed]) -> None:
        index = self._index
        rows = np.array([index.setdefault(o.sku, len(index)) for o in orders], dtype=np.int64)
        units = np.array([order.quantity for order in orders], dtype=np.int64)
        np.add.at(self._units, rows, units)
        self._changed[rows] = True

    def take_changes(self) -> dict[str, int]:
        skus = list(self._index)
        rows = np.flatnonzero(self._changed)
        self._changed[rows] = False
        units = self._units[rows].tolist()
        return {skus[row]: count for row, count in zip(rows, units, strict=True)}


def main(settings: Settings) -> None:
    flush_seconds = float(os.environ.get("BENCH_FLUSH_SECONDS", "0.25"))
    client = redis.Redis.from_url(settings.redis_url)
    consumer = Consumer(
        {
            "bootstrap.servers": settings.bootstrap,
            "group.id": settings.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 10,
            "queued.min.messages": 200_000,
            "fetch.queue.backoff.ms": 5,  # its default, 1 s, makes this four times slower
            "session.timeout.ms": 6_000,
        }
    )
    consumer.subscribe([settings.topic])
    counts = Counts()
    offsets: dict[int, int] = {}
    dirty, flush_at = False, 0.0
    while True:
        messages = consumer.consume(_MOST_RECORDS, timeout=0.01)
        if messages:
            for message in messages:
                offsets[message.partition()] = message.offset() + 1
            events = decode([message.value() for message in messages])
            counts.add([event for event in events if type(event) is Placed])  # no heartbeats
            dirty = True
        if dirty and (not messages or time.monotonic() > flush_at):
            pipe = client.pipeline(transaction=True)
            pipe.hset(UNITS, mapping=counts.take_changes())
            pipe.hset(OFFSETS, mapping=offsets)
            pipe.execute()
            dirty, flush_at = False, time.monotonic() + flush_seconds


if __name__ == "__main__":
    main(Settings.from_environment())
