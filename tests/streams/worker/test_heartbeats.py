"""Heartbeats in the input topics."""

import asyncio

import pytest

from streams.contracts.events import TOPICS
from streams.handover.rules import HoldReason
from streams.timestamps import HOUR_MS
from tests.streams.logs import START_MS, heartbeat
from tests.streams.worker.worker_bench import (
    bench,
)


@pytest.mark.parametrize(("behind_s", "beats"), [(10, True), (400, False)])
async def test_heartbeats_are_written_to_live_logs_only(behind_s, beats):
    """A replay of old events tells its own time; the wall clock does not mix in."""
    async with bench(heartbeat_interval_s=0.001) as made:
        made.now = START_MS / 1000 + behind_s
        await made.read("orders", [heartbeat(START_MS)], 0)
        if beats:
            await made.until(lambda: len(made.kafka.beats) >= 12)
            assert set(made.kafka.beats) == {(topic, p) for topic in TOPICS for p in (0, 1)}
        else:
            await asyncio.sleep(0.03)
            assert made.kafka.beats == []


async def test_clock_of_one_producer_stops_no_heartbeat():
    """One log is an hour ahead, the others are at now: event time goes on in all of them."""
    async with bench(heartbeat_interval_s=0.001) as made:
        made.now = START_MS / 1000
        await made.read("stock", [heartbeat(START_MS)], 0)
        await made.read("orders", [heartbeat(START_MS + HOUR_MS)], 0)
        await made.until(lambda: len(made.kafka.beats) >= 12)
        assert set(made.kafka.beats) == {(topic, p) for topic in TOPICS for p in (0, 1)}


@pytest.mark.parametrize("ahead_ms", [90_000, -90_000])
async def test_clock_that_is_not_the_brokers_holds_orders(ahead_ms):
    """The broker's time of an own heartbeat says how wrong this machine's clock is, either way."""
    async with bench(heartbeat_interval_s=0.001) as made:
        made.now = START_MS / 1000
        made.kafka.ahead_ms = ahead_ms
        await made.read("orders", [heartbeat(START_MS)], 0)
        task = made.worker.tasks[0]
        await made.until(lambda: HoldReason.CLOCK in task.gate.reasons)
        made.kafka.ahead_ms = 0
        await made.until(lambda: HoldReason.CLOCK not in task.gate.reasons)
