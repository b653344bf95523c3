"""WooCommerce's messages, by the samples and the acceptance checks."""

import pytest

from infra.connect.shops.connectors import Connector
from infra.connect.shops.payloads import About, ShopSettings
from tests.infra.connect.shops.test_connectors import same, sample

SHOP = About(shop="shop.example")
CREATED, UPDATED = "woocommerce/order-created.json", "woocommerce/order-updated.json"
EXPECTED = sample("woocommerce/expected.json")


def later(minute: int, **own) -> dict:
    return {**sample(UPDATED), "date_modified_gmt": f"2026-11-11T02:{minute:02d}:00", **own}


def test_the_samples_one_after_another():
    """Ping, order, a refund that names no lines, the refund as fetched, and what is left."""
    connector = Connector("woocommerce")
    assert connector.take("webhook_id=3", SHOP).events == []
    assert same(connector.take(sample(CREATED), SHOP).events, EXPECTED[1]["events"])
    outcome = connector.take(sample(UPDATED), SHOP)
    assert outcome.events == []
    assert outcome.fetch == ["/wc/v3/orders/727/refunds"]
    assert [one["why"] for one in outcome.left_out] == ["refund_not_itemised"]
    refund = connector.take(sample("woocommerce/refund-731.json"), SHOP)
    assert same(refund.events, EXPECTED[3]["events"])
    (event,) = connector.take(later(1, status="cancelled"), SHOP).events
    assert (event["event_id"], event["quantity"]) == ("o727/l315/undone/3", 2)


def test_a_refund_that_was_fetched_is_not_asked_for_again():
    """One change of an order fires several times."""
    connector = Connector("woocommerce")
    for name in (CREATED, UPDATED, "woocommerce/refund-731.json"):
        connector.take(sample(name), SHOP)
    assert connector.take(later(5), SHOP).fetch == []


def test_an_order_that_is_cancelled_and_opened_again():
    """Three placed, three cancelled, three placed as `placed/6`."""
    connector = Connector("woocommerce")
    plain = {"refunds": []}
    steps = [
        later(1, **plain),
        later(2, status="cancelled", **plain),
        later(3, status="processing", **plain),
    ]
    events = [event for step in steps for event in connector.take(step, SHOP).events]
    assert [event["event_id"] for event in events] == [
        f"o727/l315/{end}" for end in ("placed/3", "undone/3", "placed/6")
    ]


@pytest.mark.parametrize("status", ["pending", "failed", "checkout-draft", "trash"])
def test_an_order_that_was_not_placed_is_no_event(status):
    """It waits for its payment, or it never will be paid."""
    assert Connector("woocommerce").take(later(1, status=status), SHOP).events == []


def test_the_stock_of_a_product():
    """Only where the shop manages one; an order that was deleted is taken back."""
    connector = Connector("woocommerce")
    product = sample("woocommerce/product-updated.json")
    assert same(connector.take(product, SHOP).events, EXPECTED[5]["events"])
    for own in ({"manage_stock": False}, {"stock_quantity": None}, {"sku": ""}):
        assert connector.take({**product, **own}, SHOP).events == []
    connector.take(sample(CREATED), SHOP)
    (event,) = connector.take({"id": 727}, SHOP).events
    assert (event["kind"], event["quantity"]) == ("cancelled", 3)


def test_completed_orders_have_left():
    """In plain WooCommerce nothing else says that goods left."""
    connector = Connector("woocommerce", settings=ShopSettings(stock_is="on_hand"))
    connector.take(sample(CREATED), SHOP)
    (event,) = connector.take(later(1, status="completed"), SHOP).events
    assert (event["kind"], event["quantity"]) == ("dispatched", 3)


def test_prices_follow_from_the_line():
    """Some versions give the total of a line alone; numbers come as texts."""
    order = sample(CREATED)
    line = order["line_items"][0]
    line.pop("price")
    line["quantity"] = "3"
    (event,) = Connector("woocommerce").take(order, SHOP).events
    assert event["price"] == 12.5
