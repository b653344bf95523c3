"""What the gap rule costs and serves in the long run, found by simulation from a fixed seed.

Time goes in steps: a day, or the review period where that is shorter; lead times are rounded up to
steps. The same demand is used for every safety factor that is tried, so that they compare fairly,
and for every parameter set alike, so that an answer depends on its parameters alone.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled
from policy.gap.rule import gap_levels, gap_orders, safety_factor
from policy.solver.columns import (
    A_COST,
    A_CYCLE,
    A_FAMILY,
    A_FILL,
    A_GAP,
    A_LOWER,
    A_PENALTY,
    FAMILY_GAMMA,
    FAMILY_NORMAL,
    FAMILY_POISSON,
    P_BACKORDER,
    P_FLEXIBLE_DAYS,
    P_FLEXIBLE_SETUP,
    P_FLEXIBLE_UNIT,
    P_HOLDING,
    P_LEAN_DAYS,
    P_LEAN_SETUP,
    P_LEAN_UNIT,
    P_MEAN,
    P_REVIEW,
    P_SD,
    P_SERVICE_TYPE,
    P_TARGET,
    SERVICE_CYCLE,
    SERVICE_FILL,
)
from policy.solver.lattice import named_family

FloatArray = npt.NDArray[np.float64]

SEED = 1
STEPS = 56_000
FEWEST_REVIEWS = 400
MOST_REVIEWS = 8_000
BATCHES = 20
STANDARD_ERRORS = 4.0
MOST_STEPS_A_REVIEW = 60
MOST_LEAD_STEPS = 20_000
NOISE = 0.01
"""Service below its target by more than this counts as missed: the simulation's own error."""


@compiled
def _fill_demand(row: FloatArray, step: float, demand: FloatArray) -> None:
    """Draw the demand of every step; the sum of a day's steps has the day's moments."""
    family = named_family(row)
    mean, variance = row[P_MEAN] * step, row[P_SD] * row[P_SD] * step
    np.random.seed(SEED)
    for k in range(demand.size):
        if family == FAMILY_NORMAL:
            demand[k] = max(0.0, np.random.normal(mean, math.sqrt(variance)))
        elif family == FAMILY_GAMMA:
            demand[k] = np.random.gamma(mean * mean / variance, variance / mean)
        elif family == FAMILY_POISSON or variance <= mean * (1.0 + 1e-9):
            demand[k] = np.random.poisson(mean)
        else:
            size = mean * mean / (variance - mean)
            demand[k] = np.random.poisson(np.random.gamma(size, mean / size))


