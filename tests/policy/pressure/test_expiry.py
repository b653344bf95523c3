"""Lots that will not sell before they expire, beside a day-by-day sale of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.errors import PolicyInputError
from policy.pressure.expiry import rate_to_sell, units_at_risk

lots = st.lists(st.tuples(st.integers(0, 60), st.integers(-3, 30)), min_size=1, max_size=6)


def sold_day_by_day(units: list[int], days: list[int], rate: int) -> list[int]:
    """Sell `rate` units a day from the lot that expires first; return what is left of each."""
    left = list(units)
    for day in range(max(days) if max(days) > 0 else 0):
        wanted = rate
        for lot in sorted(range(len(days)), key=lambda lot: days[lot]):
            if days[lot] > day:
                taken = min(wanted, left[lot])
                left[lot] -= taken
                wanted -= taken
    return left


@settings(max_examples=60)
@given(lots, st.integers(0, 20))
def test_as_much_is_left_as_when_sold_day_by_day(given_lots, rate) -> None:
    """In whatever order the lots are given."""
    units, days = ([lot[end] for lot in given_lots] for end in (0, 1))
    assert units_at_risk(units, days, rate).tolist() == sold_day_by_day(units, days, rate)


@settings(max_examples=30)
@given(lots)
def test_rate_to_sell_leaves_nothing_and_less_leaves_something(given_lots) -> None:
    """The slowest demand at which no unit is thrown away."""
    units, days = np.array(given_lots, dtype=float).T
    days = np.maximum(days, 1)
    rate = float(rate_to_sell(units, days))
    assert units_at_risk(units, days, rate) == pytest.approx(np.zeros(units.size), abs=1e-9)
    if rate > 0:
        assert units_at_risk(units, days, 0.9 * rate).sum() > 0


def test_one_lot_is_stock_less_demand_until_it_expires() -> None:
    """Quantity at risk = stock - rate x days left; an expired lot is lost whole."""
    assert units_at_risk([100], [12], 5).tolist() == [40]
    assert units_at_risk([100], [30], 5).tolist() == [0]
    assert units_at_risk([100, 7], [-1, 0], 5).tolist() == [100, 7]
    assert rate_to_sell([1], [0]) == np.inf


def test_items_are_rows() -> None:
    """Lots of 0 units fill the rows; each row has its own demand."""
    found = units_at_risk([[100, 40], [10, 0]], [[10, 30], [2, 0]], [4, 3])
    assert found.tolist() == [[60, 0], [4, 0]]
    with pytest.raises(PolicyInputError, match="demand_units_per_day must be one number, or of"):
        units_at_risk([[1, 2]], [[1, 2]], [1, 2])
