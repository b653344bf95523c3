"""Webhooks over real sockets: signed, tried again, never followed elsewhere."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from infra.deliver.courier import Clock, Courier
from infra.deliver.destinations import Webhook
from infra.deliver.messages import webhook_body
from infra.deliver.outbox import Outbox, State
from infra.deliver.outcome import End
from infra.deliver.webhook import secret_bytes, sign
from tests.infra.deliver.orders import NOW_S, message, put_in

SECRET = "whsec_aW52ZW50ZWQtc2VjcmV0LW9mLTI0LWJ5"
SAMPLE = (
    b'{"type":"tidegate.purchase_order.proposed","timestamp":"2026-11-11T08:15:00Z","data":{'
    b'"po_id":"po-0d42234752cf8a81a419","version":1,"sku":"85123A","warehouse":"main",'
    b'"supplier":"Lean GmbH","supplier_role":"lean","occasion":"regular","quantity":120,'
    b'"unit_cost":6.25,"currency":"EUR","decided_at":"2026-11-11T08:15:00Z",'
    b'"expected_at":"2026-11-18T00:00:00Z","reason":"stock covers 3.1 of 7 days"}}'
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Receiver:
    """A server with a script of answers; keeps what came."""

    def __init__(self) -> None:
        self.came: list[tuple[dict[str, str], bytes]] = []
        self.script: list[web.Response | str] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.came.append(({k.lower(): v for k, v in request.headers.items()}, body))
        answer = self.script.pop(0) if self.script else web.Response(status=204)
        if answer == "hang":
            await asyncio.sleep(30)
        if answer == "cut":
            assert request.transport is not None
            request.transport.abort()
        return answer if isinstance(answer, web.Response) else web.Response()

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.came]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/in", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/in"
    try:
        yield receiver
    finally:
        await runner.cleanup()


class Desk:
    """An outbox with one webhook, at a time that the test owns."""

    def __init__(self, folder: Path, url: str, timeout_s: float = 5.0) -> None:
        (folder / "secret").write_text(SECRET)
        self.now_s = NOW_S
        self.outbox = Outbox(folder / "outbox")
        self.webhook = Webhook(
            name="erp", url=url, secret_files=(folder / "secret",), timeout_seconds=timeout_s
        )
        clock = Clock(lambda: self.now_s, lambda: 0.0)
        self.courier = Courier(self.outbox, {"erp": self.webhook}, clock)

    async def send(self) -> End | None:
        async with aiohttp.ClientSession() as client:
            outcome = await self.courier.send_next(self.webhook, client)
        return None if outcome is None else outcome.end

    @property
    def states(self) -> list[State]:
        return [one.state for one in self.outbox.listed()]


def test_signature_and_body_are_those_of_the_sample() -> None:
    """Byte for byte; the signature holds over the sample's id, time and body."""
    assert webhook_body(message()) == SAMPLE
    signed = sign("po-0d42234752cf8a81a419", 1794384900, SAMPLE, [SECRET])
    assert signed == "v1,BfpjqO0XTgQinGcePbI7R0obUSC+IoqoILPuaDkBWw8="


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!", "whsec_c2hvcnQ=", "c2VjcmV0" * 4])
def test_secret_that_is_none_is_refused_and_not_repeated(secret: str) -> None:
    """The rule is named; the text stays out of logs."""
    with pytest.raises(ValueError, match="base64 of 24 to 64 bytes") as caught:
        secret_bytes(secret)
    assert len(secret) < 8 or secret not in str(caught.value)


async def test_order_is_signed_with_its_id_and_the_time_of_the_try(tmp_path: Path) -> None:
    """Each secret signs, so that a receiver may change its own."""
    async with receiving() as receiver:
        desk = Desk(tmp_path, receiver.url)
        put_in(desk.outbox, message())
        assert await desk.send() == End.DELIVERED
        assert await desk.send() is None
        ((headers, body),) = receiver.came
        signed = f"po-0d42234752cf8a81a419:1.{headers['webhook-timestamp']}.".encode() + body
        digest = hmac.digest(secret_bytes(SECRET), signed, hashlib.sha256)
        assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
        assert desk.states == [State.DELIVERED]


