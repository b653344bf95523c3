"""`tidegate campaign check` from the command line."""

import io
import json

import pytest

from infra.cli.app import run
from infra.cli.campaign.commands import campaign

KNOWN = {
    "campaign_id": "A",
    "promise_days": 3,
    "capacity": [{"warehouse": "main", "orders_per_day": 500}],
    "lines": [{"sku": "A", "expected_units": 8000, "stock_units": 5000}],
}


@pytest.fixture
def file(tmp_path):
    """The known case in a file."""
    path = tmp_path / "sale.json"
    path.write_text(json.dumps(KNOWN))
    return str(path)


def test_the_known_case_for_programs(file, capsys):
    """One JSON object with the fields that were agreed on; exit code 1: not feasible."""
    assert run(["campaign", "check", file, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert set(found) >= {"campaign_id", "verdict", "binding_constraint", "ship_days_needed",
                          "promise_days", "largest_feasible_units", "late_notice", "lines",
                          "actions"}  # fmt: skip
    assert set(found["lines"][0]) >= {"sku", "expected_units", "usable_units",
                                      "arriving_in_time_units", "short_units", "short_units_p90",
                                      "largest_feasible_units"}  # fmt: skip
    assert set(found["actions"][0]) >= {"kind", "units", "cost", "by"}
    assert (found["verdict"], found["largest_feasible_units"]) == ("not_feasible", 1500)


def test_the_known_case_for_people(file, capsys):
    """Short 3,000, 16 ship days, promise 3: NOT FEASIBLE."""
    assert run(["campaign", "check", file]) == 1
    shown = capsys.readouterr().out
    for words in ("NOT FEASIBLE", "3,000 units short", "needs 16 ship days (10 for what is there)",
                  "the campaign promises 3", "ship capacity", "1,500 within the promise",
                  "5,000 by stock", "assumed: "):  # fmt: skip
        assert words in shown


def test_more_fields_come_from_another_file_and_standard_input(file, tmp_path, capsys, monkeypatch):
    """With 6,000 a day and more stock it is a go."""
    more = tmp_path / "more.json"
    more.write_text('{"capacity": 6000, "lines": [{"sku": "A", "stock_units": 9000}]}')
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(KNOWN)))
    assert run(["campaign", "check", "-", "--with", str(more), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["campaign_id"], found["verdict"]) == ("A", "go")


def test_a_wrong_field_ends_with_its_rule(tmp_path, capsys):
    """Exit code 2, one line."""
    path = tmp_path / "bad.json"
    path.write_text(json.dumps({**KNOWN, "promise_days": -3}))
    assert run(["campaign", "check", str(path)]) == 2
    assert capsys.readouterr().err == "tidegate: promise_days must be >= 0 and <= 3650, got -3\n"


def test_the_template_can_be_checked_as_it_is(tmp_path, capsys):
    """Each form of it."""
    for form in ("json", "csv", "xlsx"):
        path = str(tmp_path / f"sale.{form}")
        assert run(["template", "campaign", "--format", form, "-o", path]) == 0
        assert run(["campaign", "check", path, "--at", "2026-10-28"]) == 1
        assert "sale-1111: NOT FEASIBLE" in capsys.readouterr().out
    assert run(["template", "orders", "--format", "json"]) == 2


def test_help_lists_the_commands_of_campaigns(capsys):
    """Each with one line."""
    assert run(["campaign", "--help"]) == 0
    shown = capsys.readouterr().out
    assert {"check", "silence"} <= set(campaign)
    assert "check" in shown
    assert "silence" in shown
