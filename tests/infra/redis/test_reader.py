"""What people are shown is what is stored, each thing once and in order."""

import json
from collections.abc import Iterator

import numpy as np
import pytest
import redis as redis_client
from aiokafka import AIOKafkaProducer, TopicPartition

from infra.kafka.topic_admin import ensure_topics
from infra.kafka.topic_reader import (
    Ledger,
    TopicReadError,
    TopicRecord,
    log_ends,
    open_consumer,
    partition_counts,
    read_one,
    read_topics,
)
from infra.redis.keys import Keys
from infra.redis.reader import Reader, connect
from infra.redis.rows import (
    DECISION_COLUMNS,
    StateError,
    day_rows,
    decision_rows,
    item_row,
    sorted_decision_rows,
    unpack,
)
from infra.settings import Settings, load_settings
from streams.replenishment.decision_record import DECISION
from streams.state.bucket_rings import DAY_CELL
from streams.state.items import READABLE
from streams.types import Table
from tests.conftest import Stack

DAY_MS = 86_400_000


def cell(orders: int, lines: int, units: int) -> bytes:
    packed = np.zeros(1, DAY_CELL)
    packed["orders"], packed["lines"], packed["units"] = orders, lines, units
    return packed.tobytes()


# --- days -------------------------------------------------------------------------------------


def test_warehouses_of_a_sku_are_added_up() -> None:
    """A day has one row a sku, sorted, unless warehouses are asked for."""
    hashes = {
        "tg:day:{0}:2026-01-01": {b"rug@south": cell(1, 2, 3), b"lamp@main": cell(1, 1, 1)},
        "tg:day:{1}:2026-01-01": {b"rug@north": cell(4, 5, 6)},
    }
    assert day_rows("2026-01-01", hashes, by_warehouse=False) == [
        ("2026-01-01", "lamp", 1, 1, 1),
        ("2026-01-01", "rug", 5, 7, 9),
    ]
    assert day_rows("2026-01-01", hashes, by_warehouse=True) == [
        ("2026-01-01", "lamp", "main", 1, 1, 1),
        ("2026-01-01", "rug", "north", 4, 5, 6),
        ("2026-01-01", "rug", "south", 1, 2, 3),
    ]


def test_a_day_with_returns_only_is_no_sale() -> None:
    """A cell without order lines gives no row."""
    assert day_rows("2026-01-01", {"k": {b"lamp@main": cell(0, 0, 0)}}, by_warehouse=False) == []


def test_a_sku_may_hold_an_at_sign() -> None:
    """The warehouse is what stands after the last one."""
    (row,) = day_rows("d", {"k": {b"a@b@main": cell(1, 1, 1)}}, by_warehouse=False)
    assert row[1] == "a@b"


def test_state_of_another_version_is_refused() -> None:
    """Records of another size are named with their key, not misread."""
    with pytest.raises(StateError, match="tg:x must be records of"):
        unpack(b"123", DAY_CELL, "tg:x")


# --- items and decisions ----------------------------------------------------------------------


def test_times_of_an_item_are_reported_as_times() -> None:
    """Fields keep their types; a time that is not set is nothing, and so is a missing field."""
    stored: dict[str, bytes] = {"on_hand_units": b"-4", "demand_level_units_per_day": b"0.5"}
    stored |= {"counted_at_ms": b"86400000", "next_due_ms": b"0"}
    row = item_row("lamp", "main", [stored.get(name) for name in READABLE])
    named = dict(zip(["sku", "warehouse", *READABLE], row, strict=True))
    assert named["on_hand_units"] == -4
    assert named["demand_level_units_per_day"] == 0.5
    assert named["counted_at_ms"] == "1970-01-02T00:00:00Z"
    assert named["next_due_ms"] is None
    assert named["next_review_ms"] is None


def decisions(*places: int, reviewed_ms: int = DAY_MS) -> Table:
    table = np.zeros(len(places), DECISION)
    table["item"] = places
    table["reviewed_ms"] = reviewed_ms
    table["service_type"] = 1
    table["lean_capacity_units"] = np.inf
    table["reason"] = b"position_covers"
    return table


def test_decisions_do_not_depend_on_places() -> None:
    """Rows are sorted by time and name, whichever partition and place an item has."""
    names = [("rug", "main"), ("lamp", "main")]
    others = [("bowl", "main")]
    one = sorted_decision_rows([(decisions(0, 1), names), (decisions(0), others)])
    two = sorted_decision_rows([(decisions(0), others), (decisions(1, 0), names)])
    assert one == two
    assert [row[2] for row in one] == ["bowl", "lamp", "rug"]


def test_a_decision_is_reported_in_plain_values() -> None:
    """Infinite becomes none, codes become names, bytes become text."""
    (row,) = decision_rows(decisions(0), [("lamp", "main")])
    named = dict(zip(DECISION_COLUMNS, row, strict=True))
    assert named["reviewed_at"] == "1970-01-02T00:00:00Z"
    assert named["lean_capacity_units"] is None
    assert named["service_type"] == "cycle"
    assert named["reason"] == "position_covers"
    assert named["occasion"] == "regular"


# --- Redis ------------------------------------------------------------------------------------


@pytest.fixture
def redis(redis_url: str) -> Iterator["redis_client.Redis"]:
    client = connect(redis_url)
    yield client
    client.close()


