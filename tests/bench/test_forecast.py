"""The methods and scores of the forecast benchmark, on series whose answer is known."""

import gzip

import numpy as np
import pytest

from tests.bench.forecast import (
    QUANTILES,
    Forecast,
    Score,
    croston,
    exponential_smoothing,
    moving_average,
    negative_binomial,
    tsb,
)
from tests.bench.replayed import daily_units


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
    score = Score()
    quantiles = np.full((len(QUANTILES), 2), [[8.0, 12.0]])
    score.add(Forecast(np.full(2, 10.0), quantiles), np.full(2, 10.0))
    np.testing.assert_allclose(score.weighted_losses, 2 * np.array([2, 2, 2]) / 20)
    assert score.bias == 0
    np.testing.assert_allclose(score.coverage, 0.5)


def test_daily_units_stand_at_their_days(tmp_path):
    """Skus ascending, days from the first that has any."""
    path = tmp_path / "daily.csv.gz"
    lines = ["day,sku,orders,lines,units", "2011-09-01,b,1,1,5", "2011-09-03,a,2,2,7"]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    skus, first_day, units = daily_units(path)
    assert (skus, first_day) == (["a", "b"], 15_218)
    assert units.tolist() == [[0, 0, 7], [5, 0, 0]]
