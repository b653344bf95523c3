"""The outbox on disk: each record once, and never silently sent twice, whatever is killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra.deliver.messages import said
from infra.deliver.outbox import Outbox, OutboxError, Route, State
from tests.infra.deliver.orders import NOW_S, message, put_in, word

PO = "po-0d42234752cf8a81a419"
GOES = [Route("erp"), Route("mail")]


def spoken(outbox: Outbox, value: bytes, offset: int) -> None:
    """Take a person's word in."""
    came = said(value)
    goes = [] if outbox.known(PO) is None else GOES
    outbox.take(("order-responses", 0, offset), came, goes, NOW_S)


def ids(outbox: Outbox, destination: str = "erp") -> list[str]:
    return [
        f"{one.message.kind} {one.message.message_id} {one.message.quantity}"
        for one in outbox.listed(destination)
    ]


def test_record_becomes_a_message_once_for_each_destination(tmp_path: Path) -> None:
    """Read again after a crash, or published twice: the same messages."""
    outbox = Outbox(tmp_path)
    for offset in (7, 7, 8):
        outbox.take(("purchase-orders", 3, offset), message(), GOES, NOW_S)
    assert (len(ids(outbox)), len(ids(outbox, "mail"))) == (1, 1)
    assert outbox.places() == {("purchase-orders", 3): 9}
    outbox.take(("purchase-orders", 3, 2), None, [], NOW_S)
    assert outbox.places() == {("purchase-orders", 3): 9}, "a place never goes back"


def test_history_is_skipped_and_says_why(tmp_path: Path) -> None:
    """It is listed, and nothing of it waits."""
    outbox = Outbox(tmp_path)
    outbox.take(("purchase-orders", 0, 0), message(), [Route("erp", "history")], NOW_S)
    assert [(one.state, one.said) for one in outbox.listed()] == [(State.SKIPPED, "history")]
    assert outbox.next_due("erp", False, NOW_S) is None


def test_words_about_an_order_that_left_are_sent_as_its_next_versions(tmp_path: Path) -> None:
    """A change, then a cancel; the same word read twice makes one message."""
    outbox = Outbox(tmp_path)
    put_in(outbox, message())
    change = word("changed", quantity=60, expected_at="2026-11-20T00:00:00Z")
    for offset, value in enumerate((change, change, word("rejected", "au-2"))):
        spoken(outbox, value, offset)
    assert ids(outbox) == [
        f"proposed {PO}:1 120",
        f"changed {PO}:2 60",
        f"cancelled {PO}:3 60",
    ]
    assert outbox.listed("erp")[1].message.expected_at == "2026-11-20T00:00:00Z"


def test_word_that_comes_before_its_order_is_not_lost(tmp_path: Path) -> None:
    """The topics are read independently: a change that the record has already says nothing new."""
    outbox = Outbox(tmp_path)
    date = "2026-11-18T00:00:00Z"
    spoken(outbox, word("changed", quantity=60, expected_at=date), 0)
    spoken(outbox, word("cancelled", "au-2"), 1)
    assert ids(outbox) == []
    outbox.take(("purchase-orders", 0, 0), message(version=2, quantity=60), GOES, NOW_S)
    assert ids(outbox) == [f"proposed {PO}:2 60", f"cancelled {PO}:3 60"]


@pytest.mark.parametrize(
    "value",
    [
        word("changed", quantity=60, source="erp:odoo"),
        word("acknowledged"),
        word("approved"),
        b"{}",
        b"\xff",
        b'{"kind": "changed"}',
    ],
)
def test_what_a_destination_said_itself_is_not_sent_back(value: bytes) -> None:
    """Nor what says nothing that a supplier has to know."""
    assert said(value) is None


KILLED = """
import os, signal, sys
from pathlib import Path
from infra.deliver.outbox import Outbox, State
from tests.infra.deliver.orders import NOW_S, message, put_in
outbox, point = Outbox(Path(sys.argv[1])), sys.argv[2]
put_in(outbox, message())
one = outbox.next_due("erp", True, NOW_S)
if point in ("sending", "delivered"):
    outbox.begin(one, NOW_S)
if point == "delivered":
    outbox.end(one, State.DELIVERED, "ok", NOW_S, NOW_S)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("point", "state"),
    [
        ("waiting", State.WAITING),
        ("sending", State.UNKNOWN),
        ("delivered", State.DELIVERED),
    ],
)
def test_killed_process_leaves_what_is_known(tmp_path: Path, point: str, state: State) -> None:
    """After kill -9 while it was sent nobody knows whether it was: machines get it again."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), point], check=False, env={**os.environ}
    )
    assert done.returncode == -signal.SIGKILL
    outbox = Outbox(tmp_path)
    outbox.recover(NOW_S)
    (one,) = outbox.listed()
    assert (one.state, outbox.places()) == (state, {("purchase-orders", 0): 1})
    again = outbox.next_due("erp", False, NOW_S)
    assert (again is not None) == (state != State.DELIVERED)
    asked = outbox.next_due("erp", True, NOW_S)
    assert (asked is not None) == (state == State.WAITING), "people are asked first"


def test_person_retries_or_skips_what_is_not_delivered(tmp_path: Path) -> None:
    """Who and why stand in its history; what is delivered is refused by its rule."""
    outbox = Outbox(tmp_path)
    put_in(outbox, message(), message("po-2"))
    first, second = outbox.listed()
    outbox.begin(first, NOW_S)
    outbox.recover(NOW_S)
    outbox.retry(first, "ada", "they had nothing", NOW_S)
    outbox.skip(second, "ada", "by telephone", NOW_S)
    assert [one.state for one in outbox.listed()] == [State.WAITING, State.SKIPPED]
    assert outbox.events(first)[-1]["who"] == "ada"
    assert outbox.was_unknown(first)
    assert not outbox.was_unknown(second)
    outbox.end(first, State.DELIVERED, "ok", NOW_S, NOW_S)
    for act in (outbox.retry, outbox.skip):
        with pytest.raises(OutboxError, match="message must be refused, unknown"):
            act(outbox.listed()[0], "ada", "again", NOW_S)
    with pytest.raises(OutboxError, match="tidegate deliver list"):
        outbox.find("po-9")


def test_message_that_is_skipped_while_it_is_picked_is_not_sent(tmp_path: Path) -> None:
    """A person's command and the courier are two processes on one file."""
    courier, person = Outbox(tmp_path), Outbox(tmp_path)
    put_in(courier, message())
    one = courier.next_due("erp", False, NOW_S)
    assert one is not None
    person.skip(person.listed()[0], "ada", "by telephone", NOW_S)
    assert not courier.begin(one, NOW_S)
    assert [it.state for it in courier.listed()] == [State.SKIPPED]
    person.retry(person.listed()[0], "ada", "after all", NOW_S)
    again = courier.next_due("erp", False, NOW_S)
    assert again is not None
    assert courier.begin(again, NOW_S)
    with pytest.raises(OutboxError, match="got 'sending'"):
        person.skip(again, "ada", "too late", NOW_S)
