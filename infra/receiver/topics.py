"""The three topics of the receiver, and the records in them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import NewTopic

from infra.kafka.topic_admin import ensure_also
from infra.kafka.topic_reader import log_ends, read_between

RAW, STATE, REFUSED = "connect-raw", "connect-state", "connect-refused"
"""Messages as they came; what is known of each line, compacted; what was refused, and why."""

_PARTITION = 0  # one each: messages of a shop are taken in the order in which they came
_DAY_MS = 86_400_000


class Position(msgspec.Struct, frozen=True):
    """How far a log is known: the first offset that is not."""

    next_offset: int


class Standing(msgspec.Struct, kw_only=True):
    """How a source stands, for people.

    Attributes:
        kind: of the source.
        messages: that were read.
        events: that they gave.
        refused: messages of which something was refused.
        last_ms: when the newest message was written to its log; 0: none.
        last_refusal: what was wrong with the newest one that was refused.
    """

    kind: str
    messages: int = 0
    events: int = 0
    refused: int = 0
    last_ms: int = 0
    last_refusal: str = ""


def key_of(name: Sequence[str]) -> bytes:
    """Return the key of a record of the state.

    >>> key_of(["position", "connect-raw", "0"])
    b'["position","connect-raw","0"]'
    """
    return msgspec.json.encode(name)


async def ensure(
    options: Mapping[str, Any], prefix: str, raw_days: float, replication_factor: int
) -> None:
    """Make the topics that are missing.

    Raises:
        TopicError: the broker refuses one.
        aiokafka.errors.KafkaError: the broker cannot be reached.
    """
    kept = {"retention.ms": str(int(raw_days * _DAY_MS))}
    configs = {RAW: kept, REFUSED: kept, STATE: {"cleanup.policy": "compact"}}
    topics = [
        NewTopic(prefix + name, 1, replication_factor, topic_configs=config)
        for name, config in configs.items()
    ]
    await ensure_also(options, topics)


async def read_state(
    consumer: AIOKafkaConsumer, prefix: str
) -> AsyncIterator[tuple[list[str], bytes | None]]:
    """Yield all records of the state: name and value. A later one of a name counts.

    The consumer is assigned to the topic of the state alone meanwhile.
    """
    place = TopicPartition(prefix + STATE, _PARTITION)
    consumer.assign([place])
    begins = await consumer.beginning_offsets([place])
    async for record in read_between(consumer, begins, await log_ends(consumer, [place])):
        if record.key is not None:
            yield msgspec.json.decode(record.key), record.value
