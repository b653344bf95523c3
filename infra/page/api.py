"""`contracts` as JSON over HTTP: typed questions with limits, ETags, a stream of what is new."""

import hashlib
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from infra.page.contracts import (
    Acknowledge,
    Acknowledgement,
    Incident,
    ItemQuery,
    Problem,
    Wrong,
)
from infra.page.hub import AwayError, FullError, Hub
from infra.page.items import ItemReader
from infra.page.openapi import text as openapi_text
from infra.page.reading import PageReader
from infra.page.routes import PREFIX, VIEWS, View
from infra.page.snapshot import Snapshot
from infra.page.views.incidents import incident

ACKNOWLEDGED_SECONDS = 30 * 86_400
_BODY_BYTES = 4_096
_ANSWERS_KEPT = 200
_JSON = "application/json"

_Query = TypeVar("_Query", bound=msgspec.Struct)


class Api:
    """The routes of the page's data; who may call them, the guard of the admin port decides.

    Args:
        hub: of snapshots.
        reader: writes acknowledgements.
        items: reads single items.
    """

    def __init__(self, hub: Hub, reader: PageReader, items: ItemReader) -> None:
        self._hub = hub
        self._reader = reader
        self._items = items

    def add_to(self, app: web.Application) -> None:
        """Add every route."""
        for view in VIEWS:
            app.router.add_get(PREFIX + view.path, self._handler_of(view))
        app.router.add_get(f"{PREFIX}/item", _answering(self._item))
        app.router.add_get(f"{PREFIX}/stream", _answering(self._stream))
        app.router.add_get(f"{PREFIX}/openapi.json", _answering(_openapi))
        app.router.add_post(f"{PREFIX}/incidents/acknowledge", _answering(self._acknowledge))

    # -- looking ------------------------------------------------------------------------------

    def _handler_of(self, view: View) -> Any:
        async def answer(request: web.Request) -> web.StreamResponse:
            query = query_of(request.query, view.query)
            snapshot = await self._hub.snapshot()
            name = f"{view.path}?{query!r}"
            if name not in snapshot.answers:
                body = await self._encoded(view, snapshot, query)
                if len(snapshot.answers) < _ANSWERS_KEPT:
                    snapshot.answers[name] = body
            else:
                body = snapshot.answers[name]
            return _tagged(request, *body)

        return _answering(answer)

    async def _encoded(
        self, view: View, snapshot: Snapshot, query: msgspec.Struct
    ) -> tuple[bytes, str]:
        return await self._hub.in_thread(lambda: _body(view.make(snapshot, query)))

    async def _item(self, request: web.Request) -> web.StreamResponse:
        query = query_of(request.query, ItemQuery)
        snapshot = await self._hub.snapshot()
        name = f"/item?{query!r}"
        if name not in snapshot.answers:
            found = await self._hub.in_thread(lambda: self._items.read(snapshot, query))
            if found is None:
                raise _Refused(404, "sku", "one of the shop's", query.sku)
            snapshot.answers[name] = _body(found)
        return _tagged(request, *snapshot.answers[name])

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
            raise _Refused(503, "listeners", str(error)) from None
        return response

    # -- changing -----------------------------------------------------------------------------

    async def _acknowledge(self, request: web.Request) -> web.StreamResponse:
        body = await _body_of(request, Acknowledge)
        snapshot = await self._hub.snapshot()
        found = {one.incident_id: one for one in snapshot.incidents}.get(body.incident_id)
        if found is None:
            raise _Refused(404, "incident_id", "that of an open incident", body.incident_id)
        value = Acknowledgement(
            who=body.who, note=body.note, acknowledged_ms=int(time.time() * 1000)
        )
        name = body.incident_id
        await self._hub.in_thread(
            lambda: self._reader.acknowledge(name, value, ACKNOWLEDGED_SECONDS)
        )
        self._hub.renew()
        answer: Incident = incident(await self._hub.snapshot(), found)
        return web.Response(body=msgspec.json.encode(answer), content_type=_JSON)


async def _openapi(_: web.Request) -> web.StreamResponse:
    return web.Response(text=_openapi_once(), content_type=_JSON)


_openapi_once = lru_cache(maxsize=1)(openapi_text)


# --- questions and answers --------------------------------------------------------------------


class _Refused(Exception):
    """A question that is not answered."""

    def __init__(self, status: int, field: str, rule: str, value: str | int | None = None) -> None:
        super().__init__(rule)
        self.status = status
        self.problem = Problem(error=Wrong(field=field, rule=rule, value=value))


def _answering(handler: Any) -> Any:
    """Return a handler that tells refusals and an absent Redis as JSON."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            found: web.StreamResponse = await handler(request)
            return found
        except _Refused as refused:
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
        _Refused: a parameter is unknown or breaks its rule.
    """
    try:
        return msgspec.convert(dict(given), query, strict=False)
    except msgspec.ValidationError as error:
        rule, _, place = str(error).partition(" - at `$.")
        field = place.rstrip("`") or "query"
        raise _Refused(400, field, rule, given.get(field)) from None


async def _body_of(request: web.Request, wanted: type[_Query]) -> _Query:
    if request.content_type != _JSON:
        raise _Refused(415, "Content-Type", _JSON, request.content_type)
    data = await request.content.read(_BODY_BYTES + 1)
    if len(data) > _BODY_BYTES:
        raise _Refused(413, "body", f"at most {_BODY_BYTES} bytes")
    try:
        return msgspec.json.decode(data, type=wanted)
    except msgspec.DecodeError as error:
        rule, _, place = str(error).partition(" - at `$.")
        raise _Refused(400, place.rstrip("`") or "body", rule) from None


def _body(answer: msgspec.Struct) -> tuple[bytes, str]:
    data = msgspec.json.encode(answer)
    return data, f'"{hashlib.blake2b(data, digest_size=10).hexdigest()}"'


def _tagged(request: web.Request, body: bytes, tag: str) -> web.Response:
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, content_type=_JSON, headers=headers)
