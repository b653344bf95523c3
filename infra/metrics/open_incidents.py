"""Which incidents are open in a shard, read from its state, and which are acknowledged."""

from collections import Counter
from collections.abc import Callable, Iterable

from infra.control.entries import Acknowledged
from streams.contracts.alerts import AlertKind
from streams.contracts.ids import incident_id
from streams.groups.stage import ORDERS
from streams.incidents.kinds import INCIDENT_KINDS, ITEM_FIELDS, SubjectClass
from streams.shard.shard import Shard
from streams.types import Table


def open_incidents(shard: Shard) -> Counter[AlertKind]:
    """Return how many incidents of each kind are open in a shard."""
    return Counter(
        {
            kind: sum(_count(shard, kind, subject) for subject in row.subjects)
            for kind, row in INCIDENT_KINDS.items()
        }
    )


def _count(shard: Shard, kind: AlertKind, subject: SubjectClass) -> int:
    timeline = shard.timeline
    match subject:
        case SubjectClass.ITEM:
            return int((rows_of(shard)[ITEM_FIELDS[kind]] > 0).sum())
        case SubjectClass.ORDER:
            if kind == AlertKind.ORDER_DISCREPANCY:
                return len(timeline.alerts.discrepancies.open)
            return sum(bool(order.late_since_ms) for order in timeline.supply)
        case SubjectClass.GROUP | SubjectClass.INPUT:
            groups = {} if shard.groups is None else shard.groups.open_incidents()
            return groups.get(kind, 0) or timeline.alerts.open_of_shard().get(kind, 0)


def open_ones(shard: Shard, acknowledged: Iterable[Acknowledged]) -> list[Acknowledged]:
    """Return the acknowledgements of incidents that are open in a shard."""
    return [one for one in acknowledged if _is_open(shard, one)]


def _is_open(shard: Shard, one: Acknowledged) -> bool:
    """Whether it is this very incident: a later one of the same subject has another id."""
    began_ms = _began_ms(shard, one.alert, one.subject)
    return began_ms > 0 and incident_id(one.alert, one.subject, began_ms) == one.incident_id


def _began_ms(shard: Shard, alert: str, subject: str) -> int:
    """Return since when an incident is open; 0 if none is open or its kind is unknown here."""
    if alert not in INCIDENT_KINDS:
        return 0  # an acknowledgement written by a newer version
    kind = AlertKind(alert)
    began = (_BEGAN_MS[of](shard, kind, subject) for of in INCIDENT_KINDS[kind].subjects)
    return max(began)


def _item_began_ms(shard: Shard, kind: AlertKind, subject: str) -> int:
    items = shard.timeline.items
    sku, _, warehouse = subject.rpartition("@")
    item = items.find(sku, warehouse)
    return 0 if item is None else int(items.rows[ITEM_FIELDS[kind]][item])


def _order_began_ms(shard: Shard, kind: AlertKind, subject: str) -> int:
    if kind == AlertKind.ORDER_DISCREPANCY:
        found = shard.timeline.alerts.discrepancies.open.get(subject)
        return 0 if found is None else found.since_ms
    order = shard.timeline.supply.get(subject)
    return 0 if order is None else order.late_since_ms


def _group_began_ms(shard: Shard, kind: AlertKind, subject: str) -> int:
    if shard.groups is None:
        return 0
    incidents = shard.groups.incidents
    groups = {
        AlertKind.BROAD_SURGE: incidents.surges.open,
        AlertKind.PLAN_SHORTFALL: incidents.shortfalls.open,
    }
    group = groups[kind].get(subject)
    return 0 if group is None else group.window_ms


def _input_began_ms(shard: Shard, kind: AlertKind, subject: str) -> int:
    if kind == AlertKind.STALE_INPUT:
        is_it = shard.groups is not None and subject == ORDERS
        return shard.groups.silent_since_ms if is_it and shard.groups is not None else 0
    state = shard.timeline.alerts.state()
    name, began_ms = {
        AlertKind.DEAD_LETTERS: ("inputs", state.dead_letters_since_ms),
        AlertKind.LOG_CHANGED: ("inputs", state.log_changed_since_ms),
        AlertKind.RECORDS_LOST: ("inputs", state.lost_since_ms),
        AlertKind.ORDER_IMPORT: ("orders", state.order_feed.import_since_ms),
    }[kind]
    return began_ms if subject == f"{name}/{shard.partition}" else 0


_BEGAN_MS: dict[SubjectClass, Callable[[Shard, AlertKind, str], int]] = {
    SubjectClass.ITEM: _item_began_ms,
    SubjectClass.ORDER: _order_began_ms,
    SubjectClass.GROUP: _group_began_ms,
    SubjectClass.INPUT: _input_began_ms,
}


def rows_of(shard: Shard) -> Table:
    """Return the rows of a shard's items, `streams.state.items.ROW`, shape (item,)."""
    items = shard.timeline.items
    return items.rows[: len(items)]
