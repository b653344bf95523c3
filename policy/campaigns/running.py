"""A campaign that runs: what may be promised now, what to do now, which orders will be late.

Each function takes the case of the check (`reading_case`) with the fields that are known once a
campaign runs, and returns JSON values. Days count from now.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from policy.campaigns.budget import Advertised, budget_moves
from policy.campaigns.case import Case, Line, Stock, Warehouse
from policy.campaigns.figures import tidy, whole_units
from policy.campaigns.queue import Goods, Slots, schedule
from policy.campaigns.reading import Given, Notes
from policy.campaigns.reading_case import read_case
from policy.campaigns.release import Released, released
from policy.campaigns.slip import Order, slip
from policy.campaigns.staff import staff_needed
from policy.campaigns.supply import last_moment_days, usable_units
from policy.campaigns.thresholds import Threshold, reached
from policy.errors import PolicyInputError

_HOURS_A_DAY = 24.0
_SLOW = 0.7  # of the plan's pace
_UNLIMITED = 1e12  # orders a day


@dataclass(frozen=True)
class Running:
    """A line with what is known of it now."""

    line: Line
    warehouse: str
    goods: Goods
    waiting_units: float
    sold_units: float
    units_per_hour: float
    presale_limit_units: float
    released: Released

    @property
    def free_units(self) -> float:
        """Units on the shelf that nobody waits for."""
        return max(0.0, self.goods.stock_units - self.waiting_units)

    @property
    def waiting_orders(self) -> int:
        """Orders that wait."""
        return math.ceil(self.waiting_units * self.line.orders_each - 1e-9)

    @property
    def cover_hours(self) -> float:
        """Hours until the free units are sold; infinite where nothing sells."""
        return self.free_units / self.units_per_hour if self.units_per_hour > 0 else math.inf


def read_running(value: Any) -> tuple[Case, list[Running]]:
    """Return a case and its lines as they run.

    Raises:
        PolicyInputError: names the field, its rule and the value.
    """
    case = read_case(value)
    whole = Given(value, "", Notes())
    elapsed = -case.starts_in_days * _HOURS_A_DAY
    shared = value.get("release")
    if shared is not None and len(case.lines) > 1 and _has_units(shared):
        rule = "of the lines where there are several, or in shares"
        raise PolicyInputError("release", rule, shared)
    found = [
        _running(case, line, given, elapsed, shared)
        for line, given in zip(case.lines, whole.objects("lines"), strict=True)
    ]
    return case, found


def _has_units(release: Any) -> bool:
    batches = release.get("batches") or [] if isinstance(release, Mapping) else []
    return any(isinstance(one, Mapping) and one.get("units") is not None for one in batches)


def _running(case: Case, line: Line, given: Given, elapsed: float, shared: Any) -> Running:
    if len(line.warehouses) > 1:
        rule = "in one warehouse: a line for each, so that the queues are known"
        raise PolicyInputError(given.name_of("stock"), rule, list(line.warehouses))
    stock = line.stocks[0]
    until = last_moment_days(case, line)
    shelf = usable_units(replace(stock, owed_units=0.0), until)
    coming = tuple(
        (one.in_days, one.units) for one in line.arrivals if one.chance >= case.confidence
    )
    own = given.take("release")
    return Running(
        line=line,
        warehouse=stock.warehouse,
        goods=Goods(shelf, coming),
        waiting_units=given.number_or("waiting_units", stock.owed_units),
        sold_units=given.number_or("sold_units", 0.0),
        units_per_hour=given.number_or("units_per_hour", 0.0),
        presale_limit_units=given.number_or("presale_limit_units", 0.0),
        released=_released(shared if own is None else own, given, stock, elapsed),
    )


def _released(value: Any, line: Given, stock: Stock, elapsed: float) -> Released:
    """Return what is released of a line; without a plan all of it is."""
    if value is None:
        return Released(math.inf, 0.0, None)
    given = Given(value, line.name_of("release"), line.notes)
    batches = []
    for one in given.objects("batches"):
        hours, units = one.needed("after_hours"), one.number("units")
        share = one.number("share", high=1)
        if (units is None) == (share is None):
            one.refuse("units", "given, or share, and not both")
        batches.append((hours, stock.units * (share or 0.0) if units is None else units))
        one.done()
    rate = given.number_or("units_per_hour", 0.0)
    most = given.number_or("most_units", math.inf)
    given.done()
    return released(elapsed, batches=batches, units_per_hour=rate, most_units=most)


# --- promises ---------------------------------------------------------------------------------


def promises(value: Any) -> dict[str, Any]:
    """Return what the shop may sell and promise now, by sku.

    An arrival counts from the confidence of the case on. The room of a warehouse is shared by its
    items: whoever waits keeps its place.

    >>> found = promises({"capacity": 500, "starts_in_days": 0, "lines": [{"sku": "A",
    ...     "expected_units": 8000, "stock_units": 5000, "waiting_units": 5000,
    ...     "presale_limit_units": 3000, "arrivals": [{"units": 3000, "arrives_in_days": 8}]}]})
    >>> found["lines"][0]["presale_units"], found["lines"][0]["promise_day"]
    (3000, 11)
    """
    case, lines = read_running(value)
    slots = {name: _slots(case.warehouses.get(name), name, lines) for name in _names(lines)}
    return {
        "campaign_id": case.campaign_id,
        "lines": [_promise(one, slots[one.warehouse]) for one in lines],
        "warehouses": [
            {"warehouse": name, **_load(case.warehouses.get(name), name, lines)}
            for name in _names(lines)
        ],
    }


def _names(lines: list[Running]) -> list[str]:
    return list(dict.fromkeys(one.warehouse for one in lines))


def _rate(warehouse: Warehouse | None) -> float | None:
    """Return the orders a day of a warehouse's slowest limit; None means not known."""
    limits = () if warehouse is None else warehouse.limits
    return min((one.amount for one in limits if one.is_daily and not one.is_units), default=None)


