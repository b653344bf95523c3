"""Replenishment decisions as pure numerics: numbers in, numbers out.

`decide` is the live decision for arrays of items, `solve_dual` and `evaluate_dual` are the exact
policy of one item whose leads are shorter than its review period, `solve` the classic periodic
model with longer leads, `simulate` the referee that shares no code with them.

>>> from policy import DualProblem, ServiceType, normal_demand, solve, solve_dual
>>> case = DualProblem(
...     demand=normal_demand(100, 50, below_zero="replace", cell_units=10), review_period_steps=9,
...     lead_time_steps_lean=4, setup_cost_lean=900, unit_cost_lean=10,
...     lead_time_steps_flexible=2, setup_cost_flexible=90, unit_cost_flexible=13,
...     holding_cost_per_unit_step=0.9, backorder_cost_per_unit_step=2,
...     service_type=ServiceType.CYCLE, service_target=0.95)
>>> best = solve_dual(case)  # the cheapest rule with 95 % of cycles served, and its certificate
>>> best.target_met, best.gap < 1e-3, best.evaluation.cycle_service >= 0.95
(True, True, True)
>>> lean, flexible = best.table.orders(400.0)  # what to order with 400 units in stock
>>> answer = solve({"regular_lead_periods": 3, "expedited_cost": 20, "holding": 5,
...                 "backorder": 495, "regular_setup": 5, "expedited_setup": 10,
...                 "demand": {"family": "uniform", "low": 0, "high": 4}})
>>> round(answer["cost_per_period"], 6), answer["method"]
(30.06356, 'exact')
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from policy.decide import decide
from policy.decisions import Decisions, Method, Reason
from policy.errors import PolicyInputError, ReplenishError
from policy.fit import FitCheck, FittedDemand, fit_demand
from policy.policy_cache import PolicyCache
from policy.record import decision_record, recompute
from policy.review_inputs import DemandFamily, ReviewInputs, ServiceType

if TYPE_CHECKING:
    from policy.dual.demand import (
        GridDemand,
        empirical_demand,
        gamma_demand,
        negative_binomial_demand,
        normal_demand,
        poisson_demand,
    )
    from policy.dual.solve import (
        DualPolicy,
        DualProblem,
        Evaluation,
        IntervalTable,
        evaluate_dual,
        solve_dual,
    )
    from policy.sourcing.solve import solve
    from policy.studies.paper import paper_tables
    from policy.studies.simulation import (
        Outcome,
        Setting,
        draw_normal_demand,
        interval_table,
        simulate,
    )

# What the live system does not use brings scipy's distributions along, which load for a second.
_LOADED_WHEN_USED = {
    **dict.fromkeys(("GridDemand", "empirical_demand"), "dual.demand"),
    **dict.fromkeys(("gamma_demand", "negative_binomial_demand"), "dual.demand"),
    **dict.fromkeys(("normal_demand", "poisson_demand"), "dual.demand"),
    **dict.fromkeys(("DualPolicy", "DualProblem", "Evaluation", "IntervalTable"), "dual.solve"),
    **dict.fromkeys(("evaluate_dual", "solve_dual"), "dual.solve"),
    **dict.fromkeys(("Outcome", "Setting", "draw_normal_demand"), "studies.simulation"),
    **dict.fromkeys(("interval_table", "simulate"), "studies.simulation"),
    "paper_tables": "studies.paper",
    "solve": "sourcing.solve",
}


def __getattr__(name: str) -> Any:
    """Load a name of `_LOADED_WHEN_USED` from its module."""
    if name not in _LOADED_WHEN_USED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"policy.{_LOADED_WHEN_USED[name]}"), name)
    globals()[name] = value
    return value


__all__ = [
    "Decisions",
    "DemandFamily",
    "DualPolicy",
    "DualProblem",
    "Evaluation",
    "FitCheck",
    "FittedDemand",
    "GridDemand",
    "IntervalTable",
    "Method",
    "Outcome",
    "PolicyCache",
    "PolicyInputError",
    "Reason",
    "ReplenishError",
    "ReviewInputs",
    "ServiceType",
    "Setting",
    "decide",
    "decision_record",
    "draw_normal_demand",
    "empirical_demand",
    "evaluate_dual",
    "fit_demand",
    "gamma_demand",
    "interval_table",
    "negative_binomial_demand",
    "normal_demand",
    "paper_tables",
    "poisson_demand",
    "recompute",
    "simulate",
    "solve",
    "solve_dual",
]
