"""Classes of items at their limits, and the matrix that turns them into targets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.classic.cases.answer import answer
from policy.classic.classes import abc_classes, demand_classes, service_targets, xyz_classes
from policy.errors import PolicyInputError

values = st.lists(st.integers(0, 1000), min_size=1, max_size=30)


@settings(max_examples=30)
@given(values, st.randoms(use_true_random=False))
def test_class_does_not_depend_on_the_order_of_items(worth, chance) -> None:
    """However items are sorted, their values fall into the same classes; money's unit too."""
    shuffled = worth.copy()
    chance.shuffle(shuffled)
    one = sorted(zip(worth, abc_classes(worth), strict=True))
    other = sorted(zip(shuffled, abc_classes(np.array(shuffled) * 0.37), strict=True))
    assert [(value, str(name)) for value, name in one] == [
        (value, str(name)) for value, name in other
    ]


def test_item_that_crosses_a_limit_belongs_before_it() -> None:
    """One item that is worth everything is A, and so is one that crosses 80 %."""
    assert abc_classes([7]).tolist() == ["A"]
    assert abc_classes([1, 79, 20]).tolist() == ["C", "A", "A"]
    assert abc_classes([80, 15, 5]).tolist() == ["A", "B", "C"]
    assert abc_classes([0, 0]).tolist() == ["C", "C"]
    assert abc_classes([50, 30, 20], limits=(0.5, 0.8)).tolist() == ["A", "B", "C"]


@pytest.mark.parametrize(
    ("series", "name", "stability"),
    [
        ([5, 5, 6, 4], "smooth", "stable"),
        ([1, 30, 1, 1], "erratic", "shaky"),
        ([0, 5, 0, 5], "intermittent", "capricious"),
        ([0, 1, 0, 30], "lumpy", "capricious"),
        ([0, 0, 0, 0], "none", "none"),
        ([3, 3, 3, *[0] * 1], "intermittent", "capricious"),  # ADI 1.33
        ([3, 3, 3, 3, 0], "smooth", "stable"),  # ADI 1.25
        ([0.3, 1.7], "erratic", "shaky"),  # CV^2 of exactly 0.49
    ],
)
def test_demand_falls_into_the_published_quadrants(series, name, stability) -> None:
    """By interval and variation of sizes; a value at its limit is in the difficult class."""
    found = demand_classes(series)
    assert (str(found.names), str(found.stability)) == (name, stability)


def test_item_without_demand_has_no_figures() -> None:
    """Not 0, and not infinity: null."""
    found = answer({"model": "demand_class", "series": [[0, 0], [1, 0]]})
    assert (found["adi"], found["cv_squared"]) == ([None, 2.0], [None, 0.0])
    found = answer({"model": "service_matrix", "values": [0, 1], "series": [[0, 0], [1, 1]]})
    assert (found["cv"], found["xyz"], found["abc"]) == ([None, 0.0], ["Z", "X"], ["C", "A"])


def test_spread_at_a_limit_is_in_the_higher_class() -> None:
    """X below 0.5, Y below 1, Z from there on."""
    spread, names = xyz_classes([[1, 3], [1, 1.5], [0, 2], [4, 4]])
    assert (spread.tolist(), names.tolist()) == ([0.5, 0.2, 1, 0], ["Y", "X", "Z", "X"])


def test_matrix_can_be_edited() -> None:
    """Rows A, B, C and columns X, Y, Z."""
    matrix = [[0.91, 0.92, 0.93], [0.94, 0.95, 0.96], [0.97, 0.98, 0.99]]
    found = answer(
        {
            "model": "service_matrix",
            "values": [100, 10],
            "series": [[5, 5], [0, 8]],
            "matrix": matrix,
        }
    )
    assert (found["targets"], found["matrix"]) == ([0.91, 0.96], matrix)
    every = [(row, column) for row in "ABC" for column in "XYZ"]
    names = np.array(every)
    assert service_targets(names[:, 0], names[:, 1], matrix).tolist() == np.ravel(matrix).tolist()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"matrix": [[0.9]]}, r"matrix must be 3 rows \(A, B, C\) of 3 targets"),
        ({"matrix": [[0.9, 1, 0.9]] * 3}, r"matrix\[0\]\[1\] must be inside \(0, 1\), got 1"),
        ({"limits": [0.9, 0.8]}, "limits must be two numbers, rising"),
        ({"series": [[1]]}, "series must be 2 lists, as values has, got 1"),
        ({"series": [[1, 2], [1]]}, r"series must be lists of one length, got 'lengths \[1, 2\]'"),
        ({"values": [1, -1]}, r"values\[1\] must be >= 0, got -1"),
    ],
)
def test_bad_value_is_named(change, complaint) -> None:
    """The place in the list, the rule and the value."""
    case = {"model": "service_matrix", "values": [1, 2], "series": [[1, 2], [3, 4]]}
    with pytest.raises(PolicyInputError, match=complaint):
        answer(case | change)
