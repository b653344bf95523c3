"""Writes the lines of a campaign to the topic `campaigns`, and promises to `promises`."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from infra.campaigns.lines import LineEvent
from infra.control.log import make_producer
from infra.kafka.options import client_options
from infra.settings import Settings

TOPIC = "campaigns"
PROMISES = "promises"


async def send_lines(settings: Settings, events: Sequence[LineEvent]) -> None:
    """Write events and return once Kafka has them; sent again they count once.

    Raises:
        KafkaError: not all are there, or not known to be.
    """
    if not events:
        return
    producer = make_producer(client_options(settings))
    await producer.start()
    try:
        for event in events:
            await producer.send_and_wait(
                settings.topic_prefix + TOPIC, msgspec.json.encode(event), key=event.sku.encode()
            )
    finally:
        await producer.stop()


async def send_promises(settings: Settings, found: Mapping[str, Any]) -> int:
    """Write what may be promised of each sku to the compacted topic `promises`; return how many.

    The topic is made where it is missing, with as many partitions as the inputs have.

    Raises:
        KafkaError: not all are there, or not known to be.
    """
    topic = settings.topic_prefix + PROMISES
    await _ensure_compacted(settings, topic)
    producer = make_producer(client_options(settings))
    await producer.start()
    try:
        for line in found["lines"]:
            record = {"campaign_id": found["campaign_id"], "at": found["at"], **line}
            key = f"{line['sku']}@{line['warehouse']}".encode()
            await producer.send_and_wait(topic, msgspec.json.encode(record), key=key)
    finally:
        await producer.stop()
    return len(found["lines"])


async def _ensure_compacted(settings: Settings, topic: str) -> None:
    client = AIOKafkaAdminClient(**client_options(settings))
    await client.start()
    try:
        if topic in await client.list_topics():
            return
        config = {"cleanup.policy": "compact"}
        new = NewTopic(
            topic, settings.partitions, settings.replication_factor, topic_configs=config
        )
        await client.create_topics([new])
    finally:
        await client.close()
