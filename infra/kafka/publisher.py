"""Writing to Kafka: outputs with acks=all, and heartbeats."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    CorruptRecordException,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    UnknownError,
)

from infra.replay.log_writer import HEARTBEAT_KEY
from streams.contracts.events import Heartbeat
from streams.contracts.outgoing import Header, OutboxRecord
from streams.contracts.topics import COMPACTED, INPUTS, dead_letter_topic, late_topic

UNREACHABLE = (KafkaError,)

_FINAL = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidTimestampError)
_REFUSALS = (*_FINAL, CorruptRecordException, UnknownError)
"""Errors of a record: the same would be refused for ever. The last two can also mean the broker;
aiokafka knows no name for INVALID_RECORD, with which a compacted topic refuses a null key.
"""

_SIDE_EXITS = {name(topic) for topic in INPUTS for name in (dead_letter_topic, late_topic)}
_OWN_HEADERS = ("kafka_dlt-", "tidegate-")
_LOG_APPEND_TIME = 1
_log = logging.getLogger(__name__)
_RECORD_BYTES_AT_MOST = 1_000_000  # brokers take 1 MiB by default


def _fitting(record: OutboxRecord) -> OutboxRecord:
    """Return the record, without its value if that is too large for a broker with its headers.

    A bad record that Kafka just so took does not fit once more with the reason in its headers. The
    original lies where `kafka_dlt-original-offset` says; it must not hold up all that follows.
    """
    if _size(record) <= _RECORD_BYTES_AT_MOST or record.topic not in _SIDE_EXITS:
        return record
    dropped = ("tidegate-value-dropped", b"%d" % len(record.value or b""))
    without_value = OutboxRecord(record.topic, record.key, None, [*record.headers, dropped])
    return without_value if _size(without_value) <= _RECORD_BYTES_AT_MOST else _bare(record)


def sendable(
    key: bytes | None, value: bytes | None, headers: Sequence[Header]
) -> tuple[bytes | None, list[Header]]:
    """Return the value and headers of a record as aiokafka's producer takes them.

    Kafka allows a record with neither key nor value, aiokafka does not send one: its value is then
    empty, and a header says that it was null.

    >>> sendable(None, None, [])
    (b'', [('tidegate-value-null', b'')])
    """
    if key is None and value is None:
        return b"", [*headers, ("tidegate-value-null", b"")]
    return value, [*headers]


def _size(record: OutboxRecord) -> int:
    headers = sum(4 * len(name) + len(value or b"") + 10 for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers


def _bare(record: OutboxRecord) -> OutboxRecord:
    """Return the reason alone: no key, value or header of the producer's."""
    own = [(name, value) for name, value in record.headers if name.startswith(_OWN_HEADERS)]
    size = len(record.value or b"")
    # The last of a name is ours. Whoever compacts this topic wants a key.
    headers = [*dict(own).items(), ("tidegate-value-dropped", b"%d" % size)]
    return OutboxRecord(record.topic, b"", None, headers)


class Publisher:
    """The worker's producer.

    Not idempotent in Kafka's sense, which the embedded broker does not know: a record can appear
    twice after a failure, under the same id and with the same bytes.

    Args:
        options: of an aiokafka client (`infra.kafka.options.client_options`).
        topic_prefix: in front of every topic's name.
        producer: makes the client, from its options.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        topic_prefix: str,
        producer: Callable[..., Any] = AIOKafkaProducer,
    ) -> None:
        self._prefix = topic_prefix
        self._producer = producer(
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
        refused: list[OutboxRecord] = []
        sent: list[tuple[OutboxRecord, asyncio.Future[object]]] = []
        for record in map(_fitting, outgoing):
            try:
                sent.append((record, await self._send(record)))
            except _REFUSALS:  # the client's own limits
                refused.append(record)
        await self._producer.flush()
        outcomes = await asyncio.gather(*(one for _, one in sent), return_exceptions=True)
        for (record, _), outcome in zip(sent, outcomes, strict=True):
            if isinstance(outcome, _REFUSALS) and record.topic in _SIDE_EXITS:
                refused.append(record)  # or another one of its batch
            elif isinstance(outcome, BaseException):
                raise outcome
        for record in refused:
            await self._send_refused(record)

    async def _send_refused(self, record: OutboxRecord) -> None:
        """Write a refused record alone, then its reason alone; after that it is only in our log.

        Raises:
            KafkaError: it is no copy of a bad record, but Tidegate's own.
        """
        for attempt in (record, _bare(record)):
            try:
                await (await self._send(attempt))
                return
            except _REFUSALS as error:
                is_last = attempt is not record and isinstance(error, _FINAL)
                if record.topic not in _SIDE_EXITS or not (attempt is record or is_last):
                    raise
                reason = error
        _log.error("%s: Kafka refuses a copy for ever (%s): left out", record.topic, reason)

    async def _send(self, record: OutboxRecord) -> "asyncio.Future[object]":
        value, headers = sendable(record.key, record.value, record.headers)
        accepted: asyncio.Future[object] = await self._producer.send(
            self._prefix + record.topic, value=value, key=record.key, headers=headers
        )
        return accepted

    async def write_heartbeats(self, targets: Sequence[tuple[str, int]], now_ms: int) -> int | None:
        """Write a heartbeat to each (topic, partition); return the broker's time, if any."""
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
        taken = await asyncio.gather(*sent)
        times = [one.timestamp for one in taken if one.timestamp_type == _LOG_APPEND_TIME]
        return min(times, default=None)
