"""Event time: boundary by boundary, what waited takes effect, buckets close, reviews run.

At each boundary, a multiple of the tick: the events before it, then the surge test for items with
orders, then the day's estimates where a day ends, then the reviews that are due, then the alerts.
Boundaries at which nothing can happen are jumped over; the result is that of visiting each.
"""

import logging

import numpy as np

from policy import PolicyCache
from streams.contracts.codes import Kind
from streams.demand.campaigns import in_window
from streams.settings import TimelineSettings
from streams.state.items import Columns
from streams.state.open_lines import WRITTEN_OFF_LINES, WRITTEN_OFF_UNITS
from streams.state.pending import ENTRY, Due, Pending
from streams.timeline.day_end import close_day
from streams.timeline.detectors import close_tick, update_shortfalls, watch_silence
from streams.timeline.hour_orders import had_surges
from streams.timeline.movements import apply_entries
from streams.timeline.partition_state import State
from streams.timeline.review_step import review_due, review_surges
from streams.timeline.updates import arrive, tell
from streams.timestamps import DAY_MS, HOUR_MS
from streams.types import Int32Array, Table

_log = logging.getLogger(__name__)
_NEVER = np.iinfo(np.int64).max


class Timeline:
    """The part of a shard that depends on order: everything that waits for the watermark.

    Args:
        partition: the shard's number, named in alerts about its inputs.
        settings: how event time is cut, and the parts' own settings.
        cache: solved policies, shared by all shards of a worker; never decides anything.
    """

    def __init__(self, partition: int, settings: TimelineSettings, cache: PolicyCache) -> None:
        self._partition = partition
        self._settings = settings
        self._cache = cache
        self.state = state = State(partition, settings)
        self.items, self.supply = state.items, state.supply
        self.alerts, self.catalog, self.campaigns = state.alerts, state.catalog, state.campaigns
        self.pending = Pending()
        self.applied_ms: int | None = None
        self._due = Due(np.zeros(0, ENTRY), {})
        self._due_place = 0

    # -- advancing ----------------------------------------------------------------------------

    def advance(self, watermark_ms: int, start_ms: int, limit: int) -> bool:
        """Apply boundaries up to the watermark, at most `limit` of them.

        Args:
            watermark_ms: nothing before this time will come any more.
            start_ms: no event takes effect before this; where a new shard begins.
            limit: boundaries to apply before control goes back to the caller.

        Returns:
            Whether the watermark was reached.
        """
        tick_ms = self._settings.tick_ms
        self.state.start_ms = start_ms
        if self.applied_ms is None:
            self.applied_ms = start_ms // tick_ms * tick_ms
        target = watermark_ms // tick_ms * tick_ms
        if target <= self.applied_ms:
            return True
        for _ in range(limit):
            self._take_due(target)
            boundary = min(target, self._next_boundary())
            self._apply(boundary)
            if boundary == target:
                return True
        return False

    def _take_due(self, target: int) -> None:
        """Draw what is due before the target, once all that was drawn before has taken effect."""
        if self._due_place == self._due.entries.size:
            self._due, self._due_place = self.pending.take_before(target), 0

    def _next_boundary(self) -> int:
        """The next boundary at which something can happen."""
        assert self.applied_ms is not None
        tick_ms = self._settings.tick_ms
        moments = [self.applied_ms // HOUR_MS * HOUR_MS + HOUR_MS - 1]
        if self._due_place < self._due.entries.size:
            moments.append(int(self._due.entries["effective_ms"][self._due_place]))
        arrival = self.supply.next_due()
        if arrival is not None:
            moments.append(arrival[0])
        rows = self.state.rows()
        if rows.size:
            due = rows["next_review_ms"]
            moments.append(int(np.where(due == 0, _NEVER, due).min()) - 1)
        moments.append(self.alerts.next_ms(self.applied_ms, rows))
        earliest = max(min(moments), self.applied_ms)
        return (earliest // tick_ms + 1) * tick_ms

    def _apply(self, boundary: int) -> None:
        state = self.state
        self._apply_events(boundary)
        called = close_tick(state, boundary)
        if called.size:
            review_surges(state, self._cache, called.astype(np.int64), boundary)
        watch_silence(state, boundary)
        if boundary % HOUR_MS == 0:
            update_shortfalls(state, boundary)
        if boundary % DAY_MS == 0:
            close_day(state, boundary)
        review_due(state, self._cache, boundary)
        state.effects.extend(self.alerts.close_tick(boundary, self.items))
        for order in self.alerts.take_marked():
            self.supply.mark(order)
        self.applied_ms = boundary
        if self._due_place == self._due.entries.size:
            self.pending.settle()

    # -- events -------------------------------------------------------------------------------

    def _apply_events(self, boundary: int) -> None:
        """Apply entries and due arrivals before the boundary, in event time."""
        assert self.applied_ms is not None
        self.state.renew_plan()
        entries = self._due.entries
        stop = int(np.searchsorted(entries["effective_ms"], boundary))
        updates = [place for place in self._due.updates if self._due_place <= place < stop]
        for place in [*sorted(updates), stop]:
            moment = int(entries["effective_ms"][place]) if place < stop else boundary
            self._apply_plain(place, moment)
            if place < stop:
                item = int(entries["item"][place])
                tell(self.state, item, self._due.updates[place], moment)
                self._due_place = place + 1
        self._forget_updates(stop)

    def _apply_plain(self, stop: int, until_ms: int) -> None:
        """Apply entries up to a place, with the arrivals that are due among them."""
        while (arrival := self.supply.next_due()) is not None and arrival[0] < until_ms:
            times = self._due.entries["effective_ms"][self._due_place : stop]
            before = self._due_place + int(np.searchsorted(times, arrival[0]))
            self._apply_slice(before)
            arrive(self.state, self.supply.take_due(), arrival[0])
        self._apply_slice(stop)

    def _apply_slice(self, stop: int) -> None:
        entries = self._due.entries[self._due_place : stop]
        self._due_place = stop
        if not entries.size:
            return
        bad = entries["code"] == Kind.DEAD_LETTER
        if bad.any():
            newest_ms = int(entries["effective_ms"][bad][-1])
            self.alerts.inputs.note_dead_letters(int(bad.sum()), newest_ms)
            entries = entries[~bad]
        is_update = entries["code"] == Kind.ENTITY
        plain = entries[~is_update] if is_update.any() else entries
        touched = self._move(plain)
        self.state.changed.add(touched)
        self.alerts.touch(touched)
        opened = plain["effective_ms"][plain["is_new_order"]]
        if opened.size:
            self.alerts.order_feed.note(opened.size, int(opened[0]), int(opened[-1]))
            self.state.shop_orders += opened.size

    def _move(self, entries: Table) -> Int32Array:
        items = entries["item"].astype(np.int64)
        in_campaign = in_window(self.state.lines, items, entries["effective_ms"])
        # A shop that begins with a sale has nothing else to learn the hours of its day from.
        teaches = ~in_campaign if self.state.profile.is_known else np.True_
        if items.size:
            rows = Columns(self.items.rows, items)
            teaches &= ~had_surges(rows, int(entries["effective_ms"][0]))
        baseline = entries["effective_ms"][entries["is_new_order"] & teaches]
        self.state.tick_hour_orders += np.bincount(baseline // HOUR_MS % 24, minlength=24)
        touched, written_off = apply_entries(
            entries,
            self.items.rows,
            self.state.open_lines,
            in_campaign,
            self.state.profile.elapsed,
            self.state.shop_orders,
            0.5 ** (1.0 / self._settings.estimate.size_half_life_orders),
        )
        if written_off.lines:
            self.state.written_off.update(
                {WRITTEN_OFF_LINES: written_off.lines, WRITTEN_OFF_UNITS: written_off.units}
            )
            _log.warning(
                "partition %d: %d open order lines of %d units are written off, oldest first: more "
                "than %d are open. Does every order get its dispatched or cancelled event?",
                self._partition,
                *written_off,
                self._settings.open_lines,
            )
        return touched

    def _forget_updates(self, stop: int) -> None:
        if self._due.updates:
            left = {place: event for place, event in self._due.updates.items() if place >= stop}
            self._due = Due(self._due.entries, left)
