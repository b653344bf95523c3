"""Tidegate with one guard taken out; the simulation has to notice each."""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from faust.types import TP

from infra.store import RedisStore
from streams import shard
from streams.fold import NO_CLOCK
from streams.memory import KeyMemory
from streams.outbox import Outbox
from streams.pending import Pending
from streams.shard import Shard
from streams.worker import Worker
from tests.simulation.redis_server import RedisServer

Patch = pytest.MonkeyPatch


def no_fence(patch: Patch) -> None:
    """Redis takes a commit from whoever sends it, wherever it starts from."""
    patch.setattr(RedisServer, "refusal", lambda self, *_: None)


def no_epoch(patch: Patch) -> None:
    """Redis asks where a commit starts from, but not who sends it."""
    refusal = RedisServer.refusal

    def without(self: RedisServer, stored: Any, epoch: bytes, *rest: bytes) -> bytes | None:
        return refusal(self, stored, stored[0], *rest)

    patch.setattr(RedisServer, "refusal", without)


def no_past(patch: Patch) -> None:
    """Redis asks who sends a commit, but not where it starts from."""

    def without(self: RedisServer, stored: Any, epoch: bytes, *_: bytes) -> bytes | None:
        if stored[0] is None:
            return b"missing"
        return None if stored[0] == epoch else b"stale_epoch"

    patch.setattr(RedisServer, "refusal", without)


def kafka_first(patch: Patch) -> None:
    """Kafka is told what was read, not what is stored."""

    async def commit_offsets(self: Worker) -> None:
        offsets = {
            TP(topic, partition): offset
            for partition, owned in self.owned.items()
            for topic, offset in owned.shard.offsets.items()
        }
        if offsets and self._consumer is not None:
            await self._consumer.commit_stored(offsets)

    patch.setattr(Worker, "_commit_offsets", commit_offsets)


def no_dedupe(patch: Patch) -> None:
    """Events that come twice count twice."""
    patch.setattr(shard, "KeyMemory", lambda limit: KeyMemory(1))


def no_pending_persisted(patch: Patch) -> None:
    """What waits for its time is not stored."""
    take_changes = Pending.take_changes

    def without(self: Pending) -> tuple[list[Any], list[int]]:
        take_changes(self)
        return [], []

    patch.setattr(Pending, "take_changes", without)


def no_outbox_persisted(patch: Patch) -> None:
    """What was decided and is not published is not stored."""
    take_changes = Outbox.take_changes

    def without(self: Outbox) -> tuple[list[Any], list[int]]:
        take_changes(self)
        return [], []

    patch.setattr(Outbox, "take_changes", without)


def late_by_arrival(patch: Patch) -> None:
    """An event is late against the clock at the end of its batch, not at its place in the log."""
    admit_rows = shard.admit_rows

    def admitted(**columns: Any) -> Any:
        result = admit_rows(**columns)
        late = columns["occurred_ms"] < result.clock_ms - columns["allowed_lateness_ms"]
        effective = np.where(late, result.clock_ms, columns["occurred_ms"])
        return dataclasses.replace(result, effective_ms=effective)

    patch.setattr(shard, "admit_rows", admitted)


def wall_clock_idle(patch: Patch) -> None:
    """A topic that is silent for two seconds of wall clock does not hold event time back."""
    fold = Shard.fold
    heard_s: dict[tuple[int, str], float] = {}

    def noting(self: Shard, topic: str, decoded: Any, next_offset: int) -> Any:
        heard_s[id(self), topic] = _now_s()
        return fold(self, topic, decoded, next_offset)

    def watermark_ms(self: Shard) -> int:
        loud = [
            clock
            for topic, clock in self.clocks.items()
            if clock != NO_CLOCK and _now_s() - heard_s.get((id(self), topic), 0.0) < 2.0
        ]
        clock = min(loud or self.clocks.values())
        return clock if clock == NO_CLOCK else clock - self.settings.allowed_lateness_ms

    patch.setattr(Shard, "fold", noting)
    patch.setattr(Shard, "watermark_ms", property(watermark_ms))


def torn_load(patch: Patch) -> None:
    """A shard that moved while it was loaded is taken for whole."""

    async def without(self: RedisStore, redis: Any, claim: Any) -> None:
        pass

    patch.setattr(RedisStore, "_require_unmoved", without)


def _now_s() -> float:
    """The worlds' time; none passes outside of them."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return 0.0


GUARDS: dict[str, Callable[[Patch], None]] = {
    guard.__name__: guard
    for guard in (
        *(no_fence, no_epoch, no_past, kafka_first, no_dedupe, no_pending_persisted),
        *(no_outbox_persisted, late_by_arrival, wall_clock_idle, torn_load),
    )
}
