"""Whether a shard's orders come in at all: silence where some were due, and the burst after it.

Orders come in clumps: one customer's order holds many items, all at once. So silence is measured in
arrivals, ticks with any order, and how many orders one brings is learned. The shop's week tells
what was due (`streams.demand.week_profile`).

After an outage the backlog of orders arrives at once, which is no rise of demand: the surge test
ignores it (`OrderFeed.blackout`) until the rate has been normal for a quarter of an hour, or until
`most_catch_up` times the missing orders have come.
"""

import math

import msgspec

from streams.demand.week_profile import (
    WEEKDAYS,
    Profile,
    flat_profile,
    operational_days,
    operational_end_ms,
)
from streams.detection.surge import Blackout
from streams.settings import OrderFeedSettings
from streams.timestamps import DAY_MS, HOUR_MS, MINUTE_MS

NEVER = (1 << 63) - 1
_SETTLED_MS = 15 * MINUTE_MS
_NEXT_IMPORT_MS = 18 * HOUR_MS
_NO_DAYS = 1e-9  # of an import, that stands for no more time than it takes
_LONGEST_SILENCE_DAYS = 30.0  # operational ones; a shop so thin is silent as a rule


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
    import_ms: int = 0  # when the newest tick began that was an import; 0: none
    import_until_ms: int = 0  # nothing is due before this: it was imported
    import_since_ms: int = 0  # open incident; 0: none
    imported_orders: int = 0  # by the newest import
    import_covered_ms: int = 0  # for time up to this, orders were imported and judged
    is_import_blackout: bool = False  # from an import to the next order
    is_outage: bool = False  # in the newest blackout more was missing than chance leaves out
    day_import_orders: float = 0.0  # of the open day, that teach no hours
    day_burst_orders: int = 0  # of the two fullest ticks on end of the open day
    day_burst_ms: int = 0
    before_orders: int = 0  # of the tick that began then
    before_ms: int = 0


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
        self.before_import = Blackout()  # of the tick that was closed last, if it was an import

    @property
    def tick_orders(self) -> int:
        """Orders of the open tick."""
        return self._tick_orders

    @property
    def open_tick(self) -> tuple[int, int, int]:
        """Orders of the open tick, and the times of the first and the newest."""
        return self._tick_orders, self._first_ms, self._newest_ms

    @property
    def is_catching_up(self) -> bool:
        """Whether what comes is owed from a silence that was long enough to be an outage."""
        return self.state.blackout_end_ms == NEVER and self.state.is_outage

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
        state.day_orders = state.day_arrivals = state.day_burst_orders = 0

    def note(self, orders: int, first_ms: int, newest_ms: int) -> None:
        """Note that orders came in the open tick."""
        if not self._tick_orders:
            self._first_ms = first_ms
        self._tick_orders += orders
        self._newest_ms = max(self._newest_ms, newest_ms)

    def close_tick(self, boundary_ms: int, tick_ms: int, *, is_import: bool = False) -> float:
        """Take the open tick: does a silence end with it, and is what it owed paid?

        Args:
            boundary_ms: end of the tick.
            tick_ms: its width.
            is_import: its orders look like those of a day (`streams.detection.imports`).

        Returns:
            The operational days that the tick stands for beside its own; 0: it is no import.
        """
        if not self._tick_orders:
            return 0.0
        state, orders, start_ms = self.state, self._tick_orders, boundary_ms - tick_ms
        if state.is_import_blackout:
            state.blackout_end_ms, state.is_import_blackout = start_ms, False
        silent_days = self._silent_days()
        covered_days = 0.0
        if silent_days >= self._days_for(self._settings.debt_arrivals):
            self._add_debt(start_ms, silent_days)
        elif state.blackout_end_ms == NEVER:
            self._catch_up(boundary_ms, tick_ms, orders)
        if is_import and self._may_be_import(start_ms, tick_ms, orders):
            state.import_until_ms = start_ms + DAY_MS
            if state.blackout_end_ms != NEVER:
                covered_days = self._cover(start_ms, boundary_ms, orders)
            goes_on = state.import_ms == start_ms - tick_ms
            state.imported_orders = orders + (state.imported_orders if goes_on else 0)
            state.import_ms = start_ms
        else:
            state.import_until_ms = 0
        if not covered_days:
            self._note_burst(start_ms, tick_ms, orders)
        state.day_orders += orders
        state.day_arrivals += 1
        state.last_order_ms = max(state.last_order_ms, self._newest_ms)
        self._tick_orders = 0
        return covered_days

    def _may_be_import(self, start_ms: int, tick_ms: int, orders: int) -> bool:
        """Whether it goes on with the import before, or that was long enough ago."""
        before_ms = self.state.import_ms
        if before_ms >= start_ms - tick_ms or start_ms - before_ms >= _NEXT_IMPORT_MS:
            return True
        days = float(operational_days(self._profile.elapsed, before_ms, start_ms))
        return orders <= self._settings.most_catch_up * days * self._rate

    def _cover(self, start_ms: int, boundary_ms: int, orders: int) -> float:
        """Let an import stand for as many days as it amounts to, at most those it can have held."""
        state, elapsed = self.state, self._profile.elapsed
        day_ms = start_ms // DAY_MS * DAY_MS
        covered_ms = state.import_covered_ms
        if start_ms - state.import_ms >= _NEXT_IMPORT_MS:  # what came too much is of the day before
            covered_ms = min(covered_ms, start_ms)
        from_ms = max(covered_ms, min(state.last_order_ms or day_ms, day_ms))
        until_ms = start_ms + DAY_MS
        if state.import_ms == 2 * start_ms - boundary_ms:  # it goes on: who knows how the rest is
            until_ms += DAY_MS
        left_days = float(operational_days(elapsed, from_ms, max(from_ms, until_ms)))
        days = min(left_days, orders / self._rate)
        state.import_covered_ms = operational_end_ms(elapsed, from_ms, days)
        self.before_import = Blackout(state.last_order_ms, start_ms)
        state.blackout_start_ms, state.blackout_end_ms = boundary_ms, NEVER
        state.is_import_blackout, state.is_outage = True, False
        return max(days, _NO_DAYS)

    def _note_burst(self, start_ms: int, tick_ms: int, orders: int) -> None:
        """Keep the two fullest ticks on end of the day: perhaps they are all that it has."""
        state = self.state
        is_next = state.before_ms == start_ms - tick_ms and start_ms % DAY_MS
        burst = orders + (state.before_orders if is_next else 0)
        if burst > state.day_burst_orders:
            state.day_burst_orders, state.day_burst_ms = burst, start_ms
        state.before_orders, state.before_ms = orders, start_ms

    def silence_ends_ms(self) -> int:
        """Return when the arrivals missing since the last order are too many, or never."""
        last_ms = self._due_from(self.last_order_ms)
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
        last_ms = self._due_from(self.state.last_order_ms)
        if not last_ms or last_ms >= self._first_ms:
            return 0.0
        return float(operational_days(self._profile.elapsed, last_ms, self._first_ms))

    def _due_from(self, last_order_ms: int) -> int:
        """Return from when on orders are due: not while an import stands for them."""
        return max(last_order_ms, self.state.import_until_ms) if last_order_ms else 0

    def _add_debt(self, start_ms: int, silent_days: float) -> None:
        """Where too much was due since the last order, what comes now is not tested.

        An order or two may come in the midst of an outage: it goes on, and owes more.
        """
        state = self.state
        if state.blackout_end_ms != NEVER:
            state.blackout_start_ms, state.blackout_end_ms = state.last_order_ms, NEVER
            state.catch_up_debt_orders, state.is_outage = 0.0, False
        state.is_outage |= silent_days >= self._days_for(self._settings.silent_arrivals)
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
