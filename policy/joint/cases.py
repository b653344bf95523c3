"""Cases of several items as JSON gives them: the models, their fields, their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from policy.classic.cases.answer import answer
from policy.classic.cases.models import DEMAND, Model
from policy.classic.cases.reference import reference
from policy.classic.discounts import HOLDING_RATE
from policy.classic.fields import LARGEST, Custom, Field, Number, Numbers, read_object
from policy.classic.lots import BACKORDER, DEMAND_RATE, HOLDING
from policy.classic.newsvendor import LEAD_TIME, OVERAGE, UNDERAGE
from policy.errors import PolicyInputError
from policy.joint import models
from policy.joint.cycles import HEADER, LINE

MOST_ITEMS = 5_000
MOST_LEVEL_ITEMS = 60

_NAME = Custom("name", "of the item; ties go by it", "text", lambda value, name: str(value))
_STOCK = Number("stock", "units on hand and on order less those owed", low=-LARGEST)
_UNIT_COST = Number("unit_cost", "purchase price of a unit", is_above=True)
_PACK = Number("pack_units", "units of a pack; 1 where it is absent", is_above=True)
_VOLUME = Number("unit_volume", "of one unit")
_WEIGHT = Number("unit_weight", "of one unit")
_SIZE = Number("unit_size", "what a unit takes of the capacity; 1 where absent", is_above=True)
_SD = Number("demand_sd_per_period", "standard deviation of it; 0 where it is absent")
_PROPOSED = Number("proposed_units", "units that the item wants to order now")
_ANSWERS = Numbers("answers", "units ordered at each of `prices`, falling", Number("", ""))
_SUPPLIER = Custom("supplier", "that the item is ordered from", "text", lambda value, _: str(value))
_HISTORY = Numbers("history", "units demanded, by period", Number("", "", is_whole=True), fewest=3)
_SOLD = replace(DEMAND_RATE, is_above=True)
_LINE = replace(LINE, is_above=False)


def _items(
    meaning: str, needs: Sequence[Field], may: Sequence[Field] = (), most: int = MOST_ITEMS
) -> Custom:
    known = {field.name: field for field in (_NAME, *may)}
    rule = f"a list of 1 to {most:,} objects with {', '.join(field.name for field in needs)}"

    def read(value: Any, name: str) -> list[dict[str, Any]]:
        if not isinstance(value, list | tuple) or not 0 < len(value) <= most:
            shown = f"{len(value):,} items" if isinstance(value, list | tuple) else value
            raise PolicyInputError(name, rule, shown)
        found = [
            read_object(one, f"{name}[{place}]", needs, known) for place, one in enumerate(value)
        ]
        names = [one["name"] for one in found if "name" in one]
        if len(set(names)) < len(names):
            twice = next(one for one in names if names.count(one) > 1)
            raise PolicyInputError(f"{name}.name", "different for each item", twice)
        return found

    may_have = ", ".join(f"`{one}`" for one in known)
    return Custom("items", f"{meaning}; {may_have} may stand in each", rule, read)


_FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        HEADER,
        HOLDING_RATE,
        LEAD_TIME,
        Number("container_volume", "room of the container, in the unit of `unit_volume`"),
        Number("container_weight", "what it may weigh, in the unit of `unit_weight`"),
        Number("minimum_value", "least money that the supplier takes an order for"),
        Number("review_periods", "until the supplier's next review", is_above=True),
        Number("budget", "money for purchases"),
        Number("capacity", "what all items together may take"),
        Numbers("prices", "of one more of the capacity, rising from 0", Number("", ""), fewest=2),
        Number("simulated_runs", "runs where costs are simulated; 32 where absent", low=2,
               high=1_000, is_whole=True),
        Number("simulated_periods", "periods of a run; 1,000 where absent", low=10, high=100_000,
               is_whole=True),
        Number("learnt_periods", "at the beginning of a history, for the levels", low=2,
               high=100_000, is_whole=True),
        Number("seed", "of the random numbers; 17 where absent", high=2**31, is_whole=True),
    )
}  # fmt: skip
_WHOLE_LEAD = replace(LEAD_TIME, is_whole=True, high=100)


def _own(items: Custom, **more: Field) -> dict[str, Field]:
    return {**_FIELDS, "items": items, **more}


_POISSON = {"line_cost": 1, "holding_cost_per_unit_period": 1, "backorder_cost_per_unit_period": 9}
JOINT_MODELS = {
    model.name: model
    for model in (
        Model("container_fill", models.container_fill, {
            "container_volume": 30,
            "items": [{"demand_per_period": 10, "stock": 60, "unit_volume": 0.1},
                      {"demand_per_period": 5, "stock": 20, "unit_volume": 0.2},
                      {"demand_per_period": 2, "stock": 30, "unit_volume": 0.5}]},
            _own(_items("what the container may hold", (DEMAND_RATE, _STOCK),
                        (_VOLUME, _WEIGHT, _PACK)))),
        Model("minimum_order_value", models.minimum_order_value, {
            "minimum_value": 500, "lead_time_periods": 5, "review_periods": 7,
            "items": [{"demand_per_period": 4, "demand_sd_per_period": 3, "stock": 30,
                       "unit_cost": 5, "holding_cost_per_unit_period": 0.01,
                       "backorder_cost_per_unit_period": 0.5, "proposed_units": 40}]},
            _own(_items("lines of one order", (
                DEMAND_RATE, _STOCK, _UNIT_COST, HOLDING, BACKORDER, _PROPOSED), (_SD, _PACK)))),
        Model("joint_budget", models.joint_budget, {
            "budget": 2600,
            "items": [{"demand": {"family": "normal", "mean": mean, "sd": sd}, "unit_cost": cost,
                       "overage_cost": over, "underage_cost": under}
                      for mean, sd, cost, over, under in (
                          (100, 30, 10, 2, 8), (200, 50, 5, 1, 5), (150, 60, 8, 1.5, 6))]},
            _own(_items("that are bought for one season", (
                DEMAND, _UNIT_COST, OVERAGE, UNDERAGE)))),
        Model("joint_capacity", models.joint_capacity, {
            "capacity": 255, "prices": [0, 1],
            "items": [{"answers": [100, 0], "pack_units": 5}] * 10},
            _own(_items("that share the capacity", (_ANSWERS,), (_SIZE, _PACK)))),
        Model("joint_cycles", models.joint_cycles, {
            "header_cost": 40, "holding_rate_per_period": 0.24,
            "items": [{"demand_per_period": value, "unit_cost": 1, "line_cost": 15}
                      for value in (86000, 12500, 1400, 3000)]},
            _own(_items("of one supplier", (_SOLD, _UNIT_COST, LINE)))),
        Model("joint_levels", models.joint_levels, {
            "header_cost": 10, "items": [{"demand": 2, **_POISSON}, {"demand": 2, **_POISSON}]},
            _own(_items("of one supplier, reviewed together every period", (
                DEMAND, _LINE, HOLDING, BACKORDER), most=MOST_LEVEL_ITEMS),
                lead_time_periods=_WHOLE_LEAD)),
        Model("joint_history", models.joint_history, {
            "header_cost": 20, "learnt_periods": 6, "items": [
                {"supplier": "acme", "history": [2, 1, 3, 2, 2, 4, 1, 2, 3, 2, 2, 1], **_POISSON},
                {"supplier": "acme", "history": [1, 0, 2, 1, 1, 1, 0, 3, 1, 1, 2, 0], **_POISSON}]},
            _own(_items("with what was demanded of them", (
                _SUPPLIER, _HISTORY, _LINE, HOLDING, BACKORDER)), lead_time_periods=_WHOLE_LEAD)),
    )
}  # fmt: skip

JOINT_ANSWERS = {
    "above_least": "share above the least cost that any rule has; null where that is not known",
    "action": "`order` (worth enough), `raise`, `wait`, or `nothing` (no lines)",
    "best_rule": "the one of least cost per period",
    "c": "can-order: an item at or below it joins an order that another item triggers",
    "cost_apart_per_period": "of ordering each item by itself, with a header for each",
    "cost_of_raising, cost_of_waiting": "expected cost of stock and backlog from the time at which "
    "a raised order would arrive to that at which the one that waits does",
    "cycle_periods": "time between two orders; each item is in every `multiple`-th",
    "cost_saved_share": "by the calendar, of the cost of ordering each item by itself",
    "each_alone": "each item by its own best (s, S), with a header for each order",
    "fill_rate": "share of the units demanded that were served from stock at once",
    "items_left_out": "that sold nothing while levels were learnt",
    "least_cost_per_period": "of the best rule there is, by value iteration; two items only",
    "periodic_R_S": "every `review_periods` all items are raised to `up_to`",
    "periodic_s_S": "every `review_periods` items at or below `periodic_s` are raised to "
    "`periodic_S`",
    "price": "what one more of the budget or the capacity would save; 0 where it does not bind",
    "run_out_periods": "how long stock and order last",
    "s": "can-order: an item at or below it triggers an order; all are raised to `S`",
    "standard_error": "of a simulated cost; null where the cost is exact",
}


def answer_joint(case: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to one case.

    Args:
        case: `model`, and the fields of that model; `name` is given back.

    Raises:
        PolicyInputError: the model or a field is missing, unknown or out of range.

    >>> found = answer_joint({"model": "joint_cycles", **JOINT_MODELS["joint_cycles"].example})
    >>> found["multiples"], round(found["cost_per_period"], 4)
    ([1, 1, 4, 3], 2067.6508)
    """
    return answer(case, JOINT_MODELS)


def joint_reference() -> str:
    """Return the lists of models, fields and answers as Markdown."""
    return reference(JOINT_MODELS, JOINT_ANSWERS)
