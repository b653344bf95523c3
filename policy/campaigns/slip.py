"""Orders that a slip of goods or of the queue makes late: new days, notices, what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from policy.campaigns.figures import MONEY, UNITS


@dataclass(frozen=True)
class Order:
    """An order that waits, in the order of placing.

    Args:
        order_id: its name.
        units: that wait.
        promised_day: on which it was to ship, from now; below 1 it is late already.
    """

    order_id: str
    units: float
    promised_day: int


@dataclass(frozen=True)
class Late:
    """An order that will be late; `new_day` None means that no goods are there for it."""

    order_id: str
    units: float
    promised_day: int
    new_day: int | None
    is_noticed: bool  # its customer knows of this day, or of a later one


@dataclass(frozen=True)
class Slip:
    """What a slip does.

    Args:
        late: orders beyond their promise, in the order of the queue.
        notices: of these, whom to write to.
        compensation_cost: of the offer for all that are late.
        expected_calls: to customer service.
    """

    late: tuple[Late, ...]
    notices: tuple[Late, ...]
    compensation_cost: float
    expected_calls: float


def slip(
    orders: Sequence[Order],
    days: Sequence[int | None],
    noticed: Mapping[str, int | None],
    *,
    offer_cost: float = 0.0,
    call_rate: float = 0.0,
) -> Slip:
    """Return the orders that are late by the queue as it stands now.

    Args:
        orders: that wait.
        days: on which each ships (`policy.campaigns.queue.schedule`).
        noticed: the day that the customer of an order was given already, None where there was none
            to give: nobody gets a notice twice of the same day, or of an earlier one.
        offer_cost: of what a late customer gets.
        call_rate: calls for each late order.

    >>> waiting = [Order("1", 2, 1), Order("2", 2, 1), Order("3", 2, 2)]
    >>> found = slip(waiting, [1, 2, None], {}, offer_cost=5, call_rate=0.5)
    >>> [(one.order_id, one.new_day) for one in found.late], found.compensation_cost
    ([('2', 2), ('3', None)], 10)
    """
    MONEY.check(offer_cost)
    UNITS.check(call_rate)
    late = [
        Late(order.order_id, order.units, order.promised_day, day, _is_noticed(noticed, order, day))
        for order, day in zip(orders, days, strict=True)
        if order.units > 0 and (day is None or day > order.promised_day)
    ]
    notices = tuple(one for one in late if not one.is_noticed)
    return Slip(tuple(late), notices, len(late) * offer_cost, len(late) * call_rate)


def _is_noticed(noticed: Mapping[str, int | None], order: Order, day: int | None) -> bool:
    if order.order_id not in noticed:
        return False
    given = noticed[order.order_id]
    return day is None if given is None else day is not None and day <= given
