"""The days of one item: what is drawn, and what is taken for a rise."""

import numpy as np
import pytest

from policy.dual_index.table import LevelTable
from policy.policy_cache import PolicyCache
from policy.studies.item.case import read_case
from policy.studies.item.rule import ItemRule
from policy.studies.item.world import _draw_demand, _Run, play
from tests.policy.studies.item.test_case import CASE


def run_of(**changes: object) -> _Run:
    """A run that has not begun."""
    case = read_case({**CASE, "days": 400, "warm_up_days": 0, **changes})
    return _Run(case, ItemRule(case, LevelTable(), PolicyCache(100_000)), 1)


def test_two_days_of_four_times_the_demand_are_a_rise_and_of_twice_are_not():
    """Ten a day, more or less six."""
    run = run_of()
    assert run._chance_of(80.0, 20.0) < 2e-5
    assert run._chance_of(40.0, 20.0) > 2e-5


def test_a_burst_of_an_item_that_sells_in_bursts_is_no_rise():
    """Its ordinary days have a heavy tail."""
    run = run_of(demand={"family": "negative_binomial", "mean": 2, "sd": 12})
    assert run._chance_of(60.0, 4.0) > 2e-5


def test_campaigns_surges_and_changes_multiply_the_demand():
    """Each on its own days; a change of the level stays."""
    events = [
        {"day": 50, "kind": "campaign", "days": 50, "factor": 3},
        {"day": 150, "kind": "surge", "days": 50, "factor": 4},
        {"day": 250, "kind": "level_change", "factor": 2},
    ]
    case = read_case({**CASE, "days": 400, "warm_up_days": 0, "events": events})
    demand = _draw_demand(case, np.random.default_rng(1))
    means = [demand[first : first + 50].mean() for first in (0, 50, 150, 200, 300)]
    assert means == pytest.approx([10, 30, 40, 10, 20], rel=0.2)


def test_units_are_neither_made_nor_lost():
    """What came in less what was asked for is what the level moved by."""
    case = read_case({**CASE, "days": 300, "warm_up_days": 0, "flexible": None})
    days = play(case, ItemRule(case, LevelTable(), PolicyCache(100_000)), 1)
    arrived = days.lean_units[: 300 - 30].sum()
    assert days.start[0] + arrived - days.demand.sum() == days.end[-1]
