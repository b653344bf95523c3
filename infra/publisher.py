"""Writing to Kafka: outputs with acks=all, and heartbeats."""

import asyncio
from collections.abc import Sequence

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from infra.replay import HEARTBEAT_KEY
from infra.topics import COMPACTED
from streams.events import Heartbeat
from streams.outbox import Outgoing

UNREACHABLE = (KafkaError,)


class Publisher:
    """The worker's producer.

    Not idempotent in Kafka's sense, which the embedded broker does not know: a record can appear
    twice after a failure, under the same id and with the same bytes.

    Args:
        bootstrap: brokers.
        topic_prefix: in front of every topic's name.
    """

    def __init__(self, bootstrap: str, topic_prefix: str) -> None:
        self._prefix = topic_prefix
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            acks="all",
            enable_idempotence=False,
            linger_ms=5,
            max_request_size=2_097_152,
        )

    async def start(self) -> None:
        """Connect."""
        await self._producer.start()

    async def stop(self) -> None:
        """Write what is left and disconnect."""
        await self._producer.stop()

    async def publish(self, outgoing: Sequence[Outgoing]) -> None:
        """Write records, in their order for each key; return when Kafka has all of them."""
        sent = [
            await self._producer.send(
                self._prefix + record.topic,
                value=record.value,
                key=record.key,
                headers=record.headers,
            )
            for record in outgoing
        ]
        await self._producer.flush()
        await asyncio.gather(*sent)

    async def beat(self, targets: Sequence[tuple[str, int]], now_ms: int) -> None:
        """Write a heartbeat to each (topic, partition)."""
        value = msgspec.json.encode(Heartbeat(occurred_at=now_ms))
        sent = [
            await self._producer.send(
                self._prefix + topic,
                value=value,
                key=HEARTBEAT_KEY if topic in COMPACTED else None,
                partition=partition,
            )
            for topic, partition in targets
        ]
        await asyncio.gather(*sent)