def _slots(warehouse: Warehouse | None, name: str, lines: list[Running]) -> Slots | None:
    """Return the room of a warehouse behind all that waits; None where its capacity is unknown."""
    rate = _rate(warehouse)
    if rate is None or warehouse is None:
        return None
    slots = Slots(rate)
    if warehouse.backlog_orders:
        slots.reserve(1, math.ceil(warehouse.backlog_orders))
    waits: list[tuple[int, int]] = []
    for one in lines:
        if one.warehouse == name:
            waits += _waiting(one)
    for ready, orders in sorted(waits):
        slots.reserve(ready, orders)
    return slots


def _waiting(one: Running) -> list[tuple[int, int]]:
    """Return the orders that wait, by the day on which their goods are there."""
    left, found = one.waiting_units, []
    for day, units in [(1.0, one.goods.stock_units), *sorted(one.goods.arrivals)]:
        taken = min(left, units)
        orders = math.ceil(taken * one.line.orders_each - 1e-9)
        if orders > 0:
            found.append((max(1, math.ceil(day - 1e-9)), orders))
        left -= taken
    return found


def _promise(one: Running, slots: Slots | None) -> dict[str, Any]:
    released_left = max(0.0, one.released.units - one.sold_units)
    sellable = whole_units(min(one.free_units, released_left))
    coming = math.fsum(units for _, units in one.goods.arrivals)
    beyond = max(0.0, one.waiting_units - one.goods.stock_units)
    is_open = one.goods.stock_units <= max(one.waiting_units, one.released.units)
    presale = min(one.presale_limit_units, coming) - beyond if is_open else 0.0
    presale_units = whole_units(max(0.0, presale))
    day = None
    if sellable > 0 or presale_units > 0:
        ready = one.goods.ready_day(math.floor(one.waiting_units + 1e-9) + 1)
        if ready is not None:
            day = ready if slots is None else slots.first_free(ready)
    return {
        "sku": one.line.sku,
        "warehouse": one.warehouse,
        "sellable_units": sellable,
        "presale_units": presale_units if day is not None else 0,
        "is_presale": sellable == 0 and presale_units > 0,
        "promise_day": day,
        "stock_units": tidy(one.goods.stock_units),
        "waiting_units": tidy(one.waiting_units),
        "released_units": None if math.isinf(one.released.units) else tidy(one.released.units),
        "next_release_units": tidy(one.released.next_units),
        "next_release_in_hours": one.released.next_in_hours,
    }


def _load(warehouse: Warehouse | None, name: str, lines: list[Running]) -> dict[str, Any]:
    """Return what waits in a warehouse and how many days it takes."""
    waiting = sum(one.waiting_orders for one in lines if one.warehouse == name)
    waiting += 0 if warehouse is None else math.ceil(warehouse.backlog_orders)
    rate = _rate(warehouse)
    days = math.ceil(waiting / rate - 1e-9) if rate else None
    return {"waiting_orders": waiting, "orders_per_day": None if rate is None else tidy(rate),
            "clear_days": days}  # fmt: skip


