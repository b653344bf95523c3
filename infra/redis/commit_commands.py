"""What a commit says to Redis: the commands that bring a shard from one commit to the next."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from infra.redis.codec import encode_outbox_record
from infra.redis.keys import RING_WIDTHS_MS, Keys, Retention
from infra.redis.projection import project
from infra.redis.shard_holes import INVENTORY, Inventory
from infra.redis.shard_reading import buckets_needed
from infra.redis.upgrades import Upgrade, packed_layout
from infra.redis.wire import ScriptCall, bulk
from streams.state.commit import Commit
from streams.state.minute_totals import DAYS_KEPT, MINUTES_A_DAY
from streams.timestamps import DAY_MS
from streams.types import Table


@dataclass(slots=True)
class KnownShard:
    """What Redis holds of a shard, as far as the commits under one lease have to know it."""

    names: list[bytes] = field(default_factory=list)
    newest: dict[str, int] = field(default_factory=dict)
    shown: Table | None = None  # readable fields
    sent: tuple[Commit, bytes] | None = None  # a commit whose fate is not known yet
    upgrade: Upgrade | None = None  # Redis still holds an older version; None means it does not
    has_layout: bool = False  # Redis knows how the packed tables of this version are laid out
    unreadable: dict[int, bytes] = field(default_factory=dict)  # of the outbox: to be put away
    inventory: Inventory = field(default_factory=Inventory)


class CommitCommands:
    """The commands of commits.

    Args:
        keys: names.
        retention: what to forget.
    """

    def __init__(self, keys: Keys, retention: Retention) -> None:
        self._keys = keys
        self._retention = retention

    def add(self, call: ScriptCall, commit: Commit, known: KnownShard, sequence: int) -> None:
        """Add what the commit changes; `known` is what Redis holds once it is stored.

        Args:
            call: of the script that commits.
            commit: what changes.
            known: what Redis holds so far; changed in place.
            sequence: number of the commit.
        """
        partition = commit.partition
        keys = self._keys
        shard = keys.shard(partition).encode()
        if not known.has_layout:
            call.add(b"HSET", shard, b"layout", packed_layout())
        self._add_items(call, commit, known)
        self._add_cells(call, commit, known)
        self._add_memories(call, commit)
        self._add_waiting(call, commit, known)
        closed = [po_id for po_id, order in commit.orders.items() if order is None]
        opened = [(po_id, order) for po_id, order in commit.orders.items() if order is not None]
        _add_hash(call, keys.orders(partition), opened, closed)
        _add_hash(call, keys.catalog(partition), list(commit.catalog.items()), [])
        gone = [name for name, row in commit.groups.items() if row is None]
        groups = [(name, row) for name, row in commit.groups.items() if row is not None]
        _add_hash(call, keys.groups(partition), groups, gone)
        self._add_decisions(call, commit, known)
        self._add_totals(call, commit, known)
        self._add_projection(call, commit)
        held = self._inventory(commit, known).to_bytes(sequence, len(known.names))
        call.add(b"HSET", shard, INVENTORY.encode(), held)

    def _inventory(self, commit: Commit, known: KnownShard) -> Inventory:
        inventory = known.inventory
        inventory.take(commit, known.unreadable)
        for ring in RING_WIDTHS_MS:
            oldest = commit.newest_buckets[ring] - buckets_needed(self._retention, ring) + 1
            inventory.keep(ring, oldest)
        inventory.keep("totals", commit.newest_buckets["totals"] // MINUTES_A_DAY - DAYS_KEPT)
        return inventory

    def _add_waiting(self, call: ScriptCall, commit: Commit, known: KnownShard) -> None:
        """Add what waits for its time, and what waits to be published."""
        keys, partition = self._keys, commit.partition
        _add_hash(call, keys.pending(partition), commit.pending_added, commit.pending_removed)
        outbox = [(number, encode_outbox_record(record)) for number, record in commit.outbox_added]
        _add_hash(call, keys.outbox(partition), outbox, commit.outbox_removed)
        _add_hash(call, keys.unreadable(partition), list(known.unreadable.items()), [])
        _add_hash(call, keys.outbox(partition), [], list(known.unreadable))

    def _add_items(self, call: ScriptCall, commit: Commit, known: KnownShard) -> None:
        partition = commit.partition
        if commit.new_items:
            # Redis does not undo a script that failed half way: what it added before must go.
            stored = len(known.names)
            key = self._keys.names(partition).encode()
            call.add(*((b"LTRIM", key, b"0", b"%d" % (stored - 1)) if stored else (b"DEL", key)))
            names = [bulk(json.dumps(name).encode()) for name in commit.new_items]
            call.add_many(b"RPUSH", self._keys.names(partition), names, 1)
            known.names.extend(item_bulk(*name) for name in commit.new_items)
        self._add_rows(call, commit, known)

    def _add_rows(self, call: ScriptCall, commit: Commit, known: KnownShard) -> None:
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

    def _add_readable(self, call: ScriptCall, commit: Commit, known: KnownShard) -> None:
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

    def _add_cells(self, call: ScriptCall, commit: Commit, known: KnownShard) -> None:
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

    def _forget_buckets(
        self, call: ScriptCall, commit: Commit, ring: str, known: KnownShard
    ) -> None:
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

    def _add_decisions(self, call: ScriptCall, commit: Commit, known: KnownShard) -> None:
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
        self, call: ScriptCall, partition: int, newest: int, known: KnownShard
    ) -> None:
        kept = self._retention.decision_days
        before = known.newest.get("decisions", newest - 31)
        for day in range(max(0, before - kept), newest - kept + 1):
            call.add(b"DEL", self._keys.decisions(partition, day).encode())
        known.newest["decisions"] = max(before, newest)

    def _add_totals(self, call: ScriptCall, commit: Commit, known: KnownShard) -> None:
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


def _shown_rows(commit: Commit, known: KnownShard) -> Table:
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


def item_bulk(sku: str, warehouse: str) -> bytes:
    """Return the name of an item, as a bulk string of the protocol."""
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
