"""The API over HTTP: documented, limited, cheap for many, honest when Redis is away."""

import asyncio
import json
import re

import aiohttp
import jsonschema
import pytest

from infra.local.embedded import EmbeddedRedis
from infra.page import hub
from infra.page.openapi import PATH, document, text
from infra.page.routes import PREFIX, VIEWS
from infra.page.static_files import _with_dashboards, read_site
from streams.incidents.kinds import INCIDENT_KINDS
from tests.browser.shop import HOUR_MS, TOKEN, counted, item, open_shop, placed, serving

QUERIES = {
    "/item": {"sku": "lamp"},
    "/decisions": {},
    **{view.path: {} for view in VIEWS},
}


def schema_of(path: str, status: str = "200") -> dict:
    """The schema of an answer, with all that it refers to."""
    reported = document()
    (content,) = reported["paths"][PREFIX + path]["get"]["responses"][status]["content"].values()
    return {**content["schema"], "components": reported["components"]}


def test_the_committed_document_is_that_of_the_structs():
    """Whoever changes a struct renews the file: `python -m infra.page.openapi`."""
    assert PATH.read_text() == text()


async def test_answers_are_as_documented(redis_url):
    """Every route of the page's data answers what its schema says."""
    async with open_shop(redis_url) as shop, serving(redis_url) as server:
        start = shop.now_ms - 30 * HOUR_MS
        await shop.tell("catalog", item("lamp", start))
        await shop.tell("stock", counted("lamp", start, 20))
        sold = range(start + 1, shop.now_ms - 1_000, HOUR_MS)
        await shop.tell("orders", *[placed("lamp", at) for at in sold])
        await shop.tell_bytes("orders", b"no json")
        await shop.write_heartbeats()
        await shop.settle()
        async with aiohttp.ClientSession(server.url) as client:
            for path, query in QUERIES.items():
                async with client.get(PREFIX + path, params=query) as answer:
                    assert answer.status == 200, await answer.text()
                    jsonschema.validate(await answer.json(), schema_of(path))
            async with client.get(f"{PREFIX}/openapi.json") as answer:
                assert await answer.json() == document()


@pytest.mark.parametrize(
    ("path", "query", "status", "field"),
    [
        ("/items", {"limit": "0"}, 400, "limit"),
        ("/items", {"limit": "201"}, 400, "limit"),
        ("/items", {"offset": "-1"}, 400, "offset"),
        ("/items", {"sort": "colour"}, 400, "sort"),
        ("/items", {"nonsense": "1"}, 400, "query"),
        ("/sales", {"span": "year"}, 400, "span"),
        ("/item", {}, 400, "query"),
        ("/item", {"sku": "x" * 513}, 400, "sku"),
        ("/item", {"sku": "ghost"}, 404, "sku"),
    ],
)
async def test_a_bad_question_is_answered_with_what_is_wrong(redis_url, path, query, status, field):
    """Limits hold; the answer names the field, as the schema of a problem says."""
    async with (
        serving(redis_url) as server,
        aiohttp.ClientSession(server.url) as client,
        client.get(PREFIX + path, params=query) as answer,
    ):
        reported = await answer.json()
        assert (answer.status, reported["error"]["field"]) == (status, field)
        jsonschema.validate(reported, schema_of("/item", "404"))


@pytest.mark.parametrize(
    ("path", "query", "rule"),
    [
        ("/items", {"limit": "9999"}, "a whole number of at most 200"),
        ("/items", {"limit": "many"}, "a whole number"),
        ("/items", {"sort": "colour"}, "one of minutes_to_zero, speed, stock, backlog, sku"),
        ("/sales", {"span": "year"}, "one of hour, day, week"),
        ("/items", {"nonsense": "1"}, "made of limit, offset, sort, query, only"),
        ("/item", {}, "given with sku"),
        ("/item", {"sku": "x" * 513}, "of at most 512 characters"),
    ],
)
async def test_rule_of_a_bad_question_is_in_words(redis_url, path, query, rule):
    """What the page shows behind "must be" is for people, not the words of a library."""
    async with (
        serving(redis_url) as server,
        aiohttp.ClientSession(server.url) as client,
        client.get(PREFIX + path, params=query) as answer,
    ):
        error = (await answer.json())["error"]
        assert sorted(re.findall(r"\w+", error["rule"])) == sorted(re.findall(r"\w+", rule))


