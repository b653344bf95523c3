"""`tidegate orders`: the open purchase orders, and a person's word about one of them."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from infra.cli.audit import what_happened
from infra.cli.terminal.failures import CommandError, ExitCode
from infra.cli.terminal.options import NOT_GIVEN, Connection, Flag, Json, Person
from infra.cli.terminal.output import complain, make_console, make_table, safe
from infra.control.entries import AuditError, AuditState, OrderAnswered
from infra.control.log import append_once, read_audit
from infra.control.orders import (
    PurchaseOrderRow,
    Word,
    answer_to,
    read_orders,
)
from infra.wording.format import plain_time
from streams.handover.rules import Verdict

PoId = Annotated[str, Parameter(help="of the order, as `tidegate orders list` names it.")]

orders = App(
    name="orders",
    help="""List the open purchase orders; approve, reject or change them.

Your word is in force within about two seconds and stands in the audit log, with your name. It also
goes to the topic order-responses, where an ERP can read it.""",
)


@orders.command(name="list")
def list_orders(
    *,
    waiting: Flag = False,
    supplier: str | None = None,
    sku: str | None = None,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> None:
    """List the open purchase orders: those that wait first, then by the date they are due.

    Args:
        waiting: only those that have not left, with the reason.
        supplier: only orders to this supplier.
        sku: only orders of this item.
        as_json: one JSON object.
    """
    settings = connection.settings()
    state, _ = asyncio.run(read_audit(settings))
    rows = [
        row
        for row in read_orders(settings, state.controls(), state.closed)
        if (row.is_waiting or not waiting)
        and supplier in (None, row.supplier)
        and sku in (None, row.sku)
    ]
    if as_json:
        print(msgspec.json.encode({"orders": rows}).decode())
    elif rows:
        _show(rows)
    else:
        print("no purchase order waits" if waiting else "no purchase order is open")


@orders.command
def approve(
    *po_ids: PoId,
    person: Person,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> ExitCode:
    """Approve purchase orders that wait: they leave, with a new date where they are late.

    Exit code 1: some of several could not be approved.

    Args:
        as_json: one JSON object for each order, one a line.
    """
    return _answer_all(connection, po_ids, Verdict.APPROVED, person, as_json=as_json)


@orders.command
def reject(
    *po_ids: PoId,
    person: Person,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> ExitCode:
    """Reject purchase orders: those that wait never leave, and none of them counts as supply.

    If one has left already, tell the supplier yourself. Exit code 1: some of several could not be
    rejected.

    Args:
        as_json: one JSON object for each order, one a line.
    """
    return _answer_all(connection, po_ids, Verdict.REJECTED, person, as_json=as_json)


@orders.command
def change(
    po_id: PoId,
    /,
    *,
    person: Person,
    quantity: int | None = None,
    expected_at: str | None = None,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> None:
    """Change the units of a purchase order, or the date it is due, or both.

    One that waits leaves as its next version; it stays for approval if it needs that. If it has
    left already, tell the supplier yourself.

    Args:
        quantity: units from now on, at least 1.
        expected_at: when it is due from now on: a day, or a time with its offset.
        as_json: one JSON object.
    """
    word = Word(po_id, Verdict.CHANGED, person.who, person.why, quantity, expected_at)
    _answer(connection, word, as_json=as_json)


def _answer_all(
    connection: Connection,
    po_ids: Sequence[str],
    verdict: Verdict,
    person: Person,
    *,
    as_json: bool,
) -> ExitCode:
    """Say the same of each order; one that it cannot be said of does not stop the others.

    Raises:
        CommandError: no order is named.
        AuditError: it cannot be said of the only order that is named.
    """
    if not po_ids:
        rule = "one order or more, as `tidegate orders list --waiting` names them"
        raise CommandError(f"PO_IDS must be {rule}, got none", ExitCode.USAGE)
    refused = 0
    for po_id in po_ids:
        try:
            _answer(connection, Word(po_id, verdict, person.who, person.why), as_json=as_json)
        except AuditError as error:
            if len(po_ids) == 1:
                raise
            complain(str(error))
            refused += 1
    return ExitCode.NO if refused else ExitCode.OK


def _answer(connection: Connection, word: Word, *, as_json: bool) -> None:
    settings, has_left = connection.settings(), False

    def make(state: AuditState) -> OrderAnswered:
        nonlocal has_left
        entry, has_left = answer_to(settings, state, state.controls(), word)
        return entry

    entry = asyncio.run(append_once(settings, make))
    assert isinstance(entry, OrderAnswered)
    if as_json:
        print(msgspec.json.encode({"order": entry, "has_left": has_left}).decode())
        return
    print(f"{what_happened(entry)} of {entry.sku} ({entry.warehouse})")
    if has_left:
        print("it had left already: tell the supplier, who does not know of this")


def _money(row: PurchaseOrderRow) -> str:
    return "" if row.amount is None else f"{row.amount:,.2f} {safe(row.currency or '')}".strip()


def _waits_for(row: PurchaseOrderRow) -> str:
    """Say why an order has not left; what a person said of it stands there until it shows."""
    if row.hold is None:
        return ""
    if row.answer == Verdict.REJECTED:
        return "nothing: rejected, it never leaves (closed when its log goes on)"
    if row.answer == Verdict.CHANGED:
        return f"its log to go on: changed to {row.answer_quantity:,} units"
    return str(row.hold)


def _show(rows: list[PurchaseOrderRow]) -> None:
    names = ("order", "sku", "warehouse", "supplier", "units", "open", "amount", "due", "state")
    numbers = ("units", "open", "amount")
    table = make_table(
        [(name, name in numbers) for name in (*names, "waits for")],
        [
            (
                row.po_id,
                safe(row.sku),
                safe(row.warehouse),
                safe(row.supplier),
                f"{row.quantity:,}",
                f"{row.outstanding:,}",
                _money(row),
                plain_time(row.due_at),
                row.state,
                _waits_for(row),
            )
            for row in rows
        ],
    )
    make_console().print(table)
    waiting = sum(row.is_waiting for row in rows)
    print(f"{len(rows):,} open, {waiting:,} of them wait")
