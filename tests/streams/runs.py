"""Running a shard over logs, and telling its state in words that do not depend on how it got there.

Places of items depend on which topic was read first; so a state is told by the items' names.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from policy import PolicyCache
from streams.contracts.codes import Kind
from streams.contracts.events import TOPICS
from streams.contracts.outgoing import OutboxRecord
from streams.contracts.topics import GROUP_FACTS
from streams.ingest.decode import TopicDecoder
from streams.settings import (
    AlertSettings,
    BaselineSettings,
    DecodeLimits,
    OrderFeedSettings,
    ReviewSettings,
    ShardSettings,
    SilenceSettings,
    SurgeSettings,
    TimelineSettings,
)
from streams.shard.checkpoint import restore, take_commit
from streams.shard.shard import Shard
from streams.state.commit import Commit, StoredShard
from streams.state.items import Items
from streams.state.pending import ENTRY
from streams.types import Table
from tests.oracle import DAY, HOUR, MINUTE
from tests.streams.logs import Log, Logs, columns_of

CACHE = PolicyCache(200_000)

# Small, so that a short log reaches every corner.
SETTINGS = ShardSettings(
    allowed_lateness_ms=10_000,
    grace_ms=DAY,
    minutes=10,
    hours=5,
    days=6,
    timeline=TimelineSettings(
        tick_ms=20 * MINUTE,
        silence=SilenceSettings(chance=0.3, least_orders=1.0, longest_days=2.0),
        surge=SurgeSettings(
            false_items_per_100000=1e4 / 1.5,
            minimum_orders=2,
            minimum_days=0.5,
            end_evidence=1.0,
            baseline=BaselineSettings(mature_days=2.0),
        ),
        review=ReviewSettings(minimum_days=1, stock_valid_ms=6 * DAY),
        alerts=AlertSettings(
            order_feed=OrderFeedSettings(silent_arrivals=2.0, debt_arrivals=1.0),
            dead_letters_end_ms=HOUR,
        ),
    ),
)
_DECODERS = {topic: TopicDecoder(topic, DecodeLimits()) for topic in TOPICS}


class Run:
    """A shard that reads logs, and all that it said."""

    def __init__(
        self,
        settings: ShardSettings = SETTINGS,
        cache: PolicyCache = CACHE,
        *,
        partition: int = 0,
    ) -> None:
        self.settings = settings
        self.cache = cache
        self.shard = Shard(partition, settings, cache)
        self.decisions: list[tuple[Any, ...]] = []
        self.late: list[tuple[str, int]] = []
        self.days: dict[tuple[int, str], tuple[int, ...]] = {}
        self.outputs_told_to = 0
        self.outputs: list[OutboxRecord] = []
        self.facts_log: list[bytes | None] = []  # about groups, for the second stage
        self._noted: dict[int, OutboxRecord] = {}

    def read(self, topic: str, log: Log) -> None:
        """Read the next records of a topic in one batch."""
        start = self.shard.offsets.get(topic, 0)
        decoded = _DECODERS[topic].decode(*columns_of(log))
        folded = self.shard.fold(topic, decoded, start + len(log))
        assert sum(folded.counts.values()) - folded.counts.get("folded_late", 0) == len(log)
        self.late.extend((topic, start + row) for row in folded.late_rows)

    def advance(self, limit: int = 100_000) -> bool:
        """Let event time pass."""
        return self.shard.advance(limit)

    def advance_fully(self, limit: int = 1_000) -> None:
        """Let event time pass up to the watermark."""
        while not self.shard.advance(limit):
            pass

    def commit(self) -> Commit:
        """Take a commit and note what it carries to the outside."""
        commit = take_commit(self.shard)
        for table in commit.decisions:
            self.decisions.extend(tell_decisions(table, self.shard.timeline.items))
        for change in commit.cells["day"]:
            for item, cell in zip(change.items.tolist(), change.cells.tolist(), strict=True):
                self.days[change.bucket, self.shard.timeline.items.key(item)] = cell
        facts = (one for _, one in commit.outbox_added if one.topic == GROUP_FACTS)
        self.facts_log += [one.value for one in facts]
        for number, record in commit.outbox_added:
            if record.topic == GROUP_FACTS:
                continue
            self._note(number, msgspec.structs.replace(record, order_summary=None))
        self.outputs_told_to = commit.outbox_stored_to
        return commit

    def judge_groups(self) -> None:
        """Let the shard read on what it has said of groups, as its only partition."""
        start = self.shard.offsets.get(GROUP_FACTS, 0)
        self.shard.fold_facts(self.facts_log[start:], start, len(self.facts_log))

    def _note(self, number: int, record: OutboxRecord) -> None:
        """Note what goes out, as it stands by now: an answer changes an order that waits."""
        if number >= self.outputs_told_to:
            self.outputs.append(record)
        else:
            before = self._noted.get(number)
            self.outputs[:] = [record if one is before else one for one in self.outputs]
        self._noted[number] = record

    def restart(self, stored: StoredShard | None) -> None:
        """Go on with what was stored."""
        self.shard = Shard(self.shard.partition, self.settings, self.cache)
        if stored is not None:
            restore(self.shard, stored)


def read_whole(logs: Logs, settings: ShardSettings = SETTINGS) -> Run:
    """Read each log in one piece, then let time pass in one piece."""
    run = Run(settings)
    for topic, log in logs:
        if log:
            run.read(topic, log)
    run.advance_fully()
    run.commit()
    run.judge_groups()
    run.commit()
    return run


Schedule = Sequence[tuple[int, int, int]]  # topic, how many records, boundaries to apply


def read_in_pieces(
    logs: Logs,
    schedule: Schedule,
    between: Callable[[Run], object] = lambda run: None,
    settings: ShardSettings = SETTINGS,
) -> Run:
    """Read batches of any size from any topic in turn, with some advance after each."""
    run = Run(settings)
    for topic, batch, limit in pieces(logs, schedule):
        run.read(topic, batch)
        if limit:
            run.advance(limit)
        between(run)
    run.advance_fully(1)
    run.commit()
    run.judge_groups()
    run.commit()
    return run


def pieces(logs: Logs, schedule: Schedule) -> Iterable[tuple[str, Log, int]]:
    """Cut logs into batches; the schedule is gone through again and again."""
    left = {topic: list(log) for topic, log in logs if log}
    turn = 0
    while left:
        number, size, limit = schedule[turn % len(schedule)]
        turn += 1
        topic = sorted(left)[number % len(left)]
        yield topic, left[topic][:size], limit
        left[topic] = left[topic][size:]
        if not left[topic]:
            del left[topic]


def tell_decisions(table: Table, items: Items) -> list[tuple[Any, ...]]:
    """Each decision's bytes, with the item's name in place of its place."""
    told = []
    for decision in table.copy():
        name = items.key(int(decision["item"]))
        decision["item"] = 0
        told.append(
            (int(decision["reviewed_ms"]), bool(decision["is_surge"]), name, bytes(decision))
        )
    return told


def tell(run: Run) -> dict[str, Any]:
    """The whole state of a shard that has advanced to its watermark, by names."""
    shard = run.shard
    timeline = shard.timeline
    name = timeline.items.key
    meta = json.loads(take_commit(shard).meta)
    for part in ("pending_next", "outbox_next", "memories"):  # numbers of batches and of places
        del meta[part]
    counts = {one: n for one, n in meta["counts"].items() if not one.startswith(GROUP_FACTS)}
    return {
        **meta,
        "counts": counts,
        "groups of meta": meta.pop("groups"),
        "offsets": {one: offset for one, offset in shard.offsets.items() if one != GROUP_FACTS},
        "items": sorted(map(name, range(len(timeline.items)))),
        "rows": {name(i): bytes(timeline.items.rows[i]) for i in range(len(timeline.items))},
        "groups": {} if shard.groups is None else shard.groups.rows.as_bytes(),
        "cells": _tell_cells(shard),
        "totals": shard.totals.sums(),
        "pending": _tell_pending(shard),
        "supply": {
            order.po_id: {**msgspec.to_builtins(order), "item": name(order.item)}
            for order in timeline.supply
        },
        "catalog": {name(item): line for item, line in timeline.catalog.items()},
        "campaigns": {name(item): lines for item, lines in timeline.campaigns.items() if lines},
        "seen": {
            topic: _tell_memory(shard.memories[f"seen-{topic}"].arrays._asdict())
            for topic in TOPICS
        },
        "open lines": _tell_open_lines(shard),
        "orders remembered": [len(shard.memories[one]) for one in ("orders", "orders-again")],
        "outputs": sorted(map(msgspec.msgpack.encode, run.outputs)),
        "statuses": _tell_statuses(shard),
        "decisions": sorted(run.decisions),
        "late": sorted(run.late),
        "days": {key: cell for key, cell in run.days.items() if any(cell)},
    }


def _tell_statuses(shard: Shard) -> dict[str, str]:
    """The last word of people about each order that was not handed over."""
    waiting = shard.outbox.orders_between(0, shard.outbox.next_number)
    return {
        outgoing.order_summary.po_id: outgoing.order_summary.status
        for _, outgoing in waiting
        if outgoing.order_summary is not None
    }


def _tell_memory(arrays: Mapping[str, np.ndarray]) -> tuple[Any, ...]:
    generation, count, before, _ = arrays["counters"].tolist()
    newer = arrays["entries"][generation & 1, :count].tolist()
    return generation, newer, arrays["entries"][1 - (generation & 1), :before].tolist()


def _tell_open_lines(shard: Shard) -> tuple[int, list[tuple[str, int]]]:
    """All changes of the generation; the keys depend on the places of items."""
    lines = shard.timeline.state.open_lines
    generation, filled, _ = lines.state()
    changes = lines.arrays.changes[:filled]
    names = map(shard.timeline.items.key, changes["item"].tolist())
    return generation, list(zip(names, changes["open_units"].tolist(), strict=True))


def _tell_cells(shard: Shard) -> dict[tuple[str, int, str], tuple[int, ...]]:
    told = {}
    for ring_name, ring in shard.rings.items():
        for bucket in ring.buckets():
            for item, cell in enumerate(ring.of_bucket(bucket).tolist()):
                if any(cell):
                    told[ring_name, bucket, shard.timeline.items.key(item)] = cell
    return told


def _tell_pending(shard: Shard) -> dict[str, list[Any]]:
    told: dict[str, list[Any]] = {"events": [], "dead letters": []}
    due = shard.timeline.pending.take_before(1 << 62)
    for place, entry in enumerate(due.entries):
        is_bad = entry["code"] == Kind.DEAD_LETTER
        line = [entry[field].item() for field in ENTRY.names if field != "item"]
        name = "" if is_bad else shard.timeline.items.key(int(entry["item"]))
        told["dead letters" if is_bad else "events"].append((*line, name, due.updates.get(place)))
    return told


def require_same(one: Run, other: Run) -> None:
    """Fail, naming the part, where two runs differ."""
    ours, theirs = tell(one), tell(other)
    for part in theirs:
        if ours[part] != theirs[part]:
            raise AssertionError(f"{part} differs:\n{ours[part]!r:.2000}\n{theirs[part]!r:.2000}")
