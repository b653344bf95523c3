"""Redis -> `Snapshot`, without its items. Synchronous, for a thread of its own.

What is small is read every time; what may grow with the shop, as often as a tenth of the time
allows (`pace.py`), or as far as a limit. Items have a reader of their own (`reading_items.py`).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from infra.control.entries import ACKNOWLEDGED_FOR_MS, Acknowledged
from infra.page.contracts import Acknowledgement
from infra.page.readers.decisions import DecisionsReader
from infra.page.readers.pace import Pace
from infra.page.readers.totals import TotalsReader
from infra.page.snapshot import ShardView, Snapshot, no_items
from infra.redis.codec import ShardMeta, decode_meta
from infra.redis.keys import Keys
from infra.redis.projection import DeadLetter
from infra.redis.refusals import follow
from infra.redis.rows import text_of
from streams.contracts.alerts import Alert
from streams.timestamps import NO_CLOCK, one_time

ANSWER_SECONDS = 3.0
INCIDENTS_READ = 5_000
"""Of all partitions, about; more are counted and not listed."""

_FIND_EVERY_SECONDS = 5.0
_SCAN_AT_ONCE = 10_000


_alert_decoder = msgspec.json.Decoder(Alert)
_letter_decoder = msgspec.json.Decoder(DeadLetter)

Acknowledgements = Callable[[int], Mapping[str, Acknowledged]]  # wall clock in ms -> by incident


def connect(url: str, **options: Any) -> "Redis":
    """Return a client that gives up soon: a page that waits is worse than one that says why.

    Args:
        url: of Redis.
        options: more of the client's own, as for TLS.
    """
    redis = Redis.from_url(
        url,
        **options,
        socket_connect_timeout=2.0,
        socket_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    follow(redis.connection_pool)
    return redis


class PageReader:
    """Reads snapshots.

    Args:
        redis: a client that gives bytes.
        keys: names in Redis.
        acknowledged: who looks after which incident.
        clock: wall-clock seconds.
    """

    def __init__(
        self,
        redis: "Redis",
        keys: Keys,
        acknowledged: Acknowledgements,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._read_acknowledged = acknowledged
        self._clock = clock
        self._partitions: list[int] = []
        self._found_at = -np.inf
        self._sequences: dict[int, int] = {}
        self._changed_ms: int | None = None
        self._losses = 0
        self._totals = TotalsReader(redis, keys, time.monotonic)
        self._decisions = DecisionsReader(redis, keys)
        self._incidents: list[Alert] = []
        self._parts_beyond_one = 0  # of incidents that have parts on several partitions
        self._incidents_pace = Pace(0.0, time.monotonic)

    def read(self) -> Snapshot:
        """Return what Redis holds now, but for the items.

        Raises:
            redis.RedisError: it does not answer.
            infra.redis.rows.StateError: another version wrote it.
        """
        read_ms = int(self._clock() * 1000)
        partitions = self._find_partitions()
        shards, newest = self._read_shards(partitions, read_ms)
        open_count = self._read_incidents_in_turn(partitions)
        return Snapshot(
            read_ms=read_ms,
            changed_ms=self._changed_ms,
            shards=shards,
            totals=self._totals.read(partitions, max(newest, default=-1)),
            decisions=self._decisions.read(shards),
            incidents=self._incidents,
            incidents_open=open_count,
            acknowledged=self._acknowledged(read_ms),
            dead_letters=self._read_dead_letters(partitions),
            items=no_items(),
            losses=self._losses,
        )

    def _find_partitions(self) -> list[int]:
        if not self._partitions or self._clock() - self._found_at > _FIND_EVERY_SECONDS:
            # A replica that once was the primary goes on answering reads: look its name up again.
            self._redis.connection_pool.disconnect(inuse_connections=False)
            prefix = self._keys.shard(0).partition("{")[0]
            keys = self._redis.scan_iter(match=_escape(prefix) + "{*", count=_SCAN_AT_ONCE)
            found = {text_of(key).removeprefix(prefix).strip("{}") for key in keys}
            self._partitions = sorted(int(one) for one in found if one.isdigit())
            self._found_at = self._clock()
        return self._partitions

    def _read_shards(
        self, partitions: Sequence[int], read_ms: int
    ) -> tuple[list[ShardView], list[int]]:
        pipeline = self._redis.pipeline(transaction=False)
        for partition in partitions:
            pipeline.hmget(self._keys.shard(partition), ["sequence", "meta"])
            pipeline.hlen(self._keys.outbox(partition))
        replies = pipeline.execute()
        shards, newest = [], []
        sequences: dict[int, int] = {}
        for place, partition in enumerate(partitions):
            (sequence, meta), waiting = replies[2 * place : 2 * place + 2]
            sequences[partition] = int(sequence or 0)
            if meta is not None:
                decoded = decode_meta(meta)
                shards.append(_shard_view(partition, decoded, waiting))
                newest.append(decoded.newest_buckets.get("totals", -1))
        self._note(sequences, read_ms)
        return shards, newest

    def _note(self, sequences: dict[int, int], read_ms: int) -> None:
        """See whether anything was committed, and whether Redis has lost what was remembered."""
        before, self._sequences = self._sequences, sequences
        if before and before != sequences:
            self._changed_ms = read_ms
        if any(sequences.get(partition, 0) < number for partition, number in before.items()):
            self._losses += 1
            self._decisions.forget()
            self._totals.forget()

    # -- incidents and dead letters -----------------------------------------------------------

    def _read_incidents_in_turn(self, partitions: Sequence[int]) -> int:
        """Read them if it is time; return how many are open, a group's of all partitions as one."""
        pipeline = self._redis.pipeline(transaction=False)
        for partition in partitions:
            pipeline.hlen(self._keys.incidents(partition))
        counts = pipeline.execute()
        if self._incidents_pace.is_due():
            with self._incidents_pace.doing():
                self._incidents, self._parts_beyond_one = self._read_incidents(partitions, counts)
        open_count: int = sum(counts) - self._parts_beyond_one
        return max(len(self._incidents), open_count)

    def _read_incidents(
        self, partitions: Sequence[int], counts: Sequence[int]
    ) -> tuple[list[Alert], int]:
        each = max(1, INCIDENTS_READ // max(1, len(partitions)))
        parts: list[Alert] = []
        for partition, count in zip(partitions, counts, strict=True):
            key = self._keys.incidents(partition)
            stored: Any = self._redis.hvals(key) if count <= each else self._some(key, each)
            parts += [_alert_decoder.decode(value) for value in stored]
        whole = put_together(parts)
        return whole, len(parts) - len(whole)

    def _some(self, key: str, count: int) -> list[bytes]:
        answer: Any = self._redis.hscan(key, count=count)
        return list(answer[1].values())

    def _acknowledged(self, now_ms: int) -> dict[str, Acknowledgement]:
        taken = self._read_acknowledged(now_ms)
        found = ((one.incident_id, taken.get(one.incident_id)) for one in self._incidents)
        return {name: _acknowledgement(entry) for name, entry in found if entry is not None}

    def _read_dead_letters(self, partitions: Sequence[int]) -> list[DeadLetter]:
        pipeline = self._redis.pipeline(transaction=False)
        for partition in partitions:
            pipeline.hvals(self._keys.dead_letters(partition))
        letters = [_letter_decoder.decode(value) for reply in pipeline.execute() for value in reply]
        letters.sort(key=lambda one: (-one.written_ms, one.topic, one.partition, -one.offset))
        return letters


def put_together(parts: Sequence[Alert]) -> list[Alert]:
    """Return one alert for each incident: that of a group has a part on each partition.

    The largest part stands for all of them, with the items and orders of all.
    """
    by_id: dict[str, list[Alert]] = {}
    for part in parts:
        by_id.setdefault(part.incident_id, []).append(part)
    return [same[0] if len(same) == 1 else _whole(same) for same in by_id.values()]


def _whole(parts: Sequence[Alert]) -> Alert:
    largest = max(parts, key=lambda part: (_count(part, "items"), -_count(part, "partition")))
    sums = {name: sum(_count(part, name) for part in parts) for name in ("items", "orders")}
    return msgspec.structs.replace(largest, figures={**largest.figures, **sums})


def _count(alert: Alert, name: str) -> int:
    value = alert.figures.get(name)
    return int(value) if isinstance(value, int | float) else 0


def _acknowledgement(entry: Acknowledged) -> Acknowledgement:
    at_ms = one_time(entry.at)
    return Acknowledgement(
        who=entry.who,
        note=entry.why,
        acknowledged_ms=at_ms,
        holds_until_ms=at_ms + ACKNOWLEDGED_FOR_MS,
    )


def _shard_view(partition: int, meta: ShardMeta, waiting: int) -> ShardView:
    return ShardView(
        partition=partition,
        clocks={topic: ms for topic, ms in meta.clocks.items() if ms != NO_CLOCK},
        applied_ms=meta.applied_ms,
        counts=meta.counts,
        waiting_records=waiting,
        history_from=meta.history_from,
        profile=meta.profile,
    )


def _escape(text: str) -> str:
    return "".join(f"\\{char}" if char in "*?[]\\^" else char for char in text)
