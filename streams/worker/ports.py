"""What a worker needs from outside: the store, the topics it writes to, and who takes notes.

`infra` fits the real parts to these; `streams` never sees Redis, Kafka's producer or Prometheus.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from streams.contracts.outgoing import OrderSummary, OutboxRecord
from streams.handover.rules import HoldReason
from streams.state.commit import Commit, StoredShard


class Lease(Protocol):
    """The right to commit a shard."""

    partition: int
    epoch: int
    sequence: int
    offsets: str
    writer: str  # the lease under which the newest commit came


class Store(Protocol):
    """Where shards are kept. `commit` may raise `OSError` or the store's own error when away."""

    async def acquire(self, partition: int, generation: int) -> Any:
        """Take a shard over."""

    async def load(self, lease: Any) -> StoredShard | None:
        """Return what is stored."""

    def resume(self, lease: Any, before: Any) -> None:
        """Go on under a new lease with a shard that was kept since an older one."""

    async def commit(self, lease: Any, commit: Commit) -> str:
        """Store, and say "stored" or "fenced"."""

    async def ping(self) -> None:
        """Return if the store answers."""

    async def is_current(self, lease: Any) -> bool:
        """Return whether the store stands where the lease does, and nobody else took the shard."""


Publish = Callable[[Sequence[OutboxRecord]], Awaitable[None]]
"""Writes records to Kafka and returns when all of them are there (acks=all)."""

WriteHeartbeats = Callable[[Sequence[tuple[str, int]], int], Awaitable[int | None]]
"""Writes a heartbeat of a time to each (topic, partition).

Returns the broker's own time of one, in milliseconds; None means that it gives none."""


class Observer(Protocol):
    """Takes measurements; see `infra.metrics.worker`."""

    def committed(self, seconds: float, visible_seconds: float) -> None:
        """A commit took so long; its newest record became visible so long after it was written."""

    def counted(self, added: Mapping[str, int]) -> None:
        """A commit added so much to the totals of its shard, by the names of `Shard.counted`."""

    def failed(self, what: str) -> None:
        """Something outside failed and is tried again."""


class Recorder(Protocol):
    """Takes what has to be known later about the hand-over; see `infra.control.recorder`."""

    def gate_moved(self, partition: int, reasons: Sequence[HoldReason]) -> None:
        """A partition is held, or, without a reason, is not any more."""

    def order_waits(self, summary: OrderSummary, reason: HoldReason) -> None:
        """An order waits for a person's word."""

    async def orders_left(self, orders: Sequence[OrderSummary]) -> None:
        """Orders were handed over, or will never be; only when this returns they are forgotten.

        Raises:
            OSError: it could not be written down; the same is said again.
        """


class NoRecorder:
    """Takes nothing down."""

    def gate_moved(self, partition: int, reasons: Sequence[HoldReason]) -> None:
        """Forget it."""

    def order_waits(self, summary: OrderSummary, reason: HoldReason) -> None:
        """Forget it."""

    async def orders_left(self, orders: Sequence[OrderSummary]) -> None:
        """Forget it."""
