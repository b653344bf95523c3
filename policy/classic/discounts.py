"""Economic lots with quantity discounts, on all units or on those above each break."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from policy.classic.fields import Custom, FloatArray, Number
from policy.classic.lots import DEMAND_RATE, ORDER_COST
from policy.errors import PolicyInputError

HOLDING_RATE = Number(
    "holding_rate_per_period", "holding cost of a period as a share of the unit cost", is_above=True
)
_RULE = "[[first quantity, unit cost], ...], quantities rising, unit costs not rising"
_START = Number("", "")
_PRICE = Number("", "", is_above=True)

Breaks = tuple[tuple[float, float], ...]


def read_breaks(value: Any, name: str = "breaks") -> Breaks:
    """Return price breaks: pairs of the first quantity of a tier and its unit cost.

    The first quantity of the first tier is the smallest order that is possible, 0 as a rule.

    Raises:
        PolicyInputError: no pairs, or they are out of order.
    """
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise PolicyInputError(name, _RULE, value)
    pairs: list[tuple[float, float]] = []
    for place, pair in enumerate(value):
        if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
            raise PolicyInputError(f"{name}[{place}]", "[first quantity, unit cost]", pair)
        first = _read(_START, pair[0], f"{name}[{place}][0]")
        price = _read(_PRICE, pair[1], f"{name}[{place}][1]")
        if pairs and not first > pairs[-1][0]:
            raise PolicyInputError(f"{name}[{place}][0]", f"> {pairs[-1][0]:g}", pair[0])
        if pairs and not price <= pairs[-1][1]:
            raise PolicyInputError(f"{name}[{place}][1]", f"<= {pairs[-1][1]:g}", pair[1])
        pairs.append((first, price))
    return tuple(pairs)


def _read(field: Number, value: Any, name: str) -> float:
    try:
        return field.read(value)
    except PolicyInputError as error:
        raise PolicyInputError(name, error.rule, error.value) from error


BREAKS = Custom("breaks", "first quantity and unit cost of each price tier", _RULE, read_breaks)


@dataclass(frozen=True)
class DiscountedLot:
    """The cheapest lot, and the best one of each tier; costs with purchases."""

    order_quantity: float
    cost_per_period: float
    unit_cost: float
    """What a unit costs on average in such an order."""
    tier: int
    tier_quantities: FloatArray
    tier_costs: FloatArray


def discounted_lot(
    kind: Literal["all_units", "incremental"],
    order_cost: float,
    holding_rate: float,
    demand: float,
    breaks: Sequence[Sequence[float]],
) -> DiscountedLot:
    """Return the lot of least cost per period: purchases, orders and holding.

    Args:
        kind: whether the price of a tier holds for `all_units` of an order, or `incremental` for
            those above the tier's first quantity.
        order_cost: an order, >= 0.
        holding_rate: share of the unit cost that holding it for a period costs, > 0.
        demand: units a period, >= 0.
        breaks: as `read_breaks` takes them.

    Raises:
        PolicyInputError: an argument breaks a range above.

    Within a tier the cost is convex, so its best lot is the economic lot moved into the tier. Of
    equal costs the smaller lot is chosen.

    Source: Snyder & Shen (2019), section 3.4:

    >>> breaks = [[0, 0.75], [400, 0.72], [800, 0.68]]
    >>> lot = discounted_lot("all_units", 8, 0.3, 1300, breaks)
    >>> lot.order_quantity, round(lot.cost_per_period, 2)
    (800.0, 978.6)
    >>> round(discounted_lot("incremental", 8, 0.3, 1300, breaks).cost_per_period, 6)
    1043.410526
    """
    if kind not in ("all_units", "incremental"):
        raise PolicyInputError("kind", "one of all_units, incremental", kind)
    setup, rate = float(ORDER_COST.check(order_cost)), float(DEMAND_RATE.check(demand))
    share = float(HOLDING_RATE.check(holding_rate))
    first, price = np.array(read_breaks(breaks)).T
    fixed = _overpaid(first, price) if kind == "incremental" else np.zeros_like(first)
    quantity = np.sqrt(2 * (setup + fixed) * rate / (share * price))
    quantity = np.clip(quantity, first, np.append(first[1:], np.inf))
    orders = np.divide(rate, quantity, out=np.zeros_like(quantity), where=quantity > 0)
    cost = price * rate + (setup + fixed) * orders + share * (fixed + price * quantity) / 2
    best = int(np.argmin(cost))
    lot = float(quantity[best])
    paid = price[best] + (fixed[best] / lot if lot > 0 else 0.0)
    return DiscountedLot(lot, float(cost[best]), float(paid), best, quantity, cost)


def _overpaid(first: FloatArray, price: FloatArray) -> FloatArray:
    """What an order of each tier pays above the tier's price for all of its units."""
    return np.concatenate(([0.0], np.cumsum(-np.diff(price) * first[1:])))
