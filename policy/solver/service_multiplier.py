"""The stock-out price at which a plan meets its service target, and the bound that it certifies.

Cost as a function of the measure allowed is convex when two plans may alternate, so the price is
found by chords: the price at which the best plan below the target and the best plan above it cost
the same. When a solve at that price finds no cheaper plan, it is the optimal price, and the value
there is a certified lower bound (Lagrange): no plan that meets the target costs less.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled
from policy.solver.columns import (
    P_BACKORDER,
    P_FLEXIBLE_DAYS,
    P_HOLDING,
    P_MEAN,
    P_REVIEW,
    P_SERVICE_TYPE,
    P_TARGET,
    SERVICE_CYCLE,
    SERVICE_FILL,
)
from policy.solver.lattice import order_scale
from policy.solver.order_rules import Rules
from policy.solver.policy_evaluation import MEASURE_FILL, Values, evaluate
from policy.solver.policy_improvement import Plan, improve
from policy.solver.terms import Terms

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Rows of the plans that the search returns.
MET = 0  # the plan that meets the target: flexible, final level
BELOW = 2  # the one just below it
PLANS = 4

_MOST_IMPROVEMENTS = 60
_MOST_PRICES = 60


@compiled
def allowed_measure(row: FloatArray) -> float:
    """Most stock-outs (or units short) per review the target allows; -1 without a target."""
    if row[P_SERVICE_TYPE] == SERVICE_CYCLE:
        return float(1.0 - row[P_TARGET])
    if row[P_SERVICE_TYPE] == SERVICE_FILL:
        return float((1.0 - row[P_TARGET]) * row[P_MEAN] * row[P_REVIEW])
    return -1.0


@compiled
def first_price(row: FloatArray, variance: float, measure: int) -> float:
    """A stock-out price of the right size, from the first-order condition of a normal cycle.

    One unit more is held for a review period; it prevents the density of demand at the service
    quantile of stock-outs, in the one of n reviews that an order of n reviews' demand exposes.
    """
    held = row[P_HOLDING] * row[P_REVIEW]
    cover = row[P_REVIEW] + row[P_FLEXIBLE_DAYS]
    reviews = max(1.0, order_scale(row)[0] / (row[P_MEAN] * row[P_REVIEW]))
    risk = min(0.4, max(1e-4, reviews * (1.0 - row[P_TARGET])))
    if measure == MEASURE_FILL:
        return float(held * reviews / risk + row[P_BACKORDER])
    tilt = math.sqrt(-2.0 * math.log(risk))
    density = risk * (0.3 + tilt)  # of a standard normal at its upper quantile, roughly
    return float(reviews * held * math.sqrt(variance * cover) / density + 1e-9)


@compiled
def _change(plan: Plan, values: Values, price: float) -> tuple[float, float]:
    """MacQueen's bounds on the rate: least and largest of TV - V, for any V."""
    low, high = np.inf, -np.inf
    for i in range(plan.total.size):
        change = plan.total[i] - values.cost[i] - price * values.measure[i]
        low = min(low, change)
        high = max(high, change)
    return low, high


@compiled
def solve_at_price(
    terms: Terms,
    rules: Rules,
    plan: Plan,
    values: Values,
    price: float,
    measure: int,
    tolerance: float,
    kept: IntArray,
    bounds: FloatArray,
) -> int:
    """Improve and evaluate in turn (Howard); return how often, or -1 if the lattice is too shallow.

    `kept` (2, level) receives the levels of the plan that `values` are of, `bounds` MacQueen's
    lower and upper bound on cost + price * measure per review. Stops when they are within
    `tolerance` (relative), or when an improvement changes nothing.
    """
    bounds[0], bounds[1] = -np.inf, np.inf
    improve(terms, rules, plan, values, price, measure)
    for sweep in range(_MOST_IMPROVEMENTS):
        kept[0], kept[1] = plan.flexible_level, plan.final_level
        if not evaluate(terms, rules, kept[0], kept[1], measure, values):
            return -1
        improve(terms, rules, plan, values, price, measure)
        low, high = _change(plan, values, price)
        bounds[0] = max(bounds[0], low)
        bounds[1] = high
        if bounds[1] - bounds[0] <= tolerance * abs(bounds[1]):
            return sweep + 1
        if np.all(plan.final_level == kept[1]) and np.all(plan.flexible_level == kept[0]):
            return sweep + 1
    return _MOST_IMPROVEMENTS


@compiled
def search_price(
    terms: Terms,
    rules: Rules,
    plan: Plan,
    values: Values,
    measure: int,
    allowed: float,
    first_guess: float,
    tolerance: float,
    chord_tolerance: float,
    plans: IntArray,
    reached_by: FloatArray,
) -> tuple[float, float, bool, int]:
    """Find the optimal price; return (price, lower bound, whether a plan meets it, sweeps).

    Writes the levels of the plan that meets the target and of the one just below into `plans`
    (PLANS, level), and their measures into `reached_by`; where no target binds, the same plan
    twice. A sweep count of -1 asks for a deeper lattice.
    """
    bounds = np.zeros(2)
    kept = plans[BELOW : BELOW + 2]
    sweeps = solve_at_price(terms, rules, plan, values, 0.0, measure, tolerance, kept, bounds)
    plans[MET : MET + 2] = kept
    lower = bounds[0]
    if sweeps < 0 or allowed < 0.0 or values.rates[1] <= allowed:
        return 0.0, lower, True, sweeps
    below, met = values.rates.copy(), values.rates.copy()
    found, on_chord = False, False
    price = last = first_guess
    kept = np.empty((2, plans.shape[1]), np.int64)
    for attempt in range(_MOST_PRICES):
        last = price
        used = solve_at_price(terms, rules, plan, values, price, measure, tolerance, kept, bounds)
        if used < 0:
            return price, lower, False, -1
        sweeps += used
        cost, reached = values.rates[0], values.rates[1]
        lower = max(lower, bounds[0] - price * allowed)
        saved = below[0] + price * below[1] - (cost + price * reached)
        if reached <= allowed:
            found = True
            plans[MET : MET + 2], met[:] = kept, values.rates
        else:
            plans[BELOW : BELOW + 2], below[:] = kept, values.rates
        if not found:
            price *= 4.0 if attempt > 3 else max(1.05 * reached / allowed, 1.2)
        elif attempt < 4 and reached < 0.8 * allowed and not on_chord:
            price *= max(0.95 * reached / allowed, 0.05)
        else:
            gain = below[1] - met[1]
            mixed = met[0] - (met[0] - below[0]) * (allowed - met[1]) / max(gain, 1e-300)
            if gain <= 1e-12 or mixed - lower <= chord_tolerance * abs(mixed):
                break
            if on_chord and saved <= 0.25 * chord_tolerance * abs(cost + price * reached):
                break
            price = (met[0] - below[0]) / gain
            on_chord = True
        if price > 1e9 * first_guess:
            break
    if not found:
        plans[MET : MET + 2] = plans[BELOW : BELOW + 2]
    reached_by[0], reached_by[1] = met[1], below[1]
    return last, lower, found, sweeps
