"""A replay reaches exactly the totals that are known from elsewhere."""

from collections.abc import Iterable

import msgspec

from infra.cli.explain import recompute_order
from infra.kafka.topic_reader import TopicRecord
from infra.replay.faults import Record
from infra.wording.orders import Difference, differences
from policy import PolicyCache
from streams.contracts.purchase_orders import PurchaseOrder
from streams.contracts.topics import PURCHASE_ORDERS
from tests.system.conftest import Events, Install, Reference

HOUR_MS = 3_600_000
MIDNIGHT_MS = 1_772_409_600_000  # 2026-03-02T00:00:00Z


def differing_orders(records: Iterable[TopicRecord]) -> list[tuple[str, Difference]]:
    """Explain every purchase order from its record alone; return what comes out otherwise."""
    orders = [msgspec.json.decode(record.value or b"", type=PurchaseOrder) for record in records]
    cache = PolicyCache()
    return [
        (order.po_id, difference)
        for order in orders
        for difference in differences(order, recompute_order(order, cache))
    ]


async def test_real_orders_come_to_the_published_totals(sample: Events, install: Install) -> None:
    """Orders, lines and units of every day and SKU are right, every purchase order computes again
    to what it tells, and a second replay adds nothing.
    """
    tidegate = await install()
    result = await tidegate.replay(sample.records)
    await tidegate.add_worker()
    await tidegate.wait_until_stored(result)
    once = await tidegate.exports()
    assert once.day_rows() == sample.days
    assert once.decisions.count(b"\n") > 1_000
    assert once.orders.count(b"\n") > 100
    tidegate.require_balance()
    assert differing_orders(await tidegate.read(PURCHASE_ORDERS)) == []

    before = tidegate.outcomes()
    again = await tidegate.replay(sample.records)
    await tidegate.wait_until_stored(again)
    once.require_same(await tidegate.exports())
    after = tidegate.outcomes()
    assert after["folded"] == before["folded"]
    assert after["duplicate"] - before["duplicate"] == len(sample.records)
    tidegate.require_balance()
    assert await tidegate.require_one_body_for_each_order() > 100


def test_what_faults_are_measured_against_is_right(events: Events, reference: Reference) -> None:
    """A slice of the orders, read in peace, equals a count by hand."""
    assert reference.exports.day_rows() == events.days
    assert reference.exports.decisions.count(b"\n") > 100


def _lamp(number: int, warehouse: str, hours: float) -> Record:
    at_ms = MIDNIGHT_MS + round(hours * HOUR_MS)
    order = {
        "kind": "placed",
        "event_id": f"lamp-{number}",
        "occurred_at": at_ms,
        "sku": "lamp",
        "warehouse": warehouse,
        "order_id": f"order-{number}",
        "quantity": 1,
    }
    return Record("orders", b"lamp", msgspec.json.encode(order), at_ms)


async def test_item_shows_the_same_however_its_log_was_read(install: Install) -> None:
    """What an item shows follows from its log, not from the moments at which it was written."""
    early = [_lamp(1, "north", 10.6), _lamp(2, "south", 11.1)]
    late = [_lamp(number, "south", 9 + number) for number in range(3, 10)]
    stepwise, at_once = await install("stepwise"), await install("at-once")
    await stepwise.add_ready_worker()
    await stepwise.wait_until_stored(await stepwise.replay(early))
    await stepwise.wait_until_stored(await stepwise.replay(late))
    result = await at_once.replay([*early, *late])
    await at_once.add_worker()
    await at_once.wait_until_stored(result)
    assert (await stepwise.exports()).items == (await at_once.exports()).items
