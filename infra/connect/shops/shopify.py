"""Shopify's messages: orders, refunds, fulfilments, stock levels and products. Pure.

All topics of orders carry the whole order and go to the ledger alike. What a refund explains is
cancelled or returned by its `restock_type`; what no refund explains was edited away.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from infra.connect.cells import no_goods
from infra.connect.ledger import Ledger, LineState, Part, PartKind
from infra.connect.shops.payloads import (
    About,
    News,
    Notes,
    PayloadError,
    ShopSettings,
    checked_ms,
    converted,
    money,
)
from streams.timestamps import rfc3339

Id = int | str

_RESTOCKS = {
    "cancel": PartKind.CANCELLED,
    "return": PartKind.RETURNED,
    "legacy_restock": PartKind.RESTOCKED,
}
_SHIPPED = ("success",)
_NOT_SHIPPED = ("cancelled", "error", "failure")


class RefundLine(msgspec.Struct):
    """A part of a line that was taken back."""

    id: Id
    line_item_id: Id
    quantity: int
    restock_type: str = "no_restock"
    line_item: dict[str, Any] | None = None


class Refund(msgspec.Struct):
    """A refund: money goes back, and perhaps goods."""

    id: Id
    created_at: str
    refund_line_items: list[RefundLine]
    order_id: Id | None = None


class ShippedLine(msgspec.Struct):
    """A part of a line in one shipment."""

    id: Id
    quantity: int
    sku: str | None = None


class Fulfillment(msgspec.Struct):
    """One shipment."""

    id: Id
    status: str | None
    created_at: str
    line_items: list[ShippedLine]
    order_id: Id | None = None
    updated_at: str | None = None


class OrderLine(msgspec.Struct):
    """One line of an order."""

    id: Id
    quantity: int
    sku: str | None = None
    variant_id: Id | None = None
    current_quantity: int | None = None
    fulfillable_quantity: int | None = None
    fulfillment_status: str | None = None
    price: str | float | None = None
    gift_card: bool = False
    tip_payment_gateway: str | None = None
    name: str | None = None


class Order(msgspec.Struct):
    """A whole order as it stands."""

    id: Id
    created_at: str
    updated_at: str
    line_items: list[OrderLine]
    currency: str | None = None
    cancelled_at: str | None = None
    test: bool = False
    refunds: list[Refund] | None = None
    fulfillments: list[Fulfillment] | None = None


class InventoryLevel(msgspec.Struct):
    """The stock of an item at one location; it names no sku."""

    inventory_item_id: Id
    location_id: Id
    available: int | None
    updated_at: str


class Variant(msgspec.Struct):
    """What an item of stock is called."""

    id: Id
    sku: str | None = None
    inventory_item_id: Id | None = None


class Product(msgspec.Struct):
    """A product and its variants."""

    id: Id
    variants: list[Variant]


class ShopifyAdapter:
    """Reads Shopify's messages; notes which sku an item of stock is, and its levels."""

    def __init__(self, settings: ShopSettings | None = None) -> None:
        self._settings = settings or ShopSettings()
        self.notes = Notes()  # skus and levels of items of stock, and parts of shipments

    def read(self, payload: Any, about: About, ledger: Ledger) -> News:
        """Return what a message says."""
        if not isinstance(payload, dict):
            raise PayloadError("the body", "a JSON object", payload)
        topic = about.topic.partition("/")[0] or topic_of(payload)
        news = News()
        if topic == "orders" and "order_edit" in payload:
            news.notes.append("orders/edited names no sku: the next orders/updated has the change")
        elif topic == "orders":
            self._order(converted(payload, Order), news)
        elif topic == "refunds":
            refund = converted(payload, Refund)
            news.lines += refund_parts(refund, refund.order_id)
        elif topic == "fulfillments":
            self._fulfillment(converted(payload, Fulfillment), None, news)
        elif topic == "fulfillment_events":
            self._delivered(payload, news)
        elif topic == "inventory_levels":
            self._level(converted(payload, InventoryLevel), news, ledger)
        elif topic == "products":
            self._product(converted(payload, Product), news, ledger)
        else:
            raise PayloadError("topic", "one that is read", about.topic or "(none)")
        return news

    def _order(self, order: Order, news: News) -> None:
        if order.test:
            for line in order.line_items:
                news.leave_out(line.id, "test_order")
            return
        listed = None
        if order.refunds is not None:
            listed = frozenset(f"refund/{p.id}" for r in order.refunds for p in r.refund_line_items)
        skipped = set()
        for line in order.line_items:
            if (sku := self._sku(line, news)) is None:
                skipped.add(f"l{line.id}")
            else:
                news.lines.append(_line_state(order, line, sku, listed))
        parts = [p for refund in order.refunds or () for p in refund_parts(refund, order.id)]
        news.lines += [part for part in parts if part.line_id not in skipped]
        for fulfillment in order.fulfillments or ():
            self._fulfillment(fulfillment, order.id, news)

    def _sku(self, line: OrderLine, news: News) -> str | None:
        """Return the sku of a line; None means that it is left out."""
        why = "gift_card" if line.gift_card else "tip" if line.tip_payment_gateway else None
        why = why or no_goods(line.name)
        if why is None and not (line.sku or "").strip():
            choice = self._settings.on_missing_sku
            if choice == "stop":
                raise PayloadError("line_items.sku", "present (on_missing_sku is stop)", line.id)
            if choice == "variant" and line.variant_id is not None:
                return f"variant-{line.variant_id}"
            why = "empty_sku"
        if why is not None:
            news.leave_out(line.id, why)
            return None
        return (line.sku or "").strip()

    def _fulfillment(self, one: Fulfillment, order_id: Id | None, news: News) -> None:
        order = one.order_id if one.order_id is not None else order_id
        if order is None:
            raise PayloadError("order_id", "present")
        is_shipped = one.status in _SHIPPED
        if not is_shipped and one.status not in _NOT_SHIPPED:
            return  # pending or open: nothing has left yet
        changed_at = one.updated_at or one.created_at
        parts = [
            Part(
                order_id=str(order),
                line_id=f"l{line.id}",
                part_id=f"ship/{one.id}",
                kind=PartKind.DISPATCHED,
                units=line.quantity if is_shipped else 0,
                at=one.created_at if is_shipped else changed_at,
                at_ms=checked_ms("updated_at", changed_at),
                sku=line.sku or "",
            )
            for line in one.line_items
        ]
        self.notes.put(f"shipment/{one.id}", parts)
        news.lines += parts

    def _delivered(self, payload: dict[str, Any], news: News) -> None:
        if payload.get("status") != "delivered":
            return
        at = str(payload.get("happened_at") or payload.get("created_at") or "")
        at_ms = checked_ms("happened_at", at)
        noted = self.notes.get(f"shipment/{payload.get('fulfillment_id')}", ())
        for part in msgspec.convert(noted, list[Part]):
            news.lines.append(
                msgspec.structs.replace(
                    part,
                    part_id=f"{part.part_id}/delivered",
                    kind=PartKind.DELIVERED,
                    at=at,
                    at_ms=at_ms,
                )
            )

    # -- stock --------------------------------------------------------------------------------

    def _level(self, level: InventoryLevel, news: News, ledger: Ledger) -> None:
        item = str(level.inventory_item_id)
        known = self._levels(item)
        before = known.get(str(level.location_id))
        at_ms = checked_ms("updated_at", level.updated_at)
        if before is not None and at_ms < checked_ms("updated_at", before.updated_at):
            return
        self.notes.put(f"levels/{item}", {**known, str(level.location_id): level})
        if self.notes.get(f"sku/{item}") is None:
            news.notes.append(f"the sku of inventory item {item} is not known yet: kept")
            return
        news.events += self._counts(item, level, ledger)

    def _levels(self, item: str) -> dict[str, InventoryLevel]:
        """Return the newest level of an item at each location."""
        return msgspec.convert(self.notes.get(f"levels/{item}", {}), dict[str, InventoryLevel])

    def _counts(
        self, item: str, newest: InventoryLevel, ledger: Ledger
    ) -> Iterator[dict[str, Any]]:
        if ledger.stock_is != "available" or newest.available is None:
            return
        levels = self._levels(item).values()
        at = rfc3339(checked_ms("updated_at", newest.updated_at))
        yield {
            "topic": "stock",
            "kind": "counted",
            "event_id": f"inv/{item}/{newest.location_id}/{at}",
            "occurred_at": newest.updated_at,
            "sku": self.notes.get(f"sku/{item}"),
            "level": max(0, sum(one.available or 0 for one in levels)),
            "source": ledger.source,
        }

    def _product(self, product: Product, news: News, ledger: Ledger) -> None:
        for variant in product.variants:
            item, sku = str(variant.inventory_item_id), (variant.sku or "").strip()
            if variant.inventory_item_id is None or not sku:
                continue
            is_new = self.notes.get(f"sku/{item}") is None
            self.notes.put(f"sku/{item}", sku)
            if is_new and (known := self._levels(item)):
                newest = max(
                    known.values(), key=lambda one: checked_ms("updated_at", one.updated_at)
                )
                news.events += self._counts(item, newest, ledger)