async def test_wrong_link_is_answered_with_a_page_for_people(redis_url):
    """A browser gets a page with a way back; a program gets what it got before."""
    async with serving(redis_url) as server, aiohttp.ClientSession(server.url) as client:
        async with client.get("/itmes", headers={"Accept": "text/html"}) as answer:
            assert (answer.status, answer.content_type) == (404, "text/html")
            assert 'href="/"' in await answer.text()
        async with client.get("/itmes") as answer:
            assert answer.status == 404


async def test_what_has_not_changed_is_not_sent_again(redis_url):
    """An answer's ETag, asked for again, costs a few bytes."""
    async with serving(redis_url) as server, aiohttp.ClientSession(server.url) as client:
        async with client.get(f"{PREFIX}/items") as answer:
            tag = answer.headers["ETag"]
        async with client.get(f"{PREFIX}/items", headers={"If-None-Match": tag}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")


async def test_many_viewers_cost_one_reading_a_second(redis_url, monkeypatch):
    """Redis is read for all of them together, and not at all when nobody looks."""
    from infra.page.readers.snapshot import PageReader

    readings = 0
    read = PageReader.read

    def counting(self):
        nonlocal readings
        readings += 1
        return read(self)

    monkeypatch.setattr(PageReader, "read", counting)
    async with serving(redis_url) as server, aiohttp.ClientSession(server.url) as client:
        assert readings == 0

        async def ask() -> None:
            async with client.get(f"{PREFIX}/now") as answer:
                assert answer.status == 200

        loop = asyncio.get_running_loop()
        started = loop.time()
        await asyncio.gather(*[ask() for _ in range(60)])
        passed = loop.time() - started
        assert 1 <= readings <= 2 + passed / 0.9


@pytest.mark.slow
async def test_listeners_get_what_is_new_and_are_limited(redis_url, monkeypatch):
    """The stream tells the shop once a second; one listener too many is refused."""
    assert hub.EVERY_SECONDS <= 1  # what happens is on the screen within two
    monkeypatch.setattr(hub, "LISTENERS_AT_MOST", 1)
    async with serving(redis_url) as server, aiohttp.ClientSession(server.url) as client:
        async with client.get(f"{PREFIX}/stream") as stream:
            assert stream.headers["Content-Type"].startswith("text/event-stream")
            for _ in range(2):
                name = (await stream.content.readline()).decode().strip()
                data = (await stream.content.readline()).decode().removeprefix("data: ")
                await stream.content.readline()
                assert name == "event: now"
                jsonschema.validate(json.loads(data), schema_of("/stream"))
            async with client.get(f"{PREFIX}/stream") as refused:
                assert refused.status == 503
                assert refused.headers["Retry-After"]
        await until_answers(client, "/stream", 200)  # the first one has left


async def until_answers(client: aiohttp.ClientSession, path: str, status: int) -> dict:
    """Ask until the status is as wished; return the answer then."""
    async with asyncio.timeout(30):
        while True:
            async with client.get(PREFIX + path) as answer:
                if answer.status == status:
                    return {} if path == "/stream" else await answer.json()
            await asyncio.sleep(0.1)


async def test_a_listener_that_takes_nothing_is_let_go(monkeypatch):
    """It holds nobody up, and its place is free again."""
    from infra.page.readers.snapshot import PageReader

    monkeypatch.setattr(hub, "WRITE_SECONDS", 0.05)
    made = hub.Hub(PageReader.__new__(PageReader), lambda: None)
    monkeypatch.setattr(made, "_read", _fail(made))

    async def never(_: bytes) -> None:
        await asyncio.Event().wait()

    async with asyncio.timeout(20):
        await made.listen(never)
    assert made._listeners == 0
    await made.close()


def _fail(made: hub.Hub):
    async def read() -> None:
        made._failure = hub.AwayError("gone", None)

    return read


@pytest.mark.slow
async def test_an_absent_redis_is_reported(own_redis: EmbeddedRedis):
    """Answers say 503 and how old the newest data is; the stream goes on and says `away`."""
    url = own_redis.url
    async with serving(url) as server, aiohttp.ClientSession(server.url) as client:
        async with client.get(f"{PREFIX}/now") as answer:
            read_ms = (await answer.json())["read_ms"]
        await asyncio.to_thread(own_redis.kill)
        reported = await until_answers(client, "/now", 503)
        assert reported["error"]["field"] == "redis"
        assert reported["data_read_ms"] >= read_ms
        async with client.get(f"{PREFIX}/stream") as stream:
            assert (await stream.content.readline()).decode().strip() == "event: away"
        await asyncio.to_thread(own_redis.start)
        await until_answers(client, "/now", 200)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{}", {}, 400),
        (b'{"incident_id":"in-1","who":"x"}', {}, 400),
        (b'{"incident_id":"in-00000000000000000000","who":""}', {}, 400),
        (b'{"incident_id":"in-00000000000000000000","who":"Ada"}', {}, 404),
        (b'{"incident_id":"in-00000000000000000000","who":"Ada"}', {"Authorization": "x"}, 401),
        (b'{"who":"' + b"x" * 5_000 + b'"}', {}, 413),
        (b"who=x", {"Content-Type": "text/plain"}, 415),
    ],
)
async def test_taking_on_needs_a_token_and_an_open_incident(redis_url, body, headers, status):
    """Nobody writes without the operator's token, and nothing but what is meant."""
    given = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", **headers}
    async with (
        serving(redis_url) as server,
        aiohttp.ClientSession(server.url) as client,
        client.post(f"{PREFIX}/incidents/acknowledge", data=body, headers=given) as answer,
    ):
        assert answer.status == status, await answer.text()


