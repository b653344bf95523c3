"""What a file is and what its columns are, found out or asked."""

import csv
import io
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import msgspec
import pytest
from openpyxl import Workbook

from infra.connect.faults import Faults, FileError
from infra.connect.files import ReadOptions
from infra.connect.guessing.answers import Answers, UnansweredError, refuse, take_first
from infra.connect.guessing.headers import is_personal, name_score
from infra.connect.intake import Intake, Wishes, open_intake
from infra.connect.reading import Report
from infra.connect.sorting import in_order_of_time
from infra.replay.faults import occurred_ms
from tests.infra.connect.shop_exports import (
    EXPORTS,
    LOCALES,
    Line,
    made_lines,
    shopify_export,
)

AT = "2026-11-11T00:00:00Z"


def events_of(intake: Intake) -> tuple[list[dict], Report]:
    """Read a file to its end."""
    report = Report(Faults())
    records = in_order_of_time(intake.records(report, at=AT, latest_ms=None))
    events = [{"topic": one.topic, **msgspec.json.decode(one.value)} for one in records]
    return events, report


def opened(path: Path, content: bytes | str, *, ask=take_first, given=None, **wishes) -> Intake:
    """Write a file and open it."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return open_intake(path, Answers(ask, given or {}), Wishes(**wishes))


def meaning(line: Line, decimals: int = 2) -> tuple:
    """What an event of a line has to say."""
    at_ms = int(line.at.timestamp() * 1000)
    return (str(line.order), at_ms, line.sku, line.units, round(line.price, decimals))


@pytest.mark.parametrize("locale", LOCALES, ids=lambda one: one.name)
@pytest.mark.parametrize("shop", EXPORTS)
def test_twelve_exports_give_the_same_events(tmp_path, shop, locale):
    """Three shops in four locales write the same order lines; only the zone has to be said."""
    lines = made_lines()
    given = {"--timezone": locale.zone, "--encoding": locale.encoding}
    options = ReadOptions(encoding=locale.encoding if shop == "plain" else None)
    path = tmp_path / f"{shop}-{locale.name}.csv"
    intake = opened(path, EXPORTS[shop](lines, locale), given=given, ask=refuse, options=options)
    events, report = events_of(intake)
    assert not report.faults.listed, report.faults.listed[:3]
    placed = [
        (
            event["order_id"].lstrip("B").removeprefix("500"),
            occurred_ms(event["occurred_at"]),
            *(event["sku"], event["quantity"], event["price"]),
        )
        for event in events
        if event["kind"] == "placed"
    ]
    assert sorted(placed) == sorted(map(meaning, lines))
    cancelled = sum(line.units for line in lines if line.is_cancelled)
    assert sum(e["quantity"] for e in events if e["kind"] == "cancelled") == cancelled
    assert all(event.get("currency", "EUR") == "EUR" for event in events)


def table(delimiter: str, *rows: tuple) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return text.getvalue()


OTHER_SHOPS = {
    "amazon": table(
        "\t",
        (
            "amazon-order-id",
            "purchase-date",
            "order-status",
            "product-name",
            "sku",
            "asin",
            "quantity",
            "currency",
            "item-price",
            "ship-city",
        ),
        (1, "2026-11-01T10:00:00+00:00", "Shipped", "Mug", "MUG-1", "B01", 2, "USD", 12.5, "X"),
        (2, "2026-11-02T10:00:00+00:00", "Cancelled", "Mug", "MUG-1", "B01", 1, "USD", 12.5, "X"),
    ),
    "ebay": table(
        ",",
        (
            "Sales Record Number",
            "Order Number",
            "Buyer Username",
            "Item Number",
            "Item Title",
            "Custom Label",
            "Quantity",
            "Sold For",
            "Total Price",
            "Sale Date",
            "Status",
        ),
        (1, "01-1", "bob", 2541, "Mug", "MUG-1", 2, "$12.50", "$25.00", "Nov-01-26", "Paid"),
        (2, "01-2", "al", 2541, "Mug", "MUG-1", 1, "$12.50", "$12.50", "Nov-02-26", "Canceled"),
    ),
    "prestashop": table(
        ";",
        (
            "id_order",
            "reference",
            "product_reference",
            "product_name",
            "product_quantity",
            "unit_price_tax_incl",
            "date_add",
            "current_state",
        ),
        (1, "ABC", "MUG-1", "Tasse", 2, "12.500000", "2026-11-01 10:00:00", "Livré"),
        (2, "ABD", "MUG-1", "Tasse", 1, "12.500000", "2026-11-02 10:00:00", "Annulé"),
    ),
    "taobao": table(
        ",",
        (
            "订单编号",
            "买家会员名",
            "订单状态",
            "收货地址",
            "订单创建时间",
            "宝贝标题",
            "商家编码",
            "购买数量",
            "商品单价",
        ),
        ('="1"', "bob", "交易成功", "北京", "2026-11-01 10:00:00", "杯子", "MUG-1", 2, "12.50"),
        ('="2"', "al", "交易关闭", "上海", "2026-11-02 10:00:00", "杯子", "MUG-1", 1, "12.50"),
    ),
    "magento": table(
        ",",
        (
            "Order #",
            "Purchased On",
            "SKU",
            "Product Name",
            "Qty Ordered",
            "Qty Refunded",
            "Price",
            "Status",
        ),
        ("01", "Nov 1, 2026, 10:00:00 AM", "MUG-1", "Mug", "2.0000", "0.0000", "12.5000", "done"),
        ("02", "Nov 2, 2026, 10:00:00 AM", "MUG-1", "Mug", "1.0000", "1.0000", "12.5000", "new"),
    ),
    "uci": table(
        ",",
        (
            "InvoiceNo",
            "StockCode",
            "Description",
            "Quantity",
            "InvoiceDate",
            "UnitPrice",
            "CustomerID",
        ),
        ("1", "MUG-1", "MUG", 2, "12/1/2010 8:26", "12.50", 17850),
        ("2", "MUG-1", "MUG", 1, "12/13/2010 8:26", "12.50", 17850),
        ("C3", "MUG-1", "MUG", -1, "12/14/2010 8:26", "12.50", 17850),
    ),
}


@pytest.mark.parametrize("shop", OTHER_SHOPS)
def test_exports_of_other_shops(tmp_path, shop):
    """Two orders of three units of one item, of which one unit is taken back."""
    events, report = events_of(opened(tmp_path / "orders.csv", OTHER_SHOPS[shop]))
    assert not report.faults.listed
    assert {event["sku"] for event in events} == {"MUG-1"}
    units = dict.fromkeys(("placed", "cancelled"), 0)
    for event in events:
        units[event["kind"]] += event["quantity"]
    assert units == {"placed": 3, "cancelled": 1}
    assert {event["price"] for event in events if event["kind"] == "placed"} == {12.5}


def test_nothing_of_a_person_is_read(tmp_path):
    """Names, addresses and mails are in no mapping, no event and no refused row."""
    lines = made_lines()
    for shop, make in EXPORTS.items():
        intake = opened(tmp_path / f"{shop}.csv", make(lines, LOCALES[0]))
        assert not any(map(is_personal, intake.columns()))
        events, _ = events_of(intake)
        assert "example.org" not in str(events)
        assert "Zoë" not in str(events)


@pytest.mark.parametrize(
    ("header", "role"),
    [
        ("Artikelnummer", "sku"),
        ("Réf. produit", "sku"),
        ("Código", "sku"),
        ("商品编码", "sku"),
        ("lineItemSku", "sku"),
        ("Bestellmenge", "quantity"),
        ("Qté", "quantity"),
        ("Order Date (UTC)", "placed_at"),
        ("Lieferzeit (Tage)", "lead_time_days"),
        ("EK-Preis", "unit_cost"),
        ("Cost per item", "unit_cost"),
        ("MOQ", "minimum_order_units"),
    ],
)
def test_names_of_columns_in_several_languages(header, role):
    """A name means the field that scores best."""
    assert name_score(role, header) >= 0.5


def test_what_is_not_certain_is_asked(tmp_path):
    """Encoding, zone, order of dates and decimal sign: nobody guesses in silence."""
    latin = "Order,SKU,Größe,Qty,Date\n1,a,ß,2,2026-11-09T10:00:00Z\n".encode("cp1252")
    cases = {
        "--encoding": latin,
        "--timezone": "Order,SKU,Qty,Date\n1,a,2,2026-11-09 10:00\n",
        "--date-order": "Order,SKU,Qty,Date\n1,a,2,03/04/2026 10:00 UTC\n",
        "--decimal": 'Order,SKU,Qty,Price,Date\n1,a,2,"1,234",2026-11-09T10:00:00Z\n',
    }
    for flag, content in cases.items():
        with pytest.raises(UnansweredError, match=flag):
            opened(tmp_path / "orders.csv", content, ask=refuse)
        answers = Answers(take_first)
        intake = open_intake(tmp_path / "orders.csv", answers)
        assert any(flag in line for line in answers.taken)
        assert len(events_of(intake)[0]) == 1


def test_numbers_as_skus_are_asked_for(tmp_path):
    """A workbook that holds numbers may have lost zeros: with a width they come back."""
    book = Workbook()
    book.active.append(["SKU", "Stock"])
    book.active.append([85123, 4])
    book.save(tmp_path / "stock.xlsx")
    with pytest.raises(UnansweredError, match="--sku-width"):
        open_intake(tmp_path / "stock.xlsx", Answers(refuse))
    intake = open_intake(tmp_path / "stock.xlsx", Answers(refuse, {"--sku-width": "7"}))
    assert [event["sku"] for event in events_of(intake)[0]] == ["0085123"]


def test_dates_and_formats_of_a_workbook(tmp_path):
    """Real dates, numbers of days, and a format that shows zeros are read as they look."""
    book = Workbook()
    sheet = book.active
    sheet.append(["Orders of our shop"])
    sheet.append([])
    sheet.append(["Order", "Item no", "Quantity", "Order date"])
    sheet.append(["1", 85123, 2, datetime(2026, 11, 9, 10, 0)])
    sheet.append(["2", 4711, 1.0, 46337.5])
    for row in (4, 5):
        sheet.cell(row, 2).number_format = "0000000"
    book.save(tmp_path / "orders.xlsx")
    intake = open_intake(tmp_path / "orders.xlsx", Answers(refuse, {"--timezone": "UTC"}))
    events, report = events_of(intake)
    assert not report.faults.listed
    assert [(event["sku"], event["occurred_at"]) for event in events] == [
        ("0085123", "2026-11-09T10:00:00Z"),
        ("0004711", "2026-11-11T12:00:00Z"),
    ]


def test_a_table_without_orders_ids_counts_every_row(tmp_path):
    """A list of sales has no ids: two same rows are two sales, and a longer file repeats them."""
    text = "date,sku,qty\n2026-11-09,a,1\n2026-11-09,a,1\n"
    first, _ = events_of(opened(tmp_path / "sales.csv", text))
    longer, _ = events_of(opened(tmp_path / "sales2.csv", text + "2026-11-10,a,1\n"))
    assert len({event["event_id"] for event in first}) == 2
    assert {event["event_id"] for event in first} < {event["event_id"] for event in longer}


def test_a_shop_without_skus_is_read_by_its_names(tmp_path):
    """Shopify does not ask for skus; without any, products are items, and the report says so."""
    lines = [replace(line, sku="") for line in made_lines()]
    path = tmp_path / "orders.csv"
    path.write_bytes(shopify_export(lines, LOCALES[0]))
    answers = Answers(refuse)
    events, _ = events_of(open_intake(path, answers))
    assert {event["sku"] for event in events} == {line.name for line in lines}
    assert any("Lineitem sku is empty" in text for text in answers.taken)


def test_the_inventory_export_of_shopify(tmp_path):
    """Several figures stand beside each other; available is what webhooks say, too."""
    text = (
        "Handle,Title,SKU,Location,Incoming (not editable),Unavailable (not editable),"
        "Committed (not editable),Available (not editable),On hand (current),On hand (new)\n"
        "mug,Mug,MUG-1,Shop,0,1,2,37,40,\n"
    )
    intake = opened(tmp_path / "inventory.csv", text)
    (event,) = events_of(intake)[0]
    assert (event["kind"], event["sku"]) == ("counted", "MUG-1")
    assert event["level"] == 37


def test_a_column_that_is_not_found_is_said(tmp_path):
    """The error says how; the flag overrides a guess."""
    text = "when,thing,much\n2026-11-09T10:00:00Z,a,1\n"
    with pytest.raises(FileError, match="--preset"):
        opened(tmp_path / "odd.csv", text)
    with pytest.raises(FileError, match="--column sku=NAME"):
        opened(tmp_path / "odd.csv", text, preset="orders")
    columns = {"sku": "thing", "quantity": "much", "placed_at": "when"}
    intake = opened(tmp_path / "odd.csv", text, preset="orders", columns=columns)
    assert len(events_of(intake)[0]) == 1


def test_a_mapping_for_another_file_is_named(tmp_path):
    """A column that is not there is said once, with the one that was meant."""
    text = "Order,SKU,Qty,Date\n1,a,2,2026-11-09T10:00:00Z\n"
    mapping = opened(tmp_path / "a.csv", text).mapping
    with pytest.raises(FileError, match=r"no column 'Qty' \(did you mean 'Qtys'\?\)"):
        opened(tmp_path / "b.csv", text.replace("Qty", "Qtys"), mapping=mapping)


@pytest.mark.parametrize(
    ("header", "preset"),
    [
        ("sku,cost,lead time", "catalog"),
        ("Variant SKU,Variant Inventory Qty,Variant Price,Cost per item", "catalog"),
        ("SKU,Available", "counts"),
        ("campaign,sku,start,end,expected units", "campaigns"),
        ("Order ID,SKU,Quantity,Order Date", "orders"),
    ],
)
def test_the_kind_of_a_file_is_recognised(tmp_path, header, preset):
    """Several files can be given to `try` without saying what each is."""
    day = "2026-11-09T10:00:00Z"
    values = {"sku": "a", "start": day, "end": "2026-11-12T10:00:00Z", "Order Date": day}
    row = ",".join(values.get(name, "a" if "SKU" in name else "3") for name in header.split(","))
    intake = opened(tmp_path / "file.csv", f"{header}\n{row}\n")
    assert intake.preset == preset


def test_costs_follow_from_the_margin(tmp_path):
    """A catalog without costs has them from its prices, by a share that can be said."""
    events, _ = events_of(opened(tmp_path / "c.csv", "sku,price\na,10\n", preset="catalog"))
    assert events[0]["unit_cost_lean"] == 5
    text = "sku,price,cost\na,10,\nb,10,4\n"
    events, _ = events_of(opened(tmp_path / "c.csv", text, preset="catalog"))
    assert [event["unit_cost_lean"] for event in events] == [5, 4]


def test_the_sample_of_the_readme_asks_nothing(request):
    """The first command of a newcomer: 300 orders of a made-up shop."""
    path = Path(request.config.rootpath, "infra/connect/sample-orders.csv")
    events, report = events_of(open_intake(path, Answers(refuse)))
    assert len({event["order_id"] for event in events}) == 300
    assert not report.faults.listed
    assert set(report.left_out) == {"gift_card"}
