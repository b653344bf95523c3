"""The topics into the outbox: each record once, whatever is killed, and nothing of before."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from infra.deliver.destinations import Destination
from infra.deliver.messages import Message, Said, proposed, said
from infra.deliver.outbox import Outbox, Route
from infra.kafka.topic_reader import log_ends, open_consumer, partition_counts
from infra.settings import Settings
from streams.contracts.topics import ORDER_RESPONSES, PURCHASE_ORDERS
from streams.timestamps import BAD_TIMESTAMP, DAY_MS, one_time

TOPICS = (PURCHASE_ORDERS, ORDER_RESPONSES)
_POLL_MS = 500
_RETRY_S = 2.0
_log = logging.getLogger("tidegate.deliver")


class IntakeError(RuntimeError):
    """The topics are not those that were read before, or not there."""


def routes(message: Message, destinations: Mapping[str, Destination], now_ms: int) -> list[Route]:
    """Return where a message goes, and why it is skipped there."""
    found = []
    for name, one in destinations.items():
        if one.suppliers and message.supplier not in one.suppliers:
            continue
        decided_ms = one_time(message.decided_at)
        oldest_ms = now_ms - one.at_most_days_old * DAY_MS
        is_old = decided_ms == BAD_TIMESTAMP or decided_ms < oldest_ms
        rule = f"decided more than {one.at_most_days_old:g} days ago: history is not sent"
        found.append(Route(name, rule if is_old else "", one.gather_seconds > 0))
    return found


def take_record(
    outbox: Outbox,
    destinations: Mapping[str, Destination],
    topic: str,
    place: tuple[str, int, int],
    value: bytes | None,
    now_s: float,
) -> None:
    """Take one record in; one that is no order and no word moves the place alone.

    Args:
        outbox: where to.
        destinations: by name.
        topic: without prefix.
        place: topic with prefix, partition, offset.
        value: of the record.
        now_s: wall clock.
    """
    came: Message | Said | None = None
    if topic == PURCHASE_ORDERS and value is not None:
        try:
            came = proposed(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            _log.error("%s/%d/%d is no purchase order: %s", *place, error)
    elif value is not None:
        came = said(value)
    about = came if isinstance(came, Message) else None
    if isinstance(came, Said):
        about = outbox.known(came.po_id)
    goes = [] if about is None else routes(about, destinations, int(now_s * 1000))
    outbox.take(place, came, goes, now_s)


class Intake:
    """Follows the topics.

    Args:
        settings: where Kafka is.
        outbox: where to.
        destinations: by name.
        is_from_beginning: whether the first start reads what is there already; else only what
            comes from then on is sent.
        clock: wall-clock seconds.
    """

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        destinations: Mapping[str, Destination],
        *,
        is_from_beginning: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._outbox = outbox
        self._destinations = destinations
        self._is_from_beginning = is_from_beginning
        self._clock = clock

    async def run(self) -> None:
        """Follow for ever; while Kafka does not answer, what is in the outbox is sent on.

        Raises:
            IntakeError: the topics are not those that were read before, or not there.
        """
        while True:
            try:
                await self._follow()
            except (KafkaError, OSError, TimeoutError) as error:
                _log.warning("reading the topics: %r; trying again", error)
            await asyncio.sleep(_RETRY_S)

    async def _follow(self) -> None:
        places = await self._places()
        async with open_consumer(self._settings, list(places)) as consumer:
            await self._seek(consumer, list(places))
            while True:
                found = await consumer.getmany(*places, timeout_ms=_POLL_MS)
                for place, records in found.items():
                    for record in records:
                        at = (place.topic, place.partition, record.offset)
                        take_record(
                            self._outbox,
                            self._destinations,
                            places[place],
                            at,
                            record.value,
                            self._clock(),
                        )
                    await asyncio.sleep(0)

    async def _places(self) -> dict[TopicPartition, str]:
        counts = await partition_counts(self._settings)
        places: dict[TopicPartition, str] = {}
        for topic in TOPICS:
            name = self._settings.topic_prefix + topic
            if not counts.get(name):
                raise IntakeError(f"topic {name!r} is not there; a worker makes the topics")
            places |= {TopicPartition(name, number): topic for number in range(counts[name])}
        return places

    async def _seek(self, consumer: AIOKafkaConsumer, places: list[TopicPartition]) -> None:
        begins = await consumer.beginning_offsets(places)
        ends = await log_ends(consumer, places)
        starts = begins if self._is_from_beginning else ends
        self._outbox.begin_at({(place.topic, place.partition): starts[place] for place in places})
        stored = self._outbox.places()
        for place in places:
            at = stored[place.topic, place.partition]
            if at > ends[place]:
                rule = f"at most {ends[place]}, where {place.topic}/{place.partition} ends"
                raise IntakeError(
                    f"the next offset must be {rule}, got {at}: the topic was made anew or cut; "
                    "name another folder with --outbox to begin with what comes from now on"
                )
            if at < begins[place]:
                _log.error(
                    "%s/%d: records %d to %d were deleted before they were read",
                    *(place.topic, place.partition, at, begins[place] - 1),
                )
            consumer.seek(place, max(at, begins[place]))
