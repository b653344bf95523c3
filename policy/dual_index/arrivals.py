"""When open orders arrive: by their due date and the spread of the supplier's lead times.

A lead time is gamma distributed around its mean. One order in fifty never comes: an order that is
overdue beyond what the distribution explains is therefore more and more likely to be one of those,
and counts less and less; below a tenth it counts not at all until there is news of it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import gammainc

FloatArray = npt.NDArray[np.float64]

NEVER_COMES = 0.02
"""Share of orders that are taken to be lost."""
HOPELESS = 0.1
"""An order counts not at all where the chance that it still comes is below this."""
OVERDUE_SHARE = 0.03
"""An order is overdue where fewer of its supplier's lead times are longer than it took so far."""
SMALLEST_SD_DAYS = 0.05
"""A smaller spread counts as no spread: the order comes on its day."""
STATED_VARIATION = 0.15
"""Standard deviation over mean of lead times of which nothing was seen."""
RECEIPT_SD_DAYS = 1.0
"""Least spread of what is booked as received: even a punctual order is booked a day later."""
HALF_A_DAY = 0.5
"""Demand is counted by the end of days and orders come in the morning."""


def lead_time_shares(days: FloatArray, mean_days: FloatArray, sd_days: FloatArray) -> FloatArray:
    """Return the share of lead times that are at most so many days; shapes broadcast.

    >>> lead_time_shares(np.array([29.0, 30.0]), np.array(30.0), np.array(0.0)).tolist()
    [0.0, 1.0]
    """
    days, mean, sd = np.broadcast_arrays(days, mean_days, sd_days)
    spread = (sd > SMALLEST_SD_DAYS) & (mean > 0.0)
    scale = np.where(spread, sd * sd / np.where(mean > 0.0, mean, 1.0), 1.0)
    shape = np.where(spread, mean / scale, 1.0)
    gamma = gammainc(shape, np.maximum(days, 0.0) / scale)
    shares: FloatArray = np.where(spread, gamma, (days >= mean - 1e-9) * 1.0)
    return shares


def chance_still_to_come(
    due_in_days: FloatArray, mean_days: FloatArray, sd_days: FloatArray
) -> FloatArray:
    """Return the chance that an order which has not come comes at all; 0 where it is hopeless.

    Args:
        due_in_days: from now; below 0 means overdue.
        mean_days: mean lead time of its supplier.
        sd_days: its standard deviation.

    Returns:
        Chances, shape as the arguments broadcast.

    >>> days = np.array([10.0, -20.0, -30.0])
    >>> chance_still_to_come(days, np.array(30.0), np.array(7.5)).round(2).tolist()
    [1.0, 0.31, 0.0]
    """
    age = mean_days - due_in_days
    late = 1.0 - lead_time_shares(age + HALF_A_DAY, mean_days, sd_days)
    comes = (1.0 - NEVER_COMES) * late
    chance = comes / (comes + NEVER_COMES)
    # An order that is not due yet has nothing against it.
    chance = np.where(due_in_days >= 0.0, 1.0, chance)
    found: FloatArray = np.where(chance < HOPELESS, 0.0, chance)
    return found


def counted_share(
    due_in_days: FloatArray, lead_days: FloatArray, sd_days: FloatArray | None = None
) -> FloatArray:
    """Return the share of an order that counts in a position which knows no dates.

    All of it until it is overdue by half a standard deviation, then the chance that it still comes.

    Args:
        due_in_days: from now; below 0 means overdue.
        lead_days: mean lead time of its supplier.
        sd_days: its standard deviation; None means that nothing was seen of it.

    >>> counted_share(np.array([1.0, -2.0, -5.0]), np.array(4.0)).round(2).tolist()
    [1.0, 0.41, 0.0]
    """
    sd = STATED_VARIATION * lead_days if sd_days is None else sd_days
    sd = np.maximum(sd, RECEIPT_SD_DAYS)
    ever = chance_still_to_come(due_in_days, lead_days, sd)
    share: FloatArray = np.where(due_in_days >= -0.5 * sd, 1.0, ever)
    return share


def are_overdue(
    due_in_days: FloatArray, mean_days: FloatArray, sd_days: FloatArray
) -> npt.NDArray[np.bool_]:
    """Return which orders are later than the lead times of their supplier explain."""
    age = mean_days - due_in_days
    late = 1.0 - lead_time_shares(age + HALF_A_DAY, mean_days, sd_days)
    overdue: npt.NDArray[np.bool_] = (late < OVERDUE_SHARE) & (due_in_days < 0.0)
    return overdue


def arrival_chances(
    by_days: FloatArray, due_in_days: FloatArray, mean_days: FloatArray, sd_days: FloatArray
) -> FloatArray:
    """Return the chance that an order has come by some days from now, given that it has not yet.

    Args:
        by_days: from now; what comes on the morning of a day counts at its end.
        due_in_days: from now; below 0 means overdue.
        mean_days: mean lead time of its supplier.
        sd_days: its standard deviation.

    Returns:
        Chances, shape as the arguments broadcast; never above `chance_still_to_come`.
    """
    age = mean_days - due_in_days
    now = lead_time_shares(age + HALF_A_DAY, mean_days, sd_days)
    now = np.where(due_in_days >= 0.0, np.minimum(now, 1.0 - 1e-6), now)
    then = lead_time_shares(age + by_days - HALF_A_DAY, mean_days, sd_days)
    inside = np.clip(then - now, 0.0, None) / np.maximum(1.0 - now, 1e-12)
    return inside * chance_still_to_come(due_in_days, mean_days, sd_days)
