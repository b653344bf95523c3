"""The HTTP API of the admin port as an OpenAPI 3.1 document, from the structs it is made of.

`python -m infra.page.openapi` writes `openapi.yaml`; every worker serves the same as JSON.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from infra.campaigns.routes import PATH as CAMPAIGNS_PATH
from infra.campaigns.routes import CampaignPage, Campaigns
from infra.contract_files import REFERENCE, Schema, block_yaml, schemas_of
from infra.control.order_routes import (
    PATH as ORDERS_PATH,
)
from infra.control.order_routes import (
    BulkAnswer,
    BulkRequest,
    ChangeRequest,
    OrderAnswer,
    OrderRequest,
    PurchaseOrderPage,
    PurchaseOrders,
)
from infra.control.routes import ORDERS_SHOWN, HoldAnswer, Holds, PauseRequest, ResumeRequest
from infra.page.contracts import (
    Acknowledge,
    Decisions,
    DecisionsQuery,
    Incident,
    ItemPage,
    ItemQuery,
    Liveness,
    Now,
    Problem,
    Readiness,
)
from infra.page.routes import PREFIX, VIEWS

PATH = Path(__file__).with_name("openapi.yaml")
_DESCRIPTION = (
    "What a worker's admin port answers, but for the files of the live page (`/` and `/static/`). "
    "Under /api/v1 every worker answers for the whole shop, from Redis; answers are at most a "
    "second old. Lists have limits and pages. An answer with an ETag can be asked for again by "
    "If-None-Match. Whoever changes something needs an operator's token. Looking is free on "
    "loopback; elsewhere it needs a token too, but for /livez and /readyz where they are open."
)
_GUARD = ("401", "403", "500")  # what the guard in front of every route may answer
_STRUCTS: tuple[type, ...] = (
    *(view.answer for view in VIEWS),
    *(Decisions, ItemPage, Incident, Acknowledge, Problem, Liveness, Readiness),
    *(Holds, HoldAnswer, PauseRequest, ResumeRequest),
    *(PurchaseOrders, PurchaseOrderPage, OrderRequest, ChangeRequest, OrderAnswer),
    *(BulkRequest, BulkAnswer, Campaigns, CampaignPage),
)


def document() -> dict[str, Any]:
    """Return the document as plain values."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tidegate",
            "version": "1",
            "description": _DESCRIPTION,
        },
        "paths": {**_looking(), **_changing(), **_operating()},
        "security": [{"token": []}, {}],
        "components": {
            "schemas": schemas_of(_STRUCTS),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _looking() -> dict[str, Any]:
    """Return the routes of the page's data."""
    paths = {
        PREFIX + view.path: {"get": _get(view.summary, view.query, view.answer)} for view in VIEWS
    }
    paths[f"{PREFIX}/item"] = {
        "get": _get("One item: demand, projected stock, orders, explanation", ItemQuery, ItemPage)
    }
    paths[f"{PREFIX}/decisions"] = {
        "get": _get("Decisions, the newest first; `next` leads on", DecisionsQuery, Decisions)
    }
    paths[f"{PREFIX}/stream"] = {"get": _stream()}
    paths[f"{PREFIX}/openapi.json"] = {"get": _itself()}
    paths[f"{PREFIX}/holds"] = {
        "get": _orders("What is paused, why partitions wait, and which purchase orders wait", Holds)
    }
    paths[ORDERS_PATH] = {"get": _orders("The open purchase orders", PurchaseOrders)}
    paths[f"{ORDERS_PATH}/{{po_id}}"] = {"get": _one_order()}
    paths[CAMPAIGNS_PATH] = {
        "get": {
            "summary": "The campaigns that are kept, with their versions",
            "responses": {
                **_answer("200", "All of them", Campaigns),
                **_problems(*_GUARD),
            },
        }
    }
    paths[f"{CAMPAIGNS_PATH}/{{campaign_id}}"] = {"get": _one_campaign()}
    return paths


def _changing() -> dict[str, Any]:
    """Return the routes that need an operator's token."""
    return {
        f"{PREFIX}/incidents/acknowledge": {
            "post": _post(
                "Take an incident on",
                Acknowledge,
                _answer("200", "The incident, with who looks after it", Incident),
                "404",
            )
        },
        f"{PREFIX}/pause": {
            "post": _post(
                "Stop the hand-over of purchase orders: of all, or of what the names fit",
                PauseRequest,
                _answer("201", "The pause that is now in force", HoldAnswer),
                "404",
            )
        },
        f"{PREFIX}/resume": {
            "post": _post(
                "End a pause",
                ResumeRequest,
                _answer("200", "The pause that is over", HoldAnswer),
                "404",
            )
        },
        f"{ORDERS_PATH}/approve": _order_word("Approve a purchase order that waits: it leaves"),
        f"{ORDERS_PATH}/reject": _order_word(
            "Reject a purchase order: one that waits never leaves"
        ),
        f"{ORDERS_PATH}/change": _order_word(
            "Change a purchase order: one that waits leaves as its next version", ChangeRequest
        ),
        f"{ORDERS_PATH}/bulk": {
            "post": _post(
                "Approve or reject many purchase orders",
                BulkRequest,
                _answer("200", "What became of each", BulkAnswer),
            )
        },
    }


def _one_order() -> dict[str, Any]:
    named = {"name": "po_id", "in": "path", "description": "Of the order.", "required": True}
    return {
        "summary": "One open purchase order, and what was said of it",
        "parameters": [{**named, "schema": {"type": "string"}}],
        "responses": {
            **_answer("200", "The order", PurchaseOrderPage),
            **_problems("404", "503", *_GUARD),
        },
    }


def _one_campaign() -> dict[str, Any]:
    named = {"name": "campaign_id", "in": "path", "description": "Its id.", "required": True}
    return {
        "summary": "One campaign that is kept, with its document",
        "parameters": [{**named, "schema": {"type": "string"}}],
        "responses": {
            **_answer("200", "The campaign", CampaignPage),
            **_problems("404", *_GUARD),
        },
    }


def _order_word(summary: str, body: type[msgspec.Struct] = OrderRequest) -> dict[str, Any]:
    said = _answer("200", "What the audit log has now", OrderAnswer)
    return {"post": _post(summary, body, said, "404")}


def _operating() -> dict[str, Any]:
    """Return the routes that Prometheus and a supervisor ask."""
    return {
        "/metrics": {"get": _metrics()},
        "/livez": {"get": _probe("Whether the worker reads on", Liveness)},
        "/readyz": {"get": _probe("Whether the worker can do its work", Readiness)},
    }


def _get(summary: str, query: type[msgspec.Struct], answer: type[msgspec.Struct]) -> dict[str, Any]:
    return {
        "summary": summary,
        "parameters": _parameters(query),
        "responses": {
            **_answer("200", "The answer", answer),
            "304": {"description": "It is what If-None-Match names"},
            **_problems("400", "404", "503", *_GUARD),
        },
    }


def _post(
    summary: str, body: type[msgspec.Struct], answer: dict[str, Any], *more: str
) -> dict[str, Any]:
    return {
        "summary": summary,
        "security": [{"token": []}],
        "requestBody": {"required": True, "content": _content(body)},
        "responses": {**answer, **_problems("400", "413", "415", "503", *more, *_GUARD)},
    }


def _parameters(query: type[msgspec.Struct]) -> list[dict[str, Any]]:
    found = schemas_of([query])
    own = found[query.__name__]
    return [
        {
            "name": name,
            "in": "query",
            "description": parameter["description"],
            "required": name in own.get("required", []),
            "schema": _plain(parameter, found),
        }
        for name, parameter in own.get("properties", {}).items()
    ]


def _plain(schema: Schema, found: Mapping[str, Schema]) -> Schema:
    """Put the schema of an enumeration in the place of its name; its words stand outside."""
    name = schema.get("$ref", "").rpartition("/")[2]
    whole = {**found[name], **schema} if name else schema
    return {key: part for key, part in whole.items() if key not in ("$ref", "description")}


def _stream() -> dict[str, Any]:
    answer = {
        "description": "Server-sent events. `now` carries the shop at a glance, once a second; its "
        "`versions` say which other parts have changed. `away` says that Redis does not answer.",
        "content": {"text/event-stream": {"schema": _schema(Now)}},
    }
    return {
        "summary": "What is new, as it happens",
        "responses": {"200": answer, **_problems("503", *_GUARD)},
    }


def _itself() -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}}}
    answer = {"description": "OpenAPI 3.1", "content": content}
    return {"summary": "This document", "responses": {"200": answer, **_problems(*_GUARD)}}


