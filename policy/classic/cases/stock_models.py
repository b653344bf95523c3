"""The models of a case about one item's stock: safety stock, order lines, ordering rules."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from policy.classic import planning
from policy.classic.fields import FloatArray
from policy.classic.lots import QUANTITY
from policy.classic.order_lines import LineFill, base_stock_for_lines, line_fill
from policy.classic.safety import (
    Needs,
    SafetyStock,
    from_factors,
    review_level,
    service_of,
)
from policy.classic.safety import safety_stock as safety_stock_of
from policy.errors import PolicyInputError

Answer = dict[str, Any]


def safety(
    service_type: Any,
    demand_mean_per_period: float,
    demand_sd_per_period: float,
    lead_time_periods: float,
    target: float | None = None,
    lead_time_sd_periods: float = 0.0,
    order_quantity: float | None = None,
    scrap_share: float = 0.0,
    safety_periods: float | None = None,
    safety_stock: float | None = None,
) -> Answer:
    """Safety stock and reorder point, by service, by days of demand or by estimate."""
    needs = Needs(
        demand_mean_per_period,
        demand_sd_per_period,
        lead_time_periods,
        lead_time_sd_periods,
        scrap_share,
    )
    _only_for(service_type, "target", target, ("cycle", "fill"))
    _only_for(service_type, "safety_periods", safety_periods, ("periods",))
    _only_for(service_type, "safety_stock", safety_stock, ("estimate",))
    if target is not None:
        stock = safety_stock_of(service_type, target, needs, order_quantity)
    else:
        units = safety_stock
        if safety_periods is not None:
            units = safety_periods * demand_mean_per_period
        stock = _by_hand(needs, units or 0.0)
    answer = _safety_answer(stock)
    if order_quantity is not None:
        sigma = stock.sd_over_lead_time
        cycle, fill = service_of(stock.k, sigma, order_quantity)
        answer |= {"cycle_service": float(cycle), "fill_rate": float(fill)}
    if target is not None:
        answer["change_if_a_tenth_more"] = _changes(service_type, target, needs, order_quantity)
    return answer


def _only_for(service_type: str, name: str, value: Any, types: tuple[str, ...]) -> None:
    if (value is not None) != (service_type in types):
        rule = "given" if service_type in types else "absent"
        raise PolicyInputError(name, f"{rule} for service_type {service_type}", value)


def _by_hand(needs: Needs, units: float) -> SafetyStock:
    """Return a given safety stock with the safety factor that it amounts to."""
    checked = needs.checked()
    sigma = np.sqrt(sum(checked.variances()))
    usable = 1 - np.asarray(checked.scrap)
    k = np.where(sigma > 0, units * usable / np.where(sigma > 0, sigma, 1.0), 0.0)
    stock = from_factors(checked, k, k)
    expected = np.asarray(checked.mean) * np.asarray(checked.lead_time) / usable
    given = np.asarray(units, dtype=float)
    return replace(
        stock,
        safety_stock=given,
        reorder_point=expected + given,
        exact_safety_stock=given,
        exact_reorder_point=expected + given,
    )


def _safety_answer(stock: SafetyStock) -> Answer:
    has_spread = stock.sd_over_lead_time > 0
    shares = {
        "demand": float(stock.share_of_demand),
        "lead_time": float(stock.share_of_lead_time),
        "scrap": float(stock.share_of_scrap),
    }
    return {
        "k": float(stock.k),
        "safety_stock": float(stock.safety_stock),
        "reorder_point": float(stock.reorder_point),
        "k_with_second_term": float(stock.exact_k),
        "safety_stock_with_second_term": float(stock.exact_safety_stock),
        "reorder_point_with_second_term": float(stock.exact_reorder_point),
        "sd_over_lead_time": float(stock.sd_over_lead_time),
        "driver_shares": shares if has_spread else None,
    }


_DRIVERS = (
    "demand_mean_per_period",
    "demand_sd_per_period",
    "lead_time_periods",
    "lead_time_sd_periods",
    "order_quantity",
    "target",
)


def _changes(
    service_type: Any, target: float, needs: Needs, order_quantity: float | None
) -> dict[str, float]:
    """Return what the safety stock grows by where one driver is a tenth larger."""
    # A row for each driver, and a last one where nothing changes.
    more = np.vstack([1 + 0.1 * np.eye(len(_DRIVERS)), np.ones(len(_DRIVERS))])
    given = (needs.mean, needs.sd, needs.lead_time, needs.lead_time_sd)
    mean, sd, lead, lead_sd = (np.asarray(one) * more[:, row] for row, one in enumerate(given))
    changed = Needs(mean, sd, lead, lead_sd, needs.scrap)
    lots = None if order_quantity is None else order_quantity * more[:, 4]
    targets = 1 - (1 - target) / more[:, 5]
    stock = safety_stock_of(service_type, targets, changed, lots)
    units = stock.safety_stock
    changes = dict(zip(_DRIVERS, (units[:-1] - units[-1]).tolist(), strict=True))
    if service_type == "cycle":
        del changes["order_quantity"]
    return changes


def review_up_to(
    service_type: Any,
    target: float,
    demand_mean_per_period: float,
    demand_sd_per_period: float,
    lead_time_periods: float,
    review_periods: float,
    lead_time_sd_periods: float = 0.0,
    scrap_share: float = 0.0,
    order_quantity: float | None = None,
) -> Answer:
    """The order-up-to level S of an (R, S) policy for a service target.

    An `order_quantity` changes nothing: what a review orders is the demand since the one before.
    """
    needs = Needs(
        demand_mean_per_period,
        demand_sd_per_period,
        lead_time_periods,
        lead_time_sd_periods,
        scrap_share,
    )
    level = review_level(service_type, target, needs, review_periods)
    return {
        "level": float(level.level),
        "k": float(level.k),
        "safety_stock": float(level.safety_stock),
        "level_with_second_term": float(level.exact_level),
        "k_with_second_term": float(level.exact_k),
    }


def order_line_fill(
    lines_per_period: float,
    line_sizes: FloatArray,
    lead_time_periods: float,
    base_stock: float | None = None,
    target: float | None = None,
) -> Answer:
    """Share of order lines that a base stock serves in full, or the base stock for a target."""
    if (base_stock is None) == (target is None):
        raise PolicyInputError("base_stock", "given where target is absent", base_stock)
    found: LineFill
    if base_stock is not None:
        stock = int(base_stock)
        found = line_fill(lines_per_period, line_sizes, lead_time_periods, stock)
    else:
        share = target or 0.0
        found = base_stock_for_lines(lines_per_period, line_sizes, lead_time_periods, share)
    return {
        "base_stock": found.base_stock,
        "line_fill": found.line_fill,
        "unit_fill": found.unit_fill,
    }


def reorder_point_order(
    on_hand: float,
    reorder_point: float,
    order_quantity: float | None = None,
    level: float | None = None,
    on_order: float = 0.0,
    backlog: float = 0.0,
) -> Answer:
    """What a reorder point orders now: whole lots, or up to a level."""
    at = planning.position(on_hand, on_order, backlog)
    if (order_quantity is None) == (level is None):
        rule = f"{QUANTITY.rule}, or absent beside level"
        raise PolicyInputError(QUANTITY.name, rule, order_quantity)
    if order_quantity is not None:
        order = planning.reorder_in_lots(at, reorder_point, order_quantity)
    else:
        order = planning.reorder_up_to(at, reorder_point, level or 0.0)
    return _ordered(at, order)


def periodic_review(
    on_hand: float, level: float, on_order: float = 0.0, backlog: float = 0.0
) -> Answer:
    """What a periodic review orders now: up to its level."""
    at = planning.position(on_hand, on_order, backlog)
    return _ordered(at, planning.review_order(at, level))


def cover_time(
    on_hand: float,
    demand_per_period: float,
    lead_time_periods: float,
    safety_periods: float = 0.0,
    order_periods: float = 0.0,
    on_order: float = 0.0,
    backlog: float = 0.0,
) -> Answer:
    """What cover-time planning orders now."""
    at = planning.position(on_hand, on_order, backlog)
    found = planning.order_by_cover(
        at, demand_per_period, lead_time_periods, safety_periods, order_periods
    )
    cover = float(found.cover_periods) if demand_per_period > 0 else None
    return {"cover_periods": cover, **_ordered(at, found.order_quantity)}


def _ordered(position: FloatArray, order: FloatArray) -> Answer:
    return {
        "position": float(position),
        "order_now": bool(order > 0),
        "order_quantity": float(order),
    }


def mrp(
    gross_requirements: FloatArray,
    on_hand: float,
    lead_time_periods: float,
    scheduled_receipts: FloatArray | None = None,
    safety_stock: float = 0.0,
    minimum_order_units: float = 0.0,
    order_multiple_units: float = 0.0,
    lot_periods: float = 1,
) -> Answer:
    """Planned orders by netting requirements against stock, and the projected stock."""
    plan = planning.net_requirements(
        gross_requirements,
        scheduled_receipts if scheduled_receipts is not None else np.zeros(0),
        on_hand,
        lead_time_periods=lead_time_periods,
        safety_stock=safety_stock,
        minimum_order=minimum_order_units,
        multiple=order_multiple_units,
        lot_periods=int(lot_periods),
    )
    return {
        "net_requirements": plan.net_requirements.tolist(),
        "planned_receipts": plan.planned_receipts.tolist(),
        "planned_orders": plan.planned_orders.tolist(),
        "overdue_orders": plan.overdue_orders,
        "projected_stock": plan.projected_stock.tolist(),
    }
