"""The OpenAPI document is a contract: it has every route of a worker's port, and no other."""

from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
import yaml
from aiohttp import ClientResponse, web
from prometheus_client import CollectorRegistry

import infra.bootstrap
from infra.admin.access import Access, _holds_no_data
from infra.admin.routes import make_admin
from infra.page.openapi import PATH
from infra.settings import ALWAYS, Settings
from tests.infra.admin.test_routes import Worker, admin_of
from tests.infra.control.test_routes import VIEWER, WHO, api, as_operator
from tests.infra.memory_log import MemoryLog
from tests.infra.test_asyncapi import fields_of, flow_nodes

CONTRACT = yaml.safe_load(PATH.read_text())


class _Built(Exception):
    """The worker's application is wired; nothing has been started."""


async def workers_application(monkeypatch: pytest.MonkeyPatch) -> web.Application:
    """Return the application as `bootstrap` wires it. All of Kafka is left out of the worker."""
    built: list[web.Application] = []

    async def no_topics(*_: object) -> None:
        pass

    def no_port(app: web.Application, *_: object) -> None:
        built.append(app)
        raise _Built

    no_producer = SimpleNamespace(publish=None, write_heartbeats=None)
    monkeypatch.setattr(infra.bootstrap, "ensure_topics", no_topics)
    monkeypatch.setattr(infra.bootstrap, "ControlLog", lambda *_: MemoryLog())
    monkeypatch.setattr(infra.bootstrap.publisher, "Publisher", lambda *_: no_producer)
    monkeypatch.setattr(infra.bootstrap, "AdminServer", no_port)
    with pytest.raises(_Built):
        await infra.bootstrap.run_worker(
            Settings(redis_url="redis://127.0.0.1:1", live_from=ALWAYS)
        )
    return built[0]


def registered(app: web.Application) -> set[tuple[str, str]]:
    """Return method and path of every route but those of the page's files.

    A path is a file where the guard gives it to everybody, because it holds no data. HEAD is left
    out: aiohttp adds it to every GET.
    """
    routes = {
        (route.method.lower(), route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None
    }
    return {
        (method, path)
        for method, path in routes
        if method != "head" and not _holds_no_data(path) and path != WRONG_LINKS
    }


WRONG_LINKS = "/{path}"  # answers people with a page that says so


def described() -> set[tuple[str, str]]:
    """Return method and path of every operation of the contract."""
    return {(method, path) for path, item in CONTRACT["paths"].items() for method in item}


async def test_the_contract_has_every_route_of_a_worker_and_no_other(monkeypatch):
    """A new route needs a line in `infra.page.openapi`; a line needs a route."""
    assert registered(await workers_application(monkeypatch)) == described()


def test_a_route_that_is_not_described_is_seen():
    """The comparison knows a path and a method that the contract lacks; files it leaves apart."""
    app = make_admin(Worker(), CollectorRegistry(), Access("127.0.0.1"))

    async def handler(_: web.Request) -> web.Response:
        return web.Response()

    for add, path in (
        (app.router.add_get, "/static/{path:.+}"),
        (app.router.add_get, "/api/v1/new"),
        (app.router.add_delete, "/metrics"),
    ):
        add(path, handler)
    assert registered(app) - described() == {("get", "/api/v1/new"), ("delete", "/metrics")}


def test_whoever_changes_something_has_to_bring_a_token():
    """Looking may be free; every other operation wants a token, a body and says how it refuses."""
    for method, path in described():
        operation = CONTRACT["paths"][path][method]
        assert {"401", "403", "500"} <= operation["responses"].keys(), path
        if method != "get":
            assert operation["security"] == [{"token": []}], path
            assert operation["requestBody"]["required"], path
            assert {"400", "413", "415", "503"} <= operation["responses"].keys(), path


async def check(answer: ClientResponse) -> int:
    """Hold an answer to the contract; return its status."""
    operation = CONTRACT["paths"][answer.url.path][answer.method.lower()]
    content: dict[str, Any] = operation["responses"][str(answer.status)]["content"]
    schema = {**content[answer.content_type]["schema"], "components": CONTRACT["components"]}
    if answer.content_type == "application/json":
        reported = await answer.json()
        jsonschema.validate(reported, schema)
        known = CONTRACT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"]
        assert reported.keys() <= known.keys()
    return answer.status


async def test_holds_pause_and_resume_answer_as_the_contract_says():
    """What is refused has the documented status and shape as well."""
    async with api() as client:

        async def post(path: str, headers: dict[str, str], body: object) -> int:
            async with client.post(f"/api/v1/{path}", headers=headers, json=body) as answer:
                return await check(answer)

        operator = as_operator()
        for path in ("pause", "resume"):
            assert await post(path, {}, WHO) == 401
            assert await post(path, {"Authorization": f"Bearer {VIEWER}"}, WHO) == 403
            assert await post(path, operator, {"who": "ada"}) == 400
            assert await post(path, operator, {**WHO, "why": "x" * 20_000}) == 413
            assert await post(path, as_operator(**{"Content-Type": "text/plain"}), WHO) == 415
        assert await post("pause", operator, {**WHO, "sku": "lamp"}) == 201
        async with client.get("/api/v1/holds") as answer:
            assert await check(answer) == 200
            (hold,) = (await answer.json())["holds"]
        body = {**WHO, "hold_id": hold["hold_id"]}
        assert await post("resume", operator, body) == 200
        assert await post("resume", operator, body) == 404


async def test_probes_and_metrics_answer_as_the_contract_says():
    """In good days and in bad ones."""
    worker = Worker()
    async with admin_of(worker) as client:

        async def statuses() -> list[int]:
            paths = ("/metrics", "/livez", "/readyz")
            return [await check(await client.get(path)) for path in paths]

        assert await statuses() == [200, 200, 200]
        worker.stuck, worker.wrong = 61.0, ["Redis has not answered for 4 s"]
        assert await statuses() == [200, 503, 503]


def test_bodies_of_the_contract_are_those_that_are_taken():
    """A pause needs who and why and nothing else; a misspelt name breaks the schema."""
    schema = {"$ref": "#/components/schemas/PauseRequest", "components": CONTRACT["components"]}
    jsonschema.validate(WHO, schema)
    for wrong in ({"who": "ada"}, {**WHO, "suplier": "acme"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_the_contract_is_yaml_in_block_style():
    """People read it; a worker serves the same as JSON."""
    assert flow_nodes(PATH.read_text()) == []


def test_every_field_and_parameter_is_described():
    """In words that end as a sentence, with the unit where there is one."""
    silent = [
        f"{title}.{name}"
        for title, schema in CONTRACT["components"]["schemas"].items()
        for name, field in fields_of(schema)
        if not field.get("description", "").endswith(".")
    ]
    silent += [
        f"{path}?{parameter['name']}"
        for path, item in CONTRACT["paths"].items()
        for parameter in item.get("get", {}).get("parameters", [])
        if not parameter.get("description", "").endswith(".")
    ]
    assert silent == []


def test_times_say_their_unit():
    """A number of milliseconds is never left to be guessed."""
    for title, schema in CONTRACT["components"]["schemas"].items():
        for name, field in fields_of(schema):
            if name.endswith("_ms"):
                assert "in ms since 1970" in field["description"], f"{title}.{name}"