@pytest.mark.parametrize(
    ("answer", "end", "state", "waits_s"),
    [
        (web.Response(status=500, text="oops"), End.AGAIN, State.WAITING, 5),
        (web.Response(status=429, headers={"Retry-After": "30"}), End.AGAIN, State.WAITING, 30),
        (web.Response(status=503, headers={"Retry-After": "900"}), End.AGAIN, State.WAITING, 900),
        (web.Response(status=301, headers={"Location": "/in"}), End.AGAIN, State.WAITING, 5),
        ("cut", End.UNKNOWN, State.UNKNOWN, 5),
    ],
    ids=["500", "429", "503", "301", "cut"],
)
async def test_message_comes_again_under_its_id(
    tmp_path: Path, answer: web.Response | str, end: End, state: State, waits_s: int
) -> None:
    """Not before its time, as the schedule or the receiver says; redirects are not followed."""
    async with receiving() as receiver:
        receiver.script = [answer]
        desk = Desk(tmp_path, receiver.url)
        put_in(desk.outbox, message())
        assert await desk.send() == end
        assert desk.states == [state]
        desk.now_s += waits_s - 1
        assert await desk.send() is None
        desk.now_s += 1
        assert await desk.send() == End.DELIVERED
        assert receiver.ids == ["po-0d42234752cf8a81a419:1"] * 2
        assert len({headers["webhook-timestamp"] for headers, _ in receiver.came}) == 2


async def test_receiver_that_hangs_is_of_unknown_end(tmp_path: Path) -> None:
    """It may have the order, so it gets it again under the same id."""
    async with receiving() as receiver:
        receiver.script = ["hang"]
        desk = Desk(tmp_path, receiver.url, timeout_s=0.3)
        put_in(desk.outbox, message())
        assert await desk.send() == End.UNKNOWN
        desk.now_s += 5
        assert await desk.send() == End.DELIVERED
        assert len(set(receiver.ids)) == 1


async def test_receiver_that_is_not_there_was_certainly_not_reached(tmp_path: Path) -> None:
    """The order waits; nothing is unknown."""
    desk = Desk(tmp_path, "http://127.0.0.1:1/in")
    put_in(desk.outbox, message())
    assert await desk.send() == End.AGAIN
    assert desk.states == [State.WAITING]


async def test_message_that_is_refused_does_not_stop_the_next(tmp_path: Path) -> None:
    """It stands there with the receiver's words until a person says what to do."""
    async with receiving() as receiver:
        receiver.script = [web.Response(status=422, text="no such item")]
        desk = Desk(tmp_path, receiver.url)
        put_in(desk.outbox, message(), message("po-2"))
        assert await desk.send() == End.REFUSED
        assert await desk.send() == End.DELIVERED
        assert [one.said for one in desk.outbox.listed(states=["refused"])] == [
            "HTTP 422: no such item"
        ]


async def test_destination_that_is_gone_gets_nothing_until_a_person_says_so(
    tmp_path: Path,
) -> None:
    """410: dead, and reported with its reason; a retry begins again."""
    async with receiving() as receiver:
        receiver.script = [web.Response(status=410, text="moved")]
        desk = Desk(tmp_path, receiver.url)
        put_in(desk.outbox, message(), message("po-2"))
        assert await desk.send() == End.GONE
        assert await desk.send() is None
        (dead,) = desk.outbox.stopped()
        assert (dead.name, dead.stopped) == ("erp", "HTTP 410: moved")
        first = desk.outbox.listed()[0]
        desk.outbox.retry(first, "ada", "new address", desk.now_s)
        assert [await desk.send(), await desk.send()] == [End.DELIVERED] * 2


async def test_message_is_given_up_after_the_schedule_and_its_destination_is_dead(
    tmp_path: Path,
) -> None:
    """Ten tries over three days; then both are reported."""
    async with receiving() as receiver:
        desk = Desk(tmp_path, receiver.url)
        put_in(desk.outbox, message())
        for _ in range(10):
            receiver.script = [web.Response(status=500)]
            assert await desk.send() == End.AGAIN
            desk.now_s += 100_000
        assert await desk.send() is None
        assert desk.states == [State.REFUSED]
        assert desk.outbox.stopped()[0].stopped.startswith("given up after 10 tries: HTTP 500")


async def test_failing_destination_is_left_alone_for_a_while(tmp_path: Path) -> None:
    """After three failures in a row no other message is tried at once, either."""
    async with receiving() as receiver:
        receiver.script = [web.Response(status=500) for _ in range(3)]
        desk = Desk(tmp_path, receiver.url)
        put_in(desk.outbox, *(message(f"po-{number}") for number in range(4)))
        assert [await desk.send() for _ in range(3)] == [End.AGAIN] * 3
        assert await desk.send() is None
        desk.now_s += 5
        assert await desk.send() == End.DELIVERED


async def test_later_version_never_overtakes(tmp_path: Path) -> None:
    """Another order goes on while the first version waits."""
    async with receiving() as receiver:
        receiver.script = [web.Response(status=500)]
        desk = Desk(tmp_path, receiver.url)
        put_in(desk.outbox, message(), message(version=2, quantity=60), message("po-2"))
        assert await desk.send() == End.AGAIN
        assert await desk.send() == End.DELIVERED
        assert receiver.ids[-1] == "po-2:1"
        desk.now_s += 5
        assert [await desk.send(), await desk.send()] == [End.DELIVERED] * 2
        assert receiver.ids[-2:] == ["po-0d42234752cf8a81a419:1", "po-0d42234752cf8a81a419:2"]
