"""`tidegate campaign promises`, `advise` and `slip` from the command line."""

import csv
import json

import pytest

from infra.cli.app import run
from infra.cli.campaign.commands import campaign

SALE = {
    "campaign_id": "sale",
    "starts_at": "2026-11-11T00:00:00+08:00",
    "ends_at": "2026-11-12T00:00:00+08:00",
    "timezone": "Asia/Shanghai",
    "promise_days": 3,
    "capacity": [{"warehouse": "main", "orders_per_day": 500}],
    "lines": [
        {"sku": "A", "expected_units": 8000, "stock_units": 5000, "waiting_units": 5000,
         "presale_limit_units": 2000,
         "arrivals": [{"units": 3000, "expected_at": "2026-11-20"}]}
    ],
}  # fmt: skip
AT = "2026-11-11T12:00:00+08:00"


@pytest.fixture
def file(tmp_path):
    """The sale in a file, by its name."""

    def write(**changes):
        path = tmp_path / "sale.json"
        path.write_text(json.dumps({**SALE, **changes}))
        return str(path)

    return write


def answer(capsys, *arguments):
    """The JSON that a command prints."""
    assert run(["campaign", *arguments, "--at", AT, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_promises_have_dates_of_the_shop(file, capsys):
    """The 5,001st order ships on the eleventh day from noon of the 11th."""
    (line,) = answer(capsys, "promises", file())["lines"]
    assert (line["is_presale"], line["presale_units"]) == (True, 2000)
    assert line["promise_date"] == "2026-11-22"
    assert run(["campaign", "promises", file(), "--at", AT]) == 0
    assert "2026-11-22" in capsys.readouterr().out


def test_batches_may_name_their_time(file, capsys):
    """The second one is released at 18:00."""
    batches = [{"at": "2026-11-11", "units": 100}, {"at": "2026-11-11 18:00", "units": 200}]
    lines = [{**SALE["lines"][0], "waiting_units": 0, "release": {"batches": batches}}]
    (line,) = answer(capsys, "promises", file(lines=lines))["lines"]
    assert (line["sellable_units"], line["next_release_units"]) == (100, 200)
    assert line["next_release_at"] == "2026-11-11T10:00:00Z"


def test_advice_is_shown(file, capsys):
    """The warehouse is overloaded; the threshold of waiting orders is reached."""
    path = file(thresholds=[{"metric": "waiting_orders", "above": 5000}])
    found = answer(capsys, "advise", path)
    assert [one["kind"] for one in found["advice"]] == ["slow", "overloaded"]
    assert [one["side"] for one in found["thresholds"]] == ["high"]
    assert run(["campaign", "advise", path, "--at", AT]) == 0
    assert "10 days to clear, 3 promised" in capsys.readouterr().out


def test_each_late_customer_stands_once_among_the_notices(file, tmp_path, capsys):
    """The goods slip from the 12th to the 20th, and again to the 25th."""
    orders = tmp_path / "orders.csv"
    orders.write_text("Order number,sku,quantity,promised_at\n1,A,1,2026-11-13\n2,A,2,2026-11-13\n")
    notices = tmp_path / "notices.csv"

    def slip(day):
        arrivals = [{"units": 5, "expected_at": f"2026-11-{day}"}]
        lines = [{"sku": "A", "expected_units": 5, "stock_units": 1, "arrivals": arrivals}]
        flags = ("--orders", str(orders), "--notices", str(notices))
        return answer(capsys, "slip", file(lines=lines, offer_cost=3), *flags)["notices"]

    assert [slip(day) for day in (12, 20, 20, 25)] == [[], ["2"], [], ["2"]]
    rows = list(csv.DictReader(notices.read_text().splitlines()))
    assert [(one["order_id"], one["promised_date"], one["new_date"]) for one in rows] == [
        ("2", "2026-11-13", "2026-11-20"),
        ("2", "2026-11-13", "2026-11-25"),
    ]


def test_a_file_of_orders_without_a_date_is_refused(file, tmp_path, capsys):
    """The column is named."""
    orders = tmp_path / "orders.csv"
    orders.write_text("order_id,sku\n1,A\n")
    assert run(["campaign", "slip", file(), "--orders", str(orders)]) == 2
    assert "must have a column promised_at" in capsys.readouterr().err


def test_help_lists_the_commands_of_a_campaign_that_runs(capsys):
    """Each explains the fields that it reads."""
    for name, word in (("promises", "presale_limit"), ("advise", "thresholds"), ("slip", "once")):
        assert name in set(campaign)
        assert run(["campaign", name, "--help"]) == 0
        assert word in capsys.readouterr().out