async def test_word_that_kafka_does_not_take_is_not_given(redis_url):
    """Nobody is shown to have an incident that the audit log does not hold."""
    async with (
        open_shop(redis_url) as shop,
        serving(redis_url) as server,
        aiohttp.ClientSession(server.url) as client,
    ):
        await shop.write_heartbeats(shop.now_ms - HOUR_MS)
        await shop.tell_bytes("orders", b"{")
        await shop.write_heartbeats()
        await shop.settle()
        async with client.get(f"{PREFIX}/incidents") as answer:
            (incident,) = (await answer.json())["incidents"]
        body = {"incident_id": incident["incident_id"], "who": "Ada"}
        given = {"Authorization": f"Bearer {TOKEN}"}
        path = f"{PREFIX}/incidents/acknowledge"
        server.log.is_away = True
        async with client.post(path, json=body, headers=given) as answer:
            assert (answer.status, (await answer.json())["error"]["field"]) == (503, "Kafka")
        server.log.is_away = False
        async with client.post(path, json={**body, "who": "Ada\n"}, headers=given) as answer:
            assert (answer.status, (await answer.json())["error"]["field"]) == (400, "who")
        async with client.get(f"{PREFIX}/incidents") as answer:
            assert (await answer.json())["incidents"][0]["acknowledged"] is None
        async with client.post(path, json=body, headers=given) as answer:
            reported = await answer.json()
            assert reported["acknowledged"]["who"] == "Ada"
            assert reported["acknowledged"]["holds_until_ms"] > shop.now_ms


async def test_elsewhere_the_page_loads_and_its_data_needs_a_token(redis_url):
    """Bound beyond this machine, files are free, and every answer wants a token of the page."""
    async with (
        serving(redis_url, host="0.0.0.0") as server,
        aiohttp.ClientSession(server.url.replace("0.0.0.0", "127.0.0.1")) as client,
    ):
        given = {"Authorization": f"Bearer {TOKEN}"}
        for path in ("/", "/static/js/main.js"):
            async with client.get(path) as answer:
                assert answer.status == 200
        for path in (*QUERIES, "/stream", "/openapi.json"):
            async with client.get(PREFIX + path) as answer:
                assert answer.status == 401, path
        async with client.get(f"{PREFIX}/now", headers=given) as answer:
            assert answer.status == 200


async def test_runbooks_are_served_and_incidents_name_theirs(redis_url):
    """Without a token, as the page itself: whoever is called at night needs it first."""
    async with serving(redis_url) as server, aiohttp.ClientSession(server.url) as client:
        for row in INCIDENT_KINDS.values():
            if row.rule is None:
                continue
            async with client.get(f"/static/runbooks/{row.rule}.html") as answer:
                assert answer.status == 200
                assert "<h2>What to do first</h2>" in await answer.text()


def test_page_links_to_dashboards_where_there_are_some():
    """The address of the setting, escaped; without it no link."""
    index = read_site()["index.html"]
    assert b"Dashboards" not in index.data
    shown = _with_dashboards(index, 'https://g.example/"x')
    assert b'href="https://g.example/&quot;x/d/tidegate-overview"' in shown.data
    assert shown.tag != index.tag
