"""The report of a run in shadow, from what was read back."""

import html.parser

from infra.cli.shop.findings import (
    Findings,
    Table,
    compare,
    daily_units,
    findings_of,
    week_forecast,
    why,
)
from infra.cli.shop.report_page import page_of
from infra.cli.shop.shadow import Found, Shadow
from infra.connect.assumed import Sales, assumed_records
from infra.connect.presets import Defaults
from tests.infra.connect.test_assumed import order


def test_a_forecast_has_a_range_that_grows_with_doubt():
    """Days that vary and a level that is hardly known make it wide; it never falls below zero."""
    sure = {"demand_level_units_per_day": 10, "level_orders": 10_000, "demand_variance_units": 0}
    vague = {**sure, "level_orders": 4, "demand_variance_units": 100}
    assert week_forecast(sure) == (70.0, 69, 71)
    mean, low, high = week_forecast(vague)
    assert (mean, low) == (70.0, 13)
    assert high > 110
    assert week_forecast({**vague, "demand_level_units_per_day": 0.1})[1] == 0


def test_why_an_order_was_decided():
    """The position and the demand, and the rule where another one chose."""
    inputs = {"inventory_position_units": 5, "demand_mean_units_per_day": 1.25}
    assert why({"inputs": inputs, "reason": "cost_optimal"}) == "5 there or coming, 1.25 a day"
    assert "minimum" in why({"inputs": inputs, "reason": "minimum_order"})


def test_a_short_history_is_not_compared():
    """Policies need weeks to learn, to settle and to count."""
    sales = Sales()
    for day in range(20_000, 20_030):
        sales.add(order("a", day, 2))
    catalog = [r for r in assumed_records(sales, Defaults()) if r.topic == "catalog"]
    assert compare(sales, catalog) is None
    assert len(daily_units(sales)) == 30


def test_the_page_is_whole_and_runs_nothing():
    """Texts of a shop are shown as text, and nothing is loaded from elsewhere."""
    found = Findings(
        title="<script>alert(1)</script>",
        facts=[("items", "3")],
        taken=["a & b"],
        tables=[Table("Orders", [("item", False), ("units", True)], [("<b>", "4")])],
        sentences=["two"],
        daily_units=[("2026-11-09", 3), ("2026-11-10", 0)],
    )
    page = page_of(found)
    assert "<script" not in page
    assert "http" not in page
    assert "&lt;b&gt;" in page
    html.parser.HTMLParser().feed(page)
    assert found.public()["tables"] == {"Orders": [{"item": "<b>", "units": "4"}]}


def test_an_item_of_a_few_days_has_no_forecast(tmp_path):
    """Two sales in two days say nothing of a week: the item is of no class."""
    item = {
        **{"sku": "a", "estimate_class": "smooth", "demand_level_units_per_day": 6.0},
        **{"level_orders": 2.0, "demand_variance_units": 1.0, "on_hand_units": 4},
    }
    known = [{**item, "observed_days": 2}, {**item, "sku": "b", "observed_days": 30}]
    found = findings_of(Shadow(tmp_path, [], Defaults()), Found(items=known), None)
    tables = {table.title: table for table in found.tables}
    assert [row[0] for row in tables["Forecasts"].rows] == ["b"]
    assert "1 sold for less than a week" in tables["Forecasts"].words
    assert ("unknown", "1") in [row[:2] for row in tables["Demand classes"].rows]
