"""A tiny TCP proxy that breaks on purpose: it cuts a connection after so many bytes one way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Proxy:
    """Forwards to a server; `cut_request_at` and `cut_reply_at` are bytes, counted from when they
    are set, after which the connection is closed instead.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self.cut_request_at: int | None = None
        self.cut_reply_at: int | None = None
        self.pause_s = 0.0  # before each piece of at most 1 kB, either way
        self.cuts = 0
        self.port = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(*self._target)
        both = (writer, server_writer)
        await asyncio.gather(
            self._pump(reader, server_writer, "cut_request_at", both),
            self._pump(server_reader, writer, "cut_reply_at", both),
        )

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        name: str,
        both: tuple[asyncio.StreamWriter, ...],
    ) -> None:
        try:
            while data := await source.read(1024):
                if self.pause_s:
                    await asyncio.sleep(self.pause_s)
                left = getattr(self, name)
                if left is not None:
                    setattr(self, name, left - len(data))
                    if len(data) > left:
                        setattr(self, name, None)
                        self.cuts += 1
                        sink.write(data[:left])
                        await sink.drain()
                        break
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            pass
        finally:
            for writer in both:
                writer.close()


@asynccontextmanager
async def proxy_to(host: str, port: int) -> AsyncIterator[Proxy]:
    """Run a proxy on a free port."""
    proxy = Proxy(host, port)
    server = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
