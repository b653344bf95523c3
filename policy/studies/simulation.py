"""Day-by-day simulation of two suppliers and one item, many runs at once.

It is the referee for the solvers, so it shares no code with them: orders travel in a calendar of
arrivals, and every number is counted from simulated days.

A day runs: receive what is due, decide (on a review day), meet demand or add it to the backlog. The
day costs half of what its start level costs plus half of its end level (Eq. 10 of the paper with
its signs put right, P17 and P18). Source of the setting: Xiang, Naseem & Ahmad (2025), doi
10.37256/cm.6520257779.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from policy.errors import PolicyInputError

FloatArray = npt.NDArray[np.float64]
# (day, net inventory, units on order), each of shape (run,), to (lean units, flexible units).
Rule = Callable[[int, FloatArray, FloatArray], tuple[FloatArray, FloatArray]]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One item and its two suppliers; the defaults are the paper's case.

    Money: set-up per order, cost per unit, holding and backorder per unit and day. Capacity is the
    most units the lean supplier takes per order (assumption 7 of the paper, in none of its
    equations, P22).
    """

    horizon_days: int = 360
    review_period_days: int = 9
    lean_lead_time_days: int = 4
    flexible_lead_time_days: int = 2
    lean_setup_cost: float = 900.0
    flexible_setup_cost: float = 90.0
    lean_unit_cost: float = 10.0
    flexible_unit_cost: float = 13.0
    holding_cost: float = 0.9
    backorder_cost: float = 2.0
    start_stock: float = 1200.0
    lean_capacity: float = np.inf

    def __post_init__(self) -> None:
        for name in ("horizon_days", "review_period_days"):
            _require(getattr(self, name) >= 1, name, ">= 1", getattr(self, name))
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "start_stock":
                _require(value >= 0, field.name, ">= 0", value)
            _require(not np.isnan(value), field.name, "a number", value)


@dataclass(frozen=True)
class Outcome:
    """What each run cost and how it served; every array has shape (run,).

    Costs in money over the horizon. `cycle_service`: share of replenishment cycles without a day
    that ends in backlog. `fill_rate`: share of demand met on its day. `mean_stock`: units on hand,
    mean of the starts and ends of days. Orders: number over the horizon, units bought.
    """

    lean_purchase: FloatArray
    flexible_purchase: FloatArray
    setup: FloatArray
    holding: FloatArray
    backorder: FloatArray
    cycle_service: FloatArray
    fill_rate: FloatArray
    mean_stock: FloatArray
    lean_orders: FloatArray
    flexible_orders: FloatArray
    lean_units: FloatArray
    flexible_units: FloatArray

    @property
    def total(self) -> FloatArray:
        """Cost of each run: purchases, set-ups, holding and backorders."""
        purchase = self.lean_purchase + self.flexible_purchase
        return purchase + self.setup + self.holding + self.backorder

    def summary(self) -> dict[str, dict[str, float]]:
        """Return mean and standard error over runs of every part and of the total."""
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: mean_and_error(runs) for name, runs in {"total": self.total, **parts}.items()}


def mean_and_error(runs: FloatArray) -> dict[str, float]:
    """Return the mean over runs and its standard error (NaN-free: 0 for a single run).

    >>> mean_and_error(np.array([1.0, 3.0]))
    {'mean': 2.0, 'standard_error': 1.0}
    """
    error = float(runs.std(ddof=1) / np.sqrt(len(runs))) if len(runs) > 1 else 0.0
    return {"mean": float(runs.mean()), "standard_error": error}


def draw_normal_demand(
    generator: np.random.Generator,
    *,
    runs: int,
    days: int,
    mean_per_day: float = 100.0,
    sigma_per_day: float = 50.0,
    negatives: str = "replace",
) -> FloatArray:
    """Return daily demand, shape (run, day), in units.

    Args:
        generator: random numbers.
        runs, days: shape of the result, >= 1.
        mean_per_day: units, >= 0. `sigma_per_day`: standard deviation (P3), >= 0.
        negatives: `replace` puts the mean where a draw is below 0, as the paper does, which lifts
            the mean to 102.70 and cuts the standard deviation to 46.54 (P10); `clip` puts 0.

    Raises:
        PolicyInputError: an argument breaks a range above.

    >>> demand = draw_normal_demand(np.random.default_rng(1), runs=1000, days=100)
    >>> bool(abs(demand.mean() - 102.70) < 0.5 and abs(demand.std() - 46.54) < 0.5)
    True
    """
    _require(runs >= 1, "runs", ">= 1", runs)
    _require(days >= 1, "days", ">= 1", days)
    _require(0 <= mean_per_day < np.inf, "mean_per_day", ">= 0", mean_per_day)
    _require(0 <= sigma_per_day < np.inf, "sigma_per_day", ">= 0", sigma_per_day)
    _require(negatives in ("replace", "clip"), "negatives", "replace or clip", negatives)
    demand = generator.normal(mean_per_day, sigma_per_day, (runs, days))
    demand[demand < 0] = mean_per_day if negatives == "replace" else 0.0
    return demand


