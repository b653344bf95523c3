"""The methods and scores of the forecast benchmark, on series whose answer is known."""

import gzip

import numpy as np
import pytest

from policy import DemandFamily, PolicyCache
from streams.demand.estimate import demand_over
from streams.replenishment.reviews import decide_items, expected_demand
from streams.settings import ReviewSettings
from streams.state.items import ROW
from streams.timestamps import DAY_MS
from tests.bench.forecast import (
    HORIZONS,
    QUANTILES,
    Forecast,
    Score,
    croston,
    exponential_smoothing,
    loss_ratios,
    moving_average,
    negative_binomial,
    runaways,
    tsb,
)
from tests.bench.replayed import daily_units


@pytest.mark.slow
@pytest.mark.parametrize("method", [moving_average, exponential_smoothing, tsb])
def test_steady_sales_are_foreseen(method):
    """Four units a day and no spread."""
    assert method(np.full(60, 4)) == pytest.approx((4, 0))


def test_intermittent_methods_know_the_rate_of_a_regular_series():
    """Six units every third day are two a day; Syntetos and Boylan take a twentieth off."""
    series = np.tile([0, 0, 6], 40)
    mean, _ = croston(series)
    assert mean == pytest.approx(2 * 0.95)
    mean, _ = tsb(series)
    assert mean == pytest.approx(2, rel=0.15)


def test_quantiles_have_the_moments():
    """The median of a nearly Poisson forecast is its mean; more variance moves the tail up."""
    narrow = negative_binomial(np.array([50.0]), np.array([50.0]))
    wide = negative_binomial(np.array([50.0]), np.array([900.0]))
    assert narrow.quantiles[0, 0] == pytest.approx(50, abs=1)
    assert wide.quantiles[2, 0] > 1.5 * narrow.quantiles[2, 0]


def test_losses_are_those_of_the_definition():
    """Two units too low at 90 % cost 1.8, two too high 0.2; by unit sold, doubled."""
    score = Score(3)
    quantiles = np.full((len(QUANTILES), 2), [[8.0, 12.0]])
    score.add(np.array([0, 2]), Forecast(np.full(2, 10.0), quantiles, quantiles), np.full(2, 10.0))
    np.testing.assert_allclose(score.weighted_losses, 2 * np.array([2, 2, 2]) / 20)
    assert score.bias == 0
    np.testing.assert_allclose(score.coverage, 0.5)


@pytest.mark.parametrize("mean", [0.05, 0.7, 40.0])
def test_ties_are_split_as_the_forecast_says(mean):
    """Sums drawn from the forecast itself lie below its quantiles as often as they should, however
    slow the item; at or below them far more often where it is slow.
    """
    random, count = np.random.default_rng(12), 40_000
    sold = random.poisson(mean * random.gamma(2, 1 / 2, count)).astype(float)
    told = negative_binomial(np.full(count, mean), np.full(count, mean + mean**2 / 2))
    score = Score(count)
    score.add(np.arange(count), told, sold)
    np.testing.assert_allclose(score.evened_coverage, QUANTILES, atol=0.007)
    assert (score.coverage >= score.evened_coverage).all()
    assert mean > 0.1 or score.coverage[0] > 0.9


def test_method_that_foresees_more_than_ever_was_runs_away():
    """Two a day are foreseen for an item that sells one, and for one that sells three."""
    units = np.repeat([[1.0], [3.0]], 30, axis=1)
    told = []
    for days in HORIZONS:
        score = Score(2)
        nothing = np.zeros((len(QUANTILES), 2))
        score.add(np.arange(2), Forecast(np.full(2, 2.0 * days), nothing, nothing), units[:, 0])
        told.append(score)
    assert runaways(told, units).tolist() == [True, False]


def test_a_part_of_the_items_is_judged_by_itself():
    """The ratio of losses is that of the sums; where one item's is all that counts, its range is
    nothing."""
    one, other = Score(4), Score(4)
    for score, miss in ((one, 2.0), (other, 4.0)):
        quantiles = np.full((len(QUANTILES), 3), 10.0 + miss)
        told = Forecast(np.full(3, 10.0), quantiles, quantiles)
        score.add(np.array([0, 1, 3]), told, np.full(3, 10.0))
    np.testing.assert_allclose(loss_ratios(one, other, seed=1), 0.5)
    np.testing.assert_allclose(one.part(np.array([3])).weighted_losses, one.weighted_losses)


def test_the_decision_sees_the_forecast_that_is_judged():
    """Independent days of the decision's demand add up to the judged mean and variance of 4, 9 and
    13 days, closed days among them.
    """
    random, count = np.random.default_rng(13), len(HORIZONS)
    rows = np.zeros(count, ROW)
    rows["observed_days"], rows["level_orders"] = 100, random.uniform(5, 50, count)
    rows["demand_level_units_per_day"] = random.uniform(1, 60, count)
    rows["demand_trend_units_per_day"] = random.uniform(-0.1, 0.1, count)
    rows["demand_variance_units"] = rows["demand_level_units_per_day"] * random.uniform(2, 9, count)
    rows["review_period_days"], rows["lead_time_days_lean"] = np.array(HORIZONS) - 2.0, 2.0
    items, cover, open_days = np.arange(count), np.array(HORIZONS), np.array([2.6, 8.1, 15.0])
    mean, variance = expected_demand(rows, items, open_days, np.zeros(count))
    decisions = decide_items(
        rows,
        items,
        np.zeros(count, np.int64),
        mean,
        DAY_MS,
        is_surge=False,
        settings=ReviewSettings(),
        cache=PolicyCache(),
        demand_variance=variance,
    )
    judged_mean, judged_variance = demand_over(rows, open_days)
    np.testing.assert_allclose(decisions["demand_mean_units_per_day"] * cover, judged_mean)
    np.testing.assert_allclose(decisions["demand_sd_units_per_day"] ** 2 * cover, judged_variance)
    assert (decisions["demand_family"] == DemandFamily.NEGATIVE_BINOMIAL).all()


def test_daily_units_stand_at_their_days(tmp_path):
    """Skus ascending, days from the first that has any."""
    path = tmp_path / "daily.csv.gz"
    lines = ["day,sku,orders,lines,units", "2011-09-01,b,1,1,5", "2011-09-03,a,2,2,7"]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    skus, first_day, units = daily_units(path)
    assert (skus, first_day) == (["a", "b"], 15_218)
    assert units.tolist() == [[0, 0, 7], [5, 0, 0]]
