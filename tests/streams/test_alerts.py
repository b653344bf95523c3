"""Incidents: one id from raised to resolved, with hysteresis, each kind from its own events."""

import collections
import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings

from streams.alerts import AlertSettings
from streams.events import TOPICS
from streams.outputs import ACTIONS, AlertKind, incident_id
from streams.surge import SurgeSettings
from tests.oracle import DAY, HOUR, MINUTE, milliseconds
from tests.streams.fakes import as_json
from tests.streams.logs import ITEMS, START_MS, Logs, build, catalog_line, event, steps
from tests.streams.runs import SETTINGS, Run, read_whole

LAMP = ITEMS[0]
USUAL = dataclasses.replace(  # the limits of production
    SETTINGS,
    timeline=dataclasses.replace(
        SETTINGS.timeline, tick_ms=5 * MINUTE, surge=SurgeSettings(), alerts=AlertSettings()
    ),
)


def alerts_of(run: Run) -> list[dict[str, Any]]:
    """All alerts, in the order in which they were said."""
    return [as_json(out.value) for out in run.outputs if out.topic == "alerts"]


def of_kind(run: Run, kind: str) -> list[dict[str, Any]]:
    """Alerts of one kind."""
    return [alert for alert in alerts_of(run) if alert["alert"] == kind]


def check_incidents(alerts: list[dict[str, Any]]) -> None:
    """Raised once, resolved at most once and later, under one id; never two open of one thing."""
    told: dict[str, list[str]] = collections.defaultdict(list)
    open_now: dict[tuple[str, str], str] = {}
    for alert in alerts:
        told[alert["incident_id"]].append(alert["kind"])
        thing = (alert["alert"], alert["subject"])
        if alert["kind"] == "raised":
            assert thing not in open_now
            open_now[thing] = alert["incident_id"]
            assert alert["version"] == 1
        else:
            assert open_now.pop(thing) == alert["incident_id"]
            assert alert["version"] == 2
        started = milliseconds(alert["started_at"])
        assert started is not None
        assert alert["incident_id"] == incident_id(alert["alert"], alert["subject"], started)
        assert alert["action"] == ACTIONS[AlertKind(alert["alert"])]
    assert all(states in (["raised"], ["raised", "resolved"]) for states in told.values())


@settings(deadline=None, max_examples=60)
@given(drawn=steps())
def test_incident_keeps_one_id_from_raised_to_resolved(drawn):
    """In any logs, and with responses to the orders that were really placed."""
    first = read_whole(build(drawn))
    orders = [as_json(out.value) for out in first.outputs if out.topic == "purchase-orders"]
    known = tuple((order["po_id"], (order["sku"], order["warehouse"])) for order in orders)
    check_incidents(alerts_of(read_whole(build(drawn, known))))


class Story:
    """Logs of one item, told hour by hour."""

    def __init__(self, level: int = 500, **catalog: Any) -> None:
        self.logs = Logs()
        self.now = START_MS
        self._number = 0
        self.add("catalog", catalog_line("c", self.now, LAMP, **catalog))
        self.count(level)
        self.logs.beat(self.now)

    def add(self, topic: str, value: bytes) -> None:
        """Append a record."""
        self.logs.add(topic, value, self.now)

    def event(self, topic: str, kind: str, **fields: Any) -> None:
        """Append an event of the item now."""
        self._number += 1
        self.add(topic, event(kind, f"n{self._number}", self.now, LAMP, **fields))

    def count(self, level: int) -> None:
        """Count the shelf."""
        self.event("stock", "counted", level=level)

    def sell(self, hours: int, orders_per_hour: int) -> "Story":
        """Sell for some hours."""
        for _ in range(hours):
            for _ in range(orders_per_hour):
                self.event("orders", "placed", order_id=f"o{self._number}", quantity=1)
            self.pass_time(HOUR)
        return self

    def pass_time(self, by: int) -> "Story":
        """Let time pass."""
        self.now += by
        self.logs.beat(self.now)
        return self

    def run(self) -> Run:
        """Read it all."""
        return read_whole(self.logs, USUAL)


def states(alerts: list[dict[str, Any]]) -> list[str]:
    """Raised, resolved, ..."""
    return [alert["kind"] for alert in alerts]


def test_surge_is_raised_and_resolved():
    """Orders come ten times as fast for a few hours, then as before."""
    story = Story().sell(72, 2).sell(6, 20).sell(72, 2)
    surges = of_kind(story.run(), "surge")
    assert states(surges)[:2] == ["raised", "resolved"]
    assert surges[0]["figures"]["factor"] > 3
    assert milliseconds(surges[0]["occurred_at"]) > START_MS + 72 * HOUR


def test_surge_brings_one_extra_order_from_the_flexible_supplier():
    """The extra review has its own occasion, and happens once in a window."""
    story = Story(level=20, review_period_days=4.0).sell(72, 2).sell(10, 30)
    orders = [as_json(o.value) for o in story.run().outputs if o.topic == "purchase-orders"]
    extra = [order for order in orders if order["occasion"] == "surge"]
    assert len(extra) == 1
    assert extra[0]["supplier_role"] == "flexible"


