"""Several orders to one supplier as one document, numbered once and stored before it is sent.

A document begins with the first order to a supplier and warehouse, and is closed a stated time
later. What is said of one of its orders afterwards is the next version of the same document.
"""

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from infra.deliver.messages import Message


def key_of(message: Message) -> tuple[str, str, str]:
    """Return what the orders of one document have in common."""
    return message.supplier, message.warehouse, message.currency or ""


def documents(lines: Iterable[Message], known: Mapping[str, Message]) -> list[Message]:
    """Return the documents that gathered orders make, or change.

    An order that was cancelled before it was in any document is in none.

    Args:
        lines: orders of one key, those that came first first.
        known: the documents that some of them are in already, by po_id of the order.
    """
    newest: dict[str, Message] = {}
    for one in lines:
        if one.po_id not in newest or newest[one.po_id].version < one.version:
            newest[one.po_id] = one
    fresh = [one for one in newest.values() if one.po_id not in known and one.kind != "cancelled"]
    made = [_document(document_id(fresh), 1, "proposed", fresh)] if fresh else []
    changed: dict[str, dict[str, Message]] = {}
    for po_id, one in newest.items():
        if po_id in known:
            changed.setdefault(known[po_id].po_id, {})[po_id] = one
    before = {one.po_id: one for one in known.values()}
    return [*made, *(_next(before[name], parts) for name, parts in sorted(changed.items()))]


def document_id(lines: Iterable[Message]) -> str:
    """Return the number of a document: the same for the same orders.

    >>> from types import SimpleNamespace
    >>> order = SimpleNamespace(supplier="acme", warehouse="main", currency="EUR", po_id="po-1")
    >>> document_id([order])
    'do-c7f490716c88228161ac'
    """
    orders = sorted(lines, key=lambda one: one.po_id)
    parts = [*key_of(orders[0]), *(one.po_id for one in orders)]
    text = "\n".join(parts).encode("utf-8", "surrogatepass")
    return f"do-{hashlib.blake2b(text, digest_size=10).hexdigest()}"


def _next(document: Message, changes: Mapping[str, Message]) -> Message:
    lines = [changes.get(one.po_id, one) for one in document.lines]
    is_over = all(one.kind == "cancelled" for one in lines)
    kind = "cancelled" if is_over else "changed"
    return _document(document.po_id, document.version + 1, kind, lines)


def _document(name: str, version: int, kind: str, lines: Iterable[Message]) -> Message:
    parts = tuple(sorted(lines, key=lambda one: (one.sku, one.po_id)))
    live = [one for one in parts if one.kind != "cancelled"] or list(parts)
    return msgspec.structs.replace(
        parts[0],
        kind=kind,
        po_id=name,
        version=version,
        sku="",
        quantity=sum(one.quantity for one in live),
        unit_cost=0.0,
        decided_at=max(one.decided_at for one in parts),
        expected_at=min(one.expected_at for one in live),
        reason="",
        said_at=max(one.said_at for one in parts),
        lines=parts,
    )
