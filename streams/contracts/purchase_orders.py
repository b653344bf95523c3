"""The contract of purchase orders: pure functions of the logs, so they carry event times only."""

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
