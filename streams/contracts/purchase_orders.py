"""The contract of purchase orders: pure functions of the logs, so they carry event times only."""

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from streams.contracts.fields import (
    CURRENCY,
    PURCHASE_ORDER_ID,
    SKU,
    SUPPLIER,
    WAREHOUSE,
    ArrivesAt,
    BreakEvenFastUnit,
    CycleService,
    DecidedAt,
    ExpectedBackorderCost,
    ExpectedHoldingCost,
    FillRate,
    Gap,
    Method,
    OrderingCost,
    OrderQuantity,
    OrderUnitCost,
    OrderVersion,
    PolicyCostPerDay,
    PurchaseCost,
    ReasonCode,
    ReviewService,
    SplitCost,
    SplitUnits,
    WindowStartedAt,
)


class SupplierRole(StrEnum):
    """Which of an item's two suppliers: the cheap slow one or the dear fast one."""

    LEAN = "lean"
    FLEXIBLE = "flexible"


class Occasion(StrEnum):
    """Why an item was reviewed: its turn came, or a surge called for it."""

    REGULAR = "regular"
    SURGE = "surge"


class Candidates(msgspec.Struct, frozen=True, kw_only=True):
    """Expected cost of each split, in the item's currency; None means that it was not allowed."""

    nothing: Annotated[SplitCost | None, Meta(examples=[2278.49])]
    lean_only: SplitCost | None
    flexible_only: Annotated[SplitCost | None, Meta(examples=[2126.72])]
    both: Annotated[SplitCost | None, Meta(examples=[1980.48])]


class CandidateUnits(msgspec.Struct, frozen=True, kw_only=True):
    """Units that each split would have ordered, after rounding; 0 where it was not allowed."""

    lean_only: Annotated[SplitUnits, Meta(examples=[456])]
    flexible_only: Annotated[SplitUnits, Meta(examples=[149])]
    both_lean: SplitUnits
    both_flexible: Annotated[SplitUnits, Meta(examples=[81])]


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What the decision is expected to cost and to serve; None means not known.

    The four costs are those of the orders and of the days that this review decides; services and
    the cost of a day are those of the policy in the long run, review_service apart.
    """

    purchase_cost: PurchaseCost | None
    setup_cost: OrderingCost | None
    holding_cost: ExpectedHoldingCost | None
    backorder_cost: ExpectedBackorderCost | None
    policy_cost_per_day: PolicyCostPerDay | None
    gap: Gap | None
    cycle_service: CycleService | None
    review_service: ReviewService | None
    fill_rate: FillRate | None
    break_even_fast_unit: BreakEvenFastUnit | None


InputValue = float | int | bool | str | list[float] | None
_INPUTS: dict[str, InputValue] = {
    "on_hand_units": 40,
    "backlog_units": 3,
    "on_order_lean_units": 0,
    "on_order_flexible_units": 0,
    "observed_days": 180,
    "demand_level_units_per_day": 12.5,
    "demand_planned_units_per_day": 0.0,
    "demand_fit": "overdispersed",
    "demand_before_surge_units_per_day": 12.5,
    "inventory_position_units": 37.0,
    "demand_mean_units_per_day": 12.5,
    "demand_sd_units_per_day": 6.2,
    "demand_family": "negative_binomial",
    "allow_lean": True,
    "unit_cost_lean": 4.0,
    "unit_cost_flexible": 5.2,
    "setup_cost_lean": 90.0,
    "setup_cost_flexible": 9.0,
    "lead_time_days_lean": 9.0,
    "lead_time_days_flexible": 2.0,
    "review_period_days": 7.0,
    "holding_cost_per_unit_day": 0.02,
    "backorder_cost_per_unit_day": 0.5,
    "service_target": 0.95,
    "service_type": "cycle",
    "lean_capacity_units": 500,
    "minimum_order_units_lean": 24,
    "minimum_order_units_flexible": 0,
    "pack_size_units_lean": 12,
    "pack_size_units_flexible": 1,
    "dispatch_delay_days_lean": 0.0,
    "dispatch_delay_days_flexible": 0.0,
    "price_break_units_lean": [200.0],
    "price_break_unit_cost_lean": [3.8],
    "price_break_units_flexible": [],
    "price_break_unit_cost_flexible": [],
}
Inputs = Annotated[
    dict[str, InputValue],
    Meta(
        description="Everything that the decision rested on; each name ends in its unit, money is "
        "in `currency`, null means no limit. The policy gives the same decision from it again.",
        examples=[_INPUTS],
    ),
]


class PurchaseOrder(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="proposed"):
    """An order that Tidegate proposes to one supplier. Kafka key: `sku`. `po_id` is idempotent."""

    po_id: Annotated[str, PURCHASE_ORDER_ID]
    version: OrderVersion = 1
    sku: Annotated[str, SKU]
    warehouse: Annotated[str, WAREHOUSE]
    supplier: Annotated[str, SUPPLIER]
    supplier_role: Annotated[
        SupplierRole,
        Meta(
            description="Which of the item's two suppliers it is: the cheap slow one (lean) or the "
            "dear fast one (flexible).",
            examples=["lean", "flexible"],
        ),
    ]
    occasion: Annotated[
        Occasion,
        Meta(
            description="Why the item was reviewed: its turn came (regular), or a surge called for "
            "it (surge).",
            examples=["regular", "surge"],
        ),
    ]
    quantity: OrderQuantity
    unit_cost: OrderUnitCost
    currency: Annotated[str | None, CURRENCY]
    window_started_at: WindowStartedAt
    decided_at: DecidedAt
    expected_at: ArrivesAt
    method: Method
    reason: ReasonCode
    inputs: Inputs
    candidates: Annotated[
        Candidates, Meta(description="Expected cost of each way to split the order.")
    ]
    candidate_units: Annotated[
        CandidateUnits | None,
        Meta(description="Units of each way to split the order; null in older records."),
    ] = None
    expected: Annotated[
        Expected | None,
        Meta(description="Expected costs and service of the decision; null in older records."),
    ] = None
