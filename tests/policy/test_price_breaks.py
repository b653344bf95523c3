"""Price breaks and dispatch delays in decisions."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import Decisions, Method, PolicyInputError, Reason, decide, recompute
from policy.record import decision_record
from tests.policy.test_live_decision import assortment, items, picked

ITEM = {
    "inventory_position_units": 60.0,
    "demand_mean_units_per_day": 10.0,
    "demand_sd_units_per_day": 5.0,
    "review_period_days": 7.0,
    "setup_cost_lean": 0.0,
    "setup_cost_flexible": 5.0,
    "unit_cost_flexible": 12.0,
    "holding_cost_per_unit_day": 0.01,
    "backorder_cost_per_unit_day": 1.0,
}


def with_breaks(inputs, units, unit_cost, role="lean"):
    """The inputs with the same tiers for every item."""
    shape = (len(inputs), len(units))
    return replace(
        inputs,
        **{
            f"price_break_units_{role}": np.broadcast_to(np.array(units, float), shape),
            f"price_break_unit_cost_{role}": np.broadcast_to(np.array(unit_cost, float), shape),
        },
    )


def same(left: Decisions, right: Decisions) -> bool:
    """Whether two calls decided alike, to the bit."""
    return all(
        getattr(left, field.name).tobytes() == getattr(right, field.name).tobytes()
        for field in fields(Decisions)
    )


def test_a_break_out_of_reach_changes_nothing():
    """A break above every capacity, or one that no tier uses, gives the decision without it."""
    inputs = assortment(60, seed=3)
    plain = decide(inputs)
    assert same(plain, decide(with_breaks(inputs, [np.inf], [0.0])))
    inputs = replace(inputs, lean_capacity_units=np.full(60, 40.0))
    far = with_breaks(inputs, [41.0], [0.0])
    assert same(decide(inputs), decide(far))


@pytest.mark.slow
@given(st.integers(0, 20), st.integers(1, 2_000), st.floats(0.0, 0.99))
def test_a_break_never_costs_more(seed, from_units, share):
    """Whoever may pay less a unit expects to pay no more, whichever split he looks at."""
    inputs = assortment(12, seed)
    cost = inputs.unit_cost_lean[:, None] * share
    cheaper = replace(
        inputs,
        price_break_units_lean=np.full((12, 1), float(from_units)),
        price_break_unit_cost_lean=cost,
    )
    plain, broken = decide(inputs), decide(cheaper)
    exact = plain.method == Method.EXACT
    for name in ("expected_cost_lean_only", "expected_cost_both"):
        before, after = getattr(plain, name)[exact], getattr(broken, name)[exact]
        assert (after <= before + 1e-9 * np.abs(before))[np.isfinite(before)].all()
    assert (broken.quantity_lean_units >= plain.quantity_lean_units)[~exact].all()


def test_a_break_is_taken_where_the_saving_pays_the_shelf():
    """The saving at which it is worth it is what holding the surplus costs until it has sold.

    With no set-up cost a surplus of s units over the plain order lies s (s / mean + T) / 2
    unit-days (Snyder & Shen, section 3.4): an estimate with no code in common.
    """
    one = items(1, **ITEM)
    plain = int(decide(one).quantity_lean_units[0])
    for lot in (150, 300, 800, 2_000):  # the last ones lie above the lattice of the policy
        low, high = 0.0, 9.9
        for _ in range(40):
            saving = 0.5 * (low + high)
            taken = decide(with_breaks(one, [lot], [10.0 - saving])).quantity_lean_units[0] == lot
            low, high = (low, saving) if taken else (saving, high)
        surplus = lot - plain
        shelf = 0.01 * surplus * (surplus / 10.0 + 7.0) / 2.0
        assert high * lot == pytest.approx(shelf, rel=0.2), lot


def test_units_cost_what_the_highest_break_says():
    """All units of the order, and the reason names the break."""
    inputs = with_breaks(items(1, **ITEM), [100, 400], [9.8, 9.0])
    decision = decide(inputs)
    assert decision.quantity_lean_units[0] == 400
    assert decision.order_unit_cost_lean[0] == 9.0
    assert decision.expected_purchase_cost[0] == 3_600.0
    assert Reason(decision.reason[0]) is Reason.PRICE_BREAK
    small = decide(with_breaks(items(1, **ITEM), [50], [9.999]))
    assert small.order_unit_cost_lean[0] == 9.999
    assert Reason(small.reason[0]) is not Reason.PRICE_BREAK


def test_breaks_keep_packs_minimum_and_capacity():
    """A lot that reaches a break is whole packs, and no break is worth more than can come."""
    inputs = with_breaks(items(1, **ITEM, pack_size_units_lean=144.0), [400], [8.0])
    assert decide(inputs).quantity_lean_units[0] == 432
    full = replace(inputs, lean_capacity_units=np.array([431.0]))
    assert decide(full).quantity_lean_units[0] <= 288


def test_the_rule_for_slow_suppliers_takes_breaks_too():
    """Where lean is more than a review slower, the rule's order is raised."""
    slow = items(1, **ITEM, lead_time_days_lean=30.0)
    plain = decide(slow)
    assert Method(plain.method[0]) is Method.GAP_RULE
    decision = decide(with_breaks(slow, [400], [9.0]))
    assert plain.quantity_lean_units[0] < 400 == decision.quantity_lean_units[0]
    assert Reason(decision.reason[0]) is Reason.PRICE_BREAK
    assert decision.expected_purchase_cost[0] == pytest.approx(
        400 * 9.0 + 12.0 * plain.quantity_flexible_units[0]
    )


