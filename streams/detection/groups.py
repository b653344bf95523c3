"""Levels above the item: the shop, its categories and its campaigns, each tested by its total.

Many thin items, each too weak to alarm alone, may surge together. So each group has a row of the
same fields as an item, one level up: its orders are arrivals of customers, its units the orders of
its items. The tests are the items' own (`streams.detection.surge`, `streams.detection.shortfall`),
with the groups' part of the budget.

- An arrival is a moment at which anything of the group was ordered: the lines of one cart share
  their time. A cart of a hundred items is one customer, not a hundred proofs; where two customers
  share a millisecond, or a shop tells only minutes, too few are counted, which raises nothing.
- A group is tested by the hour, not by the tick: customers come in bunches (a newsletter, an import
  that runs each hour), which many items together show and each alone does not.
- A group is on sale as far as its items are, each weighted by its baseline rate: a stock-out of
  many does not teach that the group sells little, and their refill is no surge.
- An item that joins a group brings its baseline orders with it. Arrivals are at most orders, so
  that is never too little, and the group's own days soon say how many there are.

A shard judges its part of a group: it sees its own partition and no other. What sees all partitions
(Redis, the page) sees each as far as it has got, which differs between runs; what it would say were
no function of the logs. So a group spread thinly over many partitions needs a surge so much larger
to be seen in its total, and its parts have one id (`streams.incidents.group_incidents`) under which
readers join them.
"""

from collections.abc import Sequence

import numpy as np

from policy.compiled import compiled
from streams.demand.baseline import Pool, learn_baseline, pool_items
from streams.demand.campaigns import Lines, campaign_lines
from streams.demand.hourly_dispersion import close_hours
from streams.demand.week_profile import Profile
from streams.detection.shortfall import forget_plans
from streams.detection.surge import (
    NULL_FACTOR,
    Blackout,
    SurgeSettings,
    is_proved_still,
    surge_tick,
)
from streams.exact_sums import MILLIONTHS, millionths
from streams.state.items import ROW, Columns
from streams.timestamps import DAY_MS, HOUR_MS
from streams.types import BoolArray, Float64Array, Int32Array, Int64Array, Record, Table

SHOP = "shop"
_FIRST_ROWS = 16
_CAMPAIGN = "campaign:"
_WHOLE_SHARE = 0.95  # of its items' baseline on sale, on a day that teaches its hours


@compiled
def _note(
    row: Record, last_ms: Int64Array, at_ms: int, is_baseline: bool, is_planned: bool
) -> None:
    """Count an item's order, and the arrival that brought it once."""
    row.tick_units += 1
    if last_ms[0] != at_ms:
        last_ms[0] = at_ms
        row.tick_orders += 1
    if is_baseline:
        row.day_taught_units += 1
        if last_ms[1] != at_ms:
            last_ms[1] = at_ms
            row.day_taught_orders += 1
    if is_planned:
        row.plan_day_units += 1
        if last_ms[2] != at_ms:
            last_ms[2] = at_ms
            row.plan_day_orders += 1


@compiled
def _count(
    entries: Table,
    in_campaign: BoolArray,
    categories: Int32Array,
    line_starts: Int64Array,
    lines: tuple[Int64Array, Int64Array, Int32Array],
    rows: Table,
    last_ms: Int64Array,
) -> None:
    starts_ms, ends_ms, places = lines
    for number in range(entries.size):
        entry = entries[number]
        if not entry.is_new_order:
            continue
        at_ms, item = entry.effective_ms, entry.item
        is_baseline = not in_campaign[number]
        _note(rows[0], last_ms[0], at_ms, is_baseline, False)
        category = categories[item]
        if category > 0:
            _note(rows[category], last_ms[category], at_ms, is_baseline, False)
        for line in range(line_starts[item], line_starts[item + 1]):
            place = places[line]
            is_planned = starts_ms[line] <= at_ms < ends_ms[line]
            _note(rows[place], last_ms[place], at_ms, is_baseline, is_planned)


