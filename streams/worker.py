"""The worker: owns the shards of its partitions, and moves data between Kafka, shards and Redis.

Data flows one way: fetched batch -> shard -> one fenced commit -> Kafka's offsets and the outbox.
Nothing here decides anything about an item.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from faust.types import TP

from policy import PolicyCache
from streams.commit import Commit, StoredShard
from streams.decode import Decoded, DecodeLimits, TopicDecoder
from streams.events import TOPICS
from streams.fold import NO_CLOCK
from streams.handover import (
    PEOPLES,
    Bounds,
    Controls,
    Facts,
    Gate,
    HoldReason,
    Limits,
    Terms,
    judge_orders,
    person_needed,
)
from streams.outbox import Outgoing
from streams.shard import Shard, ShardSettings
from streams.transport import BatchConsumer, Chunk, RawRecord
from streams.types import BoolArray, Int64Array

log = logging.getLogger("tidegate.worker")

_ROWS_AT_ONCE = 20_000
_CELLS_AT_MOST = 150_000  # changed cells that one commit may carry
_OUTBOX_AT_MOST = 20_000  # records that may wait for Kafka before reading pauses
_HELD_AT_MOST = 200_000  # orders that may be held before it does: about 2 kB of memory each
_PUBLISH_AT_ONCE = 2_000
_BOUNDARIES_AT_ONCE = 10
_PING_SECONDS = 2.0
_LOOK_SECONDS = 0.25  # between looks at whether held orders may go
_STALE_LOOK_SECONDS = 10.0
_FLOOD_ROWS = 20_000  # folded between two commits
_BUSY_SHARE = 0.1  # of the time that building commits may take in a flood


class Claim(Protocol):
    """The right to commit a shard."""

    partition: int
    epoch: int
    sequence: int
    offsets: str


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


Publish = Callable[[Sequence[Outgoing]], Awaitable[None]]
"""Writes records to Kafka and returns when all of them are there (acks=all)."""

Beat = Callable[[Sequence[tuple[str, int]], int], Awaitable[None]]
"""Writes a heartbeat of a time to each (topic, partition)."""


class Observer(Protocol):
    """Takes measurements; see `infra.metrics`."""

    def committed(self, seconds: float, visible_seconds: float) -> None:
        """A commit took so long; its newest record became visible so long after it was written."""

    def failed(self, what: str) -> None:
        """Something outside failed and is tried again."""


class Recorder(Protocol):
    """Takes what has to be known later about the hand-over; see `infra.recorder`."""

    def gate_moved(self, partition: int, reasons: Sequence[HoldReason]) -> None:
        """A partition is held, or, without a reason, is not any more."""

    def order_waits(self, terms: Terms, reason: HoldReason) -> None:
        """An order waits for a person's word."""

    def order_left(self, terms: Terms, verdict: str) -> None:
        """An order was handed over, or will never be; most never waited for a person."""


class _NoRecorder:
    def gate_moved(self, partition: int, reasons: Sequence[HoldReason]) -> None:
        pass

    def order_waits(self, terms: Terms, reason: HoldReason) -> None:
        pass

    def order_left(self, terms: Terms, verdict: str) -> None:
        pass


