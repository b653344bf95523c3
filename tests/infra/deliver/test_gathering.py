"""Several orders as one document: closed once, changed as the same document, taken apart again."""

from pathlib import Path

import msgspec
import pytest

from infra.deliver.courier import Clock, Courier
from infra.deliver.destinations import X12, Destination, Edifact, Folder
from infra.deliver.edi_answers import Partner, events_of
from infra.deliver.edifact import EdiError, read_messages, value_at
from infra.deliver.files import order_csv
from infra.deliver.mail import Mailbox, make_mail
from infra.deliver.messages import Message, webhook_body
from infra.deliver.outbox import Outbox, OutboxError, Route, State
from infra.deliver.x12 import read_sets
from tests.infra.deliver.orders import NOW_S, message
from tests.infra.deliver.test_edifact import SAMPLES

WAIT_S = 600.0
GATHERED = [Route("erp", "", True)]


def gathered(folder: Path, *orders: Message, came_s: float = NOW_S) -> Outbox:
    """An outbox in which these wait for others."""
    outbox = Outbox(folder)
    for number, one in enumerate(orders):
        outbox.take(("purchase-orders", 0, number), one, GATHERED, came_s)
    return outbox


def waiting(outbox: Outbox) -> list[Message]:
    return [one.message for one in outbox.listed(states=["waiting"])]


MUG = message("po-1", sku="mug", quantity=10, unit_cost=2.5)
CUP = message("po-2", sku="cup", quantity=4, unit_cost=10.0, expected_at="2026-11-20T00:00:00Z")
OTHER = message("po-3", sku="mug", supplier="acme")


def test_document_is_closed_once_and_its_orders_are_stored_with_it(tmp_path: Path) -> None:
    """One for each supplier; what comes later is in the next. Closed again: the same messages."""
    outbox = gathered(tmp_path, MUG, CUP, OTHER)
    assert outbox.gather("erp", WAIT_S, NOW_S + 599) == 0
    assert outbox.gather("erp", WAIT_S, NOW_S + 600) == 2
    assert outbox.gather("erp", WAIT_S, NOW_S + 900) == 0
    both, other = sorted(waiting(outbox), key=lambda one: -len(one.lines))
    assert [one.po_id for one in both.lines] == ["po-2", "po-1"]
    assert (both.amount, both.expected_at, both.version) == (65.0, "2026-11-18T00:00:00Z", 1)
    assert [one.po_id for one in other.lines] == ["po-3"]
    assert both.po_id.startswith("do-")
    assert len(both.po_id) == 23
    states = {one.message.po_id: one.state for one in outbox.listed()}
    assert states["po-1"] == State.GATHERED
    late = message("po-4", sku="pan")
    outbox.take(("purchase-orders", 0, 9), late, GATHERED, NOW_S + 700)
    assert outbox.gather("erp", WAIT_S, NOW_S + 1_300) == 1
    assert len(waiting(outbox)) == 3
    again = gathered(tmp_path / "again", CUP, MUG)
    again.gather("erp", WAIT_S, NOW_S + 600)
    assert waiting(again)[0].po_id == both.po_id, "a lost outbox gives the same number"


def test_what_is_said_of_an_order_is_the_next_version_of_its_document(tmp_path: Path) -> None:
    """A line changed, a line cancelled, then all of them: the document is cancelled."""
    outbox = gathered(tmp_path, MUG, CUP)
    outbox.gather("erp", WAIT_S, NOW_S + 600)
    (first,) = waiting(outbox)
    steps = [
        msgspec.structs.replace(MUG, kind="changed", version=2, quantity=7),
        msgspec.structs.replace(CUP, kind="cancelled", version=2),
        msgspec.structs.replace(MUG, kind="cancelled", version=3),
    ]
    for number, one in enumerate(steps):
        at_s = NOW_S + 1_000 * (number + 1)
        outbox.take(("purchase-orders", 0, 10 + number), one, GATHERED, at_s)
        assert outbox.gather("erp", WAIT_S, at_s + 600) == 1
    versions = waiting(outbox)[1:]
    assert {one.po_id for one in versions} == {first.po_id}
    assert [(one.version, one.kind, one.amount) for one in versions] == [
        (2, "changed", 57.5),
        (3, "changed", 17.5),
        (4, "cancelled", 0),
    ]


def test_order_that_is_cancelled_while_it_waits_is_in_no_document(tmp_path: Path) -> None:
    """A changed one is in it once, as it was changed last."""
    changed = msgspec.structs.replace(MUG, kind="changed", version=2, quantity=7)
    gone = msgspec.structs.replace(CUP, kind="cancelled", version=2)
    outbox = gathered(tmp_path, MUG, CUP, changed, gone)
    assert outbox.gather("erp", WAIT_S, NOW_S + 600) == 1
    (document,) = waiting(outbox)
    assert [(one.po_id, one.quantity) for one in document.lines] == [("po-1", 7)]
    said = {one.message.message_id: one.said for one in outbox.listed(states=["gathered"])}
    assert said["po-2:1"] == "cancelled before it was sent"
    assert said["po-1:1"] == f"in {document.po_id}"


