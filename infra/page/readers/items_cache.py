"""Keeps a table of items fresh at a bounded cost: in small pieces, with rests between them.

The worker shares its thread of Python with this reading. A piece holds it for milliseconds; the
rest after it, nine times as long, is the worker's. A small shop is read in one go and is never
older than a snapshot; a large one is shown some seconds older, and costs no more.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace

from infra.page.readers.items import ItemsReader
from infra.page.readers.pace import BUSY_SHARE
from infra.page.snapshot import ItemsTable

EVERY_SECONDS = 2.0
_QUICK_SECONDS = 0.1  # who asks waits for so short a reading
_OLD_READINGS = 5.0  # a table that is older than so many readings take is not shown
_OLD_SECONDS = 15.0  # likewise

Work = Callable[[], ItemsTable | None]


class ItemsKeeper:
    """Hands out the newest table, and has the next one read when it is time.

    Args:
        make_reader: a reader that remembers nothing.
        in_thread: runs what blocks.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        make_reader: Callable[[], ItemsReader],
        in_thread: Callable[[Work], Awaitable[ItemsTable | None]],
        clock: Callable[[], float],
    ) -> None:
        self._make_reader = make_reader
        self._in_thread = in_thread
        self._clock = clock
        self._reader = make_reader()
        self._losses = 0
        self._table: ItemsTable | None = None
        self._readings = 0
        self._reading: asyncio.Task[None] | None = None
        self._began_at = self._ended_at = -1e9
        self._busy_seconds = 0.0

    async def table(self, partitions: Sequence[int], shop_ms: int, losses: int) -> ItemsTable:
        """Return the newest table; wait for one where there is none, or only an old one.

        Args:
            partitions: all of them.
            shop_ms: event time, whose last hour is shown.
            losses: how often Redis was seen to have lost what it held.

        Raises:
            redis.RedisError: it does not answer.
        """
        if losses != self._losses:
            await self.close()
            self._losses, self._reader, self._table = losses, self._make_reader(), None
        waits = self._table is None or self._is_old()
        is_quick = self._busy_seconds <= _QUICK_SECONDS
        if self._reading is None and (waits or self._is_due()):
            reading = self._read(partitions, shop_ms, rests=not (waits or is_quick))
            self._reading = asyncio.create_task(reading, name="page-items")
        if self._reading is not None and (waits or is_quick):
            await asyncio.wait([self._reading])
        self._collect()
        assert self._table is not None
        return self._table

    def _is_due(self) -> bool:
        since = self._clock() - self._began_at
        return since >= max(EVERY_SECONDS, self._busy_seconds / BUSY_SHARE)

    def _is_old(self) -> bool:
        """Nobody has looked for a while."""
        between_s = self._busy_seconds / BUSY_SHARE
        return self._clock() - self._ended_at > max(_OLD_SECONDS, _OLD_READINGS * between_s)

    def _collect(self) -> None:
        """Let a failure of a reading in the background be known to who asks next."""
        if self._reading is not None and self._reading.done():
            reading, self._reading = self._reading, None
            reading.result()

    async def _read(self, partitions: Sequence[int], shop_ms: int, *, rests: bool) -> None:
        self._began_at = self._clock()
        pieces = self._reader.pieces(partitions, shop_ms)
        table, busy_seconds = None, 0.0
        while table is None:
            began_at = self._clock()
            table = await self._next(pieces)
            took = self._clock() - began_at
            busy_seconds += took
            if rests:
                await asyncio.sleep(took * (1 / BUSY_SHARE - 1))
        self._readings += 1
        self._busy_seconds, self._ended_at = busy_seconds, self._clock()
        self._table = replace(table, read_number=self._readings)

    async def _next(self, pieces: Iterator[ItemsTable | None]) -> ItemsTable | None:
        return await self._in_thread(lambda: next(pieces))

    async def close(self) -> None:
        """Read no more."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
            self._reading = None
