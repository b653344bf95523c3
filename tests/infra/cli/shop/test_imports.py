"""`tidegate import` and `tidegate template`, as a clerk uses them."""

import json
import time
from collections import Counter

import pytest

from infra.cli.app import run
from infra.cli.shop import asking, file_report, imports, template
from infra.connect.guessing.answers import Choice, Question
from infra.connect.presets import PRESETS, SHOP_PRESETS
from infra.local.stack import LocalStack
from infra.redis.reader import open_reader
from infra.settings import load_settings

ORDERS = "Order,SKU,Qty,Price,Date\n1,a,2,12.50,2026-11-09 10:00\n2,b,x,5.00,2026-11-09 11:00\n"


@pytest.fixture
def orders(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text(ORDERS)
    return path


def test_a_dry_run_lists_what_is_refused(orders, tmp_path, capsys):
    """One line a kind of fault, with examples, and a file of the refused rows; code 1."""
    refused = tmp_path / "refused.csv"
    command = ["import", str(orders), "--dry-run", "--timezone", "UTC", "--refused", str(refused)]
    assert run(command) == 1
    said = capsys.readouterr().out
    assert "2, 1 taken, 1 refused" in said
    assert "Qty must be a whole number of units: 1 row" in said
    assert "row 3: 'x'" in said
    assert "3,3,Qty,a whole number of units,x," in refused.read_text(encoding="utf-8-sig")


def test_refused_rows_are_mended_and_sent_again(orders, tmp_path, capsys):
    """The file of refused rows is a file of orders: with the value mended it is taken."""
    refused = tmp_path / "refused.csv"
    command = ["import", str(orders), "--dry-run", "--timezone", "UTC", "--refused", str(refused)]
    run(command)
    text = refused.read_text(encoding="utf-8-sig")
    assert text.endswith(",2,b,x,5.00,2026-11-09 11:00\n")
    refused.write_text(text.replace(",b,x,", ",b,3,"))
    assert run(["import", str(refused), "--dry-run", "--timezone", "UTC"]) == 0
    assert "1 orders placed" in capsys.readouterr().out


def test_nobody_is_asked_without_a_terminal(orders, capsys):
    """The zone has to be said, or --yes takes what is proposed, and the report says so."""
    assert run(["import", str(orders), "--dry-run"]) == 2
    assert "--timezone" in capsys.readouterr().err
    assert run(["import", str(orders), "--dry-run", "--yes"]) == 1
    assert "in which time zone are the times of Date? --timezone UTC" in capsys.readouterr().out


def test_a_saved_mapping_reads_the_same(orders, tmp_path, capsys):
    """The second month is imported without a question."""
    saved = tmp_path / "orders.toml"
    command = ["import", str(orders), "--dry-run", "--json"]
    run([*command, "--timezone", "Europe/Berlin", "--save-mapping", str(saved)])
    first = json.loads(capsys.readouterr().out)["events"]
    run([*command, "--mapping", str(saved)])
    assert json.loads(capsys.readouterr().out)["events"] == first
    assert first[0]["occurred_at"] == "2026-11-09T10:00:00+01:00"


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--encoding", "klingon"], "--encoding must be"),
        (["--column", "sku"], "--column must be ROLE=NAME"),
        (["--margin", "2"], "margin must be"),
        (["--at", "now"], "occurred_at must be"),
        (["--timezone", "Mars"], "Mars"),
        (["--mapping", "none.toml"], "none.toml must be a readable file"),
    ],
)
def test_a_wrong_flag_is_named(orders, capsys, flags, says):
    """Exit code 2, and the rule."""
    assert run(["import", str(orders), "--dry-run", "--yes", *flags]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_template_can_be_imported(tmp_path, capsys, form):
    """What is written to be filled in is understood."""
    path = tmp_path / f"catalog.{form}"
    assert run(["template", "catalog", "--format", form, "--output", str(path)]) == 0
    assert run(["import", str(path), "--preset", "catalog", "--dry-run"]) == 0
    assert run(["template", "counts"]) == 0
    assert "sku,level,counted_at" in capsys.readouterr().out


def test_every_reason_and_preset_has_words():
    """What is left out is said in words, and the command knows every preset."""
    assert set(file_report.WHY) >= {"empty_sku", "gift_card", "not_placed", "same_event_twice"}
    assert set(imports.Preset.__args__) == {*PRESETS, *SHOP_PRESETS}
    assert set(template.Kind.__args__) == {*PRESETS, "campaign"}


def test_a_person_chooses_by_number_or_writes(monkeypatch):
    """Enter takes the proposal, a number a choice, anything else is the answer itself."""
    question = Question("--timezone", "Which zone?", (Choice("UTC"), Choice("Asia/Tokyo")))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    for typed, answer in {"": "UTC", "2": "Asia/Tokyo", "Europe/Rome": "Europe/Rome"}.items():
        monkeypatch.setattr("builtins.input", lambda _, typed=typed: typed)
        assert asking.asker(yes=False)(question) == answer


@pytest.mark.slow
@pytest.mark.system
def test_a_second_import_changes_nothing(orders, tmp_path, capsys):
    """The events of a file reach a worker once, however often the file is sent."""
    stack = LocalStack(tmp_path / "state", load_settings(partitions=1))
    command = ["import", str(orders), "--timezone", "UTC", "--state", str(tmp_path / "state")]
    stack.start_servers()
    try:
        stack.start_workers()
        for _ in range(2):
            assert run(command) == 1  # one row is refused, the other one is sent
        assert "1 orders placed" in capsys.readouterr().out
        with open_reader(stack.settings) as reader:
            eventually(lambda: counts_of(reader)["orders:duplicate"] == 1)
            assert counts_of(reader)["orders:folded"] == 1
    finally:
        stack.stop()


def counts_of(reader) -> Counter:
    counts = Counter()
    for shard in reader.shards():
        counts.update(shard.meta.counts if shard.meta else {})
    return counts


def eventually(holds, seconds: float = 60.0) -> None:
    """Wait until something holds."""
    ends_at = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends_at, "it did not come about"
        time.sleep(0.1)
