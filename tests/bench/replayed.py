"""A shop's history read through a shard, day by day, without Kafka and Redis.

The events go through decoding, fold and event time as they do live; only where they come from and
where the state goes is left out. So what a benchmark sees is what a worker would have known.
"""

import datetime
import gzip
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from policy import PolicyCache
from streams.contracts.events import TOPICS
from streams.contracts.outgoing import OutboxRecord
from streams.ingest.decode import TopicDecoder
from streams.settings import ShardSettings
from streams.shard.checkpoint import take_commit
from streams.shard.shard import Shard
from streams.timestamps import DAY_MS

Line = tuple[int, bytes]  # event time, a record's value


def read_sales(path: Path) -> Iterator[Line]:
    """Yield the sales of a history in the schema of `shared/data`, as records of `orders`."""
    with gzip.open(path, "rt") as lines:
        for text in lines:
            told = json.loads(text)
            if told["type"] == "order" and told.get("kind") is None and told["quantity"] > 0:
                moment = datetime.datetime.fromisoformat(told["occurred_at"])
                at_ms = round(moment.timestamp() * 1000)
                record = {
                    "kind": "placed",
                    "event_id": told["event_id"],
                    "occurred_at": at_ms,
                    "sku": told["sku"],
                    "order_id": told["order_id"],
                    "quantity": told["quantity"],
                }
                yield at_ms, json.dumps(record).encode()


def heartbeat(at_ms: int) -> bytes:
    """A heartbeat's value."""
    return json.dumps({"kind": "heartbeat", "occurred_at": at_ms}).encode()


class Replay:
    """A shard that reads a history.

    Args:
        settings: of the shard.
    """

    def __init__(self, settings: ShardSettings) -> None:
        self.shard = Shard(0, settings, PolicyCache())
        self._decoders = {topic: TopicDecoder(topic) for topic in TOPICS}
        self._raised: Counter[str] = Counter()
        self._lateness_ms = settings.allowed_lateness_ms

    def read(self, topic: str, values: list[bytes]) -> None:
        """Read records of a topic."""
        offset = self.shard.offsets.get(topic, 0) + len(values)
        told: list[bytes | None] = [*values]
        self.shard.fold(topic, self._decoders[topic].decode(told, None), offset)

    def pass_time(self, until_ms: int) -> None:
        """Let everything before a time take effect."""
        for topic in TOPICS:
            self.read(topic, [heartbeat(until_ms + self._lateness_ms)])
        while not self.shard.advance(100_000):
            pass
        for _, outgoing in take_commit(self.shard).outbox_added:
            self._note(outgoing)

    def _note(self, outgoing: OutboxRecord) -> None:
        if outgoing.topic == "alerts":
            alert = json.loads(outgoing.value)
            if alert["state"] == "raised":
                self._raised[alert["kind"]] += 1

    def raised(self) -> dict[str, int]:
        """Return how many incidents of each kind began so far."""
        return dict(self._raised)


def by_day(lines: Iterable[Line]) -> Iterator[tuple[int, list[bytes]]]:
    """Yield the records of each UTC day that has any: days since the epoch, values."""
    for day, group in groupby(lines, key=lambda line: line[0] // DAY_MS):
        yield day, [value for _, value in group]


def daily_units(path: Path) -> tuple[list[str], int, np.ndarray]:
    """Return the skus, the first day since the epoch, and their units by day, shape (sku, day)."""
    with gzip.open(path, "rt") as lines:
        next(lines)
        told = [line.rstrip("\n").split(",") for line in lines]
    days = np.array([datetime.date.fromisoformat(parts[0]).toordinal() for parts in told])
    days -= datetime.date(1970, 1, 1).toordinal()
    skus, places = np.unique([parts[1] for parts in told], return_inverse=True)
    units = np.zeros((skus.size, int(np.ptp(days)) + 1), np.int64)
    np.add.at(units, (places, days - days.min()), [int(parts[4]) for parts in told])
    return skus.tolist(), int(days.min()), units
