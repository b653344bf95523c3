"""Holes in a stored shard: what a commit wrote is gone, because Redis evicted keys, or the like.

Each commit writes an inventory beside the offsets: how much there is of everything. What is there
less of when the shard is loaded is a hole, and the shard is read again from the log, as if Redis
had lost all of it.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.redis.keys import Keys, glob_escape
from infra.redis.shard_upgrade import STAGED
from infra.redis.wire import ScriptCall
from streams.state.commit import Commit, StoredShard
from streams.state.minute_totals import MINUTES_A_DAY

INVENTORY = "inventory"
"""Field of the shard's hash. A commit by an older version leaves it behind: it names its commit."""

_HASHES = ("pending", "orders", "catalog", "groups", "outbox")
_DATED = ("minute", "hour", "day", "totals")
_SINGLE = ("names", "rows", *_HASHES, "incidents", "dead-letters", "unreadable")
_MANY = ("item", "memory", "minute", "hour", "day", "decisions", "totals", STAGED)
_ENTRY_BYTES = 16  # of a key memory
_DELETED_AT_ONCE = 1_000
_SCAN_AT_ONCE = 10_000


class HolesError(Exception):
    """A stored shard has holes; the text names what is missing."""


@dataclass(slots=True)
class Inventory:
    """What Redis holds of a shard, by the commits under one lease.

    Attributes:
        fields: family of one hash -> its fields.
        buckets: family of dated hashes -> the numbers of those that a shard loads.
    """

    fields: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in _HASHES})
    buckets: dict[str, set[int]] = field(default_factory=lambda: {name: set() for name in _DATED})

    @staticmethod
    def of(stored: StoredShard) -> "Inventory":
        """Begin with a loaded shard."""
        found = Inventory()
        orders = [json.loads(order)["po_id"] for order in stored.orders]
        hashes: Sequence[Collection[Any]] = (stored.pending, orders, stored.catalog, stored.groups)
        for name, held in zip(_HASHES, hashes, strict=False):
            found.fields[name] = set(map(str, held))
        found.fields["outbox"] = {str(one) for one in (*stored.outbox, *stored.unreadable)}
        for ring, cells in stored.cells.items():
            found.buckets[ring] = set(cells)
        found.buckets["totals"] = {int(minute) // MINUTES_A_DAY for minute in stored.totals[0]}
        return found

    def take(self, commit: Commit, unreadable: Collection[int]) -> None:
        """Go on with a commit; buckets are taken and forgotten by those who write them."""
        orders = commit.orders.items()
        self._change("pending", [number for number, _ in commit.pending_added], [])
        self._change("pending", [], commit.pending_removed)
        self._change("outbox", [number for number, _ in commit.outbox_added], [])
        self._change("outbox", [], [*commit.outbox_removed, *unreadable])
        closed = [po_id for po_id, order in orders if order is None]
        self._change("orders", [po_id for po_id, order in orders if order is not None], closed)
        self._change("catalog", commit.catalog, [])
        gone = [name for name, row in commit.groups.items() if row is None]
        self._change("groups", [one for one, row in commit.groups.items() if row is not None], gone)
        for ring, changes in commit.cells.items():
            self.buckets[ring].update(one.bucket for one in changes if one.items.size)
        self.buckets["totals"].update(day for day, _, _ in commit.totals.by_day())

    def _change(self, family: str, added: Collection[Any], removed: Collection[Any]) -> None:
        self.fields[family].update(map(str, added))
        self.fields[family].difference_update(map(str, removed))

    def keep(self, family: str, first: int) -> None:
        """Forget the buckets before the first that is kept."""
        self.buckets[family] = {one for one in self.buckets[family] if one >= first}

    def to_bytes(self, sequence: int, items: int) -> bytes:
        """What is stored of it, with the number of the commit that it is true after."""
        counts = {"items": items, **{name: len(held) for name, held in self.fields.items()}}
        buckets = {name: sorted(held) for name, held in self.buckets.items()}
        whole = {"sequence": sequence, "counts": counts, "buckets": buckets}
        return json.dumps(whole, separators=(",", ":")).encode()


def read_inventory(stored: bytes | None, sequence: int) -> Mapping[str, Any]:
    """Return the inventory of a commit; an empty one where it was written after another commit."""
    found: dict[str, Any] = json.loads(stored) if stored else {}
    return found if found.get("sequence") == sequence else {}


def require_whole(stored: StoredShard, inventory: Mapping[str, Any]) -> None:
    """Return if nothing is missing that the inventory names.

    Raises:
        HolesError: something is.
    """
    counts: Mapping[str, int] = inventory.get("counts", {})
    held = {
        "items": len(stored.names),
        "pending": len(stored.pending),
        "orders": len(stored.orders),
        "catalog": len(stored.catalog),
        "groups": len(stored.groups),
        "outbox": len(stored.outbox) + len(stored.unreadable),
    }
    for name, wanted in counts.items():
        if held.get(name, wanted) < wanted:
            raise HolesError(f"{held[name]} of {wanted} {name}")
    _require_memories(stored)


def require_buckets(
    family: str, wanted: Collection[int], found: Collection[int], inventory: Mapping[str, Any]
) -> None:
    """Return if no bucket of those that are loaded is missing.

    Raises:
        HolesError: one is.
    """
    named = set(inventory.get("buckets", {}).get(family, ()))
    if missing := sorted(named.intersection(wanted).difference(found)):
        raise HolesError(f"{len(missing)} buckets of {family}, the first is {missing[0]}")


def _require_memories(stored: StoredShard) -> None:
    """A side that was evicted and written on begins with zeros, or is too short."""
    for name, (generation, count, before) in json.loads(stored.meta)["memories"].items():
        for side, filled in ((generation & 1, count), (1 - (generation & 1), before)):
            kept = stored.memories[name][side][: filled * _ENTRY_BYTES]
            if len(kept) < filled * _ENTRY_BYTES or (filled and not any(kept[:_ENTRY_BYTES])):
                raise HolesError(f"entries of the memory {name}")


# --- forgetting a shard -----------------------------------------------------------------------


def leftover_keys(keys: Keys, partition: int) -> Sequence[str]:
    """Return the keys of which one at the least is there where a shard was ever committed."""
    return [keys.of(family, partition) for family in _SINGLE]


async def keys_of_shard(redis: Any, keys: Keys, partition: int) -> list[bytes]:
    """Return all keys of a shard but for its own hash."""
    single = {keys.of(family, partition).encode() for family in _SINGLE}
    many = tuple(f"{keys.of(family, partition)}:".encode() for family in _MANY)
    pattern = f"{glob_escape(keys.prefix)}*:{{{partition}}}*"
    found = [key async for key in redis.scan_iter(match=pattern, count=_SCAN_AT_ONCE)]
    return sorted({key for key in found if key in single or key.startswith(many)})


def forget_calls(
    digest: str, shard: str, token: bytes, found: Sequence[bytes]
) -> Sequence[ScriptCall]:
    """Return the fenced calls that delete a shard's keys, and at last say that there is none.

    Until the last of them the shard has holes, so that a crash in between changes nothing.
    """
    calls = []
    for start in range(0, len(found), _DELETED_AT_ONCE):
        call = ScriptCall(digest, shard, [token])
        call.add(b"DEL", *found[start : start + _DELETED_AT_ONCE])
        calls.append(call)
    last = ScriptCall(digest, shard, [token])
    key = shard.encode()
    last.add(b"HSET", key, b"sequence", b"0", b"offsets", b"{}", b"writer", b"")
    last.add(b"HDEL", key, b"meta", b"layout", INVENTORY.encode())
    return [*calls, last]
