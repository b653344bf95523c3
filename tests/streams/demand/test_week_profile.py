"""The learned week: mean 1, closed hours and days nearly stand still, closures teach nothing."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.demand.week_profile import (
    HOURS,
    WEEK_MS,
    Profile,
    flat_profile,
    hours_of_day,
    learn_day,
    operational_days,
    operational_end_ms,
)
from streams.settings import ProfileSettings
from tests.oracle import DAY, HOUR

SETTINGS = ProfileSettings()
OFFICE_HOURS = np.array([0] * 8 + [10, 30, 40, 40, 50, 60, 50, 40, 30, 10] + [0] * 6, float)
SILENT = np.zeros(24)
SATURDAY = 2  # days of the week are counted from Thursday
START_DAY = 2_800 * 7  # a Thursday
COUNTS = st.lists(st.sampled_from([0, 0, 1, 3, 40, 1000]), min_size=24, max_size=24)


def learned(days: list[np.ndarray], profile: Profile | None = None, first: int = START_DAY):
    """A profile after days, and for how much each of them counted."""
    profile, counted = profile or flat_profile(), []
    for place, orders in enumerate(days):
        profile, days_counted = learn_day(profile, orders, first + place, SETTINGS)
        counted.append(days_counted)
    return profile, counted


def weeks(count: int, scale: float = 1.0) -> list[np.ndarray]:
    """Weeks of a shop that is closed at night and on Saturdays."""
    week = [SILENT if day == SATURDAY else OFFICE_HOURS * scale for day in range(7)]
    return week * count


@settings(deadline=None, max_examples=60)
@given(days=st.lists(COUNTS, max_size=30))
def test_a_week_has_seven_operational_days_and_no_hour_stands_still(days):
    """Whatever was learned, weights have mean 1, every hour counts for something, and what is
    stored gives the same profile again.
    """
    profile, counted = learned([np.array(day, float) for day in days])
    assert profile.elapsed[0] == 0
    assert profile.elapsed[-1] == 7
    np.testing.assert_allclose(profile.hours.mean(), 1)
    assert profile.hours.min() > SETTINGS.floor / 10
    assert all(days >= 0 for days in counted)
    again = Profile.restore(profile.state(), SETTINGS)
    assert again.state() == profile.state()
    np.testing.assert_array_equal(again.elapsed, profile.elapsed)


@settings(deadline=None, max_examples=100)
@given(
    start=st.integers(0, 60 * DAY),
    first=st.integers(0, 20 * DAY),
    second=st.integers(0, 20 * DAY),
)
def test_operational_days_add_up_and_can_be_turned_round(start, first, second):
    """Two stretches are their sum, whole weeks are 7, and the end is found from the days; for
    arrays as for numbers.
    """
    elapsed = learned(weeks(3))[0].elapsed
    middle, end = start + first, start + first + second
    whole = operational_days(elapsed, start, end)
    parts = operational_days(elapsed, np.array([start, middle]), np.array([middle, end]))
    np.testing.assert_allclose(parts.sum(), whole, atol=1e-9)
    np.testing.assert_allclose(operational_days(elapsed, start, start + 3 * WEEK_MS), 21)
    # Slow hours turn an error of rounding into many milliseconds.
    assert abs(operational_end_ms(elapsed, start, whole) - end) < 1000


def test_closed_days_and_nights_nearly_stand_still():
    """Three weeks are enough to know the closed Saturday, the nights and the weight of the rest."""
    profile, _ = learned(weeks(3))
    by_day = np.diff(profile.elapsed[::24])
    assert by_day[SATURDAY] < 0.02
    np.testing.assert_allclose(np.delete(by_day, SATURDAY), 7 / 6, rtol=0.01)
    noon, night = profile.hours[13], profile.hours[3]
    assert noon > 3
    assert night < 0.02
    assert hours_of_day(profile, START_DAY * DAY + 5).argmax() == 13


def test_the_first_week_is_hour_only():
    """After one day its hours are known; of the other weekdays nothing is, so they are alike."""
    profile, _ = learned([OFFICE_HOURS])
    np.testing.assert_allclose(np.diff(profile.elapsed[::24]), 1, rtol=1e-9)
    assert profile.hours.reshape(7, 24)[5].argmax() == 13


def test_a_few_orders_say_little_of_weekdays():
    """With two orders a week the weekdays differ little: chance is not taken for habit."""
    few = np.zeros(24)
    few[12] = 1
    profile, _ = learned([few, few, *[SILENT] * 5] * 2)
    by_day = np.diff(profile.elapsed[::24])
    assert by_day.min() > 0.7
    assert by_day.max() < 1.4


def test_a_fortnight_at_christmas_teaches_nothing():
    """A closure leaves the week as it was, counts for no days, and the shop goes on as before."""
    before, _ = learned(weeks(8))
    after, counted = learned([SILENT] * 14, before, START_DAY + 8 * 7)
    np.testing.assert_allclose(after.elapsed, before.elapsed, atol=0.005)  # for its Saturdays
    assert max(counted) < 0.02  # the Saturdays, on which nothing was due
    _, open_again = learned(weeks(1), after, START_DAY + 10 * 7)
    assert open_again[0] > 1


def test_a_weekday_that_stays_closed_is_learned():
    """The third silent Friday in a row is no holiday: the week changes."""
    before, _ = learned(weeks(8))
    closed = [SILENT if day in (1, SATURDAY) else OFFICE_HOURS for day in range(7)]
    after, counted = learned(closed * 8, before, START_DAY + 8 * 7)
    assert counted[1] == counted[8] == 0
    assert counted[15] > 0
    assert np.diff(after.elapsed[::24])[1] < 0.7 * np.diff(before.elapsed[::24])[1]


def test_a_quiet_shop_is_not_thought_closed_at_once():
    """With two orders a day, the first silent days teach; the silence of a fortnight does not."""
    two = np.zeros(24)
    two[[10, 15]] = 1
    profile, _ = learned([two] * 28)
    _, counted = learned([SILENT] * 14, profile, START_DAY + 28)
    assert min(counted[:4]) > 0
    assert max(counted[-4:]) == 0


def test_a_day_out_of_turn_counts_by_what_was_sold():
    """An opening on a closed Saturday does not look like hundreds of times the usual rate."""
    profile, _ = learned(weeks(8))
    saturday = START_DAY + 8 * 7 + SATURDAY
    _, counted = learn_day(profile, OFFICE_HOURS * 0.5, saturday, SETTINGS)
    assert 0.4 < counted < 0.7
    assert HOURS * HOUR == WEEK_MS
