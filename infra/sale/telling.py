"""From the world to events: each as a line of the `tidegate` schema, with its place in time."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import msgspec
import numpy as np

from infra.sale.settings import CAMPAIGN_ID, WAREHOUSE_SHARES, WAREHOUSES, SaleSettings, Story
from infra.sale.world import (
    NEVER_MS,
    UNITS_PER_LINE_MEAN,
    ClosedStock,
    Flags,
    Floats,
    Ints,
    Items,
    OrderLines,
    expected_lines,
)
from streams.timestamps import DAY_MS, HOUR_MS

CURRENCY = "EUR"
LEAD_TIME_DAYS_LEAN = 0.5
LEAD_TIME_DAYS_FLEXIBLE = 0.2
PROMOTION_DISCOUNT = 0.25
_UNIT_COST_SHARE = 0.5
_FLEXIBLE_COST_RATIO = 1.3
_OPENING_COVER = 1.3
_ADJUSTED_SHARE = 0.02
_COUNT_DELAY_MS = 1_000
_WORKING_DAYS = [1, 2, 3, 4, 5]


@dataclass
class Telling:
    """Events of one topic and kind. `lost` ones are reported too late for anybody to act on."""

    topic: str
    kind: str
    lines: list[str]
    occurred_ms: Ints
    lost: Flags | None = None


def tell_orders(items: Items, lines: OrderLines) -> list[Telling]:
    """Return what happened to the order lines."""
    sku = _named(items.names, lines.sku)
    warehouse = _named(WAREHOUSES, lines.warehouse)
    placed = _tell_lines("orders", "placed", lines, lines.placed_ms, sku, warehouse)
    placed.lines = _with_prices(placed.lines, items, lines)
    placed.lost = lines.lost
    later = (
        ("orders", "cancelled", lines.cancelled_ms),
        ("orders", "returned", lines.returned_ms),
        ("shipments", "dispatched", lines.dispatched_ms),
        ("shipments", "delivered", lines.delivered_ms),
    )
    return [
        placed,
        *(
            _tell_lines(topic, kind, lines, times_ms, sku, warehouse)
            for topic, kind, times_ms in later
        ),
    ]


def _named(names: Sequence[str], index: Ints) -> "np.ndarray[Any, np.dtype[np.object_]]":
    return np.array(names, dtype=object)[index]


def _tell_lines(
    topic: str, kind: str, lines: OrderLines, times_ms: Ints, sku: Any, warehouse: Any
) -> Telling:
    happened = np.flatnonzero(times_ms != NEVER_MS)
    occurred_ms = times_ms[happened]
    head = f'{{"topic":"{topic}","kind":"{kind}","event_id":"{kind}-'
    encoded = [
        f'{head}{number:06d}","occurred_at":"{at}","sku":"{name}","warehouse":"{place}",'
        f'"order_id":"order-{order:06d}","quantity":{quantity}}}'
        for number, at, name, place, order, quantity in zip(
            happened.tolist(),
            rfc_3339(occurred_ms),
            sku[happened].tolist(),
            warehouse[happened].tolist(),
            lines.order[happened].tolist(),
            lines.quantity[happened].tolist(),
            strict=True,
        )
    ]
    return Telling(topic, kind, encoded, occurred_ms)


def _with_prices(encoded: list[str], items: Items, lines: OrderLines) -> list[str]:
    prices = items.prices[lines.sku]
    discounted = np.round(prices * (1 - PROMOTION_DISCOUNT), 2)
    paid = np.where(lines.in_promotion, discounted, prices).tolist()
    calm, promoted = f',"currency":"{CURRENCY}"}}', f',"campaign_id":"{CAMPAIGN_ID}"'
    return [
        f'{line[:-1]},"price":{price:.2f}{promoted if campaign else ""}{calm}'
        for line, price, campaign in zip(encoded, paid, lines.in_promotion.tolist(), strict=True)
    ]


def tell_catalog(
    settings: SaleSettings, items: Items, stocks: Sequence[ClosedStock]
) -> list[Telling]:
    """Return master data, and opening counts a second later."""
    closed = {(stock.item.sku, stock.item.warehouse): stock for stock in stocks}
    master_data, counts = [], []
    for sku, place in product(range(settings.skus), range(len(WAREHOUSES))):
        name = items.names[sku]
        units_per_day = float(items.lines_per_day[sku]) * UNITS_PER_LINE_MEAN
        units_per_day *= WAREHOUSE_SHARES[place]
        stock = closed.get((sku, place))
        fields = _item_fields(items, sku, units_per_day) | {"assume_received": stock is None}
        level = _opening_units(items, sku, units_per_day) if stock is None else stock.opening_units
        item = f"{name}@{WAREHOUSES[place]}"
        at_ms = settings.start_ms
        master_data.append(_line("catalog", "item", f"item-{item}", at_ms, name, place, **fields))
        opening = ("stock", "counted", f"opening-{item}", at_ms + _COUNT_DELAY_MS)
        counts.append(_line(*opening, name, place, level=level))
    times_ms = np.full(len(counts), settings.start_ms, np.int64)
    return [
        Telling("catalog", "item", master_data, times_ms),
        Telling("stock", "counted", counts, times_ms + _COUNT_DELAY_MS),
    ]


def _item_fields(items: Items, sku: int, units_per_day: float) -> dict[str, Any]:
    """Return master data in the proportions of the published case, scaled to the item.

    There, a review period sells 900 units of cost 10: set-ups are 10 % and 1 % of what they cost,
    holding a unit for the whole period costs 81 % of its cost, and owing it 180 %.
    """
    review_days = int(items.review_days[sku])
    unit_cost = float(items.prices[sku]) * _UNIT_COST_SHARE
    cycle_cost = unit_cost * units_per_day * review_days
    return {
        "unit_cost_lean": round(unit_cost, 2),
        "unit_cost_flexible": round(unit_cost * _FLEXIBLE_COST_RATIO, 2),
        "setup_cost_lean": round(0.10 * cycle_cost, 2),
        "setup_cost_flexible": round(0.01 * cycle_cost, 2),
        "lead_time_days_lean": LEAD_TIME_DAYS_LEAN,
        "lead_time_days_flexible": LEAD_TIME_DAYS_FLEXIBLE,
        "review_period_days": review_days,
        "holding_cost_per_unit_day": round(0.81 * unit_cost / review_days, 4),
        "backorder_cost_per_unit_day": round(1.80 * unit_cost / review_days, 4),
        "service_target": 0.95,
        "service_type": "cycle",
        "pack_size_units_lean": 6 if sku % 5 == 0 else 1,
        "minimum_order_units_lean": 12 if sku % 7 == 0 else 0,
        "lean_capacity_units": 2_000 if sku % 11 == 0 else None,
        "price_breaks_lean": [_price_break(unit_cost)] if sku % 13 == 0 else [],
        "dispatch_weekdays_lean": _WORKING_DAYS if sku % 4 == 2 else [],
        "cut_off_hour_lean": 16 if sku % 4 == 2 else 24,
        "currency": CURRENCY,
        "category": items.categories[sku],
        "assume_dispatched": False,
    }


def _price_break(unit_cost: float) -> dict[str, float]:
    return {"from_units": 240, "unit_cost": round(0.95 * unit_cost, 4)}


def _opening_units(items: Items, sku: int, units_per_day: float) -> int:
    """Enough for the first review period and the lean lead time, with some spare."""
    cover_days = int(items.review_days[sku]) + LEAD_TIME_DAYS_LEAN
    return int(np.ceil(units_per_day * cover_days * _OPENING_COVER)) + 5


def tell_promotion(settings: SaleSettings, story: Story, items: Items) -> list[Telling]:
    """Return the announcement, a change of mind for a few SKUs, and two withdrawals."""
    announced = (*story.promotion.skus, *story.withdrawn_skus)
    planned_units = _expected_units(settings, story, items)
    return [
        _tell_campaign("planned", settings.at(0, 9), story, items, announced, planned_units),
        _tell_campaign(
            *("changed", settings.at(0, 15), story, items, announced[:5], planned_units * 1.2)
        ),
        _tell_campaign("cancelled", settings.at(0, 16), story, items, story.withdrawn_skus, None),
    ]


def _tell_campaign(
    kind: str,
    at_ms: int,
    story: Story,
    items: Items,
    skus: Sequence[int],
    expected_units: Floats | None,
) -> Telling:
    """Return one line for each item; a withdrawal expects nothing and has no terms."""
    terms = {} if expected_units is None else _campaign_terms(story)
    encoded = []
    for sku in skus:
        for place, share in enumerate(WAREHOUSE_SHARES):
            name = items.names[sku]
            if expected_units is not None:
                terms["expected_units"] = round(float(expected_units[sku]) * share)
            event_id = f"campaign-{kind}-{name}@{WAREHOUSES[place]}"
            fields = {"campaign_id": CAMPAIGN_ID, **terms}
            encoded.append(_line("campaigns", kind, event_id, at_ms, name, place, **fields))
    return Telling("campaigns", kind, encoded, np.full(len(encoded), at_ms, np.int64))


def _campaign_terms(story: Story) -> dict[str, Any]:
    starts_at, ends_at = rfc_3339(np.array([story.promotion.start_ms, story.promotion.end_ms]))
    return {
        "starts_at": starts_at,
        "ends_at": ends_at,
        "expected_units": 0,
        "discount": PROMOTION_DISCOUNT,
        "promise_days": 2,
    }


def _expected_units(settings: SaleSettings, story: Story, items: Items) -> Floats:
    hours = slice(
        (story.promotion.start_ms - settings.start_ms) // HOUR_MS,
        (story.promotion.end_ms - settings.start_ms) // HOUR_MS,
    )
    lines: Floats = expected_lines(settings, story, items)[:, hours].sum(axis=1)
    return lines * UNITS_PER_LINE_MEAN


def tell_deliveries(
    story: Story, items: Items, lines: OrderLines, stocks: Sequence[ClosedStock]
) -> list[Telling]:
    """Return the deliveries of the closed items: one in time for its reorder, one two days late."""
    tellings = []
    for stock in stocks:
        tellings.append(_tell_inbound("received", stock.item.received_ms, items, stock))
    late = stocks[1]
    promises = (
        ("advised", story.advised_ms, story.first_expected_ms),
        ("delayed", story.delayed_ms, story.second_expected_ms),
    )
    for kind, at_ms, expected_ms in promises:
        expected_at = rfc_3339(np.array([expected_ms]))[0]
        tellings.append(_tell_inbound(kind, at_ms, items, late, expected_at=expected_at))
    return tellings


def _tell_inbound(kind: str, at_ms: int, items: Items, stock: ClosedStock, **own: Any) -> Telling:
    item = stock.item
    line = _line(
        *("shipments", kind, f"{kind}-{item.po_id}", at_ms, items.names[item.sku], item.warehouse),
        po_id=item.po_id,
        supplier=item.supplier,
        quantity=stock.received_units,
        **own,
    )
    return Telling("shipments", kind, [line], np.array([at_ms], np.int64))


def tell_stock_corrections(
    settings: SaleSettings, story: Story, items: Items, random: np.random.Generator
) -> list[Telling]:
    """Return a few broken or missing units, never of the items whose stock is known exactly."""
    closed = {item.sku for item in story.closed_items}
    days, count = settings.days, settings.skus
    encoded: list[tuple[int, str]] = []
    for number in range(int(_ADJUSTED_SHARE * count * len(WAREHOUSES)) * days):
        sku, place = int(random.integers(0, count)), int(random.integers(0, len(WAREHOUSES)))
        at_ms = settings.start_ms + int(random.integers(HOUR_MS, days * DAY_MS))
        change = -int(random.integers(1, 4))
        if sku not in closed:
            line = _line(
                *("stock", "adjusted", f"adjusted-{number:06d}", at_ms, items.names[sku], place),
                change=change,
                reason="damaged" if change < -1 else "missing",
            )
            encoded.append((at_ms, line))
    times_ms = np.array([at_ms for at_ms, _ in encoded], np.int64)
    return [Telling("stock", "adjusted", [line for _, line in encoded], times_ms)]


def _line(
    topic: str, kind: str, event_id: str, at_ms: int, sku: str, place: int, **own: Any
) -> str:
    # One instant at a time: the whole columns are written by `_tell_lines`.
    event = {
        "topic": topic,
        "kind": kind,
        "event_id": event_id,
        "occurred_at": rfc_3339(np.array([at_ms]))[0],
        "sku": sku,
        "warehouse": WAREHOUSES[place],
        **{name: value for name, value in own.items() if value is not None},
    }
    return msgspec.json.encode(event).decode()


def rfc_3339(times_ms: Ints) -> list[str]:
    """Return UTC times as text.

    >>> rfc_3339(np.array([1500]))
    ['1970-01-01T00:00:01.500Z']
    """
    texts: list[str] = np.datetime_as_string(
        times_ms.astype("datetime64[ms]"), timezone="UTC"
    ).tolist()
    return texts
