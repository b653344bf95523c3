"""Solve one item: its lattice, its plan and bound, and the tables a review reads."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from policy.between_kernel import follow, share_of_reviews, tightest
from policy.compiled import compiled, compiled_with
from policy.days_kernel import fill_tail
from policy.evaluate_kernel import (
    MEASURE_CYCLE,
    MEASURE_FILL,
    MEASURE_VISITS,
    Values,
    evaluate,
    new_values,
    rates_of,
)
from policy.improve_kernel import improve, new_plan
from policy.item_columns import (
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
    P_BACKORDER,
    P_FLEXIBLE_DAYS,
    P_FLEXIBLE_SETUP,
    P_FLEXIBLE_UNIT,
    P_LEAN_DAYS,
    P_LEAN_SETUP,
    P_LEAN_UNIT,
    P_MEAN,
    P_REVIEW,
    P_SD,
    P_SERVICE_TYPE,
    SERVICE_FILL,
    SERVICE_PAPER,
    T_SHORT,
)
from policy.lattice_kernel import make_levels, named_family, order_scale, paper_level
from policy.price_kernel import (
    BELOW,
    MET,
    PLANS,
    allowed_measure,
    first_price,
    search_price,
)
from policy.rules_kernel import Rules, decided_days, deep_slope, make_rules
from policy.table_kernel import write_costs, write_levels
from policy.terms_kernel import Terms, build_terms

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

TIGHTEN = 5e-5  # a single-unit plan with a larger gap is improved by a search between two plans

# How an attempt on one lattice ended.
DONE = 0
TOO_SHALLOW = 1
TOO_LOW = 2
DOES_NOT_FIT = 3


class Used(NamedTuple):
    """The plan that is used, with its rates; one cell of it may be cut in two."""

    plan: IntArray  # (2, level): flexible, final
    rates: FloatArray  # (cost, stock-outs, units short) per review of what is used
    split: FloatArray  # (level, place in cells, flexible, final level) of the upper part


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
def _start_from_rule(
    row: FloatArray, variance: float, terms: Terms, rules: Rules, measure: int, values: Values
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


@compiled
def _use_cut_level(
    terms: Terms,
    rules: Rules,
    plans: IntArray,
    measure: int,
    allowed: float,
    reached_by: FloatArray,
    used: Used,
) -> None:
    """Meet the target exactly by cutting one cell in two, each part with its own order."""
    meets, misses = tightest(terms, rules, plans, MET, measure, allowed, reached_by, used.plan)
    follow(plans, MET, BELOW, meets, used.plan)
    other = np.empty_like(used.plan)
    follow(plans, MET, BELOW, misses, other)
    measures = np.array([MEASURE_CYCLE, MEASURE_FILL, MEASURE_VISITS + misses])
    met, below = np.empty(4), np.empty(4)
    rates_of(terms, rules, used.plan, measures, met)
    rates_of(terms, rules, other, measures, below)
    used.rates[:] = met[:3]
    gain = below[1 + measure] - met[1 + measure]
    if gain <= 1e-12:
        return
    share = (below[1 + measure] - allowed) / gain
    used.rates[:] = share * met[:3] + (1.0 - share) * below[:3]
    part = share_of_reviews(met[3], below[3], share)
    used.split[0], used.split[1] = misses, misses - 0.5 + part
    used.split[2], used.split[3] = other[0, misses], other[1, misses]


@compiled
def _use_whole_levels(
    terms: Terms,
    rules: Rules,
    plans: IntArray,
    measure: int,
    allowed: float,
    reached_by: FloatArray,
    used: Used,
) -> None:
    """Use the cheapest plan found that meets the target: an end, or one between them."""
    measures, rates = np.array([MEASURE_CYCLE, MEASURE_FILL]), np.empty(3)
    trial = np.empty_like(used.plan)
    for first, then in ((MET, BELOW), (BELOW, MET)):
        meets = tightest(terms, rules, plans, first, measure, allowed, reached_by, trial)[0]
        follow(plans, first, then, meets, trial)
        rates_of(terms, rules, trial, measures, rates)
        if rates[1 + measure] <= allowed and rates[0] < used.rates[0]:
            used.plan[:], used.rates[:] = trial, rates


@compiled
def _use(
    terms: Terms,
    rules: Rules,
    plans: IntArray,
    measure: int,
    allowed: float,
    binding: bool,
    lower: float,
    reached_by: FloatArray,
) -> Used:
    """Choose what is used of the plans found."""
    used = Used(plans[MET : MET + 2].copy(), np.empty(3), np.zeros(4))
    used.split[0] = -1.0
    cell = terms.level_units[1] - terms.level_units[0]
    if binding and cell > 1.0:
        _use_cut_level(terms, rules, plans, measure, allowed, reached_by, used)
        return used
    rates_of(terms, rules, used.plan, np.array([MEASURE_CYCLE, MEASURE_FILL]), used.rates)
    if binding and used.rates[0] - lower > TIGHTEN * used.rates[0]:
        _use_whole_levels(terms, rules, plans, measure, allowed, reached_by, used)
    return used


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
    _start_from_rule(row, variance, terms, rules, measure, values)
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
    used = _use(terms, rules, plans, measure, allowed, binding, lower, reached_by)
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
