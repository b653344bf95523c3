"""Whether a shard's orders come in at all: silence where some were due, and the burst after it.

Orders come in clumps: one customer's order holds many items, all at once. So silence is measured in
arrivals, ticks with any order, and how many orders one brings is learned. The shop's week tells
what was due (`streams.demand.week_profile`).

What comes after a silence, faster than usual, is what the silence owes, no rise of demand: until a
quarter of an hour is calm the surge test does not listen (`OrderFeed.blackout`). How much is owed
is known as well as a day is, which may be twice the usual one; when more than `most_catch_up` times
it has come, it is no debt any more.
"""

import math
from dataclasses import dataclass

import msgspec

from streams.demand.week_profile import (
    WEEKDAYS,
    Profile,
    flat_profile,
    operational_days,
    operational_end_ms,
)
from streams.detection.surge import Blackout
from streams.timestamps import DAY_MS, MINUTE_MS

NEVER = (1 << 63) - 1
_SETTLED_MS = 15 * MINUTE_MS
_LONGEST_SILENCE_DAYS = 30.0  # operational ones; a shop so thin is silent as a rule


@dataclass(frozen=True, slots=True)
class OrderFeedSettings:
    """When silence is no chance any more."""

    silent_arrivals: float = 12.0  # due and missing: by chance once in e**12 times
    silent_ms: int = 600_000  # and at least so long
    debt_arrivals: float = 6.0  # missing before what follows may be what they owe
    most_catch_up: float = 2.0  # times what was due in a silence may come after it
    settled_factor: float = 2.0  # times the usual rate, in a quarter of an hour that is calm again
    memory_days: float = 28.0  # with orders, for the orders that an arrival brings


class OrderFeedState(msgspec.Struct, kw_only=True):
    """What of the feed has to be stored."""

    last_order_ms: int = 0
    clump_orders: float = 0.0
    clump_arrivals: float = 0.0
    day_orders: int = 0
    day_arrivals: int = 0
    blackout_start_ms: int = 0
    blackout_end_ms: int = 0
    catch_up_debt_orders: float = 0.0
    settled_from_ms: int = 0
    settled_orders: int = 0


