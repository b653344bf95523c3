"""The models of a case about many items and their money: classes, capital, turns, trend."""

from __future__ import annotations

from typing import Any

import numpy as np

from policy.classic.capital import CURVE_TARGETS, Assortment, capital_curve, least_capital
from policy.classic.capital import equal_targets as with_equal_targets
from policy.classic.classes import (
    SERVICE_MATRIX,
    SPREAD_LIMITS,
    VALUE_LIMITS,
    abc_classes,
    demand_classes,
    service_targets,
    xyz_classes,
)
from policy.classic.fields import FloatArray
from policy.classic.materials import NamedBill, parts_demand, parts_sd, sets_from_stock
from policy.classic.money import days_of_stock, return_on_capital, turns_of
from policy.classic.safety import Needs
from policy.classic.smoothing import holt
from policy.errors import PolicyInputError

Answer = dict[str, Any]


def abc(values: FloatArray, limits: FloatArray | None = None) -> Answer:
    """ABC classes by the cumulated value before each item."""
    names = abc_classes(values, VALUE_LIMITS if limits is None else tuple(limits))
    return {"classes": names.tolist()}


def demand_class(series: FloatArray) -> Answer:
    """Demand class of each item, by interval (ADI) and variation of sizes (CV^2)."""
    found = demand_classes(np.atleast_2d(series))
    return {
        "classes": found.names.tolist(),
        "stability": found.stability.tolist(),
        "adi": _numbers(found.interval),
        "cv_squared": _numbers(found.size_variation),
    }


def service_matrix(
    values: FloatArray,
    series: FloatArray,
    limits: FloatArray | None = None,
    spread_limits: FloatArray | None = None,
    matrix: FloatArray | None = None,
) -> Answer:
    """ABC and XYZ class of each item, and the service target of the pair."""
    rows = np.atleast_2d(series)
    if len(rows) != len(values):
        raise PolicyInputError("series", f"{len(values)} lists, as values has", len(rows))
    by_value = abc_classes(values, VALUE_LIMITS if limits is None else tuple(limits))
    by_spread = SPREAD_LIMITS if spread_limits is None else tuple(spread_limits)
    spread, names = xyz_classes(rows, by_spread)
    targets = service_targets(by_value, names, SERVICE_MATRIX if matrix is None else matrix)
    return {
        "abc": by_value.tolist(),
        "xyz": names.tolist(),
        "cv": _numbers(spread),
        "targets": targets.tolist(),
        "matrix": np.asarray(SERVICE_MATRIX if matrix is None else matrix).tolist(),
    }


def _numbers(values: FloatArray) -> list[float | None]:
    return [None if np.isnan(one) else float(one) for one in np.atleast_1d(values)]


def capital(
    items: list[dict[str, Any]], target: float | None = None, targets: FloatArray | None = None
) -> Answer:
    """Capital against service: the curve, the cheapest way to a target, and where you are."""

    def column(name: str) -> FloatArray:
        return np.array([float(item.get(name, 0.0)) for item in items])

    needs = Needs(
        column("demand_mean_per_period"),
        column("demand_sd_per_period"),
        column("lead_time_periods"),
        column("lead_time_sd_periods"),
    )
    sigma = np.sqrt(sum(needs.variances()))
    demand = column("demand_mean_per_period")
    shop = Assortment.of(column("unit_cost"), sigma, column("order_quantity"), demand)
    curve = capital_curve(shop, CURVE_TARGETS if targets is None else list(targets))
    points = zip(curve.targets, curve.best_capital, curve.equal_capital, strict=True)
    answer: Answer = {
        "cycle_capital": shop.cycle_capital(),
        "curve": [
            {"target": float(at), "capital": float(best), "capital_equal_targets": float(equal)}
            for at, best, equal in points
        ],
    }
    if target is not None:
        answer |= _at_target(shop, items, target)
    if all("safety_stock" in item for item in items):
        held = column("safety_stock")
        k = np.divide(held, sigma, out=np.zeros_like(sigma), where=sigma > 0)
        here = {"fill_rate": shop.fill(k), "capital": float(held @ shop.unit_cost)}
        answer["here"] = here
    return answer


