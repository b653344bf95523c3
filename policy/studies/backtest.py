"""Ordering policies on recorded demand of many items, day by day and out of sample.

A day runs as in `policy.studies.simulation`: receive what is due, decide (items whose review it
is), meet demand or add it to the backlog; it costs half of what its start level costs plus half of
its end level. Each decision knows the days before it and nothing else: mean and standard deviation
of demand over a trailing window of whole weeks, the same for every policy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from policy.errors import PolicyInputError
from policy.live_decision import decide
from policy.policy_cache import PolicyCache
from policy.price_breaks import broken_cost
from policy.review_inputs import ReviewInputs, ServiceType

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

WINDOW_DAYS = 56
WARM_UP_DAYS = 28
MONTH_DAYS = 30
SUPPLIERS = ("lean", "flexible")

Terms = Mapping[str, FloatArray]
"""Columns named like the fields of `ReviewInputs` without position and demand, shape (item,); price
breaks, where there are any, have shape (item, tier)."""


@dataclass(frozen=True)
class Review:
    """What a policy knows of the items under review; every array has shape (reviewed item,)."""

    position_units: FloatArray
    """On hand + on order - backlog."""
    mean_units_per_day: FloatArray
    sd_units_per_day: FloatArray
    terms: Terms


Order = tuple[FloatArray, FloatArray]
"""Units from the lean and the flexible supplier, shape (reviewed item,)."""


@dataclass(frozen=True)
class Policy:
    """A named way to order: `order` is called on an item's review days."""

    name: str
    order: Callable[[Review], Order]
    period_days: IntArray
    """Days between two reviews, shape (item,)."""


@dataclass(frozen=True)
class Ledger:
    """What a policy cost and how it served, over the days that count; arrays of shape (item,).

    Money over all those days. `stock_change` is what the stock position grew by, at the lean unit
    cost: it was bought and not sold, so it is taken off the cost.
    """

    purchases: FloatArray
    setups: FloatArray
    holding: FloatArray
    backorders: FloatArray
    stock_change: FloatArray
    orders: FloatArray
    lean_units: FloatArray
    flexible_units: FloatArray
    mean_stock_units: FloatArray
    demand_units: FloatArray
    met_units: FloatArray
    """Met from stock on the day it was asked for."""
    cycles: FloatArray
    """Whole review periods, each starting when a flexible order could arrive."""
    clean_cycles: FloatArray
    """Of these, without a day that ends in backlog."""

    @property
    def cost(self) -> FloatArray:
        """Purchases, set-ups, holding and backorders, less the growth of stock."""
        paid = self.purchases + self.setups + self.holding + self.backorders
        return paid - self.stock_change


def backtest(
    demand: FloatArray,
    terms: Terms,
    policy: Policy,
    *,
    first_day: int,
    warm_up_days: int = WARM_UP_DAYS,
    tell: Callable[[float], None] | None = None,
) -> Ledger:
    """Return what a policy would have cost on recorded demand.

    Args:
        demand: units, shape (item, day), >= 0.
        terms: the items' suppliers, costs and targets.
        policy: what to order.
        first_day: day of the first order, >= 7; the days before are only learnt from. Stock opens
            at the mean demand of the review period and the lean lead, for every policy alike.
        warm_up_days: days from `first_day` on that cost and serve nothing, >= 0.
        tell: called with the share that is done.

    Raises:
        PolicyInputError: an argument breaks a range above.

    >>> steady = np.full((1, 150), 10.0)
    >>> ledger = backtest(steady, published_terms(1), monthly(1), first_day=60, warm_up_days=30)
    >>> float(ledger.demand_units[0]), float(ledger.clean_cycles[0] / ledger.cycles[0])
    (600.0, 1.0)
    """
    _check(demand, terms, first_day, warm_up_days)
    days = demand.shape[1]
    state = _State(demand, terms, policy, first_day, warm_up_days)
    for day in range(first_day, days):
        state.receive(day)
        state.review(day)
        state.receive(day)  # a lead time of 0 days delivers before today's demand
        state.serve(day)
        if tell:
            tell((day + 1 - first_day) / (days - first_day))
    return state.ledger()


