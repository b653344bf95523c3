"""Incidents: one id from raised to resolved, with hysteresis, each kind from its own events."""

import collections
import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings

from streams.contracts.alerts import AlertKind
from streams.contracts.events import TOPICS
from streams.contracts.ids import incident_id
from streams.demand.week_profile import flat_profile
from streams.detection.order_feed import NEVER, OrderFeed
from streams.incidents import actions
from streams.incidents.kinds import INCIDENT_KINDS
from streams.settings import AlertSettings, OrderFeedSettings, SurgeSettings
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
    return [alert for alert in alerts_of(run) if alert["kind"] == kind]


def check_incidents(alerts: list[dict[str, Any]]) -> None:
    """Raised once, resolved at most once and later, under one id; never two open of one thing."""
    told: dict[str, list[str]] = collections.defaultdict(list)
    versions: dict[str, list[int]] = collections.defaultdict(list)
    open_now: dict[tuple[str, str], str] = {}
    for alert in alerts:
        told[alert["incident_id"]].append(alert["state"])
        thing = (alert["kind"], alert["subject"])
        if alert["state"] == "raised":
            assert thing not in open_now
            open_now[thing] = alert["incident_id"]
            assert alert["version"] == 1
        elif alert["state"] == "updated":
            assert open_now[thing] == alert["incident_id"]
        else:
            assert open_now.pop(thing) == alert["incident_id"]
        versions[alert["incident_id"]].append(alert["version"])
        started = milliseconds(alert["started_at"])
        assert started is not None
        assert alert["incident_id"] == incident_id(alert["kind"], alert["subject"], started)
        assert alert["action"] in INCIDENT_KINDS[AlertKind(alert["kind"])].actions
    assert all(
        [state for state in states if state != "updated"] in (["raised"], ["raised", "resolved"])
        for states in told.values()
    )
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in versions.values())


@pytest.mark.slow
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
    return [alert["state"] for alert in alerts]


def test_surge_is_raised_and_resolved():
    """Orders come ten times as fast for a few hours, then as before."""
    story = Story().sell(96, 2).sell(6, 20).sell(72, 2)
    surges = of_kind(story.run(), "surge")
    assert states(surges)[0] == "raised"
    assert states(surges)[-1] == "resolved"
    assert surges[0]["figures"]["factor_low"] > 3
    assert surges[0]["figures"]["orders_beyond_plan"] > 0
    assert milliseconds(surges[0]["occurred_at"]) > START_MS + 96 * HOUR


def test_surge_brings_one_extra_order_from_the_flexible_supplier():
    """The extra review has its own occasion, and happens once in a window."""
    story = Story(level=20, review_period_days=4.0).sell(96, 2).sell(10, 30)
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


@pytest.mark.parametrize("share", [0.78, 0.82])
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


@pytest.mark.slow
def test_stale_stock_is_raised_at_the_review_and_resolved_after_a_count():
    """Nothing is ordered on a stock that nobody counted; a count ends it at the next review."""
    story = Story(level=5, review_period_days=1.0).sell(24 * 8, 1)
    found = of_kind(story.run(), "stale_stock")
    assert states(found) == ["raised"]
    story.count(5)
    story.sell(25, 1)
    assert states(of_kind(story.run(), "stale_stock")) == ["raised", "resolved"]


@pytest.mark.slow
def test_silence_of_the_orders_is_told_and_ends_with_the_next_order():
    """Orders were due and none came, while heartbeats say that the log is alive."""
    story = Story().sell(8 * 24, 6)
    story.pass_time(20 * HOUR)
    found = of_kind(story.run(), "stale_input")
    assert states(found) == ["raised"]
    assert found[0]["subject"] == "orders"
    assert found[0]["sku"] is None
    story.sell(1, 1)
    story.pass_time(10 * MINUTE)
    assert states(of_kind(story.run(), "stale_input"))[:2] == ["raised", "resolved"]


def test_silence_after_a_straggler_is_still_the_outage():
    """One order, twenty quiet minutes, then the burst: the blackout lasts until all is as usual."""
    feed = OrderFeed(OrderFeedSettings())
    feed.learn_rate(1440.0, flat_profile())  # an order a minute
    ends = {}
    for minute in [0, 120, *[140] * 3, *range(141, 175)]:
        at = START_MS // MINUTE * MINUTE + minute * MINUTE
        feed.note(40 if minute == 140 else 1, at, at)
        feed.close_tick(at + MINUTE, MINUTE)
        ends[minute] = feed.blackout.end_ms
    assert ends[0] == 0
    assert ends[120] == ends[140] == ends[150] == NEVER
    assert ends[174] < START_MS + 174 * MINUTE