def test_a_surge_takes_only_the_breaks_of_the_flexible_supplier():
    """Lean may not be used, whatever it costs."""
    surge = items(1, **ITEM | {"inventory_position_units": 10.0}, allow_lean=False)
    inputs = with_breaks(surge, [50], [1.0])
    assert decide(inputs).quantity_lean_units[0] == 0
    quick = with_breaks(surge, [300], [7.0], role="flexible")
    assert decide(quick).quantity_flexible_units[0] == 300


def test_items_with_breaks_decide_alike_alone_and_together():
    """Breaks are no part of a policy: a cache filled by others changes nothing."""
    inputs = with_breaks(assortment(40, seed=9), [50, 500], [0.4, 0.2])
    whole = decide(inputs)
    for item in range(0, 40, 7):
        alone = decide(picked(inputs, [item]))
        assert alone.quantity_lean_units[0] == whole.quantity_lean_units[item]
        assert alone.expected_cost_both.tobytes() == whole.expected_cost_both[[item]].tobytes()


def test_a_record_with_breaks_and_delays_recomputes():
    """Lists in the record stand for tiers."""
    inputs = replace(
        with_breaks(items(1, **ITEM), [400], [9.0]), dispatch_delay_days_lean=np.array([1.5])
    )
    record = {
        field.name: getattr(inputs, field.name)[0].tolist()
        for field in fields(inputs)
        if getattr(inputs, field.name) is not None
    }
    record["lean_capacity_units"] = None
    assert recompute(record) == decision_record(decide(inputs), 0)


def test_a_delay_counts_as_lead_time():
    """Waiting two days for the dispatch is a lead time that is two days longer."""
    inputs = assortment(30, seed=4)
    delay = np.full(30, 2.0)
    later = replace(inputs, dispatch_delay_days_lean=delay, dispatch_delay_days_flexible=delay)
    longer = replace(
        inputs,
        lead_time_days_lean=inputs.lead_time_days_lean + 2,
        lead_time_days_flexible=inputs.lead_time_days_flexible + 2,
    )
    assert same(decide(later), decide(longer))


def test_a_flexible_supplier_that_waits_longer_is_never_refused():
    """Over a weekend the fast one may be the slower one: then both count as equally slow."""
    inputs = replace(assortment(10, seed=2), dispatch_delay_days_flexible=np.full(10, 5.0))
    assert len(decide(inputs)) == 10


@pytest.mark.parametrize(
    ("units", "unit_cost", "field"),
    [
        ([0.0], [1.0], "price_break_units_lean"),
        ([100.0, 50.0], [9.0, 8.0], "price_break_units_lean"),
        ([100.0, 100.0], [9.0, 8.0], "price_break_units_lean"),
        ([np.inf, 100.0], [9.0, 8.0], "price_break_units_lean"),
        ([np.nan], [1.0], "price_break_units_lean"),
        ([100.0], [10.0], "price_break_unit_cost_lean"),
        ([100.0], [-1.0], "price_break_unit_cost_lean"),
        ([100.0, 200.0], [8.0, 9.0], "price_break_unit_cost_lean"),
        ([100.0], [np.nan], "price_break_unit_cost_lean"),
    ],
)
def test_bad_breaks_are_refused_by_name(units, unit_cost, field):
    """The error names the field."""
    with pytest.raises(PolicyInputError, match=field):
        decide(with_breaks(items(1, **ITEM), units, unit_cost))
