"""The one action that an incident recommends: it follows from the case, in a bounded set of words.

Stock against time decides most of it: what is left when the next goods can come, and which supplier
can still be in time. Each function chooses for one kind; `streams.incidents.kinds` names it.
"""

from collections.abc import Mapping
from typing import NamedTuple

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
FIND_CAUSE = "Look for one cause (a campaign, the press) before single items."
CONFIRM = "Confirm the order with the customer; it counts as no surge."
PART_DELIVERY = "Confirm the order with the customer and offer it in parts: it takes all there is."
CHECK_OFFER = "Try to buy it: nothing is sold, so price, page or shelf may be wrong."
SHRINK_ORDERS = "Cut its open purchase orders or lower the plan: what is on its way will not sell."
PUSH = "Push the campaign (place, price, newsletter) or lower its plan."
COUNT = "Count the shelf: nothing is ordered on a stock that is not known."
FIRST_COUNT = "Count the shelf for the first time: nothing is ordered before."
DISPATCH_FIRST = "Dispatch its oldest orders first: the stock is there, and the promise is broken."
TELL_CUSTOMERS = "Tell the customers a new date: the stock cannot serve all who wait."
TURN_TO_FLEXIBLE = "Call the supplier; order what is urgent from the flexible one."
TURN_TO_LEAN = "Call the supplier; the lean one may be as fast by now."
FIND_ORDER = "Look the order number up: Tidegate has no such open order of this item."
CHECK_DELIVERY = "Compare the delivery with the order: supplier or quantity is another."
CHECK_FEED = "Check the shop's order feed: orders were due and none came."
FIND_STOCK = "Count the shelf: what the record says is there may be gone."
READ_DEAD_LETTERS = "Read the dead letters (tidegate dlt list), mend and replay them."
ADOPT_LOGS = "Bring the old log back, or read the new one: tidegate state adopt-logs."
JUDGE_BY_DAYS = (
    "Nothing, where orders are imported; else let the shop send each one as it is placed."
)
COUNT_AGAIN = "Send the lost events again, or new stock counts; raise the topic's retention."


class Case(NamedTuple):
    """What an action is chosen by. A function looks at what its kind of incident has."""

    figures: Figures  # of the incident
    boundary_ms: int  # event time
    row: Table | None = None  # one record of `streams.state.items.ROW`; None means no single item
    is_promoted: bool = False  # the window of a campaign line of the item is open
    group: str = ""  # of items
    role: SupplierRole | None = None  # whose order it is


def surge_action(case: Case) -> str:
    """Return the action for an item that surges: what still helps before its stock ends."""
    row = case.row
    if row is None or not row["counted_at_ms"]:
        return COUNT_FIRST
    if not row["next_review_ms"]:
        return NAME_SUPPLIERS
    minutes = case.figures["minutes_to_zero"]
    if minutes is None:
        return RAISE_LEAN
    ends_ms = float(minutes) * MINUTE_MS
    arrives_ms, flexible_ms, lean_ms = _waits_ms(row, case.boundary_ms)
    if arrives_ms is not None and ends_ms >= arrives_ms:
        return RAISE_LEAN
    if ends_ms < flexible_ms:
        return RATION if arrives_ms is None or arrives_ms > flexible_ms else EXPEDITE
    return RAISE_LEAN if ends_ms >= lean_ms else ORDER_FLEXIBLE


def _waits_ms(row: Table, boundary_ms: int) -> tuple[float | None, float, float]:
    """Time until the next arrival (None: nothing is on order), and of an order placed now."""
    due_ms = int(row["next_due_ms"])
    arrives_ms = float(due_ms - boundary_ms) if due_ms > boundary_ms else None
    flexible_ms, lean_ms = (
        float(row[f"lead_time_days_{role}"]) * DAY_MS
        for role in (SupplierRole.FLEXIBLE, SupplierRole.LEAN)
    )
    return arrives_ms, flexible_ms, lean_ms


def group_surge_action(case: Case) -> str:
    """Return the action for a group that surges: a campaign's plan is too low."""
    return RAISE_PLAN if case.group.startswith("campaign:") else FIND_CAUSE


def bulk_order_action(case: Case) -> str:
    """Return the action for one large order: it may take all there is."""
    row = case.row
    takes_all = (
        row is not None and row["counted_at_ms"] > 0 and row["on_hand_units"] <= row["bulk_units"]
    )
    return PART_DELIVERY if takes_all else CONFIRM


def low_cover_action(case: Case) -> str:
    """Return the action for an item that runs out before goods come."""
    if case.is_promoted:
        return WEAKEN
    comes = case.row is not None and case.row["next_due_ms"] > case.boundary_ms
    return EXPEDITE if comes else ORDER_FLEXIBLE


def shortfall_action(case: Case) -> str:
    """Return the action for what sells below its plan; of a group no open orders are known."""
    if case.figures.get("orders") == 0:
        return CHECK_OFFER
    row = case.row
    on_order = 0 if row is None else row["on_order_lean_units"] + row["on_order_flexible_units"]
    return SHRINK_ORDERS if on_order > 0 else PUSH


def stale_stock_action(case: Case) -> str:
    """Return the action for an item whose stock is not known."""
    return COUNT if case.row is not None and case.row["counted_at_ms"] else FIRST_COUNT


def backlog_age_action(case: Case) -> str:
    """Return the action for orders that wait longer than promised: is there stock for them?"""
    row = case.row
    has_stock = row is not None and row["on_hand_units"] >= row["backlog_units"]
    return DISPATCH_FIRST if has_stock else TELL_CUSTOMERS


def order_discrepancy_action(case: Case) -> str:
    """Return the action for what was said of an order and does not fit it."""
    is_unknown = case.figures["discrepancy"] in ("unknown_order", "other_item")
    return FIND_ORDER if is_unknown else CHECK_DELIVERY


def late_delivery_action(case: Case) -> str:
    """Return the action for an order that has not arrived, by whose it is."""
    return TURN_TO_FLEXIBLE if case.role == SupplierRole.LEAN else TURN_TO_LEAN