# --- advice -----------------------------------------------------------------------------------


def advise(value: Any) -> dict[str, Any]:
    """Return what people should look at now: limits reached, money to move, staff, advice."""
    case, lines = read_running(value)
    hours_left = max(0.0, case.ends_in_days * _HOURS_A_DAY)
    given = Given(value, "", Notes())
    return {
        "campaign_id": case.campaign_id,
        "hours_left": tidy(hours_left),
        "thresholds": _reached(given, lines),
        "budget_moves": _moves(lines, hours_left),
        "staff": _staff(given),
        "advice": _advice(case, lines, hours_left),
    }


def _reached(given: Given, lines: list[Running]) -> list[dict[str, Any]]:
    values: dict[tuple[str, str | None], float] = {}
    for one in lines:
        sku = one.line.sku
        values["stock_units", sku] = one.free_units
        values["units_per_hour", sku] = one.units_per_hour
        values["waiting_units", sku] = one.waiting_units
        values["cover_hours", sku] = one.cover_hours
    values["waiting_orders", None] = float(sum(one.waiting_orders for one in lines))
    values["orders_per_hour", None] = math.fsum(
        one.units_per_hour * one.line.orders_each for one in lines
    )
    own = given.take("metrics")
    if own is not None:
        metrics = Given(own, "metrics", given.notes)
        for name in own:
            values[str(name), None] = metrics.needed(str(name), low=-1e15)
    rules = []
    for rule in given.objects("thresholds"):
        below, above = rule.number("below", low=-1e15), rule.number("above", low=-1e15)
        rules.append(Threshold(rule.needed_text("metric"), below, above, rule.text("sku")))
        rule.done("note")
    return [
        {"metric": one.metric, "sku": one.sku, "side": one.side, "limit": tidy(one.limit),
         "value": None if math.isinf(one.value) else tidy(one.value)}
        for one in reached(rules, values)
    ]  # fmt: skip


def _moves(lines: list[Running], hours_left: float) -> list[dict[str, Any]]:
    items = [
        Advertised(one.line.sku, one.free_units, one.units_per_hour, one.line.ad_budget or 0.0,
                   one.line.margin or 0.0)
        for one in lines
    ]  # fmt: skip
    return [
        {"from_sku": one.from_sku, "to_sku": one.to_sku, "amount": one.amount,
         "from_cover_hours": tidy(one.from_cover_hours),
         "to_cover_hours": None if math.isinf(one.to_cover_hours) else tidy(one.to_cover_hours)}
        for one in budget_moves(items, hours_left)
    ]  # fmt: skip


def _staff(given: Given) -> dict[str, Any] | None:
    """Return the people that the next hours need; None where their orders are not given."""
    orders = given.numbers("orders_by_hour")
    if orders is None:
        return None
    rate = given.needed("orders_per_staff_hour", is_above=True)
    waiting = given.number_or("waiting_orders", 0.0)
    within = given.number("within_hours", low=1, is_whole=True)
    found = staff_needed(orders, rate, waiting_orders=waiting,
                         within_hours=None if within is None else int(within))  # fmt: skip
    return {"by_hour": list(found.by_hour), "level": found.level,
            "work_orders": tidy(found.work_orders)}  # fmt: skip


def _advice(case: Case, lines: list[Running], hours_left: float) -> list[dict[str, Any]]:
    """Return what follows from the state, what costs most an hour first."""
    found = [*_of_items(case, lines, hours_left), *_of_warehouses(case, lines)]
    return sorted(found, key=lambda one: -(one["lost_per_hour"] or 0.0))


def _of_items(case: Case, lines: list[Running], hours_left: float) -> list[dict[str, Any]]:
    window = max(1e-9, (case.ends_in_days - case.starts_in_days) * _HOURS_A_DAY)
    found = []
    for one in lines:
        plan = one.line.expected_units / window
        margin = one.line.margin
        if one.units_per_hour > 0 and one.cover_hours < hours_left:
            cost = None if margin is None else one.units_per_hour * max(0.0, margin)
            hours = tidy(one.cover_hours)
            found.append(
                _card("runs_out", one.line.sku, f"out in {hours:g} of {hours_left:g} hours", cost,
                      "weaken or end its promotion, sell it as presale, or move its ad budget")
            )  # fmt: skip
        elif one.units_per_hour < _SLOW * plan and case.starts_in_days < 0 < hours_left:
            missing = plan - one.units_per_hour
            cost = None if margin is None else missing * max(0.0, margin)
            share = one.units_per_hour / plan
            found.append(
                _card("slow", one.line.sku, f"sells at {share:.0%} of its plan", cost,
                      "give it ad budget and place from items that run out")
            )  # fmt: skip
    return found


