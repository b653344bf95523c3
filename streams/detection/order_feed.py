"""Whether a shard's orders come in at all: silence where some were due, and the burst after it.

Orders come in clumps: one customer's order holds many items, all at once. So silence is measured in
arrivals, ticks with any order, and how many orders one brings is learned. The shop's week tells
what was due (`streams.demand.week_profile`).

What comes after a silence, faster than usual, is what the silence owes, no rise of demand: until a
quarter of an hour is calm the surge test does not listen (`Feed.pause`). How much is owed is known
as well as a day is, which may be twice the usual one; when more than `most_owed` times it has come,
it is no debt any more.
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
from streams.detection.surge import Pause
from streams.timestamps import DAY_MS, MINUTE_MS

NEVER = (1 << 63) - 1
_CALM_MS = 15 * MINUTE_MS
_LONGEST_SILENCE_DAYS = 30.0  # operational ones; a shop so thin is silent as a rule


@dataclass(frozen=True, slots=True)
class FeedSettings:
    """When silence is no chance any more."""

    silent_arrivals: float = 12.0  # due and missing: by chance once in e**12 times
    silent_ms: int = 600_000  # and at least so long
    owing_arrivals: float = 6.0  # missing before what follows may be what they owe
    most_owed: float = 2.0  # times what was due in a silence may come after it
    calm_factor: float = 2.0  # times the usual rate, in a quarter of an hour that is calm again
    memory_days: float = 28.0  # with orders, for the orders that an arrival brings


class FeedState(msgspec.Struct, kw_only=True):
    """What of the feed has to be stored."""

    last_order_ms: int = 0
    clump_orders: float = 0.0
    clump_arrivals: float = 0.0
    day_orders: int = 0
    day_arrivals: int = 0
    pause_start_ms: int = 0
    pause_end_ms: int = 0
    owed_orders: float = 0.0
    calm_from_ms: int = 0
    calm_orders: int = 0


class Feed:
    """The orders of a shard as one stream."""

    def __init__(self, settings: FeedSettings) -> None:
        self._settings = settings
        self.state = FeedState()
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
    def pause(self) -> Pause:
        """The newest time of which the orders say nothing."""
        return Pause(self.state.pause_start_ms, self.state.pause_end_ms)

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
        if silent_days >= self._days_for(self._settings.owing_arrivals):
            self._owe(boundary_ms - tick_ms, silent_days)
        elif state.pause_end_ms == NEVER:
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

    def _owe(self, start_ms: int, silent_days: float) -> None:
        """Where too much was due since the last order, what comes now is not tested.

        An order or two may come in the midst of an outage: it goes on, and owes more.
        """
        state = self.state
        if state.pause_end_ms != NEVER:
            state.pause_start_ms, state.pause_end_ms = state.last_order_ms, NEVER
            state.owed_orders = 0.0
        state.owed_orders += self._settings.most_owed * silent_days * self._rate - self._tick_orders
        state.calm_from_ms, state.calm_orders = start_ms, self._tick_orders

    def _catch_up(self, boundary_ms: int, tick_ms: int, orders: int) -> None:
        state, start_ms = self.state, boundary_ms - tick_ms
        if start_ms - state.calm_from_ms >= _CALM_MS:
            due = self._due(state.calm_from_ms, start_ms)
            if self._is_usual(state.calm_orders, due):
                state.pause_end_ms = start_ms
                return
            if state.calm_orders < due:  # the silence goes on, and owes more
                state.owed_orders += self._settings.most_owed * (due - state.calm_orders)
            state.calm_from_ms, state.calm_orders = start_ms, 0
        if state.owed_orders <= 0:
            state.pause_end_ms = start_ms
            return
        state.calm_orders += orders
        state.owed_orders -= orders

    def _is_usual(self, orders: int, due: float) -> bool:
        """Whether neither more nor fewer came than often do, in clumps that differ in size."""
        most = self._settings.calm_factor * due
        least = due / self._settings.calm_factor
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
