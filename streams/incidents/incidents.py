"""Incidents: raised once and resolved once, under one id from beginning to end.

An item's open incidents lie in its row, those of inputs and groups in the shard's state. A limit
that ends an incident lies beyond the one that raises it (hysteresis), so that it does not flap.
"""

from collections.abc import Callable, Iterable

import msgspec
import numpy as np

from streams.contracts.alerts import AlertKind, AlertState, Figures
from streams.contracts.outgoing import OutboxRecord
from streams.demand.week_profile import Profile, flat_profile
from streams.detection.factors import current_units_per_day, is_bulk
from streams.detection.order_feed import OrderFeedState
from streams.detection.stock_cover import cover_ratios, shortage
from streams.incidents.figures import (
    backlog_figures,
    bulk_figures,
    cover_figures,
    shortfall_figures,
    silence_figures,
    stock_figures,
    surge_figures,
)
from streams.incidents.input_incidents import InputAlerts
from streams.incidents.item_incidents import FiguresOf, ItemIncidents
from streams.incidents.order_discrepancies import OpenDiscrepancy, OrderDiscrepancies
from streams.incidents.records import late_alert
from streams.index_set import IndexSet
from streams.settings import AlertSettings, SurgeSettings
from streams.state.items import Columns, Items
from streams.state.open_orders import OpenOrder
from streams.timestamps import HOUR_MS
from streams.types import AnyArray, BoolArray, Float64Array, Int32Array, Int64Array, Table


class AlertsState(msgspec.Struct, kw_only=True):
    """What of the shard's own incidents has to be stored."""

    order_feed: OrderFeedState
    dead_letters: int
    last_dead_letter_ms: int
    dead_letters_since_ms: int
    lost_records: int = 0
    lost_since_ms: int = 0
    last_loss_ms: int = 0
    log_changed_since_ms: int = 0
    discrepancies: dict[str, OpenDiscrepancy] = {}  # by po_id


