"""The shards of a worker over rebalances, fences and lost stores."""

import asyncio

from faust.types import TP

from tests.streams.worker.worker_bench import (
    ASSIGNED,
    ORDERS,
    PREFIX,
    bench,
    sales,
)


async def test_rebalance_keeps_the_shard_that_nobody_touched():
    """Parked with all of it stored, a shard goes on without being loaded again."""
    async with bench() as made:
        await made.read("orders", sales(0, 5), 0)
        shard = made.worker.tasks[0].shard
        await made.worker.park()
        loads = made.store.log.count("load 0")
        offsets = await made.worker.read_from(ASSIGNED)
        assert made.worker.tasks[0].shard is shard
        assert made.store.log.count("load 0") == loads
        assert offsets[ORDERS] == 5


async def test_rebalance_loads_the_shard_that_another_had_meanwhile():
    """Parked, and committed by another worker since: what is in memory is old."""
    async with bench() as made:
        await made.read("orders", sales(0, 5), 0)
        await made.worker.park()
        async with bench(made.store) as other:
            await other.read("orders", sales(5, 5), 5)
            await other.until(lambda: other.worker.tasks[0].stored_offsets.get("orders") == 10)
        offsets = await made.worker.read_from(ASSIGNED)
        assert offsets[ORDERS] == 10
        assert made.sold() == 10


async def test_published_over_a_rebalance_is_forgotten_in_the_store():
    """Kafka's answer comes after the shard was parked and taken over again: the store learns it."""
    async with bench() as made:
        made.kafka.is_slow = asyncio.Event()
        await made.read("orders", [b"bad"], 0)
        await made.until(lambda: "publish 1" in made.store.log)
        await made.worker.park()
        await made.worker.read_from(ASSIGNED)
        assert made.store.kept[0].outbox
        made.kafka.is_slow.set()
        await made.until(lambda: not made.store.kept[0].outbox)
        assert made.store.log.count("load 0") == 1  # the shard was parked, not loaded again


async def test_shard_without_history_says_where_it_begins():
    """A log whose beginning is gone is read from where it begins, and that is told."""
    async with bench(assigned=False) as made:
        made.consumer.beginnings[ORDERS] = 7
        offsets = await made.worker.read_from(ASSIGNED)
        assert offsets[ORDERS] == 7
        assert offsets[TP(PREFIX + "stock", 0)] == 0
        assert made.worker.tasks[0].shard.history_from == {"orders": 7}


async def test_fenced_worker_takes_the_shard_over_anew():
    """Redis has another past: what it has is loaded, and the log is read again from there."""
    async with bench() as made:
        await made.read("orders", sales(0, 5), 0)
        await made.until(lambda: made.worker.tasks[0].stored_offsets.get("orders") == 5)
        made.store.acquire_now(0)
        await made.read("orders", sales(5, 5), 5)
        await made.until(lambda: bool(made.consumer.read_again_from))
        assert made.consumer.read_again_from[0][ORDERS] == 5
        assert made.offset() == 5
        await made.read("orders", sales(5, 5), 5)
        await made.until(lambda: made.worker.tasks[0].stored_offsets.get("orders") == 10)
        assert made.sold() == 10


async def test_wiped_store_is_filled_again_from_the_log():
    """If Redis lost everything the log is read from its beginning."""
    async with bench() as made:
        await made.read("orders", sales(0, 5), 0)
        await made.until(lambda: made.worker.tasks[0].stored_offsets.get("orders") == 5)
        made.store.kept.clear()
        await made.read("orders", sales(5, 5), 5)
        await made.until(lambda: bool(made.consumer.read_again_from))
        assert made.consumer.read_again_from[0][ORDERS] == 0
        await made.read("orders", sales(0, 10), 0)
        await made.until(lambda: made.worker.tasks[0].stored_offsets.get("orders") == 10)
        assert made.sold() == 10


async def test_fenced_worker_without_the_partition_lets_it_go():
    """If the partition has moved on there is nothing to take over."""
    async with bench() as made:
        await made.read("orders", sales(0, 5), 0)
        made.store.acquire_now(0)
        made.consumer.assigned = {tp for tp in ASSIGNED if tp.partition == 1}
        await made.until(lambda: 0 not in made.worker.tasks)
        assert made.consumer.read_again_from == []


async def test_what_two_workers_counted_is_what_was_read_however_the_shard_moves():
    """It moves there and back, is fenced and read again: each record is in one worker's count."""
    async with bench() as made, bench(made.store, assigned=False) as other:
        await made.read("orders", [*sales(0, 5), b"bad"], 0)
        await made.until(lambda: made.worker.tasks[0].stored_offsets.get("orders") == 6)
        await made.worker.park()
        await other.worker.read_from(ASSIGNED)
        assert other.observer.totals.total() == 0
        await other.read("orders", sales(5, 3), 6)
        await other.until(lambda: other.worker.tasks[0].stored_offsets.get("orders") == 9)
        other.consumer.assigned = set()
        await made.worker.read_from(ASSIGNED)
        await other.read("orders", sales(8, 4), 9)
        await other.until(lambda: 0 not in other.worker.tasks)
        await made.read("orders", sales(8, 4), 9)
        await made.until(lambda: made.worker.tasks[0].stored_offsets.get("orders") == 13)
        both = made.observer.totals + other.observer.totals
        assert both == +made.worker.tasks[0].shard.counted()
        assert (both["orders:folded"], both["orders:dead_lettered"]) == (12, 1)
