"""The control API over a real socket: pausing, resuming, and what it says when it will not."""

import asyncio
import threading
from contextlib import asynccontextmanager

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from redis.exceptions import ConnectionError as RedisConnectionError

from infra.admin.access import Access, Role, _Token
from infra.admin.routes import make_admin
from infra.admin.server import AdminServer
from infra.control.entries import Paused
from infra.control.known_names import UnknownNameError
from infra.control.routes import ORDERS_SHOWN, HeldOrder, PartitionHold, add_control_routes
from streams.handover.rules import HoldReason
from tests.infra.admin.test_routes import Worker
from tests.infra.memory_log import MemoryLog

OPERATOR = "an-operator-of-the-tests"
VIEWER = "a-viewer-of-the-tests"
TOKENS = (_Token(Role.VIEWER, VIEWER), _Token(Role.OPERATOR, OPERATOR))
WHO = {"who": "ada", "why": "the price is wrong"}


def as_operator(**headers: str) -> dict[str, str]:
    """Headers of an operator."""
    return {"Authorization": f"Bearer {OPERATOR}", **headers}


@asynccontextmanager
async def api(
    *,
    host: str = "127.0.0.1",
    tokens=TOKENS,
    open_probes: bool = False,
    orders: int = 1,
    require_known=lambda entry: None,
):
    """The API on a loopback socket, guarded as if it were bound to `host`, and a client."""
    access = Access(host, tokens, open_probes)
    app = make_admin(Worker(), CollectorRegistry(), access)
    log = MemoryLog()
    order = HeldOrder("po-1", "lamp", "main", "acme", 5, 50.0, "EUR", HoldReason.APPROVAL)
    held = [PartitionHold(0, []), PartitionHold(1, [HoldReason.LAG])], [order] * orders
    add_control_routes(app, log, lambda controls: held, require_known, asyncio.to_thread)
    server = AdminServer(app, "127.0.0.1", 0)
    url = await server.start()
    try:
        async with aiohttp.ClientSession(url) as client:
            client.log = log
            yield client
    finally:
        await server.stop()


async def test_pause_is_listed_until_it_is_resumed():
    """Who paused what and why is shown to everybody, until somebody resumes it by its id."""
    async with api() as client:
        body = {**WHO, "supplier": "acme"}
        async with client.post("/api/v1/pause", json=body, headers=as_operator()) as answer:
            assert answer.status == 201
            hold = (await answer.json())["hold"]
        assert {**body, "sku": None, "warehouse": None} == {
            name: value for name, value in hold.items() if name not in ("hold_id", "since")
        }
        async with client.get("/api/v1/holds") as answer:
            reported = await answer.json()
        assert reported["holds"] == [hold]
        assert reported["handover"][1] == {"partition": 1, "reasons": ["lag"]}
        assert reported["orders"][0]["reason"] == "approval"
        assert reported["orders_total"] == 1
        body = {**WHO, "hold_id": hold["hold_id"]}
        async with client.post("/api/v1/resume", json=body, headers=as_operator()) as answer:
            assert (answer.status, await answer.json()) == (200, {"hold": hold})
        async with client.post("/api/v1/resume", json=body, headers=as_operator()) as answer:
            assert answer.status == 404
            assert (await answer.json())["error"]["field"] == "hold_id"
        async with client.get("/api/v1/holds") as answer:
            assert (await answer.json())["holds"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"who": "ada"}, "body"),
        ({"who": "ada", "why": 7}, "why"),
        ({"who": " ", "why": "x"}, "who"),
        ({"who": "ada", "why": "x" * 501}, "why"),
        ({"who": "ada\n", "why": "x"}, "who"),
        ({"who": "ada", "why": "x", "warehouse": "main"}, "warehouse"),
        ({"who": "ada", "why": "x", "everything": True}, "body"),
        ([], "body"),
    ],
)
async def test_bad_body_is_reported_by_field_and_rule(body, field):
    """What cannot be carried out names the field, and nothing is paused."""
    async with api() as client:
        async with client.post("/api/v1/pause", json=body, headers=as_operator()) as answer:
            assert answer.status == 400
            error = (await answer.json())["error"]
        assert error["field"] == field
        assert error["rule"]
        assert client.log.state.pauses == {}


def knows_acme(entry: Paused) -> None:
    """Refuse other suppliers, as `infra.control.known_names.require_known` does."""
    if entry.supplier not in (None, "acme"):
        raise UnknownNameError(
            "supplier", "one that the shop knows (near it: acme)", entry.supplier
        )


async def test_pause_of_an_unknown_name_is_refused_unless_it_is_asked_for_anyway():
    """A pause of a mistyped supplier would stop nothing, while its author thinks that it does."""
    async with api(require_known=knows_acme) as client:
        body = {**WHO, "supplier": "acne"}
        async with client.post("/api/v1/pause", json=body, headers=as_operator()) as answer:
            assert answer.status == 404
            error = (await answer.json())["error"]
        rule = "one that the shop knows (near it: acme), or given with anyway"
        assert error == {"field": "supplier", "rule": rule, "value": "acne"}
        assert client.log.state.pauses == {}
        for more in ({"supplier": "acme"}, {"supplier": "acne", "anyway": True}, {}):
            body = {**WHO, **more}
            async with client.post("/api/v1/pause", json=body, headers=as_operator()) as answer:
                assert answer.status == 201
        paused = [one.supplier for one in client.log.state.pauses.values()]
        assert paused == ["acme", "acne", None]


@pytest.mark.parametrize("failure", ["away", "silent"])
async def test_pause_is_made_while_nobody_knows_the_names(monkeypatch, failure):
    """A pause is urgent: Redis that is away, or silent, stands in the way of none."""
    monkeypatch.setattr("infra.control.routes._PATIENCE_SECONDS", 0.05)
    released = threading.Event()

    def ask_redis(entry: Paused) -> None:
        if failure == "away":
            raise RedisConnectionError("no Redis")
        released.wait(30)

    async with api(require_known=ask_redis) as client:
        body = {**WHO, "supplier": "acme"}
        async with client.post("/api/v1/pause", json=body, headers=as_operator()) as answer:
            assert answer.status == 201
        released.set()


async def test_pause_that_kafka_did_not_take_is_no_pause():
    """The caller learns that nothing was stopped."""
    async with api() as client:
        client.log.is_away = True
        async with client.post("/api/v1/pause", json=WHO, headers=as_operator()) as answer:
            assert answer.status == 503
            assert (await answer.json())["error"]["field"] == "Kafka"


async def test_answer_lists_no_more_than_a_page():
    """A hundred thousand held orders are counted, not sent."""
    async with api(orders=ORDERS_SHOWN + 5) as client, client.get("/api/v1/holds") as answer:
        reported = await answer.json()
    assert len(reported["orders"]) == ORDERS_SHOWN
    assert reported["orders_total"] == ORDERS_SHOWN + 5
