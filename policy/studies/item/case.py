"""The case of `tidegate simulate item`: its fields, their rules, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policy.classic.fields import Choice, Custom, Field, Number, read_object
from policy.errors import PolicyInputError

LEAN, FLEXIBLE = "lean", "flexible"
MOST_DAYS, MOST_RUNS, MOST_EVENTS = 100_000, 200, 200
DAYS_PER_YEAR = 365.0
FAMILIES = ("negative_binomial", "poisson", "normal", "gamma", "constant")
SERVICE_TYPES = ("cost", "cycle", "fill", "order_cycle", "order_line")
SHORTAGES = ("backorder", "lost")


@dataclass(frozen=True)
class Demand:
    """Demand of a day, independent between days."""

    family: str
    mean: float
    sd: float
    units_per_line: float


@dataclass(frozen=True)
class Supplier:
    """What a supplier asks and how long it takes."""

    lead_time_days: float
    lead_time_sd_days: float
    unit_cost: float
    setup_cost: float
    minimum_order_units: float
    pack_size_units: float


@dataclass(frozen=True)
class Event:
    """Something that happens on a day of every run."""

    day: int
    kind: str
    supplier: str = LEAN
    days: int = 0
    factor: float = 1.0
    announced_days_before: int = 0
    is_announced: bool = True
    units: float = 0.0


@dataclass(frozen=True)
class Case:
    """One item, its suppliers, costs, target and events."""

    days: int
    warm_up_days: int
    seed: int
    runs: int
    demand: Demand
    review_period_days: int
    lean: Supplier
    flexible: Supplier | None
    holding_per_unit_day: float
    backorder_cost_per_unit_day: float
    lost_sale_cost_per_unit: float
    service_type: str
    service_target: float
    is_lost: bool
    is_lead_time_known: bool
    is_demand_known: bool
    events: tuple[Event, ...]


def _flag(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise PolicyInputError(name, "true or false", value)
    return value


def _boolean(name: str, meaning: str) -> Custom:
    return Custom(name, meaning, "true or false", _flag)


_MONEY = 1e9
_DEMAND_NEEDS: tuple[Field, ...] = (
    Choice("family", "distribution of a day's units", FAMILIES),
    Number("mean", "units a day", is_above=True, high=1e7),
)
_DEMAND_MAY = {
    "sd": Number("sd", "standard deviation of a day's units", high=1e8),
    "units_per_line": Number("units_per_line", "of an order line; 1", low=1.0, high=1e6),
}
_SUPPLIER_NEEDS: tuple[Field, ...] = (
    Number("lead_time_days", "from order to arrival", high=365.0),
    Number("unit_cost", "money a unit", is_above=True, high=_MONEY),
)
_SUPPLIER_MAY = {
    "lead_time_sd_days": Number("lead_time_sd_days", "standard deviation; 0", high=365.0),
    "setup_cost": Number("setup_cost", "money an order; 0", high=_MONEY),
    "minimum_order_units": Number("minimum_order_units", "least order; 0", high=1e9),
    "pack_size_units": Number("pack_size_units", "orders are multiples of it; 1", high=1e9),
}
_DAY = Number("day", "when it happens", is_whole=True, high=MOST_DAYS)
_DAYS = Number("days", "how long it lasts", is_whole=True, low=1.0, high=3650.0)
_FACTOR = Number("factor", "times the demand", high=1000.0)
_SUPPLIER = Choice("supplier", "whose", (LEAN, FLEXIBLE))
_ANNOUNCED = _boolean("announced", "whether the supplier says so at once; true")
_EVENTS: dict[str, tuple[tuple[Field, ...], dict[str, Field]]] = {
    "order_lost": ((_SUPPLIER,), {}),
    "order_delayed": ((_SUPPLIER, _DAYS), {"announced": _ANNOUNCED}),
    "supplier_down": ((_SUPPLIER, _DAYS), {"announced": _ANNOUNCED}),
    "campaign": (
        (_DAYS, _FACTOR),
        {
            "announced_days_before": Number(
                "announced_days_before", "days; 0", is_whole=True, high=3650.0
            )
        },
    ),
    "surge": ((_DAYS, _FACTOR), {}),
    "level_change": ((_FACTOR,), {}),
    "stock_lost": ((Number("units", "gone from the shelf", is_above=True, high=1e9),), {}),
}


def read_case(value: Any) -> Case:
    """Return the case of a JSON object.

    Raises:
        PolicyInputError: names the field, its rule and the value.
    """
    try:
        return _checked(read_object(_without_name(value), "case", _NEEDS, _MAY))
    except PolicyInputError as error:
        raise PolicyInputError(error.name.removeprefix("case."), error.rule, error.value) from error


def _without_name(value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise PolicyInputError("a case", "an object", value)
    return {key: one for key, one in value.items() if key != "name"}


def _demand(value: Any, name: str) -> Demand:
    read = read_object(value, name, _DEMAND_NEEDS, _DEMAND_MAY)
    family, mean, sd = read["family"], read["mean"], read.get("sd")
    if family == "poisson":
        if sd is not None and abs(sd * sd - mean) > 0.02 * mean:
            raise PolicyInputError(f"{name}.sd", "the root of the mean where it is poisson", sd)
        sd = mean**0.5
    elif family == "constant":
        if sd:
            raise PolicyInputError(f"{name}.sd", "0 where demand is constant", sd)
        sd = 0.0
    elif sd is None:
        raise PolicyInputError(f"{name}.sd", f"given where demand is {family}", None)
    elif family == "negative_binomial" and not sd * sd > mean:
        rule = "above the root of the mean where demand is negative_binomial"
        raise PolicyInputError(f"{name}.sd", rule, sd)
    elif sd > 30.0 * max(mean, mean**0.5):
        raise PolicyInputError(f"{name}.sd", "at most 30 times the mean or its root", sd)
    return Demand(family, mean, sd, read.get("units_per_line", 1.0))


def _supplier(value: Any, name: str) -> Supplier:
    read = read_object(value, name, _SUPPLIER_NEEDS, _SUPPLIER_MAY)
    return Supplier(
        read["lead_time_days"],
        read.get("lead_time_sd_days", 0.0),
        read["unit_cost"],
        read.get("setup_cost", 0.0),
        read.get("minimum_order_units", 0.0),
        read.get("pack_size_units", 1.0),
    )


def _events(value: Any, name: str) -> tuple[Event, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise PolicyInputError(name, "a list of events", value)
    if len(value) > MOST_EVENTS:
        raise PolicyInputError(name, f"at most {MOST_EVENTS} events", len(value))
    return tuple(_event(one, f"{name}[{place}]") for place, one in enumerate(value))


def _event(value: Any, name: str) -> Event:
    if not isinstance(value, Mapping):
        raise PolicyInputError(name, "an object", value)
    kind = value.get("kind")
    if not isinstance(kind, str) or kind not in _EVENTS:
        raise PolicyInputError(f"{name}.kind", f"one of {', '.join(_EVENTS)}", kind)
    needs, may = _EVENTS[kind]
    rest = {key: one for key, one in value.items() if key != "kind"}
    read = read_object(rest, name, (_DAY, *needs), may)
    return Event(
        day=int(read["day"]),
        kind=kind,
        supplier=read.get("supplier", LEAN),
        days=int(read.get("days", 0)),
        factor=read.get("factor", 1.0),
        announced_days_before=int(read.get("announced_days_before", 0)),
        is_announced=read.get("announced", True),
        units=read.get("units", 0.0),
    )


_NEEDS: tuple[Field, ...] = (
    Number("days", "of a run", is_whole=True, low=1.0, high=MOST_DAYS),
    Custom("demand", "of a day", "an object with family, mean and sd", _demand),
    Number("review_period_days", "between reviews", is_whole=True, low=1.0, high=365.0),
    Custom("lean", "the cheap slow supplier", "an object", _supplier),
    Number("backorder_cost_per_unit_day", "money", high=_MONEY),
)
_MAY: dict[str, Field] = {
    "warm_up_days": Number("warm_up_days", "that do not count", is_whole=True, high=MOST_DAYS),
    "seed": Number("seed", "of the random numbers", is_whole=True, high=2**31),
    "runs": Number("runs", "of the same world", is_whole=True, low=1.0, high=MOST_RUNS),
    "flexible": Custom("flexible", "the dear fast supplier", "an object", _supplier),
    "holding_rate_per_year": Number(
        "holding_rate_per_year", "of the lean unit cost", is_above=True, high=1e4
    ),
    "holding_cost_per_unit_day": Number(
        "holding_cost_per_unit_day", "instead of the rate", is_above=True, high=_MONEY
    ),
    "lost_sale_cost_per_unit": Number("lost_sale_cost_per_unit", "money", high=_MONEY),
    "service_type": Choice("service_type", "what the target is a share of", SERVICE_TYPES),
    "service_target": Number("service_target", "share", is_above=True, high=0.999),
    "shortage": Choice("shortage", "what becomes of unmet demand", SHORTAGES),
    "lead_time_known": _boolean("lead_time_known", "or learned from receipts"),
    "demand_known": _boolean("demand_known", "or estimated from sales"),
    "events": Custom("events", "what happens", "a list of events", _events),
}
DEFAULT_HOLDING_RATE_PER_YEAR = 0.25
DEFAULT_RUNS = 8


def _checked(read: Mapping[str, Any]) -> Case:
    """Check what binds two fields, and fill in what was left out."""
    days, warm = int(read["days"]), int(read.get("warm_up_days", 0))
    if not warm < days:
        raise PolicyInputError("case.warm_up_days", f"< days, which is {days}", warm)
    lean, flexible = read["lean"], read.get("flexible")
    if flexible is not None and flexible.lead_time_days > lean.lead_time_days:
        rule = f"<= lean.lead_time_days, which is {lean.lead_time_days:g}"
        raise PolicyInputError("case.flexible.lead_time_days", rule, flexible.lead_time_days)
    service = read.get("service_type", "fill" if "service_target" in read else "cost")
    if service != "cost" and "service_target" not in read:
        raise PolicyInputError("case.service_target", f"given where service is {service}", None)
    if "holding_rate_per_year" in read and "holding_cost_per_unit_day" in read:
        rule = "left out where holding_rate_per_year is given"
        raise PolicyInputError(
            "case.holding_cost_per_unit_day", rule, read["holding_cost_per_unit_day"]
        )
    backorder = read["backorder_cost_per_unit_day"]
    if service == "cost" and not backorder > 0.0:
        raise PolicyInputError(
            "case.backorder_cost_per_unit_day", "> 0 without a target", backorder
        )
    events = read.get("events", ())
    for place, event in enumerate(events):
        _check_event(event, f"case.events[{place}]", days, flexible)
    rate = read.get("holding_rate_per_year", DEFAULT_HOLDING_RATE_PER_YEAR)
    by_rate = rate * lean.unit_cost / DAYS_PER_YEAR
    return Case(
        days=days,
        warm_up_days=warm,
        seed=int(read.get("seed", 1)),
        runs=int(read.get("runs", DEFAULT_RUNS)),
        demand=read["demand"],
        review_period_days=int(read["review_period_days"]),
        lean=lean,
        flexible=flexible,
        holding_per_unit_day=read.get("holding_cost_per_unit_day", by_rate),
        backorder_cost_per_unit_day=backorder,
        lost_sale_cost_per_unit=read.get("lost_sale_cost_per_unit", 0.3 * lean.unit_cost),
        service_type=service,
        service_target=read.get("service_target", 0.0) if service != "cost" else 0.0,
        is_lost=read.get("shortage", "backorder") == "lost",
        is_lead_time_known=read.get("lead_time_known", True),
        is_demand_known=read.get("demand_known", True),
        events=events,
    )


def _check_event(event: Event, name: str, days: int, flexible: Supplier | None) -> None:
    if not event.day < days:
        raise PolicyInputError(f"{name}.day", f"< days, which is {days}", event.day)
    if event.supplier == FLEXIBLE and flexible is None:
        raise PolicyInputError(f"{name}.supplier", "lean where there is no flexible", FLEXIBLE)