def test_order_of_a_document_is_not_sent_by_itself(tmp_path: Path) -> None:
    """It may be skipped while it waits for others; afterwards the document is what counts."""
    outbox = gathered(tmp_path, MUG, CUP)
    first, second = outbox.listed()
    with pytest.raises(OutboxError, match="sent in its document"):
        outbox.retry(first, "ada", "now", NOW_S)
    outbox.skip(first, "ada", "by telephone", NOW_S)
    outbox.gather("erp", WAIT_S, NOW_S + 600)
    assert [one.po_id for one in waiting(outbox)[0].lines] == ["po-2"]
    with pytest.raises(OutboxError, match="sent in its document"):
        outbox.skip(second, "ada", "late", NOW_S)


def document(tmp_path: Path) -> Message:
    outbox = gathered(tmp_path, MUG, CUP)
    outbox.gather("erp", WAIT_S, NOW_S + 600)
    return waiting(outbox)[0]


def test_document_has_its_lines_in_every_form(tmp_path: Path) -> None:
    """JSON, sheet and mail; the number of the document and its total."""
    one = document(tmp_path)
    body = msgspec.json.decode(webhook_body(one))
    assert body["type"] == "tidegate.purchase_document.proposed"
    assert [line["po_id"] for line in body["data"]["lines"]] == ["po-2", "po-1"]
    assert body["data"]["amount"] == 65.0
    rows = order_csv(one).decode().split("\r\n")[1:-1]
    assert [row.split(";")[1:6:2] for row in rows] == [["1", "cup", "4"], ["2", "mug", "10"]]
    mail = make_mail(one, Mailbox("h", 1, "a@b.example", ("c@d.example",)))
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "4 x cup at 10.00 EUR, deliver by 2026-11-20" in text
    assert "Total: 65.00 EUR" in text


async def test_document_is_one_file_with_all_lines(tmp_path: Path) -> None:
    """Sent by the courier once its time has come; counts of EDI files hold."""
    kinds: list[Destination] = [
        Folder(name="erp", folder=tmp_path / "out", gather_seconds=WAIT_S),
        Edifact(name="erp", folder=tmp_path / "out", gather_seconds=WAIT_S, buyer="1",
                supplier="2", deliver_to="3"),
        X12(name="erp", folder=tmp_path / "out", gather_seconds=WAIT_S, buyer="1", supplier="2",
            buyer_name="S", buyer_code="C", deliver_to_name="W"),
    ]  # fmt: skip
    (tmp_path / "out").mkdir()
    for number, destination in enumerate(kinds):
        outbox = gathered(tmp_path / str(number), MUG, CUP)
        for at_s, count in ((NOW_S + 599, 0), (NOW_S + 600, 1)):
            courier = Courier(outbox, {"erp": destination}, Clock(lambda at_s=at_s: at_s))
            await courier.send_next(destination, None)  # type: ignore[arg-type]
            assert len(list((tmp_path / "out").iterdir())) == number + count
    (edi,) = (tmp_path / "out").glob("*.edi")
    (order,) = read_messages(edi.read_bytes())
    assert [value_at(one, 1, 1) for one in order if one[0][0] == "QTY"] == ["4", "10"]
    (x12,) = (tmp_path / "out").glob("*.x12")
    (rows,) = read_sets(x12.read_bytes())
    assert ["CTT", "2", "14"] in rows


def test_answer_to_a_document_is_taken_apart(tmp_path: Path) -> None:
    """Each line is about its own order again."""
    outbox = gathered(tmp_path, msgspec.structs.replace(MUG, sku="85123A"), CUP)
    outbox.gather("erp", WAIT_S, NOW_S + 600)
    (one,) = waiting(outbox)
    partner = Partner("lean", {}, outbox.document_lines())
    for name, number in (("ordrsp-d96a.edi", one.po_id), ("ack-855.x12", one.po_id[3:])):
        old = b"po-0d42234752cf8a81a419" if name.endswith("edi") else b"0d42234752cf8a81a419"
        content = (SAMPLES / name).read_bytes().replace(old, number.encode())
        assert {event["po_id"] for event in events_of(content, partner)} == {"po-1"}
    content = (SAMPLES / "ordrsp-d96a.edi").read_bytes()
    content = content.replace(b"po-0d42234752cf8a81a419", one.po_id.encode())
    with pytest.raises(EdiError, match="must be a document of the outbox"):
        events_of(content, Partner("lean"))


async def test_orders_that_gathered_leave_when_the_setting_is_taken_away(tmp_path: Path) -> None:
    """At once, in their document."""
    (tmp_path / "out").mkdir()
    outbox = gathered(tmp_path, MUG, CUP)
    folder = Folder(name="erp", folder=tmp_path / "out")
    courier = Courier(outbox, {"erp": folder}, Clock(lambda: NOW_S))
    await courier.send_next(folder, None)  # type: ignore[arg-type]
    assert len(list((tmp_path / "out").iterdir())) == 1
    assert outbox.listed(states=["gathering"]) == []
