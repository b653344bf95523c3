"""Ad budget that would buy orders nobody can serve, and the items that it should go to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from policy.campaigns.figures import HOURS, MONEY, RATE, UNITS

_LEAST = 0.005  # of money: less is no move


@dataclass(frozen=True)
class Advertised:
    """An item that is advertised.

    Args:
        sku: its name.
        stock_units: that it can still sell.
        units_per_hour: that it sells now.
        budget: that is left for it.
        margin: a unit brings; receivers with more come first.
    """

    sku: str
    stock_units: float
    units_per_hour: float
    budget: float
    margin: float = 0.0


@dataclass(frozen=True)
class Move:
    """A proposal: money from an item that runs out to one that has cover."""

    from_sku: str
    to_sku: str
    amount: float
    from_cover_hours: float
    to_cover_hours: float


def cover_hours(item: Advertised) -> float:
    """Return the hours until the stock of an item is sold; infinite where nothing sells."""
    return item.stock_units / item.units_per_hour if item.units_per_hour > 0 else math.inf


def budget_moves(items: Sequence[Advertised], hours_left: float) -> list[Move]:
    """Return which budget should move.

    An item that runs out before the end gives the share of its budget for the hours without stock.
    An item with cover takes as much as its spare units could use, at what its own units cost in
    ads; one that has no budget or no sales takes any amount. Who gives first is who runs out first;
    who takes first has the best margin, then the longest cover.

    >>> items = [Advertised("A", 100, 50, 600), Advertised("B", 900, 10, 100)]
    >>> budget_moves(items, 6)  # A is out after 2 of 6 hours; B could sell 15 times as much
    [Move(from_sku='A', to_sku='B', amount=400.0, from_cover_hours=2.0, to_cover_hours=90.0)]
    """
    HOURS.check(hours_left)
    for item in items:
        UNITS.check(item.stock_units)
        RATE.check(item.units_per_hour)
        MONEY.check(item.budget)
    if hours_left <= 0:
        return []
    givers = sorted((one for one in items if cover_hours(one) < hours_left), key=cover_hours)
    takers = sorted((one for one in items if cover_hours(one) > hours_left),
                    key=lambda one: (-one.margin, -cover_hours(one), one.sku))  # fmt: skip
    room = [_room(one, hours_left) for one in takers]
    moves = []
    for giver in givers:
        left = giver.budget * (1.0 - cover_hours(giver) / hours_left)
        for place, taker in enumerate(takers):
            amount = min(left, room[place])
            if amount > _LEAST:
                moves.append(Move(giver.sku, taker.sku, round(amount, 2), cover_hours(giver),
                                  cover_hours(taker)))  # fmt: skip
                left, room[place] = left - amount, room[place] - amount
    return moves


def _room(item: Advertised, hours_left: float) -> float:
    """Return the money that an item's spare units could use."""
    will_sell = item.units_per_hour * hours_left
    if will_sell <= 0 or item.budget <= 0:
        return math.inf if item.stock_units > 0 else 0.0
    return item.budget * (item.stock_units - will_sell) / will_sell
