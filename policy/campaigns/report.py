"""After a campaign: plan against actual, why they differ, what it cost, what to change.

The case is that of the check, with `actual_hours` of each line (`hour` after the start, `units`,
`planned_units`, `out_share` without stock, `late_supply`, `surge`, `cancelled_late_units`), or only
`actual_units`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policy.campaigns.case import Case, Line
from policy.campaigns.figures import tidy
from policy.campaigns.reading import Given, Notes
from policy.campaigns.reading_case import read_case
from policy.errors import PolicyInputError

CAUSES = ("plan", "surge", "stock_out", "late_supply", "capacity")
_HOURS_A_DAY = 24.0
_MUCH = 0.1  # of the plan: what is worth a change


@dataclass(frozen=True)
class Hour:
    """One hour of a line, or all of it as one."""

    hour: int
    units: float
    planned_units: float
    out_share: float  # of the hour, without stock
    is_late_supply: bool  # an order to the supplier was late then
    is_surge: bool
    cancelled_late_units: float  # that customers took back because they waited


@dataclass(frozen=True)
class Actual:
    """What a line did."""

    line: Line
    hours: tuple[Hour, ...]
    has_hours: bool
    last_year_units: float | None

    @property
    def units(self) -> float:
        """Units that were sold."""
        return math.fsum(one.units for one in self.hours)

    @property
    def pace(self) -> float:
        """Sold over planned in the hours with stock; 1 where nothing was planned then."""
        full = [one for one in self.hours if one.out_share == 0]
        planned = math.fsum(one.planned_units for one in full)
        return math.fsum(one.units for one in full) / planned if planned > 0 else 1.0

    def lost(self, hour: Hour) -> float:
        """Units that would have sold in the part of an hour without stock, at the line's pace."""
        return hour.out_share * hour.planned_units * self.pace

    @property
    def lost_units(self) -> float:
        """Units that nobody could sell."""
        return math.fsum(self.lost(one) for one in self.hours)

    @property
    def demand(self) -> float:
        """Units that customers wanted: sold, not there, and taken back because they were late."""
        cancelled = math.fsum(one.cancelled_late_units for one in self.hours)
        return self.units + self.lost_units + cancelled


def report_campaign(value: Any) -> dict[str, Any]:
    """Return what a campaign brought beside its plan.

    The causes of a gap add up to it: sales beyond the plan in a surge; sales lost without stock,
    because of late suppliers or not; orders taken back because they were late; the rest is the
    plan's own error.

    Raises:
        PolicyInputError: names the field, its rule and the value.

    >>> hours = [{"hour": 0, "units": 50}, {"hour": 1, "units": 20, "out_share": 0.5}]
    >>> found = report_campaign({"starts_in_days": -1, "ends_in_days": -0.9, "lines": [
    ...     {"sku": "A", "expected_units": 80, "stock_units": 0, "actual_hours": [
    ...         {**hour, "planned_units": 40} for hour in hours]}]})
    >>> found["gap_units"], found["causes"]["stock_out"], found["causes"]["plan"]
    (-10, -25, 15)
    """
    case = read_case(value)
    given = Given(value, "", Notes())
    actuals = [
        _actual(case, line, one)
        for line, one in zip(case.lines, given.objects("lines"), strict=True)
    ]
    rows = [_row(case, one) for one in actuals]
    causes = _sum_of(rows)
    planned = math.fsum(one.line.expected_units for one in actuals)
    sold = math.fsum(one.units for one in actuals)
    return {
        "campaign_id": case.campaign_id,
        "currency": case.currency,
        "planned_units": tidy(planned),
        "actual_units": tidy(sold),
        "gap_units": _exact(math.fsum(row["gap_units"] for row in rows)),
        "bias": _share(sold - planned, planned),
        "wape_by_sku": _share(
            math.fsum(abs(one.units - one.line.expected_units) for one in actuals), sold
        ),
        "wape_by_hour": _wape_by_hour(actuals),
        "causes": causes,
        "causes_ranked": sorted(
            ({"cause": name, "units": units} for name, units in causes.items() if units),
            key=lambda one: -abs(one["units"]),
        ),
        "year_on_year": _year_on_year(actuals, given, sold),
        "lines": rows,
        "hours": _hours(actuals),
        "service": _service(given),
        "money": _money(case, actuals, given),
        "actions_taken": _listed(given, "actions_taken"),
        "questions": _listed(given, "questions"),
        "changes": _changes(rows, given),
        "next": {
            "lines": [_next(case, one, actuals) for one in actuals if one.line.baseline_units]
        },
    }


def _listed(given: Given, name: str) -> list[Any]:
    value = given.take(name)
    if value is not None and not isinstance(value, list | tuple):
        raise PolicyInputError(name, "a list", value)
    return list(value or [])


