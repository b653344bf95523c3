"""Whether orders leave in time."""

import numpy as np

from infra.page.contracts import PageQuery, Shipping, Waiting
from infra.page.snapshot import Snapshot
from streams.timestamps import MINUTE_MS

_RATE_MINUTES = 60


def shipping(snapshot: Snapshot, query: PageQuery) -> Shipping:
    """Return the backlog, its speed, and the items that customers wait for, the longest first."""
    table = snapshot.items
    backlog = table.rows["backlog_units"]
    waiting = np.flatnonzero(backlog > 0)
    oldest = table.oldest_open_ms[waiting]
    order = waiting[np.lexsort((-backlog[waiting], np.where(oldest > 0, oldest, np.inf)))]
    first = int(order[0]) if order.size and table.oldest_open_ms[order[0]] else None
    ordered, dispatched = _rates(snapshot)
    shown = order[query.offset : query.offset + query.limit].tolist()
    return Shipping(
        has_dispatches=any(shard.counts.get("shipments:folded") for shard in snapshot.shards),
        backlog_units=int(backlog.sum()),
        backlog_items=waiting.size,
        oldest_unshipped_ms=None if first is None else int(table.oldest_open_ms[first]),
        oldest_unshipped_sku=None if first is None else table.names[first][0],
        ordered_units_per_hour=ordered,
        dispatched_units_per_hour=dispatched,
        clear_minutes=clear_minutes(int(backlog[waiting].sum()), ordered, dispatched),
        total=waiting.size,
        offset=query.offset,
        items=[_waiting(snapshot, place) for place in shown],
    )


def _rates(snapshot: Snapshot) -> tuple[float | None, float | None]:
    """Units an hour, net of cancellations and gross of returns, in the last sixty minutes."""
    if snapshot.shop_ms is None:
        return None, None
    minute = snapshot.shop_ms // MINUTE_MS
    cells = snapshot.totals.between(minute - _RATE_MINUTES, minute)
    ordered = float(cells["units"].sum() - cells["cancelled_units"].sum())
    return max(0.0, ordered), float(cells["dispatched_units"].sum())


def clear_minutes(
    backlog_units: int, ordered_per_hour: float | None, dispatched_per_hour: float | None
) -> float | None:
    """Return when the backlog is gone if both speeds stay; None means it does not shrink.

    >>> clear_minutes(50, 100.0, 150.0)
    60.0
    >>> clear_minutes(50, 150.0, 100.0)
    """
    if backlog_units <= 0:
        return 0.0
    if ordered_per_hour is None or dispatched_per_hour is None:
        return None
    shrinks_by = dispatched_per_hour - ordered_per_hour
    return round(60.0 * backlog_units / shrinks_by, 1) if shrinks_by > 0 else None


def _waiting(snapshot: Snapshot, place: int) -> Waiting:
    table = snapshot.items
    row = table.rows[place]
    sku, warehouse = table.names[place]
    return Waiting(
        sku=sku,
        warehouse=warehouse,
        backlog_units=int(row["backlog_units"]),
        oldest_ms=int(table.oldest_open_ms[place]) or None,
        on_hand_units=int(row["on_hand_units"]) if row["counted_at_ms"] else None,
        next_arrival_ms=int(row["next_due_ms"]) or None,
    )
