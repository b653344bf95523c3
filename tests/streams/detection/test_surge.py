"""The surge test: silent on usual days, quick when orders come five times as fast."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.demand.baseline import LARGEST_SIZE, LEAST_SIZE, Pool, learn_baseline, pool_items
from streams.demand.week_profile import Profile, flat_profile
from streams.detection.factors import decayed_factor, factor_of
from streams.detection.stock_cover import minutes_to_zero
from streams.detection.surge import NULL_FACTOR, PATH_FACTOR, Blackout, is_proved_still, surge_tick
from streams.settings import BaselineSettings, ProfileSettings, SurgeSettings
from streams.state.items import ROW, SURGE_FACTORS
from streams.timestamps import DAY_MS, HOUR_MS, MINUTE_MS
from tests.bench.calibration import Shop, delays, false_alarms, lower_bound_orders

SETTINGS = SurgeSettings()
POOL = Pool(1.0, 0.1)
START_MS = 400 * DAY_MS
ITEM = np.zeros(1, np.int32)


def item_rows(rates: np.ndarray, size: float = 10.0) -> np.ndarray:
    """Items whose usual rate and size are known for certain."""
    rows = np.zeros(rates.size, ROW)
    rows["baseline_days"] = 1e6
    rows["baseline_orders"] = rates * 1e6
    rows["baseline_squares"] = 1e15
    rows["baseline_excess"] = 1e15 / size
    rows["surge_ticked_ms"] = START_MS
    return rows


def profile_of(weights: list[float]) -> Profile:
    """A week of equal days with these weights of their hours."""
    orders = np.tile(np.array(weights) * 1e6, 7)
    state = [*orders, *np.full(7, 100.0), *np.zeros(7), 0.0]
    return Profile.restore(state, ProfileSettings())


# -- the sums ----------------------------------------------------------------------------------


def plain_sums(
    counts: list[int], rate: float, size: float, weights: np.ndarray, minutes: int
) -> list[float]:
    """The detector in plain numbers: every tick of a day visited, its ratio from two densities."""
    null = NULL_FACTOR * max(rate, SETTINGS.least_rate)
    sums = [0.0] * len(SURGE_FACTORS)
    seen, before, calm, path = 0, 0.0, 0.0, 0.0
    for tick, new in enumerate(counts):
        hour = weights[tick * minutes // 60]
        days = hour * minutes / 60
        if new and path <= 0:
            calm, path = before, 0.0
        spent = seen, before, calm, days
        baseline = polya(new, spent, null, size, 1.0)
        for place, factor in enumerate(SURGE_FACTORS):
            if tick * minutes % 60 == 0 and hour >= 0.01:
                sums[place] += hour * 2.0 / (2.0 + null * hour)
            if new:
                sums[place] += days * null * hour / (2.0 + null * hour)
            sums[place] *= polya(new, spent, null, size, factor) / baseline
        path += math.log(polya(new, spent, null, size, PATH_FACTOR) / baseline)
        seen, before = seen + new, before + days
    return sums


def polya(
    new: int, spent: tuple[int, float, float, float], null: float, size: float, factor: float
) -> float:
    """Chance of `new` orders in a part of a day, up to what does not depend on the factor."""
    seen, before, calm, days = spent
    earlier = size + null * (calm + factor * (before - calm))
    later = earlier + null * factor * days
    return factor**new * earlier ** (size + seen) / later ** (size + seen + new)


@settings(deadline=None, max_examples=60)
@given(
    drawn=st.lists(st.sampled_from([0, 0, 0, 0, 1, 2, 5]), min_size=1, max_size=70),
    rate=st.floats(0.1, 60),
    size=st.floats(0.3, 40),
    weights=st.lists(st.floats(0.1, 5), min_size=24, max_size=24),
)
def test_skipping_empty_ticks_is_visiting_each(drawn, rate, size, weights):
    """Ticks without orders passed at once give the sums of a loop over all ticks."""
    minutes = 20
    profile = profile_of(weights)
    rows = item_rows(np.array([rate]), size)
    counts = [*drawn, 1]
    for tick, orders in enumerate(counts):
        if orders:
            rows["tick_orders"] = orders
            boundary = START_MS + (tick + 1) * minutes * MINUTE_MS
            surge_tick(rows, ITEM, profile, boundary, minutes * MINUTE_MS, POOL, UNHELD)
    shares = profile.hours[:24] / 24
    drawn_to_shop = SETTINGS.baseline.prior_days / 1e6
    own = (1 / size + drawn_to_shop * POOL.dispersion) / (1 + drawn_to_shop)
    doubtful = 1 / (own + 1 / (rate * 1e6 + 1) + own / (1e6 + 1))
    expected = plain_sums(counts, rate, doubtful, shares, minutes)
    assert rows["surge_sums"][0] == pytest.approx(expected, rel=1e-6, abs=1e-12)


UNHELD = SurgeSettings(false_items_per_100000=1e-290)


@pytest.mark.slow
def test_sums_are_a_fair_bet_under_the_null():
    """At exactly the inflated null the mean sum after a day is at most the weight started in it."""
    chance = np.random.default_rng(11)
    rows = item_rows(np.full(60_000, 3.0), size=5.0)
    pace = NULL_FACTOR * 3.0 * chance.gamma(5.0, 1 / 5.0, rows.size)
    for hour in range(24):
        rows["tick_orders"] = chance.poisson(pace / 24)
        items = np.arange(rows.size, dtype=np.int32)
        boundary = START_MS + (hour + 1) * HOUR_MS
        surge_tick(rows, items, flat_profile(), boundary, HOUR_MS, POOL, UNHELD)
    for place, factor in enumerate(SURGE_FACTORS[:2]):  # those whose mean settles in a sample
        assert rows["surge_sums"][:, place].mean() < 1.15, factor


def test_mean_is_held_at_the_level_and_keeps_the_factors_weights():
    """Evidence without bound would never end; what speaks for each factor stays in proportion."""
    rows, free = (item_rows(np.array([5.0])) for _ in range(2))
    for some, limits in ((rows, SETTINGS), (free, UNHELD)):
        some["tick_orders"] = 60
        surge_tick(some, ITEM, flat_profile(), START_MS + HOUR_MS, HOUR_MS, POOL, limits)
    assert rows["surge_sums"].mean() == pytest.approx(SETTINGS.level)
    share = free["surge_sums"] / free["surge_sums"].sum()
    assert rows["surge_sums"] / rows["surge_sums"].sum() == pytest.approx(share)
    assert rows["surge_is_proved"][0]


# -- when it is called -------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "shop",
    [
        Shop("Poisson"),
        Shop("wild days", size=0.5),
        Shop("hours and weekdays", size=10.0, has_profile=True),
        Shop("baseline 30 % too low", size=10.0, wrong=1 / 0.7),
    ],
    ids=lambda shop: shop.name,
)
def test_false_alarms_stay_within_the_budget(shop):
    """40,000 item-sales without a surge bring no more false items than the budget allows."""
    found = false_alarms(shop, SETTINGS, items=5_000, sales=8, seed=5)
    low, _ = found.range_95()
    assert low <= SETTINGS.false_items_per_100000, f"seed 5: {found}"


@pytest.mark.slow
def test_a_level_too_low_breaks_the_budget():
    """The calibration can fail: with a tenth of the level the budget is exceeded for certain."""
    loose = SurgeSettings(false_items_per_100000=5_000.0, minimum_orders=1)
    shop = Shop("baseline 30 % too low", size=10.0, wrong=1 / 0.7)
    low, _ = false_alarms(shop, loose, items=5_000, sales=4, seed=5).range_95()
    assert low > SETTINGS.false_items_per_100000


@pytest.mark.parametrize(("rate", "factor"), [(100.0, 5.0), (20.0, 8.0), (500.0, 3.0)])
def test_delay_stays_within_a_few_times_its_lower_bound(rate, factor):
    """A surge is called after few times the orders that ln(level) / KL asks for at the least."""
    waited = delays(rate, factor, SETTINGS, items=200, seed=7)
    assert (waited >= 0).all(), "every surge is found"
    orders = np.median(waited) * rate * factor
    assert orders <= 4 * lower_bound_orders(factor, SETTINGS) + 2 * SETTINGS.minimum_orders


def test_few_orders_are_no_surge_whatever_their_pace():
    """Seven orders at once of an item that sells one a day: not worth a page."""
    rows = item_rows(np.array([1.0]))
    rows["tick_orders"] = SETTINGS.minimum_orders - 1
    surge_tick(rows, ITEM, flat_profile(), START_MS + HOUR_MS, HOUR_MS, POOL, SETTINGS)
    assert rows["surge_is_proved"][0]
    assert rows["surge_orders"][0] < SETTINGS.minimum_orders


def test_what_a_few_orders_proved_is_over_when_the_next_come_as_baseline():
    """Seven orders at once, then four a day as ever: the eighth comes late, and calls no surge."""
    rows = item_rows(np.array([4.0]))
    for hour, orders in [(0, 7), (6, 1), (12, 1), (18, 1)]:
        rows["tick_orders"] = orders
        boundary = START_MS + (hour + 1) * HOUR_MS
        means = surge_tick(rows, ITEM, flat_profile(), boundary, HOUR_MS, POOL, SETTINGS)
        assert rows["surge_is_proved"][0], "the flag alone would call it"
        assert not is_proved_still(rows, means, SETTINGS.level, SETTINGS)[0]
    assert rows["surge_orders"][0] >= SETTINGS.minimum_orders


def test_young_items_of_a_young_shop_are_not_tested():
    """Without history nothing is known that a surge could exceed."""
    rows = np.zeros(1, ROW)
    rows["baseline_days"] = SETTINGS.minimum_days / 2
    rows["tick_orders"] = 500
    young = Pool(0.0, 0.2)
    assert surge_tick(rows, ITEM, flat_profile(), START_MS, MINUTE_MS, young, SETTINGS)[0] == 0
    assert rows["tick_orders"][0] == 0
    assert not rows["surge_is_proved"][0]


def test_what_takes_off_at_once_is_a_surge():
    """A new item in a shop of some age has sold nothing before: 20 orders at once are news."""
    rows = np.zeros(1, ROW)
    rows["tick_orders"] = 20
    surge_tick(rows, ITEM, flat_profile(), START_MS + HOUR_MS, HOUR_MS, POOL, SETTINGS)
    assert rows["surge_is_proved"][0]


def test_orders_in_a_pause_count_for_nothing_and_take_no_time():
    """What a silent feed owed is not tested, and the silence is not held against what follows."""
    paused, plain = (item_rows(np.array([5.0])) for _ in range(2))
    blackout = Blackout(START_MS + HOUR_MS, START_MS + 9 * HOUR_MS)
    paused["tick_orders"] = 80
    boundary = START_MS + 9 * HOUR_MS
    surge_tick(paused, ITEM, flat_profile(), boundary, HOUR_MS, POOL, SETTINGS, blackout)
    assert not paused["surge_is_proved"][0]
    assert paused["surge_day_orders"][0] == 0
    assert paused["surge_day_days"][0] == pytest.approx(1 / 24)
    plain["tick_orders"] = 80
    surge_tick(plain, ITEM, flat_profile(), boundary, HOUR_MS, POOL, SETTINGS)
    assert plain["surge_is_proved"][0]


def test_what_a_campaign_plans_is_no_surge_and_what_exceeds_it_is():
    """Ten times the baseline orders inside a window that plans them; then six times the plan."""
    rows = item_rows(np.array([24.0]))
    plans = np.array([10.0])
    for hour, orders in enumerate([10, 11, 9, 10, 12, 8]):
        rows["tick_orders"] = orders
        boundary = START_MS + (hour + 1) * HOUR_MS
        surge_tick(rows, ITEM, flat_profile(), boundary, HOUR_MS, POOL, SETTINGS, Blackout(), plans)
    assert not rows["surge_is_proved"][0]
    rows["tick_orders"] = 60
    boundary += HOUR_MS
    surge_tick(rows, ITEM, flat_profile(), boundary, HOUR_MS, POOL, SETTINGS, Blackout(), plans)
    assert rows["surge_is_proved"][0]


def test_beginning_is_where_the_faster_orders_began():
    """The estimated change points of surges at noon lie around noon."""
    rows = item_rows(np.full(200, 48.0))
    chance = np.random.default_rng(3)
    items = np.arange(rows.size, dtype=np.int32)
    for hour in range(20):
        rows["tick_orders"] = chance.poisson(2 if hour < 12 else 14, rows.size)
        boundary = START_MS + (hour + 1) * HOUR_MS
        surge_tick(rows, items, flat_profile(), boundary, HOUR_MS, POOL, SETTINGS)
    hours = (rows["surge_start_ms"] - START_MS) / HOUR_MS
    assert 11 <= np.median(hours) <= 13
    assert (np.abs(hours - 12) <= 3).mean() > 0.6


# -- what is usual -------------------------------------------------------------------------------


def learn(rows: np.ndarray, counts: np.ndarray, pool: Pool = POOL) -> None:
    """Close days with these orders, shape (day, item)."""
    for orders in counts:
        rows["day_taught_orders"] = orders
        rows["day_exposure_days"] = 1.0
        learn_baseline(rows, pool, BaselineSettings(), null_factor=1.5, least_rate=0.2)


def test_a_surge_hardly_teaches_what_is_baseline():
    """One day at twenty times the rate moves it by less than a fifth."""
    rows = np.zeros(1, ROW)
    learn(rows, np.full((40, 1), 5), Pool(0.0, 0.1))
    before = rows["baseline_orders"][0] / rows["baseline_days"][0]
    learn(rows, np.full((1, 1), 100))
    assert rows["baseline_orders"][0] / rows["baseline_days"][0] < 1.2 * before


def test_a_lasting_change_becomes_baseline():
    """Three times as many orders for ten weeks are no surge any more."""
    rows = np.zeros(1, ROW)
    learn(rows, np.full((40, 1), 5), Pool(0.0, 0.1))
    learn(rows, np.full((70, 1), 15))
    assert rows["baseline_orders"][0] / rows["baseline_days"][0] == pytest.approx(15, rel=0.15)


def test_growth_of_the_shop_is_baseline_of_each_of_its_items():
    """The mean of four weeks lags a growth of 2 % a day by a third; with the pace it does not."""
    chance = np.random.default_rng(4)
    rates = np.repeat([0.2, 2.0, 20.0], 100)
    rows = np.zeros(rates.size, ROW)
    pool = Pool(0.0, 0.1)
    for day in range(120):
        learn(rows, chance.poisson(rates * 1.02**day, (1, rates.size)), pool)
        rows["observed_days"] += 1
        pool = pool_items(rows, day, BaselineSettings())._replace(rate=0.0)
    mean = rows["baseline_orders"] / rows["baseline_days"] / (rates * 1.02**120)
    for kind in range(3):
        some = slice(100 * kind, 100 * kind + 100)
        assert mean[some].mean() < 0.75
        followed = (mean * rows["baseline_pace"])[some].mean() * BaselineSettings().pace_allowed
        assert followed == pytest.approx(1.0, rel=0.12)


def test_an_item_that_grows_alone_has_a_pace_of_its_own():
    """Where it sells enough to show it; of a thin one the shop's is believed."""
    chance = np.random.default_rng(4)
    rates = np.repeat([2.0, 30.0], [500, 2])
    rows = np.zeros(rates.size, ROW)
    pool = Pool(0.0, 0.1)
    for day in range(100):
        grown = np.where(np.arange(rates.size) >= 499, 1.02**day, 1.0)
        learn(rows, chance.poisson(rates * grown, (1, rates.size)), pool)
        rows["observed_days"] += 1
        pool = pool_items(rows, day, BaselineSettings())._replace(rate=0.0)
    pace = rows["baseline_pace"] * BaselineSettings().pace_allowed
    assert pace[-2:].min() > 1.35
    assert pace[:499].max() < 1.3
    assert pool.pace < 1.2


