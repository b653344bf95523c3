"""What `try` makes up: from the orders and stated defaults alone."""

import json
from collections import Counter

from infra.connect.assumed import (
    Sales,
    assumed_records,
    in_one_warehouse,
    in_shadow,
    opening_in_words,
)
from infra.connect.presets import Defaults
from infra.replay.faults import Record
from streams.timestamps import DAY_MS


def order(sku: str, day: int, units: int, price: float | None = 10.0, **own) -> Record:
    fields = {"kind": "placed", "quantity": units, **own}
    if price is not None:
        fields["price"] = price
    return Record("orders", sku.encode(), json.dumps(fields).encode(), day * DAY_MS)


def made(*records: Record, **known) -> list[dict]:
    sales = Sales()
    for record in records:
        sales.add(record)
    return [
        {"topic": one.topic, "at": one.occurred_ms, **json.loads(one.value)}
        for one in assumed_records(sales, Defaults(), **known)
    ]


def test_an_item_gets_costs_and_an_opening_stock():
    """Costs follow from the mean price; the stock opens just before the first order."""
    item, count = made(order("a", 20_000, 2), order("a", 20_028, 2, 30.0))
    assert (item["topic"], item["unit_cost_lean"], item["assume_received"]) == ("catalog", 10, True)
    assert (count["topic"], count["level"]) == ("stock", 2)
    assert count["at"] == 20_000 * DAY_MS - 1_000
    assert "10" not in opening_in_words(Defaults())[0]


def test_what_the_files_say_is_not_made_up():
    """An item with a catalog line and a count of its own needs nothing."""
    known = {"known_items": {("a", "main")}, "counted_items": {("a", "main")}}
    assert made(order("a", 20_000, 2), **known) == []


def test_warehouses_are_items_of_their_own():
    """The same sku in two warehouses has two stocks."""
    kinds = Counter(
        one.get("warehouse", "main")
        for one in made(order("a", 20_000, 1), order("a", 20_000, 1, warehouse="n"))
    )
    assert kinds == {"main": 2, "n": 2}


def test_a_lone_date_does_not_stretch_the_history():
    """One order of the year 2062 is a typing error; a gap of half a year is a closed shop."""
    sales = Sales()
    for day in [*range(20_000, 20_200), 33_000]:
        sales.add(order("a", day, 1))
    assert sales.bounds_ms() == (20_000 * DAY_MS, 20_200 * DAY_MS)
    sales.add(order("a", 20_400, 1))
    assert sales.bounds_ms()[1] == 20_401 * DAY_MS


def test_a_catalog_line_is_made_ready_for_the_shadow():
    """Nobody confirms arrivals there; other events stay as they are."""
    record = Record("catalog", b"a", b'{"kind":"item","sku":"a"}', 0)
    assert json.loads(in_shadow(record).value)["assume_dispatched"] is True
    count = Record("stock", b"a", b'{"kind":"counted"}', 0)
    assert in_shadow(count) is count


def test_levels_of_all_places_are_summed():
    """Orders that name no place draw on all of them."""
    records = [
        Record("stock", b"a", json.dumps({"kind": "counted", "level": n, **own}).encode(), 5)
        for n, own in ((3, {"warehouse": "x"}), (4, {"warehouse": "y"}))
    ]
    (made_one,) = in_one_warehouse(records)
    assert json.loads(made_one.value) == {"kind": "counted", "level": 7}
