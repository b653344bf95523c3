"""Stand-ins for what a worker talks to: a store, Kafka's consumer, measurements."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from faust.types import TP

from streams.contracts.outgoing import OutboxRecord
from streams.ingest.transport import Chunk
from streams.state.bucket_rings import CELL, DAY_CELL
from streams.state.commit import Commit, StoredShard
from streams.state.items import ROW
from streams.state.minute_totals import TOTAL


@dataclass
class FakeLease:
    """The right to commit a shard."""

    partition: int
    epoch: int
    sequence: int
    offsets: str
    writer: str = "the only store"


@dataclass
class _Kept:
    epoch: int = 0
    sequence: int = 0
    offsets: str = "{}"
    meta: bytes = b""
    names: list[tuple[str, str]] = field(default_factory=list)
    rows: dict[str, bytes] = field(default_factory=dict)
    memories: dict[tuple[str, int], bytearray] = field(default_factory=dict)
    cells: dict[str, dict[int, dict[int, bytes]]] = field(default_factory=dict)
    pending: dict[int, bytes] = field(default_factory=dict)
    orders: dict[str, bytes] = field(default_factory=dict)
    catalog: dict[str, bytes] = field(default_factory=dict)
    groups: dict[str, bytes] = field(default_factory=dict)
    outbox: dict[int, OutboxRecord] = field(default_factory=dict)
    totals: dict[int, bytes] = field(default_factory=dict)


class MemoryStore:
    """Shards in dictionaries, fenced as the store in Redis is.

    `replies` are taken one for each commit: "lost" stores it and fails, "away" fails, "ok" works.
    """

    def __init__(self) -> None:
        self.kept: dict[int, _Kept] = {}
        self.replies: list[str] = []
        self.commits: list[Commit] = []
        self.log: list[str] = []
        self.is_away = False

    def acquire_now(self, partition: int, generation: int = 1) -> FakeLease:
        """Take a shard over."""
        kept = self.kept.setdefault(partition, _Kept())
        kept.epoch = max(kept.epoch + 1, generation)
        return FakeLease(partition, kept.epoch, kept.sequence, kept.offsets)

    async def acquire(self, partition: int, generation: int) -> FakeLease:
        """Take a shard over, if the store is there."""
        self.log.append(f"lease {partition}")
        self._answer()
        return self.acquire_now(partition, generation)

    async def load(self, lease: FakeLease) -> StoredShard | None:
        """Return what is stored, if the store is there."""
        self.log.append(f"load {lease.partition}")
        self._answer()
        return self.load_now(lease)

    def _answer(self) -> None:
        if self.is_away:
            raise ConnectionError("the store is away")

    def load_now(self, lease: FakeLease) -> StoredShard | None:
        """Return what is stored."""
        if lease.sequence == 0:
            return None
        kept = self.kept[lease.partition]
        names = list(kept.names)
        rows = b"".join(kept.rows[f"{sku}@{warehouse}"] for sku, warehouse in names)
        return StoredShard(
            offsets=json.loads(kept.offsets),
            meta=kept.meta,
            names=names,
            rows=np.frombuffer(rows, ROW).copy(),
            memories={
                name: tuple(bytes(kept.memories.get((name, side), b"")) for side in (0, 1))
                for name in json.loads(kept.meta)["memories"]
            },
            cells={ring: _cells(ring, kept.cells.get(ring, {})) for ring in _RINGS},
            pending=dict(kept.pending),
            orders=list(kept.orders.values()),
            catalog=dict(kept.catalog),
            groups=dict(kept.groups),
            outbox=dict(kept.outbox),
            totals=(
                np.array(list(kept.totals), np.int64),
                np.frombuffer(b"".join(kept.totals.values()), TOTAL),
            ),
        )

    def resume(self, lease: FakeLease, before: FakeLease) -> None:
        """Nothing is known of the store beside the lease."""

    async def ping(self) -> None:
        """Answer, if the store is there."""
        self._answer()

    async def is_current(self, lease: FakeLease) -> bool:
        """Whether the lease is the newest and nothing was lost since."""
        self._answer()
        kept = self.kept.get(lease.partition, _Kept())
        return (kept.epoch, kept.sequence, kept.offsets) == (
            *(lease.epoch, lease.sequence, lease.offsets),
        )

    async def commit(self, lease: FakeLease, commit: Commit) -> str:
        """Store, or refuse."""
        self._answer()
        reply = self.replies.pop(0) if self.replies else "ok"
        if reply == "away":
            self.log.append("commit away")
            raise ConnectionError("the store is away")
        verdict = self.commit_now(lease, commit)
        self.log.append(f"commit {verdict}")
        if reply == "lost":
            raise TimeoutError("the reply was lost")
        if verdict == "stored":
            lease.sequence += 1
            lease.offsets = _offsets(commit)
        return verdict

    def commit_now(self, lease: FakeLease, commit: Commit) -> str:
        """Store under the fence."""
        kept = self.kept.get(commit.partition)
        if kept is None or kept.epoch != lease.epoch:
            return "fenced"
        if kept.sequence == lease.sequence + 1:
            return "stored"
        if (kept.sequence, kept.offsets) != (lease.sequence, lease.offsets):
            return "fenced"
        _apply(kept, commit)
        kept.sequence += 1
        kept.offsets = _offsets(commit)
        self.commits.append(commit)
        return "stored"


_RINGS = ("minute", "hour", "day")


def _offsets(commit: Commit) -> str:
    return json.dumps(commit.offsets, sort_keys=True)


def _apply(kept: _Kept, commit: Commit) -> None:
    kept.meta = commit.meta
    kept.names.extend(commit.new_items)
    for key, row in zip(commit.row_keys, commit.rows, strict=True):
        kept.rows[key] = bytes(row)
    for ring, changes in commit.cells.items():
        buckets = kept.cells.setdefault(ring, {})
        for change in changes:
            bucket = buckets.setdefault(change.bucket, {})
            for item, cell in zip(change.items.tolist(), change.cells, strict=True):
                bucket[item] = bytes(cell)
    for name, tails in commit.tails.items():
        for tail in tails:
            if tail.is_fresh:
                kept.memories[name, tail.side] = bytearray()
            side = kept.memories.setdefault((name, tail.side), bytearray())
            side.extend(bytes(max(0, tail.start - len(side))))
            side[tail.start : tail.start + len(tail.data)] = tail.data
    _change(kept.pending, commit.pending_added, commit.pending_removed)
    _change(kept.outbox, commit.outbox_added, commit.outbox_removed)
    for po_id, order in commit.orders.items():
        if order is None:
            kept.orders.pop(po_id, None)
        else:
            kept.orders[po_id] = order
    for name, row in commit.groups.items():
        if row is None:
            kept.groups.pop(name, None)
        else:
            kept.groups[name] = row
    kept.catalog.update(commit.catalog)
    for minute, cell in zip(commit.totals.minutes.tolist(), commit.totals.cells, strict=True):
        kept.totals[minute] = bytes(cell)


def _change(kept: dict[int, Any], added: Iterable[tuple[int, Any]], removed: Iterable[int]) -> None:
    kept.update(added)
    for number in removed:
        kept.pop(number, None)


def _cells(ring: str, stored: Mapping[int, Mapping[int, bytes]]) -> dict[int, Any]:
    dtype = DAY_CELL if ring == "day" else CELL
    return {
        bucket: (np.array(list(cells), np.int64), np.frombuffer(b"".join(cells.values()), dtype))
        for bucket, cells in stored.items()
    }


Sent = tuple[bytes | None, bytes | None, list[tuple[str, bytes]], int]
"""Key, value, headers and time of a record."""

CONTROL, TRANSACTIONAL = 0x20, 0x10
_ATTRIBUTES, _CRC = 21, 17


def batch_bytes(
    records: Iterable[Sent], base_offset: int, *, attributes: int = 0, producer_id: int = -1
) -> bytes:
    """One record batch as it lies in the log, at an offset."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, producer_id, 0, 0, 1 << 20)
    for place, (key, value, headers, timestamp_ms) in enumerate(records):
        builder.append(place, timestamp_ms, key, value, headers)
    built = bytearray(builder.build())
    built[:8] = base_offset.to_bytes(8, "big")
    flags = int.from_bytes(built[_ATTRIBUTES : _ATTRIBUTES + 2], "big") | attributes
    built[_ATTRIBUTES : _ATTRIBUTES + 2] = flags.to_bytes(2, "big")
    built[_CRC:_ATTRIBUTES] = calc_crc32c(memoryview(built)[_ATTRIBUTES:]).to_bytes(4, "big")
    return bytes(built)


