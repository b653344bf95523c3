"""`tidegate solve` and `tidegate simulate`: what goes in, what comes out, what is refused."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from infra.cli.app import run
from infra.cli.simulate import split_reason
from infra.cli.terminal.failures import ExitCode
from infra.replay.demand_history import read_history
from infra.replay.faults import Record

Capture = pytest.CaptureFixture[str]
DAY_MS = 86_400_000
FIRST_DAY = 18_262  # 2020-01-01

INSTANCE: dict[str, Any] = {
    "regular_lead_periods": 2,
    "expedited_lead_periods": 0,
    "regular_cost": 0,
    "expedited_cost": 20,
    "regular_setup": 0,
    "expedited_setup": 0,
    "holding": 5,
    "backorder": 495,
    "demand": {"family": "uniform", "low": 0, "high": 4},
}


def written(path: Path, value: object) -> str:
    """Write a value as JSON and return the file's name."""
    path.write_text(json.dumps(value))
    return str(path)


@pytest.mark.parametrize("command", ["solve", "simulate", "simulate paper", "simulate compare"])
def test_each_command_has_a_page_of_help(command: str, capsys: Capture) -> None:
    """Each command explains itself; the list of commands names both."""
    assert run([*command.split(), "--help"]) == ExitCode.OK
    assert f"Usage: tidegate {command}" in capsys.readouterr().out
    assert run(["--help"]) == ExitCode.OK
    assert f"│ {command.split()[0]} " in capsys.readouterr().out


# --- solve ------------------------------------------------------------------------------------


def test_one_instance_gives_one_object(tmp_path: Path, capsys: Capture) -> None:
    """The published optimum, its bounds, the method and the time, as JSON on standard output."""
    assert run(["solve", written(tmp_path / "one.json", INSTANCE)]) == ExitCode.OK
    reported = capsys.readouterr()
    answer = json.loads(reported.out)
    assert round(answer["cost_per_period"], 6) == 23.071429
    assert answer["lower"] <= answer["cost_per_period"] <= answer["upper"]
    assert (answer["method"], reported.err) == ("exact", "")
    assert answer["seconds"] >= 0


def test_a_list_gives_a_list_in_the_same_order(tmp_path: Path, capsys: Capture) -> None:
    """Each answer stands where its instance stood, with its name where it has one."""
    dearer = INSTANCE | {"regular_lead_periods": 3, "name": "row 2"}
    assert run(["solve", written(tmp_path / "two.json", [INSTANCE, dearer])]) == ExitCode.OK
    first, second = json.loads(capsys.readouterr().out)
    assert first["cost_per_period"] < second["cost_per_period"]
    assert "name" not in first
    assert second["name"] == "row 2"


