"""The hand-over: which purchase orders may leave for Kafka now, and why the others wait. Pure.

What is decided follows from the logs alone and is stored in the outbox. Whether it may leave is a
matter of this moment: the facts, the people and the limits are arguments here. A held order keeps
its place and its bytes, and goes out later. Nothing is decided again because of a hold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from streams.types import BoolArray


class HoldReason(StrEnum):
    """Why an order waits. The first that holds, in this order, is the one that is told."""

    PAUSED = "paused"  # a person pulled the kill switch
    CONTROL_AWAY = "control_away"  # whether somebody did cannot be read
    STORE_AWAY = "store_away"
    CLOCK = "clock"  # this machine's clock and the logs disagree, or one of them ran backwards
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


class Verdict(StrEnum):
    """The last word of people about one order; events of `order-responses` bring it."""

    NONE = ""
    APPROVED = "approved"
    RELEASED = "released"
    HELD = "held"
    CALLED_OFF = "called_off"
    CALLED_OFF_WHILE_HELD = "called_off_while_held"

    def after(self, response: str) -> "Verdict":
        """Return the verdict once people have said that too.

        Args:
            response: a kind of event in `order-responses`; most say nothing about the hand-over.
        """
        if response in ("rejected", "cancelled"):
            is_held = self in (Verdict.HELD, Verdict.CALLED_OFF_WHILE_HELD)
            return Verdict.CALLED_OFF_WHILE_HELD if is_held else Verdict.CALLED_OFF
        if response in (Verdict.APPROVED, Verdict.RELEASED, Verdict.HELD):
            return Verdict(response)
        return self

    @property
    def is_called_off(self) -> bool:
        """Whether nobody wants the order any more."""
        return self in (Verdict.CALLED_OFF, Verdict.CALLED_OFF_WHILE_HELD)


class Terms(msgspec.Struct, frozen=True, array_like=True):
    """What the hand-over looks at in a purchase order."""

    po_id: str
    supplier: str
    sku: str
    warehouse: str
    quantity: int
    amount: float  # quantity x unit cost
    currency: str | None
    day_units: int  # ordered of the item on the (event) day of the decision, this order included
    day_amount: float
    verdict: Verdict = Verdict.NONE


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """A person stopped the hand-over: of everything, or of what all the given names fit."""

    hold_id: str
    who: str
    why: str
    since: str  # RFC 3339
    supplier: str | None = None
    sku: str | None = None
    warehouse: str | None = None

    def covers(self, terms: Terms) -> bool:
        """Whether this pause holds that order."""
        return (
            self.supplier in (None, terms.supplier)
            and self.sku in (None, terms.sku)
            and self.warehouse in (None, terms.warehouse)
        )

    def names(self) -> dict[str, str]:
        """What this pause is limited to; empty: it is for everything."""
        named = {"supplier": self.supplier, "sku": self.sku, "warehouse": self.warehouse}
        return {name: text for name, text in named.items() if text is not None}


@dataclass(frozen=True, slots=True)
class Controls:
    """What people have ordered, as far as it is known."""

    pauses: tuple[Pause, ...] = ()
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class Limits:
    """What no order may exceed without a person's word; none: no limit. In the item's currency."""

    approval_amount: float | None = None
    cap_units_per_item_day: int | None = None
    cap_amount_per_item_day: float | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the facts may be. Beyond one: closed at once. Below half of all for `calm_s`: open."""

    lag_records: int = 200_000  # a second of a flood; its age says more
    lag_s: float = 60.0
    clock_s: float = 60.0
    calm_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Facts:
    """How a partition stands at this moment."""

    is_control_known: bool
    is_store_away: bool
    lag_records: int | None  # not yet read; none: Kafka has not told
    lag_s: float  # age of the oldest record that is not yet read, or of a live log's newest event
    ahead_s: float  # the newest event lies so far in the future
    back_s: float  # this machine's clock, or the times that Kafka gives, went back by so much


