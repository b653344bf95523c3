"""Warehouses of a case, and the extra capacity that could be had, read strictly."""

from __future__ import annotations

import math
from collections.abc import Mapping

from policy.campaigns.case import (
    DEFAULT_WAREHOUSE,
    OPTION_KINDS,
    RESOURCES,
    RETURN_DAYS,
    SHIFT_HOURS,
    Limit,
    Line,
    Option,
    Warehouse,
)
from policy.campaigns.reading import Given
from policy.errors import PolicyInputError


def read_warehouses(given: Given) -> dict[str, Warehouse]:
    """Return the warehouses whose capacity is known.

    One warehouse may stand as an object, or as its orders a day.
    """
    value = given.take("capacity")
    if value is None:
        return {}
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = {"orders_per_day": value}
    listed = value if isinstance(value, list | tuple) else [value]
    found: dict[str, Warehouse] = {}
    for place, one in enumerate(listed):
        inner = Given(one, f"capacity[{place}]", given.notes)
        warehouse = _warehouse(inner)
        if warehouse.name in found:
            inner.refuse("warehouse", "named once")
        found[warehouse.name] = warehouse
    return found


def _warehouse(given: Given) -> Warehouse:
    name = given.text("warehouse") or DEFAULT_WAREHOUSE
    hours, per_hour = given.number("hours_per_day", high=24), _per_hour(given)
    limits = [
        *_ship(given, hours, per_hour),
        *_pack(given, hours),
        *_labour(given, hours),
        *_in_all(given),
    ]
    warehouse = Warehouse(name, tuple(limits), given.number_or("backlog_orders", 0.0), per_hour)
    given.done("note", "stated_at")
    if not limits:
        rule = "an object with orders_per_day or another limit"
        raise PolicyInputError(given.place, rule, name)
    return warehouse


def _per_hour(given: Given) -> tuple[float, ...]:
    """Return the orders an hour: one number, or 24."""
    value = given.take("orders_per_hour")
    if isinstance(value, list | tuple):
        hours = given.numbers("orders_per_hour") or []
        if len(hours) != 24:
            given.refuse("orders_per_hour", "a number, or 24 numbers")
        return tuple(hours)
    one = given.number("orders_per_hour")
    return () if one is None else (one,)


def _hours(given: Given, hours: float | None) -> float:
    if hours is None:
        given.notes.add(f"a day has {SHIFT_HOURS:g} hours of work where hours_per_day is not given")
        return SHIFT_HOURS
    return hours


def _ship(given: Given, hours: float | None, per_hour: tuple[float, ...]) -> list[Limit]:
    a_day = given.number("orders_per_day")
    if len(per_hour) == 24:
        of_hours: float | None = sum(per_hour)
    elif per_hour and (hours is not None or a_day is None):
        of_hours = per_hour[0] * _hours(given, hours)
    else:
        of_hours = None
    known = [one for one in (a_day, of_hours) if one is not None]
    limits = [Limit("ship_capacity", min(known))] if known else []
    units = given.number("units_per_day")
    return [*limits, *([] if units is None else [Limit("units_capacity", units, is_units=True)])]


def _pack(given: Given, hours: float | None) -> list[Limit]:
    a_day = given.number("pack_orders_per_day")
    packers, minutes = (
        given.number("packers"),
        given.number("pack_minutes_per_order", is_above=True),
    )
    if (packers is None) != (minutes is None):
        missing = "packers" if packers is None else "pack_minutes_per_order"
        given.refuse(missing, "given: packers and pack_minutes_per_order go together")
    if packers is not None and minutes is not None:
        of_people = packers * _hours(given, hours) * 60 / minutes
        a_day = of_people if a_day is None else min(a_day, of_people)
    return [] if a_day is None else [Limit("pack_capacity", a_day)]


def _labour(given: Given, hours: float | None) -> list[Limit]:
    staff, each = given.number("staff"), given.number("orders_per_staff_hour")
    if (staff is None) != (each is None):
        missing = "staff" if staff is None else "orders_per_staff_hour"
        given.refuse(missing, "given: staff and orders_per_staff_hour go together")
    if staff is None or each is None:
        return []
    return [Limit("labour_capacity", staff * each * _hours(given, hours))]


def _in_all(given: Given) -> list[Limit]:
    """Return the limits of the whole campaign: space, packaging, returns."""
    limits = []
    space, packages = given.number("space_units"), given.number("packages")
    if space is not None:
        limits.append(Limit("space", space, is_daily=False, is_units=True))
    if packages is not None:
        limits.append(Limit("packaging", packages, is_daily=False))
    a_day, share = given.number("returns_per_day"), given.number("return_share", high=1)
    days = given.number_or("return_days", RETURN_DAYS, is_above=True)
    if a_day is not None and share is None:
        given.notes.add("no order comes back where return_share is not given")
    if a_day is not None and share:
        limits.append(Limit("returns_capacity", a_day * days / share, is_daily=False))
    return limits


def read_option(given: Given, only: str) -> Option:
    kind = given.choice("kind", OPTION_KINDS, "other")
    resources = given.take("resources")
    if resources is None:
        resources = ("ship",) if "carrier" in kind else ("ship", "pack", "labour", "units")
    if not isinstance(resources, list | tuple) or any(one not in RESOURCES for one in resources):
        given.refuse("resources", f"a list of {', '.join(RESOURCES)}")
    option = Option(
        name=given.text("name") or kind,
        kind=kind,
        warehouse=given.text("warehouse") or only,
        orders_per_day=given.number_or("orders_per_day", 0.0),
        start_delay_days=given.number_or("start_delay_days", 0.0),
        cost_per_day=given.number_or("cost_per_day", 0.0),
        cost_per_order=given.number_or("cost_per_order", 0.0),
        fixed_cost=given.number_or("fixed_cost", 0.0),
        maximum_days=given.number_or("maximum_days", math.inf),
        resources=tuple(resources),
        space_units=given.number_or("space_units", 0.0),
        packages=given.number_or("packages", 0.0),
    )
    given.done("note")
    if not option.orders_per_day and not option.space_units and not option.packages:
        given.refuse("orders_per_day", "> 0, or space_units or packages > 0")
    return option


def check_warehouses(
    given: Given,
    lines: tuple[Line, ...],
    options: tuple[Option, ...],
    known: Mapping[str, Warehouse],
) -> None:
    """Note the warehouses whose capacity nobody knows; refuse options of others."""
    used = dict.fromkeys(name for line in lines for name in line.warehouses)
    for name in used:
        if name not in known:
            given.notes.add(f"the capacity of warehouse {name} is not known: it limits nothing")
    for place, option in enumerate(options):
        if option.warehouse not in used:
            rule = f"a warehouse of the lines: {', '.join(used)}"
            raise PolicyInputError(f"extra_capacity[{place}].warehouse", rule, option.warehouse)