def _actual(case: Case, line: Line, given: Given) -> Actual:
    whole = given.number("actual_units")
    listed = list(given.objects("actual_hours"))
    if whole is None and not listed:
        rule = "given: a number >= 0, or actual_hours"
        raise PolicyInputError(given.name_of("actual_units"), rule, None)
    if listed:
        hours = _read_hours(case, line, listed)
        total = math.fsum(one.units for one in hours)
        if whole is not None and abs(total - whole) > 1e-6 * max(1.0, whole):
            given.refuse("actual_units", f"the sum of actual_hours ({total:g}), or left out")
    else:
        hours = [Hour(0, whole or 0.0, line.expected_units, 0.0, False, False, 0.0)]
    return Actual(line, tuple(hours), bool(listed), given.number("last_year_units"))


def _read_hours(case: Case, line: Line, listed: Sequence[Given]) -> list[Hour]:
    """Return the hours of a line; where they have no plan it is spread as the orders are."""
    plan = _plan_by_hour(case, line)
    found, seen = [], set()
    for one in listed:
        hour = int(one.needed("hour", is_whole=True, high=1e6))
        if hour in seen:
            one.refuse("hour", "another one for each entry")
        seen.add(hour)
        found.append(
            Hour(
                hour,
                one.needed("units"),
                one.number_or("planned_units", plan.get(hour, 0.0)),
                one.number_or("out_share", 0.0, high=1),
                one.flag("late_supply"),
                one.flag("surge"),
                one.number_or("cancelled_late_units", 0.0),
            )
        )
        one.done()
    return sorted(found, key=lambda one: one.hour)


def _plan_by_hour(case: Case, line: Line) -> dict[int, float]:
    """Return the planned units of each hour: those of a day are spread evenly over its hours."""
    hours = max(1, math.ceil((case.ends_in_days - case.starts_in_days) * _HOURS_A_DAY - 1e-9))
    shares = case.profile if len(case.profile) > 1 else (1.0,) * max(1, math.ceil(hours / 24))
    whole = math.fsum(shares)
    found: dict[int, float] = {}
    for day, share in enumerate(shares):
        own = [hour for hour in range(day * 24, day * 24 + 24) if hour < hours]
        for hour in own:
            found[hour] = line.expected_units * share / whole / len(own)
    if len(case.profile) == 1:  # the same in every hour, whatever the last day's length
        found = dict.fromkeys(range(hours), line.expected_units / hours)
    return found


# --- lines ------------------------------------------------------------------------------------


def _row(case: Case, one: Actual) -> dict[str, Any]:
    line = one.line
    gap = one.units - line.expected_units
    causes = causes_of(one)
    margin = line.margin
    missed = one.demand - one.units
    return {
        "sku": line.sku,
        "warehouse": line.stocks[0].warehouse,
        "planned_units": tidy(line.expected_units),
        "actual_units": tidy(one.units),
        "gap_units": _exact(gap),
        "bias": _share(gap, line.expected_units),
        "wape_by_hour": _wape_by_hour([one]),
        "causes": causes,
        "lost_units": tidy(one.lost_units),
        "demand_units": tidy(one.demand),
        "lost_margin": None if margin is None else tidy(missed * max(0.0, margin)),
        "uplift": None if not line.baseline_units else tidy(one.demand / line.baseline_units),
        "was_inside_range": line.low_units <= one.demand <= line.high_units,
    }


def causes_of(one: Actual) -> dict[str, float]:
    """Return the causes of a line's gap in units, which add up to it as they are shown."""
    stock_out = math.fsum(-one.lost(hour) for hour in one.hours if not hour.is_late_supply)
    late = math.fsum(-one.lost(hour) for hour in one.hours if hour.is_late_supply)
    capacity = math.fsum(-hour.cancelled_late_units for hour in one.hours)
    surge = math.fsum(
        max(0.0, hour.units + one.lost(hour) - hour.planned_units)
        for hour in one.hours
        if hour.is_surge
    )
    known = {
        "surge": _exact(surge),
        "stock_out": _exact(stock_out),
        "late_supply": _exact(late),
        "capacity": _exact(capacity),
    }
    gap = _exact(one.units - one.line.expected_units)
    return {"plan": _exact(gap - math.fsum(known.values())), **known}


def _exact(value: float) -> float | int:
    """Return a number in millionths, so that sums of what is shown are what is shown as the sum."""
    rounded = round(value, 6)
    return int(rounded) if rounded == math.trunc(rounded) else rounded


def _sum_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return {name: _exact(math.fsum(row["causes"][name] for row in rows)) for name in CAUSES}


def _share(part: float, whole: float) -> float | None:
    """Return a share; None where there is nothing to compare with."""
    return None if whole <= 0 else tidy(part / whole)