def breaches(facts: Facts, bounds: Bounds, share: float = 1.0) -> tuple[HoldReason, ...]:
    """Return which bounds, times a share of them, the facts exceed.

    >>> late = Facts(True, False, lag_records=120_000, lag_s=0.0, ahead_s=0.0, back_s=0.0)
    >>> breaches(late, Bounds()), breaches(late, Bounds(), share=0.5)
    ((), (<HoldReason.LAG: 'lag'>,))
    """
    skew_s = max(facts.ahead_s, facts.back_s)
    is_behind = (
        facts.lag_records is None
        or facts.lag_records > share * bounds.lag_records
        or facts.lag_s > share * bounds.lag_s
    )
    found = (
        (HoldReason.CONTROL_AWAY, not facts.is_control_known),
        (HoldReason.STORE_AWAY, facts.is_store_away),
        (HoldReason.CLOCK, skew_s > share * bounds.clock_s),
        (HoldReason.LAG, is_behind),
    )
    return tuple(reason for reason, holds in found if holds)


class Gate:
    """The gate of one partition: shut until it has seen calm, and after every breach again.

    Args:
        bounds: as above.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._calm_since_s: float | None = None
        self._looked_at_s = 0.0
        self.reasons: tuple[HoldReason, ...] = (HoldReason.STARTING,)

    @property
    def is_open(self) -> bool:
        """Whether orders may pass, as far as the partition is concerned."""
        return not self.reasons

    def look(self, facts: Facts, now_s: float) -> None:
        """Take the facts of this moment in.

        Args:
            facts: as they are now.
            now_s: wall-clock seconds. After a jump, either way, calm begins anew: a time at which
                nobody looked was not calm.
        """
        step_s = now_s - self._looked_at_s
        self._looked_at_s = now_s
        broken = breaches(facts, self._bounds)
        if broken:
            self.reasons = broken
        if broken or breaches(facts, self._bounds, share=0.5):
            self._calm_since_s = None
        elif self._calm_since_s is None or not 0 <= step_s <= self._bounds.calm_s:
            self._calm_since_s = now_s
        if self._calm_since_s is not None and now_s - self._calm_since_s >= self._bounds.calm_s:
            self.reasons = ()


def judge_orders(
    waiting: Sequence[Terms],
    is_stale: BoolArray,
    gate: Sequence[HoldReason],
    controls: Controls,
    limits: Limits,
    held: Mapping[str, HoldReason] | None = None,
) -> list[HoldReason | None]:
    """Return why each order waits; none: it may go.

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
    for terms, stale in zip(waiting, is_stale.tolist(), strict=True):
        reason = held.get(terms.po_id) or _reason(terms, stale, gate, controls, limits)
        if reason is not None:
            held[terms.po_id] = reason
        reasons.append(reason)
    return reasons


def _reason(
    terms: Terms, is_stale: bool, gate: Sequence[HoldReason], controls: Controls, limits: Limits
) -> HoldReason | None:
    if any(pause.covers(terms) for pause in controls.pauses):
        return HoldReason.PAUSED
    if gate:
        return gate[0]
    if is_stale:
        return HoldReason.STALE_STOCK
    return person_needed(terms, limits)


def person_needed(terms: Terms, limits: Limits) -> HoldReason | None:
    """Return why an order waits for a person's word about it; none: it does not.

    >>> terms = Terms("po-1", "acme", "lamp", "main", 10, 900.0, "EUR", 10, 900.0)
    >>> person_needed(terms, Limits(approval_amount=500.0))
    <HoldReason.APPROVAL: 'approval'>
    """
    if terms.verdict in (Verdict.HELD, Verdict.CALLED_OFF_WHILE_HELD):
        return HoldReason.HELD
    if terms.verdict in (Verdict.APPROVED, Verdict.RELEASED):
        return None
    if _exceeds(terms.day_units, limits.cap_units_per_item_day):
        return HoldReason.CAP_UNITS
    if _exceeds(terms.day_amount, limits.cap_amount_per_item_day):
        return HoldReason.CAP_AMOUNT
    if _exceeds(terms.amount, limits.approval_amount):
        return HoldReason.APPROVAL
    return None


def _exceeds(value: float, limit: float | None) -> bool:
    return limit is not None and not value <= limit
