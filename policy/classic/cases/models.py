"""The models that a case may name, and their fields.

A model is a function whose arguments are the fields of its case; an argument without a default is
needed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from policy.classic.capital import UNIT_COST
from policy.classic.cases import item_models, lot_models, stock_models
from policy.classic.classes import LIMITS, MATRIX, SERIES, SPREADS, VALUES
from policy.classic.demand import FAMILIES, read_demand
from policy.classic.discounts import BREAKS, HOLDING_RATE
from policy.classic.fields import Choice, Custom, Field, Number, Numbers, read_object
from policy.classic.lot_levels import FILL_TARGET
from policy.classic.lots import (
    BACKORDER,
    DEMAND_RATE,
    HOLDING,
    ORDER_COST,
    PRODUCTION_RATE,
    QUANTITY,
)
from policy.classic.materials import BILL, PARTS_IN_STOCK, SOLD, SOLD_SD
from policy.classic.money import (
    CAPITAL,
    DAYS_PER_YEAR,
    EXTRA,
    HOLDING_RATE_YEAR,
    SALES,
    STOCK_CHANGE,
    STOCK_VALUE,
    SURPLUS,
    TURNS,
    USAGE_VALUE,
)
from policy.classic.newsvendor import LEAD_TIME, OVERAGE, REVIEW, UNDERAGE
from policy.classic.order_lines import BASE_STOCK, LINE_SIZES, LINES
from policy.classic.planning import (
    BACKLOG,
    GROSS,
    LEAST_LOT,
    LEVEL,
    LOT_MULTIPLE,
    LOT_PERIODS,
    ON_HAND,
    ON_ORDER,
    ORDER_PERIODS,
    RECEIPTS,
    REORDER_POINT,
    SAFETY_PERIODS,
    SAFETY_STOCK,
)
from policy.classic.safety import LEAD_TIME_SD, MEAN, SCRAP, SD, TARGET
from policy.classic.smoothing import ALPHA, BETA, START_LEVEL, START_TREND
from policy.errors import PolicyInputError

_AMOUNT = Number("", "")
_SHARE = Number("", "", is_above=True, high=1, is_below=True)

DEMAND = Custom(
    "demand",
    "demand of a period (or the season): `normal` (mean, sd), `poisson` (mean), "
    "`negative_binomial` (two of mean, sd or variance, size, probability), `gamma` (mean, sd), "
    "`constant` (mean), `uniform` (low, high: whole numbers), `pmf` (probabilities of 0, 1, 2, ... "
    "or of `values`), `empirical` (observations). A number is a Poisson's mean, a list are "
    "observations; without a family it is normal where `sd` is given and Poisson otherwise",
    f"an object with a family ({', '.join(FAMILIES)}), a number or a list",
    read_demand,
)
KNOWN_DEMAND = Numbers("demand", "units demanded, by period", _AMOUNT)
KIND = Choice("kind", "whether a price holds for all units or those above its break",
              ("all_units", "incremental"))  # fmt: skip
SERVICE_TYPE = Choice(
    "service_type",
    "cycle: share of order cycles without a stock-out (Serv1); fill: share of units served from "
    "stock (Serv2); periods: `safety_periods` of demand; estimate: `safety_stock` as given",
    ("cycle", "fill", "periods", "estimate"),
)
TWO_SERVICE_TYPES = replace(SERVICE_TYPE, options=("cycle", "fill"))
RATE = replace(DEMAND_RATE, name="demand_rate_per_period", meaning="mean of Poisson demand, a unit "
               "at a time; `demand` may stand instead")  # fmt: skip
ORDER_COSTS = Numbers("order_cost", ORDER_COST.meaning, ORDER_COST, is_single_too=True)
HOLDING_COSTS = Numbers(HOLDING.name, HOLDING.meaning, HOLDING, is_single_too=True)
ESTIMATE = replace(SAFETY_STOCK, meaning="safety stock as it is, in units")
_FORECAST_PERIODS = Number(
    "forecast_periods", "how many periods to forecast", low=1, high=10_000, is_whole=True
)

_ITEM_NEEDS = (UNIT_COST, MEAN, SD, LEAD_TIME, QUANTITY)
_ITEM_MAY: dict[str, Field] = {
    "name": Custom("name", "given back", "text", lambda value, name: str(value)),
    LEAD_TIME_SD.name: LEAD_TIME_SD,
    ESTIMATE.name: ESTIMATE,
}
_ITEM_RULE = f"a list of objects with {', '.join(field.name for field in _ITEM_NEEDS)}"


def _read_items(value: Any, name: str) -> list[dict[str, Any]]:
    if not isinstance(value, list | tuple) or not value:
        raise PolicyInputError(name, _ITEM_RULE, value)
    return [
        read_object(item, f"{name}[{place}]", _ITEM_NEEDS, _ITEM_MAY)
        for place, item in enumerate(value)
    ]


ITEMS = Custom(
    "items",
    "items that share one target; `lead_time_sd_periods`, `safety_stock` (today's) and `name` may "
    "stand in each",
    _ITEM_RULE,
    _read_items,
)

_SHARED: dict[str, Field] = {
    one.name: one
    for one in (
        *(ALPHA, BACKLOG, BACKORDER, BASE_STOCK, BETA, BREAKS, CAPITAL, DAYS_PER_YEAR, DEMAND),
        *(DEMAND_RATE, EXTRA, FILL_TARGET, GROSS, HOLDING, HOLDING_RATE, HOLDING_RATE_YEAR, ITEMS),
        *(KIND, LEAD_TIME, LEAD_TIME_SD, LEAST_LOT, LEVEL, LINES, LINE_SIZES, LOT_MULTIPLE, MATRIX),
        *(LOT_PERIODS, MEAN, ON_HAND, ON_ORDER, ORDER_COST, ORDER_PERIODS, OVERAGE, RATE),
        *(PRODUCTION_RATE, QUANTITY, RECEIPTS, REORDER_POINT, REVIEW, SAFETY_PERIODS, SALES, SCRAP),
        *(SAFETY_STOCK, SD, SERIES, SERVICE_TYPE, STOCK_CHANGE, STOCK_VALUE, SURPLUS, TARGET),
        *(TURNS, UNDERAGE, UNIT_COST, USAGE_VALUE, VALUES, _FORECAST_PERIODS),
        START_TREND,
        Numbers("curve_quantities", "lots whose costs are wanted", QUANTITY),
        LIMITS,
        SPREADS,
        *(BILL, SOLD_SD, PARTS_IN_STOCK),
        Numbers("targets", "service targets of the curve", _SHARE),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Model:
    """A kind of case: what answers it, an example, and fields that mean something else here."""

    name: str
    solve: Callable[..., dict[str, Any]]
    example: dict[str, Any]
    own: dict[str, Field] = field(default_factory=dict)

    @cached_property
    def fields(self) -> dict[str, Field]:
        """The fields by name, needed ones first."""
        return {name: self.own.get(name) or _SHARED[name] for name in self._parameters}

    @cached_property
    def needed(self) -> tuple[str, ...]:
        """Names of the fields that have no default."""
        without = inspect.Parameter.empty
        return tuple(name for name, one in self._parameters.items() if one.default is without)

    @cached_property
    def _parameters(self) -> dict[str, inspect.Parameter]:
        return dict(inspect.signature(self.solve).parameters)

    @property
    def meaning(self) -> str:
        """What it computes, one sentence."""
        return (inspect.getdoc(self.solve) or "").partition("\n\n")[0].replace("\n", " ")


_ITEM = {"demand_mean_per_period": 100, "demand_sd_per_period": 30, "lead_time_periods": 2}

MODELS = {
    model.name: model
    for model in (
        Model("eoq", lot_models.eoq, {
            "order_cost": 8, "holding_cost_per_unit_period": 0.225, "demand_per_period": 1300}),
        Model("eoq_discount", lot_models.eoq_discount, {
            "kind": "all_units", "order_cost": 8, "holding_rate_per_period": 0.3,
            "demand_per_period": 1300, "breaks": [[0, 0.75], [400, 0.72], [800, 0.68]]}),
        Model("wagner_whitin", lot_models.wagner_whitin, {
            "order_cost": 500, "holding_cost_per_unit_period": 2, "demand": [90, 120, 80, 70]},
            {"demand": KNOWN_DEMAND, "order_cost": ORDER_COSTS, HOLDING.name: HOLDING_COSTS}),
        Model("newsvendor", lot_models.one_season, {
            "demand": {"family": "normal", "mean": 50, "sd": 8}, "overage_cost": 0.18,
            "underage_cost": 0.7}),
        Model("base_stock", lot_models.base_stock_level, {
            "holding_cost_per_unit_period": 1, "backorder_cost_per_unit_period": 4,
            "demand": {"family": "poisson", "mean": 6}}),
        Model("s_S", lot_models.level_policy, {
            "order_cost": 5, "holding_cost_per_unit_period": 1,
            "backorder_cost_per_unit_period": 4, "demand": {"family": "poisson", "mean": 6}}),
        Model("r_Q", lot_models.lot_policy, {
            "order_cost": 100, "holding_cost_per_unit_period": 20,
            "backorder_cost_per_unit_period": 150, "demand_rate_per_period": 1.5,
            "lead_time_periods": 2}),
        Model("safety_stock", stock_models.safety, {
            "service_type": "fill", "target": 0.98, "demand_mean_per_period": 100,
            "demand_sd_per_period": 25, "lead_time_periods": 1, "order_quantity": 100},
            {ESTIMATE.name: ESTIMATE}),
        Model("review_up_to", stock_models.review_up_to, {
            "service_type": "fill", "target": 0.98, "demand_mean_per_period": 40,
            "demand_sd_per_period": 20, "lead_time_periods": 2, "review_periods": 1},
            {"service_type": TWO_SERVICE_TYPES}),
        Model("order_line_fill", stock_models.order_line_fill, {
            "lines_per_period": 2, "line_sizes": [[1, 0.7], [3, 0.3]], "lead_time_periods": 1,
            "base_stock": 6}),
        Model("reorder_point", stock_models.reorder_point_order, {
            "on_hand": 90, "on_order": 40, "reorder_point": 131, "order_quantity": 100}),
        Model("periodic_review", stock_models.periodic_review, {"on_hand": 90, "level": 175}),
        Model("cover_time", stock_models.cover_time, {
            "on_hand": 60, "demand_per_period": 10, "lead_time_periods": 5, "safety_periods": 2,
            "order_periods": 10}),
        Model("mrp", stock_models.mrp, {
            "gross_requirements": [10, 40, 0, 30], "scheduled_receipts": [0, 20], "on_hand": 15,
            "lead_time_periods": 1, "order_multiple_units": 25}),
        Model("abc", item_models.abc, {"values": [50, 30, 8, 5, 3, 2, 1, 0.6, 0.3, 0.1]}),
        Model("demand_class", item_models.demand_class, {
            "series": [0, 0, 3, 0, 0, 0, 5, 0, 2, 0, 0, 4]}),
        Model("service_matrix", item_models.service_matrix, {
            "values": [90, 10], "series": [[9, 10, 11, 10], [0, 20, 0, 0]]}),
        Model("capital", item_models.capital, {
            "items": [{"name": "dear", "unit_cost": 10, "order_quantity": 50, **_ITEM},
                      {"name": "cheap", "unit_cost": 1, "order_quantity": 50, **_ITEM}],
            "target": 0.97}),
        Model("kits", item_models.kits, {
            "bill": [["gift set", "mug", 2], ["gift set", "box", 1]],
            "demand": {"gift set": 10, "mug": 5}, "stock": {"mug": 7, "box": 9}},
            {"demand": SOLD}),
        Model("turns", item_models.turns, {"turns": 3.85, "days_per_year": 240}),
        Model("dupont", item_models.dupont, {
            "sales": 200, "surplus": 10, "capital": 100, "stock_change": -10,
            "holding_rate_per_year": 0.15}),
        Model("holt", item_models.trend, {
            "demand": [200, 250, 175, 186], "alpha": 0.1, "beta": 0.1, "level": 200, "trend": 10},
            {"demand": KNOWN_DEMAND, "level": START_LEVEL}),
    )
}  # fmt: skip
