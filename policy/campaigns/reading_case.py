"""A case as the object of JSON that it is, read strictly, with stated defaults."""

from __future__ import annotations

import math
from typing import Any

from policy.campaigns.case import (
    CONFIDENCE,
    DEFAULT_WAREHOUSE,
    DESCRIPTIONS,
    LINE_DESCRIPTIONS,
    MOST_PROFILE_DAYS,
    NORMAL_90,
    NOTICE_DAYS,
    Arrival,
    Case,
    Line,
    Lot,
    Purchase,
    Stock,
    Substitute,
)
from policy.campaigns.reading import Given, Notes
from policy.campaigns.reading_capacity import check_warehouses, read_option, read_warehouses
from policy.errors import PolicyInputError


def read_case(value: Any) -> Case:
    """Return a case from the object that JSON gives.

    Raises:
        PolicyInputError: names the field, its rule and the value.
    """
    notes = Notes()
    given = Given(value, "", notes)
    campaign_id = given.text("campaign_id") or "campaign"
    starts, ends, has_start = _window(given)
    promise = given.number("promise_days", high=3650)
    if promise is None:
        notes.add("no promise_days: capacity limits nothing, only the days to ship are shown")
    confidence = given.number_or("confidence", CONFIDENCE, low=0.5, high=0.999)
    warehouses = read_warehouses(given)
    only = next(iter(warehouses)) if len(warehouses) == 1 else DEFAULT_WAREHOUSE
    per_order = given.number("units_per_order", is_above=True)
    lines = tuple(_line(one, only, per_order, ends - starts) for one in given.objects("lines"))
    _check_homes(value, lines, tuple(warehouses))
    _check_lines(given, lines)
    options = tuple(read_option(one, only) for one in given.objects("extra_capacity"))
    check_warehouses(given, lines, options, warehouses)
    case = Case(
        campaign_id=campaign_id,
        currency=given.text("currency"),
        starts_in_days=starts,
        ends_in_days=ends,
        has_start=has_start,
        promise_days=promise,
        profile=_profile(given, ends - starts),
        peak_hour_share=given.number("peak_hour_share", high=1),
        confidence=confidence,
        ad_budget=_ad_budget(given, lines),
        late_cost_per_order=_late_cost(given),
        lines=lines,
        warehouses=warehouses,
        options=options,
        notes=tuple(notes.texts),
    )
    given.done(*DESCRIPTIONS)
    return case


def _window(given: Given) -> tuple[float, float, bool]:
    starts = given.number("starts_in_days", low=-3650, high=3650)
    ends = given.number("ends_in_days", low=-3650, high=3650)
    has_start = starts is not None
    if starts is None:
        starts = NOTICE_DAYS
        given.notes.add(f"the start is not given: {NOTICE_DAYS:g} days from now")
    if ends is None:
        ends = starts + 1
        given.notes.add("the end is not given: one day after the start")
    if not ends > starts:
        given.refuse("ends_in_days", f"> starts_in_days ({starts:g})")
    return starts, ends, has_start


def _late_cost(given: Given) -> float | None:
    cost = given.number("late_cost_per_order")
    if cost is None:
        given.notes.add("a late order costs its margin (late_cost_per_order)")
    return cost


def _ad_budget(given: Given, lines: tuple[Line, ...]) -> float:
    whole = given.number("ad_budget")
    return sum(line.ad_budget or 0.0 for line in lines) if whole is None else whole


def _profile(given: Given, days: float) -> tuple[float, ...]:
    """Return the share of the orders that each day brings."""
    value = given.take("order_profile")
    if value is None:
        given.notes.add("orders come all at once, at the start (order_profile: at_once)")
    if value in (None, "at_once"):
        return (1.0,)
    if value == "even":
        count = max(1, min(MOST_PROFILE_DAYS, math.ceil(days - 1e-9)))
        return (1.0 / count,) * count
    name = given.name_of("order_profile")
    rule = f"at_once, even, or a list of 1 to {MOST_PROFILE_DAYS} shares, one a day, above 0 in all"
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MOST_PROFILE_DAYS:
        raise PolicyInputError(name, rule, value)
    shares = given.numbers("order_profile") or []
    if not sum(shares) > 0:
        raise PolicyInputError(name, rule, value)
    return tuple(share / sum(shares) for share in shares)


# --- lines ------------------------------------------------------------------------------------


