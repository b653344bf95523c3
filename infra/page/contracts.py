"""What the API answers. Times are milliseconds of event time since 1970 where a name ends in `_ms`.

None stands for "not known"; 0 is a number that was counted.
"""

from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from infra.page.cursor import PATTERN


class Clock(StrEnum):
    """Which clock the shop's time follows."""

    LIVE = "live"  # the logs are near to now
    REPLAY = "replay"  # old events are played: their own time is shown
    EMPTY = "empty"  # nothing was ever read


class Feed(StrEnum):
    """What silence means."""

    SELLING = "selling"
    NO_SALES = "no_sales"  # the logs are read up to now, and nobody bought
    SILENT = "silent"  # likewise, although orders were due: an incident is open
    NO_DATA = "no_data"  # the logs do not reach up to now: what was sold since is not known
    NEVER = "never"  # no order was ever read


class Span(StrEnum):
    """How far back a picture reaches."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"


class Partition(msgspec.Struct, frozen=True, kw_only=True):
    """Where one partition stands."""

    partition: int
    newest_ms: int | None  # newest event or heartbeat
    decided_to_ms: int | None  # everything before has taken effect
    waiting_records: int  # decided, not yet known to be in Kafka
    history_from: dict[str, int]  # topic -> first offset that is in the state, where not the first


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """One speed, a minute: now, as planned, and a week before."""

    now: float | None  # mean of the last five whole minutes
    this_minute: int | None  # counted so far in the minute that is open
    plan: float | None
    week_ago: float | None


class Now(msgspec.Struct, frozen=True, kw_only=True):
    """The shop at a glance."""

    clock: Clock
    shop_ms: int | None  # event time: the newest that any partition has seen
    read_ms: int  # wall clock: when Redis was read for this
    changed_ms: int | None  # wall clock: when this worker last saw a change in Redis
    decided_to_ms: int | None
    watermark_delay_seconds: float | None  # shop time minus the slowest partition's
    lag_seconds: float | None  # now minus the slowest log's newest record; none in a replay
    feed: Feed
    last_sale_ms: int | None  # start of the newest minute with a sale, within a week
    lines: Rate  # order lines: an order of three items has three
    units: Rate
    items: int
    items_out: int  # selling, and nothing left to sell
    items_out_within_day: int
    next_out: "NextOut | None"  # the first that is not out yet
    backlog_units: int
    oldest_unshipped_ms: int | None
    incidents: int
    unacknowledged: int
    dead_letters: int
    partitions: list[Partition]
    versions: dict[str, str]  # part of the page -> changes when it does


class NextOut(msgspec.Struct, frozen=True, kw_only=True):
    """The item that runs out next, at its current rate or at the speed of this hour."""

    sku: str
    warehouse: str
    minutes: float


class Sales(msgspec.Struct, frozen=True, kw_only=True):
    """Speeds over time. Every list has one value a step, oldest first."""

    span: Span
    step_minutes: int
    from_ms: list[int]  # start of each step
    lines: list[float]  # a minute
    units: list[float]
    plan_units: list[float | None]
    week_ago_units: list[float | None]
    dispatched_units: list[float]


class Basis(StrEnum):
    """What a speed rests on."""

    LAST_HOUR = "last_hour"  # clearly above what is usual
    EVERYDAY = "everyday"  # the estimate for this hour, with the campaigns that run
    UNKNOWN = "unknown"


class Promise(StrEnum):
    """What can be said to a customer who buys now."""

    FROM_STOCK = "from_stock"
    NEXT_ARRIVAL = "next_arrival"
    NO_DATE = "no_date"
    UNKNOWN = "unknown"  # the stock was never counted


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One item in the list."""

    sku: str
    warehouse: str
    minutes_to_zero: int | None  # at its current rate; None: never, or the stock is not known
    minutes_at_speed: int | None  # at this speed; None: the last hour and campaigns do not make it
    speed_units_per_hour: float | None
    speed_basis: Basis
    sold_last_hour_units: float
    available_units: int | None  # on hand minus backlog, at least 0; None: never counted
    backlog_units: int
    on_order_units: int
    next_arrival_ms: int | None
    promise: Promise
    promise_ms: int | None
    incidents: list[str]  # open ones, by kind: those of `streams.incidents.kinds.ITEM_FIELDS`


class Items(msgspec.Struct, frozen=True, kw_only=True):
    """A page of items."""

    total: int
    offset: int
    items: list[Item]


class Shipping(msgspec.Struct, frozen=True, kw_only=True):
    """Are orders leaving in time."""

    is_told: bool  # whether the shop tells of dispatches at all
    backlog_units: int
    backlog_items: int
    oldest_unshipped_ms: int | None
    oldest_unshipped_sku: str | None
    ordered_units_per_hour: float | None
    dispatched_units_per_hour: float | None
    clear_minutes: float | None  # until the backlog is gone; none: it does not shrink
    total: int
    offset: int
    items: list["Waiting"]


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """An item that customers wait for."""

    sku: str
    warehouse: str
    backlog_units: int
    oldest_ms: int | None
    on_hand_units: int | None
    next_arrival_ms: int | None


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision could have been."""

    split: Literal["nothing", "lean_only", "flexible_only", "both"]
    is_chosen: bool
    more_than_chosen: float | None  # expected cost; none: it was not allowed, or not computed


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What a review decided."""

    decided_ms: int
    sku: str
    warehouse: str
    occasion: str
    lean_units: int
    flexible_units: int
    reason: str
    reason_text: str
    currency: str | None
    splits: list[Split]
    po_ids: list[str]


