"""A shard: all that one partition of the input topics amounts to.

Pure: no I/O, no wall clock, no randomness. `fold` takes batches as they come, `advance` applies
what the watermark allows; `checkpoint` hands over what has to be stored together. The state is a
function of the logs' prefixes alone, whatever the batches, the interleaving of topics and the pace.
"""

import logging
from collections import Counter
from collections.abc import Sequence

import numpy as np

from policy import PolicyCache
from streams.contracts.codes import Kind
from streams.contracts.events import TOPICS, Tombstone
from streams.contracts.topics import GROUP_FACTS
from streams.groups.facts import FactsError, group_partition, read_facts
from streams.groups.stage import GroupStage
from streams.ingest.decode import Columns, Decoded
from streams.settings import GroupSettings, ShardSettings, TimelineSettings
from streams.shard.fold import Admitted, Outcome, admit_rows, count_rows, remembered_s
from streams.shard.folding import (
    DEAD_LETTERED,
    LOST,
    NEW_ORDERS,
    REUSED,
    REVIEWS,
    SOLD_UNITS,
    Folded,
    dead_letter_entries,
    outcome_counts,
    pieces,
    waiting_entries,
)
from streams.shard.logs import LogIdentity
from streams.state.bucket_rings import CELL, DAY_CELL, Ring
from streams.state.key_memory import KeyMemory
from streams.state.minute_totals import MinuteTotals
from streams.state.open_lines import OpenLines
from streams.state.outbox import Outbox
from streams.timeline.partition_state import OrderResponse
from streams.timeline.timeline import Timeline
from streams.timestamps import DAY_MS, HOUR_MS, MINUTE_MS, NO_CLOCK
from streams.types import Int32Array, UInt8Array

