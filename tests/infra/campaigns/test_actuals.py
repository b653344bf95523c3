"""What a campaign sold, from hours and incidents of an installation."""

from types import SimpleNamespace

from infra.campaigns.actuals import span_rows, spans_of, with_actuals
from infra.campaigns.document import case_of, window_of
from infra.redis.reader import Reader
from policy.campaigns.report import report_campaign
from streams.contracts.alerts import Alert, AlertKind, AlertState
from streams.timestamps import HOUR_MS, one_time, rfc3339

START_MS = one_time("2026-11-11T00:00:00Z")
DOCUMENT = {
    "campaign_id": "sale",
    "starts_at": "2026-11-11T00:00:00Z",
    "ends_at": "2026-11-11T04:00:00Z",
    "lines": [{"sku": "lamp", "expected_units": 160, "stock_units": 0}],
}


def step(kind, state, hour, sku="lamp", started=None):
    """One step of an incident."""
    at = rfc3339(START_MS + round(hour * HOUR_MS))
    return Alert(
        state=state, incident_id=f"in-{kind}", version=1, kind=kind, subject=f"{sku}@main",
        sku=sku, warehouse="main", started_at=started or at, occurred_at=at, summary="s",
        action="a", figures={},
    )  # fmt: skip


class Known(Reader):
    """What Redis would give."""

    def __init__(self, hours_ago):
        self.applied_ms = START_MS + (4 + hours_ago) * HOUR_MS

    def find(self, sku, warehouse=None):
        return [(0, 7)] if sku == "lamp" else []

    def item(self, partition, place, *, days=14):
        days = [("2026-11-12", {"units": 9}), ("2026-11-11", {"units": 77})]
        return SimpleNamespace(
            sku="lamp", warehouse="main", partition=0, applied_ms=self.applied_ms, days=days
        )

    def hour_units(self, partition, key, first, last):
        assert (key, last - first) == ("lamp@main", 3)
        return {first: 50, first + 1: 50, first + 2: 30}


def test_hours_and_incidents_make_the_report():
    """The last hour sold nothing while cover was low and the supplier late."""
    alerts = [
        step(AlertKind.LOW_COVER, AlertState.RAISED, 1.5),
        step(AlertKind.LATE_DELIVERY, AlertState.RAISED, 2.5),
        step(AlertKind.LATE_DELIVERY, AlertState.RESOLVED, 5, started=rfc3339(
            START_MS + round(2.5 * HOUR_MS))),
    ]  # fmt: skip
    spans = list(spans_of(alerts, START_MS + 9 * HOUR_MS))
    document, assumed = with_actuals(Known(2), DOCUMENT, spans, START_MS + 9 * HOUR_MS)
    hours = document["lines"][0]["actual_hours"]
    assert [one["units"] for one in hours] == [50, 50, 30, 0]
    assert [one["out_share"] for one in hours] == [0, 0, 0, 1]
    assert [one["late_supply"] for one in hours] == [False, False, True, True]
    assert "low cover" in assumed[0]
    found = report_campaign(case_of(document, START_MS + 9 * HOUR_MS)[0])
    assert found["gap_units"] == -30
    assert found["causes"]["late_supply"] < -40
    rows = span_rows(spans, window_of(DOCUMENT))
    assert [one["kind"] for one in rows] == ["low_cover", "late_delivery"]


def test_after_two_days_whole_days_count():
    """And the report says so."""
    document, assumed = with_actuals(Known(60), DOCUMENT, [], START_MS + 70 * HOUR_MS)
    assert document["lines"][0]["actual_units"] == 77
    assert "whole days" in assumed[0]


def test_an_item_that_nobody_knows_sold_nothing():
    """A campaign without a start likewise says what is missing."""
    lines = [{"sku": "rug", "expected_units": 5}]
    document, _ = with_actuals(Known(2), {**DOCUMENT, "lines": lines}, [], START_MS + 9 * HOUR_MS)
    assert document["lines"][0]["actual_units"] == 0
    _, assumed = with_actuals(Known(2), {"lines": []}, [], 0)
    assert "names no start" in assumed[0]
