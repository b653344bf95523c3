"""Shopify's messages, by the samples and the acceptance checks."""

import copy

import pytest

from infra.connect.shops.connectors import Connector
from infra.connect.shops.payloads import About, ShopSettings
from tests.infra.connect.shops.test_connectors import same, sample

SHOP = About(shop="example-shop.example")
CREATED, UPDATED = "shopify/orders-create.json", "shopify/orders-updated.json"
REFUND, SHIPMENT = "shopify/refunds-create.json", "shopify/fulfillments-create.json"


def events_of(*names: str, settings: ShopSettings | None = None) -> list[dict]:
    """Give samples to a new source, one after another."""
    connector = Connector("shopify", settings=settings)
    return [event for name in names for event in connector.take(sample(name), SHOP).events]


EXPECTED = sample("shopify/expected.json")
PLACED, EDITED = EXPECTED[0]["events"], EXPECTED[2]["events"]


def test_an_order_and_the_same_again():
    """Two lines are left out; twenty deliveries are one event."""
    connector = Connector("shopify")
    first = connector.take(sample(CREATED), SHOP)
    assert same(first.events, PLACED)
    assert first.left_out == EXPECTED[0]["left_out"]
    assert not [e for _ in range(20) for e in connector.take(sample(CREATED), SHOP).events]


def test_edits_and_refunds_in_any_order():
    """Updated before created: four placed in one event, one cancelled. Ids are the same always."""
    assert same(events_of(CREATED, UPDATED, REFUND), PLACED + EDITED)
    assert [(e["kind"], e["quantity"]) for e in events_of(UPDATED, CREATED)] == [
        ("placed", 4),
        ("cancelled", 1),
    ]
    undone = EDITED[1]
    for order in (
        (CREATED, REFUND, UPDATED),
        (REFUND, CREATED, UPDATED),
        (UPDATED, REFUND, CREATED),
    ):
        assert [event for event in events_of(*order) if event["kind"] == "cancelled"] == [undone]


def test_a_shipment_is_an_event_where_the_stock_is_on_hand():
    """With `available` the order took the units off already."""
    on_hand = ShopSettings(stock_is="on_hand")
    assert same(events_of(SHIPMENT, settings=on_hand), EXPECTED[4]["events"])
    assert events_of(SHIPMENT) == []


@pytest.mark.parametrize(
    ("restock", "kinds"),
    [("return", ["returned"]), ("no_restock", []), ("legacy_restock", ["returned"])],
)
def test_a_refund_after_the_shipment(restock, kinds):
    """What is on the shelf again came back; what is lost moved nothing."""
    connector = Connector("shopify", settings=ShopSettings(stock_is="on_hand"))
    for name in (CREATED, SHIPMENT):
        connector.take(sample(name), SHOP)
    refund = sample(REFUND)
    refund["created_at"] = "2026-11-12T09:00:00+08:00"
    refund["refund_line_items"][0]["restock_type"] = restock
    assert [event["kind"] for event in connector.take(refund, SHOP).events] == kinds


def test_a_shipment_that_is_taken_back_puts_its_units_on_the_shelf():
    """The stock is adjusted by what did not leave."""
    connector = Connector("shopify", settings=ShopSettings(stock_is="on_hand"))
    for name in (CREATED, SHIPMENT):
        connector.take(sample(name), SHOP)
    back = {**sample(SHIPMENT), "status": "cancelled", "updated_at": "2026-11-11T10:00:00+08:00"}
    (event,) = connector.take(back, SHOP).events
    assert (event["topic"], event["kind"], event["change"]) == ("stock", "adjusted", 3)


@pytest.mark.parametrize("product_first", [True, False])
def test_a_level_is_counted_once_its_product_is_known(product_first):
    """Levels name no sku: one that comes first is kept. An untracked item has none."""
    names = ["shopify/products-update.json", "shopify/inventory-levels-update.json"]
    assert same(events_of(*(names if product_first else names[::-1])), EXPECTED[6]["events"])
    connector = Connector("shopify")
    connector.take(sample(names[0]), SHOP)
    assert connector.take({**sample(names[1]), "available": None}, SHOP).events == []


def test_what_an_order_lacks_is_named():
    """A subscription may cut the body; a test order is no order."""
    order = sample(CREATED)
    cut = {name: value for name, value in order.items() if name != "updated_at"}
    (fault,) = Connector("shopify").take(cut, SHOP).refused
    assert fault["field"] == "updated_at"
    outcome = Connector("shopify").take({**order, "test": True}, SHOP)
    assert {one["why"] for one in outcome.left_out} == {"test_order"}


@pytest.mark.parametrize(("choice", "events"), [("skip", 1), ("variant", 2), ("stop", 0)])
def test_a_line_without_sku(choice, events):
    """It is left out, named by its variant, or stops the order."""
    outcome = Connector("shopify", settings=ShopSettings(on_missing_sku=choice)).take(
        sample(CREATED), SHOP
    )
    assert len(outcome.events) == events
    assert bool(outcome.refused) == (choice == "stop")


def test_a_delivery_is_counted_for_its_shipment():
    """The message names the shipment alone."""
    connector = Connector("shopify", settings=ShopSettings(stock_is="on_hand"))
    for name in (CREATED, SHIPMENT):
        connector.take(sample(name), SHOP)
    message = {
        **{"id": 1, "fulfillment_id": 4400000001, "status": "delivered"},
        "happened_at": "2026-11-13T09:00:00+08:00",
    }
    (event,) = connector.take(message, SHOP).events
    assert (event["kind"], event["quantity"]) == ("delivered", 3)
    other = copy.deepcopy(message) | {"status": "in_transit"}
    assert connector.take(other, SHOP).events == []
