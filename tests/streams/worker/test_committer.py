"""Commits to the store, and Kafka's offsets behind them."""

import asyncio

import pytest

from tests.oracle import DAY
from tests.streams.logs import START_MS
from tests.streams.worker.worker_bench import (
    ORDERS,
    bench,
    sales,
)


async def test_commit_and_then_kafkas_offsets():
    """Kafka is only ever told what the store has."""
    async with bench(offsets_interval_s=0.001) as made:
        await made.read("orders", sales(0, 5), 0)
        await made.until(lambda: made.consumer.committed.get(ORDERS) == 5)
        made.store.is_away = True
        await made.read("orders", sales(5, 5), 5)
        await made.until(lambda: "commit" in made.observer.failures)
        await asyncio.sleep(0.01)
        assert made.consumer.committed[ORDERS] == 5
        made.store.is_away = False
        await made.until(lambda: made.consumer.committed[ORDERS] == 10)
        assert '"orders": 10' in made.store.kept[0].offsets


async def test_away_store_is_asked_again_and_told():
    """While the store is away readiness says so; afterwards nothing is lost."""
    async with bench() as made:
        made.store.is_away = True
        await made.read("orders", sales(0, 5), 0)
        await made.until(lambda: "commit" in made.observer.failures)
        assert any("Redis" in fault for fault in made.worker.faults())
        await made.read("orders", sales(5, 5), 5)
        made.store.is_away = False
        await made.until(lambda: made.worker.tasks[0].stored_offsets.get("orders") == 10)
        assert made.worker.faults() == []


async def test_lost_reply_of_a_commit_is_asked_for_again():
    """The very same commit is sent until the store says what became of it; it counts once."""
    async with bench() as made:
        made.store.replies = ["lost", "away", "lost"]
        await made.read("orders", sales(0, 5), 0)
        await made.until(lambda: made.worker.tasks[0].stored_offsets.get("orders") == 5)
        assert [line for line in made.store.log if line.startswith("commit")] == [
            *("commit stored", "commit away", "commit stored", "commit stored")
        ]
        assert made.store.kept[0].sequence == len(made.store.commits) == 1


async def test_zombie_commits_nothing():
    """Two workers believe that they own a shard: only the later one's commits are stored."""
    async with bench() as old, bench(old.store) as new:
        old.consumer.assigned = set()
        await new.read("orders", sales(0, 5), 0)
        await new.until(lambda: new.worker.tasks[0].stored_offsets.get("orders") == 5)
        await old.read("orders", sales(0, 3), 0)
        await old.until(lambda: 0 not in old.worker.tasks)
        assert '"orders": 5' in old.store.kept[0].offsets


async def test_visible_time_is_that_of_the_newest_record():
    """The measure is from when Kafka got the record until Redis has it."""
    async with bench() as made:
        made.now = (START_MS + 5 * DAY) / 1000 + 3
        await made.read("orders", sales(0, 1), 0)
        await made.until(lambda: bool(made.observer.commits))
        assert made.observer.commits[-1][1] == pytest.approx(3)
