"""Exact long-run behaviour of any interval table, by its own stationary distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from policy.dual.demand import summed
from policy.dual.problem import DualProblem, suppliers_alone
from policy.dual.terms import grid_terms, means, segment, sum_at
from policy.solver.terms import Terms

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class IntervalTable:
    """What each net inventory at a review orders: rows of [from_units, next from_units).

    Attributes:
        from_units: lowest net inventory of each row, ascending; the first row reaches down without
            end, the last up without end.
        flexible_to_units: level that the flexible supplier raises stock to; NaN-free: equal to
            -inf where nothing is ordered from it.
        lean_to_units: the same for the lean supplier, after the flexible order.
    """

    from_units: FloatArray
    flexible_to_units: FloatArray
    lean_to_units: FloatArray

    def orders(self, net_inventory_units: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return (lean, flexible) units ordered at each net inventory, any shape."""
        held = np.asarray(net_inventory_units, dtype=np.float64)
        row = np.searchsorted(self.from_units, held, side="right") - 1
        row = np.maximum(row, 0)
        flexible_to = np.maximum(self.flexible_to_units[row], held)
        lean_to = np.maximum(self.lean_to_units[row], flexible_to)
        return lean_to - flexible_to, flexible_to - held


@dataclass(frozen=True)
class Evaluation:
    """Exact long-run behaviour of a policy. Money, units and orders are per step."""

    cost: float
    setup_cost_lean: float
    setup_cost_flexible: float
    purchase_cost_lean: float
    purchase_cost_flexible: float
    holding_cost: float
    backorder_cost: float
    cycle_service: float
    """Share of cycles [tau_2, T + tau_2) without a stock-out."""
    review_service: float
    """Share of reviews that find no backlog."""
    fill_rate: float
    mean_stock_units: float
    mean_backlog_units: float
    orders_lean: float
    orders_flexible: float
    share_flexible: float
    """Share of units bought from the flexible supplier."""


def evaluate_dual(problem: DualProblem, table: IntervalTable) -> Evaluation:
    """Return the exact long-run cost parts and service of any interval table.

    The stationary distribution of net inventory at reviews is found by iterating its own
    transition, not by the optimiser's recursion.
    """
    problem = suppliers_alone(problem)
    tops = np.concatenate([table.lean_to_units, table.flexible_to_units, table.from_units])
    top = float(tops.max())
    cell = problem.demand.cell_units
    reach = summed(problem.demand, problem.review_period_steps).size * cell
    low = min(0.0, float(table.from_units[0])) - reach
    count = math.ceil((top - low) / cell) + 2
    units = cell * (math.floor(low / cell) + np.arange(count, dtype=np.float64))
    lean, flexible = table.orders(units)
    middle = np.rint((units + flexible - units[0]) / cell).astype(np.int64)
    final = np.rint((units + flexible + lean - units[0]) / cell).astype(np.int64)
    return _evaluation(problem, grid_terms(problem, units), middle, final)


def _stationary(final: IntArray, mass: FloatArray) -> FloatArray:
    """Return the long-run distribution of levels at reviews under post-order levels `final`."""
    size = final.size
    state = np.zeros(size)
    state[int(final[0])] = 1.0
    for _ in range(20_000):
        after = np.bincount(final, weights=state, minlength=size)
        spread = np.convolve(after, mass[::-1])
        cut = mass.size - 1
        following = spread[cut:].copy()
        following[0] += spread[:cut].sum()
        moved = float(np.abs(following - state).sum())
        # The half step keeps cycles of certain demand from going round for ever.
        state = 0.5 * (state + following)
        if moved < 1e-12:
            break
    return np.asarray(state / state.sum(), dtype=np.float64)


def _evaluation(
    problem: DualProblem, terms: Terms, middle: IntArray, final: IntArray
) -> Evaluation:
    review = problem.review_period_steps
    units = terms.level_units
    share = _stationary(final, terms.demand_mass)
    at = np.flatnonzero(share > 0.0)
    share, middle, final = share[at], middle[at], final[at]
    bought_fast, bought_slow = units[middle] - units[at], units[final] - units[middle]
    stock, backlog = _stock_and_backlog(problem, units, (at, middle, final), share)
    short = terms.short_before_lean[middle] + terms.short_after_lean[final]
    rows = np.minimum(middle - terms.joint_first_level, terms.stockout_joint.shape[0] - 1)
    joint = np.where(rows >= 0, terms.stockout_joint[np.maximum(rows, 0), final], 0.0)
    stockout = terms.stockout_before_lean[middle] + joint
    fast, slow = float(share @ (middle > at)) / review, float(share @ (final > middle)) / review
    units_fast, units_slow = (
        float(share @ bought_fast) / review,
        float(share @ bought_slow) / review,
    )
    parts = (
        problem.setup_cost_lean * slow if slow else 0.0,
        problem.setup_cost_flexible * fast if fast else 0.0,
        problem.unit_cost_lean * units_slow,
        problem.unit_cost_flexible * units_fast,
        problem.holding_cost_per_unit_step * stock,
        problem.backorder_cost_per_unit_step * backlog,
    )
    bought = units_fast + units_slow
    return Evaluation(
        sum(parts),
        *parts,
        cycle_service=1.0 - float(share @ stockout),
        review_service=float(share @ (units[at] >= 0.0)),
        fill_rate=1.0 - float(share @ short) / (problem.demand.mean_units * review),
        mean_stock_units=stock,
        mean_backlog_units=backlog,
        orders_lean=slow,
        orders_flexible=fast,
        share_flexible=units_fast / bought if bought > 0.0 else 0.0,
    )


def _stock_and_backlog(
    problem: DualProblem,
    units: FloatArray,
    levels: tuple[IntArray, IntArray, IntArray],
    share: FloatArray,
) -> tuple[float, float]:
    """Mean stock on hand and mean backlog over time, units."""
    slow, fast = problem.lead_time_steps_lean, problem.lead_time_steps_flexible
    review = problem.review_period_steps
    sums = [sum_at(problem, step, units) for step in range(review + 1)]
    backlog = net = 0.0
    for level, start, end in zip(levels, (0, fast, slow), (fast, slow, review), strict=True):
        lost = segment(problem, sums, start, end)
        backlog += float(share @ lost[level])
        net += float(share @ units[level]) * (end - start) - means(sums, start, end)
    return (net + backlog) / review, backlog / review
