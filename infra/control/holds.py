"""What waits, and why: read from what the workers stored, the audit log and the limits.

The reasons are those that the workers go by, found with the same function. What only a worker
knows, that it has just begun, is not shown here.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from infra.control.log import read_audit
from infra.control.routes import HeldOrder, PartitionHold
from infra.redis.reader import Reader, ShardState, open_reader
from infra.settings import Settings
from streams.contracts.outgoing import OrderSummary
from streams.handover.rules import Controls, HoldReason, as_answered, judge_orders
from streams.timestamps import NO_CLOCK
from streams.types import BoolArray

Closed = Mapping[int, Sequence[HoldReason]]


@dataclass(frozen=True, slots=True)
class WaitingOrder:
    """A purchase order that is stored and not yet in its topic, as it will be published."""

    order_summary: OrderSummary
    value: bytes
    reason: HoldReason | None  # None means it is about to go


def read_waiting(
    settings: Settings, controls: Controls, closed: Closed
) -> tuple[list[PartitionHold], list[HeldOrder]]:
    """Return why each partition is held, and the orders that wait for a reason.

    Args:
        settings: where Redis is, and the limits.
        controls: what people have ordered.
        closed: why workers hold partitions, as the audit log says.
    """
    with open_reader(settings) as reader:
        partitions = reader.partitions()
        waiting = list(waiting_orders(reader, settings, controls, closed, time.time()))
    holds = [PartitionHold(at, list(closed.get(at, ()))) for at in sorted({*partitions, *closed})]
    held = [_held_order(one.order_summary, one.reason) for one in waiting if one.reason is not None]
    return holds, held


async def read_waiting_orders(settings: Settings) -> list[WaitingOrder]:
    """Return the orders that are on their way, oldest first within a partition.

    Raises:
        RedisError: Redis does not answer.
        TopicReadError: the audit log is not there.
    """
    audit, _ = await read_audit(settings)
    with open_reader(settings) as reader:
        return list(waiting_orders(reader, settings, audit.controls(), audit.closed, time.time()))


def waiting_orders(
    reader: Reader, settings: Settings, controls: Controls, closed: Closed, now_s: float
) -> Iterator[WaitingOrder]:
    """Yield the orders that are on their way, each with its reason to wait.

    Args:
        reader: of Redis.
        settings: the limits, and how old a stock may be.
        controls: what people have ordered.
        closed: why workers hold partitions.
        now_s: wall clock.
    """
    shards = {shard.partition: shard for shard in reader.shards()}
    for partition, records in sorted(reader.waiting_orders().items()):
        shard = shards.get(partition)
        applied_ms = NO_CLOCK if shard is None else shard.applied_ms or NO_CLOCK
        answered = (as_answered(record, controls.answers, applied_ms) for record in records)
        both = [(one, one.order_summary) for one in answered if one.order_summary is not None]
        summary = [one for _, one in both]
        stale = _is_stale(reader, settings, shard, summary, now_s)
        gate = closed.get(partition, ())
        reasons = judge_orders(summary, stale, gate, controls, settings.limits())
        for (record, one), reason in zip(both, reasons, strict=True):
            yield WaitingOrder(one, record.value or b"", reason)


def _is_stale(
    reader: Reader,
    settings: Settings,
    shard: ShardState | None,
    summary: Sequence[OrderSummary],
    now_s: float,
) -> BoolArray:
    """Whether the stock under each order has grown too old; in a log that is not live, none has."""
    worker = settings.worker()
    clocks = shard.meta.clocks.values() if shard is not None and shard.meta is not None else ()
    away_s = abs(now_s - max(clocks, default=0) / 1000)
    if shard is None or away_s > worker.live_within_s:
        return np.zeros(len(summary), bool)
    names = [f"{one.sku}@{one.warehouse}" for one in summary]
    counted_ms = np.array(reader.counted_ms(shard.partition, names), np.int64)
    stale: BoolArray = now_s * 1000 - counted_ms > worker.shard.timeline.review.stock_valid_ms
    return stale


def _held_order(summary: OrderSummary, reason: HoldReason) -> HeldOrder:
    return HeldOrder(
        po_id=summary.po_id,
        sku=summary.sku,
        warehouse=summary.warehouse,
        supplier=summary.supplier,
        quantity=summary.quantity,
        amount=summary.amount,
        currency=summary.currency,
        reason=reason,
    )
