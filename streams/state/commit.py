"""What a shard hands to the store, and what it gets back: plain data, no keys of Redis."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from streams.contracts.outgoing import OutboxRecord
from streams.state.bucket_rings import CellChanges
from streams.state.key_memory import Tail
from streams.state.minute_totals import TotalChanges
from streams.types import AnyArray, Int64Array, Table


@dataclass(frozen=True, slots=True)
class Commit:
    """Everything that changed in a shard, to be stored in one piece or not at all."""

    partition: int
    offsets: dict[str, int]  # topic -> where its log goes on
    meta: bytes
    new_items: list[tuple[str, str]]  # (sku, warehouse), in order of their places
    row_keys: list[str]
    row_places: Int64Array  # of the items, shape (len(row_keys),)
    rows: Table  # shape (len(row_keys),)
    readable: dict[str, AnyArray]  # what is shown of each row by name: columns, shape as the rows
    cells: dict[str, list[CellChanges]]
    newest_buckets: dict[str, int]
    totals: TotalChanges
    tails: dict[str, list[Tail]]
    pending_added: list[tuple[int, bytes]]
    pending_removed: list[int]
    orders: dict[str, bytes | None]
    catalog: dict[str, bytes]
    groups: dict[str, bytes | None]  # rows of `streams.groups`, none for those that are gone
    decisions: list[Table]
    outbox_added: list[tuple[int, OutboxRecord]]
    outbox_removed: list[int]
    outbox_stored_to: int
    counted: Counter[str]  # `Shard.counted`, for metrics


@dataclass(frozen=True, slots=True)
class StoredShard:
    """A shard as it was stored."""

    offsets: dict[str, int]
    meta: bytes
    names: list[tuple[str, str]]
    rows: Table
    memories: dict[str, tuple[bytes, bytes]]
    cells: dict[str, dict[int, tuple[Int64Array, AnyArray]]]
    pending: dict[int, bytes]
    orders: list[bytes]
    catalog: dict[str, bytes]
    groups: dict[str, bytes]
    outbox: dict[int, OutboxRecord]
    totals: tuple[Int64Array, Table]  # minutes since the epoch, in any order, and their sums
    unreadable: Mapping[int, bytes] = field(default_factory=dict)  # of the outbox, by number
