"""Orders as JSON, in the shapes of shops and in others."""

import json

import pytest

from infra.connect.faults import FileError
from infra.connect.guessing.answers import refuse
from infra.connect.guessing.json_guess import known_shape
from infra.connect.mapping import parse_mapping
from infra.connect.mapping_text import mapping_text
from tests.infra.connect.guessing.test_guess import events_of, opened
from tests.infra.connect.shop_exports import made_lines, nested_json
from tests.infra.connect.shops.test_connectors import sample

LINES = made_lines()
ORDERS = [json.loads(line) for line in nested_json(LINES).splitlines()]


def wrapped(orders: list) -> bytes:
    return json.dumps({"meta": {"page": 1}, "data": orders}).encode()


def one_list_deeper(orders: list) -> bytes:
    deeper = []
    for order in orders:
        order = dict(order)
        order["cart"] = {"lines": order.pop("positions")}
        deeper.append(order)
    return "\n".join(map(json.dumps, deeper)).encode()


@pytest.mark.parametrize(
    "content",
    [
        nested_json(LINES),
        json.dumps(ORDERS).encode(),
        json.dumps(ORDERS, indent=1).encode(),
        wrapped(ORDERS),
        one_list_deeper(ORDERS),
    ],
    ids=["lines", "array", "indented", "envelope", "deeper"],
)
def test_orders_that_hold_their_lines(tmp_path, content):
    """The list of lines is found, and the fields of both; the zone is there, so nobody is asked."""
    intake = opened(tmp_path / "orders.json", content, ask=refuse)
    events, report = events_of(intake)
    assert not report.faults.listed
    placed = [event for event in events if event["kind"] == "placed"]
    assert sum(event["quantity"] for event in placed) == sum(line.units for line in LINES)
    assert sum(e["quantity"] for e in events if e["kind"] == "cancelled") == sum(
        line.units for line in LINES if line.is_cancelled
    )
    assert "example.org" not in str(events)
    again = parse_mapping(mapping_text(intake.mapping.document))
    assert again.document == intake.mapping.document


def test_flat_order_lines(tmp_path):
    """One object for each line."""
    rows = [{"order": n, "sku": "a", "qty": 2.0, "created": 1794355401} for n in range(3)]
    text = "\n".join(map(json.dumps, rows))
    events, _ = events_of(opened(tmp_path / "lines.jsonl", text, ask=refuse))
    assert [event["quantity"] for event in events] == [2, 2, 2]
    assert events[0]["occurred_at"] == "2026-11-11T00:03:21Z"


@pytest.mark.parametrize(
    ("name", "shape", "kinds"),
    [
        ("shopify/orders-updated.json", "shopify", ["cancelled", "placed"]),
        ("woocommerce/order-created.json", "woocommerce", ["placed"]),
    ],
)
def test_a_shops_own_messages_need_no_mapping(tmp_path, name, shape, kinds):
    """A dump of the API is read as its webhooks are."""
    payload = sample(name)
    assert known_shape(payload) == shape
    content = json.dumps({"orders": [payload, payload]}).encode()
    events, report = events_of(opened(tmp_path / "dump.json", content, ask=refuse))
    assert sorted(event["kind"] for event in events) == kinds
    assert report.rows == 2


def test_events_of_tidegate_and_uci_lines_pass(tmp_path):
    """What `replay` takes is taken here, too; a bad line is refused."""
    event = {
        **{"topic": "stock", "kind": "counted", "event_id": "e", "sku": "a", "level": 3},
        "occurred_at": "2026-11-11T00:00:00Z",
    }
    text = json.dumps(event) + "\n" + json.dumps({**event, "level": -1}) + "\n"
    events, report = events_of(opened(tmp_path / "e.jsonl", text))
    assert len(events) == 1
    assert report.faults.count == 1
    line = {
        **{"type": "order", "event_id": "e", "sku": "a", "quantity": 3, "order_id": "1"},
        "occurred_at": "2026-11-11T00:00:00Z",
    }
    events, _ = events_of(opened(tmp_path / "u.jsonl", json.dumps(line) + "\n" + json.dumps(line)))
    assert [event["kind"] for event in events] == ["placed"]


def test_json_without_orders_says_what_is_missing(tmp_path):
    """The error names the fields that there are."""
    with pytest.raises(FileError, match=r"\$\.colour"):
        opened(tmp_path / "a.json", json.dumps([{"colour": "red", "size": 3}]))


@pytest.mark.parametrize(
    ("row", "preset", "kind"),
    [
        ({"sku": "a", "stock": 7}, "counts", "counted"),
        ({"article": {"sku": "a"}, "cost": "2.50", "leadTimeDays": 4}, "catalog", "item"),
    ],
)
def test_other_files_as_json(tmp_path, row, preset, kind):
    """Stock and items come as JSON, too."""
    intake = opened(tmp_path / "a.json", json.dumps([row]), ask=refuse)
    assert intake.preset == preset
    assert [event["kind"] for event in events_of(intake)[0]] == [kind]
