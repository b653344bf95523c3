"""What destinations are sent: an order as it is proposed, changed or cancelled."""

from typing import Literal

import msgspec

from streams.contracts.purchase_orders import PurchaseOrder

Kind = Literal["proposed", "changed", "cancelled"]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a purchase order, as every kind of destination is sent it."""

    kind: Kind
    po_id: str
    version: int
    sku: str
    warehouse: str
    supplier: str
    supplier_role: str
    occasion: str
    quantity: int
    unit_cost: float
    currency: str | None
    decided_at: str
    expected_at: str
    reason: str
    said_at: str  # when this version came to be (event time)
    lines: tuple["Message", ...] = ()  # the orders of a document; empty: it is one order itself

    @property
    def message_id(self) -> str:
        """The key under which a receiver knows it again.

        >>> order = Message(kind="proposed", po_id="po-1", version=2, sku="lamp", warehouse="main",
        ...     supplier="acme", supplier_role="lean", occasion="regular", quantity=3,
        ...     unit_cost=2.5, currency="EUR", decided_at="t", expected_at="t", reason="r",
        ...     said_at="t")
        >>> order.message_id, order.amount
        ('po-1:2', 7.5)
        """
        return f"{self.po_id}:{self.version}"

    @property
    def amount(self) -> float:
        """Value of the order, or of what is ordered in the document."""
        if self.lines:
            return round(sum(one.amount for one in self.live), 6)
        return round(self.quantity * self.unit_cost, 6)

    @property
    def parts(self) -> tuple["Message", ...]:
        """The orders that it is made of."""
        return self.lines or (self,)

    @property
    def live(self) -> tuple["Message", ...]:
        """The orders of it that are still wanted."""
        return tuple(one for one in self.parts if one.kind != "cancelled")


def proposed(value: bytes) -> Message:
    """Return the message of a record of `purchase-orders`.

    Raises:
        msgspec.DecodeError: it is no purchase order.
    """
    order = msgspec.json.decode(value, type=PurchaseOrder)
    return Message(
        kind="proposed",
        po_id=order.po_id,
        version=order.version,
        sku=order.sku,
        warehouse=order.warehouse,
        supplier=order.supplier,
        supplier_role=str(order.supplier_role),
        occasion=str(order.occasion),
        quantity=order.quantity,
        unit_cost=order.unit_cost,
        currency=order.currency,
        decided_at=order.decided_at,
        expected_at=order.expected_at,
        reason=str(order.reason),
        said_at=order.decided_at,
    )


class Said(msgspec.Struct, frozen=True):
    """What is read of a person's word in `order-responses`."""

    kind: str
    event_id: str
    occurred_at: str | int
    po_id: str
    source: str = ""
    quantity: int | None = None
    expected_at: str | int | None = None
    reason: str | None = None


SPOKEN = ("changed", "rejected", "cancelled")
"""Kinds of words that a supplier who has the order must hear of."""


def said(value: bytes) -> Said | None:
    """Return a word about an order that was spoken here; None for all other records.

    What an ERP or a supplier says comes from where it would be sent, and is not sent back.
    """
    try:
        found = msgspec.json.decode(value, type=Said)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if found.kind in SPOKEN and found.source == "tidegate" else None


def after(message: Message, word: Said, version: int) -> Message | None:
    """Return the message of a word about an order; None where it says what is sent already.

    Args:
        message: the newest that is known of the order.
        word: about it.
        version: of the new message.
    """
    at = str(word.occurred_at)
    if word.kind != "changed":
        if message.kind == "cancelled":
            return None
        return msgspec.structs.replace(message, kind="cancelled", version=version, said_at=at)
    quantity = word.quantity if word.quantity is not None else message.quantity
    expected_at = str(word.expected_at) if word.expected_at is not None else message.expected_at
    if (quantity, expected_at) == (message.quantity, message.expected_at):
        return None
    return msgspec.structs.replace(
        message,
        kind="changed",
        version=version,
        quantity=quantity,
        expected_at=expected_at,
        said_at=at,
    )


_ORDER_FIELDS = (
    *("po_id", "version", "sku", "warehouse", "supplier", "supplier_role", "occasion"),
    *("quantity", "unit_cost", "currency", "decided_at", "expected_at", "reason"),
)


def webhook_body(message: Message) -> bytes:
    """Return the JSON of a message as Standard Webhooks has it: type, timestamp, data."""
    what, data = "order", _fields(message)
    if message.lines:
        what = "document"
        data = {
            "document_id": message.po_id,
            "version": message.version,
            "supplier": message.supplier,
            "warehouse": message.warehouse,
            "currency": message.currency,
            "amount": message.amount,
            "expected_at": message.expected_at,
            "lines": [{"kind": one.kind, **_fields(one)} for one in message.lines],
        }
    kind = f"tidegate.purchase_{what}.{message.kind}"
    return msgspec.json.encode({"type": kind, "timestamp": message.said_at, "data": data})


def _fields(order: Message) -> dict[str, object]:
    return {name: getattr(order, name) for name in _ORDER_FIELDS}
