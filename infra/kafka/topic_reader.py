"""Reading topics for people: from the beginning to where they ended when the reading began.

Delivery is at least once, so a record may lie there twice under the same id: `Ledger` keeps one.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from infra.kafka.options import clear_errors, client_options
from infra.settings import Settings
from streams.contracts.outgoing import Header
from streams.ingest.record_batches import read_any_header_name

_FETCH_BYTES = 4_194_304
_POLL_MS = 1_000
_END_POLL_MS = 100
_END_POLLS = 20
_CLOSING_SECONDS = 5.0
_STALLED_POLLS = 30  # a broker that names an end and never gives the records up to it


class TopicReadError(RuntimeError):
    """A topic cannot be read."""


@dataclass(frozen=True, slots=True)
class TopicRecord:
    """One record, as it lies in its topic."""

    topic: str  # with prefix
    partition: int
    offset: int
    written_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]

    def header(self, name: str) -> bytes | None:
        """The last header of that name, whoever added one later knew better; None also for null."""
        found = [value for header, value in self.headers if header == name]
        return found[-1] if found else None


async def partition_counts(settings: Settings) -> dict[str, int]:
    """Return how many partitions each topic of the broker has.

    All topics are asked for, not ours by name: some brokers create what they are asked for.
    """
    client = AIOKafkaAdminClient(**client_options(settings))
    try:
        with clear_errors(settings):
            await client.start()
            described = await client.describe_topics()
        return {topic["topic"]: len(topic["partitions"]) for topic in described}
    finally:
        await client.close()


async def read_topics(settings: Settings, topics: Iterable[str]) -> AsyncIterator[TopicRecord]:
    """Yield what the topics held when the reading began, partition by partition in order.

    Args:
        settings: where the broker is.
        topics: names with prefix.

    Raises:
        TopicReadError: a topic is not there, or the broker does not give what it has.
    """
    counts = await partition_counts(settings)
    places = []
    for topic in topics:
        if not counts.get(topic):
            raise TopicReadError(f"topic {topic!r} is not there; a worker makes the topics")
        places += [TopicPartition(topic, partition) for partition in range(counts[topic])]
    if not places:
        return
    async with open_consumer(settings, places) as consumer:
        begins = await consumer.beginning_offsets(places)
        ends = await log_ends(consumer, places)
        async for record in read_between(consumer, begins, ends):
            yield record


async def read_one(
    settings: Settings, topic: str, partition: int, offset: int
) -> TopicRecord | None:
    """Return the record at one place; None means nothing is there.

    Raises:
        TopicReadError: there is no such topic or partition.
    """
    count = (await partition_counts(settings)).get(topic, 0)
    if not count:
        raise TopicReadError(f"topic {topic!r} is not there")
    if not 0 <= partition < count:
        rule = f"from 0 to {count - 1}"
        raise TopicReadError(f"partition of {topic!r} must be {rule}, got {partition}")
    place = TopicPartition(topic, partition)
    async with open_consumer(settings, [place]) as consumer:
        begins = await consumer.beginning_offsets([place])
        ends = await log_ends(consumer, [place])
        if not begins[place] <= offset < ends[place]:
            return None
        async for record in read_between(consumer, {place: offset}, {place: offset + 1}):
            if record.offset == offset:
                return record
    return None


@asynccontextmanager
async def open_consumer(
    settings: Settings,
    places: Sequence[TopicPartition],
    *,
    isolation_level: str = "read_committed",
) -> AsyncIterator[AIOKafkaConsumer]:
    """Connect a consumer of its own: it is in no group and commits nothing."""
    read_any_header_name()
    consumer = AIOKafkaConsumer(
        **client_options(settings),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level=isolation_level,
        max_partition_fetch_bytes=_FETCH_BYTES,
        fetch_max_wait_ms=100,
    )
    try:
        await consumer.start()
        consumer.assign(places)
        yield consumer
    finally:
        await close_consumer(consumer)


async def close_consumer(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer, whatever state it is in.

    While the broker is away, aiokafka's own `stop` cancels a fetch that waits to be tried again and
    lets that cancellation out: it would end the task that closes, and leave connections open.
    """
    closing = asyncio.create_task(consumer.stop())
    await asyncio.wait([closing], timeout=_CLOSING_SECONDS)
    closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)
    await consumer._client.close()


