"""Which keys of Redis belong to a shop's state, by partition, and where its shards stand."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis import Redis

from infra.redis.keys import Keys, glob_escape
from infra.redis.shard_upgrade import STAGED
from infra.redis.state_files.records import Stand
from infra.redis.upgrades import version_of

_SCAN_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class ShardHash:
    """What a shard's hash says of where it stands."""

    epoch: int
    claim: str
    stand: Stand | None  # None means nothing was ever committed
    state_version: int | None
    importing: str | None  # a word for the state that an unfinished import writes here

    @staticmethod
    def of(fields: Mapping[bytes, bytes]) -> "ShardHash":
        """Read the hash; an empty one is that of a shard that is not there."""
        meta = fields.get(b"meta")
        importing = fields.get(b"importing")
        stand = Stand(
            int(fields.get(b"sequence", 0)),
            fields.get(b"offsets", b"").decode(),
            fields.get(b"writer", b"").decode(),
        )
        return ShardHash(
            epoch=int(fields.get(b"epoch", 0)),
            claim=fields.get(b"claim", b"").decode(),
            stand=None if meta is None else stand,
            state_version=None if meta is None else version_of(meta),
            importing=None if importing is None else importing.decode(),
        )


class StateKeys:
    """The keys of a shop.

    Args:
        redis: a client that gives bytes.
        keys: names.
    """

    def __init__(self, redis: "Redis", keys: Keys) -> None:
        self._redis, self._keys = redis, keys
        self._prefix = keys.prefix.encode()
        self._shape = re.compile(re.escape(self._prefix) + rb"([a-z-]+):\{(\d+)\}")

    def partitions(self) -> list[int]:
        """Return the partitions of which there is a shard."""
        return sorted(p for p, keys in self.by_partition("shard").items() if keys)

    def by_partition(self, family: str = "") -> dict[int, list[bytes]]:
        """Return the keys of each partition, in order.

        Args:
            family: only these keys; empty: all.
        """
        pattern = f"{glob_escape(self._keys.prefix)}{family}*"
        found: dict[int, set[bytes]] = defaultdict(set)  # SCAN may name a key twice
        for key in self._redis.scan_iter(match=pattern, count=_SCAN_AT_ONCE):
            partition = self.partition_of(key)
            if partition is not None:
                found[partition].add(key)
        return {partition: sorted(found[partition]) for partition in sorted(found)}

    def partition_of(self, key: bytes) -> int | None:
        """Return the partition that a key is part of the state of; None means of none."""
        match = self._shape.match(key)
        return None if match is None or match[1] == STAGED.encode() else int(match[2])

    def of_partition(self, partition: int) -> list[bytes]:
        """Return the keys of one partition, in order."""
        pattern = self.pattern(partition)
        found = self._redis.scan_iter(match=pattern, count=_SCAN_AT_ONCE)
        return sorted({key for key in found if self.partition_of(key) == partition})

    def pattern(self, partition: int) -> str:
        """Return a pattern of SCAN that fits the keys of one partition."""
        return f"{glob_escape(self._keys.prefix)}*:{{{partition}}}*"

    def shard(self, partition: int) -> ShardHash:
        """Return where a shard stands."""
        return self.shards([partition])[partition]

    def shards(self, partitions: list[int]) -> dict[int, ShardHash]:
        """Return where shards stand."""
        names = ["epoch", "claim", "sequence", "offsets", "writer", "meta", "importing"]
        pipeline = self._redis.pipeline(transaction=False)
        for partition in partitions:
            pipeline.hmget(self._keys.shard(partition), names)
        replies: list[Any] = pipeline.execute()
        found = {}
        for partition, values in zip(partitions, replies, strict=True):
            pairs = zip(names, values, strict=True)
            fields = {name.encode(): value for name, value in pairs if value is not None}
            found[partition] = ShardHash.of(fields)
        return found
