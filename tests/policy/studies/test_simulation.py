"""The simulator keeps its books, and agrees with figures it did not compute."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.errors import PolicyInputError
from policy.studies.simulation import (
    Setting,
    draw_normal_demand,
    interval_table,
    monthly,
    order_up_to,
    reorder_point,
    simulate,
)

SEED = 20


def test_three_days_by_hand() -> None:
    """Every part of a tiny case equals what pencil and paper give."""
    setting = Setting(
        horizon_days=3,
        review_period_days=3,
        lean_lead_time_days=2,
        flexible_lead_time_days=1,
        start_stock=10,
    )
    rule = interval_table([0], [15], [40])  # 5 flexible for day 1, 25 lean for day 2
    outcome = simulate(setting, rule, np.array([[12.0, 6.0, 1.0]]))
    # Levels: 10 -> -2; +5 = 3 -> -3; +25 = 22 -> 21.
    assert outcome.flexible_purchase[0] == 13 * 5
    assert outcome.lean_purchase[0] == 10 * 25
    assert outcome.setup[0] == 990
    assert outcome.holding[0] == pytest.approx(0.9 * (10 + 3 + 22 + 21) / 2)
    assert outcome.backorder[0] == pytest.approx(2 * (2 + 3) / 2)
    assert outcome.fill_rate[0] == pytest.approx((10 + 3 + 1) / 19)
    assert outcome.cycle_service[0] == 0


def test_lean_only_reproduces_the_paper() -> None:
    """Order-up-to 1,597.5 from start stock 1,200 costs about 637,400 (the paper: 639,740)."""
    print(f"seed {SEED}")
    demand = draw_normal_demand(np.random.default_rng(SEED), runs=2000, days=360)
    total = simulate(Setting(), order_up_to(1597.5), demand).total.mean()
    assert total == pytest.approx(637_400, rel=0.001)
    assert total == pytest.approx(639_740, rel=0.004)


def test_monthly_benchmark_without_randomness_is_the_papers_sum() -> None:
    """Constant demand and no lead time give 10,800 + 486,000 + 360,000."""
    setting = Setting(review_period_days=30, lean_lead_time_days=0, start_stock=0)
    outcome = simulate(setting, monthly(3000), np.full((1, 360), 100.0))
    assert (outcome.setup[0], outcome.lean_purchase[0]) == (10_800, 360_000)
    assert outcome.total[0] == pytest.approx(856_800)


def test_replaced_negatives_lift_the_mean_and_clipped_ones_less() -> None:
    """Replacing gives mean 102.70 and deviation 46.54; clipping 100.42 and 49.0 (P10)."""
    print(f"seed {SEED}")
    replaced = draw_normal_demand(np.random.default_rng(SEED), runs=1000, days=1000)
    assert replaced.mean() == pytest.approx(102.70, abs=0.2)
    assert replaced.std() == pytest.approx(46.54, abs=0.2)
    clipped = draw_normal_demand(
        np.random.default_rng(SEED), runs=1000, days=1000, negatives="clip"
    )
    assert clipped.mean() == pytest.approx(100.42, abs=0.2)


def test_reorder_point_orders_only_at_or_below_the_point() -> None:
    """Stock on order counts towards the position."""
    rule = reorder_point(50, 80)
    lean, flexible = rule(0, np.array([50.0, 51.0, 20.0]), np.array([0.0, 0.0, 40.0]))
    assert lean.tolist() == [30, 0, 0]
    assert flexible.tolist() == [0, 0, 0]


def test_lean_capacity_cuts_the_order() -> None:
    """No order of the lean supplier exceeds its capacity (P22)."""
    setting = Setting(lean_capacity=300.0)
    demand = np.full((2, 360), 100.0)
    outcome = simulate(setting, order_up_to(1600), demand)
    assert outcome.lean_units.max() <= 40 * 300


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.floats(-500, 2500),
    st.floats(0, 1500),
    st.floats(0, 2000),
    st.integers(0, 8),
    st.integers(0, 8),
)
def test_books_balance(
    seed: int, start: float, flexible_to: float, more: float, lean_lead: int, flexible_lead: int
) -> None:
    """What is paid for is what is bought, and no share or cost leaves its range."""
    setting = dataclasses.replace(
        Setting(horizon_days=90),
        start_stock=start,
        lean_lead_time_days=lean_lead,
        flexible_lead_time_days=flexible_lead,
    )
    demand = draw_normal_demand(np.random.default_rng(seed), runs=5, days=90)
    rule = interval_table([0], [flexible_to], [flexible_to + more])
    outcome = simulate(setting, rule, demand)
    np.testing.assert_allclose(outcome.lean_purchase, 10 * outcome.lean_units)
    np.testing.assert_allclose(outcome.flexible_purchase, 13 * outcome.flexible_units)
    orders = 900 * outcome.lean_orders + 90 * outcome.flexible_orders
    np.testing.assert_allclose(outcome.setup, orders)
    np.testing.assert_allclose(outcome.holding, 0.9 * 90 * outcome.mean_stock)
    for share in (outcome.fill_rate, outcome.cycle_service):
        assert np.all((share >= 0) & (share <= 1))
    assert np.all(outcome.total >= 0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1, 500))
def test_more_start_stock_never_lowers_service(seed: int, more: float) -> None:
    """With orders that come by calendar, extra stock at the start can only help service."""
    demand = draw_normal_demand(np.random.default_rng(seed), runs=4, days=120)
    plain = Setting(horizon_days=120)
    richer = dataclasses.replace(plain, start_stock=plain.start_stock + more)
    rule = monthly(900, month_days=9)
    before, after = simulate(plain, rule, demand), simulate(richer, rule, demand)
    assert np.all(after.fill_rate >= before.fill_rate - 1e-12)
    assert np.all(after.cycle_service >= before.cycle_service)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Setting(horizon_days=0), "horizon_days must be >= 1, got 0"),
        (lambda: Setting(holding_cost=-1.0), "holding_cost must be >= 0, got -1.0"),
        (
            lambda: draw_normal_demand(np.random.default_rng(1), runs=0, days=1),
            "runs must be >= 1, got 0",
        ),
        (
            lambda: simulate(Setting(), order_up_to(1.0), np.full((1, 360), -1.0)),
            "demand must be >= 0, got -1.0",
        ),
        (lambda: order_up_to(1.0, "third"), "supplier must be lean or flexible, got 'third'"),
    ],
)
def test_input_out_of_range_names_field_rule_and_value(call, message: str) -> None:
    """The error says which argument broke which rule with which value."""
    with pytest.raises(PolicyInputError) as error:
        call()
    assert str(error.value) == message