class OrderFeed:
    """The orders of a shard as one stream."""

    def __init__(self, settings: OrderFeedSettings) -> None:
        self._settings = settings
        self.state = OrderFeedState()
        self._rate = 0.0
        self._profile = flat_profile()
        self._tick_orders = 0
        self._first_ms = 0
        self._newest_ms = 0

    @property
    def last_order_ms(self) -> int:
        """When the newest order came."""
        return max(self.state.last_order_ms, self._newest_ms)

    @property
    def blackout(self) -> Blackout:
        """The newest time of which the orders say nothing."""
        return Blackout(self.state.blackout_start_ms, self.state.blackout_end_ms)

    def learn_rate(self, orders_per_day: float, profile: Profile) -> None:
        """Take what is due from now on: orders per operational day, and the week."""
        self._rate, self._profile = orders_per_day, profile

    def close_day(self) -> None:
        """Learn how many orders an arrival of the day brought."""
        state = self.state
        if state.day_arrivals:
            kept = 1.0 - 1.0 / self._settings.memory_days
            state.clump_orders = state.clump_orders * kept + state.day_orders
            state.clump_arrivals = state.clump_arrivals * kept + state.day_arrivals
        state.day_orders = state.day_arrivals = 0

    def note(self, orders: int, first_ms: int, newest_ms: int) -> None:
        """Note that orders came in the open tick."""
        if not self._tick_orders:
            self._first_ms = first_ms
        self._tick_orders += orders
        self._newest_ms = max(self._newest_ms, newest_ms)

    def close_tick(self, boundary_ms: int, tick_ms: int) -> None:
        """Take the open tick: does a silence end with it, and is what it owed paid?"""
        if not self._tick_orders:
            return
        state, orders = self.state, self._tick_orders
        silent_days = self._silent_days()
        if silent_days >= self._days_for(self._settings.debt_arrivals):
            self._add_debt(boundary_ms - tick_ms, silent_days)
        elif state.blackout_end_ms == NEVER:
            self._catch_up(boundary_ms, tick_ms, orders)
        state.day_orders += orders
        state.day_arrivals += 1
        state.last_order_ms = max(state.last_order_ms, self._newest_ms)
        self._tick_orders = 0

    def silence_ends_ms(self) -> int:
        """Return when the arrivals missing since the last order are too many, or never."""
        last_ms = self.last_order_ms
        days = self._days_for(self._settings.silent_arrivals)
        if not last_ms or days > _LONGEST_SILENCE_DAYS:
            return NEVER
        ends_ms = operational_end_ms(self._profile.elapsed, last_ms, days)
        first_ms = max(ends_ms, last_ms + self._settings.silent_ms)
        return self._past_unseen_days(first_ms)

    def _past_unseen_days(self, at_ms: int) -> int:
        """In its first week a shop may be shut on a weekday that it has not been seen open on."""
        last_day = self.last_order_ms // DAY_MS
        for day in range(at_ms // DAY_MS, at_ms // DAY_MS + WEEKDAYS):
            if day == last_day or self._profile.days[day % WEEKDAYS] > 0:
                return max(at_ms, day * DAY_MS)
        return NEVER

    def _days_for(self, arrivals: float) -> float:
        """Operational days in which so many arrivals are due."""
        if not self._rate > 0:
            return float("inf")
        return arrivals * self._clump / self._rate

    def _silent_days(self) -> float:
        """Operational days from the newest order before the open tick to the first one in it."""
        last_ms = self.state.last_order_ms
        if not last_ms:
            return 0.0
        return float(operational_days(self._profile.elapsed, last_ms, self._first_ms))

    def _add_debt(self, start_ms: int, silent_days: float) -> None:
        """Where too much was due since the last order, what comes now is not tested.

        An order or two may come in the midst of an outage: it goes on, and owes more.
        """
        state = self.state
        if state.blackout_end_ms != NEVER:
            state.blackout_start_ms, state.blackout_end_ms = state.last_order_ms, NEVER
            state.catch_up_debt_orders = 0.0
        state.catch_up_debt_orders += (
            self._settings.most_catch_up * silent_days * self._rate - self._tick_orders
        )
        state.settled_from_ms, state.settled_orders = start_ms, self._tick_orders

    def _catch_up(self, boundary_ms: int, tick_ms: int, orders: int) -> None:
        state, start_ms = self.state, boundary_ms - tick_ms
        if start_ms - state.settled_from_ms >= _SETTLED_MS:
            due = self._due(state.settled_from_ms, start_ms)
            if self._is_settled(state.settled_orders, due):
                state.blackout_end_ms = start_ms
                return
            if state.settled_orders < due:  # the silence goes on, and owes more
                state.catch_up_debt_orders += self._settings.most_catch_up * (
                    due - state.settled_orders
                )
            state.settled_from_ms, state.settled_orders = start_ms, 0
        if state.catch_up_debt_orders <= 0:
            state.blackout_end_ms = start_ms
            return
        state.settled_orders += orders
        state.catch_up_debt_orders -= orders

    def _is_settled(self, orders: int, due: float) -> bool:
        """Whether neither more nor fewer came than often do, in clumps that differ in size."""
        most = self._settings.settled_factor * due
        least = due / self._settings.settled_factor
        few, many = (2 * math.sqrt(mean * self._clump) for mean in (least, most))
        return least - few <= orders <= most + many

    @property
    def _clump(self) -> float:
        """Orders that an arrival brings."""
        state = self.state
        return state.clump_orders / state.clump_arrivals if state.clump_arrivals else 1.0

    def _due(self, start_ms: int, end_ms: int) -> float:
        days = operational_days(self._profile.elapsed, start_ms, end_ms)
        return self._rate * float(days)
