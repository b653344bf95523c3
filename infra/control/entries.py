"""The audit log: who stopped, resumed, held and took on what, when and why.

It is also where that is kept.

One topic with one partition, never compacted and never trimmed. The pauses in force, and who looks
after which incident, are the fold of its entries, so both survive all that Kafka survives, Redis or
not. It lies where the
orders go: while it cannot be read, none can be sent. Workers that follow it know a new entry within
milliseconds.

Every entry names the entries before it by their hashes, as commits do: of two that were written at
once, the next names both. An entry that was altered or taken out from among the others shows.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from streams.contracts.alerts import Alert
from streams.contracts.events import Approved, OrderChanged, OrderRejected, Response
from streams.handover.rules import Answer, Controls, HoldReason, Pause, Verdict
from streams.timestamps import DAY_MS, one_time

TIDEGATE = "tidegate"
"""The name under which workers write."""

LONGEST_TEXT = 500
_UNKNOWN_MS = 2**62
_ORDERS_WITH_HISTORY = 10_000  # of those that people or the hand-over wrote of, the newest
ACKNOWLEDGED_FOR_MS = DAY_MS
"""So long somebody's word stands for an incident; then it counts as nobody's, and is shown anew."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What every entry carries."""

    entry_id: str = ""  # hash of all the rest
    after: list[str] = []  # the entries that nothing had followed yet when this was written
    at: str = ""  # RFC 3339, by the writer's clock
    who: str
    why: str


class Paused(Entry, frozen=True, kw_only=True, tag="paused"):
    """The hand-over is stopped; the entry's id is the id of the hold."""

    supplier: str | None = None
    sku: str | None = None
    warehouse: str | None = None


class Resumed(Entry, frozen=True, kw_only=True, tag="resumed"):
    """A pause is over."""

    hold_id: str


class Closed(Entry, frozen=True, kw_only=True, tag="closed"):
    """A worker holds the orders of a partition."""

    partition: int
    reasons: list[HoldReason]


class Opened(Entry, frozen=True, kw_only=True, tag="opened"):
    """A partition's orders go out again."""

    partition: int


class OrderWaits(Entry, frozen=True, kw_only=True, tag="order_waits"):
    """An order waits for a person's word."""

    po_id: str
    reason: HoldReason


class OrderLeft(Entry, frozen=True, kw_only=True, tag="order_left"):
    """An order that people had a say in was handed over, or withdrawn: the last word about it."""

    po_id: str
    status: str = msgspec.field(name="verdict")  # as the log of older versions has it


class Acknowledged(Entry, frozen=True, kw_only=True, tag="acknowledged"):
    """Somebody looks after an incident; `why` is their note, and may be empty."""

    incident_id: str
    alert: str  # the kind of the incident; `kind` is that of the entry
    subject: str


class WentLive(Entry, frozen=True, kw_only=True, tag="went_live"):
    """The shop's first worker started: what happened before is history, and orders nothing."""

    live_from: str


class OrderAnswered(Entry, frozen=True, kw_only=True, tag="order_answered"):
    """A person approved, rejected or changed a purchase order."""

    po_id: str
    sku: str
    warehouse: str
    verdict: Verdict
    quantity: int  # that was approved or rejected, or that the order has from now on
    expected_at: str | None = None  # when it is due from now on, as RFC 3339; null means as it was
    occurred_at: str  # event time of the same word in `order-responses`


class ResponsesSent(Entry, frozen=True, kw_only=True, tag="responses_sent"):
    """The events of people's answers are in `order-responses`: the logs say from now on the same.

    Keys are the ids of the answers' entries, values the event times of their events.
    """

    moments: dict[str, str]


class LogsAdopted(Entry, frozen=True, kw_only=True, tag="logs_adopted"):
    """A person let logs be read that are not the ones that the state was made from."""

    offsets: dict[str, int]  # topic/partition -> where it is read on


CampaignState = Literal["draft", "checked", "approved", "live", "closed"]


class CampaignVersion(Entry, frozen=True, kw_only=True, tag="campaign"):
    """A campaign from now on; the first of two entries with the same number counts."""

    campaign_id: str
    version: int
    state: CampaignState
    document: dict[str, Any] | None = None  # as people gave it; null means as in the version before
    packed: str | None = None  # a large document in its place: JSON, zlib, base64
    check: dict[str, Any] | None = None  # the answer that the state rests on
    is_overridden: bool = False  # approved by a person although the check did not pass


AnyEntry = (
    Paused
    | Resumed
    | Closed
    | Opened
    | OrderWaits
    | OrderLeft
    | OrderAnswered
    | ResponsesSent
    | Acknowledged
    | WentLive
    | LogsAdopted
    | CampaignVersion
)
_decoder = msgspec.json.Decoder(AnyEntry)


class AuditError(ValueError):
    """Something that may not be written; names field, rule and value."""

    def __init__(self, name: str, rule: str, value: object) -> None:
        super().__init__(f"{name} must be {rule}, got {value!r}")
        self.field, self.rule, self.value = name, rule, value


