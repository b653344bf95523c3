"""From the fields of an order line, as a mapping gives them, to its absolute numbers. Pure."""

from infra.connect.cells import no_goods
from infra.connect.faults import CellError
from infra.connect.ledger import Fields, LineState
from infra.replay.faults import SchemaError, occurred_ms

_MOST_ID_CHARACTERS = 128


class NotALine(Exception):
    """A line is left out, and is no fault: the text says why."""


def line_state(fields: Fields) -> LineState:
    """Return the absolute numbers of a line.

    Raises:
        NotALine: it is nothing that is counted.
        CellError: it breaks a rule.
    """
    if (why := no_goods(fields.get("name"), fields.get("sku"))) is not None:
        raise NotALine(why)
    sku = fields.get("sku")
    if not sku:
        raise NotALine("empty_sku")
    for name in ("order_id", "quantity", "placed_at"):
        if fields.get(name) in (None, ""):
            raise CellError("present", "")
    quantity = fields["quantity"]
    if quantity < 1:
        raise NotALine("no_units" if quantity == 0 else "negative_units")
    placed_at: str | int = fields["placed_at"]
    changed_at: str | int = fields.get("changed_at", placed_at)
    status = fields.get("status", "counted")
    is_void = status == "cancelled" or "cancelled_at" in fields or fields.get("is_void", False)
    shipped = fields.get("dispatched_quantity", 0)
    if shipped == 0 and "dispatched_at" in fields and "dispatched_quantity" not in fields:
        shipped = quantity
    return LineState(
        order_id=fields["order_id"],
        line_id=line_id_of(fields),
        sku=sku,
        placed=quantity,
        undone=_undone(fields, quantity),
        is_void=is_void,
        is_counted=status != "not_placed",
        dispatched=max(0, shipped),
        delivered=max(0, fields.get("delivered_quantity", 0)),
        price=price_of(fields),
        currency=fields.get("currency"),
        promised_by=fields.get("promised_by"),
        warehouse=fields.get("warehouse"),
        placed_at=placed_at,
        changed_at=changed_at,
        changed_ms=time_ms(changed_at),
        undone_at=fields.get("cancelled_at"),
        dispatched_at=fields.get("dispatched_at"),
    )


def line_id_of(fields: Fields) -> str:
    """Return the id of a line with its letter; a line without one is named by its sku."""
    return fields.get("line_id") or f"s{fields['sku']}"


def _undone(fields: Fields, quantity: int) -> int:
    undone: int = abs(fields.get("undone_quantity", 0))
    if "current_quantity" in fields:
        undone = max(undone, quantity - fields["current_quantity"])
    return max(0, min(undone, quantity))


def price_of(fields: Fields) -> float | None:
    """Return the price of one unit, from that of the line if need be."""
    if fields.get("price") is not None:
        return float(fields["price"])
    total, quantity = fields.get("line_total"), fields.get("quantity", 0)
    if total is None or not quantity >= 1:
        return None
    return float(round(float(total) / quantity, 6))


def time_ms(at: str | int) -> int:
    """Return a time in milliseconds; a `CellError`: it is none that an event may have."""
    try:
        return occurred_ms(at)
    except SchemaError as error:
        raise CellError(error.rule, at) from None


def undo_event(fields: Fields, source: str) -> Fields:
    """Return the event of a row with negative units: so many were taken back."""
    units = -fields["quantity"]
    line_id = line_id_of(fields)
    event = {
        "topic": "orders",
        "kind": "cancelled",
        "event_id": f"o{fields['order_id']}/{line_id}/undone/{units}",
        "occurred_at": fields["placed_at"],
        "sku": fields["sku"],
        "quantity": units,
        "order_id": fields["order_id"],
        "source": source,
    }
    return {**event, **({"warehouse": fields["warehouse"]} if "warehouse" in fields else {})}


def short_id(event_id: str, digest: str) -> str:
    """Return an id that is no longer than ids may be.

    >>> len(short_id("x" * 200, "0123456789ab"))
    128
    """
    if len(event_id) <= _MOST_ID_CHARACTERS:
        return event_id
    return event_id[: _MOST_ID_CHARACTERS - len(digest) - 1] + "/" + digest
