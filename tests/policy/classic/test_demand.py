"""Families of demand: chances, losses and sums agree with scipy and with each other."""

import numpy as np
import pytest
from scipy import stats

from policy.classic.demand import NormalDemand, on_cells, read_demand
from policy.errors import PolicyInputError

LEVELS = np.array([-3.0, 0, 0.5, 1, 2, 3.7, 5, 9, 20, 60])
SIZE, CHANCE = 4**2 / (9 - 4), 4 / 9
FAMILIES = [
    ({"family": "normal", "mean": 4, "sd": 3}, stats.norm(4, 3)),
    ({"family": "poisson", "mean": 4.5}, stats.poisson(4.5)),
    ({"family": "negative_binomial", "mean": 4, "sd": 3}, stats.nbinom(SIZE, CHANCE)),
    ({"family": "negative_binomial", "mean": 4, "variance": 9}, stats.nbinom(SIZE, CHANCE)),
    ({"family": "negative_binomial", "mean": 4, "size": SIZE}, stats.nbinom(SIZE, CHANCE)),
    ({"family": "negative_binomial", "mean": 4, "probability": CHANCE}, stats.nbinom(SIZE, CHANCE)),
    (
        {"family": "negative_binomial", "size": SIZE, "probability": CHANCE},
        stats.nbinom(SIZE, CHANCE),
    ),
    ({"family": "gamma", "mean": 4, "sd": 3}, stats.gamma(16 / 9, scale=9 / 4)),
    ({"family": "uniform", "low": 2, "high": 7}, stats.randint(2, 8)),
    ([2, 3, 4, 5, 6, 7], stats.randint(2, 8)),
]


@pytest.mark.slow
@pytest.mark.parametrize(("spec", "known"), FAMILIES, ids=[str(spec) for spec, _ in FAMILIES])
def test_family_agrees_with_scipy(spec, known) -> None:
    """Mean, spread, chances, expected shortage and quantiles."""
    demand = read_demand(spec)
    assert (demand.mean, demand.sd) == pytest.approx((known.mean(), known.std()))
    assert demand.above(LEVELS) == pytest.approx(known.sf(LEVELS), abs=1e-13)
    losses = [known.expect(lambda d, x=x: np.maximum(d - x, 0)) for x in LEVELS]
    assert demand.loss(LEVELS) == pytest.approx(losses, abs=1e-6)
    for chance in (0.01, 0.3, 0.8, 0.95, 0.999):
        assert demand.level_for(1 - chance) == pytest.approx(known.ppf(chance))


@pytest.mark.parametrize(("spec", "known"), FAMILIES, ids=[str(spec) for spec, _ in FAMILIES])
def test_sum_of_periods_has_their_mean_and_variance(spec, known) -> None:
    """Three periods; and a lead time of 0 demands nothing."""
    demand = read_demand(spec)
    three = demand.over(3)
    assert (three.mean, three.sd**2) == pytest.approx((3 * known.mean(), 3 * known.var()))
    none = demand.over(0)
    assert (none.mean, none.sd) == (0, 0)
    assert none.loss(np.array([-2.0, 0, 3])).tolist() == [2, 0, 0]


@pytest.mark.parametrize(("spec", "known"), FAMILIES, ids=[str(spec) for spec, _ in FAMILIES])
def test_grid_keeps_the_mean(spec, known) -> None:
    """On cells of one unit and of three, demand above 0 has the same mean, to 1 %."""
    demand = read_demand(spec)
    for cell in (1.0, 3.0):
        grid = on_cells(demand, cell)
        assert grid.mean == pytest.approx(float(demand.loss(0.0)), rel=0.01)
        assert grid.mass.sum() == pytest.approx(1)


def test_certain_demand_between_units_is_split() -> None:
    """2.25 units a period are two units three times of four, and three units once."""
    assert on_cells(NormalDemand(2.25, 0), 1.0).mass.round(12).tolist() == [0, 0, 0.75, 0.25]


def test_demand_below_zero_counts_as_none_on_a_grid() -> None:
    """Where it is split, too: the chances sum to 1, and the mean is that of the rest."""
    demand = NormalDemand(0.3, 0.3)
    grid = on_cells(demand, 1.0)
    assert grid.mean == pytest.approx(float(demand.loss(0.0)), rel=1e-9)


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        (None, "demand must be a number, a list or an object with a family, got None"),
        (True, "demand must be a number, a list or an object"),
        ([], "demand.observations must be a list of whole numbers"),
        ([1, 2.5], "demand.observations must be a whole number >= 0 and <= 1e"),
        ({"family": "poison"}, "demand.family must be one of normal, poisson"),
        ({"family": "poisson", "mean": -1}, "demand.mean must be >= 0, got -1"),
        ({"family": "poisson", "mean": 1, "sd": 1}, "demand.sd must be absent"),
        ({"family": "normal", "mean": 1}, "demand.sd must be >= 0, got None"),
        ({"family": "negative_binomial", "mean": 4}, "demand must be described by two of mean"),
        ({"family": "negative_binomial", "mean": 4, "sd": 2}, "demand.sd must be more spread than"),
        ({"family": "negative_binomial", "sd": 3, "size": 2}, "demand must be described by two of"),
        ({"family": "pmf", "probabilities": [0.5, 0.4]}, "demand.probabilities must be"),
    ],
)
def test_bad_demand_is_named(spec, complaint) -> None:
    """Family, parameter, rule and value."""
    with pytest.raises(PolicyInputError, match=complaint):
        read_demand(spec)
