"""The demand estimate: what teaches it, what does not, and what it rests on."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.demand.estimate import (
    METHODS,
    Correction,
    DemandClass,
    close_day,
    demand_over,
    estimate_words,
)
from streams.settings import EstimateSettings
from streams.state.items import ROW
from streams.timestamps import DAY_MS

SETTINGS = EstimateSettings()


class Shop:
    """Items and their days.

    Args:
        items: how many.
        categories: of each; none: no categories.
    """

    def __init__(self, items: int, categories: list[int] | None = None) -> None:
        self.rows = np.zeros(items, ROW)
        self.categories = np.array(categories or [0] * items, np.int32)
        self.correction = Correction()
        self.day = 0

    def close(self, orders, size=1.0, days=1.0) -> None:
        """Let every item have a day of orders of one size, and be on sale for a while."""
        items = np.repeat(np.arange(self.rows.size), orders)
        self.close_orders(items, np.broadcast_to(size, self.rows.size)[items], days)

    def close_orders(self, items, sizes, days=1.0) -> None:
        """Let a day have orders, each of an item and a size."""
        rows, count = self.rows, self.rows.size
        rows["day_orders"] = rows["day_taught_orders"] = np.bincount(items, minlength=count)
        rows["day_taught_units"] = np.bincount(items, sizes, count)
        rows["day_exposure_days"] = days
        kept = 0.5 ** (rows["day_orders"] / SETTINGS.size_half_life_orders)
        for name, power in (("size_count", 0), ("size_logs", 1), ("size_log_squares", 2)):
            rows[name] = rows[name] * kept + np.bincount(items, np.log(sizes) ** power, count)
        self.day += 1
        self.correction = close_day(
            rows, self.day * DAY_MS, self.categories, self.correction, SETTINGS
        )

    def words(self, name: str) -> list[str]:
        """Class, method or quality of the items."""
        return [word.decode() for word in estimate_words(self.rows, self.day * DAY_MS)[name]]


def test_steady_demand_is_found():
    """With the same sales each day the level is they, orders and units apart."""
    shop = Shop(2)
    for _ in range(100):
        shop.close([3, 40], size=np.array([2.0, 5.0]))
    row = shop.rows
    np.testing.assert_allclose(row["order_level_per_day"], [3, 40], rtol=0.02)
    np.testing.assert_allclose(row["units_per_order"], [2, 5], rtol=0.1)
    np.testing.assert_allclose(row["demand_level_units_per_day"], [6, 200], rtol=0.1)
    assert shop.words("estimate_class") == ["smooth", "smooth"]
    assert shop.words("estimate_method") == ["damped_trend", "damped_trend"]
    assert shop.words("estimate_quality") == ["good", "good"]


@settings(deadline=None, max_examples=60)
@given(
    days=st.lists(
        st.tuples(st.sampled_from([0, 0, 0, 1, 2, 7]), st.sampled_from([0.0, 0.01, 0.4, 1.0, 1.6])),
        min_size=1,
        max_size=60,
    )
)
def test_level_is_discounted_orders_over_days_on_sale(days):
    """Known orders and days follow a plain loop; the level is they, drawn to the shop's mean by
    as much as the row says.
    """
    shop, orders_known, days_known, level = Shop(1), 0.0, 0.0, 0.0
    for orders, on_sale in days:
        shop.close(orders, days=on_sale)
        (row,) = shop.rows
        if (orders or orders_known) and (orders or on_sale):
            gain = min(max(math.sqrt(SETTINGS.drift * level), SETTINGS.least_gain), 0.2)
            orders_known = orders_known * math.exp(-gain * on_sale) + orders
            days_known = days_known * math.exp(-gain * on_sale) + on_sale
        np.testing.assert_allclose(row["known_days"] + row["quiet_days"], days_known)
        np.testing.assert_allclose(row["known_orders"], orders_known)
        assert 0 <= row["pooled_share"] <= 1
        level = row["order_level_per_day"]
        if days_known > 5:
            # The only item of its shop: drawn to its own mean.
            np.testing.assert_allclose(level, orders_known / days_known, rtol=0.05)


def test_estimates_do_not_depend_on_the_order_of_items():
    """Places of items depend on which topic was read first; estimates must not, to the bit."""
    random = np.random.default_rng(7)
    numbers = random.integers(0, 3, 50)
    renamed = np.array([0, 2, 1])[numbers]
    forward, backward = Shop(50, numbers.tolist()), Shop(50, renamed[::-1].tolist())
    rates = random.gamma(0.5, 2, 50)
    for _ in range(60):
        orders, size = random.poisson(rates), np.exp(random.normal(1, 1, 50)).round() + 1
        forward.close(orders, size)
        backward.close(orders[::-1], size[::-1])
    assert forward.rows.tobytes() == backward.rows[::-1].tobytes()
    assert forward.correction == backward.correction


def test_one_bulk_order_does_not_wreck_the_level():
    """Ten thousand units in one order raise the level by less than a tenth of what their mean
    over a month would.
    """
    shop = Shop(30)
    random = np.random.default_rng(3)
    for _ in range(60):
        shop.close(random.poisson(2.0, 30), size=np.exp(random.normal(1, 0.5, 30)))
    before = shop.rows["demand_level_units_per_day"][0]
    limit = shop.rows["size_limit_units"][0]
    assert limit < 200
    shop.close(np.ones(30, int), size=np.r_[limit, np.full(29, 3.0)])  # as `movements` cuts it
    after = shop.rows["demand_level_units_per_day"][0]
    assert before * 0.8 < after < before + 0.1 * 10_000 / 30


def test_a_thin_item_is_pooled_with_its_category():
    """After one day an item is taken to sell much as its category does, and says so."""
    shop = Shop(81, [1] * 40 + [2] * 40 + [1])
    random = np.random.default_rng(5)
    rates = np.r_[random.gamma(80, 5 / 80, 40), random.gamma(80, 1 / 80, 40)]
    for _ in range(60):
        shop.close(np.r_[random.poisson(rates), 0])
    shop.rows["day_exposure_days"][-1] = 0.1
    shop.close(np.r_[random.poisson(rates), 1], days=np.r_[np.ones(80), 0.05])
    thin = shop.rows[-1]
    assert shop.words("estimate_quality")[-1] == "pooled"
    assert thin["pooled_share"] > 0.5
    assert 3 < thin["order_level_per_day"] < 8  # one order in a twentieth of a day: 20 by itself
    assert shop.rows["pooled_share"][:80].max() < 0.5


@pytest.mark.parametrize(
    ("every_days", "sizes", "expected"),
    [
        (1, (4, 4), DemandClass.SMOOTH),
        (1, (1, 60), DemandClass.ERRATIC),
        (5, (4, 4), DemandClass.INTERMITTENT),
        (5, (1, 60), DemandClass.LUMPY),
    ],
)
def test_classes_are_those_of_syntetos_and_boylan(every_days, sizes, expected):
    """Days between sales at 1.32, squared variation of their units at 0.49; the class names the
    method.
    """
    shop = Shop(1)
    for day in range(100):
        shop.close(int(day % every_days == 0), size=float(sizes[day // every_days % 2]))
    assert shop.words("estimate_class") == [expected.name.lower()]
    assert shop.words("estimate_method") == [METHODS[expected]]


def test_cancellations_and_returns_lower_the_demand():
    """Where a quarter comes back, only three quarters have to be bought anew."""
    shop = Shop(1)
    for _ in range(80):
        shop.rows["day_undone_units"] = 5
        shop.close(10, size=2.0)
    (row,) = shop.rows
    np.testing.assert_allclose(row["kept_share"], 0.75)
    np.testing.assert_allclose(
        row["demand_level_units_per_day"],
        0.75 * row["order_level_per_day"] * row["units_per_order"],
    )


def test_nothing_known_is_said_and_not_zero():
    """An item that never sold has no estimate; one that was not taught for two weeks is stale."""
    shop = Shop(2)
    shop.close([0, 3])
    assert shop.words("estimate_quality")[0] == "none"
    assert shop.words("estimate_method")[0] == "none"
    for _ in range(20):
        shop.close([0, 0], days=0.0)
    assert shop.words("estimate_quality") == ["none", "stale"]


def test_the_spread_foreseen_is_the_spread_that_comes():
    """For items like the model's own, 90 % of the sums over 9 days lie below the 90 % quantile of
    a gamma distribution with the mean and variance that the decision sees.
    """
    from scipy import stats

    random = np.random.default_rng(11)
    rates = random.gamma(2, 2, 400)
    shop = Shop(400)

    def day() -> tuple[np.ndarray, np.ndarray]:
        orders = random.poisson(rates * random.gamma(4, 1 / 4, 400))
        return np.repeat(np.arange(400), orders), np.exp(random.normal(1.0, 0.6, orders.sum()))

    for _ in range(120):
        shop.close_orders(*day())
    mean, variance = demand_over(shop.rows, np.full(400, 9.0))
    sold = np.zeros(400)
    for _ in range(9):
        sold += np.bincount(*day(), minlength=400)
    quantile = stats.gamma.ppf(0.9, mean * mean / variance, scale=variance / mean)
    assert 0.84 < (sold <= quantile).mean() < 0.97
    assert 0.9 < sold.sum() / mean.sum() < 1.1


def test_the_spread_is_learned_from_whole_days():
    """Orders of a day that are all large or all small spread its units more than as many orders of
    the same sizes that have nothing to do with each other.
    """
    random, shop = np.random.default_rng(17), Shop(200)
    together = np.arange(200) < 100
    for _ in range(120):
        items = np.repeat(np.arange(200), random.poisson(6.0, 200))
        of_day, of_order = (np.exp(random.normal(1.0, 0.8, n)) for n in (200, items.size))
        shop.close_orders(items, np.where(together[items], of_day[items], of_order))
    variance = shop.rows["demand_variance_units"]
    sizes = shop.rows["units_per_order"]
    np.testing.assert_allclose(np.median(sizes[together]), np.median(sizes[~together]), rtol=0.2)
    assert np.median(variance[together]) > 2 * np.median(variance[~together])


def test_a_bulk_order_widens_the_spread_no_further_than_its_edge():
    """A day of ten thousand units counts for the spread as one of seven standard deviations."""
    random, (baseline, bulk) = np.random.default_rng(19), (Shop(30), Shop(30))
    for _ in range(80):
        orders = random.poisson(4.0, 30)
        baseline.close(orders)
        bulk.close(orders)
    first = np.arange(30) == 0
    sd = math.sqrt(bulk.rows["demand_variance_units"][0])
    baseline.close(np.full(30, 4))
    bulk.close(np.full(30, 4), size=np.where(first, 2_500.0, 1.0))
    more = bulk.rows["unit_error_squares"][0] - baseline.rows["unit_error_squares"][0]
    assert more == pytest.approx((SETTINGS.error_edge * max(sd, 1.0)) ** 2, rel=0.2)


def test_a_trend_is_followed_only_where_it_is_known():
    """A well-known item that grows by 2 % a day gets a trend upwards; a slow one gets none."""
    shop = Shop(2)
    for day in range(120):
        shop.close([int(20 * 1.02**day), day % 4 == 0])
    fast, slow = shop.rows
    assert fast["demand_trend_units_per_day"] > 0
    assert slow["demand_trend_units_per_day"] == 0
    mean, _ = demand_over(shop.rows, np.array([9.0, 9.0]))
    assert mean[0] > 9 * fast["demand_level_units_per_day"]
    assert mean[0] <= 18 * fast["demand_level_units_per_day"]
