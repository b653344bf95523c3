"""The live rule in a stated world: claims that hold, and troubles that pass."""

from typing import Any

import pytest

from policy.studies.item import simulate_item
from policy.studies.item.result import FIGURES
from tests.policy.studies.item.test_case import CASE

LONG: dict[str, Any] = {**CASE, "days": 2400, "warm_up_days": 300, "runs": 6}


def value(figures: dict[str, Any], name: str) -> float:
    return float(figures[name]["value"])


@pytest.mark.slow
def test_a_claim_is_what_an_independent_simulation_finds():
    """Two simulations that share no code agree within three standard errors."""
    answer = simulate_item({**LONG, "runs": 12})
    assert set(answer["claimed"]) == set(answer["achieved"]) == set(FIGURES)
    for name in FIGURES:
        claimed, achieved = answer["claimed"][name], answer["achieved"][name]
        error = (claimed["standard_error"] ** 2 + achieved["standard_error"] ** 2) ** 0.5
        assert abs(claimed["value"] - achieved["value"]) <= 3 * error + 1e-3, name


@pytest.mark.slow
def test_troubles_pass_in_the_shops_region():
    """A lost order, a planned and an unforeseen rise at leads of 30 and 3 days."""
    events = [
        {"day": 700, "kind": "order_lost", "supplier": "lean"},
        {"day": 1100, "kind": "campaign", "days": 14, "factor": 4, "announced_days_before": 14},
        {"day": 1500, "kind": "surge", "days": 14, "factor": 4},
    ]
    lost, campaign, surge = simulate_item({**LONG, "events": events})["events"]
    assert value(lost, "days_out") <= 8
    assert value(lost, "flexible_units") > 100
    assert value(campaign, "fill_during") >= 0.97
    assert value(campaign, "fill_after_20_days") >= 0.98
    assert value(campaign, "stock_days_after_15_days") <= 60
    assert value(surge, "stock_days_after_15_days") <= 60


@pytest.mark.slow
def test_a_lost_order_passes_in_the_exact_region():
    """Leads of 4 and 2 days, a review a week: what is overdue does not hide the gap."""
    case = {**LONG, "lean": {**CASE["lean"], "lead_time_days": 4, "setup_cost": 10}}
    case["flexible"] = {**CASE["flexible"], "lead_time_days": 2}
    case["events"] = [{"day": 800, "kind": "order_lost", "supplier": "lean"}]
    answer = simulate_item({**case, "days": 1000, "runs": 3})
    assert answer["method"] == "exact"
    assert value(answer["events"][0], "days_out") <= 8


@pytest.mark.slow
def test_the_same_seed_gives_the_same_answer_and_another_one_another():
    """Runs differ by their seed alone."""
    short = {**CASE, "runs": 1, "days": 400}
    assert simulate_item(short) == simulate_item(short)
    assert simulate_item(short)["achieved"] != simulate_item({**short, "seed": 2})["achieved"]