class Decisions(msgspec.Struct, frozen=True, kw_only=True):
    """A page of decisions, the newest first."""

    decisions: list[Decision]
    next: str | None  # asked for as `before` it brings the page after this one; none: that was all


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True):
    """Who looks after an incident."""

    who: str
    acknowledged_ms: int  # wall clock
    holds_until_ms: int  # wall clock: from then on the incident counts as nobody's
    note: str = ""


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """An open incident."""

    incident_id: str
    kind: str
    severity: Literal["high", "medium", "low"]
    team: str
    subject: str
    sku: str | None
    warehouse: str | None
    started_ms: int
    summary: str
    action: str
    figures: dict[str, float | int | str | None]
    acknowledged: Acknowledgement | None


class Incidents(msgspec.Struct, frozen=True, kw_only=True):
    """A page of open incidents: unacknowledged first, then by severity and age."""

    open: int  # all of them
    total: int  # of those that are listed and counted in groups: about the first 5,000
    offset: int
    groups: list["IncidentGroup"]  # of all, the gravest first
    incidents: list[Incident]


class IncidentGroup(msgspec.Struct, frozen=True, kw_only=True):
    """The open incidents of one kind."""

    kind: str
    severity: Literal["high", "medium", "low"]
    team: str
    action: str
    total: int
    unacknowledged: int
    oldest_ms: int
    newest_ms: int
    newest: list[Incident]  # a few, the newest first


class DeadLetterRow(msgspec.Struct, frozen=True, kw_only=True):
    """One of the newest dead letters."""

    topic: str
    partition: int
    offset: int
    written_ms: int | None
    code: str
    message: str
    key: str | None
    value: str | None


class DeadLetters(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the newest dead letters, and counts of all."""

    by_topic: dict[str, int]  # since the beginning
    total: int  # of the newest that are kept ready; `tidegate dlt list` has all
    offset: int
    dead_letters: list[DeadLetterRow]


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """What one item sold on one day."""

    day: str
    units: int
    lines: int
    cancelled_units: int
    returned_units: int


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """Demand as it is expected, units a day."""

    level: float
    low: float  # nine days of ten lie between
    high: float
    trend_per_day: float
    observed_days: int


class Projected(msgspec.Struct, frozen=True, kw_only=True):
    """The stock at one moment of the future; at an arrival there are two, before and after."""

    at_ms: int
    units: float
    low: float
    high: float


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """An open purchase order."""

    po_id: str
    supplier: str
    role: str
    quantity: int
    outstanding: int
    due_ms: int
    state: str
    is_late: bool


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One input of a decision, in words."""

    name: str
    value: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why the newest decision is as it is, and the same computed again from its record."""

    decision: Decision
    facts: list[Fact]
    is_same: bool | None  # none: nothing was computed, because the decision was held
    again: str


class ItemPage(msgspec.Struct, frozen=True, kw_only=True):
    """All that is shown of one item."""

    item: Item
    as_of_ms: int | None
    counted_ms: int | None
    on_hand_units: int | None
    next_review_ms: int | None
    is_in_catalog: bool
    days: list[Day]  # oldest first; days without a sale are not there
    estimate: Estimate | None  # none: no day has closed since the first sale
    projection: list[Projected]  # empty: stock or demand is not known
    orders: list[Arrival]
    explanation: Explanation | None
    incidents: list[Incident]
    others: list[str]  # other warehouses of the sku


# --- questions --------------------------------------------------------------------------------

Limit = Annotated[int, Meta(ge=1, le=200)]
Offset = Annotated[int, Meta(ge=0, le=10_000_000)]
Text = Annotated[str, Meta(max_length=512)]


class NoQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing can be asked."""


class SalesQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far back."""

    span: Span = Span.HOUR


class PageQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part of a list."""

    limit: Limit = 50
    offset: Offset = 0


class ItemsQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which items, in what order."""

    sort: Literal["minutes_to_zero", "speed", "stock", "backlog", "sku"] = "minutes_to_zero"
    query: Text = ""  # a part of the sku
    only: Literal["all", "incidents", "out", "soon"] = "all"  # soon: selling, and not out yet


class DecisionsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which decisions."""

    limit: Limit = 50
    only: Literal["all", "ordered"] = "all"
    before: Annotated[str, Meta(pattern=PATTERN)] = ""  # the `next` of the page before


class ItemQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which item."""

    sku: Annotated[str, Meta(min_length=1, max_length=512)]
    warehouse: Text = ""  # empty: the first one


class Acknowledge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody takes an incident on."""

    incident_id: Annotated[str, Meta(pattern="^in-[0-9a-f]{20}$")]
    who: Annotated[str, Meta(min_length=1, max_length=80)]
    note: Annotated[str, Meta(max_length=200)] = ""


class Wrong(msgspec.Struct, frozen=True, kw_only=True):
    """A field, the rule that it breaks, and its value."""

    field: str
    rule: str
    value: str | int | float | bool | None = None


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is no answer."""

    error: Wrong
    data_read_ms: int | None = None  # wall clock: how old the newest data is, when Redis is away


class Liveness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a worker reads on. Only who may look is told the reasons."""

    status: Literal["ok", "stuck"]
    reasons: list[str] | UnsetType = UNSET


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a worker owns partitions and reaches Redis. Only who may look is told more."""

    status: Literal["ok", "not ready"]
    reasons: list[str] | UnsetType = UNSET  # why it is not ready
    partitions: list[int] | UnsetType = UNSET  # its own, when it is ready
    handover: list[str] | UnsetType = UNSET  # why its purchase orders wait
