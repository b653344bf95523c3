"""A review: which items, with what inputs, and the record of what was decided and why."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any
from zlib import crc32

import numpy as np

from policy import (
    Decisions,
    DemandFamily,
    FitCheck,
    Method,
    PolicyCache,
    Reason,
    ReviewInputs,
    ServiceType,
    decide,
    fit_demand,
)
from streams.contracts.events import MOST_PRICE_BREAKS
from streams.contracts.ids import (
    Candidates,
    CandidateUnits,
    Expected,
    InputValue,
    Occasion,
    PurchaseOrder,
    SupplierRole,
    purchase_order_id,
    rfc3339,
)
from streams.demand.estimate import demand_over
from streams.replenishment.supplier_terms import ROLES, SupplierTerms
from streams.state.bucket_rings import DAY_MS, HOUR_MS
from streams.state.items import CATALOG, Items
from streams.types import Float64Array, Int64Array, Table

_POLICY_FIELDS = [name for name in CATALOG.names or () if not name.startswith("assume_")]
CANDIDATES = ("nothing", "lean_only", "flexible_only", "both")
CANDIDATE_UNITS = (
    "candidate_lean_only_units",
    "candidate_flexible_only_units",
    "candidate_both_lean_units",
    "candidate_both_flexible_units",
)
RESULTS = (
    "expected_purchase_cost",
    "expected_setup_cost",
    "expected_holding_cost",
    "expected_backorder_cost",
    "policy_cost_per_day",
    "gap",
    "cycle_service",
    "review_service",
    "fill_rate",
    "break_even_fast_unit",
)
DISPATCH_DELAYS = tuple(f"dispatch_delay_days_{role}" for role in ROLES)
PRICE_BREAKS = tuple(
    f"price_break_{what}_{role}" for role in ROLES for what in ("units", "unit_cost")
)
"""Tiers of each; infinite: unused."""
_ORDER_COSTS = tuple(f"order_unit_cost_{role}" for role in ROLES)
_QUANTITIES = ("quantity_lean_units", "quantity_flexible_units")
_COSTS = tuple(f"expected_cost_{candidate}" for candidate in CANDIDATES)
_TURNS = 64
_LARGEST_POSITION_UNITS = 1e12
_LARGEST_DEMAND = 1e9

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


@dataclass(frozen=True, slots=True)
class ReviewSettings:
    """When Tidegate orders at all, and how reviews are spread."""

    slot_ms: int = HOUR_MS  # reviews begin at multiples of this
    minimum_days: int = 2  # closed days of demand before the first order
    stock_valid_ms: int = 400 * DAY_MS  # an older count is no stock to order on


def first_review_ms(key: str, after_ms: int, period_ms: int, slot_ms: int) -> int:
    """Return the first boundary after a time at which an item has its turn.

    Items are spread evenly over the period by their name, so that not all come at once; over about
    64 turns at the most, so that those who come together are decided together.
    """
    turn_ms = max(1, period_ms // _TURNS // slot_ms) * slot_ms
    turns = max(1, period_ms // turn_ms)
    phase_ms = crc32(key.encode("utf-8", "surrogatepass")) % turns * turn_ms
    return window_start_ms(after_ms, phase_ms, period_ms) + period_ms


def window_start_ms(at_ms: int, phase_ms: int, period_ms: int) -> int:
    """Return the start of the review window in which a time lies."""
    return (at_ms - phase_ms) // period_ms * period_ms + phase_ms


def period_ms(row: Table, slot_ms: int) -> Int64Array:
    """Return the review period of rows, whole slots, at least one."""
    slots = np.maximum(1, np.round(row["review_period_days"] * DAY_MS / slot_ms))
    periods: Int64Array = (slots * slot_ms).astype(np.int64)
    return periods


def decide_items(
    rows: Table,
    items: Int64Array,
    windows_ms: Int64Array,
    demand_mean: Float64Array,
    boundary_ms: int,
    *,
    is_surge: bool,
    settings: ReviewSettings,
    cache: PolicyCache,
    planned_units_per_day: Float64Array | None = None,
    demand_variance: Float64Array | None = None,
    demand_before_surge: Float64Array | None = None,
    terms: SupplierTerms | None = None,
) -> Table:
    """Decide for the items given.

    Args:
        rows: `streams.state.items.ROW` records of the shard.
        items: places of the items under review, shape (n,).
        windows_ms: start of each one's review window, shape (n,).
        demand_mean: units per day over the time that the decision covers, shape (n,).
        boundary_ms: event time of the review.
        is_surge: an extra review, which may use the flexible supplier only.
        settings: when to order at all.
        cache: solved policies.
        planned_units_per_day: what `demand_mean` holds of campaigns, shape (n,); none: nothing.
        demand_variance: of a day's units at the everyday level, with what the level itself may be
            off over the cover, shape (n,); none: as if the level were known.
        demand_before_surge: what the demand would be without open surges, shape (n,); none: there
            are none.
        terms: price breaks and dispatch days of the suppliers; none: no item has any.

    Returns:
        `DECISION` records, shape (n,). An item without known stock or history gets no order, and
        the reason says so.
    """
    decisions = _gather(rows, items, windows_ms, boundary_ms, is_surge)
    _write_terms(decisions, terms)
    if demand_variance is None:
        demand_variance = rows["demand_variance_units"][items]
    _fit(decisions, demand_mean, demand_variance)
    if planned_units_per_day is not None:
        decisions["demand_planned_units_per_day"] = planned_units_per_day
    mean = decisions["demand_mean_units_per_day"]
    before = mean if demand_before_surge is None else demand_before_surge
    decisions["demand_before_surge_units_per_day"] = np.minimum(before, mean)
    held = _held(rows[items], boundary_ms, settings)
    free = np.flatnonzero(held == b"")
    decisions["reason"] = held
    decisions["method"] = np.where(held == b"", b"", b"held")
    for name in (*_COSTS, *RESULTS):
        decisions[name] = np.inf
    if free.size:
        _fill(decisions, free, decide(policy_inputs(decisions[free]), cache))
    return decisions


def _gather(
    rows: Table,
    items: Int64Array,
    windows_ms: Int64Array,
    boundary_ms: int,
    is_surge: bool,
) -> Table:
    chosen = rows[items]
    decisions = np.zeros(items.size, DECISION)
    decisions["reviewed_ms"] = boundary_ms
    decisions["window_ms"] = windows_ms
    decisions["item"] = items
    decisions["is_surge"] = is_surge
    decisions["allow_lean"] = not is_surge
    for name in ("on_hand_units", "backlog_units", *_POLICY_FIELDS):
        decisions[name] = chosen[name]
    for role in SupplierRole:
        decisions[f"on_order_{role}_units"] = chosen[f"on_order_{role}_units"]
    position = chosen["on_hand_units"] - chosen["backlog_units"]
    for role in SupplierRole:
        position = position + chosen[f"on_order_{role}_units"]
    decisions["inventory_position_units"] = np.clip(
        position, -_LARGEST_POSITION_UNITS, _LARGEST_POSITION_UNITS
    )
    decisions["observed_days"] = chosen["observed_days"]
    decisions["demand_level_units_per_day"] = chosen["demand_level_units_per_day"]
    return decisions


def _write_terms(decisions: Table, terms: SupplierTerms | None) -> None:
    for role, name in enumerate(ROLES):
        for what in ("units", "unit_cost"):
            told = np.inf if terms is None else getattr(terms, f"break_{what}")[:, role]
            decisions[f"price_break_{what}_{name}"] = told
        delay = 0.0 if terms is None else terms.dispatch_delay_days[:, role]
        decisions[f"dispatch_delay_days_{name}"] = delay


def _fit(decisions: Table, demand_mean: Float64Array, variance: Float64Array) -> None:
    """Write the distribution of a day's demand.

    The dispersion index of the everyday level is kept, that of counts where nothing sold yet: more
    demand has a wider spread, less demand (closed days ahead) a narrower one.
    """
    level = decisions["demand_level_units_per_day"]
    variance = np.maximum(variance, 0)
    index = np.where(level > 0, variance / np.where(level > 0, level, 1.0), 1.0)
    spread = np.sqrt(index * np.maximum(demand_mean, 0.0))
    fit = fit_demand(
        np.minimum(demand_mean, _LARGEST_DEMAND),
        np.minimum(spread, _LARGEST_DEMAND),
        decisions["observed_days"],
        decisions["review_period_days"],
    )
    decisions["demand_mean_units_per_day"] = fit.mean_units_per_day
    decisions["demand_sd_units_per_day"] = fit.sd_units_per_day
    decisions["demand_family"] = fit.family
    decisions["demand_fit"] = [FitCheck(code).name.lower().encode() for code in fit.check]


def _held(chosen: Table, boundary_ms: int, settings: ReviewSettings) -> "np.ndarray":
    """Why an item may not be ordered at all, or nothing."""
    held = np.full(chosen.size, b"", "S32")
    held[chosen["observed_days"] < settings.minimum_days] = b"too_little_history"
    too_old = chosen["counted_at_ms"] < boundary_ms - settings.stock_valid_ms
    held[too_old | (chosen["counted_at_ms"] == 0)] = b"stale_stock"
    return held


def policy_inputs(decisions: Table) -> ReviewInputs:
    """Return what the policy reads of decisions."""
    columns = {name: decisions[name].copy() for name in POLICY_INPUTS}
    for role in ROLES:
        if not np.isfinite(columns[f"price_break_units_{role}"]).any():
            del columns[f"price_break_units_{role}"], columns[f"price_break_unit_cost_{role}"]
    return ReviewInputs(**columns)


def _fill(decisions: Table, free: Int64Array, decided: Decisions) -> None:
    for name in (*_QUANTITIES, *CANDIDATE_UNITS, *_COSTS, *RESULTS, *_ORDER_COSTS):
        decisions[name][free] = getattr(decided, name)
    decisions["method"][free] = [Method(code).name.lower().encode() for code in decided.method]
    decisions["reason"][free] = [Reason(code).name.lower().encode() for code in decided.reason]


def expected_demand(
    rows: Table, items: Int64Array, open_days: Float64Array, planned_units_per_day: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Return the demand that a decision sees: level, half its trend over the cover, and plans.

    Args:
        rows: `streams.state.items.ROW` records.
        items: places, shape (n,).
        open_days: operational days in the time that each decision covers, shape (n,).
        planned_units_per_day: campaign units beyond the everyday level, shape (n,).

    Returns:
        Mean of a calendar day's units, and the variance of a day at the everyday level, each of
        shape (n,), such that independent days of this kind add up to the demand of the cover.
    """
    chosen = rows[items]
    cover_days = chosen["review_period_days"] + chosen["lead_time_days_lean"]
    mean, variance = demand_over(chosen, open_days)
    index = np.divide(variance, mean, out=np.ones_like(mean), where=mean > 0)
    return mean / cover_days + planned_units_per_day, index * chosen["demand_level_units_per_day"]


def purchase_orders(
    decision: Table, items: Items, names: dict[SupplierRole, str], currency: str | None
) -> list[PurchaseOrder]:
    """Return the orders of one decision, lean first; none where nothing is ordered."""
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
                    inputs=inputs_record(decision),
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


CODES: dict[str, type[IntEnum]] = {"service_type": ServiceType, "demand_family": DemandFamily}


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


def service_type_code(name: str, target: float | None) -> int:
    """Return the policy's code of a catalog line's service type."""
    return int(ServiceType.COST if target is None else ServiceType[name.upper()])
