"""Writing to Kafka: outputs with acks=all, and heartbeats."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from infra.replay.log_writer import HEARTBEAT_KEY
from streams.contracts.events import Heartbeat
from streams.contracts.outgoing import OutboxRecord
from streams.contracts.topics import COMPACTED

UNREACHABLE = (KafkaError,)


_RECORD_BYTES_AT_MOST = 1_000_000  # brokers take 1 MiB by default


def _fitting(record: OutboxRecord) -> OutboxRecord:
    """Return the record, without its value if that is too large for a broker with its headers.

    A bad record that Kafka just so took does not fit once more with the reason in its headers. The
    original lies where `kafka_dlt-original-offset` says; it must not hold up all that follows.
    """
    extra = sum(len(name) + len(value) + 10 for name, value in record.headers)
    size = len(record.value or b"")
    if size + len(record.key or b"") + extra <= _RECORD_BYTES_AT_MOST:
        return record
    headers = [*record.headers, ("tidegate-value-dropped", b"%d" % size)]
    return OutboxRecord(record.topic, record.key, None, headers)


class Publisher:
    """The worker's producer.

    Not idempotent in Kafka's sense, which the embedded broker does not know: a record can appear
    twice after a failure, under the same id and with the same bytes.

    Args:
        options: of an aiokafka client (`infra.kafka.options.client_options`).
        topic_prefix: in front of every topic's name.
    """

    def __init__(self, options: Mapping[str, Any], topic_prefix: str) -> None:
        self._prefix = topic_prefix
        self._producer = AIOKafkaProducer(
            **options,
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

    async def publish(self, outgoing: Sequence[OutboxRecord]) -> None:
        """Write records, in their order for each key; return when Kafka has all of them."""
        sent = [await self._send(_fitting(record)) for record in outgoing]
        await self._producer.flush()
        await asyncio.gather(*sent)

    async def _send(self, record: OutboxRecord) -> "asyncio.Future[object]":
        accepted: asyncio.Future[object] = await self._producer.send(
            self._prefix + record.topic,
            value=record.value,
            key=record.key,
            headers=record.headers,
        )
        return accepted

    async def write_heartbeats(self, targets: Sequence[tuple[str, int]], now_ms: int) -> None:
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
