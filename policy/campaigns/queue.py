"""The queue of a warehouse: on which day each unit ships, and what may still be promised.

Day 1 is the first day of shipping, and a unit that comes on day d can ship on day d. Orders ship in
the order in which they were placed.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from policy.campaigns.figures import DAY, PER_DAY, UNITS
from policy.errors import PolicyInputError

MOST_PIECES = 1_000_000


@dataclass(frozen=True)
class Queue:
    """The days on which units ship.

    Args:
        through: number of the last unit that ships on a day, rising.
        days: that day; the arrays have one length.
    """

    through: tuple[int, ...]
    days: tuple[int, ...]

    @property
    def units(self) -> int:
        """Units that have a day."""
        return self.through[-1] if self.through else 0

    def day_of(self, unit: int) -> int | None:
        """Return the day on which the n-th unit ships; None means that nothing is there for it."""
        if not 1 <= unit <= self.units:
            return None
        return self.days[bisect_left(self.through, unit)]


def ship_queue(
    stock_units: float, arrivals: Sequence[tuple[float, float]], units_per_day: float
) -> Queue:
    """Return on which day each unit ships.

    Args:
        stock_units: on the shelf now.
        arrivals: day and units of what comes, in any order.
        units_per_day: that the warehouse ships at most.

    Returns:
        The n-th unit ships on the later of its arrival and the first day with room for it behind
        the units before it. While the warehouse never waits for goods that is
        max(arrival, ceil(n / units_per_day)).

    Raises:
        PolicyInputError: a number is out of range.

    >>> queue = ship_queue(5000, [(20, 3000)], 500)
    >>> queue.day_of(1), queue.day_of(5000), queue.day_of(5001), queue.day_of(5501)
    (1, 10, 20, 21)
    >>> queue.day_of(8001) is None
    True
    """
    UNITS.check(stock_units)
    room_a_day = math.floor(float(PER_DAY.check(units_per_day)) + 1e-9)
    for day, units in arrivals:
        DAY.check(day)
        UNITS.check(units)
    through: list[int] = []
    days: list[int] = []
    if room_a_day < 1:
        return Queue((), ())
    supplies = [
        (1, stock_units),
        *((max(1, math.ceil(day - 1e-9)), units) for day, units in arrivals),
    ]
    whole = sum(units for _, units in supplies)
    if whole / room_a_day > MOST_PIECES:
        rule = f"at least {whole / MOST_PIECES:g}: the queue is longer than {MOST_PIECES} days"
        raise PolicyInputError("units_per_day", rule, units_per_day)
    today, room, last = 1, room_a_day, 0
    for day, units in sorted(supplies):
        if day > today:
            today, room = day, room_a_day
        left = math.floor(units + 1e-9)
        while left > 0:
            taken = min(left, room)
            last, left, room = last + taken, left - taken, room - taken
            if days and days[-1] == today:
                through[-1] = last
            else:
                through.append(last)
                days.append(today)
            if room == 0:
                today, room = today + 1, room_a_day
    return Queue(tuple(through), tuple(days))


@dataclass(frozen=True)
class Promise:
    """What a shop may say of one sku now.

    Args:
        sellable_units: that are there, released and not yet sold.
        presale_units: that may still be sold before they are there.
        is_presale: whether the next unit is one of those.
        day: on which the next unit ships; None means that none may be sold.
    """

    sellable_units: int
    presale_units: int
    is_presale: bool
    day: int | None


def promise_of(
    queue: Queue,
    *,
    stock_units: float,
    waiting_units: float,
    released_units: float = math.inf,
    sold_units: float = 0.0,
    presale_limit_units: float = 0.0,
) -> Promise:
    """Return what may be promised to the next customer.

    Args:
        queue: of the warehouse, from now on.
        stock_units: on the shelf now, with the units that are sold and wait.
        waiting_units: sold and not shipped.
        released_units: of the campaign so far; it may sell no more than these from stock.
        sold_units: of the campaign so far.
        presale_limit_units: that may wait for goods at once.

    No unit is promised twice: what is promised is behind all units that wait, and goods stand
    behind it, on the shelf or in the queue.

    >>> queue = ship_queue(5000, [(20, 3000)], 500)
    >>> promise_of(queue, stock_units=5000, waiting_units=4999, presale_limit_units=2000)
    Promise(sellable_units=1, presale_units=2000, is_presale=False, day=10)
    >>> promise_of(queue, stock_units=5000, waiting_units=5500, presale_limit_units=2000)
    Promise(sellable_units=0, presale_units=1500, is_presale=True, day=21)
    """
    for value in (stock_units, waiting_units, sold_units, presale_limit_units):
        UNITS.check(value)
    free = max(0.0, stock_units - waiting_units)
    sellable = math.floor(min(free, max(0.0, released_units - sold_units)) + 1e-9)
    beyond = max(0.0, waiting_units - stock_units)
    coming = max(0.0, queue.units - max(waiting_units, stock_units))
    presale = math.floor(max(0.0, min(presale_limit_units - beyond, coming)) + 1e-9)
    place = math.floor(waiting_units + 1e-9) + 1
    if sellable > 0:
        return Promise(sellable, presale, False, queue.day_of(place))
    if presale > 0:  # units that are there and not released stay behind
        day = queue.day_of(max(place, math.floor(stock_units + 1e-9) + 1))
        return Promise(0, presale, True, day)
    return Promise(0, 0, False, None)


class Slots:
    """Room of a warehouse by day, for the orders of all of its items.

    Args:
        per_day: orders that it ships at most.
    """

    def __init__(self, per_day: float) -> None:
        self._per_day = math.floor(float(PER_DAY.check(per_day)) + 1e-9)
        self._used: dict[int, int] = {}
        self._full_before = 1  # all days before this one are full

    def reserve(self, ready_day: int, orders: int) -> int | None:
        """Take room for orders from a day on; return the day of the last, None without capacity.

        >>> slots = Slots(3)
        >>> slots.reserve(1, 2), slots.reserve(4, 2), slots.reserve(1, 5), slots.reserve(1, 3)
        (1, 4, 3, 4)
        """
        if self._per_day < 1:
            return None
        if orders / self._per_day > MOST_PIECES:
            rule = f"at least {orders / MOST_PIECES:g}: {orders} orders wait"
            raise PolicyInputError("orders_per_day", rule, self._per_day)
        day = max(ready_day, self._full_before)
        left = max(1, orders)
        while True:
            taken = min(left, self._per_day - self._used.get(day, 0))
            self._used[day] = self._used.get(day, 0) + taken
            left -= taken
            if left <= 0:
                break
            day += 1
        while self._used.get(self._full_before, 0) >= self._per_day:
            self._full_before += 1
        return day

    def first_free(self, ready_day: int) -> int | None:
        """Return the first day from one on with room; None without capacity."""
        if self._per_day < 1:
            return None
        day = max(ready_day, self._full_before)
        while self._used.get(day, 0) >= self._per_day:
            day += 1
        return day


@dataclass(frozen=True)
class Goods:
    """The goods of one sku: units on the shelf, and day and units of what comes."""

    stock_units: float
    arrivals: tuple[tuple[float, float], ...] = ()

    def ready_day(self, unit: int) -> int | None:
        """Return the day on which goods for the n-th unit are there; None means never."""
        have = self.stock_units
        if unit <= have + 1e-9:
            return 1
        for day, units in sorted(self.arrivals):
            have += units
            if unit <= have + 1e-9:
                return max(1, math.ceil(day - 1e-9))
        return None


def schedule(
    orders: Sequence[tuple[str, float]], goods: Mapping[str, Goods], per_day: float
) -> list[int | None]:
    """Return on which day each order ships.

    Args:
        orders: sku and units, in the order of placing. Each takes one place of the warehouse's
            room, on the first day with room once all of its units are there.
        goods: of each sku.
        per_day: orders that the warehouse ships at most.

    >>> schedule([("A", 2), ("B", 1), ("A", 1)], {"A": Goods(2, ((5, 9),)), "B": Goods(1)}, 1)
    [1, 2, 5]
    """
    place: dict[str, float] = {}
    ready: list[int | None] = []
    for sku, units in orders:
        place[sku] = place.get(sku, 0.0) + units
        own = goods.get(sku)
        ready.append(None if own is None else own.ready_day(math.ceil(place[sku] - 1e-9)))
    slots = Slots(per_day)
    days: list[int | None] = [None] * len(orders)
    for day, number in sorted((day, number) for number, day in enumerate(ready) if day is not None):
        days[number] = slots.reserve(day, 1)
    return days
