"""What a worker needs from outside: the store, the topics it writes to, and who takes notes.

`infra` fits the real parts to these; `streams` never sees Redis, Kafka's producer or Prometheus.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from streams.contracts.outgoing import Outgoing, Terms
from streams.handover.rules import HoldReason
from streams.state.commit import Commit, StoredShard


class Claim(Protocol):
    """The right to commit a shard."""

    partition: int
    epoch: int
    sequence: int
    offsets: str
    writer: str  # the claim under which the newest commit came


class Store(Protocol):
    """Where shards are kept. `commit` may raise `OSError` or the store's own error when away."""

    async def claim(self, partition: int, generation: int) -> Any:
        """Take a shard over."""

    async def load(self, claim: Any) -> StoredShard | None:
        """Return what is stored."""

    def resume(self, claim: Any, before: Any) -> None:
        """Go on under a new claim with a shard that was kept since an older one."""

    async def commit(self, claim: Any, commit: Commit) -> str:
        """Store, and say "stored" or "fenced"."""

    async def ping(self) -> None:
        """Return if the store answers."""

    async def stands(self, claim: Any) -> bool:
        """Return whether the store stands where the claim does, and nobody else took the shard."""


Publish = Callable[[Sequence[Outgoing]], Awaitable[None]]
"""Writes records to Kafka and returns when all of them are there (acks=all)."""

Beat = Callable[[Sequence[tuple[str, int]], int], Awaitable[None]]
"""Writes a heartbeat of a time to each (topic, partition)."""


class Observer(Protocol):
    """Takes measurements; see `infra.metrics.worker`."""

    def committed(self, seconds: float, visible_seconds: float) -> None:
        """A commit took so long; its newest record became visible so long after it was written."""

    def failed(self, what: str) -> None:
        """Something outside failed and is tried again."""


class Recorder(Protocol):
    """Takes what has to be known later about the hand-over; see `infra.control.recorder`."""

    def gate_moved(self, partition: int, reasons: Sequence[HoldReason]) -> None:
        """A partition is held, or, without a reason, is not any more."""

    def order_waits(self, terms: Terms, reason: HoldReason) -> None:
        """An order waits for a person's word."""

    async def orders_left(self, orders: Sequence[Terms]) -> None:
        """Orders were handed over, or will never be; only when this returns they are forgotten.

        Raises:
            OSError: it could not be written down; the same is said again.
        """


class NoRecorder:
    """Takes nothing down."""

    def gate_moved(self, partition: int, reasons: Sequence[HoldReason]) -> None:
        """Forget it."""

    def order_waits(self, terms: Terms, reason: HoldReason) -> None:
        """Forget it."""

    async def orders_left(self, orders: Sequence[Terms]) -> None:
        """Forget it."""
