"""What a shard knows at its place in event time, and what of it is still to be published or stored.

The parts of the timeline share it: events change it, tests watch it, the end of a day and
reviews change it.
"""

import math
from collections import Counter
from typing import NamedTuple

import msgspec
import numpy as np

from streams.contracts import events
from streams.contracts.outgoing import OutboxRecord
from streams.demand.baseline import pool_items
from streams.demand.campaigns import Lines, Uplift, campaign_lines
from streams.demand.estimate import Correction
from streams.demand.week_profile import Profile, flat_profile
from streams.detection.imports import ShopDay, shop_day
from streams.groups.facts import Gathered
from streams.groups.rows import groups_of
from streams.incidents.incidents import Alerts
from streams.index_set import IndexSet
from streams.replenishment.supplier_terms import has_terms
from streams.settings import (
    TimelineSettings,
)
from streams.state.items import CATALOG, Items
from streams.state.open_lines import OpenLines
from streams.state.open_orders import Supply
from streams.types import Float64Array, Int32Array, Table


class OrderResponse(NamedTuple):
    """What people, ERP or suppliers said of a purchase order."""

    po_id: str
    sku: str
    warehouse: str
    response: str  # the kind of event in `order-responses`
    quantity: int | None = None  # that it stands at from now on; None means unchanged
    expected_ms: int | None = None  # when it is due from now on, likewise


