"""Writes the lines of a campaign to the topic `campaigns`."""

from collections.abc import Sequence

import msgspec

from infra.campaigns.lines import LineEvent
from infra.control.log import make_producer
from infra.kafka.options import client_options
from infra.settings import Settings

TOPIC = "campaigns"


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
