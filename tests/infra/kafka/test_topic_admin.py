"""The topics as Tidegate makes them."""

import time

import pytest
from aiokafka import AIOKafkaProducer

from infra.kafka.topic_admin import ensure_topics
from tests.conftest import Stack

_HOUR_MS = 3_600_000


@pytest.mark.kafka
async def test_input_has_the_brokers_time_whatever_a_producer_claims(stack: Stack):
    """A producer's clock is an hour fast: the record's time in the log is that of the broker."""
    await ensure_topics(stack.bootstrap, stack.prefix, 2)
    now_ms = int(time.time() * 1000)
    async with AIOKafkaProducer(bootstrap_servers=stack.bootstrap) as producer:
        sent = await producer.send_and_wait(
            f"{stack.prefix}orders", b"{}", b"lamp", timestamp_ms=now_ms + _HOUR_MS
        )
    assert abs(sent.timestamp - now_ms) < _HOUR_MS / 2
