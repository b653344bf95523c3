"""`tidegate explain`: why a purchase order was proposed, and the same decision computed again."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import msgspec
from rich.console import Console

from infra.cli.terminal.failures import CommandError, ExitCode
from infra.cli.terminal.options import NOT_GIVEN, Connection, Json
from infra.cli.terminal.output import heading, make_console, make_facts, make_table
from infra.control.holds import read_waiting_orders
from infra.kafka.topic_reader import read_topics
from infra.redis.reader import open_reader
from infra.settings import Settings
from infra.wording.decisions import service_text, supplier_text
from infra.wording.format import moment, number, plain_time
from infra.wording.orders import (
    basis_text,
    candidate_rows,
    demand_text,
    differences,
    stock_text,
    units_of,
    why_lines,
)
from policy import PolicyCache, PolicyInputError, recompute
from streams.contracts.purchase_orders import PurchaseOrder
from streams.contracts.topics import PURCHASE_ORDERS
from streams.handover.rules import HoldReason
from streams.replenishment.decision_record import ORDER_INPUTS
from streams.state.open_orders import OpenOrder

_order_decoder = msgspec.json.Decoder(PurchaseOrder)


def explain(
    po_id: str, /, *, as_json: Json = False, connection: Connection = NOT_GIVEN
) -> ExitCode:
    """Say why a purchase order was proposed, and compute it again from its record alone.

    Exit code 1: there is no such order, or the computation differs from its record.

    Args:
        po_id: for example po-0d42234752cf8a81a419; `tidegate export orders` lists them.
        as_json: one JSON object: the order, whether it is open, and what was computed.
    """
    settings = connection.settings()
    order, hold = asyncio.run(_find(po_id, settings)), None
    if order is None:
        order, hold = asyncio.run(_find_waiting(po_id, settings))
    if order is None:
        raise CommandError(f"no purchase order {po_id!r} is in {PURCHASE_ORDERS}")
    with open_reader(settings) as reader:
        still_open = reader.open_order(po_id)
    again = recompute_order(order)
    found = differences(order, again)
    if as_json:
        record = {
            "order": order,
            "open": still_open,
            "recomputed": again,
            "same": not found,
            "differences": [asdict(one) for one in found],
            "hold": hold,
        }
        print(msgspec.json.format(msgspec.json.encode(record), indent=1).decode())
    else:
        _show(make_console(), order, still_open, again, hold)
    return ExitCode.NO if found else ExitCode.OK


async def _find_waiting(
    po_id: str, settings: Settings
) -> tuple[PurchaseOrder | None, HoldReason | None]:
    """Return an order that is held back, and why."""
    for waiting in await read_waiting_orders(settings):
        if waiting.order_summary.po_id == po_id:
            return _order_decoder.decode(waiting.value), waiting.reason
    return None, None


async def _find(po_id: str, settings: Settings) -> PurchaseOrder | None:
    """Return the newest version of an order."""
    wanted = po_id.encode()
    found: PurchaseOrder | None = None
    async for record in read_topics(settings, [settings.topic_prefix + PURCHASE_ORDERS]):
        if record.value is None or wanted not in record.value:
            continue
        try:
            order = _order_decoder.decode(record.value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if order.po_id == po_id and (found is None or order.version >= found.version):
            found = order
    return found


def recompute_order(order: PurchaseOrder, cache: PolicyCache | None = None) -> dict[str, Any]:
    """Return the decision that the policy makes of the order's recorded inputs.

    Args:
        order: as it was published.
        cache: solved policies, to recompute many orders.

    Raises:
        CommandError: the record is not complete.
    """
    inputs = {name: value for name, value in order.inputs.items() if name in ORDER_INPUTS}
    try:
        return recompute(inputs, cache)
    except PolicyInputError as error:
        text = f"{order.po_id} cannot be computed again from its record: {error}"
        raise CommandError(text) from None


def agrees(order: PurchaseOrder, again: Mapping[str, Any]) -> bool:
    """Whether the computation gives everything that the order's record tells."""
    return not differences(order, again)


# --- on a screen ------------------------------------------------------------------------------


def _show(
    console: Console,
    order: PurchaseOrder,
    still_open: OpenOrder | None,
    again: dict[str, Any],
    hold: HoldReason | None,
) -> None:
    price = f" at {number(order.unit_cost, 4)} {order.currency or ''}".rstrip()
    console.print(
        heading(
            f"{order.po_id}: {number(order.quantity)} units of {order.sku} "
            f"from {order.supplier}{price}"
        )
    )
    console.print(make_facts(_order_facts(order, still_open)))
    if hold is not None:
        console.print(f"not handed over yet: {hold} (`tidegate audit` says more)", style="yellow")
    console.print()
    console.print(heading("what was known"))
    console.print(make_facts(_known_facts(order)))
    console.print()
    console.print(heading("what could have been done"))
    columns = [("", False), ("units", True), ("expected cost", True), ("more", True), ("", False)]
    console.print(make_table(columns, candidate_rows(order, again)))
    console.print("costs reach into the future: only their differences mean something", style="dim")
    console.print()
    console.print(heading("why"))
    for line in why_lines(order, again):
        console.print(line)
    console.print()
    for line in _verdict(order, again):
        console.print(line)


def _order_facts(order: PurchaseOrder, still_open: OpenOrder | None) -> list[tuple[str, object]]:
    return [
        ("for", f"warehouse {order.warehouse}"),
        ("decided", f"{plain_time(order.decided_at)}, {order.occasion} review"),
        ("arrives", f"{plain_time(order.expected_at)}, as planned then"),
        ("now", _open_text(still_open)),
        ("version", str(order.version)),
    ]


def _open_text(order: OpenOrder | None) -> str:
    if order is None:
        return "closed: received, rejected or called off"
    late = ", late" if order.late_since_ms else ""
    state = order.state.replace("_", " ")
    return (
        f"open, {state}: {number(order.outstanding)} of {number(order.quantity)} still to "
        f"come, due {moment(order.due_ms)}{late}"
    )


def _surge_facts(known: Mapping[str, Any]) -> list[tuple[str, object]]:
    before = known.get("demand_before_surge_units_per_day")
    if before is None or not before < _value(known, "demand_mean_units_per_day"):
        return []
    return [("before the surge", f"{number(float(before), 1)} units a day")]


def _known_facts(order: PurchaseOrder) -> list[tuple[str, object]]:
    known = order.inputs
    return [
        ("stock", stock_text(known)),
        ("demand", demand_text(known)),
        ("known from", basis_text(known)),
        *_surge_facts(known),
        ("lean", supplier_text(known, "lean", order.currency)),
        ("flexible", supplier_text(known, "flexible", order.currency)),
        ("service", service_text(known)),
    ]


def _verdict(order: PurchaseOrder, again: Mapping[str, Any]) -> list[str]:
    units = units_of(order, again)
    got = f"{number(units['lean'])} lean, {number(units['flexible'])} flexible; {again['reason']}"
    found = differences(order, again)
    if not found:
        return [f"recomputed: same quantities ({got}), same costs, same reason"]
    return ["recomputed: NOT THE SAME"] + [
        f"  {one.name}: the record says {one.recorded}, the policy now gives {one.recomputed}"
        for one in found
    ]


def _value(known: Mapping[str, Any], name: str) -> float:
    value = known.get(name)
    return float("inf") if value is None else float(value)
