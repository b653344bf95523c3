"""What a catalog line says of its suppliers beyond numbers: price breaks and dispatch days."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from policy.review_inputs import ROLES
from streams.contracts.events import MOST_PRICE_BREAKS, Item, PriceBreak
from streams.state.open_orders import AWAITING_APPROVAL, OpenOrder
from streams.timestamps import DAY_MS, HOUR_MS
from streams.types import Float64Array, Int64Array

_THURSDAY = 3  # the weekday of 1970-01-01, Monday being 0


@dataclass(frozen=True, slots=True)
class SupplierTerms:
    """Of the items of one review; roles in the order lean, flexible."""

    dispatch_delay_days: Float64Array
    """Shape (item, role)."""
    break_units: Float64Array
    """Shape (item, role, tier); infinite: unused."""
    break_unit_cost: Float64Array
    """Likewise, money."""


def has_terms(line: Item) -> bool:
    """Whether a catalog line says anything of the kind."""
    return any(
        getattr(line, f"price_breaks_{role}")
        or getattr(line, f"dispatch_weekdays_{role}")
        or getattr(line, f"cut_off_hour_{role}") < 24.0
        for role in ROLES
    )


def supplier_terms(
    items: Int64Array, lines: Mapping[int, Item], special: Collection[int], at_ms: int
) -> SupplierTerms:
    """Return the terms that hold for orders of a moment.

    Args:
        items: places of the items under review, shape (item,).
        lines: catalog lines by place.
        special: places of the items whose line has terms; of all others nothing is looked at.
        at_ms: event time of the review.
    """
    shape = (items.size, len(ROLES), MOST_PRICE_BREAKS)
    terms = SupplierTerms(np.zeros(shape[:2]), np.full(shape, np.inf), np.full(shape, np.inf))
    for place, item in enumerate(items.tolist() if special else []):
        if item in special:
            for role, name in enumerate(ROLES):
                _write(terms, place, role, lines[item], name, at_ms)
    return terms


def _write(terms: SupplierTerms, place: int, role: int, line: Item, name: str, at_ms: int) -> None:
    weekdays: list[int] = getattr(line, f"dispatch_weekdays_{name}")
    cut_off_hour: float = getattr(line, f"cut_off_hour_{name}")
    terms.dispatch_delay_days[place, role] = dispatch_delay_days(at_ms, weekdays, cut_off_hour)
    breaks: list[PriceBreak] = getattr(line, f"price_breaks_{name}")
    for tier, one in enumerate(breaks):
        terms.break_units[place, role, tier] = one.from_units
        terms.break_unit_cost[place, role, tier] = one.unit_cost


def arrival_ms(line: Item, role: str, at_ms: int) -> int:
    """Return when an order of a moment arrives: at the supplier's next dispatch, a lead time on.

    Args:
        line: of the item.
        role: lean or flexible.
        at_ms: when the order leaves.
    """
    weekdays: list[int] = getattr(line, f"dispatch_weekdays_{role}")
    delay = dispatch_delay_days(at_ms, weekdays, getattr(line, f"cut_off_hour_{role}"))
    lead_time: float = getattr(line, f"lead_time_days_{role}")
    return at_ms + round((delay + lead_time) * DAY_MS)


def late_start_ms(order: OpenOrder, line: Item | None, at_ms: int) -> int | None:
    """Return when an order arrives that leaves only now, at its approval; None means as said.

    Args:
        order: that waits for the approval.
        line: of its item, if there is one.
        at_ms: the moment of the approval.
    """
    if order.state != AWAITING_APPROVAL or order.is_date_agreed or line is None:
        return None
    return max(order.due_ms, arrival_ms(line, order.role, at_ms))


def dispatch_delay_days(at_ms: int, weekdays: Sequence[int], cut_off_hour: float) -> float:
    """Return the days until an order of a moment counts as sent off.

    Args:
        at_ms: when it is placed.
        weekdays: ISO weekdays on which the supplier dispatches; None means every day.
        cut_off_hour: an order of that hour of the day or later waits for the next such day.

    >>> friday_evening_ms = 1_793_383_200_000  # 2026-10-30T18:00:00Z
    >>> dispatch_delay_days(friday_evening_ms, [1, 2, 3, 4, 5], 16.0)
    2.25
    >>> dispatch_delay_days(friday_evening_ms, [], 24.0)
    0.0
    """
    day, in_day_ms = divmod(at_ms, DAY_MS)
    is_in_time = in_day_ms < cut_off_hour * HOUR_MS
    open_days = set(weekdays) or set(range(1, 8))
    days = next(
        ahead
        for ahead in range(0 if is_in_time else 1, 9)
        if (day + ahead + _THURSDAY) % 7 + 1 in open_days
    )
    return 0.0 if days == 0 else days - in_day_ms / DAY_MS
