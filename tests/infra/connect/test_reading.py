"""Rows to events: what is taken, what is refused, and what is left out."""

import io
import json
from pathlib import Path

import pytest

from infra.connect.faults import Faults, guarded
from infra.connect.guessing.answers import Answers, refuse, take_first
from infra.connect.intake import Wishes, open_intake
from infra.connect.mapping import load_mapping
from infra.connect.reading import Report
from tests.infra.connect.guessing.test_guess import AT, events_of, opened

SAMPLES = Path(__file__).parent / "samples"


def test_the_sample_of_a_catalog(tmp_path):
    """A German catalog: a destroyed sku and a cost that is none are refused, with row and rule."""
    mapping = load_mapping(SAMPLES / "files/mapping-catalog.toml")
    path = SAMPLES / "files/catalog-de.csv"
    intake = open_intake(path, Answers(refuse), Wishes(mapping=mapping))
    events, report = events_of(intake)
    (expected,) = json.loads((SAMPLES / "files/expected.json").read_text())
    for event, wanted in zip(events, expected["events"], strict=True):
        ids = event.pop("event_id"), wanted.pop("event_id")
        assert ids[0].rpartition("/")[0] == ids[1].rpartition("/")[0]
        assert event == wanted
    assert [fault.public() for fault in report.faults.listed] == [
        {name: one[name] for name in ("row", "line", "column", "value", "rule")}
        for one in expected["report"]["refused"]
    ]
    assert (report.rows, report.taken) == (4, 2)
    assert report.noticed_examples == {"leading zeros kept": ["0085123"]}


def test_a_second_import_has_the_same_ids(tmp_path):
    """Ids are made of what the rows say: the shop counts each once, whenever it was imported."""
    text = "Order,SKU,Qty,Date\n1,a,2,2026-11-09T10:00:00Z\n2,a,1,2026-11-10T10:00:00Z\n"
    first, _ = events_of(opened(tmp_path / "a.csv", text))
    rows = text.splitlines()
    reversed_rows = "\n".join([rows[0], *rows[:0:-1]])
    again, _ = events_of(opened(tmp_path / "b.csv", reversed_rows))
    assert first == again


def test_a_count_is_new_with_its_file(tmp_path):
    """The same level in Monday's and in Wednesday's file is two counts; the same file is one."""
    monday, _ = events_of(opened(tmp_path / "stock.csv", "SKU,Stock\na,10\nb,3\n"))
    same, _ = events_of(opened(tmp_path / "stock.csv", "SKU,Stock\na,10\nb,3\n"))
    wednesday, _ = events_of(opened(tmp_path / "stock.csv", "SKU,Stock\na,10\nb,2\n"))
    assert monday == same
    assert not {e["event_id"] for e in monday} & {e["event_id"] for e in wednesday}


def test_a_thousand_faults_are_one_line_for_each_kind(tmp_path):
    """The report is short; the file of refused rows has each, with a repaired copy where safe."""
    rows = ["Order,SKU,Qty,Price,Date,Email"]
    for number in range(1_000):
        quantity = ("2", "2,5x", "-", "2.5")[number % 4]
        price = ("12.50", "12,50")[number % 2]
        sku = "" if number % 7 == 0 else f"S{number % 5}"
        rows.append(f'{number},{sku},{quantity},"{price}",2026-11-09T10:00:00Z,x@example.org')
    path = tmp_path / "bad.csv"
    path.write_text("\n".join(rows))
    given = {"--decimal": "."}
    columns = {"quantity": "Qty", "price": "Price"}
    intake = open_intake(path, Answers(take_first, given), Wishes(preset="orders", columns=columns))
    refused = io.StringIO()
    report = Report(Faults(refused, intake.columns()))
    list(intake.records(report, at=AT, latest_ms=None))
    kinds = {(kind.column, kind.rule): kind.count for kind in report.faults.by_kind()}
    assert len(kinds) <= 4
    assert sum(kinds.values()) >= 750
    text = refused.getvalue()
    assert text.count("\n") == sum(kinds.values()) + 1
    assert "12.50" in text
    assert "example.org" not in text


