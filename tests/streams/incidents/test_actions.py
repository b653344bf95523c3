"""One action for each incident, by its case: stock against time, and who can still deliver."""

import numpy as np
import pytest

from streams.contracts.alerts import AlertKind
from streams.contracts.purchase_orders import SupplierRole
from streams.incidents import actions
from streams.incidents.actions import Case
from streams.incidents.kinds import INCIDENT_KINDS
from streams.state.items import ROW
from streams.timestamps import DAY_MS

NOW = 500 * DAY_MS
LONGEST = 100


def item_row(**fields: float) -> np.void:
    """An item with a count, a flexible supplier of two days and a lean one of nine."""
    rows = np.zeros(1, ROW)
    known = {"counted_at_ms": NOW - DAY_MS, "on_hand_units": 100, "next_review_ms": NOW + DAY_MS,
             "lead_time_days_flexible": 2.0, "lead_time_days_lean": 9.0}  # fmt: skip
    for name, value in {**known, **fields}.items():
        rows[name] = value
    return rows[0]


def told(kind: AlertKind, row: np.void, *, is_promoted: bool = False, **figures: float) -> str:
    """The action for an incident of the item."""
    return INCIDENT_KINDS[kind].action(Case(figures, NOW, row, is_promoted))


@pytest.mark.parametrize(
    ("lasts_days", "due_in_days", "action"),
    [
        (1, None, actions.RATION),
        (1, 3, actions.RATION),
        (0.5, 1, actions.EXPEDITE),
        (3, None, actions.ORDER_FLEXIBLE),
        (3, 5, actions.ORDER_FLEXIBLE),
        (6, 5, actions.RAISE_LEAN),
        (30, None, actions.RAISE_LEAN),
    ],
)
def test_surge_action_follows_stock_against_the_next_goods(lasts_days, due_in_days, action):
    """Nothing comes in time: ration; the fast supplier does: order; all does: raise the next."""
    due = 0 if due_in_days is None else NOW + due_in_days * DAY_MS
    row = item_row(next_due_ms=due)
    assert told(AlertKind.SURGE, row, minutes_to_zero=lasts_days * 1440) == action


def test_surge_of_an_item_of_which_something_is_not_known():
    """Without a count or a supplier that is the first thing to mend."""
    assert told(AlertKind.SURGE, item_row(counted_at_ms=0)) == actions.COUNT_FIRST
    assert told(AlertKind.SURGE, item_row(next_review_ms=0)) == actions.NAME_SUPPLIERS


def test_low_cover_ends_a_promotion_first():
    """Then what is on its way is called for; else the fast supplier gets an order."""
    due = item_row(next_due_ms=NOW + DAY_MS)
    assert told(AlertKind.LOW_COVER, due, is_promoted=True) == actions.WEAKEN
    assert told(AlertKind.LOW_COVER, due) == actions.EXPEDITE
    assert told(AlertKind.LOW_COVER, item_row()) == actions.ORDER_FLEXIBLE


def test_shortfall_action_follows_what_is_sold_and_what_comes():
    """Nothing at all: try to buy it; goods on their way: fewer of them; else push."""
    kind = AlertKind.PLAN_SHORTFALL
    assert told(kind, item_row(), orders=0) == actions.CHECK_OFFER
    assert told(kind, item_row(on_order_lean_units=5), orders=3) == actions.SHRINK_ORDERS
    assert told(kind, item_row(), orders=3) == actions.PUSH


def test_bulk_order_that_takes_all_is_offered_in_parts():
    """A hundred on the shelf."""
    baseline, parts = item_row(bulk_units=50), item_row(bulk_units=150)
    assert told(AlertKind.BULK_ORDER, baseline) == actions.CONFIRM
    assert told(AlertKind.BULK_ORDER, parts) == actions.PART_DELIVERY


def test_groups_and_late_orders():
    """A campaign that surges needs a higher plan; a late lean order may need a fast one."""
    surge, late = INCIDENT_KINDS[AlertKind.BROAD_SURGE], INCIDENT_KINDS[AlertKind.LATE_DELIVERY]
    assert surge.action(Case({}, NOW, group="campaign:c")) == actions.RAISE_PLAN
    assert surge.action(Case({}, NOW, group="shop")) == actions.FIND_CAUSE
    assert late.action(Case({}, NOW, role=SupplierRole.LEAN)) == actions.TURN_TO_FLEXIBLE
    assert late.action(Case({}, NOW, role=SupplierRole.FLEXIBLE)) == actions.TURN_TO_LEAN


def test_actions_are_bounded_and_short():
    """Each kind has its few sentences, each short enough for a phone."""
    every = [action for row in INCIDENT_KINDS.values() for action in row.actions]
    assert all(len(action) <= LONGEST for action in every)
    assert len(every) <= 30