_NO_CONTROLS = Controls()


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How the worker moves data."""

    commit_interval_s: float = 0.01  # between commits, at the least
    offsets_interval_s: float = 1.0  # between commits of offsets to Kafka
    heartbeat_interval_s: float = 1.0
    live_within_s: float = 300.0  # a log this near to now is live: heartbeats are written to it
    stuck_after_s: float = 60.0  # records wait and none is read: the worker is not alive
    limits: DecodeLimits = field(default_factory=DecodeLimits)
    handover: Bounds = field(default_factory=Bounds)
    order_limits: Limits = field(default_factory=Limits)
    shard: ShardSettings = field(default_factory=ShardSettings)


@dataclass(slots=True)
class Owned:
    """A shard that this worker owns."""

    shard: Shard
    claim: Any
    stored_offsets: dict[str, int]
    gate: Gate = field(default_factory=lambda: Gate(Bounds()))
    is_dirty: bool = False
    in_flight: Commit | None = None  # sent, and its fate is not known yet
    newest_written_ms: int = -1
    publishable_to: int = 0
    written_ms: dict[str, int] = field(default_factory=dict)  # topic -> time of the newest record
    was_live: bool = False
    held: dict[str, HoldReason] = field(default_factory=dict)  # waiting orders by po_id
    judgement: object = None  # all that the last judgement of the waiting orders rested on
    judged_to: int = 0  # in the outbox
    looked_at_s: float = 0.0
    at_end_s: dict[str, float] = field(default_factory=dict)  # topic -> last seen read to its end
    unread_beat_ms: int = NO_CLOCK  # the oldest heartbeat that was written and not yet read back


class Worker:
    """Owns shards; made by `infra.bootstrap`.

    Args:
        store: where shards are kept.
        publish: writes to output topics.
        beat: writes heartbeats to input topics.
        settings: as above.
        observer: takes measurements.
        unreachable: errors that mean "away for now".
        topic_prefix: in front of every topic's name.
        clock: wall-clock seconds; serves freshness only.
        controls: returns what people have ordered; the same object as long as that is the same.
        recorder: takes what has to be known later about the hand-over.
        cache: solved policies, to be shared with other workers; none: its own.
    """

    def __init__(
        self,
        store: Store,
        publish: Publish,
        beat: Beat,
        settings: WorkerSettings,
        observer: Observer,
        *,
        unreachable: tuple[type[Exception], ...] = (OSError,),
        topic_prefix: str = "",
        clock: Callable[[], float] = time.time,
        controls: Callable[[], Controls] = lambda: _NO_CONTROLS,
        recorder: Recorder | None = None,
        cache: PolicyCache | None = None,
    ) -> None:
        self._store = store
        self._publish = publish
        self._beat = beat
        self._settings = settings
        self._observer = observer
        self._unreachable = unreachable
        self._away: tuple[type[Exception], ...] = (TimeoutError, *unreachable)
        self._prefix = topic_prefix
        self._clock = clock
        self.controls = controls
        self._recorder: Recorder = recorder or _NoRecorder()
        self._cache = PolicyCache() if cache is None else cache
        self._decoders = {topic: TopicDecoder(topic, settings.limits) for topic in TOPICS}
        self._consumer: BatchConsumer | None = None
        self._generation: Callable[[], int] = lambda: 0
        self.owned: dict[int, Owned] = {}
        self._parked: dict[int, Owned] = {}
        self._work = asyncio.Event()
        self._outgoing = asyncio.Event()
        self._overdue = asyncio.Event()
        self._committed = asyncio.Event()
        self._taking_over = asyncio.Lock()
        self._committing = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ready_since: float | None = None
        self.store_failed_since: float | None = None
        self._rows_folded = 0
        self._progress: dict[str, tuple[int, float]] = {}

    # -- life ---------------------------------------------------------------------------------

    def attach(self, consumer: BatchConsumer, generation: Callable[[], int]) -> None:
        """Say which consumer feeds this worker."""
        self._consumer = consumer
        self._generation = generation

    def start(self) -> None:
        """Begin to commit, publish and beat."""
        loops = (
            *(self._commit_loop, self._publish_loop, self._offsets_loop, self._beat_loop),
            *(self._store_loop, self._overdue_loop, self._look_loop),
        )
        for loop in loops:
            self._tasks.append(asyncio.create_task(self._forever(loop), name=loop.__name__))

    async def _forever(self, loop: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await loop()
            except self._unreachable as error:
                self._observer.failed(loop.__name__.strip("_"))
                log.warning("%s: %s; trying again", loop.__name__.strip("_"), error)
                await asyncio.sleep(0.5)
            except Exception as error:
                self.fail(error)
                return

    def fail(self, error: BaseException) -> None:
        """Give up: an error that nobody foresaw must not leave half a worker running."""
        log.error("the worker cannot go on", exc_info=error)
        if not self.failed.done():
            self.failed.set_exception(error)

    async def stop(self) -> None:
        """Commit and publish what there is, tell Kafka, and end the tasks."""
        await _end(self._tasks)
        self._tasks = []
        try:
            async with asyncio.timeout(10):
                await self._commit_all()
                await self._publish_all()
                await self._commit_all()
                await self._commit_offsets()
        except self._away as error:
            log.warning("stopped without a last commit, the next worker reads again: %s", error)

    # -- ownership ----------------------------------------------------------------------------

    async def read_from(self, assigned: set[TP]) -> Mapping[TP, int]:
        """Take over the shards of the assigned partitions; return where to read on.

        This is the transport's `ReadFrom`.
        """
        async with self._taking_over:
            wanted = {tp.partition for tp in assigned}
            for partition in [*self.owned, *self._parked]:
                if partition not in wanted:
                    self.owned.pop(partition, None)
                    self._parked.pop(partition, None)
            for partition in sorted(wanted):
                await self._take_over(partition)
            beginnings = await self._beginnings(assigned)
            self.ready_since = self.ready_since or self._clock()
            return {tp: self._next_offset(tp, beginnings.get(tp, 0)) for tp in assigned}

    async def park(self) -> None:
        """Commit what there is before the partitions are assigned anew."""
        try:
            async with asyncio.timeout(5):
                await self._commit_all()
        except self._away as error:
            log.warning("no commit before the rebalance, the next owner reads again: %s", error)
        async with self._taking_over:
            self._parked, self.owned = {**self._parked, **self.owned}, {}
            self.ready_since = None

    async def _take_over(self, partition: int) -> None:
        if partition in self.owned:
            return
        parked = self._parked.pop(partition, None)
        owned = await self._patiently(lambda: self._claim(partition, parked), "claim")
        self.owned[partition] = owned
        self._resume_outbox(owned)
        self._overdue.set()

    async def _claim(self, partition: int, parked: Owned | None) -> Owned:
        """Claim a shard and load it, unless it is parked here and nothing happened to it since.

        A shard can move to somebody else between the two; then both are tried again.
        """
        claim = await self._store.claim(partition, self._generation())
        if parked and _is_stored(parked) and _same_past(parked.claim, claim):
            self._store.resume(claim, parked.claim)
            parked.claim = claim
            parked.gate, parked.judgement = Gate(self._settings.handover), None
            return parked  # itself: who is publishing for it will say so there
        stored = await self._store.load(claim)
        shard = Shard(partition, self._settings.shard, self._cache)
        if stored is not None:
            shard.restore(stored)
        return Owned(shard, claim, dict(shard.offsets), Gate(self._settings.handover))

    async def _patiently(self, attempt: Callable[[], Awaitable[Any]], what: str) -> Any:
        while True:
            try:
                return await attempt()
            except self._unreachable as error:
                self._note_store(ok=False)
                self._observer.failed(what)
                log.warning("%s: %s; trying again", what, error)
                await asyncio.sleep(0.5)

    def _resume_outbox(self, owned: Owned) -> None:
        """What an earlier owner stored and perhaps did not publish goes out now."""
        owned.publishable_to = owned.shard.outbox.next_number
        if len(owned.shard.outbox):
            self._outgoing.set()

    async def _beginnings(self, assigned: set[TP]) -> Mapping[TP, int]:
        fresh = {
            tp for tp in assigned if self._topic(tp) not in self.owned[tp.partition].shard.offsets
        }
        if not fresh or self._consumer is None:
            return {}
        return await self._consumer.earliest(fresh)

    def _next_offset(self, tp: TP, beginning: int) -> int:
        shard = self.owned[tp.partition].shard
        topic = self._topic(tp)
        if topic not in shard.offsets:
            shard.skip_to(topic, beginning)
            if beginning:
                log.warning(
                    "%s/%d begins at offset %d: what was before is not in the state",
                    tp.topic,
                    tp.partition,
                    beginning,
                )
        return shard.offsets[topic]

    def _topic(self, tp: TP) -> str:
        topic: str = tp.topic.removeprefix(self._prefix)
        return topic

    async def _disown(self, lost: Owned) -> None:
        """Somebody else took the shard, or Redis lost it: load it again if it is still ours."""
        partition = lost.shard.partition
        log.warning(
            "shard %d: Redis has another past than this worker; loading it again", partition
        )
        consumer = self._consumer
        async with self._taking_over:
            if self.owned.get(partition) is not lost or consumer is None:
                return
            del self.owned[partition]
            tps = {tp for tp in consumer.assignment() if tp.partition == partition}
            if not tps:
                return
            await self._take_over(partition)
            beginnings = await self._beginnings(tps)
            offsets = {tp: self._next_offset(tp, beginnings.get(tp, 0)) for tp in tps}
        await consumer.read_again(offsets)

    # -- reading ------------------------------------------------------------------------------

    async def take(self, tp: TP, chunks: Sequence[Chunk]) -> None:
        """Fold the chunks of one fetch of one partition.

        Chunks that were folded already are passed over; after a gap the log is read again from
        where the state stands.
        """
        owned = self.owned.get(tp.partition)
        if owned is None:
            return
        topic = self._topic(tp)
        await self._wait_for_room(owned)
        for part in _in_parts(chunks):
            owned = self.owned.get(tp.partition)
            if owned is None:
                return
            expected = owned.shard.offsets.get(topic, 0)
            part = _from_offset(part, expected)
            if not part:
                continue
            if part[0].start > expected:
                await self._mend_gap(tp, owned, expected)
                return
            self._fold(owned, topic, part)
            await self._advance(owned)

    async def _mend_gap(self, tp: TP, owned: Owned, expected: int) -> None:
        """Read again from where the state stands, or, if the log has lost that, from its start."""
        if self._consumer is None:
            return
        beginning = (await self._consumer.earliest({tp}))[tp]
        if beginning > expected:
            log.warning("%s/%d: lost %d to %d", tp.topic, tp.partition, expected, beginning)
            owned.shard.skip_to(self._topic(tp), beginning)
            owned.is_dirty = True
            expected = beginning
        else:
            log.warning("%s/%d: gap at %d, reading again", tp.topic, tp.partition, expected)
        await self._consumer.read_again({tp: expected})

    async def _wait_for_room(self, owned: Owned) -> None:
        """Backpressure: nothing more is read while a commit or Kafka is behind."""
        while not _has_room(owned) and self.owned.get(owned.shard.partition) is owned:
            self._committed.clear()
            self._work.set()
            await self._committed.wait()

    def _fold(self, owned: Owned, topic: str, part: Sequence[Chunk]) -> None:
        values = part[0].values if len(part) == 1 else [v for chunk in part for v in chunk.values]
        decoded = self._decoders[topic].decode(values, _written_ms(part))
        folded = owned.shard.fold(topic, decoded, part[-1].next_offset)
        if decoded.rejects or folded.late_rows:
            self._set_aside(owned.shard, topic, part, decoded, folded.late_rows)
        self._rows_folded += len(values)
        owned.newest_written_ms = max(owned.newest_written_ms, part[-1].written_ms)
        owned.written_ms[topic] = part[-1].written_ms
        owned.is_dirty = True
        self._work.set()

    def _set_aside(
        self,
        shard: Shard,
        topic: str,
        part: Sequence[Chunk],
        decoded: Decoded,
        late_rows: Sequence[int],
    ) -> None:
        """Send bad and late records, byte for byte, to their topics."""
        records = [record for chunk in part for record in chunk.records()]
        for reject in decoded.rejects:
            headers = _failure_headers(
                self._prefix + topic,
                shard.partition,
                records[reject.row],
                reject.code,
                reject.message,
            )
            shard.outbox.put(_copy(f"{topic}.dlt", records[reject.row], headers))
        for row in late_rows:
            message = "occurred_at must be within the grace period of its topic's clock"
            headers = _failure_headers(
                self._prefix + topic, shard.partition, records[row], "late", message
            )
            shard.outbox.put(_copy(f"{topic}.late", records[row], headers))

    async def _advance(self, owned: Owned) -> None:
        before_ms = owned.shard.timeline.applied_ms
        while not owned.shard.advance(_BOUNDARIES_AT_ONCE):
            owned.is_dirty = True
            self._work.set()
            await asyncio.sleep(0)
            await self._wait_for_room(owned)
            if self.owned.get(owned.shard.partition) is not owned:
                return
        if owned.shard.timeline.applied_ms != before_ms:
            owned.is_dirty = True
            self._work.set()

    async def _overdue_loop(self) -> None:
        """Go on deciding where an earlier owner ended: perhaps nothing more will ever be read."""
        while True:
            await self._overdue.wait()
            self._overdue.clear()
            for owned in list(self.owned.values()):
                await self._advance(owned)

    # -- committing ---------------------------------------------------------------------------

    async def _commit_loop(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            rows, self._rows_folded = self._rows_folded, 0
            busy = await self._commit_all()
            # A flood is committed in few large pieces, a trickle at once.
            pause = busy / _BUSY_SHARE if rows > _FLOOD_ROWS else 0.0
            await asyncio.sleep(max(self._settings.commit_interval_s, pause))

    async def _commit_all(self) -> float:
        """Commit every changed shard; return the seconds that this took from the event loop."""
        async with self._committing:
            return sum(await asyncio.gather(*map(self._commit, list(self.owned.values()))))

    async def _commit(self, owned: Owned) -> float:
        if owned.in_flight is None and not owned.is_dirty:
            return 0.0
        started = time.perf_counter()
        written_ms = owned.newest_written_ms
        if owned.in_flight is None:
            owned.is_dirty = False
            owned.in_flight = owned.shard.take_commit()
        commit = owned.in_flight
        busy = time.perf_counter() - started
        verdict = await self._patiently(lambda: self._store.commit(owned.claim, commit), "commit")
        owned.in_flight = None
        self._note_store(ok=True)
        self._committed.set()
        if verdict != "stored":
            await self._disown(owned)
            return busy
        owned.stored_offsets = commit.offsets
        owned.publishable_to = commit.outbox_stored_to
        if len(owned.shard.outbox):
            self._outgoing.set()
        visible = self._clock() - written_ms / 1000 if written_ms > 0 else 0.0
        self._observer.committed(time.perf_counter() - started, visible)
        return busy

    def _note_store(self, *, ok: bool) -> None:
        if ok:
            self.store_failed_since = None
        elif self.store_failed_since is None:
            self.store_failed_since = self._clock()

    async def _store_loop(self) -> None:
        """Ask the store now and then, so that an idle worker knows too when it is away."""
        while True:
            await asyncio.sleep(_PING_SECONDS)
            await self._patiently(self._store.ping, "ping")
            self._note_store(ok=True)

    async def _offsets_loop(self) -> None:
        while True:
            await asyncio.sleep(self._settings.offsets_interval_s)
            await self._commit_offsets()

    async def _commit_offsets(self) -> None:
        """Tell Kafka what Redis has: Kafka is only ever behind Redis."""
        offsets = {
            TP(self._prefix + topic, partition): offset
            for partition, owned in self.owned.items()
            for topic, offset in owned.stored_offsets.items()
        }
        if offsets and self._consumer is not None:
            await self._consumer.commit_stored(offsets)

    # -- writing ------------------------------------------------------------------------------

    async def _publish_loop(self) -> None:
        while True:
            await self._outgoing.wait()
            self._outgoing.clear()
            await self._publish_all()

    async def _publish_all(self) -> None:
        for owned in list(self.owned.values()):
            while batch := self._free_to_go(owned):
                await self._publish_batch(owned, batch)
            await self._hand_over(owned)

    def _free_to_go(self, owned: Owned) -> list[tuple[int, Outgoing]]:
        """Records that no gate holds. While the store is away alerts do not wait for it.

        An alert follows from the log alone: lost with this worker, it is made again, byte for byte.
        """
        outbox = owned.shard.outbox
        batch = outbox.stored_before(owned.publishable_to, _PUBLISH_AT_ONCE)
        if not batch and self.store_failed_since is not None:
            return outbox.alerts(_PUBLISH_AT_ONCE)
        return batch

    async def _publish_batch(self, owned: Owned, batch: Sequence[tuple[int, Outgoing]]) -> None:
        try:
            await self._publish([outgoing for _, outgoing in batch])
        except BaseException:
            self._outgoing.set()
            owned.judgement = None
            raise
        owned.shard.outbox.published([number for number, _ in batch])
        owned.is_dirty = True
        self._work.set()

    # -- hand-over ----------------------------------------------------------------------------

    async def _look_loop(self) -> None:
        """Look whether the gates have moved, and wake the publishing where they have."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for owned in list(self.owned.values()):
                self._look(owned)
                if self._has_to_judge(owned) or self.store_failed_since is not None:
                    self._outgoing.set()

    def _look(self, owned: Owned) -> None:
        """Let the gate of a partition see how things stand."""
        before = owned.gate.reasons
        owned.gate.look(self._facts(owned), self._clock())
        if owned.gate.reasons != before:
            self._recorder.gate_moved(owned.shard.partition, owned.gate.reasons)

    def _facts(self, owned: Owned) -> Facts:
        now_s = self._clock()
        clocks_s = [clock / 1000 for clock in owned.shard.clocks.values() if clock != NO_CLOCK]
        newest_s = max(clocks_s, default=-math.inf)
        owned.was_live |= abs(now_s - newest_s) <= self._settings.live_within_s
        lags = self._shard_lags(owned)
        known = [lag for lag in lags.values() if lag is not None]
        oldest_s = _oldest_unread_s(owned, lags, now_s)
        back_s = max(0.0, owned.looked_at_s - now_s)
        owned.looked_at_s = now_s
        if owned.was_live:  # a log that lives has to go on; one of old events may end
            oldest_s = min(oldest_s, *clocks_s)
            back_s = max(back_s, _went_back_s(owned))
        return Facts(
            is_control_known=self.controls().is_known,
            is_store_away=self.store_failed_since is not None,
            lag_records=sum(known) if len(known) == len(lags) else None,
            lag_s=now_s - oldest_s,
            ahead_s=newest_s - now_s,
            back_s=back_s,
        )

    def _judgement(self, owned: Owned) -> object:
        """All that a judgement of waiting orders rests on; the same: the same judgement."""
        moment = self._clock() // _STALE_LOOK_SECONDS if owned.was_live else 0
        return (owned.gate.reasons, self.controls(), owned.shard.outbox.verdicts, moment)

    def _has_to_judge(self, owned: Owned) -> bool:
        return owned.shard.outbox.orders > 0 and (
            self._judgement(owned) != owned.judgement or owned.judged_to < owned.publishable_to
        )

    async def _hand_over(self, owned: Owned) -> None:
        """Publish the orders that may go; the others stay where they are."""
        self._look(owned)
        if (judgement := self._judgement(owned)) != owned.judgement:
            owned.judgement, owned.judged_to = judgement, 0
            owned.held.clear()
        going = self._judge(owned)
        for start in range(0, len(going), _PUBLISH_AT_ONCE):
            self._look(owned)
            if self._judgement(owned) != judgement:
                owned.judgement = None
                self._outgoing.set()
                return
            batch = going[start : start + _PUBLISH_AT_ONCE]
            await self._publish_batch(owned, batch)
            for _, outgoing in batch:
                if outgoing.terms is not None:
                    self._recorder.order_left(outgoing.terms, outgoing.terms.verdict)

    def _judge(self, owned: Owned) -> list[tuple[int, Outgoing]]:
        """Judge the orders that were not judged yet; return those that may go."""
        waiting = owned.shard.outbox.orders_between(owned.judged_to, owned.publishable_to)
        owned.judged_to = owned.publishable_to
        terms = [outgoing.terms for _, outgoing in waiting if outgoing.terms is not None]
        limits = self._settings.order_limits
        reasons = judge_orders(
            terms,
            self._is_stale(owned, terms),
            owned.gate.reasons,
            self.controls(),
            limits,
            owned.held,
        )
        for (number, _), one, reason in zip(waiting, terms, reasons, strict=True):
            if reason in PEOPLES and one.verdict.is_called_off:
                self._withdraw(owned, number, one)
                continue
            if reason is not None:
                owned.held[one.po_id] = reason
            if (needed := person_needed(one, limits)) is not None:
                self._recorder.order_waits(one, needed)
        return [entry for entry, reason in zip(waiting, reasons, strict=True) if reason is None]

    def _withdraw(self, owned: Owned, number: int, terms: Terms) -> None:
        log.info("%s was called off while it waited for a person: it never leaves", terms.po_id)
        owned.shard.outbox.published([number])
        owned.is_dirty = True
        self._work.set()
        self._recorder.order_left(terms, terms.verdict)

    def _is_stale(self, owned: Owned, terms: Sequence[Terms]) -> BoolArray:
        """Whether the stock that each order rests on has grown too old while it waited.

        In a replay of old events the wall clock says nothing of it.
        """
        if not owned.was_live:
            return np.zeros(len(terms), bool)
        items = owned.shard.timeline.items
        places = [items.find(one.sku, one.warehouse) for one in terms]
        counted_ms = np.array(
            [0 if at is None else items.rows[at]["counted_at_ms"] for at in places]
        )
        valid_ms = self._settings.shard.timeline.review.stock_valid_ms
        stale: BoolArray = self._clock() * 1000 - counted_ms > valid_ms
        return stale

    async def _beat_loop(self) -> None:
        while True:
            await asyncio.sleep(self._settings.heartbeat_interval_s)
            now_ms = int(self._clock() * 1000)
            if self.owned and self.is_live(now_ms):
                targets = [(topic, partition) for partition in self.owned for topic in TOPICS]
                await self._beat(targets, now_ms)
                self._note_beat(now_ms)

    def _note_beat(self, now_ms: int) -> None:
        for owned in self.owned.values():
            if owned.unread_beat_ms <= min(owned.shard.clocks.values()):
                owned.unread_beat_ms = now_ms

    def is_live(self, now_ms: int) -> bool:
        """Whether the logs are near to now, as against a replay of old events."""
        newest = max(
            (max(owned.shard.clocks.values()) for owned in self.owned.values()), default=NO_CLOCK
        )
        return abs(now_ms - newest) <= self._settings.live_within_s * 1000

    # -- health -------------------------------------------------------------------------------

    @property
    def shards(self) -> list[Shard]:
        """The shards that this worker owns now."""
        return [owned.shard for owned in self.owned.values()]

    def lag_seconds(self) -> dict[int, float]:
        """How long ago the newest record that is stored was written, where others wait; else 0."""
        now, lags = self._clock(), self.lag_records()
        return {
            partition: max(0.0, now - owned.newest_written_ms / 1000)
            if any(lags.get((topic, partition)) for topic in TOPICS) and owned.newest_written_ms > 0
            else 0.0
            for partition, owned in self.owned.items()
        }

    def lag_records(self) -> dict[tuple[str, int], int]:
        """Records in each input partition that are not stored yet, as far as Kafka has told."""
        return {
            (topic, partition): lag or 0
            for partition, owned in self.owned.items()
            for topic, lag in self._shard_lags(owned).items()
        }

    def _shard_lags(self, owned: Owned) -> dict[str, int | None]:
        """The same of one shard, by topic; none: Kafka has not told yet."""
        if self._consumer is None:
            return {}
        lags: dict[str, int | None] = {}
        for topic in TOPICS:
            end = self._consumer.highwater(TP(self._prefix + topic, owned.shard.partition))
            stored = owned.stored_offsets.get(topic, 0)
            lags[topic] = None if end is None else max(0, end - stored)
        return lags

    def stuck_for_s(self) -> float:
        """Seconds for which records waited somewhere and none was read; 0: none waits.

        A heartbeat that was written and not read back waits too: a consumer that hangs does not
        learn that its log has grown.
        """
        now = self._clock()
        longest = 0.0
        for (topic, partition), lag in self.lag_records().items():
            owned = self.owned[partition]
            position = owned.shard.offsets.get(topic, 0)
            waits = lag or owned.unread_beat_ms > owned.shard.clocks[topic]
            name = f"{topic}/{partition}"
            before = self._progress.get(name)
            if before is None or before[0] != position or not waits:
                self._progress[name] = (position, now)
            else:
                longest = max(longest, now - before[1])
        return longest

    def holds(self) -> list[str]:
        """Why purchase orders wait, in words; empty when they go out."""
        said = [
            f"partition {partition}: {', '.join(owned.gate.reasons)}"
            for partition, owned in sorted(self.owned.items())
            if owned.gate.reasons
        ]
        for pause in self.controls().pauses:
            what = [f"{name} {text}" for name, text in pause.names().items()] or ["everything"]
            said.append(f"paused by {pause.who}, {', '.join(what)}: {pause.why}")
        return said

    def faults(self) -> list[str]:
        """Why this worker is not ready, in words; empty when it is."""
        faults = []
        if self.ready_since is None:
            faults.append("no partitions are assigned yet")
        if self.store_failed_since is not None:
            away_s = self._clock() - self.store_failed_since
            faults.append(f"Redis has not answered for {away_s:.0f} s")
        return faults

    def is_alive(self) -> bool:
        """Whether reading goes on. While the store is away it rests: a restart mends nothing."""
        stuck_s = self.stuck_for_s()  # asked in any case: it notes what has moved
        return self.store_failed_since is not None or stuck_s < self._settings.stuck_after_s


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended.

    On Python 3.11 `asyncio.wait_for`, through which the Redis client sends, can swallow one.
    """
    waiting = set(tasks)
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=0.5)


def _has_room(owned: Owned) -> bool:
    """Whether more may be read. A held order stops nothing, until there are very many."""
    outbox = owned.shard.outbox
    held = len(owned.held)
    return (
        owned.shard.changed_cells() <= _CELLS_AT_MOST
        and len(outbox) - held <= _OUTBOX_AT_MOST
        and held <= _HELD_AT_MOST
    )


def _oldest_unread_s(owned: Owned, lags: Mapping[str, int | None], now_s: float) -> float:
    """Return a time that is not after any record that waits to be read; now: none waits.

    A record that waits is newer than the last one that was read, and it came after the log was last
    seen to be read to its end.
    """
    oldest_s = now_s
    for topic, lag in lags.items():
        if not lag:
            owned.at_end_s[topic] = now_s
        else:
            read_s = owned.written_ms.get(topic, 0) / 1000
            oldest_s = min(oldest_s, max(read_s, owned.at_end_s.get(topic, 0.0)))
    return oldest_s


def _went_back_s(owned: Owned) -> float:
    """Seconds by which Kafka's times lie behind the newest that it gave."""
    return (owned.newest_written_ms - max(owned.written_ms.values(), default=0)) / 1000


