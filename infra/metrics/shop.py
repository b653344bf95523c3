"""Prometheus metrics of the shop: demand, backlog, supply and incidents, summed over items.

They are read from the shards at each scrape. Only the items that run out first have series of their
own, at most `ITEMS_SHOWN` of them, so that the cost does not depend on the size of the shop.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from infra.control.entries import Acknowledged
from infra.metrics.open_incidents import open_incidents, open_ones, rows_of
from streams.contracts.alerts import AlertKind
from streams.contracts.purchase_orders import SupplierRole
from streams.detection.stock_cover import available_units
from streams.shard.shard import Shard
from streams.timestamps import DAY_MS, MINUTE_MS, parse_times
from streams.types import Float64Array, Table

ITEMS_SHOWN = 20
_ACKNOWLEDGED = {"no": False, "yes": True}  # label -> whether it is acknowledged

Acknowledgements = Sequence[Acknowledged]


class HasShards(Protocol):
    """What is read of a worker."""

    @property
    def shards(self) -> Sequence[Shard]:
        """The shards that it owns."""


class ShopCollector(Collector):
    """Reads the shards of a worker on each scrape.

    Args:
        worker: whose shards.
        acknowledged: acknowledgements by people, by incident.
    """

    def __init__(
        self, worker: HasShards, acknowledged: Callable[[], Mapping[str, Acknowledged]] = dict
    ) -> None:
        self._worker = worker
        self._acknowledged = acknowledged

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked of the worker when this is registered."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Return all families."""
        shards = self._worker.shards
        acknowledged = list(self._acknowledged().values())
        yield from _demand(shards)
        yield _campaigns(shards)
        yield from _backlog(shards)
        yield from _supply(shards, acknowledged)
        yield _incidents(shards, acknowledged)
        yield _short_sales(shards, acknowledged)
        yield _first_to_run_out(shards)


def _demand(shards: Sequence[Shard]) -> Iterable[Metric]:
    yield _gauge(
        "tidegate_expected_orders_per_day",
        "Baseline rate of distinct orders of an item, over all items.",
        sum(float(rows_of(shard)["order_level_per_day"].sum()) for shard in shards),
    )
    newest = max((shard.rings["minute"].newest for shard in shards), default=-1)
    yield _gauge(
        "tidegate_newest_order_timestamp_seconds",
        "Event time of the newest order, to the minute; absent before the first.",
        newest * MINUTE_MS / 1000 if newest >= 0 else None,
    )


def _campaigns(shards: Sequence[Shard]) -> Metric:
    lines = [
        (line, shard.timeline.applied_ms or 0)
        for shard in shards
        for lines in shard.timeline.campaigns.values()
        for line in lines.values()
    ]
    now_ms = np.array([applied_ms for _, applied_ms in lines], np.int64)
    starts_ms = parse_times([line.starts_at for line, _ in lines])
    ends_ms = parse_times([line.ends_at for line, _ in lines])
    return _gauge(
        "tidegate_campaign_items",
        "Items with a running campaign, in event time.",
        int(((starts_ms <= now_ms) & (now_ms < ends_ms)).sum()),
    )


def _backlog(shards: Sequence[Shard]) -> Iterable[Metric]:
    yield _gauge(
        "tidegate_backlog_units",
        "Units ordered by customers and not yet dispatched.",
        sum(int(rows_of(shard)["backlog_units"].sum()) for shard in shards),
    )
    oldest = [moment for shard in shards if (moment := _oldest_open_order_ms(shard))]
    yield _gauge(
        "tidegate_oldest_open_order_timestamp_seconds",
        "Event time of the oldest order that is not dispatched; absent where none is open.",
        min(oldest) / 1000 if oldest else None,
    )


def _oldest_open_order_ms(shard: Shard) -> int:
    moments = rows_of(shard)["waiting_since_ms"][:, 0]
    known = moments[moments > 0]
    return int(known.min()) if known.size else 0


