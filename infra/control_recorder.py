"""Writes into the audit log what the hand-over does by itself."""

from collections.abc import Sequence

from infra.audit import TIDEGATE, AuditState, Closed, Entry, Opened, OrderLeft, OrderWaits
from infra.control_log import ControlLog
from streams.handover import HoldReason, Terms

_WHY = {
    HoldReason.CONTROL_AWAY: "the audit log cannot be read",
    HoldReason.STORE_AWAY: "Redis does not answer",
    HoldReason.CLOCK: "the clock and the logs disagree",
    HoldReason.LAG: "input waits to be read",
    HoldReason.HELD: "somebody held it",
    HoldReason.CAP_UNITS: "more units than cap_units_per_item_day",
    HoldReason.CAP_AMOUNT: "more money than cap_amount_per_item_day",
    HoldReason.APPROVAL: "more money than approval_amount",
}


class AuditRecorder:
    """The worker's `Recorder`. What the log says already is not said again.

    Args:
        log: where to.
    """

    def __init__(self, log: ControlLog) -> None:
        self._log = log
        self._closed: dict[int, list[HoldReason]] = {}
        self._waiting: dict[str, HoldReason] = {}

    @property
    def _state(self) -> AuditState:
        return self._log.state

    def gate_moved(self, partition: int, reasons: Sequence[HoldReason]) -> None:
        """Note that a partition is held, or is not any more; that one begins is nothing to note."""
        if HoldReason.STARTING in reasons:
            return
        told = self._closed.get(partition) or self._state.closed.get(partition, [])
        if list(reasons) == told:
            return
        self._closed[partition] = list(reasons)
        why = "; ".join(_WHY[reason] for reason in reasons) or "calm for long enough"
        entry: Entry = Opened(who=TIDEGATE, why=why, partition=partition)
        if reasons:
            entry = Closed(who=TIDEGATE, why=why, partition=partition, reasons=list(reasons))
        self._log.note(entry)

    def order_waits(self, terms: Terms, reason: HoldReason) -> None:
        """Note that an order waits for a person's word."""
        if reason in (self._waiting.get(terms.po_id), self._state.waiting.get(terms.po_id)):
            return
        self._waiting[terms.po_id] = reason
        entry = OrderWaits(who=TIDEGATE, why=_WHY[reason], po_id=terms.po_id, reason=reason)
        self._log.note(entry)

    def order_left(self, terms: Terms, verdict: str) -> None:
        """Note that an order that had waited for a person was handed over, or withdrawn."""
        known = self._waiting.pop(terms.po_id, None) or self._state.waiting.get(terms.po_id)
        if known is not None:
            why = f"it had waited: {_WHY[known]}"
            self._log.note(OrderLeft(who=TIDEGATE, why=why, po_id=terms.po_id, verdict=verdict))
