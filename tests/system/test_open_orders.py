"""One customer's order pays for no other, from the events in Kafka to the backlog in Redis."""

import json
from typing import Any

from infra.redis.options import keys_of
from infra.redis.reader import connect
from infra.replay.schemas import adapt
from tests.oracle import DAY, HOUR
from tests.streams.logs import START_MS, catalog_line
from tests.system.conftest import Install
from tests.system.support.running import PARTITIONS, Installation

SENT, RETURNED = "dispatched", "returned"
AFTER_A_WAS_SENT: dict[str, list[tuple[str, int]]] = {
    "NOTHING-MORE": [],
    "REFUSED-AT-THE-DOOR": [("cancelled", 5), (RETURNED, 5)],
    "SENT-AGAIN": [(SENT, 5)],
    "CANCELLED-TWICE": [("cancelled", 5), ("cancelled", 5)],
    "ORDERED-AGAIN": [("placed", 3)],
}
"""What becomes of order A once it was sent, by sku."""

OTHERS: dict[str, list[tuple[str, int]]] = {
    "SENT-BEFORE-IT-CAME": [(SENT, 5), ("placed", 5)],
    "TWO-PARCELS": [("placed", 5), (SENT, 2), (SENT, 3)],
    "ONE-OF-TWO-PARCELS": [("placed", 5), (SENT, 2)],
    "CANCELLED-IN-PART": [("placed", 5), ("cancelled", 2)],
    "TWO-LINES": [("placed", 5), ("placed", 2), (SENT, 6)],
    "NEVER-SENT-AND-RETURNED": [("placed", 5), (RETURNED, 5)],
}

EXPECTED = {  # units on the shelf of 200, and how many customers wait for, 10 of them by order B
    "NOTHING-MORE": (195, 10),
    "REFUSED-AT-THE-DOOR": (200, 10),
    "SENT-AGAIN": (190, 10),
    "CANCELLED-TWICE": (195, 10),
    "ORDERED-AGAIN": (195, 13),
    "SENT-BEFORE-IT-CAME": (195, 10),
    "TWO-PARCELS": (195, 10),
    "ONE-OF-TWO-PARCELS": (198, 13),
    "CANCELLED-IN-PART": (200, 13),
    "TWO-LINES": (194, 11),
    "NEVER-SENT-AND-RETURNED": (205, 15),
}


def _line(topic: str, kind: str, event_id: str, at_ms: int, sku: str, **fields: Any) -> bytes:
    head = {"topic": topic, "kind": kind, "event_id": event_id, "occurred_at": at_ms, "sku": sku}
    return json.dumps({**head, **fields}).encode()


def _lines_of(sku: str, became: list[tuple[str, int]]) -> list[bytes]:
    """A count of 200, what becomes of order A, and, after the first of it, order B of 10. Shop and
    warehouse are two systems.
    """
    catalog = json.loads(catalog_line(f"c-{sku}", START_MS, (sku, "main")))
    lines = [
        json.dumps({"topic": "catalog", **catalog}).encode(),
        _line("stock", "counted", f"s-{sku}", START_MS, sku, level=200),
        _line(
            *("orders", "placed", f"b-{sku}", START_MS + 5 * HOUR // 2, sku),
            **{"order_id": f"B-{sku}", "quantity": 10, "source": "shop"},
        ),
    ]
    for place, (kind, units) in enumerate(became):
        topic, source = ("shipments", "warehouse") if kind == SENT else ("orders", "shop")
        order = {"order_id": f"A-{sku}", "quantity": units, "source": source}
        at_ms = START_MS + (2 + place) * HOUR
        lines.append(_line(topic, kind, f"a{place}-{sku}", at_ms, sku, **order))
    return lines


def _stock_of(tidegate: Installation, sku: str) -> tuple[int, int]:
    """The shelf and the backlog of an item, as Redis shows them."""
    keys = keys_of(tidegate.settings)
    redis = connect(tidegate.settings.redis_url)
    names = ["on_hand_units", "backlog_units"]
    found = [redis.hmget(keys.item(p, f"{sku}@main"), names) for p in range(PARTITIONS)]
    redis.close()
    return next((int(shelf), int(backlog)) for shelf, backlog in found if shelf is not None)


async def test_one_order_pays_for_no_other(install: Install) -> None:
    """Order B waits, whatever becomes of order A of the same item: refused at the door, sent twice,
    before it came or in two parcels, cancelled twice or in part, returned, ordered again.
    """
    sent = [("placed", 5), (SENT, 5)]
    cases = {**{sku: [*sent, *more] for sku, more in AFTER_A_WAS_SENT.items()}, **OTHERS}
    lines = [line for sku, became in cases.items() for line in _lines_of(sku, became)]
    lines.sort(key=lambda line: json.loads(line)["occurred_at"])
    lines.append(_line("stock", "counted", "later", START_MS + DAY, "CLOCK", level=1))
    tidegate = await install()
    result = await tidegate.replay(list(adapt(lines, schema="tidegate")))
    await tidegate.add_worker()
    await tidegate.wait_until_stored(result)
    assert {sku: _stock_of(tidegate, sku) for sku in cases} == EXPECTED