def _line(given: Given, only: str, per_order: float | None, days: float) -> Line:
    sku = given.needed_text("sku")
    warehouse = given.text("warehouse")
    home = warehouse or only
    expected, baseline, uplift, samples = _expected(given, days)
    low, high = _range(given, expected)
    own_per_order = given.number("units_per_order", is_above=True)
    if own_per_order is None and per_order is None:
        given.notes.add("an order has one unit (units_per_order)")
    stocks = _stocks(given, home)
    if warehouse is None and len(stocks) > 0:
        home = stocks[0].warehouse
    price, unit_cost = given.number("price"), given.number("unit_cost")
    line = Line(
        sku=sku,
        expected_units=expected,
        low_units=low,
        high_units=high,
        baseline_units=baseline,
        uplift=uplift,
        samples=samples,
        price=price,
        unit_cost=unit_cost,
        ad_budget=given.number("ad_budget"),
        promise_days=given.number("promise_days", high=3650),
        units_per_order=own_per_order or per_order or 1.0,
        give_up_cost_per_unit=_give_up(given, price, unit_cost),
        stocks=stocks,
        arrivals=tuple(_arrival(one, home) for one in given.objects("arrivals")),
        purchases=tuple(_purchase(one, home) for one in given.objects("purchases")),
        substitutes=tuple(_substitute(one) for one in given.objects("substitutes")),
    )
    given.done(*LINE_DESCRIPTIONS)
    return line


def _expected(given: Given, days: float) -> tuple[float, float, float | None, int | None]:
    """Return the expected units, the baseline in the window, the uplift and its sample size."""
    expected = given.number("expected_units")
    baseline_a_day = given.number("baseline_units_per_day")
    uplift = given.number("uplift")
    samples = given.number("uplift_samples", is_whole=True)
    baseline = (baseline_a_day or 0.0) * days
    if expected is None:
        if baseline_a_day is None or uplift is None:
            rule = "given: a number >= 0, or baseline_units_per_day and uplift"
            raise PolicyInputError(given.name_of("expected_units"), rule, None)
        expected = baseline * uplift
        given.notes.add("expected_units is baseline_units_per_day x days x uplift where not given")
    return expected, baseline, uplift, None if samples is None else int(samples)


def _range(given: Given, expected: float) -> tuple[float, float]:
    """Return the units that one in ten stays below, and that one in ten goes above."""
    low = given.number("expected_units_p10")
    high = given.number("expected_units_p90")
    sd = given.number("expected_units_sd")
    if low is not None and low > expected:
        given.refuse("expected_units_p10", f"<= expected_units ({expected:g})")
    if high is not None and high < expected:
        given.refuse("expected_units_p90", f">= expected_units ({expected:g})")
    if sd is None and low is None and high is None:
        given.notes.add("expected_units is taken as exact where no range is given "
                        "(expected_units_p90 or expected_units_sd)")  # fmt: skip
    half = NORMAL_90 * (sd or 0.0)
    if low is None:
        low = max(0.0, expected - (half if high is None or sd else high - expected))
    if high is None:
        high = expected + (half if sd is not None else expected - low)
    return low, high


def _give_up(given: Given, price: float | None, unit_cost: float | None) -> float | None:
    """Return what a unit costs that the target is made smaller by; None means it has to stay."""
    cost = given.number("give_up_cost_per_unit")
    may = given.flag("may_reduce")
    if cost is not None or not may:
        return cost
    if price is None or unit_cost is None:
        given.refuse("may_reduce", "given with price and unit_cost, or give_up_cost_per_unit")
    return max(0.0, (price or 0.0) - (unit_cost or 0.0))


def _stocks(given: Given, home: str) -> tuple[Stock, ...]:
    """Return the stock of a line: its own fields, or one object for each warehouse."""
    listed = tuple(_stock(one, home) for one in given.objects("stock"))
    own = _stock_fields(given, home)
    if listed and own is not None:
        given.refuse("stock", "left out where stock_units or lots are given")
    names = [stock.warehouse for stock in listed]
    if len(set(names)) < len(names):
        given.refuse("stock", "one object for each warehouse")
    if not listed and own is None:
        given.notes.add("stock is 0 where neither stock_units nor lots nor stock is given")
        return (Stock(home, 0.0, 0.0, 0.0, ()),)
    return listed or (own,)  # type: ignore[return-value]


