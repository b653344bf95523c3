"""The topics that Tidegate reads and writes: their names, and creating them.

Input topics are co-partitioned: partition `p` of every one belongs to shard `p`, and the key, the
sku, decides the partition. So all of them must have the same number of partitions.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaConnectionError, for_code

from streams.contracts.topics import COMPACTED, all_topics, audit_topic, input_topics

BROKERS_TIME = {"message.timestamp.type": "LogAppendTime"}
"""A record's time is then the broker's: no producer's clock vouches for what it claims itself."""

_CREATED = 0
_TOPIC_ALREADY_EXISTS = 36
_INVALID_CONFIG = 40
_VISIBLE_TIMEOUT_SECONDS = 20.0
_log = logging.getLogger(__name__)


class TopicError(RuntimeError):
    """A topic cannot be made, or breaks a rule: the message has topic, rule and value."""

    def __init__(self, topic: str, rule: str, value: object) -> None:
        super().__init__(f"topic {topic!r} must {rule}, got {value!r}")
        self.topic = topic


async def ensure_topics(
    options: str | Mapping[str, Any],
    prefix: str,
    partitions: int,
    replication_factor: int = 1,
) -> int:
    """Create the topics that are missing and return the number of partitions of the inputs.

    Inputs that exist already decide that number; `partitions` holds when none exists. Safe to call
    again, and by several workers at once.

    Args:
        options: of an aiokafka client, or only `host:port`, several with commas between them.
        prefix: in front of every topic name.
        partitions: of each topic that is created, >= 1, when no input topic exists yet.
        replication_factor: of each topic that is created, >= 1.

    Raises:
        TopicError: the inputs differ in their number of partitions, or the broker refuses a topic.
        aiokafka.errors.KafkaError: the broker cannot be reached.
    """
    if isinstance(options, str):
        options = {"bootstrap_servers": options}
    client = AIOKafkaAdminClient(**options)
    try:
        await client.start()
        existing = await _partition_counts(client)
        count = _common_partitions(existing, prefix) or partitions
        missing = [name for name in all_topics(prefix) if name not in existing]
        if missing:
            await _create(client, missing, prefix, count, replication_factor)
            existing = await _wait_until_visible(client, missing)
        # Somebody else may have made the inputs meanwhile, in another number.
        return _common_partitions(existing, prefix) or count
    finally:
        await client.close()


async def ensure_also(options: Mapping[str, Any], topics: Iterable[NewTopic]) -> None:
    """Create those of some topics that are missing, and return when they can be seen.

    Raises:
        TopicError: the broker refuses one.
        aiokafka.errors.KafkaError: the broker cannot be reached.
    """
    client = AIOKafkaAdminClient(**options)
    try:
        await client.start()
        existing = await _partition_counts(client)
        missing = [one for one in topics if one.name not in existing]
        for name in await _create_once(client, missing):
            _log.warning("the broker does not take settings of topics: %s has its defaults", name)
            one = next(topic for topic in missing if topic.name == name)
            await _create_once(client, [NewTopic(name, one.num_partitions, one.replication_factor)])
        await _wait_until_visible(client, [one.name for one in missing])
    finally:
        await client.close()


async def _create(
    client: AIOKafkaAdminClient,
    names: Iterable[str],
    prefix: str,
    partitions: int,
    replication_factor: int,
) -> None:
    new = {name: _new_topic(name, prefix, partitions, replication_factor) for name in names}
    refused = await _create_once(client, list(new.values()))
    for topic in refused:
        _log.warning("the broker does not take settings of topics: %s has its defaults", topic)
    plain = [NewTopic(name, new[name].num_partitions, replication_factor) for name in refused]
    if left := await _create_once(client, plain):
        raise TopicError(left[0], "be accepted by the broker", "INVALID_CONFIG")


def _new_topic(name: str, prefix: str, partitions: int, replication_factor: int) -> NewTopic:
    if name == audit_topic(prefix):
        config = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
        return NewTopic(name, 1, replication_factor, topic_configs=config)
    config = {"cleanup.policy": "compact"} if name.removeprefix(prefix) in COMPACTED else {}
    if name in input_topics(prefix):
        config |= BROKERS_TIME
    return NewTopic(name, partitions, replication_factor, topic_configs=config)


async def _create_once(client: AIOKafkaAdminClient, topics: list[NewTopic]) -> list[str]:
    """Create topics; return those whose settings the broker does not know."""
    if not topics:
        return []
    refused = []
    response = await client.create_topics(topics)
    for topic, code, *message in response.topic_errors:
        if code == _INVALID_CONFIG:
            refused.append(topic)
        elif code not in (_CREATED, _TOPIC_ALREADY_EXISTS):
            reason = f"{for_code(code).__name__} {message[0] if message else ''}".strip()
            raise TopicError(topic, "be accepted by the broker", reason)
    return refused


async def _wait_until_visible(client: AIOKafkaAdminClient, names: list[str]) -> dict[str, int]:
    """A broker answers before every one of its nodes knows the new topics."""
    deadline = asyncio.get_running_loop().time() + _VISIBLE_TIMEOUT_SECONDS
    while True:
        counts = await _partition_counts(client)
        hidden = [name for name in names if not counts.get(name)]
        if not hidden:
            return counts
        if asyncio.get_running_loop().time() > deadline:
            rule = f"be visible within {_VISIBLE_TIMEOUT_SECONDS:g} s of its creation"
            raise TopicError(hidden[0], rule, "no metadata")
        await asyncio.sleep(0.05)


async def producers_times(options: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """Return the topics whose records have the time of their producer's clock.

    One whose settings the broker does not show is not among them. A broker that does not know the
    question closes the connection: it shows none.

    Args:
        options: of an aiokafka client.
        names: of topics that are there, with prefix.

    Raises:
        KafkaError: no broker answers.
    """
    ((key, wanted),) = BROKERS_TIME.items()
    asked = [ConfigResource(ConfigResourceType.TOPIC, name, {key: ""}) for name in names]
    client = AIOKafkaAdminClient(**options)
    try:
        await client.start()
        answers = await _described(client, asked)
    finally:
        await client.close()
    return sorted(
        name
        for answer in answers
        for _, _, _, name, entries in answer.resources
        if any(entry[0] == key and entry[1] != wanted for entry in entries)
    )


async def _described(client: AIOKafkaAdminClient, asked: list[ConfigResource]) -> list[Any]:
    if not asked:
        return []
    try:
        answers: list[Any] = await client.describe_configs(asked)
    except KafkaConnectionError:
        return []
    return answers


async def _partition_counts(client: AIOKafkaAdminClient) -> dict[str, int]:
    """All topics are asked for, not ours by name: some brokers create what they are asked for."""
    described = await client.describe_topics()
    return {topic["topic"]: len(topic["partitions"]) for topic in described}


def _common_partitions(counts: dict[str, int], prefix: str) -> int | None:
    """Return the number of partitions that all existing inputs have; None when there is none."""
    inputs = {name: counts[name] for name in input_topics(prefix) if counts.get(name)}
    if not inputs:
        return None
    # The odd one out is named against what most of the others have.
    numbers = list(inputs.values())
    commonest = max(numbers, key=numbers.count)
    for name, number in inputs.items():
        if number != commonest:
            raise TopicError(
                name, f"have {commonest} partitions like the other input topics", number
            )
    return commonest
