"""The admin port against whoever connects: what is no request, too slow, or too much."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from infra.admin.routes import make_admin
from infra.admin.server import AdminServer
from tests.infra.admin.test_routes import Worker

ASKS = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
ASKS_ONCE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
SENDS = b"POST /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\nendless"
CHUNKED = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def port_of(**bounds: float) -> AsyncIterator[int]:
    """A port with bounds of its own."""
    app = make_admin(Worker(), CollectorRegistry())  # type: ignore[arg-type]
    server = AdminServer(app, "127.0.0.1", 0, **bounds)  # type: ignore[arg-type]
    url = await server.start()
    try:
        yield int(url.rpartition(":")[2])
    finally:
        await server.stop()


async def ask(port: int, sent: bytes = ASKS_ONCE) -> bytes:
    """All that comes back until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def held_open(port: int) -> Connection:
    """A connection that has had an answer, and stays."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(ASKS)
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    return reader, writer


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
        b"SSH-2.0-scan\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        ASKS + b"\x00\x01\x02\r\n\r\n",
        CHUNKED + b"no number\r\n",
        CHUNKED + b"ffffffffffffffffffff\r\n",
    ],
    ids=["tls", "ssh", "version", "header", "length", "headers", "second", "chunk", "huge chunk"],
)
async def test_what_is_no_request_is_refused_and_not_a_failure(sent, caplog):
    """Whoever reaches the port cannot fill the log, which has one line for those who debug."""
    caplog.set_level(logging.DEBUG, "tidegate.admin.http")
    async with port_of() as port:
        assert b" 400 " in await ask(port, sent)
        assert b" 200 " in await ask(port)
    reported = [
        record for record in caplog.records if record.name.startswith(("tidegate", "aiohttp"))
    ]
    assert [(record.levelno, record.exc_info) for record in reported] == [(logging.DEBUG, None)]


@pytest.mark.parametrize("sent", [b"", b"GET /livez", ASKS[:-4] + b"\r\nX-Slow: "])
async def test_caller_that_never_ends_its_request_is_let_go(sent):
    """However many bytes it sends meanwhile."""
    async with port_of(idle_s=0.1) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        ended = asyncio.create_task(reader.read())
        while not ended.done():
            writer.write(b"x" if sent else b"")
            await asyncio.sleep(0.02)
        assert ended.exception() is not None or ended.result() == b""
        writer.close()


async def test_connection_that_asks_no_more_is_let_go():
    """Not to keep its place for ever."""
    async with port_of(idle_s=0.1) as port:
        reader, writer = await held_open(port)
        await reader.read()
        writer.close()


@pytest.mark.slow
async def test_body_of_somebody_who_may_not_is_not_waited_for():
    """The refusal comes before the body; what is still sent is not kept."""
    async with port_of() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(SENDS)
        assert (await reader.readline()).startswith(b"HTTP/1.1 401")
        writer.close()


async def test_one_connection_too_many_is_turned_away():
    """Who is there keeps their place; when one goes another may come."""
    async with port_of(connections=2) as port:
        _, first = await held_open(port)
        reader, second = await held_open(port)
        while b" 503 " not in await ask(port):
            pass  # the connection was reset before its answer was read
        second.write(ASKS)
        assert (await reader.readuntil(b"HTTP/1.1 200")) is not None
        first.close()
        while b" 200 " not in await ask(port):
            pass  # its end was not noticed yet
        second.close()
