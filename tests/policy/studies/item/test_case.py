"""The case of `tidegate simulate item`: what is refused, and how it says so."""

from typing import Any

import pytest

from policy.errors import PolicyInputError
from policy.studies.item.case import read_case

CASE: dict[str, Any] = {
    "days": 700,
    "warm_up_days": 100,
    "demand": {"family": "negative_binomial", "mean": 10, "sd": 6},
    "review_period_days": 7,
    "lean": {"lead_time_days": 30, "unit_cost": 10, "setup_cost": 50},
    "flexible": {"lead_time_days": 3, "unit_cost": 12, "setup_cost": 5},
    "backorder_cost_per_unit_day": 0.13,
    "service_type": "fill",
    "service_target": 0.98,
}


def changed(path: str, value: Any) -> dict[str, Any]:
    case = {key: dict(one) if isinstance(one, dict) else one for key, one in CASE.items()}
    *above, last = path.split(".")
    place = case
    for name in above:
        place = place[name]
    place[last] = value
    return case


@pytest.mark.parametrize(
    ("path", "value", "name"),
    [
        ("days", 0, "days"),
        ("days", True, "days"),
        ("warm_up_days", 700, "warm_up_days"),
        ("demand.family", "weibull", "demand.family"),
        ("demand.mean", -1, "demand.mean"),
        ("demand.sd", 2, "demand.sd"),
        ("demand.sd", None, "demand.sd"),
        ("review_period_days", 1.5, "review_period_days"),
        ("lean.lead_time_days", "30", "lean.lead_time_days"),
        ("lean.unit_price", 3, "lean.unit_price"),
        ("flexible.lead_time_days", 31, "flexible.lead_time_days"),
        ("holding_rate_per_year", 0, "holding_rate_per_year"),
        ("service_type", "lines", "service_type"),
        ("service_target", 1.0, "service_target"),
        ("service_target", None, "service_target"),
        ("shortage", "none", "shortage"),
        ("lead_time_known", "no", "lead_time_known"),
        ("events", [{"day": 800, "kind": "order_lost", "supplier": "lean"}], "events[0].day"),
        ("events", [{"day": 8, "kind": "strike"}], "events[0].kind"),
        ("events", [{"day": 8, "kind": "campaign", "days": 3}], "events[0].factor"),
        ("events", [{"day": 8, "kind": "surge", "days": 3, "factor": "x"}], "events[0].factor"),
        ("evnts", [], "evnts"),
    ],
)
def test_what_is_out_of_range_is_refused_with_field_rule_and_value(path, value, name):
    """Every field is checked, nested ones and events too."""
    with pytest.raises(PolicyInputError) as refused:
        read_case(changed(path, value))
    assert refused.value.name == name
    assert refused.value.rule


def test_what_is_left_out_has_a_default():
    """Holding costs a quarter of the unit cost a year, lead times are known, backorders."""
    case = read_case(CASE)
    assert case.holding_per_unit_day == pytest.approx(0.25 * 10 / 365)
    assert case.is_lead_time_known
    assert not case.is_lost
    assert case.lean.lead_time_sd_days == 0.0


def test_an_event_of_a_flexible_supplier_that_there_is_not_is_refused():
    """The complaint names the event."""
    case = {**CASE, "flexible": None, "events": [
        {"day": 8, "kind": "supplier_down", "supplier": "flexible", "days": 3}]}  # fmt: skip
    with pytest.raises(PolicyInputError, match=r"events\[0\].supplier"):
        read_case(case)