def _wape_by_hour(actuals: Sequence[Actual]) -> float | None:
    """Return the absolute errors of all hours over the units sold; None without hours."""
    with_hours = [one for one in actuals if one.has_hours]
    errors = [abs(hour.units - hour.planned_units) for one in with_hours for hour in one.hours]
    return _share(math.fsum(errors), math.fsum(one.units for one in with_hours))


def _hours(actuals: Sequence[Actual]) -> list[dict[str, Any]]:
    """Return planned and sold units of each hour, over all lines."""
    found: dict[int, list[float]] = {}
    for one in actuals:
        for hour in one.hours if one.has_hours else ():
            sums = found.setdefault(hour.hour, [0.0, 0.0, 0.0])
            sums[0] += hour.planned_units
            sums[1] += hour.units
            sums[2] += one.lost(hour)
    return [
        {"hour": hour, "planned_units": tidy(planned), "actual_units": tidy(sold),
         "lost_units": tidy(lost)}
        for hour, (planned, sold, lost) in sorted(found.items())
    ]  # fmt: skip


def _year_on_year(actuals: Sequence[Actual], given: Given, sold: float) -> float | None:
    whole = given.number("last_year_units")
    own = [one.last_year_units for one in actuals if one.last_year_units is not None]
    before = math.fsum(own) if whole is None and own else whole
    return None if not before else tidy(sold / before - 1)


def _service(given: Given) -> dict[str, Any] | None:
    """Return how fast orders shipped; None where nobody says it."""
    value = given.take("service")
    if value is None:
        return None
    one = Given(value, "service", given.notes)
    orders = one.needed("orders")
    late = one.number_or("late_orders", 0.0)
    if late > orders:
        one.refuse("late_orders", f"<= orders ({orders:g})")
    hours, capacity = one.number("ship_hours_median"), one.number("shipped_orders_per_day")
    one.done("note")
    return {
        "orders": tidy(orders),
        "late_orders": tidy(late),
        "late_share": _share(late, orders),
        "ship_hours_median": hours,
        "shipped_orders_per_day": capacity,
    }


def _money(case: Case, actuals: Sequence[Actual], given: Given) -> dict[str, Any] | None:
    """Return what was earned and lost; None where a price or a unit cost is not known."""
    if any(one.line.margin is None for one in actuals):
        return None
    margin = math.fsum(one.units * (one.line.margin or 0.0) for one in actuals)
    lost = math.fsum((one.demand - one.units) * max(0.0, one.line.margin or 0.0) for one in actuals)
    service = _service(given)
    late = 0.0 if service is None else service["late_orders"] * (case.late_cost_per_order or 0.0)
    spent = 0.0
    for one in given.objects("actions_taken"):
        spent += one.number_or("cost", 0.0)
    return {
        "margin": tidy(margin),
        "ad_budget": tidy(case.ad_budget),
        "actions_cost": tidy(spent),
        "late_cost": tidy(late),
        "result": tidy(margin - case.ad_budget - spent - late),
        "lost_margin": tidy(lost),
    }


# --- what to change ---------------------------------------------------------------------------


def _changes(rows: Sequence[Mapping[str, Any]], given: Given) -> list[dict[str, Any]]:
    """Return what to change before the next campaign, what moved most units first."""
    words = {
        "plan": ("plan it lower", "plan it higher"),
        "surge": ("", "keep stock for surges, or release it in batches"),
        "stock_out": ("buy more of it before the start", ""),
        "late_supply": ("order earlier, or at the other supplier", ""),
        "capacity": ("add capacity before the start, or promise less", ""),
    }
    found = []
    for row in rows:
        for cause, units in row["causes"].items():
            text = words[cause][units > 0]
            if text and abs(units) >= _MUCH * max(1.0, row["planned_units"]):
                found.append({"sku": row["sku"], "cause": cause, "units": units, "do": text})
    return sorted(found, key=lambda one: -abs(one["units"]))


def _next(case: Case, one: Actual, actuals: Sequence[Actual]) -> dict[str, Any]:
    """Return what the next check of a line like this can go by: `--with` takes it."""
    line = one.line
    days = case.ends_in_days - case.starts_in_days
    own = one.demand / line.baseline_units
    before = line.samples or 0
    samples = before + 1
    uplift = ((line.uplift or 0.0) * before + own) / samples if line.uplift else own
    made: dict[str, Any] = {
        "sku": line.sku,
        "baseline_units_per_day": tidy(line.baseline_units / days),
        "uplift": tidy(uplift),
        "uplift_samples": samples if line.uplift else 1,
    }
    factors = [each.demand / each.line.baseline_units
               for each in actuals if each.line.baseline_units]  # fmt: skip
    if len(factors) > 1:
        mean = math.fsum(factors) / len(factors)
        squares = math.fsum((factor - mean) ** 2 for factor in factors)
        sd = math.sqrt(squares / (len(factors) - 1))
        made["expected_units_sd"] = tidy(sd * line.baseline_units)
    return made
