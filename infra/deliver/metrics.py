"""The outbox as Prometheus sees it: what waits, for how long, and which destinations are dead."""

import asyncio
import time
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Gauge

from infra.deliver.outbox import Outbox, State

_EVERY_S = 2.0


class OutboxMetrics:
    """Figures of an outbox, by destination and state: as many series as the file has rows.

    Args:
        outbox: read by the process that sends.
        destinations: their names; each is shown at 0, too.
        registry: where the figures go.
        clock: wall-clock seconds.
    """

    def __init__(
        self,
        outbox: Outbox,
        destinations: Iterable[str],
        registry: CollectorRegistry,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._outbox = outbox
        self._destinations = list(destinations)
        self._clock = clock
        self._messages = Gauge(
            "tidegate_delivery_messages",
            "Messages of the outbox, by destination and state.",
            ["destination", "state"],
            registry=registry,
        )
        self._oldest = Gauge(
            "tidegate_delivery_oldest_seconds",
            "Age of the oldest message that is not delivered, refused or skipped; 0: none.",
            ["destination"],
            registry=registry,
        )
        self._dead = Gauge(
            "tidegate_delivery_dead",
            "1 where nothing is sent to a destination until a person says so.",
            ["destination"],
            registry=registry,
        )
        self.look()

    async def run(self) -> None:
        """Look every two seconds, for ever."""
        while True:
            self.look()
            await asyncio.sleep(_EVERY_S)

    def look(self) -> None:
        """Read the outbox."""
        counts, oldest = self._outbox.counts(), self._outbox.oldest_open()
        dead = {one.name for one in self._outbox.stopped()}
        now_s = self._clock()
        for name in self._destinations:
            for state in State:
                self._messages.labels(name, str(state)).set(counts.get((name, str(state)), 0))
            age_s = max(now_s - oldest[name], 0.0) if name in oldest else 0.0
            self._oldest.labels(name).set(age_s)
            self._dead.labels(name).set(name in dead)