@pytest.mark.parametrize("size", [1.0, 4.0, 20.0])
def test_spread_of_days_is_learned_over_the_shop(size):
    """The pooled size is that of the shop's days, though each item is thin."""
    chance = np.random.default_rng(8)
    rows = np.zeros(2_000, ROW)
    rates = chance.uniform(1, 6, rows.size)
    paces = chance.gamma(size, 1 / size, (60, rows.size))
    learn(rows, chance.poisson(rates * paces), Pool(0.0, 0.2))
    assert 1 / pool_items(rows, 60.0, BaselineSettings()).dispersion == pytest.approx(size, rel=0.4)


@given(seed=st.integers(0, 10_000))
def test_pool_does_not_depend_on_the_order_of_items(seed):
    """Items are numbered as first seen, which differs between runs: the sums are exact."""
    chance = np.random.default_rng(seed)
    rows = np.zeros(50, ROW)
    for name in ("baseline_orders", "baseline_days", "baseline_excess", "baseline_squares"):
        rows[name] = chance.lognormal(0, 3, rows.size)
    for name in ("observed_days", "pace_orders", "pace_due"):
        rows[name] = chance.lognormal(3, 1, rows.size)
    pool = pool_items(rows, 30.0, BaselineSettings())
    assert pool == pool_items(chance.permutation(rows), 30.0, BaselineSettings())
    assert 1 / LARGEST_SIZE <= pool.dispersion <= 1 / LEAST_SIZE


