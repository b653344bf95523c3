"""Solve one item: its lattice, its plan and bound, and the tables a review reads."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled, compiled_with
from policy.solver.columns import (
    A_CELL,
    A_COST,
    A_CYCLE,
    A_FAMILY,
    A_FILL,
    A_GAP,
    A_LEVELS,
    A_LOWEST,
    A_MET,
    A_PENALTY,
    A_SPLIT,
    A_SPLIT_FINAL,
    A_SPLIT_FLEXIBLE,
    A_SPLIT_LEVEL,
    A_SWEEPS,
    FAMILY_POISSON,
    P_MEAN,
    P_REVIEW,
    P_SD,
    P_SERVICE_TYPE,
    SERVICE_FILL,
    SERVICE_PAPER,
    T_SHORT,
)
from policy.solver.demand_days import fill_tail
from policy.solver.lattice import make_levels, named_family
from policy.solver.mixed_plan import use_plan
from policy.solver.order_rules import decided_days, deep_slope, make_rules
from policy.solver.policy_evaluation import (
    MEASURE_CYCLE,
    MEASURE_FILL,
    evaluate,
    new_values,
)
from policy.solver.policy_improvement import improve, new_plan
from policy.solver.review_tables import write_costs, write_levels
from policy.solver.service_multiplier import (
    MET,
    PLANS,
    allowed_measure,
    first_price,
    search_price,
)
from policy.solver.start_values import set_first_values, set_paper_penalty, start_from_rule
from policy.solver.terms import build_terms

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# How an attempt on one lattice ended.
DONE = 0
TOO_SHALLOW = 1
TOO_LOW = 2
DOES_NOT_FIT = 3


@compiled_with(inline="always")  # compiled once, with its only caller
def _try_lattice(
    row: FloatArray,
    family: int,
    variance: float,
    wide_down: float,
    wide_up: float,
    tolerance: float,
    tables: FloatArray,
    levels: IntArray,
    answer: FloatArray,
) -> int:
    """Solve on one lattice; return how that ended."""
    units = make_levels(row, family, variance, wide_down, wide_up)
    size = units.size
    if size > tables.shape[1]:
        return DOES_NOT_FIT
    cell = units[1] - units[0]
    terms = build_terms(row, family, variance, deep_slope(row), cell, units)
    if terms.demand_at_least[1] < 1e-9:  # hardly a cell ever sells: no walk up the lattice
        return DOES_NOT_FIT
    if row[P_SERVICE_TYPE] == SERVICE_PAPER:
        set_paper_penalty(row, family, variance, terms)
    rules = make_rules(row, cell, size)
    plan, values = new_plan(size), new_values(size)
    measure = MEASURE_FILL if row[P_SERVICE_TYPE] == SERVICE_FILL else MEASURE_CYCLE
    set_first_values(row, units, values)
    start_from_rule(row, variance, terms, rules, measure, values)
    allowed = allowed_measure(row)
    plans, reached_by = np.empty((PLANS, size), np.int64), np.zeros(2)
    price, lower, met, sweeps = search_price(
        terms,
        rules,
        plan,
        values,
        measure,
        allowed,
        first_price(row, variance, measure),
        tolerance,
        tolerance if cell > 1.0 else 0.05 * tolerance,
        plans,
        reached_by,
    )
    if sweeps < 0:
        return TOO_SHALLOW
    if plans[MET + 1, 0] >= size - 1 and rules.most_lean >= size:
        return TOO_LOW
    binding = met and price > 0.0
    used = use_plan(terms, rules, plans, measure, allowed, binding, lower, reached_by)
    if binding:
        evaluate(terms, rules, used.plan[0], used.plan[1], measure, values)
        improve(terms, rules, plan, values, price, measure)
    write_costs(terms, rules, plan, price, measure, tables)
    last_day = decided_days(row)[3]
    fill_tail(family, row[P_MEAN], variance, last_day, cell, units, tables[T_SHORT, :size])
    write_levels(plan, used.plan, levels[:, :size])
    cost = used.rates[0]
    if not abs(cost) + abs(tables[0, 0]) + abs(tables[0, size - 1]) < np.inf:
        return DOES_NOT_FIT  # values beyond floating point, e.g. one sale in a thousand years
    answer[A_LOWEST] = units[0]
    answer[A_CELL] = cell
    answer[A_LEVELS] = size
    answer[A_COST] = cost
    answer[A_GAP] = max(0.0, (cost - lower) / abs(cost)) if met and cost != 0.0 else 1.0
    answer[A_CYCLE] = 1.0 - used.rates[1]
    answer[A_FILL] = 1.0 - used.rates[2] / (row[P_MEAN] * row[P_REVIEW])
    answer[A_PENALTY] = price
    answer[A_FAMILY] = family
    answer[A_MET] = 1.0 if met else 0.0
    answer[A_SWEEPS] = sweeps
    answer[A_SPLIT_LEVEL], answer[A_SPLIT] = used.split[0], used.split[1]
    answer[A_SPLIT_FLEXIBLE], answer[A_SPLIT_FINAL] = used.split[2], used.split[3]
    return DONE


@compiled_with(inline="always")  # compiled once, with its only caller
def solve_item(
    row: FloatArray,
    tolerance: float,
    tables: FloatArray,
    levels: IntArray,
    answer: FloatArray,
) -> bool:
    """Solve one parameter row; false when no lattice fitted (the caller then uses the gap rule)."""
    family = named_family(row)
    variance = row[P_MEAN] if family == FAMILY_POISSON else row[P_SD] * row[P_SD]
    down, up = 1.0, 1.0
    for _ in range(8):
        code = _try_lattice(row, family, variance, down, up, tolerance, tables, levels, answer)
        if code == DONE:
            return True
        if code == DOES_NOT_FIT:
            return False
        if code == TOO_SHALLOW:
            down *= 2.0
        else:
            up *= 1.6
    return False


@compiled
def solve_rows(
    rows: FloatArray,
    tolerance: float,
    tables: FloatArray,
    levels: IntArray,
    answers: FloatArray,
    solved: npt.NDArray[np.bool_],
) -> None:
    """Solve many parameter rows, each on its own: shapes (row, parameter), (row, table, level)."""
    for r in range(rows.shape[0]):
        solved[r] = solve_item(rows[r], tolerance, tables[r], levels[r], answers[r])
