"""Each kind of destination, from the outbox: sent again the same, people asked first."""

from pathlib import Path

import aiohttp
import pytest

from infra.deliver.courier import Clock, Courier
from infra.deliver.destinations import X12, Destination, Edifact, Folder, Mail
from infra.deliver.edifact import read_messages
from infra.deliver.outbox import Outbox, State
from infra.deliver.outcome import End
from infra.deliver.x12 import read_sets
from tests.infra.deliver.orders import NOW_S, message, put_in
from tests.infra.deliver.test_mail import serving


async def send(outbox: Outbox, destination: Destination, now_s: float = NOW_S) -> End | None:
    courier = Courier(outbox, {destination.name: destination}, Clock(lambda: now_s, lambda: 0.0))
    async with aiohttp.ClientSession() as client:
        outcome = await courier.send_next(destination, client)
    return None if outcome is None else outcome.end


def partners(folder: Path) -> list[Destination]:
    return [
        Folder(name="erp", folder=folder),
        Edifact(name="erp", folder=folder, buyer="1", supplier="2", deliver_to="3"),
        X12(
            name="erp",
            folder=folder,
            buyer="SHOP",
            supplier="LEAN",
            buyer_name="Shop",
            buyer_code="S1",
            deliver_to_name="Main",
        ),
    ]


@pytest.mark.parametrize("kind", [0, 1, 2], ids=["csv", "edifact", "x12"])
async def test_file_of_unknown_end_is_written_again_the_same(tmp_path: Path, kind: int) -> None:
    """A process that ended while it wrote: the same bytes under the same name, one file."""
    folder = tmp_path / "out"
    folder.mkdir()
    destination = partners(folder)[kind]
    outbox = Outbox(tmp_path)
    put_in(outbox, message())
    assert await send(outbox, destination) == End.DELIVERED
    (first,) = [one.read_bytes() for one in folder.iterdir()]
    (one,) = outbox.listed()
    outbox.begin(one, NOW_S)
    outbox.recover(NOW_S)
    assert await send(outbox, destination, NOW_S + 9) == End.DELIVERED
    assert [one.read_bytes() for one in folder.iterdir()] == [first]
    if kind == 1:
        assert len(read_messages(first)) == 1
    if kind == 2:
        assert len(read_sets(first)) == 1


async def test_change_and_cancel_are_files_of_their_own(tmp_path: Path) -> None:
    """EDIFACT says that they replace, or cancel; interchange numbers are never used twice."""
    folder = tmp_path / "out"
    folder.mkdir()
    destination = partners(folder)[1]
    outbox = Outbox(tmp_path)
    versions = [
        message(),
        message(version=2, kind="changed", quantity=60),
        message(version=3, kind="cancelled"),
    ]
    put_in(outbox, *versions)
    assert [await send(outbox, destination) for _ in versions] == [End.DELIVERED] * 3
    found = {one.name: read_messages(one.read_bytes())[0] for one in folder.iterdir()}
    assert [one[1][3][0] for _, one in sorted(found.items())] == ["9", "5", "1"]
    numbers = {one.read_bytes().split(b"UNZ+1+")[1] for one in folder.iterdir()}
    assert len(numbers) == 3


async def test_order_that_edi_cannot_carry_is_refused_with_its_reason(tmp_path: Path) -> None:
    """It stands there; the next one goes on."""
    outbox = Outbox(tmp_path)
    put_in(outbox, message(currency=None), message("po-2"))
    destination = partners(tmp_path)[1]
    assert [await send(outbox, destination) for _ in range(2)] == [End.REFUSED, End.DELIVERED]
    assert outbox.listed()[0].said == "an order must have a currency"


async def test_mail_of_unknown_end_waits_for_a_person(tmp_path: Path) -> None:
    """The server was gone after the text: a second mail may become a second order."""
    outbox = Outbox(tmp_path)
    put_in(outbox, message(), message(version=2, quantity=60), to="m")

    def mail(port: int) -> Mail:
        box = {"sender": "a@b.example", "to": ("c@d.example",), "security": "none"}
        return Mail(name="m", host="127.0.0.1", port=port, **box)  # type: ignore[arg-type]

    with serving(end=None) as (server, _):
        assert await send(outbox, mail(server.port)) == End.UNKNOWN
    later = NOW_S + 10 * 86_400
    with serving() as (server, _):
        assert await send(outbox, mail(server.port), later) is None, "nor does version 2 overtake"
        first = outbox.listed()[0]
        assert first.state == State.UNKNOWN
        outbox.retry(first, "ada", "they have nothing", later)
        assert await send(outbox, mail(server.port), later) == End.DELIVERED
    assert b"Subject: Copy: Purchase order" in server.mail


async def test_fault_of_ours_does_not_stop_other_messages(tmp_path: Path) -> None:
    """An order whose supplier cannot stand in a header is of unknown end, and said to be."""
    outbox = Outbox(tmp_path)
    put_in(outbox, message(supplier="x\r\ny"), message("po-2"), to="m")
    with serving() as (server, box):
        destination = Mail(
            name="m", host=box.host, port=server.port, sender=box.sender, to=box.to, security="none"
        )
        assert await send(outbox, destination) == End.UNKNOWN
        assert await send(outbox, destination) == End.DELIVERED
    assert "fault in Tidegate" in outbox.listed()[0].said
