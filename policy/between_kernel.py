"""The plan that is used where a service target binds: between two plans, tight to the target.

Both plans are optimal at the optimal price, so any plan that follows the one on some levels and the
other on the rest is optimal too; what it costs depends only on the service that it gives. Following
the plan that meets the target up to a level, and the plan below it from there on, the level is
found by bisection. That leaves one level at which both plans are tried: on cells of several units
it is cut in two, so that the target is met exactly; on single units the better side is used.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from policy.compiled import compiled
from policy.evaluate_kernel import rates_of
from policy.price_kernel import BELOW, MET
from policy.rules_kernel import Rules
from policy.terms_kernel import Terms

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


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
