"""Where the solver of one item starts from: first values, and the published service condition."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled
from policy.solver.columns import (
    P_BACKORDER,
    P_FLEXIBLE_DAYS,
    P_FLEXIBLE_SETUP,
    P_FLEXIBLE_UNIT,
    P_LEAN_DAYS,
    P_LEAN_SETUP,
    P_LEAN_UNIT,
    P_MEAN,
    P_REVIEW,
)
from policy.solver.lattice import order_scale, paper_level
from policy.solver.order_rules import Rules, deep_slope
from policy.solver.policy_evaluation import Values, evaluate
from policy.solver.terms import Terms

FloatArray = npt.NDArray[np.float64]


@compiled
def set_first_values(row: FloatArray, units: FloatArray, values: Values) -> None:
    """Start from: a unit in stock saves buying one, a unit of backlog costs serving it at once."""
    unit = np.inf
    if row[P_LEAN_SETUP] < np.inf:
        unit = row[P_LEAN_UNIT]
    if row[P_FLEXIBLE_SETUP] < np.inf:
        unit = min(unit, row[P_FLEXIBLE_UNIT])
    deep = deep_slope(row)
    for i in range(units.size):
        values.later_cost[i] = -(deep if units[i] < 0.0 else unit) * units[i]


@compiled
def start_from_rule(
    row: FloatArray,
    variance: float,
    terms: Terms,
    rules: Rules,
    measure: int,
    values: Values,
) -> None:
    """Start from the values of a plain (s, S) rule: reorder point and lot of Wilson.

    It need not obey minimum or pack: any values may start, good ones start nearer. But it obeys the
    capacity: next to an order without limit, one with a limit would never seem worth its set-up.
    """
    units = terms.level_units
    size = units.size
    cover = row[P_REVIEW] + (row[P_LEAN_DAYS] if rules.use_lean else row[P_FLEXIBLE_DAYS])
    point = row[P_MEAN] * (cover - 0.5 * row[P_REVIEW]) + math.sqrt(variance * cover)
    lot = max(order_scale(row)[0], row[P_MEAN] * row[P_REVIEW])
    cell = units[1] - units[0]
    target = min(max(int((point + lot - units[0]) / cell), 1), size - 1)
    plan = np.empty((2, size), np.int64)
    for i in range(size):
        level = target if units[i] < point and i < target else i
        if rules.use_lean:
            level = min(level, i + rules.most_lean)
        plan[1, i] = level
        plan[0, i] = i if rules.use_lean else level
    evaluate(terms, rules, plan[0], plan[1], measure, values)


@compiled
def set_paper_penalty(row: FloatArray, family: int, variance: float, terms: Terms) -> None:
    """Make every final level below the paper's U very dear."""
    cell = terms.level_units[1] - terms.level_units[0]
    level = paper_level(row, family, variance, cell)
    price = 1e3 * (row[P_BACKORDER] * row[P_REVIEW] + row[P_LEAN_UNIT] + 1.0)
    if row[P_FLEXIBLE_SETUP] < np.inf:
        price += 1e3 * row[P_FLEXIBLE_UNIT]
    for b in range(terms.level_units.size):
        terms.level_penalty[b] = price * max(0.0, level - 1e-6 * cell - terms.level_units[b])
