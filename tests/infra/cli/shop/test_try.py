"""`tidegate try`: a shop's own orders through a whole Tidegate, on this machine."""

import csv
import json
import os

import pytest

from infra.cli.app import run
from infra.cli.shop import shadow, try_
from infra.cli.shop.findings import findings_of
from infra.connect.guessing.answers import Answers, take_first
from infra.connect.intake import open_intake
from infra.connect.presets import Defaults
from tests.infra.connect.shop_exports import LOCALES, made_lines, plain_export, shopify_export

SKUS = {"0085123", "85123B", "MUG-01", "T-SHIRT/M", "4711"}


def test_a_file_without_orders_is_named(tmp_path, capsys):
    """A catalog alone cannot be played; nor can nothing."""
    (tmp_path / "c.csv").write_text("sku,cost\na,1\n")
    assert run(["try", str(tmp_path / "c.csv"), "--yes"]) == 2
    assert "must hold orders" in capsys.readouterr().err
    assert run(["try"]) == 2
    assert run(["try", str(tmp_path / "c.csv"), "--page", str(tmp_path / "no/where.html")]) == 2
    assert "--page must be" in capsys.readouterr().err
    assert try_.try_ is not None


def test_the_shadow_keeps_to_itself(monkeypatch):
    """Its settings are of its own, with history of years, whatever the live shop's are."""
    monkeypatch.setenv("TIDEGATE_TOPIC_PREFIX", "live.")
    monkeypatch.setenv("TIDEGATE_APPROVAL_AMOUNT", "1")
    settings = shadow.shadow_settings(is_large=False)
    assert settings.partitions == 1
    assert settings.topic_prefix == ""
    assert settings.approval_amount is None
    assert os.environ["TIDEGATE_TOPIC_PREFIX"] == "live."
    assert settings.day_history >= 1_000


@pytest.mark.slow
@pytest.mark.system
def test_orders_stock_and_costs_are_played(tmp_path, capsys, monkeypatch):
    """Three files of a shop: every line is counted, orders are proposed, the page is written."""
    monkeypatch.chdir(tmp_path)
    lines = made_lines(300)
    (tmp_path / "orders.csv").write_bytes(shopify_export(lines, LOCALES[1]))
    with (tmp_path / "items.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [("sku", "cost", "supplier", "lead time"), *((sku, 3, "Lean GmbH", 5) for sku in SKUS)]
        )
    with (tmp_path / "stock.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("SKU", "Available"), *((sku, 4) for sku in SKUS)])
    files = ["orders.csv", "items.csv", "stock.csv"]
    saved = tmp_path / "m.toml"
    assert run(["try", *files, "--yes", "--json", "--save-mapping", str(saved)]) == 0
    report = json.loads(capsys.readouterr().out)
    units = sum(line.units for line in lines)
    assert report["facts"]["order lines"] == f"{len(lines)} of {units} units"
    assert int(report["facts"]["purchase orders"]) > 0
    orders = report["tables"]["What would have been ordered"]
    assert any("Lean GmbH" in one["supplier"] for one in orders)
    assert "Forecasts" in report["tables"]
    assert not [
        text for text in report["tables"].get("Data troubles", []) if "refused" in str(text)
    ]
    assert "<h2>Forecasts</h2>" in (tmp_path / "tidegate-report.html").read_text()
    assert 'column = "Lineitem sku"' in saved.read_text()


def test_troubles_are_listed_by_kind_with_rows(tmp_path):
    """Bad rows, doubles and a lone date stop nothing: the report has them by kind."""
    rows = plain_export(made_lines(200), LOCALES[0]).decode().splitlines()
    rows += [rows[5], rows[6].replace("B", "X", 1)]
    rows.append("B9,01/01/2062 10:00 AM,4711,Cologne,1,5.00,EUR,Shipped")
    rows.append("B10,09/20/2026 10:00 AM,4711,Cologne,x,5.00,EUR,Shipped")
    (tmp_path / "orders.csv").write_text("\n".join(rows))
    answers = Answers(take_first)
    intake = open_intake(tmp_path / "orders.csv", answers)
    played = shadow.Shadow(tmp_path, [(intake, answers)], Defaults())
    records = list(played.records(lambda share, text: None))
    assert {one.topic for one in records} == {"orders", "catalog", "stock"}
    assert [one.occurred_ms for one in records] == sorted(one.occurred_ms for one in records)
    found = findings_of(played, shadow.Found(), None)
    (table,) = [table for table in found.tables if table.title == "Data troubles"]
    said = str(table.rows)
    assert "Qty must be a whole number of units" in said
    assert "the same event twice" in said
    assert "more than a year away" in said
