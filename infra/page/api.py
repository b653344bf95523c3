"""`contracts` as JSON over HTTP: typed questions with limits, ETags, a stream of what is new."""

import hashlib
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import msgspec
from aiohttp import web
from aiokafka.errors import KafkaError

from infra.control.entries import AnyEntry, AuditError, AuditState, Entry, make_acknowledgement
from infra.page.contracts import (
    Acknowledge,
    DecisionsQuery,
    FieldError,
    Incident,
    ItemQuery,
    Problem,
)
from infra.page.cursor import Cursor
from infra.page.hub import AwayError, FullError, Hub
from infra.page.openapi import json_text
from infra.page.readers.decisions import DecisionsReader, Found
from infra.page.readers.item import ItemReader
from infra.page.routes import PREFIX, VIEWS, View
from infra.page.snapshot import Snapshot
from infra.page.views.decisions import decisions, is_wanted, page_of
from infra.page.views.incidents import incident
from streams.contracts.alerts import Alert

_BODY_BYTES = 4_096
_ANSWERS_KEPT = 200
_JSON = "application/json"

_Query = TypeVar("_Query", bound=msgspec.Struct)


class Log(Protocol):
    """The audit log, as `infra.control.log.ControlLog`."""

    state: AuditState

    async def append(self, entry: Entry) -> AnyEntry:
        """Write an entry."""


class Api:
    """The routes of the page's data; who may call them, the guard of the admin port decides.

    Args:
        hub: of snapshots.
        log: the audit log, where people's word on incidents is kept.
        items: reads single items.
        older: reads decisions that are not ready.
    """

    def __init__(self, hub: Hub, log: Log, items: ItemReader, older: DecisionsReader) -> None:
        self._hub = hub
        self._log = log
        self._items = items
        self._older = older

    def add_to(self, app: web.Application) -> None:
        """Add every route."""
        for view in VIEWS:
            app.router.add_get(PREFIX + view.path, self._handler_of(view))
        app.router.add_get(f"{PREFIX}/item", _answering(self._item))
        app.router.add_get(f"{PREFIX}/decisions", _answering(self._decisions))
        app.router.add_get(f"{PREFIX}/stream", _answering(self._stream))
        app.router.add_get(f"{PREFIX}/openapi.json", _answering(_openapi))
        app.router.add_post(f"{PREFIX}/incidents/acknowledge", _answering(self._acknowledge))

    # -- looking ------------------------------------------------------------------------------

    def _handler_of(self, view: View) -> Any:
        async def answer(request: web.Request) -> web.StreamResponse:
            query = query_of(request.query, view.query)
            return await self._answer(
                request, f"{view.path}?{query!r}", lambda snapshot: view.make(snapshot, query)
            )

        return _answering(answer)

    async def _item(self, request: web.Request) -> web.StreamResponse:
        query = query_of(request.query, ItemQuery)

        def read(snapshot: Snapshot) -> msgspec.Struct:
            found = self._items.read(snapshot, query)
            if found is None:
                raise ApiError(404, "sku", "one of the shop's", query.sku)
            return found

        return await self._answer(request, f"/item?{query!r}", read)

    async def _decisions(self, request: web.Request) -> web.StreamResponse:
        query = query_of(request.query, DecisionsQuery)

        def read(snapshot: Snapshot) -> msgspec.Struct:
            return decisions(snapshot, query) or self._read_older(snapshot, query)

        return await self._answer(request, f"/decisions?{query!r}", read)

    def _read_older(self, snapshot: Snapshot, query: DecisionsQuery) -> msgspec.Struct:
        shown: list[Found] = []
        following = None
        for place, one in self._older.older(snapshot.shards, Cursor.parse(query.before)):
            if one is not None and is_wanted(one.record, query):
                shown.append(one)
            if one is None or len(shown) == query.limit:
                following = place
                break
        return page_of(self._older.named(shown), following)

    async def _answer(
        self, request: web.Request, name: str, make: Callable[[Snapshot], msgspec.Struct]
    ) -> web.StreamResponse:
        """Answer from the newest snapshot; the same question to the same one is computed once."""
        snapshot = await self._hub.snapshot()
        body = snapshot.answers.get(name)
        if body is None:
            body = await self._hub.in_thread(lambda: _body(make(snapshot)))
            if len(snapshot.answers) < _ANSWERS_KEPT:
                snapshot.answers[name] = body
        return _tagged(request, *body)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )

        async def write(data: bytes) -> None:
            if not response.prepared:
                await response.prepare(request)
            await response.write(data)

        try:
            await self._hub.listen(write)
        except FullError as error:
            raise ApiError(503, "listeners", str(error)) from None
        return response

    # -- changing -----------------------------------------------------------------------------

    async def _acknowledge(self, request: web.Request) -> web.StreamResponse:
        body = await _body_of(request, Acknowledge)
        snapshot = await self._hub.snapshot()
        found = {one.incident_id: one for one in snapshot.incidents}.get(body.incident_id)
        if found is None:
            raise ApiError(404, "incident_id", "that of an open incident", body.incident_id)
        await self._write(_entry(body, found))
        self._hub.renew()
        answer: Incident = incident(await self._hub.snapshot(), found)
        return web.Response(body=msgspec.json.encode(answer), content_type=_JSON)

    async def _write(self, entry: Entry) -> None:
        try:
            await self._log.append(entry)
        except KafkaError as error:
            rule = "reachable: nobody took the incident on, as far as is known"
            raise ApiError(503, "Kafka", rule, type(error).__name__) from None


