"""What many items share: a lean supplier's capacity, a budget, and caps on single orders.

One price for each shared thing, found by bisection: a lean unit costs every item of a supplier so
much more that what is left to order fits. Capacity so goes to where it saves most, and the flexible
supplier takes the rest where that pays. Sums are of whole units, so nothing depends on the order of
the items, and items that are equal are served alike: of several that stand at the very price at
which one more would fit, none is.

A worker's shards each see their own items only, and a decision must not depend on how items are
spread over them. So this is a library: for those who plan all items of a supplier in one place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from policy.decisions import Decisions, Method
from policy.errors import PolicyInputError
from policy.live_decision import decide
from policy.parameters import parameter_rows
from policy.policy_cache import PolicyCache
from policy.review_inputs import BoolArray, FloatArray, IntArray, ReviewInputs, checked_columns
from policy.solver import columns as kernel
from policy.solver.shadow_prices import answer_many

_STEPS = 60


@dataclass(frozen=True)
class Allocation:
    """Quantities that fit what is shared."""

    quantity_lean_units: IntArray
    """Shape (item,)."""
    quantity_flexible_units: IntArray
    """Shape (item,)."""
    price: FloatArray
    """Money that one more unit of the shared thing would save, by supplier or one entry for a
    budget; 0 where it does not bind. Shape (supplier,) or (1,)."""
    is_bound: BoolArray
    """Whether an item orders otherwise than it would at no price; shape (item,)."""


def share_lean_capacity(
    inputs: ReviewInputs,
    supplier: IntArray,
    capacity_units: FloatArray,
    cache: PolicyCache | None = None,
) -> Allocation:
    """Return orders whose lean units fit the capacity of each lean supplier.

    Args:
        inputs: the items of one review.
        supplier: place of each item's lean supplier in `capacity_units`, shape (item,).
        capacity_units: most lean units of all its items together, shape (supplier,), >= 0.
        cache: solved policies, with room for those of all items; None makes one.

    Items that are not decided exactly keep their orders, which are taken off the capacity first.

    Raises:
        PolicyInputError: an argument is out of range, the cache is too small, or the orders that
            are kept exceed a capacity.
    """
    market = _Market(inputs, cache)
    supplier = np.asarray(supplier)
    capacity = np.asarray(capacity_units, np.float64)
    good = supplier.shape == (market.size,) and bool(
        np.all((supplier >= 0) & (supplier < capacity.size))
    )
    if not good:
        raise PolicyInputError(
            "supplier", f"places in capacity_units, one of {market.size}", supplier
        )
    if not bool(np.all(capacity >= 0.0)):
        raise PolicyInputError("capacity_units", ">= 0", float(capacity.min()))

    def used(units: IntArray) -> FloatArray:
        sums = np.bincount(supplier, weights=units[:, 0], minlength=capacity.size)
        return sums.astype(np.float64)

    kept = used(np.where(market.free[:, None], 0, market.alone))
    if not bool(np.all(kept <= capacity)):
        worst = int(np.argmax(kept - capacity))
        raise PolicyInputError("capacity_units", f">= {kept[worst]:g}", float(capacity[worst]))
    binds = used(market.alone) > capacity
    low = np.zeros(capacity.size)
    high = np.where(binds, market.highest_lean_price(), 0.0)
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        fits = used(market.units(middle[supplier], np.zeros(market.size))) <= capacity
        high = np.where(fits & binds, middle, high)
        low = np.where(fits, low, middle)
    prices = high[supplier]
    units = market.units(prices, np.zeros(market.size))
    units = np.where(binds[supplier][:, None], units, market.alone)
    units[(used(units) > capacity)[supplier] & market.free, 0] = 0  # at any price
    return market.allocation(units, high)


def share_budget(
    inputs: ReviewInputs, budget: float, cache: PolicyCache | None = None
) -> Allocation:
    """Return orders of all items that together cost no more than a budget, set-ups included.

    Args:
        inputs: the items of one review, in one currency.
        budget: money, >= 0.
        cache: solved policies, with room for those of all items; None makes one.

    Raises:
        PolicyInputError: as in `share_lean_capacity`.
    """
    market = _Market(inputs, cache)
    if not budget >= 0.0:
        raise PolicyInputError("budget", ">= 0", budget)
    kept = market.spent(np.where(market.free[:, None], 0, market.alone))
    if not kept <= budget:
        raise PolicyInputError("budget", f">= {kept:g}", budget)
    if market.spent(market.alone) <= budget:
        return market.allocation(market.alone, np.zeros(1))
    nothing = np.zeros(market.size)
    low, high = 0.0, 1.0
    while market.spent(market.units(nothing, nothing + high)) > budget and high < 1e12:
        low, high = high, 4.0 * high
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        if market.spent(market.units(nothing, nothing + middle)) <= budget:
            high = middle
        else:
            low = middle
    return market.allocation(market.units(nothing, nothing + high), np.array([high]))


def cap_orders(
    quantity_lean: IntArray,
    quantity_flexible: IntArray,
    inputs: ReviewInputs,
    *,
    most_units: FloatArray,
    most_money: FloatArray,
) -> tuple[IntArray, IntArray]:
    """Return (lean, flexible) units within each item's own caps of a day.

    The later delivery is cut first, to whole packs; an order that would fall below its minimum is
    dropped. Lots of 0 or 1 mean none.

    Args:
        quantity_lean, quantity_flexible: units, shape (item,), >= 0.
        inputs: minimum orders, packs and costs of the items.
        most_units, most_money: for both suppliers together, shape (item,), >= 0, inf for no cap.

    Raises:
        PolicyInputError: a cap is below 0.
    """
    for name, cap in (("most_units", most_units), ("most_money", most_money)):
        if not bool(np.all(np.asarray(cap) >= 0.0)):
            raise PolicyInputError(name, ">= 0", cap)
    units_left, money_left = most_units.astype(np.float64), most_money.astype(np.float64)
    fast = _capped(quantity_flexible, "flexible", inputs, units_left, money_left)
    money = inputs.unit_cost_flexible * fast
    money = money + np.where(fast > 0, inputs.setup_cost_flexible, 0.0)
    slow = _capped(quantity_lean, "lean", inputs, units_left - fast, money_left - money)
    return slow, fast


def _capped(
    wanted: IntArray,
    role: str,
    inputs: ReviewInputs,
    most_units: FloatArray,
    most_money: FloatArray,
) -> IntArray:
    pack = np.maximum(getattr(inputs, f"pack_size_units_{role}"), 1.0)
    unit, setup = (getattr(inputs, f"{name}_cost_{role}") for name in ("unit", "setup"))
    payable = np.where(unit > 0.0, (most_money - setup) / np.where(unit > 0.0, unit, 1.0), np.inf)
    payable = np.where(most_money >= setup, np.floor(payable + 1e-9), 0.0)
    most = np.floor(np.minimum(most_units, payable) / pack) * pack
    units = np.minimum(wanted, np.maximum(most, 0.0))
    enough = units >= getattr(inputs, f"minimum_order_units_{role}")
    return np.where(enough, units, 0.0).astype(np.int64)


class _Market:
    """The items of a review, ready to answer prices."""

    def __init__(self, inputs: ReviewInputs, cache: PolicyCache | None) -> None:
        columns = checked_columns(inputs)
        self.columns = columns
        self.size = len(inputs)
        self.rows = parameter_rows(columns)
        keys = [row.tobytes() for row in self.rows]
        if cache is None:
            cache = PolicyCache(max(100_000, len(set(keys)) * kernel.LEVELS_CAP))
        self.decisions: Decisions = decide(inputs, cache)
        self.free: BoolArray = self.decisions.method == Method.EXACT
        if inputs.allow_lean is not None:
            self.free &= inputs.allow_lean
        self.items = np.flatnonzero(self.free)
        self.slots = cache.find([keys[item] for item in self.items])
        if self.slots.size and self.slots.min() < 0:
            raise PolicyInputError("cache", "large enough for every item's policy", len(cache))
        self.cache = cache
        decisions = self.decisions
        self.alone = np.stack(
            [decisions.quantity_lean_units, decisions.quantity_flexible_units], axis=1
        )
        self.money = columns["holding_cost_per_unit_day"]
        self.unpriced = self.units(np.zeros(self.size), np.zeros(self.size))

    def units(self, lean_prices: FloatArray, money_prices: FloatArray) -> IntArray:
        """Return (lean, flexible) units at prices in money, shape (item, 2)."""
        units = self.alone.copy()
        answer_many(
            self.items,
            self.slots,
            self.columns["inventory_position_units"],
            self.columns["demand_mean_units_per_day"],
            self.rows,
            self.cache.answers,
            self.cache.tables,
            self.cache.starts,
            lean_prices / self.money,
            money_prices,
            units,
        )
        return units

    def highest_lean_price(self) -> float:
        """Return a price at which nobody buys lean who can wait or pay the flexible supplier."""
        owed = self.columns["backorder_cost_per_unit_day"] * (
            self.columns["review_period_days"] + self.columns["lead_time_days_lean"]
        )
        return float((self.columns["unit_cost_flexible"] + owed).max(initial=1.0) * 1e4)

    def spent(self, units: IntArray) -> float:
        """Return the money of orders, summed alike in any order of the items."""
        parts = []
        for place, role in enumerate(("lean", "flexible")):
            bought = units[:, place]
            parts.append(self.columns[f"unit_cost_{role}"] * bought)
            parts.append(np.where(bought > 0, self.columns[f"setup_cost_{role}"], 0.0))
        return math.fsum(np.concatenate(parts).tolist())

    def allocation(self, units: IntArray, price: FloatArray) -> Allocation:
        return Allocation(
            quantity_lean_units=units[:, 0].copy(),
            quantity_flexible_units=units[:, 1].copy(),
            price=price,
            is_bound=(units != self.alone).any(axis=1) & (units != self.unpriced).any(axis=1),
        )
