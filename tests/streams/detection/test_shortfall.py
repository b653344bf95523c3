"""Campaigns below their plan: told when orders were due and did not come, and only then."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.contracts.alerts import AlertKind
from streams.demand.baseline import Pool
from streams.detection.shortfall import (
    NULL_SHARE,
    close_plan_day,
    has_caught_up,
    is_short,
    weigh_plans,
)
from streams.incidents.actions import CHECK_OFFER
from streams.incidents.kinds import INCIDENT_KINDS
from streams.settings import AlertSettings, SurgeSettings
from streams.state.items import ROW
from tests.oracle import DAY, MINUTE
from tests.streams.demand import test_baseline as baseline
from tests.streams.demand.test_baseline import DESK, FIRST, LAMP, Sale, alerts_of
from tests.streams.logs import event
from tests.streams.runs import Run

POOL, EVEN = Pool(0.0, 0.2), Pool(0.0, 0.1)
SETTINGS = SurgeSettings()
USUAL = dataclasses.replace(  # the limits of production
    baseline.USUAL,
    timeline=dataclasses.replace(baseline.USUAL.timeline, surge=SETTINGS, alerts=AlertSettings()),
)
EVERYONE = np.arange(20_000)


def sell_windows(
    share: float, due: float, days: int, size: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Let windows pass in which this share of the plan sells; say which were called, and rows."""
    chance = np.random.default_rng(seed)
    rows = np.zeros(EVERYONE.size, ROW)
    rows["baseline_squares"], rows["baseline_excess"] = 1e15, 1e15 / size
    called = np.zeros(rows.size, bool)
    for _ in range(days):
        pace = share * due * chance.gamma(size, 1 / size, rows.size)
        for part in range(1, 5):
            rows["plan_day_orders"] += chance.poisson(pace / 4)
            told = np.full(rows.size, due * part / 4)
            evidence = weigh_plans(rows, EVERYONE, told, POOL, SETTINGS)
            called |= is_short(rows, EVERYONE, evidence, SETTINGS)
        close_plan_day(rows, EVERYONE, POOL, SETTINGS)
    return called, rows


@pytest.mark.parametrize("size", [0.5, 5.0, 40.0])
@pytest.mark.parametrize("due", [12.0, 300.0])
def test_a_plan_that_sells_to_two_thirds_is_hardly_ever_called(size, due):
    """Doob's bound for three days holds at the edge of the null, whatever the days are like."""
    called, _ = sell_windows(NULL_SHARE, due, 3, size, seed=4)
    bound = 3 / SETTINGS.plan_level
    spread = 4 * np.sqrt(bound * called.size)
    assert called.sum() <= bound * called.size + spread, f"seed 4: {called.sum()}"


def test_a_bound_can_be_broken():
    """The check above can fail: what sells half as well as the null allows is called."""
    called, _ = sell_windows(NULL_SHARE / 2, 300.0, 3, 40.0, seed=4)
    assert called.mean() > 0.9


def test_ratios_are_a_fair_bet_at_the_edge_of_the_null():
    """After a day the sums are worth one on average, before the next day adds its start."""
    _, rows = sell_windows(NULL_SHARE, 20.0, 1, 5.0, seed=9)
    sums = np.exp(rows["plan_logs"]) - 1.0
    np.testing.assert_allclose(sums.mean(axis=0), 1.0, atol=0.1)


def test_evidence_is_held_at_the_level():
    """Days without any order do not make it take days of good sales to end."""
    rows = np.zeros(1, ROW)
    one = np.zeros(1, np.int64)
    for _ in range(20):
        evidence = weigh_plans(rows, one, np.full(1, 50.0), EVEN, SETTINGS)
        close_plan_day(rows, one, EVEN, SETTINGS)
    assert evidence[0] == pytest.approx(np.log(SETTINGS.plan_level))
    rows["plan_day_orders"] = 60
    assert has_caught_up(weigh_plans(rows, one, np.full(1, 60.0), EVEN, SETTINGS), SETTINGS)[0]


@given(orders=st.integers(0, 200), units=st.integers(0, 2_000))
def test_larger_orders_that_bring_the_planned_units_are_no_shortfall(orders, units):
    """Evidence never rises with what is sold, be it in orders or in units."""
    rows = np.zeros(3, ROW)
    rows["units_per_order"] = 4.0
    rows["plan_day_orders"] = [orders, orders + 1, orders]
    rows["plan_day_units"] = [units, units, units + 4]
    plain, more_orders, more_units = weigh_plans(
        rows, np.arange(3), np.full(3, 100.0), POOL, SETTINGS
    )
    assert more_orders <= plain
    assert more_units <= plain


# -- through a shard -------------------------------------------------------------------------------


def plan(sale: Sale, day: int, days: int, units: int, item: tuple[str, str] = LAMP) -> Sale:
    """Plan a campaign, two days ahead."""
    window = {"starts_at": FIRST + day * DAY, "ends_at": FIRST + (day + days) * DAY}
    sale.tell("campaigns", (day - 2) * DAY, event, item, kind="planned", campaign_id="c",
              expected_units=units, **window)  # fmt: skip
    return sale


