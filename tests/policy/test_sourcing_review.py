"""Both leads below the review period: exact costs, certificates, and the simulator's verdict."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.errors import PolicyInputError
from policy.simulation import Setting, draw_normal_demand, interval_table, simulate
from policy.sourcing_review import ReviewRule, normal_day, quantile_units, solve_review

SEED = 30
CELL = 10.0
DAY = normal_day(100, 50, cell_units=CELL)


def table_of(rule: ReviewRule):
    """Return the simulator's rule for a solved one."""
    return interval_table(rule.levels, rule.flexible_to, rule.lean_to)


@pytest.mark.parametrize(
    ("suppliers", "cost"), [("both", 520_783), ("lean", 522_272), ("flexible", 598_437)]
)
def test_cost_optimal_rules_reach_the_known_costs(suppliers: str, cost: float) -> None:
    """On a grid of one unit the long-run cost of the paper's case is exact to the unit."""
    rule = solve_review(Setting(), normal_day(100, 50), suppliers=suppliers)
    assert rule.cost == pytest.approx(cost, abs=0.6)
    assert rule.lower <= rule.cost + 1e-6
    assert rule.cost - rule.lower < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suppliers", "service", "cost"),
    [
        ("both", 0.95, 607_264),
        ("lean", 0.95, 646_104),
        ("flexible", 0.95, 717_582),
        ("both", 0.90, 593_359),
        ("both", 0.98, 623_602),
    ],
)
def test_cheapest_rules_at_a_cycle_service(suppliers: str, service: float, cost: float) -> None:
    """On a grid of one unit the constrained costs are within 0.005 % of the known ones."""
    rule = solve_review(Setting(), normal_day(100, 50), cycle_service=service, suppliers=suppliers)
    assert rule.cost == pytest.approx(cost, rel=5e-5)
    assert rule.cycle_service >= service
    assert rule.lower <= rule.cost
    assert rule.cost - rule.lower < 5e-4 * rule.cost


@pytest.mark.slow
def test_papers_condition_serves_61_percent_of_cycles() -> None:
    """Its 95 % condition on the order-up-to level means 61 % of cycles without a stock-out."""
    day = normal_day(100, 50)
    level = quantile_units(day, 11, 0.95)
    assert level == 1387
    rule = solve_review(Setting(), day, least_level_units=level)
    assert rule.cost == pytest.approx(577_014, rel=5e-5)
    assert rule.cycle_service == pytest.approx(0.61, abs=0.005)


@pytest.mark.slow
def test_simulation_from_the_papers_start_stock_agrees() -> None:
    """20,000 runs of 360 days from 1,200 units cost 602,198 +- 83, as another program found."""
    print(f"seed {SEED}")
    rule = solve_review(Setting(), normal_day(100, 50), cycle_service=0.95)
    demand = draw_normal_demand(np.random.default_rng(SEED), runs=20_000, days=360)
    outcome = simulate(Setting(), table_of(rule), demand)
    assert outcome.total.mean() == pytest.approx(602_198, abs=300)
    assert outcome.cycle_service.mean() == pytest.approx(0.95, abs=0.002)


def test_long_simulation_agrees_with_the_exact_cost_and_service() -> None:
    """Cost a day and cycle service of a solved rule are those of simulated grid demand."""
    print(f"seed {SEED}")
    generator = np.random.default_rng(SEED)
    rule = solve_review(Setting(), DAY, cycle_service=0.9, cell_units=CELL)
    demand = CELL * generator.choice(len(DAY), p=DAY, size=(300, 3600)).astype(float)
    setting = dataclasses.replace(Setting(), horizon_days=3600)
    outcome = simulate(setting, table_of(rule), demand)
    error = outcome.total.std() / np.sqrt(300)
    # The first cycles start from 1,200 units, which is worth at most a few hundred per cell.
    assert abs(outcome.total.mean() - 10 * rule.cost) < 5 * error + 12_000
    assert outcome.cycle_service.mean() == pytest.approx(rule.cycle_service, abs=0.01)


def test_more_service_never_costs_less() -> None:
    """Costs rise with the target, and the bounds with them."""
    rules = [
        solve_review(Setting(), DAY, cycle_service=service, cell_units=CELL)
        for service in (0.5, 0.7, 0.9, 0.95, 0.99)
    ]
    costs = [rule.cost for rule in rules]
    assert costs == sorted(costs)
    assert all(rule.lower <= rule.cost for rule in rules)


settings_drawn = st.builds(
    Setting,
    lean_setup_cost=st.floats(0, 3000),
    flexible_setup_cost=st.floats(0, 1000),
    lean_unit_cost=st.floats(0, 30),
    flexible_unit_cost=st.floats(0, 30),
    holding_cost=st.floats(0.2, 3),
    backorder_cost=st.floats(0.5, 50),
    flexible_lead_time_days=st.integers(0, 3),
    lean_lead_time_days=st.integers(3, 8),
)


@settings(max_examples=12, deadline=None)
@given(settings_drawn)
def test_a_second_supplier_never_hurts(setting: Setting) -> None:
    """Two suppliers cost at most as much as either one."""
    costs = {
        suppliers: solve_review(setting, DAY, suppliers=suppliers, cell_units=CELL)
        for suppliers in ("both", "lean", "flexible")
    }
    both = costs["both"]
    assert both.lower <= min(costs["lean"].cost, costs["flexible"].cost) + 1e-4
    assert all(np.isfinite([rule.cost, rule.lower]).all() for rule in costs.values())


@settings(max_examples=12, deadline=None)
@given(settings_drawn, st.floats(0.1, 20))
def test_scaling_money_scales_cost(setting: Setting, factor: float) -> None:
    """Another currency changes nothing but the numbers."""
    names = [name for name in vars(setting) if name.endswith("_cost")]
    scaled = dataclasses.replace(setting, **{n: factor * getattr(setting, n) for n in names})
    cost = solve_review(setting, DAY, cell_units=CELL).cost
    assert solve_review(scaled, DAY, cell_units=CELL).cost == pytest.approx(factor * cost, rel=1e-6)


def test_leads_beyond_the_review_period_are_refused() -> None:
    """This solver has no pipeline; it says so instead of answering wrongly."""
    with pytest.raises(PolicyInputError, match="lead times must be 0 <= flexible <= lean"):
        solve_review(Setting(lean_lead_time_days=9), DAY, cell_units=CELL)
