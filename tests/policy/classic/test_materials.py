"""Kits and their parts: units are kept, and one level is all there is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.classic.cases.answer import answer
from policy.classic.materials import Bill, parts_demand, parts_sd, sets_from_stock
from policy.errors import PolicyInputError

CASE = {
    "model": "kits",
    "bill": [["gift set", "mug", 2], ["gift set", "box", 1]],
    "demand": {"gift set": [10, 0], "mug": [5, 1]},
}


def test_one_unit_of_material_for_each_cup_keeps_the_demand() -> None:
    """The paper's factor: 1."""
    cups = np.array([[701.0, 699, 702], [0, 0, 0]])
    assert parts_demand(Bill.of([0], [1], 1), cups).tolist() == [[0, 0, 0], [701, 699, 702]]


def test_kit_s_demand_falls_on_its_parts_in_every_period() -> None:
    """Parts that are sold alone keep that demand."""
    found = answer(CASE)
    assert found["parts_demand"] == {"mug": [25, 1], "box": [10, 0]}


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(4, 8)), min_size=1, unique=True))
def test_demand_of_parts_is_the_sum_over_the_bill(lines) -> None:
    """As a matrix of factors says; the spread as the matrix of their squares."""
    generator = np.random.default_rng(3)
    items, parts = np.array(lines).T
    factors = generator.uniform(0.5, 4, len(lines))
    matrix = np.zeros((9, 9))
    matrix[items, parts] = factors
    demand = generator.uniform(0, 50, (9, 3))
    own = np.where(np.isin(np.arange(9), items)[:, None], 0, demand)
    bill = Bill.of(items, parts, factors)
    assert parts_demand(bill, demand) == pytest.approx(matrix.T @ demand + own)
    assert parts_sd(bill, demand) ** 2 == pytest.approx((matrix**2).T @ demand**2 + own**2)


def test_scarcest_part_decides_how_many_sets_there_are() -> None:
    """Seven mugs make three sets of two; without a box there is none."""
    bill = Bill.of([0, 0], [1, 2], [2, 1])
    assert sets_from_stock(bill, [0, 7, 9])[0] == 3
    assert sets_from_stock(bill, [0, 7, 0])[0] == 0
    found = answer(CASE | {"stock": {"mug": 7, "box": 2}, "demand_sd": {"gift set": [3, 3]}})
    assert found["can_be_made"] == {"gift set": 2}
    assert found["parts_sd"] == {"mug": [6, 6], "box": [3, 3]}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"bill": []}, r"bill must be \[\[item, part, units"),
        ({"bill": [["a", "b"]]}, r"bill\[0\] must be \[item, part, units\], got \['a', 'b'\]"),
        ({"bill": [["a", "b", 0]]}, r"bill\[0\]\[2\] must be > 0, got 0"),
        ({"bill": [["a", "b", 1], ["b", "c", 1]]}, "bill must be of one level: .* got 'b'"),
        ({"bill": [["a", "a", 1]]}, "bill must be of one level"),
        ({"bill": [["a", "b", 1], ["a", "b", 2]]}, "bill must be a list that names each part"),
        ({"demand": {"mug": -1}}, r"demand.mug must be a number or a list, each >= 0|>= 0, got -1"),
        ({"demand": {"mug": [1, 2], "box": [1]}}, "demand must be an object of numbers"),
        ({"stock": {"mug": [1, 2]}}, "stock must be an object of numbers >= 0, by part"),
    ],
)
def test_bad_bill_is_named(change, complaint) -> None:
    """The line, the rule and the value."""
    with pytest.raises(PolicyInputError, match=complaint):
        answer(CASE | change)