def test_basket_in_the_midst_of_an_outage_does_not_end_it():
    """Three orders of one customer, nothing for 26 minutes in which eleven customers were due, then
    the burst: the blackout goes on, though three orders are within what clumps may bring.
    """
    feed = OrderFeed(OrderFeedSettings())
    feed.state.clump_orders, feed.state.clump_arrivals = 26.0, 10.0
    feed.learn_rate(1600.0, flat_profile())
    ends = {}
    for minute in [0, 90, *range(117, 180)]:
        at = START_MS // MINUTE * MINUTE + minute * MINUTE
        feed.note(12 if 117 <= minute < 127 else 3 - minute % 3, at, at)
        feed.close_tick(at + MINUTE, MINUTE)
        ends[minute] = feed.blackout.end_ms
    assert all(ends[minute] == NEVER for minute in [90, *range(117, 128)])
    assert ends[179] < START_MS + 179 * MINUTE


def test_a_weekday_never_seen_may_be_one_on_which_the_shop_is_shut():
    """Four days of orders, then a fifth without any: no alarm; but one on the day of an order."""
    story = Story().sell(96, 6)
    story.pass_time(20 * HOUR)
    assert of_kind(story.run(), "stale_input") == []
    story = Story().sell(100, 6)  # to the first hour of a fifth day
    story.pass_time(20 * HOUR)
    assert states(of_kind(story.run(), "stale_input")) == ["raised"]


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
    story = Story(level=100_000, assume_dispatched=True).sell(24 * 5, 3)
    assert alerts_of(story.run()) == []


def test_alerts_speak_of_event_time_only():
    """A replay next year says the same: no time in an alert is later than the logs."""
    story = Story().sell(96, 2).sell(6, 20)
    for alert in alerts_of(story.run()):
        for name in ("started_at", "occurred_at"):
            time = milliseconds(alert[name])
            assert time is not None
            assert START_MS - DAY < time <= story.now


def test_surge_raises_the_demand_that_decisions_see_and_says_from_what():
    """The extra order's record shows the demand before and in the surge, and a wider spread."""
    story = Story(level=20, review_period_days=4.0).sell(96, 2).sell(10, 30)
    orders = [as_json(o.value) for o in story.run().outputs if o.topic == "purchase-orders"]
    inputs = next(order["inputs"] for order in orders if order["occasion"] == "surge")
    before = inputs["demand_before_surge_units_per_day"]
    assert before == pytest.approx(40, rel=0.25)
    assert inputs["demand_mean_units_per_day"] > 2 * before
    regular = [order["inputs"] for order in orders if order["occasion"] == "regular"]
    calm = [one for one in regular if one["demand_mean_units_per_day"] < 100]
    assert calm
    for one in calm:
        assert one["demand_before_surge_units_per_day"] == one["demand_mean_units_per_day"]


def test_one_large_order_is_told_as_a_bulk_order_and_never_as_a_surge():
    """74,215 units in one order, cancelled 16 minutes later."""
    story = Story(level=100_000).sell(24 * 6, 2)
    story.event("orders", "placed", order_id="big", quantity=74_215)
    story.pass_time(16 * MINUTE)
    story.event("orders", "cancelled", order_id="big", quantity=74_215)
    run = story.pass_time(26 * HOUR).run()
    bulk = of_kind(run, "bulk_order")
    assert states(bulk) == ["raised", "resolved"]
    assert bulk[0]["figures"]["units"] == 74_215
    assert bulk[0]["figures"]["baseline_units_per_order"] == pytest.approx(1, rel=0.01)
    assert of_kind(run, "surge") == []


def steady(story: Story, hours: int) -> Story:
    """An order every six minutes."""
    for _ in range(hours * 10):
        story.event("orders", "placed", order_id=f"s{story.now}", quantity=1)
        story.pass_time(6 * MINUTE)
    return story


def outage(story: Story, hours: int, *, is_told_late: bool) -> Story:
    """Nothing comes for some hours, then all of it within minutes: dated in the outage or now."""
    start = story.now
    story.pass_time(hours * HOUR)
    for number in range(hours * 10):
        at = start + number * 6 * MINUTE if is_told_late else story.now
        order = event(
            "placed", f"x{start}-{number}", at, LAMP, order_id=f"x{start}-{number}", quantity=1
        )
        story.add("orders", order)
        if number % 8 == 7:
            story.pass_time(MINUTE)
    return story


@pytest.mark.slow
@pytest.mark.parametrize("is_told_late", [True, False], ids=["dated then", "dated now"])
def test_outage_of_the_feed_is_told_and_its_catch_up_is_no_surge(is_told_late):
    """Silence is an alert within 75 minutes of missing orders; what it owed raises nothing."""
    story = outage(steady(Story(level=100_000), 24 * 6), 6, is_told_late=is_told_late)
    run = steady(story, 20).run()
    assert of_kind(run, "surge") == []
    (raised, resolved) = of_kind(run, "stale_input")
    assert states([raised, resolved]) == ["raised", "resolved"]
    assert raised["figures"]["silent_seconds"] <= 100 * 60


