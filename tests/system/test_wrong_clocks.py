"""A producer whose clock is wrong: its record is refused, and nobody else's order is late."""

import json
import time

import pytest
from aiokafka import AIOKafkaProducer

from tests.system.conftest import Install
from tests.system.support.running import eventually

_AHEAD_MS = 55 * 60_000


@pytest.mark.kafka
async def test_till_that_is_55_minutes_ahead_moves_nobody(install: Install) -> None:
    """Its record time is as wrong as its event: the broker's own time refuses it, with a code."""
    tidegate = await install()
    worker = await tidegate.add_ready_worker()
    topic = tidegate.settings.topic_prefix + "orders"

    def counts() -> tuple[int, int, int]:
        found = tidegate.outcomes_by_topic()
        names = ("folded", "folded_late", "dead_lettered")
        return tuple(found.get(("orders", name), 0) for name in names)  # type: ignore[return-value]

    async with AIOKafkaProducer(
        bootstrap_servers=tidegate.settings.kafka_bootstrap, enable_idempotence=False
    ) as producer:

        async def place(order_id: str, occurred_ms: int) -> None:
            line = {"kind": "placed", "event_id": order_id, "order_id": order_id, "sku": "LAMP"}
            value = {**line, "quantity": 1, "occurred_at": occurred_ms}
            await producer.send_and_wait(
                topic, json.dumps(value).encode(), b"LAMP", timestamp_ms=occurred_ms
            )

        await place("good", int(time.time() * 1000))
        await place("till", int(time.time() * 1000) + _AHEAD_MS)
        for number in range(20):
            await place(f"later-{number}", int(time.time() * 1000))
        await eventually(lambda: counts() == (21, 0, 1), "21 orders, one refused", explain=str)
    await eventually(
        lambda: not any(shard.outbox for shard in tidegate.shards()), "its copy is published"
    )
    (refused,) = await tidegate.read("orders.dlt")
    assert b"far_future" in str(refused.headers).encode()
    await eventually(worker.is_ready, "the worker is ready")