def simulate(
    setting: Setting, rule: Rule, demand: FloatArray, *, cycle_start_days: int | None = None
) -> Outcome:
    """Run a rule over simulated or recorded demand.

    Args:
        setting: the item and its suppliers.
        rule: called on day 0, T, 2T, ... with (day, net inventory, units on order), arrays of shape
            (run,); returns (lean units, flexible units), each >= 0, shape (run,).
        demand: units per day, shape (run, day), >= 0, at least `horizon_days` days.
        cycle_start_days: a service cycle runs from this many days after a review to the same after
            the next; by default the shorter lead time. Only cycles inside the horizon count.

    Returns:
        One value per run of every part of `Outcome`.

    Raises:
        PolicyInputError: demand has the wrong shape or a value below 0, or a rule orders below 0.

    Lean only, up to 1,597.5 units, 400 runs (the paper prints 639,740):

    >>> demand = draw_normal_demand(np.random.default_rng(1), runs=400, days=360)
    >>> total = simulate(Setting(), order_up_to(1597.5), demand).total.mean()
    >>> bool(abs(total / 637_400 - 1) < 0.003)
    True
    """
    demand = np.asarray(demand, dtype=float)
    _require(demand.ndim == 2, "demand", "of shape (run, day)", demand.shape)
    _require(demand.shape[1] >= setting.horizon_days, "demand", "one value a day", demand.shape)
    _require(bool(np.all(demand >= 0)), "demand", ">= 0", float(np.min(demand, initial=0.0)))
    leads = (setting.lean_lead_time_days, setting.flexible_lead_time_days)
    ledger = _Ledger(setting, demand.shape[0])
    for day in range(setting.horizon_days):
        ledger.receive(day)
        if day % setting.review_period_days == 0:
            ledger.order(day, rule)
            ledger.receive(day)  # a lead time of 0 days delivers before today's demand
        ledger.serve(day, demand[:, day])
    start = min(leads) if cycle_start_days is None else cycle_start_days
    return ledger.outcome(start)


class _Ledger:
    """State and running sums of all runs on one day."""

    def __init__(self, setting: Setting, runs: int) -> None:
        self.setting = setting
        days = setting.horizon_days
        leads = (setting.lean_lead_time_days, setting.flexible_lead_time_days)
        self.arriving = np.zeros((days + max(leads) + 1, runs))
        self.level = np.full(runs, float(setting.start_stock))
        self.on_order = np.zeros(runs)
        self.short_day = np.zeros((days, runs), dtype=bool)
        self.sums = {field.name: np.zeros(runs) for field in fields(Outcome)}
        self.met = np.zeros(runs)
        self.asked = np.zeros(runs)

    def receive(self, day: int) -> None:
        self.level += self.arriving[day]
        self.on_order -= self.arriving[day]
        self.arriving[day] = 0.0

    def order(self, day: int, rule: Rule) -> None:
        lean, flexible = rule(day, self.level.copy(), self.on_order.copy())
        lean = np.minimum(lean, self.setting.lean_capacity)
        for name, units in (("lean", lean), ("flexible", flexible)):
            _require(bool(np.all(units >= 0)), f"{name} order", ">= 0", np.min(units))
            self._buy(name, day, units)

    def _buy(self, name: str, day: int, units: FloatArray) -> None:
        setting: Any = self.setting
        self.arriving[day + getattr(setting, f"{name}_lead_time_days")] += units
        self.on_order += units
        self.sums[f"{name}_units"] += units
        self.sums[f"{name}_orders"] += units > 0
        self.sums[f"{name}_purchase"] += getattr(setting, f"{name}_unit_cost") * units
        self.sums["setup"] += getattr(setting, f"{name}_setup_cost") * (units > 0)

    def serve(self, day: int, demand: FloatArray) -> None:
        start, end = self.level, self.level - demand
        stock = (np.maximum(start, 0) + np.maximum(end, 0)) / 2
        backlog = (np.maximum(-start, 0) + np.maximum(-end, 0)) / 2
        self.sums["holding"] += self.setting.holding_cost * stock
        self.sums["backorder"] += self.setting.backorder_cost * backlog
        self.sums["mean_stock"] += stock / self.setting.horizon_days
        self.met += np.minimum(demand, np.maximum(start, 0))
        self.asked += demand
        self.short_day[day] = end < 0
        self.level = end

    def outcome(self, cycle_start_days: int) -> Outcome:
        period = self.setting.review_period_days
        starts = range(cycle_start_days, self.setting.horizon_days - period + 1, period)
        clean = [~self.short_day[start : start + period].any(axis=0) for start in starts]
        if not clean:  # a horizon shorter than one cycle is one cycle
            clean = [~self.short_day.any(axis=0)]
        self.sums["cycle_service"] = np.array(clean, dtype=float).mean(axis=0)
        asked = np.where(self.asked > 0, self.asked, 1.0)
        self.sums["fill_rate"] = np.where(self.asked > 0, self.met / asked, 1.0)
        return Outcome(**self.sums)


