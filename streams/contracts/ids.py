"""The ids of purchase orders and incidents: pure functions of what they are about."""

import hashlib
import re


def purchase_order_id(key: str, window_ms: int, role: str, occasion: str) -> str:
    """Return the id of the one order of (item, review window, supplier, occasion).

    >>> purchase_order_id("85123A@main", 0, "lean", "regular")
    'po-0d42234752cf8a81a419'
    """
    return "po-" + _digest(key, str(window_ms), role, occasion)


def is_purchase_order_id(text: str) -> bool:
    """Whether an id has the form of Tidegate's own purchase orders.

    >>> is_purchase_order_id("po-0d42234752cf8a81a419"), is_purchase_order_id("PO-4711")
    (True, False)
    """
    return re.fullmatch("po-[0-9a-f]{20}", text) is not None


def incident_id(alert: str, subject: str, started_ms: int) -> str:
    """Return the id of the one incident that began then."""
    return "in-" + _digest(alert, subject, str(started_ms))


def _digest(*parts: str) -> str:
    joined = "\x00".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(joined, digest_size=10).hexdigest()
