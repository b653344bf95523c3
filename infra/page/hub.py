"""One snapshot a second for everybody: the work does not grow with the number of viewers.

Nobody looks, nothing is read. Redis is read in threads of the page's own, items at their own pace.
Every listener gets the same bytes; one that is too slow for them misses some, and one that takes
none is let go.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

import msgspec
from redis.exceptions import RedisError

from infra.page.contracts import FieldError, Problem
from infra.page.readers.items import ItemsReader
from infra.page.readers.items_cache import ItemsKeeper
from infra.page.readers.snapshot import PageReader
from infra.page.snapshot import Snapshot
from infra.page.views.now import now
from infra.redis.refusals import explain_refusal
from infra.redis.rows import StateError

EVERY_SECONDS = 1.0
LISTENERS_AT_MOST = 200
WRITE_SECONDS = 10.0  # a listener that takes nothing for so long is let go
_ALIVE_SECONDS = 15.0

_log = logging.getLogger("tidegate.page")
_Answer = TypeVar("_Answer")


class AwayError(RuntimeError):
    """Redis does not answer; `read_ms` is when it last did."""

    def __init__(self, text: str, read_ms: int | None) -> None:
        super().__init__(text)
        self.read_ms = read_ms

    def problem(self) -> Problem:
        """What is answered."""
        error = FieldError(field="redis", rule="answer", value=str(self))
        return Problem(error=error, data_read_ms=self.read_ms)


class FullError(RuntimeError):
    """So many listeners are there that one more is refused."""


class Hub:
    """Hands out snapshots and pushes the newest to listeners.

    Args:
        reader: of Redis.
        make_items_reader: one that remembers nothing.
        clock: seconds that only grow.
        explain: says what an error of Redis means; it may look at the server, and so block.
    """

    def __init__(
        self,
        reader: PageReader,
        make_items_reader: Callable[[], ItemsReader],
        clock: Callable[[], float] = time.monotonic,
        explain: Callable[[Exception], str] = explain_refusal,
    ) -> None:
        self._reader = reader
        self._explain = explain
        self._clock = clock
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="page")
        self._items = ItemsKeeper(make_items_reader, self.in_thread, clock)
        self._reading = asyncio.Lock()
        self._snapshot: Snapshot | None = None
        self._failure: AwayError | None = None
        self._read_at = -1e9
        self._message = b""
        self._fresh = asyncio.Event()
        self._listeners = 0
        self._ticking: asyncio.Task[None] | None = None
        self._is_closed = False

    async def snapshot(self) -> Snapshot:
        """Return what Redis holds, at most a second old.

        Raises:
            AwayError: it does not answer, or holds what cannot be read.
        """
        async with self._reading:
            if self._clock() - self._read_at >= EVERY_SECONDS * 0.9:
                self._read_at = self._clock()
                await self._read()
        if self._failure is not None:
            raise self._failure
        assert self._snapshot is not None
        return self._snapshot

    def renew(self) -> None:
        """Let the next snapshot be read anew: something was written."""
        self._read_at = -1e9

    async def _read(self) -> None:
        try:
            small = await self.in_thread(self._reader.read)
            partitions = [shard.partition for shard in small.shards]
            items = await self._items.table(partitions, small.shop_ms or 0, small.losses)
            self._snapshot = replace(small, items=items)
            self._failure = None
        except (RedisError, OSError, StateError, msgspec.DecodeError) as caught:
            error: Exception = caught
            read_ms = None if self._snapshot is None else self._snapshot.read_ms
            reason = await self.in_thread(lambda: self._explain(error))
            self._failure = AwayError(f"Redis cannot be read: {reason}", read_ms)

    async def in_thread(self, work: Callable[[], _Answer]) -> _Answer:
        """Do something that blocks; at most two such things run at a time."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    # -- listeners ----------------------------------------------------------------------------

    async def listen(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        """Hand every new message to `write` until it fails, is too slow, or the page closes.

        Raises:
            FullError: too many listen already.
        """
        if self._listeners >= LISTENERS_AT_MOST:
            raise FullError(f"listeners must be <= {LISTENERS_AT_MOST}, got one more")
        self._listeners += 1
        try:
            if self._ticking is None or self._ticking.done():
                self._ticking = asyncio.create_task(self._tick(), name="page")
            while not self._is_closed:
                message = await self._next_message()
                async with asyncio.timeout(WRITE_SECONDS):
                    await write(message)
        except (TimeoutError, ConnectionError):
            pass
        finally:
            self._listeners -= 1

    async def _next_message(self) -> bytes:
        try:
            async with asyncio.timeout(_ALIVE_SECONDS):
                await self._fresh.wait()
        except TimeoutError:
            return b": still here\n\n"
        return self._message

    async def _tick(self) -> None:
        while self._listeners and not self._is_closed:
            started = self._clock()
            self._message = await self._newest()
            woken, self._fresh = self._fresh, asyncio.Event()
            woken.set()
            await asyncio.sleep(max(0.05, EVERY_SECONDS - (self._clock() - started)))

    async def _newest(self) -> bytes:
        try:
            snapshot = await self.snapshot()
            return await self.in_thread(lambda: _event("now", now(snapshot)))
        except AwayError as error:
            return _event("away", error.problem())
        except Exception as error:  # the page must not fall silent
            _log.exception("the page cannot be renewed")
            return _event("away", AwayError(f"the page failed: {error!r}", None).problem())

    async def close(self) -> None:
        """Let every listener go."""
        self._is_closed = True
        self._fresh.set()
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        await self._items.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


def _event(name: str, value: msgspec.Struct) -> bytes:
    """Return a server-sent event; JSON has no line breaks of its own."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(value))
