"""Exact long-run cost of a plan: one walk up the lattice and a small linear system.

A review that orders nothing only leads to lower levels, so walking up the lattice eliminates the
levels that order nothing one after the other. Left over are the few levels that orders lead to
(one for an order-up-to rule), and these are eliminated like the states of any Markov chain until
one of those often visited is left: its expected money per return over its expected reviews per
return is the rate. Nothing is iterated, so rates and values are those of the plan itself.

Below the lattice the value goes on with a fixed slope (there everything is ordered).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled
from policy.solver.order_rules import Rules
from policy.solver.target_chain import REVIEWS, add_scaled, solve_targets
from policy.solver.terms import Terms

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MEASURE_CYCLE = 0  # reviews whose cycle has a stock-out
MEASURE_FILL = 1  # units short
MEASURE_VISITS = 2  # MEASURE_VISITS + i: reviews at level i

# Rows of what the walk carries: REVIEWS passed, money, one or more measures, then for each target
# how often it is the next one.
_MONEY = 1
_FIRST_MEASURE = 2


class Values(NamedTuple):
    """Relative values of a plan per level, in money and in the service measure, and its rates."""

    cost: FloatArray
    measure: FloatArray
    later_cost: FloatArray  # E of the value after the next review's demand, by final level
    later_measure: FloatArray
    rates: FloatArray  # (cost, measure) per review


@compiled
def new_values(size: int) -> Values:
    """Return zero values for `size` levels."""
    return Values(np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(2))


@compiled
def _fill_money(
    terms: Terms, rules: Rules, middle: IntArray, final: IntArray, out: FloatArray
) -> None:
    """Write the money that one review period from each level costs."""
    units, penalty = terms.level_units, terms.level_penalty
    first, second = terms.cost_before_flexible, terms.cost_before_lean
    last = terms.cost_after_lean
    setup_flexible, unit_flexible = rules.setup_flexible, rules.unit_flexible
    setup_lean, unit_lean = rules.setup_lean, rules.unit_lean
    for i in range(units.size):
        a, b = middle[i], final[i]
        money = first[i] + second[a] + last[b] + penalty[b]
        if a > i:
            money += setup_flexible + unit_flexible * (units[a] - units[i])
        if b > a:
            money += setup_lean + unit_lean * (units[b] - units[a])
        out[i] = money


@compiled
def _fill_measure(
    terms: Terms, middle: IntArray, final: IntArray, measure: int, out: FloatArray
) -> None:
    """Write the service measure of one review period from each level."""
    if measure >= MEASURE_VISITS:
        out[:] = 0.0
        out[measure - MEASURE_VISITS] = 1.0
        return
    before, after = terms.stockout_before_lean, terms.short_after_lean
    short, joint = terms.short_before_lean, terms.stockout_joint
    first, rows = terms.joint_first_level, joint.shape[0]
    for i in range(out.size):
        a, b = middle[i], final[i]
        if measure == MEASURE_FILL:
            out[i] = short[a] + after[b]
        else:
            out[i] = before[a] + (joint[min(a - first, rows - 1), b] if a >= first else 0.0)


@compiled
def _order_targets(final: IntArray, place: IntArray) -> IntArray:
    """Return the levels that orders lead to, and write the place of each among them (-1: none)."""
    targets = np.empty(final.size, np.int64)
    place[:] = -1
    count = 0
    for i in range(final.size):
        b = final[i]
        if b > i and place[b] < 0:
            place[b] = count
            targets[count] = b
            count += 1
    return targets[:count]


@compiled
def _spread(
    cost: FloatArray, risk: FloatArray, chances: FloatArray, money: float, chance: float
) -> None:
    """Add chances * x to two columns; plain arrays, so that it becomes vector code."""
    for k in range(chances.size):
        p = chances[k]
        cost[k] += p * money
        risk[k] += p * chance


@compiled
def _eliminate(
    terms: Terms,
    final: IntArray,
    place: IntArray,
    base: int,
    top: int,
    state: FloatArray,
    work: FloatArray,
) -> None:
    """Walk up to level `top`: every row's value per level, and its expectation a review later.

    Both run until the next visit to a target; `base` rows come before those of the targets.
    """
    size = final.size
    mass, at_least = terms.demand_mass, terms.demand_at_least
    rows = state.shape[0]
    for i in range(top + 1):
        chances = at_least if i == 0 else mass
        last = min(size, i + chances.size)
        chances = chances[: last - i]
        target = place[final[i]]
        if final[i] == i:
            scale = 1.0 / (1.0 - chances[0])
            for c in range(rows):
                state[c, i] = (state[c, i] + work[c, i]) * scale
        else:
            state[base + target, i] = 1.0
        _spread(work[0, i:last], work[1, i:last], chances, state[0, i], state[1, i])
        for c in range(2, rows):
            if state[c, i] != 0.0:
                add_scaled(work[c, i:last], chances, state[c, i])


@compiled
def _fold(
    rates: FloatArray, targets: FloatArray, row: int, rows: FloatArray, out: FloatArray
) -> None:
    """Write a base row as relative value: less its rate, plus what the next targets are worth."""
    base = rates.size
    out[:] = rows[row]
    add_scaled(out, rows[REVIEWS], -rates[row])
    for t in range(targets.shape[0]):
        if targets[t, row] != 0.0:
            add_scaled(out, rows[base + t], targets[t, row])


@compiled
def _walk(
    terms: Terms,
    rules: Rules,
    middle: IntArray,
    final: IntArray,
    measures: IntArray,
) -> tuple[int, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return (highest target, rows per level, rows a review later, rates, values of targets)."""
    size, base = final.size, _FIRST_MEASURE + measures.size
    place = np.empty(size, np.int64)
    targets = _order_targets(final, place)
    top = int(targets.max())
    state, work = np.zeros((base + targets.size, size)), np.zeros((base + targets.size, size))
    state[REVIEWS, :] = 1.0
    _fill_money(terms, rules, middle, final, state[_MONEY])
    for k in range(measures.size):
        _fill_measure(terms, middle, final, measures[k], state[_FIRST_MEASURE + k])
    work[_MONEY, :] = terms.deep_slope * terms.demand_beyond_units[:size]
    _eliminate(terms, final, place, base, top, state, work)
    rates, targets_worth = solve_targets(targets, base, work)
    return top, state, work, rates, targets_worth


