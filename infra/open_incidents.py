"""Which incidents are open in a shard, read from its state, and which of them somebody took on."""

from collections import Counter
from collections.abc import Iterable

from infra.audit import Acknowledged
from streams.outputs import AlertKind, incident_id
from streams.shard import Shard
from streams.types import Table

_FIELDS = {
    AlertKind.SURGE: "surge_since_ms",
    AlertKind.BULK_ORDER: "bulk_since_ms",
    AlertKind.PLAN_SHORTFALL: "plan_shortfall_since_ms",
    AlertKind.LOW_COVER: "low_cover_since_ms",
    AlertKind.STALE_STOCK: "stale_stock_since_ms",
    AlertKind.PHANTOM_STOCK: "silent_since_ms",
}
"""Where an item's row says since when an incident of a kind is open."""

OF_ITEMS = frozenset(_FIELDS)
OF_ORDERS = frozenset({AlertKind.LATE_DELIVERY})
OF_GROUPS = frozenset({AlertKind.BROAD_SURGE, AlertKind.PLAN_SHORTFALL})
OF_INPUTS = frozenset({AlertKind.STALE_INPUT, AlertKind.DEAD_LETTERS})


def open_incidents(shard: Shard) -> Counter[AlertKind]:
    """Return how many incidents of each kind are open in a shard."""
    rows, timeline = rows_of(shard), shard.timeline
    counts = Counter({kind: int((rows[name] > 0).sum()) for kind, name in _FIELDS.items()})
    counts[AlertKind.LATE_DELIVERY] = sum(bool(order.late_since_ms) for order in timeline.supply)
    counts.update(timeline.alerts.open_of_shard())
    return counts


def open_ones(shard: Shard, acknowledged: Iterable[Acknowledged]) -> list[Acknowledged]:
    """Return those that people have taken on, as far as they are open in a shard."""
    return [one for one in acknowledged if _is_open(shard, one)]


def _is_open(shard: Shard, one: Acknowledged) -> bool:
    """Whether it is this very incident: a later one of the same subject has another id."""
    began_ms = _began_ms(shard, one.alert, one.subject)
    return began_ms > 0 and incident_id(one.alert, one.subject, began_ms) == one.incident_id


def _began_ms(shard: Shard, alert: str, subject: str) -> int:
    """Return since when an incident is open; 0: none is, or its kind is not known here."""
    if alert in OF_ITEMS and (began_ms := _began_of_item(shard, AlertKind(alert), subject)):
        return began_ms
    if alert in OF_ORDERS:
        order = shard.timeline.supply.get(subject)
        return 0 if order is None else order.late_since_ms
    state = shard.timeline.alerts.state()
    groups = {AlertKind.BROAD_SURGE: state.broad, AlertKind.PLAN_SHORTFALL: state.short}
    if alert in OF_GROUPS:
        group = groups[AlertKind(alert)].get(subject)
        return 0 if group is None else group.window_ms
    own = {
        f"orders/{shard.partition}": (AlertKind.STALE_INPUT, state.silent_since_ms),
        f"inputs/{shard.partition}": (AlertKind.DEAD_LETTERS, state.dead_letters_since_ms),
    }
    kind, began_ms = own.get(subject, (None, 0))
    return began_ms if alert == kind else 0


def _began_of_item(shard: Shard, alert: AlertKind, subject: str) -> int:
    items = shard.timeline.items
    sku, _, warehouse = subject.rpartition("@")
    item = items.find(sku, warehouse)
    return 0 if item is None else int(items.rows[_FIELDS[alert]][item])


def rows_of(shard: Shard) -> Table:
    """Return the rows of a shard's items, `streams.items.ROW`, shape (item,)."""
    items = shard.timeline.items
    return items.rows[: len(items)]
