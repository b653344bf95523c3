"""Recompute one decision from the plain record of its inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from enum import IntEnum
from typing import Any

import numpy as np

from policy.decisions import Decisions, Method, Reason
from policy.errors import PolicyInputError
from policy.live_decision import decide
from policy.policy_cache import PolicyCache
from policy.review_inputs import (
    FIELD_NAMES,
    OUTLOOK_FIELDS,
    DemandFamily,
    ReviewInputs,
    ServiceType,
)

INFINITE_WHEN_NONE = ("lean_capacity_units", "setup_cost_lean", "setup_cost_flexible")
_OPTIONAL: dict[str, Any] = {
    "allow_lean": True,
    "demand_family": int(DemandFamily.AUTO),
    "dispatch_delay_days_lean": 0.0,
    "dispatch_delay_days_flexible": 0.0,
    "price_break_units_lean": [],
    "price_break_unit_cost_lean": [],
    "price_break_units_flexible": [],
    "price_break_unit_cost_flexible": [],
    **dict.fromkeys(OUTLOOK_FIELDS),
}
CODES: dict[str, type[IntEnum]] = {"service_type": ServiceType, "demand_family": DemandFamily}
"""Inputs that are codes; records may give them by name."""
_NAMES = {"method": Method, "reason": Reason, "demand_family_used": DemandFamily}


def _value(record: Mapping[str, Any], name: str) -> Any:
    if name not in record and name not in _OPTIONAL:
        raise PolicyInputError(name, "present in the record", None)
    value = record.get(name, _OPTIONAL.get(name))
    if value is None and name in INFINITE_WHEN_NONE:
        return math.inf
    if name in CODES and isinstance(value, str):
        members = CODES[name].__members__
        if value.upper() not in members:
            raise PolicyInputError(name, f"one of {', '.join(members).lower()}", value)
        return int(members[value.upper()])
    if isinstance(value, list) and name in OUTLOOK_FIELDS and all(map(_is_number, value)):
        return [float(one) for one in value]
    if name.startswith("price_break"):
        if not (isinstance(value, list) and all(map(_is_number, value))):
            raise PolicyInputError(name, "a list of numbers", value)
        return [float(one) for one in value]
    if name == "allow_lean" and not isinstance(value, bool):
        raise PolicyInputError(name, "true or false", value)
    if name != "allow_lean" and not _is_number(value):
        raise PolicyInputError(name, "a number", value)
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def inputs_of(record: Mapping[str, Any]) -> ReviewInputs:
    """Return the inputs of one item from a record with the field names of ReviewInputs.

    None stands for infinity where that is allowed; codes may be given by name.
    """
    unknown = sorted(set(record) - set(FIELD_NAMES))
    if unknown:
        raise PolicyInputError(unknown[0], "a field of ReviewInputs", record[unknown[0]])
    given = {name for name in OUTLOOK_FIELDS if record.get(name) is not None}
    names = [name for name in FIELD_NAMES if name in given or name not in OUTLOOK_FIELDS]
    return ReviewInputs(**{name: np.array([_value(record, name)]) for name in names})


def decision_record(decisions: Decisions, item: int) -> dict[str, Any]:
    """Return one decision as plain JSON values: names for codes, None for infinity."""
    plain: dict[str, Any] = {}
    for field in fields(Decisions):
        value = getattr(decisions, field.name)[item].item()
        if field.name in _NAMES:
            value = _NAMES[field.name](value).name.lower()
        elif isinstance(value, float) and math.isinf(value):
            value = None
        plain[field.name] = value
    return plain


def recompute(record: Mapping[str, Any], cache: PolicyCache | None = None) -> dict[str, Any]:
    """Return the decision that `decide` makes for one recorded item, as plain JSON values.

    Args:
        record: field names of ReviewInputs with plain numbers, breaks as lists; what has a default
            there may be missing, None stands for an infinite capacity or set-up cost.
        cache: solved policies, to recompute many records; it changes nothing but the time.

    Raises:
        PolicyInputError: a field is missing, unknown or out of range.

    >>> decision = recompute({
    ...     "inventory_position_units": -3, "demand_mean_units_per_day": 0,
    ...     "demand_sd_units_per_day": 0, "review_period_days": 7, "lead_time_days_lean": 4,
    ...     "lead_time_days_flexible": 2, "setup_cost_lean": 90, "setup_cost_flexible": 9,
    ...     "unit_cost_lean": 10, "unit_cost_flexible": 13, "holding_cost_per_unit_day": 0.01,
    ...     "backorder_cost_per_unit_day": 0.5, "service_target": 0.95, "service_type": "CYCLE",
    ...     "lean_capacity_units": None, "minimum_order_units_lean": 0,
    ...     "minimum_order_units_flexible": 0, "pack_size_units_lean": 1,
    ...     "pack_size_units_flexible": 1})
    >>> decision["quantity_flexible_units"], decision["reason"], decision["method"]
    (3, 'no_demand', 'no_demand')
    """
    return decision_record(decide(inputs_of(record), cache), 0)
