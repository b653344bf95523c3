"""For how long an item was on sale: stock-outs and suspicious silence do not teach."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.demand.exposure import close_exposure, note_sale, note_stock
from streams.demand.week_profile import flat_profile
from streams.detection.phantom_stock import chance_of_none, suspicious_items
from streams.settings import SilenceSettings
from streams.state.items import ROW
from tests.oracle import DAY, HOUR

ELAPSED = flat_profile().elapsed
START = 19_000 * DAY


class Shelf:
    """One item: its stock by the record, its sales, and the ends of its days."""

    def __init__(self, level: int = 10) -> None:
        self.rows = np.zeros(1, ROW)
        self.row = self.rows[0]
        self.row["assume_dispatched"] = True
        self.row["known_orders"] = 1
        self.shop_orders = 0
        self.count(START, level)

    def count(self, at_ms: int, level: int) -> "Shelf":
        """Count the shelf."""
        self.row["on_hand_units"], self.row["counted_at_ms"] = level, at_ms
        note_stock(self.rows, 0, at_ms, ELAPSED, self.shop_orders)
        return self

    def sell(self, at_ms: int) -> "Shelf":
        """Sell one."""
        self.shop_orders += 1
        note_sale(self.rows[0], at_ms, ELAPSED, self.shop_orders)
        self.row["on_hand_units"] -= 1
        note_stock(self.rows, 0, at_ms, ELAPSED, self.shop_orders)
        return self

    def close(self, day: int, counts_days: float = 1.0, campaign_days: float = 0.0) -> float:
        """End a day; for how long was the item on sale?"""
        start = START + day * DAY
        planned = np.array([campaign_days])
        close_exposure(self.rows, ELAPSED, start, start + DAY, counts_days, planned)
        return float(self.row["day_exposure_days"])


def test_a_day_with_stock_counts_whole():
    """Also for an item that was never counted: there it is not known that there is none."""
    assert Shelf(5).close(0) == 1
    unknown = Shelf(0)
    unknown.row["counted_at_ms"] = unknown.row["out_since_ms"] = 0
    assert unknown.close(0) == 1


def test_hours_with_nothing_to_sell_do_not_count():
    """Sold out at six, refilled at eighteen the next day: a quarter of each day counts."""
    shelf = Shelf(1).sell(START + 6 * HOUR)
    assert shelf.close(0) == 0.25
    shelf.count(START + DAY + 18 * HOUR, 5)
    assert shelf.close(1) == 0.25
    assert shelf.close(2) == 1


def test_a_sale_at_zero_gives_the_time_before_it_back():
    """A shop that sells on back order, or whose counts are made up, still learns its rates."""
    shelf = Shelf(1).sell(START + 12 * HOUR)
    counted = shelf.close(0) + shelf.close(1)
    shelf.sell(START + 2 * DAY + 6 * HOUR)
    counted += float(shelf.row["quiet_days"]) + shelf.close(2)
    assert counted == 2.25  # all of the time up to the last sale


def test_campaigns_and_closures_do_not_count():
    """A window of half a day leaves half; a closed shop leaves nothing."""
    assert Shelf().close(0, campaign_days=0.5) == 0.5
    assert Shelf().close(0, counts_days=0.0) == 0
    assert Shelf(0).close(0, campaign_days=1.0) == 0


@settings(deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["sell", "count", "day"]), st.integers(0, 12 * HOUR)), max_size=40
    )
)
def test_a_day_never_counts_for_more_than_itself(steps):
    """Whatever happens, exposure lies between nothing and the day."""
    shelf, now, day = Shelf(3), START, 0
    for kind, passed in steps:
        while now + passed >= START + (day + 1) * DAY:
            assert 0 <= shelf.close(day) <= 1 + 1e-12
            day += 1
        now += passed
        if kind == "sell":
            shelf.sell(now)
        elif kind == "count":
            shelf.count(now, passed % 3)


# -- silence ---------------------------------------------------------------------------------------


def baseline(rate: float, orders: float = 50.0) -> Shelf:
    """An item with a well-known rate that sold at the start."""
    shelf = Shelf(100).sell(START)
    shelf.row["quiet_rate"], shelf.row["quiet_dispersion"] = rate, 1.0
    shelf.row["quiet_rate_orders"] = orders
    return shelf


def is_suspicious(shelf: Shelf, after_ms: int, shop_orders: int = 10**6, **changes: float) -> bool:
    """Whether its silence is suspicious after some time, in a shop of 1,000 orders a day."""
    found = suspicious_items(
        shelf.rows, ELAPSED, START + after_ms, shop_orders, 1_000.0, SilenceSettings(**changes)
    )
    return bool(found.size)


def test_silence_is_suspicious_when_chance_is_no_explanation():
    """Ten a day and two days without any: e**-20 by a known rate. Half a day says nothing."""
    shelf = baseline(10.0, orders=1e9)
    assert not is_suspicious(shelf, DAY // 2)
    assert not is_suspicious(shelf, 13 * DAY // 10)
    assert is_suspicious(shelf, 14 * DAY // 10)
    assert math.exp(-14) < SilenceSettings().chance < math.exp(-13)


def test_an_uncertain_rate_takes_longer():
    """What rests on twenty orders may be wrong: (1 + mean / 20)**-20. On five it is not judged."""
    assert not is_suspicious(baseline(10.0, orders=20), 19 * DAY // 10)
    assert is_suspicious(baseline(10.0, orders=20), 21 * DAY // 10)
    assert not is_suspicious(baseline(10.0, orders=5), 60 * DAY)


@pytest.mark.parametrize(
    "change", [{"counted_at_ms": 0}, {"out_since_ms": START}, {"silent_since_ms": -1}]
)
def test_only_stock_by_the_record_can_be_missing(change):
    """Nothing on the shelf, an unknown stock, and a silence that was looked into raise nothing."""
    shelf = baseline(10.0)
    for name, value in change.items():
        shelf.row[name] = value
    assert not is_suspicious(shelf, 10 * DAY)


def test_a_silent_shop_makes_no_item_suspicious():
    """When the feed stops, the shop's own orders stop the clock of every item."""
    assert is_suspicious(baseline(10.0), 10 * DAY)
    assert not is_suspicious(baseline(10.0), 10 * DAY, shop_orders=500)


def test_time_of_suspicion_does_not_count_and_its_end_restores_the_days_before():
    """The silence that turned out to be an empty shelf teaches nothing at all."""
    shelf = baseline(10.0)
    shelf.row["quiet_days"] = 1.5
    shelf.row["silent_since_ms"] = START + DAY + 6 * HOUR
    assert shelf.close(1) == 0
    assert shelf.close(2) == 0
    shelf.sell(START + 3 * DAY + 12 * HOUR)
    assert shelf.close(3) == 0.5
    assert shelf.row["quiet_days"] == 0


def test_chance_of_none_is_that_of_the_negative_binomial():
    """Against SciPy, from Poisson to wild."""
    from scipy import stats

    for mean in (0.5, 5.0, 40.0):
        for dispersion in (1.01, 1.5, 4.0):
            for orders in (3.0, 50.0):
                variance = dispersion * mean + mean * mean / orders
                size = mean * mean / (variance - mean)
                expected = stats.nbinom.pmf(0, size, size / (size + mean))
                np.testing.assert_allclose(chance_of_none(mean, dispersion, orders), expected)
