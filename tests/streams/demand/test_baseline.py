"""What teaches the baseline level, through a whole shard: stock-outs, phantom stock, campaigns."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from streams.settings import ShardSettings
from streams.timestamps import rfc3339
from tests.oracle import DAY, HOUR, MINUTE
from tests.streams.fakes import as_json
from tests.streams.logs import ITEMS, START_MS, Logs, catalog_line, event
from tests.streams.runs import SETTINGS, Run, read_whole

LAMP, DESK = ITEMS[0], ITEMS[2]
USUAL = dataclasses.replace(
    SETTINGS,
    timeline=dataclasses.replace(SETTINGS.timeline, silence=type(SETTINGS.timeline.silence)()),
)
FIRST = START_MS // DAY * DAY + DAY  # the first whole day


class Sale:
    """A shop that sells lamps and desks every hour, and what happens to the lamps."""

    def __init__(self) -> None:
        self.logs = Logs()
        self.number = 0
        for item in (LAMP, DESK):
            self.tell("catalog", 0, catalog_line, item, review_period_days=30.0)
            self.tell("stock", 0, event, item, kind="counted", level=10_000)

    def tell(self, topic: str, at: int, make: Any, item: tuple[str, str], **fields: Any) -> None:
        """Write an event at a time after the first midnight."""
        self.number += 1
        kind = [fields.pop("kind")] if "kind" in fields else []
        value = make(*kind, f"e{self.number}", FIRST + at, item, **fields)
        self.logs.add(topic, value, FIRST + at)

    def sell(self, item: tuple[str, str], days: range, orders_per_hour: int = 1) -> "Sale":
        """Sell one unit an order, around the clock."""
        for hour in range(days.start * 24, days.stop * 24):
            for _ in range(orders_per_hour):
                order_id = f"o{self.number}"
                at = hour * HOUR + self.number % 50 * MINUTE
                self.tell("orders", at, event, item, kind="placed", order_id=order_id, quantity=1)
        return self

    def run(self, days: int, settings: ShardSettings = USUAL) -> Run:
        """Read it all, in the order of time."""
        for topic, log in self.logs:
            self.logs.of[topic] = sorted(log, key=lambda record: record[1])
        self.logs.beat(FIRST + days * DAY + MINUTE)
        return read_whole(self.logs, settings)


def lamps(run: Run) -> Any:
    """The row of the lamps."""
    items = run.shard.timeline.items
    return items.rows[items.find(*LAMP)]


def alerts_of(run: Run, kind: str) -> list[dict[str, Any]]:
    """The alerts of a kind, in order."""
    told = [as_json(out.value) for out in run.outputs if out.topic == "alerts"]
    return [alert for alert in told if alert["kind"] == kind]


def baseline_level() -> float:
    """The level of twenty days without anything special."""
    run = Sale().sell(LAMP, range(20)).sell(DESK, range(20)).run(20)
    return float(lamps(run)["demand_level_units_per_day"])


@pytest.fixture(scope="module")
def level() -> float:
    """The level that the lamps should keep."""
    return baseline_level()


@pytest.mark.slow
def test_a_stock_out_leaves_the_estimate_as_it_was(level):
    """Ten days with nothing to sell: the level right after the refill is the old one."""
    sale = Sale().sell(LAMP, range(20)).sell(LAMP, range(30, 31)).sell(DESK, range(31))
    sale.tell("stock", 20 * DAY, event, LAMP, kind="counted", level=0)
    sale.tell("stock", 30 * DAY, event, LAMP, kind="counted", level=500)
    run = sale.run(31)
    np.testing.assert_allclose(lamps(run)["demand_level_units_per_day"], level, rtol=0.06)
    assert alerts_of(run, "phantom_stock") == []


@pytest.mark.slow
def test_silence_without_a_record_of_stock_teaches(level):
    """The same gap with stock that nobody counted is a fall in demand."""
    sale = Sale().sell(LAMP, range(20)).sell(DESK, range(31))
    sale.logs.of["stock"].clear()
    sale.tell("stock", 0, event, DESK, kind="counted", level=10_000)
    assert lamps(sale.run(31))["demand_level_units_per_day"] < 0.6 * level


@pytest.mark.slow
def test_phantom_stock_is_told_and_does_not_teach(level):
    """The record says stock and nothing sells while the shop does: count the shelf. The first
    sale after it ends the incident, and the old estimate stands.
    """
    sale = Sale().sell(LAMP, range(20)).sell(DESK, range(27))
    run = sale.run(26)
    (raised,) = alerts_of(run, "phantom_stock")
    assert raised["state"] == "raised"
    assert raised["sku"] == LAMP[0]
    assert rfc3339(FIRST + 20 * DAY) < raised["occurred_at"] < rfc3339(FIRST + 23 * DAY)
    np.testing.assert_allclose(lamps(run)["demand_level_units_per_day"], level, rtol=0.06)
    sale = Sale().sell(LAMP, range(20)).sell(LAMP, range(26, 27)).sell(DESK, range(27))
    run = sale.run(27)
    assert [one["state"] for one in alerts_of(run, "phantom_stock")] == ["raised", "resolved"]
    np.testing.assert_allclose(lamps(run)["demand_level_units_per_day"], level, rtol=0.06)


@pytest.mark.slow
def test_a_count_says_that_the_silence_is_real(level):
    """Somebody looked and the stock is there: the incident ends, is not raised again, and what
    did not sell is a fall in demand.
    """
    sale = Sale().sell(LAMP, range(20)).sell(DESK, range(34))
    sale.tell("stock", 24 * DAY, event, LAMP, kind="counted", level=9_000)
    run = sale.run(34)
    told = alerts_of(run, "phantom_stock")
    assert [one["state"] for one in told] == ["raised", "resolved"]
    assert lamps(run)["demand_level_units_per_day"] < 0.6 * level


@pytest.mark.slow
def test_a_silent_feed_makes_no_phantom_stock():
    """When nothing sells at all it is not the shelf of one item."""
    run = Sale().sell(LAMP, range(20)).sell(DESK, range(20)).run(26)
    assert alerts_of(run, "phantom_stock") == []


@pytest.mark.slow
def test_campaign_hours_do_not_teach_and_leave_an_uplift(level):
    """Two days at five times the usual: the baseline level stands, and the promotion's type is
    told to have brought that.
    """
    sale = Sale().sell(LAMP, range(20)).sell(DESK, range(24))
    sale.sell(LAMP, range(20, 22), 5).sell(LAMP, range(22, 24))
    window = {"starts_at": FIRST + 20 * DAY, "ends_at": FIRST + 22 * DAY}
    sale.tell("campaigns", 18 * DAY, event, LAMP, kind="planned", campaign_id="c",
              expected_units=200, discount=0.25, **window)  # fmt: skip
    run = sale.run(24)
    np.testing.assert_allclose(lamps(run)["demand_level_units_per_day"], level, rtol=0.06)
    uplift = run.shard.timeline.state.uplifts["discount_20"]
    assert uplift.windows == 1
    assert uplift.units == 240
    np.testing.assert_allclose(uplift.factor, 5, rtol=0.1)
    assert lamps(run)["campaign_units"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("sold", [(LAMP,), (LAMP, DESK)], ids=["half the shop", "all of it"])
def test_a_sale_leaves_the_shops_week_as_it_was(sold):
    """Nine times the usual on two days: the week is the one of a shop without the sale, so that
    the second day is held to as much of the plan as the first.
    """
    sale = Sale()
    for item in (LAMP, DESK):
        sale.sell(item, range(20)).sell(item, range(20, 22), 9 if item in sold else 1)
        sale.sell(item, range(22, 24))
    window = {"starts_at": FIRST + 20 * DAY, "ends_at": FIRST + 22 * DAY}
    for item in sold:
        sale.tell("campaigns", 18 * DAY, event, item, kind="planned", campaign_id="c",
                  expected_units=432, **window)  # fmt: skip
    week = sale.run(24).shard.timeline.state.profile.elapsed
    baseline = Sale().sell(LAMP, range(24)).sell(DESK, range(24)).run(24)
    # A sale that taught would move it by a day; a false surge, for which stands what was due, less.
    np.testing.assert_allclose(week, baseline.shard.timeline.state.profile.elapsed, atol=0.1)


def test_a_shop_that_begins_with_a_sale_learns_its_hours_from_it():
    """Everything is in a campaign from the first day on: plans still follow the shop's hours."""
    sale = Sale()
    window = {"starts_at": FIRST, "ends_at": FIRST + 3 * DAY}
    sale.tell("campaigns", 0, event, LAMP, kind="planned", campaign_id="c",
              expected_units=360, **window)  # fmt: skip
    for number in range(360):
        at = number // 120 * DAY + 8 * HOUR + number % 120 * 6 * MINUTE
        sale.tell("orders", at, event, LAMP, kind="placed", order_id=f"s{number}", quantity=1)
    hours = sale.run(3).shard.timeline.state.profile.hours.reshape(7, 24)
    assert hours[:, 8:20].sum() > 0.7 * hours.sum()


