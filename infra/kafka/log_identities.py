"""Which topics the broker has, by their ids: aiokafka itself asks in a version without ids."""

import asyncio
from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any, ClassVar
from uuid import UUID

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from streams.shard.logs import LogIdentity

_NO_ERROR = 0


class _Uuid:
    """16 bytes."""

    @classmethod
    def encode(cls, value: UUID) -> bytes:
        """Return them."""
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        """Read them."""
        return UUID(bytes=data.read(16))

    @classmethod
    def repr(cls, value: UUID) -> str:
        """As text."""
        return str(value)


_TEXT = CompactString("utf-8")
_NODES = CompactArray(Int32)


class _MetadataResponse(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", _TEXT),
                ("port", Int32),
                ("rack", _TEXT),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", _TEXT),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", _NODES),
                        ("isr", _NODES),
                        ("offline_replicas", _NODES),
                        ("tags", TaggedFields),
                    ),
                ),
                ("topic_authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _MetadataRequestV10(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", _Uuid), ("name", _TEXT), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _MetadataRequest(Request[_MetadataRequestV10]):  # type: ignore[misc]
    API_KEY: ClassVar[int] = 3

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics = list(topics)

    def build(self, request_struct_class: type[_MetadataRequestV10]) -> _MetadataRequestV10:
        """Return it for a broker that takes this version."""
        topics: list[Any] = [(UUID(int=0), name, {}) for name in self._topics]
        return request_struct_class(topics, False, False, False, {})


async def read_identities(
    client: AIOKafkaAdminClient, topics: Iterable[str]
) -> Mapping[str, LogIdentity]:
    """Return what the topics are at this moment; one that is not there is not among them.

    Args:
        client: connected.
        topics: names with prefix.

    Raises:
        KafkaError: no broker answers.
    """
    topics = list(topics)
    try:
        answer = await client._send_request(_MetadataRequest(topics))
    except NotImplementedError:  # the broker does not know this version
        return await _without_ids(client, topics)
    found = {}
    for error, name, topic_id, _, partitions, *_ in answer.topics:
        if error == _NO_ERROR and partitions:
            found[name] = LogIdentity("" if not topic_id.int else str(topic_id), len(partitions))
    return found


async def _without_ids(
    client: AIOKafkaAdminClient, topics: Iterable[str]
) -> Mapping[str, LogIdentity]:
    """All topics are asked for, not ours by name: some brokers create what they are asked for."""
    described = await client.describe_topics()
    counts = {topic["topic"]: len(topic["partitions"]) for topic in described}
    return {name: LogIdentity("", counts[name]) for name in topics if counts.get(name)}


class LogIdentities:
    """Asks for the identities of topics now and then, over one connection.

    Args:
        options: of an aiokafka client.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._client: AIOKafkaAdminClient | None = None

    async def read(self, topics: Iterable[str]) -> Mapping[str, LogIdentity]:
        """Return what the topics are at this moment; one that is not there is not among them.

        Raises:
            KafkaError: no broker answers.
        """
        if self._client is None:
            client = AIOKafkaAdminClient(**self._options)
            try:
                await client.start()
            except BaseException:
                await client.close()
                raise
            self._client = client
        try:
            return await read_identities(self._client, topics)
        except (KafkaError, OSError, asyncio.CancelledError):
            await self.stop()
            raise

    async def stop(self) -> None:
        """Disconnect."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()
