"""The audit log in Kafka: followed by every worker, written by workers, the API and commands."""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from infra.control.entries import AnyEntry, AuditState, Entry, OrderAnswered, response_of, sealed
from infra.kafka.options import client_options
from infra.kafka.topic_reader import close_consumer, log_ends, read_topics
from infra.settings import Settings
from streams.contracts.events import Response
from streams.contracts.topics import ORDER_RESPONSES, audit_topic
from streams.handover.rules import Controls
from streams.timestamps import rfc3339

_PARTITION = 0  # the only one, also where somebody made the topic with more
_POLL_MS = 200
_LOOKS_WHILE_KNOWN = 5
_RETRY_S = 1.0
_STALLED_S = 10.0  # without a record or the end: this reader hangs
_QUEUED_AT_MOST = 10_000
_log = logging.getLogger("tidegate.control")

_Queued = tuple[Entry, "asyncio.Future[None] | None"]  # what is to be written, and who waits for it


def make_producer(options: Mapping[str, Any]) -> AIOKafkaProducer:
    """Return a producer of entries, not started."""
    return AIOKafkaProducer(**options, acks="all", enable_idempotence=False)


def make_consumer(options: Mapping[str, Any]) -> AIOKafkaConsumer:
    """Return a consumer of entries that is in no group, not started."""
    return AIOKafkaConsumer(
        **options,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_wait_ms=100,
    )


class ControlLog:
    """Follows the audit log from its first entry on, and appends to it.

    Args:
        options: of an aiokafka client (`infra.kafka.options.client_options`).
        topic_prefix: in front of the topic's name.
        clock: wall-clock seconds.
        known_for_s: without a look at the log's end; then it is not known whether somebody paused.
        producer, consumer: make the clients, from their options.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        topic_prefix: str = "",
        clock: Callable[[], float] = time.time,
        *,
        known_for_s: float = 10.0,
        producer: Callable[[Mapping[str, Any]], Any] = make_producer,
        consumer: Callable[[Mapping[str, Any]], Any] = make_consumer,
    ) -> None:
        self._options = options
        self._topic_prefix = topic_prefix
        self._topic = audit_topic(topic_prefix)
        self._clock = clock
        self._loop_time = asyncio.get_running_loop().time
        self._known_for_s = known_for_s
        self._look_every_s = known_for_s / _LOOKS_WHILE_KNOWN
        self._producer = producer(options)
        self._make_consumer = consumer
        self._tasks: list[asyncio.Task[None]] = []
        self._queue: asyncio.Queue[_Queued] = asyncio.Queue(_QUEUED_AT_MOST)
        self._end_seen_at = -math.inf
        self._controls = Controls(is_known=False)
        self.state = AuditState()
        self.sending: set[str] = set()  # entries whose events are on their way

    async def start(self) -> None:
        """Connect and begin to follow."""
        await self._producer.start()
        self._tasks = [
            asyncio.create_task(self._follow_forever(), name="control-log"),
            asyncio.create_task(self._write_queued(), name="control-log-writer"),
        ]

    async def stop(self) -> None:
        """Write what is queued, as far as Kafka takes it at once, and disconnect."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                await self._queue.join()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._producer.stop()

    def controls(self) -> Controls:
        """What people have ordered; the same object as long as nothing changed."""
        is_known = self._loop_time() - self._end_seen_at < self._known_for_s
        now = self.state.controls(is_known=is_known)
        if now != self._controls:
            self._controls = now
        return self._controls

    async def append(self, entry: Entry) -> AnyEntry:
        """Write an entry; return it as it lies in the log, once Kafka has it.

        Raises:
            KafkaError: it is not there, or not known to be.
        """
        written = sealed(entry, self.state.heads, rfc3339(int(self._clock() * 1000)))
        await self._producer.send_and_wait(
            self._topic, msgspec.json.encode(written), partition=_PARTITION
        )
        # In force at once: the follower will read it again, and know it.
        self.state.take(msgspec.json.encode(written), "an entry of this process")
        return written  # type: ignore[return-value]  # every entry is one of the kinds

    async def answer(self, entry: OrderAnswered) -> OrderAnswered:
        """Write a person's word about an order here and to `order-responses`; return the entry.

        Raises:
            KafkaError: it is not there, or only here: then its event is sent later, by
                `infra.control.responses`.
        """
        written = await self.append(entry)
        assert isinstance(written, OrderAnswered)
        self.sending.add(written.entry_id)
        try:
            await self.send_response(response_of(written))
        finally:
            self.sending.discard(written.entry_id)
        return written

    async def send_response(self, event: Response) -> None:
        """Write an event to `order-responses`.

        Raises:
            KafkaError: it is not there, or not known to be.
        """
        await _send_response(self._producer, self._topic_prefix, event)

    def note(self, entry: Entry) -> None:
        """Write an entry soon; what Kafka does not take for long is lost to the log, and said."""
        try:
            self._queue.put_nowait((entry, None))
        except asyncio.QueueFull:
            _log.error("the audit log cannot be written for long: left out %s", entry)

    async def write(self, entry: Entry) -> None:
        """Write an entry behind those that were noted; return once Kafka has it."""
        written = asyncio.get_running_loop().create_future()
        await self._queue.put((entry, written))
        await written

    async def _write_queued(self) -> None:
        while True:
            entry, written = await self._queue.get()
            while True:
                try:
                    await self.append(entry)
                    break
                except KafkaError as error:
                    _log.warning("audit log: %s; trying again", error)
                    await asyncio.sleep(_RETRY_S)
            self._queue.task_done()
            if written is not None and not written.done():  # else nobody waits any more
                written.set_result(None)

    async def _follow_forever(self) -> None:
        while True:
            try:
                await self._follow()
            except (KafkaError, OSError, TimeoutError) as error:
                _log.warning("audit log: %r; reading it again", error)
            except Exception:  # while nobody follows, every order waits
                _log.exception("audit log: reading it again")
            await asyncio.sleep(_RETRY_S)

    async def _follow(self) -> None:
        """Read from the beginning on, until something fails or nothing comes any more."""
        place = TopicPartition(self._topic, _PARTITION)
        consumer = self._make_consumer(self._options)
        try:
            async with asyncio.timeout(_STALLED_S) as patience:
                await consumer.start()
                consumer.assign([place])
                end = (await log_ends(consumer, [place]))[place]
                await consumer.seek_to_beginning(place)
                looked_at = -math.inf
                while True:
                    came = await self._take_more(consumer, place)
                    if self._loop_time() - looked_at > self._look_every_s:
                        looked_at = self._loop_time()
                        end = max(end, (await consumer.end_offsets([place]))[place])
                    if is_at_end := await consumer.position(place) >= end:
                        self._end_seen_at = looked_at
                    if came or is_at_end:
                        patience.reschedule(self._loop_time() + _STALLED_S)
        finally:
            await close_consumer(consumer)

    async def _take_more(self, consumer: AIOKafkaConsumer, place: TopicPartition) -> int:
        """Take in what has come; return how many entries that was."""
        came = 0
        for records in (await consumer.getmany(place, timeout_ms=_POLL_MS)).values():
            for record in records:
                self.state.take(record.value, f"{self._topic}/0/{record.offset}")
            came += len(records)
        return came


