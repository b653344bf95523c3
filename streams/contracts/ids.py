"""The contracts of what Tidegate writes: purchase orders and alerts.

Both are pure functions of the logs: the same logs give the same bytes under the same id, at any
speed and on any worker. So they carry event times only.
"""

import hashlib

from streams.contracts.alerts import AlertKind

ACTIONS = {
    AlertKind.SURGE: "Check stock and price; order from the flexible supplier if cover is short.",
    AlertKind.BROAD_SURGE: "Look for one cause (a campaign, the press) before single items.",
    AlertKind.BULK_ORDER: "Confirm the order with the customer; it counts as no surge.",
    AlertKind.PLAN_SHORTFALL: "Push the campaign (place, price, newsletter) or lower its plan.",
    AlertKind.LOW_COVER: "Weaken or end the promotion of this item, or expedite the next arrival.",
    AlertKind.LATE_DELIVERY: "Call the supplier; move the next order to the other one if needed.",
    AlertKind.STALE_INPUT: "Check the shop's order feed: orders were due and none came.",
    AlertKind.STALE_STOCK: "Count the shelf: nothing is ordered on a stock that is not known.",
    AlertKind.PHANTOM_STOCK: "Count the shelf: what the record says is there may be gone.",
    AlertKind.DEAD_LETTERS: "Read the dead letters (tidegate dlt list), mend and replay them.",
}
"""The usual action for each kind of alert; `streams.incidents.actions` chooses by the case."""


def purchase_order_id(key: str, window_ms: int, role: str, occasion: str) -> str:
    """Return the id of the one order of (item, review window, supplier, occasion).

    >>> purchase_order_id("85123A@main", 0, "lean", "regular")
    'po-0d42234752cf8a81a419'
    """
    return "po-" + _digest(key, str(window_ms), role, occasion)


def incident_id(alert: str, subject: str, started_ms: int) -> str:
    """Return the id of the one incident that began then."""
    return "in-" + _digest(alert, subject, str(started_ms))


def _digest(*parts: str) -> str:
    joined = "\x00".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(joined, digest_size=10).hexdigest()
