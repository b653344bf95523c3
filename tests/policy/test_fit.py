"""What demand is: the family by name, and a check that says what the data prove."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy import DemandFamily, FitCheck, PolicyInputError, fit_demand


def fitted(mean, sd, days=60, review=7.0, **more):
    """Family and check of one item, by name."""
    fit = fit_demand(np.array([mean]), np.array([sd]), np.array([days]), np.array([review]), **more)
    return DemandFamily(fit.family[0]).name, FitCheck(fit.check[0]).name


@pytest.mark.parametrize(
    ("mean", "sd", "family", "check"),
    [
        (0.0, 0.0, "AUTO", "NO_DEMAND"),
        (4.0, 2.0, "POISSON", "EQUIDISPERSED"),
        (4.0, 4.0, "NEGATIVE_BINOMIAL", "OVERDISPERSED"),
        (50.0, 2.0, "NORMAL", "UNDERDISPERSED"),
        (0.3, 0.2, "POISSON", "UNDERDISPERSED"),  # a normal would often be negative
        (5_000.0, 900.0, "NORMAL", "OVERDISPERSED"),
        (5_000.0, 9_000.0, "GAMMA", "OVERDISPERSED"),
    ],
)
def test_family_follows_the_dispersion(mean, sd, family, check):
    """Each kind of demand has its family and a check with a name."""
    assert fitted(mean, sd) == (family, check)


def test_an_unproven_spread_is_believed_and_said_to_be_unproven():
    """An index of 1.4 over 19 days proves nothing; the wide family is taken all the same."""
    assert fitted(4.0, np.sqrt(5.6)) == ("NEGATIVE_BINOMIAL", "EQUIDISPERSED")


def test_too_little_history_is_named_and_never_narrow():
    """Three equal days do not make demand certain: the spread is that of counts at least."""
    fit = fit_demand(np.array([9.0]), np.array([0.0]), np.array([3]), np.array([7.0]))
    assert FitCheck(fit.check[0]) is FitCheck.TOO_LITTLE_HISTORY
    assert fit.sd_units_per_day[0] == 3.0
    assert fit.p_value[0] == 1.0


@pytest.mark.parametrize("index", [1.0, 2.5])
def test_check_is_wrong_as_rarely_as_it_says(index):
    """Poisson counts are called over- or underdispersed in 5 % of samples; wide ones mostly."""
    draw = np.random.default_rng(7)
    shape, mean = (20_000, 19), 6.0
    if index == 1.0:
        counts = draw.poisson(mean, shape)
    else:
        counts = draw.negative_binomial(mean / (index - 1.0), 1.0 / index, shape)
    fit = fit_demand(
        counts.mean(axis=1),
        counts.std(axis=1, ddof=1),
        np.full(20_000, 19),
        np.full(20_000, 7.0),
    )
    wrong = (fit.check != FitCheck.EQUIDISPERSED).mean()
    if index == 1.0:
        assert wrong == pytest.approx(0.05, abs=0.008)
    else:
        assert (fit.check == FitCheck.OVERDISPERSED).mean() > 0.7


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 1e9), st.floats(0, 1e9), st.integers(0, 10_000)),
        min_size=1,
        max_size=20,
    )
)
def test_nothing_in_range_gives_nan(drawn):
    """Every estimate gets numbers, a family and a check, whatever its neighbours are."""
    mean, sd, days = (np.array(column) for column in zip(*drawn, strict=True))
    review = np.full(mean.size, 7.0)
    fit = fit_demand(mean, sd, days, review)
    for column in (fit.sd_units_per_day, fit.dispersion_index, fit.p_value):
        assert np.isfinite(column).all()
    assert ((fit.family == DemandFamily.AUTO) == (fit.check == FitCheck.NO_DEMAND)).all()
    back = fit_demand(mean[::-1], sd[::-1], days[::-1], review)
    assert back.family[::-1].tolist() == fit.family.tolist()
    assert back.check[::-1].tolist() == fit.check.tolist()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"mean": np.array([-1.0])}, "mean"),
        ({"sd": np.array([np.nan])}, "sd"),
        ({"observed_days": np.array([-1])}, "observed_days"),
        ({"memory_days": 1}, "memory_days"),
    ],
)
def test_out_of_range_estimate_is_named(change, name):
    """Field, rule and value, as everywhere."""
    values = {
        "mean": np.ones(1),
        "sd": np.ones(1),
        "observed_days": np.array([9]),
        "review_period_days": np.full(1, 7.0),
    }
    with pytest.raises(PolicyInputError) as caught:
        fit_demand(**(values | change))
    assert caught.value.name == name
