"""The shop's minutes: the newest ones each time, all of them once a minute or seldomer."""

from collections.abc import Callable, Sequence

import numpy as np
from redis import Redis

from infra.page.readers.pace import Pace
from infra.page.snapshot import Totals
from infra.redis.keys import Keys
from infra.redis.rows import unpack
from streams.state.minute_totals import DAYS_KEPT, MINUTES_A_DAY, TOTAL
from streams.types import Table

_WHOLE_EVERY_SECONDS = 60.0
_RECENT_MINUTES = 90


class TotalsReader:
    """Reads the sums of all items, minute by minute, and remembers those of older minutes.

    Args:
        redis: a client that gives bytes.
        keys: names in Redis.
        clock: seconds that only grow.
    """

    def __init__(self, redis: "Redis", keys: Keys, clock: Callable[[], float]) -> None:
        self._redis = redis
        self._keys = keys
        self._cells: dict[int, Table] = {}  # partition -> sums from `_first_day` on
        self._first_day = 0
        self._pace = Pace(_WHOLE_EVERY_SECONDS, clock)

    def forget(self) -> None:
        """Read all of them the next time."""
        self._cells = {}

    def read(self, partitions: Sequence[int], newest_minute: int) -> Totals:
        """Return the sums of all partitions; late events of older minutes are seen once a minute.

        Args:
            partitions: all of them.
            newest_minute: since the epoch; -1: none.
        """
        first_day = max(0, newest_minute // MINUTES_A_DAY - DAYS_KEPT)
        is_same = first_day == self._first_day and set(partitions) == set(self._cells)
        if not is_same or self._pace.is_due():
            with self._pace.doing():
                self._read_whole(partitions, first_day)
        else:
            self._read_recent(newest_minute)
        size = (DAYS_KEPT + 1) * MINUTES_A_DAY
        shop: Table = np.zeros(size, TOTAL)
        for cells in self._cells.values():
            for name in TOTAL.names or ():
                shop[name] += cells[name]
        return Totals(first_day * MINUTES_A_DAY, shop)

    def _read_whole(self, partitions: Sequence[int], first_day: int) -> None:
        days = range(first_day, first_day + DAYS_KEPT + 1)
        pipeline = self._redis.pipeline(transaction=False)
        for partition in partitions:
            for day in days:
                pipeline.hgetall(self._keys.totals(partition, day))
        replies = iter(pipeline.execute())
        self._cells = {}
        for partition in partitions:
            cells: Table = np.zeros(len(days) * MINUTES_A_DAY, TOTAL)
            for place in range(len(days)):
                stored = next(replies)
                minutes = np.array([int(minute) for minute in stored], np.int64)
                packed = unpack(b"".join(stored.values()), TOTAL, "totals")
                cells[place * MINUTES_A_DAY + minutes] = packed
            self._cells[partition] = cells
        self._first_day = first_day

    def _read_recent(self, newest_minute: int) -> None:
        first = max(self._first_day * MINUTES_A_DAY, newest_minute - _RECENT_MINUTES + 1)
        by_day: dict[int, list[int]] = {}
        for minute in range(first, newest_minute + 1):
            by_day.setdefault(minute // MINUTES_A_DAY, []).append(minute % MINUTES_A_DAY)
        pipeline = self._redis.pipeline(transaction=False)
        for partition in self._cells:
            for day, minutes in by_day.items():
                pipeline.hmget(self._keys.totals(partition, day), [str(one) for one in minutes])
        replies = iter(pipeline.execute())
        for cells in self._cells.values():
            for day, minutes in by_day.items():
                for minute, packed in zip(minutes, next(replies), strict=True):
                    if packed is not None:
                        place = (day - self._first_day) * MINUTES_A_DAY + minute
                        cells[place] = np.frombuffer(packed, TOTAL)[0]
