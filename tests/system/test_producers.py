"""Orders by real producers: Java's client and librdkafka, with and without transactions."""

import json
import subprocess
import time
import zlib
from collections.abc import Iterable
from pathlib import Path

import pytest
from confluent_kafka import Producer

from infra.replay.log_writer import partition_for
from tests.kafka_server import kafka_jars
from tests.system.conftest import Install
from tests.system.support.running import PARTITIONS, Installation, eventually

JAVA = Path(__file__).parents[1] / "kafka" / "OrderProducer.java"
SKUS = [f"SKU-{number:03}" for number in range(24)]
UNITS = 7
SECONDS = 30.0


def _java(bootstrap: str, topic: str) -> None:
    """Write with Java's client: plainly, in a transaction, and in one that is aborted."""
    arguments = [bootstrap, topic, f"{topic}-java", ",".join(SKUS)]
    command = ["java", "-cp", f"{kafka_jars()}/*", str(JAVA), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _write(producer: Producer, topic: str, name: str, skus: Iterable[str] = SKUS) -> None:
    for sku in skus:
        line = {"kind": "placed", "event_id": f"{name}-{sku}", "order_id": f"{name}-{sku}"}
        value = {**line, "sku": sku, "quantity": UNITS, "occurred_at": int(time.time() * 1000)}
        producer.produce(topic, json.dumps(value).encode(), sku.encode())
    assert producer.flush(SECONDS) == 0


def _librdkafka(bootstrap: str, topic: str) -> None:
    """Write with librdkafka: its default partitioner, Java's, and Java's in transactions."""
    options = {"bootstrap.servers": bootstrap}
    murmur2 = {**options, "partitioner": "murmur2_random"}
    _write(Producer(options), topic, "default")
    _write(Producer(murmur2), topic, "murmur2")
    producer = Producer({**murmur2, "transactional.id": f"{topic}-librdkafka"})
    producer.init_transactions(SECONDS)
    producer.begin_transaction()
    _write(producer, topic, "committed")
    producer.commit_transaction(SECONDS)
    producer.begin_transaction()
    _write(producer, topic, "aborted")
    producer.abort_transaction(SECONDS)


def _counts(tidegate: Installation) -> tuple[int, int, int]:
    found = tidegate.outcomes_by_topic()
    names = (("sales", "orders"), ("sales", "units"), ("orders", "dead_lettered"))
    orders, units, bad = (found.get(name, 0) for name in names)
    return orders, units, bad


@pytest.mark.kafka
async def test_each_producer_counts_as_it_should(install: Install) -> None:
    """All that Java's client and murmur2 wrote and committed counts; nothing that was aborted; of
    librdkafka's default partitioner only what lies right by chance, and the rest is `wrong_key`.
    """
    tidegate = await install()
    await tidegate.add_ready_worker()
    topic, bootstrap = tidegate.settings.topic_prefix + "orders", tidegate.settings.kafka_bootstrap
    _java(bootstrap, topic)
    _librdkafka(bootstrap, topic)
    right = sum(
        zlib.crc32(sku.encode()) % PARTITIONS == partition_for(sku.encode(), PARTITIONS)
        for sku in SKUS
    )
    assert 0 < right < len(SKUS)
    orders = 4 * len(SKUS) + right  # two of Java's and two of librdkafka's, and those
    expected = (orders, orders * UNITS, len(SKUS) - right)
    await eventually(lambda: _counts(tidegate) == expected, f"orders, units, refused: {expected}")
    dead = await tidegate.read("orders.dlt")
    assert {one.header("tidegate-error-code") for one in dead} == {b"wrong_key"}
    assert all(
        b"murmur2_random" in (one.header("kafka_dlt-exception-message") or b"") for one in dead
    )
