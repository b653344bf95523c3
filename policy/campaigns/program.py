"""The plan of a campaign as a mixed-integer program: what is the most, what does it cost.

Variables: units of each line from each warehouse; extra capacity by day; purchases in packs; units
given up, or shifted to another line; units that nothing can serve.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from policy.campaigns.capacity import Stretch, stretches
from policy.campaigns.case import Case, Limit, Line, Option, Purchase, Warehouse
from policy.campaigns.supply import Supply, checkpoints
from policy.errors import PolicyInputError

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

_TINY = 1e-7
_RESOURCE_OF = {"ship": "ship_capacity", "pack": "pack_capacity", "labour": "labour_capacity",
                "units": "units_capacity", "returns": "returns_capacity"}  # fmt: skip
_SOLVED = 0
_MOST_EXACT = 500  # whole variables
_MOST_SECONDS = 5.0  # for each solution; then the best one found counts


@dataclass(frozen=True)
class Plan:
    """A solution.

    Args:
        units: served, by line and warehouse.
        unserved: by line.
        extra_orders: by option.
        extra_days: by option, how many days it is used.
        space: options of space and packaging that are used.
        bought: units, by line and purchase.
        given_up: units, by line.
        shifted: units, by line and substitute.
        cost: of all actions.
    """

    units: Mapping[tuple[int, str], float]
    unserved: Sequence[float]
    extra_orders: Mapping[int, float] = field(default_factory=dict)
    extra_days: Mapping[int, int] = field(default_factory=dict)
    space: frozenset[int] = frozenset()
    bought: Mapping[tuple[int, int], float] = field(default_factory=dict)
    given_up: Mapping[int, float] = field(default_factory=dict)
    shifted: Mapping[tuple[int, int], float] = field(default_factory=dict)
    cost: float = 0.0
    is_proven: bool = True  # that nothing is better

    @property
    def total(self) -> float:
        """Units served in all."""
        return math.fsum(self.units.values())

    @property
    def has_actions(self) -> bool:
        """Whether anything is done beside smaller targets."""
        return bool(self.extra_orders or self.space or self.bought or self.shifted)

    def served(self, line: int) -> float:
        """Units served of a line."""
        return self._served.get(line, 0.0)

    @cached_property
    def _served(self) -> dict[int, float]:
        found: dict[int, float] = {}
        for (place, _), units in self.units.items():
            found[place] = found.get(place, 0.0) + units
        return found


def _whole_days(days: float) -> float:
    return float(math.floor(days + _TINY)) if math.isfinite(days) else math.inf


class _Program:
    """Columns and rows, and their solution."""

    def __init__(self) -> None:
        self.cost: list[float] = []
        self.upper: list[float] = []
        self.whole: list[int] = []
        self._cells: list[tuple[int, int, float]] = []
        self._low: list[float] = []
        self._high: list[float] = []

    def column(self, cost: float = 0.0, upper: float = math.inf, *, is_whole: bool = False) -> int:
        """Add a variable from 0 on."""
        self.cost.append(cost)
        self.upper.append(upper)
        self.whole.append(int(is_whole))
        return len(self.cost) - 1

    def row(self, cells: Mapping[int, float], low: float, high: float) -> None:
        """Add a condition: low <= sum of cells <= high."""
        number = len(self._low)
        self._cells += [(number, column, value) for column, value in cells.items()]
        self._low.append(low)
        self._high.append(high)

    def solve(self, cost: Sequence[float]) -> OptimizeResult:
        """Return the cheapest solution."""
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import csr_array

        # With so many packs the last of them cost more to find than they are worth.
        gap = 0.0 if sum(self.whole) <= _MOST_EXACT else 1e-4
        shape = (len(self._low), len(self.cost))
        rows, columns, values = (np.array(one) for one in zip(*self._cells, strict=True))
        matrix = csr_array((values, (rows.astype(int), columns.astype(int))), shape)
        return milp(
            np.array(cost),
            integrality=np.array(self.whole),
            bounds=Bounds(np.zeros(len(self.cost)), np.array(self.upper)),
            constraints=LinearConstraint(matrix, np.array(self._low), np.array(self._high)),
            options={"mip_rel_gap": gap, "time_limit": _MOST_SECONDS},
        )


class Planner:
    """The program of one case.

    Args:
        case: the campaign.
        supplies: of its lines.
        has_actions: whether purchases, extra capacity, substitutes and smaller targets are there.
    """

    def __init__(self, case: Case, supplies: Sequence[Supply], *, has_actions: bool) -> None:
        self.case = case
        self._program = _Program()
        self._orders: dict[tuple[str, float | None], dict[int, float]] = {}
        self._units: dict[tuple[int, str], int] = {}
        self._unserved: list[int] = []
        self._demand: list[dict[int, float]] = []
        self._bought: dict[tuple[int, int], tuple[int, float]] = {}
        self._given_up: dict[int, int] = {}
        self._shifted: dict[tuple[int, int], int] = {}
        self._extra: dict[tuple[int, int], tuple[int, int]] = {}  # option, class -> orders, days
        self._space: dict[int, int] = {}
        promises = {case.promise_of(line) for line in case.lines}
        known = sorted(promise for promise in promises if promise is not None)
        self._stretches = stretches(case.profile, known) if known else []
        self._classes = [self._day_classes(option) for option in case.options]
        self._shifted_to: dict[str, float] = {}
        for line in case.lines:
            for one in line.substitutes:
                more = self._shifted_to.get(one.sku, 0.0) + line.expected_units
                self._shifted_to[one.sku] = more
        for place, line in enumerate(case.lines):
            self._add_line(place, line, supplies[place], has_actions=has_actions)
        if has_actions:
            self._add_shifts()
            for place, option in enumerate(case.options):
                self._add_option(place, option)
        for name in dict.fromkeys(name for line in case.lines for name in line.warehouses):
            if name in case.warehouses:
                self._add_warehouse(case.warehouses[name])

    # --- lines --------------------------------------------------------------------------------

    def _add_line(self, place: int, line: Line, supply: Supply, *, has_actions: bool) -> None:
        """Add what a line sells and from where; what is bought comes on top."""
        program, points = self._program, checkpoints(self.case, line)
        promise = self.case.promise_of(line)
        served: dict[int, float] = {}
        for name in line.warehouses:
            column = program.column()
            self._units[place, name] = column
            served[column] = 1.0
            self._orders.setdefault((name, promise), {})[column] = line.orders_each
        bought = self._add_purchases(place, line) if has_actions else []
        for name in line.warehouses:
            own = self._units[place, name]
            for number, (share, moment) in enumerate(points):
                more = {
                    column: -purchase.pack_units
                    for purchase, column in bought
                    if purchase.warehouse == name and purchase.lead_time_days <= moment + _TINY
                }
                high = supply.reliable[name][number]
                program.row({own: share, **more}, -math.inf, high)
        self._unserved.append(program.column())
        served[self._unserved[-1]] = 1.0
        if has_actions and line.give_up_cost_per_unit is not None:
            column = program.column(line.give_up_cost_per_unit)
            self._given_up[place] = column
            served[column] = 1.0
        self._demand.append(served)

    def _add_purchases(self, place: int, line: Line) -> list[tuple[Purchase, int]]:
        """Add purchases in packs; a minimum or a cost of ordering makes each all or nothing."""
        program, last = self._program, checkpoints(self.case, line)[-1][1]
        found = []
        for number, one in enumerate(line.purchases):
            if one.lead_time_days > last + _TINY:
                continue
            most = math.ceil(self._most_needed(line, one) / one.pack_units - _TINY)
            if math.isfinite(one.maximum_units):
                most = min(most, math.floor(one.maximum_units / one.pack_units + _TINY))
            column = program.column(one.unit_cost * one.pack_units, max(0, most), is_whole=True)
            if one.minimum_units > 0 or one.order_cost > 0:
                fewest = math.ceil(one.minimum_units / one.pack_units - _TINY)
                order = program.column(one.order_cost, 1, is_whole=True)
                program.row({column: 1.0, order: -float(fewest)}, 0.0, math.inf)
                program.row({column: 1.0, order: -float(max(most, fewest))}, -math.inf, 0.0)
            self._bought[place, number] = (column, one.pack_units)
            found.append((one, column))
        return found

    def _most_needed(self, line: Line, purchase: Purchase) -> float:
        """Return the units beyond which nobody would buy: what could be sold, and the minimum."""
        shifted = self._shifted_to.get(line.sku, 0.0)
        return max(line.expected_units + shifted, purchase.minimum_units)

    def _add_shifts(self) -> None:
        """Let the demand of a line be served by another one."""
        places = {line.sku: place for place, line in enumerate(self.case.lines)}
        for place, line in enumerate(self.case.lines):
            for number, one in enumerate(line.substitutes):
                most = min(one.most_units, line.expected_units)
                column = self._program.column(one.cost_per_unit, most)
                self._shifted[place, number] = column
                self._demand[place][column] = 1.0
                self._demand[places[one.sku]][column] = -1.0

    # --- warehouses ---------------------------------------------------------------------------

    def _add_option(self, place: int, option: Option) -> None:
        """Add extra orders by day, or space and packaging as a whole."""
        program = self._program
        fixed: dict[int, float] = {}
        for number, (days, _) in enumerate(self._classes[place]):
            used = program.column(option.cost_per_day, days, is_whole=True)
            most = option.orders_per_day * days
            orders = program.column(option.cost_per_order, most)
            program.row({orders: 1.0, used: -option.orders_per_day}, -math.inf, 0.0)
            self._extra[place, number] = (orders, used)
            fixed[used] = 1.0
        has_space = option.space_units > 0 or option.packages > 0
        is_bounded = option.fixed_cost > 0 or math.isfinite(option.maximum_days)
        if not has_space and not (fixed and is_bounded):
            return
        whole = program.column(option.fixed_cost, 1, is_whole=True)
        if has_space and self._is_in_time(option):
            self._space[place] = whole
        if fixed:
            days = sum(days for days, _ in self._classes[place])
            most = min(float(days), _whole_days(option.maximum_days))
            program.row({**fixed, whole: -float(most)}, -math.inf, 0.0)

    def _is_in_time(self, option: Option) -> bool:
        return option.start_delay_days <= self.case.starts_in_days + _TINY

    def _day_classes(self, option: Option) -> list[tuple[int, tuple[float, ...]]]:
        """Return the days on which an option could work, those alike together: how many, and what
        part of each day lies in each stretch.
        """
        if option.orders_per_day <= 0:
            return []
        found = self._stretches
        first = max(0, math.ceil(option.start_delay_days - self.case.starts_in_days - _TINY))
        last = math.ceil(max((one.stop for one in found), default=0.0) - _TINY)
        classes: dict[tuple[float, ...], int] = {}
        for day in range(first, last):
            inside = tuple(max(0.0, min(day + 1, one.stop) - max(day, one.start)) for one in found)
            classes[inside] = classes.get(inside, 0) + 1
        return [(days, inside) for inside, days in classes.items()]

    def _add_warehouse(self, warehouse: Warehouse) -> None:
        """Add a row for each limit and stretch."""
        for limit in warehouse.limits:
            if limit.is_daily:
                for number, stretch in enumerate(self._stretches):
                    self._add_stretch(warehouse, limit, number, stretch)
                continue
            cells = self._work(warehouse.name, limit, None)
            for place, column in self._space.items():
                option = self.case.options[place]
                more = option.space_units if limit.name == "space" else option.packages
                if option.warehouse == warehouse.name and more and limit.name != "returns_capacity":
                    cells[column] = -more
            self._program.row(cells, -math.inf, limit.amount)

    def _add_stretch(
        self, warehouse: Warehouse, limit: Limit, number: int, stretch: Stretch
    ) -> None:
        cells = self._work(warehouse.name, limit, stretch)
        if not cells:
            return
        for (place, group), (orders, _) in self._extra.items():
            option = self.case.options[place]
            names = [_RESOURCE_OF[one] for one in option.resources]
            if option.warehouse == warehouse.name and limit.name in names:
                part = self._classes[place][group][1][number]
                each = self._units_per_order() if limit.is_units else 1.0
                if part > 0:
                    cells[orders] = -part * each
        waits = warehouse.backlog_orders if not limit.is_units and stretch.start == 0 else 0.0
        self._program.row(cells, -math.inf, limit.amount * stretch.days - waits)

    def _units_per_order(self) -> float:
        sizes = [line.units_per_order for line in self.case.lines]
        return math.fsum(sizes) / len(sizes)

    def _work(self, name: str, limit: Limit, stretch: Stretch | None) -> dict[int, float]:
        """Return what each unit sold takes of a limit, inside a stretch or in all."""
        cells: dict[int, float] = {}
        for (warehouse, promise), columns in self._orders.items():
            if warehouse != name:
                continue
            share = 1.0
            if stretch is not None:
                share = 0.0 if promise is None else stretch.shares.get(promise, 0.0)
            if share > 0:
                for column, each in columns.items():
                    cells[column] = share * (1.0 if limit.is_units else each)
        return cells

    # --- answers ------------------------------------------------------------------------------

    def most_times(self) -> float:
        """Return the largest multiple of the plan that is feasible with no action."""
        program = self._program
        times = program.column()
        for line, served in zip(self.case.lines, self._demand, strict=True):
            program.row({**served, times: -line.expected_units}, 0.0, 0.0)
        for column in self._unserved:
            program.upper[column] = 0.0
        found = program.solve([-float(column == times) for column in range(times + 1)])
        return float(found.x[times]) if found.status == _SOLVED else 0.0

    def most(self, *, is_capped: bool) -> Plan:
        """Return the plan that serves the most units, and of those the one with the best margins.

        Args:
            is_capped: whether no line sells more than it expects.
        """
        self._expect(is_capped=is_capped)
        margins = [line.margin or 0.0 for line in self.case.lines]
        scale = max((abs(margin) for margin in margins), default=0.0) or 1.0
        cost = [0.0] * len(self._program.cost)
        for (place, _), column in self._units.items():
            cost[column] = -1.0 - 1e-3 * margins[place] / scale
        return self._solved(cost)

    def cheapest(self) -> Plan:
        """Return the cheapest actions that serve the whole plan, or as much of it as can be."""
        self._expect(is_capped=True)
        program = self._program
        left = [0.0] * len(program.cost)
        for column in self._unserved:
            left[column] = 1.0
        fewest = self._solved(left)
        unserved = math.fsum(fewest.unserved)
        slack = 0.0 if unserved < 1e-6 else unserved + _TINY
        program.row(dict.fromkeys(self._unserved, 1.0), 0.0, slack)
        return self._solved(program.cost, otherwise=fewest)

    def _expect(self, *, is_capped: bool) -> None:
        for line, served in zip(self.case.lines, self._demand, strict=True):
            low = line.expected_units if is_capped else 0.0
            self._program.row(served, low, line.expected_units if is_capped else math.inf)

    def _solved(self, cost: Sequence[float], otherwise: Plan | None = None) -> Plan:
        """Return the best plan; `otherwise` counts if time is up before any is found."""
        found = self._program.solve(cost)
        if found.x is None and otherwise is not None:
            return replace(otherwise, is_proven=False)
        if found.x is None:
            rule = "of numbers that can be planned with: some are extremely large or small"
            raise PolicyInputError("the campaign", rule, self.case.campaign_id)
        x = np.where(np.abs(found.x) < _TINY, 0.0, found.x)
        is_proven = found.status == _SOLVED and (otherwise is None or otherwise.is_proven)
        return self._plan(x, is_proven=is_proven)

    def _plan(self, x: np.ndarray, *, is_proven: bool) -> Plan:
        value = [float(one) for one in x]
        orders: dict[int, float] = {}
        days: dict[int, int] = {}
        for (place, _), (extra, used) in self._extra.items():
            if value[extra] > _TINY:
                orders[place] = orders.get(place, 0.0) + value[extra]
                days[place] = days.get(place, 0) + round(value[used])
        costs = zip(self._program.cost, value, strict=True)
        return Plan(
            units={key: value[column] for key, column in self._units.items()},
            unserved=[value[column] for column in self._unserved],
            extra_orders=orders,
            extra_days=days,
            space=frozenset(place for place, one in self._space.items() if value[one] > 0.5),
            bought={key: round(value[column]) * pack for key, (column, pack) in self._bought.items()
                    if value[column] > 0.5},
            given_up={key: value[one] for key, one in self._given_up.items() if value[one] > 0},
            shifted={key: value[one] for key, one in self._shifted.items() if value[one] > 0},
            cost=math.fsum(each * count for each, count in costs),
            is_proven=is_proven,
        )  # fmt: skip


def route(case: Case, supplies: Sequence[Supply]) -> dict[tuple[int, str], float]:
    """Return from where the expected units of each line ship so that the last is out soonest.

    What is short may ship from any of the line's warehouses.
    """
    lines = case.lines
    if all(len(line.warehouses) == 1 for line in lines):
        return {(n, line.warehouses[0]): line.expected_units for n, line in enumerate(lines)}
    program = _Program()
    days = program.column(1.0)
    at: dict[str, dict[int, float]] = {}
    columns: dict[tuple[int, str], list[int]] = {}
    for place, (line, supply) in enumerate(zip(lines, supplies, strict=True)):
        own, missing = {}, {}
        for name in line.warehouses:
            stock = program.column(0.0, min(supply.reliable[name]))
            short = program.column()
            own[stock], missing[short] = 1.0, 1.0
            columns[place, name] = [stock, short]
            for column in (stock, short):
                at.setdefault(name, {})[column] = line.orders_each
        program.row({**own, **missing}, line.expected_units, line.expected_units)
        have = sum(min(units) for units in supply.reliable.values())
        program.row(missing, 0.0, max(0.0, line.expected_units - have))
    for name, cells in at.items():
        rate = _daily_rate(case, name)
        if rate < math.inf:
            program.row({**cells, days: -rate}, -math.inf, 0.0)
    found = program.solve(program.cost)
    if found.x is None:  # a warehouse without any capacity: everything is late in any case
        return {
            key: lines[key[0]].expected_units / len(lines[key[0]].warehouses) for key in columns
        }
    return {key: float(found.x[own].sum()) for key, own in columns.items()}


def _daily_rate(case: Case, name: str) -> float:
    """Return the orders a day of a warehouse's slowest limit; infinite where none is known."""
    if name not in case.warehouses:
        return math.inf
    limits = case.warehouses[name].limits
    return min((one.amount for one in limits if one.is_daily and not one.is_units),
               default=math.inf)  # fmt: skip
