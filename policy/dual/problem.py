"""The problem that the exact solver takes: one item, two suppliers, demand on a grid."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from policy.dual.demand import GridDemand
from policy.errors import PolicyInputError
from policy.review_inputs import HIGHEST_TARGET, ServiceType
from policy.solver import columns

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class DualProblem:
    """One item and two suppliers; a step is a day or an hour, money per unit, order or unit-step.

    A supplier that does not exist has an infinite set-up cost. Lots are in units.
    """

    demand: GridDemand
    review_period_steps: int
    lead_time_steps_lean: int
    lead_time_steps_flexible: int
    setup_cost_lean: float
    setup_cost_flexible: float
    unit_cost_lean: float
    unit_cost_flexible: float
    holding_cost_per_unit_step: float
    backorder_cost_per_unit_step: float
    service_type: ServiceType = ServiceType.COST
    service_target: float = 0.0
    lean_capacity_units: float = math.inf
    minimum_order_units_lean: float = 0.0
    minimum_order_units_flexible: float = 0.0
    pack_size_units_lean: float = 1.0
    pack_size_units_flexible: float = 1.0

    def __post_init__(self) -> None:
        _check_times(self)
        _check_money(self)
        if self.service_type is not ServiceType.COST:
            _require(
                0.0 < self.service_target <= HIGHEST_TARGET,
                "service_target",
                f"> 0 and <= {HIGHEST_TARGET}",
                self.service_target,
            )


def suppliers_alone(problem: DualProblem) -> DualProblem:
    """A supplier that does not exist has no lead time of its own: cycles begin with the other's."""
    if problem.setup_cost_flexible == math.inf:
        return replace(problem, lead_time_steps_flexible=problem.lead_time_steps_lean)
    if problem.setup_cost_lean == math.inf:
        return replace(problem, lead_time_steps_lean=problem.lead_time_steps_flexible)
    return problem


def _check_times(problem: DualProblem) -> None:
    review = problem.review_period_steps
    slow, fast = problem.lead_time_steps_lean, problem.lead_time_steps_flexible
    _require(review >= 1, "review_period_steps", ">= 1", review)
    _require(fast >= 0, "lead_time_steps_flexible", ">= 0", fast)
    _require(slow >= fast, "lead_time_steps_lean", ">= lead_time_steps_flexible", slow)
    _require(slow < review, "lead_time_steps_lean", "< review_period_steps", slow)
    for name in ("review_period_steps", "lead_time_steps_lean", "lead_time_steps_flexible"):
        value = getattr(problem, name)
        _require(value == int(value), name, "whole", value)


def _check_money(problem: DualProblem) -> None:
    for name in ("holding_cost_per_unit_step", "backorder_cost_per_unit_step"):
        value = getattr(problem, name)
        _require(0.0 < value < math.inf, name, "> 0 and finite", value)
    for name in ("setup_cost_lean", "setup_cost_flexible", "lean_capacity_units"):
        _require(getattr(problem, name) >= 0.0, name, ">= 0", getattr(problem, name))
    for name in ("unit_cost_lean", "unit_cost_flexible"):
        value = getattr(problem, name)
        _require(0.0 <= value < math.inf, name, ">= 0 and finite", value)
    for order in ("minimum_order_units", "pack_size_units"):
        for supplier in ("lean", "flexible"):
            value = getattr(problem, f"{order}_{supplier}")
            _require(0.0 <= value < math.inf, f"{order}_{supplier}", ">= 0 and finite", value)
    exists = min(problem.setup_cost_lean, problem.setup_cost_flexible) < math.inf
    _require(exists, "setup_cost_lean", "finite, or a flexible supplier", problem.setup_cost_lean)


def _require(holds: bool, name: str, rule: str, value: object) -> None:
    if not holds:
        raise PolicyInputError(name, rule, value)


def parameter_row(problem: DualProblem) -> FloatArray:
    """The item as a parameter row of the compiled core, per step."""
    row = np.zeros(columns.PARAMETERS)
    row[columns.P_MEAN], row[columns.P_SD] = problem.demand.mean_units, problem.demand.sd_units
    row[columns.P_REVIEW] = problem.review_period_steps
    row[columns.P_LEAN_DAYS] = problem.lead_time_steps_lean
    row[columns.P_FLEXIBLE_DAYS] = problem.lead_time_steps_flexible
    row[columns.P_LEAN_SETUP] = problem.setup_cost_lean
    row[columns.P_FLEXIBLE_SETUP] = problem.setup_cost_flexible
    row[columns.P_LEAN_UNIT] = problem.unit_cost_lean
    row[columns.P_FLEXIBLE_UNIT] = problem.unit_cost_flexible
    row[columns.P_HOLDING] = problem.holding_cost_per_unit_step
    row[columns.P_BACKORDER] = problem.backorder_cost_per_unit_step
    row[columns.P_TARGET] = problem.service_target
    row[columns.P_SERVICE_TYPE] = problem.service_type
    row[columns.P_CAPACITY] = problem.lean_capacity_units
    row[columns.P_LEAN_LEAST] = problem.minimum_order_units_lean
    row[columns.P_FLEXIBLE_LEAST] = problem.minimum_order_units_flexible
    row[columns.P_LEAN_PACK] = max(problem.pack_size_units_lean, problem.demand.cell_units)
    row[columns.P_FLEXIBLE_PACK] = max(problem.pack_size_units_flexible, problem.demand.cell_units)
    row[columns.P_FAMILY] = columns.FAMILY_NORMAL
    return row
