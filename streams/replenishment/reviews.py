"""A review: which items, with what inputs, and the record of what was decided and why."""

from dataclasses import replace
from typing import Any

import numpy as np

from policy import (
    Decisions,
    FitCheck,
    Method,
    PolicyCache,
    Reason,
    ServiceType,
    decide,
    fit_demand,
)
from policy.review_inputs import ROLES
from policy.slow_lean import SHORTEST_LEAN_DAYS, wants_outlook
from streams.contracts.purchase_orders import (
    SupplierRole,
)
from streams.demand.estimate import demand_over
from streams.replenishment.decision_record import (
    _COSTS,
    _ORDER_COSTS,
    _POLICY_FIELDS,
    _QUANTITIES,
    CANDIDATE_UNITS,
    DECISION,
    RESULTS,
    policy_inputs,
)
from streams.replenishment.outlook import Ahead, OutlookRecord, outlook_columns, outlook_record
from streams.replenishment.supplier_terms import SupplierTerms
from streams.settings import ReviewSettings
from streams.types import Float64Array, Int64Array, Table

_LARGEST_POSITION_UNITS = 1e12
_LARGEST_DEMAND = 1e9


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
    late_supply_units: Int64Array | None = None,
    ahead: Ahead | None = None,
    outlooks: dict[int, OutlookRecord] | None = None,
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
        planned_units_per_day: what `demand_mean` holds of campaigns, shape (n,); None means
            nothing.
        demand_variance: of a day's units at the baseline level, with what the level itself may be
            off over the cover, shape (n,); None means as if the level were known.
        demand_before_surge: what the demand would be without open surges, shape (n,); None means
            there are none.
        terms: price breaks and dispatch days of the suppliers; None means no item has any.
        late_supply_units: of what is on order, the units that are due too late to count, or that
            hardly come any more, shape (n, role); None means that all of it counts.
        ahead: the days ahead, by which items with a slow lean supplier are decided; None means by
            the mean of the time covered.
        outlooks: takes up what those were decided by, by their place among the items.

    Returns:
        `DECISION` records, shape (n,). An item without known stock or history gets no order, and
        the reason says so.
    """
    decisions = _gather(rows, items, windows_ms, boundary_ms, is_surge, late_supply_units)
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
        columns = {} if ahead is None else _outlook(decisions, free, ahead, outlooks)
        inputs = replace(policy_inputs(decisions[free]), **columns)
        _fill(decisions, free, decide(inputs, cache))
    return decisions


def _outlook(
    decisions: Table, free: Int64Array, ahead: Ahead, outlooks: dict[int, OutlookRecord] | None
) -> dict[str, Any]:
    """Return the outlook of the items that are not held, where any has a slow lean supplier."""
    if not (decisions["lead_time_days_lean"][free] >= SHORTEST_LEAN_DAYS).any():
        return {}
    places = free[wants_outlook(policy_inputs(decisions[free]))]
    if not places.size:
        return {}
    columns = outlook_columns(decisions, places, ahead)
    if outlooks is not None:
        outlooks.update({place: outlook_record(columns, place) for place in places.tolist()})
    return {name: values[free] for name, values in columns.items()}


def _gather(
    rows: Table,
    items: Int64Array,
    windows_ms: Int64Array,
    boundary_ms: int,
    is_surge: bool,
    late_supply_units: Int64Array | None,
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
    position = chosen["on_hand_units"] - chosen["backlog_units"]
    for place, role in enumerate(SupplierRole):
        late = 0 if late_supply_units is None else late_supply_units[:, place]
        decisions[f"on_order_{role}_units"] = chosen[f"on_order_{role}_units"] - late
        position = position + decisions[f"on_order_{role}_units"]
    decisions["inventory_position_units"] = np.clip(
        position, -_LARGEST_POSITION_UNITS, _LARGEST_POSITION_UNITS
    )
    decisions["observed_days"] = chosen["observed_days"]
    decisions["demand_level_units_per_day"] = chosen["demand_level_units_per_day"]
    return decisions


def _write_terms(decisions: Table, terms: SupplierTerms | None) -> None:
    for role, name in enumerate(ROLES):
        for what in ("units", "unit_cost"):
            given = np.inf if terms is None else getattr(terms, f"break_{what}")[:, role]
            decisions[f"price_break_{what}_{name}"] = given
        delay = 0.0 if terms is None else terms.dispatch_delay_days[:, role]
        decisions[f"dispatch_delay_days_{name}"] = delay


def _fit(decisions: Table, demand_mean: Float64Array, variance: Float64Array) -> None:
    """Write the distribution of a day's demand.

    The dispersion index of the baseline level is kept, that of counts where nothing sold yet: more
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
    held = np.full(chosen.size, b"not_live" if boundary_ms < settings.live_from_ms else b"", "S32")
    held[chosen["observed_days"] < settings.minimum_days] = b"too_little_history"
    too_old = chosen["counted_at_ms"] < boundary_ms - settings.stock_valid_ms
    held[too_old | (chosen["counted_at_ms"] == 0)] = b"stale_stock"
    return held


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
        planned_units_per_day: campaign units beyond the baseline level, shape (n,).

    Returns:
        Mean of a calendar day's units, and the variance of a day at the baseline level, each of
        shape (n,), such that independent days of this kind add up to the demand of the cover.
    """
    chosen = rows[items]
    cover_days = chosen["review_period_days"] + chosen["lead_time_days_lean"]
    mean, variance = demand_over(chosen, open_days)
    index = np.divide(variance, mean, out=np.ones_like(mean), where=mean > 0)
    return mean / cover_days + planned_units_per_day, index * chosen["demand_level_units_per_day"]


def service_type_code(name: str, target: float | None) -> int:
    """Return the policy's code of a catalog line's service type."""
    return int(ServiceType.COST if target is None else ServiceType[name.upper()])