def _check(demand: FloatArray, terms: Terms, first_day: int, warm_up_days: int) -> None:
    if demand.ndim != 2 or not np.all(demand >= 0):
        raise PolicyInputError("demand", ">= 0, of shape (item, day)", demand.shape)
    if not 7 <= first_day < demand.shape[1] - warm_up_days:
        rule = f"from 7 to {demand.shape[1] - warm_up_days - 1}, so that days are left to count"
        raise PolicyInputError("first_day", rule, first_day)
    if not warm_up_days >= 0:
        raise PolicyInputError("warm_up_days", ">= 0", warm_up_days)
    for name, column in terms.items():
        if len(column) != demand.shape[0]:
            raise PolicyInputError(name, f"of {demand.shape[0]} items", column.shape)


def trailing(demand: FloatArray, day: int, window_days: int = WINDOW_DAYS) -> Order:
    """Return mean and standard deviation of daily demand over the days before `day`.

    An item's days begin with its first sale. At most `window_days` count.

    >>> mean, deviation = trailing(np.array([[0.0, 4.0, 2.0, 9.0]]), 3)
    >>> float(mean[0]), float(deviation[0])
    (3.0, 1.0)
    """
    sold = demand[:, :day] > 0
    began = np.where(sold.any(axis=1), sold.argmax(axis=1), day)
    count = np.maximum(1, np.minimum(window_days, day - began))
    recent = demand[:, max(0, day - window_days) : day]
    mean = recent.sum(axis=1) / count
    variance = (recent**2).sum(axis=1) / count - mean**2
    return mean, np.sqrt(np.maximum(variance, 0.0))