def _of_warehouses(case: Case, lines: list[Running]) -> list[dict[str, Any]]:
    found = []
    for name in _names(lines):
        load = _load(case.warehouses.get(name), name, lines)
        promise = _shortest_promise(case, name, lines)
        if load["clear_days"] is None or promise is None or load["clear_days"] <= promise:
            continue
        late = load["waiting_orders"] - math.floor((load["orders_per_day"] or 0.0) * promise)
        each = case.late_cost_per_order
        cost = None if each is None else late * each / (load["clear_days"] * _HOURS_A_DAY)
        why = f"{load['clear_days']} days to clear, {promise:g} promised"
        kinds = ", ".join(one.name for one in case.options if one.warehouse == name)
        found.append(_card("overloaded", name, why, cost,
                           f"add capacity: {kinds or 'staff, hours, a third party'}"))  # fmt: skip
    return found


def _shortest_promise(case: Case, name: str, lines: list[Running]) -> float | None:
    promises = [case.promise_of(one.line) for one in lines if one.warehouse == name]
    return min((days for days in promises if days is not None), default=None)


def _card(kind: str, where: str, why: str, cost: float | None, do: str) -> dict[str, Any]:
    return {"kind": kind, "where": where, "why": why, "do": do,
            "lost_per_hour": None if cost is None else tidy(cost)}  # fmt: skip


# --- slips ------------------------------------------------------------------------------------


def slips(value: Any) -> dict[str, Any]:
    """Return the orders that will be late, whom to tell, and what it costs.

    `orders` are those that wait, in the order of placing: `order_id`, `sku`, `units` and
    `promised_in_days`. `noticed` has the day that a customer was given before.
    """
    case, lines = read_running(value)
    given = Given(value, "", Notes())
    goods = {one.line.sku: one.goods for one in lines}
    places = {one.line.sku: one.warehouse for one in lines}
    orders, skus = _orders(given, goods)
    noticed = _noticed(given)
    days: list[int | None] = [None] * len(orders)
    for name in _names(lines):
        own = [n for n, sku in enumerate(skus) if places[sku] == name]
        rate = _rate(case.warehouses.get(name))
        queued = [(skus[n], orders[n].units) for n in own]
        found = schedule(queued, goods, _UNLIMITED if rate is None else rate)
        for number, day in zip(own, found, strict=True):
            days[number] = day
    outcome = slip(orders, days, noticed, offer_cost=given.number_or("offer_cost", 0.0),
                   call_rate=given.number_or("call_rate", 0.0))  # fmt: skip
    names = {order.order_id: sku for order, sku in zip(orders, skus, strict=True)}
    return {
        "campaign_id": case.campaign_id,
        "waiting_orders": len(orders),
        "late_orders": len(outcome.late),
        "late": [
            {"order_id": one.order_id, "sku": names[one.order_id], "units": tidy(one.units),
             "promised_day": one.promised_day, "new_day": one.new_day,
             "is_noticed": one.is_noticed}
            for one in outcome.late
        ],
        "notices": [one.order_id for one in outcome.notices],
        "compensation_cost": tidy(outcome.compensation_cost),
        "expected_calls": tidy(outcome.expected_calls),
    }  # fmt: skip


def _orders(given: Given, goods: Mapping[str, Goods]) -> tuple[list[Order], list[str]]:
    orders, skus, seen = [], [], set()
    for one in given.objects("orders"):
        order_id, sku = one.needed_text("order_id"), one.needed_text("sku")
        if sku not in goods:
            one.refuse("sku", f"the sku of a line: {', '.join(goods)}")
        if order_id in seen:
            one.refuse("order_id", "another one for each order")
        seen.add(order_id)
        promised = one.needed("promised_in_days", low=-36500, high=36500)
        orders.append(Order(order_id, one.needed("units"), math.floor(promised + 1e-9)))
        skus.append(sku)
        one.done("customer", "placed_at")
    return orders, skus


def _noticed(given: Given) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for one in given.objects("noticed"):
        day = one.number("in_days", low=-36500, high=36500)
        found[one.needed_text("order_id")] = None if day is None else math.floor(day + 1e-9)
        one.done()
    return found
