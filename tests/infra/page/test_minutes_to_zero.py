"""One stock in one state lasts equally long wherever people read it: alerts, page, command line."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.cli.item import _show, item_record
from infra.cli.terminal.output import make_console
from infra.page.contracts import ItemsQuery
from infra.page.views.items import ItemsView
from infra.page.views.now import now
from infra.wording.format import duration
from streams.contracts.alerts import AlertKind
from streams.demand.week_profile import Profile, flat_profile, learn_day
from streams.detection.stock_cover import available_units, cover_ratios, net_stock_units
from streams.settings import ProfileSettings
from streams.state.items import ROW
from streams.types import Table
from tests.infra.metrics.test_worker import run_of
from tests.infra.page.test_incident_kinds import state_of
from tests.infra.page.test_views import NOW_MS, STEADY, snapshot_of
from tests.streams.runs import Run

RUN = run_of(1)
CLOSED_AT_NIGHT = [0.0] * 8 + [30.0] * 12 + [5.0] * 4


def week_of(hours: list[float]) -> Profile:
    """A week of the shop in which every day sold this much in its hours."""
    profile = flat_profile()
    for day in range(7):
        profile, _ = learn_day(profile, np.array(hours), 20_000 + day, ProfileSettings())
    return profile


def alerts_of(run: Run, row: Table, profile: Profile, *, surges: bool) -> dict[str, Any]:
    """Raise low cover, and a surge before it; return what both alerts tell, by kind."""
    alerts, items = run.shard.timeline.alerts, run.shard.timeline.items
    alerts.learn_day(1.0, profile)
    items.rows[0] = row
    items.rows["low_cover_since_ms"][0] = items.rows["surge_since_ms"][0] = 0
    first = np.zeros(1, np.int32)
    reported = [*alerts.raise_surges(first, items, NOW_MS)] if surges else []
    alerts.touch(first)
    reported += alerts.close_tick(NOW_MS, items)
    found = [json.loads(one.value) for one in reported]
    return {one["kind"]: one["figures"] for one in found}


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """A counted item that sells, with what a surge has brought so far."""
    level = draw(st.floats(0.05, 500))
    return {
        "counted_at_ms": NOW_MS - 1,
        "next_review_ms": NOW_MS + 1,
        "lead_time_days_flexible": 1e6,  # whatever there is, it is too little
        "on_hand_units": draw(st.integers(-5, 2_000)),
        "backlog_units": draw(st.integers(0, 50)),
        "observed_days": 30,
        "demand_level_units_per_day": level,
        "order_level_per_day": level / draw(st.floats(1, 5)),
        "baseline_orders": draw(st.floats(0.1, 900)),
        "baseline_days": 30.0,
        "baseline_pace": draw(st.floats(0.5, 2)),
        "surge_orders": draw(st.integers(8, 500)),
        "surge_days": draw(st.floats(0.001, 1)),
        "surge_start_ms": NOW_MS - 3_600_000,
    }


@pytest.mark.slow
@given(
    fields=rows(),
    hours=st.lists(st.floats(0, 100), min_size=24, max_size=24),
    surges=st.booleans(),
)
def test_alerts_page_and_command_line_tell_the_same_minutes(
    fields: dict[str, Any], hours: list[float], surges: bool
):
    """Whatever the stock, the demand and the shop's week, in a surge and without one."""
    profile = week_of(hours)
    reported = alerts_of(RUN, state_of(**fields).row, profile, surges=surges)
    minutes = reported[AlertKind.LOW_COVER]["minutes_to_zero"]
    if surges:
        assert reported[AlertKind.SURGE]["minutes_to_zero"] == minutes
    row = RUN.shard.timeline.items.rows[0]
    state = replace(state_of(), row=row, applied_ms=NOW_MS, profile=profile)
    assert item_record(state, None)["minutes_to_zero"] == minutes
    snapshot = snapshot_of({name: row[name] for name in ROW.names or ()})
    (shard,) = snapshot.shards
    snapshot = replace(snapshot, shards=[replace(shard, profile=profile.state())])
    (shown,) = ItemsView(snapshot).page(ItemsQuery()).items
    assert shown.minutes_to_zero == minutes
    assert shown.available_units == reported[AlertKind.LOW_COVER]["available_units"]


def test_command_line_says_the_minutes_in_words(capsys: pytest.CaptureFixture[str]):
    """The text is the same number as a span of time, by the hours in which the shop sells."""
    profile = week_of(CLOSED_AT_NIGHT)
    row = state_of(**STEADY, counted_at_ms=1).row
    state = replace(state_of(), row=row, applied_ms=NOW_MS, profile=profile)
    minutes = item_record(state, None)["minutes_to_zero"]
    assert 4 * 60 < minutes < 10 * 60  # ten units at 24 a day: before the night, not in ten hours
    _show(make_console(), state, None)
    assert f"the stock lasts {duration(60 * minutes)} at this rate" in capsys.readouterr().out


def test_stock_that_does_not_sell_is_out_at_nothing_and_else_lasts_for_good():
    """0 where nothing is available, None where it never runs out or was never counted."""
    snapshot = snapshot_of({"on_hand_units": 3}, {}, {"counted_at_ms": 0}, {"backlog_units": 4})
    view = ItemsView(snapshot)
    assert [view.item(n).minutes_to_zero for n in range(4)] == [None, 0, None, 0]
    assert view.page(ItemsQuery(only="out")).total == now(snapshot).items_out == 0  # nobody asks


def test_speed_of_this_hour_is_distinguished_and_stands_first():
    """A fast hour moves an item up the list; what its alerts tell is not touched by it."""
    stock = {**STEADY, "on_hand_units": 60}
    snapshot = snapshot_of({**stock, "on_hand_units": 50}, stock, last_hour=np.array([1.0, 30.0]))
    first, second = ItemsView(snapshot).page(ItemsQuery()).items
    assert (first.sku, first.minutes_to_zero, first.minutes_at_speed) == ("b", 3600, 120)
    assert (second.sku, second.minutes_to_zero, second.minutes_at_speed) == ("a", 3000, None)


@pytest.mark.slow
@given(stocks=st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 9)), min_size=1))
def test_cover_counts_what_is_available(stocks: list[tuple[int, int]]):
    """The kernel judges by the same units that are reported: the net stock, or 0 below."""
    table = np.zeros(len(stocks), ROW)
    table["on_hand_units"], table["backlog_units"] = np.array(stocks).T
    table["counted_at_ms"] = table["next_review_ms"] = 1
    table["demand_level_units_per_day"] = table["lead_time_days_flexible"] = 1.0
    ratios = cover_ratios(table, np.arange(table.size), 0)
    assert ratios.tolist() == available_units(table).tolist()
    assert ratios.tolist() == [max(units, 0) for units in net_stock_units(table).tolist()]
