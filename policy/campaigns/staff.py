"""Staff that the next hours need, to ship what waits and what comes within its time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from policy.campaigns.figures import HOURS, RATE, UNITS
from policy.errors import PolicyInputError


@dataclass(frozen=True)
class Staff:
    """People that are needed.

    Args:
        by_hour: if each hour's orders are to be done in that hour, with what waits spread evenly.
        level: the same number in all hours, the fewest that keep the time of every order.
        work_orders: to be done in all.
    """

    by_hour: tuple[int, ...]
    level: int
    work_orders: float


def staff_needed(
    orders_by_hour: Sequence[float],
    orders_per_staff_hour: float,
    *,
    waiting_orders: float = 0.0,
    within_hours: int | None = None,
) -> Staff:
    """Return the people that the next hours need.

    Args:
        orders_by_hour: expected, from this hour on.
        orders_per_staff_hour: that one person picks and packs, > 0.
        waiting_orders: that wait now.
        within_hours: an order ships within so many hours, >= 1; by default by the last hour.

    >>> staff_needed([100, 250, 50], 25, waiting_orders=60)
    Staff(by_hour=(5, 11, 3), level=7, work_orders=460.0)
    >>> staff_needed([100, 250, 50], 25, within_hours=1).level
    10
    """
    UNITS.check(list(orders_by_hour) or [0.0])
    UNITS.check(waiting_orders)
    if not orders_per_staff_hour > 0:
        raise PolicyInputError("orders_per_staff_hour", "> 0", orders_per_staff_hour)
    RATE.check(orders_per_staff_hour)
    hours = len(orders_by_hour)
    if not hours:
        raise PolicyInputError("orders_by_hour", "a list of at least one number", [])
    span = hours if within_hours is None else within_hours
    HOURS.check(span)
    if span < 1:
        raise PolicyInputError("within_hours", ">= 1", within_hours)
    evenly = waiting_orders / hours
    by_hour = tuple(_people((orders + evenly) / orders_per_staff_hour) for orders in orders_by_hour)
    needed = 0.0
    for start in range(hours):
        # What comes from `start` on and is due by the end of `stop` has to fit in between.
        for stop in range(start, hours):
            due = sum(
                orders_by_hour[hour]
                for hour in range(start, stop + 1)
                if min(hour + span - 1, hours - 1) <= stop
            )
            waits = waiting_orders if start == 0 and stop >= min(span, hours) - 1 else 0.0
            needed = max(needed, (due + waits) / (stop - start + 1))
    whole = math.fsum(orders_by_hour) + waiting_orders
    return Staff(by_hour, _people(needed / orders_per_staff_hour), whole)


def _people(count: float) -> int:
    return math.ceil(count - 1e-9)
