"""WooCommerce's messages: orders, fetched refunds and products. Pure.

Times are those that end in `_gmt`: they name no zone and are UTC. An order names its refunds
without their lines: those have to be fetched, and until then nothing is known of them.
"""

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
    utc_text,
)

Id = int | str

_NOT_PLACED = ("pending", "failed", "trash", "checkout-draft", "auto-draft", "draft")
_VOID = ("cancelled", "refunded")
_REFUNDED_LINE = "_refunded_item_id"


class OrderLine(msgspec.Struct):
    """One line of an order; `total` is of all its units."""

    id: Id
    quantity: int
    product_id: Id = 0
    variation_id: Id = 0
    sku: str | None = None
    name: str | None = None
    price: str | float | None = None
    total: str | float | None = None


class RefundName(msgspec.Struct):
    """A refund as an order names it."""

    id: Id


class Order(msgspec.Struct):
    """A whole order as it stands."""

    id: Id
    status: str
    date_created_gmt: str
    line_items: list[OrderLine]
    date_modified_gmt: str | None = None
    currency: str | None = None
    refunds: list[RefundName] | None = None


class Meta(msgspec.Struct):
    """A further field of a line."""

    key: str
    value: Any = None


class RefundLine(msgspec.Struct):
    """Units of a line that were taken back; the quantity is below zero."""

    id: Id
    quantity: int
    sku: str | None = None
    meta_data: list[Meta] = []


class Refund(msgspec.Struct):
    """A refund with its lines, as it is fetched."""

    id: Id
    date_created_gmt: str
    line_items: list[RefundLine]
    parent_id: Id | None = None


class Product(msgspec.Struct):
    """A product, with its stock where the shop manages one."""

    id: Id
    date_modified_gmt: str | None = None
    sku: str | None = None
    manage_stock: bool | str = False
    stock_quantity: int | None = None


class WooCommerceAdapter:
    """Reads WooCommerce's messages.

    Args:
        settings: what the operator chooses.
        dispatch_status: of an order whose units have left.
    """

    def __init__(
        self, settings: ShopSettings | None = None, *, dispatch_status: str = "completed"
    ) -> None:
        self._settings = settings or ShopSettings()
        self._dispatch_status = dispatch_status
        self.notes = Notes()  # the refunds whose lines are known

    def read(self, payload: Any, about: About, ledger: Ledger) -> News:
        """Return what a message says."""
        news = News()
        if is_ping(payload):
            news.notes.append("a ping: it has to be answered with 200")
            return news
        if not isinstance(payload, dict):
            raise PayloadError("the body", "a JSON object", payload)
        if payload.keys() == {"id"}:
            self._deleted(payload, about, ledger, news)
        elif "stock_quantity" in payload or about.topic.startswith("product"):
            self._product(converted(payload, Product), ledger, news)
        elif "status" in payload and "line_items" in payload:
            self._order(converted(payload, Order), news)
        elif "line_items" in payload:
            self._refund(converted(payload, Refund), ledger, news)
        else:
            raise PayloadError("the body", "an order, a refund or a product", sorted(payload)[:8])
        return news

    def _order(self, order: Order, news: News) -> None:
        modified = utc_text(order.date_modified_gmt or order.date_created_gmt)
        status = order.status.removeprefix("wc-")
        names = None if order.refunds is None else frozenset(str(one.id) for one in order.refunds)
        for line in order.line_items:
            sku = self._sku(line, news)
            if sku is None:
                continue
            news.lines.append(
                LineState(
                    order_id=str(order.id),
                    line_id=f"l{line.id}",
                    sku=sku,
                    placed=line.quantity,
                    is_void=status in _VOID,
                    is_counted=status not in _NOT_PLACED,
                    dispatched=line.quantity if status == self._dispatch_status else 0,
                    price=_price(line),
                    currency=order.currency,
                    placed_at=utc_text(order.date_created_gmt),
                    changed_at=modified,
                    changed_ms=checked_ms("date_modified_gmt", modified),
                    parts=names,
                )
            )
        unknown = sorted(one for one in names or () if not self.notes.get(f"refund/{one}"))
        if unknown and status not in _VOID:
            news.fetch.append(f"/wc/v3/orders/{order.id}/refunds")
            for one in unknown:
                news.leave_out(f"refund {one}", "refund_not_itemised")

    def _sku(self, line: OrderLine, news: News) -> str | None:
        """Return the sku of a line; None means that it is left out."""
        sku = (line.sku or "").strip()
        why = no_goods(line.name, sku)
        if why is None and line.quantity < 1:
            why = "no_units"
        if why is None and not sku:
            if self._settings.on_missing_sku == "stop":
                raise PayloadError("line_items.sku", "present (on_missing_sku is stop)", line.id)
            if self._settings.on_missing_sku == "variant" and line.product_id:
                return f"variant-{line.variation_id or line.product_id}"
            why = "empty_sku"
        if why is not None:
            news.leave_out(line.id, why)
            return None
        return sku

    def _refund(self, refund: Refund, ledger: Ledger, news: News) -> None:
        at = utc_text(refund.date_created_gmt)
        self.notes.put(f"refund/{refund.id}", value=True)
        for line in refund.line_items:
            of = next((str(m.value) for m in line.meta_data if m.key == _REFUNDED_LINE), None)
            state = None if of is None else ledger.state_of(f"l{of}")
            order = refund.parent_id or (None if state is None else state.order_id)
            if of is None or order is None:
                news.leave_out(line.id, "refund_of_an_unknown_line")
                continue
            news.lines.append(
                Part(
                    order_id=str(order),
                    line_id=f"l{of}",
                    part_id=str(refund.id),
                    kind=PartKind.LOST,  # whether it was restocked is not said
                    units=abs(line.quantity),
                    at=at,
                    at_ms=checked_ms("date_created_gmt", at),
                    sku=line.sku or "",
                )
            )

    def _deleted(self, payload: dict[str, Any], about: About, ledger: Ledger, news: News) -> None:
        for state in ledger.states_of(str(payload["id"])):
            news.lines.append(
                msgspec.structs.replace(state, is_void=True, changed_ms=state.changed_ms + 1)
            )

    def _product(self, product: Product, ledger: Ledger, news: News) -> None:
        sku = (product.sku or "").strip()
        if ledger.stock_is != "available" or product.stock_quantity is None or not sku:
            return
        if product.manage_stock is not True:
            return
        if product.date_modified_gmt is None:
            raise PayloadError("date_modified_gmt", "present")
        at = utc_text(product.date_modified_gmt)
        news.events.append(
            {
                "topic": "stock",
                "kind": "counted",
                "event_id": f"p{product.id}/{at}",
                "occurred_at": at,
                "sku": sku,
                "level": max(0, product.stock_quantity),
                "source": ledger.source,
            }
        )


def is_ping(payload: Any) -> bool:
    """Whether a body is the form that is sent when a webhook is saved."""
    return isinstance(payload, str) and payload.strip().startswith("webhook_id=")


def _price(line: OrderLine) -> float | None:
    """Return the price of a unit; `total` is what was paid for all of them."""
    if line.price not in (None, ""):
        return money(line.price)
    total = money(line.total)
    return None if total is None or line.quantity < 1 else round(total / line.quantity, 6)
