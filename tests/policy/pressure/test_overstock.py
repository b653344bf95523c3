"""Overstock against need, and its sums by class."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.errors import PolicyInputError
from policy.pressure.overstock import by_class, overstock

amounts = st.integers(0, 500)


@settings(max_examples=30)
@given(amounts, amounts, amounts, amounts)
def test_what_is_too_much_is_there_or_coming(on_hand, on_order, safety, lot) -> None:
    """Both together are what exceeds the need, and neither exceeds what there is."""
    found = overstock(on_hand, on_order, 2, 15, safety, lot, 3)
    need = 30 + safety + lot
    assert found.units + found.coming_units == max(on_hand + on_order - need, 0)
    assert 0 <= found.units <= on_hand
    assert 0 <= found.coming_units <= on_order
    assert found.value == 3 * found.units


def test_stock_at_its_need_is_not_overstock() -> None:
    """The need of a slow item is its safety stock and a lot."""
    assert overstock(50, 0, 0, 20, 20, 30, 1).units == 0
    assert overstock(51, 0, 0, 20, 20, 30, 1).units == 1


def test_classes_add_up_to_the_whole() -> None:
    """Every item counts in its class once."""
    values = np.array([1.5, 2, 4, 8])
    sums = by_class(values, ["B", "A", "B", "C"])
    assert sums == {"A": 2, "B": 5.5, "C": 8}
    with pytest.raises(PolicyInputError, match=r"classes must be of shape \(4,\), as values"):
        by_class(values, ["A"])
