"""Records that leave for Kafka, as the outbox keeps them."""

from enum import StrEnum

import msgspec

from streams.contracts.alerts import Alert, AlertState
from streams.contracts.purchase_orders import PurchaseOrder
from streams.contracts.topics import ALERTS, PURCHASE_ORDERS
from streams.timestamps import rfc3339


class OrderStatus(StrEnum):
    """The last word of people about one order; events of `order-responses` bring it."""

    NONE = ""
    APPROVED = "approved"
    RELEASED = "released"
    HELD = "held"
    CALLED_OFF = "called_off"
    CALLED_OFF_WHILE_HELD = "called_off_while_held"

    def apply(self, response: str) -> "OrderStatus":
        """Return the status once people have said that too.

        Args:
            response: a kind of event in `order-responses`; most say nothing about the hand-over.
        """
        if response in ("rejected", "cancelled"):
            is_held = self in (OrderStatus.HELD, OrderStatus.CALLED_OFF_WHILE_HELD)
            return OrderStatus.CALLED_OFF_WHILE_HELD if is_held else OrderStatus.CALLED_OFF
        if response in (OrderStatus.APPROVED, OrderStatus.RELEASED, OrderStatus.HELD):
            return OrderStatus(response)
        return self

    @property
    def is_called_off(self) -> bool:
        """Whether nobody wants the order any more."""
        return self in (OrderStatus.CALLED_OFF, OrderStatus.CALLED_OFF_WHILE_HELD)


class OrderSummary(msgspec.Struct, frozen=True, array_like=True):
    """What the hand-over looks at in a purchase order."""

    po_id: str
    supplier: str
    sku: str
    warehouse: str
    quantity: int
    amount: float  # quantity x unit cost
    currency: str | None
    day_units: int  # ordered of the item on the (event) day of the decision, this order included
    day_amount: float
    status: OrderStatus = OrderStatus.NONE


class IncidentStep(msgspec.Struct, frozen=True, array_like=True):
    """Which incident an alert is a step of, and whether the incident is over with it."""

    incident_id: str
    is_over: bool


Header = tuple[str, bytes | None]
"""Name and value of a header; Kafka allows a value that is null.

Kafka also allows a name that is no UTF-8: it stands here with escapes (`\\xff`).
"""


class OutboxRecord(msgspec.Struct, frozen=True, array_like=True):
    """One record for Kafka."""

    topic: str  # without prefix
    key: bytes | None
    value: bytes | None
    headers: list[Header]
    order_summary: OrderSummary | None = None  # of a purchase order: it leaves through the gate
    incident: IncidentStep | None = None  # of an alert


def order_record(
    order: PurchaseOrder, *, day_units: int = 0, day_amount: float = 0.0
) -> OutboxRecord:
    """Return the record of a purchase order.

    Args:
        order: the order.
        day_units: ordered of its item on the day of the decision, this order included.
        day_amount: the same in money.
    """
    summary = OrderSummary(
        order.po_id,
        order.supplier,
        order.sku,
        order.warehouse,
        order.quantity,
        order.quantity * order.unit_cost,
        order.currency,
        day_units,
        day_amount,
    )
    return _order_record(order, summary)


def _order_record(order: PurchaseOrder, summary: OrderSummary) -> OutboxRecord:
    headers = _cloud_event(
        f"{order.po_id}/{order.version}", "tidegate.purchase-order.proposed", order.decided_at
    )
    return OutboxRecord(
        PURCHASE_ORDERS, order.sku.encode(), msgspec.json.encode(order), headers, summary
    )


_AGREED = (OrderStatus.APPROVED, OrderStatus.RELEASED)


def with_response(
    waiting: OutboxRecord, response: str, quantity: int | None, expected_ms: int | None
) -> OutboxRecord:
    """Return the record of a waiting order once people have said that of it.

    A change of its quantity, or of its date by a person, makes its next version; the date of one
    that leaves later than decided is computed anew in the same version, which nobody has seen. An
    approval does not hold for more money than was approved.

    Args:
        waiting: the record of a purchase order.
        response: the kind of event in `order-responses`.
        quantity: units that it stands at from now on; None means unchanged.
        expected_ms: when it is due from now on, likewise.
    """
    summary = waiting.order_summary
    assert summary is not None
    status = summary.status.apply(response)
    if quantity is not None and quantity > summary.quantity and status in _AGREED:
        status = OrderStatus.NONE
    if quantity is None and expected_ms is None:
        return msgspec.structs.replace(
            waiting, order_summary=msgspec.structs.replace(summary, status=status)
        )
    order = msgspec.json.decode(waiting.value or b"", type=PurchaseOrder)
    changed = msgspec.structs.replace(
        order,
        version=order.version + (response not in _AGREED),
        quantity=order.quantity if quantity is None else quantity,
        expected_at=order.expected_at if expected_ms is None else rfc3339(expected_ms),
    )
    more = changed.quantity - order.quantity
    return _order_record(
        changed,
        msgspec.structs.replace(
            summary,
            quantity=changed.quantity,
            amount=changed.quantity * order.unit_cost,
            day_units=summary.day_units + more,
            day_amount=summary.day_amount + more * order.unit_cost,
            status=status,
        ),
    )


def alert_record(alert: Alert) -> OutboxRecord:
    """Return the record of one step of an incident."""
    headers = _cloud_event(
        f"{alert.incident_id}/{alert.version}",
        f"tidegate.alert.{alert.state}",
        alert.occurred_at,
    )
    step = IncidentStep(alert.incident_id, is_over=alert.state == AlertState.RESOLVED)
    value = msgspec.json.encode(alert)
    return OutboxRecord(ALERTS, alert.subject.encode(), value, headers, incident=step)


def _cloud_event(event_id: str, event_type: str, time: str) -> list[Header]:
    """Headers of the CloudEvents 1.0 binary mode."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id.encode()),
        ("ce_source", b"/tidegate"),
        ("ce_type", event_type.encode()),
        ("ce_time", time.encode()),
        ("content-type", b"application/json"),
    ]
