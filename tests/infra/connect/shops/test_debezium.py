"""Change events of a database: every form of an envelope, decimal and time."""

import copy

import pytest

from infra.connect.shops.connectors import Connector
from infra.connect.shops.debezium import decimal_of, time_text, unwrap
from infra.connect.shops.payloads import About, PayloadError
from tests.infra.connect.shops.test_connectors import sample


@pytest.mark.parametrize(
    ("text", "scale", "number"), [("BOI=", 2, 12.5), ("/w==", 0, -1.0), ("AQ==", 3, 0.001)]
)
def test_decimals_of_kafka_connect(text, scale, number):
    """Base64 of a big-endian number; the scale stands in the schema."""
    assert decimal_of(text, scale) == number


def test_a_decimal_without_its_scale_is_refused():
    """Without a schema base64 is no price: the fault names what would help."""
    change = sample("debezium/c.json")
    change["after"]["price"] = "BOI="
    (fault,) = Connector("debezium").take(change).refused
    assert fault["field"] == "price"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1794355401, "2026-11-11T00:03:21Z"),
        (1794355401284, "2026-11-11T00:03:21.284Z"),
        (1794355401284000, "2026-11-11T00:03:21.284Z"),
        ("2026-11-11 00:03:21", "2026-11-11T00:03:21Z"),
    ],
)
def test_times_in_the_unit_that_their_digits_show(value, text):
    """A column of a database may be seconds, milli- or microseconds."""
    assert time_text("created_at", value) == text


def test_a_flattened_row_is_read():
    """ExtractNewRecordState leaves no envelope; a delete is a field."""
    row = {**sample("debezium/c.json")["after"], "__op": "c", "__source_ts_ms": 1794355401284}
    connector = Connector("debezium", shop="shop")
    assert [event["quantity"] for event in connector.take(row).events] == [3]
    gone = {**row, "__deleted": "true", "__source_ts_ms": 1794359401000}
    assert [event["kind"] for event in connector.take(gone).events] == ["cancelled"]
    with pytest.raises(PayloadError, match="__source_ts_ms"):
        unwrap({"__op": "c", "id": 1}, About())


def test_a_status_of_a_row_cancels_its_line():
    """The column is found by its name."""
    connector = Connector("debezium")
    connector.take(sample("debezium/c.json"))
    change = copy.deepcopy(sample("debezium/u.json"))
    change["after"] |= {"quantity": 3, "status": "cancelled"}
    assert [event["quantity"] for event in connector.take(change).events] == [3]


def test_a_table_of_stock_is_counted():
    """Rows without an order are levels; each warehouse is a row."""
    change = sample("debezium/c.json")
    change["after"] = {"id": 4, "sku": "lamp", "quantity": 12, "warehouse": "north"}
    (event,) = Connector("debezium").take(change).events
    assert (event["kind"], event["level"], event["warehouse"]) == ("counted", 12, "north")


@pytest.mark.parametrize("op", ["t", "m"])
def test_what_is_no_change_of_a_row_is_nothing(op):
    """Truncates and messages."""
    assert unwrap({"op": op, "source": {"ts_ms": 1}}, About()) is None


def test_a_row_that_is_not_understood_says_what_is_missing():
    """A mapping says which column is which."""
    change = sample("debezium/c.json")
    change["after"] = {"a": 1, "b": 2}
    (fault,) = Connector("debezium").take(change).refused
    assert "--mapping" in fault["rule"]
