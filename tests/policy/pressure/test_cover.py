"""Cover, turnover and dead stock of items."""

import numpy as np
import pytest

from policy.errors import PolicyInputError
from policy.pressure.cover import is_dead, stock_cover


def test_stock_without_demand_lasts_for_ever() -> None:
    """Infinite cover and no turns; without stock there is no turnover to speak of."""
    found = stock_cover([5, 0, 0], [0, 0, 3], 2)
    assert found.cover_days.tolist() == [np.inf, 0, 0]
    assert found.turns_per_year[0] == 0
    assert np.isnan(found.turns_per_year[1:]).all()


def test_turns_of_the_shop_are_weighted_by_value() -> None:
    """Usage of all items at cost over the value of all stock, on the stated days."""
    found = stock_cover([100, 10, 0], [1, 1, 5], [1, 10, 7], days_per_year=240)
    assert found.total_turns == pytest.approx((240 * 1 + 240 * 10) / 200)
    assert found.turns_per_year[0] == pytest.approx(240 / found.cover_days[0])
    assert np.isnan(stock_cover(0, 1, 1).total_turns)


def test_dead_stock_reached_its_limit() -> None:
    """Reaching the limit counts, and nothing is dead that is not there."""
    assert is_dead([1, 1, 0], [60, 59.9, 90], 60).tolist() == [True, False, False]


def test_bad_value_is_named() -> None:
    """Field, rule and value."""
    with pytest.raises(PolicyInputError, match="on_hand_units must be >= 0, got -1"):
        stock_cover([1, -1], 1, 1)
    with pytest.raises(PolicyInputError, match="dead_after_days must be > 0, got 0"):
        is_dead(1, 1, 0)
