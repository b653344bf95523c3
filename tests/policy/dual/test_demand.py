"""Demand families on a grid, their sums and the choice of a family."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.dual.demand import (
    GridDemand,
    empirical_demand,
    gamma_demand,
    lattice_cell,
    negative_binomial_demand,
    normal_demand,
    poisson_demand,
    summed,
)
from policy.errors import PolicyInputError
from policy.solver.expected_loss import (
    COUNT_NEGATIVE_BINOMIAL,
    COUNT_POISSON,
    SPREAD_GAMMA,
    SPREAD_NORMAL,
    fill_loss,
)


def test_papers_replacement_raises_the_mean():
    """Draws of N(100, 50) below 0 replaced by 100 have mean 102.70 and sd 46.54 (P10)."""
    demand = normal_demand(100, 50, below_zero="replace")
    assert (round(demand.mean_units, 2), round(demand.sd_units, 2)) == (102.70, 46.54)


def test_clipping_keeps_more_spread():
    """Draws of N(100, 50) clipped at 0 have mean 100.4 and sd 49.0 (P10)."""
    demand = normal_demand(100, 50)
    assert (round(demand.mean_units, 1), round(demand.sd_units, 1)) == (100.4, 49.0)


@pytest.mark.parametrize(
    "demand",
    [
        normal_demand(40, 9),
        poisson_demand(3.3),
        negative_binomial_demand(4, 3),
        gamma_demand(80, 55),
        empirical_demand([0, 0, 2, 9, 1]),
    ],
)
def test_sums_have_the_moments_of_sums(demand):
    """Mean and variance of 11 steps are 11 times those of one."""
    total = GridDemand(summed(demand, 11), demand.cell_units)
    assert total.mean_units == pytest.approx(11 * demand.mean_units, rel=1e-9)
    assert total.sd_units**2 == pytest.approx(11 * demand.sd_units**2, rel=1e-8)


@given(st.floats(0.05, 200), st.floats(1.15, 40))
def test_negative_binomial_keeps_its_moments(mean, index):
    """The distribution on the grid has the mean and sd it was asked for."""
    demand = negative_binomial_demand(mean, (mean * index) ** 0.5)
    assert demand.mean_units == pytest.approx(mean, rel=1e-6)
    assert demand.sd_units == pytest.approx((mean * index) ** 0.5, rel=1e-6)


def test_cell_grows_with_the_spread():
    """Huge demand gets a coarser cell, small demand single units."""
    assert lattice_cell(1, 1, 9) == 1
    assert lattice_cell(1e6, 1e5, 9) == 37_500


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: poisson_demand(0.0), "mean"),
        (lambda: normal_demand(1.0, float("nan")), "sd"),
        (lambda: negative_binomial_demand(4.0, 1.0), "sd"),
        (lambda: empirical_demand([1.0, -1.0]), "observations"),
        (lambda: GridDemand(np.array([0.5, 0.4])), "mass"),
        (lambda: gamma_demand(1e9, 1e9), "cell_units"),
        (lambda: summed(poisson_demand(1.0), -1), "steps"),
    ],
)
def test_bad_argument_is_named(call, name):
    """Errors name the argument."""
    with pytest.raises(PolicyInputError) as caught:
        call()
    assert caught.value.name == name


@pytest.mark.parametrize(
    ("family", "demand"),
    [
        (COUNT_POISSON, poisson_demand(7.3)),
        (COUNT_NEGATIVE_BINOMIAL, negative_binomial_demand(7.3, 6.0)),
        (SPREAD_NORMAL, normal_demand(700, 60)),
        (SPREAD_GAMMA, gamma_demand(700, 400)),
        (SPREAD_GAMMA, gamma_demand(700, 50)),
    ],
)
def test_compiled_loss_agrees_with_the_grid(family, demand):
    """E(D - y)+ and P(D > y) of the compiled kernel are those of the distribution on the grid."""
    mean, variance = demand.mean_units, demand.sd_units**2
    levels = np.arange(-5.0, demand.mass.size, max(1, demand.mass.size // 50))
    loss, tail = np.empty(levels.size), np.empty(levels.size)
    fill_loss(family, mean, variance, 2 * variance**0.5 / mean, levels, loss, tail)
    cells = np.arange(demand.mass.size)
    shift = 0.0 if family >= COUNT_POISSON else 0.5
    expected = [float(demand.mass @ np.maximum(cells - level, 0)) for level in levels]
    above = [float(demand.mass[cells > level].sum()) for level in levels - shift]
    half = 0.0 if family >= COUNT_POISSON else 0.5 * demand.mass.max() + 1e-3
    np.testing.assert_allclose(loss, expected, atol=1e-6 * mean + 0.2 * half)
    np.testing.assert_allclose(tail, above, atol=1e-9 + half)
