"""The plan that is used where a service target binds: between two plans, tight to the target.

Both plans are optimal at the optimal price, so any plan that follows the one on some levels and the
other on the rest is optimal too; what it costs depends only on the service that it gives. Following
the plan that meets the target up to a level, and the plan below it from there on, the level is
found by bisection. That leaves one level at which both plans are tried: on cells of several units
it is cut in two, so that the target is met exactly; on single units the better side is used.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled
from policy.solver.order_rules import Rules
from policy.solver.policy_evaluation import MEASURE_CYCLE, MEASURE_FILL, MEASURE_VISITS, rates_of
from policy.solver.service_multiplier import BELOW, MET
from policy.solver.terms import Terms

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

TIGHTEN = 5e-5  # a single-unit plan with a larger gap is improved by a search between two plans


@compiled
def follow(plans: IntArray, first: int, then: int, split: int, chosen: IntArray) -> None:
    """Write the plan of rows `first` below level `split`, and that of rows `then` from it on."""
    for k in range(2):
        chosen[k, :split] = plans[first + k, :split]
        chosen[k, split:] = plans[then + k, split:]


@compiled
def differing_levels(plans: IntArray) -> IntArray:
    """Return the levels at which the two plans order differently."""
    met, below = plans[MET : MET + 2], plans[BELOW : BELOW + 2]
    differ = (met[0] != below[0]) | (met[1] != below[1])
    return np.flatnonzero(differ)


@compiled
def _next_count(low: int, high: int, low_value: float, high_value: float, attempt: int) -> int:
    """Where a line through both ends is 0, or every third time the middle."""
    span = high_value - low_value
    if attempt % 3 == 2 or span == 0.0:
        return (low + high) // 2
    place = low + int((high - low) * (-low_value / span) + 0.5)
    return min(max(place, low + 1), high - 1)


@compiled
def tightest(
    terms: Terms,
    rules: Rules,
    plans: IntArray,
    first: int,
    measure: int,
    allowed: float,
    reached_by: FloatArray,
    chosen: IntArray,
) -> tuple[int, int]:
    """Return two neighbouring splits: the plan of the first meets the target, the other does not.

    Below the split runs the plan of rows `first` (MET or BELOW), from it on the other one.
    `reached_by` holds the measures of both.
    """
    differ = differing_levels(plans)
    then = BELOW if first == MET else MET
    # How many of the differing levels follow the first plan, and by how much it misses the target.
    low, high = 0, differ.size
    low_value = reached_by[then // 2] - allowed
    high_value = reached_by[first // 2] - allowed
    rates, measures = np.empty(2), np.array([measure])
    attempt = 0
    while high - low > 1:
        count = _next_count(low, high, low_value, high_value, attempt)
        follow(plans, first, then, differ[count], chosen)
        rates_of(terms, rules, chosen, measures, rates)
        value = rates[1] - allowed
        if (value <= 0.0) == (first == MET):
            high, high_value = count, value
        else:
            low, low_value = count, value
        attempt += 1
    ends = np.empty(2, np.int64)
    for k in range(2):
        count = low if k == 0 else high
        ends[k] = differ[count] if count < differ.size else terms.level_units.size
    return (ends[1], ends[0]) if first == MET else (ends[0], ends[1])


@compiled
def share_of_reviews(visits_met: float, visits_below: float, share: float) -> float:
    """Return how often to follow the plan that meets the target at the level where the two differ.

    Following it there now and then gives what lies on the line between the two plans; `share` is
    the place on it (1: meets). The time that each plan takes to come back to the level weighs them.
    """
    weight = share * visits_met
    return float(weight / max(weight + (1.0 - share) * visits_below, 1e-300))


class Used(NamedTuple):
    """The plan that is used, with its rates; one cell of it may be cut in two."""

    plan: IntArray  # (2, level): flexible, final
    rates: FloatArray  # (cost, stock-outs, units short) per review of what is used
    split: FloatArray  # (level, place in cells, flexible, final level) of the upper part


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
def use_plan(
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
