"""Levels above the item: totals of shop, categories and campaigns tell what thin items cannot."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.contracts.codes import Kind
from streams.demand.campaigns import campaign_lines
from streams.demand.week_profile import flat_profile
from streams.detection.groups import Groups
from streams.detection.surge import Blackout, SurgeSettings
from streams.state.items import ROW
from streams.state.pending import ENTRY
from streams.timestamps import DAY_MS, HOUR_MS, MINUTE_MS
from tests.streams.incidents.test_incidents import USUAL, of_kind, states
from tests.streams.logs import START_MS, Logs, catalog_line, event
from tests.streams.runs import read_whole

SETTINGS = SurgeSettings()
THIN = [(f"thin{number}", "main") for number in range(60)]
DAYS = 12


def entries_of(items: list[int], times: list[int]) -> np.ndarray:
    """New orders."""
    entries = np.zeros(len(items), ENTRY)
    entries["item"], entries["effective_ms"] = items, times
    entries["quantity"], entries["code"], entries["is_new_order"] = 1, Kind.PLACED, True
    return entries


def count(groups: Groups, items: list[int], times: list[int], known: int = 100) -> None:
    """Let new orders come in."""
    groups.count(entries_of(items, times), np.zeros(len(items), bool), known)


# -- what is counted -----------------------------------------------------------------------------


def test_a_cart_is_one_arrival_whatever_is_in_it():
    """A hundred lines at one moment, then one line: two customers, hundred and one orders."""
    groups = Groups(SETTINGS)
    for item in range(100):
        groups.set_category(item, "lamps" if item < 50 else "desks")
    count(groups, list(range(100)), [7_000] * 100)
    count(groups, [3], [9_000])
    told = {name: groups.row(name) for name in ("shop", "category:lamps", "category:desks")}
    assert {name: int(row["tick_orders"]) for name, row in told.items()} == {
        "shop": 2, "category:lamps": 2, "category:desks": 1,
    }  # fmt: skip
    assert told["shop"]["tick_units"] == 101


@given(
    seed=st.integers(0, 10_000),
    times=st.lists(st.integers(0, 5), min_size=1, max_size=30).map(sorted),
)
def test_counts_do_not_depend_on_the_numbers_of_items(seed, times):
    """Items are numbered as first seen, and lines of one moment come in any order."""
    chance = np.random.default_rng(seed)
    items = chance.integers(0, 8, len(times))
    renumbered = chance.permutation(8)
    told = []
    for numbers, order in ((np.arange(8), np.arange(len(times))), (renumbered, None)):
        groups = Groups(SETTINGS)
        for item in range(8):
            groups.set_category(int(numbers[item]), f"c{item % 3}")
        places = np.lexsort((chance.random(len(times)), times)) if order is None else order
        count(groups, numbers[items[places]].tolist(), [times[place] for place in places])
        told.append(groups.tell())
    assert told[0] == told[1]


def test_refill_of_many_items_is_no_surge_of_their_group():
    """Two thirds of a group were out of stock for a fortnight: what is usual of it stands."""
    groups = Groups(SETTINGS)
    rows = np.zeros(30, ROW)
    rows["baseline_days"], rows["baseline_orders"] = 20.0, 200.0
    for day in range(34):
        on_sale = np.where((np.arange(30) < 20) & (day >= 20), 0.0, 1.0)
        groups.row("shop")["day_taught_orders"] = int(10 * on_sale.sum())
        groups.row("shop")["day_taught_units"] = int(10 * on_sale.sum())
        rows["day_exposure_days"] = on_sale
        groups.close_day(rows, 1.0, (day + 1) * DAY_MS, flat_profile().elapsed, is_calm=True)
    row = groups.row("shop")
    np.testing.assert_allclose(row["baseline_orders"] / row["baseline_days"], 300.0, rtol=0.05)


def test_a_campaign_begins_with_what_its_items_sell():
    """Planned today, tested tomorrow: arrivals are at most the orders of its items."""
    groups = Groups(SETTINGS)
    item = np.zeros(1, ROW)
    item["baseline_days"], item["baseline_orders"] = 20.0, 60.0
    for _ in range(4):
        groups.join("campaign:c", item[0])
    row = groups.row("campaign:c")
    np.testing.assert_allclose(row["baseline_orders"] / row["baseline_days"], 12.0)
    assert row["baseline_days"] >= 0.9 * SETTINGS.baseline.weight_of(SETTINGS.minimum_days)


def test_groups_keep_their_state_over_a_restart():
    """What is taken and restored is the same, and a campaign that is over is removed."""
    groups = Groups(SETTINGS)
    groups.set_category(0, "lamps")
    groups.row("campaign:old")
    count(groups, [0, 0], [5, 9])
    stored = groups.take_changes()
    assert groups.take_changes() == {}
    again = Groups(SETTINGS)
    again.restore({name: row for name, row in stored.items() if row is not None})
    assert again.tell() == groups.tell()
    groups.close_day(np.zeros(1, ROW), 1.0, DAY_MS, flat_profile().elapsed, is_calm=True)
    assert groups.take_changes()["campaign:old"] is None
    assert "campaign:old" not in groups.tell()


def test_a_campaign_that_is_over_teaches_the_other_groups_no_more():
    """What groups have in common follows from those that are stored: a restart pools them."""
    groups = Groups(SETTINGS)
    for name, orders in (("shop", 40.0), ("campaign:old", 400.0)):
        row = groups.row(name)
        row["baseline_days"], row["baseline_orders"] = 10.0, orders
        row["baseline_excess"], row["baseline_squares"] = orders, 1_000.0
    groups.close_day(np.zeros(1, ROW), 1.0, DAY_MS, flat_profile().elapsed, is_calm=True)
    again = Groups(SETTINGS)
    again.restore(groups.tell())
    assert again.pool == groups.pool


def test_a_plan_raises_what_is_expected_of_its_groups():
    """A line that plans ten orders a day beyond four of a group's twenty: half as many again."""
    groups = Groups(SETTINGS)
    rows = np.zeros(5, ROW)
    rows["baseline_days"], rows["baseline_orders"] = 10.0, 40.0
    groups.grow(5)
    groups.set_lines(campaign_lines({}), 5, 0)
    factors = groups.plan_factors((np.array([2]), np.array([14.0])), rows, 1.0)
    np.testing.assert_allclose(factors, [1.5])


