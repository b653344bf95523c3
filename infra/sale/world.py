"""The world of the sale as columns: what is ordered, sent, cancelled and returned, and when.

Nothing here knows about lines of a file, duplicates or lateness.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from infra.sale.settings import WAREHOUSE_SHARES, ClosedItem, SaleSettings, Story
from streams.timestamps import HOUR_MS, MINUTE_MS

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

NEVER_MS = np.iinfo(np.int64).max
UNITS_PER_LINE_MEAN = 1 / 0.6

_EVENTS_PER_LINE = 2.22  # calm lines: an order, its shipment, and what the story adds
_HOUR_WEIGHTS = np.array(
    [3, 2, 1, 1, 1, 2, 3, 5, 7, 8, 8, 8, 9, 9, 8, 8, 8, 9, 11, 13, 14, 13, 9, 5], np.float64
)
_HOURLY_NOISE_SHAPE = 20.0  # gamma: demand varies a little more than Poisson
_LINES_PER_ORDER = (0.55, 0.25, 0.12, 0.08)  # chance of 1, 2, 3, 4 lines
_SAME_SKU_AGAIN_SHARE = 0.005


@dataclass(frozen=True)
class Items:
    """Shape (sku,), the best seller first."""

    names: list[str]
    categories: list[str]
    prices: Floats
    lines_per_day: Floats  # on a calm day, both warehouses
    review_days: Ints


@dataclass(frozen=True)
class OrderLines:
    """Shape (line,), in time order. Times are milliseconds; `NEVER_MS` means not in this sale."""

    sku: Ints
    warehouse: Ints
    order: Ints
    quantity: Ints
    placed_ms: Ints
    in_promotion: Flags
    lost: Flags  # reported so late that nobody acts on it
    cancelled_ms: Ints
    dispatched_ms: Ints
    delivered_ms: Ints
    returned_ms: Ints


@dataclass(frozen=True)
class ClosedStock:
    """What an item with known deliveries has on the shelf."""

    item: ClosedItem
    opening_units: int
    received_units: int
    open_units: int  # ordered and not sent at the moment of the delivery


_CATEGORIES = (
    *("candle", "chair", "clock", "kettle", "lamp"),
    *("mug", "rug", "shelf", "towel", "vase"),
)


def make_items(settings: SaleSettings, random: np.random.Generator) -> Items:
    count = settings.skus
    categories = [_CATEGORIES[index] for index in random.integers(0, len(_CATEGORIES), count)]
    weights = np.sort(random.lognormal(0.0, 0.9, count))[::-1]
    lines_per_day = weights / weights.sum() * settings.events / _EVENTS_PER_LINE / settings.days
    return Items(
        names=[f"{category}-{index:04d}" for index, category in enumerate(categories)],
        categories=categories,
        prices=np.round(random.lognormal(2.7, 0.7, count)) + 0.99,
        lines_per_day=lines_per_day,
        review_days=_review_days(count),
    )


def _review_days(count: int) -> Ints:
    """The best-selling fifth is reviewed daily, the next three tenths every two days."""
    return np.repeat([1, 2, 3], [count // 5, 3 * count // 10, count - count // 5 - 3 * count // 10])


def make_order_lines(
    settings: SaleSettings, story: Story, items: Items, random: np.random.Generator
) -> OrderLines:
    sku, placed_ms = _draw_demand(settings, story, items, random)
    sku, placed_ms, order, is_bulk = _group_into_orders(story, sku, placed_ms, random)
    count = len(sku)
    warehouse = (random.random(int(order.max()) + 1) >= WAREHOUSE_SHARES[0]).astype(np.int64)[order]
    quantity = np.where(is_bulk, story.bulk_units, np.minimum(random.geometric(0.6, count), 20))
    lost = _choose_lost(settings, story, sku, placed_ms, random)
    cancelled_ms = _cancellations(settings, story, sku, placed_ms, lost | is_bulk, random)
    return _with_shipments(
        settings,
        story,
        OrderLines(
            sku=sku,
            warehouse=warehouse,
            order=order,
            quantity=quantity,
            placed_ms=placed_ms,
            in_promotion=_in_promotion(story, sku, placed_ms),
            lost=lost,
            cancelled_ms=cancelled_ms,
            dispatched_ms=placed_ms,
            delivered_ms=placed_ms,
            returned_ms=placed_ms,
        ),
        random,
    )


def expected_lines(settings: SaleSettings, story: Story, items: Items) -> Floats:
    """Return expected order lines, shape (sku, hour)."""
    hours = settings.days * 24
    per_hour = np.tile(_HOUR_WEIGHTS / _HOUR_WEIGHTS.sum(), settings.days)
    expected: Floats = items.lines_per_day[:, None] * per_hour[None, :]
    start_ms = settings.start_ms + np.arange(hours) * HOUR_MS
    for window in (story.promotion, story.surge):
        inside = (start_ms >= window.start_ms) & (start_ms < window.end_ms)
        expected[np.ix_(np.array(window.skus), inside)] *= window.factor
    return expected


def _draw_demand(
    settings: SaleSettings, story: Story, items: Items, random: np.random.Generator
) -> tuple[Ints, Ints]:
    expected = expected_lines(settings, story, items)
    noise = random.gamma(_HOURLY_NOISE_SHAPE, 1 / _HOURLY_NOISE_SHAPE, expected.shape)
    counts = random.poisson(expected * noise)
    sku, hour = (np.repeat(index, counts.ravel()) for index in _grid(counts.shape))
    placed_ms = settings.start_ms + hour * HOUR_MS + random.integers(0, HOUR_MS, len(sku))
    in_time_order = np.lexsort((sku, placed_ms))
    return sku[in_time_order], placed_ms[in_time_order]


def _grid(shape: tuple[int, ...]) -> tuple[Ints, Ints]:
    rows, columns = np.indices(shape)
    return rows.ravel().astype(np.int64), columns.ravel().astype(np.int64)


def _group_into_orders(
    story: Story, sku: Ints, placed_ms: Ints, random: np.random.Generator
) -> tuple[Ints, Ints, Ints, Flags]:
    """Neighbours in time make up an order; some order the same SKU in two lines."""
    sizes = random.choice(len(_LINES_PER_ORDER), len(sku), p=_LINES_PER_ORDER) + 1
    order = np.repeat(np.arange(len(sku)), sizes)[: len(sku)]
    first = np.searchsorted(order, order)
    placed_ms = placed_ms[first]
    again = np.flatnonzero(random.random(len(sku)) < _SAME_SKU_AGAIN_SHARE)
    sku = np.concatenate([sku, sku[again], [story.bulk_sku]])
    placed_ms = np.concatenate([placed_ms, placed_ms[again], [story.bulk_ms]])
    order = np.concatenate([order, order[again], [order[-1] + 1]])
    is_bulk = np.arange(len(sku)) == len(sku) - 1
    in_time_order = np.lexsort((order, placed_ms))
    # Order numbers count up in time, the bulk order among them.
    _, order = np.unique(order, return_inverse=True)
    return (
        sku[in_time_order],
        placed_ms[in_time_order],
        order[in_time_order].astype(np.int64),
        is_bulk[in_time_order],
    )


def _in_promotion(story: Story, sku: Ints, placed_ms: Ints) -> Flags:
    window = story.promotion
    is_open = (placed_ms >= window.start_ms) & (placed_ms < window.end_ms)
    return np.isin(sku, window.skus) & is_open


def _is_closed_sku(story: Story, sku: Ints) -> Flags:
    return np.isin(sku, [item.sku for item in story.closed_items])


LOST_LINES = 5


def _choose_lost(
    settings: SaleSettings,
    story: Story,
    sku: Ints,
    placed_ms: Ints,
    random: np.random.Generator,
) -> Flags:
    # Early ones: they come three days late, and the sale is still on.
    early = (placed_ms < settings.at(settings.days - 4, 12)) & ~_is_closed_sku(story, sku)
    lost = np.zeros(len(sku), np.bool_)
    lost[random.choice(np.flatnonzero(early), LOST_LINES, replace=False)] = True
    return lost


def _cancellations(
    settings: SaleSettings,
    story: Story,
    sku: Ints,
    placed_ms: Ints,
    kept: Flags,
    random: np.random.Generator,
) -> Ints:
    """1.5 % of the lines are cancelled, always before they could be sent."""
    after_ms = random.integers(5 * MINUTE_MS, 50 * MINUTE_MS, len(sku))
    chosen = (random.random(len(sku)) < 0.015) & ~kept & ~_is_closed_sku(story, sku)
    return _within(settings, np.where(chosen, placed_ms + after_ms, NEVER_MS))


def _with_shipments(
    settings: SaleSettings, story: Story, lines: OrderLines, random: np.random.Generator
) -> OrderLines:
    """Lines leave 1 to 6 hours later; 5 % of them report their arrival, 0.5 % come back."""
    ready_ms = lines.placed_ms + random.integers(HOUR_MS, 6 * HOUR_MS, len(lines.sku))
    for item in story.closed_items:
        waits = is_of(item, lines) & (ready_ms >= item.empty_from_ms)
        ready_ms = np.where(waits, np.maximum(ready_ms, item.received_ms), ready_ms)
    kept = ~lines.lost & (lines.cancelled_ms == NEVER_MS)
    dispatched_ms = _within(settings, np.where(kept, ready_ms, NEVER_MS))
    return replace(
        lines,
        dispatched_ms=dispatched_ms,
        delivered_ms=_within(settings, _follow(dispatched_ms, 0.05, (20, 30), random)),
        returned_ms=_within(settings, _follow(dispatched_ms, 0.005, (20, 44), random)),
    )


def is_of(item: ClosedItem, lines: OrderLines) -> Flags:
    """Return which lines are of that item."""
    chosen: Flags = (lines.sku == item.sku) & (lines.warehouse == item.warehouse)
    return chosen


def closed_stock(item: ClosedItem, lines: OrderLines) -> ClosedStock:
    """Return a stock that is used up at the very moment when the story says so."""
    of_item = is_of(item, lines)
    opening = of_item & (lines.dispatched_ms < item.empty_from_ms)
    waiting = of_item & (lines.placed_ms < item.received_ms) & ~opening
    return ClosedStock(
        item=item,
        opening_units=units(lines, opening),
        # Enough for the rest of the sale, whatever comes back.
        received_units=units(lines, of_item & ~opening) + 100,
        open_units=units(lines, waiting),
    )


def units(lines: OrderLines, chosen: Flags) -> int:
    return int(lines.quantity[chosen].sum())


def _follow(
    after_ms: Ints, share: float, hours: tuple[int, int], random: np.random.Generator
) -> Ints:
    delay_ms = random.integers(hours[0] * HOUR_MS, hours[1] * HOUR_MS, len(after_ms))
    chosen = (random.random(len(after_ms)) < share) & (after_ms != NEVER_MS)
    return np.where(chosen, np.where(chosen, after_ms, 0) + delay_ms, NEVER_MS)


def _within(settings: SaleSettings, times_ms: Ints) -> Ints:
    return np.where(times_ms < settings.end_ms, times_ms, NEVER_MS)
