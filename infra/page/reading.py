"""Redis -> `Snapshot`. Synchronous, for a thread of its own; it remembers what cannot change.

Two paces: what is small is read every time; the table of items as often as a tenth of the time
allows, so that a shop of 250,000 items is shown some seconds older, and costs no more.
"""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from infra.keys import Keys
from infra.page.contracts import Acknowledgement
from infra.page.snapshot import Campaign, ItemsTable, ReadDecision, ShardView, Snapshot, Totals
from infra.projection import DeadLetter
from infra.reading_tables import text_of, unpack
from streams.events import CampaignChanged, CampaignPlanned
from streams.fold import NO_CLOCK
from streams.items import OLDEST_OPEN_ORDER, ROW
from streams.outputs import Alert
from streams.review import DECISION
from streams.rings import CELL, DAY_MS, HOUR_MS
from streams.totals import DAYS_KEPT, MINUTES_A_DAY, TOTAL
from streams.types import Float64Array, Int64Array, Table

ANSWER_SECONDS = 5.0
DECISIONS_KEPT = 500

_BUSY_SHARE = 0.1  # of the time that reading the items may take
_ITEMS_EVERY_SECONDS = 2.0
_TOLD_EVERY_SECONDS = 20.0
_FIND_EVERY_SECONDS = 10.0
_TOTALS_WHOLE_EVERY_SECONDS = 60.0
_RECENT_MINUTES = 90
_SCAN_AT_ONCE = 10_000
_ITEMS_AT_ONCE = 2_000
# One field of many hashes of one slot; a command for each costs the client ten times as much.
_GET_OLDEST = """
local found = {}
for place, key in ipairs(KEYS) do found[place] = redis.call('HGET', key, ARGV[1]) end
return found
"""


class ShardMeta(msgspec.Struct):
    """What the page wants of a shard's state."""

    clocks: dict[str, int]
    applied_ms: int | None
    counts: dict[str, int]
    history_from: dict[str, int]
    newest_buckets: dict[str, int]
    profile: list[float] = []


class _Told(msgspec.Struct, gc=False):
    currency: str | None = None


_meta_decoder = msgspec.json.Decoder(ShardMeta)
_alert_decoder = msgspec.json.Decoder(Alert)
_letter_decoder = msgspec.json.Decoder(DeadLetter)
_acknowledgement_decoder = msgspec.json.Decoder(Acknowledgement)
_told_decoder = msgspec.json.Decoder(tuple[_Told | None, list[CampaignPlanned | CampaignChanged]])


