"""What will be missing before goods come: its chance, its units, and who is called for it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.demand.week_profile import flat_profile
from streams.detection.factors import is_bulk
from streams.detection.stock_cover import shortage
from streams.settings import SurgeSettings
from streams.state.items import ROW
from streams.timestamps import DAY_MS, HOUR_MS

NOW_MS = 19_000 * DAY_MS
ELAPSED = flat_profile().elapsed


def item(on_hand: int, *, arrives_hours: float = 0.0, variance: float = 25.0) -> np.ndarray:
    """An item that sells; goods come in a day, or with an open order before."""
    rows = np.zeros(1, ROW)
    rows["on_hand_units"], rows["counted_at_ms"] = on_hand, 1
    rows["lead_time_days_flexible"], rows["level_orders"] = 1.0, 1e6
    rows["demand_variance_units"] = variance
    if arrives_hours:
        rows["next_due_ms"] = NOW_MS + round(arrives_hours * HOUR_MS)
    return rows


def lacks(rows: np.ndarray, units_per_day: float = 100.0) -> tuple[float, float]:
    """Chance and units."""
    found = shortage(rows, np.array([units_per_day]), ELAPSED, NOW_MS)
    return float(found.chance[0]), float(found.units[0])


def test_an_arrival_that_comes_a_little_later_costs_little():
    """Twenty minutes without stock are a unit or two, however sure they are."""
    chance, units = lacks(item(98, arrives_hours=24.0, variance=1.0))
    assert chance > 0.9
    assert units < 3


def test_what_is_sold_by_then_and_its_spread_decide():
    """Half of a day's stock lacks half of a day; what lasts lacks nothing."""
    assert lacks(item(50)) == (pytest.approx(1.0), pytest.approx(50.0, abs=0.5))
    chance, units = lacks(item(200))
    assert chance < 1e-6
    assert units < 1e-6


def test_stock_that_was_never_counted_lacks_nothing_that_is_known():
    """Nor does an item that does not sell."""
    rows = item(0)
    rows["counted_at_ms"] = 0
    assert lacks(rows) == (0.0, 0.0)
    assert lacks(item(0), 0.0) == (0.0, 0.0)


@given(
    on_hand=st.integers(0, 400),
    more=st.integers(1, 100),
    hours=st.floats(0.5, 200),
    rate=st.floats(0.1, 500),
)
def test_more_stock_never_lacks_more(on_hand, more, hours, rate):
    """And what lacks is at least what the mean demand is above the stock."""
    chance, units = lacks(item(on_hand, arrives_hours=hours), rate)
    less_chance, less_units = lacks(item(on_hand + more, arrives_hours=hours), rate)
    assert less_chance <= chance + 1e-12
    assert less_units <= units + 1e-9
    assert units >= rate * hours / 24 - on_hand - 1e-3  # arrivals are whole milliseconds


@pytest.mark.parametrize(
    ("on_hand_after", "is_called"),
    [(0, True), (-100, True), (5_000, False)],
)
def test_an_order_that_empties_the_shelf_is_a_bulk_order(on_hand_after, is_called):
    """Ten days of demand are no bulk order, unless they are all that was there."""
    rows = np.zeros(1, ROW)
    rows["demand_level_units_per_day"], rows["order_level_per_day"] = 60.0, 30.0
    rows["baseline_days"], rows["counted_at_ms"] = 20.0, 1
    rows["tick_largest_units"], rows["on_hand_units"] = 600, on_hand_after
    assert bool(is_bulk(rows, SurgeSettings())[0]) is is_called
