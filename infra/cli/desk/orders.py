"""`tidegate orders`: the open purchase orders, and a person's word about them."""

import asyncio
import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cyclopts import App, Group, Parameter

from infra.cli.audit import what_happened
from infra.cli.terminal.failures import CommandError, ExitCode
from infra.cli.terminal.options import NOT_GIVEN, Connection, Flag, Json, Person
from infra.cli.terminal.output import complain, make_console, make_facts, make_table, safe
from infra.control.entries import AuditState, OrderAnswered
from infra.control.log import append_each, read_audit
from infra.control.orders import (
    Answered,
    MustAct,
    PurchaseOrderRow,
    UnknownOrderError,
    Word,
    answer_many,
    read_orders,
)
from infra.control.overrides import Overrides, overrides_of
from infra.kafka.topic_reader import read_topics
from infra.settings import Settings
from infra.wording.format import plain_time
from infra.wording.orders import csv_text
from streams.contracts.topics import PURCHASE_ORDERS
from streams.handover.rules import HoldReason, Verdict

PoId = Annotated[str, Parameter(help="of the order, as `tidegate orders list` names it.")]

_FILTERS = Group("Which orders", sort_key=7)

orders = App(
    name="orders",
    help="""List the open purchase orders; show, approve, reject, edit or cancel them.

Your word is in force within about two seconds and stands in the audit log, with your name. It also
goes to the topic order-responses, where an ERP can read it.""",
)


