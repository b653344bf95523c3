"""What the page reads is what the workers stored, in pieces, and at a bounded cost."""

import asyncio
import time

import numpy as np
import pytest
import pytest_asyncio
from redis.exceptions import RedisError

from infra.page.contracts import DecisionsQuery
from infra.page.cursor import Cursor
from infra.page.readers import decisions as reading_decisions
from infra.page.readers import items as reading_items
from infra.page.readers import items_cache as items_keeper
from infra.page.readers import snapshot as reading
from infra.page.readers.decisions import DecisionsReader
from infra.page.readers.items import ItemsReader
from infra.page.readers.items_cache import ItemsKeeper
from infra.page.readers.pace import BUSY_SHARE
from infra.page.readers.snapshot import PageReader, connect
from infra.page.snapshot import SHOWN, no_items
from infra.redis.keys import Keys
from infra.redis.reader import Reader
from infra.redis.rows import unpack
from streams.state.bucket_rings import CELL
from streams.state.items import ROW
from tests.browser.shop import (
    HOUR_MS,
    MINUTE_MS,
    PARTITIONS,
    Shop,
    counted,
    item,
    open_shop,
    placed,
)

KEYS = Keys()
NAMES = ["lamp", "Vase", "ünïcode 🏮", 'a"b\\c', "x" * 120, "z@z", *(f"sku-{n}" for n in range(40))]


@pytest_asyncio.fixture
async def shop(redis_url: str):
    """A shop with items on every partition, some sold, some on campaign, some waited for."""
    async with open_shop(redis_url, clock=lambda: 1_772_600_000.0) as opened:
        await fill(opened)
        yield opened


async def fill(shop: Shop) -> None:
    """Let two days happen."""
    start = shop.now_ms - 50 * HOUR_MS
    await shop.tell("catalog", *[item(name, start, category="Große Küche") for name in NAMES])
    await shop.tell("stock", *[counted(name, start, 3 * n) for n, name in enumerate(NAMES)])
    campaign = {
        "kind": "planned",
        "campaign_id": "spring",
        "occurred_at": start,
        "starts_at": start,
        "ends_at": start + 90 * HOUR_MS,
        "expected_units": 70,
    }
    await shop.tell("campaigns", *[{**campaign, "sku": name} for name in NAMES[::5]])
    for at in range(start, shop.now_ms - MINUTE_MS, 2 * HOUR_MS):
        await shop.tell("orders", *[placed(name, at, 2) for name in NAMES[::3]])
    await shop.write_heartbeats()
    await shop.settle()


@pytest.fixture
def redis(redis_url: str):
    """As the page connects."""
    with connect(redis_url) as client:
        yield client


def read_table(redis, shop_ms: int, reader: ItemsReader | None = None):
    """A table, and in how many pieces it came."""
    reader = reader or ItemsReader(redis, KEYS, time.monotonic)
    *pieces, table = reader.pieces(range(PARTITIONS), shop_ms)
    assert not any(pieces)
    return table, len(pieces)


