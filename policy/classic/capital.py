"""Capital against service: the safety stocks that reach a fill rate with the least money."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri

from policy.classic.fields import FloatArray, Given, Number
from policy.classic.lots import DEMAND_RATE, QUANTITY
from policy.classic.normal import factor_for_loss, standard_loss
from policy.classic.safety import TARGET
from policy.errors import PolicyInputError

UNIT_COST = Number("unit_cost", "what a unit costs", is_above=True)
SIGMA = Number("sd_over_lead_time", "standard deviation of demand over the lead time")
CURVE_TARGETS = (0.80, 0.85, 0.90, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995)


@dataclass(frozen=True)
class Assortment:
    """Items that share one service target, each array of shape (item,).

    Attributes:
        unit_cost: money, > 0.
        sigma: sd of demand over the lead time, units, >= 0.
        lot: order quantity, units, > 0.
        demand: units a period, >= 0.
    """

    unit_cost: FloatArray
    sigma: FloatArray
    lot: FloatArray
    demand: FloatArray

    @staticmethod
    def of(unit_cost: Given, sigma: Given, lot: Given, demand: Given) -> Assortment:
        """Return the checked assortment.

        Raises:
            PolicyInputError: an array breaks its range, or nothing is demanded at all.
        """
        columns = (
            np.atleast_1d(UNIT_COST.check(unit_cost)),
            np.atleast_1d(SIGMA.check(sigma)),
            np.atleast_1d(QUANTITY.check(lot)),
            np.atleast_1d(DEMAND_RATE.check(demand)),
        )
        if not float(columns[3].sum()) > 0:
            raise PolicyInputError(DEMAND_RATE.name, "> 0 for at least one item", 0.0)
        return Assortment(*np.broadcast_arrays(*columns))

    def fill(self, k: FloatArray) -> float:
        """Return the share of the value demanded that is served, by sigma G(k) / Q for each."""
        missed = self.sigma * standard_loss(k) / self.lot
        value = self.unit_cost * self.demand
        return float(1 - missed @ value / value.sum())

    def safety_capital(self, k: FloatArray) -> float:
        """Return the money in safety stocks."""
        return float(np.sum(self.unit_cost * k * self.sigma))

    def cycle_capital(self) -> float:
        """Return the money in half lots."""
        return float(np.sum(self.unit_cost * self.lot) / 2)


@dataclass(frozen=True)
class Allocation:
    """Safety factors of the items, what they serve and what they bind."""

    k: FloatArray
    fill: float
    safety_capital: float


def least_capital(items: Assortment, target: float) -> Allocation:
    """Return the safety factors that reach a common fill rate with the least capital.

    The least of sum v k sigma under a fill rate weighted by value: sf(k) = Q / (lambda D) with one
    lambda for all items, the value of a unit more served in units of its cost. No k is below 0, so
    the fill rate may lie above a low target.

    Args:
        items: the assortment.
        target: share of the value demanded, inside (0, 1).

    >>> items = Assortment.of([10, 1], [20, 60], [50, 50], [100, 100])
    >>> best, even = least_capital(items, 0.97), equal_targets(items, 0.97)
    >>> round(best.fill, 6), round(even.fill, 6), best.safety_capital <= even.safety_capital
    (0.97, 0.97, True)
    """
    share = float(TARGET.check(target))
    has_demand = items.demand > 0
    ratio = items.lot[has_demand] / items.demand[has_demand]

    def factors(log_price: float) -> FloatArray:
        k = np.zeros_like(items.lot)
        k[has_demand] = np.maximum(-ndtri(np.minimum(ratio * np.exp(-log_price), 0.5)), 0.0)
        return np.where(items.sigma > 0, k, 0.0)

    return _meet(items, factors, float(np.log(2 * ratio.min())), share)


def equal_targets(items: Assortment, target: float) -> Allocation:
    """Return the safety factors that give every item the same fill rate; no k is below 0.

    The common fill rate is such that the assortment reaches `target`, as `least_capital` does.
    """
    share = float(TARGET.check(target))
    has_spread = items.sigma > 0
    width = items.lot / np.where(has_spread, items.sigma, items.lot)

    def factors(log_price: float) -> FloatArray:
        k = np.maximum(factor_for_loss(width * np.exp(-log_price)), 0.0)
        return np.where(has_spread, k, 0.0)

    return _meet(items, factors, 0.0, share)


def _meet(
    items: Assortment, factors: Callable[[float], FloatArray], lowest: float, share: float
) -> Allocation:
    """Return the factors at the least price that reaches the share."""

    def lacking(log_price: float) -> float:
        return items.fill(factors(log_price)) - share

    low = high = lowest
    while lacking(low) > 0 and items.safety_capital(factors(low)) > 0:
        low -= 1.0
    while lacking(high) < 0:
        high += 1.0
    found = low
    if high > low and lacking(low) < 0:
        found = float(brentq(lacking, low, high, xtol=1e-13, rtol=1e-14))
    k = factors(found)
    return Allocation(k, items.fill(k), items.safety_capital(k))


@dataclass(frozen=True)
class Curve:
    """Capital in safety stocks at each target: allocated best, and with equal targets."""

    targets: FloatArray
    best_capital: FloatArray
    equal_capital: FloatArray


def capital_curve(items: Assortment, targets: Sequence[float] = CURVE_TARGETS) -> Curve:
    """Return what each service target costs in safety stock.

    >>> items = Assortment.of([10, 1], [20, 60], [50, 50], [100, 100])
    >>> curve = capital_curve(items, [0.9, 0.95, 0.99])
    >>> curve.best_capital.round(1).tolist(), curve.equal_capital.round(1).tolist()
    ([118.7, 226.6, 426.3], [129.0, 236.0, 434.2])
    """
    best = [least_capital(items, target).safety_capital for target in targets]
    equal = [equal_targets(items, target).safety_capital for target in targets]
    return Curve(np.array(targets), np.array(best), np.array(equal))
