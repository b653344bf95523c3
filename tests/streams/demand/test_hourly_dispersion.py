"""The dispersion of hours: what clumps and waves make of it, and what must not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.demand.hourly_dispersion import Hours, close_hours, hourly_dispersion, pool_hours
from streams.demand.week_profile import flat_profile
from streams.settings import HourSettings
from streams.state.items import ROW
from streams.timestamps import DAY_MS, HOUR_MS
from tests.bench.calibration import note_hour

SETTINGS = HourSettings()
EVEN = flat_profile().elapsed


def learned(orders: np.ndarray, *, teaches: bool = True) -> np.ndarray:
    """Rows after days of orders, shape (day, item, 24)."""
    rows = np.zeros(orders.shape[1], ROW)
    for day, of_day in enumerate(orders):
        for hour in range(24):
            note_hour(rows, day * DAY_MS + hour * HOUR_MS, of_day[:, hour], EVEN)
        close_hours(rows, EVEN, day * DAY_MS, np.full(rows.size, teaches), SETTINGS)
    rows["baseline_orders"], rows["baseline_days"] = orders.sum(axis=2).mean(axis=0), 1.0
    return rows


def found(rows: np.ndarray) -> float:
    """What the items have shown, each by what it has taught."""
    return float(rows["hourly_excess"].sum() / rows["hourly_weight"].sum())


@pytest.mark.parametrize("clump", [1, 3, 8])
@pytest.mark.parametrize("rate", [10.0, 100.0])
def test_clumps_are_the_dispersion_whatever_the_rate(clump: int, rate: float) -> None:
    """Orders that come three at once vary three times as much as Poisson ones."""
    chance = np.random.default_rng(clump)
    orders = clump * chance.poisson(rate / 24 / clump, (20, 100, 24))
    assert found(learned(orders)) == pytest.approx(clump, rel=0.15)


def test_waves_grow_with_the_rate() -> None:
    """Hours that differ by a third matter little to a thin item, and much to a busy one."""
    chance = np.random.default_rng(1)
    waves = chance.gamma(9.0, 1 / 9.0, (20, 100, 24))
    thin, busy = (found(learned(chance.poisson(rate / 24 * waves))) for rate in (10.0, 1000.0))
    assert thin == pytest.approx(1.0, abs=0.15)
    assert busy == pytest.approx(1 + 1000 / 24 / 9, rel=0.15)


def test_one_full_hour_teaches_nothing() -> None:
    """It may be a surge that nobody called."""
    chance = np.random.default_rng(2)
    orders = chance.poisson(2.0, (20, 50, 24))
    calm = found(learned(orders))
    orders[:, :, 7] += 60
    assert found(learned(orders)) == pytest.approx(calm, abs=0.25)


def test_days_that_were_not_calm_teach_nothing() -> None:
    """And leave nothing behind for the next one."""
    orders = np.full((3, 2, 24), 5)
    rows = learned(orders, teaches=False)
    assert not rows["hourly_weight"].any()
    assert not rows["hours_orders"].any()


@given(
    st.lists(st.integers(0, 9), min_size=24, max_size=24), st.lists(st.integers(1, 3), max_size=5)
)
def test_it_does_not_matter_in_how_many_ticks_an_hour_comes(hours: list[int], cuts: list[int]):
    """An hour's orders noted at once or in parts teach the same."""
    whole = np.array(hours)[None, None, :]
    rows = np.zeros(1, ROW)
    for hour, orders in enumerate(hours):
        left = orders
        for cut in cuts:
            part = min(cut, left)
            note_hour(rows, hour * HOUR_MS, np.array([part]), EVEN)
            left -= part
        note_hour(rows, hour * HOUR_MS, np.array([left]), EVEN)
    close_hours(rows, EVEN, 0, np.ones(1, np.bool_), SETTINGS)
    expected = learned(whole)
    for name in ("hourly_excess", "hourly_weight"):
        assert rows[name] == pytest.approx(expected[name])


def test_items_alike_tell_what_one_has_not_shown() -> None:
    """The fit finds clump and wave again, in whatever order the items stand."""
    chance = np.random.default_rng(3)
    rates = chance.uniform(20, 600, 300)
    rows = np.zeros(rates.size, ROW)
    rows["baseline_orders"], rows["baseline_days"] = rates, 1.0
    rows["hourly_weight"] = 100.0
    rows["hourly_excess"] = 100.0 * (1.5 + 0.02 * rates)
    hours = pool_hours(rows, SETTINGS)
    assert hours.clump == pytest.approx(1.5, rel=0.05)
    assert hours.wave == pytest.approx(0.02, rel=0.05)
    assert hours == pool_hours(chance.permutation(rows), SETTINGS)
    new = np.zeros(1, ROW)[0]
    assert hourly_dispersion(new, 100.0, hours, SETTINGS.own_weight, 1.0) == pytest.approx(
        hours.clump + 100 * hours.wave
    )


def test_what_waves_make_grows_where_more_is_planned() -> None:
    """Four times the orders have four times the waves, and the same clumps."""
    row = np.zeros(1, ROW)[0]
    hours = Hours(2.0, 0.01)
    assert hourly_dispersion(row, 100.0, hours, 10.0, 1.0) == pytest.approx(3.0)
    assert hourly_dispersion(row, 100.0, hours, 10.0, 4.0) == pytest.approx(6.0)


def test_a_shop_without_a_calm_day_is_taken_to_be_uneven() -> None:
    """Busy items more than thin ones: nothing is known yet."""
    hours = pool_hours(np.zeros(0, ROW), SETTINGS)
    assert hours == Hours(SETTINGS.prior_clump, pytest.approx(SETTINGS.prior_wave))
