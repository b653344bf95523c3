"""What an item shard says of its groups at a boundary, for `streams.groups`: sums over items."""

from collections import defaultdict

import numpy as np

from streams.demand.campaigns import Lines, planned_orders
from streams.demand.week_profile import operational_days
from streams.detection.factors import baseline_rates, sold_orders
from streams.detection.order_feed import OrderFeed
from streams.exact_sums import millionths
from streams.groups.facts import Day, DayFact, HourFact, Member, PlanFact, TickOrders
from streams.groups.rows import CAMPAIGN, CATEGORY, SHOP
from streams.timeline.partition_state import State
from streams.timestamps import DAY_MS, HOUR_MS
from streams.types import BoolArray, Float64Array, Int64Array, Table

_SELLERS = 5  # items by name


class _Sums:
    """Sums of whole numbers of items, by group.

    Args:
        state: of the shard.
        lines: campaign lines; their items belong to the campaigns.
    """

    def __init__(self, state: State, lines: Lines) -> None:
        self._numbers, self._categories = state.category_numbers(), state.category_names
        self._lines = lines
        # An item counts once for a campaign in which it has several lines.
        self._campaigns, places = np.unique(
            np.array(lines.campaign, dtype=str), return_inverse=True
        )
        pairs = np.unique(np.stack([lines.item, places.astype(np.int64)]), axis=1)
        self._items, self._of = pairs[0], pairs[1]

    def of(self, values: Int64Array) -> dict[str, int]:
        """Return the sum of each group with any, of values of shape (item,)."""
        sums = {SHOP: int(values.sum())}
        by_category = np.zeros(len(self._categories) + 1, np.int64)
        np.add.at(by_category, self._numbers, values)
        for name, total in zip(self._categories, by_category[1:].tolist(), strict=True):
            sums[CATEGORY + name] = total
        by_campaign = np.zeros(self._campaigns.size, np.int64)
        np.add.at(by_campaign, self._of, values[self._items])
        for name, total in zip(self._campaigns.tolist(), by_campaign.tolist(), strict=True):
            sums[CAMPAIGN + name] = total
        return sums

    def best(self, state: State, orders: Int64Array) -> dict[str, list[tuple[str, int]]]:
        """Return the items of each group with most orders, those first."""
        sold = np.flatnonzero(orders > 0)
        groups = {SHOP: sold}
        for number, name in enumerate(self._categories, 1):
            groups[CATEGORY + name] = sold[self._numbers[sold] == number]
        for place, name in enumerate(self._campaigns.tolist()):
            inside = self._items[self._of == place]
            groups[CAMPAIGN + name] = inside[orders[inside] > 0]
        return {name: _most(state, items, orders) for name, items in groups.items()}


def _most(state: State, items: Int64Array, orders: Int64Array) -> list[tuple[str, int]]:
    if items.size > _SELLERS:
        least = np.partition(orders[items], -_SELLERS)[-_SELLERS]
        items = items[orders[items] >= least]
    found = sorted((-int(orders[one]), state.items.key(one)) for one in items.tolist())
    return [(name, -count) for count, name in found[:_SELLERS]]


def note_tick(state: State, boundary: int, feed: OrderFeed, *, is_import: bool) -> None:
    """Say how many orders came in the tick that ends, before the feed closes it."""
    orders, first_ms, newest_ms = feed.open_tick
    if orders:
        start_ms = boundary - state.settings.tick_ms
        tick = TickOrders(start_ms, orders, first_ms, newest_ms, is_import)
        state.facts.at(boundary).ticks.append(tick)


def note_surging(state: State, boundary: int) -> None:
    """Say which items are in a surge of their own."""
    rows = state.rows()
    items = np.flatnonzero(rows["surge_since_ms"] > 0)
    due = millionths(baseline_rates(rows[items], state.settings.surge) * rows["surge_days"][items])
    state.facts.at(boundary).surging = [
        Member(
            state.items.key(item),
            state.groups_of(item),
            int(rows["surge_since_ms"][item]),
            int(rows["surge_orders"][item]),
            one,
        )
        for item, one in zip(items.tolist(), due.tolist(), strict=True)
    ]


def note_short(state: State, boundary: int) -> None:
    """Say which items sell below their plan."""
    since_ms = state.rows()["plan_shortfall_since_ms"]
    state.facts.at(boundary).short = [
        Member(state.items.key(item), state.groups_of(item), int(since_ms[item]))
        for item in np.flatnonzero(since_ms > 0).tolist()
    ]


