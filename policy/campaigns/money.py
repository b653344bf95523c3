"""What a campaign brings: as it is planned, with actions, smaller, or not at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from policy.campaigns.case import Case
from policy.campaigns.figures import tidy
from policy.campaigns.program import Plan
from policy.campaigns.supply import Supply


def money_of(
    case: Case, supplies: Sequence[Supply], best: Plan, cheapest: Plan | None
) -> dict[str, Any] | None:
    """Return the money of each way to go on; None where a price or a unit cost is not known.

    Every way counts the goods that it sells at their cost. A smaller target needs the same share
    of the ad budget. Not going ahead sells the baseline.
    """
    if any(line.price is None or line.unit_cost is None for line in case.lines):
        return None
    ways = {
        "as_planned": _as_planned(case, supplies, best),
        "smaller_target": _smaller(case, best),
        "not_at_all": _not_at_all(case, supplies),
    }
    if cheapest is not None and cheapest.has_actions:
        ways["with_actions"] = _with_actions(case, cheapest)
    best_way = max(ways, key=lambda name: (ways[name]["result"], name == "as_planned"))
    return {**ways, "best": best_way}


def _row(units: float, margin: float, **costs: float) -> dict[str, Any]:
    result = margin - math.fsum(costs.values())
    shown = {name: tidy(cost) for name, cost in costs.items()}
    return {"units": tidy(units), "margin": tidy(margin), **shown, "result": tidy(result)}


def _as_planned(case: Case, supplies: Sequence[Supply], best: Plan) -> dict[str, Any]:
    """Return what comes of going ahead with nothing done: lost sales, and orders that are late."""
    sold = [
        max(0.0, line.expected_units - supply.short_units)
        for line, supply in zip(case.lines, supplies, strict=True)
    ]
    margin = math.fsum(units * (line.margin or 0.0)
                       for line, units in zip(case.lines, sold, strict=True))  # fmt: skip
    late, late_cost = 0.0, 0.0
    for place, (line, units) in enumerate(zip(case.lines, sold, strict=True)):
        late_units = max(0.0, units - best.served(place))
        late += late_units * line.orders_each
        each = case.late_cost_per_order
        own = late_units * (line.margin or 0.0) if each is None else 0.0
        late_cost += own + late_units * line.orders_each * (each or 0.0)
    lost = math.fsum(supply.short_units * (line.margin or 0.0)
                     for line, supply in zip(case.lines, supplies, strict=True))  # fmt: skip
    row = _row(math.fsum(sold), margin, ad_budget=case.ad_budget,
               late_cost=late_cost)  # fmt: skip
    return {**row, "late_orders": tidy(late), "lost_margin": tidy(lost)}


def _smaller(case: Case, best: Plan) -> dict[str, Any]:
    planned = math.fsum(line.expected_units for line in case.lines)
    margin = math.fsum(best.served(place) * (line.margin or 0.0)
                       for place, line in enumerate(case.lines))  # fmt: skip
    share = best.total / planned if planned else 0.0
    return _row(best.total, margin, ad_budget=case.ad_budget * min(1.0, share))


def _with_actions(case: Case, plan: Plan) -> dict[str, Any]:
    """Return what comes of the cheapest actions; goods that are bought cost what they are."""
    revenue, goods, spent = 0.0, 0.0, plan.cost
    for place, line in enumerate(case.lines):
        served = plan.served(place)
        bought = 0.0
        for number, one in enumerate(line.purchases):
            units = plan.bought.get((place, number), 0.0)
            cost = units * one.unit_cost + (one.order_cost if units else 0.0)
            bought, goods, spent = bought + units, goods + cost, spent - cost
        revenue += served * (line.price or 0.0)
        goods += max(0.0, served - bought) * (line.unit_cost or 0.0)
    not_cash = math.fsum(
        units * (case.lines[place].give_up_cost_per_unit or 0.0)
        for place, units in plan.given_up.items()
    )
    return _row(plan.total, revenue - goods, ad_budget=case.ad_budget,
                actions_cost=max(0.0, spent - not_cash))  # fmt: skip


def _not_at_all(case: Case, supplies: Sequence[Supply]) -> dict[str, Any]:
    sold = [
        min(line.baseline_units, math.fsum(supply.usable.values()) + supply.arriving_units)
        for line, supply in zip(case.lines, supplies, strict=True)
    ]
    margin = math.fsum(units * (line.margin or 0.0)
                       for line, units in zip(case.lines, sold, strict=True))  # fmt: skip
    return _row(math.fsum(sold), margin)
