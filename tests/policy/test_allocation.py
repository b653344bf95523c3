"""What items share goes to where it saves most, fits, and does not depend on their order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy import PolicyCache, PolicyInputError, decide
from policy.allocation import cap_orders, share_budget, share_lean_capacity
from tests.policy.test_live_decision import assortment, items, picked


def lean_of(units, supplier, count=3):
    """Lean units by supplier."""
    return np.bincount(supplier, weights=units, minlength=count)


def money_of(inputs, lean, fast):
    """What orders cost, set-ups included."""
    return (
        inputs.unit_cost_lean * lean
        + inputs.setup_cost_lean * (lean > 0)
        + inputs.unit_cost_flexible * fast
        + inputs.setup_cost_flexible * (fast > 0)
    ).sum()


CACHE = PolicyCache()


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 5), st.floats(0.0, 1.2), st.integers(0, 1000))
def test_capacity_is_kept_and_order_of_items_does_not_matter(seed, share, shuffle):
    """Each supplier's lean units fit its capacity; permuting the items permutes the answer."""
    inputs, supplier = assortment(40, seed), np.arange(40) % 3
    alone = decide(inputs, CACHE)
    capacity = np.floor(lean_of(alone.quantity_lean_units, supplier) * share)
    kept = alone.method != 0
    capacity += lean_of(np.where(kept, alone.quantity_lean_units, 0), supplier)
    found = share_lean_capacity(inputs, supplier, capacity, CACHE)
    assert (lean_of(found.quantity_lean_units, supplier) <= capacity).all()
    assert ((found.price > 0) <= (lean_of(alone.quantity_lean_units, supplier) > capacity)).all()
    order = np.random.default_rng(shuffle).permutation(40)
    again = share_lean_capacity(picked(inputs, order), supplier[order], capacity, CACHE)
    assert (again.quantity_lean_units == found.quantity_lean_units[order]).all()
    assert (again.quantity_flexible_units == found.quantity_flexible_units[order]).all()
    assert again.price.tolist() == found.price.tolist()


def test_enough_capacity_changes_nothing():
    """Where the capacity suffices the orders are those of each item alone, at no price."""
    inputs = assortment(60, seed=1)
    alone = decide(inputs, CACHE)
    total = float(alone.quantity_lean_units.sum())
    found = share_lean_capacity(inputs, np.zeros(60, int), np.array([total]), CACHE)
    assert (found.quantity_lean_units == alone.quantity_lean_units).all()
    assert (found.quantity_flexible_units == alone.quantity_flexible_units).all()
    assert found.price.tolist() == [0.0]
    assert not found.is_bound.any()


def test_capacity_goes_where_the_flexible_supplier_is_dearest():
    """Of two items alike but for the fast unit's price, the one with the dearer keeps lean units,
    the other goes over to the flexible supplier, which takes the rest.
    """
    inputs = items(2, inventory_position_units=0.0, unit_cost_flexible=np.array([10.2, 16.0]))
    alone = decide(inputs)
    capacity = np.array([float(alone.quantity_lean_units[1])])
    found = share_lean_capacity(inputs, np.zeros(2, int), capacity)
    assert found.quantity_lean_units[1] > 0.8 * alone.quantity_lean_units[1]
    assert found.quantity_lean_units[0] < 0.2 * alone.quantity_lean_units[0]
    assert found.quantity_flexible_units[0] > alone.quantity_flexible_units[0]
    assert 0 < found.price[0] < 16.0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 5), st.floats(0.05, 1.1))
def test_budget_is_kept(seed, share):
    """Orders with their set-ups cost no more than the budget, and most of it is used."""
    inputs = assortment(40, seed)
    alone = decide(inputs, CACHE)
    whole = money_of(inputs, alone.quantity_lean_units, alone.quantity_flexible_units)
    kept = alone.method != 0
    least = money_of(
        inputs,
        np.where(kept, alone.quantity_lean_units, 0),
        np.where(kept, alone.quantity_flexible_units, 0),
    )
    budget = least + share * whole
    found = share_budget(inputs, budget, CACHE)
    spent = money_of(inputs, found.quantity_lean_units, found.quantity_flexible_units)
    assert spent <= budget * (1 + 1e-12)
    if whole <= budget:
        assert (found.quantity_lean_units == alone.quantity_lean_units).all()


def test_equal_items_are_served_alike():
    """No tie is broken by place: of equal items none gets more than another."""
    inputs = items(5, inventory_position_units=100.0)
    found = share_lean_capacity(inputs, np.zeros(5, int), np.array([1700.0]))
    assert len(set(found.quantity_lean_units.tolist())) == 1
    assert len(set(found.quantity_flexible_units.tolist())) == 1


@pytest.mark.parametrize(
    ("units", "money", "expected"),
    [
        (np.inf, np.inf, (36, 20)),
        (50.0, np.inf, (24, 20)),  # lean comes later: cut first, to packs of 12
        (30.0, np.inf, (0, 20)),  # below the minimum of 12: no lean order
        (10.0, np.inf, (0, 10)),
        (np.inf, 500.0, (12, 20)),  # 90 + 13 x 20 leaves 150 for set-up 20 and 10 a unit
        (np.inf, 80.0, (0, 0)),  # not even the set-up of the fast order
    ],
)
def test_caps_cut_the_later_delivery_first(units, money, expected):
    """Caps of a day on units and money hold for both orders together."""
    inputs = items(
        1,
        pack_size_units_lean=12.0,
        minimum_order_units_lean=12.0,
        setup_cost_lean=20.0,
    )
    lean, fast = cap_orders(
        np.array([36]),
        np.array([20]),
        inputs,
        most_units=np.array([units]),
        most_money=np.array([money]),
    )
    assert (int(lean[0]), int(fast[0])) == expected


def test_bad_arguments_are_named():
    """Field, rule and value."""
    inputs = items(2)
    with pytest.raises(PolicyInputError, match="supplier"):
        share_lean_capacity(inputs, np.array([0, 1]), np.array([5.0]))
    with pytest.raises(PolicyInputError, match="capacity_units"):
        share_lean_capacity(inputs, np.array([0, 0]), np.array([-5.0]))
    with pytest.raises(PolicyInputError, match="budget"):
        share_budget(inputs, float("nan"))
    with pytest.raises(PolicyInputError, match="most_units"):
        cap_orders(
            np.array([1, 1]),
            np.array([1, 1]),
            inputs,
            most_units=np.array([-1.0, 1.0]),
            most_money=np.full(2, np.inf),
        )
