"""Terms of the dynamic program for demand on a grid: exact sums of steps, a level a cell."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from policy.dual.demand import summed
from policy.dual.problem import DualProblem, parameter_row
from policy.review_inputs import ServiceType
from policy.solver.lattice import lattice_reach
from policy.solver.order_rules import deep_slope
from policy.solver.terms import Terms

FloatArray = npt.NDArray[np.float64]


def lattice_levels(problem: DualProblem, widen_down: float, widen_up: float) -> FloatArray:
    cell = problem.demand.cell_units
    bottom, top = lattice_reach(parameter_row(problem), problem.demand.sd_units**2)
    low = -math.ceil(2.0 * bottom * widen_down / cell) - 2
    high = math.ceil(1.1 * top * widen_up / cell) + 2
    return cell * np.arange(low, high + 1, dtype=np.float64)


@dataclass(frozen=True)
class _Sum:
    """Demand of s steps: P(D > y) and E(D - y)+ at the lattice levels."""

    mean: float
    tail: FloatArray
    loss: FloatArray


def sum_at(problem: DualProblem, steps: int, units: FloatArray) -> _Sum:
    cell = problem.demand.cell_units
    mass = summed(problem.demand, steps)
    above = np.concatenate([np.cumsum(mass[::-1])[::-1][1:], [0.0]])  # P(D > k)
    missing = np.cumsum(above[::-1])[::-1] * cell  # E(D - k)+
    place = np.rint(units / cell).astype(np.int64)
    inside = np.clip(place, 0, mass.size - 1)
    mean = problem.demand.mean_units * steps
    below = place < 0
    tail = np.where(below, 1.0, np.where(place < mass.size, above[inside], 0.0))
    loss = np.where(below, mean - units, np.where(place < mass.size, missing[inside], 0.0))
    return _Sum(mean, tail, loss)


def segment(problem: DualProblem, sums: list[_Sum], start: int, end: int) -> FloatArray:
    """E of the losses over steps [start, end), half of each step at its start, half at its end."""
    total = np.zeros(sums[0].loss.size)
    for step in range(start, end):
        total += 0.5 * (sums[step].loss + sums[step + 1].loss)
    return total


def means(sums: list[_Sum], start: int, end: int) -> float:
    return sum(0.5 * (sums[k].mean + sums[k + 1].mean) for k in range(start, end))


def _segment_cost(
    problem: DualProblem, sums: list[_Sum], units: FloatArray, start: int, end: int
) -> FloatArray:
    holding = problem.holding_cost_per_unit_step
    both = holding + problem.backorder_cost_per_unit_step
    held = (end - start) * units - means(sums, start, end)
    cost: FloatArray = holding * held + both * segment(problem, sums, start, end)
    return cost


def _joint(problem: DualProblem, units: FloatArray) -> tuple[FloatArray, int]:
    """P(D_tau1 <= a, D_{T+tau2} > b), one row per level a from 0 up to the largest D_tau1."""
    slow, fast = problem.lead_time_steps_lean, problem.lead_time_steps_flexible
    cover = problem.review_period_steps + fast
    if slow == fast:
        return sum_at(problem, cover, units).tail[None, :], 0
    cell = problem.demand.cell_units
    first = int(np.searchsorted(units, -0.5 * cell))
    wait = summed(problem.demand, slow)
    rows = min(wait.size, units.size - first)
    rest = sum_at(problem, cover - slow, cell * np.arange(units.size, dtype=np.float64)).tail
    table = np.zeros((rows, units.size))
    for row in range(rows):
        if row:
            table[row] = table[row - 1]
        table[row, first + row :] += wait[row] * rest[: units.size - first - row]
    return table, first


def grid_terms(problem: DualProblem, units: FloatArray) -> Terms:
    review = problem.review_period_steps
    slow, fast = problem.lead_time_steps_lean, problem.lead_time_steps_flexible
    sums = [sum_at(problem, step, units) for step in range(review + fast + 1)]
    cell = problem.demand.cell_units
    steps = cell * np.arange(units.size, dtype=np.float64)
    period = sum_at(problem, review, steps)
    at_least = np.concatenate([[1.0], period.tail[:-1]])
    mass = summed(problem.demand, review)[: units.size]
    joint, first = _joint(problem, units)
    return Terms(
        units,
        _segment_cost(problem, sums, units, 0, fast),
        _segment_cost(problem, sums, units, fast, slow),
        _segment_cost(problem, sums, units, slow, review),
        sums[slow].tail if slow > fast else np.zeros(units.size),
        joint,
        first,
        sums[slow].loss - sums[fast].loss,
        sums[review + fast].loss - sums[slow].loss,
        _paper_penalty(problem, sums[review + fast].tail, units),
        mass,
        at_least,
        period.loss,
        deep_slope(parameter_row(problem)),
    )


def _paper_penalty(problem: DualProblem, tail: FloatArray, units: FloatArray) -> FloatArray:
    """A steep price on final levels below the paper's U, its condition on P(D_{T+tau2} <= U)."""
    if problem.service_type is not ServiceType.PAPER:
        return np.zeros(units.size)
    level = units[int(np.argmax(1.0 - tail >= problem.service_target))]
    price = problem.backorder_cost_per_unit_step * problem.review_period_steps
    price += problem.unit_cost_lean + problem.unit_cost_flexible + 1.0
    return np.asarray(1e3 * price * np.maximum(level - units, 0.0), dtype=np.float64)