class _State:
    """Stock, orders on the way and running sums of all items under one policy."""

    def __init__(
        self,
        demand: FloatArray,
        terms: Terms,
        policy: Policy,
        first_day: int,
        warm_up_days: int,
    ) -> None:
        self.demand, self.terms, self.policy = demand, terms, policy
        self.counted_from = first_day + warm_up_days
        items, days = demand.shape
        self.lead = {
            name: np.ceil(terms[f"lead_time_days_{name}"]).astype(np.int64) for name in SUPPLIERS
        }
        longest = int(max(lead.max(initial=0) for lead in self.lead.values()))
        self.arriving = np.zeros((days + longest + 1, items))
        cover = terms["review_period_days"] + self.lead["lean"]
        self.level: FloatArray = np.ceil(trailing(demand, first_day)[0] * cover)
        self.on_order = np.zeros(items)
        self.opening = np.zeros(items)
        self.short = np.zeros((items, days), dtype=bool)
        names = ("purchases", "setups", "holding", "backorders", "orders", "lean_units")
        more = ("flexible_units", "mean_stock_units", "demand_units", "met_units")
        self.sums = {name: np.zeros(items) for name in (*names, *more)}

    def receive(self, day: int) -> None:
        self.level += self.arriving[day]
        self.on_order -= self.arriving[day]
        self.arriving[day] = 0.0

    def review(self, day: int) -> None:
        if day == self.counted_from:
            self.opening = self.level + self.on_order
        turns = np.arange(len(self.level)) % self.policy.period_days
        chosen = np.flatnonzero(day % self.policy.period_days == turns)
        if not chosen.size:
            return
        mean, deviation = trailing(self.demand, day)
        orders = self.policy.order(
            Review(
                (self.level + self.on_order)[chosen],
                mean[chosen],
                deviation[chosen],
                {name: column[chosen] for name, column in self.terms.items()},
            )
        )
        for name, units in zip(SUPPLIERS, orders, strict=True):
            self._buy(name, day, chosen, units)

    def _buy(self, name: str, day: int, chosen: IntArray, units: FloatArray) -> None:
        self.arriving[day + self.lead[name][chosen], chosen] += units
        self.on_order[chosen] += units
        if day < self.counted_from:
            return
        setup = self.terms[f"setup_cost_{name}"][chosen]
        self.sums[f"{name}_units"][chosen] += units
        self.sums["orders"][chosen] += units > 0
        self.sums["setups"][chosen] += np.where(units > 0, setup, 0.0)
        self.sums["purchases"][chosen] += self._unit_cost(name, chosen, units) * units

    def _unit_cost(self, name: str, chosen: IntArray, units: FloatArray) -> FloatArray:
        """Return what a unit of such orders costs, shape (chosen item,)."""
        plain = self.terms[f"unit_cost_{name}"][chosen]
        if f"price_break_units_{name}" not in self.terms:
            return plain
        tiers = self.terms[f"price_break_units_{name}"], self.terms[f"price_break_unit_cost_{name}"]
        return broken_cost(units, plain, *(column[chosen] for column in tiers))

    def serve(self, day: int) -> None:
        asked = self.demand[:, day]
        start, end = self.level, self.level - asked
        self.level = end
        self.short[:, day] = end < 0
        if day < self.counted_from:
            return
        stock = (np.maximum(start, 0) + np.maximum(end, 0)) / 2
        backlog = (np.maximum(-start, 0) + np.maximum(-end, 0)) / 2
        self.sums["holding"] += self.terms["holding_cost_per_unit_day"] * stock
        self.sums["backorders"] += self.terms["backorder_cost_per_unit_day"] * backlog
        self.sums["mean_stock_units"] += stock / (self.demand.shape[1] - self.counted_from)
        self.sums["demand_units"] += asked
        self.sums["met_units"] += np.minimum(asked, np.maximum(start, 0))

    def ledger(self) -> Ledger:
        growth = self.level + self.on_order - self.opening
        cycles, clean = self._cycles()
        return Ledger(
            stock_change=growth * self.terms["unit_cost_lean"],
            cycles=cycles,
            clean_cycles=clean,
            **self.sums,
        )

    def _cycles(self) -> Order:
        """Count whole review periods of each item, whatever the policy's own rhythm is."""
        items, days = self.short.shape
        cycles, clean = np.zeros(items), np.zeros(items)
        periods = whole_days(self.terms["review_period_days"])
        for item in range(items):
            period = int(periods[item])
            turn = item % period + int(self.lead["flexible"][item])
            start = self.counted_from + (turn - self.counted_from) % period
            whole = (days - start) // period
            shorts = self.short[item, start : start + whole * period].reshape(whole, period)
            cycles[item], clean[item] = whole, whole - shorts.any(axis=1).sum()
        return cycles, clean


def whole_days(days: FloatArray) -> IntArray:
    """Return periods in whole days, at least one."""
    periods: IntArray = np.maximum(1, np.rint(days)).astype(np.int64)
    return periods


def dual(terms: Terms, cache: PolicyCache | None = None, *, suppliers: str = "both") -> Policy:
    """Return the live decision (`policy.live_decision`) at every review.

    Args:
        terms: the items' suppliers, costs and targets.
        cache: solved policies, shared by the reviews.
        suppliers: both, lean or flexible.
    """
    if suppliers not in ("both", *SUPPLIERS):
        raise PolicyInputError("suppliers", "both, lean or flexible", suppliers)
    absent = {"lean": "flexible", "flexible": "lean"}.get(suppliers)
    known = cache or PolicyCache()

    def order(review: Review) -> Order:
        columns: dict[str, Any] = dict(review.terms)
        columns["service_type"] = columns["service_type"].astype(np.int64)
        if absent:
            columns[f"setup_cost_{absent}"] = np.full(len(review.position_units), np.inf)
        inputs = ReviewInputs(
            inventory_position_units=review.position_units,
            demand_mean_units_per_day=review.mean_units_per_day,
            demand_sd_units_per_day=review.sd_units_per_day,
            **columns,
        )
        decided = decide(inputs, known)
        lean = decided.quantity_lean_units.astype(float)
        return lean, decided.quantity_flexible_units.astype(float)

    name = "dual" if suppliers == "both" else f"{suppliers} only"
    return Policy(name, order, whole_days(terms["review_period_days"]))


