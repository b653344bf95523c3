"""What the list of orders says of each: why it waits, or what a person said of it."""

import csv
import json
from types import SimpleNamespace

import msgspec
import pytest

from infra.cli.app import run
from infra.cli.desk import orders
from infra.cli.desk.orders import _waits_for, totals_of
from infra.cli.terminal.failures import ExitCode
from infra.control.entries import AuditState, OrderWaits, sealed
from infra.control.orders import PurchaseOrderRow
from streams.handover.rules import HoldReason, Verdict
from tests.infra.control.test_orders import stored

ROW = PurchaseOrderRow(
    po_id="po-1",
    sku="lamp",
    warehouse="main",
    supplier="acme",
    quantity=540,
    outstanding=540,
    due_at="2026-12-01T00:00:00Z",
    state="proposed",
    hold=HoldReason.HELD,
    amount=1.0,
    currency="EUR",
)


@pytest.mark.parametrize(
    ("changes", "said", "is_waiting"),
    [
        ({"hold": HoldReason.APPROVAL}, "approval", True),
        (
            {"answer": Verdict.REJECTED, "answer_quantity": 540},
            "nothing: rejected, it never leaves (closed when its log goes on)",
            False,
        ),
        (
            {"answer": Verdict.CHANGED, "answer_quantity": 1200},
            "its log to go on: changed to 1,200 units",
            True,
        ),
        ({"hold": HoldReason.PAUSED, "answer": Verdict.APPROVED}, "paused", True),
        ({"hold": None, "answer": Verdict.REJECTED}, "", False),
    ],
)
def test_answered_order_says_what_was_answered(changes, said, is_waiting):
    """In a log that has ended, a rejected order would else wait for ever, "held" by nobody."""
    row = msgspec.structs.replace(ROW, **changes)
    assert (_waits_for(row), row.is_waiting) == (said, is_waiting)


FLAGS = ["--who", "ada", "--why", "agreed"]


@pytest.fixture
def desk(redis_url, monkeypatch):
    """A shop with one order that waits, and an audit log in memory; returns what is written."""
    settings = stored(redis_url)
    written = []

    async def append(_, make):
        new = [sealed(one, (), "2026-01-01T00:00:00Z") for one in make(AuditState())]
        written.extend(new)
        return new

    async def read(_):
        state = AuditState()
        entries = [OrderWaits(who="tidegate", why="w", po_id="po-1", reason=HoldReason.APPROVAL)]
        for number, one in enumerate([*entries, *written]):
            entry = sealed(one, state.heads, f"2026-01-0{number + 1}T00:00:00Z")
            state.take(msgspec.json.encode(entry), str(number))
        return state, []

    monkeypatch.setenv("TIDEGATE_REDIS_URL", settings.redis_url)
    monkeypatch.setenv("TIDEGATE_APPROVAL_AMOUNT", "800")
    monkeypatch.setattr(orders, "append_each", append)
    monkeypatch.setattr(orders, "read_audit", read)
    return written


def test_several_orders_are_answered_by_one_command(desk, capsys):
    """One that it cannot be said of is named, and does not stop the others."""
    assert run(["orders", "reject", "po-nope", "po-1", *FLAGS, "--json"]) == ExitCode.NO
    reported = capsys.readouterr()
    assert json.loads(reported.out)["order"]["po_id"] == "po-1"
    assert "got 'po-nope'" in reported.err
    assert [(one.po_id, one.verdict, one.who) for one in desk] == [("po-1", "rejected", "ada")]
    assert run(["orders", "reject", "po-nope", *FLAGS]) == ExitCode.USAGE
    assert run(["orders", "reject", *FLAGS]) == ExitCode.USAGE
    assert "orders list --waiting" in capsys.readouterr().err


def test_flags_choose_orders_and_a_rehearsal_writes_nothing(desk, capsys):
    """What is meant is shown with its value first; then the same flags approve it."""
    chosen = ["--supplier", "acme", "--at-most", "900"]
    assert run(["orders", "approve", *chosen, *FLAGS, "--dry-run", "--json"]) == ExitCode.OK
    meant = json.loads(capsys.readouterr().out)
    assert [one["po_id"] for one in meant["orders"]] == ["po-1"]
    assert meant["waiting"] == [
        {"must_act": "approver", "currency": "EUR", "orders": 1, "amount": 900.0}
    ]
    assert desk == []
    assert run(["orders", "approve", *chosen, *FLAGS]) == ExitCode.OK
    assert [(one.po_id, one.verdict) for one in desk] == [("po-1", "approved")]
    capsys.readouterr()
    assert run(["orders", "approve", "--at-most", "899", *FLAGS]) == ExitCode.NO
    assert "no purchase order that waits is meant" in capsys.readouterr().err


