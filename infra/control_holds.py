"""What waits, and why: read from what the workers stored, the audit log and the limits.

The reasons are those that the workers go by, found with the same function. What only a worker
knows, that it has just begun or that a stock has grown old meanwhile, is not told here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from infra.control_api import HeldOrder, PartitionHold
from infra.control_log import read_audit
from infra.reading import open_reader
from infra.settings import Settings
from streams.handover import Controls, HoldReason, Limits, Terms, judge_orders
from streams.outbox import Outgoing

Closed = Mapping[int, Sequence[HoldReason]]


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
        waiting = reader.waiting_orders()
    holds = [PartitionHold(at, list(closed.get(at, ()))) for at in sorted({*waiting, *closed})]
    orders = [
        order
        for partition, records in sorted(waiting.items())
        for order in held_orders(records, closed.get(partition, ()), controls, settings.limits())
    ]
    return holds, orders


@dataclass(frozen=True, slots=True)
class WaitingOrder:
    """A purchase order that is stored and not yet in its topic, as it will be published."""

    terms: Terms
    value: bytes
    reason: HoldReason | None  # none: it is about to go


async def read_waiting_orders(settings: Settings) -> list[WaitingOrder]:
    """Return the orders that are on their way, oldest first within a partition.

    Raises:
        RedisError: Redis does not answer.
        TopicReadError: the audit log is not there.
    """
    audit, _ = await read_audit(settings)
    with open_reader(settings) as reader:
        waiting = reader.waiting_orders()
    found = []
    for partition, records in sorted(waiting.items()):
        gate = audit.closed.get(partition, ())
        held = held_orders(records, gate, audit.controls(), settings.limits())
        reasons = {order.po_id: order.reason for order in held}
        found += [
            WaitingOrder(record.terms, record.value or b"", reasons.get(record.terms.po_id))
            for record in records
            if record.terms is not None
        ]
    return found


def held_orders(
    records: Iterable[Outgoing], gate: Sequence[HoldReason], controls: Controls, limits: Limits
) -> list[HeldOrder]:
    """Return the orders among the records that wait, each with its reason. Pure."""
    terms = [record.terms for record in records if record.terms is not None]
    reasons = judge_orders(terms, np.zeros(len(terms), bool), gate, controls, limits)
    return [
        _held_order(one, reason)
        for one, reason in zip(terms, reasons, strict=True)
        if reason is not None
    ]


def _held_order(terms: Terms, reason: HoldReason) -> HeldOrder:
    return HeldOrder(
        po_id=terms.po_id,
        sku=terms.sku,
        warehouse=terms.warehouse,
        supplier=terms.supplier,
        quantity=terms.quantity,
        amount=terms.amount,
        currency=terms.currency,
        reason=reason,
    )