def _stock(given: Given, home: str) -> Stock:
    warehouse = given.text("warehouse") or home
    found = _stock_fields(given, warehouse)
    if found is None:
        raise PolicyInputError(given.name_of("stock_units"), "given: a number >= 0, or lots", None)
    given.done()
    return found


def _stock_fields(given: Given, warehouse: str) -> Stock | None:
    units = given.number("stock_units")
    blocked = given.number_or("blocked_units", 0.0)
    owed = given.number_or("owed_units", 0.0)
    lots = tuple(_lot(one) for one in given.objects("lots"))
    in_lots = sum(lot.units for lot in lots)
    if units is None and not lots:
        if blocked or owed:
            given.refuse("blocked_units" if blocked else "owed_units", "given with stock_units")
        return None
    if units is not None and in_lots > units * (1 + 1e-9):
        rule = f"of at most stock_units ({units:g}) in all, not {in_lots:g}"
        raise PolicyInputError(given.name_of("lots"), rule, [lot.units for lot in lots])
    units = in_lots if units is None else units
    if blocked > units:
        given.refuse("blocked_units", f"<= stock_units ({units:g})")
    return Stock(warehouse, units, blocked, owed, lots)


def _lot(given: Given) -> Lot:
    lot = Lot(
        given.needed("units"),
        given.number("expires_in_days", low=-36500, high=36500),
        given.flag("blocked"),
    )
    given.done("lot", "name")
    return lot


def _arrival(given: Given, home: str) -> Arrival:
    arrival = Arrival(
        warehouse=given.text("warehouse") or home,
        units=given.needed("units"),
        in_days=given.needed("arrives_in_days", low=-3650, high=3650),
        chance=given.assumed("chance", 1.0, high=1),
        sd_days=given.number_or("sd_days", 0.0),
    )
    given.done("po_id", "supplier", "name")
    return arrival


def _purchase(given: Given, home: str) -> Purchase:
    kind = given.choice("kind", ("lean", "flexible"), "flexible")
    purchase = Purchase(
        kind=kind,
        supplier=given.text("supplier") or kind,
        warehouse=given.text("warehouse") or home,
        lead_time_days=given.needed("lead_time_days"),
        unit_cost=given.needed("unit_cost"),
        order_cost=given.number_or("order_cost", 0.0),
        minimum_units=given.number_or("minimum_units", 0.0),
        pack_units=given.number_or("pack_units", 1.0, is_above=True),
        maximum_units=given.number_or("maximum_units", math.inf),
    )
    given.done("name")
    if purchase.maximum_units < purchase.minimum_units:
        given.refuse("maximum_units", f">= minimum_units ({purchase.minimum_units:g})")
    return purchase


def _substitute(given: Given) -> Substitute:
    found = Substitute(
        given.needed_text("sku"),
        given.number_or("most_units", math.inf),
        given.number_or("cost_per_unit", 0.0),
    )
    given.done()
    return found


def _check_homes(value: Any, lines: tuple[Line, ...], known: tuple[str, ...]) -> None:
    """Refuse a line that does not say which of several warehouses it ships from."""
    if len(known) < 2 or DEFAULT_WAREHOUSE in known:
        return
    for place, line in enumerate(lines):
        if DEFAULT_WAREHOUSE in line.warehouses and _names_none(value["lines"][place]):
            rule = f"given: one of {', '.join(known)}"
            raise PolicyInputError(f"lines[{place}].warehouse", rule, None)


def _names_none(line: Any) -> bool:
    """Whether a line names no warehouse, neither itself nor by its stock."""
    stock = line.get("stock") or []
    return line.get("warehouse") is None and not any(one.get("warehouse") for one in stock)


def _check_lines(given: Given, lines: tuple[Line, ...]) -> None:
    """Refuse lines that stand twice, no lines at all, and substitutes that are not there."""
    if not lines:
        given.refuse("lines", "a list of at least one line")
    names: dict[tuple[str, tuple[str, ...]], int] = {}
    skus = {line.sku for line in lines}
    for place, line in enumerate(lines):
        key = (line.sku, line.warehouses)
        if key in names:
            rule = f"another sku or warehouse than that of lines[{names[key]}]"
            raise PolicyInputError(f"lines[{place}].sku", rule, line.sku)
        names[key] = place
        for number, one in enumerate(line.substitutes):
            if one.sku not in skus or one.sku == line.sku:
                name = f"lines[{place}].substitutes[{number}].sku"
                raise PolicyInputError(name, "the sku of another line", one.sku)
