"""Bounds from demand on a coarser lattice, for instances without set-ups that are too large.

Without set-ups the whole problem is convex, so demand that is more spread out in the convex order
costs more and demand that is less spread out costs less. Both are looked for on a lattice of `step`
lots, where the exact method is `step` times cheaper per dimension:

* spread: each demand goes to its two neighbours on the lattice, in proportion;
* shrunk: of all lattice demands with the same mean that are nowhere above in E[(D - k)+], the one
  with the largest variance, by linear programming.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array

from policy.sourcing.demand import FloatArray, GridDemand
from policy.sourcing.exact import solve_exact
from policy.sourcing.model import TwoSpeedModel

STEPS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 25, 32, 40, 50, 64, 80, 100, 128, 160, 200, 256)
# The linear program meets its constraints to about 1e-7; the bound gives up more than that.
SLACK_RELATIVE = 1e-5


def lattice_bounds(model: TwoSpeedModel, most_work: float) -> tuple[float, float, int] | None:
    """Return (lower, upper, step) for a model without set-ups, or None if no lattice is possible.

    The step is the smallest one whose exact solution is within `most_work`.
    """
    for step in STEPS:
        if step > model.demand.largest_lots // 4:
            return None
        upper = solve_exact(_on(model, spread(model.demand, step), step), most_work)
        if upper is None:
            continue
        shrunk = shrink(model.demand, step)
        lower = solve_exact(_on(model, shrunk, step), most_work) if shrunk else None
        floor = 0.0 if lower is None else lower.lower * (1 - SLACK_RELATIVE)
        return floor, upper.upper, step
    return None


def spread(demand: GridDemand, step: int) -> GridDemand:
    """Return demand on multiples of `step` lots that is more spread out, with the same mean.

    >>> spread(GridDemand(np.array([0.0, 0.5, 0.5]), 1, 1.5), 2).probabilities
    array([0.25, 0.75])
    """
    lots = np.arange(len(demand.probabilities))
    share = (lots % step) / step
    chances = np.zeros(lots[-1] // step + 2)
    np.add.at(chances, lots // step, (1 - share) * demand.probabilities)
    np.add.at(chances, lots // step + 1, share * demand.probabilities)
    return replace(demand, probabilities=np.trim_zeros(chances, "b"))


def shrink(demand: GridDemand, step: int) -> GridDemand | None:
    """Return demand on multiples of `step` lots that is less spread out, with the same mean."""
    lots = np.arange(len(demand.probabilities))
    kept = np.arange(0, lots[-1] + 1, step)
    # Row k of the program: E[(lattice demand - k)+] <= E[(demand - k)+].
    beyond = np.maximum(kept[None, :] - lots[:, None], 0.0)
    allowed = np.maximum(lots[None, :] - lots[:, None], 0.0) @ demand.probabilities
    # Rows that tails leave no room in would only disturb the scaling.
    rows = allowed > 1e-9 * max(1.0, demand.mean_lots)
    last = int(lots[rows][-1]) if rows.any() else 0
    usable = kept <= last
    result = linprog(
        -(kept[usable].astype(float) ** 2),
        A_ub=csr_array(beyond[rows][:, usable]),
        b_ub=allowed[rows],
        A_eq=np.array([np.ones(usable.sum()), kept[usable]]),
        b_eq=[1.0, demand.mean_lots],
        method="highs",
    )
    if not result.success:
        return None
    chances: FloatArray = np.maximum(result.x, 0.0)
    return replace(demand, probabilities=np.trim_zeros(chances / chances.sum(), "b"))


def _on(model: TwoSpeedModel, demand: GridDemand, step: int) -> TwoSpeedModel:
    """Return the model with this demand and money per lattice lot."""
    return replace(
        model,
        fast_unit=model.fast_unit * step,
        slow_unit=model.slow_unit * step,
        holding=model.holding * step,
        backorder=model.backorder * step,
        demand=demand,
    )
