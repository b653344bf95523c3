"""The second stage: the groups of a shop, judged at each boundary from the facts of all partitions.

Many thin items, each too weak to alarm alone, may surge together; a feed that has died is silent
everywhere. So each group has a row of the same fields as an item, and its total is tested as an
item is (`streams.detection.surge`, `streams.detection.shortfall`), with the groups' part of the
budget, by the hour. What differs:

- Orders of items count, not carts: a cart of many items is a clump, which the dispersion of the
  group's hours has learned.
- Items in a surge of their own leave the total, with their part of its baseline: they have their
  own incidents.
- The null follows the group's own days: a shop whose days differ by 7 % is in a surge at 1.3 times
  its baseline, one item is not.
- A group is on sale as far as its items are: a stock-out of many does not teach that the group
  sells little, and their refill is no surge.
- The shop's week is learned from all its orders.

Pure: facts in, alerts out. A boundary is applied once all partitions have said everything up to it
(`streams.groups.inbox`), so the result is the same at any pace and for any number of partitions.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import msgspec
import numpy as np

from streams.contracts.alerts import AlertKind, AlertState
from streams.contracts.outgoing import OutboxRecord
from streams.demand.baseline import Pool, baseline_dispersion, learn_baseline, pool_items
from streams.demand.hourly_dispersion import close_hours
from streams.demand.week_profile import (
    Profile,
    due_by_hour,
    flat_profile,
    hours_of_day,
    learn_day,
    operational_days,
)
from streams.detection.factors import baseline_rate_of
from streams.detection.imports import holds_the_day
from streams.detection.order_feed import NEVER, OrderFeed, OrderFeedState
from streams.detection.shortfall import (
    begin_plans_anew,
    close_plan_day,
    forget_plans,
    has_caught_up,
    is_short,
    weigh_plans,
)
from streams.detection.surge import NULL_FACTOR, Blackout, is_proved_still, surge_tick
from streams.exact_sums import MILLIONTHS
from streams.groups.facts import Boundary, CloseWindow, Day, Facts, Member, grid_end_ms
from streams.groups.inbox import Inbox
from streams.groups.members import Members
from streams.groups.rows import CAMPAIGN, SHOP, GroupRows
from streams.groups.whole_incidents import WholeIncidents
from streams.incidents.group_incidents import GroupIncident
from streams.incidents.records import input_alert
from streams.settings import (
    GroupSettings,
)
from streams.state.items import Columns
from streams.timestamps import DAY_MS, HOUR_MS
from streams.types import Float64Array, Int32Array

ORDERS = "orders"
"""The subject of an incident of the order feed."""

_WHOLE_SHARE = 0.95  # of its items' baseline on sale, on a day that teaches its hours
_LEAST_SHARE = 0.05  # of its baseline, however many of its items left the total
_LEAST_NULL = 1.15  # times the baseline, that no group's null is below
_KNOWN_ORDERS = 10.0  # of a day, that the hours known before are worth
_PRIOR_SIZE, _PRIOR_DAYS = 20.0, 3.0  # how much its days differ, until its own have told

Parts = Sequence[tuple[int, Boundary]]  # of one boundary, by partition


class GroupState(msgspec.Struct, kw_only=True):
    """What has to be stored beside the rows."""

    applied_ms: int
    partitions: int
    profile: list[float]
    order_feed: OrderFeedState
    hour_orders: list[int]
    imported_orders: int
    silent_since_ms: int
    surges: dict[str, GroupIncident]
    shortfalls: dict[str, GroupIncident]
    surging: dict[int, list[Member]]
    short: dict[int, list[Member]]


class GroupStage:
    """All groups of a shop.

    Args:
        settings: of the tests.
    """

    def __init__(self, settings: GroupSettings) -> None:
        self._settings = settings
        baseline = replace(settings.surge.baseline, prior_size=_PRIOR_SIZE, prior_days=_PRIOR_DAYS)
        self._surge = replace(settings.surge, baseline=baseline)
        self.inbox = Inbox()
        self.rows = GroupRows()
        self.order_feed = OrderFeed(settings.order_feed)
        self.silent_since_ms = 0  # open incident; 0: none
        self._hour_orders = np.zeros(24, np.int64)  # of the open day
        self._imported_orders = 0  # likewise, that say nothing of hours
        self.incidents = WholeIncidents(settings.incidents, self._surge, self.rows)
        self._profile = flat_profile()
        self._surging, self._short = Members(), Members()
        self._pool_groups()

    def fold(self, facts: Facts | CloseWindow, offset: int) -> None:
        """Take in a record of `group-facts`; `advance` applies what is complete."""
        self.inbox.put(facts, offset)

    def advance(self) -> Iterable[OutboxRecord]:
        """Apply every boundary of which all partitions have said everything."""
        inbox = self.inbox
        limit_ms = inbox.limit_ms // self._settings.grid_ms * self._settings.grid_ms
        while inbox.applied_ms < limit_ms:
            at_ms = min(limit_ms, self._next_ms(limit_ms))
            yield from self._apply(inbox.take(at_ms), at_ms)
            inbox.note_applied(at_ms)

    def _next_ms(self, limit_ms: int) -> int:
        """The next boundary at which something can happen, at most the limit."""
        applied_ms, grid_ms = self.inbox.applied_ms, self._settings.grid_ms
        moments = [limit_ms]
        if (facts_ms := self.inbox.next_ms()) is not None:
            moments.append(facts_ms)
        if self._looks_hourly():
            moments.append(applied_ms // HOUR_MS * HOUR_MS + HOUR_MS)
        silence_ms = NEVER if self.silent_since_ms else self.order_feed.silence_ends_ms()
        if silence_ms < limit_ms:
            moments.append(max(grid_end_ms(silence_ms, grid_ms), applied_ms + grid_ms))
        return min(moments)

    def _looks_hourly(self) -> bool:
        is_open = self.incidents.surges.open or self.incidents.shortfalls.open
        return bool(is_open) or bool((self.rows.used["surge_since_ms"] > 0).any())

    def _apply(self, parts: Parts, at_ms: int) -> Iterable[OutboxRecord]:
        is_hour, has_news = at_ms % HOUR_MS == 0, False
        for partition, facts in parts:
            self._join(facts)
            if facts.surging is not None:
                self._surging.put(partition, facts.surging)
                has_news = True
            if facts.short is not None:
                self._short.put(partition, facts.short)
        yield from self._take_orders(parts, at_ms)
        if is_hour:
            self._test_totals(parts, at_ms)
        if not is_hour:  # at a full hour, an item that has just calmed still counts for its group
            self._surging.forget_calmed()
        if is_hour or has_news:
            yield from self._update_surges(parts, at_ms)
        for members in (self._surging, self._short):
            members.forget_calmed()
        if is_hour:
            yield from self._judge_plans(parts, at_ms)
        if at_ms % DAY_MS == 0:
            self._close_day([facts.day for _, facts in parts if facts.day is not None], at_ms)

    # -- orders -------------------------------------------------------------------------------

    def _join(self, facts: Boundary) -> None:
        """Let items bring their baseline orders into groups."""
        for group, rate in facts.joined:
            row = self.rows.row(group)
            if row["baseline_days"] == 0:
                surge = self._surge
                row["baseline_days"] = surge.baseline.weight_of(surge.minimum_days)
            row["baseline_orders"] += rate / MILLIONTHS * row["baseline_days"]
            self.rows.note_changed(self.rows.places([group]))

    def _take_orders(self, parts: Parts, at_ms: int) -> Iterable[OutboxRecord]:
        """Take the ticks into the feed; raise and resolve its silence."""
        feed, tick_ms = self.order_feed, self._settings.tick_ms
        by_tick = defaultdict(list)
        for _, facts in parts:
            for tick in facts.ticks:
                by_tick[tick.start_ms].append(tick)
        for start_ms, ticks in sorted(by_tick.items()):
            orders = sum(tick.orders for tick in ticks)
            imported = sum(tick.orders for tick in ticks if tick.is_import)
            first_ms = min(tick.first_ms for tick in ticks)
            feed.note(orders, first_ms, max(tick.newest_ms for tick in ticks))
            if feed.close_tick(start_ms + tick_ms, tick_ms, is_import=2 * imported >= orders):
                self._imported_orders += orders
            else:
                self._hour_orders[start_ms // HOUR_MS % 24] += orders
        since_ms = self.silent_since_ms
        if since_ms and feed.last_order_ms > since_ms:
            self.silent_since_ms = 0
            yield _silence(AlertState.RESOLVED, since_ms, at_ms)
        elif not since_ms and feed.silence_ends_ms() <= at_ms:
            self.silent_since_ms = feed.last_order_ms
            yield _silence(AlertState.RAISED, feed.last_order_ms, at_ms)

    # -- surges -------------------------------------------------------------------------------

    def _test_totals(self, parts: Parts, at_ms: int) -> None:
        """Run the surge test for the totals of groups, over the hour that ends."""
        sums: dict[str, list[int]] = {}
        for _, facts in parts:
            for fact in facts.hours:
                total = sums.setdefault(fact.group, [0, 0, 0])
                total[0] += fact.orders
                total[1] += fact.missing_millionths
                total[2] += fact.planned_millionths
        places = self.rows.places(list(sums))
        rows = self.rows.used
        for place, (orders, _, _) in zip(places.tolist(), sums.values(), strict=True):
            rows["tick_orders"][place] = orders
        is_tested = (rows["tick_orders"] > 0) | (rows["surge_since_ms"] > 0)
        if at_ms % DAY_MS == 0:
            is_tested |= rows["surge_sums"].any(axis=1)
        tested = np.flatnonzero(is_tested).astype(np.int32)
        if not tested.size:
            return
        self.rows.note_changed(tested)
        means = surge_tick(
            rows,
            tested,
            self._profile,
            at_ms,
            HOUR_MS,
            self._pool,
            self._surge,
            self._blackout(at_ms),
            self._plan_factors(sums, at_ms)[tested],
            level=self._surge.group_level,
            null_factors=self._null_factors()[tested],
        )
        self._call(tested, means, at_ms)

    def _blackout(self, at_ms: int) -> Blackout:
        """The time of which the orders say nothing; of groups, also the hour of an import."""
        feed = self.order_feed
        if feed.state.import_ms >= at_ms - HOUR_MS:
            return Blackout(feed.state.import_ms, max(feed.blackout.end_ms, at_ms))
        return feed.blackout

    def _plan_factors(self, sums: dict[str, list[int]], at_ms: int) -> Float64Array:
        """How many times its baseline orders are due of each group: plans more, left out less."""
        factors = np.ones(len(self.rows.used))
        days = float(operational_days(self._profile.elapsed, at_ms - HOUR_MS, at_ms))
        for group, (_, missing, planned) in sums.items():
            row = self.rows.row(group)
            if not row["baseline_days"] > 0 or not row["baseline_orders"] > 0:
                continue
            rate = float(row["baseline_orders"] / row["baseline_days"])
            factor = 1.0 - missing / MILLIONTHS / rate
            if days > 0:
                factor += planned / MILLIONTHS / (rate * days)
            factors[self.rows.place(group)] = max(factor, _LEAST_SHARE)
        return factors

    def _null_factors(self) -> Float64Array:
        """How many times its baseline a group's day may bring: two standard deviations more."""
        spread = baseline_dispersion(self.rows.used, self._pool, self._surge.baseline)
        factors: Float64Array = np.clip(1.0 + 2.0 * np.sqrt(spread), _LEAST_NULL, NULL_FACTOR)
        return factors

    def _call(self, tested: Int32Array, means: Float64Array, at_ms: int) -> None:
        rows = Columns(self.rows.rows, tested)
        is_open = rows["surge_since_ms"] > 0
        is_proved = is_proved_still(rows, means, self._surge.group_level, self._surge)
        called = tested[is_proved & ~is_open]
        ended = tested[is_open & (rows["surge_path"] <= 0)]
        self.rows.rows["surge_since_ms"][called] = at_ms
        self.rows.rows["surge_since_ms"][ended] = 0
        self.rows.rows["surge_sums"][ended] = 0.0

    def _update_surges(self, parts: Parts, at_ms: int) -> Iterable[OutboxRecord]:
        totals = self.rows.named(np.flatnonzero(self.rows.rows["surge_since_ms"] > 0))
        sold: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for _, facts in parts:
            for fact in facts.hours:
                sold[fact.group] += [(-orders, item) for item, orders in fact.sellers]
        sellers = {group: [item for _, item in sorted(every)[:5]] for group, every in sold.items()}
        members = self._surging.by_group()
        return self.incidents.update_surges(members, totals, sellers, at_ms)

    # -- plans --------------------------------------------------------------------------------

    def _judge_plans(self, parts: Parts, at_ms: int) -> Iterable[OutboxRecord]:
        """Judge the total of each campaign as that of an item."""
        due: dict[str, int] = defaultdict(int)
        sold: dict[str, int] = defaultdict(int)
        for _, facts in parts:
            for fact in facts.plans:
                due[fact.group] += fact.due_millionths
                sold[fact.group] += fact.sold_millionths
        names = sorted(due)
        places, surge = self.rows.places(names), self._surge
        rows = self.rows.rows
        rows["plan_day_orders"][places] = [round(sold[name] / MILLIONTHS) for name in names]
        orders = np.array([due[name] / MILLIONTHS for name in names])
        evidence = weigh_plans(rows, places, orders, self._pool, surge)
        is_open = rows["plan_shortfall_since_ms"][places] > 0
        called = places[is_short(rows, places, evidence, surge) & ~is_open]
        caught_up = is_open & has_caught_up(evidence, surge)
        rows["plan_shortfall_since_ms"][called] = at_ms
        rows["plan_shortfall_since_ms"][places[caught_up]] = 0
        begin_plans_anew(rows, places[caught_up], evidence[caught_up])
        if at_ms % DAY_MS == 0:
            close_plan_day(rows, places, self._pool, surge)
        others = np.setdiff1d(np.arange(len(self.rows.used)), places)
        over = others[(rows["plan_due_orders"][others] > 0) | (rows["plan_day_orders"][others] > 0)]
        forget_plans(rows, over)
        rows["plan_shortfall_since_ms"][over] = 0
        self.rows.note_changed(np.concatenate([places, over]))
        short = self.rows.named(np.flatnonzero(rows["plan_shortfall_since_ms"] > 0))
        return self.incidents.update_shortfalls(self._short.by_group(), short, at_ms)

    # -- days ---------------------------------------------------------------------------------

    def _close_day(self, days: Sequence[Day], at_ms: int) -> None:
        """Take the closed day into the week and into the baseline of each group."""
        if not days:
            return
        before, day_ms, feed = self._profile, at_ms - DAY_MS, self.order_feed
        is_dark = feed.state.is_outage and feed.blackout.end_ms > day_ms
        hours = self._taught_hours(day_ms, is_dark=is_dark)
        start_ms = max(day_ms, min(day.start_ms for day in days))
        counts_days = float(operational_days(before.elapsed, start_ms, at_ms))
        if start_ms == day_ms:  # half a day would teach the wrong hours
            self._profile, counts_days = learn_day(
                before, hours, day_ms // DAY_MS, self._settings.profile
            )
        self._teach(days, counts_days)
        is_calm = not is_dark and feed.state.import_ms < day_ms and start_ms == day_ms
        rows, baseline = self.rows.used, self._surge.baseline
        is_whole = rows["day_exposure_days"] >= _WHOLE_SHARE * counts_days
        calm = is_whole & (rows["surge_since_ms"] == 0)
        teaches = calm & (is_calm and before.is_known and counts_days > 0)
        close_hours(rows, before.elapsed, day_ms, teaches, baseline.hours)
        learn_baseline(
            rows,
            self._pool,
            baseline,
            null_factor=NULL_FACTOR,
            least_rate=self._surge.least_rate,
        )
        rows["day_taught_orders"] = 0
        self._forget_campaigns({CAMPAIGN + name for day in days for name in day.campaigns})
        self.rows.note_changed(np.arange(len(rows)))
        self._pool_groups()
        feed.close_day()
        feed.learn_rate(self._order_rate(), self._profile)

    def _taught_hours(self, day_ms: int, *, is_dark: bool) -> Float64Array:
        """Take the orders of the day by hour; what an outage or an import hides is as ever."""
        hours, imported = self._hour_orders.astype(np.float64), self._imported_orders
        self._hour_orders, self._imported_orders = np.zeros(24, np.int64), 0
        feed = self.order_feed.state
        if holds_the_day(feed.day_burst_orders, feed.day_orders, self._settings.tick_ms):
            hour = feed.day_burst_ms // HOUR_MS % 24
            burst = min(feed.day_burst_orders, int(hours[hour]))
            hours[hour] -= burst
            imported += burst
        if is_dark and self._profile.is_known:
            return due_by_hour(self._profile, day_ms // DAY_MS)
        shape = hours + _KNOWN_ORDERS * hours_of_day(self._profile, day_ms)
        known: Float64Array = hours + imported * shape / shape.sum()
        return known

    def _order_rate(self) -> float:
        """Orders of the whole shop that are due a day."""
        shop = self.rows.row(SHOP)
        return baseline_rate_of(shop, self._surge) if shop["baseline_days"] > 0 else 0.0

    def _teach(self, days: Sequence[Day], counts_days: float) -> None:
        """Set the orders of the day, and for how long each group was on sale."""
        sums: dict[str, list[int]] = {}
        for day in days:
            for fact in day.groups:
                total = sums.setdefault(fact.group, [0, 0, 0])
                total[0] += fact.orders
                total[1] += fact.rate_millionths
                total[2] += fact.on_sale_millionths
        self.rows.places(list(sums))
        self.rows.used["day_exposure_days"] = counts_days
        for group, (orders, rate, on_sale) in sums.items():
            row = self.rows.row(group)
            row["day_taught_orders"] = orders
            if rate > 0:
                row["day_exposure_days"] = counts_days * (on_sale / rate)

    def _forget_campaigns(self, living: set[str]) -> None:
        """Forget the campaigns that are over, once nothing of them is open."""
        for name in self.rows.names:
            row = self.rows.row(name)
            is_over = name.startswith(CAMPAIGN) and name not in living
            is_open = row["surge_since_ms"] or row["plan_shortfall_since_ms"]
            if is_over and not is_open and name not in self.incidents.surges.open:
                self.rows.remove(name)

    def _pool_groups(self) -> None:
        """Tell anew what the groups have in common; between two days' ends it stays the same."""
        found = pool_items(self.rows.living(), 0.0, self._surge.baseline)
        self._pool = Pool(0.0, found.dispersion, found.pace, found.hours)

    # -- what to store ------------------------------------------------------------------------

    def open_incidents(self) -> dict[AlertKind, int]:
        """Return the open incidents of groups, by kind."""
        return {
            AlertKind.BROAD_SURGE: len(self.incidents.surges.open),
            AlertKind.PLAN_SHORTFALL: len(self.incidents.shortfalls.open),
            AlertKind.STALE_INPUT: int(self.silent_since_ms > 0),
        }

    def state(self) -> GroupState:
        """What has to be stored beside the rows."""
        return GroupState(
            applied_ms=self.inbox.applied_ms,
            partitions=self.inbox.partitions,
            profile=self._profile.state(),
            order_feed=self.order_feed.state,
            hour_orders=self._hour_orders.tolist(),
            imported_orders=self._imported_orders,
            silent_since_ms=self.silent_since_ms,
            surges=self.incidents.surges.open,
            shortfalls=self.incidents.shortfalls.open,
            surging=self._surging.state(),
            short=self._short.state(),
        )

    def restore(self, state: GroupState, rows: dict[str, bytes]) -> None:
        """Take over what was stored."""
        self.inbox.restore(state.applied_ms, state.partitions)
        self.rows.restore(rows)
        self._profile = Profile.restore(state.profile, self._settings.profile)
        self.order_feed.state = state.order_feed
        self.order_feed.learn_rate(self._order_rate(), self._profile)
        self.silent_since_ms = state.silent_since_ms
        self._hour_orders = np.array(state.hour_orders, np.int64)
        self._imported_orders = state.imported_orders
        self.incidents.surges.open = state.surges
        self.incidents.shortfalls.open = state.shortfalls
        self._surging.restore(state.surging)
        self._short.restore(state.short)
        self._pool_groups()


def _silence(state: AlertState, since_ms: int, at_ms: int) -> OutboxRecord:
    figures = {"silent_seconds": (at_ms - since_ms) // 1000}
    return input_alert(AlertKind.STALE_INPUT, state, ORDERS, since_ms, at_ms, figures)
