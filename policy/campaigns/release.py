"""Staged release: how many units a campaign may sell so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from policy.campaigns.figures import HOURS, RATE, UNITS


@dataclass(frozen=True)
class Released:
    """What is released.

    Args:
        units: so far.
        next_units: of the next step; 0 means that there is none.
        next_in_hours: until then; None means that there is none, or that units come steadily.
    """

    units: float
    next_units: float
    next_in_hours: float | None


def released(
    elapsed_hours: float,
    *,
    batches: Sequence[tuple[float, float]] = (),
    units_per_hour: float = 0.0,
    most_units: float = math.inf,
) -> Released:
    """Return what is released some hours after the start of a campaign.

    Args:
        elapsed_hours: since the start; below 0 nothing is released.
        batches: hours after the start, and units, in any order.
        units_per_hour: that come steadily beside the batches.
        most_units: in all.

    >>> released(5, batches=[(0, 2000), (6, 2000), (12, 1000)])
    Released(units=2000.0, next_units=2000.0, next_in_hours=1.0)
    >>> released(5, units_per_hour=100, most_units=450).units
    450.0
    """
    RATE.check(units_per_hour)
    for hours, units in batches:
        HOURS.check(hours)
        UNITS.check(units)
    if elapsed_hours < 0:
        return Released(0.0, *_next(batches, elapsed_hours, most_units, 0.0))
    from_batches = math.fsum(units for hours, units in batches if hours <= elapsed_hours)
    whole = min(most_units, from_batches + units_per_hour * elapsed_hours)
    return Released(float(whole), *_next(batches, elapsed_hours, most_units, whole))


def _next(
    batches: Sequence[tuple[float, float]], elapsed_hours: float, most_units: float, so_far: float
) -> tuple[float, float | None]:
    coming = sorted((hours, units) for hours, units in batches if hours > elapsed_hours)
    if not coming or so_far >= most_units:
        return 0.0, None
    hours = coming[0][0]
    units = math.fsum(units for at, units in coming if at == hours)
    return min(float(units), most_units - so_far), float(hours - elapsed_hours)
