"""The release of purchase orders: which of a shard's waiting orders leave at this moment.

`streams.handover.rules` judges; this remembers what was judged, so that a waiting order is judged
again only when something that the judgement rests on has changed.
"""

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from streams.contracts.outgoing import OrderSummary, OutboxRecord
from streams.handover.gate import Gate, GateInputs
from streams.handover.rules import PEOPLES, Controls, as_answered, judge_orders, person_needed
from streams.settings import GateThresholds, Limits
from streams.timestamps import NO_CLOCK
from streams.types import BoolArray
from streams.worker.lag import oldest_unread_s, went_back_s
from streams.worker.ports import Recorder
from streams.worker.shard_task import ShardTask

log = logging.getLogger("tidegate.release")

_Batch = list[tuple[int, OutboxRecord]]  # by number in the outbox

_AT_ONCE = 2_000
_STALE_LOOK_S = 10.0


class OrderRelease:
    """Lets purchase orders go, or keeps them where they are.

    Args:
        bounds: beyond which the gate of a partition shuts.
        limits: what needs a person's word.
        live_within_s: a log this near to now is live; in a replay the wall clock says nothing.
        stock_valid_ms: a stock record older than this is too old to order on.
        controls: returns what people have ordered; the same object as long as that is the same.
        recorder: takes what has to be known later.
        clock: wall-clock seconds.
    """

    def __init__(
        self,
        bounds: GateThresholds,
        limits: Limits,
        live_within_s: float,
        stock_valid_ms: int,
        controls: Callable[[], Controls],
        recorder: Recorder,
        clock: Callable[[], float],
    ) -> None:
        self._bounds = bounds
        self._limits = limits
        self._live_within_s = live_within_s
        self._stock_valid_ms = stock_valid_ms
        self._controls = controls
        self._recorder = recorder
        self._clock = clock

    def shut(self, task: ShardTask) -> None:
        """Begin with a shut gate, as after every change of hands."""
        task.gate, task.judgement = Gate(self._bounds), None

    def look(self, task: ShardTask, lags: Mapping[str, int | None], *, is_store_away: bool) -> None:
        """Let the gate of a partition see how things stand."""
        before = task.gate.reasons
        task.gate.look(self._facts(task, lags, is_store_away), self._clock())
        if task.gate.reasons != before:
            self._recorder.gate_moved(task.shard.partition, task.gate.reasons)

    def _facts(
        self, task: ShardTask, lags: Mapping[str, int | None], is_store_away: bool
    ) -> GateInputs:
        now_s = self._clock()
        clocks_s = [clock / 1000 for clock in task.shard.clocks.values() if clock != NO_CLOCK]
        newest_s = max(clocks_s, default=-math.inf)
        task.was_live |= abs(now_s - newest_s) <= self._live_within_s
        known = [lag for lag in lags.values() if lag is not None]
        back_s = max(0.0, task.looked_at_s - now_s)
        task.looked_at_s = now_s
        for topic in task.at_end_s:  # what waits is no younger because a clock went back
            task.at_end_s[topic] -= back_s
        oldest_s = oldest_unread_s(task, lags, now_s)
        if task.was_live:  # a log that lives has to go on; one of old events may end
            oldest_s = min(oldest_s, *clocks_s)
            back_s = max(back_s, went_back_s(task))
        return GateInputs(
            is_control_known=self._controls().is_known,
            is_store_away=is_store_away,
            lag_records=sum(known) if len(known) == len(lags) else None,
            lag_s=now_s - oldest_s,
            ahead_s=newest_s - now_s,
            back_s=max(back_s, abs(task.broker_ahead_s)),
            is_log_changed=bool(task.changed_logs),
        )

    def _basis(self, task: ShardTask) -> object:
        """All that a judgement of waiting orders rests on; the same: the same judgement."""
        moment = self._clock() // _STALE_LOOK_S if task.was_live else 0
        controls = self._controls()
        ahead = sum(one.moment_ms > _applied_ms(task) for one in controls.answers.values())
        return (task.gate.reasons, controls, ahead, task.shard.outbox.responses, moment)

    def has_to_judge(self, task: ShardTask) -> bool:
        """Whether orders wait that the last judgement does not hold for."""
        return task.shard.outbox.orders > 0 and (
            self._basis(task) != task.judgement or task.judged_to < task.publishable_to
        )

    def leaving(self, task: ShardTask) -> Iterator[tuple[_Batch, bool]]:
        """Yield batches of orders that the outbox may part with, and whether to publish them.

        What was called off while it waited for a person is not published. The caller notes each
        batch by `note_left`, then looks. Ends early, with no judgement, once what the judgement
        rests on has changed.
        """
        if (basis := self._basis(task)) != task.judgement:
            task.judgement, task.judged_to = basis, 0
            task.held.clear()
        going, called_off = self._judge(task)
        if called_off:
            yield called_off, False
        for start in range(0, len(going), _AT_ONCE):
            if self._basis(task) != basis:
                task.judgement = None
                return
            batch = going[start : start + _AT_ONCE]
            yield batch, True

    async def note_left(self, batch: Sequence[tuple[int, OutboxRecord]]) -> None:
        """Let it be written down which orders leave, before they are forgotten.

        Raises:
            OSError: that did not work.
        """
        left = [
            outgoing.order_summary for _, outgoing in batch if outgoing.order_summary is not None
        ]
        if left:
            await self._recorder.orders_left(left)

    def _judge(self, task: ShardTask) -> tuple[_Batch, _Batch]:
        """Judge the orders that were not judged yet; return those that may go and those that were
        called off.
        """
        answers, applied_ms = self._controls().answers, _applied_ms(task)
        waiting = [
            (number, as_answered(record, answers, applied_ms))
            for number, record in task.shard.outbox.orders_between(
                task.judged_to, task.publishable_to
            )
        ]
        task.judged_to = task.publishable_to
        summaries = [
            outgoing.order_summary for _, outgoing in waiting if outgoing.order_summary is not None
        ]
        reasons = judge_orders(
            summaries,
            self._is_stale(task, summaries),
            task.gate.reasons,
            self._controls(),
            self._limits,
            task.held,
        )
        going: _Batch = []
        called_off: _Batch = []
        for entry, one, reason in zip(waiting, summaries, reasons, strict=True):
            if reason in PEOPLES and one.status.is_called_off:
                log.info(
                    "%s was called off while it waited for a person: it never leaves", one.po_id
                )
                called_off.append(entry)
                continue
            if reason is None:
                going.append(entry)
            else:
                task.held[one.po_id] = reason
            if (needed := person_needed(one, self._limits)) is not None:
                self._recorder.order_waits(one, needed)
        return going, called_off

    def _is_stale(self, task: ShardTask, summaries: Sequence[OrderSummary]) -> BoolArray:
        """Whether the stock that each order rests on has grown too old while it waited.

        In a replay of old events the wall clock says nothing of it.
        """
        if not task.was_live:
            return np.zeros(len(summaries), bool)
        items = task.shard.timeline.items
        places = [items.find(one.sku, one.warehouse) for one in summaries]
        counted_ms = np.array(
            [0 if at is None else items.rows[at]["counted_at_ms"] for at in places]
        )
        stale: BoolArray = self._clock() * 1000 - counted_ms > self._stock_valid_ms
        return stale


def _applied_ms(task: ShardTask) -> int:
    applied_ms = task.shard.timeline.applied_ms
    return NO_CLOCK if applied_ms is None else applied_ms