class Groups:
    """The groups of a shard.

    Args:
        settings: of the tests.
    """

    def __init__(self, settings: SurgeSettings) -> None:
        self._settings = settings
        self.rows: Table = np.zeros(_FIRST_ROWS, ROW)
        self.pool = Pool(0.0, 1.0 / settings.baseline.prior_size)
        self._last_ms: Int64Array = np.full((_FIRST_ROWS, 3), -1)
        self._stored_ms = self._last_ms[:, 0].copy()
        self._names: list[str | None] = []
        self._places: dict[str, int] = {}
        self._categories: Int32Array = np.zeros(0, np.int32)
        self._lines = campaign_lines({})
        self._line_places: Int32Array = np.zeros(0, np.int32)
        self._line_starts: Int64Array = np.zeros(1, np.int64)
        self._changed: set[str] = set()
        self._removed: set[str] = set()
        self._baseline: Int64Array | None = None
        self._place(SHOP)

    # -- who belongs where --------------------------------------------------------------------

    def _place(self, name: str) -> int:
        """Return the place of a group; a new one gets the first that is free."""
        place = self._places.get(name)
        if place is not None:
            return place
        place = self._names.index(None) if None in self._names else len(self._names)
        self._names[place : place + 1] = [name]
        self._places[name] = place
        if place == self.rows.size:
            self.rows = np.concatenate([self.rows, np.zeros(place, ROW)])
            self._last_ms = np.concatenate([self._last_ms, np.full((place, 3), -1)])
            self._stored_ms = np.concatenate([self._stored_ms, np.full(place, -1)])
        self.rows[place] = np.zeros((), ROW)
        self._last_ms[place] = -1
        self._changed.add(name)
        self._removed.discard(name)
        return place

    def grow(self, items: int) -> None:
        """Make room for so many items."""
        if items > self._categories.size:
            more = np.zeros(max(256, items), np.int32)
            self._categories = np.concatenate([self._categories, more])

    def set_category(self, item: int, category: str | None) -> bool:
        """Put an item into a category; return whether it was not there before."""
        self.grow(item + 1)
        place = self._place(f"category:{category}") if category else 0
        is_new = bool(self._categories[item] != place)
        self._categories[item] = place
        self._baseline = None
        return is_new and place > 0

    def set_lines(self, lines: Lines, items: int, day_ms: int) -> None:
        """Take the campaign lines there are; their items belong to the campaigns.

        Args:
            lines: all of them; who ended before the last whole day is left out.
            items: that the shard knows.
            day_ms: when the open day began.
        """
        self._lines = lines.chosen(lines.ends_ms > day_ms - DAY_MS)
        places = [self._place(_CAMPAIGN + name) for name in self._lines.campaign]
        self._line_places = np.array(places, np.int32)
        self._baseline = None
        self._index_lines(items)

    def _index_lines(self, items: int) -> None:
        self._line_starts = np.searchsorted(self._lines.item, np.arange(items + 1))

    def join(self, name: str, item: Table) -> None:
        """Let an item, by its row, bring its baseline orders into a group."""
        if not item["baseline_days"] > 0:
            return
        baseline = self._settings.baseline
        row = self.rows[self._place(name)]
        if row["baseline_days"] == 0:
            row["baseline_days"] = baseline.weight_of(self._settings.minimum_days)
        row["baseline_orders"] += (
            item["baseline_orders"] / item["baseline_days"] * row["baseline_days"]
        )
        self._changed.add(name)

    def members(self, name: str, items: int) -> Int64Array:
        """Return the items of a group."""
        if name == SHOP:
            return np.arange(items)
        place = self._places.get(name, -1)
        if name.startswith(_CAMPAIGN):
            return np.unique(self._lines.item[self._line_places == place])
        return np.flatnonzero(self._categories[:items] == place)

    def row(self, name: str) -> Table:
        """Return the row of a group."""
        row: Table = self.rows[self._place(name)]
        return row

    # -- what comes ---------------------------------------------------------------------------

    def count(self, entries: Table, in_campaign: BoolArray, items: int) -> None:
        """Count the new orders among entries, in the order in which they take effect.

        Args:
            entries: `streams.state.pending.ENTRY` records.
            in_campaign: which fall into a campaign window of their item.
            items: that the shard knows.
        """
        self.grow(items)
        if self._line_starts.size <= items:
            self._index_lines(items)
        lines = (self._lines.starts_ms, self._lines.ends_ms, self._line_places)
        _count(
            entries,
            in_campaign,
            self._categories,
            self._line_starts,
            lines,
            self.rows,
            self._last_ms,
        )

    def close_hour(
        self, boundary: int, profile: Profile, blackout: Blackout, plans: Float64Array
    ) -> None:
        """Test the groups.

        Args:
            boundary: end of the hour.
            profile: the shop's week.
            blackout: the newest time of which the orders say nothing.
            plans: how many times its baseline orders is planned for each group, shape (group,).
        """
        rows = self.rows[: len(self._names)]
        is_tested = (rows["tick_orders"] > 0) | (rows["surge_since_ms"] > 0)
        if boundary % DAY_MS == 0:
            is_tested |= rows["surge_sums"].any(axis=1)
        places = np.flatnonzero(is_tested).astype(np.int32)
        if not places.size:
            return
        self.note_changed(places)
        settings = self._settings
        means = surge_tick(
            rows,
            places,
            profile,
            boundary,
            HOUR_MS,
            self.pool,
            settings,
            blackout,
            plans[places],
            level=settings.group_level,
        )
        self._call(places, means, boundary)

    def _call(self, places: Int32Array, means: Float64Array, boundary: int) -> None:
        rows, settings = Columns(self.rows, places), self._settings
        is_open = rows["surge_since_ms"] > 0
        called = places[is_proved_still(rows, means, settings.group_level, settings) & ~is_open]
        ended = places[is_open & (rows["surge_path"] <= 0)]
        self.rows["surge_since_ms"][called] = boundary
        self.rows["surge_since_ms"][ended] = 0
        self.rows["surge_sums"][ended] = 0.0

    @property
    def surging(self) -> list[str]:
        """The groups of which the total is in a surge."""
        found = np.flatnonzero(self.rows["surge_since_ms"] > 0).tolist()
        return [name for place in found if (name := self._names[place]) is not None]

    def plan_factors(
        self, planned: tuple[Int64Array, Float64Array], rows: Table, days: float
    ) -> Float64Array:
        """Return how many times its baseline orders is planned for each group, at least once.

        Args:
            planned: items, and the orders planned for each in a stretch, baseline ones included.
            rows: `streams.state.items.ROW` records, shape (item,).
            days: operational days of the stretch.
        """
        factors = np.ones(len(self._names))
        items, orders = planned
        if not items.size or not days > 0:
            return factors
        if self._baseline is None or self._baseline.size != factors.size:
            self._baseline = self._sums(millionths(_baseline_rates(rows)), np.arange(rows.size))
        extra = np.maximum(orders - _baseline_rates(rows[items]) * days, 0.0)
        beyond = self._sums(millionths(extra), items)
        known = self._baseline > 0
        factors[known] += beyond[known] / (self._baseline[known] * days)
        return factors

    def _sums(self, values: Int64Array, items: Int64Array) -> Int64Array:
        """Sum whole values of items, ascending, over each group, shape (group,)."""
        sums = np.zeros(len(self._names), np.int64)
        np.add.at(sums, self._categories[items], values)
        sums[0] = values.sum()
        by_item = np.zeros(self._categories.size, np.int64)
        by_item[items] = values
        np.add.at(sums, self._line_places, by_item[self._lines.item])
        return sums

    def campaign_arrivals(
        self, lines: Lines, items: Int64Array, orders: Float64Array
    ) -> tuple[Int64Array, Float64Array]:
        """Return the places of campaigns, and the arrivals that orders of their items amount to.

        Args:
            lines: of these campaigns.
            items: all that the lines have, ascending, shape (n,).
            orders: of each, shape (n,).
        """
        by_line = np.array([self._place(_CAMPAIGN + name) for name in lines.campaign], np.int64)
        sums = np.zeros(len(self._names), np.int64)
        np.add.at(sums, by_line, millionths(orders)[np.searchsorted(items, lines.item)])
        places = np.unique(by_line)
        clumps = np.maximum(self.rows["units_per_order"][places], 1.0)
        return places, sums[places] / MILLIONTHS / clumps

    @property
    def short(self) -> list[str]:
        """The campaigns of which the total is short of its plan."""
        found = np.flatnonzero(self.rows["plan_shortfall_since_ms"] > 0).tolist()
        return [name for place in found if (name := self._names[place]) is not None]

    def forget_plans_but(self, places: Int64Array) -> None:
        """Forget what was seen of the plans of all other groups: their windows are not open."""
        others = np.setdiff1d(np.arange(len(self._names)), places)
        seen = others[(self.rows["plan_due_orders"][others] > 0) | self._has_day_plan(others)]
        forget_plans(self.rows, seen)
        self.rows["plan_shortfall_since_ms"][seen] = 0
        self.note_changed(seen)

    def _has_day_plan(self, places: Int64Array) -> BoolArray:
        rows = self.rows[places]
        seen: BoolArray = (rows["plan_day_due_orders"] > 0) | (rows["plan_day_units"] > 0)
        return seen

    # -- days ---------------------------------------------------------------------------------

    def close_day(
        self,
        rows: Table,
        counts_days: float,
        boundary: int,
        elapsed: Float64Array,
        *,
        is_calm: bool,
    ) -> None:
        """Take the closed day into the baseline of each group.

        Args:
            rows: `streams.state.items.ROW` records, shape (item,), with the exposures of the day
                and the baseline before it.
            counts_days: operational days for which the shop's day counts.
            boundary: end of the day.
            elapsed: of the profile in force during the day, shape (169,).
            is_calm: the shop's orders came as on other days.
        """
        self.grow(rows.size)
        everyone = np.arange(rows.size)
        rates = _baseline_rates(rows)
        baseline = self._sums(millionths(rates), everyone)
        on_sale = self._sums(millionths(rates * rows["day_exposure_days"]), everyone)
        groups = self.rows[: len(self._names)]
        groups["day_exposure_days"] = counts_days
        np.divide(on_sale, baseline, out=groups["day_exposure_days"], where=baseline > 0)
        self._learn_clumps(groups)
        settings = self._settings
        is_whole = groups["day_exposure_days"] >= _WHOLE_SHARE * counts_days
        teaches = is_whole & is_calm & (counts_days > 0) & (groups["surge_since_ms"] == 0)
        close_hours(groups, elapsed, boundary - DAY_MS, teaches, settings.baseline.hours)
        learn_baseline(
            groups,
            self.pool,
            settings.baseline,
            null_factor=NULL_FACTOR,
            least_rate=settings.least_rate,
        )
        groups["day_taught_orders"] = groups["day_taught_units"] = 0
        self._baseline = None
        self._forget_campaigns(boundary)
        self.note_changed(np.arange(len(self._names)))
        self.learn_pool()

    def _learn_clumps(self, groups: Table) -> None:
        """Learn how many orders of its items an arrival brings."""
        kept = 1.0 - 1.0 / self._settings.baseline.memory_days
        for name, day in (("sale_days", "day_taught_orders"), ("sale_units", "day_taught_units")):
            groups[name] = groups[name] * kept + groups[day]
        known = groups["sale_days"] > 0
        np.divide(
            groups["sale_units"], groups["sale_days"], out=groups["units_per_order"], where=known
        )

    def _forget_campaigns(self, boundary: int) -> None:
        """Forget the campaigns that are over, once nothing of them is open."""
        self.set_lines(self._lines, self._line_starts.size - 1, boundary)
        kept = {_CAMPAIGN + name for name in self._lines.campaign}
        for name in [one for one in self._places if one.startswith(_CAMPAIGN)]:
            row = self.row(name)
            if name in kept or row["surge_since_ms"] or row["plan_shortfall_since_ms"]:
                continue
            self._names[self._places.pop(name)] = None
            self._changed.discard(name)
            self._removed.add(name)

    def learn_pool(self) -> None:
        """Tell anew what the groups have in common; between two days' ends it stays the same."""
        living = self.rows[sorted(self._places.values())]  # not those of campaigns that are over
        found = pool_items(living, 0.0, self._settings.baseline)
        self.pool = Pool(0.0, found.dispersion, found.pace, found.hours)

    # -- what to store ------------------------------------------------------------------------

    def note_changed(self, places: Int32Array | Int64Array) -> None:
        """Note that the rows of these groups changed."""
        names = (self._names[place] for place in places.tolist())
        self._changed.update(name for name in names if name is not None)

    def take_changes(self) -> dict[str, bytes | None]:
        """Return the rows that changed since the last call, none for groups that are gone."""
        newest_ms = self._last_ms[: len(self._names), 0]
        self.note_changed(np.flatnonzero(newest_ms != self._stored_ms[: newest_ms.size]))
        self._stored_ms = self._last_ms[:, 0].copy()
        every = self.tell()
        stored: dict[str, bytes | None] = {name: every[name] for name in self._changed}
        stored.update(dict.fromkeys(self._removed))
        self._changed, self._removed = set(), set()
        return dict(sorted(stored.items()))

    def tell(self) -> dict[str, bytes]:
        """The rows of all groups."""
        return {name: self.row(name).tobytes() for name in sorted(self._places)}

    def restore(self, stored: dict[str, bytes]) -> None:
        """Take over stored rows; the items' categories and lines are read from them."""
        for name, row in stored.items():
            self.rows[self._place(name)] = np.frombuffer(row, ROW)[0]
        self._changed = set()
        self._baseline = None
        self.learn_pool()


def _baseline_rates(rows: Table) -> Float64Array:
    """Baseline orders of items per operational day, shape (n,); 0 where nothing was sold yet."""
    rates = np.zeros(rows.size)
    np.divide(
        rows["baseline_orders"], rows["baseline_days"], out=rates, where=rows["baseline_days"] > 0
    )
    rates *= np.maximum(rows["baseline_pace"], 1.0)
    return rates


def groups_of(category: str | None, campaigns: Sequence[str]) -> list[str]:
    """Return the groups of an item, the widest first.

    >>> groups_of("lamps", ["1111"])
    ['shop', 'category:lamps', 'campaign:1111']
    """
    named = [] if category is None else [f"category:{category}"]
    return [SHOP, *named, *(f"campaign:{one}" for one in sorted(campaigns))]
