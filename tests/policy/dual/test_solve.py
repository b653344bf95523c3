"""The exact dual-sourcing policy against the numbers of the model and a ledger of its own."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.dual.demand import (
    GridDemand,
    empirical_demand,
    negative_binomial_demand,
    normal_demand,
    poisson_demand,
)
from policy.dual.solve import DualProblem, IntervalTable, evaluate_dual, solve_dual
from policy.errors import PolicyInputError
from policy.review_inputs import ServiceType
from tests.policy.daily_ledger import replaced_normal, run_ledger

YEAR = 360  # days, as in the paper

PAPER = DualProblem(
    demand=normal_demand(100, 50, below_zero="replace"),
    review_period_steps=9,
    lead_time_steps_lean=4,
    lead_time_steps_flexible=2,
    setup_cost_lean=900,
    setup_cost_flexible=90,
    unit_cost_lean=10,
    unit_cost_flexible=13,
    holding_cost_per_unit_step=0.9,
    backorder_cost_per_unit_step=2,
)
LEAN_ONLY = {"setup_cost_flexible": math.inf}
FLEXIBLE_ONLY = {"setup_cost_lean": math.inf}

SMALL = DualProblem(
    demand=poisson_demand(2.0),
    review_period_steps=5,
    lead_time_steps_lean=3,
    lead_time_steps_flexible=1,
    setup_cost_lean=20,
    setup_cost_flexible=4,
    unit_cost_lean=3,
    unit_cost_flexible=4,
    holding_cost_per_unit_step=0.1,
    backorder_cost_per_unit_step=0.9,
)


def cycle(target, problem=PAPER, **changes):
    return replace(problem, service_type=ServiceType.CYCLE, service_target=target, **changes)


@pytest.mark.parametrize(
    ("changes", "published"), [({}, 520_783), (LEAN_ONLY, 522_272), (FLEXIBLE_ONLY, 598_437)]
)
def test_cost_optimum_reproduces_the_model(changes, published):
    """Dual, lean only and flexible only cost what the model's table says, to the unit."""
    policy = solve_dual(replace(PAPER, **changes))
    assert round(policy.cost * YEAR) == published
    assert policy.gap < 1e-6


@pytest.mark.parametrize(
    ("target", "changes", "published"),
    [
        (0.95, {}, 607_264),
        (0.95, LEAN_ONLY, 646_104),
        (0.95, FLEXIBLE_ONLY, 717_582),
        (0.90, {}, 593_359),
        (0.98, {}, 623_602),
    ],
)
def test_service_optimum_is_at_most_the_published_cost(target, changes, published):
    """Each constrained optimum meets its target at the published cost or below it, certified."""
    policy = solve_dual(cycle(target, **changes))
    assert policy.evaluation.cycle_service >= target
    assert policy.cost * YEAR <= published + 0.5
    assert policy.cost * YEAR >= published * (1 - 5e-4)
    assert policy.gap <= 5e-5


def test_lower_bound_at_95_percent_is_the_published_one():
    """The certified bound of the 95 % case is 607,245 per 360 days."""
    assert round(solve_dual(cycle(0.95)).lower_bound * YEAR) == 607_245


@pytest.mark.parametrize(("changes", "published"), [(LEAN_ONLY, 646_104), (FLEXIBLE_ONLY, 717_582)])
def test_single_supplier_at_one_price_is_the_published_plan(changes, published):
    """One order-up-to level chosen by a price costs what the model's table says."""
    policy = solve_dual(cycle(0.95, **changes), between=False)
    assert round(policy.cost * YEAR) == published
    assert len(policy.table.from_units) == 2


def test_papers_service_condition_leaves_61_percent_of_cycles_clean():
    """U >= 1,387 satisfies the published condition, costs 577,014 and is no 95 % service."""
    policy = solve_dual(replace(PAPER, service_type=ServiceType.PAPER, service_target=0.95))
    assert round(policy.cost * YEAR) == 577_014
    assert policy.evaluation.cycle_service == pytest.approx(0.61, abs=0.005)
    ordered = policy.table.lean_to_units[np.isfinite(policy.table.lean_to_units)]
    assert ordered.min() == 1_387


def test_optimum_has_a_band_that_uses_both_suppliers():
    """The cost optimum is an interval table: both, lean alone, nothing."""
    table = solve_dual(PAPER).table
    assert np.isfinite(table.flexible_to_units).tolist() == [True, False, False]
    assert np.isfinite(table.lean_to_units).tolist() == [True, True, False]