@compiled
def rates_of(
    terms: Terms, rules: Rules, plan: IntArray, measures: IntArray, rates: FloatArray
) -> None:
    """Write (cost, each measure) per review of the plan (2, level)."""
    rates[:] = _walk(terms, rules, plan[0], plan[1], measures)[3][_MONEY:]


@compiled
def evaluate(
    terms: Terms,
    rules: Rules,
    middle: IntArray,
    final: IntArray,
    measure: int,
    values: Values,
) -> bool:
    """Write the values and rates of the plan that orders from level i up to middle[i], final[i].

    The later values are E V(b - D_T) of the values exactly, so one improvement gives MacQueen's
    bounds. False when the lowest level orders nothing, i.e. the lattice is not deep enough.
    """
    if final[0] == 0:
        return False
    top, state, work, rates, worth = _walk(terms, rules, middle, final, np.array([measure]))
    values.rates[:] = rates[_MONEY:]
    _fold(rates, worth, _MONEY, state, values.cost)
    _fold(rates, worth, _FIRST_MEASURE, state, values.measure)
    _fold(rates, worth, _MONEY, work, values.later_cost)
    _fold(rates, worth, _FIRST_MEASURE, work, values.later_measure)
    _continue_up(terms, top + 1, state, values)
    return True


@compiled
def _continue_up(terms: Terms, first: int, state: FloatArray, values: Values) -> None:
    """Complete the values from level `first` on, where nothing is ordered."""
    mass, size = terms.demand_mass, values.cost.size
    cost, measure = values.cost, values.measure
    later_cost, later_measure = values.later_cost, values.later_measure
    cost_rate, measure_rate = values.rates[0], values.rates[1]
    scale = 1.0 / (1.0 - mass[0])
    for i in range(first, size):
        cost[i] = (state[_MONEY, i] - cost_rate + later_cost[i]) * scale
        measure[i] = (state[_FIRST_MEASURE, i] - measure_rate + later_measure[i]) * scale
        last = min(size, i + mass.size)
        chances = mass[: last - i]
        _spread(later_cost[i:last], later_measure[i:last], chances, cost[i], measure[i])
