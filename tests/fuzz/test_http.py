"""The HTTP port over a real socket: whatever is sent, it answers, and never with a failure."""

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator, Sequence
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from infra.admin.access import BODY_BYTES, Access, Role, _Token
from infra.admin.routes import make_admin
from infra.admin.server import AdminServer
from infra.control.routes import add_control_routes
from infra.page.openapi import document
from infra.page.page import Page
from infra.redis.keys import Keys
from tests.infra.admin.test_routes import Worker
from tests.infra.control.test_routes import OPERATOR, MemoryLog

_HANGS_AFTER_S = 30.0
_ENDLESS = "/api/v1/stream"
_PATHS = [
    *(path for path in document()["paths"] if path != _ENDLESS),
    *("/", "/static/page.css", "/nowhere", "//", "/%00", "/static/../../etc/passwd"),
]
_fuzzed = settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def port(redis_url: str) -> Iterator[int]:
    """Every route of a worker's port, served from another thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> AdminServer:
        access = Access("127.0.0.1", (_Token(Role.OPERATOR, OPERATOR),))
        app = make_admin(Worker(), CollectorRegistry(), access)
        log = MemoryLog()
        add_control_routes(
            app, log, lambda controls: ([], []), lambda entry: None, asyncio.to_thread
        )
        Page(redis_url, Keys(), log).add_to(app)
        server = AdminServer(app, "127.0.0.1", 0)
        served.append(await server.start())
        return server

    served: list[str] = []
    server = asyncio.run_coroutine_threadsafe(start(), loop).result(60)
    try:
        yield int(served[0].rpartition(":")[2])
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()


def answer_to(port: int, request: bytes) -> bytes:
    """What comes back before the connection is closed."""
    with socket.create_connection(("127.0.0.1", port), _HANGS_AFTER_S) as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
        return answer


def status_of(answer: bytes) -> int:
    """The number in the first line."""
    return int(answer.split(b" ", 2)[1])


def request_of(
    method: str, target: str, headers: Sequence[tuple[str, bytes]] = (), body: bytes = b""
) -> bytes:
    """One request, after which the connection is closed."""
    lines = [
        f"{method} {target} HTTP/1.1".encode(),
        *(name.encode() + b": " + value for name, value in headers),
        *([] if any(name == "Host" for name, _ in headers) else [b"Host: localhost"]),
        b"Connection: close",
        b"Content-Length: %d" % len(body),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


_HEADER_BYTES = st.binary(max_size=40).map(
    lambda value: bytes(byte for byte in value if byte >= 32 and byte != 127)
)
_HEADERS = st.lists(
    st.one_of(
        st.tuples(st.just("Authorization"), st.sampled_from([f"Bearer {OPERATOR}".encode()])),
        st.tuples(st.just("Authorization"), st.sampled_from([b"Bearer \xff", b"\xff", b""])),
        st.tuples(st.just("Origin"), st.sampled_from([b"http://[", b"null", b"http://localhost"])),
        st.tuples(st.sampled_from(["If-None-Match", "Accept", "Cookie", "Range"]), _HEADER_BYTES),
        st.tuples(st.just("Content-Type"), st.sampled_from([b"application/json", b"text/plain"])),
        st.tuples(st.just("Host"), st.sampled_from([b"[", b"localhost:x", b"127.0.0.1", b"\xff"])),
    ),
    max_size=4,
    unique_by=lambda header: header[0],
)
_TEXTS = st.one_of(st.text(max_size=12), st.sampled_from(["-1", "1" * 30, "lamp", "1e9", "\x00"]))
_NAMES = st.sampled_from(["limit", "offset", "sku", "warehouse", "sort", "span", "search", "x"])
_QUERY = st.dictionaries(_NAMES, _TEXTS, max_size=3).map(
    lambda query: "&".join(
        f"{name}={quote(value, errors='surrogatepass')}" for name, value in query.items()
    )
)
_BODIES = st.one_of(
    st.just(b""),
    st.binary(max_size=60),
    st.just(b'{"a":' * 700),
    st.sampled_from(
        [b"{}", b"[" * 9_000, b'{"who":"a","why":"b"}', b'{"who":"\\ud800","why":"b"}']
    ),
)


@pytest.mark.slow
@_fuzzed
@given(
    method=st.sampled_from(["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "BREW"]),
    path=st.sampled_from(_PATHS),
    query=_QUERY,
    headers=_HEADERS,
    body=_BODIES,
)
def test_any_request_is_answered_and_none_breaks_the_server(
    port, method, path, query, headers, body
):
    """Well framed, with anything in it: an answer or a refusal, never a failure of the server."""
    status = status_of(answer_to(port, request_of(method, f"{path}?{query}", headers, body)))
    assert 200 <= status < 500


@_fuzzed
@given(
    piece=st.one_of(
        st.binary(max_size=200),
        st.tuples(
            st.sampled_from([b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\n"]), st.binary()
        ).map(b"".join),
    )
)
def test_any_bytes_leave_the_server_as_it_was(port, caplog, piece):
    """What is no request is refused; nothing is logged as a failure, and the next call works."""
    with socket.create_connection(("127.0.0.1", port), _HANGS_AFTER_S) as connection:
        connection.sendall(piece)
    assert status_of(answer_to(port, request_of("GET", "/livez"))) == 200
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (request_of("GET", "/livez", [("Cookie", b"x" * 9_000)]), 400),
        (request_of("GET", "/" + "x" * 9_000), 400),
        (
            request_of(
                "POST",
                "/api/v1/pause",
                [
                    ("Authorization", f"Bearer {OPERATOR}".encode()),
                    ("Content-Type", b"application/json"),
                ],
                b" " * (BODY_BYTES + 1),
            ),
            413,
        ),
        (request_of("GET", "/api/v1/items?limit=100000"), 400),
    ],
    ids=["header", "path", "body", "page"],
)
def test_what_is_too_large_is_refused(port, request_bytes, status):
    """Headers, paths, bodies and pages have limits."""
    assert status_of(answer_to(port, request_bytes)) == status
