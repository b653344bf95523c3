"""Sees to it that each answer of a person reaches `order-responses`, once.

An answer is written to the audit log first, then its event to `order-responses`. A process that is
killed between the two leaves the event out. The worker that owns the order's partition looks for
the event of each answer and sends what is missing. Then it notes the answer as sent, in the audit
log; until that is there, the hand-over goes by the answer.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from infra.control.entries import TIDEGATE, OrderAnswered, ResponsesSent, response_of
from infra.control.log import ControlLog
from infra.kafka.topic_reader import TopicReadError, log_ends, open_consumer, read_between
from infra.replay.log_writer import partition_for
from infra.settings import Settings
from streams.contracts.topics import ORDER_RESPONSES
from streams.timestamps import DAY_MS, one_time, rfc3339

_EVERY_S = 1.0
_AFTER_MS = 3_000  # so long its own process has to send it
_CLOCKS_APART_MS = 600_000  # of the writer and the broker, at most
_SENT_WITHIN_MS = 7 * DAY_MS  # an older answer comes too late for its order
_log = logging.getLogger("tidegate.control")


class _Event(msgspec.Struct):
    event_id: str = ""
    occurred_at: str | int = ""


_event_decoder = msgspec.json.Decoder(_Event)


class ResponseCheck:
    """Looks after the events of people's answers.

    Args:
        settings: where Kafka is.
        audit_log: is followed elsewhere.
        owned: returns the partitions that this worker owns.
        partitions: of `order-responses`.
        clock: wall-clock seconds.
    """

    def __init__(
        self,
        settings: Settings,
        audit_log: ControlLog,
        owned: Callable[[], Iterable[int]],
        partitions: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._audit_log = audit_log
        self._owned = owned
        self._partitions = partitions
        self._clock = clock
        self._topic = settings.topic_prefix + ORDER_RESPONSES

    async def run(self) -> None:
        """Look every second, for ever; while Kafka does not answer, answers stay in force."""
        while True:
            try:
                await self.look()
            except (KafkaError, TopicReadError, OSError, TimeoutError) as error:
                _log.warning("answers to orders: %r; looking again", error)
            except Exception:  # while nobody looks, answers stay in force
                _log.exception("answers to orders: looking again")
            await asyncio.sleep(_EVERY_S)

    async def look(self) -> None:
        """Send the events that are missing, and note which answers are sent.

        Raises:
            KafkaError: Kafka does not answer.
        """
        due = self._due()
        if not due:
            return
        moments = await self._find(due)
        for entry in due:
            if entry.entry_id not in moments:
                moments[entry.entry_id] = await self._send(entry)
        why = "they are in order-responses"
        await self._audit_log.append(ResponsesSent(who=TIDEGATE, why=why, moments=moments))

    def _due(self) -> list[OrderAnswered]:
        """Return the answers of owned partitions that nobody may be about to send any more."""
        unsent = list(self._audit_log.state.unsent.values())
        if not unsent:
            return []
        owned, now_ms = set(self._owned()), self._now_ms()
        return [
            entry
            for entry in unsent
            if now_ms - one_time(entry.at) >= _AFTER_MS
            and entry.entry_id not in self._audit_log.sending
            and self._partition(entry) in owned
        ]

    async def _find(self, due: Sequence[OrderAnswered]) -> dict[str, str]:
        """Return the times of the events that are there, by the ids of the entries.

        An answer that is too old, or older than what the log still has, counts as sent: its event
        may have been deleted.
        """
        oldest_ms = min(one_time(entry.at) for entry in due) - _CLOCKS_APART_MS
        wanted = {entry.entry_id for entry in due}
        places = {TopicPartition(self._topic, self._partition(entry)) for entry in due}
        found: dict[str, str] = {}
        async with open_consumer(self._settings, sorted(places)) as consumer:
            begins = await consumer.beginning_offsets(list(places))
            ends = await log_ends(consumer, sorted(places))
            starts = await _offsets_at(consumer, places, oldest_ms, ends)
            async for record in read_between(consumer, starts, ends):
                event = _decoded(record.value)
                if event.event_id in wanted:
                    found[event.event_id] = str(event.occurred_at)
        for entry in due:
            place = TopicPartition(self._topic, self._partition(entry))
            is_cut = 0 < begins[place] == starts[place]
            is_old = self._now_ms() - one_time(entry.at) > _SENT_WITHIN_MS
            if is_cut or is_old:
                found.setdefault(entry.entry_id, entry.occurred_at)
        return found

    async def _send(self, entry: OrderAnswered) -> str:
        """Send the event of an answer; return its time.

        Its answer was given at the log's time. Where that is now, it takes effect now: at the old
        time the log may have moved on, and the order would leave before.
        """
        written_ms, occurred_ms = one_time(entry.at), one_time(entry.occurred_at)
        is_live = abs(written_ms - occurred_ms) <= self._settings.live_within_seconds * 1000
        if is_live:
            occurred_at = rfc3339(self._now_ms())
            entry = msgspec.structs.replace(entry, occurred_at=occurred_at)
        _log.warning("the answer to %s was not sent to %s: sent now", entry.po_id, self._topic)
        await self._audit_log.send_response(response_of(entry))
        return entry.occurred_at

    def _partition(self, entry: OrderAnswered) -> int:
        return partition_for(entry.sku.encode("utf-8", "surrogatepass"), self._partitions)

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


async def _offsets_at(
    consumer: AIOKafkaConsumer,
    places: Iterable[TopicPartition],
    at_ms: int,
    ends: dict[TopicPartition, int],
) -> dict[TopicPartition, int]:
    """Return the first offsets of records that were written then or later; else the ends."""
    found = await consumer.offsets_for_times(dict.fromkeys(places, max(at_ms, 0)))
    return {
        place: ends[place] if one is None or one.timestamp < 0 else one.offset
        for place, one in found.items()
    }


def _decoded(value: bytes | None) -> _Event:
    try:
        return _event_decoder.decode(value or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Event()  # no event of ours
