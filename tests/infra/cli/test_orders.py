"""What the list of orders says of each: why it waits, or what a person said of it."""

import json

import msgspec
import pytest

from infra.cli import orders
from infra.cli.app import run
from infra.cli.orders import _waits_for
from infra.cli.terminal.failures import ExitCode
from infra.control.entries import AuditState, sealed
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


def test_several_orders_are_answered_by_one_command(redis_url, monkeypatch, capsys):
    """One that it cannot be said of is named, and does not stop the others."""
    settings = stored(redis_url)
    written = []

    async def append(_, make):
        written.append(sealed(make(AuditState()), (), "2026-01-01T00:00:00Z"))
        return written[-1]

    monkeypatch.setattr(orders, "append_once", append)
    flags = ["--who", "ada", "--why", "agreed", "--redis-url", settings.redis_url]
    assert run(["orders", "reject", "po-nope", "po-1", *flags, "--json"]) == ExitCode.NO
    reported = capsys.readouterr()
    assert json.loads(reported.out)["order"]["po_id"] == "po-1"
    assert "got 'po-nope'" in reported.err
    assert [(one.po_id, one.verdict, one.who) for one in written] == [("po-1", "rejected", "ada")]
    assert run(["orders", "reject", "po-nope", *flags]) == ExitCode.USAGE
    assert run(["orders", "reject", *flags]) == ExitCode.USAGE
    assert "orders list --waiting" in capsys.readouterr().err
