"""The orders' part of the API over a real socket, on orders that lie in a real Redis."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from infra.admin.access import Access
from infra.admin.routes import make_admin
from infra.admin.server import AdminServer
from infra.control.entries import OrderWaits
from infra.control.order_routes import PATH, add_order_routes
from infra.control.orders import Desk
from infra.settings import Settings
from streams.contracts.events import OrderRejected
from tests.infra.admin.test_routes import Worker
from tests.infra.control.test_orders import stored
from tests.infra.control.test_routes import TOKENS, as_operator
from tests.infra.memory_log import MemoryLog

WORD = {"po_id": "po-1", "who": "ada", "why": "too dear"}


@asynccontextmanager
async def api(settings: Settings):
    """The API on a loopback socket, and a client."""
    app = make_admin(Worker(), CollectorRegistry(), Access("127.0.0.1", TOKENS, False))
    log = MemoryLog()
    desk = Desk(settings, lambda: log.state, log.controls)
    add_order_routes(app, log, desk, asyncio.to_thread)
    server = AdminServer(app, "127.0.0.1", 0)
    url = await server.start()
    try:
        async with aiohttp.ClientSession(url) as client:
            client.log = log
            yield client
    finally:
        await server.stop()


async def test_word_about_an_order_is_in_force_at_once_and_kept_with_its_author(redis_url):
    """The list says that it waits, the log who said what, and the event goes to the topic."""
    async with api(stored(redis_url)) as client:
        async with client.get(PATH) as answer:
            reported = await answer.json()
        assert [row["hold"] for row in reported["orders"]] == ["approval"]
        assert (reported["orders_total"], reported["waiting_total"]) == (1, 1)
        async with client.post(f"{PATH}/reject", json=WORD, headers=as_operator()) as answer:
            assert (answer.status, (await answer.json())["verdict"]) == (200, "rejected")
        (entry,) = client.log.entries
        assert (entry.who, entry.why, entry.quantity) == ("ada", "too dear", 10)
        (event,) = client.log.responses
        assert isinstance(event, OrderRejected)
        assert event.event_id == entry.entry_id
        async with client.get(PATH) as answer:
            reported = await answer.json()
        (row,) = reported["orders"]
        assert (row["hold"], row["answer"], row["answer_quantity"]) == ("held", "rejected", 10)
        assert (reported["orders_total"], reported["waiting_total"]) == (1, 0), (
            "it waits for nobody"
        )


@pytest.mark.parametrize(
    ("verb", "body", "status", "field"),
    [
        ("approve", {**WORD, "po_id": "po-2"}, 404, "po_id"),
        ("approve", {**WORD, "who": ""}, 400, "who"),
        ("approve", {**WORD, "quantity": 5}, 400, "body"),
        ("change", WORD, 400, "quantity"),
        ("change", {**WORD, "quantity": "7"}, 400, "quantity"),
        ("change", {**WORD, "expected_at": "soon"}, 400, "expected_at"),
    ],
)
async def test_word_that_is_not_possible_is_reported_and_changes_nothing(
    redis_url, verb, body, status, field
):
    """The field and its rule; nothing is written."""
    async with api(stored(redis_url)) as client:
        async with client.post(f"{PATH}/{verb}", json=body, headers=as_operator()) as answer:
            assert answer.status == status
            assert (await answer.json())["error"]["field"] == field
        assert (client.log.entries, client.log.responses) == ([], [])


async def test_word_needs_an_operators_token(redis_url):
    """Looking is free on loopback, deciding is not."""
    async with (
        api(stored(redis_url)) as client,
        client.post(f"{PATH}/approve", json=WORD) as answer,
    ):
        assert answer.status == 401


async def test_server_that_is_away_is_named(redis_url):
    """Redis, where the orders are; Kafka, where the word goes."""
    nowhere = Settings(redis_url="redis://127.0.0.1:1/0")
    async with api(nowhere) as client, client.get(PATH) as answer:
        assert (answer.status, (await answer.json())["error"]["field"]) == (503, "Redis")
    async with api(stored(redis_url)) as client:
        client.log.is_away = True
        async with client.post(f"{PATH}/approve", json=WORD, headers=as_operator()) as answer:
            assert (answer.status, (await answer.json())["error"]["field"]) == (503, "Kafka")


async def test_many_orders_are_approved_at_once(redis_url):
    """One that is not there is refused by its rule, and does not stop the others."""
    body = {"verdict": "approved", "po_ids": ["po-1", "po-2"], "who": "ada", "why": "plan"}
    async with api(stored(redis_url)) as client:
        async with client.post(f"{PATH}/bulk", json=body, headers=as_operator()) as answer:
            reported = await answer.json()
        assert [(one["po_id"], one["verdict"]) for one in reported["answers"]] == [
            ("po-1", "approved")
        ]
        assert [(one["po_id"], one["field"]) for one in reported["refused"]] == [("po-2", "po_id")]
        assert [one.po_id for one in client.log.entries] == ["po-1"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"po_ids": []}, "po_ids"),
        ({"po_ids": ["po-1"] * 501}, "po_ids"),
        ({"verdict": "changed"}, "verdict"),
        ({"who": " "}, "who"),
        ({"why": "two\nlines"}, "why"),
    ],
)
async def test_word_about_many_orders_is_checked_before_any_is_written(redis_url, changes, field):
    """The field and its rule; nothing is written."""
    body = {"verdict": "approved", "po_ids": ["po-1"], "who": "ada", "why": "plan", **changes}
    async with api(stored(redis_url)) as client:
        async with client.post(f"{PATH}/bulk", json=body, headers=as_operator()) as answer:
            assert (answer.status, (await answer.json())["error"]["field"]) == (400, field)
        assert client.log.entries == []


async def test_page_of_an_order_has_what_was_said_of_it(redis_url):
    """Who must act, and the words of the audit log, the oldest first."""
    async with api(stored(redis_url)) as client:
        client.log.note(OrderWaits(who="tidegate", why="w", po_id="po-1", reason="approval"))
        body = {**WORD, "quantity": 7}
        async with client.post(f"{PATH}/change", json=body, headers=as_operator()) as answer:
            assert answer.status == 200
        async with client.get(f"{PATH}/po-1") as answer:
            page = await answer.json()
        assert page["order"]["must_act"] == "whoever held it"
        assert page["order"]["waiting_since"] == "2026-01-01T00:00:00Z"
        assert [(one["what"], one["quantity"]) for one in page["history"]] == [
            ("waits", None),
            ("changed", 7),
        ]
        async with client.get(f"{PATH}/po-2") as answer:
            assert answer.status == 404
