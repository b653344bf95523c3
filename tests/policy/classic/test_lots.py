"""Economic lots: no other lot is cheaper, and nothing depends on the units of measure."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.classic.lots import economic_lot, lot_cost
from policy.errors import PolicyInputError

money = st.floats(0.01, 1e4)
units = st.floats(0.01, 1e6)


@settings(max_examples=30)
@given(money, money, units, st.none() | money, st.none() | st.floats(1.001, 50))
def test_no_other_lot_is_cheaper(setup, holding, demand, backorder, speed) -> None:
    """The cost of the economic lot is the cost curve's least, with backorders and production."""
    terms = {
        "backorder_cost": backorder,
        "production_rate": None if speed is None else speed * demand,
    }
    lot = economic_lot(setup, holding, demand, **terms)
    factors = np.array([0.3, 0.9, 1.0, 1.1, 3.0])
    ordering, stock = lot_cost(lot.order_quantity * factors, setup, holding, demand, **terms)
    total = ordering + stock
    assert total[2] == pytest.approx(float(lot.cost_per_period), rel=1e-9)
    assert total.argmin() == 2
    assert (lot.order_quantity > 0).all()


@settings(max_examples=30)
@given(money, money, units, money, st.floats(1.1, 50))
def test_best_share_of_backorders_is_chosen(setup, holding, demand, backorder, speed) -> None:
    """Another backlog in the same lot costs more, and this one costs what is given."""
    terms = {"backorder_cost": backorder, "production_rate": speed * demand}
    lot = economic_lot(setup, holding, demand, **terms)
    arrives = float(lot.order_quantity) * (1 - 1 / speed)  # highest stock, were nothing owed
    owed = float(lot.largest_backlog) * np.array([0.5, 0.9, 1.0, 1.1])
    assert arrives - owed[2] == pytest.approx(float(lot.largest_stock))
    level_costs = (holding * (arrives - owed) ** 2 + backorder * owed**2) / (2 * arrives)
    costs = setup * demand / float(lot.order_quantity) + level_costs
    assert costs[2] == pytest.approx(float(lot.cost_per_period))
    assert costs.argmin() == 2


@settings(max_examples=30)
@given(money, money, units, st.floats(0.01, 100))
def test_units_of_measure_do_not_matter(setup, holding, demand, scale) -> None:
    """Units `scale` times as small make the lot `scale` times as large, at the same cost."""
    lot = economic_lot(setup, holding, demand)
    smaller = economic_lot(setup, holding / scale, demand * scale)
    assert float(smaller.order_quantity) == pytest.approx(float(lot.order_quantity) * scale)
    assert float(smaller.cost_per_period) == pytest.approx(float(lot.cost_per_period))


def test_many_items_are_one_call() -> None:
    """Arrays broadcast; an item without demand has no lot and no cost."""
    lot = economic_lot([8, 50], [0.225, 97.5], [[1300, 1750], [0, 0]])
    assert lot.order_quantity.round(1).tolist() == [[304.0, 42.4], [0.0, 0.0]]
    assert lot.cost_per_period[1].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("arguments", "terms", "complaint"),
    [
        ((-1, 1, 1), {}, "order_cost must be >= 0, got -1.0"),
        ((1, 0, 1), {}, "holding_cost_per_unit_period must be > 0, got 0.0"),
        ((1, 1, [1, float("nan")]), {}, "demand_per_period must be >= 0, got nan"),
        ((1, 1, 1), {"production_rate": 1}, "production_rate_per_period must be > demand_per_"),
        ((1, 1, 1), {"backorder_cost": 0}, "backorder_cost_per_unit_period must be > 0, got 0.0"),
        ((1e16, 1, 1), {}, r"order_cost must be >= 0 and at most 1e\+15, got 1e\+16"),
    ],
)
def test_bad_value_is_named(arguments, terms, complaint) -> None:
    """Field, rule and value."""
    with pytest.raises(PolicyInputError, match=complaint):
        economic_lot(*arguments, **terms)