def note_hour(state: State, boundary: int) -> None:
    """Say what the groups sold in the hour that ends, without items in a surge of their own."""
    rows, start_ms = state.rows(), boundary - HOUR_MS
    is_alone = rows["surge_since_ms"] > 0
    came = np.where((rows["hour_ms"] == start_ms) & ~is_alone, rows["hour_orders"], 0)
    missing = millionths(np.where(is_alone, _rates(rows), 0.0))
    planned = millionths(np.where(is_alone, 0.0, _beyond_baseline(state, start_ms, boundary)))
    if not (rows["day_orders"].any() or missing.any() or planned.any()):
        return
    sums = _Sums(state, _living(state, boundary))
    orders, left_out, extra = sums.of(came), sums.of(missing), sums.of(planned)
    best = sums.best(state, rows["day_orders"])
    state.facts.at(boundary).hours = [
        HourFact(name, orders[name], left_out[name], extra[name], best[name])
        for name in sorted(orders)
        if best[name] or left_out[name] or extra[name]
    ]


def _living(state: State, boundary: int) -> Lines:
    """The campaign lines that are not over since yesterday."""
    day_ms = (boundary - 1) // DAY_MS * DAY_MS
    return state.lines.chosen(state.lines.ends_ms > day_ms - DAY_MS)


def _beyond_baseline(state: State, start_ms: int, end_ms: int) -> Float64Array:
    """Orders that campaigns plan of each item in a stretch beyond its baseline, shape (item,)."""
    rows, elapsed = state.rows(), state.profile.elapsed
    lines = state.lines_between(start_ms, end_ms)
    if not lines.item.size:
        return np.zeros(rows.size)
    days = float(operational_days(elapsed, start_ms, end_ms))
    planned = planned_orders(lines, rows, elapsed, start_ms, end_ms)
    extra: Float64Array = np.where(planned > 0, np.maximum(planned - _rates(rows) * days, 0.0), 0.0)
    return extra


def _rates(rows: Table) -> Float64Array:
    """Baseline orders of items a day, shape (item,); 0 where nothing was sold yet."""
    rates = np.zeros(rows.size)
    np.divide(
        rows["baseline_orders"], rows["baseline_days"], out=rates, where=rows["baseline_days"] > 0
    )
    rates *= np.maximum(rows["baseline_pace"], 1.0)
    return rates


def note_plans(
    state: State, lines: Lines, items: Int64Array, due: Float64Array, boundary: int
) -> None:
    """Say what campaigns planned for the open day, and what came of it.

    Args:
        state: of the shard.
        lines: whose windows were open.
        items: of these lines, and others, ascending, shape (n,).
        due: orders due of each in the open day up to now, shape (n,).
        boundary: a full hour.
    """
    planned: dict[str, int] = defaultdict(int)
    sold: dict[str, int] = defaultdict(int)
    due_of = dict(zip(items.tolist(), millionths(due).tolist(), strict=True))
    sold_of = dict(
        zip(items.tolist(), millionths(sold_orders(state.rows()[items])).tolist(), strict=True)
    )
    for item, name in sorted(set(zip(lines.item.tolist(), lines.campaign, strict=True))):
        planned[name] += due_of[item]
        sold[name] += sold_of[item]
    if planned:
        state.facts.at(boundary).plans = [
            PlanFact(CAMPAIGN + name, planned[name], sold[name]) for name in sorted(planned)
        ]


def note_joined(state: State, item: int, group: str, moment: int) -> None:
    """Say that an item joined a group, with the orders that it brings."""
    rate = int(millionths(_rates(state.items.rows[item : item + 1]))[0])
    if rate > 0:
        state.facts.at(moment + 1).joined.append((group, rate))


def note_day(
    state: State,
    boundary: int,
    start_ms: int,
    shares: Float64Array,
    surged: BoolArray,
) -> None:
    """Say what the day that ends taught.

    Args:
        state: of the shard, before the baselines take the day in.
        boundary: end of the day.
        start_ms: of the part of it that the shard knows.
        shares: of the day in which each item was on sale, shape (item,).
        surged: which items had a surge in it, shape (item,).
    """
    rows = state.rows()
    rates, lines = _rates(rows), _living(state, boundary)
    sums = _Sums(state, lines)
    taught = sums.of(np.where(surged, 0, rows["day_taught_orders"]))
    whole, on_sale = sums.of(millionths(rates)), sums.of(millionths(rates * shares * ~surged))
    state.facts.at(boundary).day = Day(
        start_ms=start_ms,
        groups=[
            DayFact(name, taught[name], whole[name], on_sale[name])
            for name in sorted(taught)
            if taught[name] or whole[name]
        ],
        campaigns=sorted({*lines.campaign}),
    )