def test_only_keys_under_the_prefix_are_read(redis: "redis_client.Redis") -> None:
    """Another installation in the same Redis stays unseen, even where its prefix is a pattern."""
    for prefix in ("tg:", "t*:", "t[g]:", "xtg:"):
        keys = Keys(prefix)
        redis.hset(keys.shard(3), mapping={"epoch": 1, "offsets": json.dumps({"orders": 5})})
    redis.set("t*:shard:{none}", "noise")
    for prefix in ("tg:", "t*:", "t[g]:"):
        (shard,) = Reader(redis, Keys(prefix)).shards()
        assert (shard.partition, shard.offsets, shard.meta) == (3, {"orders": 5}, None)


def test_days_are_read_in_order(redis: "redis_client.Redis") -> None:
    """Days come oldest first, whatever order Redis has their keys in."""
    keys = Keys()
    for bucket in (400, 3, 20_000, 90):
        redis.hset(keys.bucket(0, "day", bucket), "lamp@main", cell(1, 1, bucket))
        redis.hset(keys.bucket(1, "day", bucket), "bowl@main", cell(1, 1, 1))
    rows = list(Reader(redis, keys).days())
    assert rows == sorted(rows)
    assert [row[4] for row in rows if row[1] == "lamp"] == [3, 90, 400, 20_000]


def test_an_empty_redis_has_nothing_to_tell(redis: "redis_client.Redis") -> None:
    """Nothing stored is no error."""
    reader = Reader(redis, Keys())
    assert [*reader.days(), *reader.items(), *reader.decisions()] == []
    assert [*reader.find("lamp"), *reader.shards()] == []
    assert reader.open_order("po-1") is None


def test_a_damaged_shard_is_named(redis: "redis_client.Redis") -> None:
    """State that cannot be read says which key it is."""
    redis.hset(Keys().shard(0), mapping={"epoch": 1, "meta": b"{}"})
    with pytest.raises(StateError, match=r"tg:shard:\{0\}"):
        Reader(redis, Keys()).shards()


# --- topics -----------------------------------------------------------------------------------


@pytest.fixture
async def settings(stack: Stack) -> Settings:
    settings = load_settings(
        kafka_bootstrap=stack.bootstrap, redis_url=stack.redis_url, topic_prefix=stack.prefix
    )
    await ensure_topics(stack.bootstrap, stack.prefix, 3)
    return settings


async def write_batches(settings: Settings, topic: str, partition: int, *sizes: int) -> None:
    """Write record batches of so many records; values count up."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap)
    await producer.start()
    try:
        number = 0
        for size in sizes:
            batch = producer.create_batch()
            for _ in range(size):
                batch.append(key=None, value=b"%d" % number, timestamp=None)
                number += 1
            await (await producer.send_batch(batch, topic, partition=partition))
    finally:
        await producer.stop()


async def test_a_topic_is_read_to_its_very_end(settings: Settings) -> None:
    """The whole of the last batch is read, although the embedded broker names an earlier end."""
    topic = settings.topic_prefix + "alerts"
    await write_batches(settings, topic, 1, 1, 2, 5)
    await write_batches(settings, topic, 2, 3)
    read = [record async for record in read_topics(settings, [topic])]
    assert sorted((one.partition, one.offset, one.value) for one in read) == [
        *((1, number, b"%d" % number) for number in range(8)),
        *((2, number, b"%d" % number) for number in range(3)),
    ]
    places = [TopicPartition(topic, partition) for partition in range(3)]
    async with open_consumer(settings, places) as consumer:
        ends = await log_ends(consumer, places)
    assert [ends[place] for place in places] == [0, 8, 3]


async def test_one_record_is_read_by_its_place(settings: Settings) -> None:
    """Each place of a batch can be asked for; beyond the end there is nothing."""
    topic = settings.topic_prefix + "orders.dlt"
    await write_batches(settings, topic, 0, 1, 4)
    for offset in range(5):
        record = await read_one(settings, topic, 0, offset)
        assert record is not None
        assert (record.offset, record.value) == (offset, b"%d" % offset)
    assert await read_one(settings, topic, 0, 5) is None
    assert await read_one(settings, topic, 1, 0) is None
    with pytest.raises(TopicReadError, match="must be from 0 to 2, got 7"):
        await read_one(settings, topic, 7, 0)


async def test_reading_makes_no_topics(settings: Settings) -> None:
    """Asking for a topic that is not there is refused, and does not create it."""
    with pytest.raises(TopicReadError, match="is not there"):
        [record async for record in read_topics(settings, ["no-such-topic"])]
    assert "no-such-topic" not in await partition_counts(settings)
    assert [record async for record in read_topics(settings, [])] == []


def order(po_id: str, decided_at: str, version: int = 1) -> bytes:
    return json.dumps({"po_id": po_id, "decided_at": decided_at, "version": version}).encode()


def test_a_ledger_keeps_one_of_each_id() -> None:
    """Delivery is at least once; the order of arrival does not matter, strangers are counted."""
    late, early = order("po-1", "2026-01-02T00:00:00Z"), order("po-2", "2026-01-01T00:00:00Z")
    changed = order("po-1", "2026-01-02T00:00:00Z", version=2)
    ledger = Ledger("orders")
    for value in (changed, late, early, late, b"not json", b"\xff", None, b'{"po_id":3}'):
        ledger.add(value)
    assert ledger.in_order() == [early, late, changed]
    assert ledger.strangers == 4


def test_the_last_header_of_a_name_counts() -> None:
    """A producer may have put in a header of that name before Tidegate added its own."""
    headers = [("tidegate-error-code", b"forged"), ("tidegate-error-code", b"not_json")]
    record = TopicRecord("orders.dlt", 0, 0, 0, None, None, headers)
    assert record.header("tidegate-error-code") == b"not_json"
    assert record.header("other") is None
