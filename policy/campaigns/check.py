"""The check of a campaign: GO, GO with actions, or NOT FEASIBLE, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policy.campaigns.actions import actions_of
from policy.campaigns.capacity import clear_days, ship_days, within
from policy.campaigns.case import NOTICE_DAYS, Case, Line, Warehouse
from policy.campaigns.figures import tidy, whole_units
from policy.campaigns.money import money_of
from policy.campaigns.program import Plan, Planner, route
from policy.campaigns.reading_case import read_case
from policy.campaigns.supply import Supply, checkpoints, supply_of

GO, GO_WITH_ACTIONS, NOT_FEASIBLE = "go", "go_with_actions", "not_feasible"
MOST_CONSTRAINTS = 50
_SLACK = 1e-9


@dataclass(frozen=True)
class Constraint:
    """Something that may run out: what the plan needs of it, and what there is."""

    name: str
    where: str
    needed: float
    available: float
    is_units: bool

    @property
    def share(self) -> float:
        """Of the plan, what it lets through."""
        return math.inf if self.needed <= 0 else self.available / self.needed

    @property
    def binds(self) -> bool:
        """Whether it lets less through than the plan."""
        return self.share < 1 - _SLACK

    def public(self) -> dict[str, Any]:
        """Return it as JSON values."""
        available = None if math.isinf(self.available) else tidy(self.available)
        return {
            "constraint": self.name,
            "where": self.where,
            "needed": tidy(self.needed),
            "available": available,
            "of": "units" if self.is_units else "orders",
            "feasible_share": None if math.isinf(self.share) else tidy(self.share),
            "binds": self.binds,
        }


def check_campaign(value: Any) -> dict[str, Any]:
    """Return whether a campaign is feasible, what binds first, and what would make it feasible.

    Args:
        value: a case (`policy.campaigns.reading_case`).

    Raises:
        PolicyInputError: names the field, its rule and the value.

    >>> found = check_campaign({"campaign_id": "A", "promise_days": 3, "capacity": 500,
    ...     "lines": [{"sku": "A", "expected_units": 8000, "stock_units": 5000}]})
    >>> found["verdict"], found["binding_constraint"], found["lines"][0]["short_units"]
    ('not_feasible', 'ship_capacity', 3000)
    >>> found["ship_days_needed"], found["ship_days_of_stock"], found["largest_feasible_units"]
    (16, 10, 1500)
    >>> found["largest_by_stock_units"]
    5000
    """
    return answer(read_case(value))


def answer(case: Case) -> dict[str, Any]:
    """Return the answer to a case that has been read."""
    supplies = [supply_of(case, line) for line in case.lines]
    planned = math.fsum(line.expected_units for line in case.lines)
    times, best = _largest(case, supplies, planned)
    is_go = planned <= 0 or times >= 1 - 1e-7
    largest = max(times * planned, planned) if is_go and planned > 0 else best.total
    cheapest = None if is_go else Planner(case, supplies, has_actions=True).cheapest()
    is_reached = cheapest is not None and math.fsum(cheapest.unserved) < 1e-6
    verdict = GO if is_go else GO_WITH_ACTIONS if is_reached else NOT_FEASIBLE
    routed = route(case, supplies)
    ranked = _constraints(case, supplies, routed)
    warehouses = _warehouses(case, supplies, routed)
    binding = next((one for one in ranked if one.binds), None)
    actions = [] if cheapest is None else actions_of(case, cheapest)
    return {
        "campaign_id": case.campaign_id,
        "verdict": verdict,
        "binding_constraint": None if is_go or binding is None else binding.name,
        "binding_where": None if is_go or binding is None else binding.where,
        "expected_units": tidy(planned),
        "ship_days_needed": _most(warehouses, "ship_days_needed"),
        "ship_days_of_stock": _most(warehouses, "ship_days_of_stock"),
        "clear_days": _most(warehouses, "clear_days"),
        "promise_days": _promise(case),
        "largest_feasible_units": whole_units(largest),
        "largest_by_stock_units": whole_units(
            math.fsum(_by_stock(case, *pair) for pair in zip(case.lines, supplies, strict=True))
        ),
        "largest_with_actions_units": None if cheapest is None else whole_units(cheapest.total),
        "late_notice": case.starts_in_days < NOTICE_DAYS - _SLACK,
        "days_until_start": tidy(case.starts_in_days),
        "currency": case.currency,
        "lines": [
            _line(case, place, supplies[place], best if not is_go else None)
            for place in range(len(case.lines))
        ],
        "warehouses": warehouses,
        "constraints": [one.public() for one in ranked[:MOST_CONSTRAINTS]],
        "actions": actions,
        "actions_are_proven": cheapest is None or cheapest.is_proven,
        "actions_cost": tidy(math.fsum(one["cost"] or 0.0 for one in actions if one["is_cash"])),
        "money": money_of(case, supplies, best, cheapest),
        "assumptions": list(case.notes),
    }


def _largest(case: Case, supplies: Sequence[Supply], planned: float) -> tuple[float, Plan]:
    """Return how many times the plan is feasible, and the plan that sells the most."""
    times = Planner(case, supplies, has_actions=False).most_times() if planned > 0 else 0.0
    planner = Planner(case, supplies, has_actions=False)
    return times, planner.most(is_capped=planned > 0)


def _promise(case: Case) -> float | int | None:
    """Return the shortest promise of the campaign."""
    found = [promise for line in case.lines if (promise := case.promise_of(line)) is not None]
    return tidy(min(found)) if found else None


def _most(warehouses: Sequence[Mapping[str, Any]], name: str) -> int | None:
    """Return the figure of the slowest warehouse; None where one is never done or not known."""
    known = [one for one in warehouses if one["is_known"]]
    if not known or any(one[name] is None for one in known):
        return None
    return int(max(one[name] for one in known))


def _by_stock(case: Case, line: Line, supply: Supply) -> float:
    """Return the largest target of a line that its stock and reliable arrivals serve."""
    shares = [share for share, _ in checkpoints(case, line)]
    return math.fsum(
        min(units / share for units, share in zip(have, shares, strict=True))
        for have in supply.reliable.values()
    )


def _line(case: Case, place: int, supply: Supply, best: Plan | None) -> dict[str, Any]:
    line = case.lines[place]
    within_promise = line.expected_units if best is None else best.served(place)
    names = line.warehouses
    return {
        "sku": line.sku,
        "warehouse": names[0] if len(names) == 1 else None,
        "expected_units": tidy(line.expected_units),
        "expected_units_p10": tidy(line.low_units),
        "expected_units_p90": tidy(line.high_units),
        "baseline_units": tidy(line.baseline_units),
        "uplift": line.uplift,
        "uplift_samples": line.samples,
        "usable_units": tidy(math.fsum(supply.usable.values())),
        "arriving_in_time_units": tidy(supply.arriving_units),
        "short_units": tidy(supply.short_units),
        "short_units_p90": tidy(supply.short_units_high),
        "short_chance": tidy(supply.short_chance),
        "largest_feasible_units": whole_units(_by_stock(case, line, supply)),
        "units_within_promise": whole_units(within_promise),
    }


# --- warehouses and constraints ---------------------------------------------------------------


def _warehouses(
    case: Case, supplies: Sequence[Supply], routed: Mapping[tuple[int, str], float]
) -> list[dict[str, Any]]:
    names = dict.fromkeys(name for line in case.lines for name in line.warehouses)
    return [_warehouse(case, name, supplies, routed) for name in names]


def _warehouse(
    case: Case, name: str, supplies: Sequence[Supply], routed: Mapping[tuple[int, str], float]
) -> dict[str, Any]:
    known = case.warehouses.get(name)
    empty = Warehouse(name, (), 0.0, ())
    warehouse = known or empty
    orders, units = _work(case, name, routed)
    sold, sold_units = _work(case, name, _sellable(case, supplies, routed))
    daily = [one.amount for one in warehouse.limits if one.is_daily and not one.is_units]
    peak = None if case.peak_hour_share is None else orders * case.peak_hour_share
    hour = max(warehouse.orders_per_hour) if warehouse.orders_per_hour else None
    return {
        "warehouse": name,
        "is_known": any(one.is_daily for one in warehouse.limits),
        "orders": tidy(orders),
        "units": tidy(units),
        "orders_per_day": tidy(min(daily)) if daily else None,
        "ship_days_needed": _whole(ship_days(warehouse, orders, units, case)),
        "ship_days_of_stock": _whole(ship_days(warehouse, sold, sold_units, case)),
        "clear_days": _whole(clear_days(warehouse, sold, sold_units, case)),
        "peak_hour_orders": None if peak is None else tidy(peak),
        "orders_per_hour": None if hour is None else tidy(hour),
        "peak_hour_is_over": None if peak is None or hour is None else peak > hour,
        "limits": [
            {"limit": one.name, "amount": tidy(one.amount), "per": "day" if one.is_daily else "all"}
            for one in warehouse.limits
        ],
    }


def _whole(days: float | None) -> int | None:
    return None if days is None else int(days)


def _work(case: Case, name: str, units_of: Mapping[tuple[int, str], float]) -> tuple[float, float]:
    """Return the orders and units of a warehouse."""
    own = [(case.lines[line], units) for (line, at), units in units_of.items() if at == name]
    orders = math.fsum(units * line.orders_each for line, units in own)
    return orders, math.fsum(units for _, units in own)


def _sellable(
    case: Case, supplies: Sequence[Supply], routed: Mapping[tuple[int, str], float]
) -> dict[tuple[int, str], float]:
    """Return what can be sold of the routed units with what will be there."""
    return {
        (line, name): min(units, supplies[line].reliable[name][-1])
        for (line, name), units in routed.items()
    }


def _constraints(
    case: Case, supplies: Sequence[Supply], routed: Mapping[tuple[int, str], float]
) -> list[Constraint]:
    """Return what may run out, what binds first in front."""
    found = [
        Constraint("stock", line.sku, line.expected_units, _by_stock(case, line, supply), True)
        for line, supply in zip(case.lines, supplies, strict=True)
    ]
    for name, warehouse in case.warehouses.items():
        if any(at == name for _, at in routed):
            found += _of_warehouse(case, warehouse, routed)
    return sorted(found, key=lambda one: one.share)


def _of_warehouse(
    case: Case, warehouse: Warehouse, routed: Mapping[tuple[int, str], float]
) -> list[Constraint]:
    """Return its limits, each for the promise where it is tightest."""
    promises = {case.promise_of(case.lines[line]) for line, at in routed if at == warehouse.name}
    found = []
    for limit in warehouse.limits:
        ways = []
        for promise in promises if limit.is_daily else [None]:
            inside = {
                (line, at): units
                for (line, at), units in routed.items()
                if not limit.is_daily or _is_within(case.promise_of(case.lines[line]), promise)
            }
            needed = _work(case, warehouse.name, inside)[int(limit.is_units)]
            most = within(limit, promise, warehouse.backlog_orders, case)
            ways.append(Constraint(limit.name, warehouse.name, needed, most, limit.is_units))
        found.append(min(ways, key=lambda one: one.share))
    return found


def _is_within(promise: float | None, limit: float | None) -> bool:
    """Whether a promise is at most as long as another; None is longer than all."""
    return limit is None or (promise is not None and promise <= limit)