def _is_stored(owned: Owned) -> bool:
    return not owned.is_dirty and owned.in_flight is None


def _same_past(before: Claim, now: Claim) -> bool:
    return before.sequence == now.sequence and before.offsets == now.offsets and now.sequence > 0


def _in_parts(chunks: Sequence[Chunk]) -> Iterable[list[Chunk]]:
    """Cut a fetch into parts small enough for the cache, at the borders of its chunks."""
    part: list[Chunk] = []
    rows = 0
    for chunk in chunks:
        part.append(chunk)
        rows += len(chunk.values)
        if rows >= _ROWS_AT_ONCE:
            yield part
            part, rows = [], 0
    if part:
        yield part


def _from_offset(part: Sequence[Chunk], offset: int) -> list[Chunk]:
    """Return the chunks without the records before an offset."""
    kept = []
    for chunk in part:
        if chunk.next_offset <= offset:
            continue
        if chunk.start < offset:
            values = [record.value for record in chunk.records() if record.offset >= offset]
            chunk = Chunk(values, offset, chunk.next_offset, chunk.written_ms, chunk.raw)
        kept.append(chunk)
    return kept


def _written_ms(part: Sequence[Chunk]) -> Int64Array:
    return np.repeat(
        np.array([chunk.written_ms for chunk in part], np.int64),
        [len(chunk.values) for chunk in part],
    )


def _copy(topic: str, record: RawRecord, headers: list[tuple[str, bytes]]) -> Outgoing:
    return Outgoing(topic, record.key, record.value, [*record.headers, *headers])


def _failure_headers(
    topic: str, partition: int, record: RawRecord, code: str, message: str
) -> list[tuple[str, bytes]]:
    """Headers as Spring Kafka's dead-letter publisher writes them, and our stable code."""
    return [
        ("kafka_dlt-original-topic", topic.encode()),
        ("kafka_dlt-original-partition", partition.to_bytes(4, "big")),
        ("kafka_dlt-original-offset", record.offset.to_bytes(8, "big")),
        ("kafka_dlt-original-timestamp", max(record.timestamp_ms, 0).to_bytes(8, "big")),
        ("kafka_dlt-original-timestamp-type", b"CreateTime"),
        ("kafka_dlt-exception-fqcn", b"tidegate.BadRecord"),
        ("kafka_dlt-exception-message", message.encode()),
        ("tidegate-error-code", str(code).encode()),
    ]
