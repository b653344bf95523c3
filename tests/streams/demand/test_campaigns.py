"""Campaign lines: plan by profile, windows that do not teach, and what promotions brought."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contracts.events import CampaignPlanned
from streams.demand.campaigns import (
    Uplift,
    baseline_orders,
    campaign_lines,
    in_window,
    item_window_days,
    planned_extra_units,
    planned_orders,
    planned_units,
    promotion_type,
)
from streams.demand.week_profile import flat_profile
from streams.state.items import ROW
from tests.oracle import DAY, HOUR

ELAPSED = flat_profile().elapsed
START = 19_000 * DAY


def line(name: str, starts: int, ends: int, units: int = 48, **fields) -> CampaignPlanned:
    """A line of a campaign; times after the start."""
    return CampaignPlanned(
        event_id=name,
        occurred_at=START,
        sku="lamp",
        campaign_id=name,
        starts_at=START + starts,
        ends_at=START + ends,
        expected_units=units,
        **fields,
    )


def test_a_plan_spreads_over_its_window():
    """Half the window has half the units; beside the window there is nothing."""
    lines = campaign_lines({2: {"sale": line("sale", 0, DAY)}})
    for start, end, units in [(0, DAY, 48), (0, 12 * HOUR, 24), (-DAY, HOUR, 2), (DAY, 9 * DAY, 0)]:
        found = planned_units(lines, ELAPSED, START + start, START + end)
        np.testing.assert_allclose(found, [units])
    rows = np.zeros(4, ROW)
    rows["units_per_order"] = [0, 0, 4, 0]
    orders = planned_orders(lines, rows, ELAPSED, START, START + HOUR)
    np.testing.assert_allclose(orders, [0, 0, 0.5, 0])


def test_a_plan_adds_what_the_baseline_would_not_sell():
    """A plan of 48 beside 8 a day adds 40; a plan below the baseline level adds nothing."""
    plans = {0: {"a": line("a", 0, DAY)}, 1: {"b": line("b", 0, DAY, 5)}}
    lines = campaign_lines(plans)
    start, end = np.full(2, START), np.full(2, START + 5 * DAY)
    extra = planned_extra_units(lines, np.full(2, 8.0), ELAPSED, start, end)
    np.testing.assert_allclose(extra, [40, 0])


@settings(deadline=None)
@given(
    windows=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 50), st.integers(1, 30)), max_size=12
    ),
    events=st.lists(st.tuples(st.integers(0, 3), st.integers(-5, 90)), max_size=30),
)
def test_events_in_windows_are_those_of_a_loop(windows, events):
    """Windows of an item may overlap; their ends do not belong to them."""
    plans: dict[int, dict] = {}
    for number, (item, start, length) in enumerate(windows):
        name = str(number)
        plans.setdefault(item, {})[name] = line(name, start * HOUR, (start + length) * HOUR)
    events = sorted(events, key=lambda event: event[1])
    items = np.array([item for item, _ in events], np.int64)
    times = np.array([START + hour * HOUR for _, hour in events], np.int64)
    expected = [
        any(item == one and start <= hour < start + length for one, start, length in windows)
        for item, hour in events
    ]
    assert in_window(campaign_lines(plans), items, times).tolist() == expected


@given(
    windows=st.dictionaries(
        st.integers(0, 3), st.tuples(st.integers(-10, 90), st.integers(1, 120))
    ),
    pace=st.floats(0.2, 5.0),
)
def test_baseline_orders_are_those_of_the_day_without_windows(windows, pace):
    """What is left outside of windows gives the whole day back, hours that are all inside too."""
    quarter = HOUR // 4
    lines = campaign_lines(
        {
            item: {"sale": line("sale", start * quarter, (start + quarters) * quarter)}
            for item, (start, quarters) in windows.items()
        }
    )
    rates, hours = np.array([1.0, 2.0, 3.0, 0.5]), np.linspace(0.2, 1.8, 24)
    quarters_ms = START + np.arange(96) * quarter
    outside = [
        ~in_window(lines, np.full(96, item), quarters_ms).reshape(24, 4) for item in range(4)
    ]
    share = sum(rate * free.mean(axis=1) for rate, free in zip(rates, outside, strict=True))
    came = pace * hours * share
    found = baseline_orders(came, hours * rates.sum(), lines, rates, START)
    is_told = (share / rates.sum() >= 0.25).any()
    np.testing.assert_allclose(found, (pace if is_told else 1.0) * hours * rates.sum())


def test_overlapping_windows_count_no_longer_than_the_day():
    """Two windows over the whole day are one day."""
    plans = {1: {"a": line("a", 0, DAY), "b": line("b", -DAY, 2 * DAY)}}
    days = item_window_days(campaign_lines(plans), 3, ELAPSED, START, START + DAY)
    np.testing.assert_allclose(days, [0, 1, 0])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"discount": 0.3}, "discount_30"),
        ({"discount": 0.39}, "discount_30"),
        ({"discount": 0.05, "promise_days": 1.0}, "discount_0"),
        ({"promise_days": 1.0}, "delivery_promise"),
        ({}, "no_discount"),
        ({"discount": 0.0}, "no_discount"),
    ],
)
def test_promotions_are_told_apart_by_discount_and_promise(fields, expected):
    """Discounts in bands of ten points."""
    assert promotion_type(line("a", 0, DAY, **fields)) == expected


def test_uplift_says_on_how_much_it_rests():
    """The factor is that of the sums, with an error from two windows on."""
    uplift = Uplift()
    assert uplift.factor is None
    uplift.add([(30.0, 10.0)])
    assert (uplift.factor, uplift.factor_error) == (3.0, None)
    uplift.add([(50.0, 10.0), (10.0, 10.0)])
    assert (uplift.windows, uplift.factor) == (3, 3.0)
    # Cochran: three ratios 3, 5, 1 over equal denominators: sd 2 / sqrt(3).
    np.testing.assert_allclose(uplift.factor_error, 2 / np.sqrt(3))


@given(
    samples=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=9),
    split=st.integers(0, 9),
)
def test_uplifts_of_shards_add_up(samples, split):
    """Items of one promotion lie in several shards; together they say what one shard would."""
    whole, one, other = Uplift(), Uplift(), Uplift()
    whole.add(samples)
    one.add(samples[:split])
    other.add(samples[split:])
    one.merge(other)
    assert one == whole
