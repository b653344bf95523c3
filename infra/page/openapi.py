"""The API as an OpenAPI 3.1 document, from the structs that it is made of.

`python -m infra.page.openapi` writes `openapi.yaml`; every worker serves it too.
"""

import json
from pathlib import Path
from typing import Any

import msgspec

from infra.page.contracts import (
    Acknowledge,
    Decisions,
    DecisionsQuery,
    Incident,
    ItemPage,
    ItemQuery,
    Now,
    Problem,
)
from infra.page.routes import PREFIX, VIEWS

PATH = Path(__file__).with_name("openapi.yaml")
_REFERENCE = "#/components/schemas/{name}"


def document() -> dict[str, Any]:
    """Return the document as plain values."""
    every = [*(view.answer for view in VIEWS), Decisions, ItemPage, Incident, Acknowledge, Problem]
    _, schemas = msgspec.json.schema_components(every, ref_template=_REFERENCE)
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
    paths[f"{PREFIX}/incidents/acknowledge"] = {"post": _acknowledge()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tidegate",
            "version": "1",
            "description": "What the live page shows. Every worker answers for the whole shop, "
            "from Redis; answers are at most a second old. Lists have limits and pages. An answer "
            "with an ETag can be asked for again by If-None-Match.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _get(summary: str, query: type[msgspec.Struct], answer: type[msgspec.Struct]) -> dict[str, Any]:
    return {
        "summary": summary,
        "parameters": _parameters(query),
        "responses": {
            "200": {"description": "The answer", "content": _content(answer)},
            "304": {"description": "It is what If-None-Match names"},
            **_problems("400", "404", "503"),
        },
    }


def _parameters(query: type[msgspec.Struct]) -> list[dict[str, Any]]:
    (schema,), found = msgspec.json.schema_components([query], ref_template="{name}")
    own = found[schema["$ref"]]
    return [
        {
            "name": name,
            "in": "query",
            "required": name in own.get("required", []),
            "schema": _plain(parameter, found),
        }
        for name, parameter in own["properties"].items()
    ]


def _plain(schema: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Put the schema of an enumeration in the place of its name."""
    for reference in (schema, *schema.get("anyOf", []), *schema.get("allOf", [])):
        if "$ref" in reference:
            kept = {name: value for name, value in schema.items() if name == "default"}
            return {**found[reference["$ref"]], **kept}
    return schema


def _stream() -> dict[str, Any]:
    answer = {
        "description": "Server-sent events. `now` carries the shop at a glance, once a second; its "
        "`versions` say which other parts have changed. `away` says that Redis does not answer.",
        "content": {"text/event-stream": {"schema": _schema(Now)}},
    }
    return {
        "summary": "What is new, as it happens",
        "responses": {"200": answer, **_problems("503")},
    }


def _itself() -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}}}
    return {
        "summary": "This document",
        "responses": {"200": {"description": "OpenAPI 3.1", "content": content}},
    }


def _acknowledge() -> dict[str, Any]:
    return {
        "summary": "Take an incident on",
        "security": [{"token": []}],
        "requestBody": {"required": True, "content": _content(Acknowledge)},
        "responses": {
            "200": {"description": "The incident, with who looks after it", **_with(Incident)},
            **_problems("400", "401", "403", "404", "413", "415", "503"),
        },
    }


def _with(answer: type[msgspec.Struct]) -> dict[str, Any]:
    return {"content": _content(answer)}


def _problems(*statuses: str) -> dict[str, Any]:
    return {status: {"description": "Why not", **_with(Problem)} for status in statuses}


def _content(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {"application/json": {"schema": _schema(kind)}}


def _schema(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(name=kind.__name__)}


def text() -> str:
    """Return the document as it is committed: JSON, which every YAML reader reads."""
    return json.dumps(document(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    PATH.write_text(text())
