"""The table of items, read from Redis piece by piece.

Items are only ever added, so names are read once. The rest is read anew each time, as packed bytes:
nothing is done in Python for each item and reading.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import numpy as np
from redis import Redis

from infra.page.snapshot import CAMPAIGN, SHOWN, ItemsTable
from infra.redis.codec import decode_campaigns, decode_name
from infra.redis.keys import Keys
from infra.redis.rows import unpack
from streams.state.items import ROW
from streams.timestamps import HOUR_MS, one_time
from streams.types import Float64Array, Int64Array, Table

ITEMS_AT_ONCE = 500
_CAMPAIGNS_EVERY_SECONDS = 20.0
_NAME_BYTES = 96  # by which names are sorted; longer ones with the same beginning: as first seen


@dataclass(slots=True)
class _Partition:
    """What is remembered of a partition's items."""

    names: list[tuple[str, str]] = field(default_factory=list)
    folded: list[str] = field(default_factory=list)
    sortable: list[Any] = field(default_factory=list)  # arrays of names as bytes
    campaigns: dict[int, Table] = field(default_factory=dict)  # first place of a piece -> lines


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some items of one partition."""

    rows: Table
    last_hour_units: Float64Array


class ItemsReader:
    """Reads tables of items.

    Args:
        redis: a client that gives bytes.
        keys: names in Redis.
        clock: seconds that only grow.
    """

    def __init__(self, redis: "Redis", keys: Keys, clock: Callable[[], float]) -> None:
        self._redis = redis
        self._keys = keys
        self._partitions: dict[int, _Partition] = {}
        self._by_name: Int64Array = np.zeros(0, np.int64)
        self._clock = clock
        self._campaigns_at = -_CAMPAIGNS_EVERY_SECONDS

    def pieces(self, partitions: Sequence[int], shop_ms: int) -> Iterator[ItemsTable | None]:
        """Read a table in small pieces; who asks for the next one may rest before.

        Args:
            partitions: all of them.
            shop_ms: event time, whose last hour is shown.

        Yields:
            None after each piece, at last the table.
        """
        wants_campaigns = self._clock() >= self._campaigns_at + _CAMPAIGNS_EVERY_SECONDS
        if wants_campaigns:
            self._campaigns_at = self._clock()
        found: list[list[_Piece]] = []
        for partition in partitions:
            found.append([])
            first, size = 0, ITEMS_AT_ONCE
            while size == ITEMS_AT_ONCE:
                piece = self._read_piece(partition, first, shop_ms, wants_campaigns)
                found[-1].append(piece)
                first, size = first + piece.rows.size, piece.rows.size
                yield None
        yield self._table(partitions, found)

    def _known(self, partition: int) -> _Partition:
        return self._partitions.setdefault(partition, _Partition())

    def _read_piece(
        self, partition: int, first: int, shop_ms: int, wants_campaigns: bool
    ) -> _Piece:
        known, hour = self._known(partition), shop_ms // HOUR_MS
        last = first + ITEMS_AT_ONCE - 1
        keys = [
            self._keys.names(partition),
            self._keys.rows(partition),
            *(self._keys.bucket(partition, "hour", max(0, one)) for one in (hour, hour - 1)),
            self._keys.catalog(partition),
        ]
        flags = [int(last >= len(known.names)), int(wants_campaigns)]
        arguments = [first, last, *flags, ROW.itemsize]
        answer: Any = self._redis.eval(_SCRIPT, len(keys), *keys, *arguments)
        names, rows, this_hour, hour_before, campaigns, categories = answer
        _remember(known, names[max(0, len(known.names) - first) :])
        table = unpack(rows, SHOWN, self._keys.rows(partition))
        share = 1.0 - shop_ms % HOUR_MS / HOUR_MS  # of the hour before that is less than one old
        if wants_campaigns:
            known.campaigns[first] = _campaign_table(first, campaigns)
            _fold(known, first, categories)
        return _Piece(
            rows=table,
            last_hour_units=np.frombuffer(this_hour, np.int64)
            + share * np.frombuffer(hour_before, np.int64),
        )

    def _table(self, partitions: Sequence[int], found: Sequence[Sequence[_Piece]]) -> ItemsTable:
        known = [self._known(partition) for partition in partitions]
        starts = np.cumsum([0, *(len(one.names) for one in known)]).tolist()
        pieces = [piece for of_partition in found for piece in of_partition]
        rows = _joined([piece.rows for piece in pieces], SHOWN)
        return ItemsTable(
            names=[name for one in known for name in one.names],
            folded=[sku for one in known for sku in one.folded],
            by_name=self._order(known),
            partitions=np.repeat(np.array(partitions, np.int64), np.diff(starts)),
            starts=dict(zip(partitions, starts, strict=False)),
            rows=rows,
            last_hour_units=_joined([piece.last_hour_units for piece in pieces], np.float64),
            oldest_open_ms=np.where(rows["backlog_units"] > 0, rows["waiting_since_ms"], 0),
            campaigns=_shifted(known, starts),
        )

    def _order(self, known: Sequence[_Partition]) -> Int64Array:
        """Return the place of each name among all of them, sorted; anew where some were added."""
        sortable = [part for one in known for part in one.sortable]
        size = sum(part.size for part in sortable)
        if size != self._by_name.size:
            self._by_name = np.empty(size, np.int64)
            self._by_name[np.argsort(_joined(sortable, _SORTABLE), kind="stable")] = np.arange(size)
        return self._by_name


def _remember(known: _Partition, stored: Sequence[bytes]) -> None:
    added = [decode_name(name) for name in stored]
    if added:
        known.names += added
        known.folded += [" ".join(name).casefold() for name in added]
        joined = ["\0".join(name).encode("utf-8", "replace") for name in added]
        known.sortable.append(np.array(joined, _SORTABLE))


def _fold(known: _Partition, first: int, categories: Sequence[bytes]) -> None:
    """Let items be found by their categories too, from a place on."""
    names = known.names[first : first + len(categories)]
    known.folded[first : first + len(names)] = [
        f"{sku} {warehouse} {category.decode('utf-8', 'replace')}".casefold()
        for (sku, warehouse), category in zip(names, categories, strict=False)
    ]


def _campaign_table(first: int, campaigns: Sequence[Any]) -> Table:
    """Return the lines of a piece, `CAMPAIGN` records, from places and stored lines in turn."""
    lines = [
        (first + place, one_time(line.starts_at), one_time(line.ends_at), line.expected_units)
        for place, catalog in zip(campaigns[::2], campaigns[1::2], strict=True)
        for line in decode_campaigns(catalog)
    ]
    table: Table = np.array(lines, CAMPAIGN)
    return table


def _shifted(known: Sequence[_Partition], starts: Sequence[int]) -> Table:
    """Return the lines of all partitions, by the places of their items in the whole table."""
    tables = []
    for one, start in zip(known, starts, strict=False):
        table = _joined(list(one.campaigns.values()), CAMPAIGN)
        table["item"] += start
        tables.append(table)
    joined: Table = _joined(tables, CAMPAIGN)
    return joined


def _joined(parts: Sequence[Any], dtype: Any) -> Any:
    return np.concatenate([np.zeros(0, dtype), *parts])


def _script() -> str:
    """Return the script, cutting out of a row what is shown: its bytes, counted from one."""
    parts: list[list[int]] = []
    offsets = {name: int(field[1]) for name, field in (ROW.fields or {}).items()}
    for name in SHOWN.names or ():
        start, stop = offsets[name], offsets[name] + SHOWN[name].itemsize
        if parts and parts[-1][1] == start:
            parts[-1][1] = stop
        else:
            parts.append([start, stop])
    cut = " .. ".join(f"sub(row, {start + 1}, {stop})" for start, stop in parts)
    text = files("infra.page.readers").joinpath("items.lua").read_text()
    return text.replace("= parts_of(row)", f"= {cut}")


_SCRIPT = _script()
_SORTABLE = np.dtype(f"S{_NAME_BYTES}")
