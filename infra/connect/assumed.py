"""What `try` makes up where no file says it: items with costs and lead times, and opening stock.

All of it follows from the orders themselves and from stated defaults; a report says so. Pure.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from infra.connect.ledger import Fields
from infra.connect.presets import Defaults
from infra.connect.reading import check
from infra.replay.faults import Record
from streams.timestamps import DAY_MS

SOURCE = "assumed"
MAIN = "main"
"""The warehouse of orders that name none."""
_SECOND_MS = 1_000
_LEAST_DAYS = 7.0
_LEAST_UNITS = 2
_LONE_GAP_DAYS = 366
_LONE_SHARE = 0.01


class _Order(msgspec.Struct):
    """What counts of an order's event."""

    kind: str
    quantity: int = 0
    price: float | None = None
    currency: str | None = None
    warehouse: str = "main"


_decoder = msgspec.json.Decoder(_Order)


@dataclass
class ItemSales:
    """What the orders say of one item in one warehouse."""

    first_ms: int
    units: int = 0
    largest_units: int = 0
    revenue: float = 0.0
    priced_units: int = 0
    currency: str | None = None

    @property
    def price(self) -> float | None:
        """Mean price of a unit; None where no line had one."""
        return self.revenue / self.priced_units if self.priced_units else None


@dataclass
class Sales:
    """What the orders of all files say, collected while they are read."""

    items: dict[tuple[str, str], ItemSales] = field(default_factory=dict)
    lines: int = 0
    days: Counter[int] = field(default_factory=Counter)  # lines by day since 1970
    units: dict[str, Counter[int]] = field(default_factory=dict)  # by sku and day, less cancelled

    def add(self, record: Record) -> None:
        """Take an event into account; others than orders change nothing."""
        if record.topic != "orders":
            return
        try:
            order = _decoder.decode(record.value)
        except (msgspec.DecodeError, UnicodeDecodeError):  # bad on purpose
            return
        name = (record.key.decode(), order.warehouse)
        item = self.items.get(name)
        if item is None:
            item = self.items[name] = ItemSales(record.occurred_ms)
        item.first_ms = min(item.first_ms, record.occurred_ms)
        day = record.occurred_ms // DAY_MS
        self.days[day] += 1
        units = self.units.setdefault(name[0], Counter())
        units[day] += order.quantity if order.kind == "placed" else -order.quantity
        if order.kind != "placed":
            return
        self.lines += 1
        item.units += order.quantity
        item.largest_units = max(item.largest_units, order.quantity)
        item.currency = item.currency or order.currency
        if order.price:
            item.revenue += order.price * order.quantity
            item.priced_units += order.quantity

    def bounds_ms(self) -> tuple[int, int]:
        """Return the time from which and up to which events belong together.

        A few that are more than a year away from all others have a wrong date: they would make a
        shop of many empty years.

        >>> sales = Sales(days=Counter({0: 1, 20_000: 500, 20_300: 400}))
        >>> [ms // DAY_MS for ms in sales.bounds_ms()]
        [20000, 20301]
        """
        days = sorted(self.days)
        total = sum(self.days.values())
        first, last = 0, len(days) - 1
        lone = 0
        while first < last and days[first + 1] - days[first] > _LONE_GAP_DAYS:
            lone += self.days[days[first]]
            if lone > _LONE_SHARE * total:
                break
            first += 1
        lone = 0
        while last > first and days[last] - days[last - 1] > _LONE_GAP_DAYS:
            lone += self.days[days[last]]
            if lone > _LONE_SHARE * total:
                break
            last -= 1
        if not days:
            return 0, 0
        return days[first] * DAY_MS, (days[last] + 1) * DAY_MS

    def span_days(self) -> float:
        """Return how many days the orders cover."""
        first_ms, last_ms = self.bounds_ms()
        return (last_ms - first_ms) / DAY_MS