@Parameter(name="*", group=_FILTERS)
@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which orders are meant; what is not given does not matter."""

    supplier: str | None = None
    """only orders to this supplier."""
    sku: str | None = None
    """only orders of this item."""
    warehouse: str | None = None
    """only orders for this warehouse."""
    hold: HoldReason | None = None
    """only orders that wait for this reason."""
    at_most: float | None = None
    """only orders that wait and are worth at most so much, each in its own currency."""

    @property
    def is_given(self) -> bool:
        """Whether any of them is."""
        return self != ALL

    def fit(self, row: PurchaseOrderRow) -> bool:
        """Whether an order is meant."""
        return (
            self.supplier in (None, row.supplier)
            and self.sku in (None, row.sku)
            and self.warehouse in (None, row.warehouse)
            and self.hold in (None, row.hold)
            and (self.at_most is None or (row.amount is not None and row.amount <= self.at_most))
        )


ALL = Filters()


@orders.command(name="list")
def list_orders(
    *,
    waiting: Flag = False,
    filters: Filters = ALL,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> None:
    """List the open purchase orders: those that wait first, then by the date they are due.

    Args:
        waiting: only those that have not left, with the reason.
        as_json: one JSON object.
    """
    rows = [
        row
        for row in _rows(connection.settings())
        if (row.is_waiting or not waiting) and filters.fit(row)
    ]
    if as_json:
        print(msgspec.json.encode({"orders": rows, "waiting": totals_of(rows)}).decode())
    elif rows:
        _show(rows)
    else:
        print("no purchase order waits" if waiting else "no purchase order is open")


@orders.command
def show(po_id: PoId, /, *, as_json: Json = False, connection: Connection = NOT_GIVEN) -> None:
    """Show one open purchase order: what it waits for, and what was said of it, by whom.

    `tidegate explain PO_ID` says why it was proposed.

    Args:
        as_json: one JSON object.
    """
    settings = connection.settings()
    state, _ = asyncio.run(read_audit(settings))
    row = next((one for one in _rows(settings, state) if one.po_id == po_id), None)
    if row is None:
        rule = "an open purchase order (`tidegate orders list` names them)"
        raise UnknownOrderError("po_id", rule, po_id)
    history = state.histories.get(po_id, ())
    if as_json:
        print(msgspec.json.encode({"order": row, "history": history}).decode())
        return
    console = make_console()
    named = zip(_NAMES, _cells(row), strict=True)
    console.print(make_facts([(name, text) for name, text in named if text]))
    if history:
        columns = [(name, False) for name in ("at", "who", "what", "why")]
        cells = [
            (plain_time(one.at), safe(one.who), safe(what_happened(one)), safe(one.why))
            for one in history
        ]
        console.print(make_table(columns, cells))


@orders.command
def export(
    file: Path | None = None,
    /,
    *,
    waiting: Flag = False,
    form: Annotated[Literal["csv", "json"], Parameter(name="--format")] = "csv",
    filters: Filters = ALL,
    connection: Connection = NOT_GIVEN,
) -> None:
    """Write the open purchase orders as CSV or JSON, to a file or to standard output.

    In CSV, text that a spreadsheet would run as a formula has an apostrophe in front.

    Args:
        file: where to; not given: standard output.
        waiting: only those that have not left.
        form: csv or json (one array).
    """
    rows = [
        row
        for row in _rows(connection.settings())
        if (row.is_waiting or not waiting) and filters.fit(row)
    ]
    text = _as_csv(rows) if form == "csv" else msgspec.json.encode(rows).decode() + "\n"
    if file is None:
        print(text, end="")
    else:
        file.write_text(text, encoding="utf-8", newline="")
        print(f"{len(rows):,} orders written to {file}")


@orders.command
def overrides(*, as_json: Json = False, connection: Connection = NOT_GIVEN) -> None:
    """Say how often people change or reject what is proposed, and with which reasons.

    As far as the topic purchase-orders and the audit log reach.

    Args:
        as_json: one JSON object.
    """
    found = asyncio.run(_overrides(connection.settings()))
    if as_json:
        print(msgspec.json.encode(found).decode())
        return
    rate = "no order was proposed" if found.override_rate is None else f"{found.override_rate:.1%}"
    facts = [
        ("overridden", rate),
        ("proposed", f"{found.proposed:,}"),
        ("approved as proposed", f"{found.approved:,}"),
        ("changed", f"{found.changed:,}"),
        ("rejected", f"{found.rejected:,}"),
        ("expired", f"{found.expired:,}"),
    ]
    console = make_console()
    console.print(make_facts(facts))
    for title, rows in (("why", found.reasons), ("item", found.items), ("who", found.people)):
        if rows:
            cells = [(safe(one.name), f"{one.orders:,}") for one in rows]
            console.print(make_table([(title, False), ("orders", True)], cells))


async def _overrides(settings: Settings) -> Overrides:
    _, entries = await read_audit(settings)
    topic = settings.topic_prefix + PURCHASE_ORDERS
    ids = set()
    async for record in read_topics(settings, [topic]):
        order = msgspec.json.decode(record.value or b"{}", type=_PublishedOrder)
        if order.po_id:
            ids.add(order.po_id)
    return overrides_of(entries, ids)


class _PublishedOrder(msgspec.Struct):
    po_id: str = ""


@orders.command
def approve(
    *po_ids: PoId,
    person: Person,
    filters: Filters = ALL,
    dry_run: Flag = False,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> ExitCode:
    """Approve purchase orders that wait: they leave, with a new date where they are late.

    Name them, or give flags that say which of those that wait for an approver are meant. Exit
    code 1: some of several could not be approved.

    Args:
        dry_run: only say which orders these are, and how much money.
        as_json: one JSON object for each order, one a line.
    """

    def chosen(row: PurchaseOrderRow) -> bool:
        needs_word = row.must_act in (MustAct.APPROVER, MustAct.HOLDER)
        return row.is_waiting and needs_word and row.answer != Verdict.APPROVED

    asked = _Asked(po_ids, Verdict.APPROVED, person, chosen, filters, dry_run, as_json)
    return _answer_all(connection, asked)


@orders.command
def reject(
    *po_ids: PoId,
    person: Person,
    filters: Filters = ALL,
    dry_run: Flag = False,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> ExitCode:
    """Reject purchase orders: those that wait never leave, and none of them counts as supply.

    Name them, or give flags that say which of those that wait are meant. If one has left already,
    tell the supplier yourself. Exit code 1: some of several could not be rejected.

    Args:
        dry_run: only say which orders these are, and how much money.
        as_json: one JSON object for each order, one a line.
    """

    def chosen(row: PurchaseOrderRow) -> bool:
        return row.is_waiting

    asked = _Asked(po_ids, Verdict.REJECTED, person, chosen, filters, dry_run, as_json)
    return _answer_all(connection, asked)


@orders.command
def cancel(
    *po_ids: PoId,
    person: Person,
    dry_run: Flag = False,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> ExitCode:
    """Cancel purchase orders that have left: they count as supply no more.

    Destinations of `tidegate deliver` get the cancel; tell other suppliers yourself. An order that
    still waits is not cancelled but rejected. Exit code 1: some of several could not be cancelled.

    Args:
        dry_run: only say which orders these are.
        as_json: one JSON object for each order, one a line.
    """

    def chosen(row: PurchaseOrderRow) -> bool:
        return row.hold is None

    asked = _Asked(po_ids, Verdict.REJECTED, person, chosen, ALL, dry_run, as_json, True)
    return _answer_all(connection, asked)


@orders.command(name=("edit", "change"))
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
    """Edit the units of a purchase order, or the date it is due, or both.

    One that waits leaves as its next version; it stays for approval if it needs that. If it has
    left already, destinations of `tidegate deliver` get the change; tell other suppliers yourself.

    Args:
        quantity: units from now on, at least 1.
        expected_at: when it is due from now on: a day, or a time with its offset.
        as_json: one JSON object.
    """
    word = Word(po_id, Verdict.CHANGED, person.who, person.why, quantity, expected_at)
    (one,) = _said(connection.settings(), [word])
    if one.refusal is not None:
        raise one.refusal
    _report(one, as_json=as_json)


@dataclass(frozen=True)
class _Asked:
    """What a person says of several orders."""

    po_ids: Sequence[str]
    verdict: Verdict
    person: Person
    chosen: Callable[[PurchaseOrderRow], bool]  # of those that the filters fit
    filters: Filters
    is_rehearsal: bool
    as_json: bool
    has_to_be_chosen: bool = False  # also an order that is named


def _answer_all(connection: Connection, asked: _Asked) -> ExitCode:
    """Say the same of each order; one that it cannot be said of does not stop the others.

    Raises:
        CommandError: no order is named, or none fits.
        AuditError: it cannot be said of the only order that is named.
    """
    settings = connection.settings()
    rows = _rows(settings) if asked.filters.is_given or asked.is_rehearsal else []
    po_ids = list(asked.po_ids) or _fitting(asked, rows)
    if asked.has_to_be_chosen:
        _refuse_others(asked, po_ids, _rows(settings))
    if asked.is_rehearsal:
        meant = [row for row in rows if row.po_id in po_ids]
        if asked.as_json:
            print(msgspec.json.encode({"orders": meant, "waiting": totals_of(meant)}).decode())
        else:
            _show(meant)
        return ExitCode.OK
    person = asked.person
    words = [Word(po_id, asked.verdict, person.who, person.why) for po_id in po_ids]
    answered = _said(settings, words)
    for one in answered:
        if one.refusal is None:
            _report(one, as_json=asked.as_json)
        elif len(answered) == 1:
            raise one.refusal
        else:
            complain(str(one.refusal))
    if len(answered) > 1 and not asked.as_json:
        done = sum(one.entry is not None for one in answered)
        print(f"{done:,} of {len(answered):,} orders {asked.verdict}")
    return ExitCode.NO if any(one.refusal is not None for one in answered) else ExitCode.OK


def _fitting(asked: _Asked, rows: Sequence[PurchaseOrderRow]) -> list[str]:
    if not asked.filters.is_given:
        rule = "one order or more, as `tidegate orders list --waiting` names them, or chosen by a"
        raise CommandError(f"PO_IDS must be {rule} flag, got none", ExitCode.USAGE)
    found = [row.po_id for row in rows if asked.chosen(row) and asked.filters.fit(row)]
    if not found:
        raise CommandError("no purchase order that waits is meant by these flags", ExitCode.NO)
    return found


def _refuse_others(asked: _Asked, po_ids: Sequence[str], rows: Sequence[PurchaseOrderRow]) -> None:
    if not po_ids:
        raise CommandError("PO_IDS must be one order or more, got none", ExitCode.USAGE)
    for row in rows:
        if row.po_id in po_ids and not asked.chosen(row):
            rule = "of an order that has left (`tidegate orders reject` is for one that waits)"
            raise CommandError(f"po_id must be {rule}, got {row.po_id!r}", ExitCode.USAGE)


def _said(settings: Settings, words: Sequence[Word]) -> list[Answered]:
    """Write the words that are possible; return what became of each."""
    answered: list[Answered] = []

    def make(state: AuditState) -> list[OrderAnswered]:
        answered[:] = answer_many(settings, state, state.controls(), words)
        return [one.entry for one in answered if one.entry is not None]

    asyncio.run(append_each(settings, make))
    return answered


def _report(one: Answered, *, as_json: bool) -> None:
    entry = one.entry
    assert entry is not None
    if as_json:
        print(msgspec.json.encode({"order": entry, "has_left": one.has_left}).decode())
        return
    print(f"{what_happened(entry)} of {entry.sku} ({entry.warehouse})")
    if one.has_left:
        print("it had left already: tell the supplier, unless `tidegate deliver` does")


def _rows(settings: Settings, state: AuditState | None = None) -> list[PurchaseOrderRow]:
    if state is None:
        state, _ = asyncio.run(read_audit(settings))
    return read_orders(settings, state.controls(), state.closed, state.waiting_since)


def totals_of(rows: Sequence[PurchaseOrderRow]) -> list[dict[str, object]]:
    """Return how many orders wait, and their value, by who must act and currency.

    >>> totals_of([])
    []
    """
    sums: dict[tuple[str, str | None], list[float]] = {}
    for row in rows:
        if row.is_waiting:
            key = (str(row.must_act), row.currency)
            sums.setdefault(key, []).append(row.amount or 0.0)
    return [
        {"must_act": act, "currency": currency, "orders": len(values), "amount": sum(values)}
        for (act, currency), values in sorted(sums.items(), key=lambda pair: str(pair[0]))
    ]


_NAMES = (
    *("order", "sku", "warehouse", "supplier", "units", "open", "amount", "due", "state"),
    *("waits for", "who acts", "since"),
)
_NUMBERS = ("units", "open", "amount")


def _cells(row: PurchaseOrderRow) -> tuple[str, ...]:
    return (
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
        str(row.must_act) if row.is_waiting else "",
        plain_time(row.waiting_since) if row.is_waiting and row.waiting_since else "",
    )


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


def _show(rows: Sequence[PurchaseOrderRow]) -> None:
    columns = [(name, name in _NUMBERS) for name in _NAMES]
    make_console().print(make_table(columns, [_cells(row) for row in rows]))
    waiting = sum(row.is_waiting for row in rows)
    print(f"{len(rows):,} open, {waiting:,} of them wait")
    for one in totals_of(rows):
        money = f"{one['amount']:,.2f} {safe(str(one['currency'] or ''))}".strip()
        print(f"  {one['orders']:,} for {one['must_act']}: {money}")


def _as_csv(rows: Sequence[PurchaseOrderRow]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = PurchaseOrderRow.__struct_fields__
    writer.writerow(names)
    for row in rows:
        writer.writerow([csv_text(getattr(row, name)) for name in names])
    return text.getvalue()
