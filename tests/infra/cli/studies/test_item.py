"""`tidegate simulate item`: a case in, its answer out, a picture beside it."""

import json

import pytest

from infra.cli.app import run
from infra.cli.studies.item import figure_text
from infra.cli.terminal.failures import ExitCode
from tests.policy.studies.item.test_case import CASE


@pytest.fixture
def case_file(tmp_path):
    """A file of a short case."""
    path = tmp_path / "case.json"
    event = {"day": 150, "kind": "order_lost", "supplier": "lean"}
    case = {**CASE, "name": "lamp", "days": 400, "runs": 2, "events": [event]}
    path.write_text(json.dumps(case), encoding="utf-8")
    return path


def test_the_answer_is_json_where_no_person_looks(case_file, capsys, tmp_path):
    """Claim and achievement with standard errors, the figures of each event, and a picture."""
    plot = tmp_path / "run.svg"
    assert run(["simulate", "item", str(case_file), "--plot", str(plot)]) == ExitCode.OK
    answer = json.loads(capsys.readouterr().out)
    assert answer["name"] == "lamp"
    for figures in (answer["claimed"], answer["achieved"]):
        assert set(figures["fill_rate"]) == {"value", "standard_error"}
    assert set(answer["events"][0]) == {
        *("day", "kind", "days_out", "fill_during", "fill_after_20_days"),
        *("flexible_units", "stock_days_after_15_days"),
    }
    assert plot.stat().st_size > 1000


@pytest.mark.slow
def test_a_person_sees_tables(case_file, capsys, monkeypatch):
    """On a terminal the figures stand in tables, with words."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert run(["simulate", "item", str(case_file)]) == ExitCode.OK
    text = capsys.readouterr().out
    assert "fill rate" in text
    assert "order lost" in text


def test_a_wrong_field_is_named_in_one_line(tmp_path, capsys):
    """Field, rule and value."""
    path = tmp_path / "case.json"
    path.write_text(json.dumps({**CASE, "review_period_days": 0}), encoding="utf-8")
    assert run(["simulate", "item", str(path)]) == ExitCode.USAGE
    assert "review_period_days must be" in capsys.readouterr().err


def test_days_are_no_shares():
    """Shares stand as per cent, days and units as numbers."""
    assert figure_text("order_cycle_service", 0.5) == "50.00%"
    assert figure_text("flexible_units", 340.0) == "340.00"