def test_low_cover_is_raised_and_ends_beyond_the_limit_that_raised_it():
    """Stock for less than the wait raises it; just enough does not end it; plenty does."""
    story = Story(review_period_days=30.0).sell(72, 2)  # about 48 a day, a day's wait
    for level in (40, 49 + 3 * 48, 54 + 3 * 48, 400):
        story.count(level)
        story.pass_time(5 * MINUTE)
    found = of_kind(story.run(), "low_cover")
    assert states(found) == ["raised", "resolved"]
    assert found[0]["subject"] == "lamp@main"
    assert found[0]["figures"]["available_units"] == 0


@pytest.mark.parametrize("share", [1.0, 1.1, 1.24])
def test_low_cover_does_not_flap(share):
    """Between its two limits an incident neither begins nor ends."""
    story = Story(level=1_000, review_period_days=30.0).sell(96, 6)
    run = story.run()
    row = run.shard.timeline.items.rows[0]
    needed = row["demand_level_units_per_day"] * row["lead_time_days_flexible"]
    story.count(int(row["backlog_units"]) + int(needed * share) + 1)
    story.pass_time(5 * MINUTE)
    assert of_kind(story.run(), "low_cover") == []
    story.count(int(row["backlog_units"]))
    story.pass_time(5 * MINUTE)
    story.count(int(row["backlog_units"]) + int(needed * share) + 1)
    story.pass_time(5 * MINUTE)
    assert states(of_kind(story.run(), "low_cover")) == ["raised"]


def late_story() -> tuple[Story, dict[str, Any]]:
    """An order that is due and has not come."""
    story = Story(level=5).sell(60, 1)
    orders = [as_json(o.value) for o in story.run().outputs if o.topic == "purchase-orders"]
    order = min(orders, key=lambda order: order["expected_at"])
    story.sell(24, 1)
    late = milliseconds(order["expected_at"])
    assert late is not None
    assert story.now > late
    return story, order


def test_late_delivery_is_raised_when_due_and_resolved_when_it_comes():
    """The incident is the purchase order's own."""
    story, order = late_story()
    alerts = [
        one for one in of_kind(story.run(), "late_delivery") if one["subject"] == order["po_id"]
    ]
    assert states(alerts) == ["raised"]
    assert alerts[0]["started_at"] == order["expected_at"]
    story.event(
        "shipments", "received", po_id=order["po_id"], supplier="lean", quantity=order["quantity"]
    )
    story.pass_time(HOUR)
    alerts = [
        one for one in of_kind(story.run(), "late_delivery") if one["subject"] == order["po_id"]
    ]
    assert states(alerts) == ["raised", "resolved"]


def test_new_date_resolves_a_late_delivery_and_can_be_missed_again():
    """Two incidents, each with its own id."""
    story, order = late_story()
    due = story.now + 3 * HOUR
    story.event("order-responses", "acknowledged", po_id=order["po_id"], expected_at=due)
    story.pass_time(HOUR)
    story.pass_time(5 * HOUR)
    alerts = [
        one for one in of_kind(story.run(), "late_delivery") if one["subject"] == order["po_id"]
    ]
    assert states(alerts) == ["raised", "resolved", "raised"]
    assert len({alert["incident_id"] for alert in alerts}) == 2
    check_incidents(alerts)


def test_stale_stock_is_raised_at_the_review_and_resolved_after_a_count():
    """Nothing is ordered on a stock that nobody counted; a count ends it at the next review."""
    story = Story(level=5, review_period_days=1.0).sell(24 * 8, 1)
    found = of_kind(story.run(), "stale_stock")
    assert states(found) == ["raised"]
    story.count(5)
    story.sell(25, 1)
    assert states(of_kind(story.run(), "stale_stock")) == ["raised", "resolved"]


def test_silence_of_the_orders_is_told_and_ends_with_the_next_order():
    """Orders were due and none came, while heartbeats say that the log is alive."""
    story = Story().sell(96, 6)
    story.pass_time(8 * HOUR)
    found = of_kind(story.run(), "stale_input")
    assert states(found) == ["raised"]
    assert found[0]["subject"] == "orders/0"
    assert found[0]["sku"] is None
    story.sell(1, 1)
    story.pass_time(10 * MINUTE)
    assert states(of_kind(story.run(), "stale_input"))[:2] == ["raised", "resolved"]


def test_dead_letters_are_one_incident_until_an_hour_without_any():
    """Bad records on any topic; the count stands in the alert."""
    story = Story()
    for topic in TOPICS:
        story.add(topic, b"{")
        story.pass_time(10 * MINUTE)
    assert states(of_kind(story.run(), "dead_letters")) == ["raised"]
    story.pass_time(50 * MINUTE)
    assert states(of_kind(story.run(), "dead_letters")) == ["raised"]
    story.pass_time(20 * MINUTE)
    found = of_kind(story.run(), "dead_letters")
    assert states(found) == ["raised", "resolved"]
    assert found[1]["figures"]["dead_letters"] == len(TOPICS)


def test_quiet_shop_says_nothing():
    """Steady sales, counted stock, goods on time: no alert at all."""
    story = Story(level=100_000).sell(24 * 5, 3)
    assert alerts_of(story.run()) == []


def test_alerts_speak_of_event_time_only():
    """A replay next year says the same: no time in an alert is later than the logs."""
    story = Story().sell(72, 2).sell(6, 20)
    for alert in alerts_of(story.run()):
        for name in ("started_at", "occurred_at"):
            time = milliseconds(alert[name])
            assert time is not None
            assert START_MS - DAY < time <= story.now
