"""A shard: all that one partition of the input topics amounts to.

Pure: no I/O, no wall clock, no randomness. `fold` takes batches as they come, `advance` applies
what the watermark allows, `take_commit` hands over what has to be stored together. The state is a
function of the logs' prefixes alone, whatever the batches, the interleaving of topics and the pace.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from policy import PolicyCache
from streams.contracts.codes import Kind
from streams.contracts.events import TOPICS
from streams.demand.campaigns import Uplift
from streams.demand.estimate import Correction, estimate_words
from streams.demand.week_profile import Profile
from streams.incidents.incidents import AlertsState
from streams.ingest.decode import Columns, Decoded
from streams.shard.fold import Admitted, Outcome, admit_rows, count_rows
from streams.state.bucket_rings import CELL, DAY_CELL, Ring
from streams.state.commit import Commit, StoredShard
from streams.state.items import OLDEST_OPEN_ORDER, READABLE, ROW
from streams.state.key_memory import KeyMemory
from streams.state.minute_totals import MinuteTotals
from streams.state.outbox import Outbox
from streams.state.pending import ENTRY
from streams.timeline.partition_state import OrderResponse, TimelineSettings
from streams.timeline.timeline import Timeline
from streams.timestamps import DAY_MS, HOUR_MS, MINUTE_MS, NO_CLOCK
from streams.types import AnyArray, Int32Array, Int64Array, UInt8Array

STATE_VERSION = 8
DEAD_LETTERED = "dead_lettered"
NEW_ORDERS, SOLD_UNITS = "sales:orders", "sales:units"  # beside the outcomes by topic


@dataclass(frozen=True, slots=True)
class ShardSettings:
    """What a shard keeps and how late an event may be."""

    allowed_lateness_ms: int = 10_000
    grace_ms: int = DAY_MS
    minutes: int = 60
    hours: int = 48
    days: int = 35
    dedupe_keys: int = 1_000_000  # per input topic: at least the newest so many are remembered
    order_keys: int = 1_000_000  # orders by item and day
    timeline: TimelineSettings = field(default_factory=TimelineSettings)


@dataclass(frozen=True, slots=True)
class Folded:
    """What a batch did: how many records of each outcome, and which rows came too late."""

    counts: dict[str, int]
    late_rows: list[int]


class Meta(msgspec.Struct, kw_only=True):
    """The small part of a shard's state, stored as one JSON text."""

    version: int
    clocks: dict[str, int]
    first: dict[str, int]
    applied_ms: int | None
    counts: dict[str, int]
    memories: dict[str, list[int]]
    newest_buckets: dict[str, int]
    pending_next: int
    outbox_next: int
    profile: list[float]
    hour_orders: list[float]
    shop_orders: int
    correction: Correction
    uplifts: dict[str, Uplift]
    alerts: AlertsState
    reviews: int
    history_from: dict[str, int]