def _orders(summary: str, answer: type[msgspec.Struct]) -> dict[str, Any]:
    limits = f"At most {ORDERS_SHOWN} orders, and how many there are"
    return {
        "summary": summary,
        "responses": {**_answer("200", limits, answer), **_problems("503", *_GUARD)},
    }


def _metrics() -> dict[str, Any]:
    content = {"text/plain": {"schema": {"type": "string"}}}
    answer = {"description": "Prometheus's text format", "content": content}
    return {"summary": "Metrics", "responses": {"200": answer, **_problems(*_GUARD)}}


def _probe(summary: str, answer: type[msgspec.Struct]) -> dict[str, Any]:
    return {
        "summary": summary,
        "responses": {
            **_answer("200", "Yes", answer),
            **_answer("503", "No", answer),
            **_problems(*_GUARD),
        },
    }


def _answer(status: str, description: str, answer: type[msgspec.Struct]) -> dict[str, Any]:
    return {status: {"description": description, "content": _content(answer)}}


def _problems(*statuses: str) -> dict[str, Any]:
    problem = {"description": "Why not", "content": _content(Problem)}
    return dict.fromkeys(sorted(statuses), problem)


def _content(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {"application/json": {"schema": _schema(kind)}}


def _schema(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": REFERENCE.format(name=kind.__name__)}


def text() -> str:
    """Return the document as it is committed."""
    return block_yaml(document())


def json_text() -> str:
    """Return the document as a worker serves it."""
    return json.dumps(document())


if __name__ == "__main__":
    PATH.write_text(text())
