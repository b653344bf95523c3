"""The hand-over: which purchase orders may leave for Kafka now, and why the others wait. Pure.

What is decided follows from the logs alone and is stored in the outbox. Whether it may leave is a
matter of this moment: the facts, the people and the limits are arguments here. A held order keeps
its place and its bytes, and goes out later. Nothing is decided again because of a hold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

import msgspec

from streams.contracts.fields import (
    HOLD_ID,
    ONLY_SKU,
    ONLY_SUPPLIER,
    ONLY_WAREHOUSE,
    WHO_DID,
    WHY,
    described,
)
from streams.contracts.outgoing import OrderStatus, OrderSummary, OutboxRecord, with_response
from streams.settings import Limits
from streams.types import BoolArray


class HoldReason(StrEnum):
    """Why an order waits. The first that holds, in this order, is the one that is shown."""

    PAUSED = "paused"  # a person pulled the kill switch
    CONTROL_AWAY = "control_away"  # whether somebody did cannot be read
    STORE_AWAY = "store_away"
    CLOCK = "clock"  # this machine's clock and the logs disagree, or one of them ran backwards
    LOG_CHANGED = "log_changed"  # a log is not the one that the state was made from
    LAG = "lag"
    STARTING = "starting"  # the partition was just taken over: calm has to be seen first
    STALE_STOCK = "stale_stock"
    HELD = "held"  # a person held this order
    CAP_UNITS = "cap_units"
    CAP_AMOUNT = "cap_amount"
    APPROVAL = "approval"


PEOPLES = frozenset(
    {
        HoldReason.PAUSED,
        HoldReason.HELD,
        HoldReason.CAP_UNITS,
        HoldReason.CAP_AMOUNT,
        HoldReason.APPROVAL,
    }
)
"""Reasons that only a person ends. An order that is called off meanwhile never leaves.

One that waits for anything else leaves all the same, and is called off after it, as in the log:
what is published must not depend on how fast a log is read.
"""


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """A person stopped the hand-over: of everything, or of what all the given names fit."""

    hold_id: Annotated[str, HOLD_ID]
    who: Annotated[str, WHO_DID]
    why: Annotated[str, WHY]
    since: Annotated[str, described("When it began (wall clock), as RFC 3339 in UTC.")]
    supplier: Annotated[str | None, ONLY_SUPPLIER] = None
    sku: Annotated[str | None, ONLY_SKU] = None
    warehouse: Annotated[str | None, ONLY_WAREHOUSE] = None

    def covers(self, summary: OrderSummary) -> bool:
        """Whether this pause holds that order."""
        return (
            self.supplier in (None, summary.supplier)
            and self.sku in (None, summary.sku)
            and self.warehouse in (None, summary.warehouse)
        )

    def names(self) -> dict[str, str]:
        """What this pause is limited to; empty: it is for everything."""
        named = {"supplier": self.supplier, "sku": self.sku, "warehouse": self.warehouse}
        return {name: text for name, text in named.items() if text is not None}


class Verdict(StrEnum):
    """What a person says of a purchase order; also the kind of the event in `order-responses`."""

    APPROVED = "approved"
    REJECTED = "rejected"
    CHANGED = "changed"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a person said of one purchase order, until the logs say it too."""

    po_id: str
    verdict: Verdict
    quantity: int  # that the person saw, or wants
    expected_ms: int | None = None  # when the order is due from now on; None means as it was
    moment_ms: int  # event time of the same word in `order-responses`


@dataclass(frozen=True, slots=True)
class Controls:
    """What people have ordered, as far as it is known."""

    pauses: tuple[Pause, ...] = ()
    is_known: bool = True
    answers: Mapping[str, Answer] = field(default_factory=dict)  # by po_id, the newest one


def as_answered(
    waiting: OutboxRecord, answers: Mapping[str, Answer], applied_ms: int
) -> OutboxRecord:
    """Return the record of a waiting order as it stands once a person's answer is in force.

    An answer is in force as soon as the audit log has it. Its event in `order-responses` takes
    effect some seconds later, when the logs are read up to it; from then on the record says the
    same by itself. Until then an approved order may leave, with the bytes that the event would give
    it, and one that was changed or rejected stays where it is.

    Args:
        waiting: the record of a purchase order.
        answers: by po_id.
        applied_ms: event time up to which the logs have taken effect.
    """
    summary = waiting.order_summary
    answer = None if summary is None else answers.get(summary.po_id)
    if summary is None or answer is None or answer.moment_ms <= applied_ms:
        return waiting
    # Also where it was approved as it will stand after a change that the logs have not brought yet.
    if answer.verdict != Verdict.APPROVED or answer.quantity != summary.quantity:
        return with_response(waiting, "held", None, None)
    return with_response(waiting, answer.verdict, None, answer.expected_ms)


def judge_orders(
    waiting: Sequence[OrderSummary],
    is_stale: BoolArray,
    gate: Sequence[HoldReason],
    controls: Controls,
    limits: Limits,
    held: Mapping[str, HoldReason] | None = None,
) -> list[HoldReason | None]:
    """Return why each order waits; None means it may go.

    Args:
        waiting: oldest first. A later record of an order never overtakes an earlier one.
        is_stale: whether the item's stock is too old to order on, shape (order,).
        gate: why the partition is held; empty: it is not.
        controls: what people have ordered.
        limits: what needs a person's word.
        held: orders, by po_id, of which an earlier record waits already.
    """
    reasons: list[HoldReason | None] = []
    held = dict(held or {})
    for summary, stale in zip(waiting, is_stale.tolist(), strict=True):
        reason = held.get(summary.po_id) or _reason(summary, stale, gate, controls, limits)
        if reason is not None:
            held[summary.po_id] = reason
        reasons.append(reason)
    return reasons


def _reason(
    summary: OrderSummary,
    is_stale: bool,
    gate: Sequence[HoldReason],
    controls: Controls,
    limits: Limits,
) -> HoldReason | None:
    if any(pause.covers(summary) for pause in controls.pauses):
        return HoldReason.PAUSED
    if gate:
        return gate[0]
    if is_stale:
        return HoldReason.STALE_STOCK
    return person_needed(summary, limits)


def person_needed(summary: OrderSummary, limits: Limits) -> HoldReason | None:
    """Return why an order waits for a person's word about it; None means it does not.

    >>> summary = OrderSummary("po-1", "acme", "lamp", "main", 10, 900.0, "EUR", 10, 900.0)
    >>> person_needed(summary, Limits(approval_amount=500.0))
    <HoldReason.APPROVAL: 'approval'>
    """
    if summary.status in (OrderStatus.HELD, OrderStatus.CALLED_OFF_WHILE_HELD):
        return HoldReason.HELD
    if summary.status in (OrderStatus.APPROVED, OrderStatus.RELEASED):
        return None
    if _exceeds(summary.day_units, limits.cap_units_per_item_day):
        return HoldReason.CAP_UNITS
    if _exceeds(summary.day_amount, limits.cap_amount_per_item_day):
        return HoldReason.CAP_AMOUNT
    if _exceeds(summary.amount, limits.approval_amount):
        return HoldReason.APPROVAL
    return None


def _exceeds(value: float, limit: float | None) -> bool:
    return limit is not None and not value <= limit
