"""Decisions by stock and demand day by day, where the lean supplier is slow."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from policy import Method, PolicyCache, PolicyInputError, ReviewInputs, decide, recompute
from policy.decisions import Decisions
from policy.dual_index.projection import OpenOrders, project
from policy.review_inputs import OUTLOOK_FIELDS
from policy.slow_lean import stated_suppliers, wants_outlook, window_days

CACHE = PolicyCache(100_000)
TERMS = {
    "review_period_days": 7.0,
    "lead_time_days_lean": 30.0,
    "lead_time_days_flexible": 3.0,
    "setup_cost_lean": 50.0,
    "setup_cost_flexible": 5.0,
    "unit_cost_lean": 10.0,
    "unit_cost_flexible": 12.0,
    "holding_cost_per_unit_day": 0.00685,
    "backorder_cost_per_unit_day": 0.13,
    "service_target": 0.95,
    "lean_capacity_units": np.inf,
    "minimum_order_units_lean": 0.0,
    "minimum_order_units_flexible": 0.0,
    "pack_size_units_lean": 1.0,
    "pack_size_units_flexible": 1.0,
}


def inputs(nets: list[float], due_in_days: float | None = None, **changed: float) -> ReviewInputs:
    """Items that sell 10 +- 6 a day, each with an order of 300 units where it is due on a day."""
    size = len(nets)
    terms = {name: np.full(size, value) for name, value in {**TERMS, **changed}.items()}
    days = [terms[f"{name}"] for name in list(TERMS)[:3]]
    coming = 0 if due_in_days is None else size
    orders = OpenOrders(
        np.arange(coming),
        np.full(coming, 300.0),
        np.full(coming, 0.0 if due_in_days is None else due_in_days),
        np.ones(coming, np.bool_),
    )
    path = np.full((size, 40), 10.0)
    seen = project(
        np.array(nets), orders, path, 3.6 * path, stated_suppliers(*days), window_days(*days)
    )
    outlook: dict[str, Any] = dict(
        zip(
            OUTLOOK_FIELDS,
            (seen.mean, seen.variance, seen.supply, seen.chance, seen.uncertain_units),
            strict=False,
        )
    )
    return ReviewInputs(
        inventory_position_units=seen.position,
        demand_mean_units_per_day=np.full(size, 10.0),
        demand_sd_units_per_day=np.full(size, 6.0),
        service_type=np.full(size, 2),
        **terms,
        **outlook,
        outlook_strain=np.zeros(size, np.int64),
        outlook_level_units_per_day=np.full(size, 10.0),
    )


def test_an_order_that_comes_too_late_is_bridged_and_one_in_time_is_not():
    """Position and demand are the same: only the date differs."""
    late, early = (decide(inputs([60.0], due), CACHE) for due in (25.0, 4.0))
    assert Method(int(late.method[0])) == Method.DUAL_INDEX
    assert late.quantity_flexible_units[0] > 20
    assert early.quantity_flexible_units[0] == 0


def test_an_item_does_not_depend_on_the_others():
    """To the last bit, whatever else is decided and whatever is in the cache."""
    nets = [20.0, 150.0, 350.0, 600.0]
    together = decide(inputs(nets), CACHE)
    for place, net in enumerate(nets):
        alone = decide(inputs([net]), PolicyCache(100_000))
        for field in fields(Decisions):
            one, many = getattr(alone, field.name)[0], getattr(together, field.name)[place]
            assert one == many, field.name


def test_a_decision_follows_from_its_plain_record():
    """Numbers and lists as JSON has them; without the outlook the old rule decides."""
    given = inputs([60.0], 25.0)
    record = {
        field.name: value[0].tolist()
        for field in fields(ReviewInputs)
        if (value := getattr(given, field.name)) is not None
    }
    record["lean_capacity_units"] = None
    decided = decide(given, CACHE)
    again = recompute(record)
    assert again["method"] == "dual_index"
    assert again["quantity_flexible_units"] == decided.quantity_flexible_units[0]
    assert again["policy_cost_per_day"] == decided.policy_cost_per_day[0]
    without = {name: value for name, value in record.items() if name not in OUTLOOK_FIELDS}
    assert recompute(without)["method"] == "gap_rule"


def test_cost_is_never_below_its_bound_and_service_is_the_wanted():
    """The gap lies between 0 and 1; the fill rate is the target within a point."""
    decided = decide(inputs([100.0]), CACHE)
    assert 0.0 <= decided.gap[0] < 0.1
    assert decided.fill_rate[0] >= 0.94
    assert decided.policy_cost_per_day[0] > 99.0


def test_only_slow_lean_suppliers_want_an_outlook():
    """A fast one has the exact policy; one of a few days the gap rule."""
    assert wants_outlook(inputs([1.0])).all()
    assert not wants_outlook(inputs([1.0], lead_time_days_lean=9.0)).any()
    daily = {"review_period_days": 1.0, "lead_time_days_flexible": 1.0}
    assert not wants_outlook(inputs([1.0], lead_time_days_lean=4.0, **daily)).any()


def test_an_outlook_of_another_shape_is_refused():
    """The complaint names the field."""
    broken = replace(inputs([1.0]), outlook_supply_units=np.zeros((1, 3)))
    with pytest.raises(PolicyInputError, match="outlook_supply_units"):
        decide(broken, CACHE)
