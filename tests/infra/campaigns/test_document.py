"""Documents and files of campaigns: dates, tables, workbooks, and what is refused."""

import json

import pytest

from infra.campaigns.columns import EXAMPLE, template_text, write_workbook
from infra.campaigns.document import check_document, merged
from infra.campaigns.files import read_campaign
from infra.connect.faults import FileError
from policy.errors import PolicyInputError
from streams.timestamps import one_time

NOW_MS = one_time("2026-11-01T00:00:00Z")
DATED = {
    "campaign_id": "A",
    "starts_at": "2026-11-11T00:00:00Z",
    "ends_at": "2026-11-12T00:00:00Z",
    "promise_days": 3,
    "capacity": [{"warehouse": "main", "orders_per_day": 5000}],
    "lines": [{"sku": "A", "expected_units": 8000, "stock_units": 5000}],
}


def with_line(**fields):
    """The dated case with other fields of its line."""
    return {**DATED, "lines": [{**DATED["lines"][0], **fields}]}


def test_dates_become_days_from_the_check():
    """Ten days before the start is early enough, six are not."""
    assert check_document(DATED, NOW_MS)["late_notice"] is False
    found = check_document({**DATED, "checked_at": "2026-11-05"}, NOW_MS)
    assert found["late_notice"] is True
    assert found["checked_at"] == "2026-11-05T00:00:00Z"


def test_a_lot_that_expires_before_the_last_order_leaves_does_not_count():
    """The day of `expires_at` is the last on which it is good."""
    lots = [{"units": 1000, "expires_at": "2026-11-12"}, {"units": 500, "expires_at": "2026-11-13"}]
    line = check_document(with_line(lots=lots), NOW_MS)["lines"][0]
    assert line["usable_units"] == 4000  # the last order leaves by the end of the 13th


def test_an_arrival_counts_until_the_promise_ends():
    """By the 14th at 0:00 it can still ship within three days."""
    for day, short in (("2026-11-14", 0), ("2026-11-14T00:00:01Z", 3000)):
        arrivals = [{"quantity": 3000, "expected_at": day}]
        found = check_document(with_line(arrivals=arrivals), NOW_MS)
        assert found["lines"][0]["short_units"] == short


def test_actions_say_by_when_to_begin():
    """Five days of delay before the start on the 11th."""
    extra = [{"kind": "third_party", "orders_per_day": 4000, "start_delay_days": 5}]
    given = {**with_line(stock_units=8000), "capacity": 10, "extra_capacity": extra}
    (action,) = check_document(given, NOW_MS)["actions"]
    assert action["by"] == "2026-11-06T00:00:00Z"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({**DATED, "starts_at": "soon"}, "starts_at must be a time as 2026-11-11T00:00:00"),
        ({**DATED, "ends_at": "2026-11-10"}, "ends_at must be later than starts_at"),
        ({**DATED, "starts_in_days": 3}, "starts_at must be left out where starts_in_days"),
        ({**DATED, "timezone": "Mars"}, "timezone must be the name of a time zone"),
        (with_line(lots=[{"units": 1, "expires_at": 5.5}, {"units": 1, "expires_at": "x"}]),
         "lines[0].lots[1].expires_at must be a time"),
        (with_line(lots="many"), "lines[0].lots must be a list"),
        ([], "the campaign must be an object"),
    ],
)  # fmt: skip
def test_dates_that_are_none_are_refused(given, text):
    """Field, rule and value."""
    with pytest.raises((PolicyInputError, ValueError)) as refused:
        check_document(given, NOW_MS)
    assert text in str(refused.value)


def test_templates_of_all_forms_say_the_same(tmp_path):
    """The table is the JSON without purchases and extra capacity."""
    found = []
    for form in ("json", "csv", "xlsx"):
        path = tmp_path / f"sale-1111.{form}"
        if form == "xlsx":
            write_workbook(path)
        else:
            path.write_text(template_text(form), encoding="utf-8")
        document = read_campaign(path)
        document.pop("extra_capacity", None)
        for line in document["lines"]:
            line.pop("purchases", None)
        found.append(check_document(document, NOW_MS))
    as_json, as_csv, as_xlsx = found
    assert as_csv == as_xlsx == as_json


def test_rows_of_the_same_sku_add_lots_and_arrivals(tmp_path):
    """European numbers, other names of columns, two lots and an arrival; capacity in one row."""
    path = tmp_path / "sale.csv"
    path.write_text(
        "Artikelnummer;Expected units;Bestand;lot_units;lot_blocked;arriving_units;arriving_at;"
        "orders per day;price\n"
        "007;8000;5000;100;yes;;;500;12,50\n"
        "007;;;200;no;;;;\n"
        "007;;;;;1000;2026-11-09;;\n",
        encoding="utf-8",
    )
    document = read_campaign(path)
    (line,) = document["lines"]
    assert (line["sku"], line["price"], len(line["lots"])) == ("007", 12.5, 2)
    assert document["capacity"] == [{"orders_per_day": 500}]
    found = check_document({**document, "starts_at": "2026-11-11"}, NOW_MS)
    assert found["campaign_id"] == "sale"
    assert found["lines"][0]["usable_units"] == 4900
    assert found["lines"][0]["arriving_in_time_units"] == 1000


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("sku,expected_units\nA,many\n", "row 2, expected_units must be a number"),
        ("sku,moon\nA,1\n", "column 'moon' is not one of a campaign"),
        ("expected_units\n5\n", "a column sku must be there"),
        ("sku,expected_units\n", "must hold at least one row"),
        ("sku,expected_units,currency\nA,1,EUR\nB,1,USD\n", "row 3, currency must be 'EUR' as in"),
        ("", "must hold rows"),
        ('{"lines": [], "lines": []}', "lines must stand once"),
        ("[1]", "must hold one campaign"),
        ("{", "must be JSON"),
    ],
)
def test_files_that_are_no_campaign_are_refused(tmp_path, text, complaint):
    """What is wrong, with its place."""
    path = tmp_path / "bad"
    path.write_text(text, encoding="utf-8")
    with pytest.raises((FileError, PolicyInputError)) as refused:
        read_campaign(path)
    assert complaint in str(refused.value)


def test_another_file_adds_capacity_and_stock():
    """Lines join by sku."""
    base = {"campaign_id": "A", "lines": [{"sku": "A", "expected_units": 5}]}
    more = {"capacity": 500, "lines": [{"sku": "A", "stock_units": 9}, {"sku": "B"}]}
    assert merged(base, more) == {
        "campaign_id": "A",
        "capacity": 500,
        "lines": [{"sku": "A", "expected_units": 5, "stock_units": 9}, {"sku": "B"}],
    }


def test_the_example_of_the_template_is_checked():
    """It shows overtime, a third party and a purchase."""
    found = check_document(json.loads(json.dumps(EXAMPLE)), one_time("2026-10-28T00:00:00Z"))
    assert {one["kind"] for one in found["actions"]} >= {"third_party", "purchase_lean"}
    assert found["money"]["best"] == "with_actions"
