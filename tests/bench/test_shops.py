"""The made-up shops: drawn by a seed, and judged by their truth alone."""

import json
from collections import Counter

import pytest

from streams.timestamps import DAY_MS, HOUR_MS, rfc3339
from tests.bench.shops import FIRST_DAYS, SHOPS, START_MS, Shop, Truth, draw, score
from tests.bench.surges import Replayed

TINY = Shop("tiny", 20, 60.0, days=40)
AT_MS = START_MS + (FIRST_DAYS + 2) * DAY_MS + 10 * HOUR_MS


def alert(kind: str, subject: str, at_ms: int) -> dict[str, str]:
    """An incident that is raised."""
    return {"state": "raised", "kind": kind, "subject": subject, "occurred_at": rfc3339(at_ms)}


def test_a_seed_draws_the_same_shop_again():
    """Truth and records, in the order in which they are written."""
    assert draw(TINY, 3) == draw(TINY, 3)
    _, records = draw(TINY, 3)
    times = [record.occurred_ms for record in records]
    assert times == sorted(times)
    assert len({record.value for record in records}) == len(records)


def test_lines_of_a_cart_share_order_and_time():
    """As many lines an order as the shop says, in the mean."""
    _, records = draw(TINY, 3)
    orders = [json.loads(record.value) for record in records if record.topic == "orders"]
    lines = Counter((order["order_id"], order["occurred_at"]) for order in orders)
    assert len({name for name, _ in lines}) == len(lines)
    assert len(orders) / len(lines) == pytest.approx(TINY.cart, rel=0.2)


@pytest.mark.parametrize(
    ("kind", "subject", "late_ms", "found", "false"),
    [
        ("surge", "sku0003@main", HOUR_MS, 1, 0),
        ("surge", "sku0003@main", 30 * HOUR_MS, 0, 0),
        ("surge", "sku0004@main", HOUR_MS, 0, 1),
        ("broad_surge", "shop", HOUR_MS, 0, 0),
        ("phantom_stock", "sku0003@main", HOUR_MS, 0, 1),
    ],
)
def test_an_incident_is_found_late_or_false(kind, subject, late_ms, found, false):
    """In time on its item; late is neither found nor false; on another item it is false."""
    truths = [Truth("surge", "sku0003", AT_MS, AT_MS + DAY_MS, 5.0)]
    told = [alert(kind, subject, AT_MS + late_ms)]
    made = score(TINY, truths, Replayed([], told, 0.0, 0))
    assert made.found == {"surge": (found, 1)}
    assert sum(made.false.values()) == false


def test_shops_are_told_apart_by_name():
    """Each has a name of its own."""
    assert len({shop.name for shop in SHOPS}) == len(SHOPS)