def hash_of(entry: Entry) -> str:
    """Return the id that an entry must have: a hash of everything else in it."""
    bare = msgspec.json.encode(msgspec.structs.replace(entry, entry_id=""), order="deterministic")
    return "au-" + hashlib.blake2b(bare, digest_size=16).hexdigest()


def sealed(entry: Entry, heads: Iterable[str], at: str) -> Entry:
    """Return an entry with its time, what it follows, and its id."""
    entry = msgspec.structs.replace(entry, after=sorted(heads), at=at, entry_id="")
    return msgspec.structs.replace(entry, entry_id=hash_of(entry))


def make_pause(
    who: str,
    why: str,
    *,
    supplier: str | None = None,
    sku: str | None = None,
    warehouse: str | None = None,
) -> Paused:
    """Return the entry of a pause.

    Raises:
        AuditError: a text is missing or too long, or a warehouse is named without a sku.
    """
    for name, text in (("who", who), ("why", why)):
        require_text(name, text)
    for name, named in (("supplier", supplier), ("sku", sku), ("warehouse", warehouse)):
        if named is not None:
            require_text(name, named)
    if warehouse is not None and sku is None:
        raise AuditError("warehouse", "given together with sku", warehouse)
    return Paused(who=who, why=why, supplier=supplier, sku=sku, warehouse=warehouse)


def make_resume(who: str, why: str, hold_id: str, pauses: Iterable[Pause]) -> Resumed:
    """Return the entry that ends a pause.

    Raises:
        AuditError: a text is missing or too long.
        UnknownHoldError: no such pause is in force.
    """
    for name, text in (("who", who), ("why", why), ("hold_id", hold_id)):
        require_text(name, text)
    if hold_id not in {pause.hold_id for pause in pauses}:
        raise UnknownHoldError("hold_id", "the id of a pause in force", hold_id)
    return Resumed(who=who, why=why, hold_id=hold_id)


def make_acknowledgement(who: str, note: str, incident: Alert) -> Acknowledged:
    """Return the entry of somebody who takes an incident on.

    Raises:
        AuditError: the name is missing, or a text is too long.
    """
    require_text("who", who)
    if note:
        require_text("note", note)
    return Acknowledged(
        who=who,
        why=note,
        incident_id=incident.incident_id,
        alert=incident.kind,
        subject=incident.subject,
    )


def make_adoption(who: str, why: str, offsets: dict[str, int]) -> LogsAdopted:
    """Return the entry of logs that are read on in place of others.

    Raises:
        AuditError: a text is missing or too long.
    """
    for name, text in (("who", who), ("why", why)):
        require_text(name, text)
    return LogsAdopted(who=who, why=why, offsets=offsets)


class UnknownError(AuditError):
    """What is named is not there."""


class UnknownHoldError(UnknownError):
    """No such pause is in force."""


def require_text(name: str, text: object) -> None:
    """Refuse a text that people could not read in a list of one line each.

    Raises:
        AuditError: it is missing, too long or not printable.
    """
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST_TEXT:
        raise AuditError(name, f"a text of 1 to {LONGEST_TEXT} characters", text)
    if not text.isprintable():
        raise AuditError(name, "printable, on one line", text)