def test_total_surges_when_its_arrivals_do_and_ends():
    """Thirty arrivals an hour where five are usual; then five again."""
    groups = Groups(SETTINGS)
    row = groups.row("shop")
    row["baseline_days"], row["baseline_orders"], row["baseline_squares"] = 1e4, 120e4, 1e9
    told = []
    for hour in range(30):
        row["tick_orders"] = 30 if 4 <= hour < 8 else 5
        boundary = 400 * DAY_MS + (hour + 1) * HOUR_MS
        groups.close_hour(boundary, flat_profile(), Blackout(), np.ones(1))
        told.append(bool(groups.surging))
    assert not any(told[:4])
    assert told[5]
    assert not told[-1]


# -- through a shard -------------------------------------------------------------------------------


def thin_shop(times: int) -> Logs:
    """Sixty items that each sell once in two days; on the last day so many times as often."""
    logs = Logs()
    for number, item in enumerate(THIN):
        category = "lamps" if number % 2 else "desks"
        logs.add("catalog", catalog_line(f"c{number}", START_MS, item, category=category), START_MS)
    chance = np.random.default_rng(5)
    for day in range(DAYS):
        sold = chance.poisson(0.5 * (times if day == DAYS - 1 else 1), len(THIN))
        for hour in range(24):
            now = START_MS + day * DAY_MS + hour * HOUR_MS
            for number in np.flatnonzero(sold > 0).tolist():
                if number % 24 != hour:
                    continue
                for one in range(min(int(sold[number]), 7)):
                    name = f"{day}-{number}-{one}"
                    at = now + one * MINUTE_MS + number
                    order = event("placed", name, at, THIN[number], order_id=name, quantity=1)
                    logs.add("orders", order, at)
            logs.beat(now + HOUR_MS)
    return logs


@pytest.mark.slow
def test_many_thin_items_surge_by_their_total():
    """No item alone has the orders that an alarm needs; shop and categories are told at once."""
    run = read_whole(thin_shop(8), USUAL)
    assert of_kind(run, "surge") == []
    broad = of_kind(run, "broad_surge")
    raised = {one["subject"]: one["figures"] for one in broad if one["state"] == "raised"}
    assert "shop" in raised
    figures = raised["shop"]
    assert (figures["judged_by"], figures["items"]) == ("total", 0)
    assert figures["factor_low"] > 1.5
    assert "thin" in figures["shown_items"]


def test_thin_items_that_sell_as_baseline_are_no_broad_surge():
    """The same shop without the last day's rush."""
    assert states(of_kind(read_whole(thin_shop(1), USUAL), "broad_surge")) == []
