"""The audit log without Kafka: the real entries and the real fold, in memory."""

from collections.abc import Callable

import msgspec
from aiokafka.errors import KafkaConnectionError

from infra.audit import AnyEntry, AuditState, Entry, sealed
from streams.handover import Controls
from streams.outputs import rfc3339

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

    def controls(self) -> Controls:
        """What people have ordered."""
        return self.state.controls()

    async def append(self, entry: Entry) -> AnyEntry:
        """Write an entry, if Kafka is there."""
        if self.is_away:
            raise KafkaConnectionError("no broker")
        written = sealed(entry, self.state.heads, rfc3339(int(self._clock() * 1000)))
        found = self.state.take(msgspec.json.encode(written), "here")
        assert found is not None
        return found
