"""The shop at a glance: which clock it follows, what silence means, and how fast it sells."""

import zlib

import numpy as np

from infra.page.contracts import Clock, NextOut, Now, OrderFeed, Partition, Rate
from infra.page.snapshot import ShardView, Snapshot
from infra.page.views.sales_rate import lasting_of, plan_units_per_minute
from infra.wording.records import LATE
from streams.contracts.alerts import AlertKind
from streams.shard.folding import DEAD_LETTERED
from streams.state.minute_totals import MINUTES_A_DAY
from streams.timestamps import MINUTE_MS
from streams.types import Float64Array, Table

NO_DATA_AFTER_MS = 60_000  # heartbeats come every second: a log this old is not being read
QUIET_MINUTES = 5  # whole minutes without a sale
RATE_MINUTES = 5
_DAY_MINUTES = 1440.0


def now(snapshot: Snapshot) -> Now:
    """Return the shop at a glance."""
    clock = clock_of(snapshot)
    lag_ms = lag(snapshot) if clock == Clock.LIVE else None
    rows = snapshot.items.rows
    lasting = lasting_of(snapshot).earliest
    waiting = snapshot.items.oldest_open_ms[snapshot.items.oldest_open_ms > 0]
    decided = decided_to_ms(snapshot)
    return Now(
        clock=clock,
        shop_ms=snapshot.shop_ms,
        read_ms=snapshot.read_ms,
        changed_ms=snapshot.changed_ms,
        decided_to_ms=decided,
        watermark_delay_seconds=_delay_seconds(snapshot, clock, decided),
        lag_seconds=None if lag_ms is None else lag_ms / 1000,
        feed=feed_of(snapshot, clock, lag_ms),
        last_sale_ms=snapshot.totals.newest_sale_ms,
        lines=_rate(snapshot, "lines"),
        units=_rate(snapshot, "units"),
        items=rows.size,
        items_out=int((lasting <= 0).sum()),
        items_out_within_day=int(((lasting > 0) & (lasting <= _DAY_MINUTES)).sum()),
        next_out=_next_out(snapshot, lasting),
        backlog_units=int(rows["backlog_units"].sum()),
        oldest_unshipped_ms=int(waiting.min()) if waiting.size else None,
        incidents=snapshot.incidents_open,
        unacknowledged=snapshot.incidents_open - len(snapshot.acknowledged),
        dead_letters=_records(snapshot, DEAD_LETTERED),
        late_records=_records(snapshot, LATE),
        partitions=[_partition(shard) for shard in snapshot.shards],
        versions=_versions(snapshot),
    )


def _next_out(snapshot: Snapshot, lasting: Float64Array) -> NextOut | None:
    left = np.where(lasting > 0, lasting, np.inf)
    if not left.size or not np.isfinite(left.min()):
        return None
    place = int(left.argmin())
    sku, warehouse = snapshot.items.names[place]
    return NextOut(sku=sku, warehouse=warehouse, minutes=round(float(left[place]), 1))


def clock_of(snapshot: Snapshot) -> Clock:
    """Return which clock the shop follows."""
    if snapshot.shop_ms is None:
        return Clock.EMPTY
    return Clock.LIVE if snapshot.is_live else Clock.REPLAY


def lag(snapshot: Snapshot) -> int:
    """Return milliseconds between now and the newest record of the slowest log."""
    slowest = min(min(shard.clocks.values(), default=0) for shard in snapshot.shards)
    return max(0, snapshot.read_ms - slowest)


def decided_to_ms(snapshot: Snapshot) -> int | None:
    """Return the event time that every partition has decided."""
    applied = [shard.applied_ms for shard in snapshot.shards]
    known = [ms for ms in applied if ms is not None]
    return min(known) if known and len(known) == len(applied) else None


def _delay_seconds(snapshot: Snapshot, clock: Clock, decided: int | None) -> float | None:
    if decided is None or snapshot.shop_ms is None:
        return None
    until = snapshot.read_ms if clock == Clock.LIVE else snapshot.shop_ms
    return max(0.0, (until - decided) / 1000)


