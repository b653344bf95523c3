"""Tidegate with one guard taken out; the simulation has to notice each."""

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from faust.types import TP

from infra.control.entries import AuditState, OrderLeft
from infra.control.log import ControlLog
from infra.control.recorder import AuditRecorder
from infra.redis.shard_store import RedisStore
from streams.contracts.outgoing import OrderSummary, order_record
from streams.groups.facts import CloseWindow, Facts
from streams.groups.inbox import Inbox
from streams.handover import gate
from streams.handover import rules as handover
from streams.handover.gate import Gate, GateInputs
from streams.handover.rules import Controls, HoldReason
from streams.settings import GateThresholds, Limits
from streams.shard import shard
from streams.shard.shard import Shard
from streams.state.key_memory import KeyMemory
from streams.state.outbox import Outbox
from streams.state.pending import Pending
from streams.timeline import review_step as ordering
from streams.timestamps import NO_CLOCK
from streams.worker.committer import Committer
from streams.worker.order_release import OrderRelease
from streams.worker.publisher import Publisher
from streams.worker.shard_task import ShardTask
from tests.simulation.people import AuditClient
from tests.simulation.redis_server import RedisServer

Patch = pytest.MonkeyPatch


def no_fence(patch: Patch) -> None:
    """Redis takes a commit from whoever sends it, wherever it starts from."""
    patch.setattr(RedisServer, "refusal", lambda self, *_: None)


def no_lease(patch: Patch) -> None:
    """Redis asks where a commit starts from, but not who sends it."""
    refusal = RedisServer.refusal

    def without(self: RedisServer, stored: Any, lease: bytes, *rest: bytes) -> bytes | None:
        return refusal(self, stored, stored[0], *rest)

    patch.setattr(RedisServer, "refusal", without)


def no_past(patch: Patch) -> None:
    """Redis asks who sends a commit, but not where it starts from."""

    def without(self: RedisServer, stored: Any, lease: bytes, *_: bytes) -> bytes | None:
        if stored[0] is None:
            return b"missing"
        return None if stored[0] == lease else b"stale_lease"

    patch.setattr(RedisServer, "refusal", without)


def kafka_first(patch: Patch) -> None:
    """Kafka is told what was read, not what is stored."""

    async def commit_offsets(self: Committer) -> None:
        offsets = {
            TP(topic, partition): offset
            for partition, task in self._tasks.items()
            for topic, offset in task.shard.offsets.items()
        }
        if offsets and self._source.consumer is not None:
            await self._source.consumer.commit_stored(offsets)

    patch.setattr(Committer, "commit_offsets", commit_offsets)


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

    async def without(self: RedisStore, lease: Any) -> None:
        pass

    patch.setattr(RedisStore, "_require_unmoved", without)


def leases_by_number(patch: Patch) -> None:
    """Redis knows a lease by its epoch, which can come twice."""
    acquire_script = RedisServer.acquire_script

    def numbered(self: RedisServer, key: bytes, argv: list[bytes]) -> Any:
        reply = acquire_script(self, key, argv)
        self._hset(key, b"claim", reply[0])
        return reply

    acquire = RedisStore.acquire

    async def by_number(self: RedisStore, partition: int, generation: int) -> Any:
        made = await acquire(self, partition, generation)
        made.fencing_token = str(made.epoch)
        return made

    patch.setattr(RedisServer, "acquire_script", numbered)
    patch.setattr(RedisStore, "acquire", by_number)


def no_look_at_rest(patch: Patch) -> None:
    """Whether Redis came back older is only asked by the next commit."""

    async def without(self: Committer, task: Any) -> None:
        pass

    patch.setattr(Committer, "_require_known_past", without)


# --- at the hand-over -------------------------------------------------------------------------


def a_partition_is_not_waited_for(patch: Patch) -> None:
    """The groups are judged as soon as one partition has said everything."""

    def furthest(self: Inbox) -> int:
        return max(self._upto_ms.values(), default=0)

    patch.setattr(Inbox, "limit_ms", property(furthest))


def facts_folded_twice(patch: Patch) -> None:
    """What a worker that began anew says again counts again."""
    put = Inbox.put

    def again(self: Inbox, facts: Facts | CloseWindow, offset: int) -> None:
        applied_ms, self.applied_ms = self.applied_ms, 0
        self._seen_ms.clear()
        put(self, facts, offset)
        self.applied_ms = applied_ms

    patch.setattr(Inbox, "put", again)


def facts_that_wait_forgotten(patch: Patch) -> None:
    """Who takes over reads on where the last owner stood, not where what waits begins."""
    patch.setattr(Inbox, "pinned_offset", lambda self, next_offset: next_offset)


def gate_ignored(patch: Patch) -> None:
    """Orders leave whatever the facts are."""
    patch.setattr(Gate, "look", lambda self, *_: setattr(self, "reasons", ()))


def pause_forgotten_over_a_restart(patch: Patch) -> None:
    """A worker that starts reads the audit log from its end on."""

    async def to_the_end(self: AuditClient, _: Any) -> None:
        self._position = len(self._log.written)

    patch.setattr(AuditClient, "seek_to_beginning", to_the_end)


def control_known_for_ever(patch: Patch) -> None:
    """What was once read of the audit log is taken for what it says now."""
    controls = ControlLog.controls

    def without(self: ControlLog) -> Controls:
        return dataclasses.replace(controls(self), is_known=True)

    patch.setattr(ControlLog, "controls", without)


