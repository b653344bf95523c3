"""The admin port itself: what it takes from whoever connects, before any route is asked."""

import asyncio
import logging
from http import HTTPStatus
from typing import cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

CONNECTIONS_AT_MOST = 400  # twice as many as may listen; files are left for Kafka and Redis
IDLE_SECONDS = 30.0  # without a whole request: longer than between two scrapes
_OF_THE_CALLER = (HttpProcessingError, web.RequestPayloadError, ConnectionError)
_log = logging.getLogger("tidegate.admin.http")


class AdminServer:
    """The application on its port.

    Args:
        app: what is served.
        host: where it listens.
        port: 0 takes any free one.
        connections: open at a time; one more is turned away.
        idle_s: a connection that sends no whole request for so long is closed.
    """

    def __init__(
        self,
        app: web.Application,
        host: str,
        port: int,
        *,
        connections: int = CONNECTIONS_AT_MOST,
        idle_s: float = IDLE_SECONDS,
    ) -> None:
        self._runner = web.AppRunner(app, access_log=None, logger=_log, keepalive_timeout=idle_s)
        self._host = host
        self._port = port
        self._connections = connections
        self._listening: asyncio.Server | None = None

    async def start(self) -> str:
        """Begin to listen; return the URL."""
        await self._runner.setup()
        self._listening = await asyncio.get_running_loop().create_server(
            self._protocol, self._host, self._port
        )
        host, port = self._listening.sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def _protocol(self) -> asyncio.Protocol:
        server = self._runner.server
        assert server is not None
        if len(server.connections) >= self._connections:
            return _TurnedAway()
        return server()

    async def stop(self) -> None:
        """Stop listening."""
        if self._listening is not None:
            self._listening.close()
        await self._runner.cleanup()


class _TurnedAway(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say so, and close."""
        status = HTTPStatus.SERVICE_UNAVAILABLE
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\n"
        writing = cast(asyncio.Transport, transport)
        writing.write(f"{head}Content-Length: 0\r\n\r\n".encode())
        writing.close()


class _NotOurFailure(logging.Filter):
    """Tells what a caller did wrong in one line, to those who debug.

    aiohttp logs bytes that are no request as an error with a traceback: whoever reaches the port
    could fill the log.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, _OF_THE_CALLER):
            return True
        record.exc_info, record.levelno, record.levelname = None, logging.DEBUG, "DEBUG"
        record.msg, record.args = "refused what is no HTTP request: %s", (type(error).__name__,)
        return _log.isEnabledFor(logging.DEBUG)


_log.addFilter(_NotOurFailure())
