"""The surge test: silent on usual days, quick when orders come five times as fast."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.items import ROW, SURGE_FACTORS
from streams.surge import (
    NULL_FACTOR,
    SurgeSettings,
    surge_factor,
    surge_tick,
)
from tests.oracle import DAY, HOUR, MINUTE

SETTINGS = SurgeSettings()
ITEM = np.zeros(1, np.int32)
FLAT = np.full(24, 1 / 24)


def item_rows(rates: np.ndarray, over: float = 1.0) -> np.ndarray:
    """Items whose usual rate is known."""
    rows = np.zeros(rates.size, ROW)
    rows["order_level_per_day"] = rates
    rows["order_variance"] = rates * over
    rows["observed_days"] = 30
    return rows


def profile_of(weights: list[float]) -> np.ndarray:
    """Shares of a day by hour."""
    return np.array(weights) / sum(weights)


@settings(deadline=None, max_examples=60)
@given(
    ticks=st.lists(st.sampled_from([0, 0, 0, 0, 1, 2, 5]), min_size=1, max_size=200),
    rate=st.floats(0.1, 300),
    over=st.floats(0.5, 8),
    weights=st.lists(st.floats(0.05, 5), min_size=24, max_size=24),
    minutes=st.sampled_from([1, 5, 60]),
)
def test_skipping_empty_ticks_is_visiting_each(ticks, rate, over, weights, minutes):
    """The closed form over ticks without orders gives the sums of a loop over all ticks."""
    tick_ms = minutes * MINUTE
    profile = profile_of(weights)
    rows = item_rows(np.array([rate]), over)
    plain = [0.0] * len(SURGE_FACTORS)
    for number, orders in enumerate([*ticks, 1]):
        boundary = 400 * DAY + (number + 1) * tick_ms
        if (boundary - tick_ms) % DAY == 0:
            rows["day_orders"] = 0
        seen = int(rows["day_orders"][0])
        rows["day_orders"] += orders
        plain = one_tick(plain, orders, seen, rate, over, profile, boundary - tick_ms, tick_ms)
        if orders or boundary % DAY == 0:
            rows["tick_orders"] = orders
            means = surge_tick(rows, ITEM, profile, boundary, tick_ms, SETTINGS)
            expected = sum(plain) / len(plain)
            assert math.isclose(means[0], expected, rel_tol=1e-7, abs_tol=1e-9)


def one_tick(
    sums: list[float],
    orders: int,
    seen: int,
    rate: float,
    over: float,
    profile: np.ndarray,
    start: int,
    tick_ms: int,
) -> list[float]:
    """One step of the detector in plain numbers: the ratio of two gamma-mixed Poisson days."""
    known = max(rate, SETTINGS.minimum_orders_per_day)
    excess = max(rate * over - known, 0.05 * known)
    size = min(max(known * known / excess, 0.25), 50.0)
    hour, in_hour = divmod(start % DAY, HOUR)
    before = profile[:hour].sum() + profile[hour] * in_hour / HOUR
    after = before + profile[hour] * tick_ms / HOUR
    stepped = []
    for factor, total in zip(SURGE_FACTORS, sums, strict=True):
        null, other = NULL_FACTOR * known, factor * NULL_FACTOR * known
        later = ((size + null * after) / (size + other * after)) ** (size + seen + orders)
        earlier = ((size + null * before) / (size + other * before)) ** (size + seen)
        begun = total + (1.0 if orders else 0.0)
        stepped.append(min(begun * factor**orders * later / earlier, 6 * SETTINGS.threshold))
    return stepped


def run_days(
    rates: np.ndarray,
    days: int,
    seed: int,
    *,
    faster: float = 1.0,
    size: float | None = None,
) -> np.ndarray:
    """Feed Poisson orders, or with a size such whose pace is drawn anew each day; return the hour
    in which each item was called, or -1.
    """
    chance = np.random.default_rng(seed)
    rows = item_rows(rates)
    if size is not None:
        rows["order_variance"] = rates + rates**2 / size
    called = np.full(rates.size, -1)
    pace = np.ones(rates.size)
    for hour in range(24 * days):
        boundary = 400 * DAY + (hour + 1) * HOUR
        if size is not None and hour % 24 == 0:
            pace = chance.gamma(size, 1 / size, rates.size)
        if hour % 24 == 0:
            rows["day_orders"] = 0
        orders = chance.poisson(rates * pace * faster / 24)
        rows["day_orders"] += orders
        rows["tick_orders"] = orders
        is_active = (orders > 0) | (hour % 24 == 23)
        active = np.flatnonzero(is_active).astype(np.int32)
        means = surge_tick(rows, active, FLAT, boundary, HOUR, SETTINGS)
        found = active[means >= SETTINGS.threshold]
        called[found[called[found] < 0]] = hour
    return called


def test_usual_days_raise_nothing():
    """2,000 items for 30 days, from one order in five days to 200 a day: no false alarm."""
    rates = np.geomspace(0.2, 200, 2_000)
    assert (run_days(rates, 30, seed=1) >= 0).sum() == 0


def test_items_with_wild_days_raise_nothing_either():
    """Days that differ as much as they always did are no surge."""
    called = run_days(np.geomspace(0.5, 50, 1_000), 30, seed=2, size=0.7)
    assert (called >= 0).sum() <= 10


@pytest.mark.parametrize(("rate", "hours"), [(24.0, 24), (240.0, 6)])
def test_five_times_the_usual_rate_is_found(rate, hours):
    """Every one of 200 items is called within the hours given."""
    called = run_days(np.full(200, rate), 3, seed=3, faster=5.0)
    assert (called >= 0).all()
    assert np.quantile(called, 0.9) < hours


def test_young_items_are_not_tested():
    """Without enough closed days nothing is known that a surge could exceed."""
    rows = item_rows(np.array([1.0]))
    rows["observed_days"] = SETTINGS.minimum_days - 1
    rows["tick_orders"] = 500
    assert surge_tick(rows, ITEM, FLAT, 400 * DAY, MINUTE, SETTINGS)[0] == 0
    assert rows["tick_orders"][0] == 0


def test_factor_is_told_by_the_heaviest_sum():
    """The factor of an alert is the mean over the sums' weights."""
    assert surge_factor(np.zeros(len(SURGE_FACTORS))) == 1.0
    assert surge_factor(np.eye(len(SURGE_FACTORS))[0]) == SURGE_FACTORS[0] * NULL_FACTOR
