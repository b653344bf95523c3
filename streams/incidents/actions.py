"""The one action that an incident recommends: it follows from the case, in a bounded set of words.

Stock against time decides most of it: what is left when the next goods can come, and which supplier
can still be in time.
"""

from collections.abc import Mapping

from streams.contracts.alerts import AlertKind
from streams.contracts.ids import ACTIONS
from streams.contracts.purchase_orders import SupplierRole
from streams.timestamps import DAY_MS, MINUTE_MS
from streams.types import Table

Figures = Mapping[str, float | int | str | None]

COUNT_FIRST = "Count the shelf: the stock is not known, so nobody can say how long it lasts."
NAME_SUPPLIERS = "Send its catalog line: without suppliers and lead times nothing can be ordered."
RATION = "Limit the quantity per customer or raise the price: it is gone before goods can come."
ORDER_FLEXIBLE = "Order from the flexible supplier now: the stock ends before other goods come."
EXPEDITE = "Expedite the next arrival: the stock ends before it comes."
RAISE_LEAN = "Raise the next order at the lean supplier: the stock lasts until it comes."
WEAKEN = "Weaken or end the promotion of this item: it runs out before the next arrival."
RAISE_PLAN = "Raise the plan of this campaign, so that orders and staff follow what it sells."
FIND_CAUSE = ACTIONS[AlertKind.BROAD_SURGE]
PART_DELIVERY = "Confirm the order with the customer and offer it in parts: it takes all there is."
CHECK_OFFER = "Try to buy it: nothing is sold, so price, page or shelf may be wrong."
SHRINK_ORDERS = "Cut its open purchase orders or lower the plan: what is on its way will not sell."
PUSH = ACTIONS[AlertKind.PLAN_SHORTFALL]
FIRST_COUNT = "Count the shelf for the first time: nothing is ordered before."
TURN_TO_FLEXIBLE = "Call the supplier; order what is urgent from the flexible one."
TURN_TO_LEAN = "Call the supplier; the lean one may be as fast by now."

CASES: dict[AlertKind, frozenset[str]] = {
    **{kind: frozenset([action]) for kind, action in ACTIONS.items()},
    AlertKind.SURGE: frozenset(
        [COUNT_FIRST, NAME_SUPPLIERS, RATION, ORDER_FLEXIBLE, EXPEDITE, RAISE_LEAN]
    ),
    AlertKind.BROAD_SURGE: frozenset([FIND_CAUSE, RAISE_PLAN]),
    AlertKind.BULK_ORDER: frozenset([ACTIONS[AlertKind.BULK_ORDER], PART_DELIVERY]),
    AlertKind.LOW_COVER: frozenset([WEAKEN, EXPEDITE, ORDER_FLEXIBLE]),
    AlertKind.LATE_DELIVERY: frozenset([TURN_TO_FLEXIBLE, TURN_TO_LEAN]),
    AlertKind.STALE_STOCK: frozenset([ACTIONS[AlertKind.STALE_STOCK], FIRST_COUNT]),
    AlertKind.PLAN_SHORTFALL: frozenset([CHECK_OFFER, SHRINK_ORDERS, PUSH]),
}
"""Every action that an alert of a kind may recommend."""


def item_action(
    kind: AlertKind, row: Table, figures: Figures, boundary_ms: int, *, is_promoted: bool
) -> str:
    """Return the action for an incident of one item.

    Args:
        kind: of the incident.
        row: one record of `streams.state.items.ROW`.
        figures: of the incident.
        boundary_ms: event time.
        is_promoted: a campaign plans the item.
    """
    match kind:
        case AlertKind.SURGE:
            return _surge_action(row, figures, boundary_ms)
        case AlertKind.LOW_COVER:
            return _low_cover_action(row, boundary_ms, is_promoted=is_promoted)
        case AlertKind.PLAN_SHORTFALL:
            on_order = row["on_order_lean_units"] + row["on_order_flexible_units"]
            return shortfall_action(figures, int(on_order))
        case AlertKind.BULK_ORDER:
            is_counted = row["counted_at_ms"] > 0
            takes_all = is_counted and row["on_hand_units"] <= row["bulk_units"]
            return PART_DELIVERY if takes_all else ACTIONS[kind]
        case AlertKind.STALE_STOCK:
            return ACTIONS[kind] if row["counted_at_ms"] else FIRST_COUNT
        case _:
            return ACTIONS[kind]


def _surge_action(row: Table, figures: Figures, boundary_ms: int) -> str:
    if not row["counted_at_ms"]:
        return COUNT_FIRST
    if not row["next_review_ms"]:
        return NAME_SUPPLIERS
    minutes = figures["minutes_to_zero"]
    if minutes is None:
        return RAISE_LEAN
    ends_ms = float(minutes) * MINUTE_MS
    arrives_ms, flexible_ms, lean_ms = _waits_ms(row, boundary_ms)
    if arrives_ms is not None and ends_ms >= arrives_ms:
        return RAISE_LEAN
    if ends_ms < flexible_ms:
        return RATION if arrives_ms is None or arrives_ms > flexible_ms else EXPEDITE
    return RAISE_LEAN if ends_ms >= lean_ms else ORDER_FLEXIBLE


def _waits_ms(row: Table, boundary_ms: int) -> tuple[float | None, float, float]:
    """Time until the next arrival (none: nothing is on order), and of an order placed now."""
    due_ms = int(row["next_due_ms"])
    arrives_ms = float(due_ms - boundary_ms) if due_ms > boundary_ms else None
    flexible_ms, lean_ms = (
        float(row[f"lead_time_days_{role}"]) * DAY_MS
        for role in (SupplierRole.FLEXIBLE, SupplierRole.LEAN)
    )
    return arrives_ms, flexible_ms, lean_ms


def _low_cover_action(row: Table, boundary_ms: int, *, is_promoted: bool) -> str:
    if is_promoted:
        return WEAKEN
    return EXPEDITE if row["next_due_ms"] > boundary_ms else ORDER_FLEXIBLE


def shortfall_action(figures: Figures, on_order_units: int) -> str:
    """Return the action for what sells below its plan.

    Args:
        figures: of the incident.
        on_order_units: open at the suppliers.
    """
    if figures.get("orders") == 0:
        return CHECK_OFFER
    return SHRINK_ORDERS if on_order_units > 0 else PUSH


def group_action(kind: AlertKind, group: str, figures: Figures) -> str:
    """Return the action for an incident of a group of items."""
    if kind == AlertKind.PLAN_SHORTFALL:
        return shortfall_action(figures, 0)
    return RAISE_PLAN if group.startswith("campaign:") else FIND_CAUSE


def late_action(role: SupplierRole) -> str:
    """Return the action for an order that has not arrived, by whose it is."""
    return TURN_TO_FLEXIBLE if role == SupplierRole.LEAN else TURN_TO_LEAN
