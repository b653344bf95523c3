"""Decisions of all partitions, the newest first; a review, once stored, never changes."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from redis import Redis

from infra.page.cursor import Cursor
from infra.page.snapshot import ReadDecision, ShardView
from infra.redis.codec import decode_currency, decode_name
from infra.redis.keys import Keys
from infra.redis.rows import unpack
from streams.replenishment.decision_record import DECISION
from streams.state.items import item_key
from streams.timestamps import DAY_MS
from streams.types import Table

DECISIONS_KEPT = 500
"""So many of the newest are ready for every viewer; older ones are read when they are asked for."""

DAYS_AT_ONCE = 40
REVIEWS_AT_ONCE = 200
_DAYS_EVER = 400


class _Review(NamedTuple):
    """A key and a field of it: what one partition decided at one moment."""

    partition: int
    key: str
    name: bytes

    @property
    def reviewed_ms(self) -> int:
        return int(self.name.partition(b":")[0])


class Found(NamedTuple):
    """A decision as it is stored, without the name of its item."""

    cursor: Cursor
    record: Table


class DecisionsReader:
    """Reads decisions, and remembers the newest.

    Args:
        redis: a client that gives bytes.
        keys: names in Redis.
    """

    def __init__(self, redis: "Redis", keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._past: dict[tuple[int, int], list[_Review]] = {}  # by partition and day
        self._tables: dict[_Review, Table] = {}
        self._named: dict[Cursor, ReadDecision] = {}

    def forget(self) -> None:
        """Redis has lost what it held."""
        for remembered in (self._past, self._tables, self._named):
            remembered.clear()

    def read(self, shards: Sequence[ShardView]) -> list[ReadDecision]:
        """Return the newest `DECISIONS_KEPT` of the last `DAYS_AT_ONCE` days."""
        tables: dict[_Review, Table] = {}
        found = list(islice(self._newest(shards, tables), DECISIONS_KEPT))
        self._tables = tables
        new = self.named([one for one in found if one.cursor not in self._named])
        known = {**self._named, **{one.cursor: one for one in new}}
        self._named = {one.cursor: known[one.cursor] for one in found}
        return list(self._named.values())

    def older(
        self, shards: Sequence[ShardView], before: Cursor
    ) -> Iterator[tuple[Cursor, Found | None]]:
        """Yield what stands after a place, each with its own, as far as one answer may reach.

        The last one may be None: nothing is left up to there, and further on there may be more.
        """
        newest_day = _newest_day(shards)
        oldest_day = max(0, newest_day - _DAYS_EVER)
        first_day = min(newest_day, before.reviewed_ms // DAY_MS)
        last_day = max(oldest_day, first_day - DAYS_AT_ONCE)
        left = REVIEWS_AT_ONCE
        for day in range(first_day, last_day - 1, -1):
            every = self._reviews([shard.partition for shard in shards], day)
            for reviews in _by_time(one for of_one in every.values() for one in of_one):
                if reviews[0].reviewed_ms > before.reviewed_ms:
                    continue
                found = _in_order((one, self._read_review(one)) for one in reviews)
                yield from ((one.cursor, one) for one in found if before.is_before(one.cursor))
                left -= len(reviews)
                if left <= 0:
                    yield Cursor.after_all_of(reviews[0].reviewed_ms), None
                    return
        if last_day > oldest_day:
            yield Cursor.after_all_of(last_day * DAY_MS), None

    def named(self, found: Sequence[Found]) -> list[ReadDecision]:
        """Return decisions with the names and currencies of their items."""
        pipeline = self._redis.pipeline(transaction=False)
        for one in found:
            pipeline.lindex(self._keys.names(one.cursor.partition), one.cursor.place)
        names = [decode_name(name) for name in pipeline.execute()]
        for one, name in zip(found, names, strict=True):
            pipeline.hget(self._keys.catalog(one.cursor.partition), item_key(*name))
        catalog = pipeline.execute()
        return [
            ReadDecision(*name, one.record, decode_currency(line), one.cursor)
            for one, name, line in zip(found, names, catalog, strict=True)
        ]

    def _newest(self, shards: Sequence[ShardView], tables: dict[_Review, Table]) -> Iterator[Found]:
        newest_day = _newest_day(shards)
        for day in range(newest_day, max(-1, newest_day - DAYS_AT_ONCE), -1):
            for reviews in _by_time(self._of_day(shards, day, is_past=day < newest_day - 1)):
                for review in reviews:
                    known = self._tables.get(review)
                    tables[review] = self._read_review(review) if known is None else known
                yield from _in_order((one, tables[one]) for one in reviews)

    def _of_day(self, shards: Sequence[ShardView], day: int, *, is_past: bool) -> list[_Review]:
        """A day that is long over gets no further reviews."""
        wanted = [shard.partition for shard in shards]
        missing = [one for one in wanted if not is_past or (one, day) not in self._past]
        found = {(one, day): reviews for one, reviews in self._reviews(missing, day).items()}
        if is_past:
            self._past.update(found)
        known = self._past if is_past else found
        return [review for one in wanted for review in known[one, day]]

    def _reviews(self, partitions: Sequence[int], day: int) -> Mapping[int, list[_Review]]:
        if not partitions:
            return {}
        pipeline = self._redis.pipeline(transaction=False)
        for partition in partitions:
            pipeline.hkeys(self._keys.decisions(partition, day))
        return {
            partition: [_Review(partition, self._keys.decisions(partition, day), n) for n in names]
            for partition, names in zip(partitions, pipeline.execute(), strict=True)
        }

    def _read_review(self, review: _Review) -> Table:
        packed: Any = self._redis.hget(review.key, review.name)
        return unpack(packed or b"", DECISION, review.key)


def _newest_day(shards: Sequence[ShardView]) -> int:
    return max((shard.applied_ms // DAY_MS for shard in shards if shard.applied_ms), default=-1)


def _by_time(reviews: Iterable[_Review]) -> list[list[_Review]]:
    """Return the reviews of each moment, the newest first."""
    found: dict[int, list[_Review]] = defaultdict(list)
    for review in reviews:
        found[review.reviewed_ms].append(review)
    return [found[moment] for moment in sorted(found, reverse=True)]


def _in_order(reviews: Iterable[tuple[_Review, Table]]) -> list[Found]:
    """Return the decisions of one moment in the order of the list."""
    found = [
        Found(
            Cursor(
                review.reviewed_ms, review.partition, int(record["item"]), int(record["is_surge"])
            ),
            record,
        )
        for review, table in reviews
        for record in table
    ]
    return sorted(found, key=lambda one: one.cursor)
