"""Records of transactions count once they are committed, and an open one is no lag."""

import json
import time

import pytest
from aiokafka import AIOKafkaProducer

from infra.kafka.topic_reader import held_back
from infra.replay.log_writer import partition_for
from tests.system.conftest import Install
from tests.system.support.running import PARTITIONS, Installation, WorkerUnderTest, eventually
from tests.system.test_handover import command

HOME = partition_for(b"LAMP", PARTITIONS)


async def _write(producer: AIOKafkaProducer, topic: str, name: str, count: int) -> None:
    """Write order lines of 7 units."""
    for number in range(count):
        order_id = f"{name}-{number}"
        line = {"kind": "placed", "event_id": order_id, "order_id": order_id, "sku": "LAMP"}
        value = {**line, "quantity": 7, "occurred_at": int(time.time() * 1000)}
        await producer.send_and_wait(topic, json.dumps(value).encode(), b"LAMP")


def _counts(tidegate: Installation) -> tuple[int, int, int]:
    found = tidegate.outcomes_by_topic()
    names = (("orders", "folded"), ("sales", "orders"), ("sales", "units"))
    return tuple(found.get(name, 0) for name in names)  # type: ignore[return-value]


def _metric(worker: WorkerUnderTest, name: str) -> float:
    lines = worker.ask("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


async def test_no_transaction_is_open_where_nobody_writes_one(install: Install) -> None:
    """On any broker: what is written plainly is there at once, and nothing is held back."""
    tidegate = await install()
    topic = tidegate.settings.topic_prefix + "orders"
    async with AIOKafkaProducer(
        bootstrap_servers=tidegate.settings.kafka_bootstrap, enable_idempotence=False
    ) as producer:
        await _write(producer, topic, "plain", 20)
    assert len(await tidegate.read("orders")) == 20
    assert await held_back(tidegate.settings, [topic]) == {}


@pytest.mark.kafka
async def test_only_committed_orders_count_and_an_open_transaction_is_no_lag(
    install: Install,
) -> None:
    """10 committed, 10 aborted and 5 committed lines of 7 units: 15 orders, 105 units. An open
    transaction holds its own topic partition back, shuts no gate, and is said.
    """
    tidegate = await install()
    worker = await tidegate.add_ready_worker()
    topic = tidegate.settings.topic_prefix + "orders"
    producer = AIOKafkaProducer(
        bootstrap_servers=tidegate.settings.kafka_bootstrap,
        transactional_id=f"{tidegate.settings.topic_prefix}shop",
    )
    async with producer:
        async with producer.transaction():
            await _write(producer, topic, "first", 10)
        await producer.begin_transaction()
        await _write(producer, topic, "undone", 10)
        await producer.abort_transaction()
        async with producer.transaction():
            await _write(producer, topic, "second", 5)
        await eventually(lambda: _counts(tidegate) == (15, 15, 105), "15 orders of 7 units")
        assert len(await tidegate.read("orders")) >= 15  # and heartbeats
        await eventually(lambda: _metric(worker, "tidegate_handover_open") >= 1, "the gate is open")

        await producer.begin_transaction()
        await _write(producer, topic, "open", 3)
        await eventually(
            lambda: "an open transaction holds back" in worker.log_text(), "the worker says so"
        )
        assert _metric(worker, "tidegate_consumer_lag_records") < 100
        assert _metric(worker, "tidegate_handover_open") >= 1
        assert worker.ask("/readyz").status == 200
        assert _counts(tidegate) == (15, 15, 105)
        (held,) = (await held_back(tidegate.settings, [topic])).items()
        assert held[0].partition == HOME
        assert held[1] >= 3
        done = command(tidegate, "doctor")
        assert f"open in {topic}/{HOME}" in done.stdout
        await producer.commit_transaction()
    await eventually(lambda: _counts(tidegate) == (18, 18, 126), "they count once committed")
