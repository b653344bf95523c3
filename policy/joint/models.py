"""The models of a case with several items of one supplier: functions from fields to an answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from policy.classic.demand import Demand, TableDemand, on_cells
from policy.classic.fields import FloatArray
from policy.errors import PolicyInputError
from policy.joint.can_order import can_order_levels
from policy.joint.chain import MOST_STATES, exact_cost, states_of
from policy.joint.cycles import best_cycles
from policy.joint.history import NOTHING, Played, learnt_demand, play_apart, play_together
from policy.joint.items import CanOrderLevels, JointCost, JointItem, JointProblem
from policy.joint.minimum_value import ItemLines, raise_or_wait
from policy.joint.optimum import least_cost
from policy.joint.periodic import Periodic, alone, best_review, review_levels, up_to_levels
from policy.joint.run_out import fill_container
from policy.joint.shared_price import Shares, share_budget, share_by_answers
from policy.joint.simulation import Effort, simulated_cost

Answer = dict[str, Any]
Items = list[dict[str, Any]]

_CELLS_WANTED = 400  # positions of an item that the search walks through, at most


def container_fill(
    items: Items, container_volume: float | None = None, container_weight: float | None = None
) -> Answer:
    """Fill a container so that all items last equally long; whole packs where they are given."""
    rooms = {"volume": container_volume, "weight": container_weight}
    bounds = {name: room for name, room in rooms.items() if room is not None}
    if not bounds:
        rule = "given, or container_weight, or both"
        raise PolicyInputError("container_volume", rule, None)
    sizes = np.array([_column(items, f"unit_{name}", needed=True) for name in bounds])
    demand, stock = _column(items, "demand_per_period"), _column(items, "stock")
    room = np.array(list(bounds.values()))
    has_packs = any("pack_units" in item for item in items)
    packs = _column(items, "pack_units", 1.0) if has_packs else None
    filled = fill_container(demand, stock, sizes, room, packs, _keys(items))
    used = dict(zip(bounds, (sizes @ filled.quantities).tolist(), strict=True))
    return {
        "run_out_periods": filled.run_out_periods,
        **{f"{name}_used": value for name, value in used.items()},
        "items": [
            {
                "name": name,
                "order_quantity": float(units),
                "run_out_periods": float((held + units) / rate) if rate > 0 else None,
            }
            for name, units, held, rate in zip(
                _keys(items), filled.quantities, stock, demand, strict=True
            )
        ],
    }


def minimum_order_value(
    items: Items,
    minimum_value: float,
    lead_time_periods: float,
    review_periods: float,
) -> Answer:
    """Raise lines that are worth too little by equal run-out, or wait, whichever is cheaper."""
    lines = ItemLines(
        demand=_column(items, "demand_per_period"),
        demand_sd=_column(items, "demand_sd_per_period"),
        stock=_column(items, "stock"),
        unit_cost=_column(items, "unit_cost"),
        holding_cost=_column(items, "holding_cost_per_unit_period"),
        backorder_cost=_column(items, "backorder_cost_per_unit_period"),
        proposed=_column(items, "proposed_units"),
        packs=_column(items, "pack_units", 1.0),
    )
    found = raise_or_wait(lines, minimum_value, lead_time_periods, review_periods, _keys(items))
    rows = zip(_keys(items), found.quantities, found.raised, strict=True)
    return {
        "action": found.action,
        "value": float(lines.unit_cost @ found.quantities),
        "proposed_value": float(lines.unit_cost @ lines.proposed),
        "reviews_to_wait": found.reviews_to_wait,
        "cost_of_raising": found.cost_of_raising,
        "cost_of_waiting": found.cost_of_waiting,
        "items": [
            {"name": name, "order_quantity": float(units), "raised_quantity": float(raised)}
            for name, units, raised in rows
        ],
    }


def joint_budget(items: Items, budget: float) -> Answer:
    """Share a budget for one season among items, at one price of money."""
    costs = _column(items, "unit_cost")
    over, under = _column(items, "overage_cost"), _column(items, "underage_cost")
    demand = [item["demand"] for item in items]
    found = share_budget(demand, costs, over, under, budget, _keys(items))
    missing = np.array([float(d.loss(q)) for d, q in zip(demand, found.units, strict=True)])
    means = np.array([d.mean for d in demand])
    cost = over @ (found.units - means + missing) + under @ missing
    return {
        "price": found.price,
        "spent": float(costs @ found.units),
        "expected_cost": float(cost),
        "items": _shared_rows(items, found),
    }


def joint_capacity(items: Items, prices: FloatArray, capacity: float) -> Answer:
    """Share a capacity among items by one price, from their answers at some prices."""
    if prices[0] != 0 or (np.diff(prices) <= 0).any():
        raise PolicyInputError("prices", "rising from 0", prices.tolist())
    for item, name in zip(items, _keys(items), strict=True):
        units = item["answers"]
        if units.size != prices.size or (np.diff(units) > 0).any():
            rule = f"{prices.size} numbers, none above the one before it"
            raise PolicyInputError(f"items[{name}].answers", rule, units.tolist())
    sizes = _column(items, "unit_size", 1.0)
    answers = np.array([item["answers"] for item in items])
    packs = _column(items, "pack_units", 1.0)
    found = share_by_answers(prices, answers, sizes, capacity, packs, _keys(items))
    return {
        "price": found.price,
        "used": float(sizes @ found.units),
        "items": _shared_rows(items, found),
    }


def _shared_rows(items: Items, found: Shares) -> list[Answer]:
    pairs = zip(_keys(items), found.units, strict=True)
    return [{"name": name, "order_quantity": float(units)} for name, units in pairs]


def joint_cycles(items: Items, header_cost: float, holding_rate_per_period: float) -> Answer:
    """How often to order each item where demand is certain, with one header for each order."""
    demand, unit_cost = _column(items, "demand_per_period"), _column(items, "unit_cost")
    values = holding_rate_per_period * demand * unit_cost
    found = best_cycles(header_cost, _column(items, "line_cost"), values)
    rows = zip(_keys(items), found.multiples, demand, strict=True)
    return {
        "cycle_periods": found.cycle_periods,
        "multiples": list(found.multiples),
        "cost_per_period": found.cost_per_period,
        "cost_apart_per_period": found.cost_apart_per_period,
        "items": [
            {
                "name": name,
                "multiple": multiple,
                "order_periods": multiple * found.cycle_periods,
                "order_quantity": multiple * found.cycle_periods * float(rate),
            }
            for name, multiple, rate in rows
        ],
    }


def joint_levels(
    items: Items,
    header_cost: float,
    lead_time_periods: float = 0.0,
    simulated_runs: float = 32.0,
    simulated_periods: float = 1_000.0,
    seed: float = 17.0,
) -> Answer:
    """Levels for items that share a header: can-order, on a calendar, and each by itself."""
    lead = int(lead_time_periods)
    made = [_joint_item(item, name, header_cost, lead)
            for item, name in zip(items, _keys(items), strict=True)]  # fmt: skip
    problem = JointProblem(made, header_cost, lead)
    effort = Effort(int(simulated_runs), int(simulated_periods), seed=int(seed))
    joined = can_order_levels(problem)
    is_exact = states_of(joined) <= MOST_STATES
    cost = exact_cost(problem, joined) if is_exact else simulated_cost(problem, joined, effort)
    best = least_cost(problem)
    rules = {
        "can_order": (cost, joined, None),
        "periodic_s_S": _of_calendar(best_review(problem, review_levels)),
        "periodic_R_S": _of_calendar(best_review(problem, up_to_levels)),
        "each_alone": (alone(problem), None, None),
    }
    least = None if best is None else best.cost
    answer: Answer = {
        "best_rule": min(rules, key=lambda name: rules[name][0].total),
        "least_cost_per_period": least,
        "rules": [_rule_row(name, *rule, least) for name, rule in rules.items()],
    }
    answer["levels"] = _level_rows(made, joined, rules)
    return answer


def joint_history(
    items: Items, header_cost: float, learnt_periods: float, lead_time_periods: float = 0.0
) -> Answer:
    """Joint against single orders on a history: levels from its beginning, played on the rest."""
    learnt, lead = int(learnt_periods), int(lead_time_periods)
    suppliers: dict[str, list[tuple[JointItem, FloatArray]]] = {}
    left_out = 0
    for item, name in zip(items, _keys(items), strict=True):
        history: FloatArray = item["history"]
        if history.size <= learnt:
            rule = f"more than learnt_periods, {learnt} numbers"
            raise PolicyInputError(f"items[{name}].history", rule, history.size)
        if not history[:learnt].any():
            left_out += 1
            continue
        known = {**item, "demand": learnt_demand(history[:learnt])}
        made = _joint_item(known, name, header_cost, lead)
        suppliers.setdefault(item["supplier"], []).append((made, history[learnt:]))
    apart, together, reviews = NOTHING, NOTHING, []
    for name, pairs in suppliers.items():
        if len({row.size for _, row in pairs}) > 1:
            raise PolicyInputError("history", "of one length for a supplier", name)
        problem = JointProblem([one for one, _ in pairs], header_cost, lead)
        demand = np.stack([row for _, row in pairs])
        apart = apart.plus(play_apart(problem, demand))
        played, review = play_together(problem, demand)
        together = together.plus(played)
        reviews.append({"name": name, "items": len(pairs), "review_periods": review})
    return {
        "items_left_out": left_out,
        "cost_saved_share": 1 - together.cost / apart.cost if apart.cost > 0 else None,
        "rules": [_played_row("each_alone", apart), _played_row("periodic_s_S", together)],
        "suppliers": reviews,
    }


def _played_row(name: str, played: Played) -> Answer:
    return {
        "name": name,
        "orders": played.orders,
        "header_cost": played.header_cost,
        "line_cost": played.line_cost,
        "stock_cost": played.stock_cost,
        "cost": played.cost,
        "fill_rate": played.served / played.units if played.units > 0 else None,
    }


def _of_calendar(found: Periodic) -> tuple[JointCost, Any, int]:
    return found.cost, found.levels, found.levels.review_periods


def _rule_row(
    name: str, cost: JointCost, levels: Any, review: int | None, least: float | None
) -> Answer:
    return {
        "name": name,
        "cost_per_period": cost.total,
        "above_least": None if least is None else cost.total / least - 1,
        "standard_error": cost.standard_error,
        "orders_per_period": cost.orders_per_period,
        "header_cost_per_period": cost.headers,
        "line_cost_per_period": cost.lines,
        "stock_cost_per_period": cost.stock,
        "review_periods": review if review is not None else 1,
    }


def _level_rows(
    items: list[JointItem], joined: CanOrderLevels, rules: Mapping[str, Any]
) -> list[Answer]:
    calendar, up_to = rules["periodic_s_S"][1], rules["periodic_R_S"][1]
    return [
        {
            "name": item.name,
            "s": joined.s[at] * item.cell_units,
            "c": joined.c[at] * item.cell_units,
            "S": joined.S[at] * item.cell_units,
            "periodic_s": calendar.s[at] * item.cell_units,
            "periodic_S": calendar.S[at] * item.cell_units,
            "up_to": up_to.S[at] * item.cell_units,
        }
        for at, item in enumerate(items)
    ]


def _joint_item(item: Mapping[str, Any], name: str, header: float, lead: int) -> JointItem:
    demand: Demand = item["demand"]
    holding = item["holding_cost_per_unit_period"]
    backorder = item["backorder_cost_per_unit_period"]
    if not demand.mean > 0:
        raise PolicyInputError(f"items[{name}].demand", "above 0 in the mean", demand.describe())
    setup = header + item["line_cost"]
    lot = math.sqrt(2 * setup * demand.mean * (holding + backorder) / (holding * backorder))
    reach = lot + demand.mean + 6 * demand.sd * math.sqrt(lead + 1)
    cell = float(max(1, math.ceil(reach / _CELLS_WANTED)))
    table = on_cells(demand, cell)
    whole = TableDemand(table.mass, table.family)
    return JointItem(name, whole, item["line_cost"], holding * cell, backorder * cell, cell)


def _column(
    items: Items, name: str, default: float | None = 0.0, *, needed: bool = False
) -> FloatArray:
    if needed:
        for at, item in enumerate(items):
            if name not in item:
                raise PolicyInputError(f"items[{at}].{name}", "given for this container", None)
    return np.array([float(item.get(name, default) or 0.0) for item in items])


def _keys(items: Items) -> list[str]:
    """Return the names of items; one without a name is called by its place."""
    width = len(str(len(items)))
    return [item.get("name", f"item {at + 1:0{width}}") for at, item in enumerate(items)]
