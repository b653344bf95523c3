"""Safety stock: the target is met, more service needs more stock, and its causes add up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.classic.cases.answer import answer
from policy.classic.normal import normal_loss
from policy.classic.safety import Needs, review_level, safety_stock, service_of
from policy.errors import PolicyInputError

targets = st.floats(0.02, 0.9999)
amounts = st.floats(0.01, 1e5)


@settings(max_examples=30)
@given(targets, amounts, amounts, st.floats(0.05, 60), st.floats(0, 10), amounts)
def test_exact_fill_is_the_target(target, mean, sd, lead, lead_sd, lot) -> None:
    """With the second term the share served is the target; without it, no less."""
    stock = safety_stock("fill", target, Needs(mean, sd, lead, lead_sd), lot)
    sigma = stock.sd_over_lead_time
    assert float(service_of(stock.exact_k, sigma, lot)[1]) == pytest.approx(target, abs=2e-6)
    assert float(service_of(stock.k, sigma, lot)[1]) >= target - 2e-6
    assert float(stock.exact_safety_stock) <= float(stock.safety_stock) + 1e-6 * float(sigma)


@settings(max_examples=30)
@given(st.floats(0, 50), st.floats(0.01, 5), amounts, amounts)
def test_service_rises_with_the_safety_factor(k, more, sigma, lot) -> None:
    """A larger safety factor never serves fewer units or cycles."""
    cycle, fill = service_of([k, k + more], sigma, lot)
    assert cycle[0] <= cycle[1]
    assert fill[0] <= fill[1] + 1e-12


@settings(max_examples=30)
@given(targets, targets, amounts, amounts, amounts)
def test_more_service_needs_more_stock(one, other, mean, sd, lot) -> None:
    """Safety stock rises with the target, by cycles and by fill."""
    low, high = sorted((one, other))
    for kind in ("cycle", "fill"):
        stock = safety_stock(kind, [low, high], Needs(mean, sd, 2), lot)
        for units in (stock.safety_stock, stock.exact_safety_stock):
            assert units[0] <= units[1] + 1e-7 * sd


@settings(max_examples=30)
@given(targets, st.floats(0.01, 100))
def test_units_of_measure_do_not_matter(target, scale) -> None:
    """Units `scale` times as small need `scale` times as many in stock."""
    for kind in ("cycle", "fill"):
        stock = safety_stock(kind, target, Needs(40, 20, 2, 0.5), 60)
        scaled = safety_stock(kind, target, Needs(40 * scale, 20 * scale, 2, 0.5), 60 * scale)
        assert float(scaled.k) == pytest.approx(float(stock.k), abs=1e-9)
        for name in ("safety_stock", "reorder_point", "exact_reorder_point"):
            expected = scale * float(getattr(stock, name))
            assert float(getattr(scaled, name)) == pytest.approx(expected, abs=1e-6 * scale)


@settings(max_examples=30)
@given(targets, amounts, st.floats(0.05, 2), st.floats(0, 20), st.floats(0, 3), st.floats(0.1, 20))
def test_review_level_meets_its_target(target, mean, variation, lead, lead_sd, review) -> None:
    """What is missing of a review's demand is what may be, with both terms."""
    needs = Needs(mean, variation * mean, lead, lead_sd)
    level = review_level("fill", target, needs, review)
    before = np.sqrt(lead * (variation * mean) ** 2 + (mean * lead_sd) ** 2)
    after = np.sqrt((lead + review) * (variation * mean) ** 2 + (mean * lead_sd) ** 2)
    missing = normal_loss(level.exact_level, mean * (lead + review), after)
    missing = missing - normal_loss(level.exact_level, mean * lead, before)
    assert float(missing) / (mean * review) == pytest.approx(1 - target, abs=1e-6)
    assert float(level.exact_level) <= float(level.level) + 1e-6 * mean
    cycle = review_level("cycle", target, needs, review)
    assert float(cycle.level) - mean * (lead + review) == pytest.approx(float(cycle.k * after))


@pytest.mark.parametrize("kind", ["cycle", "fill"])
@pytest.mark.parametrize(
    "needs", [Needs(10, 0, 3), Needs(0, 0, 3), Needs(10, 4, 0), Needs(0, 0, 0)]
)
def test_nothing_that_varies_needs_no_safety_stock(kind, needs) -> None:
    """No spread, no demand or no lead time: the reorder point is the expected demand."""
    stock = safety_stock(kind, 0.95, needs, 20)
    assert (float(stock.k), float(stock.safety_stock)) == (0, 0)
    assert float(stock.reorder_point) == needs.mean * needs.lead_time
    if needs.lead_time:
        assert float(review_level(kind, 0.95, needs, 2).level) == pytest.approx(
            needs.mean * (needs.lead_time + 2) if not needs.sd else 999
        )


