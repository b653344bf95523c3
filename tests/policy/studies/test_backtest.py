"""Policies on recorded demand: the books balance, and no day is decided on its own future."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.errors import PolicyInputError
from policy.studies.backtest import (
    Ledger,
    Policy,
    Review,
    backtest,
    dual,
    monthly,
    published_terms,
    reorder_quantity,
    trailing,
    whole_days,
)
from policy.studies.simulation import Setting, order_up_to, simulate

SEED = 40


def demand_of(items: int, days: int, seed: int = SEED) -> np.ndarray:
    """Return Poisson demand of different means."""
    means = np.linspace(1, 12, items)[:, None]
    return np.random.default_rng(seed).poisson(means, (items, days)).astype(float)


def up_to(level: float, items: int) -> Policy:
    """Return order-up-to by the lean supplier, at the published review period."""

    def order(review: Review) -> tuple[np.ndarray, np.ndarray]:
        units = np.maximum(level - review.position_units, 0.0)
        return units, np.zeros_like(units)

    return Policy("up to", order, np.full(items, 9, np.int64))


def test_costs_equal_those_of_the_other_simulator() -> None:
    """One item, one rule, two programs that share no code: the same money and service."""
    print(f"seed {SEED}")
    demand = demand_of(1, 9 * 40) * 10
    first = 63  # a review day of item 0
    ledger = backtest(demand, published_terms(1), up_to(900, 1), first_day=first, warm_up_days=0)
    days = demand.shape[1] - first
    opening = float(np.ceil(trailing(demand, first)[0] * 13)[0])
    setting = replace(Setting(), horizon_days=days, start_stock=opening)
    other = simulate(setting, order_up_to(900), demand[:, first:])
    assert ledger.purchases[0] == pytest.approx(other.lean_purchase[0])
    assert ledger.setups[0] == pytest.approx(other.setup[0])
    assert ledger.holding[0] == pytest.approx(other.holding[0])
    assert ledger.backorders[0] == pytest.approx(other.backorder[0])
    assert ledger.met_units[0] / ledger.demand_units[0] == pytest.approx(other.fill_rate[0])
    assert ledger.clean_cycles[0] / ledger.cycles[0] == pytest.approx(other.cycle_service[0])


@pytest.mark.parametrize("name", ["dual", "lean only", "flexible only", "reorder point", "monthly"])
def test_no_decision_knows_its_future(name: str) -> None:
    """Whatever happens on the last day, everything ordered before it is the same."""
    print(f"seed {SEED}")
    demand, terms = demand_of(6, 130), published_terms(6)
    kinds = {"dual": "both", "lean only": "lean", "flexible only": "flexible"}
    rules = {"reorder point": reorder_quantity, "monthly": monthly}
    policy = dual(terms, suppliers=kinds[name]) if name in kinds else rules[name](6)
    other = demand.copy()
    other[:, -1] += 50
    before, after = (backtest(d, terms, policy, first_day=70) for d in (demand, other))
    for part in ("purchases", "setups", "orders", "lean_units", "flexible_units"):
        np.testing.assert_array_equal(getattr(before, part), getattr(after, part))


def test_trailing_estimate_begins_with_the_first_sale() -> None:
    """Days before an item's first sale say nothing of its demand; an item unsold has none."""
    mean, deviation = trailing(np.array([[0, 0, 6, 2, 99.0], [0, 0, 0, 0, 5]]), 4)
    assert mean.tolist() == [4, 0]
    assert deviation.tolist() == [2, 0]


def test_reorder_point_orders_wilsons_quantity_at_the_point() -> None:
    """m = 10 a day without spread: point 10 x 5, quantity sqrt(2 x 900 x 10 / 0.9) = 141."""
    terms = published_terms(3)
    review = Review(np.array([51.0, 50.0, -150.0]), np.full(3, 10.0), np.zeros(3), terms)
    lean, flexible = reorder_quantity(3).order(review)
    assert lean.tolist() == [0, 141, 282]
    assert flexible.tolist() == [0, 0, 0]


def test_monthly_orders_in_whole_packs() -> None:
    """34 days of 10 units less 35 in position is 305, in packs of 12: 312."""
    terms = published_terms(1) | {"pack_size_units_lean": np.array([12.0])}
    lean, _ = monthly(1).order(Review(np.array([35.0]), np.array([10.0]), np.zeros(1), terms))
    assert lean.tolist() == [312]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.floats(0, 400))
def test_books_balance(seed: int, items: int, level: float) -> None:
    """Stock that came in, less demand, is the growth of stock; every share is a share."""
    demand = demand_of(items, 120, seed)
    ledger = backtest(demand, published_terms(items), up_to(level, items), first_day=60)
    grown = ledger.lean_units + ledger.flexible_units - ledger.demand_units
    np.testing.assert_allclose(ledger.stock_change, 10 * grown, atol=1e-6)
    assert np.all(ledger.met_units <= ledger.demand_units)
    assert np.all(ledger.clean_cycles <= ledger.cycles)
    for field in fields(Ledger):
        assert np.isfinite(getattr(ledger, field.name)).all()


def test_a_price_break_is_used_and_paid() -> None:
    """An order that reaches a break pays it for all units; the dual policy buys towards it."""
    print(f"seed {SEED}")
    demand, terms = demand_of(1, 200, SEED) * 100, published_terms(1)
    terms["holding_cost_per_unit_day"] = np.full(1, 0.001)
    told = {"units": [[np.inf], [3_000.0]], "unit_cost": [[np.inf], [9.0]]}
    plain = backtest(demand, terms, dual(terms), first_day=60)
    dearer, cheaper = (
        terms | {f"price_break_{what}_lean": np.array([told[what][n]]) for what in told}
        for n in range(2)
    )
    assert backtest(demand, dearer, dual(dearer), first_day=60) == plain
    broken = backtest(demand, cheaper, dual(cheaper), first_day=60)
    assert broken.purchases[0] / (broken.lean_units[0] + broken.flexible_units[0]) < 9.5
    assert broken.cost[0] < plain.cost[0]


def test_items_do_not_disturb_each_other() -> None:
    """An item's ledger is the same alone and in company; its place only sets its review day."""
    print(f"seed {SEED}")
    demand, terms = demand_of(4, 120), published_terms(4)
    together = backtest(demand, terms, dual(terms), first_day=60)
    alone = backtest(demand[:1], published_terms(1), dual(published_terms(1)), first_day=60)
    for field in fields(Ledger):
        assert getattr(together, field.name)[0] == getattr(alone, field.name)[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"first_day": 6}, "first_day must be from 7 to 91, so that days are left to count, got 6"),
        ({"first_day": 92}, "first_day must be from 7 to 91"),
        ({"warm_up_days": -1}, "warm_up_days must be >= 0, got -1"),
        ({"demand": np.full((1, 120), -1.0)}, "demand must be >= 0, of shape"),
        ({"terms": {"unit_cost_lean": np.ones(2)}}, "unit_cost_lean must be of 1 items"),
    ],
)
def test_input_out_of_range_names_field_rule_and_value(changes: dict, message: str) -> None:
    """The error says which argument broke which rule."""
    given = {"demand": demand_of(1, 120), "terms": published_terms(1), "first_day": 60} | changes
    with pytest.raises(PolicyInputError, match=message.replace("(", r"\(")):
        backtest(given.pop("demand"), given.pop("terms"), monthly(1), **given)


def test_review_periods_are_whole_days() -> None:
    """Half a day is a day: the calendar of a backtest has no hours."""
    assert whole_days(np.array([0.5, 7.4, 9.0])).tolist() == [1, 7, 9]
