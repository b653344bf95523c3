"""What leaves: records that were decided and stored, and are not yet known to be in Kafka."""

from collections.abc import Sequence

import msgspec

from streams.outputs import Alert, PurchaseOrder

PURCHASE_ORDERS = "purchase-orders"
ALERTS = "alerts"


class Outgoing(msgspec.Struct, frozen=True, array_like=True):
    """One record for Kafka."""

    topic: str  # without prefix
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class Outbox:
    """Records in the order in which they were decided, each under a number that only grows."""

    def __init__(self) -> None:
        self._next_number = 0
        self._waiting: dict[int, Outgoing] = {}
        self._added: list[int] = []
        self._removed: list[int] = []

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def next_number(self) -> int:
        """The number that the next record will have."""
        return self._next_number

    def put(self, outgoing: Outgoing) -> None:
        """Add a record; it may be published once a commit has stored it."""
        self._waiting[self._next_number] = outgoing
        self._added.append(self._next_number)
        self._next_number += 1

    def take_changes(self) -> tuple[list[tuple[int, bytes]], list[int]]:
        """Return the records to store and the numbers of those that need not be stored any more."""
        added = [(number, msgspec.msgpack.encode(self._waiting[number])) for number in self._added]
        removed, self._removed = self._removed, []
        self._added = []
        return added, removed

    def stored_before(self, number: int, limit: int) -> list[tuple[int, Outgoing]]:
        """The oldest records with a number below the one given, at most `limit`."""
        chosen: list[tuple[int, Outgoing]] = []
        for waiting in self._waiting:
            if waiting >= number or len(chosen) == limit:
                break
            chosen.append((waiting, self._waiting[waiting]))
        return chosen

    def published(self, numbers: Sequence[int]) -> None:
        """Note that Kafka has these; the next commit forgets them."""
        for number in numbers:
            if self._waiting.pop(number, None) is not None:
                self._removed.append(number)

    def restore(self, next_number: int, stored: dict[int, bytes]) -> None:
        """Take over stored records."""
        self._next_number = next_number
        self._waiting = {
            number: msgspec.msgpack.decode(stored[number], type=Outgoing)
            for number in sorted(stored)
        }


def order_record(order: PurchaseOrder) -> Outgoing:
    """Return the record of a purchase order."""
    headers = _cloud_event(
        f"{order.po_id}/{order.version}", "tidegate.purchase-order.proposed", order.decided_at
    )
    return Outgoing(PURCHASE_ORDERS, order.sku.encode(), msgspec.json.encode(order), headers)


def alert_record(alert: Alert) -> Outgoing:
    """Return the record of one step of an incident."""
    headers = _cloud_event(
        f"{alert.incident_id}/{alert.version}",
        f"tidegate.alert.{alert.kind}",
        alert.occurred_at,
    )
    return Outgoing(ALERTS, alert.subject.encode(), msgspec.json.encode(alert), headers)


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
