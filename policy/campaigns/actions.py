"""The actions of a plan: what to do, how much, at what cost, and until when to decide."""

from __future__ import annotations

import math
from typing import Any

from policy.campaigns.case import Case
from policy.campaigns.figures import tidy
from policy.campaigns.program import Plan
from policy.campaigns.supply import checkpoints


def actions_of(case: Case, plan: Plan) -> list[dict[str, Any]]:
    """Return the actions of a plan, in the order of the case.

    `by_in_days` is the last moment to begin, in days from the check; `is_cash` says whether the
    cost is money that is spent, or margin that is not earned.
    """
    return [
        *_extra(case, plan),
        *_purchases(case, plan),
        *_shifts(case, plan),
        *_smaller(case, plan),
    ]


def _action(kind: str, units: float, cost: float | None, by: float, **more: Any) -> dict[str, Any]:
    shown = None if cost is None else tidy(cost)
    return {"kind": kind, "units": tidy(units), "cost": shown, "by_in_days": max(0.0, by),
            "is_cash": True, **more}  # fmt: skip


def _extra(case: Case, plan: Plan) -> list[dict[str, Any]]:
    found = []
    for place, option in enumerate(case.options):
        orders, days = plan.extra_orders.get(place, 0.0), plan.extra_days.get(place, 0)
        is_space = place in plan.space
        if orders <= 0 and not is_space:
            continue
        if option.cost_per_day == 0 and orders > 0:  # then the program leaves the days open
            days = math.ceil(orders / option.orders_per_day - 1e-6)
        cost = option.fixed_cost + days * option.cost_per_day + orders * option.cost_per_order
        units = orders or option.space_units or option.packages
        by = case.starts_in_days - option.start_delay_days
        found.append(
            _action(
                option.kind,
                units,
                cost,
                by,
                name=option.name,
                warehouse=option.warehouse,
                days=days,
                of="orders" if orders else "units",
            )
        )
    return found


def _purchases(case: Case, plan: Plan) -> list[dict[str, Any]]:
    found = []
    for (place, number), units in plan.bought.items():
        line = case.lines[place]
        one = line.purchases[number]
        cost = units * one.unit_cost + one.order_cost
        by = checkpoints(case, line)[-1][1] - one.lead_time_days
        found.append(
            _action(
                f"purchase_{one.kind}",
                units,
                cost,
                by,
                sku=line.sku,
                supplier=one.supplier,
                warehouse=one.warehouse,
                of="units",
            )
        )
    return found


def _shifts(case: Case, plan: Plan) -> list[dict[str, Any]]:
    found = []
    for (place, number), units in plan.shifted.items():
        line = case.lines[place]
        one = line.substitutes[number]
        cost = units * one.cost_per_unit
        found.append(
            _action(
                "other_item",
                units,
                cost,
                case.starts_in_days,
                sku=line.sku,
                to_sku=one.sku,
                of="units",
            )
        )
    return found


def _smaller(case: Case, plan: Plan) -> list[dict[str, Any]]:
    """Return the targets that are smaller: as the case allows, or because nothing else is left."""
    found = []
    for place, line in enumerate(case.lines):
        given_up, unserved = plan.given_up.get(place, 0.0), plan.unserved[place]
        if given_up + unserved < 1e-6:
            continue
        each = line.margin if line.give_up_cost_per_unit is None else line.give_up_cost_per_unit
        units = given_up + unserved
        target = math.floor(line.expected_units - units + 1e-6)
        cost = None if each is None else units * max(0.0, each)
        action = _action("smaller_target", units, cost, case.starts_in_days, sku=line.sku,
                         target_units=target, of="units")  # fmt: skip
        found.append({**action, "is_cash": False})
    return found
