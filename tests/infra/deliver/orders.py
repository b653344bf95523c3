"""Orders and destinations that the tests of delivery share."""

from typing import Any

import msgspec

from infra.deliver.messages import Message
from infra.deliver.outbox import Outbox, Route

NOW_S = 1_794_384_900.0  # 2026-11-11T08:15:00Z


def message(po_id: str = "po-0d42234752cf8a81a419", version: int = 1, **more: Any) -> Message:
    """The order of the samples: 120 mugs."""
    order = Message(
        kind="proposed",
        po_id=po_id,
        version=version,
        sku="85123A",
        warehouse="main",
        supplier="Lean GmbH",
        supplier_role="lean",
        occasion="regular",
        quantity=120,
        unit_cost=6.25,
        currency="EUR",
        decided_at="2026-11-11T08:15:00Z",
        expected_at="2026-11-18T00:00:00Z",
        reason="stock covers 3.1 of 7 days",
        said_at="2026-11-11T08:15:00Z",
    )
    return msgspec.structs.replace(order, **more)


def word(kind: str, event_id: str = "au-1", **more: Any) -> bytes:
    """A person's word about that order, as it lies in `order-responses`."""
    event = {
        "kind": kind,
        "event_id": event_id,
        "occurred_at": "2026-11-12T00:00:00Z",
        "sku": "85123A",
        "po_id": "po-0d42234752cf8a81a419",
        "source": "tidegate",
        **more,
    }
    return msgspec.json.encode(event)


def put_in(outbox: Outbox, *messages: Message, to: str = "erp", offset: int = 0) -> None:
    """Let messages wait for a destination."""
    for number, one in enumerate(messages):
        outbox.take(("purchase-orders", 0, offset + number), one, [Route(to)], NOW_S)
