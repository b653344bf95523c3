"""Shards in Redis: one atomic fenced commit, and what a new owner needs to go on."""

import asyncio
import builtins
import hashlib
import json
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files
from typing import Any

import msgspec
import numpy as np
from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import (
    ConnectionError,
    NoScriptError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from infra.redis.codec import decode_meta, encode_outbox_record, readable_outbox
from infra.redis.keys import RING_WIDTHS_MS, Keys, Retention
from infra.redis.projection import project
from infra.redis.refusals import concerns_connection
from infra.redis.shard_holes import (
    INVENTORY,
    HolesError,
    Inventory,
    forget_calls,
    keys_of_shard,
    leftover_keys,
    read_inventory,
    require_buckets,
    require_whole,
)
from infra.redis.shard_upgrade import Staging
from infra.redis.upgrades import Upgrade, packed_layout
from infra.redis.wire import ScriptCall, bulk
from streams.shard.checkpoint import STATE_VERSION
from streams.shard.logs import LogIdentity
from streams.state.bucket_rings import CELL, DAY_CELL
from streams.state.commit import Commit, StoredShard
from streams.state.items import ROW
from streams.state.minute_totals import DAYS_KEPT, MINUTES_A_DAY, TOTAL
from streams.timestamps import DAY_MS
from streams.types import AnyArray, Int64Array, Table

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
class _Known:
    """What Redis holds of a shard, as far as the commits under one lease have to know it."""

    names: list[bytes] = field(default_factory=list)
    newest: dict[str, int] = field(default_factory=dict)
    shown: Table | None = None  # readable fields
    sent: tuple[Commit, bytes] | None = None  # a commit whose fate is not known yet
    upgrade: Upgrade | None = None  # Redis still holds an older version; None means it does not
    has_layout: bool = False  # Redis knows how the packed tables of this version are laid out
    unreadable: dict[int, bytes] = field(default_factory=dict)  # of the outbox: to be put away
    inventory: Inventory = field(default_factory=Inventory)


@dataclass(slots=True)
class Lease:
    """The right to commit a shard, and where its stored state stands."""

    partition: int
    epoch: int  # for people; it can come twice, when Redis came back older in between
    sequence: int
    offsets: str  # as stored
    fencing_token: str  # no other lease has it
    writer: str  # the lease under which the newest commit came
    known: _Known = field(default_factory=_Known)


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
        lease.known = _Known()
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
        lease.known.names = [_item_bulk(*name) for name in stored.names]
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
            stored = await self._load(redis, lease.partition, upgrade, inventory)
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
        lease.known = _Known()
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

    async def _load(
        self, redis: Any, partition: int, upgrade: Upgrade, inventory: Mapping[str, Any]
    ) -> StoredShard:
        keys = self._keys
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
            rows=await self._load_rows(redis, partition, names, upgrade),
            memories={
                name: (
                    await redis.get(keys.memory(partition, name, 0)) or b"",
                    await redis.get(keys.memory(partition, name, 1)) or b"",
                )
                for name in state["memories"]
            },
            cells={
                ring: await self._load_cells(
                    redis, partition, ring, newest[ring], place, upgrade, inventory
                )
                for ring in RING_WIDTHS_MS
            },
            pending={int(number): chunk for number, chunk in pending.items()},
            orders=list(orders.values()),
            catalog={key.decode(): line for key, line in catalog.items()},
            groups={name.decode(): row for name, row in groups.items()},
            outbox=records,
            unreadable=unreadable,
            totals=await self._load_totals(
                redis, partition, newest.get("totals", -1), upgrade, inventory
            ),
        )

    async def _load_rows(
        self, redis: Any, partition: int, names: Sequence[tuple[str, str]], upgrade: Upgrade
    ) -> Table:
        rows = np.zeros(len(names), ROW)
        for start in range(0, len(names), _ITEMS_AT_ONCE):
            chosen = [f"{sku}@{warehouse}" for sku, warehouse in names[start:][:_ITEMS_AT_ONCE]]
            stored = await redis.hmget(self._keys.rows(partition), chosen)
            if None in stored:
                raise HolesError(f"{stored.count(None)} of {len(stored)} rows of items")
            packed = upgrade.values("rows", stored)
            rows[start : start + len(chosen)] = np.frombuffer(b"".join(packed), ROW)
        return rows

    async def _load_cells(
        self,
        redis: Any,
        partition: int,
        ring: str,
        newest: int,
        place: dict[bytes, int],
        upgrade: Upgrade,
        inventory: Mapping[str, Any],
    ) -> dict[int, tuple[Int64Array, AnyArray]]:
        if newest < 0:
            return {}
        buckets = range(max(0, newest - self._loaded(ring) + 1), newest + 1)
        pipeline = redis.pipeline(transaction=False)
        for bucket in buckets:
            pipeline.hgetall(self._keys.bucket(partition, ring, bucket))
        loaded = {}
        for bucket, cells in zip(buckets, await pipeline.execute(), strict=True):
            if cells:
                if not cells.keys() <= place.keys():
                    raise HolesError("names of items")
                items = np.array([place[name] for name in cells], np.int64)
                packed = b"".join(upgrade.values(ring, list(cells.values())))
                loaded[bucket] = (items, np.frombuffer(packed, cell_of(ring)))
        require_buckets(ring, buckets, loaded, inventory)
        return loaded

    def _loaded(self, ring: str) -> int:
        """Buckets of a ring that a shard needs to go on; older days are history."""
        return self._retention.ring_days if ring == "day" else self._retention.of(ring)

    async def _load_totals(
        self,
        redis: Any,
        partition: int,
        newest_minute: int,
        upgrade: Upgrade,
        inventory: Mapping[str, Any],
    ) -> tuple[Int64Array, Table]:
        newest = newest_minute // MINUTES_A_DAY
        days = range(max(0, newest - DAYS_KEPT), newest + 1)
        pipeline = redis.pipeline(transaction=False)
        for day in days:
            pipeline.hgetall(self._keys.totals(partition, day))
        minutes: list[int] = []
        packed: list[bytes] = []
        for day, cells in zip(days, await pipeline.execute(), strict=True):
            minutes += [day * MINUTES_A_DAY + int(minute) for minute in cells]
            packed += upgrade.values("totals", list(cells.values()))
        found = {minute // MINUTES_A_DAY for minute in minutes}
        require_buckets("totals", days, found, inventory)
        return np.array(minutes, np.int64), np.frombuffer(b"".join(packed), TOTAL)

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
        partition = commit.partition
        keys = self._keys
        call = ScriptCall(
            self._commit_script.digest,
            keys.shard(partition),
            [
                lease.fencing_token.encode(),
                b"%d" % lease.sequence,
                b"%d" % (lease.sequence + 1),
                lease.offsets.encode(),
                offsets.encode(),
                commit.meta,
            ],
        )
        if not lease.known.has_layout:
            call.add(b"HSET", keys.shard(partition).encode(), b"layout", packed_layout())
        self._add_items(call, commit, lease.known)
        self._add_cells(call, commit, lease.known)
        self._add_memories(call, commit)
        _add_hash(call, keys.pending(partition), commit.pending_added, commit.pending_removed)
        outbox = [(number, encode_outbox_record(record)) for number, record in commit.outbox_added]
        _add_hash(call, keys.outbox(partition), outbox, commit.outbox_removed)
        unreadable = lease.known.unreadable
        _add_hash(call, keys.unreadable(partition), list(unreadable.items()), [])
        _add_hash(call, keys.outbox(partition), [], list(unreadable))
        closed = [po_id for po_id, order in commit.orders.items() if order is None]
        opened = [(po_id, order) for po_id, order in commit.orders.items() if order is not None]
        _add_hash(call, keys.orders(partition), opened, closed)
        _add_hash(call, keys.catalog(partition), list(commit.catalog.items()), [])
        gone = [name for name, row in commit.groups.items() if row is None]
        groups = [(name, row) for name, row in commit.groups.items() if row is not None]
        _add_hash(call, keys.groups(partition), groups, gone)
        self._add_decisions(call, commit, lease.known)
        self._add_totals(call, commit, lease.known)
        self._add_projection(call, commit)
        inventory = lease.known.inventory
        inventory.take(commit, unreadable)
        for ring in RING_WIDTHS_MS:
            inventory.keep(ring, commit.newest_buckets[ring] - self._loaded(ring) + 1)
        inventory.keep("totals", commit.newest_buckets["totals"] // MINUTES_A_DAY - DAYS_KEPT)
        held = inventory.to_bytes(lease.sequence + 1, len(lease.known.names))
        call.add(b"HSET", keys.shard(partition).encode(), INVENTORY.encode(), held)
        return call.to_bytes()

    def _add_items(self, call: ScriptCall, commit: Commit, known: _Known) -> None:
        partition = commit.partition
        if commit.new_items:
            # Redis does not undo a script that failed half way: what it added before must go.
            stored = len(known.names)
            key = self._keys.names(partition).encode()
            call.add(*((b"LTRIM", key, b"0", b"%d" % (stored - 1)) if stored else (b"DEL", key)))
            names = [bulk(json.dumps(name).encode()) for name in commit.new_items]
            call.add_many(b"RPUSH", self._keys.names(partition), names, 1)
            known.names.extend(_item_bulk(*name) for name in commit.new_items)
        self._add_rows(call, commit, known)

    def _add_rows(self, call: ScriptCall, commit: Commit, known: _Known) -> None:
        partition = commit.partition
        packed = commit.rows.tobytes()
        size = commit.rows.dtype.itemsize
        head = b"$%d\r\n" % size
        bulks: list[bytes] = []
        for number, key in enumerate(commit.row_keys):
            bulks.append(bulk(key.encode()))
            bulks.append(head + packed[number * size : (number + 1) * size] + b"\r\n")
        call.add_many(b"HSET", self._keys.rows(partition), bulks, 2)
        self._add_readable(call, commit, known)

    def _add_readable(self, call: ScriptCall, commit: Commit, known: _Known) -> None:
        """Write the named fields that Redis does not have yet as they are now."""
        shown = _shown_rows(commit, known)
        places = commit.row_places
        bulks: dict[int, list[bytes]] = {}
        for name, now in commit.readable.items():
            changed = np.flatnonzero((shown[name][places] != now) | ~shown["is_known"][places])
            field = bulk(name.encode())
            for number, value in zip(changed.tolist(), now[changed].tolist(), strict=True):
                word = value if isinstance(value, bytes) else repr(value).encode()
                bulks.setdefault(number, []).extend((field, bulk(word)))
            shown[name][places] = now
        shown["is_known"][places] = True
        for number, words in bulks.items():
            key = self._keys.item(commit.partition, commit.row_keys[number])
            call.add_many(b"HSET", key, words, 2)

    def _add_cells(self, call: ScriptCall, commit: Commit, known: _Known) -> None:
        names = known.names
        for ring, changes in commit.cells.items():
            for change in changes:
                size = change.cells.dtype.itemsize
                packed = change.cells.tobytes()
                head = b"$%d\r\n" % size
                bulks: list[bytes] = []
                for number, item in enumerate(change.items.tolist()):
                    bulks.append(names[item])
                    bulks.append(head + packed[number * size : (number + 1) * size] + b"\r\n")
                key = self._keys.bucket(commit.partition, ring, change.bucket)
                call.add_many(b"HSET", key, bulks, 2)
            self._forget_buckets(call, commit, ring, known)

    def _forget_buckets(self, call: ScriptCall, commit: Commit, ring: str, known: _Known) -> None:
        kept = self._retention.of(ring)
        newest = commit.newest_buckets[ring]
        before = known.newest.get(ring, -1)
        first = max(0, before - kept + 1)
        gone = range(first, min(first + kept, newest - kept + 1))
        late = [change.bucket for change in commit.cells[ring] if change.bucket <= newest - kept]
        for bucket in sorted({*gone, *late}):
            call.add(b"DEL", self._keys.bucket(commit.partition, ring, bucket).encode())

    def _add_memories(self, call: ScriptCall, commit: Commit) -> None:
        for name, tails in commit.tails.items():
            for tail in tails:
                key = self._keys.memory(commit.partition, name, tail.side).encode()
                if tail.is_fresh:
                    call.add(b"DEL", key)
                call.add(b"SETRANGE", key, b"%d" % tail.start, tail.data)

    def _add_decisions(self, call: ScriptCall, commit: Commit, known: _Known) -> None:
        days = set()
        for table in commit.decisions:
            day = int(table["reviewed_ms"][0]) // DAY_MS
            days.add(day)
            occasion = "surge" if table["is_surge"][0] else "regular"
            name = f"{int(table['reviewed_ms'][0])}:{occasion}"
            key = self._keys.decisions(commit.partition, day)
            call.add(b"HSET", key.encode(), name.encode(), table.tobytes())
        if days:
            self._forget_decisions(call, commit.partition, max(days), known)

    def _forget_decisions(
        self, call: ScriptCall, partition: int, newest: int, known: _Known
    ) -> None:
        kept = self._retention.decision_days
        before = known.newest.get("decisions", newest - 31)
        for day in range(max(0, before - kept), newest - kept + 1):
            call.add(b"DEL", self._keys.decisions(partition, day).encode())
        known.newest["decisions"] = max(before, newest)

    def _add_totals(self, call: ScriptCall, commit: Commit, known: _Known) -> None:
        for day, minutes, cells in commit.totals.by_day():
            changed = [(minute, cells[place].tobytes()) for place, minute in enumerate(minutes)]
            _add_hash(call, self._keys.totals(commit.partition, day), changed, [])
        before = known.newest.get("totals", -1) // MINUTES_A_DAY
        newest = commit.newest_buckets["totals"] // MINUTES_A_DAY
        for day in range(max(0, before - DAYS_KEPT), min(before + 1, newest - DAYS_KEPT)):
            call.add(b"DEL", self._keys.totals(commit.partition, day).encode())

    def _add_projection(self, call: ScriptCall, commit: Commit) -> None:
        found = project(commit.outbox_added)
        opened = [(name, value) for name, value in found.incidents.items() if value is not None]
        closed = [name for name, value in found.incidents.items() if value is None]
        _add_hash(call, self._keys.incidents(commit.partition), opened, closed)
        letters = list(found.dead_letters.items())
        _add_hash(call, self._keys.dead_letters(commit.partition), letters, [])

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


def _shown_rows(commit: Commit, known: _Known) -> Table:
    """The readable fields as Redis has them, with room for every item of the commit."""
    fields = [(name, column.dtype) for name, column in commit.readable.items()]
    dtype = np.dtype([*fields, ("is_known", "?")])
    shown = np.zeros(0, dtype) if known.shown is None else known.shown
    wanted = int(commit.row_places.max(initial=-1)) + 1
    if wanted > shown.size:
        grown = np.zeros(max(256, 2 * wanted), dtype)
        grown[: shown.size] = shown
        shown = known.shown = grown
    return shown


def _item_bulk(sku: str, warehouse: str) -> bytes:
    return bulk(f"{sku}@{warehouse}".encode())


def _add_hash(
    call: ScriptCall,
    key: str,
    added: Sequence[tuple[int | str, bytes]],
    removed: Sequence[int | str],
) -> None:
    bulks: list[bytes] = []
    for name, value in added:
        bulks.append(bulk(str(name).encode()))
        bulks.append(bulk(value))
    call.add_many(b"HSET", key, bulks, 2)
    call.add_many(b"HDEL", key, [bulk(str(name).encode()) for name in removed], 1)


def cell_of(ring: str) -> "np.dtype[np.void]":
    """The dtype of a ring's cells as they are stored."""
    return DAY_CELL if ring == "day" else CELL