def test_published_order_up_to_range():
    """U1, U_max and the range of omega at Z = 1.65 follow from Eq. 12-14."""
    low = 100 * 11 + 1.65 * 50 * math.sqrt(11)
    high = 100 * 13 + 1.65 * 50 * math.sqrt(13)
    assert [round(value, 1) for value in (low, high, high - low)] == [1373.6, 1597.5, 223.8]


def test_monthly_benchmark_is_arithmetic():
    """12 orders, a month's stock held on average half full, and purchases at 10 make 856,800."""
    setup, holding, purchase = 12 * 900, 0.9 * 3000 / 2 * 360, 36_000 * 10
    assert (setup, holding, purchase) == (10_800, 486_000, 360_000)
    assert setup + holding + purchase == 856_800


def test_simulated_year_from_1200_units_agrees():
    """The 95 % policy run from 1,200 units for 360 days costs 602,198 +- 83 in a ledger."""
    policy = solve_dual(cycle(0.95))
    paid, _, _ = run_ledger(
        policy.table.orders, replaced_normal(100, 50), reviews=40, runs=4000, start=1200, seed=1
    )
    error = paid.std() / math.sqrt(paid.size) * YEAR
    assert paid.mean() * YEAR == pytest.approx(602_198, abs=3 * math.hypot(error, 83))


def test_lean_only_with_the_published_level_agrees():
    """Raising to 1,597.5 from the lean supplier costs about 637,400 simulated."""
    paid, _, _ = run_ledger(
        lambda stock: (np.maximum(1597.5 - stock, 0), np.zeros_like(stock)),
        replaced_normal(100, 50),
        reviews=40,
        runs=4000,
        start=1200,
        seed=2,
    )
    assert paid.mean() * YEAR == pytest.approx(637_400, rel=1e-3)


@pytest.mark.parametrize("target", [0.0, 0.95])
def test_evaluation_agrees_with_the_ledger(target):
    """Cost, cycle service and fill rate of the exact evaluation hold in simulation."""
    problem = cycle(target) if target else PAPER
    policy = solve_dual(problem)
    paid, clean, fill = run_ledger(
        policy.table.orders,
        replaced_normal(100, 50),
        reviews=220,
        warm=20,
        runs=1000,
        start=1000,
        seed=3,
    )
    error = paid.std() / math.sqrt(paid.size)
    assert paid.mean() == pytest.approx(policy.cost, abs=4 * error)
    assert clean == pytest.approx(policy.evaluation.cycle_service, abs=0.003)
    assert fill == pytest.approx(policy.evaluation.fill_rate, abs=0.002)


def test_hours_and_observed_demand_agree_with_the_ledger():
    """A review every 24 hours, deliveries after 9 and 3, and the hourly sales that were seen."""
    observed = np.array([0, 0, 0, 1, 0, 2, 0, 0, 1, 5, 0, 1, 3, 0, 0, 0])
    problem = DualProblem(
        demand=empirical_demand(observed),
        review_period_steps=24,
        lead_time_steps_lean=9,
        lead_time_steps_flexible=3,
        setup_cost_lean=6,
        setup_cost_flexible=1,
        unit_cost_lean=2,
        unit_cost_flexible=2.5,
        holding_cost_per_unit_step=0.01,
        backorder_cost_per_unit_step=0.2,
        service_type=ServiceType.CYCLE,
        service_target=0.9,
    )
    policy = solve_dual(problem)
    assert policy.target_met
    paid, clean, fill = run_ledger(
        policy.table.orders,
        lambda generator, shape: generator.choice(observed, shape).astype(float),
        reviews=220,
        warm=20,
        runs=1000,
        start=20,
        seed=4,
        review_days=24,
        lean_days=9,
        flexible_days=3,
        setup=(6.0, 1.0),
        unit=(2.0, 2.5),
        holding=0.01,
        backorder=0.2,
    )
    error = paid.std() / math.sqrt(paid.size)
    assert paid.mean() == pytest.approx(policy.cost, abs=4 * error)
    assert clean == pytest.approx(policy.evaluation.cycle_service, abs=0.005)
    assert fill == pytest.approx(policy.evaluation.fill_rate, abs=0.003)


