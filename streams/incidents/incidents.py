"""Incidents: raised once, told as resolved once, under one id from beginning to end.

An item's open incidents lie in its row, those of inputs and groups in the shard's state. A limit
that ends an incident lies beyond the one that raises it (hysteresis), so that it does not flap.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec
import numpy as np

from streams.contracts.alerts import AlertKind, AlertState, Figures
from streams.contracts.ids import incident_id
from streams.contracts.outgoing import OutboxRecord
from streams.demand.week_profile import Profile, flat_profile
from streams.detection.factors import is_bulk
from streams.detection.groups import SHOP, Groups
from streams.detection.order_feed import OrderFeedSettings, OrderFeedState
from streams.detection.stock_cover import cover_ratios
from streams.detection.surge import SurgeSettings
from streams.incidents.actions import Case
from streams.incidents.figures import (
    bulk_figures,
    cover_figures,
    group_surge_figures,
    shortfall_figures,
    surge_figures,
)
from streams.incidents.group_incidents import GroupIncident, GroupIncidents, GroupIncidentSettings
from streams.incidents.input_incidents import InputAlerts
from streams.incidents.kinds import INCIDENT_KINDS, ITEM_FIELDS
from streams.incidents.records import alert, late_alert
from streams.index_set import IndexSet
from streams.state.items import Columns, Items
from streams.state.open_orders import OpenOrder
from streams.timestamps import DAY_MS, HOUR_MS, rfc3339
from streams.types import BoolArray, Float64Array, Int32Array, Int64Array, Table


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """When an incident begins and ends."""

    low_cover_ends_at: float = 1.25  # cover divided by the wait for goods; raised below 1
    order_feed: OrderFeedSettings = field(default_factory=OrderFeedSettings)
    group_incidents: GroupIncidentSettings = field(default_factory=GroupIncidentSettings)
    dispatch_promise_ms: int = 2 * DAY_MS  # an order that waits longer breaks its promise
    dead_letters_end_ms: int = HOUR_MS  # without a further one


FiguresOf = Callable[[int, Table, int], Figures]  # of an item, its row, at a boundary


class AlertsState(msgspec.Struct, kw_only=True):
    """What of the shard's own incidents has to be stored."""

    order_feed: OrderFeedState
    group_surges: dict[str, GroupIncident]
    group_shortfalls: dict[str, GroupIncident]
    silent_since_ms: int
    dead_letters: int
    last_dead_letter_ms: int
    dead_letters_since_ms: int