async def log_ends(
    consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]
) -> dict[TopicPartition, int]:
    """Return where the logs end; the consumer's positions are moved.

    That is before the first open transaction. The high watermark of a fetch is what counts. The
    embedded broker, asked for the latest offset, names the one after the first record of the last
    batch.
    """
    ends: dict[TopicPartition, int] = dict(await consumer.end_offsets(places))
    unsure = {place for place, end in ends.items() if end > 0}
    for place in unsure:
        consumer.seek(place, ends[place] - 1)
    for _ in range(_END_POLLS):
        if not unsure:
            break
        await consumer.getmany(*unsure, timeout_ms=_END_POLL_MS)
        for place in list(unsure):
            mark = _stable_end(consumer, place)
            if mark is not None:
                ends[place] = max(ends[place], mark)
                unsure.discard(place)
    return ends


def _stable_end(consumer: AIOKafkaConsumer, place: TopicPartition) -> int | None:
    stable: int | None = consumer.last_stable_offset(place)
    end: int | None = consumer.highwater(place)
    return end if stable is None or stable < 0 else stable


async def held_back(settings: Settings, topics: Iterable[str]) -> dict[TopicPartition, int]:
    """Return how many records lie behind an open transaction, for each partition with one.

    Args:
        settings: where the broker is.
        topics: names with prefix.

    Raises:
        KafkaError: no broker answers.
    """
    counts = await partition_counts(settings)
    places = [TopicPartition(name, p) for name in topics for p in range(counts.get(name, 0))]
    if not places:
        return {}
    async with open_consumer(settings, places, isolation_level="read_uncommitted") as consumer:
        ends = await consumer.end_offsets(places)
    async with open_consumer(settings, places) as consumer:  # later: what comes meanwhile is stable
        stable = await consumer.end_offsets(places)
    return {place: ends[place] - stable[place] for place in places if ends[place] > stable[place]}


async def read_between(
    consumer: AIOKafkaConsumer,
    begins: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
) -> AsyncIterator[TopicRecord]:
    """Yield the records from some offsets up to others, batch by batch.

    Args:
        consumer: to which the places are assigned.
        begins: the first offset of each place.
        ends: the offset after the last one.

    Raises:
        TopicReadError: the broker does not give what it has.
    """
    left = {place for place in begins if begins[place] < ends[place]}
    consumer.pause(*(set(begins) - left))
    for place in left:
        consumer.seek(place, begins[place])
    stalled = 0
    while left:
        batches = await consumer.getmany(*left, timeout_ms=_POLL_MS)
        stalled = 0 if batches else stalled + 1
        if stalled > _STALLED_POLLS:
            names = ", ".join(f"{place.topic}/{place.partition}" for place in sorted(left))
            raise TopicReadError(f"the broker gives no more records of {names}")
        for place, records in batches.items():
            for record in records:
                if record.offset < ends[place]:
                    yield TopicRecord(
                        record.topic,
                        record.partition,
                        record.offset,
                        record.timestamp,
                        record.key,
                        record.value,
                        record.headers,
                    )
        # The position, not the last record: the end may be a marker that no consumer sees.
        done = [place for place in left if await consumer.position(place) >= ends[place]]
        left.difference_update(done)
        if done and left:
            consumer.pause(*done)


# --- records under an id ----------------------------------------------------------------------


class _OrderId(msgspec.Struct):
    po_id: str
    decided_at: str
    version: int


class _AlertId(msgspec.Struct):
    incident_id: str
    occurred_at: str
    version: int


_order_decoder = msgspec.json.Decoder(_OrderId)
_alert_decoder = msgspec.json.Decoder(_AlertId)


class Ledger:
    """Collects records of one topic, one under each id.

    Args:
        kind: "orders" or "alerts": which id its records have.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._values: dict[tuple[str, int], tuple[str, bytes]] = {}
        self.strangers = 0  # records that are none of Tidegate's

    def add(self, value: bytes | None) -> None:
        """Take a record in, unless its id is known already.

        >>> ledger = Ledger("orders")
        >>> ledger.add(b'{"po_id":"po-1","decided_at":"2026-01-01T00:00:00Z","version":1}')
        >>> ledger.add(b'{"po_id":"po-1","decided_at":"2026-01-01T00:00:00Z","version":1}')
        >>> len(ledger.in_order())
        1
        """
        try:
            if self._kind == "orders":
                order = _order_decoder.decode(value or b"")
                identity, when = (order.po_id, order.version), order.decided_at
            else:
                alert = _alert_decoder.decode(value or b"")
                identity, when = (alert.incident_id, alert.version), alert.occurred_at
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.strangers += 1
            return
        self._values.setdefault(identity, (when, value or b""))

    def in_order(self) -> list[bytes]:
        """Return the records by time, id and version."""
        entries = [(when, *identity, value) for identity, (when, value) in self._values.items()]
        return [value for _, _, _, value in sorted(entries)]