def short_sale(days: int = 24) -> Sale:
    """Lamps are planned at ten an hour from day 20 on, and go on to sell one."""
    sale = Sale().sell(LAMP, range(days)).sell(DESK, range(days), 3)
    return plan(sale, 20, 3, 3 * 240)


def shortfalls(run: Run) -> list[tuple[str, str]]:
    """State and subject of each step."""
    return [(one["state"], one["subject"]) for one in alerts_of(run, "plan_shortfall")]


@pytest.mark.slow
def test_a_line_that_sells_a_tenth_of_its_plan_is_told_until_its_window_ends():
    """One incident with the share and its range, what will be left, and one action."""
    run = short_sale().run(24, USUAL)
    mine = [one for one in alerts_of(run, "plan_shortfall") if one["sku"] == LAMP[0]]
    assert [one["state"] for one in mine] == ["raised", "resolved"]
    raised = mine[0]
    figures = raised["figures"]
    assert raised["occurred_at"] < mine[1]["occurred_at"]
    assert figures["factor_low"] < figures["factor"] < figures["factor_high"] < NULL_SHARE
    assert figures["planned_orders"] > figures["orders"] > 0
    assert figures["units_short_at_end"] == pytest.approx(0.9 * 720, rel=0.15)
    assert figures["campaigns"] == "c"
    assert raised["action"] in {*INCIDENT_KINDS[AlertKind.PLAN_SHORTFALL].actions} - {CHECK_OFFER}


@pytest.mark.slow
def test_a_plan_that_is_met_raises_nothing():
    """As many orders as planned are no shortfall."""
    sale = Sale().sell(LAMP, range(20)).sell(LAMP, range(20, 23), 10).sell(DESK, range(24), 3)
    assert shortfalls(plan(sale, 20, 3, 3 * 240).run(24, USUAL)) == []


@pytest.mark.slow
def test_a_plan_that_is_caught_up_resolves_the_shortfall():
    """It ends by the orders that come, before the window does, and does not flap."""
    sale = Sale().sell(LAMP, range(21)).sell(LAMP, range(21, 25), 12).sell(DESK, range(26), 3)
    told = [one for one in alerts_of(plan(sale, 20, 5, 5 * 240).run(26, USUAL), "plan_shortfall")
            if one["sku"]]  # fmt: skip
    assert [one["state"] for one in told] == ["raised", "resolved"]
    assert told[1]["figures"]["factor"] > told[0]["figures"]["factor"]


@pytest.mark.slow
def test_nothing_to_sell_is_no_shortfall():
    """The record says that the lamps are gone from the first hour of the window on."""
    sale = Sale().sell(LAMP, range(20)).sell(DESK, range(24), 3)
    sale.tell("stock", 20 * DAY + MINUTE, event, LAMP, kind="counted", level=0)
    assert shortfalls(plan(sale, 20, 3, 3 * 240).run(24, USUAL)) == []


def test_a_silent_feed_is_no_shortfall():
    """No order of anything comes in the window: that is another alert."""
    sale = Sale().sell(LAMP, range(20)).sell(DESK, range(20), 3)
    run = plan(sale, 20, 3, 3 * 240).run(24, USUAL)
    assert shortfalls(run) == []
    assert [one["state"] for one in alerts_of(run, "stale_input")] == ["raised"]


@pytest.mark.slow
def test_a_cancelled_line_ends_its_shortfall():
    """No plan, no shortfall; what was seen of it is forgotten."""
    sale = short_sale()
    sale.tell("campaigns", 21 * DAY, event, LAMP, kind="cancelled", campaign_id="c")
    run = sale.run(24, USUAL)
    told = [one for one in alerts_of(run, "plan_shortfall") if one["sku"]]
    assert [one["state"] for one in told] == ["raised", "resolved"]
    rows = run.shard.timeline.items.rows
    assert not rows["plan_due_orders"].any()
    assert not rows["plan_logs"].any()


@pytest.mark.slow
def test_thin_lines_of_a_campaign_are_told_by_their_total():
    """Forty lines that plan six orders a day each: none alone tells anything within the window."""
    sale = Sale().sell(DESK, range(24), 4)
    thin = [(f"thin{number}", "main") for number in range(40)]
    for item in thin:
        plan(sale, 20, 2, 12, item)
    for day in range(22):
        for number, item in enumerate(thin):
            at = day * DAY + number * 30 * MINUTE
            order_id = f"t{day}-{number}"
            sale.tell("orders", at, event, item, kind="placed", order_id=order_id, quantity=1)
    told = alerts_of(sale.run(24, USUAL), "plan_shortfall")
    assert [one["subject"] for one in told if one["state"] == "raised"] == ["campaign:c"]
    assert told[0]["figures"]["judged_by"] == "total"
