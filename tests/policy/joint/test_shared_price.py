"""One price for a budget or a capacity, and the last fill by key."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.classic.demand import NormalDemand, PoissonDemand
from policy.joint.shared_price import share_budget, share_by_answers

COSTS = np.array([10.0, 5, 8])
DEMAND = [NormalDemand(100, 30), NormalDemand(200, 50), NormalDemand(150, 60)]
OVER, UNDER = np.array([2, 1, 1.5]), np.array([8.0, 5, 6])


def test_the_printed_budget() -> None:
    """N(100,30), (200,50), (150,60) for 2600: price .530032, orders 81.613, 186.248, 106.579."""
    found = share_budget(DEMAND, COSTS, OVER, UNDER, 2600)
    assert found.price == pytest.approx(0.530032, abs=5e-7)
    assert found.units == pytest.approx([81.613, 186.248, 106.579], abs=5e-4)


def test_a_budget_that_does_not_bind_has_no_price() -> None:
    """Every item orders what it would alone."""
    found = share_budget(DEMAND, COSTS, OVER, UNDER, 1e6)
    assert found.price == 0
    assert found.units[0] == pytest.approx(125.25, abs=0.01)  # 80 % of N(100, 30)


def test_whole_units_use_a_budget_to_its_last_coin() -> None:
    """Ten identical items differ by one unit at most, and those that come first have it."""
    ten = np.ones(10)
    found = share_budget([PoissonDemand(20)] * 10, 3 * ten, ten, 5 * ten, 500)
    assert float(found.units.sum()) == 166
    assert found.units.tolist() == [17.0] * 6 + [16.0] * 4


def test_ten_identical_items_use_the_whole_capacity() -> None:
    """Step answers jump together: each gets its part, and what packs leave goes round by key."""
    prices = np.linspace(0, 1, 12)
    answers = np.tile(np.where(prices < 0.5, 100.0, 0.0), (10, 1))
    found = share_by_answers(
        prices, answers, np.ones(10), 733.0, np.full(10, 5.0), list("jihgfedcba")
    )
    assert found.units.sum() == 730
    assert found.units.max() - found.units.min() <= 5
    assert found.units[-1] == 75  # "a"


@given(
    st.lists(st.lists(st.integers(0, 90), min_size=4, max_size=4), min_size=1, max_size=7),
    st.integers(0, 300),
    st.integers(1, 7),
)
def test_shares_fit_and_fall_with_the_room(rows: list[list[int]], room: int, pack: int) -> None:
    """More room never gives less in all, and never more than the room or than was wanted."""
    answers = -np.sort(-np.array(rows, dtype=float), axis=1)
    prices, sizes = np.array([0.0, 1, 2, 5]), np.ones(len(rows))
    packs = np.full(len(rows), float(pack))
    found = share_by_answers(prices, answers, sizes, room, packs)
    assert found.units.sum() <= room + 1e-6
    assert (found.units <= answers[:, 0] + 1e-9).all()
    if found.price > 0:
        left = room - found.units.sum()
        can_have = found.units + pack <= answers[:, 0]
        assert left < pack or not can_have.all()