@pytest.mark.parametrize("at_once", [1, 7, 1_000])
async def test_table_of_items_is_what_is_stored(shop, redis, monkeypatch, at_once):
    """Whatever the size of the pieces: names, rows, the last hour, waiting customers, campaigns."""
    monkeypatch.setattr(reading_items, "ITEMS_AT_ONCE", at_once)
    table, _ = await asyncio.to_thread(read_table, redis, shop.now_ms)
    assert sorted(name for name, _ in table.names) == sorted(NAMES)
    shares = {0: 1.0, 1: 1.0 - shop.now_ms % HOUR_MS / HOUR_MS}
    for place, (sku, warehouse) in enumerate(table.names):
        partition, key = int(table.partitions[place]), f"{sku}@{warehouse}"
        row = unpack(redis.hget(KEYS.rows(partition), key), ROW, key)[0]
        assert all(table.rows[place][name] == np.ravel(row[name])[0] for name in SHOWN.names)
        hours = [
            (redis.hget(KEYS.bucket(partition, "hour", shop.now_ms // HOUR_MS - ago), key), share)
            for ago, share in shares.items()
        ]
        units = sum(share * unpack(cell, CELL, key)["units"][0] for cell, share in hours if cell)
        assert table.last_hour_units[place] == pytest.approx(units)
        oldest = int(redis.hget(KEYS.item(partition, key), "oldest_open_order_ms") or 0)
        assert table.oldest_open_ms[place] == (oldest if row["backlog_units"] > 0 else 0)
        own = table.campaigns[table.campaigns["item"] == place]
        assert own["expected_units"].tolist() == ([70.0] if sku in NAMES[::5] else [])
    assert (table.rows["backlog_units"] > 0).any()


async def test_items_are_found_by_warehouse_and_category(shop, redis):
    """The text that is searched has both, in the shop's own letters."""
    table, _ = await asyncio.to_thread(read_table, redis, shop.now_ms)
    for text, (sku, warehouse) in zip(table.folded, table.names, strict=True):
        assert text == f"{sku} {warehouse} große küche".casefold()


async def test_items_stand_by_name_also_when_some_are_added(shop, redis):
    """The order of names is that of all partitions together, longest names included."""
    reader = ItemsReader(redis, KEYS, time.monotonic)
    before, _ = await asyncio.to_thread(read_table, redis, shop.now_ms, reader)
    await shop.tell("stock", *[counted(name, shop.now_ms, 1) for name in ("A", "zz", "m")])
    await shop.write_heartbeats()
    await shop.settle()
    after, _ = await asyncio.to_thread(read_table, redis, shop.now_ms, reader)
    assert len(after.names) == len(before.names) + 3
    for table in (before, after):
        by_name = [table.names[place] for place in np.argsort(table.by_name)]
        assert by_name == sorted(table.names)


async def test_row_of_another_version_is_refused(shop, redis):
    """It would be cut at the wrong places: the page says so instead."""
    key, row = next(iter(redis.hgetall(KEYS.rows(0)).items()))
    redis.hset(KEYS.rows(0), key, row + b"\0")
    with pytest.raises(RedisError, match="this version expects"):
        await asyncio.to_thread(read_table, redis, shop.now_ms)


async def test_incidents_beyond_the_limit_are_counted_and_not_read(shop, redis, monkeypatch):
    """A shop whose every shelf is unknown has as many incidents as items."""
    monkeypatch.setattr(reading, "INCIDENTS_READ", 8)
    stored = {f"in-{n:020x}": ALERT.replace(b"ID", b"in-%020x" % n) for n in range(3_000)}
    redis.hset(KEYS.incidents(0), mapping=stored)
    snapshot = await asyncio.to_thread(PageReader(redis, KEYS, lambda _: {}).read)
    assert snapshot.incidents_open >= 3_000
    assert 0 < len(snapshot.incidents) < 300


ALERT = (
    b'{"state":"raised","incident_id":"ID","version":1,"kind":"stale_stock","subject":"a@b",'
    b'"sku":"a","warehouse":"b","started_at":"2026-03-04T15:00:00Z","summary":"s","action":"a",'
    b'"occurred_at":"2026-03-04T15:00:00Z","figures":{}}'
)


# --- decisions --------------------------------------------------------------------------------


async def test_every_decision_is_reached_from_page_to_page(shop, redis, monkeypatch):
    """From the newest to the first one, each once, over the limit of what is kept ready."""
    monkeypatch.setattr(reading_decisions, "DECISIONS_KEPT", 20)
    monkeypatch.setattr(reading_decisions, "REVIEWS_AT_ONCE", 3)
    snapshot = await asyncio.to_thread(PageReader(redis, KEYS, lambda _: {}).read)
    assert len(snapshot.decisions) == 20
    reader = DecisionsReader(redis, KEYS)
    found = [one.cursor for one in snapshot.decisions]
    before: Cursor | None = found[-1]
    while before is not None:
        page = list(reader.older(snapshot.shards, before))
        found += [place for place, one in page if one is not None]
        before = page[-1][0] if page else None
    stored = Reader(redis, KEYS).decisions()
    assert len(found) == len(set(found)) == sum(1 for _ in stored) > 40
    assert found == sorted(found, key=lambda one: (-one.reviewed_ms, *one[1:]))
    named = reader.named([one for _, one in reader.older(snapshot.shards, found[0]) if one][:5])
    assert all(one.currency == "EUR" and one.sku in NAMES for one in named)


def test_page_of_decisions_begins_at_a_cursor_or_nowhere():
    """What a caller makes up is refused before anything is read."""
    import msgspec

    for text in ("", "5:0:1:0"):
        assert msgspec.convert({"before": text}, DecisionsQuery).before == text
    for text in ("x", "5:0:1:2", "5:-1:0:0", "5"):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"before": text}, DecisionsQuery)


# --- at a bounded cost ------------------------------------------------------------------------


class Pieces:
    """A reader whose pieces take a time by a clock of its own."""

    def __init__(self, clock, count: int, seconds: float) -> None:
        self.clock, self.count, self.seconds = clock, count, seconds
        self.readings = 0
        self.is_away = False

    def pieces(self, partitions, shop_ms):
        """As many as wished."""
        self.readings += 1
        for _ in range(self.count):
            self.clock.now += self.seconds
            yield None
        if self.is_away:
            raise RedisError("gone")
        yield no_items()


class Clock:
    """Seconds that pass when somebody works or sleeps."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """Nothing here waits for real."""
    made, sleep = Clock(), asyncio.sleep

    async def resting(seconds: float) -> None:
        made.now += seconds
        await sleep(0)

    monkeypatch.setattr(items_keeper.asyncio, "sleep", resting)
    return made


async def at_once(work):
    """Run it here."""
    return work()


async def idle() -> None:
    """Let everything run that can."""
    for _ in range(500):
        await asyncio.sleep(0)


async def test_large_shop_is_read_with_rests_and_shown_as_it_was(clock):
    """Reading takes a tenth of the time at most, and nobody waits for it."""
    reader = Pieces(clock, count=50, seconds=0.02)
    keeper = ItemsKeeper(lambda: reader, at_once, clock)
    first = await keeper.table([0], 0, 0)
    assert reader.readings == 1
    clock.now += 1 / BUSY_SHARE
    before = clock.now
    assert await keeper.table([0], 0, 0) is first  # the next one is being read meanwhile
    await idle()
    assert clock.now - before >= 50 * 0.02 / BUSY_SHARE * 0.99
    second = await keeper.table([0], 0, 0)
    assert (second.read_number, reader.readings) == (2, 2)


async def test_small_shop_is_never_older_than_its_snapshot(clock):
    """What is read in an instant is waited for."""
    reader = Pieces(clock, count=1, seconds=0.01)
    keeper = ItemsKeeper(lambda: reader, at_once, clock)
    for reading_number in (1, 2, 3):
        assert (await keeper.table([0], 0, 0)).read_number == reading_number
        clock.now += items_keeper.EVERY_SECONDS
    assert (await keeper.table([0], 0, 0)).read_number == 4


async def test_table_that_nobody_looked_at_for_long_is_read_anew(clock):
    """A page that is opened after an hour does not show the hour before."""
    reader = Pieces(clock, count=50, seconds=0.02)
    keeper = ItemsKeeper(lambda: reader, at_once, clock)
    await keeper.table([0], 0, 0)
    clock.now += 3_600
    assert (await keeper.table([0], 0, 0)).read_number == 2


async def test_reading_that_fails_is_reported_and_tried_again(clock):
    """Redis that is away while items are read is no reason to show an old table for ever."""
    reader = Pieces(clock, count=1, seconds=0.01)
    keeper = ItemsKeeper(lambda: reader, at_once, clock)
    reader.is_away = True
    for _ in range(2):
        with pytest.raises(RedisError):
            await keeper.table([0], 0, 0)
        clock.now += items_keeper.EVERY_SECONDS
    reader.is_away = False
    assert (await keeper.table([0], 0, 0)).read_number == 1


async def test_redis_that_lost_what_it_held_is_read_by_a_reader_that_knows_nothing(clock):
    """Places and names may be others than before."""
    made: list[Pieces] = []

    def make() -> Pieces:
        made.append(Pieces(clock, count=1, seconds=0.01))
        return made[-1]

    keeper = ItemsKeeper(make, at_once, clock)
    await keeper.table([0], 0, 0)
    await keeper.table([0], 0, 1)
    assert [reader.readings for reader in made] == [1, 1]
