"""The record of a decision: its columns, and the purchase orders that it makes."""

from typing import Any

import numpy as np

from policy import (
    ReviewInputs,
)
from policy.decisions import RESULTS as RESULTS
from policy.record import CODES
from policy.review_inputs import OUTLOOK_FIELDS, ROLES
from streams.contracts.events import MOST_PRICE_BREAKS
from streams.contracts.ids import purchase_order_id
from streams.contracts.purchase_orders import (
    Candidates,
    CandidateUnits,
    Expected,
    InputValue,
    Occasion,
    PurchaseOrder,
    SupplierRole,
)
from streams.state.items import CATALOG, Items
from streams.timestamps import DAY_MS, rfc3339
from streams.types import Table

_POLICY_FIELDS = [name for name in CATALOG.names or () if not name.startswith("assume_")]
CANDIDATES = ("nothing", "lean_only", "flexible_only", "both")
CANDIDATE_UNITS = (
    "candidate_lean_only_units",
    "candidate_flexible_only_units",
    "candidate_both_lean_units",
    "candidate_both_flexible_units",
)
DISPATCH_DELAYS = tuple(f"dispatch_delay_days_{role}" for role in ROLES)
PRICE_BREAKS = tuple(
    f"price_break_{what}_{role}" for role in ROLES for what in ("units", "unit_cost")
)
"""Tiers of each; infinite: unused."""

_ORDER_COSTS = tuple(f"order_unit_cost_{role}" for role in ROLES)
_QUANTITIES = ("quantity_lean_units", "quantity_flexible_units")
_COSTS = tuple(f"expected_cost_{candidate}" for candidate in CANDIDATES)
DECISION = np.dtype(
    [
        ("reviewed_ms", "<i8"),
        ("window_ms", "<i8"),
        ("item", "<i4"),
        ("is_surge", "?"),
        ("on_hand_units", "<i8"),
        ("backlog_units", "<i8"),
        ("on_order_lean_units", "<i8"),
        ("on_order_flexible_units", "<i8"),
        ("inventory_position_units", "<f8"),
        ("demand_mean_units_per_day", "<f8"),
        ("demand_sd_units_per_day", "<f8"),
        ("observed_days", "<i8"),
        ("demand_level_units_per_day", "<f8"),
        ("demand_planned_units_per_day", "<f8"),
        ("demand_family", "<i8"),
        ("demand_fit", "S24"),
        ("demand_before_surge_units_per_day", "<f8"),
        ("allow_lean", "?"),
        *[field for field in CATALOG.descr if field[0] in _POLICY_FIELDS],
        *[(name, "<f8") for name in DISPATCH_DELAYS],
        *[(name, "<f8", (MOST_PRICE_BREAKS,)) for name in PRICE_BREAKS],
        ("quantity_lean_units", "<i8"),
        ("quantity_flexible_units", "<i8"),
        *[(f"expected_cost_{candidate}", "<f8") for candidate in CANDIDATES],
        *[(units, "<i8") for units in CANDIDATE_UNITS],
        *[(result, "<f8") for result in RESULTS],
        *[(name, "<f8") for name in _ORDER_COSTS],
        ("method", "S16"),
        ("reason", "S32"),
    ]
)
"""One decision: its inputs, the cost of each candidate split, the quantities and the reason.

What was not computed, because nothing was decided, is infinite.
"""

DEMAND_BASIS = (
    "observed_days",
    "demand_level_units_per_day",
    "demand_planned_units_per_day",
    "demand_fit",
)
"""What the demand of a decision rests on."""

POLICY_INPUTS = (
    "inventory_position_units",
    "demand_mean_units_per_day",
    "demand_sd_units_per_day",
    "demand_family",
    "allow_lean",
    *_POLICY_FIELDS,
    *DISPATCH_DELAYS,
    *PRICE_BREAKS,
)
"""The fields of a decision from which `policy.decide` gives it again."""


ORDER_INPUTS = (*POLICY_INPUTS, *OUTLOOK_FIELDS)
"""The inputs of an order that `policy.recompute` reads; the days ahead are there where they were
decided by."""


