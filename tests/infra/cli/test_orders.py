"""What the list of orders says of each: why it waits, or what a person said of it."""

import msgspec
import pytest

from infra.cli.orders import _waits_for
from infra.control.orders import PurchaseOrderRow
from streams.handover.rules import HoldReason, Verdict

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