@pytest.mark.slow
def test_the_same_burst_without_an_outage_is_a_surge():
    """So the test above can fail: the burst alone is called."""
    story = steady(Story(level=100_000), 24 * 6)
    for number in range(60):
        story.event("orders", "placed", order_id=f"y{number}", quantity=1)
        if number % 8 == 7:
            story.pass_time(MINUTE)
    assert states(of_kind(steady(story, 2).run(), "surge"))[0] == "raised"


@pytest.mark.slow
def test_a_surge_that_outlasts_the_debt_of_an_outage_is_called():
    """The blackout ends when the outage's orders are paid: what goes on after it is demand."""
    story = outage(steady(Story(level=100_000), 24 * 6), 2, is_told_late=False)
    for _ in range(120):
        for _ in range(2):
            story.event("orders", "placed", order_id=f"z{story.now}{story._number}", quantity=1)
        story.pass_time(MINUTE)
    assert states(of_kind(story.run(), "surge"))[0] == "raised"


def crowd(hours: int, times: int) -> Logs:
    """Twenty items in one category, each an order an hour, then so many times as many."""
    logs = Logs()
    now = START_MS
    lamps = [(f"lamp{number}", "main") for number in range(20)]
    for number, lamp in enumerate(lamps):
        logs.add("catalog", catalog_line(f"c{number}", now, lamp, category="lamps"), now)
    for hour in range(24 * 6 + hours):
        for number, lamp in enumerate(lamps):
            for one in range(times if hour >= 24 * 6 else 1):
                name = f"{hour}-{number}-{one}"
                order = event("placed", name, now + number, lamp, order_id=name, quantity=1)
                logs.add("orders", order, now)
        now += HOUR
        logs.beat(now)
    return logs


def test_many_items_at_once_are_one_broad_incident():
    """It carries the items by name and number, has a window's id, and theirs name their groups."""
    run = read_whole(crowd(8, 20), USUAL)
    broad = of_kind(run, "broad_surge")
    raised = {one["subject"]: one for one in broad if one["state"] == "raised"}
    assert set(raised) == {"shop", "category:lamps"}
    figures = raised["shop"]["figures"]
    assert figures["items"] >= 10
    assert "lamp0@main" in figures["shown_items"]
    started = milliseconds(raised["shop"]["started_at"])
    assert started is not None
    assert started % DAY == 0
    surges = [one for one in of_kind(run, "surge") if one["state"] == "raised"]
    assert {one["figures"]["groups"] for one in surges} == {"shop, category:lamps"}


def test_broad_incident_ends_after_its_day_when_half_its_items_have_calmed():
    """One id from beginning to end, and no second incident of that window."""
    logs = crowd(8, 20)
    calm = crowd(72, 1)
    for topic, log in calm:
        seen = {value for value, _ in logs.of[topic]}
        last = START_MS + (24 * 6 + 8) * HOUR
        for value, written in log:
            if written >= last and value not in seen:
                logs.add(topic, value, written)
    broad = of_kind(read_whole(logs, USUAL), "broad_surge")
    shop = [one for one in broad if one["subject"] == "shop"]
    assert states(shop)[0] == "raised"
    assert states(shop)[-1] == "resolved"
    assert len({one["incident_id"] for one in shop}) == 1
    check_incidents(broad)


def test_refill_after_a_stock_out_is_no_surge():
    """Two days without stock and sales, then orders as before: nothing is called."""
    story = Story(level=24 * 7 * 6, assume_dispatched=True)
    story.sell(24 * 7, 6)
    story.pass_time(2 * DAY)
    story.count(10_000)
    run = story.sell(36, 6).run()
    assert of_kind(run, "surge") == []
    row = run.shard.timeline.items.rows[0]
    assert row["baseline_orders"] / row["baseline_days"] == pytest.approx(144, rel=0.2)


def test_orders_that_wait_longer_than_promised_are_an_incident_until_they_leave():
    """The promise is two days; with stock on the shelf they are to be dispatched."""
    story = Story(level=9).sell(hours=1, orders_per_hour=1).pass_time(47 * HOUR)
    assert of_kind(story.run(), "backlog_age") == []
    story.pass_time(2 * HOUR)
    (raised,) = of_kind(story.run(), "backlog_age")
    assert (raised["state"], raised["action"]) == ("raised", actions.DISPATCH_FIRST)
    assert raised["figures"]["promised_hours"] == 48
    assert raised["figures"]["oldest_order_hours"] >= 48
    story.event("shipments", "dispatched", order_id="o1", quantity=1)
    story.pass_time(HOUR)
    assert states(of_kind(story.run(), "backlog_age")) == ["raised", "resolved"]


def test_orders_without_stock_that_wait_too_long_are_told_to_the_customers():
    """What is not there cannot be dispatched."""
    story = Story(level=0).sell(hours=1, orders_per_hour=1).pass_time(49 * HOUR)
    (raised,) = of_kind(story.run(), "backlog_age")
    assert raised["action"] == actions.TELL_CUSTOMERS
