"""The groups of a shop, judged from what all partitions say: thin items, silence, campaigns."""

from functools import cache

import msgspec
import numpy as np
import pytest

from streams.contracts.alerts import Alert
from streams.groups.facts import Boundary, CloseWindow, Day, DayFact, Facts, HourFact, TickOrders
from streams.groups.rows import SHOP
from streams.groups.stage import GroupStage
from streams.settings import GroupSettings
from streams.timestamps import DAY_MS, HOUR_MS, MINUTE_MS
from tests.streams.groups.whole import facts_of, judged
from tests.streams.incidents.test_incidents import USUAL
from tests.streams.logs import START_MS, Logs, catalog_line, event

THIN = [(f"thin{number}", "main") for number in range(60)]
DAYS = 12
BEGINS_MS = 19_000 * DAY_MS


def thin_shop(times: int, *, silent_hours: int = 0) -> Logs:
    """Sixty items that each sell once in two days; on the last day so many times as often."""
    logs = Logs()
    for number, item in enumerate(THIN):
        category = "lamps" if number % 2 else "desks"
        logs.add("catalog", catalog_line(f"c{number}", START_MS, item, category=category), START_MS)
    chance = np.random.default_rng(5)
    for day in range(DAYS):
        sold = chance.poisson(0.5 * (times if day == DAYS - 1 else 1), len(THIN))
        for hour in range(24):
            now, placed = START_MS + day * DAY_MS + hour * HOUR_MS, []
            for number in np.flatnonzero(sold > 0).tolist():
                if number % 24 != hour:
                    continue
                for one in range(min(int(sold[number]), 7)):
                    name = f"{day}-{number}-{one}"
                    at = now + one * MINUTE_MS + number
                    order = event("placed", name, at, THIN[number], order_id=name, quantity=1)
                    placed.append((at, order))
            for at, order in sorted(placed):
                logs.add("orders", order, at)
            logs.beat(now + HOUR_MS)
    for hour in range(silent_hours):
        logs.beat(START_MS + DAYS * DAY_MS + (hour + 1) * HOUR_MS)
    return logs


@cache
def told(partitions: int, times: int, silent_hours: int = 0) -> dict[int, list[bytes]]:
    """What so many partitions say of the shop."""
    return facts_of(thin_shop(times, silent_hours=silent_hours), partitions, USUAL)


def bytes_of(alerts: list[Alert]) -> list[bytes]:
    """Alerts as they are published."""
    return [msgspec.json.encode(alert) for alert in alerts]


@pytest.mark.slow
@pytest.mark.parametrize("partitions", [2, 8, 64])
def test_results_are_the_same_for_any_number_of_partitions(partitions):
    """Byte for byte: a surge of thin items by their total, and then a feed that dies."""
    alone = judged(told(1, 8, 40), USUAL)
    assert {alert.kind for alert in alone} == {"broad_surge", "stale_input"}
    spread_out = judged(told(partitions, 8, 40), USUAL, seed=partitions)
    assert bytes_of(spread_out) == bytes_of(alone)


@pytest.mark.slow
def test_pace_and_order_of_the_partitions_decide_nothing():
    """Whichever partition speaks first, in batches of any size, with commits anywhere."""
    facts = told(4, 8, 40)
    results = {tuple(bytes_of(judged(facts, USUAL, seed=seed))) for seed in range(6)}
    assert len(results) == 1


@pytest.mark.slow
def test_many_thin_items_surge_by_their_total():
    """No item alone has the orders that an alarm needs; shop and categories are called at once."""
    raised = {
        one.subject: one.figures for one in judged(told(4, 8), USUAL) if one.state == "raised"
    }
    assert "shop" in raised
    figures = raised["shop"]
    assert (figures["judged_by"], figures["items"]) == ("total", 0)
    assert figures["factor_low"] > 1.5
    assert "thin" in str(figures["shown_items"])