def order_up_to(level: float, supplier: str = "lean") -> Rule:
    """Return the rule that lifts the stock position to `level` units at every review.

    >>> order_up_to(100.0)(0, np.array([30.0, 120.0]), np.array([10.0, 0.0]))
    (array([60.,  0.]), array([0., 0.]))
    """
    return reorder_point(np.inf, level, supplier)


def reorder_point(point: float, level: float, supplier: str = "lean") -> Rule:
    """Return the rule that lifts the stock position to `level` when it is at or below `point`.

    Continuous review is `review_period_days=1` in the setting.
    """
    _require(supplier in ("lean", "flexible"), "supplier", "lean or flexible", supplier)
    _require(not np.isnan(level), "level", "a number of units", level)

    def rule(
        day: int, net_inventory: FloatArray, on_order: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        position = net_inventory + on_order
        units = np.where(position <= point, np.maximum(level - position, 0.0), 0.0)
        nothing = np.zeros_like(units)
        return (units, nothing) if supplier == "lean" else (nothing, units)

    return rule


def monthly(units: float, *, month_days: int = 30) -> Rule:
    """Return the rule that buys `units` from the lean supplier on the first day of a month.

    Use it with a review period that divides `month_days`. The paper's benchmark is 3,000 units of
    mean demand without safety stock (P30).
    """

    def rule(
        day: int, net_inventory: FloatArray, on_order: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        due = units if day % month_days == 0 else 0.0
        return np.full_like(net_inventory, due), np.zeros_like(net_inventory)

    return rule


def interval_table(
    from_units: npt.ArrayLike, flexible_to: npt.ArrayLike, lean_to: npt.ArrayLike
) -> Rule:
    """Return the rule of an interval table over net inventory.

    In the interval that starts at `from_units[k]` (the first one reaches down without end) the
    flexible order lifts net inventory to `flexible_to[k]` and the lean order on to `lean_to[k]`. A
    target below the level it starts from orders nothing; so does NaN.

    Args:
        from_units: starts of the intervals, ascending, shape (interval,).
        flexible_to, lean_to: targets in units, shape (interval,).

    >>> rule = interval_table([0, 100], [150, np.nan], [300, 300])
    >>> rule(0, np.array([-5.0, 120.0]), np.zeros(2))
    (array([150., 180.]), array([155.,   0.]))
    """
    starts = np.asarray(from_units, dtype=float)
    targets = [np.nan_to_num(np.asarray(to, dtype=float), nan=-np.inf, neginf=-np.inf)
               for to in (flexible_to, lean_to)]  # fmt: skip
    _require(
        len(starts) >= 1 and bool(np.all(np.diff(starts) > 0)), "from_units", "ascending", starts
    )
    for name, target in zip(("flexible_to", "lean_to"), targets, strict=True):
        _require(target.shape == starts.shape, name, f"of shape {starts.shape}", target.shape)

    def rule(
        day: int, net_inventory: FloatArray, on_order: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        position = net_inventory + on_order
        row = np.clip(np.searchsorted(starts, position, side="right") - 1, 0, None)
        flexible = np.maximum(targets[0][row] - position, 0.0)
        lean = np.maximum(targets[1][row] - position - flexible, 0.0)
        return lean, flexible

    return rule


def _require(holds: bool | np.bool_, name: str, rule: str, value: object) -> None:
    if not holds:
        raise PolicyInputError(name, rule, value)
