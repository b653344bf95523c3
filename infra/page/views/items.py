"""The list of items, the one that runs out first on top."""

from collections.abc import Sequence

import numpy as np

from infra.page.contracts import Basis, Item, ItemIncident, Items, ItemsQuery, Promise
from infra.page.snapshot import ItemsTable, Snapshot
from infra.page.views.now import decided_to_ms
from infra.page.views.sales_rate import lasting_of, speeds
from streams.contracts.alerts import AlertKind
from streams.detection.stock_cover import available_units, net_stock_units, whole_minutes
from streams.incidents.kinds import INCIDENT_KINDS, ITEM_FIELDS
from streams.types import BoolArray, Float64Array, Int64Array


class ItemsView:
    """What is computed once for all items of a snapshot.

    Args:
        snapshot: what was read.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._table = snapshot.items
        self._decided_ms = decided_to_ms(snapshot) or 0
        self._units_per_hour, self._by_last_hour = speeds(snapshot)
        self._lasting = lasting_of(snapshot)

    def page(self, query: ItemsQuery) -> Items:
        """Return the part that is asked for."""
        chosen = np.flatnonzero(self._chosen(query))
        stop = query.offset + query.limit
        order = chosen[first_of(self._sort_keys(query.sort, chosen), stop)]
        shown = order[query.offset : stop].tolist()
        return Items(
            total=chosen.size, offset=query.offset, items=[self.item(place) for place in shown]
        )

    def _chosen(self, query: ItemsQuery) -> BoolArray:
        rows = self._table.rows
        chosen = np.ones(rows.size, np.bool_)
        if query.only == "incidents":
            chosen &= np.any([rows[field] > 0 for field in ITEM_FIELDS.values()], axis=0)
        elif query.only == "out":
            chosen &= self._lasting.earliest <= 0
        elif query.only == "soon":
            earliest = self._lasting.earliest
            chosen &= (earliest > 0) & np.isfinite(earliest)
        if query.query:
            words = query.query.casefold().split()
            found = (all(word in text for word in words) for text in self._table.folded)
            chosen &= np.fromiter(found, np.bool_, rows.size)
        return chosen

    def _sort_keys(self, sort: str, chosen: Int64Array) -> tuple[Float64Array | Int64Array, ...]:
        """The last key sorts first; equal ones stand as by name."""
        rows = self._table.rows[chosen]
        by_name = self._table.by_name[chosen]
        if sort == "sku":
            return (by_name,)
        first = {
            "minutes_to_zero": self._lasting.earliest[chosen],
            "speed": -self._units_per_hour[chosen],
            "stock": np.where(rows["counted_at_ms"] > 0, net_stock_units(rows), 0),
            "backlog": -rows["backlog_units"],
        }[sort]
        # Among those that are out, or of which nothing is known, the fastest first.
        return (by_name, -self._units_per_hour[chosen], first)

    def item(self, place: int) -> Item:
        """Return one row."""
        row = self._table.rows[place]
        sku, warehouse = self._table.names[place]
        speed = float(self._units_per_hour[place])
        is_counted = bool(row["counted_at_ms"])
        available = int(available_units(row))
        arrival = int(row["next_due_ms"]) or None
        promise, promise_ms = promised(is_counted, available, arrival, self._decided_ms)
        return Item(
            sku=sku,
            warehouse=warehouse,
            minutes_to_zero=whole_minutes(self._lasting.to_zero[place]),
            minutes_at_speed=whole_minutes(self._lasting.at_speed[place]),
            speed_units_per_hour=round(speed, 3) if speed or row["observed_days"] else None,
            speed_basis=self._basis(place),
            sold_last_hour_units=round(float(self._table.last_hour_units[place]), 1),
            available_units=available if is_counted else None,
            backlog_units=int(row["backlog_units"]),
            on_order_units=int(row["on_order_lean_units"] + row["on_order_flexible_units"]),
            next_arrival_ms=arrival,
            promise=promise,
            promise_ms=promise_ms,
            incidents=[_tag(kind) for kind, field in ITEM_FIELDS.items() if row[field] > 0],
        )

    def _basis(self, place: int) -> Basis:
        if self._by_last_hour[place]:
            return Basis.LAST_HOUR
        return Basis.BASELINE if self._table.rows["observed_days"][place] else Basis.UNKNOWN


def first_of(keys: Sequence[Float64Array | Int64Array], count: int) -> Int64Array:
    """Return the places of the first so many, in order; the last key sorts first.

    Only those that can be among them are sorted.

    >>> first_of([np.array([3, 2, 1, 0]), np.array([5.0, 1.0, 1.0, 0.0])], 3)
    array([3, 2, 1])
    """
    first = keys[-1]
    candidates: Int64Array = np.arange(first.size)
    if count < first.size:
        candidates = np.flatnonzero(first <= np.partition(first, count)[count])
    order = np.lexsort([key[candidates] for key in keys])
    found: Int64Array = candidates[order][:count]
    return found


def promised(
    is_counted: bool, available: int, arrival_ms: int | None, decided_ms: int
) -> tuple[Promise, int | None]:
    """Return what can be said to a customer who buys now, and a date where there is one.

    Arrivals are known up to `decided_ms`: what should have come before is late.

    >>> promised(True, 0, 5_000, 1_000)
    (<Promise.NEXT_ARRIVAL: 'next_arrival'>, 5000)
    >>> promised(True, 0, 500, 1_000)  # it should have come: nobody knows when it will
    (<Promise.NO_DATE: 'no_date'>, None)
    """
    if not is_counted:
        return Promise.UNKNOWN, None
    if available > 0:
        return Promise.FROM_STOCK, None
    if arrival_ms is not None and arrival_ms > decided_ms:
        return Promise.NEXT_ARRIVAL, arrival_ms
    return Promise.NO_DATE, None


def place_of(table: ItemsTable, sku: str, warehouse: str) -> int | None:
    """Return the place of an item; with an empty warehouse that of the first one."""
    found = [
        place
        for place, name in enumerate(table.names)
        if name[0] == sku and warehouse in ("", name[1])
    ]
    return min(found, key=lambda place: table.names[place][1], default=None)


def _tag(kind: AlertKind) -> ItemIncident:
    row = INCIDENT_KINDS[kind]
    return ItemIncident(kind=str(kind), label=row.label, severity=row.severity)