@dataclass(slots=True)
class AuditState:
    """The fold of the log."""

    pauses: dict[str, Pause] = field(default_factory=dict)
    waiting: dict[str, HoldReason] = field(default_factory=dict)  # by po_id
    waiting_since: dict[str, str] = field(default_factory=dict)  # by po_id, of those
    histories: dict[str, tuple[AnyEntry, ...]] = field(default_factory=dict)  # by po_id
    left: set[str] = field(default_factory=set)  # po_id of orders that wait no more, ever
    answers: dict[str, Answer] = field(default_factory=dict)  # by po_id, of those that wait
    unsent: dict[str, OrderAnswered] = field(default_factory=dict)  # by entry, not known to be sent
    closed: dict[int, list[HoldReason]] = field(default_factory=dict)  # by partition
    acknowledgements: dict[str, Acknowledged] = field(
        default_factory=dict
    )  # by incident, the newest word
    live_from: str | None = None  # the first entry that says so
    campaigns: dict[str, tuple[CampaignVersion, ...]] = field(
        default_factory=dict
    )  # by id, oldest first
    heads: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    _known: set[str] = field(default_factory=set)

    def controls(self, *, is_known: bool = True) -> Controls:
        """What people have ordered."""
        return Controls(tuple(self.pauses.values()), is_known, self.answers)

    def acknowledged(self, now_ms: int) -> dict[str, Acknowledged]:
        """Return who looks after which incident, by its id, as far as their word still stands.

        Args:
            now_ms: wall clock.
        """
        oldest_ms = now_ms - ACKNOWLEDGED_FOR_MS
        taken = self.acknowledgements  # replaced, never changed: another thread may be reading
        return {name: one for name, one in taken.items() if one_time(one.at) > oldest_ms}

    def take(self, value: bytes | None, place: str) -> AnyEntry | None:
        """Take the next record in; return its entry, none where it is none or is known already.

        Args:
            value: of the record.
            place: where it lies, for the fault that is noted when something is wrong with it.
        """
        try:
            entry: AnyEntry = _decoder.decode(value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self.faults.append(f"{place} is no entry: {error}")
            return None
        if entry.entry_id in self._known:
            return None  # a producer wrote it again after a lost reply
        self._check(entry, place)
        self._known.add(entry.entry_id)
        self.heads = {*self.heads.difference(entry.after), entry.entry_id}
        self._apply(entry)
        if isinstance(entry, OrderWaits | OrderAnswered | OrderLeft):
            self._remember(entry.po_id, entry)
        return entry

    def _check(self, entry: AnyEntry, place: str) -> None:
        if entry.entry_id != hash_of(entry):
            self.faults.append(f"{place} was altered: {entry.entry_id} is not its hash")
        for before in entry.after:
            if before not in self._known:
                self.faults.append(f"before {place} an entry is missing: {before}")

    def _apply(self, entry: AnyEntry) -> None:
        match entry:
            case Paused():
                self.pauses[entry.entry_id] = pause_of(entry)
            case Resumed():
                self.pauses.pop(entry.hold_id, None)
            case Closed():
                self.closed[entry.partition] = entry.reasons
            case Opened():
                self.closed.pop(entry.partition, None)
            case OrderWaits():
                if entry.po_id not in self.left:  # else it comes late, from one that was robbed
                    self.waiting[entry.po_id] = entry.reason
                    self.waiting_since.setdefault(entry.po_id, entry.at)
            case OrderLeft():
                self.waiting.pop(entry.po_id, None)
                self.waiting_since.pop(entry.po_id, None)
                self.answers = {k: v for k, v in self.answers.items() if k != entry.po_id}
                self.left.add(entry.po_id)
            case CampaignVersion():
                before = self.campaigns.get(entry.campaign_id, ())
                if entry.version == len(before) + 1:
                    self.campaigns = {**self.campaigns, entry.campaign_id: (*before, entry)}
            case WentLive():
                self.live_from = self.live_from or entry.live_from
            case OrderAnswered():
                self.unsent[entry.entry_id] = entry
                if entry.po_id not in self.left:
                    self.answers = {**self.answers, entry.po_id: answer_of(entry)}
            case ResponsesSent():
                for entry_id, occurred_at in entry.moments.items():
                    self._note_sent(entry_id, one_time(occurred_at))
            case Acknowledged():
                self.acknowledgements = {**self.acknowledgements, entry.incident_id: entry}

    def _remember(self, po_id: str, entry: AnyEntry) -> None:
        """Keep what was written of an order, for its page; the oldest orders are forgotten."""
        self.histories[po_id] = (*self.histories.pop(po_id, ()), entry)
        if len(self.histories) > _ORDERS_WITH_HISTORY:
            del self.histories[next(iter(self.histories))]

    def _note_sent(self, entry_id: str, moment_ms: int) -> None:
        """An answer is in force until the logs have taken effect up to its event."""
        sent = self.unsent.pop(entry_id, None)
        if sent is None or sent.po_id not in self.answers:
            return
        given = answer_of(sent)
        if self.answers[sent.po_id] == given:  # else there is a newer one
            known = msgspec.structs.replace(given, moment_ms=moment_ms)
            self.answers = {**self.answers, sent.po_id: known}


def answer_of(entry: OrderAnswered) -> Answer:
    """Return what a person said of an order, as the hand-over takes it.

    Its moment is far in the future: nobody knows yet whether its event was sent.
    """
    return Answer(
        po_id=entry.po_id,
        verdict=entry.verdict,
        quantity=entry.quantity,
        expected_ms=None if entry.expected_at is None else one_time(entry.expected_at),
        moment_ms=_UNKNOWN_MS,
    )


def response_of(entry: OrderAnswered) -> Response:
    """Return the event of `order-responses` that says what an entry says."""
    common: dict[str, Any] = {
        "event_id": entry.entry_id,
        "occurred_at": entry.occurred_at,
        "sku": entry.sku,
        "warehouse": entry.warehouse,
        "source": TIDEGATE,
        "po_id": entry.po_id,
        "reason": entry.why,
    }
    match entry.verdict:
        case Verdict.APPROVED:
            return Approved(**common, expected_at=entry.expected_at)
        case Verdict.REJECTED:
            return OrderRejected(**common)
        case Verdict.CHANGED:
            return OrderChanged(
                **common, new_quantity=entry.quantity, expected_at=entry.expected_at
            )


def pause_of(entry: Paused) -> Pause:
    """Return the pause that an entry began."""
    return Pause(
        hold_id=entry.entry_id,
        who=entry.who,
        why=entry.why,
        since=entry.at,
        supplier=entry.supplier,
        sku=entry.sku,
        warehouse=entry.warehouse,
    )