def test_rows_that_are_no_goods_are_left_out(tmp_path):
    """Shipping, gift cards and lines without a sku are counted by reason, and are no faults."""
    text = (
        "Order,SKU,Item,Qty,Date\n1,a,Mug,2,2026-11-09T10:00:00Z\n1,,Mug,1,2026-11-09T10:00:00Z\n"
        "1,SHIP,Shipping,1,2026-11-09T10:00:00Z\n1,G25,Gift card 25,1,2026-11-09T10:00:00Z\n"
        "1,a,Mug,0,2026-11-09T10:00:00Z\n"
    )
    events, report = events_of(opened(tmp_path / "orders.csv", text))
    assert len(events) == 1
    assert report.left_out == {"empty_sku": 1, "shipping": 1, "gift_card": 1, "no_units": 1}
    assert not report.faults.listed


def test_the_same_row_twice_counts_once(tmp_path):
    """Files that were put together repeat orders; the report says how many."""
    text = "Order,SKU,Qty,Date\n1,a,2,2026-11-09T10:00:00Z\n1,a,2,2026-11-09T10:00:00Z\n"
    path = tmp_path / "orders.csv"
    path.write_text(text)
    intake = open_intake(path, Answers(take_first))
    from infra.connect.sorting import in_order_of_time

    report = Report(Faults())
    records = intake.records(report, at=AT, latest_ms=None)
    assert len(list(in_order_of_time(records, on_same=report.same))) == 1
    assert report.left_out == {"same_event_twice": 1}


def test_negative_units_take_back(tmp_path):
    """A row of -2 is a cancellation of two."""
    text = "Order,SKU,Qty,Date\nC1,a,-2,2026-11-09T10:00:00Z\n"
    events, _ = events_of(opened(tmp_path / "orders.csv", text))
    assert [(event["kind"], event["quantity"]) for event in events] == [("cancelled", 2)]


@pytest.mark.parametrize("stock_is", ["available", "on_hand"])
def test_the_shopify_export(stock_is):
    """The sample's three rows; dispatches only where the stock is what lies on the shelf."""
    wishes = Wishes(source="shopify:example-shop.example/export", stock_is=stock_is)
    intake = open_intake(SAMPLES / "shopify/orders-export.csv", Answers(refuse), wishes)
    events, report = events_of(intake)
    (expected,) = json.loads((SAMPLES / "shopify/expected-2.json").read_text())
    orders = [event for event in events if event["topic"] == "orders"]
    assert sorted(orders, key=str) == sorted(expected["events"], key=str)
    dispatched = [event for event in events if event["kind"] == "dispatched"]
    assert len(dispatched) == (2 if stock_is == "on_hand" else 0)
    assert not report.faults.listed


def test_suppliers_of_an_item_become_one_line(tmp_path):
    """The cheaper one is lean, the faster one flexible, whatever their order."""
    text = "SKU,Supplier,Cost,Lead time\na,Fast,8,2\na,Slow,6,9\na,Third,9,5\nb,Only,5,4\n"
    events, report = events_of(opened(tmp_path / "s.csv", text, preset="suppliers"))
    lines = {event["sku"]: event for event in events}
    assert (lines["a"]["supplier_lean"], lines["a"]["supplier_flexible"]) == ("Slow", "Fast")
    assert (lines["a"]["unit_cost_flexible"], lines["a"]["lead_time_days_flexible"]) == (8, 2)
    assert lines["b"]["unit_cost_flexible"] == pytest.approx(6.5)
    assert report.left_out == {"third_supplier": 1}


def test_no_cell_of_a_report_is_a_formula():
    """A refused file is opened in a spreadsheet."""
    assert guarded("=cmd()") == "'=cmd()"
    assert guarded("-12,50") == "-12,50"