def reorder_quantity(items: int) -> Policy:
    """Return daily (s, Q) from the lean supplier: Wilson's Q, s for the target over its lead.

    s = m (L + 1) + z sd sqrt(L + 1), since a day passes between two looks; the target is read as
    the share of cycles without a stock-out. Several Q at once where one does not reach s.
    """

    def order(review: Review) -> Order:
        terms = review.terms
        mean, cover = review.mean_units_per_day, np.ceil(terms["lead_time_days_lean"]) + 1
        target = np.where(terms["service_type"] == ServiceType.COST, 0.5, terms["service_target"])
        point = mean * cover + ndtri(np.maximum(target, 0.5)) * review.sd_units_per_day * cover**0.5
        setup, holding = terms["setup_cost_lean"], terms["holding_cost_per_unit_day"]
        wilson = np.maximum(1.0, np.rint(np.sqrt(2 * setup * mean / holding)))
        short = point - review.position_units
        units = np.where(short >= 0, wilson * np.maximum(1.0, np.ceil(short / wilson)), 0.0)
        units = np.where((mean > 0) | (review.position_units < 0), units, 0.0)
        return _in_lots(units, terms), np.zeros_like(units)

    return Policy("reorder point", order, np.ones(items, np.int64))


def monthly(items: int) -> Policy:
    """Return an order every 30 days from the lean supplier, up to mean demand until the next.

    That is mean demand of 30 days and the lead time, without safety stock, as in the paper's
    benchmark; unlike there the stock position is looked at, or stock and backlog would drift.
    """

    def order(review: Review) -> Order:
        terms = review.terms
        cover = MONTH_DAYS + np.ceil(terms["lead_time_days_lean"])
        wish = np.ceil(review.mean_units_per_day * cover) - review.position_units
        return _in_lots(np.maximum(wish, 0.0), terms), np.zeros_like(wish)

    return Policy("monthly", order, np.full(items, MONTH_DAYS, np.int64))


def _in_lots(units: FloatArray, terms: Terms) -> FloatArray:
    """Raise orders to the lean supplier's minimum and whole packs."""
    pack = np.maximum(1.0, terms["pack_size_units_lean"])
    least = np.maximum(units, terms["minimum_order_units_lean"])
    lots: FloatArray = np.where(units > 0, np.ceil(least / pack - 1e-9) * pack, 0.0)
    return lots


def published_terms(items: int) -> dict[str, FloatArray]:
    """Return the terms of the published case for each of `items` items, to start from.

    >>> float(published_terms(2)["setup_cost_lean"][1])
    900.0
    """
    values = {
        **{"review_period_days": 9.0, "lead_time_days_lean": 4.0, "lead_time_days_flexible": 2.0},
        **{"setup_cost_lean": 900.0, "setup_cost_flexible": 90.0},
        **{"unit_cost_lean": 10.0, "unit_cost_flexible": 13.0},
        **{"holding_cost_per_unit_day": 0.9, "backorder_cost_per_unit_day": 2.0},
        **{"service_target": 0.95, "lean_capacity_units": np.inf},
        **{"minimum_order_units_lean": 0.0, "minimum_order_units_flexible": 0.0},
        **{"pack_size_units_lean": 1.0, "pack_size_units_flexible": 1.0},
    }
    values["service_type"] = float(ServiceType.CYCLE)
    return {name: np.full(items, value) for name, value in values.items()}
