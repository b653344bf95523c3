"""From pressure to a promotion, and what it brings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.errors import PolicyInputError
from policy.pressure.promotions import (
    RULES,
    Offer,
    Pressure,
    Rule,
    expected_outcome,
    fitting_rules,
    write_off_units,
)


@settings(max_examples=30)
@given(st.floats(0, 500), st.floats(0, 20), st.floats(1, 10), st.floats(0, 1), st.floats(1, 30))
def test_promotion_sells_no_more_than_presses(units, rate, uplift, paid, days) -> None:
    """Cash follows from the units sold; what would have sold anyway costs its discount."""
    found = expected_outcome(units, rate, uplift, 10, 6, paid_share=paid, days=days, unit_volume=2)
    assert 0 <= found.sold_units <= units
    assert found.cash == pytest.approx(10 * paid * found.sold_units)
    assert 0 <= found.margin_cost <= 10 * (1 - paid) * found.sold_units + 1e-9
    assert found.loss_on_cost == pytest.approx((6 - 10 * paid) * found.sold_units)
    assert found.space == 2 * found.sold_units


def test_nothing_that_presses_has_no_share() -> None:
    """Not 0, and not 1."""
    assert np.isnan(expected_outcome(0, 2, 1, 1, 1, paid_share=1, days=1).sell_through)


def test_every_pressure_has_a_rule_and_rules_can_be_replaced() -> None:
    """Those of the articles, or a shop's own; none runs beyond the expiry."""
    for pressure in Pressure:
        assert fitting_rules(pressure)
    assert fitting_rules(Pressure.NEAR_EXPIRY, days_left=5) == ()
    own = (Rule(Pressure.SLOW, Offer.MEMBERS, 0.9, 3),)
    assert fitting_rules(Pressure.SLOW, days_left=5, rules=own) == own
    assert all(0 <= rule.paid_share <= 1 and rule.days > 0 for rule in RULES)


def test_nothing_is_written_off_untried() -> None:
    """One promotion that sold enough keeps the item; the limit itself is enough."""
    tried = [[0.19, np.nan], [0.2, 0.0], [np.nan, np.nan]]
    assert write_off_units(10, tried).tolist() == [10, 0, 0]


def test_bad_value_is_named() -> None:
    """Field, rule and value."""
    with pytest.raises(PolicyInputError, match=r"uplift must be >= 1, got 0\.5"):
        expected_outcome(1, 1, 0.5, 1, 1, paid_share=1, days=1)
