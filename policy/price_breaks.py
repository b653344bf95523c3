"""All-units price breaks of a review's items, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from policy.errors import PolicyInputError
from policy.review_inputs import ROLES, BoolArray, FloatArray, IntArray, ReviewInputs


def broken_cost(
    units: IntArray | FloatArray, plain: FloatArray, from_units: FloatArray, unit_cost: FloatArray
) -> FloatArray:
    """Return what each unit of an order costs: what the highest break that it reaches says.

    Args:
        units: of the orders, shape (order,).
        plain: money below the first break, shape (order,).
        from_units, unit_cost: the breaks, shape (order, tier); infinite where unused.

    >>> tiers = np.full((2, 1), 100.0), np.full((2, 1), 4.0)
    >>> broken_cost(np.array([99, 100]), np.full(2, 5.0), *tiers)
    array([5., 4.])
    """
    cost = plain
    for tier in range(from_units.shape[1]):
        cost = np.where(units >= from_units[:, tier], unit_cost[:, tier], cost)
    return cost


@dataclass(frozen=True, slots=True)
class PriceBreaks:
    """Breaks of both suppliers, shape (item, role, tier), roles lean then flexible; inf: unused."""

    units: FloatArray
    unit_cost: FloatArray

    def unit_cost_of(self, role: int, units: IntArray, plain: FloatArray) -> FloatArray:
        """Return what each unit of an order of so many units costs, shape (item,)."""
        return broken_cost(units, plain, self.units[:, role], self.unit_cost[:, role])

    def savings(self, columns: dict[str, FloatArray]) -> FloatArray:
        """Return what a unit costs less at each break, in units of the holding cost per day."""
        plain = np.stack([columns[f"unit_cost_{role}"] for role in ROLES], axis=1)[:, :, None]
        money = columns["holding_cost_per_unit_day"][:, None, None]
        savings: FloatArray = np.where(self.units < np.inf, plain - self.unit_cost, 0.0) / money
        return savings


def checked_breaks(inputs: ReviewInputs, columns: dict[str, FloatArray]) -> PriceBreaks:
    """Return the price breaks; raise PolicyInputError naming field, rule and value."""
    size = len(inputs)
    given = [_breaks_of(inputs, role, columns[f"unit_cost_{role}"]) for role in ROLES]
    tiers = max(units.shape[1] for units, _ in given)
    breaks = PriceBreaks(np.full((size, 2, tiers), np.inf), np.full((size, 2, tiers), np.inf))
    for role, (units, unit_cost) in enumerate(given):
        breaks.units[:, role, : units.shape[1]] = units
        breaks.unit_cost[:, role, : units.shape[1]] = np.where(units < np.inf, unit_cost, np.inf)
    return breaks


def _breaks_of(inputs: ReviewInputs, role: str, plain: FloatArray) -> tuple[FloatArray, FloatArray]:
    name, cost_name = f"price_break_units_{role}", f"price_break_unit_cost_{role}"
    size, nothing = len(inputs), np.zeros((len(inputs), 0))
    given: Any = getattr(inputs, name)
    given_cost: Any = getattr(inputs, cost_name)
    units = np.asarray(nothing if given is None else given, np.float64)
    cost = np.asarray(nothing if given_cost is None else given_cost, np.float64)
    if units.ndim != 2 or units.shape[0] != size:
        raise PolicyInputError(name, f"an array of shape ({size}, tier)", units.shape)
    if cost.shape != units.shape:
        raise PolicyInputError(cost_name, f"an array of shape {units.shape}", cost.shape)
    used = units < np.inf
    before = np.column_stack([np.zeros(size), units])[:, :-1]
    _require_all((units > before) | ~used & (units > 0), name, "> 0, ascending, inf last", units)
    dearer = np.column_stack([plain, cost])[:, :-1]
    rule = "< the unit cost before it and >= 0"
    _require_all(~used | (cost < dearer) & (cost >= 0.0), cost_name, rule, cost)
    return units, cost


def _require_all(good: BoolArray, name: str, rule: str, values: FloatArray) -> None:
    if not good.all():
        raise PolicyInputError(name, rule, float(values.ravel()[int(np.argmin(good))]))
