"""What really happened in a synthetic sale: what a consumer of its file must find out."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from infra.sale.settings import CAMPAIGN_ID, WAREHOUSES, SaleSettings, Story
from infra.sale.telling import rfc_3339
from infra.sale.world import ClosedStock, Items, OrderLines
from streams.timestamps import DAY_MS


def tell_truth(
    settings: SaleSettings,
    story: Story,
    items: Items,
    lines: OrderLines,
    stocks: Sequence[ClosedStock],
) -> dict[str, Any]:
    """Return the story with names and times, and the exact demand by day and SKU.

    Demand counts each order line once; lines that are reported three days late are left out.
    """
    names = items.names
    stock_out, late = stocks
    return {
        "settings": asdict(settings) | {"starts_at": settings.starts_at.isoformat()},
        "starts_at": _time(settings.start_ms),
        "ends_at": _time(settings.end_ms),
        "promotion": {
            "campaign_id": CAMPAIGN_ID,
            "skus": [names[sku] for sku in story.promotion.skus],
            "withdrawn_skus": [names[sku] for sku in story.withdrawn_skus],
            "starts_at": _time(story.promotion.start_ms),
            "ends_at": _time(story.promotion.end_ms),
            "factor": story.promotion.factor,
        },
        "surge": {
            "skus": [names[sku] for sku in story.surge.skus],
            "starts_at": _time(story.surge.start_ms),
            "ends_at": _time(story.surge.end_ms),
            "factor": story.surge.factor,
        },
        "bulk_order": _bulk_order(story, items, lines),
        "stock_out": _closed(stock_out, names),
        "late_delivery": _closed(late, names)
        | {
            "advised_at": _time(story.advised_ms),
            "first_expected_at": _time(story.first_expected_ms),
            "delayed_at": _time(story.delayed_ms),
            "then_expected_at": _time(story.second_expected_ms),
        },
        "totals": _totals(lines),
        "days_columns": ["day", "sku", "orders", "lines", "units"],
        "days": _days(settings, items, lines),
    }


def _time(at_ms: int) -> str:
    return rfc_3339(np.array([at_ms]))[0]


def _bulk_order(story: Story, items: Items, lines: OrderLines) -> dict[str, Any]:
    row = int(np.flatnonzero(lines.quantity == story.bulk_units)[0])
    return {
        "sku": items.names[story.bulk_sku],
        "warehouse": WAREHOUSES[int(lines.warehouse[row])],
        "order_id": f"order-{int(lines.order[row]):06d}",
        "occurred_at": _time(story.bulk_ms),
        "units": story.bulk_units,
    }


def _closed(stock: ClosedStock, names: Sequence[str]) -> dict[str, Any]:
    item = stock.item
    return {
        "sku": names[item.sku],
        "warehouse": WAREHOUSES[item.warehouse],
        "opening_units": stock.opening_units,
        "empty_from": _time(item.empty_from_ms),
        "received_at": _time(item.received_ms),
        "received_units": stock.received_units,
        "open_units_then": stock.open_units,
        "po_id": item.po_id,
        "supplier": item.supplier,
    }


def _totals(lines: OrderLines) -> dict[str, int]:
    counted = ~lines.lost
    return {
        "orders": len(np.unique(lines.order[counted])),
        "lines": int(counted.sum()),
        "units": int(lines.quantity[counted].sum()),
    }


def _days(settings: SaleSettings, items: Items, lines: OrderLines) -> list[list[Any]]:
    """Rows of day, sku, distinct orders, lines, units, in order; without a sale there is none."""
    counted = np.flatnonzero(~lines.lost)
    day = (lines.placed_ms[counted] // DAY_MS).astype(np.int64)
    sku, order = lines.sku[counted], lines.order[counted]
    cell = (day - day.min()) * settings.skus + sku
    size = int(cell.max()) + 1
    units = np.bincount(cell, weights=lines.quantity[counted], minlength=size).astype(np.int64)
    line_counts = np.bincount(cell, minlength=size)
    first_of_order = np.unique(np.column_stack([cell, order]), axis=0)[:, 0]
    orders = np.bincount(first_of_order, minlength=size)
    rows = [
        [
            _time((int(day.min()) + index // settings.skus) * DAY_MS)[:10],
            items.names[index % settings.skus],
            int(orders[index]),
            int(line_counts[index]),
            int(units[index]),
        ]
        for index in np.flatnonzero(line_counts).tolist()
    ]
    return sorted(rows)
