"""Open purchase orders: what is on its way, and what responses and arrivals do to it.

Every state counts as supply until the order is closed.
"""

import heapq
from collections.abc import Iterator

import msgspec

from streams.contracts.purchase_orders import SupplierRole

AWAITING_APPROVAL = "awaiting_approval"
"""State of an order that waits for a person's word before it leaves."""


class OpenOrder(msgspec.Struct, kw_only=True):
    """A purchase order that is not closed, with what is still to come."""

    po_id: str
    item: int
    role: SupplierRole
    supplier: str
    quantity: int
    outstanding: int
    due_ms: int
    is_assumed: bool  # taken as received on its due date
    state: str = "proposed"
    late_since_ms: int = 0  # open incident; 0: none
    is_date_agreed: bool = False  # somebody named the date: it is not computed any more
    is_foreign: bool = False  # an order that others placed and announced, not one of Tidegate's
    source: str = ""  # that announced it


class Supply:
    """The open purchase orders of a shard, and when each is due."""

    def __init__(self) -> None:
        self._orders: dict[str, OpenOrder] = {}
        self._of_item: dict[int, list[str]] = {}
        self._due: list[tuple[int, str]] = []
        self._changed: set[str] = set()

    def __len__(self) -> int:
        return len(self._orders)

    def __iter__(self) -> Iterator[OpenOrder]:
        return iter(self._orders.values())

    def get(self, po_id: str) -> OpenOrder | None:
        """The open order of that id, if there is one."""
        return self._orders.get(po_id)

    def open(self, order: OpenOrder) -> None:
        """Add an order, or take over one that was stored; a known id stays as it is."""
        if order.po_id in self._orders:
            return
        self._orders[order.po_id] = order
        self._of_item.setdefault(order.item, []).append(order.po_id)
        heapq.heappush(self._due, (order.due_ms, order.po_id))
        self._changed.add(order.po_id)

    def change(self, order: OpenOrder, *, outstanding: int, due_ms: int | None = None) -> None:
        """Let the order have other values; with nothing outstanding it is closed."""
        self._changed.add(order.po_id)
        order.outstanding = max(0, outstanding)
        if due_ms is not None and due_ms != order.due_ms:
            order.due_ms = due_ms
            heapq.heappush(self._due, (due_ms, order.po_id))
        if order.outstanding == 0:
            del self._orders[order.po_id]
            self._of_item[order.item].remove(order.po_id)

    def mark(self, order: OpenOrder) -> None:
        """Note that a field of the order was set."""
        self._changed.add(order.po_id)

    def next_due(self) -> tuple[int, str] | None:
        """The earliest due date that was not taken yet, if there is one."""
        while self._due:
            due_ms, po_id = self._due[0]
            order = self._orders.get(po_id)
            if order is not None and order.due_ms == due_ms:
                return due_ms, po_id
            heapq.heappop(self._due)
        return None

    def take_due(self) -> OpenOrder:
        """Take the earliest due date off the calendar; return its order, which stays open."""
        taken = heapq.heappop(self._due)
        # A date that was moved away and back stands there twice.
        while self._due and self._due[0] == taken:
            heapq.heappop(self._due)
        return self._orders[taken[1]]

    def of_item(self, item: int) -> Iterator[OpenOrder]:
        """The open orders of an item."""
        return (self._orders[po_id] for po_id in self._of_item.get(item, ()))

    def on_order_units(self, item: int, role: SupplierRole) -> int:
        """Units of an item still to come from one supplier."""
        return sum(order.outstanding for order in self.of_item(item) if order.role == role)

    def next_arrival_ms(self, item: int) -> int:
        """When the next open order of an item is due, or 0."""
        return min((order.due_ms for order in self.of_item(item)), default=0)

    def take_changes(self) -> dict[str, bytes | None]:
        """Return what to store by order id; None means the order is closed, forget it."""
        changed, self._changed = self._changed, set()
        return {
            po_id: msgspec.json.encode(self._orders[po_id]) if po_id in self._orders else None
            for po_id in sorted(changed)
        }

    def restore(self, stored: list[bytes], applied_ms: int) -> None:
        """Take over stored orders; due dates before `applied_ms` have been taken."""
        for order in sorted(
            (msgspec.json.decode(data, type=OpenOrder) for data in stored),
            key=lambda order: order.po_id,
        ):
            self.open(order)
        self._changed.clear()
        self._due = [(due_ms, po_id) for due_ms, po_id in self._due if due_ms >= applied_ms]
        heapq.heapify(self._due)
