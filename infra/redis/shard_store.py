"""Shards in Redis: one atomic fenced commit, and what a new owner needs to go on."""

import asyncio
import builtins
import hashlib
import json
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files
from typing import Any

import msgspec
from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import (
    ConnectionError,
    NoScriptError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from infra.redis.codec import decode_meta
from infra.redis.commit_commands import CommitCommands, KnownShard, item_bulk
from infra.redis.keys import Keys, Retention
from infra.redis.refusals import concerns_connection
from infra.redis.shard_holes import (
    INVENTORY,
    HolesError,
    Inventory,
    forget_calls,
    keys_of_shard,
    leftover_keys,
    read_inventory,
    require_whole,
)
from infra.redis.shard_reading import ShardReading
from infra.redis.shard_upgrade import Staging
from infra.redis.upgrades import Upgrade, packed_layout
from infra.redis.wire import ScriptCall, bulk
from streams.shard.checkpoint import STATE_VERSION
from streams.shard.logs import LogIdentity
from streams.state.commit import Commit, StoredShard

_ITEMS_AT_ONCE = 5_000
_PING_SECONDS = 3.0
_PROBE_KEPT_SECONDS = 60  # the key forgets itself when no worker writes it any more
_CONNECTION_SECONDS = 10.0  # an idle connection is closed after, so that a moved name is followed
_log = logging.getLogger(__name__)


class StoreError(RuntimeError):
    """Redis refuses: it is full, read-only, or the rights are missing. Somebody has to mend it."""


class MovedError(StoreError):
    """The shard changed while it was read: it has another owner, or Redis came back with an older
    state. Lease it again.
    """


UNREACHABLE = (ConnectionError, TimeoutError, OSError, StoreError)
"""Errors after which the same is tried again."""


class CommitOutcome(StrEnum):
    """What became of a commit."""

    STORED = "stored"
    FENCED = "fenced"  # somebody else owns the shard, or Redis has another past: load it again


@dataclass(slots=True)
class Lease:
    """The right to commit a shard, and where its stored state stands."""

    partition: int
    epoch: int  # for people; it can come twice, when Redis came back older in between
    sequence: int
    offsets: str  # as stored
    fencing_token: str  # no other lease has it
    writer: str  # the lease under which the newest commit came
    known: KnownShard = field(default_factory=KnownShard)


class RedisStore:
    """All shards of a worker.

    Args:
        pool: connections; silent retries must be off, a commit is repeated knowingly.
        keys: names.
        retention: what to forget.
        make_fencing_token: returns a word that nobody else will ever get.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        keys: Keys,
        retention: Retention,
        make_fencing_token: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._pool = pool
        self._keys = keys
        self._retention = retention
        self._commands = CommitCommands(keys, retention)
        self._make_fencing_token = make_fencing_token
        self._connected_at = time.monotonic()
        self._commit_script = _script("commit_script.lua")
        self._acquire_script = _script("acquire_script.lua")
        self._upgrade_script = _script("upgrade_script.lua")
        self._fenced_script = _script("fenced_script.lua")

    # -- taking over --------------------------------------------------------------------------

    async def acquire(self, partition: int, generation: int) -> Lease:
        """Take a shard over; commits under an older lease are refused from now on."""
        # So that the first commit, which can be large, is not sent twice.
        await self._send_words(b"SCRIPT", b"LOAD", self._commit_script.source)
        token = self._make_fencing_token()
        call = ScriptCall(
            self._acquire_script.digest,
            self._keys.shard(partition),
            [b"%d" % generation, token.encode()],
        )
        epoch, sequence, offsets, writer = await self._run(call.to_bytes(), self._acquire_script)
        return Lease(partition, int(epoch), int(sequence), offsets.decode(), token, writer.decode())

    async def is_current(self, lease: Lease) -> bool:
        """Return whether Redis stands where the lease does, and nobody has taken the shard over."""
        key = self._keys.shard(lease.partition).encode()
        stored = await self._send_words(b"HMGET", key, b"claim", b"sequence", b"offsets")
        return [*stored] == [
            lease.fencing_token.encode(),
            b"%d" % lease.sequence,
            lease.offsets.encode(),
        ]

    async def load(self, lease: Lease) -> StoredShard | None:
        """Return the stored shard, or None where nothing was ever committed.

        A shard with holes is forgotten, and None is returned: the log is read again as far as it
        reaches. A shard of an older version is returned as this one would have stored it; in Redis
        it stays as it is until the first commit.

        Raises:
            StateVersionError: the shard has a version that this one cannot go on from.
            MovedError: what was read does not belong together, or not to the lease.
            StoreError: Redis refuses to give it.
            ConnectionError, TimeoutError: Redis is away.
        """
        lease.known = KnownShard()
        redis: Any = Redis(connection_pool=self._pool)  # its types allow text; ours gives bytes
        async with redis:
            try:
                if lease.sequence == 0:
                    await self._require_nothing_left(redis, lease)
                    return None
                upgrade, stored = await self._read(redis, lease)
            except HolesError as holes:
                await self._forget(redis, lease, holes)
                return None
            except ResponseError as error:
                raise await self._refused(error) from error
        lease.known.inventory = Inventory.of(stored)
        lease.known.names = [item_bulk(*name) for name in stored.names]
        lease.known.newest = dict(json.loads(stored.meta)["newest_buckets"])
        lease.known.upgrade = upgrade if upgrade.is_needed else None
        lease.known.has_layout = True
        lease.known.unreadable = dict(stored.unreadable)
        return stored

    async def _read(self, redis: Any, lease: Lease) -> tuple[Upgrade, StoredShard]:
        """Return the shard, whole.

        Raises:
            HolesError: something is missing that a commit has written.
        """
        await self._require_unmoved(lease)
        try:
            held = await redis.hget(self._keys.shard(lease.partition), INVENTORY)
            inventory = read_inventory(held, lease.sequence)
            upgrade = await self._upgrade_of(redis, lease.partition)
            reading = ShardReading(
                redis, self._keys, self._retention, lease.partition, upgrade, inventory
            )
            stored = await reading.read()
            require_whole(stored, inventory)
            return upgrade, stored
        finally:  # what does not belong together can also fail to be read
            await self._require_unmoved(lease)

    async def _require_nothing_left(self, redis: Any, lease: Lease) -> None:
        """Where nothing was committed, nothing is there; else the shard's own hash is gone."""
        if await redis.exists(*leftover_keys(self._keys, lease.partition)):
            raise HolesError("where it stands")

    async def _forget(self, redis: Any, lease: Lease, holes: HolesError) -> None:
        """Delete a shard with holes; the lease then stands where a new shard's does."""
        partition, token = lease.partition, lease.fencing_token.encode()
        found = await keys_of_shard(redis, self._keys, partition)
        shard = self._keys.shard(partition)
        for call in forget_calls(self._fenced_script.digest, shard, token, found):
            if await self._run(call.to_bytes(), self._fenced_script) != b"ok":
                raise MovedError(f"shard {partition} moved while it was loaded")
        lease.sequence, lease.offsets, lease.writer = 0, "{}", ""
        lease.known = KnownShard()
        _log.error(
            "shard %d: its state in Redis has holes, missing: %s. It is read again from the log, "
            "as far as that reaches; does Redis evict keys?",
            partition,
            holes,
        )

    async def first_logs(self) -> Mapping[str, LogIdentity]:
        """Return what the logs of shard 0 were when it began; empty where nothing is stored."""
        meta = await self._send_words(b"HGET", self._keys.shard(0).encode(), b"meta")
        try:
            return {} if meta is None else decode_meta(meta).logs
        except msgspec.DecodeError:  # of a version that cannot be read: loading it says so
            return {}

    def resume(self, lease: Lease, before: Lease) -> None:
        """Go on under a new lease with a shard that was kept since an older one."""
        lease.known = before.known

    async def _require_unmoved(self, lease: Lease) -> None:
        """Loading takes many commands; between two of them the shard can move."""
        if not await self.is_current(lease):
            raise MovedError(f"shard {lease.partition} moved while it was loaded")

    async def _upgrade_of(self, redis: Any, partition: int) -> Upgrade:
        key = self._keys.shard(partition)
        meta, layout = await redis.hmget(key, ["meta", "layout"])
        return Upgrade(meta, layout, key)

    async def ping(self) -> None:
        """Return if Redis takes what is written; a replica answers, and takes nothing.

        Now and then the connections are made anew: where its name leads to another server by now,
        and the old one lives on, nothing else would tell.

        Raises:
            StoreError: it refuses: it is a replica, full, cannot write to its disk, or the like.
            ConnectionError, TimeoutError: it is away.
        """
        if time.monotonic() - self._connected_at > _CONNECTION_SECONDS:
            await self._reconnect()
        words = (b"SET", self._keys.probe().encode(), b"1", b"EX", b"%d" % _PROBE_KEPT_SECONDS)
        try:
            async with asyncio.timeout(_PING_SECONDS):
                await self._send_words(*words)
        except builtins.TimeoutError:
            raise TimeoutError(f"it did not answer within {_PING_SECONDS:g} s") from None

    # -- committing ---------------------------------------------------------------------------

    async def commit(self, lease: Lease, commit: Commit) -> CommitOutcome:
        """Store a commit, or learn that the lease is void.

        The first commit of a shard that was stored by an older version brings Redis up to this one
        before; a crash between the two leaves the same shard in the new version.

        A lost reply is no loss: the same commit is sent again, and Redis knows it by its number.

        Raises:
            StoreError: Redis refuses the commit for another reason (memory, rights, a wrong type).
            ConnectionError, TimeoutError: Redis is away; the same commit may be tried again.
        """
        known = lease.known
        if known.upgrade is not None and not await self._store_upgrade(lease, known.upgrade):
            return CommitOutcome.FENCED
        offsets = json.dumps(commit.offsets, sort_keys=True)
        if known.sent is None or known.sent[0] is not commit:
            known.sent = (commit, self._payload(lease, commit, offsets))
        outcome = (await self._run(known.sent[1], self._commit_script)).decode()
        known.sent = None
        if outcome not in ("ok", "already"):
            return CommitOutcome.FENCED
        lease.sequence += 1
        lease.offsets = offsets
        lease.writer = lease.fencing_token
        known.unreadable = {}
        known.newest.update(commit.newest_buckets)
        known.has_layout = True
        return CommitOutcome.STORED

    async def _store_upgrade(self, lease: Lease, upgrade: Upgrade) -> bool:
        """Rewrite an older shard; return whether the lease still holds. Safe to repeat."""
        key = self._keys.shard(lease.partition)
        redis: Any = Redis(connection_pool=self._pool)
        async with redis:
            staging = Staging(redis, self._keys, lease.partition, lease.fencing_token)
            try:
                await staging.clean()
                if await redis.hget(key, "meta") != upgrade.meta:  # else a reply was lost
                    commands = await staging.prepare(upgrade)
                    head = (upgrade.meta_before, upgrade.meta, packed_layout())
                    call = ScriptCall(
                        self._upgrade_script.digest, key, [lease.fencing_token.encode(), *head]
                    )
                    for command in commands:
                        call.add(*command)
                    outcome = await self._run(call.to_bytes(), self._upgrade_script)
                    if outcome not in (b"ok", b"already"):
                        return False
            except ResponseError as error:
                raise await self._refused(error) from error
        lease.known.upgrade = None
        _log.info("%s: state version %d became %d", key, upgrade.version, STATE_VERSION)
        return True

    def _payload(self, lease: Lease, commit: Commit, offsets: str) -> bytes:
        call = ScriptCall(
            self._commit_script.digest,
            self._keys.shard(commit.partition),
            [
                lease.fencing_token.encode(),
                b"%d" % lease.sequence,
                b"%d" % (lease.sequence + 1),
                lease.offsets.encode(),
                offsets.encode(),
                commit.meta,
            ],
        )
        self._commands.add(call, commit, lease.known, lease.sequence + 1)
        return call.to_bytes()

    # -- talking to Redis ---------------------------------------------------------------------

    async def _run(self, payload: bytes, script: "_Script") -> Any:
        try:
            return await self._send(payload)
        except NoScriptError:
            await self._send_words(b"SCRIPT", b"LOAD", script.source)
        try:
            return await self._send(payload)
        except NoScriptError as error:  # restarted once more in between
            raise StoreError(f"Redis forgets scripts: {error}") from error

    async def _send_words(self, *words: bytes) -> Any:
        return await self._send(b"*%d\r\n%b" % (len(words), b"".join(map(bulk, words))))

    async def _send(self, payload: bytes) -> Any:
        connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.send_packed_command(payload)
            return await connection.read_response()
        except NoScriptError:
            raise
        except ResponseError as error:
            raise await self._refused(error) from error
        except ConnectionError as error:  # LOADING is one, too
            if concerns_connection(error):
                await self._reconnect()
            raise
        except asyncio.CancelledError:
            await connection.disconnect(nowait=True)
            raise
        finally:
            await self._pool.release(connection)

    async def _refused(self, error: RedisError) -> StoreError:
        """Return the refusal; what it says of one connection holds for the idle ones, too."""
        if concerns_connection(error):
            await self._reconnect()
        return StoreError(f"Redis refused a command: {error}")

    async def _reconnect(self) -> None:
        """Close the idle connections: the next ones look the server's name up again."""
        self._connected_at = time.monotonic()
        await self._pool.disconnect(inuse_connections=False)


@dataclass(frozen=True, slots=True)
class _Script:
    source: bytes
    digest: str


def _script(name: str) -> _Script:
    source = files("infra.redis").joinpath(name).read_bytes()
    return _Script(source, hashlib.sha1(source, usedforsecurity=False).hexdigest())
