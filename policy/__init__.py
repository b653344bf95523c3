"""Replenishment decisions as pure numerics: numbers in, numbers out."""

from policy.decide import decide
from policy.decisions import Decisions, Method, Reason
from policy.errors import PolicyInputError
from policy.fit import FitCheck, FittedDemand, fit_demand
from policy.policy_cache import PolicyCache
from policy.record import decision_record, recompute
from policy.review_inputs import DemandFamily, ReviewInputs, ServiceType

__all__ = [
    "Decisions",
    "DemandFamily",
    "FitCheck",
    "FittedDemand",
    "Method",
    "PolicyCache",
    "PolicyInputError",
    "Reason",
    "ReviewInputs",
    "ServiceType",
    "decide",
    "decision_record",
    "fit_demand",
    "recompute",
]