def test_a_closed_shop_teaches_nothing():
    """A day without a time in which it was on sale leaves an item as it was."""
    rows = item_rows(np.array([3.0]))
    before = rows.copy()
    learn_baseline(rows, POOL, BaselineSettings(), null_factor=1.5, least_rate=0.2)
    assert rows.tobytes() == before.tobytes()


# -- what an incident says -----------------------------------------------------------------------


@given(orders=st.integers(5, 500), baseline=st.floats(0.1, 100))
def test_range_of_the_factor_holds_its_mean_and_narrows_with_orders(orders, baseline):
    """The range lies around the mean, and twice the evidence makes it narrower."""
    factor, more = factor_of(orders, baseline), factor_of(2 * orders, 2 * baseline)
    assert factor.low < factor.mean < factor.high
    assert more.high / more.low < factor.high / factor.low


@given(factor=st.floats(1, 30), cover=st.floats(0.1, 60))
def test_surge_decays_back_to_the_baseline(factor, cover):
    """Over a longer time the mean factor is lower, and never below one."""
    mean = decayed_factor(factor, cover, 2.0)
    assert 1.0 <= mean <= factor * (1 + 1e-12)
    assert decayed_factor(factor, 2 * cover, 2.0) <= mean


def test_stock_lasts_by_the_hours_of_the_shop():
    """What sells in the evening only is not gone in the morning."""
    evening = profile_of([0.01] * 18 + [1.0] * 6)
    row = np.zeros(1, ROW)[0]
    row["on_hand_units"], row["counted_at_ms"] = 50, 1
    assert minutes_to_zero(row, 100.0, flat_profile(), START_MS) == 12 * 60
    assert 20 * 60 < minutes_to_zero(row, 100.0, evening, START_MS) < 24 * 60
    assert minutes_to_zero(row, 0.0, evening, START_MS) == math.inf
    row["backlog_units"] = 60
    assert minutes_to_zero(row, 1.0, evening, START_MS) == 0