def _entry(body: Acknowledge, incident: Alert) -> Entry:
    try:
        return make_acknowledgement(body.who, body.note, incident)
    except AuditError as error:
        raise ApiError(400, error.field, error.rule, str(error.value)) from None


async def _openapi(_: web.Request) -> web.StreamResponse:
    return web.Response(text=_openapi_once(), content_type=_JSON)


_openapi_once = lru_cache(maxsize=1)(json_text)


# --- questions and answers --------------------------------------------------------------------


class ApiError(Exception):
    """A question that is not answered."""

    def __init__(self, status: int, field: str, rule: str, value: str | int | None = None) -> None:
        super().__init__(rule)
        self.status = status
        self.problem = Problem(error=FieldError(field=field, rule=rule, value=value))


def _answering(handler: Any) -> Any:
    """Return a handler that tells refusals and an absent Redis as JSON."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            found: web.StreamResponse = await handler(request)
            return found
        except ApiError as refused:
            return _problem(refused.status, refused.problem)
        except AwayError as error:
            return _problem(503, error.problem())

    return answer


def _problem(status: int, problem: Problem) -> web.Response:
    headers = {"Retry-After": "5"} if status == 503 else {}
    body = msgspec.json.encode(problem)
    return web.Response(status=status, body=body, content_type=_JSON, headers=headers)


def query_of(given: Mapping[str, str], query: type[_Query]) -> _Query:
    """Return what is asked, checked.

    Raises:
        ApiError: a parameter is unknown or breaks its rule.
    """
    try:
        return msgspec.convert(dict(given), query, strict=False)
    except msgspec.ValidationError as error:
        rule, _, place = str(error).partition(" - at `$.")
        field = place.rstrip("`") or "query"
        rule, value = rule_of(rule, field, query)
        raise ApiError(400, field, rule, given.get(field, value)) from None


def rule_of(text: str, field: str, query: type[msgspec.Struct]) -> tuple[str, str | None]:
    """Return in words the rule that msgspec's text says was broken, and a name that broke it.

    >>> rule_of("Expected `int` <= 200", "limit", ItemQuery)
    ('a whole number of at most 200', None)
    >>> rule_of("Object contains unknown field `skuu`", "query", ItemQuery)
    ('made of sku, warehouse', 'skuu')
    """
    for pattern, words in _RULES:
        if found := pattern.fullmatch(text):
            return words.format(*found.groups()), None
    if found := _UNKNOWN.fullmatch(text):
        return f"made of {', '.join(query.__struct_fields__)}", found[1]
    if text.startswith("Invalid enum value"):
        _, parts = msgspec.json.schema_components([query])
        fields = parts[query.__name__]["properties"]
        return f"one of {', '.join(map(str, _allowed(fields.get(field, {}), parts)))}", None
    return text, None


def _allowed(schema: Mapping[str, Any], parts: Mapping[str, Any]) -> list[Any]:
    """Return the values that a field may have, where they are listed in it or in its type."""
    names = [schema, *schema.get("allOf", []), *schema.get("anyOf", [])]
    named = [parts[one["$ref"].rpartition("/")[2]] for one in names if "$ref" in one]
    return [value for one in (*names, *named) for value in one.get("enum", [])]


_RULES = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"Object missing required field `(\w+)`", "given with {0}"),
        (r"Expected `int` <= (\d+)", "a whole number of at most {0}"),
        (r"Expected `int` >= (\d+)", "a whole number of at least {0}"),
        (r"Expected `int`.*", "a whole number"),
        (r"Expected `str` of length <= (\d+)", "of at most {0} characters"),
        (r"Expected `str` of length >= (\d+)", "of at least {0} characters"),
        (r"Expected `str` matching regex .*", "what an answer of this worker gave"),
    )
)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")


async def _body_of(request: web.Request, wanted: type[_Query]) -> _Query:
    if request.content_type != _JSON:
        raise ApiError(415, "Content-Type", _JSON, request.content_type)
    data = await request.content.read(_BODY_BYTES + 1)
    if len(data) > _BODY_BYTES:
        raise ApiError(413, "body", f"at most {_BODY_BYTES} bytes")
    try:
        return msgspec.json.decode(data, type=wanted)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        rule, _, place = str(error).partition(" - at `$.")
        raise ApiError(400, place.rstrip("`") or "body", rule) from None


def _body(answer: msgspec.Struct) -> tuple[bytes, str]:
    data = msgspec.json.encode(answer)
    return data, f'"{hashlib.blake2b(data, digest_size=10).hexdigest()}"'


def _tagged(request: web.Request, body: bytes, tag: str) -> web.Response:
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, content_type=_JSON, headers=headers)
