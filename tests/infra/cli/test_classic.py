"""`tidegate classic`: cases in, answers out, complaints in one line."""

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.cli.app import run
from infra.cli.terminal.failures import ExitCode
from policy.classic.cases.models import MODELS
from policy.joint.cases import JOINT_MODELS

Capture = pytest.CaptureFixture[str]

EOQ: dict[str, Any] = {
    "model": "eoq",
    "order_cost": 8,
    "holding_cost_per_unit_period": 0.225,
    "demand_per_period": 1300,
}


def written(path: Path, value: object) -> str:
    """Write a value as JSON and return the file's name."""
    path.write_text(json.dumps(value))
    return str(path)


def test_one_case_gives_one_object(tmp_path: Path, capsys: Capture) -> None:
    """The answer of the README, as JSON with all digits on standard output."""
    assert run(["classic", written(tmp_path / "one.json", EOQ)]) == ExitCode.OK
    reported = capsys.readouterr()
    answer = json.loads(reported.out)
    assert (answer["order_quantity"], answer["cost_per_period"]) == pytest.approx(
        (304.0467800264368, 68.41052550594829), rel=1e-14
    )
    assert reported.err == ""


def test_list_gives_a_list_in_the_same_order(tmp_path: Path, capsys: Capture) -> None:
    """Every model answers its example, in order, with its name where it has one."""
    cases = [{"model": one.name, "name": one.name, **one.example} for one in MODELS.values()]
    assert run(["classic", written(tmp_path / "all.json", cases)]) == ExitCode.OK
    answers = json.loads(capsys.readouterr().out)
    assert [answer["name"] for answer in answers] == list(MODELS)
    assert [answer["model"] for answer in answers] == list(MODELS)


def test_standard_input_is_a_file(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """`-` reads the case from a pipe; a list of one stays a list."""
    text = json.dumps([EOQ]).encode()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text)))
    assert run(["classic", "-"]) == ExitCode.OK
    (answer,) = json.loads(capsys.readouterr().out)
    assert round(answer["order_quantity"], 5) == 304.04678


def test_terminal_gets_text_with_few_digits(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People read names in words and six digits, tables where there are rows; --json has all."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    cases = [{"model": one.name, **one.example} for one in MODELS.values()]
    file = written(tmp_path / "all.json", [EOQ | {"name": "lamp"}, *cases])
    assert run(["classic", file]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "lamp: eoq" in shown
    assert "case 2: eoq" in shown
    for text in ("order quantity", "304.047", "first quantity", "driver shares: demand", "A, A, B"):
        assert text in shown
    assert "304.04678" not in shown
    assert run(["classic", file, "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)[0]["name"] == "lamp"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (json.dumps(EOQ | {"order_cost": -1}), "order_cost must be >= 0, got -1"),
        (json.dumps(EOQ | {"order_cost": "8"}), "order_cost must be >= 0, got '8'"),
        (json.dumps(EOQ | {"order_cost": True}), "order_cost must be >= 0, got True"),
        (json.dumps(EOQ | {"demand_per_period": float("nan")}), "demand_per_period must be >= 0,"),
        (json.dumps(EOQ | {"setup": 1}), "eoq.setup must be one of order_cost, demand_per_period,"),
        (json.dumps(EOQ | {"model": "eqo"}), "model must be one of eoq, eoq_discount, wagner_"),
        (json.dumps({"model": "eoq"}), "order_cost must be >= 0, got None"),
        (json.dumps([EOQ, 5]), "case 2: case must be an object, got 5"),
        (
            json.dumps([EOQ, EOQ | {"name": "x", "holding_cost_per_unit_period": 0}]),
            "case 2 (x): holding_cost_per_unit_period must be > 0, got 0",
        ),
        ('{"model": "eoq", "model": "abc"}', "model must be there once, got it 2 times"),
        ("[1, 2", "must be JSON"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_bad_case_is_one_line_and_code_2(
    tmp_path: Path, capsys: Capture, text: str, complaint: str
) -> None:
    """The complaint names the case, the field, the rule and the value; nothing is answered."""
    file = tmp_path / "bad.json"
    file.write_text(text)
    assert run(["classic", str(file)]) == ExitCode.USAGE
    reported = capsys.readouterr()
    assert reported.out == ""
    assert reported.err.count("\n") == 1
    assert complaint in reported.err


def test_file_that_is_not_there_is_named(capsys: Capture) -> None:
    """Code 2, and the name; without a file, what to give."""
    assert run(["classic", "no-such.json"]) == ExitCode.USAGE
    assert "no-such.json must be a readable file" in capsys.readouterr().err
    assert run(["classic"]) == ExitCode.USAGE
    assert "`tidegate classic --models` lists models" in capsys.readouterr().err


def test_help_names_every_model_and_the_flag_lists_their_fields(capsys: Capture) -> None:
    """Nobody has to open a README to write a case."""
    assert run(["classic", "--help"]) == ExitCode.OK
    page = capsys.readouterr().out
    assert "Usage: tidegate classic" in page
    assert run(["classic", "--models"]) == ExitCode.OK
    listed = capsys.readouterr().out
    for model in MODELS.values():
        assert model.name in page
        assert f"| `{model.name}` |" in listed
        for field in model.fields:
            assert f"| `{field}` |" in listed


def test_several_items_have_a_command_of_their_own(tmp_path: Path, capsys: Capture) -> None:
    """`tidegate joint` answers its models, and refuses those of `tidegate classic` by name."""
    cases = [{"model": one.name, **one.example} for one in JOINT_MODELS.values()]
    assert run(["joint", written(tmp_path / "all.json", cases)]) == ExitCode.OK
    answers = json.loads(capsys.readouterr().out)
    assert [answer["model"] for answer in answers] == list(JOINT_MODELS)
    assert run(["joint", written(tmp_path / "one.json", EOQ)]) == ExitCode.USAGE
    assert "model must be one of container_fill" in capsys.readouterr().err
    assert run(["joint"]) == ExitCode.USAGE
    assert "tidegate joint --models" in capsys.readouterr().err
