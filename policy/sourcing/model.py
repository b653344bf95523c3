"""One instance of the classic periodic dual-sourcing model, and the two-speed model it reduces to.

A period runs: order from both suppliers, receive what is due, meet demand, pay for the stock or the
backlog that is left. With an expedited lead of `e` periods, nothing ordered now changes the cost of
the next `e` periods, so the state counts everything due within `e` periods as stock and the cost of
the period `e` ahead is charged now (the standard reduction): a fast order then raises stock at once
and a slow one after `gap_periods`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from policy.errors import PolicyInputError
from policy.sourcing.demand import FloatArray, GridDemand, demand_from, real, whole

LONGEST_LEAD_PERIODS = 60
LARGEST_MONEY = 1e12
# Above this, a grid that holds the order would not fit into memory.
LARGEST_ORDER_LOTS = 100_000

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Instance:
    """A checked instance; money per unit, per order or per unit and period."""

    regular_lead_periods: int
    expedited_lead_periods: int
    regular_cost: float
    expedited_cost: float
    regular_setup: float
    expedited_setup: float
    holding: float
    backorder: float
    demand: GridDemand


@dataclass(frozen=True)
class TwoSpeedModel:
    """What the solvers see: stock in lots, the cheaper unit cost taken out.

    Every unit of demand is bought once, so taking the cheaper unit cost out of both suppliers
    lowers the cost per period by `base_cost` whatever the policy.
    """

    gap_periods: int
    cover_periods: int  # periods from a fast order to the end of the period it serves: lead + 1
    fast_unit: float
    slow_unit: float
    fast_setup: float
    slow_setup: float
    holding: float
    backorder: float
    demand: GridDemand
    base_cost: float

    @property
    def has_setups(self) -> bool:
        """Whether an order of either supplier has a fixed cost."""
        return self.fast_setup > 0 or self.slow_setup > 0

    def with_gap(self, gap_periods: int) -> TwoSpeedModel:
        """Return the same model with the slow supplier `gap_periods` behind the fast one."""
        return replace(self, gap_periods=gap_periods)

    def tail_allowance(self) -> tuple[float, float]:
        """Return what a cut demand tail may take off the lower and add to the upper bound.

        Upper: run the policy of the cut demand and expedite every unit of demand beyond the grid
        one period later. Lower: the cut system can follow any policy of the true one by keeping
        those units until the next order, which after such a demand is in the next period.
        """
        units, chance = self.demand.tail_units, self.demand.tail_probability
        below = units * self.holding * (self.cover_periods + self.gap_periods + 1)
        above = units * (self.backorder * self.cover_periods + self.fast_unit + self.slow_unit)
        return below, above + chance * self.fast_setup


_FIELDS = tuple(Instance.__dataclass_fields__)


def read_instance(instance: object) -> Instance:
    """Check an instance and return it with its demand on a grid.

    Leads are whole periods, 0 <= expedited < regular <= 60; costs and set-ups >= 0; holding and
    backorder > 0 per unit and period. `regular_cost`, the set-ups and `expedited_lead_periods` are
    0 when absent.

    Raises:
        PolicyInputError: a field is missing, unknown or out of range.

    >>> read_instance({"regular_lead_periods": 2, "expedited_cost": 20, "holding": 5,
    ...     "backorder": -1, "demand": {"family": "poisson", "mean": 3}})
    Traceback (most recent call last):
    policy.errors.PolicyInputError: backorder must be > 0, got -1
    """
    if not isinstance(instance, Mapping):
        raise PolicyInputError("instance", "an object", instance)
    for name in instance:
        if name not in _FIELDS and name != "name":
            raise PolicyInputError(f"instance.{name}", f"one of {', '.join(_FIELDS)}", name)
    regular, expedited = _leads(instance)
    checked = Instance(
        regular_lead_periods=regular,
        expedited_lead_periods=expedited,
        regular_cost=_cost(_zero(instance, "regular_cost"), "regular_cost"),
        expedited_cost=_cost(instance, "expedited_cost"),
        regular_setup=_cost(_zero(instance, "regular_setup"), "regular_setup"),
        expedited_setup=_cost(_zero(instance, "expedited_setup"), "expedited_setup"),
        holding=_cost(instance, "holding", strict=True),
        backorder=_cost(instance, "backorder", strict=True),
        demand=demand_from(instance.get("demand")),
    )
    _check_orders(checked)
    return checked


def _check_orders(instance: Instance) -> None:
    """Refuse set-ups whose economic order quantity no grid could hold."""
    most = instance.holding * LARGEST_ORDER_LOTS**2 * instance.demand.lot_units
    most /= 2 * max(instance.demand.mean_lots, 1e-12)
    for name in ("regular_setup", "expedited_setup"):
        if getattr(instance, name) > most:
            rule = f"at most {most:g}: an economic order of {LARGEST_ORDER_LOTS:,} lots of demand"
            raise PolicyInputError(name, rule, getattr(instance, name))


def _leads(instance: Mapping[str, Any]) -> tuple[int, int]:
    """Return both leads; roles that are mixed up are an error, not a guess."""
    longest = LONGEST_LEAD_PERIODS
    regular = whole(instance, "regular_lead_periods", 1, longest)
    expedited = _zero(instance, "expedited_lead_periods")
    lead = whole(expedited, "expedited_lead_periods", 0, longest)
    if not lead < regular:
        raise PolicyInputError(
            "expedited_lead_periods", f"< regular_lead_periods ({regular})", lead
        )
    return regular, lead


def two_speed(instance: Instance) -> TwoSpeedModel:
    """Reduce an instance to a fast supplier that delivers at once and a slow one behind it."""
    cheaper = min(instance.expedited_cost, instance.regular_cost)
    lot = instance.demand.lot_units
    return TwoSpeedModel(
        gap_periods=instance.regular_lead_periods - instance.expedited_lead_periods,
        cover_periods=instance.expedited_lead_periods + 1,
        fast_unit=(instance.expedited_cost - cheaper) * lot,
        slow_unit=(instance.regular_cost - cheaper) * lot,
        fast_setup=instance.expedited_setup,
        slow_setup=instance.regular_setup,
        holding=instance.holding * lot,
        backorder=instance.backorder * lot,
        demand=instance.demand,
        base_cost=cheaper * instance.demand.mean_units,
    )


def period_cost(model: TwoSpeedModel, periods: int, low: int, high: int) -> FloatArray:
    """Return the expected stock cost of one period at levels low..high.

    The level has to last `periods` periods, of which the last one is paid for.
    """
    chances = model.demand.over_periods(periods)
    levels = np.arange(low, high + 1)
    beyond = np.maximum(levels, 0)
    inside = np.minimum(beyond, len(chances))
    below_chance = np.concatenate([[0.0], np.cumsum(chances)])
    below_units = np.concatenate([[0.0], np.cumsum(np.arange(len(chances)) * chances)])
    left_over = levels * below_chance[inside] - below_units[inside]
    short = left_over - levels + below_units[-1]
    cost: FloatArray = model.holding * left_over + model.backorder * np.maximum(short, 0.0)
    return cost


def highest_useful_level(model: TwoSpeedModel, periods: int, setup: float) -> int:
    """Return the level above which an order should wait a period, whatever happens later.

    Postponing what lifts stock above the cheapest level changes the cost of one period only and
    adds at most one set-up; other orders in between can only make the higher level dearer, because
    the period cost is convex. So no order needs to lift stock to a level whose period cost exceeds
    the least one by more than the set-up. That can be far above anything an order reaches, so with
    large set-ups the level stops eight economic order quantities above the demand of the periods,
    where holding alone costs four times the set-ups it saves.
    """
    quantity = math.sqrt(2 * setup * model.demand.mean_lots / model.holding)
    above = min(setup / model.holding, 8 * quantity)
    reach = periods * model.demand.largest_lots + int(above) + 2
    costs = period_cost(model, periods, 0, reach)
    within = np.flatnonzero(costs <= costs.min() + setup + 1e-9 * (1 + abs(costs.min())))
    return int(within[-1])


def _cost(instance: Mapping[str, Any], name: str, strict: bool = False) -> float:
    number = real(instance, name, "> 0" if strict else ">= 0", 0, strict)
    if number > LARGEST_MONEY:
        raise PolicyInputError(name, f"<= {LARGEST_MONEY:g}", number)
    return number


def _zero(instance: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return instance if name in instance else {name: 0}
