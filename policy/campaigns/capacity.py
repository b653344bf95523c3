"""What a warehouse lets through: orders within the promise, days to ship, days to clear."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from policy.campaigns.case import Case, Limit, Warehouse

_SLACK = 1e-9


@dataclass(frozen=True)
class Stretch:
    """A stretch of days in which some of the orders come and have to leave, too.

    Args:
        start, stop: days from the start of the campaign.
        shares: of the orders of each promise, what falls inside.
    """

    start: float
    stop: float
    shares: Mapping[float, float]

    @property
    def days(self) -> float:
        """How long it is."""
        return self.stop - self.start


def stretches(profile: Sequence[float], promises: Sequence[float]) -> list[Stretch]:
    """Return the stretches that have to have room for what comes and leaves inside them.

    A queue in the order of its dates keeps every promise if, and only if, no stretch holds more
    work than capacity.

    >>> stretches([1.0], [3.0])
    [Stretch(start=0, stop=3.0, shares={3.0: 1.0})]
    """
    days = [day for day, share in enumerate(profile) if share > 0]
    stops = sorted({day + promise for day in days for promise in promises})
    found = []
    for start in days:
        for stop in stops:
            shares = {
                promise: math.fsum(
                    profile[day] for day in days if day >= start and day + promise <= stop + _SLACK
                )
                for promise in promises
            }
            inside = {promise: share for promise, share in shares.items() if share > 0}
            if inside:
                found.append(Stretch(start, stop, inside))
    return found


def ship_days(warehouse: Warehouse, orders: float, units: float, case: Case) -> float | None:
    """Return the whole days within which every order ships; None means never, or not known.

    Args:
        warehouse: its slowest daily limit counts.
        orders: of the whole campaign, from this warehouse.
        units: likewise.
        case: says on which days they come.
    """
    return _slowest(warehouse, orders, units, lambda rate, work: _promise(rate, work, case))


def clear_days(warehouse: Warehouse, orders: float, units: float, case: Case) -> float | None:
    """Return the whole days from the start until nothing waits; None as for `ship_days`."""
    return _slowest(warehouse, orders, units, lambda rate, work: _clear(rate, work, case))


def _slowest(
    warehouse: Warehouse,
    orders: float,
    units: float,
    days_of: Callable[[float, tuple[float, float]], float | None],
) -> float | None:
    found: list[float] = []
    for limit in warehouse.limits:
        if limit.is_daily:
            own = units if limit.is_units else orders
            backlog = 0.0 if limit.is_units else warehouse.backlog_orders
            days = days_of(limit.amount, (own, backlog))
            if days is None:
                return None
            found.append(days)
    return max(found, default=None)


def _promise(rate: float, work: tuple[float, float], case: Case) -> float | None:
    """Return the shortest promise in whole days that a rate keeps."""
    orders, backlog = work
    if orders <= 0:
        return 0.0
    if rate <= 0:
        return None
    days = [day for day, share in enumerate(case.profile) if share > 0]
    needed = 0.0
    for start in days:
        share = 0.0
        for stop in days:
            if stop >= start:
                share += case.profile[stop]
                waits = backlog if start == days[0] else 0.0
                needed = max(needed, (waits + orders * share) / rate - (stop - start))
    return whole_days(needed)


def _clear(rate: float, work: tuple[float, float], case: Case) -> float | None:
    """Return the whole days from the start until a queue is empty."""
    orders, waiting = work
    if orders + waiting <= 0:
        return 0.0
    if rate <= 0:
        return None
    clear = 0.0
    for day, share in enumerate(case.profile):
        waiting += orders * share
        if waiting > 0:
            clear = day + waiting / rate
        waiting = max(0.0, waiting - rate)
    return whole_days(clear)


def whole_days(days: float) -> float:
    """Return days rounded up; the dust of a division counts as none.

    >>> whole_days(16.0000000001), whole_days(16.1)
    (16.0, 17.0)
    """
    return float(math.ceil(days - _SLACK * min(max(1.0, days), 1e3)))


def within(limit: Limit, promise: float | None, backlog: float, case: Case) -> float:
    """Return the most orders (or units) that a limit alone lets through within one promise."""
    if not limit.is_daily:
        return limit.amount
    if promise is None:
        return math.inf
    waits = 0.0 if limit.is_units else backlog
    most = math.inf
    for stretch in stretches(case.profile, [promise]):
        room = limit.amount * stretch.days - (waits if stretch.start == 0 else 0.0)
        most = min(most, max(0.0, room) / stretch.shares[promise])
    return most