def feed_of(snapshot: Snapshot, clock: Clock, lag_ms: int | None) -> OrderFeed:
    """Return what silence means: nobody buys, or nothing is known."""
    if not any("orders" in shard.clocks for shard in snapshot.shards):
        return OrderFeed.NEVER
    if lag_ms is not None and lag_ms > NO_DATA_AFTER_MS:
        return OrderFeed.NO_DATA
    if any(one.kind == AlertKind.STALE_INPUT for one in snapshot.incidents):
        return OrderFeed.SILENT
    minute = (snapshot.shop_ms or 0) // MINUTE_MS
    sold = snapshot.totals.between(minute - QUIET_MINUTES, minute + 1)["lines"].sum()
    return OrderFeed.SELLING if sold else OrderFeed.NO_SALES


def _rate(snapshot: Snapshot, column: str) -> Rate:
    if snapshot.shop_ms is None:
        return Rate(now=None, this_minute=None, plan=None, week_ago=None)
    minute = snapshot.shop_ms // MINUTE_MS
    plan = None
    if column == "units":
        middle_ms = minute * MINUTE_MS - RATE_MINUTES * MINUTE_MS // 2
        plan = plan_units_per_minute(snapshot, np.array([middle_ms]))
    week = minute - 7 * MINUTES_A_DAY
    return Rate(
        now=_mean(snapshot.totals.between(minute - RATE_MINUTES, minute), column),
        this_minute=int(snapshot.totals.between(minute, minute + 1)[column][0]),
        plan=None if plan is None else round(float(plan[0]), 3),
        week_ago=_mean(snapshot.totals.between(week - RATE_MINUTES, week), column)
        if is_seen(snapshot, week - RATE_MINUTES)
        else None,
    )


def _mean(cells: Table, column: str) -> float:
    return float(cells[column].mean())


def is_seen(snapshot: Snapshot, minute: int) -> bool:
    """Whether orders of that minute would be known: some came before it."""
    oldest = snapshot.totals.oldest_sale_minute
    return oldest is not None and oldest <= minute


def _records(snapshot: Snapshot, outcome: str) -> int:
    return sum(records_by_topic(snapshot, outcome).values())


def records_by_topic(snapshot: Snapshot, wanted: str) -> dict[str, int]:
    """Return how many records of each topic had an outcome, since the beginning."""
    counts: dict[str, int] = {}
    for shard in snapshot.shards:
        for name, count in shard.counts.items():
            topic, _, outcome = name.rpartition(":")
            if outcome == wanted and count:
                counts[topic] = counts.get(topic, 0) + count
    return dict(sorted(counts.items()))


def _partition(shard: ShardView) -> Partition:
    return Partition(
        partition=shard.partition,
        newest_ms=shard.newest_ms,
        decided_to_ms=shard.applied_ms,
        waiting_records=shard.waiting_records,
        history_from=shard.history_from,
    )


def _versions(snapshot: Snapshot) -> dict[str, str]:
    """Return a word for each part that changes when the part does."""
    newest = snapshot.decisions[0].record.tobytes() if snapshot.decisions else b""
    incidents = sorted(one.incident_id + str(one.version) for one in snapshot.incidents)
    who = sorted((name, one.who, one.note) for name, one in snapshot.acknowledged.items())
    letter = snapshot.dead_letters[0].number if snapshot.dead_letters else 0
    items = str(snapshot.items.read_number)
    return {
        "items": items,
        "shipping": items,
        "sales": str((snapshot.shop_ms or 0) // 5_000),
        "decisions": f"{len(snapshot.decisions)}-{zlib.crc32(newest):08x}",
        "incidents": f"{zlib.crc32(repr((incidents, who)).encode()):08x}",
        "dead_letters": f"{_records(snapshot, DEAD_LETTERED)}-{_records(snapshot, LATE)}-{letter}",
    }
