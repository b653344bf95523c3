"""Whole lots: never below the minimum, never beyond a limit, and a price break where it pays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy import PolicyInputError
from policy.lots import LotReason, LotRules, round_to_lots


def lot(wanted, *, mean=10.0, holding=0.2, **changes):
    """Quantity, unit cost and reason for one item at 10 a unit, 9.5 from 60 and 9 from 200."""
    values = {"minimum_units": 0.0, "pack_units": 1.0, "most_units": np.inf, "unit_cost": 10.0}
    breaks = np.array([[60.0, 200.0]])
    costs = np.array([[9.5, 9.0]])
    rules = LotRules(
        **{name: np.array([changes.get(name, value)]) for name, value in values.items()},
        break_units=breaks,
        break_unit_cost=costs,
    )
    found = round_to_lots(
        np.array([wanted]),
        rules,
        demand_mean_units_per_day=np.array([mean]),
        review_period_days=np.array([7.0]),
        holding_cost_per_unit_day=np.array([holding]),
    )
    quantity, cost = int(found.quantity_units[0]), float(found.unit_cost[0])
    return quantity, cost, LotReason(found.reason[0]).name


@pytest.mark.parametrize(
    ("wanted", "changes", "expected"),
    [
        (0.2, {}, (0, 10.0, "AS_WANTED")),
        (12.0, {}, (12, 10.0, "AS_WANTED")),
        (12.4, {}, (12, 10.0, "WHOLE_UNITS")),
        (20.0, {"pack_units": 12.0}, (24, 10.0, "PACK_SIZE")),
        (
            5.0,
            {"minimum_units": 30.0, "pack_units": 9.0, "holding": 1.0},
            (36, 10.0, "MINIMUM_ORDER"),
        ),
        (70.0, {"most_units": 50.0}, (50, 10.0, "MOST_UNITS")),
        (70.0, {"most_units": 50.0, "minimum_units": 60.0}, (0, 10.0, "MOST_UNITS")),
        (58.0, {}, (60, 9.5, "PRICE_BREAK")),
        (58.0, {"pack_units": 7.0}, (63, 9.5, "PRICE_BREAK")),
        (58.0, {"most_units": 59.0}, (58, 10.0, "AS_WANTED")),
        (190.0, {}, (200, 9.0, "PRICE_BREAK")),
        (70.0, {}, (70, 9.5, "AS_WANTED")),
    ],
)
def test_lot_and_its_reason(wanted, changes, expected):
    """Each rule names itself; the price is that of the quantity."""
    assert lot(wanted, **changes) == expected


def test_break_is_taken_only_where_it_lowers_the_total_cost():
    """Dear stock, or none that sells, leaves a break alone."""
    assert lot(40.0, holding=0.2)[0] == 60
    assert lot(40.0, holding=0.5)[0] == 40
    assert lot(58.0, mean=0.0)[0] == 58


@settings(deadline=None)
@given(
    st.floats(0, 1e6),
    st.floats(0, 500),
    st.integers(0, 60),
    st.one_of(st.just(np.inf), st.floats(0, 2000)),
    st.floats(0.0, 100.0),
    st.floats(1e-4, 10.0),
)
def test_orders_are_lots_and_cost_no_more_than_the_plain_lot(
    wanted, minimum, pack, most, mean, holding
):
    """Zero, or whole packs within minimum and limit; a break never makes the units dearer."""
    quantity, cost, _ = lot(
        wanted, minimum_units=minimum, pack_units=float(pack), most_units=most,
        mean=mean, holding=holding,
    )  # fmt: skip
    assert quantity == 0 or quantity >= minimum
    assert quantity <= most
    assert quantity % max(pack, 1) == 0
    assert cost == (9.0 if quantity >= 200 else 9.5 if quantity >= 60 else 10.0)


def test_bad_rules_are_named():
    """Field, rule and value."""
    with pytest.raises(PolicyInputError, match="wanted_units"):
        lot(np.nan)
    with pytest.raises(PolicyInputError, match="minimum_units"):
        lot(1.0, minimum_units=-1.0)