def test_list_says_who_must_act_since_when_and_how_much_money(desk, capsys):
    """As the audit log has it, in totals by who acts and currency."""
    assert run(["orders", "list", "--waiting", "--json"]) == ExitCode.OK
    (row,) = json.loads(capsys.readouterr().out)["orders"]
    assert (row["must_act"], row["waiting_since"]) == ("approver", "2026-01-01T00:00:00Z")
    assert run(["orders", "list", "--hold", "paused"]) == ExitCode.OK
    assert "no purchase order is open" in capsys.readouterr().out
    assert run(["orders", "list"]) == ExitCode.OK
    assert "1 for approver: 900.00 EUR" in capsys.readouterr().out


def test_order_that_waits_is_rejected_and_not_cancelled(desk, capsys):
    """The refusal names the rule and the command; nothing is written."""
    assert run(["orders", "cancel", "po-1", *FLAGS]) == ExitCode.USAGE
    assert "of an order that has left (`tidegate orders reject`" in capsys.readouterr().err
    assert run(["orders", "cancel", "po-2", *FLAGS]) == ExitCode.USAGE
    assert "po_id must be an open purchase order" in capsys.readouterr().err
    assert desk == []


def test_one_order_is_shown_with_what_was_said_of_it(desk, capsys):
    """Who edited it, when and why; an unknown one is refused by its rule."""
    assert run(["orders", "edit", "po-1", "--quantity", "7", *FLAGS]) == ExitCode.OK
    assert desk[0].quantity == 7
    capsys.readouterr()
    assert run(["orders", "show", "po-1", "--json"]) == ExitCode.OK
    shown = json.loads(capsys.readouterr().out)
    assert [one["kind"] for one in shown["history"]] == ["order_waits", "order_answered"]
    assert shown["order"]["answer_quantity"] == 7
    assert run(["orders", "show", "po-1"]) == ExitCode.OK
    text = capsys.readouterr().out
    assert "changed po-1: 7 units" in text
    assert "agreed" in text
    assert run(["orders", "show", "po-2"]) == ExitCode.USAGE


def test_export_is_safe_to_open_as_a_sheet(desk, tmp_path, capsys, monkeypatch):
    """A sku that a spreadsheet would run is text; JSON has it as it is."""
    row = msgspec.structs.replace(ROW, sku="=cmd()")
    monkeypatch.setattr(orders, "read_orders", lambda *_: [row])
    assert run(["orders", "export", str(tmp_path / "o.csv")]) == ExitCode.OK
    (line,) = csv.DictReader((tmp_path / "o.csv").read_text().splitlines())
    assert (line["po_id"], line["sku"], line["quantity"]) == ("po-1", "'=cmd()", "540")
    capsys.readouterr()
    assert run(["orders", "export", "--format", "json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)[0]["sku"] == "=cmd()"


def test_totals_are_by_currency():
    """Money of two currencies is never added up."""
    rows = [
        msgspec.structs.replace(ROW, amount=amount, currency=currency, must_act="approver")
        for amount, currency in ((10.0, "EUR"), (5.0, "USD"), (2.5, "EUR"))
    ]
    assert [(one["currency"], one["amount"]) for one in totals_of(rows)] == [
        ("EUR", 12.5),
        ("USD", 5.0),
    ]


def test_overrides_are_counted_over_topic_and_audit_log(desk, capsys, monkeypatch):
    """What left without a word counts among what was proposed."""

    async def published(*_):
        for name in ("po-1", "po-7"):
            yield SimpleNamespace(value=msgspec.json.encode({"po_id": name}))

    async def audit(_):
        return AuditState(), desk

    assert run(["orders", "edit", "po-1", "--quantity", "7", *FLAGS]) == ExitCode.OK
    monkeypatch.setattr(orders, "read_topics", published)
    monkeypatch.setattr(orders, "read_audit", audit)
    capsys.readouterr()
    assert run(["orders", "overrides", "--json"]) == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert (found["proposed"], found["changed"], found["override_rate"]) == (2, 1, 0.5)
    assert run(["orders", "overrides"]) == ExitCode.OK
    assert "50.0%" in capsys.readouterr().out
