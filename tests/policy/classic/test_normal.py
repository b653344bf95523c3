"""The standard normal loss function and the safety factors that solve its equations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import ndtr
from scipy.stats import norm

from policy.classic.normal import factor_for_loss, factor_for_lot, normal_loss, standard_loss


@pytest.mark.parametrize("k", [-6, -1, 0, 1, 4, 8, 20, 35])
def test_loss_is_the_integral_of_the_tail(k) -> None:
    """Far out, where a difference of large numbers would be negative, it keeps its digits."""
    tail = quad(lambda x: ndtr(-x), k, k + 40, epsabs=0)[0]
    assert float(standard_loss(k)) == pytest.approx(tail, rel=1e-9)


@settings(max_examples=30)
@given(st.floats(-1e6, 30))
def test_factor_undoes_the_loss(k) -> None:
    """G(factor) is the loss again, from far left to far right."""
    loss = standard_loss(k)
    assert float(standard_loss(factor_for_loss(loss))) == pytest.approx(float(loss), rel=1e-9)


@settings(max_examples=30)
@given(st.floats(1e-6, 1 - 1e-6), st.floats(-6, 6).map(lambda power: 10**power))
def test_factor_for_a_lot_solves_its_equation(share, lot) -> None:
    """The mean of the tail over the lot is the share that may be missing, for every lot."""
    k = float(factor_for_lot(share, lot))
    if lot < 1e-3:
        assert norm.sf(k + lot / 2) == pytest.approx(share, rel=1e-6)
    else:
        missed = (standard_loss(k) - standard_loss(k + lot)) / lot
        assert float(missed) == pytest.approx(share, rel=1e-7, abs=1e-9)


def test_without_spread_the_loss_is_what_lacks() -> None:
    """A level below certain demand lacks the difference."""
    assert normal_loss([3, 5, 9], 5, 0).tolist() == [2, 0, 0]
    assert np.isfinite(factor_for_loss([1e-300, 1e12])).all()