@pytest.mark.slow
def test_thin_items_that_sell_as_ever_are_no_broad_surge():
    """The same shop without the last day's rush."""
    assert judged(told(4, 1), USUAL) == []


@pytest.mark.slow
def test_a_partition_that_is_missing_holds_all_groups():
    """Fail closed: without its word nothing is judged; with a closed window the rest is."""
    facts = dict(told(4, 8))
    last = START_MS + (DAYS + 1) * DAY_MS
    assert judged({**facts, 2: []}, USUAL) == []
    word = CloseWindow(partition=2, upto_ms=last, who="ada", why="its disk is gone")
    closed = judged({**facts, 2: []}, USUAL, extra=[msgspec.json.encode(word)])
    assert "shop" in {one.subject for one in closed if one.state == "raised"}


@pytest.mark.slow
def test_what_is_said_twice_counts_once():
    """A partition that began anew says everything again."""
    facts = told(2, 8, 40)
    twice = {partition: [*values, *values] for partition, values in facts.items()}
    assert bytes_of(judged(twice, USUAL)) == bytes_of(judged(facts, USUAL))


# -- facts by hand ---------------------------------------------------------------------------------


class Shop:
    """A stage that hears one partition, hour by hour."""

    def __init__(self) -> None:
        self.stage = GroupStage(GroupSettings())
        self.now_ms = BEGINS_MS
        self.alerts: list[Alert] = []
        self.offset = 0

    def hear(self, *boundaries: Boundary, upto_ms: int | None = None) -> None:
        """Take in facts, and what follows."""
        upto = boundaries[-1].at_ms if upto_ms is None else upto_ms
        self.stage.fold(Facts(0, 1, upto, list(boundaries)), self.offset)
        self.offset += 1
        for record in self.stage.advance():
            self.alerts.append(msgspec.json.decode(record.value or b"", type=Alert))

    def hour(self, sold: dict[str, int], *, missing: int = 0, planned: int = 0) -> None:
        """Let an hour pass, with so many orders of each group."""
        each = max(sold.get(SHOP, 0) // 12, 1)
        ticks = [
            TickOrders(
                self.now_ms + one * MINUTE_MS, each, *[self.now_ms + one * MINUTE_MS] * 2, False
            )
            for one in range(0, 60, 5)
        ]
        self.now_ms += HOUR_MS
        hours = [
            HourFact(group, orders, missing, planned, [("lamp@main", orders)])
            for group, orders in sold.items()
        ]
        day = None
        if self.now_ms % DAY_MS == 0:
            taught = [DayFact(group, 24 * orders, 1, 1) for group, orders in sold.items()]
            day = Day(self.now_ms - DAY_MS, taught, [])
        self.hear(Boundary(self.now_ms, ticks=ticks, hours=hours, day=day))

    def raised(self, kind: str) -> list[str]:
        """Subjects of incidents of a kind."""
        return [one.subject for one in self.alerts if (one.kind, one.state) == (kind, "raised")]


def usual_shop(days: int = 14, orders: int = 100) -> Shop:
    """A shop that sells evenly."""
    shop = Shop()
    for _ in range(24 * days):
        shop.hour({SHOP: orders})
    assert shop.alerts == []
    return shop


def test_total_surges_when_its_orders_do_and_ends():
    """Three hours with five times the orders, then as ever: raised once, and over the next day."""
    shop = usual_shop()
    for _ in range(3):
        shop.hour({SHOP: 500})
    assert shop.raised("broad_surge") == [SHOP]
    for _ in range(30):
        shop.hour({SHOP: 100})
    assert [one.state for one in shop.alerts][-1] == "resolved"


def test_a_shop_whose_days_are_alike_is_in_a_surge_at_less():
    """Its null follows its own days: it is less than the half more that items are allowed."""
    shop = usual_shop(28)
    for _ in range(24):
        shop.hour({SHOP: 250})
    assert shop.raised("broad_surge") == [SHOP]


def test_items_in_a_surge_of_their_own_leave_the_total():
    """Half of the shop's baseline surges, and is told already: the rest sells as ever."""
    shop = usual_shop()
    for _ in range(10):
        shop.hour({SHOP: 50}, missing=1200 * 10**6)
    assert shop.alerts == []
    for _ in range(4):
        shop.hour({SHOP: 250}, missing=1200 * 10**6)
    assert shop.raised("broad_surge") == [SHOP]


def test_a_plan_raises_what_is_due():
    """Four times the orders, and three times more were planned: that is no surge."""
    shop = usual_shop()
    for _ in range(10):
        shop.hour({SHOP: 400}, planned=300 * 10**6)
    assert shop.alerts == []


def test_refill_of_many_items_is_no_surge_of_their_group():
    """Two thirds of a group were out of stock for a fortnight: its baseline stands."""
    shop = Shop()
    for day in range(34):
        share = 1 / 3 if day >= 20 else 1.0
        shop.now_ms += DAY_MS
        taught = [DayFact(SHOP, round(300 * share), 3 * 10**8, round(3 * 10**8 * share))]
        known = Day(shop.now_ms - DAY_MS, taught, [])
        noon_ms = shop.now_ms - 12 * HOUR_MS
        noon = TickOrders(noon_ms, round(300 * share), noon_ms, noon_ms, False)
        shop.hear(Boundary(shop.now_ms, ticks=[noon], day=known))
    row = shop.stage.rows.row(SHOP)
    np.testing.assert_allclose(row["baseline_orders"] / row["baseline_days"], 300.0, rtol=0.05)


def test_a_group_begins_with_what_its_items_sell():
    """Planned today, tested tomorrow."""
    shop = Shop()
    joined = [("campaign:c", 3 * 10**6)] * 4
    shop.hear(Boundary(BEGINS_MS, joined=joined))
    row = shop.stage.rows.row("campaign:c")
    np.testing.assert_allclose(row["baseline_orders"] / row["baseline_days"], 12.0)


def test_a_silent_shop_is_noticed_without_any_facts():
    """The markers go on and no order comes: raised within the grid, resolved by the next order."""
    shop = usual_shop()
    shop.hear(upto_ms=shop.now_ms + 4 * HOUR_MS)
    assert shop.raised("stale_input") == ["orders"]
    at_ms = shop.now_ms + 5 * HOUR_MS
    tick = TickOrders(at_ms - MINUTE_MS, 1, at_ms - 1, at_ms - 1, False)
    shop.hear(Boundary(at_ms, ticks=[tick]))
    assert [one.state for one in shop.alerts] == ["raised", "resolved"]


def test_one_long_step_is_many_short_ones():
    """Hours without facts are passed at once, with the same alerts."""
    long, short = usual_shop(), usual_shop()
    for shop in (long, short):
        for _ in range(4):
            shop.hour({SHOP: 500})
    end_ms = long.now_ms + 3 * DAY_MS
    long.hear(upto_ms=end_ms)
    for at_ms in range(short.now_ms + 10 * MINUTE_MS, end_ms + 1, 10 * MINUTE_MS):
        short.hear(upto_ms=at_ms)
    assert bytes_of(long.alerts) == bytes_of(short.alerts)
    assert long.stage.rows.as_bytes() == short.stage.rows.as_bytes()


def test_stage_goes_on_from_what_was_stored():
    """Rows, week, feed and open incidents come back; what waited is read again from the log."""
    one = usual_shop()
    for _ in range(3):
        one.hour({SHOP: 500})
    other = Shop()
    state = msgspec.json.decode(
        msgspec.json.encode(one.stage.state()), type=type(one.stage.state())
    )
    other.stage.restore(state, one.stage.rows.as_bytes())
    other.now_ms, other.alerts = one.now_ms, list(one.alerts)
    for shop in (one, other):
        for _ in range(30):
            shop.hour({SHOP: 100})
    assert bytes_of(one.alerts) == bytes_of(other.alerts)
    assert one.stage.rows.as_bytes() == other.stage.rows.as_bytes()