def _at_target(shop: Assortment, items: list[dict[str, Any]], target: float) -> Answer:
    best, equal = least_capital(shop, target), with_equal_targets(shop, target)
    names = [{"name": item["name"]} if "name" in item else {} for item in items]
    rows = [
        {**name, "k": float(k), "safety_stock": float(k * sigma)}
        for name, k, sigma in zip(names, best.k, shop.sigma, strict=True)
    ]
    return {
        "items": rows,
        "fill_rate": best.fill,
        "capital": best.safety_capital,
        "capital_equal_targets": equal.safety_capital,
    }


def kits(
    bill: list[tuple[str, str, float]],
    demand: dict[str, FloatArray],
    demand_sd: dict[str, FloatArray] | None = None,
    stock: dict[str, FloatArray] | None = None,
) -> Answer:
    """Demand of the parts of kits, bundles and products, and how many their stock would make."""
    every = NamedBill.of(bill, [*demand, *(demand_sd or {}), *(stock or {})])

    def by_part(values: FloatArray) -> dict[str, Any]:
        return {every.names[part]: values[part].tolist() for part in every.parts}

    answer: Answer = {"parts_demand": by_part(parts_demand(every.bill, every.column(demand)))}
    if demand_sd is not None:
        answer["parts_sd"] = by_part(parts_sd(every.bill, every.column(demand_sd)))
    if stock is not None:
        made = sets_from_stock(every.bill, every.column(stock))
        if made.ndim > 1:
            raise PolicyInputError("stock", "an object of numbers >= 0, by part", "lists")
        pairs = zip(every.names, made, strict=True)
        answer["can_be_made"] = {name: int(units) for name, units in pairs if units == units}
    return answer


def turns(
    days_per_year: float,
    turns: float | None = None,
    usage_value_per_year: float | None = None,
    stock_value: float | None = None,
) -> Answer:
    """Stock turns of a year and days of stock, on a stated number of days."""
    if turns is None:
        missing = "usage_value_per_year" if usage_value_per_year is None else "stock_value"
        if usage_value_per_year is None or stock_value is None:
            raise PolicyInputError(missing, "> 0, or absent beside turns", None)
        turns = float(turns_of(usage_value_per_year, stock_value))
    elif usage_value_per_year is not None and stock_value is not None:
        raise PolicyInputError("turns", "absent beside usage and stock", turns)
    return {
        "turns": turns,
        "days": float(days_of_stock(turns, days_per_year)),
        "days_per_year": days_per_year,
    }


def dupont(
    sales: float,
    surplus: float,
    capital: float,
    stock_change: float = 0.0,
    holding_rate_per_year: float = 0.0,
    contribution_change: float = 0.0,
) -> Answer:
    """Return on total capital, before and after a change of the stock."""
    before = return_on_capital(sales, surplus, capital)
    after = return_on_capital(
        sales,
        surplus,
        capital,
        stock_change=stock_change,
        holding_rate=holding_rate_per_year,
        contribution_change=contribution_change,
    )
    return {
        "return_before": before.on_capital,
        "return_after": after.on_capital,
        "margin_before": before.margin,
        "margin_after": after.margin,
        "capital_turnover_before": before.capital_turnover,
        "capital_turnover_after": after.capital_turnover,
        "holding_cost_change": stock_change * holding_rate_per_year,
    }


def trend(
    demand: FloatArray,
    alpha: float,
    beta: float,
    level: float | None = None,
    trend: float = 0.0,
    forecast_periods: float = 1,
) -> Answer:
    """Exponential smoothing with a trend (Holt), and the forecast of the next periods."""
    smoothed = holt(demand, alpha, beta, level=level, trend=trend)
    return {
        "level": float(smoothed.levels[-1]),
        "trend": float(smoothed.trends[-1]),
        "forecast": smoothed.ahead(int(forecast_periods)).tolist(),
        "forecasts_of_demand": _numbers(smoothed.forecasts),
    }
