"""Turns, days and the return on capital."""

import pytest

from policy.classic.cases.answer import answer
from policy.errors import PolicyInputError


def test_turns_follow_from_usage_and_stock() -> None:
    """A stock of 15.9 on a usage of 61.2; the basis of days is in the answer."""
    found = answer(
        {"model": "turns", "usage_value_per_year": 61.2, "stock_value": 15.9, "days_per_year": 240}
    )
    assert (round(found["turns"], 3), round(found["days"], 2)) == (3.849, 62.35)
    assert found["days_per_year"] == 240


def test_stock_cut_raises_the_return() -> None:
    """Of nine millions less stock at 15 %, and 1.4 more contribution."""
    case = {"model": "dupont", "sales": 200, "surplus": 10, "capital": 100, "stock_change": -9,
            "holding_rate_per_year": 0.15, "contribution_change": 1.4}  # fmt: skip
    found = answer(case)
    assert found["holding_cost_change"] == pytest.approx(-1.35)
    assert found["return_after"] == pytest.approx(12.75 / 91)
    product = found["margin_after"] * found["capital_turnover_after"]
    assert found["return_after"] == pytest.approx(product)


@pytest.mark.parametrize(
    ("case", "complaint"),
    [
        ({"model": "turns", "turns": 0, "days_per_year": 240}, "turns must be > 0, got 0"),
        (
            {"model": "turns", "turns": 4, "days_per_year": 0},
            "days_per_year must be > 0 and <= 366",
        ),
        ({"model": "turns", "days_per_year": 240}, "usage_value_per_year must be > 0, or absent"),
        (
            {"model": "turns", "days_per_year": 240, "usage_value_per_year": 5},
            "stock_value must be > 0, or absent beside turns, got None",
        ),
        (
            {"model": "dupont", "sales": 1, "surplus": 1, "capital": 10, "stock_change": -10},
            "stock_change must be > -10, the whole capital, got -10",
        ),
    ],
)
def test_bad_value_is_named(case, complaint) -> None:
    """Field, rule and value."""
    with pytest.raises(PolicyInputError, match=complaint):
        answer(case)