def caps_not_counted(patch: Patch) -> None:
    """What was ordered of an item earlier in the day does not count."""
    patch.setattr(ordering, "order_record", lambda order, **_: order_record(order))


def amounts_not_looked_at(patch: Patch) -> None:
    """No order is so large that somebody has to approve it."""
    needed = handover.person_needed

    def without(summary: OrderSummary, limits: Limits) -> HoldReason | None:
        return needed(summary, dataclasses.replace(limits, approval_amount=None))

    patch.setattr(handover, "person_needed", without)


def statuses_not_stored(patch: Patch) -> None:
    """What people said of a waiting order is known to the worker that read it, and to no other."""
    judge = Outbox.judge

    def without(self: Outbox, *said: str) -> None:
        before = list(self._added)
        judge(self, *said)
        self._added[:] = before

    patch.setattr(Outbox, "judge", without)


def _fact_ignored(name: str, **values: Any) -> Callable[[Patch], None]:
    """The gate does not look at one of the facts."""

    def guard(patch: Patch) -> None:
        breaches = gate.breaches

        def without(facts: GateInputs, *bounds: Any, **share: float) -> Any:
            return breaches(dataclasses.replace(facts, **values), *bounds, **share)

        patch.setattr(gate, "breaches", without)

    guard.__name__ = f"{name}_ignored"
    return guard


_FACTS = (
    _fact_ignored("unread_audit_log", is_control_known=True),
    _fact_ignored("absent_store", is_store_away=False),
    _fact_ignored("lag_in_records", lag_records=0),
    _fact_ignored("lag_in_seconds", lag_s=0.0),
    _fact_ignored("clock_behind", ahead_s=0.0),
    _fact_ignored("clock_that_went_back", back_s=0.0),
)


def stale_stock_ignored(patch: Patch) -> None:
    """An order leaves however old the count that it rests on has grown."""
    patch.setattr(OrderRelease, "_is_stale", lambda self, _, summary: np.zeros(len(summary), bool))


def gate_begins_open(patch: Patch) -> None:
    """Who takes a partition over lets its orders go before calm was seen."""
    begin = Gate.__init__

    def opened(self: Gate, bounds: GateThresholds) -> None:
        begin(self, bounds)
        self.reasons = ()

    patch.setattr(Gate, "__init__", opened)


def gate_opens_at_once(patch: Patch) -> None:
    """Orders leave at the first look after a breach."""
    look = Gate.look

    def without(self: Gate, facts: GateInputs, now_s: float) -> None:
        look(self, facts, now_s)
        self.reasons = gate.breaches(facts, self._thresholds)

    patch.setattr(Gate, "look", without)


def alerts_held_too(patch: Patch) -> None:
    """Nothing leaves while a gate is shut."""
    free = Publisher._free_to_go

    def without(self: Publisher, task: ShardTask) -> Any:
        return [] if task.gate.reasons else free(self, task)

    patch.setattr(Publisher, "_free_to_go", without)


def judged_once(patch: Patch) -> None:
    """An order that waits is not looked at again when the reason is gone."""
    patch.setattr(OrderRelease, "_basis", lambda self, task: "always the same")


def left_told_in_passing(patch: Patch) -> None:
    """That an order left is written down some time, and the outbox forgets it at once."""

    async def without(self: AuditRecorder, orders: Sequence[OrderSummary]) -> None:
        for summary in orders:
            if (why := self._why_it_left(summary)) is not None:
                self._log.note(OrderLeft(who="t", why=why, po_id=summary.po_id, status=""))

    patch.setattr(AuditRecorder, "orders_left", without)


def late_word_believed(patch: Patch) -> None:
    """An order waits when the audit log says so last, also where it had left."""
    apply = AuditState._apply

    def without(self: AuditState, entry: Any) -> None:
        self.left.clear()
        apply(self, entry)

    patch.setattr(AuditState, "_apply", without)


def _now_s() -> float:
    """The worlds' time; none passes outside of them."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return 0.0


AT_THE_HAND_OVER: dict[str, str | None] = {
    **dict.fromkeys(
        ["pause_forgotten_over_a_restart", "caps_not_counted", "amounts_not_looked_at"], None
    ),
    **dict.fromkeys(["statuses_not_stored", "stale_stock_ignored", "gate_begins_open"], None),
    "lag_in_seconds_ignored": None,
    "clock_behind_ignored": "clock_behind",
    "control_known_for_ever": "audit_log_away",
    "unread_audit_log_ignored": "audit_log_away",
    "absent_store_ignored": "store_away",
    "clock_that_went_back_ignored": "clock_turned_back",
    "left_told_in_passing": "death_before_the_last_word",
    "late_word_believed": "late_word",
}
"""Guards that only matter in worlds with people at the hand-over, or with one thing tried there."""

GUARDS: dict[str, Callable[[Patch], None]] = {
    guard.__name__: guard
    for guard in (
        *(no_fence, no_lease, no_past, kafka_first, no_dedupe, no_pending_persisted),
        *(no_outbox_persisted, late_by_arrival, wall_clock_idle, torn_load),
        *(leases_by_number, no_look_at_rest),
        *(a_partition_is_not_waited_for, facts_folded_twice),
        facts_that_wait_forgotten,
        *(gate_ignored, pause_forgotten_over_a_restart, control_known_for_ever, caps_not_counted),
        *(amounts_not_looked_at, statuses_not_stored, judged_once),
        *(left_told_in_passing, late_word_believed),
        *(*_FACTS, stale_stock_ignored, gate_begins_open, gate_opens_at_once, alerts_held_too),
    )
}