class State:
    """Items, supply, plans and what is learned of the shop.

    Args:
        partition: the shard's number, named in alerts about its inputs.
        settings: as above.
    """

    def __init__(self, partition: int, settings: TimelineSettings) -> None:
        self.settings = settings
        self.items = Items()
        self.supply = Supply()
        self.open_lines = OpenLines(settings.open_lines)
        self.written_off: Counter[str] = Counter()  # of them, since they were last taken
        self.facts = Gathered(partition, settings.partitions, settings.grid_ms)
        self.changed = IndexSet()  # items whose rows have to be stored
        self.alerts = Alerts(
            partition,
            settings.alerts,
            settings.surge,
            self.groups_of,
            self.changed,
            self.is_promoted,
        )
        self.catalog: dict[int, events.Item] = {}
        self.ending: set[int] = set()  # items that are discontinued, now or later
        self._by_sku: dict[str, list[int]] = {}  # of the first so many items
        self._known_skus = 0
        self.special: set[int] = set()  # items whose suppliers have breaks or dispatch days
        self.campaigns: dict[int, dict[str, events.CampaignLine]] = {}
        self.lines = campaign_lines(self.campaigns)
        self.profile: Profile = flat_profile()
        self.uplifts: dict[str, Uplift] = {}
        self.correction = Correction()
        self.hour_orders: Float64Array = np.zeros(24)  # that teach the week, of the open day
        self.tick_hour_orders: Float64Array = np.zeros(24)  # likewise, of the open tick
        self.shop_orders = 0
        self.shop_rate = 0.0
        self.shop_day = ShopDay()
        self.silent: set[int] = set()  # items in suspicious silence
        self.reviews = 0
        self.start_ms = 0  # of the history
        self.effects: list[OutboxRecord | OrderResponse] = []
        self._decisions: list[Table] = []
        self._told_changed: set[int] = set()
        self._is_plan_old = False
        self._categories: Int32Array | None = None
        self.category_names: list[str] = []  # of the numbers from 1 on
        self.pool_items()

    def rows(self) -> Table:
        """The items' rows, shape (item,)."""
        rows: Table = self.items.rows[: len(self.items)]
        return rows

    # -- master data and plans ----------------------------------------------------------------

    def keep_line(self, item: int, line: events.Item) -> None:
        """Take an item's catalog line."""
        self.catalog[item] = line
        self._categories = None
        if line.discontinued_from is not None:
            self.ending.add(item)
        else:
            self.ending.discard(item)
        if has_terms(line):
            self.special.add(item)
        else:
            self.special.discard(item)

    def drop_line(self, item: int) -> None:
        """Forget an item's catalog line, as if none had ever come."""
        if self.catalog.pop(item, None) is None:
            return
        self.ending.discard(item)
        self.special.discard(item)
        self._categories = None
        for name in CATALOG.names or ():
            self.items.rows[item][name] = 0
        self.items.rows[item]["next_review_ms"] = 0

    def items_of(self, sku: str) -> list[int]:
        """Return the items of a sku, by the names of their warehouses."""
        for item in range(self._known_skus, len(self.items)):
            self._by_sku.setdefault(self.items.names[item][0], []).append(item)
        self._known_skus = len(self.items)
        return sorted(self._by_sku.get(sku, ()), key=self.items.key)

    def note_catalog_changed(self, item: int, *, changes_plan: bool) -> None:
        """Note that an item's catalog or campaign lines changed."""
        self._told_changed.add(item)
        self._is_plan_old |= changes_plan

    def renew_plan(self) -> None:
        """Let a changed plan hold from the next tick on."""
        if self._is_plan_old:
            self.lines, self._is_plan_old = campaign_lines(self.campaigns), False

    def lines_between(self, start_ms: int, end_ms: int) -> Lines:
        """Campaign lines whose window lies in a stretch, at least in part."""
        return self.lines.chosen((self.lines.starts_ms < end_ms) & (self.lines.ends_ms > start_ms))

    def category_numbers(self) -> Int32Array:
        """Number of each item's category, 0 for none, shape (item,)."""
        if self._categories is None or self._categories.size != len(self.items):
            numbers: dict[str, int] = {}
            self._categories = np.zeros(len(self.items), np.int32)
            for item, line in self.catalog.items():
                if line.category:
                    number = numbers.setdefault(line.category, len(numbers) + 1)
                    self._categories[item] = number
            self.category_names = list(numbers)
        return self._categories

    def groups_of(self, item: int) -> list[str]:
        """Return the groups of an item, the widest first."""
        line = self.catalog.get(item)
        category = None if line is None else line.category
        return groups_of(category, list(self.campaigns.get(item, ())))

    def is_promoted(self, item: int, at_ms: int) -> bool:
        """Return whether the window of a campaign line of an item is open."""
        lines = self.lines
        is_open = (lines.starts_ms < at_ms) & (lines.ends_ms >= at_ms)
        return bool((is_open & (lines.item == item)).any())

    # -- what the items have in common --------------------------------------------------------

    def pool_items(self) -> None:
        """Tell anew what the items have in common; between two days' ends it stays the same."""
        shop_days = float(self.profile.days.sum())
        self.pool = pool_items(self.rows(), shop_days, self.settings.surge.baseline)

    def learn_rate(self) -> None:
        """Take the shop's rate from the items, from a closed day on."""
        # Exact, so that it does not depend on the order in which the items were first seen.
        self.shop_rate = math.fsum(self.rows()["order_level_per_day"].tolist())
        self.shop_day = shop_day(self.rows()["order_level_per_day"])
        self.alerts.learn_day(self.shop_rate, self.profile)

    # -- what to tell and to store ------------------------------------------------------------

    def note_decisions(self, decisions: Table) -> None:
        """Keep a review's decisions until they are stored."""
        self.reviews += decisions.size
        self._decisions.append(decisions)

    def take_written_off(self) -> Counter[str]:
        """Return what was written off of customers' orders since the last call."""
        taken, self.written_off = self.written_off, Counter()
        return taken

    def take_effects(self) -> list[OutboxRecord | OrderResponse]:
        """Return purchase orders, alerts and what was said of orders since the last call.

        In the order of event time: what was said of an order before it was decided says nothing,
        however many boundaries are applied at once.
        """
        effects, self.effects = self.effects, []
        return effects

    def take_decisions(self) -> list[Table]:
        """Return the decisions since the last call, one table a review."""
        decisions, self._decisions = self._decisions, []
        return decisions

    def take_catalog_changes(self) -> dict[int, bytes]:
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
        self.silent = set(np.flatnonzero(self.rows()["silent_since_ms"] > 0).tolist())
        self.learn_rate()
        self.pool_items()

    def restore_catalog(self, item: int, stored: bytes) -> None:
        """Take over stored catalog and campaign lines of an item."""
        line, lines = msgspec.json.decode(
            stored,
            type=tuple[events.Item | None, list[events.CampaignPlanned | events.CampaignChanged]],
        )
        if line is not None:
            self.keep_line(item, line)
        if lines:
            self.campaigns[item] = {one.campaign_id: one for one in lines}
            self._is_plan_old = True
