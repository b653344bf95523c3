"""Records that leave for Kafka, as the outbox keeps them."""

from enum import StrEnum

import msgspec

from streams.contracts.alerts import Alert, AlertState
from streams.contracts.purchase_orders import PurchaseOrder
from streams.contracts.topics import ALERTS, PURCHASE_ORDERS


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


class OutboxRecord(msgspec.Struct, frozen=True, array_like=True):
    """One record for Kafka."""

    topic: str  # without prefix
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
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
    headers = _cloud_event(
        f"{order.po_id}/{order.version}", "tidegate.purchase-order.proposed", order.decided_at
    )
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
    return OutboxRecord(
        PURCHASE_ORDERS, order.sku.encode(), msgspec.json.encode(order), headers, summary
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


def _cloud_event(event_id: str, event_type: str, time: str) -> list[tuple[str, bytes]]:
    """Headers of the CloudEvents 1.0 binary mode."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id.encode()),
        ("ce_source", b"/tidegate"),
        ("ce_type", event_type.encode()),
        ("ce_time", time.encode()),
        ("content-type", b"application/json"),
    ]
