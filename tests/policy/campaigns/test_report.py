"""The report of a campaign: causes that add up, errors by hand, and what the next check learns."""

import math
import random

import pytest

from policy.campaigns.check import check_campaign
from policy.campaigns.report import CAUSES, report_campaign
from policy.errors import PolicyInputError

WINDOW = {"starts_in_days": -2, "ends_in_days": -1}


def hours(*units, **more):
    """Hours of 40 planned units each; `more` is by hour."""
    return [
        {"hour": hour, "units": count, "planned_units": 40, **more.get(f"h{hour}", {})}
        for hour, count in enumerate(units)
    ]


def line(sku="A", planned=160, **more):
    """A line of four hours."""
    return {"sku": sku, "expected_units": planned, "stock_units": 0, **more}


def test_each_cause_has_its_units_by_hand():
    """Pace 50/40: half an hour without stock loses 25, an hour of a late supplier 50."""
    given = hours(50, 20, 0, 90, h1={"out_share": 0.5}, h2={"out_share": 1, "late_supply": True},
                  h3={"surge": True, "cancelled_late_units": 7})  # fmt: skip
    given[0]["units"], given[3]["units"] = 50, 50
    found = report_campaign({**WINDOW, "lines": [line(actual_hours=given)]})
    # sold 120 of 160: surge +10, without stock -25, late supplier -50, taken back -7, plan +32
    assert found["gap_units"] == -40
    assert found["causes"] == {"plan": 32, "surge": 10, "stock_out": -25, "late_supply": -50,
                               "capacity": -7}  # fmt: skip
    assert found["lines"][0]["demand_units"] == 120 + 75 + 7
    assert [one["cause"] for one in found["causes_ranked"]][:2] == ["late_supply", "plan"]
    assert found["changes"][0]["do"] == "order earlier, or at the other supplier"


def test_causes_add_up_to_the_gap_exactly():
    """For random hours of three items, as the figures are shown."""
    draws = random.Random(25)
    for _ in range(50):
        lines = []
        for sku in "ABC":
            given = hours(*(draws.randrange(0, 99) for _ in range(6)))
            for one in given:
                one |= {"out_share": draws.choice((0, 0, 0.3, 1)), "surge": draws.random() < 0.3,
                        "late_supply": draws.random() < 0.3,
                        "cancelled_late_units": draws.choice((0, 0, 3.7))}  # fmt: skip
            lines.append(line(sku, draws.randrange(1, 400), actual_hours=given))
        found = report_campaign({**WINDOW, "lines": lines})
        for row in [found, *found["lines"]]:
            assert math.isclose(sum(row["causes"][name] for name in CAUSES), row["gap_units"],
                                abs_tol=1e-9)  # fmt: skip


def test_errors_are_those_of_the_books():
    """WAPE by sku (10 + 30) / 120, by hour (10 + 20) / 90; bias -20 / 140."""
    lines = [line("A", 80, actual_hours=hours(50, 40)[:2]), line("B", 60, actual_units=30)]
    lines[0]["actual_hours"][1]["units"] = 20
    found = report_campaign({**WINDOW, "lines": [{**lines[0]}, lines[1]]})
    assert found["wape_by_sku"] == pytest.approx((10 + 30) / 100)
    assert found["wape_by_hour"] == pytest.approx((10 + 20) / 70, abs=1e-6)
    assert found["bias"] == pytest.approx(-40 / 140, abs=1e-6)


def test_a_plan_without_hours_is_spread_over_the_window():
    """A day of 24 hours, 240 units."""
    given = [{"hour": hour, "units": 10} for hour in range(24)]
    found = report_campaign({**WINDOW, "lines": [line(planned=240, actual_hours=given)]})
    assert found["wape_by_hour"] == 0
    assert found["hours"][23] == {
        "hour": 23, "planned_units": 10, "actual_units": 10, "lost_units": 0,
    }  # fmt: skip


def test_money_service_and_last_year():
    """Margin 8; 10 units lost; 5 late orders at 3; ads 100; overtime 50; 40 % more than before."""
    given = hours(40, 40, 40, 20, h3={"out_share": 0.25})
    found = report_campaign(
        {**WINDOW, "late_cost_per_order": 3, "last_year_units": 100,
         "service": {"orders": 140, "late_orders": 5, "ship_hours_median": 20},
         "actions_taken": [{"kind": "overtime", "cost": 50}],
         "lines": [line(actual_hours=given, price=20, unit_cost=12, ad_budget=100)]}
    )  # fmt: skip
    assert found["service"]["late_share"] == pytest.approx(5 / 140, abs=1e-6)
    assert found["money"] == {"margin": 1120, "ad_budget": 100, "actions_cost": 50, "late_cost": 15,
                              "result": 955, "lost_margin": 80}  # fmt: skip
    assert found["year_on_year"] == 0.4


def test_the_second_check_goes_by_the_first_campaigns_uplift():
    """Planned at 2 times the baseline, sold at 3: the next plan is nearer."""
    base = {"baseline_units_per_day": 100, "stock_units": 900, "uplift": 2}
    lines = [{"sku": "A", **base, "actual_units": 310}, {"sku": "B", **base, "actual_units": 290}]
    first = {**WINDOW, "lines": lines}
    learned = report_campaign(first)["next"]["lines"]
    assert [(one["uplift"], one["uplift_samples"]) for one in learned] == [(3.1, 1), (2.9, 1)]
    lines = [{**one, "stock_units": 900} for one in learned]
    second = check_campaign({"starts_in_days": 8, "ends_in_days": 9, "lines": lines})["lines"]
    assert [one["expected_units"] for one in second] == [310, 290]
    assert second[0]["expected_units_p90"] > 310
    actual, planned_before = 305, 200
    assert abs(actual - second[0]["expected_units"]) < abs(actual - planned_before)


def test_learned_uplift_weighs_the_campaigns_before():
    """Two campaigns of 2.0, then one of 5.0: 3.0 of three."""
    one = {"sku": "A", "baseline_units_per_day": 100, "uplift": 2, "uplift_samples": 2,
           "stock_units": 0, "actual_units": 500}  # fmt: skip
    (learned,) = report_campaign({**WINDOW, "lines": [one]})["next"]["lines"]
    assert (learned["uplift"], learned["uplift_samples"]) == (3, 3)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ([line()], "lines[0].actual_units must be given"),
        ([line(actual_hours=hours(1, 2), actual_units=9)], "actual_units must be the sum of"),
        (
            [line(actual_hours=[{"hour": 1, "units": 1}] * 2)],
            "actual_hours[1].hour must be another",
        ),
        ([line(actual_hours=[{"hour": 1, "units": 1, "out_share": 2}])], "out_share must be >= 0"),
    ],
)
def test_lines_that_cannot_be_are_refused(given, text):
    """Field, rule and value."""
    with pytest.raises(PolicyInputError) as refused:
        report_campaign({**WINDOW, "lines": given})
    assert text in str(refused.value)


def test_what_is_no_list_is_refused():
    """Questions and actions are lists."""
    for name in ("questions", "actions_taken"):
        with pytest.raises(PolicyInputError, match=f"{name} must be a list"):
            report_campaign({**WINDOW, "lines": [line(actual_units=1)], name: 5})
