"""A campaign as an installation knows it becomes a document."""

from types import SimpleNamespace

import numpy as np

from infra.campaigns.document import check_document
from infra.campaigns.known import known_document
from infra.redis.reader import Reader
from streams.contracts.events import CampaignPlanned, Item
from streams.demand.campaigns import Uplift
from streams.state.items import ROW
from streams.timestamps import DAY_MS, rfc3339

NOW_MS = 1_800_000_000_000
START_MS = NOW_MS + 10 * DAY_MS


def planned(sku, units):
    """A line of two days, 20 % off."""
    return CampaignPlanned(
        event_id="e", occurred_at=0, sku=sku, campaign_id="sale", starts_at=rfc3339(START_MS),
        ends_at=rfc3339(START_MS + 2 * DAY_MS), expected_units=units, discount=0.2,
        promise_days=3,
    )  # fmt: skip


class Known(Reader):
    """What Redis would give, without Redis."""

    def __init__(self):
        self.uplift = Uplift()
        self.uplift.add([(200, 100), (400, 100)])

    def campaign(self, campaign_id):
        return [planned("lamp", 600), planned("rug", 50)] if campaign_id == "sale" else []

    def shards(self):
        return [SimpleNamespace(meta=SimpleNamespace(uplifts={"discount_20": self.uplift}))]

    def find(self, sku, warehouse=None):
        return [(0, 7)] if sku == "lamp" else []

    def item(self, partition, place, *, days=14):
        row = np.zeros(1, ROW)[0]
        row["on_hand_units"], row["backlog_units"] = 300, 20
        row["demand_level_units_per_day"] = 100.0
        on_time = SimpleNamespace(po_id="po-1", outstanding=100, due_ms=START_MS, late_since_ms=0)
        late = SimpleNamespace(
            po_id="po-2", outstanding=500, due_ms=NOW_MS - DAY_MS, late_since_ms=NOW_MS
        )
        catalog = Item(
            event_id="i", occurred_at=0, sku="lamp", unit_cost_lean=4, unit_cost_flexible=5.2,
            lead_time_days_lean=20, lead_time_days_flexible=2, review_period_days=7,
            holding_cost_per_unit_day=0.01, backorder_cost_per_unit_day=0.1,
        )  # fmt: skip
        return SimpleNamespace(row=row, open_orders=[on_time, late], catalog=catalog)


def test_stock_orders_and_uplift_of_an_installation_are_checked():
    """300 on the shelf, 20 owed, 100 in time; of 600, the flexible supplier brings 220."""
    document = known_document(Known(), "sale")
    found = check_document({**document, "capacity": 5000}, NOW_MS)
    lamp, rug = found["lines"]
    assert (lamp["usable_units"], lamp["arriving_in_time_units"]) == (280, 100)
    assert (lamp["short_units"], lamp["uplift"], lamp["uplift_samples"]) == (220, 3.0, 2)
    assert lamp["baseline_units"] == 200
    assert lamp["expected_units_p90"] > 600  # windows of this type differed
    assert (rug["usable_units"], rug["short_units"]) == (0, 50)  # nobody knows the item
    bought = [one for one in found["actions"] if one["kind"].startswith("purchase")]
    assert [(one["kind"], one["units"], one["cost"]) for one in bought] == [
        ("purchase_flexible", 220, 1144)
    ]
    assert (found["promise_days"], found["late_notice"]) == (3, False)


def test_a_campaign_without_lines_is_not_known():
    """None, so that the command can say so."""
    assert known_document(Known(), "other") is None
