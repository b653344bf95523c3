"""Reading Redis for people: the one place that knows where things lie. It writes nothing.

Partitions are found by their keys, not by a setting: what is there is what is shown. Each answer is
read in several steps; while a worker commits, parts of it may be some milliseconds apart.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from typing import Any, TypeVar

import msgspec
from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError, NoPermissionError, TimeoutError
from redis.retry import Retry

from infra.redis.codec import (
    ShardMeta,
    decode_campaigns,
    decode_catalog,
    decode_meta,
    decode_name,
    readable_outbox,
)
from infra.redis.keys import Keys, glob_escape
from infra.redis.options import connection_options, keys_of
from infra.redis.projection import DeadLetter
from infra.redis.refusals import follow
from infra.redis.rows import (
    Names,
    Row,
    StateError,
    day_rows,
    item_row,
    sorted_decision_rows,
    text_of,
    unpack,
    uplift_row,
)
from infra.replay.log_writer import partition_for
from infra.settings import Settings
from streams.contracts.events import CampaignChanged, CampaignLine, CampaignPlanned
from streams.contracts.events import Item as CatalogLine
from streams.contracts.outgoing import OutboxRecord
from streams.demand.campaigns import Uplift
from streams.demand.week_profile import Profile, flat_profile
from streams.replenishment.decision_record import DECISION
from streams.settings import ProfileSettings
from streams.state.bucket_rings import CELL, DAY_CELL
from streams.state.items import READABLE, ROW
from streams.state.open_orders import OpenOrder
from streams.timestamps import NO_CLOCK
from streams.types import Table

_SCAN_AT_ONCE = 10_000
_ITEMS_AT_ONCE = 5_000
_DAYS_AT_ONCE = 16
_PING_SECONDS = 3.0
_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 30.0
_RETRIES = 2
_Some = TypeVar("_Some")
_letter_decoder = msgspec.json.Decoder(DeadLetter)


@dataclass(frozen=True, slots=True)
class ShardState:
    """Where one partition stands."""

    partition: int
    epoch: int
    offsets: dict[str, int]  # topic without prefix -> where its log goes on
    meta: ShardMeta | None  # None means claimed by a worker, and nothing was ever committed
    outbox: int  # records that are not yet known to be in Kafka
    unreadable: int = 0  # records of the outbox that could not be read, and were put away

    @property
    def applied_ms(self) -> int | None:
        """Event time up to which everything has taken effect."""
        return None if self.meta is None else self.meta.applied_ms

    def watermark_ms(self, allowed_lateness_ms: int) -> int | None:
        """Nothing before this will take effect any more; none until every topic has a clock."""
        if self.meta is None:
            return None
        clock = min(self.meta.clocks.values(), default=NO_CLOCK)
        return None if clock == NO_CLOCK else clock - allowed_lateness_ms


@dataclass(frozen=True, slots=True)
class ItemState:
    """All that is stored of one item."""

    partition: int
    place: int
    sku: str
    warehouse: str
    row: Table  # one `streams.state.items.ROW`
    shown: Row  # `infra.redis.rows.ITEM_COLUMNS`
    open_orders: list[OpenOrder]  # by due date
    catalog: CatalogLine | None
    campaigns: list[CampaignPlanned | CampaignChanged]
    applied_ms: int | None
    days: list[
        tuple[str, Table]
    ]  # newest first: day, `streams.state.bucket_rings.DAY_CELL`; days without: left out
    profile: Profile  # the week of its partition


@dataclass(frozen=True, slots=True)
class OpenOrderState:
    """A purchase order that is not closed, and what is stored of its item."""

    partition: int
    sku: str
    warehouse: str
    order: OpenOrder
    catalog: CatalogLine | None


@contextmanager
def open_reader(settings: Settings) -> Iterator["Reader"]:
    """Connect a reader; it is disconnected at the end.

    Raises:
        RedisError: it does not answer, which a frozen server takes 3 s to show.
    """
    options = connection_options(settings)
    _require_answer(settings.redis_url, options)
    redis = connect(settings.redis_url, **options)
    try:
        yield Reader(redis, keys_of(settings))
    finally:
        redis.close()


def _require_answer(url: str, options: dict[str, Any]) -> None:
    """Look whether Redis answers at all; an answer itself may take longer, and is waited for.

    Raises:
        RedisError: it does not.
    """
    redis = Redis.from_url(
        url,
        **options,
        socket_connect_timeout=_PING_SECONDS,
        socket_timeout=_PING_SECONDS,
        retry=Retry(ExponentialBackoff(), _RETRIES, supported_errors=(ConnectionError,)),
    )
    follow(redis.connection_pool)
    try:
        redis.ping()
    except TimeoutError:
        raise TimeoutError(f"it did not answer within {_PING_SECONDS:g} s") from None
    except NoPermissionError:  # it answers
        return
    finally:
        redis.close()


def connect(url: str, **options: Any) -> "Redis":
    """Return a client whose reads may be repeated; nothing connects before the first of them.

    Args:
        url: of the server.
        options: credentials (`infra.redis.options.connection_options`).
    """
    redis = Redis.from_url(
        url,
        **options,
        socket_connect_timeout=_CONNECT_SECONDS,
        socket_timeout=_ANSWER_SECONDS,
        retry=Retry(ExponentialBackoff(), _RETRIES),
    )
    follow(redis.connection_pool)
    return redis


def _profile_of(shard: ShardState) -> Profile:
    if shard.meta is None or not shard.meta.profile:
        return flat_profile()
    return Profile.restore(shard.meta.profile, ProfileSettings())


class Reader:
    """Reads what the workers stored.

    Args:
        redis: a client that gives bytes.
        keys: names in Redis.
    """

    def __init__(self, redis: "Redis", keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._names: dict[int, Names] = {}

    # -- shards -------------------------------------------------------------------------------

    def partitions(self) -> list[int]:
        """Return the partitions that a worker ever took."""
        return sorted(partition for partition, _ in self._find("shard"))

    def shards(self) -> list[ShardState]:
        """Return where each partition stands."""
        partitions = self.partitions()
        pipeline = self._redis.pipeline(transaction=False)
        for partition in partitions:
            pipeline.hmget(self._keys.shard(partition), ["epoch", "offsets", "meta"])
            pipeline.hlen(self._keys.outbox(partition))
            pipeline.hlen(self._keys.unreadable(partition))
        replies = pipeline.execute()
        return [
            self._shard(partition, *fields, outbox=outbox, unreadable=unreadable)
            for partition, fields, outbox, unreadable in zip(
                partitions, replies[::3], replies[1::3], replies[2::3], strict=True
            )
        ]

    def _shard(
        self,
        partition: int,
        epoch: bytes | None,
        offsets: bytes | None,
        meta: bytes | None,
        *,
        outbox: int,
        unreadable: int,
    ) -> ShardState:
        try:
            return ShardState(
                partition,
                int(epoch or 0),
                msgspec.json.decode(offsets or b"{}", type=dict[str, int]),
                None if meta is None else decode_meta(meta),
                outbox,
                unreadable,
            )
        except (msgspec.DecodeError, ValueError) as error:
            raise StateError(self._keys.shard(partition), "a shard's state", str(error)) from None

    def names(self, partition: int) -> Names:
        """Return the items of a partition by their places."""
        if partition not in self._names:
            stored = self._redis.lrange(self._keys.names(partition), 0, -1)
            self._names[partition] = [decode_name(name) for name in _bytes(stored)]
        return self._names[partition]

    # -- tables -------------------------------------------------------------------------------

    def days(self, *, by_warehouse: bool = False) -> Iterator[Row]:
        """Yield what each sku sold on each day, by day and sku."""
        for day, hashes in self._dated("day", "hgetall"):
            yield from day_rows(
                day, {key: cells for _, key, cells in hashes}, by_warehouse=by_warehouse
            )

    def items(self) -> Iterator[Row]:
        """Yield every item, by sku and warehouse."""
        places = sorted(
            (sku, warehouse, partition)
            for partition in self.partitions()
            for sku, warehouse in self.names(partition)
        )
        for chosen in _pieces(places, _ITEMS_AT_ONCE):
            pipeline = self._redis.pipeline(transaction=False)
            for sku, warehouse, partition in chosen:
                pipeline.hmget(self._keys.item(partition, f"{sku}@{warehouse}"), list(READABLE))
            for (sku, warehouse, _), values in zip(chosen, pipeline.execute(), strict=True):
                yield item_row(sku, warehouse, values)

    def uplifts(self) -> Iterator[Row]:
        """Yield what promotions of each type brought, by type; rows of `UPLIFT_COLUMNS`."""
        shards = [shard.meta.uplifts for shard in self.shards() if shard.meta is not None]
        for promotion in sorted({name for uplifts in shards for name in uplifts}):
            whole = Uplift()
            for uplifts in shards:
                whole.merge(uplifts.get(promotion, Uplift()))
            yield uplift_row(promotion, whole)

    def decisions(self) -> Iterator[Row]:
        """Yield every decision, by time, sku, warehouse and occasion."""
        for _, hashes in self._dated("decisions", "hvals"):
            yield from sorted_decision_rows(
                (decisions, self._names_of(partition, decisions))
                for partition, key, reviews in hashes
                for decisions in [unpack(b"".join(reviews), DECISION, key)]
            )

    def _names_of(self, partition: int, decisions: Table) -> Names:
        """A worker may have added items since the names were read."""
        if decisions.size and int(decisions["item"].max()) >= len(self.names(partition)):
            del self._names[partition]
        return self.names(partition)

    def _dated(self, family: str, command: str) -> Iterator[tuple[str, list[tuple[int, str, Any]]]]:
        """Yield the hashes of each day, oldest first: partition, key, and what the command says."""
        by_day: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for partition, key in self._find(family):
            by_day[key.rpartition(":")[2]].append((partition, key))
        for days in _pieces(sorted(by_day), _DAYS_AT_ONCE):
            pipeline = self._redis.pipeline(transaction=False)
            for day in days:
                for _, key in sorted(by_day[day]):
                    getattr(pipeline, command)(key)
            replies = iter(pipeline.execute())
            for day in days:
                yield (
                    day,
                    [(partition, key, next(replies)) for partition, key in sorted(by_day[day])],
                )

    # -- one item -----------------------------------------------------------------------------

    def find(self, sku: str, warehouse: str | None = None) -> list[tuple[int, int]]:
        """Return partition and place of each item of a sku, by warehouse."""
        found = [
            (name[1], partition, place)
            for partition in self._likely_partitions(sku)
            for place, name in enumerate(self.names(partition))
            if name[0] == sku and warehouse in (None, name[1])
        ]
        return [(partition, place) for _, partition, place in sorted(found)]

    def _likely_partitions(self, sku: str) -> list[int]:
        """The one that Kafka's partitioner chooses, if it knows the sku; else all."""
        partitions = self.partitions()
        if partitions == list(range(len(partitions))) and partitions:
            likely = partition_for(sku.encode("utf-8", "surrogatepass"), len(partitions))
            if any(name[0] == sku for name in self.names(likely)):
                return [likely]
        return partitions

    def skus(self) -> list[str]:
        """Return every sku, sorted."""
        return sorted({sku for p in self.partitions() for sku, _ in self.names(p)})

    def suppliers(self) -> list[str]:
        """Return every supplier of a catalog line or of an open order, sorted."""
        found = {state.order.supplier for state in self.open_orders()}
        for partition in self.partitions():
            for stored in _bytes(self._redis.hvals(self._keys.catalog(partition))):
                line = decode_catalog(stored)[0]
                if line is not None:
                    found |= {line.supplier_lean, line.supplier_flexible}
        return sorted(found)

    def item(self, partition: int, place: int, *, days: int = 14) -> ItemState:
        """Return all that is stored of one item, with the newest `days` days that it sold on."""
        sku, warehouse = self.names(partition)[place]
        key = f"{sku}@{warehouse}"
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.hget(self._keys.rows(partition), key)
        pipeline.hvals(self._keys.orders(partition))
        pipeline.hget(self._keys.catalog(partition), key)
        pipeline.hmget(self._keys.item(partition, key), list(READABLE))
        row, orders, catalog, shown = pipeline.execute()
        if row is None:
            raise StateError(self._keys.rows(partition), f"with a row of {key}", None)
        catalog, campaigns = decode_catalog(catalog)
        (shard,) = [one for one in self.shards() if one.partition == partition]
        return ItemState(
            partition=partition,
            place=place,
            sku=sku,
            warehouse=warehouse,
            row=unpack(row, ROW, self._keys.rows(partition))[0],
            shown=item_row(sku, warehouse, shown),
            open_orders=_orders_of(orders, place),
            catalog=catalog,
            campaigns=campaigns,
            applied_ms=shard.applied_ms,
            days=self._days_of(partition, key, shard, days),
            profile=_profile_of(shard),
        )

    def _days_of(
        self, partition: int, key: str, shard: ShardState, count: int
    ) -> list[tuple[str, Table]]:
        newest = -1 if shard.meta is None else shard.meta.newest_buckets.get("day", -1)
        buckets = range(newest, max(-1, newest - count), -1)
        if not buckets:
            return []
        pipeline = self._redis.pipeline(transaction=False)
        for bucket in buckets:
            pipeline.hget(self._keys.bucket(partition, "day", bucket), key)
        first = date(1970, 1, 1)
        return [
            (str(first + timedelta(days=bucket)), unpack(cell, DAY_CELL, key)[0])
            for bucket, cell in zip(buckets, pipeline.execute(), strict=True)
            if cell is not None
        ]

    def hour_units(self, partition: int, key: str, first: int, last: int) -> dict[int, int]:
        """Return the units that an item sold in hours that are kept, by hour since 1970.

        Args:
            partition, key: of the item.
            first, last: hours, both inside.
        """
        pipeline = self._redis.pipeline(transaction=False)
        for bucket in range(first, last + 1):
            pipeline.hget(self._keys.bucket(partition, "hour", bucket), key)
        cells = zip(range(first, last + 1), pipeline.execute(), strict=True)
        return {
            bucket: int(unpack(cell, CELL, key)[0]["units"])
            for bucket, cell in cells
            if cell is not None
        }

    def latest_decision(self, partition: int, place: int) -> Table | None:
        """Return an item's newest decision, a `DECISION` record; None means never reviewed."""
        keys = [key for found, key in self._find("decisions") if found == partition]
        for key in sorted(keys, reverse=True):
            reviews = _bytes(self._redis.hvals(key))
            decisions = unpack(b"".join(reviews), DECISION, key)
            own = decisions[decisions["item"] == place]
            if own.size:
                newest: Table = own[own["reviewed_ms"].argmax()]
                return newest
        return None

    def campaign(self, campaign_id: str) -> list[CampaignLine]:
        """Return the lines of a campaign over all partitions; None means it is not known."""
        found: list[CampaignLine] = []
        for partition in self.partitions():
            for catalog in _bytes(self._redis.hvals(self._keys.catalog(partition))):
                lines = decode_campaigns(catalog)
                found += [line for line in lines if line.campaign_id == campaign_id]
        return found

    def open_order(self, po_id: str) -> OpenOrder | None:
        """Return a purchase order that is not closed."""
        partitions = self.partitions()
        pipeline = self._redis.pipeline(transaction=False)
        for partition in partitions:
            pipeline.hget(self._keys.orders(partition), po_id)
        for stored in pipeline.execute():
            if stored is not None:
                return msgspec.json.decode(stored, type=OpenOrder)
        return None

    def open_orders(self) -> Iterator[OpenOrderState]:
        """Yield every purchase order that is not closed."""
        for partition in self.partitions():
            stored = _bytes(self._redis.hvals(self._keys.orders(partition)))
            orders = [msgspec.json.decode(order, type=OpenOrder) for order in stored]
            names = self.names(partition)
            items = sorted({order.item for order in orders})
            lines: dict[int, CatalogLine | None] = {}
            for some in _pieces(items, _ITEMS_AT_ONCE):
                keys = [f"{names[item][0]}@{names[item][1]}" for item in some]
                catalogs = _bytes(self._redis.hmget(self._keys.catalog(partition), keys))
                for item, catalog in zip(some, catalogs, strict=True):
                    lines[item] = decode_catalog(catalog)[0]
            for order in orders:
                sku, warehouse = names[order.item]
                yield OpenOrderState(partition, sku, warehouse, order, lines[order.item])

    def waiting_orders(self) -> dict[int, list[OutboxRecord]]:
        """Return, by partition, the purchase orders that are stored and not yet in their topic."""
        partitions = self.partitions()
        pipeline = self._redis.pipeline(transaction=False)
        for partition in partitions:
            pipeline.hgetall(self._keys.outbox(partition))
        found = {}
        for partition, stored in zip(partitions, pipeline.execute(), strict=True):
            records, _ = readable_outbox(stored)
            found[partition] = [
                record for _, record in sorted(records.items()) if record.order_summary is not None
            ]
        return found

    def uncounted(self) -> list[DeadLetter]:
        """Return the newest records that were bad or came too late, the newest first."""
        pipeline = self._redis.pipeline(transaction=False)
        for partition in self.partitions():
            pipeline.hvals(self._keys.dead_letters(partition))
        found = [_letter_decoder.decode(one) for reply in pipeline.execute() for one in reply]
        found.sort(key=lambda one: (-one.written_ms, one.topic, one.partition, -one.offset))
        return found

    def counted_ms(self, partition: int, items: Sequence[str]) -> list[int]:
        """Return when each item was counted last; 0: never, as far as is stored."""
        pipeline = self._redis.pipeline(transaction=False)
        for item in items:
            pipeline.hget(self._keys.item(partition, item), "counted_at_ms")
        return [int(stored or 0) for stored in pipeline.execute()]

    # -- keys ---------------------------------------------------------------------------------

    def _find(self, family: str) -> list[tuple[int, str]]:
        """Return partition and key of everything of one family of keys."""
        prefix = self._keys.prefix
        shape = re.compile(re.escape(f"{prefix}{family}:{{") + r"(\d+)\}")
        pattern = f"{glob_escape(prefix)}{family}:{{*"
        found = []
        for key in self._redis.scan_iter(match=pattern, count=_SCAN_AT_ONCE):
            text = text_of(key)
            if match := shape.match(text):
                found.append((int(match[1]), text))
        return sorted(set(found))  # SCAN may name a key twice


def _orders_of(stored: Iterable[bytes], place: int) -> list[OpenOrder]:
    orders = (msgspec.json.decode(order, type=OpenOrder) for order in stored)
    return sorted(
        (order for order in orders if order.item == place),
        key=lambda order: (order.due_ms, order.po_id),
    )


def _pieces(values: Iterable[_Some], size: int) -> Iterator[list[_Some]]:
    rest = iter(values)
    while piece := list(islice(rest, size)):
        yield piece


def _bytes(reply: Any) -> Sequence[bytes]:
    """redis-py's own types allow for an asynchronous client, which this is not."""
    values: Sequence[bytes] = reply
    return values
