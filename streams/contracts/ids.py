"""The contracts of what Tidegate writes: purchase orders and alerts.

Both are pure functions of the logs: the same logs give the same bytes under the same id, at any
speed and on any worker. So they carry event times only.
"""

import datetime
import hashlib
from enum import StrEnum

import msgspec


class SupplierRole(StrEnum):
    """Which of an item's two suppliers: the cheap slow one or the dear fast one."""

    LEAN = "lean"
    FLEXIBLE = "flexible"


class Occasion(StrEnum):
    """Why an item was reviewed: its turn came, or a surge called for it."""

    REGULAR = "regular"
    SURGE = "surge"


class Candidates(msgspec.Struct, frozen=True, kw_only=True):
    """Expected cost of each split, in the item's currency; none: that split was not allowed."""

    nothing: float | None
    lean_only: float | None
    flexible_only: float | None
    both: float | None


class CandidateUnits(msgspec.Struct, frozen=True, kw_only=True):
    """Units that each split would have ordered, after rounding; 0: that split was not allowed."""

    lean_only: int
    flexible_only: int
    both_lean: int
    both_flexible: int


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What the decision is expected to cost and to serve; none: not known.

    The four costs are those of the orders and of the days that this review decides; services and
    the cost of a day are those of the policy in the long run, review_service apart.
    """

    purchase_cost: float | None
    setup_cost: float | None
    holding_cost: float | None
    backorder_cost: float | None
    policy_cost_per_day: float | None
    gap: float | None  # share of the cost above a certified bound; 1: no bound is known
    cycle_service: float | None  # share of cycles without a stock-out
    review_service: float | None  # chance that stock lasts until the end of the days decided
    fill_rate: float | None  # share of units served from stock
    break_even_fast_unit: float | None  # money that one unit is worth earlier, set-up apart


InputValue = float | int | bool | str | list[float] | None


class PurchaseOrder(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="proposed"):
    """An order that Tidegate proposes to one supplier. Kafka key: `sku`. `po_id` is idempotent."""

    po_id: str
    version: int = 1
    sku: str
    warehouse: str
    supplier: str
    supplier_role: SupplierRole
    occasion: Occasion
    quantity: int
    unit_cost: float
    currency: str | None
    window_started_at: str
    decided_at: str
    expected_at: str
    method: str
    reason: str
    inputs: dict[str, InputValue]
    candidates: Candidates
    candidate_units: CandidateUnits | None = None  # none in older records
    expected: Expected | None = None


class AlertKind(StrEnum):
    """What an alert is about."""

    SURGE = "surge"
    BROAD_SURGE = "broad_surge"
    BULK_ORDER = "bulk_order"
    PLAN_SHORTFALL = "plan_shortfall"
    LOW_COVER = "low_cover"
    LATE_DELIVERY = "late_delivery"
    STALE_INPUT = "stale_input"
    STALE_STOCK = "stale_stock"
    PHANTOM_STOCK = "phantom_stock"
    DEAD_LETTERS = "dead_letters"


class AlertState(StrEnum):
    """Where an incident stands."""

    RAISED = "raised"
    UPDATED = "updated"
    RESOLVED = "resolved"


ACTIONS = {
    AlertKind.SURGE: "Check stock and price; order from the flexible supplier if cover is short.",
    AlertKind.BROAD_SURGE: "Look for one cause (a campaign, the press) before single items.",
    AlertKind.BULK_ORDER: "Confirm the order with the customer; it counts as no surge.",
    AlertKind.PLAN_SHORTFALL: "Push the campaign (place, price, newsletter) or lower its plan.",
    AlertKind.LOW_COVER: "Weaken or end the promotion of this item, or expedite the next arrival.",
    AlertKind.LATE_DELIVERY: "Call the supplier; move the next order to the other one if needed.",
    AlertKind.STALE_INPUT: "Check the shop's order feed: orders were due and none came.",
    AlertKind.STALE_STOCK: "Count the shelf: nothing is ordered on a stock that is not known.",
    AlertKind.PHANTOM_STOCK: "Count the shelf: what the record says is there may be gone.",
    AlertKind.DEAD_LETTERS: "Read the dead letters (tidegate dlt list), mend and replay them.",
}
"""The usual action for each kind of alert; `streams.incidents.actions` chooses by the case."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One step of an incident. Kafka key: `subject`. An incident keeps its id until resolved."""

    kind: AlertState
    incident_id: str
    version: int
    alert: AlertKind
    subject: str  # an item (sku@warehouse), a purchase order, a topic partition or a group of items
    sku: str | None
    warehouse: str | None
    started_at: str
    occurred_at: str
    summary: str
    action: str
    figures: dict[str, float | int | str | None]


def purchase_order_id(key: str, window_ms: int, role: str, occasion: str) -> str:
    """Return the id of the one order of (item, review window, supplier, occasion).

    >>> purchase_order_id("85123A@main", 0, "lean", "regular")
    'po-0d42234752cf8a81a419'
    """
    return "po-" + _digest(key, str(window_ms), role, occasion)


def incident_id(alert: str, subject: str, started_ms: int) -> str:
    """Return the id of the one incident that began then."""
    return "in-" + _digest(alert, subject, str(started_ms))


def _digest(*parts: str) -> str:
    joined = "\x00".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(joined, digest_size=10).hexdigest()


def rfc3339(milliseconds: int) -> str:
    """Return a time as text, to the second where it is whole, else to the millisecond.

    >>> rfc3339(1314864900000)
    '2011-09-01T08:15:00Z'
    """
    moment = datetime.datetime.fromtimestamp(milliseconds // 1000, datetime.UTC)
    fraction = f".{milliseconds % 1000:03d}" if milliseconds % 1000 else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"