def test_cost_parts_add_up():
    """The parts of the evaluation sum to its cost, and units bought equal demand."""
    found = solve_dual(PAPER).evaluation
    parts = found.setup_cost_lean + found.setup_cost_flexible + found.holding_cost
    parts += found.purchase_cost_lean + found.purchase_cost_flexible + found.backorder_cost
    assert parts == pytest.approx(found.cost, rel=1e-12)
    bought = found.purchase_cost_lean / 10 + found.purchase_cost_flexible / 13
    assert bought == pytest.approx(PAPER.demand.mean_units, rel=1e-6)


@pytest.mark.slow
def test_lean_capacity_hands_the_rest_to_the_flexible_supplier():
    """With 600 units a review from the lean supplier the flexible one sells the rest."""
    policy = solve_dual(cycle(0.95, lean_capacity_units=600))
    lean, _ = policy.table.orders(np.arange(-300.0, 1500.0))
    assert lean.max() <= 600
    assert policy.evaluation.share_flexible == pytest.approx(1 - 600 / 924.3, abs=0.02)
    assert policy.cost > solve_dual(cycle(0.95)).cost


def test_packs_and_minimums_bind_inside_the_choice():
    """Every order is a whole number of packs and at least the minimum."""
    problem = cycle(
        0.95,
        SMALL,
        pack_size_units_lean=6,
        minimum_order_units_flexible=3,
        pack_size_units_flexible=2,
    )
    lean, flexible = solve_dual(problem).table.orders(np.arange(-10.0, 30.0))
    assert set(np.unique(lean % 6)) == {0.0}
    assert set(np.unique(flexible % 2)) == {0.0}
    assert flexible[flexible > 0].size == 0 or flexible[flexible > 0].min() >= 4


def test_fill_target_is_met_without_surplus():
    """A fill-rate target is met and nearly tight."""
    policy = solve_dual(replace(PAPER, service_type=ServiceType.FILL, service_target=0.97))
    assert 0.97 <= policy.evaluation.fill_rate < 0.9702


def test_zero_flexible_lead_time_is_allowed():
    """A flexible delivery on the review day is never dearer than one two days later."""
    assert solve_dual(replace(PAPER, lead_time_steps_flexible=0)).cost <= solve_dual(PAPER).cost


def test_order_is_never_capped_at_the_largest_demand():
    """With a dear set-up and cheap stock one order covers many reviews' demand."""
    problem = replace(SMALL, setup_cost_lean=400, setup_cost_flexible=300, unit_cost_flexible=3.2)
    problem = replace(problem, holding_cost_per_unit_step=0.02)
    lean, flexible = solve_dual(problem).table.orders(np.array([-100.0]))
    assert lean[0] + flexible[0] - 100 > 5 * SMALL.demand.mean_units * 5


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"lead_time_steps_lean": 9}, "lead_time_steps_lean"),
        ({"lead_time_steps_flexible": 5}, "lead_time_steps_lean"),
        ({"lead_time_steps_flexible": -1}, "lead_time_steps_flexible"),
        ({"holding_cost_per_unit_step": 0.0}, "holding_cost_per_unit_step"),
        ({"backorder_cost_per_unit_step": math.nan}, "backorder_cost_per_unit_step"),
        ({"service_type": ServiceType.CYCLE, "service_target": 1.0}, "service_target"),
        ({"setup_cost_lean": math.inf, "setup_cost_flexible": math.inf}, "setup_cost_lean"),
    ],
)
def test_out_of_range_problem_names_the_field(changes, name):
    """An error names field, rule and value."""
    with pytest.raises(PolicyInputError) as caught:
        replace(PAPER, **changes)
    assert caught.value.name == name
    assert caught.value.rule


PROBLEMS = st.builds(
    lambda mean, review, gap, setup, unit, holding, backorder: replace(
        SMALL,
        demand=poisson_demand(mean),
        review_period_steps=review + 3,
        lead_time_steps_lean=gap + 1,
        setup_cost_lean=setup,
        unit_cost_flexible=3 + unit,
        holding_cost_per_unit_step=holding,
        backorder_cost_per_unit_step=backorder,
    ),
    st.floats(0.2, 6.0),
    st.integers(1, 4),
    st.integers(0, 2),
    st.floats(0.0, 60.0),
    st.floats(0.0, 3.0),
    st.floats(0.02, 0.5),
    st.floats(0.3, 5.0),
)


