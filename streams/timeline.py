"""Event time: boundary by boundary, what waited takes effect, buckets close, reviews run.

At each boundary, a multiple of the tick: the events before it, then the surge test for items with
orders, then the day's estimates where a day ends, then the reviews that are due, then the alerts.
Boundaries at which nothing can happen are jumped over; the result is that of visiting each.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
import numpy as np

from policy import PolicyCache
from streams import events
from streams.alerts import Alerts, AlertSettings
from streams.broad import groups_of
from streams.campaigns import (
    Lines,
    Uplift,
    campaign_lines,
    in_window,
    item_window_days,
    planned_extra_units,
    planned_orders,
    planned_units,
)
from streams.estimate import Correction, EstimateSettings, close_day
from streams.events import AnyEvent, Kind
from streams.exposure import SilenceSettings, close_exposure, note_stock, suspicious_items
from streams.incidents import plan_factors, surge_demand
from streams.items import Columns, Items
from streams.levels import Levels
from streams.movements import apply_entries
from streams.outbox import Outgoing, order_record
from streams.outputs import PurchaseOrder, SupplierRole
from streams.pending import ENTRY, Due, Pending
from streams.profile import (
    Profile,
    ProfileSettings,
    flat_profile,
    learn_day,
    operational_days,
)
from streams.review import (
    ReviewSettings,
    decide_items,
    expected_demand,
    first_review_ms,
    period_ms,
    purchase_orders,
    service_type_code,
)
from streams.rings import DAY_MS, HOUR_MS
from streams.shortfall import (
    begin_plans_anew,
    close_plan_day,
    due_orders,
    forget_plans,
    has_caught_up,
    is_short,
    open_lines,
    weigh_plans,
)
from streams.supplier_terms import has_terms, supplier_terms
from streams.supply import OpenOrder, Supply
from streams.surge import NULL_FACTOR, SurgeSettings, is_proved_still, surge_tick
from streams.text import one_time
from streams.types import BoolArray, Float64Array, Int32Array, Int64Array, Table
from streams.usual import learn_usual, pool_items

_NEVER = np.iinfo(np.int64).max


class Word(NamedTuple):
    """What people, ERP or suppliers said of a purchase order."""

    po_id: str
    sku: str
    warehouse: str
    response: str  # the kind of event in `order-responses`


@dataclass(frozen=True, slots=True)
class TimelineSettings:
    """How event time is cut, and the parts' own settings."""

    tick_ms: int = 60_000
    profile: ProfileSettings = field(default_factory=ProfileSettings)
    estimate: EstimateSettings = field(default_factory=EstimateSettings)
    silence: SilenceSettings = field(default_factory=SilenceSettings)
    surge: SurgeSettings = field(default_factory=SurgeSettings)
    review: ReviewSettings = field(default_factory=ReviewSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)


