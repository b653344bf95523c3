"""From stock pressure to a promotion: rules as data, and what a promotion would bring."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from policy.classic.fields import FloatArray, Given, Number
from policy.pressure.cover import COST, RATE


class Pressure(StrEnum):
    """Why stock presses."""

    SLOW = "slow"
    OUT_OF_SEASON = "out of season"
    NEAR_EXPIRY = "near expiry"
    DEAD = "dead"


class Offer(StrEnum):
    """What customers are offered."""

    DEEP_CUT = "deep cut"
    ONE_FREE_WITH_ONE = "buy 1, get 1"
    ONE_FREE_WITH_TWO = "buy 2, get 1"
    HALF_PRICE = "half price for a week"
    BUNDLE = "bundle with what sells well"
    GIFT = "gift from a spend of 500"
    MEMBERS = "members only"


@dataclass(frozen=True)
class Rule:
    """A promotion for a kind of pressure: what is paid, how long, and when it is fit.

    Attributes:
        pressure: what the rule answers.
        offer: what customers are offered.
        paid_share: share of the price that a unit brings on average, from 0 (a gift) to 1.
        days: how long it runs, > 0.
    """

    pressure: Pressure
    offer: Offer
    paid_share: float
    days: float


# What the articles that ask for Tidegate propose; a shop gives rules of its own instead.
RULES = (
    Rule(Pressure.SLOW, Offer.DEEP_CUT, 0.30, 14),
    Rule(Pressure.SLOW, Offer.ONE_FREE_WITH_ONE, 0.50, 14),
    Rule(Pressure.SLOW, Offer.BUNDLE, 0.80, 28),
    Rule(Pressure.SLOW, Offer.MEMBERS, 0.90, 28),
    Rule(Pressure.OUT_OF_SEASON, Offer.DEEP_CUT, 0.30, 14),
    Rule(Pressure.OUT_OF_SEASON, Offer.ONE_FREE_WITH_ONE, 0.50, 14),
    Rule(Pressure.NEAR_EXPIRY, Offer.ONE_FREE_WITH_TWO, 2 / 3, 7),
    Rule(Pressure.NEAR_EXPIRY, Offer.HALF_PRICE, 0.50, 7),
    Rule(Pressure.DEAD, Offer.DEEP_CUT, 0.30, 14),
    Rule(Pressure.DEAD, Offer.GIFT, 0.0, 28),
)

UNITS = Number("pressing_units", "units that shall go")
PRICE = Number("price", "price of a unit")
UPLIFT = Number("uplift", "times as many units as without the promotion", low=1.0)
PAID = Number("paid_share", "share of the price that a unit brings", high=1.0)
LEAST = Number("least_sell_through", "share that a promotion must sell to be repeated", high=1.0)
DAYS = Number("days", "how long the promotion runs", is_above=True)
VOLUME = Number("unit_volume", "space that a unit takes")


@dataclass(frozen=True)
class Outcome:
    """What a promotion is expected to bring; arrays of shape (item,)."""

    sold_units: FloatArray
    """Of the pressing units, in its days."""
    sell_through: FloatArray
    """Share of the pressing units; nan where there are none."""
    cash: FloatArray
    """What customers pay for them."""
    margin_cost: FloatArray
    """Price given up on units that would have sold at full price in these days."""
    loss_on_cost: FloatArray
    """What the units sold bring less than they cost; below 0 it is a gain."""
    space: FloatArray


def expected_outcome(
    pressing_units: Given,
    demand_per_day: Given,
    uplift: Given,
    price: Given,
    unit_cost: Given,
    *,
    paid_share: Given,
    days: Given,
    unit_volume: Given = 0.0,
) -> Outcome:
    """Return what a promotion of each item would bring.

    Args:
        pressing_units: units that shall go, >= 0.
        demand_per_day: units without the promotion, >= 0.
        uplift: how many times as many units a promotion of this kind sells, >= 1; learned.
        price, unit_cost: money, >= 0.
        paid_share: share of the price that a unit brings, >= 0 and <= 1.
        days: how long it runs, > 0.
        unit_volume: space of a unit, >= 0.

    Raises:
        PolicyInputError: an argument breaks a range above.

    >>> found = expected_outcome(100, 2, 4, 10, 6, paid_share=0.5, days=7)
    >>> float(found.sold_units), float(found.cash), float(found.margin_cost)
    (56.0, 280.0, 70.0)
    """
    units, rate = UNITS.check(pressing_units), RATE.check(demand_per_day)
    full, paid, run = PRICE.check(price), PAID.check(paid_share), DAYS.check(days)
    sold = np.minimum(units, rate * UPLIFT.check(uplift) * run)
    anyway = np.minimum(units, rate * run)
    share = np.divide(sold, units, out=np.full(np.shape(sold), np.nan), where=units > 0)
    cash = sold * full * paid
    return Outcome(
        sold_units=sold,
        sell_through=share,
        cash=cash,
        margin_cost=anyway * full * (1 - paid),
        loss_on_cost=sold * COST.check(unit_cost) - cash,
        space=sold * VOLUME.check(unit_volume),
    )


def fitting_rules(
    pressure: Pressure, days_left: float | None = None, rules: tuple[Rule, ...] = RULES
) -> tuple[Rule, ...]:
    """Return the rules for a kind of pressure that end before the stock expires.

    Args:
        pressure: what presses.
        days_left: until the stock expires; None means that it does not.
        rules: a shop's own, or those of the articles.

    >>> [rule.offer.value for rule in fitting_rules(Pressure.NEAR_EXPIRY, days_left=10)]
    ['buy 2, get 1', 'half price for a week']
    """
    return tuple(
        rule
        for rule in rules
        if rule.pressure == pressure and (days_left is None or rule.days <= days_left)
    )


def write_off_units(
    pressing_units: Given, sell_through: Given, least_sell_through: Given = 0.2
) -> FloatArray:
    """Return the units to write off: those whose every promotion sold too little.

    Args:
        pressing_units: units that are still there, shape (item,), >= 0.
        sell_through: share that each promotion sold, shape (item, promotion); nan where it was not
            tried. An item that was never promoted is not written off.
        least_sell_through: share that a promotion must sell to be repeated, >= 0 and <= 1.

    >>> write_off_units([40, 40, 40], [[0.1, 0.05], [0.1, 0.6], [np.nan, np.nan]]).tolist()
    [40.0, 0.0, 0.0]
    """
    units, least = UNITS.check(pressing_units), LEAST.check(least_sell_through)
    shares = np.asarray(sell_through, dtype=np.float64)
    was_tried = ~np.isnan(shares)
    sold_enough = was_tried & (shares >= least)
    gone = was_tried.any(axis=-1) & ~sold_enough.any(axis=-1)
    return np.where(gone, units, 0.0)