@compiled
def _run(
    row: FloatArray, z: float, step: float, per_review: int, demand: FloatArray, found: FloatArray
) -> None:
    """Follow the rule; write cost per review, cycle service, fill rate and the cost's error.

    Demand that came out above or below its mean is bought more or less: that part of the cost is
    known without error and is put right.
    """
    slow = int(min(math.ceil(row[P_LEAN_DAYS] / step - 1e-9), MOST_LEAD_STEPS))
    fast = int(min(math.ceil(row[P_FLEXIBLE_DAYS] / step - 1e-9), MOST_LEAD_STEPS))
    coming = np.zeros(max(slow, fast) + 1)
    levels = gap_levels(row, z, False)
    stock, on_order = levels[1], 0.0
    warm = (2 * slow // per_review + 4) * per_review
    cost = short = asked = 0.0
    batches = np.zeros(BATCHES)
    clean = cycles = 0
    is_clean, counts_cycle = True, False
    price = row[P_LEAN_UNIT] if row[P_LEAN_SETUP] < np.inf else row[P_FLEXIBLE_UNIT]
    for now in range(demand.size):
        counted = now >= warm
        if (now - fast) % per_review == 0:
            if counts_cycle:
                cycles += 1
                clean += 1 if is_clean else 0
            is_clean, counts_cycle = True, counted
        if now % per_review == 0:
            lean, quick = gap_orders(stock + on_order, row, levels)
            coming[(now + slow) % coming.size] += lean
            coming[(now + fast) % coming.size] += quick
            on_order += lean + quick
            if counted:
                money = row[P_LEAN_UNIT] * lean + row[P_FLEXIBLE_UNIT] * quick
                money += row[P_LEAN_SETUP] if lean > 0 else 0.0
                money += row[P_FLEXIBLE_SETUP] if quick > 0 else 0.0
                cost += money
                batches[(now - warm) * BATCHES // (demand.size - warm)] += money
        arrived = coming[now % coming.size]
        coming[now % coming.size] = 0.0
        on_order -= arrived
        stock += arrived
        after = stock - demand[now]
        if after < 0.0:
            is_clean = False
        if counted:
            held = max(stock, 0.0) + max(after, 0.0)
            owed = max(-stock, 0.0) + max(-after, 0.0)
            money = 0.5 * step * (row[P_HOLDING] * held + row[P_BACKORDER] * owed)
            money -= price * (demand[now] - row[P_MEAN] * step)
            cost += money
            batches[(now - warm) * BATCHES // (demand.size - warm)] += money
            short += max(-after, 0.0) - max(-stock, 0.0)
            asked += demand[now]
        stock = after
    reviews = max(1.0, (demand.size - warm) / per_review)
    found[0] = cost / reviews
    found[3] = batches.std() * math.sqrt(BATCHES) / reviews
    found[1] = clean / cycles if cycles > 0 else 1.0
    found[2] = 1.0 - short / asked if asked > 0.0 else 1.0


@compiled
def _missing(row: FloatArray, found: FloatArray) -> float:
    """How far the service is below its target; 0 or less where it is met or there is none."""
    if row[P_SERVICE_TYPE] == SERVICE_CYCLE:
        return float(row[P_TARGET] - found[1])
    if row[P_SERVICE_TYPE] == SERVICE_FILL:
        return float(row[P_TARGET] - found[2])
    return 0.0


@compiled
def fit_gap_rule(row: FloatArray, lower_cost: float, answer: FloatArray) -> None:
    """Find the safety factor of the rule and what it comes to; write `answer` (entries A_...).

    With a cycle or fill target the least factor that keeps it in the simulation is found by
    bisection, otherwise the published factor stands. `lower_cost` per review holds for any policy
    that keeps the target; the gap counts the cost four standard errors high, and is 1, which says
    nothing, where the rule misses the target.
    """
    per_review = int(min(max(math.ceil(row[P_REVIEW] - 1e-9), 1.0), MOST_STEPS_A_REVIEW))
    step = row[P_REVIEW] / per_review
    reviews = int(min(max(STEPS // per_review, FEWEST_REVIEWS), MOST_REVIEWS))
    lead_reviews = int(min(math.ceil(row[P_LEAN_DAYS] / row[P_REVIEW]), MOST_LEAD_STEPS))
    demand = np.empty((reviews + 2 * lead_reviews + 4) * per_review)
    _fill_demand(row, step, demand)
    found = np.zeros(4)
    z = safety_factor(row, row[P_REVIEW] + row[P_LEAN_DAYS])
    _run(row, z, step, per_review, demand, found)
    if row[P_SERVICE_TYPE] == SERVICE_CYCLE or row[P_SERVICE_TYPE] == SERVICE_FILL:
        low, high = -6.0, 8.0
        for _ in range(10):
            z = 0.5 * (low + high)
            _run(row, z, step, per_review, demand, found)
            if _missing(row, found) <= 0.0:
                high = z
            else:
                low = z
        z = high
        _run(row, z, step, per_review, demand, found)
    answer[A_COST], answer[A_CYCLE], answer[A_FILL] = found[0], found[1], found[2]
    answer[A_PENALTY], answer[A_FAMILY] = z, named_family(row)
    answer[A_GAP], answer[A_LOWER] = 1.0, lower_cost
    highest = found[0] + STANDARD_ERRORS * found[3]
    if _missing(row, found) <= NOISE and highest > 0.0:
        answer[A_GAP] = min(1.0, max(0.0, (highest - lower_cost) / highest))


@compiled
def fit_gap_rules(rows: FloatArray, lower_costs: FloatArray, answers: FloatArray) -> None:
    """Fit the rule to many parameter rows, each on its own: shapes (row, parameter), (row,)."""
    for k in range(rows.shape[0]):
        fit_gap_rule(rows[k], lower_costs[k], answers[k])
