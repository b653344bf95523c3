"""A supplier's minimum order value: raise the order to it, or wait until the lines are worth it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from policy.classic.fields import FloatArray
from policy.classic.normal import normal_loss
from policy.joint.run_out import raise_to_value

_MOST_STEPS = 2_000  # of the integral over the time that is compared


@dataclass(frozen=True)
class MinimumValue:
    """What to do with lines that may be worth too little."""

    action: str
    """`order` (worth enough), `raise`, `wait`, or `nothing` (no lines)."""
    quantities: FloatArray
    """Units to order now, shape (item,); 0 where it waits."""
    raised: FloatArray
    """Units if the order is raised, shape (item,)."""
    reviews_to_wait: int | None
    """Until the lines are worth enough by themselves; None means never."""
    cost_of_raising: float | None
    """Stock and backlog over the time that waiting takes; None where nothing is to be compared."""
    cost_of_waiting: float | None


@dataclass(frozen=True)
class ItemLines:
    """Items of one supplier at a review; every array has shape (item,)."""

    demand: FloatArray
    """Units a period."""
    demand_sd: FloatArray
    stock: FloatArray
    """Units on hand and on order less those owed."""
    unit_cost: FloatArray
    holding_cost: FloatArray
    """A unit and period."""
    backorder_cost: FloatArray
    """A unit and period."""
    proposed: FloatArray
    """Units that the item wants to order now."""
    packs: FloatArray


def raise_or_wait(
    lines: ItemLines,
    minimum_value: float,
    lead_time_periods: float,
    review_periods: float,
    keys: Sequence[str] = (),
) -> MinimumValue:
    """Return whether lines that are worth too little are raised or wait, whichever is cheaper.

    Both ways the order is worth the minimum, so a year has equally many of them and pays equally
    many headers. They differ in the time from which a raised order would be there until the order
    that waits is: over it, stock and backlog with the raised order are compared with those without
    one. Demand is normal and independent between periods.

    Args:
        lines: the items.
        minimum_value: money, >= 0.
        lead_time_periods: from an order to its arrival, >= 0.
        review_periods: until the supplier's next review, > 0.
        keys: names of the items; empty means their places.
    """
    value = float(lines.unit_cost @ lines.proposed)
    if not (lines.proposed > 0).any():
        return MinimumValue("nothing", lines.proposed, lines.proposed, None, None, None)
    if value >= minimum_value:
        return MinimumValue("order", lines.proposed, lines.proposed, 0, None, None)
    raised = raise_to_value(
        *(lines.demand, lines.stock, lines.unit_cost, lines.proposed),
        *(minimum_value, lines.packs, keys),
    ).quantities
    sold = review_periods * float(lines.unit_cost @ lines.demand)
    if not sold > 0 or float(lines.unit_cost @ raised) < minimum_value * (1 - 1e-9):
        nothing = np.zeros_like(lines.proposed)
        return MinimumValue("wait", nothing, raised, None, None, None)
    reviews = max(1, math.ceil((minimum_value - value) / sold - 1e-9))
    begins, ends = lead_time_periods, lead_time_periods + reviews * review_periods
    with_order = _cost_between(lines, lines.stock + raised, begins, ends)
    without = _cost_between(lines, lines.stock, begins, ends)
    is_raised = with_order <= without
    return MinimumValue(
        "raise" if is_raised else "wait",
        raised if is_raised else np.zeros_like(raised),
        raised,
        reviews,
        with_order,
        without,
    )


def _cost_between(lines: ItemLines, level: FloatArray, begins: float, ends: float) -> float:
    """Return the expected cost of stock and backlog from one time to another."""
    steps = min(_MOST_STEPS, 8 * math.ceil(ends - begins))
    times = np.linspace(begins, ends, steps + 1)[:, None]
    sold = lines.demand * times
    missing = normal_loss(level, sold, lines.demand_sd * np.sqrt(times))
    rates = lines.holding_cost * (level - sold + missing) + lines.backorder_cost * missing
    return float(np.trapezoid(rates.sum(axis=1), times[:, 0]))
