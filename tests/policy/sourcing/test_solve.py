"""The classic dual-sourcing model: published optima, an independent solver, bounds that hold."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.errors import PolicyInputError
from policy.sourcing.exact import solve_exact
from policy.sourcing.model import read_instance, two_speed
from policy.sourcing.solve import solve

PUBLISHED = [
    # lead, premium, backorder, largest demand, regular set-up, expedited set-up, optimum
    (2, 20, 495, 4, 0, 0, 23.071429),
    (2, 10, 95, 8, 0, 0, 37.234829),
    (3, 10, 95, 4, 0, 0, 20.341051),
    (3, 20, 495, 4, 5, 10, 30.063560),
]


def classic(lead: int = 2, premium: float = 20, backorder: float = 495, **changes: Any) -> dict:
    """Return an instance with holding 5 and demand 0..4, changed as asked."""
    return {
        "regular_lead_periods": lead,
        "expedited_lead_periods": 0,
        "regular_cost": 0,
        "expedited_cost": premium,
        "regular_setup": 0,
        "expedited_setup": 0,
        "holding": 5,
        "backorder": backorder,
        "demand": {"family": "uniform", "low": 0, "high": 4},
        **changes,
    }


def enumerate_optimum(
    instance: dict, chances: list[float], low: int, high: int, most: int
) -> float:
    """Value iteration over on-hand stock and both pipelines, every action tried, real period costs.

    Orders travel one by one (no state reduction), costs are paid when they occur, and stock outside
    [low, high] is not allowed; the referee for `solve`, written without any of its code.
    """
    regular, expedited = instance["regular_lead_periods"], instance["expedited_lead_periods"]
    units = np.arange(most + 1)
    levels = np.arange(low, high + 1)
    values = np.zeros((len(levels),) + (most + 1,) * (max(0, regular - 1) + max(0, expedited - 1)))
    for _ in range(400):
        new = np.full_like(values, np.inf)
        for regular_line in itertools.product(units, repeat=max(0, regular - 1)):
            for expedited_line in itertools.product(units, repeat=max(0, expedited - 1)):
                for slow, fast in itertools.product(units, units):
                    coming = (*regular_line, slow) if regular else (slow,)
                    due = coming[0] if regular else slow
                    hurried = (*expedited_line, fast)
                    # An order with lead k placed now arrives before the demand k periods ahead;
                    # `levels` is stock that already holds what is due now from longer leads.
                    now = levels + (fast if expedited == 0 else 0) + (slow if regular == 0 else 0)
                    after = (due if regular else 0) + (hurried[0] if expedited else 0)
                    rest = (coming[1:] if regular else ()) + (hurried[1:] if expedited else ())
                    paid = instance["expedited_cost"] * fast + instance["regular_cost"] * slow
                    paid += instance["expedited_setup"] * (fast > 0)
                    paid += instance["regular_setup"] * (slow > 0)
                    total = np.full(len(levels), float(paid))
                    for demand, chance in enumerate(chances):
                        end = now - demand
                        cost = np.where(end > 0, instance["holding"] * end, 0.0)
                        cost = cost + np.where(end < 0, -instance["backorder"] * end, 0.0)
                        index = end + after - low
                        inside = (index >= 0) & (index < len(levels))
                        follow = values[(np.clip(index, 0, len(levels) - 1), *rest)]
                        total = total + chance * (cost + np.where(inside, follow, 1e6))
                    place = (slice(None), *regular_line, *expedited_line)
                    new[place] = np.minimum(new[place], total)
        change = new - values
        values = values + 0.9 * change - new[(0,) * new.ndim]
        usual = change[-low : -low + 3]
        if usual.max() - usual.min() < 1e-7:
            break
    return float(change[(-low + 1,) + (0,) * (values.ndim - 1)])


@pytest.mark.parametrize("row", PUBLISHED)
def test_published_optimum_is_reproduced_to_the_last_printed_digit(row: tuple) -> None:
    """Boettcher, Asikis & Fragkos (2023) print six decimals; ours round to them."""
    lead, premium, backorder, largest, regular_setup, expedited_setup, optimum = row
    answer = solve(
        classic(
            lead,
            premium,
            backorder,
            demand={"family": "uniform", "low": 0, "high": largest},
            regular_setup=regular_setup,
            expedited_setup=expedited_setup,
        )
    )
    assert answer["method"] == "exact"
    assert round(answer["cost_per_period"], 6) == optimum
    assert answer["lower"] <= answer["cost_per_period"] <= answer["upper"]
    assert answer["upper"] - answer["lower"] < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"regular_lead_periods": 1},
        {"regular_lead_periods": 2},
        {"regular_lead_periods": 2, "regular_setup": 3, "expedited_setup": 4},
        {"regular_lead_periods": 2, "expedited_lead_periods": 1},
        {"regular_lead_periods": 3, "expedited_lead_periods": 1, "regular_setup": 2},
        {"regular_lead_periods": 1, "regular_cost": 7, "expedited_setup": 1},
        {"regular_lead_periods": 2, "regular_cost": 6, "expedited_cost": 4, "expedited_setup": 9},
    ],
)
def test_optimum_equals_a_full_enumeration_that_shares_no_code(changes: dict) -> None:
    """Every action in every state, both pipelines kept, gives the same cost per period."""
    chances = [0.3, 0.5, 0.2]
    instance = classic(premium=5, backorder=25, demand={"family": "pmf", "probabilities": chances})
    instance |= changes
    expected = enumerate_optimum(instance, chances, low=-9, high=9, most=4)
    assert solve(instance)["cost_per_period"] == pytest.approx(expected, abs=1e-5)


def test_premium_too_high_to_pay_leaves_the_newsvendor_of_the_regular_lead() -> None:
    """With a premium above every saving the optimum is single sourcing, which has a formula."""
    chances = np.ones(1)
    for _ in range(4):
        chances = np.convolve(chances, np.full(5, 0.2))
    demand = np.arange(len(chances))
    costs = [
        chances @ (5 * np.maximum(level - demand, 0) + 20 * np.maximum(demand - level, 0))
        for level in demand
    ]
    answer = solve(classic(3, premium=200, backorder=20))
    assert answer["cost_per_period"] == pytest.approx(min(costs), abs=1e-6)


def test_no_gap_between_leads_is_one_supplier_with_two_prices() -> None:
    """With equal leads, a bound for others, the cheaper price serves all: the newsvendor again."""
    model = two_speed(read_instance(classic(1, premium=10, backorder=95, regular_cost=3)))
    equal = solve_exact(model.with_gap(0), 1e9)
    assert equal is not None
    assert model.base_cost + equal.upper == pytest.approx(10 + 3 * 2, abs=1e-6)


def test_unit_cost_of_every_unit_bought_is_counted() -> None:
    """Raising both unit costs by 7 raises the cost per period by 7 times mean demand."""
    plain = solve(classic())["cost_per_period"]
    dearer = solve(classic(premium=27, regular_cost=7))["cost_per_period"]
    assert dearer == pytest.approx(plain + 14, abs=1e-6)


def test_demand_in_lots_costs_as_much_per_lot() -> None:
    """Demand of 0 or 300 units solves as fast as 0 or 3, at a hundred times the cost."""
    small = {"family": "pmf", "probabilities": [0.6, 0.0, 0.0, 0.4]}
    large = {"family": "pmf", "values": [0, 300], "probabilities": [0.6, 0.4]}
    few = solve(classic(demand=small))["cost_per_period"]
    many = solve(classic(demand=large))["cost_per_period"]
    assert many == pytest.approx(100 * few, rel=1e-7)


def test_negative_binomial_may_be_named_by_any_two_parameters() -> None:
    """Geometric demand of mean 1.5 has size 1, probability 0.4 and variance 3.75."""
    costs = [
        solve(classic(demand={"family": "negative_binomial", **two}))["cost_per_period"]
        for two in (
            {"size": 1, "probability": 0.4},
            {"mean": 1.5, "variance": 3.75},
            {"mean": 1.5, "size": 1},
            {"mean": 1.5, "probability": 0.4},
        )
    ]
    assert costs == pytest.approx([costs[0]] * 4, rel=1e-8)


def test_name_of_an_instance_is_given_back() -> None:
    """A table of instances can be told apart in its answers."""
    assert solve(classic() | {"name": "row 1"})["name"] == "row 1"


def test_no_demand_costs_nothing() -> None:
    """Demand that is always 0 has cost 0, not a search without end."""
    answer = solve(classic(demand={"family": "pmf", "probabilities": [1.0]}))
    assert (answer["lower"], answer["upper"]) == (0, 0)


def test_timer_of_the_caller_is_the_only_clock() -> None:
    """`seconds` appears when a timer is given, and only then."""
    assert "seconds" not in solve(classic())
    assert solve(classic(), timer=time.perf_counter)["seconds"] >= 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"holding": 0}, "holding must be > 0, got 0"),
        ({"backorder": float("nan")}, "backorder must be > 0, got nan"),
        ({"expedited_cost": -1}, "expedited_cost must be >= 0, got -1"),
        ({"expedited_cost": "20"}, "expedited_cost must be >= 0, got '20'"),
        ({"regular_setup": True}, "regular_setup must be >= 0, got True"),
        (
            {"regular_lead_periods": 1.5},
            "regular_lead_periods must be a whole number from 1 to 60, got 1.5",
        ),
        (
            {"regular_lead_periods": 61},
            "regular_lead_periods must be a whole number from 1 to 60, got 61",
        ),
        (
            {"expedited_lead_periods": 2},
            "expedited_lead_periods must be < regular_lead_periods (2), got 2",
        ),
        ({"holding": 1e13}, "holding must be <= 1e+12, got 10000000000000.0"),
        (
            {"regular_setup": 1e12},
            "regular_setup must be at most 1.25e+10: an economic order of 100,000 lots of demand, "
            "got 1000000000000.0",
        ),
        (
            {"demand": {"family": "uniform", "low": 4, "high": 2}},
            "demand.high must be a whole number from 4 to 5000, got 2",
        ),
        (
            {"demand": {"family": "uniform", "low": 0, "high": 10**9}},
            "demand.high must be a whole number from 0 to 5000, got 1000000000",
        ),
        (
            {"demand": {"family": "gaussian"}},
            "demand.family must be one of uniform, poisson, negative_binomial, pmf, got 'gaussian'",
        ),
        (
            {"demand": {"family": "negative_binomial", "mean": 4, "variance": 4}},
            "demand.variance must be > demand.mean, got 4",
        ),
        (
            {"demand": {"family": "negative_binomial", "size": 4, "variance": 9}},
            "demand must be described by two of mean, variance, size, probability, not by size and "
            "variance, got {'family': 'negative_binomial', 'size': 4, 'variance': 9}",
        ),
        (
            {"demand": {"family": "poisson", "mean": 3, "low": 0}},
            "demand.low must be absent (poisson takes mean), got 0",
        ),
        (
            {"demand": {"family": "pmf", "probabilities": [0.5, 0.4]}},
            "demand.probabilities must be a list of numbers >= 0 that sum to 1, got [0.5, 0.4]",
        ),
        ({"demand": None}, "demand must be an object with a family, got None"),
    ],
)
def test_input_out_of_range_names_field_rule_and_value(changes: dict, message: str) -> None:
    """The error says which field broke which rule with which value."""
    with pytest.raises(PolicyInputError) as error:
        solve(classic(**changes))
    assert str(error.value) == message


def test_unknown_and_missing_fields_are_refused() -> None:
    """A misspelt field must not silently become its default."""
    with pytest.raises(PolicyInputError, match=r"instance\.regular_set_up must be one of"):
        solve(classic(regular_set_up=5))
    short = classic()
    del short["holding"]
    with pytest.raises(PolicyInputError, match="holding must be > 0, got None"):
        solve(short)


demands = st.one_of(
    st.builds(lambda high: {"family": "uniform", "low": 0, "high": high}, st.integers(1, 5)),
    st.builds(lambda mean: {"family": "poisson", "mean": mean}, st.floats(0.3, 4)),
    st.builds(
        lambda weights: {"family": "pmf", "probabilities": list(np.array(weights) / sum(weights))},
        st.lists(st.integers(1, 9), min_size=2, max_size=5),
    ),
)
instances = st.builds(
    lambda lead, premium, backorder, demand, setups: classic(
        lead, premium, backorder, demand=demand, regular_setup=setups[0], expedited_setup=setups[1]
    ),
    st.integers(1, 3),
    st.floats(0, 60),
    st.floats(1, 500),
    demands,
    st.one_of(st.just((0, 0)), st.tuples(st.floats(0, 30), st.floats(0, 30))),
)


@settings(max_examples=40, deadline=None)
@given(instances, st.floats(0.1, 50))
def test_scaling_money_scales_the_cost(instance: dict, factor: float) -> None:
    """Counting in another currency changes the number and nothing else."""
    money = ("expedited_cost", "regular_setup", "expedited_setup", "holding", "backorder")
    scaled = instance | {name: factor * instance[name] for name in money}
    cost = solve(instance)["cost_per_period"]
    assert solve(scaled)["cost_per_period"] == pytest.approx(factor * cost, rel=1e-5, abs=1e-6)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(instances, st.sampled_from(["expedited", "regular"]))
def test_a_second_supplier_never_hurts(instance: dict, alone: str) -> None:
    """A price nobody would pay leaves one supplier, which can only cost more than two."""
    other = "regular" if alone == "expedited" else "expedited"
    far = 100 + 20 * instance["backorder"] + instance["expedited_cost"]
    single = instance | {f"{other}_cost": far, f"{other}_setup": 0}
    assert solve(instance)["lower"] <= solve(single)["upper"] + 1e-6


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(instances, st.floats(0.1, 30))
def test_worse_terms_never_cost_less(instance: dict, more: float) -> None:
    """A dearer fast unit, backlog or set-up, or a longer regular lead, cannot lower the cost."""
    cost = solve(instance)["lower"]
    for name in ("expedited_cost", "backorder", "regular_setup", "expedited_setup"):
        assert solve(instance | {name: instance[name] + more})["upper"] >= cost - 1e-6
    longer = instance | {"regular_lead_periods": instance["regular_lead_periods"] + 1}
    assert solve(longer)["upper"] >= cost - 1e-6


@settings(max_examples=25, deadline=None)
@given(instances)
def test_bounds_are_finite_close_and_in_order(instance: dict) -> None:
    """No instance in range gives NaN, and exact answers carry a tight certificate."""
    answer = solve(instance)
    lower, cost, upper = (answer[name] for name in ("lower", "cost_per_period", "upper"))
    assert answer["method"] == "exact"
    assert 0 <= lower <= cost <= upper
    assert upper - lower <= 1e-6 * (1 + cost)


@pytest.mark.slow
def test_bounds_stay_true_where_exact_is_too_much_work() -> None:
    """With too little work allowed a simulated rule and a shorter lead bracket the optimum."""
    exact = solve(classic(3, 20, 95))["cost_per_period"]
    print("seed 5")
    answer = solve(classic(3, 20, 95), most_work=1.0, generator=np.random.default_rng(5))
    assert "simulated" in answer["method"]
    assert np.isfinite(answer["gap"])
    assert answer["lower"] <= exact <= answer["upper"]
    assert answer["upper"] < 1.01 * exact


def test_bounds_of_a_lattice_are_enough_where_they_are_close() -> None:
    """Demand in the hundreds is out of reach of little work, and bracketed without a rule."""
    instance = classic(2, 20, 95, demand={"family": "uniform", "low": 0, "high": 300})
    answer = solve(instance, most_work=1.0)
    assert answer["method"] == "exact on a coarser lattice"
    assert "standard errors" not in answer["detail"]
    assert answer["gap"] < 1e-3
    assert answer["lower"] <= answer["cost_per_period"] <= answer["upper"]


@pytest.mark.slow
@pytest.mark.parametrize("lead", [2, 3, 4])
@pytest.mark.parametrize("backorder", [95, 495])
def test_projected_position_is_within_one_percent(lead: int, backorder: float) -> None:
    """PEIP or capped dual index is close to the optimum on instances that can be solved."""
    exact = solve(classic(lead, 20, backorder))["cost_per_period"]
    print("seed 6")
    rule = solve(classic(lead, 20, backorder), most_work=1.0, generator=np.random.default_rng(6))
    assert rule["lower"] <= exact <= rule["upper"]
    assert rule["cost_per_period"] < 1.01 * exact


@pytest.mark.slow
def test_rollout_improves_on_its_base_rule_with_setups() -> None:
    """With a dear regular set-up the improved rule comes within two percent of the optimum."""
    instance = classic(
        4, 20, 95, demand={"family": "poisson", "mean": 5}, regular_setup=40, expedited_setup=0
    )
    exact = solve(instance)["cost_per_period"]
    print("seed 7")
    rule = solve(instance, most_work=1.0, generator=np.random.default_rng(7))
    assert rule["method"].startswith("rollout")
    assert rule["lower"] <= exact <= rule["upper"]
    assert rule["cost_per_period"] < 1.02 * exact


@pytest.mark.slow
@pytest.mark.parametrize("setups", [(0, 0), (5, 10), (60, 0), (0, 60), (200, 40)])
def test_wider_limits_change_nothing(setups: tuple[float, float]) -> None:
    """The finite grid leaves out nothing that pays: three steps wider gives the same cost."""
    from policy.sourcing import exact as sourcing_exact
    from policy.sourcing import model as sourcing_model

    instance = classic(3, 20, 95, regular_setup=setups[0], expedited_setup=setups[1])
    model = sourcing_model.two_speed(sourcing_model.read_instance(instance))
    found = sourcing_exact.solve_exact(model, 1e12)
    assert found is not None
    wide = sourcing_exact.grid_for(model, found.grid.low - 12, 2 * found.grid.most + 6)
    wider = sourcing_exact._solve_wide_enough(model, wide, None, 1e12)
    assert wider is not None
    assert wider.upper == pytest.approx(found.upper, rel=1e-7)