class Shard:
    """The state of one partition.

    Args:
        partition: its number.
        settings: what it keeps.
        cache: solved policies, shared by the shards of a worker.
    """

    def __init__(self, partition: int, settings: ShardSettings, cache: PolicyCache) -> None:
        self.partition = partition
        self.settings = settings
        self.clocks: dict[str, int] = dict.fromkeys(TOPICS, NO_CLOCK)
        self._first: dict[str, int] = {}
        self.offsets: dict[str, int] = {}
        self.history_from: dict[str, int] = {}
        self.counts: Counter[str] = Counter()
        self.memories = {f"seen-{topic}": KeyMemory(settings.dedupe_keys) for topic in TOPICS}
        self.memories["orders"] = KeyMemory(settings.order_keys)
        self.memories["orders-again"] = KeyMemory(settings.order_keys)
        self.rings = {
            "minute": Ring(MINUTE_MS, settings.minutes, CELL),
            "hour": Ring(HOUR_MS, settings.hours, CELL),
            "day": Ring(DAY_MS, settings.days, DAY_CELL, keeps_history=True),
        }
        self.totals = MinuteTotals()
        self.timeline = Timeline(partition, settings.timeline, cache)
        self.outbox = Outbox()
        self._stored_items = 0

    # -- folding ------------------------------------------------------------------------------

    def fold(self, topic: str, decoded: Decoded, next_offset: int) -> Folded:
        """Take in one batch of a topic.

        Args:
            topic: its name without prefix.
            decoded: what `TopicDecoder.decode` made of the batch.
            next_offset: where the log goes on after it.

        Returns:
            Counts by outcome and the rows, as places in the batch, that came too late to count.
        """
        columns = decoded.columns
        clock_ms = self.clocks[topic]
        running = [np.full(1, clock_ms)]
        counts: Counter[str] = Counter({DEAD_LETTERED: len(decoded.rejects)})
        late_rows: list[int] = []
        items = self._items_of(columns)
        for start, stop in self._pieces(columns):
            piece = slice(start, stop)
            result = self._fold_piece(topic, columns, items, piece)
            counts.update(_outcomes(result))
            counted = result.outcome != Outcome.DUPLICATE
            running.append(np.where(counted, columns.occurred_ms[piece], NO_CLOCK))
            late = np.flatnonzero(result.outcome == Outcome.LATE)
            late_rows.extend(columns.rows[piece][late].tolist())
        self._mark_dead_letters(topic, decoded, np.maximum.accumulate(np.concatenate(running)))
        self.counts.update({f"{topic}:{name}": count for name, count in counts.items()})
        self.offsets[topic] = next_offset
        return Folded(dict(counts), late_rows)

    def skip_to(self, topic: str, offset: int) -> None:
        """Begin at an offset; what was before it in the log is not in the state, and is said."""
        self.offsets[topic] = offset
        if offset:
            self.history_from[topic] = offset

    def _items_of(self, columns: Columns) -> Int32Array:
        index = self.timeline.items.index
        named = columns.code != Kind.HEARTBEAT
        if named.all():
            return index(columns.names)
        items = np.zeros(len(columns), np.int32)
        items[named] = index(columns.names.take(named))
        return items

    def _pieces(self, columns: Columns) -> Iterator[tuple[int, int]]:
        """Cut a batch so that no piece spans more days than half the ring keeps."""
        if not len(columns):
            return
        newest = np.maximum.accumulate(columns.occurred_ms) // DAY_MS
        newest = np.maximum(newest, self.rings["day"].newest)
        step = max(1, self.settings.days // 2)
        cuts = np.flatnonzero(np.diff((newest - newest[0]) // step)) + 1
        yield from pairwise([0, *cuts.tolist(), len(columns)])

    def _fold_piece(
        self, topic: str, columns: Columns, items: Int32Array, piece: slice
    ) -> Admitted:
        occurred_ms = columns.occurred_ms[piece]
        code = columns.code[piece]
        seen = self.memories[f"seen-{topic}"]
        seen.reserve(occurred_ms.size)
        self._first.setdefault(topic, int(occurred_ms[0]))
        admitted = admit_rows(
            code=code,
            occurred_ms=occurred_ms,
            event_key=columns.event_key[piece],
            clock_ms=self.clocks[topic],
            allowed_lateness_ms=self.settings.allowed_lateness_ms,
            grace_ms=self.settings.grace_ms,
            seen=seen.arrays,
        )
        self.clocks[topic] = admitted.clock_ms
        is_new_order = np.zeros(occurred_ms.size, np.uint8)
        if topic == "orders":
            is_new_order = self._count_sales(columns, items, piece, admitted)
        is_folded = admitted.outcome == Outcome.FOLDED
        self.totals.add(code, occurred_ms, columns.quantity[piece], is_folded, is_new_order)
        self._let_wait(topic, columns, items, piece, admitted, is_new_order)
        return admitted

    def _count_sales(
        self, columns: Columns, items: Int32Array, piece: slice, admitted: Admitted
    ) -> UInt8Array:
        occurred_ms = columns.occurred_ms[piece]
        orders, again = self.memories["orders"], self.memories["orders-again"]
        orders.reserve(occurred_ms.size)
        again.reserve(2 * occurred_ms.size)
        newest = int(occurred_ms[admitted.outcome == Outcome.FOLDED].max(initial=-1))
        for ring in self.rings.values():
            if newest >= 0:
                ring.roll_to(newest // ring.width_ms)
            ring.reserve(len(self.timeline.items), occurred_ms.size)
        minutes, hours, days = self.rings.values()
        is_new_order = count_rows(
            code=columns.code[piece],
            occurred_ms=occurred_ms,
            quantity=columns.quantity[piece],
            order_key=columns.order_key[piece],
            item=items[piece],
            outcome=admitted.outcome,
            memories=(orders.arrays, again.arrays),
            rings=(minutes.arrays, hours.arrays, days.arrays),
        )
        is_sale = (columns.code[piece] == Kind.PLACED) & (admitted.outcome == Outcome.FOLDED)
        self.counts[NEW_ORDERS] += int(is_new_order.sum())
        self.counts[SOLD_UNITS] += int(columns.quantity[piece][is_sale].sum())
        return is_new_order

    def _let_wait(
        self,
        topic: str,
        columns: Columns,
        items: Int32Array,
        piece: slice,
        result: Admitted,
        is_new_order: UInt8Array,
    ) -> None:
        code = columns.code[piece]
        waits = (result.outcome == Outcome.FOLDED) & (code != Kind.DELIVERED)
        chosen: Any = slice(None) if waits.all() else np.flatnonzero(waits)
        effective_ms = result.effective_ms[chosen]
        entries = np.empty(effective_ms.size, ENTRY)
        entries["effective_ms"] = effective_ms
        entries["quantity"] = columns.quantity[piece][chosen]
        entries["item"] = items[piece][chosen]
        entries["code"] = code[chosen]
        entries["is_new_order"] = is_new_order[chosen]
        updates = {}
        if columns.updates:
            places = {int(row): place for place, row in enumerate(np.arange(code.size)[chosen])}
            updates = {
                places[row - piece.start]: event
                for row, event in columns.updates.items()
                if row - piece.start in places
            }
        self.timeline.pending.add(topic, entries, updates)

    def _mark_dead_letters(self, topic: str, decoded: Decoded, clock_before_ms: Int64Array) -> None:
        """Let bad records take their place in event time: their topic's clock where they lie.

        Args:
            topic: its name.
            decoded: the batch.
            clock_before_ms: the clock before each good record and after the last, shape (row + 1,).
        """
        if not decoded.rejects:
            return
        rows = [reject.row for reject in decoded.rejects]
        clocks = clock_before_ms[np.searchsorted(decoded.columns.rows, rows)]
        clocks = clocks[clocks != NO_CLOCK]
        entries = np.zeros(clocks.size, ENTRY)
        entries["effective_ms"] = clocks
        entries["code"] = Kind.DEAD_LETTER
        self.timeline.pending.add(topic, entries, {})

    # -- event time ---------------------------------------------------------------------------

    @property
    def watermark_ms(self) -> int:
        """Nothing takes effect before this any more; `NO_CLOCK` until every topic has a clock."""
        clock = min(self.clocks.values())
        return clock if clock == NO_CLOCK else clock - self.settings.allowed_lateness_ms

    def advance(self, limit: int = 1_000) -> bool:
        """Apply boundaries up to the watermark, at most `limit`; return whether it was reached."""
        watermark_ms = self.watermark_ms
        if watermark_ms == NO_CLOCK:
            return True
        start_ms = min(self._first.values()) - self.settings.allowed_lateness_ms
        done = self.timeline.advance(watermark_ms, start_ms, limit)
        for effect in self.timeline.state.take_effects():
            if isinstance(effect, OrderResponse):
                self.outbox.judge(*effect)
            else:
                self.outbox.put(effect)
        return done

    def changed_cells(self) -> int:
        """Cells of the rings that the next commit carries."""
        return sum(int(ring.arrays.counters[1]) + ring.left_cells for ring in self.rings.values())

    def dedupe_horizon_s(self) -> dict[str, int]:
        """Seconds of event time that the memory of each topic reaches back; 0: nothing yet."""
        horizons = {}
        for topic, clock in self.clocks.items():
            oldest = self.memories[f"seen-{topic}"].oldest_value
            horizons[topic] = max(0, clock // 1000 - oldest) if oldest >= 0 else 0
        return horizons

    # -- storing ------------------------------------------------------------------------------

    def take_commit(self) -> Commit:
        """Return everything that changed since the last call, to be stored in one piece."""
        timeline, state = self.timeline, self.timeline.state
        new_items = np.arange(self._stored_items, len(timeline.items))
        self._stored_items = len(timeline.items)
        places = np.union1d(state.changed.take(), new_items)
        pending_added, pending_removed = timeline.pending.take_changes()
        outbox_added, outbox_removed = self.outbox.take_changes()
        return Commit(
            partition=self.partition,
            offsets=dict(self.offsets),
            meta=msgspec.json.encode(self._meta()),
            new_items=[timeline.items.names[item] for item in new_items.tolist()],
            row_keys=[timeline.items.key(item) for item in places.tolist()],
            row_places=places,
            rows=timeline.items.rows.take(places),  # ten times as fast as by index
            readable=self._readable(places),
            cells={name: ring.take_changes() for name, ring in self.rings.items()},
            newest_buckets=self._newest_buckets(),
            totals=self.totals.take_changes(),
            tails={name: memory.take_tails() for name, memory in self.memories.items()},
            pending_added=pending_added,
            pending_removed=pending_removed,
            orders=timeline.supply.take_changes(),
            catalog={
                timeline.items.key(item): lines
                for item, lines in state.take_catalog_changes().items()
            },
            groups=timeline.groups.take_changes(),
            decisions=state.take_decisions(),
            outbox_added=outbox_added,
            outbox_removed=outbox_removed,
            outbox_stored_to=self.outbox.next_number,
        )

    def _readable(self, items: Int64Array) -> dict[str, AnyArray]:
        rows = self.timeline.items.rows.take(items)
        shown = {name: rows[name] for name in READABLE if name in (ROW.names or ())}
        words = estimate_words(rows, self.timeline.applied_ms or 0)
        return {**shown, **words, OLDEST_OPEN_ORDER: rows["waiting_since_ms"][:, 0]}

    def _meta(self) -> Meta:
        timeline, state = self.timeline, self.timeline.state
        return Meta(
            version=STATE_VERSION,
            clocks=self.clocks,
            first=self._first,
            applied_ms=timeline.applied_ms,
            counts=dict(self.counts),
            memories={name: memory.state() for name, memory in self.memories.items()},
            newest_buckets=self._newest_buckets(),
            pending_next=timeline.pending.next_number,
            outbox_next=self.outbox.next_number,
            profile=state.profile.state(),
            hour_orders=state.hour_orders.tolist(),
            shop_orders=state.shop_orders,
            correction=state.correction,
            uplifts=state.uplifts,
            alerts=timeline.alerts.state(),
            reviews=state.reviews,
            history_from=self.history_from,
        )

    def _newest_buckets(self) -> dict[str, int]:
        newest = {name: ring.newest for name, ring in self.rings.items()}
        return {**newest, "totals": self.totals.newest}

    def restore(self, stored: StoredShard) -> None:
        """Take over what was stored; the shard must be new.

        Raises:
            ValueError: the state was written by another version.
        """
        meta = msgspec.json.decode(stored.meta, type=Meta)
        if meta.version != STATE_VERSION:
            raise ValueError(f"state version must be {STATE_VERSION}, got {meta.version}")
        timeline = self.timeline
        self.offsets = dict(stored.offsets)
        self.clocks.update(meta.clocks)
        self._first = meta.first
        self.counts = Counter(meta.counts)
        self.history_from = meta.history_from
        timeline.items.restore(stored.names, stored.rows)
        self._stored_items = len(timeline.items)
        for name, memory in self.memories.items():
            if name in meta.memories:
                memory.restore(meta.memories[name], stored.memories[name])
        for name, ring in self.rings.items():
            ring.reserve(len(timeline.items), 0)
            ring.restore(meta.newest_buckets[name], stored.cells[name])
        self.totals.restore(*stored.totals)
        self.outbox.restore(meta.outbox_next, stored.outbox)
        self._restore_timeline(meta, stored)

    def _restore_timeline(self, meta: Meta, stored: StoredShard) -> None:
        timeline, state = self.timeline, self.timeline.state
        applied_ms = NO_CLOCK if meta.applied_ms is None else meta.applied_ms
        timeline.applied_ms = meta.applied_ms
        timeline.pending.restore(meta.pending_next, stored.pending, applied_ms)
        timeline.supply.restore(stored.orders, applied_ms)
        state.profile = Profile.restore(meta.profile, self.settings.timeline.profile)
        state.hour_orders = np.array(meta.hour_orders)
        timeline.alerts.restore(meta.alerts)
        state.restore_estimates(meta.shop_orders, meta.correction, meta.uplifts)
        state.reviews = meta.reviews
        for key, lines in stored.catalog.items():
            sku, _, warehouse = key.rpartition("@")
            item = timeline.items.find(sku, warehouse)
            if item is not None:
                state.restore_catalog(item, lines)
        timeline.groups.restore(stored.groups)


def _outcomes(result: Admitted) -> Mapping[str, int]:
    counts = np.bincount(result.outcome, minlength=len(Outcome))
    found = {outcome.name.lower(): int(counts[outcome]) for outcome in Outcome}
    return {**found, "folded_late": result.late_folded}
