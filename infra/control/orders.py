"""Open purchase orders, and a person's word about one of them: approve, reject or change it.

The word goes into the audit log first, with who and why: the hand-over goes by it at once. Then it
goes to `order-responses`, where the ERP's words arrive too: from there the state learns it.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, NoReturn

import msgspec

from infra.control.entries import (
    AnyEntry,
    AuditError,
    AuditState,
    OrderAnswered,
    UnknownError,
    require_text,
)
from infra.control.holds import Closed, WaitingOrder, waiting_orders
from infra.redis.reader import OpenOrderState, Reader, ShardState, open_reader
from infra.settings import Settings
from streams.contracts.fields import (
    CURRENCY,
    PURCHASE_ORDER_ID,
    SKU,
    SUPPLIER,
    WAREHOUSE,
    described,
)
from streams.handover.rules import Answer, Controls, HoldReason, Verdict
from streams.replenishment.supplier_terms import late_start_ms
from streams.timestamps import BAD_TIMESTAMP, NO_CLOCK, one_time, rfc3339

MOST_UNITS = 1_000_000
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class MustAct(StrEnum):
    """Who ends the wait of a purchase order."""

    APPROVER = "approver"
    PAUSER = "whoever paused"
    HOLDER = "whoever held it"
    COUNTER = "whoever counts stock"
    OPERATOR = "operator"


_MUST_ACT = {
    HoldReason.APPROVAL: MustAct.APPROVER,
    HoldReason.CAP_UNITS: MustAct.APPROVER,
    HoldReason.CAP_AMOUNT: MustAct.APPROVER,
    HoldReason.PAUSED: MustAct.PAUSER,
    HoldReason.HELD: MustAct.HOLDER,
    HoldReason.STALE_STOCK: MustAct.COUNTER,
}


class _Decided(msgspec.Struct):
    """What is read of a record on its way."""

    decided_at: str | None = None
    version: int = 1


class PurchaseOrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """One open purchase order, as lists of them show it."""

    po_id: Annotated[str, PURCHASE_ORDER_ID]
    sku: Annotated[str, SKU]
    warehouse: Annotated[str, WAREHOUSE]
    supplier: Annotated[str, SUPPLIER]
    quantity: Annotated[int, described("Units ordered.")]
    outstanding: Annotated[int, described("Units of it that have not arrived.")]
    due_at: Annotated[str, described("When it is due (event time), as RFC 3339 in UTC.")]
    state: Annotated[str, described("The last that was heard of it.")]
    hold: Annotated[
        HoldReason | None,
        described("Why it has not left; null means that it has, or is about to."),
    ]
    amount: Annotated[
        float | None,
        described("Value of the order, quantity times unit cost; null once it has left."),
    ]
    currency: Annotated[str | None, CURRENCY]
    answer: Annotated[
        Verdict | None,
        described(
            "What a person said of it that takes effect only when its log goes on; null means "
            "nothing. One that is rejected never leaves."
        ),
    ] = None
    answer_quantity: Annotated[
        int | None, described("Units that the person approved, rejected or wants; null likewise.")
    ] = None
    must_act: Annotated[
        MustAct | None, described("Who ends its wait; null means that it does not wait.")
    ] = None
    waiting_since: Annotated[
        str | None,
        described(
            "Since when it waits for a person, as the audit log says, else when it was decided; "
            "null means that it does not wait, or that neither is known."
        ),
    ] = None
    version: Annotated[
        int | None, described("Version in which it will leave; null once it has left.")
    ] = None

    @property
    def is_waiting(self) -> bool:
        """Whether it has not left and still may."""
        return self.hold is not None and self.answer != Verdict.REJECTED


class UnknownOrderError(UnknownError):
    """No such purchase order is open."""


@dataclass(frozen=True, slots=True)
class Word:
    """What a person wants to happen to a purchase order."""

    po_id: str
    verdict: Verdict
    who: str
    why: str
    quantity: int | None = None  # of a change
    expected_at: str | None = None  # likewise, as RFC 3339


@dataclass(frozen=True, slots=True)
class Answered:
    """What becomes of a word about an order."""

    word: Word
    entry: OrderAnswered | None  # None: it is not possible
    has_left: bool
    refusal: AuditError | None


@dataclass(frozen=True, slots=True)
class FoundOrder:
    """A purchase order as it stands now."""

    opened: OpenOrderState | None  # None: it is not counted as supply any more
    waiting: WaitingOrder | None  # None: it has left
    shard: ShardState | None


class Desk:
    """The purchase orders as a worker's API shows them.

    Args:
        settings: where Redis is, and the limits.
        audit: returns the fold of the audit log.
        controls: returns what people have ordered.
    """

    def __init__(
        self,
        settings: Settings,
        audit: Callable[[], AuditState],
        controls: Callable[[], Controls],
    ) -> None:
        self._settings = settings
        self._audit = audit
        self._controls = controls

    def orders(self) -> list[PurchaseOrderRow]:
        """Return the open purchase orders."""
        audit = self._audit()
        since = dict(audit.waiting_since)
        return read_orders(self._settings, self._controls(), dict(audit.closed), since)

    def history(self, po_id: str) -> tuple[AnyEntry, ...]:
        """Return what the audit log has of an order, the oldest first."""
        return self._audit().histories.get(po_id, ())

    def answer_many(self, words: Sequence[Word]) -> list[Answered]:
        """Return the entry of each word, or why it is not possible; none is written yet."""
        return answer_many(self._settings, self._audit(), self._controls(), words)

    def answer(self, word: Word) -> tuple[OrderAnswered, bool]:
        """Return the entry of a person's word, not yet written, and whether the order has left.

        Raises:
            AuditError: the word is not possible.
        """
        return answer_to(self._settings, self._audit(), self._controls(), word)


def answer_to(
    settings: Settings, audit: AuditState, controls: Controls, word: Word
) -> tuple[OrderAnswered, bool]:
    """Return the entry of a person's word, not yet written, and whether the order has left.

    Args:
        settings: where Redis is, and the limits.
        audit: the fold of the audit log.
        controls: what people have ordered.
        word: what the person wants.

    Raises:
        AuditError: the word is not possible.
    """
    with open_reader(settings) as reader:
        found = find_order(reader, settings, controls, dict(audit.closed), word.po_id)
    before = audit.answers.get(word.po_id)
    entry = make_answer(found, word, before, settings.live_within_seconds, time.time())
    return entry, found.waiting is None


def answer_many(
    settings: Settings, audit: AuditState, controls: Controls, words: Iterable[Word]
) -> list[Answered]:
    """Return the entry of each word, not yet written, or why it is not possible.

    Args:
        settings: where Redis is, and the limits.
        audit: the fold of the audit log.
        controls: what people have ordered.
        words: what the person wants; of two about one order the second is refused.
    """
    with open_reader(settings) as reader:
        orders = find_orders(reader, settings, controls, dict(audit.closed))
    answered: list[Answered] = []
    seen: set[str] = set()
    for word in words:
        try:
            if word.po_id in seen:
                raise AuditError("po_id", "named once", word.po_id)
            seen.add(word.po_id)
            found = orders.get(word.po_id) or _no_such_order(word.po_id)
            before = audit.answers.get(word.po_id)
            entry = make_answer(found, word, before, settings.live_within_seconds, time.time())
            answered.append(Answered(word, entry, found.waiting is None, None))
        except AuditError as error:
            answered.append(Answered(word, None, False, error))
    return answered


def read_orders(
    settings: Settings,
    controls: Controls,
    closed: Closed,
    since: Mapping[str, str] | None = None,
) -> list[PurchaseOrderRow]:
    """Return the open purchase orders: those that wait first, then by the date they are due.

    Args:
        settings: where Redis is, and the limits.
        controls: what people have ordered.
        closed: why workers hold partitions, as the audit log says.
        since: from when orders wait for a person, by po_id, as the audit log says.
    """
    with open_reader(settings) as reader:
        waiting = waiting_orders(reader, settings, controls, closed, time.time())
        by_id = {one.order_summary.po_id: one for one in waiting}
        applied_ms = {one.partition: one.applied_ms or NO_CLOCK for one in reader.shards()}
        rows = []
        for one in reader.open_orders():
            answer = controls.answers.get(one.order.po_id)
            if answer is not None and answer.moment_ms <= applied_ms.get(one.partition, NO_CLOCK):
                answer = None  # the state says the same by now
            waits = by_id.pop(one.order.po_id, None)
            rows.append(_row(one, waits, answer, (since or {}).get(one.order.po_id)))
    return sorted(rows, key=lambda row: (not row.is_waiting, row.due_at, row.po_id))


def find_order(
    reader: Reader, settings: Settings, controls: Controls, closed: Closed, po_id: str
) -> FoundOrder:
    """Return one purchase order.

    Args:
        reader: of Redis.
        settings: the limits.
        controls: what people have ordered.
        closed: why workers hold partitions.
        po_id: of the order.

    Raises:
        UnknownOrderError: there is none of that id, or not any more.
    """
    return find_orders(reader, settings, controls, closed).get(po_id) or _no_such_order(po_id)


def _no_such_order(po_id: str) -> NoReturn:
    rule = "an open purchase order (`tidegate orders list` names them)"
    raise UnknownOrderError("po_id", rule, po_id)


def find_orders(
    reader: Reader, settings: Settings, controls: Controls, closed: Closed
) -> dict[str, FoundOrder]:
    """Return all purchase orders that are open or on their way, by po_id.

    Args:
        reader: of Redis.
        settings: the limits.
        controls: what people have ordered.
        closed: why workers hold partitions.
    """
    shards = {shard.partition: shard for shard in reader.shards()}
    opened = {one.order.po_id: one for one in reader.open_orders()}
    # Of several versions that wait the newest is the last.
    on_their_way = waiting_orders(reader, settings, controls, closed, time.time())
    waiting = {one.order_summary.po_id: one for one in on_their_way}
    return {
        po_id: FoundOrder(
            opened.get(po_id),
            waiting.get(po_id),
            shards.get(opened[po_id].partition) if po_id in opened else None,
        )
        for po_id in {*opened, *waiting}
    }


def make_answer(
    found: FoundOrder, word: Word, before: Answer | None, live_within_s: float, now_s: float
) -> OrderAnswered:
    """Return the entry of a person's word about a purchase order.

    Args:
        found: the order as it stands.
        word: what the person wants.
        before: their word before this one, if it is not yet in the logs.
        live_within_s: a log whose clock is this near to now is live; the word to one that is
            replayed is of the log's time.
        now_s: wall clock.

    Raises:
        AuditError: the word is not possible; names field, rule and value.
    """
    require_text("who", word.who)
    require_text("why", word.why)
    if found.waiting is not None:
        summary = found.waiting.order_summary
        sku, warehouse, quantity = summary.sku, summary.warehouse, summary.quantity
    else:
        assert found.opened is not None
        sku, warehouse = found.opened.sku, found.opened.warehouse
        quantity = found.opened.order.quantity
    if before is not None and before.verdict == Verdict.CHANGED:
        quantity = before.quantity
    moment_ms = _moment_ms(found, live_within_s, now_s)
    expected_at = None
    if word.verdict == Verdict.CHANGED:
        quantity, expected_at = _changed(word, quantity)
    elif word.verdict == Verdict.APPROVED:
        if found.waiting is None:
            raise AuditError("po_id", "an order that has not left yet", word.po_id)
        expected_at = _late_start(found, moment_ms)
    return OrderAnswered(
        who=word.who,
        why=word.why,
        po_id=word.po_id,
        sku=sku,
        warehouse=warehouse,
        verdict=word.verdict,
        quantity=quantity,
        expected_at=expected_at,
        occurred_at=rfc3339(moment_ms),
    )


def _changed(word: Word, quantity: int) -> tuple[int, str | None]:
    """Return quantity and date of a change."""
    if word.quantity is None and word.expected_at is None:
        raise AuditError("quantity", "given, or expected_at, or both", None)
    if word.quantity is not None and not 1 <= word.quantity <= MOST_UNITS:
        rule = f"from 1 to {MOST_UNITS:,} (to order nothing, reject the order)"
        raise AuditError("quantity", rule, word.quantity)
    expected_at = None if word.expected_at is None else _time(word.expected_at)
    return quantity if word.quantity is None else word.quantity, expected_at


def _time(text: str) -> str:
    """Return a time that a person gave; a day alone means its beginning."""
    expected_ms = one_time(f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text)
    if expected_ms == BAD_TIMESTAMP:
        rule = "a day or a time with its offset, as 2026-12-01 or 2026-12-01T08:00:00Z"
        raise AuditError("expected_at", rule, text)
    return rfc3339(expected_ms)


def _moment_ms(found: FoundOrder, live_within_s: float, now_s: float) -> int:
    """Return the event time of a word that is spoken now."""
    now_ms = int(now_s * 1000)
    meta = None if found.shard is None else found.shard.meta
    newest_ms = max(meta.clocks.values(), default=now_ms) if meta is not None else now_ms
    is_live = abs(now_ms - newest_ms) <= live_within_s * 1000
    return now_ms if is_live else newest_ms


def _late_start(found: FoundOrder, moment_ms: int) -> str | None:
    if found.opened is None:
        return None
    due_ms = late_start_ms(found.opened.order, found.opened.catalog, moment_ms)
    return None if due_ms is None else rfc3339(due_ms)


def _row(
    opened: OpenOrderState,
    waiting: WaitingOrder | None,
    answer: Answer | None,
    since: str | None = None,
) -> PurchaseOrderRow:
    summary = None if waiting is None else waiting.order_summary
    reason = None if waiting is None else waiting.reason
    decided = None if waiting is None else msgspec.json.decode(waiting.value, type=_Decided)
    return PurchaseOrderRow(
        po_id=opened.order.po_id,
        sku=opened.sku,
        warehouse=opened.warehouse,
        supplier=opened.order.supplier,
        quantity=opened.order.quantity,
        outstanding=opened.order.outstanding,
        due_at=rfc3339(opened.order.due_ms),
        state=opened.order.state if answer is None or waiting else str(answer.verdict),
        hold=reason,
        amount=None if summary is None else summary.amount,
        currency=None if summary is None else summary.currency,
        answer=None if answer is None else answer.verdict,
        answer_quantity=None if answer is None else answer.quantity,
        must_act=None if reason is None else _MUST_ACT.get(reason, MustAct.OPERATOR),
        waiting_since=None if reason is None or decided is None else since or decided.decided_at,
        version=None if decided is None else decided.version,
    )