def assumed_records(
    sales: Sales,
    defaults: Defaults,
    *,
    known_items: Collection[tuple[str, str]] = (),
    counted_items: Collection[tuple[str, str]] = (),
) -> Iterator[Record]:
    """Yield a catalog line and an opening count for each item that lacks them.

    Args:
        sales: of the files.
        defaults: that costs and lead times follow from.
        known_items: items with a catalog line of their own.
        counted_items: items that were counted before their first order.
    """
    first_ms, last_ms = sales.bounds_ms()
    days = max(_LEAST_DAYS, sales.span_days())
    for (sku, warehouse), item in sales.items.items():
        at_ms = max(first_ms, min(item.first_ms, last_ms)) - _SECOND_MS
        common = {"occurred_at": at_ms, "sku": sku, "source": SOURCE}
        if warehouse != "main":
            common["warehouse"] = warehouse
        if (sku, warehouse) not in known_items:
            fields = item_fields(item.price, defaults, item.currency)
            own = {"topic": "catalog", "kind": "item", "event_id": _id("item", sku, warehouse)}
            yield from _record({**own, **common, **fields})
        if (sku, warehouse) not in counted_items:
            level = opening_units(item, days, defaults)
            own = {"topic": "stock", "kind": "counted", "event_id": _id("count", sku, warehouse)}
            yield from _record({**own, **common, "level": level})


def _id(kind: str, sku: str, warehouse: str) -> str:
    return f"{kind}/{sku}" if warehouse == "main" else f"{kind}/{sku}@{warehouse}"[:128]


def _record(event: Fields) -> Iterator[Record]:
    record, _ = check({**event, "event_id": event["event_id"][:128]})
    if record is not None:
        yield record


def item_fields(price: float | None, defaults: Defaults, currency: str | None) -> Fields:
    """Return what an item costs and takes, by the defaults.

    >>> fields = item_fields(10.0, Defaults(), None)
    >>> fields["unit_cost_lean"], fields["unit_cost_flexible"], fields["lead_time_days_flexible"]
    (5.0, 6.5, 2.1)
    """
    unit_cost = max(0.01, round((price or 2.0) * (1 - defaults.margin), 4))
    holding = unit_cost * defaults.holding_share_per_day
    fields: dict[str, Any] = {
        "unit_cost_lean": unit_cost,
        "unit_cost_flexible": round(unit_cost * defaults.flexible_cost_ratio, 4),
        "lead_time_days_lean": defaults.lead_time_days,
        "lead_time_days_flexible": round(
            defaults.lead_time_days * defaults.flexible_lead_time_ratio, 4
        ),
        "review_period_days": defaults.review_period_days,
        "holding_cost_per_unit_day": round(holding, 8),
        "backorder_cost_per_unit_day": round(holding * defaults.backorder_ratio, 8),
        **SHADOW_FIELDS,
    }
    return {**fields, "currency": currency} if currency else fields


SHADOW_FIELDS = {"assume_dispatched": True, "assume_received": True}
"""In shadow a sale leaves the shelf at once, and what is ordered arrives on its due date."""


def opening_units(item: ItemSales, days: float, defaults: Defaults) -> int:
    """Return the opening stock: what sells until an order of the first review is there."""
    cover_days = defaults.lead_time_days + defaults.review_period_days
    return max(_LEAST_UNITS, item.largest_units, math.ceil(item.units / days * cover_days))


def in_shadow(record: Record) -> Record:
    """Return a catalog line of a file as the shadow needs it: nobody will confirm its orders."""
    if record.topic != "catalog":
        return record
    fields = msgspec.json.decode(record.value)
    if fields.get("kind") != "item":
        return record
    return record._replace(value=msgspec.json.encode({**fields, **SHADOW_FIELDS}))


def in_one_warehouse(records: Iterable[Record]) -> Iterator[Record]:
    """Put items and counts of all places into one, as orders do that name no place.

    Levels of one moment are summed over the places.
    """
    levels: dict[tuple[bytes, int], tuple[Record, Fields]] = {}
    for record in records:
        fields = msgspec.json.decode(record.value)
        fields.pop("warehouse", None)
        if record.topic != "stock" or fields.get("kind") != "counted":
            yield record._replace(value=msgspec.json.encode(fields))
            continue
        name = (record.key, record.occurred_ms)
        if name in levels:
            levels[name][1]["level"] += fields["level"]
        else:
            levels[name] = (record, fields)
    for record, fields in levels.values():
        yield record._replace(value=msgspec.json.encode(fields))


def opening_in_words(defaults: Defaults) -> list[str]:
    """Return what is made up, one fact a line."""
    cover_days = defaults.lead_time_days + defaults.review_period_days
    return [
        f"an item without a count opens with what it sells in {cover_days:g} days",
        "a sale leaves the shelf when it is placed, and what is ordered arrives when it is due",
    ]