def topic_of(payload: dict[str, Any]) -> str:
    """Return what a body is by its fields; empty means nothing that is known."""
    names = payload.keys()
    shapes = (
        ("orders", {"order_edit"}),
        ("refunds", {"refund_line_items"}),
        ("inventory_levels", {"inventory_item_id", "location_id"}),
        ("fulfillment_events", {"fulfillment_id", "status"}),
        ("products", {"variants"}),
    )
    for topic, wanted in shapes:
        if wanted <= names:
            return topic
    if "line_items" in names:
        is_shipment = "order_id" in names and not {"financial_status", "refunds"} & names
        return "fulfillments" if is_shipment else "orders"
    return ""


def _line_state(
    order: Order, line: OrderLine, sku: str, listed: frozenset[str] | None
) -> LineState:
    current = line.quantity if line.current_quantity is None else line.current_quantity
    return LineState(
        order_id=str(order.id),
        line_id=f"l{line.id}",
        sku=sku,
        placed=line.quantity,
        undone=max(0, line.quantity - current),
        is_void=order.cancelled_at is not None,
        dispatched=_dispatched(order, line, current),
        price=money(line.price),
        currency=order.currency,
        placed_at=order.created_at,
        changed_at=order.updated_at,
        changed_ms=checked_ms("updated_at", order.updated_at),
        undone_at=order.cancelled_at,
        parts=listed,
    )


def _dispatched(order: Order, line: OrderLine, current: int) -> int:
    """Return what has left by the line itself; where shipments are listed, they say it."""
    if order.fulfillments:
        return 0
    if line.fulfillment_status == "fulfilled":
        return current
    if line.fulfillment_status == "partial" and line.fulfillable_quantity is not None:
        return max(0, current - line.fulfillable_quantity)
    return 0


def refund_parts(refund: Refund, order_id: Id | None) -> Iterable[Part]:
    """Return the parts of lines that a refund takes back."""
    order = refund.order_id if order_id is None else order_id
    if order is None:
        raise PayloadError("order_id", "present")
    at_ms = checked_ms("created_at", refund.created_at)
    for one in refund.refund_line_items:
        item = one.line_item or {}
        if item.get("gift_card"):
            continue
        yield Part(
            order_id=str(order),
            line_id=f"l{one.line_item_id}",
            part_id=f"refund/{one.id}",
            kind=_RESTOCKS.get(one.restock_type, PartKind.LOST),
            units=one.quantity,
            at=refund.created_at,
            at_ms=at_ms,
            sku=item.get("sku") or "",
        )
