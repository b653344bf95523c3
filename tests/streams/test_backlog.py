"""How long the oldest order waits."""

import numpy as np

from streams.backlog import oldest_open_order_ms
from streams.rings import CELL, DAY_CELL, DAY_MS, HOUR_MS, MINUTE_MS, Ring

_NOW_MS = 1_772_445_600_000  # 2026-03-02T10:00:00Z


def rings_with(sales: list[tuple[int, int]]) -> list[Ring]:
    """Rings of one item that sold so many units so many milliseconds before now."""
    rings = [
        Ring(MINUTE_MS, 60, CELL),
        Ring(HOUR_MS, 48, CELL),
        Ring(DAY_MS, 35, DAY_CELL),
    ]
    for ring in rings:
        ring.reserve(1, 1)
        ring.roll_to((_NOW_MS - 1) // ring.width_ms)
        for before_ms, units in sales:
            bucket = (_NOW_MS - before_ms) // ring.width_ms
            if bucket in ring.buckets():
                ring.of_bucket(bucket)["units"][0] += units
    return rings


def oldest(backlog: int, sales: list[tuple[int, int]]) -> int:
    """Milliseconds before now, or 0."""
    found = oldest_open_order_ms(
        np.array([backlog]), np.zeros(1, np.int64), rings_with(sales), _NOW_MS
    )[0]
    return int(_NOW_MS - found) if found else 0


def test_nothing_open_has_no_oldest_order():
    """Without a backlog there is no order to wait."""
    assert oldest(0, [(60_000, 5)]) == 0


def test_the_oldest_open_order_is_where_sales_since_then_make_up_the_backlog():
    """3 sold 5 minutes ago and 4 sold 20 minutes ago: of 5 open units, some are from then."""
    sales = [(5 * MINUTE_MS, 3), (20 * MINUTE_MS, 4)]
    assert oldest(3, sales) == 5 * MINUTE_MS
    assert oldest(5, sales) == 20 * MINUTE_MS


def test_older_orders_are_told_by_the_hour_and_then_by_the_day():
    """What left the minutes is looked for in the hours, and then in the days."""
    assert oldest(2, [(7 * HOUR_MS, 2)]) == 7 * HOUR_MS
    day_start = (_NOW_MS - 9 * DAY_MS) // DAY_MS * DAY_MS
    assert oldest(2, [(9 * DAY_MS, 2)]) == _NOW_MS - day_start


def test_an_order_older_than_all_that_is_kept_waits_at_least_so_long():
    """The oldest bucket is named, not nothing."""
    assert oldest(9, [(5 * MINUTE_MS, 3)]) >= 34 * DAY_MS
