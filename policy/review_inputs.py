"""What a review knows of its items, checked once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from policy.codes import DemandFamily as DemandFamily
from policy.codes import ServiceType as ServiceType
from policy.errors import PolicyInputError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


ROLES = ("lean", "flexible")
LARGEST_POSITION_UNITS = 1e12
LARGEST_DEMAND = 1e9
LARGEST_MONEY = 1e12
LONGEST_DAYS = 3660.0
HIGHEST_TARGET = 0.999

# Field: (lowest, lowest is allowed, highest, highest is allowed, infinity is allowed).
_RANGES: dict[str, tuple[float, bool, float, bool]] = {
    "inventory_position_units": (-LARGEST_POSITION_UNITS, True, LARGEST_POSITION_UNITS, False),
    "demand_mean_units_per_day": (0.0, True, LARGEST_DEMAND, False),
    "demand_sd_units_per_day": (0.0, True, LARGEST_DEMAND, False),
    "review_period_days": (0.01, True, LONGEST_DAYS, False),
    "lead_time_days_lean": (0.0, True, LONGEST_DAYS, False),
    "lead_time_days_flexible": (0.0, True, LONGEST_DAYS, False),
    "dispatch_delay_days_lean": (0.0, True, LONGEST_DAYS, False),
    "dispatch_delay_days_flexible": (0.0, True, LONGEST_DAYS, False),
    "setup_cost_lean": (0.0, True, LARGEST_MONEY, True),
    "setup_cost_flexible": (0.0, True, LARGEST_MONEY, True),
    "unit_cost_lean": (0.0, True, LARGEST_MONEY, False),
    "unit_cost_flexible": (0.0, True, LARGEST_MONEY, False),
    "holding_cost_per_unit_day": (0.0, False, LARGEST_MONEY, False),
    "backorder_cost_per_unit_day": (0.0, False, LARGEST_MONEY, False),
    "service_target": (0.0, True, HIGHEST_TARGET, False),
    "lean_capacity_units": (0.0, True, LARGEST_POSITION_UNITS, True),
    "minimum_order_units_lean": (0.0, True, LARGEST_POSITION_UNITS, False),
    "minimum_order_units_flexible": (0.0, True, LARGEST_POSITION_UNITS, False),
    "pack_size_units_lean": (0.0, True, LARGEST_POSITION_UNITS, False),
    "pack_size_units_flexible": (0.0, True, LARGEST_POSITION_UNITS, False),
}
FLOAT_FIELDS = tuple(_RANGES)
_DELAYS = ("dispatch_delay_days_lean", "dispatch_delay_days_flexible")


@dataclass(frozen=True)
class ReviewInputs:
    """One review of many items; every field has shape (item,). Money in one currency.

    A supplier that does not exist has an infinite set-up cost. A minimum order or pack size of 0 or
    1 means none. `service_target` is ignored where `service_type` is COST.
    """

    inventory_position_units: FloatArray
    """On hand + on order due within the horizon - backlog; may be negative."""
    demand_mean_units_per_day: FloatArray
    demand_sd_units_per_day: FloatArray
    review_period_days: FloatArray
    lead_time_days_lean: FloatArray
    lead_time_days_flexible: FloatArray
    setup_cost_lean: FloatArray
    setup_cost_flexible: FloatArray
    unit_cost_lean: FloatArray
    unit_cost_flexible: FloatArray
    holding_cost_per_unit_day: FloatArray
    backorder_cost_per_unit_day: FloatArray
    service_target: FloatArray
    service_type: IntArray
    lean_capacity_units: FloatArray
    minimum_order_units_lean: FloatArray
    minimum_order_units_flexible: FloatArray
    pack_size_units_lean: FloatArray
    pack_size_units_flexible: FloatArray
    allow_lean: BoolArray | None = None
    """False where a surge review may use the flexible supplier only; None allows all."""
    demand_family: IntArray | None = None
    """DemandFamily codes; None is AUTO for all."""
    dispatch_delay_days_lean: FloatArray | None = None
    """Days until the supplier next dispatches, on top of its lead time; None means now."""
    dispatch_delay_days_flexible: FloatArray | None = None
    price_break_units_lean: FloatArray | None = None
    """Shape (item, tier): an order of so many units or more costs less a unit; ascending, inf where
    an item has fewer breaks than others. None means no breaks."""
    price_break_unit_cost_lean: FloatArray | None = None
    """Shape (item, tier): what all units of such an order cost; falling, below the unit cost."""
    price_break_units_flexible: FloatArray | None = None
    price_break_unit_cost_flexible: FloatArray | None = None
    outlook_demand_units: FloatArray | None = None
    """Shape (item, point): demand from now to each point of `policy.dual_index`, where the rule for
    slow lean suppliers shall decide; zeros where it shall not. None means for no item."""
    outlook_demand_variance: FloatArray | None = None
    """Likewise, its variance."""
    outlook_supply_units: FloatArray | None = None
    """Likewise, stock less backlog and what has come by then, without the uncertain order."""
    outlook_arrival_chance: FloatArray | None = None
    """Likewise, the chance that the order whose arrival is uncertain has come."""
    outlook_uncertain_units: FloatArray | None = None
    """Units of that order."""
    outlook_strain: IntArray | None = None
    """What is out of the ordinary, a code of `policy.dual_index.rule`."""
    outlook_level_units_per_day: FloatArray | None = None
    """Demand of an ordinary day, without plans and surges: lots and safety factors are its."""

    def __len__(self) -> int:
        return int(np.asarray(self.inventory_position_units).size)


def _rule(low: float, closed: bool, high: float, infinite: bool) -> str:
    text = f"{'>=' if closed else '>'} {low:g} and <= {high:g}"
    return text + (" or infinite" if infinite else "")


def _column(name: str, value: Any, size: int) -> FloatArray:
    column = np.array(value, dtype=np.float64)
    if column.shape != (size,):
        raise PolicyInputError(name, f"an array of shape ({size},)", column.shape)
    low, closed, high, infinite = _RANGES[name]
    good = (column >= low if closed else column > low) & (column <= high)
    if infinite:
        good |= column == np.inf
    if not good.all():
        first = int(np.argmin(good))
        raise PolicyInputError(name, _rule(low, closed, high, infinite), float(column[first]))
    return column


def _codes(name: str, value: Any, size: int, codes: type[IntEnum]) -> FloatArray:
    column = np.asarray(value)
    if column.shape != (size,):
        raise PolicyInputError(name, f"an array of shape ({size},)", column.shape)
    good = np.isin(column, [int(code) for code in codes])
    if not good.all():
        names = ", ".join(f"{int(code)} {code.name}" for code in codes)
        raise PolicyInputError(name, f"one of {names}", column[int(np.argmin(good))].item())
    return column.astype(np.float64)


def _require(good: BoolArray, name: str, rule: str, column: FloatArray) -> None:
    if not good.all():
        raise PolicyInputError(name, rule, float(column[int(np.argmin(good))]))


def checked_columns(inputs: ReviewInputs) -> dict[str, FloatArray]:
    """Return all fields as float columns; raise PolicyInputError naming field, rule and value."""
    size = len(inputs)
    columns = {name: _column(name, _given(inputs, name), size) for name in FLOAT_FIELDS}
    columns["service_type"] = _codes("service_type", inputs.service_type, size, ServiceType)
    family: Any = inputs.demand_family
    family = np.zeros(size, np.int64) if family is None else family
    columns["demand_family"] = _codes("demand_family", family, size, DemandFamily)
    allow: Any = np.ones(size, np.bool_) if inputs.allow_lean is None else inputs.allow_lean
    allow = np.asarray(allow)
    if allow.shape != (size,) or allow.dtype != np.bool_:
        raise PolicyInputError("allow_lean", f"a bool array of shape ({size},)", allow)
    columns["allow_lean"] = allow.astype(np.float64)
    _check_together(columns)
    _add_delays(columns)
    return columns


def _given(inputs: ReviewInputs, name: str) -> Any:
    value = getattr(inputs, name)
    return np.zeros(len(inputs)) if value is None and name in _DELAYS else value


def _add_delays(columns: dict[str, FloatArray]) -> None:
    """Count lead times from now on; the policy wants a flexible supplier that is never slower."""
    for role in ROLES:
        columns[f"lead_time_days_{role}"] += columns[f"dispatch_delay_days_{role}"]
    flexible = np.where(
        columns["setup_cost_flexible"] < np.inf, columns["lead_time_days_flexible"], 0
    )
    columns["lead_time_days_lean"] = np.maximum(columns["lead_time_days_lean"], flexible)


def _check_together(columns: dict[str, FloatArray]) -> None:
    """Rules that bind two fields."""
    target = columns["service_target"]
    wants = columns["service_type"] != ServiceType.COST
    _require(~wants | (target > 0.0), "service_target", "> 0 where a service type is set", target)
    lean = usable_lean(columns)
    flexible = columns["setup_cost_flexible"] < np.inf
    setup = columns["setup_cost_lean"]
    _require(
        lean | flexible, "setup_cost_lean", "finite, with capacity, or a flexible supplier", setup
    )
    slow = columns["lead_time_days_lean"]
    ordered = ~(lean & flexible) | (slow >= columns["lead_time_days_flexible"])
    _require(ordered, "lead_time_days_lean", ">= lead_time_days_flexible", slow)


def usable_lean(columns: dict[str, FloatArray]) -> BoolArray:
    """True where the lean supplier exists and its capacity admits one smallest order."""
    least = np.maximum(columns["minimum_order_units_lean"], 1.0)
    pack = np.maximum(columns["pack_size_units_lean"], 1.0)
    least = np.ceil(least / pack) * pack
    usable: BoolArray = (columns["setup_cost_lean"] < np.inf) & (
        columns["lean_capacity_units"] >= least
    )
    return usable


FIELD_NAMES = tuple(field.name for field in fields(ReviewInputs))
OUTLOOK_FIELDS = tuple(name for name in FIELD_NAMES if name.startswith("outlook_"))