def chunk_of(values: Iterable[bytes | None], start: int, written_ms: int = 0) -> Chunk:
    """A chunk as the transport would make it of these values."""
    values = list(values)
    sent = [
        (b"key-%d" % (start + place), value, [("trace", b"\xff\x00%d" % place)], written_ms + place)
        for place, value in enumerate(values)
    ]
    raw = batch_bytes(sent, start)
    return Chunk(values, start, start + len(values), written_ms + len(values) - 1, raw)


class FakeConsumer:
    """Notes what a worker asks of Kafka."""

    def __init__(self, assigned: Iterable[TP] = (), beginnings: Mapping[TP, int] | None = None):
        self.assigned = set(assigned)
        self.beginnings = dict(beginnings or {})
        self.read_again_from: list[dict[TP, int]] = []
        self.committed: dict[TP, int] = {}
        self.highwaters: dict[TP, int] = {}
        self.held: dict[TP, int] = {}

    def assignment(self) -> set[TP]:
        """What is assigned."""
        return set(self.assigned)

    async def read_again(self, offsets: Mapping[TP, int]) -> None:
        """Seek."""
        self.read_again_from.append(dict(offsets))

    async def commit_stored(self, offsets: Mapping[TP, int]) -> bool:
        """Commit to Kafka."""
        self.committed.update(offsets)
        return True

    async def earliest(self, tps: Iterable[TP]) -> Mapping[TP, int]:
        """Where the logs begin."""
        return {tp: self.beginnings.get(tp, 0) for tp in tps}

    def highwater(self, tp: TP) -> int:
        """Where a log ends."""
        return self.highwaters.get(tp, 0)

    def held_back(self, tp: TP) -> int:
        """What lies behind an open transaction."""
        return self.held.get(tp, 0)


class FakeObserver:
    """Notes measurements."""

    def __init__(self) -> None:
        self.commits: list[tuple[float, float]] = []
        self.failures: list[str] = []
        self.totals: Counter[str] = Counter()

    def counted(self, added: Mapping[str, int]) -> None:
        """What commits added."""
        self.totals.update(added)

    def committed(self, seconds: float, visible_seconds: float) -> None:
        """A commit."""
        self.commits.append((seconds, visible_seconds))

    def failed(self, what: str) -> None:
        """A failure."""
        self.failures.append(what)


def as_json(value: bytes | None) -> Any:
    """A record's value, read."""
    assert value is not None
    return msgspec.json.decode(value)
