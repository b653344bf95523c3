"""The audit log without Kafka: the real entries and the real fold, in memory."""

import asyncio
from collections.abc import Callable

import msgspec
from aiokafka.errors import KafkaConnectionError

from infra.control.entries import AnyEntry, AuditState, Entry, OrderAnswered, response_of, sealed
from streams.contracts.events import Response
from streams.handover.rules import Controls
from streams.timestamps import rfc3339

NEW_YEAR_2026 = 1_767_225_600.0


class MemoryLog:
    """What every worker follows.

    Args:
        clock: wall-clock seconds.
    """

    def __init__(self, clock: Callable[[], float] = lambda: NEW_YEAR_2026) -> None:
        self._clock = clock
        self.state = AuditState()
        self.is_away = False
        self.on_their_way: list[Entry] = []
        self.entries: list[AnyEntry] = []
        self.responses: list[Response] = []

    def controls(self) -> Controls:
        """What people have ordered."""
        return self.state.controls()

    def note(self, entry: Entry) -> None:
        """Write an entry; one that Kafka does not take is on its way for as long as that lasts."""
        if self.is_away:
            self.on_their_way.append(entry)
        else:
            self._take(entry)

    async def write(self, entry: Entry) -> None:
        """Write an entry, or wait for ever while Kafka is away."""
        if self.is_away:
            await asyncio.Event().wait()
        self._take(entry)

    async def append(self, entry: Entry) -> AnyEntry:
        """Write an entry, if Kafka is there."""
        if self.is_away:
            raise KafkaConnectionError("no broker")
        return self._take(entry)

    async def answer(self, entry: OrderAnswered) -> OrderAnswered:
        """Write a person's word about an order, and keep its event."""
        written = await self.append(entry)
        assert isinstance(written, OrderAnswered)
        self.responses.append(response_of(written))
        return written

    def _take(self, entry: Entry) -> AnyEntry:
        written = sealed(entry, self.state.heads, rfc3339(int(self._clock() * 1000)))
        found = self.state.take(msgspec.json.encode(written), "here")
        assert found is not None
        self.entries.append(found)
        return found
