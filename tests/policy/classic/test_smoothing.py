"""Holt's smoothing: a straight line is forecast without error, and items go in rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.classic.cases.answer import answer
from policy.classic.smoothing import holt
from policy.errors import PolicyInputError

weights = st.floats(0, 1)


@settings(max_examples=30)
@given(weights, weights, st.floats(-50, 50), st.floats(-5, 5))
def test_straight_line_is_forecast_exactly(alpha, beta, start, slope) -> None:
    """Once level and trend are right they stay right."""
    line = start + slope * np.arange(1, 9)
    smoothed = holt(line, alpha, beta, level=start, trend=slope)
    assert smoothed.forecasts == pytest.approx(line, abs=1e-9)
    assert smoothed.ahead(3) == pytest.approx(start + slope * np.arange(9, 12), abs=1e-9)


def test_without_a_level_the_first_period_is_the_level() -> None:
    """Nothing was forecast for it."""
    case = {"model": "holt", "demand": [10, 14], "alpha": 0.5, "beta": 0.5, "forecast_periods": 2}
    found = answer(case)
    assert found["forecasts_of_demand"] == [None, 10]
    assert (found["level"], found["trend"], found["forecast"]) == (12, 1, [13, 14])


def test_items_are_rows() -> None:
    """Every row as if it were alone."""
    rows = np.array([[3.0, 5, 4], [100, 90, 95]])
    together = holt(rows, 0.2, 0.1)
    for row, series in enumerate(rows):
        assert together.levels[row] == pytest.approx(holt(series, 0.2, 0.1).levels)


def test_bad_value_is_named() -> None:
    """Weights are from 0 to 1."""
    with pytest.raises(PolicyInputError, match=r"alpha must be >= 0 and <= 1, got 1\.1"):
        holt([1, 2], 1.1, 0.1)
    with pytest.raises(PolicyInputError, match="demand must be at least one period"):
        holt([], 0.1, 0.1)
