"""The bench that plays real demand keeps its books."""

import json

import numpy as np
import pytest

from tests.bench.live_policy import read_history, run

DAYS, SKUS = 60, 6


@pytest.fixture
def history(tmp_path):
    """Two months of Poisson sales of six items, in the shop's own schema."""
    draw = np.random.default_rng(8)
    lines = []
    for day in range(DAYS):
        for sku in range(SKUS):
            for order in range(draw.poisson(1 + sku)):
                line = {
                    "type": "order",
                    "event_id": f"{day}-{sku}-{order}",
                    "order_id": f"{day}-{order}",
                    "occurred_at": f"2011-{3 + day // 30:02}-{1 + day % 30:02}T10:00:00Z",
                    "sku": f"sku-{sku}",
                    "quantity": 2,
                    "price": 3.0,
                }
                lines.append(json.dumps(line))
    path = tmp_path / "sales.jsonl"
    path.write_text("\n".join(lines))
    return read_history(path, 7.0)


@pytest.mark.parametrize("lean_only", [False, True])
def test_units_and_money_balance(history, lean_only):
    """What was there and bought is what was sold, is there, or is on its way; costs add up."""
    shop = run(history, lean_only=lean_only, warm_days=0)
    books, rows = shop.books, shop.rows
    opening = history.rows["on_hand_units"].sum()
    coming = rows["on_order_lean_units"].sum() + rows["on_order_flexible_units"].sum()
    assert opening + books.units_bought == books.units_sold + rows["on_hand_units"].sum() + coming
    assert books.units_sold == history.units.sum()
    assert 0 < books.fill_rate <= 1
    assert 0 < books.cycle_service <= 1
    assert (books.orders_flexible == 0) == lean_only
    grown = 1.5 * (rows["on_hand_units"].sum() + coming - opening)
    assert books.stock_grown == pytest.approx(grown)
    parts = books.purchase + books.setup + books.holding + books.backorder
    assert books.total == pytest.approx(parts - books.stock_grown)