class Alerts:
    """The incidents of a shard.

    Args:
        partition: the shard's number, named in incidents of its inputs.
        settings: limits.
        surge: of the surge test.
        groups_of_item: the groups of an item that may surge as a whole, the widest first.
        groups: the groups' own totals.
        changed: takes the items of which an incident begins or ends.
    """

    def __init__(
        self,
        partition: int,
        settings: AlertSettings,
        surge: SurgeSettings,
        groups_of_item: Callable[[int], list[str]],
        groups: Groups,
        changed: IndexSet,
    ) -> None:
        self._partition = partition
        self._settings = settings
        self._surge = surge
        self.inputs = InputAlerts(partition, settings.order_feed, settings.dead_letters_end_ms)
        self.order_feed = self.inputs.order_feed
        self.group_surges = GroupIncidents(settings.group_incidents)
        self.group_shortfalls = GroupIncidents(settings.group_incidents)
        self.groups_of_item = groups_of_item
        self._groups = groups
        self._profile = flat_profile()
        self._touched = IndexSet()
        self._changed = changed
        self._late: list[tuple[OpenOrder, int]] = []
        self._settled: list[OpenOrder] = []
        self._marked: list[OpenOrder] = []

    # -- notes of what happened since the last boundary ---------------------------------------

    def touch(self, items: Int32Array) -> None:
        """Note that the stock or demand of these items moved."""
        self._touched.add(items)

    def expect(self, order: OpenOrder, due_ms: int) -> None:
        """Note that an order's due date has passed without its goods."""
        self._late.append((order, due_ms))

    def settle(self, order: OpenOrder) -> None:
        """Note that an order was closed or has a later due date."""
        self._late = [(late, due_ms) for late, due_ms in self._late if late is not order]
        if order.late_since_ms and order not in self._settled:
            self._settled.append(order)

    # -- when something can happen ------------------------------------------------------------

    def next_ms(self, applied_ms: int, rows: Table) -> int:
        """Return the time after which an incident can begin or end by time alone, or never."""
        moments = [self.inputs.next_ms(applied_ms)]
        looks_hourly = self.group_surges.open or (rows["surge_since_ms"] > 0).any()
        if looks_hourly or (rows["backlog_units"] > 0).any():
            moments.append(applied_ms // HOUR_MS * HOUR_MS + HOUR_MS - 1)
        return min(moments)

    def learn_day(self, orders_per_day: float, profile: Profile) -> None:
        """Take what is due from a closed day on."""
        self.order_feed.learn_rate(orders_per_day, profile)
        self._profile = profile

    # -- incidents ----------------------------------------------------------------------------

    def close_tick(self, boundary: int, items: Items) -> Iterable[OutboxRecord]:
        """Raise and resolve what the boundary brings, except surges."""
        yield from self._low_cover(boundary, items)
        yield from self._late_deliveries(boundary, items)
        if boundary % HOUR_MS == 0:
            yield from self._backlog_age(boundary, items)
        yield from self.inputs.close_tick(boundary)

    def raise_surges(
        self, called: Int32Array, items: Items, boundary: int
    ) -> Iterable[OutboxRecord]:
        """Raise a surge for each of these items."""
        items.rows["surge_version"][called] = 0
        items.rows["surge_since_ms"][called] = boundary
        yield from self.update_group_surges(items, boundary)
        self._note_published(called, items.rows, boundary)
        yield from self._raise(AlertKind.SURGE, called, items, boundary, self._surge_figures)

    def update_group_surges(self, items: Items, boundary: int) -> Iterable[OutboxRecord]:
        """Raise, tell again and resolve the surges of whole groups."""
        members = self._members_in("surge_since_ms", items)
        fresh, many = _count_members(members, items.rows["surge_since_ms"], boundary)
        totals = self._groups.surging
        for group, state, incident in self.group_surges.watch(boundary, fresh, many, totals):
            inside = members.get(group, [])
            total = self._groups.row(group) if group in totals else None
            figures: Figures = {**group_surge_figures(items.rows[inside], total, self._surge)}
            if group != SHOP and SHOP in self.group_surges.open:
                figures["part_of"] = self._group_surge_id(SHOP)
            shown = sorted(map(items.key, inside))
            if total is not None and not shown:
                shown = self._best_sellers(group, items)
            kind = AlertKind.BROAD_SURGE
            yield self._group_alert(kind, group, state, incident, figures, shown, boundary)

    def update_group_shortfalls(
        self, short: Iterable[str], items: Items, boundary: int
    ) -> Iterable[OutboxRecord]:
        """Raise, tell again and resolve the shortfalls of whole campaigns.

        Args:
            short: groups of which the total is short of its plan.
            items: of the shard.
            boundary: event time.
        """
        totals = [*short]
        members = self._members_in("plan_shortfall_since_ms", items)
        members = {group: some for group, some in members.items() if group.startswith("campaign:")}
        fresh, many = _count_members(members, items.rows["plan_shortfall_since_ms"], boundary)
        for group, state, incident in self.group_shortfalls.watch(boundary, fresh, many, totals):
            inside = members.get(group, [])
            judged_by = "total" if group in totals else "items"
            figures: Figures = {"judged_by": judged_by, "items": len(inside)}
            if (row := self._groups.row(group))["plan_day_due_orders"] or row["plan_due_orders"]:
                figures |= shortfall_figures(row, None)
            shown = sorted(items.key(item) for item in inside)
            kind = AlertKind.PLAN_SHORTFALL
            yield self._group_alert(kind, group, state, incident, figures, shown, boundary)

    def _members_in(self, field: str, items: Items) -> dict[str, list[int]]:
        """The items with an open incident, by group."""
        members: dict[str, list[int]] = defaultdict(list)
        for item in np.flatnonzero(items.rows[field][: len(items)] > 0).tolist():
            for group in self.groups_of_item(item):
                members[group].append(item)
        return members

    def _best_sellers(self, group: str, items: Items) -> list[str]:
        """The items of a group by name, those with most orders today first."""
        every = self._groups.members(group, len(items))
        sold = every[items.rows["day_orders"][every] > 0].tolist()
        most = sorted((-int(items.rows["day_orders"][one]), items.key(one)) for one in sold)
        return [key for _, key in most]

    def _group_alert(
        self,
        kind: AlertKind,
        group: str,
        state: AlertState,
        incident: GroupIncident,
        figures: Figures,
        shown: list[str],
        boundary: int,
    ) -> OutboxRecord:
        named = ", ".join(shown[: self._settings.group_incidents.shown])
        return alert(
            kind,
            state,
            group,
            (None, None),
            incident.window_ms,
            boundary,
            {**figures, "shown_items": named, "partition": self._partition},
            action=INCIDENT_KINDS[kind].action(Case(figures, boundary, group=group)),
            version=incident.version,
        )

    def _group_surge_id(self, group: str) -> str:
        window_ms = self.group_surges.open[group].window_ms
        return incident_id(AlertKind.BROAD_SURGE, group, window_ms)

    def _part_of(self, item: int) -> str | None:
        """The incident of the widest group that surges as a whole with this item in it."""
        widest = (group for group in self.groups_of_item(item) if group in self.group_surges.open)
        return next(map(self._group_surge_id, widest), None)

    def resolve_surges(
        self, ended: Int32Array, items: Items, boundary: int
    ) -> Iterable[OutboxRecord]:
        """Resolve the surges of these items."""
        self._note_published(ended, items.rows, boundary)
        items.rows["surge_sums"][ended] = 0.0
        return self._resolve(AlertKind.SURGE, ended, items, boundary, self._surge_figures)

    def raise_phantom_stock(
        self, called: Int32Array, items: Items, boundary: int
    ) -> Iterable[OutboxRecord]:
        """Raise suspicious silence of these items: the stock may not be there."""
        kind = AlertKind.PHANTOM_STOCK
        return self._raise(kind, called, items, boundary, _silence_figures)

    def resolve_phantom_stock(
        self, ended: Int32Array, items: Items, boundary: int
    ) -> Iterable[OutboxRecord]:
        """Resolve the suspicious silence of these items."""
        kind = AlertKind.PHANTOM_STOCK
        return self._resolve(kind, ended, items, boundary, _silence_figures)

    def raise_shortfalls(
        self, called: Int64Array, items: Items, boundary: int, units_left: Float64Array
    ) -> Iterable[OutboxRecord]:
        """Raise for these items that they sell below their plan.

        Args:
            called: places, shape (n,).
            items: of the shard.
            boundary: event time.
            units_left: that their plans still expect, shape (item,).
        """
        kind = AlertKind.PLAN_SHORTFALL
        figures = self._shortfall_figures(units_left)
        return self._raise(kind, called, items, boundary, figures)

    def resolve_shortfalls(
        self, ended: Int64Array, items: Items, boundary: int, units_left: Float64Array
    ) -> Iterable[OutboxRecord]:
        """Resolve the shortfalls of these items; arguments as for `raise_shortfalls`."""
        kind = AlertKind.PLAN_SHORTFALL
        figures = self._shortfall_figures(units_left)
        return self._resolve(kind, ended, items, boundary, figures)

    def _shortfall_figures(self, units_left: Float64Array) -> FiguresOf:
        def figures(item: int, row: Table, boundary: int) -> Figures:
            del boundary
            campaigns = [
                group for group in self.groups_of_item(item) if group.startswith("campaign:")
            ]
            of = next((group for group in campaigns if group in self.group_shortfalls.open), None)
            window_ms = None if of is None else self.group_shortfalls.open[of].window_ms
            return {
                **shortfall_figures(row, float(units_left[item])),
                "campaigns": ", ".join(one.removeprefix("campaign:") for one in campaigns),
                "part_of": None
                if of is None or window_ms is None
                else incident_id(AlertKind.PLAN_SHORTFALL, of, window_ms),
            }

        return figures

    def update_surges(
        self, grown: Int32Array, items: Items, boundary: int
    ) -> Iterable[OutboxRecord]:
        """Tell open surges again."""
        self._note_published(grown, items.rows, boundary)
        return [
            self._item_alert(
                AlertKind.SURGE,
                AlertState.UPDATED,
                item,
                int(items.rows["surge_since_ms"][item]),
                items,
                boundary,
                self._surge_figures,
            )
            for item in grown.tolist()
        ]

    def _note_published(self, told: Int32Array, rows: Table, boundary: int) -> None:
        rows["surge_version"][told] += 1
        rows["surge_published_ms"][told] = boundary
        rows["surge_published_orders"][told] = rows["surge_orders"][told]
        self._changed.add(told)

    def _surge_figures(self, item: int, row: Table, boundary: int) -> Figures:
        figures = surge_figures(row, boundary, self._profile, self._surge)
        return {**figures, "part_of": self._part_of(item)}

    def raise_bulk_orders(
        self, tested: Int32Array, items: Items, boundary: int
    ) -> Iterable[OutboxRecord]:
        """Tell the items of which one order takes many days' demand; it is no surge."""
        least = self._surge.bulk_lines
        if not (items.rows["tick_largest_units"] >= least).any():
            return []
        bulk = tested[is_bulk(Columns(items.rows, tested), self._surge)]
        items.rows["bulk_units"][bulk] = items.rows["tick_largest_units"][bulk]
        return self._raise(AlertKind.BULK_ORDER, bulk, items, boundary, self._bulk_figures)

    def resolve_bulk_orders(self, items: Items, boundary: int) -> Iterable[OutboxRecord]:
        """Resolve the bulk orders of the day that ends."""
        ended = np.flatnonzero(items.rows["bulk_since_ms"] > 0)
        return self._resolve(AlertKind.BULK_ORDER, ended, items, boundary, self._bulk_figures)

    def _bulk_figures(self, item: int, row: Table, boundary: int) -> Figures:
        del item, boundary
        return bulk_figures(row)

    def check_stock(
        self, reviewed: Int64Array, is_stale: BoolArray, items: Items, boundary: int
    ) -> Iterable[OutboxRecord]:
        """Raise or resolve that an item's stock is not known well enough to order on."""
        is_open = items.rows["stale_stock_since_ms"][reviewed] > 0
        kind = AlertKind.STALE_STOCK
        raised = self._raise(kind, reviewed[is_stale & ~is_open], items, boundary, _stock_figures)
        resolved = self._resolve(
            kind, reviewed[~is_stale & is_open], items, boundary, _stock_figures
        )
        return [*raised, *resolved]

    def _low_cover(self, boundary: int, items: Items) -> Iterable[OutboxRecord]:
        touched = self._touched.take()
        if not touched.size:
            return []
        ratio = cover_ratios(items.rows, touched, boundary)
        is_open = items.rows["low_cover_since_ms"][touched] > 0
        low = touched[(ratio < 1.0) & ~is_open]
        well = touched[(ratio >= self._settings.low_cover_ends_at) & is_open]
        kind = AlertKind.LOW_COVER
        return [
            *self._raise(kind, low, items, boundary, self._cover_figures),
            *self._resolve(kind, well, items, boundary, self._cover_figures),
        ]

    def _cover_figures(self, item: int, row: Table, boundary: int) -> Figures:
        del item
        return cover_figures(row, boundary, self._profile, self._surge)

    def _backlog_age(self, boundary: int, items: Items) -> Iterable[OutboxRecord]:
        rows = items.rows[: len(items)]
        since_ms = rows["waiting_since_ms"][:, 0]
        is_late = (since_ms > 0) & (since_ms <= boundary - self._settings.dispatch_promise_ms)
        is_open = rows["backlog_age_since_ms"] > 0
        kind, figures = AlertKind.BACKLOG_AGE, self._backlog_figures
        began, ended = np.flatnonzero(is_late & ~is_open), np.flatnonzero(~is_late & is_open)
        yield from self._raise(kind, began, items, boundary, figures)
        yield from self._resolve(kind, ended, items, boundary, figures)

    def _backlog_figures(self, item: int, row: Table, boundary: int) -> Figures:
        del item
        since_ms = int(row["waiting_since_ms"][0])
        return {
            "oldest_order_at": rfc3339(since_ms) if since_ms else None,
            "oldest_order_hours": round((boundary - since_ms) / HOUR_MS, 1) if since_ms else 0.0,
            "promised_hours": self._settings.dispatch_promise_ms / HOUR_MS,
            "backlog_units": int(row["backlog_units"]),
            "on_hand_units": int(row["on_hand_units"]),
        }

    def _late_deliveries(self, boundary: int, items: Items) -> Iterable[OutboxRecord]:
        outputs = []
        for order in self._settled:
            outputs.append(late_alert(AlertState.RESOLVED, order, items, boundary))
            order.late_since_ms = 0
        for order, due_ms in self._late:
            if order.late_since_ms:
                continue  # moved to another date that has passed too: the incident goes on
            order.late_since_ms = due_ms
            outputs.append(late_alert(AlertState.RAISED, order, items, boundary))
        self._marked.extend([*self._settled, *(order for order, _ in self._late)])
        self._settled, self._late = [], []
        return outputs

    def _raise(
        self,
        kind: AlertKind,
        chosen: "np.ndarray",
        items: Items,
        boundary: int,
        figures: FiguresOf,
    ) -> list[OutboxRecord]:
        items.rows[ITEM_FIELDS[kind]][chosen] = boundary
        self._changed.add(chosen)
        return [
            self._item_alert(kind, AlertState.RAISED, item, boundary, items, boundary, figures)
            for item in chosen.tolist()
        ]

    def _resolve(
        self,
        kind: AlertKind,
        chosen: "np.ndarray",
        items: Items,
        boundary: int,
        figures: FiguresOf,
    ) -> list[OutboxRecord]:
        field = ITEM_FIELDS[kind]
        started = items.rows[field][chosen].tolist()
        items.rows[field][chosen] = 0
        self._changed.add(chosen)
        return [
            self._item_alert(kind, AlertState.RESOLVED, item, since, items, boundary, figures)
            for item, since in zip(chosen.tolist(), started, strict=True)
        ]

    def _item_alert(
        self,
        kind: AlertKind,
        state: AlertState,
        item: int,
        started: int,
        items: Items,
        boundary: int,
        figures_of: FiguresOf,
    ) -> OutboxRecord:
        row = items.rows[item]
        figures = figures_of(item, row, boundary)
        is_promoted = any(group.startswith("campaign:") for group in self.groups_of_item(item))
        return alert(
            kind,
            state,
            items.key(item),
            items.names[item],
            started,
            boundary,
            figures,
            action=INCIDENT_KINDS[kind].action(Case(figures, boundary, row, is_promoted)),
            version=int(row["surge_version"]) if kind == AlertKind.SURGE else 0,
        )

    def open_of_shard(self) -> dict[AlertKind, int]:
        """Return the open incidents that belong to no single item, by kind."""
        return {
            AlertKind.BROAD_SURGE: len(self.group_surges.open),
            AlertKind.PLAN_SHORTFALL: len(self.group_shortfalls.open),
            AlertKind.STALE_INPUT: int(self.inputs.silent_since_ms > 0),
            AlertKind.DEAD_LETTERS: int(self.inputs.dead_letters_since_ms > 0),
        }

    # -- what to store ------------------------------------------------------------------------

    def take_marked(self) -> list[OpenOrder]:
        """Return the orders of which an incident began or ended since the last call."""
        marked, self._marked = self._marked, []
        return marked

    def state(self) -> AlertsState:
        """What of the shard's own incidents has to be stored."""
        return AlertsState(
            order_feed=self.order_feed.state,
            group_surges=self.group_surges.open,
            group_shortfalls=self.group_shortfalls.open,
            silent_since_ms=self.inputs.silent_since_ms,
            dead_letters=self.inputs.dead_letters,
            last_dead_letter_ms=self.inputs.last_dead_letter_ms,
            dead_letters_since_ms=self.inputs.dead_letters_since_ms,
        )

    def restore(self, state: AlertsState) -> None:
        """Take over what was stored."""
        self.order_feed.state = state.order_feed
        self.group_surges.open = state.group_surges
        self.group_shortfalls.open = state.group_shortfalls
        self.inputs.silent_since_ms = state.silent_since_ms
        self.inputs.dead_letters = state.dead_letters
        self.inputs.last_dead_letter_ms = state.last_dead_letter_ms
        self.inputs.dead_letters_since_ms = state.dead_letters_since_ms


def _count_members(
    members: dict[str, list[int]], since_ms: Int64Array, boundary: int
) -> tuple[dict[str, int], dict[str, int]]:
    """Items of each group of which the incident began within a day, and all with an open one."""
    fresh = {
        group: sum(int(since_ms[one]) > boundary - DAY_MS for one in inside)
        for group, inside in members.items()
    }
    return fresh, {group: len(inside) for group, inside in members.items()}


def _silence_figures(item: int, row: Table, boundary: int) -> Figures:
    del item, boundary
    return {
        "on_hand_units": int(row["on_hand_units"]),
        "quiet_since": rfc3339(int(row["quiet_since_ms"])),
        "baseline_orders_per_day": round(float(row["quiet_rate"]), 3),
    }


def _stock_figures(item: int, row: Table, boundary: int) -> Figures:
    del item, boundary
    counted = int(row["counted_at_ms"])
    return {"counted_at": rfc3339(counted) if counted else None}
