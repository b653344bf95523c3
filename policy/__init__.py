"""Replenishment decisions as pure numerics: numbers in, numbers out.

`decide` is the live decision for arrays of items, `solve_dual` and `evaluate_dual` are the exact
policy of one item whose leads are shorter than its review period, `solve` the classic periodic
model with longer leads, `simulate` the referee that shares no code with them. `policy.classic` has
the published formulas of inventory control with one supplier.

The example in `policy/README.md` shows how they are called; a test runs it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from policy.decisions import Decisions, Method, Reason
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
    from policy.errors import PolicyInputError, ReplenishError
    from policy.fit import FitCheck, FittedDemand, fit_demand
    from policy.live_decision import decide
    from policy.policy_cache import PolicyCache
    from policy.record import decision_record, recompute
    from policy.review_inputs import DemandFamily, ReviewInputs, ServiceType
    from policy.sourcing.solve import solve
    from policy.studies.item import simulate_item
    from policy.studies.paper import paper_tables
    from policy.studies.simulation import (
        Outcome,
        Setting,
        draw_normal_demand,
        interval_table,
        simulate,
    )

# Whoever wants one kernel or name does not wait for the others, nor for scipy's distributions.
_LOADED_WHEN_USED = {
    **dict.fromkeys(("GridDemand", "empirical_demand"), "dual.demand"),
    **dict.fromkeys(("gamma_demand", "negative_binomial_demand"), "dual.demand"),
    **dict.fromkeys(("normal_demand", "poisson_demand"), "dual.demand"),
    **dict.fromkeys(("DualPolicy", "DualProblem", "Evaluation", "IntervalTable"), "dual.solve"),
    **dict.fromkeys(("evaluate_dual", "solve_dual"), "dual.solve"),
    **dict.fromkeys(("Outcome", "Setting", "draw_normal_demand"), "studies.simulation"),
    **dict.fromkeys(("interval_table", "simulate"), "studies.simulation"),
    **dict.fromkeys(("Decisions", "Method", "Reason"), "decisions"),
    **dict.fromkeys(("PolicyInputError", "ReplenishError"), "errors"),
    **dict.fromkeys(("FitCheck", "FittedDemand", "fit_demand"), "fit"),
    **dict.fromkeys(("decision_record", "recompute"), "record"),
    **dict.fromkeys(("DemandFamily", "ReviewInputs", "ServiceType"), "review_inputs"),
    "PolicyCache": "policy_cache",
    "decide": "live_decision",
    "paper_tables": "studies.paper",
    "simulate_item": "studies.item",
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
    "simulate_item",
    "solve",
    "solve_dual",
]
