"""Table 1 of the paper as sample data."""

import math

from policy.studies.weekly_demand import WEEKLY_UNITS, weekly_demand


def test_table_1_gives_the_paper_s_mean_but_not_its_spread() -> None:
    """About 100 a day; the spread of its weeks is an eighth of what N(100, 50) a day would give."""
    found = weekly_demand()
    assert round(found.mean_per_week, 1) == 697.8
    assert round(found.mean_per_day, 1) == 99.7
    assert round(found.sd_per_week, 1) == 17.3
    assert found.sd_per_week < 50 * math.sqrt(7) / 7


def test_days_have_the_weeks_spread_shared_out() -> None:
    """Seven independent days have the variance of a week."""
    found = weekly_demand((700, 714, 686))
    assert found.mean_per_day == 100
    assert math.isclose(7 * found.sd_per_day**2, found.sd_per_week**2)
    assert len(WEEKLY_UNITS) == 6
