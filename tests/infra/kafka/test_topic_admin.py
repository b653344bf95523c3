"""The topics as Tidegate makes them."""

import time

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from infra.kafka.topic_admin import ensure_topics, producers_times
from streams.contracts.topics import input_topics
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


async def test_broker_that_does_not_show_its_settings_names_none(stack: Stack):
    """The embedded one closes the connection at the question; that is no broker that is away."""
    await ensure_topics(stack.bootstrap, stack.prefix, 2)
    options = {"bootstrap_servers": stack.bootstrap}
    assert await producers_times(options, input_topics(stack.prefix)) == []


@pytest.mark.kafka
async def test_input_with_producers_times_is_named(stack: Stack):
    """One that the shop made by itself has them; Tidegate's own have not."""
    options = {"bootstrap_servers": stack.bootstrap}
    odd = f"{stack.prefix}orders"
    admin = AIOKafkaAdminClient(**options)
    await admin.start()
    await admin.create_topics([NewTopic(odd, 2, 1)])
    await admin.close()
    await ensure_topics(stack.bootstrap, stack.prefix, 2)
    assert await producers_times(options, input_topics(stack.prefix)) == [odd]
    assert await producers_times(options, []) == []