@settings(max_examples=25, deadline=None)
@given(PROBLEMS, st.floats(0.5, 0.98))
def test_cost_is_never_below_the_certified_bound(problem, target):
    """The evaluated cost of every policy lies at or above its bound, with or without a target."""
    for one in (problem, cycle(target, problem)):
        policy = solve_dual(one)
        assert policy.evaluation.cost >= policy.lower_bound * (1 - 1e-7)
        assert policy.evaluation.cycle_service >= one.service_target - 1e-9


def test_plan_of_equal_value_is_evaluated_itself():
    """Two plans tie at the optimal price; the one returned meets the target (regression)."""
    problem = replace(
        SMALL,
        demand=poisson_demand(1.0),
        lead_time_steps_lean=1,
        setup_cost_lean=0.0,
        unit_cost_flexible=3.0,
        holding_cost_per_unit_step=0.5,
        backorder_cost_per_unit_step=0.375,
    )
    policy = solve_dual(cycle(0.5, problem))
    assert policy.evaluation.cycle_service >= 0.5
    assert policy.cost >= policy.lower_bound


@pytest.mark.parametrize(
    ("setup", "unit", "holding", "target"),
    [(3.0, 3.1875, 0.125, 0.875), (4.0, 3.25, 0.0625, 0.75)],
)
def test_bound_and_service_hold_where_values_settle_slowly(setup, unit, holding, target):
    """Four-day reviews with lean deliveries on the second day (regression)."""
    problem = replace(
        SMALL,
        review_period_steps=4,
        lead_time_steps_lean=2,
        setup_cost_lean=setup,
        unit_cost_flexible=unit,
        holding_cost_per_unit_step=holding,
        backorder_cost_per_unit_step=1,
    )
    policy = solve_dual(cycle(target, problem))
    assert policy.evaluation.cycle_service >= target
    assert policy.cost >= policy.lower_bound


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(PROBLEMS, st.floats(0.5, 0.9))
def test_more_service_never_costs_less(problem, target):
    """The bound of the higher target is at least that of the lower one."""
    low = solve_dual(cycle(target, problem))
    high = solve_dual(cycle(target + 0.08, problem))
    assert high.lower_bound >= low.lower_bound * (1 - 1e-6)


@settings(max_examples=20, deadline=None)
@given(PROBLEMS)
def test_a_flexible_supplier_never_hurts(problem):
    """Two suppliers cost at most what the better one alone costs."""
    both = solve_dual(problem).cost
    alone = min(solve_dual(replace(problem, **one)).cost for one in (LEAN_ONLY, FLEXIBLE_ONLY))
    assert both <= alone * (1 + 2e-6)


@settings(max_examples=20, deadline=None)
@given(PROBLEMS, st.floats(0.01, 1e4))
def test_scaling_money_scales_cost(problem, factor):
    """All prices times a factor give the cost times that factor."""
    money = ("setup_cost_lean", "setup_cost_flexible", "unit_cost_lean", "unit_cost_flexible")
    money += ("holding_cost_per_unit_step", "backorder_cost_per_unit_step")
    scaled = replace(problem, **{name: getattr(problem, name) * factor for name in money})
    assert solve_dual(scaled).cost == pytest.approx(solve_dual(problem).cost * factor, rel=3e-6)


@settings(max_examples=15, deadline=None)
@given(PROBLEMS, st.integers(0, 12), st.integers(0, 25))
def test_no_order_up_to_rule_beats_the_optimum(problem, flexible_to, extra):
    """Any rule of two order-up-to levels costs at least the certified bound."""
    levels = (float(flexible_to), float(flexible_to + extra))
    table = IntervalTable(np.array([-50.0]), np.array([levels[0]]), np.array([levels[1]]))
    policy = solve_dual(problem)
    assert evaluate_dual(problem, table).cost >= policy.lower_bound * (1 - 1e-7)


def test_coarser_grid_keeps_the_answer():
    """The same demand on cells of 5 units costs the same within 0.1 %."""
    coarse = replace(PAPER, demand=normal_demand(100, 50, below_zero="replace", cell_units=5))
    assert solve_dual(coarse).cost == pytest.approx(solve_dual(PAPER).cost, rel=1e-3)


def test_other_families_solve():
    """Negative binomial and an arbitrary grid distribution work alike."""
    lumpy = GridDemand(np.array([0.7, 0.0, 0.0, 0.2, 0.0, 0.0, 0.0, 0.1]))
    for demand in (negative_binomial_demand(2.0, 3.0), lumpy):
        assert solve_dual(replace(SMALL, demand=demand)).gap < 1e-5