async def read_audit(settings: Settings) -> tuple[AuditState, list[AnyEntry]]:
    """Read the whole log once; return its fold, with the faults found, and its entries in order.

    Raises:
        TopicReadError: the topic is not there.
    """
    state = AuditState()
    entries = []
    async for record in read_topics(settings, [audit_topic(settings.topic_prefix)]):
        place = f"{record.topic}/{record.partition}/{record.offset}"
        if (entry := state.take(record.value, place)) is not None:
            entries.append(entry)
    return state, entries


async def append_once(settings: Settings, make: Callable[[AuditState], Entry]) -> AnyEntry:
    """Read the log, append one entry and return it, once Kafka has it.

    A person's word about an order goes to `order-responses` too.

    Args:
        settings: where the log is.
        make: the entry, from what the log says.
    """
    (entry,) = await append_each(settings, lambda state: [make(state)])
    return entry


async def append_each(
    settings: Settings, make: Callable[[AuditState], Sequence[Entry]]
) -> list[AnyEntry]:
    """Read the log, append entries one after the other and return them, once Kafka has them.

    A person's words about orders go to `order-responses` too, each right after its entry.

    Args:
        settings: where the log is.
        make: the entries, from what the log says.
    """
    state, _ = await read_audit(settings)
    wanted = make(state)
    if not wanted:
        return []
    written: list[AnyEntry] = []
    producer = make_producer(client_options(settings))
    await producer.start()
    try:
        for one in wanted:
            entry = sealed(one, state.heads, rfc3339(int(time.time() * 1000)))
            value = msgspec.json.encode(entry)
            await producer.send_and_wait(
                audit_topic(settings.topic_prefix), value, partition=_PARTITION
            )
            if isinstance(entry, OrderAnswered):
                await _send_response(producer, settings.topic_prefix, response_of(entry))
            state.take(value, "an entry of this process")
            written.append(entry)  # type: ignore[arg-type]  # every entry is one of the kinds
    finally:
        await producer.stop()
    return written


async def _send_response(producer: AIOKafkaProducer, topic_prefix: str, event: Response) -> None:
    await producer.send_and_wait(
        topic_prefix + ORDER_RESPONSES, msgspec.json.encode(event), key=event.sku.encode()
    )
