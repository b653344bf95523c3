"""The days ahead of items under review: plans on their own days, surges that decay."""

import numpy as np
import pytest

from policy.review_inputs import OUTLOOK_FIELDS
from streams.timeline.days_ahead import days_ahead
from streams.timeline.partition_state import State
from tests.oracle import DAY, HOUR
from tests.streams.logs import ITEMS, START_MS, Logs, event
from tests.streams.replenishment.test_outlook import SLOW
from tests.streams.replenishment.test_reviews import orders_of, stocked
from tests.streams.runs import read_whole

NOW = START_MS + 6 * DAY
ONE = np.zeros(1, np.int64)


def shop(*, planned_from: int | None = None, units: int = 800, **changes: float) -> State:
    """A shop of one item that sells twelve a day, with a campaign of ten days or without."""
    logs: Logs = stocked(6, **{**SLOW, **changes})
    if planned_from is not None:
        plan = {"campaign_id": "sale", "expected_units": units}
        plan |= {"starts_at": planned_from, "ends_at": planned_from + 10 * DAY}
        logs.add("campaigns", event("planned", "p", NOW, ITEMS[0], **plan), NOW)
    logs.beat(NOW + 3 * HOUR)
    return read_whole(logs).shard.timeline.state


def test_a_plan_stands_on_its_own_days_and_nowhere_else():
    """Ten days of a campaign, beginning in eight days; before and after the level."""
    plain = days_ahead(shop(), ONE, np.array([12.0]), NOW)
    planned = days_ahead(shop(planned_from=NOW + 8 * DAY), ONE, np.array([12.0]), NOW)
    assert plain is not None
    assert planned is not None
    extra = (planned.path_units - plain.path_units)[0]
    assert extra[:8].max() == extra[18:].max() == pytest.approx(0.0, abs=1e-9)
    assert extra[8:18].min() > 20.0
    assert not plain.is_demand_raised[0]
    assert planned.is_demand_raised[0]


def test_a_surge_decays_along_the_days():
    """The item sells five times its level now; weeks ahead it is at its level again."""
    state = shop()
    row = state.items.rows[:1]
    row["surge_since_ms"], row["surge_days"] = NOW - DAY, 1.0
    row["surge_orders"], row["baseline_orders"], row["baseline_days"] = 60.0, 72.0, 6.0
    found = days_ahead(state, ONE, np.array([12.0]), NOW)
    assert found is not None
    path = found.path_units[0]
    assert path[0] > 2.0 * path[20]
    assert path[35] == pytest.approx(path[28], rel=0.05)
    assert found.is_demand_raised[0]


def test_items_with_a_fast_lean_supplier_need_no_days_ahead():
    """They are decided exactly, or by the gap rule."""
    fast = shop(lead_time_days_lean=4.0, lead_time_days_flexible=2.0)
    assert days_ahead(fast, ONE, np.array([12.0]), NOW) is None


def test_a_near_campaign_is_bought_from_flexible_and_a_far_one_from_lean():
    """Lean takes a month: what is sold in two weeks cannot come from it."""

    def bought(planned_from: int | None) -> dict[str, int]:
        logs: Logs = stocked(7, **SLOW)
        if planned_from is not None:
            plan = {"campaign_id": "sale", "expected_units": 900}
            plan |= {"starts_at": planned_from, "ends_at": planned_from + 6 * DAY}
            known = event("planned", "p", START_MS + 1, ITEMS[0], **plan)
            logs.of["campaigns"].insert(1, (known, START_MS + 1))
        units = {"lean": 0, "flexible": 0}
        for order in orders_of(read_whole(logs)):
            assert set(OUTLOOK_FIELDS) <= set(order.inputs)
            units[order.supplier_role] += order.quantity
        return units

    plain, near, far = bought(None), bought(START_MS + 12 * DAY), bought(START_MS + 37 * DAY)
    assert near["flexible"] > plain["flexible"] + 200
    assert near["lean"] < plain["lean"] + 300
    assert far["flexible"] == plain["flexible"]
    assert far["lean"] > plain["lean"] + 500
