"""Reading a shard back from Redis, as this version would have stored it."""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from infra.redis.codec import readable_outbox
from infra.redis.keys import RING_WIDTHS_MS, Keys, Retention
from infra.redis.shard_holes import HolesError, require_buckets
from infra.redis.upgrades import Upgrade
from streams.state.bucket_rings import CELL, DAY_CELL
from streams.state.commit import StoredShard
from streams.state.items import ROW
from streams.state.minute_totals import DAYS_KEPT, MINUTES_A_DAY, TOTAL
from streams.types import AnyArray, Int64Array, Table

_ITEMS_AT_ONCE = 5_000
_log = logging.getLogger(__name__)


class ShardReading:
    """One shard of one Redis.

    Args:
        redis: an open client that gives bytes.
        keys: names.
        retention: how many buckets of a ring there are.
        partition: which shard.
        upgrade: from the version in which it is stored.
        inventory: what must be there.
    """

    def __init__(
        self,
        redis: Any,
        keys: Keys,
        retention: Retention,
        partition: int,
        upgrade: Upgrade,
        inventory: Mapping[str, Any],
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._retention = retention
        self._partition = partition
        self._upgrade = upgrade
        self._inventory = inventory

    async def read(self) -> StoredShard:
        """Return the shard as this version would have stored it.

        Raises:
            HolesError: something is missing that a commit has written.
            ResponseError, ConnectionError, TimeoutError: of Redis.
        """
        redis, keys, partition, upgrade = self._redis, self._keys, self._partition, self._upgrade
        offsets = await redis.hget(keys.shard(partition), "offsets")
        state = json.loads(upgrade.meta)
        names = [
            tuple(json.loads(name)) for name in await redis.lrange(keys.names(partition), 0, -1)
        ]
        newest = state["newest_buckets"]
        place = {f"{sku}@{warehouse}".encode(): item for item, (sku, warehouse) in enumerate(names)}
        pending, orders, catalog, groups, outbox = [
            upgrade.fields(family, await redis.hgetall(keys.of(upgrade.source(family), partition)))
            for family in ("pending", "orders", "catalog", "groups", "outbox")
        ]
        records, unreadable = readable_outbox(outbox)
        if unreadable:
            where = keys.unreadable(partition)
            _log.error(
                "shard %d: %d stored records cannot be read and are put away in %s",
                partition,
                len(unreadable),
                where,
            )
        return StoredShard(
            offsets=json.loads(offsets),
            meta=upgrade.meta,
            names=names,
            rows=await self._rows(names),
            memories={
                name: (
                    await redis.get(keys.memory(partition, name, 0)) or b"",
                    await redis.get(keys.memory(partition, name, 1)) or b"",
                )
                for name in state["memories"]
            },
            cells={ring: await self._cells(ring, newest[ring], place) for ring in RING_WIDTHS_MS},
            pending={int(number): chunk for number, chunk in pending.items()},
            orders=list(orders.values()),
            catalog={key.decode(): line for key, line in catalog.items()},
            groups={name.decode(): row for name, row in groups.items()},
            outbox=records,
            unreadable=unreadable,
            totals=await self._totals(newest.get("totals", -1)),
        )

    async def _rows(self, names: Sequence[tuple[str, str]]) -> Table:
        rows = np.zeros(len(names), ROW)
        for start in range(0, len(names), _ITEMS_AT_ONCE):
            chosen = [f"{sku}@{warehouse}" for sku, warehouse in names[start:][:_ITEMS_AT_ONCE]]
            stored = await self._redis.hmget(self._keys.rows(self._partition), chosen)
            if None in stored:
                raise HolesError(f"{stored.count(None)} of {len(stored)} rows of items")
            packed = self._upgrade.values("rows", stored)
            rows[start : start + len(chosen)] = np.frombuffer(b"".join(packed), ROW)
        return rows

    async def _cells(
        self, ring: str, newest: int, place: dict[bytes, int]
    ) -> dict[int, tuple[Int64Array, AnyArray]]:
        if newest < 0:
            return {}
        buckets = range(max(0, newest - buckets_needed(self._retention, ring) + 1), newest + 1)
        pipeline = self._redis.pipeline(transaction=False)
        for bucket in buckets:
            pipeline.hgetall(self._keys.bucket(self._partition, ring, bucket))
        loaded = {}
        for bucket, cells in zip(buckets, await pipeline.execute(), strict=True):
            if cells:
                if not cells.keys() <= place.keys():
                    raise HolesError("names of items")
                items = np.array([place[name] for name in cells], np.int64)
                packed = b"".join(self._upgrade.values(ring, list(cells.values())))
                loaded[bucket] = (items, np.frombuffer(packed, cell_of(ring)))
        require_buckets(ring, buckets, loaded, self._inventory)
        return loaded

    async def _totals(self, newest_minute: int) -> tuple[Int64Array, Table]:
        newest = newest_minute // MINUTES_A_DAY
        days = range(max(0, newest - DAYS_KEPT), newest + 1)
        pipeline = self._redis.pipeline(transaction=False)
        for day in days:
            pipeline.hgetall(self._keys.totals(self._partition, day))
        minutes: list[int] = []
        packed: list[bytes] = []
        for day, cells in zip(days, await pipeline.execute(), strict=True):
            minutes += [day * MINUTES_A_DAY + int(minute) for minute in cells]
            packed += self._upgrade.values("totals", list(cells.values()))
        found = {minute // MINUTES_A_DAY for minute in minutes}
        require_buckets("totals", days, found, self._inventory)
        return np.array(minutes, np.int64), np.frombuffer(b"".join(packed), TOTAL)


def buckets_needed(retention: Retention, ring: str) -> int:
    """Buckets of a ring that a shard needs to go on; older days are history."""
    return retention.ring_days if ring == "day" else retention.of(ring)


def cell_of(ring: str) -> "np.dtype[np.void]":
    """The dtype of a ring's cells as they are stored."""
    return DAY_CELL if ring == "day" else CELL