@pytest.mark.slow
def test_a_shop_that_is_shut_during_a_sale_is_not_taken_for_open():
    """Where nothing sells at all, no baseline orders are made up for the hours of the sale."""
    sale = Sale().sell(LAMP, range(21)).sell(DESK, range(21))
    window = {"starts_at": FIRST + 21 * DAY, "ends_at": FIRST + 22 * DAY}
    for item in (LAMP, DESK):
        sale.tell("campaigns", 18 * DAY, event, item, kind="planned", campaign_id="c",
                  expected_units=200, **window)  # fmt: skip
    profile = sale.run(22).shard.timeline.state.profile
    assert profile.silent_weeks.tolist().count(1) == 1
    assert profile.missing_orders > 40


@pytest.mark.slow
@pytest.mark.parametrize("days", range(27, 31))
def test_what_items_have_in_common_follows_from_their_stored_rows(days):
    """A restart pools those, also on the day from which an item counts as settled."""
    sale = Sale().sell(LAMP, range(20)).sell(LAMP, range(20, days), orders_per_hour=2)
    state = sale.run(days).shard.timeline.state
    assert lamps_observed(state) == days
    assert (state.pool.pace > 1.0) == (days >= USUAL.timeline.surge.baseline.mature_observed_days)
    pool = state.pool
    state.pool_items()
    assert state.pool == pool


def lamps_observed(state: Any) -> int:
    """Days that closed since the lamps' first sale."""
    return int(state.rows()["observed_days"][state.items.find(*LAMP)])
