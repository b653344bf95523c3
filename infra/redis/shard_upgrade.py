"""Rewriting an older shard in Redis: prepared beside it, then put in its place by one script.

Until that script has run, the older version lies there untouched: a worker that ends in between
leaves only staged keys behind, which the next one removes.
"""

from collections.abc import AsyncIterator, Iterable
from itertools import islice
from typing import Any

from infra.redis.keys import Keys, glob_escape
from infra.redis.upgrades import Upgrade

STAGED = "staged"
"""The family of keys in which the new form is prepared; no part of a shop's state."""

_FIELDS_AT_ONCE = 1_000
_SCAN_AT_ONCE = 10_000
_DATED = frozenset({"minute", "hour", "day", "decisions", "totals"})

Command = tuple[bytes, ...]


class Staging:
    """The new form of one shard, prepared under names of its own.

    Args:
        redis: an asynchronous client that gives bytes.
        keys: names.
        partition: of the shard.
        fencing_token: of the lease: what two owners stage never mixes.
    """

    def __init__(self, redis: Any, keys: Keys, partition: int, fencing_token: str) -> None:
        self._redis, self._keys, self._partition = redis, keys, partition
        self._staged = f"{keys.prefix}{STAGED}:{{{partition}}}:"
        self._own = f"{self._staged}{fencing_token}:"

    async def prepare(self, upgrade: Upgrade) -> list[Command]:
        """Write the new form of what changes; return the commands that put it in its place."""
        commands: list[Command] = []
        for family in upgrade.rewritten:
            source = upgrade.source(family)
            async for key in self._keys_of(source):
                target = self._key(family) + key.removeprefix(self._key(source))
                if await self._stage(key, self._own + target, family, upgrade):
                    commands.append(_words("RENAME", self._own + target, target))
                if key != target:
                    commands.append(_words("DEL", key))
        for source, family in upgrade.moved.items():
            if family not in upgrade.rewritten:
                async for key in self._keys_of(source):
                    target = self._key(family) + key.removeprefix(self._key(source))
                    commands.append(_words("RENAME", key, target))
        return commands

    def _key(self, family: str) -> str:
        return self._keys.of(family, self._partition)

    async def _keys_of(self, family: str) -> AsyncIterator[str]:
        """Yield the keys of a family that are there."""
        key = self._key(family)
        if family not in _DATED:
            if await self._redis.exists(key):
                yield key
            return
        async for found in self._scan(f"{key}:"):
            yield found

    async def _scan(self, start: str) -> AsyncIterator[str]:
        pattern = glob_escape(start) + "*"
        found = [key async for key in self._redis.scan_iter(match=pattern, count=_SCAN_AT_ONCE)]
        for key in sorted(set(found)):  # SCAN may name a key twice
            yield key.decode()

    async def _stage(self, key: str, staged: str, family: str, upgrade: Upgrade) -> bool:
        """Write the new form of one hash; return whether it has any fields."""
        new = upgrade.fields(family, await self._redis.hgetall(key))
        await self._redis.delete(staged)
        for piece in _pieces(new.items()):
            await self._redis.hset(staged, mapping=dict(piece))
        return bool(new)

    async def clean(self) -> None:
        """Remove what was staged for this shard and never put in its place."""
        async for key in self._scan(self._staged):
            await self._redis.unlink(key)


def _words(*words: str) -> Command:
    return tuple(word.encode() for word in words)


def _pieces(pairs: Iterable[tuple[bytes, bytes]]) -> Iterable[list[tuple[bytes, bytes]]]:
    rest = iter(pairs)
    while piece := list(islice(rest, _FIELDS_AT_ONCE)):
        yield piece
