"""Writes into the audit log what the hand-over does by itself."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from infra.control.entries import TIDEGATE, AuditState, Closed, Entry, Opened, OrderLeft, OrderWaits
from streams.contracts.outgoing import OrderSummary
from streams.handover.rules import HoldReason

_WHY = {
    HoldReason.CONTROL_AWAY: "the audit log cannot be read",
    HoldReason.STORE_AWAY: "Redis does not answer",
    HoldReason.CLOCK: "the clock and the logs disagree",
    HoldReason.LOG_CHANGED: "a log is not the one that was read (tidegate doctor)",
    HoldReason.LAG: "input waits to be read",
    HoldReason.HELD: "somebody held it",
    HoldReason.CAP_UNITS: "more units than cap_units_per_item_day",
    HoldReason.CAP_AMOUNT: "more money than cap_amount_per_item_day",
    HoldReason.APPROVAL: "more money than approval_amount",
}


class Log(Protocol):
    """What is written to, as `infra.control.log.ControlLog`."""

    state: AuditState

    def note(self, entry: Entry) -> None:
        """Write an entry soon."""

    async def write(self, entry: Entry) -> None:
        """Write an entry behind those that were noted; return once Kafka has it."""


class AuditRecorder:
    """The worker's `Recorder`. What the log says already is not said again.

    Args:
        log: where to.
        patience_s: for Kafka to take what has to be there before an order is forgotten.
    """

    def __init__(self, log: Log, patience_s: float = 5.0) -> None:
        self._log = log
        self._patience_s = patience_s
        self._closed: dict[int, list[HoldReason]] = {}
        self._waiting: dict[str, HoldReason] = {}

    @property
    def _state(self) -> AuditState:
        return self._log.state

    def gate_moved(self, partition: int, reasons: Sequence[HoldReason]) -> None:
        """Note that a partition is held, or is not any more; that one begins is nothing to note."""
        if HoldReason.STARTING in reasons:
            return
        noted = self._closed.get(partition) or self._state.closed.get(partition, [])
        if list(reasons) == noted:
            return
        self._closed[partition] = list(reasons)
        why = "; ".join(_WHY[reason] for reason in reasons) or "calm for long enough"
        entry: Entry = Opened(who=TIDEGATE, why=why, partition=partition)
        if reasons:
            entry = Closed(who=TIDEGATE, why=why, partition=partition, reasons=list(reasons))
        self._log.note(entry)

    def order_waits(self, summary: OrderSummary, reason: HoldReason) -> None:
        """Note that an order waits for a person's word."""
        if summary.po_id in self._state.left:
            return  # a store that came back older has it once more
        if reason == HoldReason.HELD and summary.po_id in self._state.answers:
            return  # the entry of the person who answered says more
        if reason in (self._waiting.get(summary.po_id), self._state.waiting.get(summary.po_id)):
            return
        self._waiting[summary.po_id] = reason
        entry = OrderWaits(who=TIDEGATE, why=_WHY[reason], po_id=summary.po_id, reason=reason)
        self._log.note(entry)

    async def orders_left(self, orders: Sequence[OrderSummary]) -> None:
        """Write which orders were handed over or withdrawn, of those that people had a say in.

        Raises:
            TimeoutError: Kafka does not take it; the orders must not be forgotten.
        """
        for summary in orders:
            why = self._why_it_left(summary)
            if why is not None:
                entry = OrderLeft(who=TIDEGATE, why=why, po_id=summary.po_id, status=summary.status)
                async with asyncio.timeout(self._patience_s):
                    await self._log.write(entry)
            self._waiting.pop(summary.po_id, None)

    def _why_it_left(self, summary: OrderSummary) -> str | None:
        """Return what is to be said of an order; None means nothing, or it was said.

        Another worker's word that it waits can still be on its way, so a person's status is
        enough.
        """
        if summary.po_id in self._state.left:
            return None
        reason = self._waiting.get(summary.po_id) or self._state.waiting.get(summary.po_id)
        if reason is not None:
            return f"it had waited: {_WHY[reason]}"
        return "somebody had spoken of it" if summary.status else None
