"""Live mode: heartbeats of the worker make silence visible; old logs are left alone."""

import asyncio
import csv
import time
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer

from infra.replay.log_writer import partition_for
from streams.contracts.events import TOPICS, Heartbeat
from streams.timestamps import rfc3339
from tests.system.conftest import Install, Reference
from tests.system.support.running import PARTITIONS, Installation, eventually

HOUR_MS = 3_600_000
SKU = "lamp"


def _events(now_ms: int) -> list[tuple[str, dict[str, Any]]]:
    """Three days of a lamp that sells every hour; nothing on any other topic."""
    start_ms = now_ms - 3 * 24 * HOUR_MS
    item = {
        "kind": "item",
        "unit_cost_lean": 10.0,
        "unit_cost_flexible": 13.0,
        "setup_cost_lean": 90.0,
        "setup_cost_flexible": 9.0,
        "lead_time_days_lean": 4,
        "lead_time_days_flexible": 2,
        "review_period_days": 1,
        "holding_cost_per_unit_day": 0.9,
        "backorder_cost_per_unit_day": 2.0,
        "service_target": 0.95,
        "assume_dispatched": True,
    }
    sales = [
        ("orders", {"kind": "placed", "order_id": f"o{at}", "quantity": 3, "occurred_at": at})
        for at in range(start_ms + HOUR_MS, now_ms + 1, HOUR_MS)
    ]
    reported = [
        ("catalog", {**item, "occurred_at": start_ms}),
        ("stock", {"kind": "counted", "level": 40, "occurred_at": start_ms}),
        *sales,
    ]
    return [
        (topic, {**event, "event_id": f"live-{number}", "sku": SKU})
        for number, (topic, event) in enumerate(reported)
    ]


async def _produce(tidegate: Installation, now_ms: int) -> None:
    prefix = tidegate.settings.topic_prefix
    partition = partition_for(SKU.encode(), PARTITIONS)
    async with AIOKafkaProducer(bootstrap_servers=tidegate.settings.kafka_bootstrap) as producer:
        for topic, event in _events(now_ms):
            value = msgspec.json.encode(event)
            await producer.send(prefix + topic, value, SKU.encode(), partition=partition)
        await producer.flush()


def _applied_ms(tidegate: Installation) -> list[int]:
    applied = [shard.applied_ms for shard in tidegate.shards()]
    return [] if None in applied or len(applied) < PARTITIONS else sorted(applied)


async def test_silent_topics_hold_nothing_up(install: Install) -> None:
    """A shop that only sends orders gets decisions, and time goes on without further events."""
    now_ms = int(time.time() * 1000)
    tidegate = await install(
        tick_seconds=1,
        allowed_lateness_seconds=1,
        heartbeat_interval_seconds=0.5,
        minimum_history_days=1,
    )
    await tidegate.add_ready_worker()
    await _produce(tidegate, now_ms)
    await eventually(lambda: _applied_ms(tidegate), "every partition decides")
    first = await eventually(
        lambda: (at := _applied_ms(tidegate)) and at[0] > now_ms and at, "boundaries pass the now"
    )
    # Nothing is sent from here on.
    later = await eventually(
        lambda: (at := _applied_ms(tidegate)) and at[0] >= first[-1] + 3_000 and at,
        "boundaries go on to close in every partition",
    )
    assert later[0] <= time.time() * 1000
    await eventually(
        lambda: tidegate.open_orders() and not tidegate.frozen_outbox(), "what is ordered leaves"
    )
    exports = await tidegate.exports()
    decisions = list(csv.DictReader(exports.decisions.decode().splitlines()))
    assert {row["sku"] for row in decisions} == {SKU}
    assert decisions[-1]["reviewed_at"] > rfc3339(now_ms - 25 * HOUR_MS)
    assert any(float(row["demand_mean_units_per_day"]) > 10 for row in decisions)
    assert exports.orders, "three days of sales and forty lamps: something has to be ordered"
    beats = [record for record in await tidegate.read(*TOPICS) if b'"heartbeat"' in record.value]
    assert {(one.topic, one.partition) for one in beats} == set(await tidegate.input_ends())
    times = [msgspec.json.decode(one.value, type=Heartbeat).occurred_at for one in beats]
    assert min(map(int, times)) >= now_ms
    tidegate.require_balance()


async def test_old_logs_get_no_live_heartbeats(reference: Reference) -> None:
    """A worker that has replayed last year's events writes no heartbeat of today behind them."""
    tidegate = reference.installation
    assert tidegate.workers[0].is_ready()
    await asyncio.sleep(3 * tidegate.settings.heartbeat_interval_seconds)
    ends = {at: end for at, end in (await tidegate.input_ends()).items() if end}
    assert ends == reference.result.end_offsets
