"""A server that speaks Redis's protocol just well enough to refuse, and a name that moves."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_TAKEN_AT_ONCE = 65_536


class RefusingServer:
    """Answers whatever connecting needs, and every other command with one refusal.

    Attributes:
        refusal: as Redis writes it, without the dash; None means that all is well.
        connections: so many were ever made.
    """

    def __init__(self, refusal: str) -> None:
        self.refusal: str | None = refusal
        self.connections = 0
        self.port = 0

    @property
    def url(self) -> str:
        """The address, for the older protocol: it needs no more than three kinds of answers."""
        return f"redis://127.0.0.1:{self.port}/0?protocol=2"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection to its end."""
        self.connections += 1
        try:
            while words := await _command(reader):
                writer.write(self._answer(words))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _answer(self, words: list[bytes]) -> bytes:
        if words[0].upper() in (b"CLIENT", b"SELECT") or self.refusal is None:
            return b"+OK\r\n"
        return f"-{self.refusal}\r\n".encode()


async def _command(reader: asyncio.StreamReader) -> list[bytes]:
    head = await reader.readline()
    words = []
    for _ in range(int(head[1:] or 0)):
        size = int((await reader.readline())[1:])
        words.append((await reader.readexactly(size + 2))[:-2])
    return words


class MovingName:
    """A name as of a Kubernetes Service: new connections go to `target`, old ones stay.

    Args:
        target: port that it leads to now.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.connections = 0
        self.port = 0

    @property
    def url(self) -> str:
        """The address behind which the servers are."""
        return f"redis://127.0.0.1:{self.port}/0"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection to where the name led when it was made."""
        self.connections += 1
        behind = await asyncio.open_connection("127.0.0.1", self.target)
        await asyncio.gather(_pump(reader, behind[1]), _pump(behind[0], writer))


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(_TAKEN_AT_ONCE):
            sink.write(data)
            await sink.drain()
    except ConnectionError:
        pass
    finally:
        sink.close()


@contextmanager
def running(server: RefusingServer | MovingName) -> Iterator[None]:
    """Serve in a thread of its own, so that clients that block can be tried too."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        listening = asyncio.start_server(server.serve, "127.0.0.1", 0)
        listener = asyncio.run_coroutine_threadsafe(listening, loop).result(10)
        server.port = listener.sockets[0].getsockname()[1]
        yield
        loop.call_soon_threadsafe(listener.close)
    finally:
        asyncio.run_coroutine_threadsafe(_end_all(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