def policy_inputs(decisions: Table) -> ReviewInputs:
    """Return what the policy reads of decisions."""
    columns = {name: decisions[name].copy() for name in POLICY_INPUTS}
    for role in ROLES:
        if not np.isfinite(columns[f"price_break_units_{role}"]).any():
            del columns[f"price_break_units_{role}"], columns[f"price_break_unit_cost_{role}"]
    return ReviewInputs(**columns)


def purchase_orders(
    decision: Table,
    items: Items,
    names: dict[SupplierRole, str],
    currency: str | None,
    outlook: dict[str, InputValue] | None = None,
) -> list[PurchaseOrder]:
    """Return the orders of one decision, lean first; none where nothing is ordered.

    Args:
        decision: one record.
        items: of the shard.
        names: of the suppliers.
        currency: of the prices.
        outlook: the days ahead that it was decided by, which is part of its inputs; None means it
            was decided without.
    """
    sku, warehouse = items.names[int(decision["item"])]
    occasion = Occasion.SURGE if decision["is_surge"] else Occasion.REGULAR
    window_ms, reviewed_ms = int(decision["window_ms"]), int(decision["reviewed_ms"])
    orders = []
    for role in SupplierRole:
        quantity = int(decision[f"quantity_{role}_units"])
        if quantity:
            days = decision[f"dispatch_delay_days_{role}"] + decision[f"lead_time_days_{role}"]
            due_ms = reviewed_ms + round(float(days) * DAY_MS)
            key = items.key(int(decision["item"]))
            orders.append(
                PurchaseOrder(
                    po_id=purchase_order_id(key, window_ms, role, occasion),
                    sku=sku,
                    warehouse=warehouse,
                    supplier=names[role],
                    supplier_role=role,
                    occasion=occasion,
                    quantity=quantity,
                    unit_cost=float(decision[f"order_unit_cost_{role}"]),
                    currency=currency,
                    window_started_at=rfc3339(window_ms),
                    decided_at=rfc3339(reviewed_ms),
                    expected_at=rfc3339(due_ms),
                    method=decision["method"].item().decode(),
                    reason=decision["reason"].item().decode(),
                    inputs={**inputs_record(decision), **(outlook or {})},
                    candidates=candidates_record(decision),
                    candidate_units=candidate_units_record(decision),
                    expected=expected_record(decision),
                )
            )
    return orders


def inputs_record(decision: Table) -> dict[str, InputValue]:
    """Return everything that a decision rested on, as JSON values.

    None stands for unlimited; codes are given by name; price breaks are lists.
    """
    fields = (
        "on_hand_units",
        "backlog_units",
        "on_order_lean_units",
        "on_order_flexible_units",
        *DEMAND_BASIS,
        "demand_before_surge_units_per_day",
        *POLICY_INPUTS,
    )
    return {name: code_name(name, _json_value(decision[name].tolist())) for name in fields}


def code_name(field: str, value: Any) -> Any:
    """Return the name of a field's code, and any other value as it is.

    >>> code_name("service_type", 1), code_name("unit_cost_lean", 1)
    ('cycle', 1)
    """
    return CODES[field](value).name.lower() if field in CODES else value


def candidates_record(decision: Table) -> Candidates:
    """Return the cost of each candidate split, to the hundredth."""
    costs = {name: float(decision[f"expected_cost_{name}"]) for name in CANDIDATES}
    return Candidates(
        **{name: round(cost, 2) if np.isfinite(cost) else None for name, cost in costs.items()}
    )


def candidate_units_record(decision: Table) -> CandidateUnits:
    """Return what each candidate split would have ordered."""
    units = {name: int(decision[name]) for name in CANDIDATE_UNITS}
    return CandidateUnits(
        **{name.removeprefix("candidate_").removesuffix("_units"): n for name, n in units.items()}
    )


def expected_record(decision: Table) -> Expected:
    """Return what the order is expected to cost and to serve, to the hundredth and to 1e-6."""
    digits = {name: 2 if name.endswith(("cost", "day", "unit")) else 6 for name in RESULTS}
    values = {name: round(float(decision[name]), digits[name]) for name in RESULTS}
    return Expected(
        **{
            name.removeprefix("expected_"): value if np.isfinite(value) else None
            for name, value in values.items()
        }
    )


def _json_value(value: Any) -> InputValue:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list):
        return [one for one in value if np.isfinite(one)]
    return None if isinstance(value, float) and not np.isfinite(value) else value
