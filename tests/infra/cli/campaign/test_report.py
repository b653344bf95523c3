"""`tidegate campaign report` in its forms, and what the next check takes from it."""

import csv
import io
import json

import pytest

from infra.cli.app import run

SALE = {
    "campaign_id": "sale",
    "starts_at": "2026-11-11",
    "ends_at": "2026-11-11",
    "currency": "EUR",
    "service": {"orders": 200, "late_orders": 10},
    "lines": [
        {"sku": "A", "baseline_units_per_day": 50, "uplift": 3, "uplift_samples": 1,
         "stock_units": 900, "price": 20, "unit_cost": 12, "actual_units": 200},
        {"sku": "<B>", "baseline_units_per_day": 50, "uplift": 3, "uplift_samples": 1,
         "stock_units": 900, "price": 20, "unit_cost": 12,
         "actual_hours": [{"hour": 0, "units": 90, "planned_units": 150}]},
    ],
}  # fmt: skip


@pytest.fixture
def file(tmp_path):
    """The sale in a file."""
    path = tmp_path / "sale.json"
    path.write_text(json.dumps(SALE))
    return str(path)


def test_the_report_as_text_csv_html_and_json(file, tmp_path, capsys):
    """The same figures in each."""
    assert run(["campaign", "report", file, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["planned_units"], found["actual_units"], found["gap_units"]) == (300, 290, -10)
    assert run(["campaign", "report", file]) == 0
    shown = capsys.readouterr().out
    for words in ("290 units (-10)", "10 of 200 (5.0%)", "plan it higher", "plan it lower"):
        assert words in shown
    assert run(["campaign", "report", file, "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["sku"], row["gap_units"], row["plan"]) for row in rows] == [
        ("A", "50", "50"), ("<B>", "-60", "-60"),
    ]  # fmt: skip
    page = tmp_path / "report.html"
    assert run(["campaign", "report", file, "--format", "html", "-o", str(page)]) == 0
    text = page.read_text()
    assert "&lt;B&gt;" in text
    assert "<B>" not in text


def test_the_next_check_takes_what_was_learned(file, tmp_path, capsys):
    """A sold 4 times the baseline, once planned at 3 times: 3.5 of two."""
    learned = tmp_path / "learned.json"
    assert run(["campaign", "report", file, "--save-next", str(learned)]) == 0
    following = tmp_path / "next.json"
    following.write_text(json.dumps({"lines": [{"sku": "A", "stock_units": 900}]}))
    capsys.readouterr()
    assert run(["campaign", "check", str(following), "--with", str(learned), "--json"]) == 1
    line = json.loads(capsys.readouterr().out)["lines"][0]
    assert (line["uplift"], line["uplift_samples"], line["expected_units"]) == (3.5, 2, 175)
    assert line["expected_units_p90"] > 175


def test_a_report_without_sales_is_refused(tmp_path, capsys):
    """It says which field is missing."""
    path = tmp_path / "plan.json"
    path.write_text('{"lines": [{"sku": "A", "expected_units": 5}]}')
    assert run(["campaign", "report", str(path)]) == 2
    assert "lines[0].actual_units must be given" in capsys.readouterr().err
