"""Every sample of a shop's messages gives its expected events."""

import json
import random
from pathlib import Path

import pytest

from infra.connect.mapping import load_mapping
from infra.connect.shops.connectors import SOURCES, Connector
from infra.connect.shops.payloads import ShopSettings
from infra.replay.faults import occurred_ms

SAMPLES = Path(__file__).parents[1] / "samples"


def sample(name: str):
    return json.loads((SAMPLES / name).read_text())


def same(events: list[dict], expected: list[dict]) -> bool:
    """Whether events are the expected ones; a time may be written in another way."""
    return sorted(map(plain, events), key=str) == sorted(map(plain, expected), key=str)


def plain(event: dict) -> dict:
    times = {
        name: occurred_ms(event[name]) for name in ("occurred_at", "promised_by") if name in event
    }
    return dict(sorted({**event, **times}.items()))


@pytest.mark.parametrize(
    ("kind", "folder", "files", "place"),
    [
        ("debezium", "debezium", ["r.json", "c.json", "c-with-schema.json", "c.json"], 0),
        ("outbox", "debezium", ["outbox.json"], 3),
        ("amazon", "other-shops", ["amazon-order-change.json"], 0),
        ("shopware", "other-shops", ["shopware-order-placed.json"], 2),
        ("mapping", "own-topic", ["order.json"], 0),
    ],
)
def test_messages_give_their_expected_events(kind, folder, files, place):
    """The events of the samples, each once."""
    mapping = load_mapping(SAMPLES / "own-topic/mapping.toml") if kind == "mapping" else None
    connector = Connector(kind, mapping=mapping)
    outcomes = [connector.take(sample(f"{folder}/{name}")) for name in files]
    assert not [fault for outcome in outcomes for fault in outcome.refused]
    events = [event for outcome in outcomes for event in outcome.events]
    assert same(events, sample(f"{folder}/expected.json")[place]["events"])


def test_debezium_rows_are_edited_and_deleted():
    """A delete names the key alone; sku and units come from the ledger. A tombstone is nothing."""
    connector = Connector("debezium")
    connector.take(sample("debezium/c.json"))
    expected = sample("debezium/expected.json")
    assert same(connector.take(sample("debezium/u.json")).events, expected[1]["events"])
    assert same(connector.take(sample("debezium/d.json")).events, expected[2]["events"])
    assert connector.take(None).events == []
    assert connector.take(sample("debezium/u.json")).events == []


def test_bigcommerce_names_only_an_id():
    """The order has to be fetched."""
    outcome = Connector("bigcommerce").take(sample("other-shops/bigcommerce-order-created.json"))
    assert outcome.events == []
    assert outcome.fetch == ["/v2/orders/250", "/v2/orders/250/products"]


def test_what_is_refused_names_field_and_value_and_stops_nothing():
    """A missing field, a wrong type, too many units; the next message goes on."""
    mapping = load_mapping(SAMPLES / "own-topic/mapping.toml")
    order = sample("own-topic/order.json")
    line = order["items"][0]
    bad = [
        ({**order, "items": [{"pos": 1, "qty": "3"}]}, "sku"),
        ({**order, "items": [{**line, "qty": "three"}]}, "@.qty"),
        ({**order, "items": [{**line, "qty": 1_000_001}]}, "quantity"),
        ({**order, "placedAt": 1_794_355_401}, "occurred_at"),
        ("text", "the record"),
    ]
    connector = Connector("mapping", mapping=mapping)
    for payload, field in bad:
        (fault,) = connector.take(payload).refused
        assert fault["field"] == field
    assert len(connector.take(order).events) == 1


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("payload", [None, [], "text", {}, {"id": None}, {"data": 3}, 7])
def test_no_message_stops_a_source(kind, payload):
    """Whatever comes is taken, left out or refused."""
    assert Connector(kind).take(payload).events == []


STRANGE = [None, "", 0, -1, 1.5, float("nan"), 1e400, "x", [], {}, True, "2026-13-40", 10**30]
DOCUMENTS = {
    "shopify": ["shopify/orders-updated.json", "shopify/inventory-levels-update.json"],
    "woocommerce": ["woocommerce/order-updated.json", "woocommerce/product-updated.json"],
    "debezium": ["debezium/c-with-schema.json", "debezium/u.json"],
    "outbox": ["debezium/outbox.json"],
    "amazon": ["other-shops/amazon-order-change.json"],
}


def places(value, path=()):
    """Every place of a document."""
    yield path
    if isinstance(value, dict | list):
        for name in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[name], (*path, name))


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_strange_value_at_any_place_is_refused_by_name(kind):
    """Whatever stands in a field, the message is taken or refused, and never a fault of ours."""
    chance = random.Random(7)
    for _ in range(150):
        document = sample(chance.choice(DOCUMENTS[kind]))
        *path, last = chance.choice([path for path in places(document) if path])
        inner = document
        for name in path:
            inner = inner[name]
        inner[last] = chance.choice(STRANGE)
        for fault in Connector(kind).take(document).refused:
            assert fault["field"] != "the message", (path, last, inner[last], fault)


def test_a_source_that_is_not_known_is_named():
    """The error lists the sources."""
    with pytest.raises(ValueError, match="shopify"):
        Connector("klarna", settings=ShopSettings())