def connect(url: str, **options: Any) -> "Redis":
    """Return a client that gives up soon: a page that waits is worse than one that says why.

    Args:
        url: of Redis.
        options: more of the client's own, as for TLS.
    """
    return Redis.from_url(
        url,
        **options,
        socket_connect_timeout=2.0,
        socket_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


class PageReader:
    """Reads snapshots.

    Args:
        redis: a client that gives bytes.
        keys: names in Redis.
        clock: wall-clock seconds.
    """

    def __init__(self, redis: "Redis", keys: Keys, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._keys = keys
        self._clock = clock
        self._partitions: list[int] = []
        self._found_at = -np.inf
        self._names: dict[int, list[tuple[str, str]]] = {}
        self._sequences: dict[int, int] = {}
        self._changed_ms: int | None = None
        self._totals = _TotalsReader(redis, keys, clock)
        self._decisions: dict[tuple[int, str, bytes], list[ReadDecision]] = {}
        self._items: ItemsTable | None = None
        self._items_due_at = -np.inf
        self._told_at = -np.inf
        self._campaigns: dict[tuple[str, str], list[Campaign]] = {}
        self._currencies: dict[tuple[str, str], str | None] = {}

    def read(self) -> Snapshot:
        """Return what Redis holds now.

        Raises:
            redis.RedisError: it does not answer.
            infra.reading_tables.StateError: another version wrote it.
        """
        read_ms = int(self._clock() * 1000)
        partitions = self._find_partitions()
        shards, newest = self._read_shards(partitions, read_ms)
        incidents, acknowledged, letters = self._read_projection(partitions)
        shop_ms = max((shard.newest_ms or 0 for shard in shards), default=0)
        return Snapshot(
            read_ms=read_ms,
            changed_ms=self._changed_ms,
            shards=shards,
            totals=self._totals.read(partitions, max(newest, default=-1)),
            decisions=self._read_decisions(shards),
            currencies=self._currencies,
            incidents=incidents,
            acknowledged=acknowledged,
            dead_letters=letters,
            items=self._read_items_in_turn(partitions, shop_ms),
        )

    def _find_partitions(self) -> list[int]:
        if not self._partitions or self._clock() - self._found_at > _FIND_EVERY_SECONDS:
            prefix = self._keys.shard(0).partition("{")[0]
            keys = self._redis.scan_iter(match=_escape(prefix) + "{*", count=_SCAN_AT_ONCE)
            found = {text_of(key).removeprefix(prefix).strip("{}") for key in keys}
            self._partitions = sorted(int(one) for one in found if one.isdigit())
            self._found_at = self._clock()
        return self._partitions

    # -- small --------------------------------------------------------------------------------

    def _read_shards(
        self, partitions: Sequence[int], read_ms: int
    ) -> tuple[list[ShardView], list[int]]:
        pipeline = self._redis.pipeline(transaction=False)
        for partition in partitions:
            pipeline.hmget(self._keys.shard(partition), ["sequence", "meta"])
            pipeline.hlen(self._keys.outbox(partition))
        replies = pipeline.execute()
        shards, newest = [], []
        sequences: dict[int, int] = {}
        for place, partition in enumerate(partitions):
            (sequence, meta), waiting = replies[2 * place : 2 * place + 2]
            sequences[partition] = int(sequence or 0)
            if meta is not None:
                decoded = _meta_decoder.decode(meta)
                shards.append(_shard_view(partition, decoded, waiting))
                newest.append(decoded.newest_buckets.get("totals", -1))
        self._note(sequences, read_ms)
        return shards, newest

    def _note(self, sequences: dict[int, int], read_ms: int) -> None:
        """See whether anything was committed, and whether Redis has lost what was remembered."""
        before, self._sequences = self._sequences, sequences
        if before and before != sequences:
            self._changed_ms = read_ms
        if any(sequences.get(partition, 0) < number for partition, number in before.items()):
            self._names.clear()
            self._decisions.clear()
            self._totals.forget()

    def _read_projection(
        self, partitions: Sequence[int]
    ) -> tuple[list[Alert], dict[str, Acknowledgement], list[DeadLetter]]:
        pipeline = self._redis.pipeline(transaction=False)
        for partition in partitions:
            pipeline.hvals(self._keys.incidents(partition))
            pipeline.hvals(self._keys.dead_letters(partition))
        replies = pipeline.execute()
        incidents = [_alert_decoder.decode(value) for reply in replies[::2] for value in reply]
        letters = [_letter_decoder.decode(value) for reply in replies[1::2] for value in reply]
        letters.sort(key=lambda one: (-one.written_ms, one.topic, one.partition, -one.offset))
        ids = [one.incident_id for one in incidents]
        stored = self._redis.mget([self._keys.acknowledged(name) for name in ids]) if ids else []
        acknowledged = {
            name: _acknowledgement_decoder.decode(value)
            for name, value in zip(ids, stored, strict=True)
            if value is not None
        }
        return incidents, acknowledged, letters

    def acknowledge(self, incident_id: str, value: Acknowledgement, seconds: int) -> None:
        """Note who looks after an incident; forgotten after so many seconds."""
        key = self._keys.acknowledged(incident_id)
        self._redis.set(key, msgspec.json.encode(value), ex=seconds)

    # -- decisions ----------------------------------------------------------------------------

    def _read_decisions(self, shards: Sequence[ShardView]) -> list[ReadDecision]:
        """The newest of the last two days; a review, once stored, never changes."""
        wanted = []
        pipeline = self._redis.pipeline(transaction=False)
        days = [
            (shard.partition, day)
            for shard in shards
            if shard.applied_ms is not None
            for day in (shard.applied_ms // DAY_MS, shard.applied_ms // DAY_MS - 1)
            if day >= 0
        ]
        for partition, day in days:
            pipeline.hkeys(self._keys.decisions(partition, day))
        for (partition, day), fields in zip(days, pipeline.execute(), strict=True):
            key = self._keys.decisions(partition, day)
            wanted += [(partition, key, name) for name in fields]
        wanted.sort(key=lambda one: -int(one[2].partition(b":")[0]))
        return self._newest_decisions(wanted)

    def _newest_decisions(self, wanted: Sequence[tuple[int, str, bytes]]) -> list[ReadDecision]:
        kept: dict[tuple[int, str, bytes], list[ReadDecision]] = {}
        newest: list[ReadDecision] = []
        for review in wanted:
            if len(newest) >= DECISIONS_KEPT:
                break
            if review not in self._decisions:
                self._decisions[review] = self._read_review(*review)
            kept[review] = self._decisions[review]
            newest += kept[review]
        self._decisions = kept
        newest.sort(key=lambda one: (-int(one.record["reviewed_ms"]), one.sku, one.warehouse))
        return newest[:DECISIONS_KEPT]

    def _read_review(self, partition: int, key: str, name: bytes) -> list[ReadDecision]:
        packed: Any = self._redis.hget(key, name)
        table = unpack(packed or b"", DECISION, key)[:DECISIONS_KEPT]
        names = self._names_up_to(partition, int(table["item"].max(initial=-1)))
        known = table[table["item"] < len(names)]
        return [ReadDecision(*names[int(one["item"])], one) for one in known]

    def _names_up_to(self, partition: int, place: int) -> list[tuple[str, str]]:
        """Names are only ever added, unless Redis lost them."""
        names = self._names.setdefault(partition, [])
        if place >= len(names):
            added: Any = self._redis.lrange(self._keys.names(partition), len(names), -1)
            names += [tuple(json.loads(name)) for name in added]
        return names

    # -- items --------------------------------------------------------------------------------

    def _read_items_in_turn(self, partitions: Sequence[int], shop_ms: int) -> ItemsTable:
        started = self._clock()
        if self._items is None or started >= self._items_due_at:
            self._read_told_in_turn(partitions)
            number = self._items.read_number + 1 if self._items else 1
            self._items = self._read_items(partitions, shop_ms, number)
            took = max(0.0, self._clock() - started)
            self._items_due_at = started + max(_ITEMS_EVERY_SECONDS, took / _BUSY_SHARE)
        return self._items

    def _read_items(self, partitions: Sequence[int], shop_ms: int, number: int) -> ItemsTable:
        keys, parts, homes = [], [], []
        for partition in partitions:
            stored: Any = self._redis.hgetall(self._keys.rows(partition))
            keys += list(stored)
            parts.append(unpack(b"".join(stored.values()), ROW, self._keys.rows(partition)))
            homes.append(np.full(len(stored), partition, np.int64))
        rows: Table = np.concatenate(parts) if parts else np.zeros(0, ROW)
        home: Int64Array = np.concatenate(homes) if homes else np.zeros(0, np.int64)
        place = {(int(p), key): n for n, (p, key) in enumerate(zip(home, keys, strict=True))}
        names = [_name_of(key) for key in keys]
        where = {name: n for n, name in enumerate(names)}
        return ItemsTable(
            names=names,
            folded=[sku.casefold() for sku, _ in names],
            by_name=_order_of(names),
            partitions=home,
            rows=rows,
            last_hour_units=self._last_hour_units(partitions, shop_ms, place),
            oldest_open_ms=self._oldest_open(rows, home, keys),
            campaigns=[
                (where[name], line)
                for name, lines in self._campaigns.items()
                if name in where
                for line in lines
            ],
            read_number=number,
        )

    def _last_hour_units(
        self, partitions: Sequence[int], shop_ms: int, place: dict[tuple[int, bytes], int]
    ) -> Float64Array:
        """This hour's units, and of the last hour's the share that is less than an hour old."""
        units = np.zeros(len(place))
        hour = shop_ms // HOUR_MS
        share = 1.0 - shop_ms % HOUR_MS / HOUR_MS
        for partition in partitions:
            for bucket, weight in ((hour, 1.0), (hour - 1, share)):
                if bucket >= 0:
                    key = self._keys.bucket(partition, "hour", bucket)
                    stored: Any = self._redis.hgetall(key)
                    sold = unpack(b"".join(stored.values()), CELL, key)["units"]
                    places = [place.get((partition, name), -1) for name in stored]
                    known = np.array(places, np.int64) >= 0
                    units[np.array(places, np.int64)[known]] += weight * sold[known]
        return units

    def _oldest_open(self, rows: Table, home: Int64Array, keys: Sequence[bytes]) -> Int64Array:
        oldest = np.zeros(rows.size, np.int64)
        for partition in np.unique(home).tolist():
            waiting = np.flatnonzero((rows["backlog_units"] > 0) & (home == partition))
            for start in range(0, waiting.size, _ITEMS_AT_ONCE):
                some = waiting[start : start + _ITEMS_AT_ONCE]
                wanted = [self._keys.item(partition, text_of(keys[item])) for item in some.tolist()]
                found: Any = self._redis.eval(_GET_OLDEST, len(wanted), *wanted, OLDEST_OPEN_ORDER)
                oldest[some] = [int(value or 0) for value in found]
        return oldest

    def _read_told_in_turn(self, partitions: Sequence[int]) -> None:
        """Catalog and campaign lines change seldom, and are long."""
        if self._clock() - self._told_at < _TOLD_EVERY_SECONDS:
            return
        campaigns: dict[tuple[str, str], list[Campaign]] = {}
        currencies: dict[tuple[str, str], str | None] = {}
        for partition in partitions:
            stored: Any = self._redis.hgetall(self._keys.told(partition))
            for key, value in stored.items():
                line, lines = _told_decoder.decode(value)
                name = _name_of(key)
                currencies[name] = line.currency if line else None
                if lines:
                    campaigns[name] = lines
        self._campaigns, self._currencies = campaigns, currencies
        self._told_at = self._clock()


class _TotalsReader:
    """The shop's minutes: the newest ones each time, all of them once a minute."""

    def __init__(self, redis: "Redis", keys: Keys, clock: Callable[[], float]) -> None:
        self._redis = redis
        self._keys = keys
        self._clock = clock
        self._cells: dict[int, Table] = {}  # partition -> sums from `_first_day` on
        self._first_day = 0
        self._whole_at = -np.inf

    def forget(self) -> None:
        """Read all of them the next time."""
        self._cells = {}

    def read(self, partitions: Sequence[int], newest_minute: int) -> Totals:
        """Return the sums of all partitions; late events of older minutes are seen once a minute.

        Args:
            partitions: all of them.
            newest_minute: since the epoch; -1: none.
        """
        first_day = max(0, newest_minute // MINUTES_A_DAY - DAYS_KEPT)
        is_same = first_day == self._first_day and set(partitions) == set(self._cells)
        if not is_same or self._clock() - self._whole_at > _TOTALS_WHOLE_EVERY_SECONDS:
            self._read_whole(partitions, first_day)
        else:
            self._read_recent(newest_minute)
        size = (DAYS_KEPT + 1) * MINUTES_A_DAY
        shop: Table = np.zeros(size, TOTAL)
        for cells in self._cells.values():
            for name in TOTAL.names or ():
                shop[name] += cells[name]
        return Totals(first_day * MINUTES_A_DAY, shop)

    def _read_whole(self, partitions: Sequence[int], first_day: int) -> None:
        days = range(first_day, first_day + DAYS_KEPT + 1)
        pipeline = self._redis.pipeline(transaction=False)
        for partition in partitions:
            for day in days:
                pipeline.hgetall(self._keys.totals(partition, day))
        replies = iter(pipeline.execute())
        self._cells = {}
        for partition in partitions:
            cells: Table = np.zeros(len(days) * MINUTES_A_DAY, TOTAL)
            for place in range(len(days)):
                stored = next(replies)
                minutes = np.array([int(minute) for minute in stored], np.int64)
                packed = unpack(b"".join(stored.values()), TOTAL, "totals")
                cells[place * MINUTES_A_DAY + minutes] = packed
            self._cells[partition] = cells
        self._first_day, self._whole_at = first_day, self._clock()

    def _read_recent(self, newest_minute: int) -> None:
        first = max(self._first_day * MINUTES_A_DAY, newest_minute - _RECENT_MINUTES + 1)
        by_day: dict[int, list[int]] = {}
        for minute in range(first, newest_minute + 1):
            by_day.setdefault(minute // MINUTES_A_DAY, []).append(minute % MINUTES_A_DAY)
        pipeline = self._redis.pipeline(transaction=False)
        for partition in self._cells:
            for day, minutes in by_day.items():
                pipeline.hmget(self._keys.totals(partition, day), [str(one) for one in minutes])
        replies = iter(pipeline.execute())
        for cells in self._cells.values():
            for day, minutes in by_day.items():
                for minute, packed in zip(minutes, next(replies), strict=True):
                    if packed is not None:
                        place = (day - self._first_day) * MINUTES_A_DAY + minute
                        cells[place] = np.frombuffer(packed, TOTAL)[0]


def _shard_view(partition: int, meta: ShardMeta, waiting: int) -> ShardView:
    return ShardView(
        partition=partition,
        clocks={topic: ms for topic, ms in meta.clocks.items() if ms != NO_CLOCK},
        applied_ms=meta.applied_ms,
        counts=meta.counts,
        waiting_records=waiting,
        history_from=meta.history_from,
        profile=meta.profile,
    )


def _name_of(key: bytes) -> tuple[str, str]:
    sku, _, warehouse = key.decode("utf-8", "replace").rpartition("@")
    return sku, warehouse


def _order_of(names: Sequence[tuple[str, str]]) -> Int64Array:
    """Return the place of each name among all of them, sorted."""
    order = np.empty(len(names), np.int64)
    order[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    return order


def _escape(text: str) -> str:
    return "".join(f"\\{char}" if char in "*?[]\\^" else char for char in text)
