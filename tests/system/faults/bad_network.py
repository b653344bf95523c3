"""A network that breaks on purpose: a TCP proxy that cuts, holds up or slows what passes it."""

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from infra.local.embedded import LOOPBACK

_PIECE_BYTES = 65_536
_Result = TypeVar("_Result")


class BadNetwork:
    """Forwards connections to a server of this machine; good until it is made otherwise.

    Args:
        port: of the server; may be set later, before the first connection.
    """

    def __init__(self, port: int | None = None) -> None:
        self.target_port = port
        self.delay_seconds = 0.0  # for each piece, either way
        self.cuts = 0
        self.port = 0
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        # In a thread of its own: a test that waits for an answer must not hold up the network.
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._connect, LOOPBACK, 0))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        await self._abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _run(self, action: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run_coroutine_threadsafe(action, self._loop).result()

    def cut(self) -> None:
        """Close every connection, whatever is on its way."""
        self._run(self._abort())

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._writers) // 2

    async def _abort(self) -> None:
        self.cuts += self.connections
        for writer in self._writers:
            writer.transport.abort()

    def hold(self) -> None:
        """Let nothing pass any more, with the connections open: nobody is reported."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def release(self) -> None:
        """Let pass what was held, and all that follows."""
        self._loop.call_soon_threadsafe(self._flows.set)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection(LOOPBACK, self.target_port)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, there_writer}
        self._writers |= both
        try:
            await asyncio.gather(self._pump(reader, there_writer), self._pump(there_reader, writer))
        finally:
            self._writers -= both
            for one in both:
                one.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while piece := await source.read(_PIECE_BYTES):
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                await self._flows.wait()
                sink.write(piece)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()