def test_large_lot_may_need_less_than_nothing() -> None:
    """A lot that alone serves more than the target has a negative safety factor."""
    stock = safety_stock("fill", 0.9, Needs(100, 25, 1), 1000)
    assert float(stock.k) < 0
    assert float(service_of(stock.exact_k, 25, 1000)[1]) == pytest.approx(0.9)


def test_causes_of_the_safety_stock_add_up() -> None:
    """Demand and lead time by their variance, scrap on top."""
    found = answer(
        {
            "model": "safety_stock",
            "service_type": "cycle",
            "target": 0.95,
            "demand_mean_per_period": 100,
            "demand_sd_per_period": 20,
            "lead_time_periods": 4,
            "lead_time_sd_periods": 1,
            "scrap_share": 0.2,
        }
    )
    assert found["driver_shares"] == pytest.approx(
        {"demand": 0.8 * 1600 / 11600, "lead_time": 0.8 * 10000 / 11600, "scrap": 0.2}
    )
    assert found["safety_stock"] == pytest.approx(177.156157 / 0.8)
    assert found["reorder_point"] == pytest.approx((400 + 177.156157) / 0.8)
    change = found["change_if_a_tenth_more"]
    assert change["lead_time_sd_periods"] > change["demand_sd_per_period"] > 0
    assert "order_quantity" not in change


def test_drivers_move_the_safety_stock_as_they_should() -> None:
    """A larger lot needs less; more spread, lead time and service need more."""
    case = {
        "model": "safety_stock",
        "service_type": "fill",
        "target": 0.95,
        "demand_mean_per_period": 100,
        "demand_sd_per_period": 40,
        "lead_time_periods": 2,
        "order_quantity": 150,
    }
    change = answer(case)["change_if_a_tenth_more"]
    assert change.pop("order_quantity") < 0
    assert change.pop("demand_mean_per_period") == 0
    assert change.pop("lead_time_sd_periods") == 0
    assert all(units > 0 for units in change.values())


def test_rules_of_thumb_say_what_they_serve() -> None:
    """Days of demand and an estimate are turned into a safety factor and its services."""
    case = {
        "model": "safety_stock",
        "demand_mean_per_period": 10,
        "demand_sd_per_period": 4,
        "lead_time_periods": 9,
        "order_quantity": 50,
    }
    days = answer(case | {"service_type": "periods", "safety_periods": 2})
    guess = answer(case | {"service_type": "estimate", "safety_stock": 20})
    assert (days["safety_stock"], days["reorder_point"]) == (20, 110)
    assert days["k"] == pytest.approx(20 / 12)
    assert {**days} == {**guess}
    by_fill = answer(case | {"service_type": "fill", "target": days["fill_rate"]})
    assert by_fill["safety_stock_with_second_term"] == pytest.approx(20)


def test_many_items_are_one_call() -> None:
    """Arrays broadcast over items."""
    stock = safety_stock("fill", [0.95, 0.98], Needs([100, 100], 25, [[1], [4]]), [100, 50])
    assert stock.k.shape == (2, 2)
    alone = safety_stock("fill", 0.98, Needs(100, 25, 4), 50)
    assert stock.k[1, 1] == pytest.approx(float(alone.k))


CASE = {
    "model": "safety_stock",
    "service_type": "fill",
    "target": 0.98,
    "demand_mean_per_period": 100,
    "demand_sd_per_period": 25,
    "lead_time_periods": 1,
    "order_quantity": 100,
}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"target": 0}, r"target must be inside \(0, 1\), got 0"),
        ({"target": 1}, r"target must be inside \(0, 1\), got 1"),
        ({"target": 98}, r"target must be inside \(0, 1\), got 98"),
        ({"target": None}, "target must be given for service_type fill, got None"),
        ({"order_quantity": None}, "order_quantity must be > 0 for service_type fill, got None"),
        ({"service_type": "serv2"}, "service_type must be one of cycle, fill, periods, estimate"),
        ({"service_type": "periods"}, "target must be absent for service_type periods, got 0.98"),
        ({"scrap_share": 1}, "scrap_share must be >= 0 and < 1, got 1"),
        ({"lead_time_periods": -1}, "lead_time_periods must be >= 0, got -1"),
        ({"safety_stock": 3}, "safety_stock must be absent for service_type fill, got 3"),
    ],
)
def test_bad_value_is_named(change, complaint) -> None:
    """Field, rule and value."""
    with pytest.raises(PolicyInputError, match=complaint):
        answer(CASE | change)


def test_fill_without_demand_is_refused() -> None:
    """A share of no demand means nothing where demand is said to vary."""
    with pytest.raises(PolicyInputError, match="demand_mean_per_period must be > 0 where demand"):
        review_level("fill", 0.9, Needs(0, 5, 1), 1)
    with pytest.raises(PolicyInputError, match="review_periods must be > 0, got 0"):
        review_level("fill", 0.9, Needs(5, 5, 1), 0)
