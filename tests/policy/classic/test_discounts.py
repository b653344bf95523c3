"""Price breaks: the cheapest of all lots, found by trying them, and never above the plain lot."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.classic.discounts import discounted_lot, read_breaks
from policy.errors import PolicyInputError

kinds = st.sampled_from(["all_units", "incremental"])
prices = st.lists(st.floats(0.5, 10), min_size=1, max_size=4).map(lambda p: sorted(p, reverse=True))


def breaks_of(unit_costs: list[float], width: float) -> list[list[float]]:
    return [[width * tier, price] for tier, price in enumerate(unit_costs)]


def cost_of(kind: str, quantity: float, setup, rate, demand, breaks) -> float:
    """What lots of `quantity` cost a period, straight from the definition."""
    paid = 0.0
    for tier, (first, price) in enumerate(breaks):
        last = breaks[tier + 1][0] if tier + 1 < len(breaks) else np.inf
        if kind == "incremental":
            paid += price * max(0.0, min(quantity, last) - first)
        elif first <= quantity < last:
            paid = price * quantity
    return (setup + paid) * demand / quantity + rate * paid / 2


@settings(max_examples=30)
@given(
    kinds, st.floats(0.1, 500), st.floats(0.05, 1), st.floats(1, 5000), prices, st.floats(5, 900)
)
def test_no_lot_that_is_tried_is_cheaper(kind, setup, rate, demand, unit_costs, width) -> None:
    """Over 400 lots, and every break itself, none costs less; the cost given is the real one."""
    breaks = breaks_of(unit_costs, width)
    found = discounted_lot(kind, setup, rate, demand, breaks)
    terms = (setup, rate, demand, breaks)
    assert cost_of(kind, found.order_quantity, *terms) == pytest.approx(found.cost_per_period)
    tried = np.geomspace(0.01 * width, 100 * width, 400).tolist() + [b for b, _ in breaks[1:]]
    cheapest = min(cost_of(kind, quantity, *terms) for quantity in tried)
    assert found.cost_per_period <= cheapest * (1 + 1e-9)


@settings(max_examples=30)
@given(kinds, st.floats(0, 500), st.floats(0.05, 1), st.floats(0, 5000), prices, st.floats(5, 900))
def test_discounts_never_cost_more_than_the_plain_lot(
    kind, setup, rate, demand, unit_costs, width
) -> None:
    """Whoever is offered a discount can leave it."""
    plain = discounted_lot(kind, setup, rate, demand, [[0, unit_costs[0]]])
    found = discounted_lot(kind, setup, rate, demand, breaks_of(unit_costs, width))
    assert found.cost_per_period <= plain.cost_per_period * (1 + 1e-12)


def test_lot_at_a_break_has_the_price_of_the_break() -> None:
    """A tier begins with its first quantity: 1,000 units cost 4.80 each."""
    found = discounted_lot("all_units", 49, 0.2, 5000, [[0, 5], [1000, 4.8], [2000, 4.75]])
    assert (found.order_quantity, found.tier, found.unit_cost) == (1000, 1, 4.8)


def test_of_equal_costs_the_smaller_lot_is_chosen() -> None:
    """A break that saves exactly what it costs in stock is not taken."""
    # 100 a period at 1.00 in lots of 20 cost 120; at 0.96 in lots of 40 they cost the same.
    found = discounted_lot("all_units", 2, 1.0, 100, [[0, 1.0], [40, 0.9605442176870748]])
    tied = found.tier_costs
    assert tied[0] == pytest.approx(120)
    exact = discounted_lot("all_units", 2, 1.0, 100, [[0, 1.0], [40, 1.0]])
    assert exact.order_quantity == 20


def test_first_quantity_above_zero_is_a_minimum_order() -> None:
    """No smaller lot can be had."""
    found = discounted_lot("all_units", 8, 0.3, 1300, [[500, 0.75]])
    assert found.order_quantity == 500


def test_nothing_demanded_costs_nothing() -> None:
    """Without demand the lot is 0."""
    for kind in ("all_units", "incremental"):
        found = discounted_lot(kind, 8, 0.3, 0, [[0, 0.75], [400, 0.72]])
        assert (found.order_quantity, found.cost_per_period, found.unit_cost) == (0, 0, 0.75)


@pytest.mark.parametrize(
    ("breaks", "complaint"),
    [
        ([], "breaks must be"),
        ("0.75", "breaks must be"),
        ([[0, 0.75, 1]], r"breaks\[0\] must be \[first quantity, unit cost\]"),
        ([[0, 0.75], [0, 0.7]], r"breaks\[1\]\[0\] must be > 0, got 0"),
        ([[0, 0.75], [10, 0.8]], r"breaks\[1\]\[1\] must be <= 0.75, got 0.8"),
        ([[0, 0]], r"breaks\[0\]\[1\] must be > 0, got 0"),
        ([[0, "x"]], r"breaks\[0\]\[1\] must be > 0, got 'x'"),
    ],
)
def test_bad_breaks_are_named(breaks, complaint) -> None:
    """The place in the list, the rule and the value."""
    with pytest.raises(PolicyInputError, match=complaint):
        read_breaks(breaks)