class Alerts:
    """The incidents of a shard.

    Args:
        partition: the shard's number, named in incidents of its inputs.
        settings: limits.
        surge: of the surge test.
        groups_of_item: the groups of an item, the widest first.
        changed: takes the items of which an incident begins or ends.
        is_promoted: whether a campaign plans an item at a time.
    """

    def __init__(
        self,
        partition: int,
        settings: AlertSettings,
        surge: SurgeSettings,
        groups_of_item: Callable[[int], list[str]],
        changed: IndexSet,
        is_promoted: Callable[[int, int], bool],
    ) -> None:
        self._settings = settings
        self._surge = surge
        self.inputs = InputAlerts(partition, settings.order_feed, settings.dead_letters_end_ms)
        self.order_feed = self.inputs.order_feed
        self._items = ItemIncidents(changed, is_promoted)
        self._groups_of_item = groups_of_item
        self._figures: dict[AlertKind, FiguresOf] = {
            AlertKind.SURGE: self._surge_figures,
            AlertKind.BULK_ORDER: lambda item, row, at: bulk_figures(row),
            AlertKind.LOW_COVER: lambda item, row, at: cover_figures(row, at, self._profile, surge),
            AlertKind.STALE_STOCK: lambda item, row, at: stock_figures(row),
            AlertKind.PHANTOM_STOCK: lambda item, row, at: silence_figures(row),
            AlertKind.BACKLOG_AGE: lambda item, row, at: backlog_figures(
                row, at, settings.dispatch_promise_ms
            ),
        }
        self.discrepancies = OrderDiscrepancies()
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
        if (ends_ms := self.discrepancies.next_ms()) is not None:
            moments.append(ends_ms)
        if (rows["surge_since_ms"] > 0).any() or (rows["backlog_units"] > 0).any():
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
        yield from self.discrepancies.close_tick(boundary)
        if boundary % HOUR_MS == 0:
            yield from self._backlog_age(boundary, items)
        yield from self.inputs.close_tick(boundary)

    def raise_(
        self, kind: AlertKind, chosen: AnyArray, items: Items, boundary: int
    ) -> Iterable[OutboxRecord]:
        """Raise an incident of a kind for each of these items.

        Args:
            kind: one of items; surges and shortfalls have methods of their own.
            chosen: places, shape (n,).
            items: of the shard.
            boundary: event time.
        """
        return self._items.begin(kind, chosen, items, boundary, self._figures[kind])

    def resolve(
        self, kind: AlertKind, chosen: AnyArray, items: Items, boundary: int
    ) -> Iterable[OutboxRecord]:
        """Resolve the open incidents of a kind of these items; arguments as for `raise_`."""
        return self._items.end(kind, chosen, items, boundary, self._figures[kind])

    def raise_surges(
        self, called: Int32Array, items: Items, boundary: int
    ) -> Iterable[OutboxRecord]:
        """Raise a surge for each of these items."""
        items.rows["surge_version"][called] = 0
        items.rows["surge_since_ms"][called] = boundary
        self._note_published(called, items.rows, boundary)
        return self.raise_(AlertKind.SURGE, called, items, boundary)

    def resolve_surges(
        self, ended: Int32Array, items: Items, boundary: int
    ) -> Iterable[OutboxRecord]:
        """Resolve the surges of these items."""
        self._note_published(ended, items.rows, boundary)
        items.rows["surge_sums"][ended] = 0.0
        return self.resolve(AlertKind.SURGE, ended, items, boundary)

    def update_surges(
        self, grown: Int32Array, items: Items, boundary: int
    ) -> Iterable[OutboxRecord]:
        """Publish open surges again."""
        self._note_published(grown, items.rows, boundary)
        return self._items.update(AlertKind.SURGE, grown, items, boundary, self._surge_figures)

    def _note_published(self, chosen: Int32Array, rows: Table, boundary: int) -> None:
        rows["surge_version"][chosen] += 1
        rows["surge_published_ms"][chosen] = boundary
        rows["surge_published_orders"][chosen] = rows["surge_orders"][chosen]
        self._changed.add(chosen)

    def _surge_figures(self, item: int, row: Table, boundary: int) -> Figures:
        figures = surge_figures(row, boundary, self._profile, self._surge)
        return {**figures, "groups": ", ".join(self._groups_of_item(item))}

    def close_shortfalls(
        self,
        began: AnyArray,
        ended: AnyArray,
        items: Items,
        boundary: int,
        units_left: Float64Array,
    ) -> Iterable[OutboxRecord]:
        """Raise and resolve that items sell below their plan.

        Args:
            began: places of the items that do now, shape (n,).
            ended: of those that do no longer, shape (m,).
            items: of the shard.
            boundary: event time.
            units_left: that their plans still expect, shape (item,).
        """

        def figures(item: int, row: Table, boundary: int) -> Figures:
            del boundary
            groups = self._groups_of_item(item)
            campaigns = [group for group in groups if group.startswith("campaign:")]
            return {
                **shortfall_figures(row, float(units_left[item])),
                "campaigns": ", ".join(one.removeprefix("campaign:") for one in campaigns),
            }

        kind = AlertKind.PLAN_SHORTFALL
        yield from self._items.begin(kind, began, items, boundary, figures)
        yield from self._items.end(kind, ended, items, boundary, figures)

    def raise_bulk_orders(
        self, tested: Int32Array, items: Items, boundary: int
    ) -> Iterable[OutboxRecord]:
        """Raise bulk orders: one order takes many days' demand of an item; that is no surge."""
        least = self._surge.bulk_lines
        if not (items.rows["tick_largest_units"] >= least).any():
            return []
        bulk = tested[is_bulk(Columns(items.rows, tested), self._surge)]
        items.rows["bulk_units"][bulk] = items.rows["tick_largest_units"][bulk]
        return self.raise_(AlertKind.BULK_ORDER, bulk, items, boundary)

    def resolve_bulk_orders(self, items: Items, boundary: int) -> Iterable[OutboxRecord]:
        """Resolve the bulk orders of the day that ends."""
        ended = np.flatnonzero(items.rows["bulk_since_ms"] > 0)
        return self.resolve(AlertKind.BULK_ORDER, ended, items, boundary)

    def check_stock(
        self, reviewed: Int64Array, is_stale: BoolArray, items: Items, boundary: int
    ) -> Iterable[OutboxRecord]:
        """Raise or resolve that an item's stock is not known well enough to order on."""
        kind = AlertKind.STALE_STOCK
        is_open = items.rows["stale_stock_since_ms"][reviewed] > 0
        yield from self.raise_(kind, reviewed[is_stale & ~is_open], items, boundary)
        yield from self.resolve(kind, reviewed[~is_stale & is_open], items, boundary)

    def _low_cover(self, boundary: int, items: Items) -> Iterable[OutboxRecord]:
        touched = self._touched.take()
        if not touched.size:
            return
        kind, settings = AlertKind.LOW_COVER, self._settings
        ratio = cover_ratios(items.rows, touched, boundary)
        is_open = items.rows["low_cover_since_ms"][touched] > 0
        looked_at = touched[(ratio < settings.low_cover_looks_below) | is_open]
        if not looked_at.size:
            return
        rows = items.rows[looked_at]
        units_per_day = current_units_per_day(rows, self._surge)
        lacks = shortage(rows, units_per_day, self._profile.elapsed, boundary)
        is_open = rows["low_cover_since_ms"] > 0
        can_be_ordered = rows["next_review_ms"] > 0
        is_low = (lacks.chance >= settings.low_cover_chance) & (
            lacks.days >= settings.low_cover_days
        )
        is_well = (lacks.chance < settings.low_cover_chance / 2) | (
            lacks.days < settings.low_cover_days / 2
        )
        low = looked_at[is_low & can_be_ordered & ~is_open]
        well = looked_at[(is_well | ~can_be_ordered) & is_open]
        yield from self.raise_(kind, low, items, boundary)
        yield from self.resolve(kind, well, items, boundary)

    def _backlog_age(self, boundary: int, items: Items) -> Iterable[OutboxRecord]:
        kind, rows = AlertKind.BACKLOG_AGE, items.rows[: len(items)]
        since_ms = rows["waiting_since_ms"][:, 0]
        is_late = (since_ms > 0) & (since_ms <= boundary - self._settings.dispatch_promise_ms)
        is_open = rows["backlog_age_since_ms"] > 0
        yield from self.raise_(kind, np.flatnonzero(is_late & ~is_open), items, boundary)
        yield from self.resolve(kind, np.flatnonzero(~is_late & is_open), items, boundary)

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

    def open_of_shard(self) -> dict[AlertKind, int]:
        """Return the open incidents that belong to no single item, by kind."""
        return {
            AlertKind.DEAD_LETTERS: int(self.inputs.dead_letters_since_ms > 0),
            AlertKind.LOG_CHANGED: int(self.inputs.log_changed_since_ms > 0),
            AlertKind.RECORDS_LOST: int(self.inputs.lost_since_ms > 0),
            AlertKind.ORDER_IMPORT: int(self.order_feed.state.import_since_ms > 0),
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
            dead_letters=self.inputs.dead_letters,
            last_dead_letter_ms=self.inputs.last_dead_letter_ms,
            dead_letters_since_ms=self.inputs.dead_letters_since_ms,
            lost_records=self.inputs.lost_records,
            lost_since_ms=self.inputs.lost_since_ms,
            last_loss_ms=self.inputs.last_loss_ms,
            log_changed_since_ms=self.inputs.log_changed_since_ms,
            discrepancies=self.discrepancies.open,
        )

    def restore(self, state: AlertsState) -> None:
        """Take over what was stored."""
        self.order_feed.state = state.order_feed
        self.inputs.dead_letters = state.dead_letters
        self.inputs.last_dead_letter_ms = state.last_dead_letter_ms
        self.inputs.dead_letters_since_ms = state.dead_letters_since_ms
        self.inputs.lost_records = state.lost_records
        self.inputs.lost_since_ms = state.lost_since_ms
        self.inputs.last_loss_ms = state.last_loss_ms
        self.inputs.log_changed_since_ms = state.log_changed_since_ms
        self.discrepancies.open = state.discrepancies