_log = logging.getLogger(__name__)


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
        self.first_ms: dict[str, int] = {}
        self.offsets: dict[str, int] = {}
        self.history_from: dict[str, int] = {}
        self.logs: dict[str, LogIdentity] = {}  # topic -> what it was when it began to be read
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
        self.groups: GroupStage | None = None  # of all partitions, in the shard that owns them
        if partition == group_partition(settings.timeline.partitions):
            self.groups = GroupStage(group_settings(settings.timeline))
        self.foreign_groups: list[str] = []  # stored, and judged elsewhere by now
        self.stored_items = 0  # of the items' table

    @property
    def stored_memories(self) -> dict[str, KeyMemory | OpenLines]:
        """All that is stored as a memory, by name."""
        return {**self.memories, "open-lines": self.timeline.state.open_lines}

    # -- folding ------------------------------------------------------------------------------

    def fold(self, topic: str, decoded: Decoded, next_offset: int) -> Folded:
        """Take in one batch of a topic.

        Args:
            topic: its name without prefix.
            decoded: what `TopicDecoder.decode` made of the batch.
            next_offset: where the log goes on after it.

        Returns:
            Counts by outcome and the rows, as places in the batch, that came too late to count, and
            those whose event id another event had.
        """
        columns = decoded.columns
        clock_ms = self.clocks[topic]
        running = [np.full(1, clock_ms)]
        counts: Counter[str] = Counter({DEAD_LETTERED: len(decoded.rejects)})
        late_rows: list[int] = []
        reused_rows: list[int] = []
        items = self._items_of(columns)
        step_days = max(1, self.settings.days // 2)
        for piece in pieces(columns, self.rings["day"].newest, step_days):
            result = self._fold_piece(topic, columns, items, piece)
            counts.update(outcome_counts(result))
            counted = result.outcome != Outcome.DUPLICATE
            running.append(np.where(counted, columns.occurred_ms[piece], NO_CLOCK))
            late = np.flatnonzero(result.outcome == Outcome.LATE)
            late_rows.extend(columns.rows[piece][late].tolist())
            if result.is_reused.any():
                reused = np.flatnonzero(result.is_reused)
                reused_rows.extend(columns.rows[piece][reused].tolist())
        if decoded.rejects:
            marks = dead_letter_entries(decoded, np.maximum.accumulate(np.concatenate(running)))
            self.timeline.pending.add(topic, marks, {})
        if reused_rows:
            self.counts[f"{topic}:{REUSED}"] += len(reused_rows)
        self.counts.update({f"{topic}:{name}": count for name, count in counts.items()})
        self.offsets[topic] = next_offset
        return Folded(dict(counts), late_rows, reused_rows)

    def fold_facts(self, values: Sequence[bytes | None], start: int, next_offset: int) -> None:
        """Take in records of `group-facts`, and judge the groups as far as all partitions are.

        Args:
            values: of the records.
            start: offset of the first one.
            next_offset: where the log goes on after them.
        """
        self.offsets[GROUP_FACTS] = next_offset
        for offset, value in enumerate(values, start):
            try:
                facts = read_facts(value)
            except FactsError as error:
                self.counts[f"{GROUP_FACTS}:{DEAD_LETTERED}"] += 1
                _log.error(
                    "%s: the record at offset %d is left out: %s", GROUP_FACTS, offset, error
                )
                continue
            self.counts[f"{GROUP_FACTS}:folded"] += 1
            if self.groups is not None:
                self.groups.fold(facts, offset)
        if self.groups is not None:
            for alert in self.groups.advance():
                self.outbox.put(alert)

    @property
    def stored_offsets(self) -> dict[str, int]:
        """Where each log has to be read on by whoever takes over what a commit stores."""
        if self.groups is None or GROUP_FACTS not in self.offsets:
            return dict(self.offsets)
        pinned = self.groups.inbox.pinned_offset(self.offsets[GROUP_FACTS])
        return {**self.offsets, GROUP_FACTS: pinned}

    def send_facts(self) -> None:
        """Let what is known of the groups up to the newest boundary leave with the next commit."""
        for record in self.timeline.state.facts.take(self.timeline.applied_ms):
            self.outbox.put(record)

    def skip_to(self, topic: str, offset: int) -> None:
        """Begin at an offset; what was before it in the log is not in the state, and is said."""
        self.offsets[topic] = offset
        if offset:
            self.history_from[topic] = offset

    def lose(self, topic: str, offset: int) -> int:
        """Go on where the log begins now; return how many records were deleted unread."""
        lost = offset - self.offsets[topic]
        self.counts[f"{topic}:{LOST}"] += lost
        self.timeline.alerts.inputs.note_lost(lost, self.newest_ms)
        self.skip_to(topic, offset)
        return lost

    def note_changed_log(self) -> None:
        """Let an incident say that a log is not the one that was read."""
        if self.newest_ms != NO_CLOCK:
            for alert in self.timeline.alerts.inputs.raise_log_changed(self.newest_ms):
                self.outbox.put(alert)

    @property
    def newest_ms(self) -> int:
        """The newest event time in any log; `NO_CLOCK` while nothing was read."""
        return max(self.clocks.values())

    def _items_of(self, columns: Columns) -> Int32Array:
        index = self.timeline.items.index
        named = columns.code != Kind.HEARTBEAT
        for row, event in columns.updates.items():  # a tombstone is of no one item, and makes none
            named[row] = not isinstance(event, Tombstone)
        if named.all():
            return index(columns.names)
        items = np.zeros(len(columns), np.int32)
        items[named] = index(columns.names.take(named))
        return items

    def _fold_piece(
        self, topic: str, columns: Columns, items: Int32Array, piece: slice
    ) -> Admitted:
        occurred_ms = columns.occurred_ms[piece]
        code = columns.code[piece]
        seen = self.memories[f"seen-{topic}"]
        seen.reserve(occurred_ms.size)
        self.first_ms.setdefault(topic, int(occurred_ms[0]))
        admitted = admit_rows(
            code=code,
            occurred_ms=occurred_ms,
            event_key=columns.event_key[piece],
            order_key=columns.order_key[piece],
            item_hash=columns.names.item_hash[piece],
            quantity=columns.quantity[piece],
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
        entries, updates = waiting_entries(columns, items, piece, admitted, is_new_order)
        self.timeline.pending.add(topic, entries, updates)
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
        start_ms = min(self.first_ms.values()) - self.settings.allowed_lateness_ms
        done = self.timeline.advance(watermark_ms, start_ms, limit)
        self.counts.update(self.timeline.state.take_written_off())
        for effect in self.timeline.state.take_effects():
            if isinstance(effect, OrderResponse):
                self.outbox.judge(*effect)
            else:
                self.outbox.put(effect)
        return done

    def changed_cells(self) -> int:
        """Cells of the rings that the next commit carries."""
        return sum(int(ring.arrays.counters[1]) + ring.left_cells for ring in self.rings.values())

    def counted(self) -> Counter[str]:
        """Return the totals since the logs began: `topic:outcome`, `NEW_ORDERS` and their kind.

        They travel with the partition; `Observer.counted` is given what one process added.
        """
        return Counter({**self.counts, REVIEWS: self.timeline.state.reviews})

    def dedupe_horizon_s(self) -> dict[str, int]:
        """Seconds of event time that the memory of each topic reaches back; 0: nothing yet."""
        horizons = {}
        for topic, clock in self.clocks.items():
            oldest = self.memories[f"seen-{topic}"].oldest_value
            horizons[topic] = max(0, clock // 1000 - remembered_s(oldest)) if oldest >= 0 else 0
        return horizons


def group_settings(settings: TimelineSettings) -> GroupSettings:
    """The second stage's part of the settings."""
    return GroupSettings(
        tick_ms=settings.tick_ms,
        grid_ms=settings.grid_ms,
        surge=settings.surge,
        profile=settings.profile,
        order_feed=settings.alerts.order_feed,
        incidents=settings.alerts.group_incidents,
    )
