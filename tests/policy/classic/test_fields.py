"""Fields: what they take, and what they say of what they do not."""

import numpy as np
import pytest

from policy.classic.fields import LARGEST, Choice, Number, Numbers, Rows, is_finite
from policy.errors import PolicyInputError

SHARE = Number("share", "", is_above=True, high=1, is_below=True)


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        (SHARE, 1, r"share must be inside \(0, 1\), got 1$"),
        (SHARE, None, r"share must be inside \(0, 1\), got None$"),
        (SHARE, [0.5], r"share must be inside \(0, 1\), got \[0.5\]$"),
        (Number("n", "", low=1, high=9, is_whole=True), 2.5, "n must be a whole number >= 1 and"),
        (Number("n", ""), 10**400, "n must be >= 0 and at most 1e.15|n must be >= 0, got 1000"),
        (Number("n", ""), float("inf"), r"n must be >= 0 and at most 1e\+15, got inf"),
        (Number("n", "", low=-LARGEST), "1", "n must be a number, got '1'"),
        (Numbers("l", "", SHARE, fewest=2), [0.5], "l must be a list of at least 2 numbers, each"),
        (Numbers("l", "", SHARE), "0.5", "l must be a list, each inside"),
        (Rows("r", "", SHARE), [[0.5], 0.5], r"r\[1\] must be a list, each inside"),
        (Choice("c", "", ("a", "b")), "d", "c must be one of a, b, got 'd'"),
    ],
)
def test_what_a_field_does_not_take_is_named(field, value, complaint) -> None:
    """Name, rule and the value as it was given."""
    with pytest.raises(PolicyInputError, match=complaint):
        field.read(value)


def test_arrays_are_checked_as_single_values_are() -> None:
    """The first bad value of an array is named; NaN is bad; whole columns may be integers."""
    assert SHARE.check([[0.1, 0.2]]).shape == (1, 2)
    assert Number("n", "").check(np.arange(3)).dtype == np.float64
    with pytest.raises(PolicyInputError, match=r"share must be .* got nan"):
        SHARE.check([0.5, float("nan"), 2])


def test_finite_values_are_found_at_any_depth() -> None:
    """In lists and objects, beside text."""
    assert is_finite({"a": [1.0, None, "x", {"b": 2}]})
    assert not is_finite({"a": [1.0, {"b": float("nan")}]})