class Timeline:
    """The part of a shard that depends on order: everything that waits for the watermark.

    Args:
        partition: the shard's number, named in alerts about its inputs.
        settings: as above.
        cache: solved policies, shared by all shards of a worker; never decides anything.
    """

    def __init__(self, partition: int, settings: TimelineSettings, cache: PolicyCache) -> None:
        self._settings = settings
        self._cache = cache
        self.items = Items()
        self.pending = Pending()
        self.supply = Supply()
        self.levels = Levels(settings.surge)
        self.alerts = Alerts(
            partition, settings.alerts, settings.surge, self._groups_of, self.levels
        )
        self.catalog: dict[int, events.Item] = {}
        self._special: set[int] = set()  # items whose suppliers have breaks or dispatch days
        self.campaigns: dict[int, dict[str, events.CampaignLine]] = {}
        self.profile: Profile = flat_profile()
        self.lines = campaign_lines(self.campaigns)
        self.uplifts: dict[str, Uplift] = {}
        self.correction = Correction()
        self.shop_orders = 0
        self.shop_rate = 0.0
        self._is_plan_old = False
        self._categories: Int32Array | None = None
        self._silent: set[int] = set()
        self.pool_items()
        self.hour_orders: Float64Array = np.zeros(24)
        self.applied_ms: int | None = None
        self.reviews = 0
        self._start_ms = 0
        self._due = Due(np.zeros(0, ENTRY), {})
        self._due_place = 0
        self._effects: list[Outgoing | Word] = []
        self._decisions: list[Table] = []
        self._changed: set[int] = set()
        self._told_changed: set[int] = set()

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
        self._start_ms = start_ms
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
        rows = self._rows()
        if rows.size:
            due = rows["next_review_ms"]
            moments.append(int(np.where(due == 0, _NEVER, due).min()) - 1)
        moments.append(self.alerts.next_ms(self.applied_ms, rows))
        earliest = max(min(moments), self.applied_ms)
        return (earliest // tick_ms + 1) * tick_ms

    def _apply(self, boundary: int) -> None:
        self._apply_events(boundary)
        self._close_tick(boundary)
        self._watch_silence(boundary)
        if boundary % HOUR_MS == 0:
            self._watch_plans(boundary)
        if boundary % DAY_MS == 0:
            self._close_day(boundary)
        self._review(boundary)
        self._effects.extend(self.alerts.close_tick(boundary, self.items))
        for order in self.alerts.take_marked():
            self.supply.mark(order)
        self._changed.update(self.alerts.take_changed())
        self.applied_ms = boundary
        if self._due_place == self._due.entries.size:
            self.pending.settle()

    # -- events -------------------------------------------------------------------------------

    def _apply_events(self, boundary: int) -> None:
        """Apply entries and due arrivals before the boundary, in event time."""
        if self._is_plan_old:  # a changed plan holds from the next tick on
            self.lines, self._is_plan_old = campaign_lines(self.campaigns), False
            assert self.applied_ms is not None
            day_ms = self.applied_ms // DAY_MS * DAY_MS
            self.levels.set_lines(self.lines, len(self.items), day_ms)
        entries = self._due.entries
        stop = int(np.searchsorted(entries["effective_ms"], boundary))
        told = [place for place in self._due.told if self._due_place <= place < stop]
        for place in [*sorted(told), stop]:
            moment = int(entries["effective_ms"][place]) if place < stop else boundary
            self._apply_plain(place, moment)
            if place < stop:
                item = int(entries["item"][place])
                self._tell(item, self._due.told[place], moment)
                self._due_place = place + 1
        self._forget_told(stop)

    def _apply_plain(self, stop: int, until_ms: int) -> None:
        """Apply entries up to a place, with the arrivals that are due among them."""
        while (arrival := self.supply.next_due()) is not None and arrival[0] < until_ms:
            times = self._due.entries["effective_ms"][self._due_place : stop]
            before = self._due_place + int(np.searchsorted(times, arrival[0]))
            self._apply_slice(before)
            self._arrive(self.supply.take_due(), arrival[0])
        self._apply_slice(stop)

    def _apply_slice(self, stop: int) -> None:
        entries = self._due.entries[self._due_place : stop]
        self._due_place = stop
        if not entries.size:
            return
        bad = entries["code"] == Kind.DEAD_LETTER
        if bad.any():
            self.alerts.note_dead_letters(int(bad.sum()), int(entries["effective_ms"][bad][-1]))
            entries = entries[~bad]
        plain = entries[entries["code"] != Kind.TOLD]
        touched = self._move(plain)
        self._changed.update(touched.tolist())
        self.alerts.touch(touched)
        opened = plain["effective_ms"][plain["is_new_order"]]
        if opened.size:
            self.alerts.feed.note(opened.size, int(opened[0]), int(opened[-1]))
            hours = opened // HOUR_MS % 24
            self.hour_orders += np.bincount(hours, minlength=24)
            self.shop_orders += opened.size

    def _move(self, entries: Table) -> Int32Array:
        items = entries["item"].astype(np.int64)
        in_campaign = in_window(self.lines, items, entries["effective_ms"])
        self.levels.count(entries, in_campaign, len(self.items))
        return apply_entries(
            entries,
            self.items.rows,
            in_campaign,
            self.profile.elapsed,
            self.shop_orders,
            0.5 ** (1.0 / self._settings.estimate.size_half_life_orders),
        )

    def _forget_told(self, stop: int) -> None:
        if self._due.told:
            left = {place: event for place, event in self._due.told.items() if place >= stop}
            self._due = Due(self._due.entries, left)

    def _tell(self, item: int, event: AnyEvent, moment: int) -> None:
        """Apply an event that is told in full."""
        match event:
            case events.Item():
                self._describe(item, event, moment)
            case events.CampaignLine():
                lines = self.campaigns.setdefault(item, {})
                if event.campaign_id not in lines:
                    self.levels.join(f"campaign:{event.campaign_id}", self.items.rows[item])
                lines[event.campaign_id] = event
                self._told_changed.add(item)
                self._is_plan_old = True
            case events.CampaignCancelled():
                self.campaigns.get(item, {}).pop(event.campaign_id, None)
                self.items.rows[item]["campaign_units"] = 0
                self.items.rows[item]["campaign_everyday_units"] = 0.0
                forget_plans(self.items.rows, np.array([item]))
                self._told_changed.add(item)
                self._is_plan_old = True
            case events.Inbound():
                self._inbound(item, event, moment)
            case events.Response():
                self._respond(item, event)
        self._changed.add(item)
        self.alerts.touch(np.array([item], np.int32))

    def _describe(self, item: int, line: events.Item, moment: int) -> None:
        row = self.items.rows[item]
        self._keep_line(item, line)
        self._categories = None
        if self.levels.set_category(item, line.category):
            self.levels.join(f"category:{line.category}", row)
        self._told_changed.add(item)
        for name in line.__struct_fields__:
            if name in row.dtype.names and name not in ("service_type", "service_target"):
                value = getattr(line, name)
                row[name] = np.inf if value is None else value
        row["service_target"] = line.service_target or 0.0
        row["service_type"] = service_type_code(line.service_type, line.service_target)
        slot_ms = self._settings.review.slot_ms
        period = int(period_ms(self.items.rows[item : item + 1], slot_ms)[0])
        row["next_review_ms"] = first_review_ms(self.items.key(item), moment, period, slot_ms)

    def _keep_line(self, item: int, line: events.Item) -> None:
        self.catalog[item] = line
        if has_terms(line):
            self._special.add(item)
        else:
            self._special.discard(item)

    def _inbound(self, item: int, event: events.Inbound, moment: int) -> None:
        order = self.supply.get(event.po_id)
        due_ms = None if event.expected_at is None else one_time(event.expected_at)
        if isinstance(event, events.Received):
            self._put_on_shelf(item, event.quantity, moment)
        if order is None or order.item != item:
            return
        taken = event.quantity if isinstance(event, events.Received | events.Rejected) else 0
        self._change_order(order, outstanding=order.outstanding - taken, due_ms=due_ms)

    def _put_on_shelf(self, item: int, units: int, moment: int) -> None:
        self.items.rows[item]["on_hand_units"] += units
        note_stock(self.items.rows, item, moment, self.profile.elapsed, self.shop_orders)

    def _respond(self, item: int, event: events.Response) -> None:
        said = str(event.__struct_config__.tag)
        self._effects.append(Word(event.po_id, *self.items.names[item], said))
        order = self.supply.get(event.po_id)
        if order is None or order.item != item:
            return
        order.state = said
        if isinstance(event, events.OrderRejected | events.OrderCancelled):
            self._change_order(order, outstanding=0)
        elif isinstance(event, events.OrderChanged):
            arrived = order.quantity - order.outstanding
            order.quantity = event.new_quantity
            due_ms = None if event.expected_at is None else one_time(event.expected_at)
            self._change_order(order, outstanding=event.new_quantity - arrived, due_ms=due_ms)
        elif isinstance(event, events.Acknowledged) and event.expected_at is not None:
            self._change_order(
                order, outstanding=order.outstanding, due_ms=one_time(event.expected_at)
            )
        else:
            self.supply.mark(order)

    def _arrive(self, order: OpenOrder, moment: int) -> None:
        """An order's due date has come: it is taken as received, or from now on it is late."""
        if order.is_assumed:
            self._put_on_shelf(order.item, order.outstanding, moment)
            self._change_order(order, outstanding=0)
        else:
            self.alerts.expect(order, moment)

    def _change_order(
        self, order: OpenOrder, *, outstanding: int, due_ms: int | None = None
    ) -> None:
        if due_ms is not None and due_ms < 0:
            due_ms = None
        self.supply.change(order, outstanding=outstanding, due_ms=due_ms)
        self._count_supply(order.item)
        if order.outstanding == 0 or (due_ms is not None and due_ms > order.late_since_ms):
            self.alerts.settle(order)

    def _count_supply(self, item: int) -> None:
        row = self.items.rows[item]
        for role in SupplierRole:
            row[f"on_order_{role}_units"] = self.supply.on_order_units(item, role)
        row["next_due_ms"] = self.supply.next_arrival_ms(item)
        self._changed.add(item)

    # -- buckets ------------------------------------------------------------------------------

    def _close_tick(self, boundary: int) -> None:
        """Run the surge tests of items and of groups, and tell what they found."""
        self.alerts.feed.close_tick(boundary, self._settings.tick_ms)
        is_hour = boundary % HOUR_MS == 0
        if is_hour:
            self._test_groups(boundary)
        called, ended, grown = self._test_items(self._tested_items(boundary), boundary)
        alerts, items = self.alerts, self.items
        if called.size:
            self._effects.extend(alerts.call_surges(called, items, boundary))
        elif is_hour:
            self._effects.extend(alerts.watch_groups(items, boundary))
        # After the groups: an item that has calmed counts for its group until the next full hour.
        self._effects.extend(alerts.end_surges(ended, items, boundary))
        self._effects.extend(alerts.update_surges(grown, items, boundary))
        if called.size:
            self._review_surges(called.astype(np.int64), boundary)

    def _test_items(
        self, items: Int32Array, boundary: int
    ) -> tuple[Int32Array, Int32Array, Int32Array]:
        """Run the surge test for items; return who is called, who has calmed, and who has news."""
        if not items.size:
            return items, items, items
        self._changed.update(items.tolist())
        settings = self._settings
        self._effects.extend(self.alerts.call_bulk(items, self.items, boundary))
        means = surge_tick(
            self.items.rows,
            items,
            self.profile,
            boundary,
            settings.tick_ms,
            self.pool,
            settings.surge,
            self.alerts.feed.pause,
            self._plan_factors(items, boundary),
        )
        chosen = Columns(self.items.rows, items)
        is_open = chosen["surge_since_ms"] > 0
        enough = is_proved_still(chosen, means, settings.surge.level, settings.surge)
        called: Int32Array = items[enough & ~is_open]
        has_ended = is_open & (chosen["surge_path"] <= 0)
        ended = items[has_ended]
        grown = items[is_open & ~has_ended & _is_news(chosen, boundary, settings.surge)]
        return called, ended, grown

    def _test_groups(self, boundary: int) -> None:
        """Run the surge test for the totals of groups, over the hour that ends."""
        start = boundary - HOUR_MS
        lines, elapsed = self._lines_between(start, boundary), self.profile.elapsed
        items, rows = np.unique(lines.item), self._rows()
        planned = planned_orders(lines, rows, elapsed, start, boundary)[items]
        days = float(operational_days(elapsed, start, boundary))
        plans = self.levels.plan_factors((items, planned), rows, days)
        self.levels.close_hour(boundary, self.profile, self.alerts.feed.pause, plans)

    def _lines_between(self, start_ms: int, end_ms: int) -> Lines:
        """Campaign lines whose window lies in a stretch, at least in part."""
        return self.lines.chosen((self.lines.starts_ms < end_ms) & (self.lines.ends_ms > start_ms))

    def _watch_plans(self, boundary: int) -> None:
        """Raise and end shortfalls of campaign lines, and of whole campaigns, at a full hour."""
        lines = open_lines(self.lines, boundary)
        rows = self._rows()
        was_short = np.flatnonzero(rows["plan_shortfall_since_ms"] > 0)
        items = np.unique(np.concatenate([lines.item, was_short]))
        if not items.size and not self.alerts.short.open:
            return
        day_ms = (boundary - 1) // DAY_MS * DAY_MS
        until_ms = min(boundary, max(self.alerts.feed.last_order_ms, day_ms))
        stretch, pause = (day_ms, until_ms), self.alerts.feed.pause
        due = due_orders(lines, rows, items, self.profile.elapsed, stretch, pause)
        self._judge_plans(lines, items, due, boundary)
        self._judge_campaigns(lines, items, due, boundary)

    def _judge_plans(
        self, lines: Lines, items: Int64Array, due: Float64Array, boundary: int
    ) -> None:
        rows, surge = self._rows(), self._settings.surge
        evidence = weigh_plans(rows, items, due, self.pool.dispersion, surge)
        is_open = rows["plan_shortfall_since_ms"][items] > 0
        is_over = ~np.isin(items, lines.item[lines.ends_ms > boundary])
        called = items[is_short(rows, items, evidence, surge) & ~is_open & ~is_over]
        caught_up = is_open & ~is_over & has_caught_up(evidence, surge)
        ended = items[(is_open & is_over) | caught_up]
        left = self._units_left(boundary)
        self._effects.extend(self.alerts.call_shortfalls(called, self.items, boundary, left))
        self._effects.extend(self.alerts.end_shortfalls(ended, self.items, boundary, left))
        begin_plans_anew(rows, items[caught_up], evidence[caught_up])
        forget_plans(rows, items[is_over])
        if boundary % DAY_MS == 0:
            close_plan_day(rows, items[~is_over], self.pool.dispersion, surge)
        self._changed.update(items.tolist())

    def _units_left(self, boundary: int) -> Float64Array:
        """Units that the plans still expect of each item, shape (item,)."""
        lines = self.lines.chosen(self.lines.ends_ms > boundary)
        left = np.zeros(len(self.items))
        if lines.item.size:
            ends = int(lines.ends_ms.max())
            units = planned_units(lines, self.profile.elapsed, boundary, ends)
            np.add.at(left, lines.item, units)
        return left

    def _judge_campaigns(
        self, lines: Lines, items: Int64Array, due: Float64Array, boundary: int
    ) -> None:
        """Judge the total of each campaign as that of an item: its orders are arrivals."""
        levels, surge = self.levels, self._settings.surge
        places, arrivals = levels.campaign_arrivals(lines, items, due)
        rows = levels.rows
        evidence = weigh_plans(rows, places, arrivals, levels.pool.dispersion, surge)
        is_open = rows["plan_shortfall_since_ms"][places] > 0
        called = places[is_short(rows, places, evidence, surge) & ~is_open]
        caught_up = is_open & has_caught_up(evidence, surge)
        rows["plan_shortfall_since_ms"][called] = boundary
        rows["plan_shortfall_since_ms"][places[caught_up]] = 0
        begin_plans_anew(rows, places[caught_up], evidence[caught_up])
        if boundary % DAY_MS == 0:
            close_plan_day(rows, places, levels.pool.dispersion, surge)
        levels.forget_plans_but(places)
        levels.note_changed(places)
        self._effects.extend(self.alerts.watch_plans(levels.short, self.items, boundary))

    def _watch_silence(self, boundary: int) -> None:
        """Raise and end the suspicion that the stock of silent items is not there."""
        rows = self._rows()
        ended = self._ended_silences(boundary)
        if ended.size:
            is_real = rows["quiet_since_ms"][ended] < rows["silent_since_ms"][ended]
            is_real &= rows["out_since_ms"][ended] == 0
            self._effects.extend(self.alerts.end_silences(ended, self.items, boundary))
            rows["silent_since_ms"][ended[is_real]] = -1
            self._silent.difference_update(ended.tolist())
        if boundary % HOUR_MS == 0:
            silent = suspicious_items(
                rows,
                self.profile.elapsed,
                boundary,
                self.shop_orders,
                self.shop_rate,
                self._settings.silence,
            )
            self._effects.extend(self.alerts.call_silences(silent, self.items, boundary))
            self._silent.update(silent.tolist())

    def _ended_silences(self, boundary: int) -> Int32Array:
        """Silences that a sale, a refill, a count, an empty shelf or their length has ended."""
        items = np.array(sorted(self._silent), np.int32)
        rows = Columns(self.items.rows, items)
        since = rows["silent_since_ms"]
        is_over = (rows["quiet_since_ms"] >= since) | (rows["counted_at_ms"] >= since)
        is_over |= rows["out_since_ms"] != 0
        if boundary % HOUR_MS == 0:
            is_over |= boundary - since >= self._settings.silence.longest_days * DAY_MS
        return items[is_over]

    def _plan_factors(self, items: Int32Array, boundary: int) -> Float64Array | None:
        """How many times the everyday orders are planned for the tick; none without a campaign."""
        start = boundary - self._settings.tick_ms
        lines = self._lines_between(start, boundary)
        if not lines.item.size:
            return None
        elapsed = self.profile.elapsed
        planned = planned_orders(lines, self._rows(), elapsed, start, boundary)[items]
        days = float(operational_days(elapsed, start, boundary))
        chosen = Columns(self.items.rows, items)
        return plan_factors(chosen, planned, days, self._settings.surge)

    def _tested_items(self, boundary: int) -> Int32Array:
        """Items with orders in the tick; each hour those in a surge; each day all with evidence.

        Only at these times, so that it does not matter which other boundaries are visited.
        """
        rows = self._rows()
        is_tested = rows["tick_orders"] > 0
        if boundary % HOUR_MS == 0:
            is_tested |= rows["surge_since_ms"] > 0
        if boundary % DAY_MS == 0:
            is_tested |= rows["surge_sums"].any(axis=1)
        return np.flatnonzero(is_tested).astype(np.int32)

    def _close_day(self, boundary: int) -> None:
        rows = self._rows()
        self._changed.update(np.flatnonzero(rows["day_units"] | rows["day_orders"]).tolist())
        day_ms = boundary - DAY_MS
        start_ms = max(day_ms, self._start_ms)
        before = self.profile.elapsed
        counts_days = float(operational_days(before, start_ms, boundary))
        if start_ms == day_ms:  # half a day would teach the wrong hours
            self.profile, counts_days = learn_day(
                self.profile, self.hour_orders, day_ms // DAY_MS, self._settings.profile
            )
        self.hour_orders = np.zeros(24)
        planned_days = item_window_days(self.lines, rows.size, before, start_ms, boundary)
        everyday = planned_days * rows["demand_level_units_per_day"]
        rows["campaign_everyday_units"] += everyday
        changed = close_exposure(rows, before, start_ms, boundary, counts_days, planned_days)
        self._changed.update(np.flatnonzero(changed | (rows["day_undone_units"] > 0)).tolist())
        self.levels.close_day(rows, counts_days, boundary)
        self._learn_usual()
        settings = self._settings.estimate
        self.correction = close_day(
            rows, boundary, self._category_numbers(), self.correction, settings
        )
        self._close_windows(day_ms, boundary)
        self._effects.extend(self.alerts.end_bulk(self.items, boundary))
        self.alerts.feed.close_day()
        self.learn_rate()
        self._changed.update(np.flatnonzero(rows["observed_days"] > 0).tolist())

    def _learn_usual(self) -> None:
        surge = self._settings.surge
        learn_usual(
            self._rows(),
            self.pool,
            surge.usual,
            null_factor=NULL_FACTOR,
            least_rate=surge.least_rate,
        )
        rows = self._rows()
        learned = (rows["day_exposure_days"] > 0) & (rows["usual_days"] > 0)
        self._changed.update(np.flatnonzero(learned).tolist())
        self.pool_items()

    def learn_rate(self) -> None:
        """Take the shop's rate from the items, from a closed day on."""
        # Exact, so that it does not depend on the order in which the items were first seen.
        self.shop_rate = math.fsum(self._rows()["order_level_per_day"].tolist())
        self.alerts.learn_day(self.shop_rate, self.profile)

    def _category_numbers(self) -> Int32Array:
        """Number of each item's category, 0 for none."""
        if self._categories is None or self._categories.size != len(self.items):
            numbers: dict[str, int] = {}
            self._categories = np.zeros(len(self.items), np.int32)
            for item, line in self.catalog.items():
                if line.category:
                    number = numbers.setdefault(line.category, len(numbers) + 1)
                    self._categories[item] = number
        return self._categories

    def _close_windows(self, day_ms: int, boundary: int) -> None:
        """Take campaign windows that ended in the day into the uplift of their promotion type."""
        ends = self.lines.ends_ms
        over = self.lines.chosen((ends > day_ms) & (ends <= boundary))
        samples: dict[str, list[tuple[float, float]]] = {}
        for item, promotion in zip(over.item.tolist(), over.promotion, strict=True):
            row = self.items.rows[item]
            sample = float(row["campaign_units"]), float(row["campaign_everyday_units"])
            if any(sample):
                samples.setdefault(promotion, []).append(sample)
                row["campaign_units"], row["campaign_everyday_units"] = 0, 0.0
                self._changed.add(item)
        for promotion, told in sorted(samples.items()):
            self.uplifts.setdefault(promotion, Uplift()).add(told)

    def _groups_of(self, item: int) -> list[str]:
        line = self.catalog.get(item)
        category = None if line is None else line.category
        return groups_of(category, list(self.campaigns.get(item, ())))

    def pool_items(self) -> None:
        """Tell anew what the items have in common; between two days' ends it stays the same."""
        shop_days = float(self.profile.days.sum())
        self.pool = pool_items(self._rows(), shop_days, self._settings.surge.usual)

    # -- reviews ------------------------------------------------------------------------------

    def _review(self, boundary: int) -> None:
        """Review the items whose turn has come."""
        rows = self._rows()
        due = rows["next_review_ms"]
        items = np.flatnonzero((due > 0) & (due <= boundary))
        if not items.size:
            return
        windows = due[items].copy()
        periods = period_ms(rows[items], self._settings.review.slot_ms)
        missed = (boundary - windows) // periods
        self.items.rows["next_review_ms"][items] = windows + (missed + 1) * periods
        self._changed.update(items.tolist())
        planned = self._planned(items, boundary)
        demand = self._expected(items, planned, boundary)
        self._decide(items, windows + missed * periods, demand, planned, boundary, is_surge=False)

    def _review_surges(self, called: Int64Array, boundary: int) -> None:
        """Give items in a new surge an extra review, once in a review window."""
        rows = self._rows()
        known = called[rows["next_review_ms"][called] > boundary]
        if not known.size:
            return
        windows = rows["next_review_ms"][known] - period_ms(
            rows[known], self._settings.review.slot_ms
        )
        # Never a window twice, not even when the catalog moves the windows to and fro.
        fresh = rows["surge_reviewed_ms"][known] < windows
        known, windows = known[fresh], windows[fresh]
        self.items.rows["surge_reviewed_ms"][known] = windows
        planned = self._planned(known, boundary)
        demand = self._expected(known, planned, boundary)
        self._decide(known, windows, demand, planned, boundary, is_surge=True)

    def _with_surge(self, items: Int64Array, demand: Float64Array) -> Float64Array:
        """What decisions see: of items in a surge more than the everyday, while it lasts."""
        raised = demand.copy()
        for place in np.flatnonzero(self.items.rows["surge_since_ms"][items] > 0):
            row = self.items.rows[items[place]]
            cover_days = float(row["review_period_days"] + row["lead_time_days_lean"])
            mean = float(demand[place])
            raised[place] = surge_demand(row, mean, cover_days, self._settings.surge)
        return raised

    def _decide(
        self,
        items: Int64Array,
        windows: Int64Array,
        demand: tuple[Float64Array, Float64Array],
        planned: Float64Array,
        boundary: int,
        *,
        is_surge: bool,
    ) -> None:
        if not items.size:
            return
        decisions = decide_items(
            self.items.rows,
            items,
            windows,
            self._with_surge(items, demand[0]),
            boundary,
            demand_variance=demand[1],
            demand_before_surge=demand[0],
            is_surge=is_surge,
            settings=self._settings.review,
            cache=self._cache,
            planned_units_per_day=planned,
            terms=supplier_terms(items, self.catalog, self._special, boundary),
        )
        self.reviews += items.size
        self._decisions.append(decisions)
        self._effects.extend(
            self.alerts.check_stock(
                items, decisions["reason"] == b"stale_stock", self.items, boundary
            )
        )
        ordered = decisions["quantity_lean_units"] + decisions["quantity_flexible_units"] > 0
        for decision in decisions[ordered]:
            self._order(decision)

    def _order(self, decision: Table) -> None:
        """Open the orders of a decision: they count as supply from now on."""
        item = int(decision["item"])
        line = self.catalog[item]
        names = {
            SupplierRole.LEAN: line.supplier_lean,
            SupplierRole.FLEXIBLE: line.supplier_flexible,
        }
        for order in purchase_orders(decision, self.items, names, line.currency):
            self.supply.open(
                OpenOrder(
                    po_id=order.po_id,
                    item=item,
                    role=order.supplier_role,
                    supplier=order.supplier,
                    quantity=order.quantity,
                    outstanding=order.quantity,
                    due_ms=one_time(order.expected_at),
                    is_assumed=line.assume_received,
                )
            )
            self._effects.append(self._order_record(item, order, int(decision["reviewed_ms"])))
        self._count_supply(item)

    def _order_record(self, item: int, order: PurchaseOrder, decided_ms: int) -> Outgoing:
        """Count the order on its day; the hand-over looks at the sum."""
        row = self.items.rows[item]
        day = decided_ms // DAY_MS
        if row["ordered_day"] != day:
            row["ordered_day"], row["ordered_units"], row["ordered_amount"] = day, 0, 0.0
        row["ordered_units"] += order.quantity
        row["ordered_amount"] += order.quantity * order.unit_cost
        return order_record(
            order, day_units=int(row["ordered_units"]), day_amount=float(row["ordered_amount"])
        )

    def _planned(self, items: Int64Array, boundary: int) -> Float64Array:
        """Campaign units per day beyond the everyday level, over the time a decision covers."""
        lines = self.lines.chosen(self.lines.ends_ms > boundary)
        if not lines.item.size:
            return np.zeros(items.size)
        rows = self.items.rows[lines.item]
        extra = planned_extra_units(
            lines,
            rows["demand_level_units_per_day"],
            self.profile.elapsed,
            np.full(rows.size, boundary),
            boundary + _cover_ms(rows),
        )
        by_item = np.bincount(lines.item, extra, minlength=len(self.items))
        return by_item[items] * DAY_MS / _cover_ms(self.items.rows[items])

    def _expected(
        self, items: Int64Array, planned: Float64Array, boundary: int
    ) -> tuple[Float64Array, Float64Array]:
        """Mean and variance of a day's demand over the time a decision covers."""
        starts = np.full(items.size, boundary)
        ends = boundary + _cover_ms(self.items.rows[items])
        open_days = operational_days(self.profile.elapsed, starts, ends)
        return expected_demand(self._rows(), items, open_days, planned)

    # -- what to store ------------------------------------------------------------------------

    def _rows(self) -> Table:
        rows: Table = self.items.rows[: len(self.items)]
        return rows

    def take_effects(self) -> list[Outgoing | Word]:
        """Return purchase orders, alerts and what was said of orders since the last call.

        In the order of event time: what was said of an order before it was decided says nothing,
        however many boundaries are applied at once.
        """
        effects, self._effects = self._effects, []
        return effects

    def take_decisions(self) -> list[Table]:
        """Return the decisions since the last call, one table a review."""
        decisions, self._decisions = self._decisions, []
        return decisions

    def take_changed(self) -> list[int]:
        """Return the items whose rows changed since the last call."""
        changed, self._changed = sorted(self._changed), set()
        return changed

    def take_told(self) -> dict[int, bytes]:
        """Return the catalog and campaign lines of items where they changed, as stored."""
        changed, self._told_changed = sorted(self._told_changed), set()
        return {
            item: msgspec.json.encode(
                (self.catalog.get(item), list(self.campaigns.get(item, {}).values()))
            )
            for item in changed
        }

    def restore_estimates(
        self, shop_orders: int, correction: Correction, uplifts: dict[str, Uplift]
    ) -> None:
        """Take over what was stored of the whole shop's demand; the items are there."""
        self.shop_orders, self.correction, self.uplifts = shop_orders, correction, uplifts
        self._silent = set(np.flatnonzero(self._rows()["silent_since_ms"] > 0).tolist())
        self.learn_rate()

    def restore_told(self, item: int, stored: bytes) -> None:
        """Take over stored catalog and campaign lines of an item."""
        line, lines = msgspec.json.decode(
            stored,
            type=tuple[events.Item | None, list[events.CampaignPlanned | events.CampaignChanged]],
        )
        if line is not None:
            self._keep_line(item, line)
            self.levels.set_category(item, line.category)
        if lines:
            self.campaigns[item] = {one.campaign_id: one for one in lines}
            self._is_plan_old = True


def _cover_ms(rows: Table) -> Int64Array:
    """Return the time that a decision about items covers: a review period and the slow supply."""
    days = rows["review_period_days"] + rows["lead_time_days_lean"]
    cover: Int64Array = np.maximum(np.round(days * DAY_MS), 1).astype(np.int64)
    return cover


def _is_news(rows: Columns, boundary: int, settings: SurgeSettings) -> BoolArray:
    """Which open surges have twice the orders that were told, or go on at full evidence today."""
    has_doubled = rows["surge_orders"] >= 2 * rows["surge_told_orders"]
    is_today = rows["surge_told_ms"] // DAY_MS == boundary // DAY_MS
    goes_on = ~is_today & (rows["surge_day_orders"] >= settings.minimum_orders)
    news: BoolArray = has_doubled | goes_on
    return news