def _supply(shards: Sequence[Shard], acknowledged: Acknowledgements) -> Iterable[Metric]:
    units = GaugeMetricFamily(
        "tidegate_on_order_units", "Units still to come from suppliers.", labels=["supplier_role"]
    )
    late = GaugeMetricFamily(
        "tidegate_late_purchase_orders",
        "Open purchase orders past their due date, and whether that is acknowledged.",
        labels=["supplier_role", "acknowledged"],
    )
    orders = [order for shard in shards for order in shard.timeline.supply if order.late_since_ms]
    taken = {one.subject for shard in shards for one in open_ones(shard, acknowledged)}
    counts = Counter((order.role, order.po_id in taken) for order in orders)
    for role in SupplierRole:
        outstanding = (int(rows_of(shard)[f"on_order_{role}_units"].sum()) for shard in shards)
        units.add_metric([role], sum(outstanding))
        for answer, is_taken in _ACKNOWLEDGED.items():
            late.add_metric([role, answer], counts[role, is_taken])
    yield units
    yield late


def _incidents(shards: Sequence[Shard], acknowledged: Acknowledgements) -> Metric:
    family = GaugeMetricFamily(
        "tidegate_incidents_open",
        "Incidents raised and not resolved, and whether they are acknowledged.",
        labels=["kind", "acknowledged"],
    )
    opened: Counter[AlertKind] = Counter()
    taken: Counter[str] = Counter()
    for shard in shards:
        opened.update(open_incidents(shard))
        taken.update(one.alert for one in open_ones(shard, acknowledged))
    for kind in AlertKind:
        family.add_metric([kind, "no"], opened[kind] - taken[kind])
        family.add_metric([kind, "yes"], taken[kind])
    return family


def _short_sales(shards: Sequence[Shard], acknowledged: Acknowledgements) -> Metric:
    family = GaugeMetricFamily(
        "tidegate_short_sales_per_day",
        "Baseline demand of a day, at lean unit cost, of items with an open low cover.",
        labels=["currency", "acknowledged"],
    )
    amounts: Counter[tuple[str, bool]] = Counter()
    for shard in shards:
        taken = {
            one.subject
            for one in open_ones(shard, acknowledged)
            if one.alert == AlertKind.LOW_COVER
        }
        rows, timeline = rows_of(shard), shard.timeline
        for item in np.flatnonzero(rows["low_cover_since_ms"] > 0).tolist():
            line = timeline.catalog.get(item)
            if line is not None:
                place = (line.currency or "", timeline.items.key(item) in taken)
                level = max(0.0, float(rows["demand_level_units_per_day"][item]))
                amounts[place] += level * line.unit_cost_lean  # type: ignore[assignment]
    for currency in sorted({currency for currency, _ in amounts} | {""}):
        for answer, is_taken in _ACKNOWLEDGED.items():
            family.add_metric([currency, answer], float(amounts[currency, is_taken]))
    return family


def _first_to_run_out(shards: Sequence[Shard]) -> Metric:
    family = GaugeMetricFamily(
        "tidegate_item_cover_seconds",
        f"Time until an item's stock is gone at its baseline rate; the {ITEMS_SHOWN} shortest.",
        labels=["sku", "warehouse"],
    )
    shortest = []
    for shard in shards:
        cover_days = cover_days_of(rows_of(shard))
        places = np.argsort(cover_days, kind="stable")[:ITEMS_SHOWN]
        known = places[np.isfinite(cover_days[places])].tolist()
        shortest += [
            (float(cover_days[place]), *shard.timeline.items.names[place]) for place in known
        ]
    for cover, sku, warehouse in sorted(shortest)[:ITEMS_SHOWN]:
        family.add_metric([sku, warehouse], cover * DAY_MS / 1000)
    return family


def cover_days_of(rows: Table) -> Float64Array:
    """Return how many average days the stock of each item lasts at its baseline rate.

    Cover compares items. When a stock is sold follows from the hours of the week and from surges:
    `streams.detection.stock_cover.minutes_to_zero`.

    Args:
        rows: `streams.state.items.ROW` records, shape (item,).

    Returns:
        Days, shape (item,); infinite where stock or demand is not known.
    """
    level = rows["demand_level_units_per_day"]
    known = (rows["counted_at_ms"] > 0) & (level > 0)
    cover: Float64Array = np.full(rows.size, np.inf)
    np.divide(available_units(rows), level, out=cover, where=known)
    return cover


def _gauge(name: str, text: str, value: float | None) -> Metric:
    family = GaugeMetricFamily(name, text)
    if value is not None:
        family.add_metric([], float(value))
    return family
