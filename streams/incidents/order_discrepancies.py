"""Words about purchase orders that fit no open order, or fit one only in part: none is dropped."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from streams.contracts.alerts import AlertKind, AlertState, Figures
from streams.contracts.outgoing import OutboxRecord
from streams.incidents.actions import Case
from streams.incidents.kinds import INCIDENT_KINDS
from streams.incidents.records import alert
from streams.timestamps import DAY_MS


class Discrepancy(StrEnum):
    """What does not fit."""

    UNKNOWN_ORDER = "unknown_order"  # never seen, or closed, rejected or cancelled before
    OTHER_ITEM = "other_item"  # the order is for another sku or warehouse
    OTHER_SUPPLIER = "other_supplier"
    OVER_DELIVERY = "over_delivery"


class OpenDiscrepancy(msgspec.Struct, kw_only=True):
    """What was said of an order, and what does not fit; shown for a day."""

    sku: str
    warehouse: str
    discrepancy: Discrepancy
    said: str  # the kind of the event
    supplier: str | None
    units: int  # that the event names
    outstanding_units: int  # of the order before it; 0: there is none
    since_ms: int = 0  # boundary at which it was raised; 0: not yet


class OrderDiscrepancies:
    """The open discrepancies of a shard, one an order: the first is shown, and ends after a day."""

    def __init__(self) -> None:
        self.open: dict[str, OpenDiscrepancy] = {}  # by po_id

    def note(self, po_id: str, found: OpenDiscrepancy) -> None:
        """Take in what does not fit, unless one of the same order is open."""
        self.open.setdefault(po_id, found)

    def next_ms(self) -> int | None:
        """Return the time after which the next one ends; None means none is open."""
        ends_ms = [one.since_ms + DAY_MS - 1 for one in self.open.values()]
        return min(ends_ms, default=None)

    def close_tick(self, boundary: int) -> Iterable[OutboxRecord]:
        """Raise what was noted since the last boundary, and resolve what is a day old."""
        for po_id, one in list(self.open.items()):
            if not one.since_ms:
                one.since_ms = boundary
                yield _step(AlertState.RAISED, po_id, one, boundary)
            elif boundary >= one.since_ms + DAY_MS:
                del self.open[po_id]
                yield _step(AlertState.RESOLVED, po_id, one, boundary)


def _step(state: AlertState, po_id: str, one: OpenDiscrepancy, boundary: int) -> OutboxRecord:
    kind = AlertKind.ORDER_DISCREPANCY
    figures: Figures = {
        "discrepancy": str(one.discrepancy),
        "said": one.said,
        "supplier": one.supplier,
        "units": one.units,
        "outstanding_units": one.outstanding_units,
    }
    return alert(
        kind,
        state,
        po_id,
        (one.sku, one.warehouse),
        one.since_ms,
        boundary,
        figures,
        action=INCIDENT_KINDS[kind].action(Case(figures, boundary)),
    )
