"""Topics that change under a worker: it holds its orders and says so, and one command goes on."""

import asyncio
import json
import re
import time

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from infra.kafka.topic_reader import open_consumer, partition_counts
from infra.replay.log_writer import partition_for
from tests.system.conftest import Install
from tests.system.support.running import PARTITIONS, Installation, eventually
from tests.system.test_handover import command, reported

HOME = partition_for(b"LAMP", PARTITIONS)
LONG = 400  # records: longer than what heartbeats write to the new log while the test looks


async def _place_orders(tidegate: Installation, name: str, count: int) -> None:
    topic = tidegate.settings.topic_prefix + "orders"
    async with AIOKafkaProducer(
        bootstrap_servers=tidegate.settings.kafka_bootstrap, enable_idempotence=False
    ) as producer:
        for number in range(count):
            order_id = f"{name}-{number}"
            line = {"kind": "placed", "event_id": order_id, "order_id": order_id, "sku": "LAMP"}
            value = {**line, "quantity": 1, "occurred_at": int(time.time() * 1000)}
            await producer.send(topic, json.dumps(value).encode(), b"LAMP")
        await producer.flush()


async def _make_anew(tidegate: Installation) -> None:
    topic = tidegate.settings.topic_prefix + "orders"
    admin = AIOKafkaAdminClient(bootstrap_servers=tidegate.settings.kafka_bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([topic])
        deadline = time.monotonic() + 60
        while (await partition_counts(tidegate.settings)).get(topic):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
        while not (await partition_counts(tidegate.settings)).get(topic):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
    finally:
        await admin.close()


def _orders(tidegate: Installation) -> int:
    return tidegate.outcomes_by_topic().get(("sales", "orders"), 0)


async def test_topic_that_was_made_anew_holds_orders_until_somebody_adopts_it(
    install: Install,
) -> None:
    """Readiness, `doctor` and the command name the topic; what Redis knew stays, and counts on."""
    tidegate = await install()
    worker = await tidegate.add_ready_worker()
    await _place_orders(tidegate, "before", LONG)
    await eventually(lambda: _orders(tidegate) == LONG, "the first orders are stored")
    await _make_anew(tidegate)
    await _place_orders(tidegate, "after", 5)
    name = f"{tidegate.settings.topic_prefix}orders/{HOME}"
    await eventually(
        lambda: worker.ask("/readyz").status == 503 and name in worker.ask("/readyz").text,
        "the worker names the topic",
        explain=worker.log_text,
    )
    await eventually(
        lambda: "log_changed" in worker.ask("/readyz").text,
        "orders are held",
        explain=worker.log_text,
    )
    doctor = await asyncio.to_thread(command, tidegate, "doctor")
    assert doctor.returncode == 1
    assert "adopt-logs" in doctor.stdout
    assert "all is well" not in doctor.stdout

    adopt = ("state", "adopt-logs", "--who", "ada", "--why", "orders was made anew")
    assert "orders from offset 0" in await asyncio.to_thread(reported, tidegate, *adopt)
    await eventually(
        lambda: _orders(tidegate) == LONG + 5, "the new log is read", explain=worker.log_text
    )
    await eventually(worker.is_ready, "the worker is ready again", explain=worker.log_text)
    assert "nothing to do" in await asyncio.to_thread(reported, tidegate, *adopt)
    audit = json.loads(await asyncio.to_thread(reported, tidegate, "audit", "--json"))
    adopted = [one for one in audit["entries"] if one["kind"] == "logs_adopted"]
    assert [one["who"] for one in adopted] == ["ada"]


@pytest.mark.kafka
async def test_records_that_retention_deleted_unread_are_an_incident(install: Install) -> None:
    """100 read, 250 of 300 deleted while no worker runs: 150 count, and 250 or more are lost."""
    tidegate = await install(tick_seconds=1)
    worker = await tidegate.add_ready_worker()
    await _place_orders(tidegate, "before", 100)
    await eventually(lambda: _orders(tidegate) == 100, "the first orders are stored")
    await worker.end()
    await _place_orders(tidegate, "lost", 300)
    place = TopicPartition(f"{tidegate.settings.topic_prefix}orders", HOME)
    async with open_consumer(tidegate.settings, [place]) as consumer:
        end = (await consumer.end_offsets([place]))[place]
    admin = AIOKafkaAdminClient(bootstrap_servers=tidegate.settings.kafka_bootstrap)
    await admin.start()
    await admin.delete_records({place: RecordsToDelete(before_offset=end - 50)})
    await admin.close()
    other = await tidegate.add_ready_worker()
    await eventually(lambda: _orders(tidegate) == 150, "the rest is read", explain=other.log_text)
    doctor = await asyncio.to_thread(command, tidegate, "doctor")
    said = " ".join(doctor.stdout.split())  # lines are cut where the terminal ends
    lost = re.search(r"(\d+) records of orders were lost", said)
    assert lost is not None, doctor.stdout
    assert 250 <= int(lost[1]) < 300  # heartbeats that nobody read back are among them
    assert "all is well" not in doctor.stdout
    await eventually(
        lambda: "records_lost" in other.ask("/api/v1/incidents").text, "an incident says so"
    )
