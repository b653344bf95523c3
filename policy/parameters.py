"""The parameter row of an item: on a grid and in proportions, so that alike items share a policy.

Only the proportions of costs decide, so that items which differ in their price alone share a
policy: money is counted in units of the holding cost per unit and day.
"""

from __future__ import annotations

import numpy as np

from policy.review_inputs import BoolArray, DemandFamily, FloatArray, usable_lean
from policy.rounding import round_to_digits, rounded_demand
from policy.solver import columns as kernel

_MONEY_COLUMNS = (
    kernel.P_LEAN_SETUP,
    kernel.P_FLEXIBLE_SETUP,
    kernel.P_LEAN_UNIT,
    kernel.P_FLEXIBLE_UNIT,
    kernel.P_HOLDING,
    kernel.P_BACKORDER,
)
_PLAIN_COLUMNS = {
    kernel.P_REVIEW: "review_period_days",
    kernel.P_LEAN_DAYS: "lead_time_days_lean",
    kernel.P_FLEXIBLE_DAYS: "lead_time_days_flexible",
    kernel.P_LEAN_SETUP: "setup_cost_lean",
    kernel.P_FLEXIBLE_SETUP: "setup_cost_flexible",
    kernel.P_LEAN_UNIT: "unit_cost_lean",
    kernel.P_FLEXIBLE_UNIT: "unit_cost_flexible",
    kernel.P_HOLDING: "holding_cost_per_unit_day",
    kernel.P_BACKORDER: "backorder_cost_per_unit_day",
    kernel.P_TARGET: "service_target",
    kernel.P_SERVICE_TYPE: "service_type",
    kernel.P_CAPACITY: "lean_capacity_units",
    kernel.P_FAMILY: "demand_family",
}
_LOT_COLUMNS = {
    kernel.P_LEAN_LEAST: "minimum_order_units_lean",
    kernel.P_FLEXIBLE_LEAST: "minimum_order_units_flexible",
    kernel.P_LEAN_PACK: "pack_size_units_lean",
    kernel.P_FLEXIBLE_PACK: "pack_size_units_flexible",
}


def parameter_rows(columns: dict[str, FloatArray]) -> FloatArray:
    """Return the parameter rows, shape (item, parameter), unusable suppliers made alike.

    Args:
        columns: checked inputs by name, as `review_inputs.checked_columns` returns them.
    """
    size = columns["inventory_position_units"].size
    rows = np.zeros((size, kernel.PARAMETERS))
    mean = columns["demand_mean_units_per_day"]
    rows[:, kernel.P_MEAN], rows[:, kernel.P_SD] = rounded_demand(
        mean, columns["demand_sd_units_per_day"]
    )
    for place, name in _PLAIN_COLUMNS.items():
        rows[:, place] = columns[name]
    for place in _MONEY_COLUMNS:
        rows[:, place] = round_to_digits(rows[:, place] / columns["holding_cost_per_unit_day"])
    for place, name in _LOT_COLUMNS.items():
        rows[:, place] = np.maximum(np.ceil(columns[name] - 1e-9), 1.0)
    rows[:, kernel.P_CAPACITY] = np.floor(rows[:, kernel.P_CAPACITY])
    rows[rows[:, kernel.P_SERVICE_TYPE] == kernel.SERVICE_COST, kernel.P_TARGET] = 0.0
    poisson = rows[:, kernel.P_FAMILY] == DemandFamily.POISSON
    rows[poisson, kernel.P_SD] = np.sqrt(rows[poisson, kernel.P_MEAN])
    _erase_lean(rows, ~usable_lean(columns))
    _erase_flexible(rows, ~(columns["setup_cost_flexible"] < np.inf))
    return rows


def _erase_lean(rows: FloatArray, gone: BoolArray) -> None:
    rows[gone, kernel.P_LEAN_SETUP] = np.inf
    rows[gone, kernel.P_CAPACITY] = np.inf
    rows[gone, kernel.P_LEAN_DAYS] = rows[gone, kernel.P_FLEXIBLE_DAYS]
    rows[gone, kernel.P_LEAN_UNIT] = 0.0
    rows[gone, kernel.P_LEAN_LEAST] = rows[gone, kernel.P_LEAN_PACK] = 1.0


def _erase_flexible(rows: FloatArray, gone: BoolArray) -> None:
    rows[gone, kernel.P_FLEXIBLE_SETUP] = np.inf
    rows[gone, kernel.P_FLEXIBLE_DAYS] = rows[gone, kernel.P_LEAN_DAYS]
    rows[gone, kernel.P_FLEXIBLE_UNIT] = 0.0
    rows[gone, kernel.P_FLEXIBLE_LEAST] = rows[gone, kernel.P_FLEXIBLE_PACK] = 1.0