def test_terminal_gets_a_table_with_few_digits_and_a_pipe_gets_all(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People read money to the hundredth and shares in per cent; programs get what was found."""
    file = written(tmp_path / "one.json", INSTANCE | {"name": "row 7"})
    assert run(["solve", file]) == ExitCode.OK
    exact = capsys.readouterr().out
    assert max(len(digits) for digits in re.findall(r"\.(\d+)", exact)) > 10
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run(["solve", file]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "row 7" in shown
    assert "23.07" in shown
    assert "0.00%" in shown
    assert max(len(digits) for digits in re.findall(r"\.(\d+)", shown)) == 2
    assert run(["solve", file, "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["name"] == "row 7"


@pytest.mark.parametrize("wrap", [False, True])
def test_a_list_of_one_stays_a_list(tmp_path: Path, capsys: Capture, wrap: bool) -> None:
    """What the reader must expect depends on the shape of the input, not on its length."""
    value = [INSTANCE] if wrap else INSTANCE
    assert run(["solve", written(tmp_path / "one.json", value)]) == ExitCode.OK
    assert isinstance(json.loads(capsys.readouterr().out), list) == wrap


def test_standard_input_is_a_file(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """`-` reads the instance from a pipe; fields that may be absent are 0."""
    short = {name: INSTANCE[name] for name in INSTANCE if "setup" not in name}
    text = json.dumps(short).encode()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text)))
    assert run(["solve", "-"]) == ExitCode.OK
    assert round(json.loads(capsys.readouterr().out)["cost_per_period"], 6) == 23.071429


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (json.dumps(INSTANCE | {"holding": -1}), "holding must be > 0, got -1"),
        (json.dumps(INSTANCE | {"backorder": float("nan")}), "backorder must be > 0, got nan"),
        (json.dumps(INSTANCE | {"setup": 1}), "instance.setup must be one of regular_lead"),
        (json.dumps([INSTANCE, 5]), "instance 2: instance must be an object, got 5"),
        (
            json.dumps([INSTANCE, INSTANCE | {"name": "x", "expedited_cost": "a"}]),
            "instance 2 (x): expedited_cost must be >= 0, got 'a'",
        ),
        ('{"holding": 1, "holding": 2}', "holding must be there once, got it 2 times"),
        ("[1, 2", "must be JSON"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_a_bad_instance_is_one_line_and_code_2(
    tmp_path: Path, capsys: Capture, text: str, complaint: str
) -> None:
    """The complaint names the instance, the field, the rule and the value; nothing is solved."""
    file = tmp_path / "bad.json"
    file.write_text(text)
    assert run(["solve", str(file)]) == ExitCode.USAGE
    reported = capsys.readouterr()
    assert reported.out == ""
    assert reported.err.count("\n") == 1
    assert complaint in reported.err


def test_a_file_that_is_not_there_is_named(capsys: Capture) -> None:
    """Code 2, and the name."""
    assert run(["solve", "no-such.json"]) == ExitCode.USAGE
    assert "no-such.json must be a readable file" in capsys.readouterr().err


# --- simulate paper ---------------------------------------------------------------------------


@pytest.mark.slow
def test_paper_tables_can_be_read_by_people_and_by_programs(
    tmp_path: Path, capsys: Capture
) -> None:
    """Text, JSON and picture hold every table, its seed and a verdict for each figure."""
    picture = tmp_path / "paper.svg"
    command = ["simulate", "paper", "--runs", "20", "--seed", "3", "--cell-units", "10"]
    assert run([*command, "--plot", str(picture)]) == 0
    text = capsys.readouterr().out
    for table in ("Eq. 13-14", *(f"Table {n}" for n in range(2, 7)), "Steady state"):
        assert f"{table}: " in text
    assert "seed 3, 20 simulated years" in text
    (saving,) = re.findall(r"^saving against monthly (.*)", text, re.MULTILINE)
    assert re.match(r" +[\d.]+% +[\d.]+% ", saving), "a share is shown in per cent"
    assert "Table 6" in picture.read_text()
    assert run([*command, "--json"]) == 0
    reported = json.loads(capsys.readouterr().out)
    assert reported["seed"] == 3
    figures = [figure for table in reported["tables"] for figure in table["figures"]]
    assert {figure["verdict"] for figure in figures} == {
        *("reproduced", "not reproducible", "arithmetic only", "ours only")
    }


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--plot", "x.pdf"], "plot must end in .png or .svg, got 'x.pdf'"),
        (["--plot", "no-such-folder/x.png"], "plot must be in a folder that is there"),
        (["--runs", "1"], "runs must be >= 2, got 1"),
        (["--seed", "-1"], "seed must be a whole number >= 0, got -1"),
        (["--cell-units", "0"], "cell_units must be > 0, got 0"),
    ],
)
def test_paper_refuses_what_it_cannot_do(flags: list[str], complaint: str, capsys: Capture) -> None:
    """Wrong flags are refused at once, before anything is simulated."""
    assert run(["simulate", "paper", *flags]) == ExitCode.USAGE
    assert complaint in capsys.readouterr().err


@pytest.mark.slow
def test_drawing_library_is_loaded_only_to_draw() -> None:
    """Whoever asks for no picture need not have matplotlib at all."""
    program = (
        "import sys; sys.modules['matplotlib'] = None; from infra.cli.app import run; "
        "sys.exit(run(['simulate', 'paper', '--runs', '2', '--seed', '-1']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert "seed must be" in done.stderr


def test_reason_is_distinguished_from_the_difference() -> None:
    """A reason that begins with a number of per cent is not cut by its own colon."""
    assert split_reason("-1.00%: a: b") == ("-1.00%", "a: b")
    assert split_reason("certified: at least 3") == ("", "certified: at least 3")


# --- simulate compare -------------------------------------------------------------------------


def sale(sku: str, day: int, quantity: int, **changes: Any) -> dict[str, Any]:
    """Return one order line of the uci schema."""
    return {
        "type": "order",
        "event_id": f"{sku}-{day}-{quantity}",
        "sku": sku,
        "quantity": quantity,
        "occurred_at": (FIRST_DAY + day) * DAY_MS,
        "order_id": f"{sku}-{day}",
        "price": 2.0,
        **changes,
    }


@pytest.fixture
def history(tmp_path: Path) -> str:
    """A file with two steady items, a late one and a cancellation, over 150 days."""
    lines = [sale("lamp", day, 4 + day % 3) for day in range(100, 250)]
    lines += [sale("mug", day, 2) for day in range(100, 250)]
    lines += [sale("late", day, 2) for day in range(200, 250)]
    lines += [sale("lamp", 249, 5000), sale("lamp", 249, -5000, kind="cancellation")]
    file = tmp_path / "history.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in lines))
    return str(file)


POLICIES = ["dual", "lean only", "flexible only", "reorder point", "monthly"]


@pytest.mark.slow
def test_compare_shows_every_policy_side_by_side(
    history: str, tmp_path: Path, capsys: Capture
) -> None:
    """Cost parts add up, all policies met the same demand, and the picture is drawn."""
    picture = tmp_path / "compare.png"
    command = ["simulate", "compare", history, "--schema", "uci", "--learn-days", "60"]
    assert run([*command, "--json", "--plot", str(picture)]) == 0
    reported = json.loads(capsys.readouterr().out)
    assert (reported["items"], reported["left_out"], reported["days_counted"]) == (2, 1, 62)
    assert reported["demand_units"] == sum(4 + day % 3 + 2 for day in range(188, 250))
    assert list(reported["policies"]) == POLICIES
    for policy in reported["policies"].values():
        parts = sum(policy[name] for name in ("purchases", "setups", "holding", "backorders"))
        assert policy["cost"] == pytest.approx(parts - policy["stock_change"])
        assert 0 <= policy["cycle_service"] <= policy["fill_rate"] + 0.5
    assert reported["policies"]["lean only"]["share_flexible"] == 0
    assert reported["policies"]["flexible only"]["share_flexible"] == 1
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert run([*command, "--items", "1"]) == 0
    text = capsys.readouterr().out
    assert "against lean only" in text
    for name in ("cost", "  purchases", "mean stock, money"):
        assert re.search(rf"^{name}( +[\d,]+\.\d\d){{5}}$", text, re.MULTILINE), name
    assert "1, 2 left out" in text


def test_bad_record_counts_as_no_demand() -> None:
    """A file that was made with faults can be compared; how many there were is known."""
    line = {"kind": "item", "sku": "lamp", "event_id": "1", "occurred_at": FIRST_DAY * DAY_MS}
    terms = {"unit_cost_lean": 4.0, "unit_cost_flexible": 5.0, "setup_cost_lean": 2.0,
             "setup_cost_flexible": 2.0, "lead_time_days_lean": 2.0, "lead_time_days_flexible": 1.0,
             "review_period_days": 1.0, "holding_cost_per_unit_day": 0.01,
             "backorder_cost_per_unit_day": 1.0}  # fmt: skip
    values = [
        b'{"kind":"placed","quantity":3}',
        b'{"kind":"placed","quan',
        b'{"kind":"placed","quantity":-7}',
        b'{"kind":"placed","quantity":"7"}',
        b"\xff\xfe",
    ]
    records = [
        Record("catalog", b"lamp", msgspec.json.encode({**line, **terms}), FIRST_DAY * DAY_MS),
        *(Record("orders", b"lamp", value, FIRST_DAY * DAY_MS) for value in values),
    ]
    history = read_history(records)
    assert (history.demand.sum(), history.bad_records) == (3, 4)


def test_flags_stand_in_for_the_catalog(history: str, capsys: Capture) -> None:
    """Dearer holding, given on the command line, makes stock smaller and cost higher."""
    command = ["simulate", "compare", history, "--schema", "uci", "--json", "--service-target", "0"]
    stock = {}
    for share in ("0.01", "0.5"):
        assert run([*command, "--holding-share-per-day", share]) == 0
        stock[share] = json.loads(capsys.readouterr().out)["policies"]["dual"]["mean_stock_units"]
    assert stock["0.5"] < stock["0.01"]


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--items", "0"], "items must be >= 1, got 0"),
        (["--learn-days", "3"], "learn_days must be from 7 to 121"),
        (["--learn-days", "140"], "learn_days must be from 7 to 121"),
        (["--service-target", "2"], "service_target must be >= 0 and <= 0.999, got 2.0"),
        (["--lead-time-days-flexible", "6"], "lead_time_days_lean must be >= lead_time_days_flex"),
        (["--holding-share-per-day", "nan"], "holding_cost_per_unit_day must be > 0"),
    ],
)
def test_compare_refuses_what_it_cannot_do(
    history: str, flags: list[str], complaint: str, capsys: Capture
) -> None:
    """A wrong flag is one line that names field, rule and value."""
    assert run(["simulate", "compare", history, "--schema", "uci", *flags]) == ExitCode.USAGE
    reported = capsys.readouterr()
    assert reported.err.count("\n") == 1
    assert complaint in reported.err


@pytest.mark.parametrize(
    ("days", "flags", "complaint"),
    [
        (
            20,
            [],
            "must have >= 43 days (a third to learn from, 28 to settle and the rest to count)",
        ),
        (20, [], "got 20; with --learn-days 7, 36 are enough"),
        (35, ["--learn-days", "7"], "must have >= 36 days (7 to learn from, 28 to settle and 1 to"),
    ],
)
def test_short_history_says_how_many_days_it_needs(
    days: int, flags: list[str], complaint: str, tmp_path: Path, capsys: Capture
) -> None:
    """And so many days are enough."""
    command = ["simulate", "compare", str(tmp_path / "short.jsonl"), "--schema", "uci", *flags]

    def of_days(count: int) -> int:
        lines = [json.dumps(sale("lamp", day, 2)) for day in range(100, 100 + count)]
        (tmp_path / "short.jsonl").write_text("\n".join(lines))
        return run(command)

    assert of_days(days) == ExitCode.USAGE
    assert complaint in capsys.readouterr().err
    assert of_days(36 if flags else 43) == ExitCode.OK


def test_history_without_catalog_is_refused(tmp_path: Path, capsys: Capture) -> None:
    """Without costs and lead times nothing can be compared, and that is said."""
    line = {"topic": "orders", "kind": "placed", "event_id": "1", "occurred_at": FIRST_DAY * DAY_MS,
            "sku": "lamp", "order_id": "1", "quantity": 2}  # fmt: skip
    file = tmp_path / "orders.jsonl"
    file.write_text(json.dumps(line))
    assert run(["simulate", "compare", str(file)]) == ExitCode.USAGE
    assert "at least one item with orders and a catalog line, got 1" in capsys.readouterr().err
