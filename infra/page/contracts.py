"""What the API answers. Times are milliseconds of event time since 1970 where a name ends in `_ms`.

None stands for "not known"; 0 is a number that was counted.
"""

from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from infra.page.cursor import PATTERN
from streams.contracts.fields import (
    CURRENCY,
    PURCHASE_ORDER_ID,
    SKU,
    SKU_OF_INCIDENT,
    SUPPLIER,
    WAREHOUSE,
    WAREHOUSE_OF_INCIDENT,
    IncidentId,
    Subject,
    described,
)

_DECIDED_TO = described(
    "Event time up to which everything has taken effect, in ms since 1970; null means nothing yet."
)
_BACKLOG = described("Units that customers ordered and that have not been dispatched.")
_OLDEST_UNSHIPPED = described(
    "When the oldest order that waits was placed (event time), in ms "
    "since 1970; null means that none waits."
)
_ON_HAND = described("Units on the shelf; null means that they were never counted.")
_NEXT_ARRIVAL = described(
    "When the next open purchase order is due (event time), in ms since 1970; null means none."
)
_TOTAL = described("How many rows there are, on all pages.")
_OFFSET = described("How many rows stand before the first one here.")
_KIND = described("Kind of the incident: a value of AlertKind in asyncapi.yaml.")
_SEVERITY = described("How soon somebody has to act.")
_TEAM = described("The team that has to act.")
_ACTION = described("The one thing to do about it, in one sentence.")
_WHO = described("Name of the person who looks after the incident. 1 to 80 characters.")
_NOTE = described("What the person said about it. At most 200 characters; empty means nothing.")
_REASONS = described("Why not, each in one sentence; left out for whoever may not look.")


class Clock(StrEnum):
    """Which clock the shop's time follows."""

    LIVE = "live"  # the logs are near to now
    REPLAY = "replay"  # old events are played: their own time is shown
    EMPTY = "empty"  # nothing was ever read


class OrderFeed(StrEnum):
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

    partition: Annotated[int, described("Number of the Kafka partition, from 0.")]
    newest_ms: Annotated[
        int | None,
        described(
            "Time of its newest event or heartbeat, in ms since 1970; null means that it is empty."
        ),
    ]
    decided_to_ms: Annotated[int | None, _DECIDED_TO]
    waiting_records: Annotated[
        int, described("Records that are decided and not yet known to be in Kafka.")
    ]
    history_from: Annotated[
        dict[str, int],
        described(
            "First offset that is in the state, by topic, where it is not the first of the log."
        ),
    ]


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """One speed, a minute: now, as planned, and a week before."""

    now: Annotated[
        float | None,
        described("Mean of the last five whole minutes, per minute; null means not known."),
    ]
    this_minute: Annotated[
        int | None, described("Counted so far in the minute that is open; null means not known.")
    ]
    plan: Annotated[
        float | None,
        described("What the plan expects now, per minute; null means that there is none."),
    ]
    week_ago: Annotated[
        float | None, described("What was counted a week before, per minute; null means not known.")
    ]


class Now(msgspec.Struct, frozen=True, kw_only=True):
    """The shop at a glance."""

    clock: Annotated[
        Clock,
        described(
            "Which clock the shop's time follows: live (the logs are near to now), replay (old "
            "events are played) or empty (nothing was ever read)."
        ),
    ]
    shop_ms: Annotated[
        int | None,
        described(
            "The shop's time: the newest event time that any partition has seen, in ms since "
            "1970; null means none."
        ),
    ]
    read_ms: Annotated[
        int, described("When Redis was read for this answer (wall clock), in ms since 1970.")
    ]
    changed_ms: Annotated[
        int | None,
        described(
            "When this worker last saw a change in Redis (wall clock), in ms since 1970; null "
            "means never."
        ),
    ]
    decided_to_ms: Annotated[int | None, _DECIDED_TO]
    watermark_delay_seconds: Annotated[
        float | None,
        described(
            "Seconds from the event time of the slowest partition to the shop's time; null "
            "means not known."
        ),
    ]
    lag_seconds: Annotated[
        float | None,
        described("Seconds from the newest record of the slowest log until now; null in a replay."),
    ]
    feed: Annotated[
        OrderFeed,
        described(
            "What silence means: selling, no_sales (read up to now, and nobody bought), silent "
            "(orders were due), no_data (what was sold since is not known) or never (no order "
            "was ever read)."
        ),
    ]
    last_sale_ms: Annotated[
        int | None,
        described(
            "Start of the newest minute with a sale (event time), in ms since 1970; null means "
            "none within a week."
        ),
    ]
    lines: Annotated[Rate, described("Speed in order lines: an order of three items has three.")]
    units: Annotated[Rate, described("Speed in units.")]
    items: Annotated[int, described("How many items are known.")]
    items_out: Annotated[int, described("How many items sell and have nothing left to sell.")]
    items_out_within_day: Annotated[
        int, described("How many items more will have nothing left within a day.")
    ]
    next_out: Annotated[
        "NextOut | None",
        described("The item that runs out first of those that have not yet; null means none."),
    ]
    backlog_units: Annotated[int, _BACKLOG]
    oldest_unshipped_ms: Annotated[int | None, _OLDEST_UNSHIPPED]
    incidents: Annotated[int, described("How many incidents are open.")]
    unacknowledged: Annotated[int, described("How many of them nobody looks after.")]
    dead_letters: Annotated[
        int, described("How many records were dead-lettered since the beginning.")
    ]
    late_records: Annotated[
        int, described("How many records came too late to be counted, since the beginning.")
    ]
    partitions: Annotated[list[Partition], described("Where each partition stands, by number.")]
    versions: Annotated[
        dict[str, str], described("By part of the page, a text that changes when the part does.")
    ]


class NextOut(msgspec.Struct, frozen=True, kw_only=True):
    """The item that runs out next, at its current rate or at the speed of this hour."""

    sku: Annotated[str, SKU]
    warehouse: Annotated[str, WAREHOUSE]
    minutes: Annotated[float, described("Minutes until its stock is sold, of event time.")]


class Sales(msgspec.Struct, frozen=True, kw_only=True):
    """Speeds over time. Every list has one value a step, oldest first."""

    span: Annotated[Span, described("How far back it reaches: an hour, a day or a week.")]
    step_minutes: Annotated[
        int,
        described(
            "Minutes in a step; with span hour each value is the mean of the five minutes that end "
            "with the step."
        ),
    ]
    from_ms: Annotated[list[int], described("Start of each step (event time), in ms since 1970.")]
    lines: Annotated[list[float], described("Order lines placed, per minute.")]
    units: Annotated[list[float], described("Units ordered, per minute.")]
    plan_units: Annotated[
        list[float | None],
        described("Units that the plan expects, per minute; null where there is none."),
    ]
    week_ago_units: Annotated[
        list[float | None],
        described("Units ordered a week before, per minute; null where it is not known."),
    ]
    dispatched_units: Annotated[list[float], described("Units dispatched, per minute.")]


class Basis(StrEnum):
    """What a speed rests on."""

    LAST_HOUR = "last_hour"  # clearly above the baseline
    BASELINE = "baseline"  # the estimate for this hour, with the campaigns that run
    UNKNOWN = "unknown"


class Promise(StrEnum):
    """What can be said to a customer who buys now."""

    FROM_STOCK = "from_stock"
    NEXT_ARRIVAL = "next_arrival"
    NO_DATE = "no_date"
    UNKNOWN = "unknown"  # the stock was never counted


class ItemIncident(msgspec.Struct, frozen=True, kw_only=True):
    """The kind of an item's open incident, as a tag."""

    kind: Annotated[str, described("Its kind, by its code.")]
    label: Annotated[str, described("Its kind in two or three words.")]
    severity: Annotated[str, described("How soon somebody has to act: high, medium or low.")]


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One item in the list."""

    sku: Annotated[str, SKU]
    warehouse: Annotated[str, WAREHOUSE]
    minutes_to_zero: Annotated[
        int | None,
        described(
            "Minutes until the stock is sold at the item's current rate; null means never, or "
            "that the stock is not known."
        ),
    ]
    minutes_at_speed: Annotated[
        int | None,
        described(
            "Minutes until the stock is sold at the speed given here; null where the last hour "
            "and campaigns do not make that speed."
        ),
    ]
    speed_units_per_hour: Annotated[
        float | None, described("Speed of sales in units per hour; null means not known.")
    ]
    speed_basis: Annotated[
        Basis,
        described(
            "What the speed rests on: last_hour (clearly above the baseline), the estimate for"
            " this hour with the campaigns that run, or unknown."
        ),
    ]
    sold_last_hour_units: Annotated[float, described("Units ordered in the last hour.")]
    available_units: Annotated[
        int | None,
        described(
            "Units on the shelf less the backlog, at least 0; null means that they were never "
            "counted."
        ),
    ]
    backlog_units: Annotated[int, _BACKLOG]
    on_order_units: Annotated[int, described("Units outstanding on open purchase orders.")]
    next_arrival_ms: Annotated[int | None, _NEXT_ARRIVAL]
    promise: Annotated[
        Promise,
        described(
            "What can be said to a customer who buys now: from_stock, next_arrival, no_date or "
            "unknown (never counted)."
        ),
    ]
    promise_ms: Annotated[
        int | None,
        described(
            "When the promised units are due (event time), in ms since 1970; null means no date."
        ),
    ]
    incidents: Annotated[list[ItemIncident], described("Its open incidents, by kind.")]


class Items(msgspec.Struct, frozen=True, kw_only=True):
    """A page of items."""

    total: Annotated[int, _TOTAL]
    offset: Annotated[int, _OFFSET]
    items: Annotated[list[Item], described("The items of this page, in the order asked for.")]


class Shipping(msgspec.Struct, frozen=True, kw_only=True):
    """Are orders leaving in time."""

    has_dispatches: Annotated[
        bool, described("Whether the shop sends events of dispatches at all.")
    ]
    backlog_units: Annotated[int, _BACKLOG]
    backlog_items: Annotated[int, described("How many items customers wait for.")]
    oldest_unshipped_ms: Annotated[int | None, _OLDEST_UNSHIPPED]
    oldest_unshipped_sku: Annotated[
        str | None, described("Sku of that oldest order; null means that none waits.")
    ]
    ordered_units_per_hour: Annotated[
        float | None,
        described("Units ordered in the last hour, less those cancelled; null means not known."),
    ]
    dispatched_units_per_hour: Annotated[
        float | None, described("Units dispatched in the last hour; null means not known.")
    ]
    clear_minutes: Annotated[
        float | None,
        described(
            "Minutes until the backlog is gone at these speeds; null means that it does not shrink."
        ),
    ]
    total: Annotated[int, _TOTAL]
    offset: Annotated[int, _OFFSET]
    items: Annotated[
        list["Waiting"],
        described("The items that customers wait for on this page, the longest wait first."),
    ]


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """An item that customers wait for."""

    sku: Annotated[str, SKU]
    warehouse: Annotated[str, WAREHOUSE]
    backlog_units: Annotated[int, _BACKLOG]
    oldest_ms: Annotated[int | None, _OLDEST_UNSHIPPED]
    on_hand_units: Annotated[int | None, _ON_HAND]
    next_arrival_ms: Annotated[int | None, _NEXT_ARRIVAL]


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision could have been."""

    split: Annotated[
        Literal["nothing", "lean_only", "flexible_only", "both"],
        described("Which suppliers it orders from."),
    ]
    is_chosen: Annotated[bool, described("Whether the review decided for it.")]
    more_than_chosen: Annotated[
        float | None,
        described(
            "Expected cost above that of the chosen split, in the decision's currency; null "
            "means ruled out by a limit, or not computed."
        ),
    ]


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What a review decided."""

    decided_ms: Annotated[int, described("When it was decided (event time), in ms since 1970.")]
    sku: Annotated[str, SKU]
    warehouse: Annotated[str, WAREHOUSE]
    occasion: Annotated[str, described("Why the item was reviewed: regular or surge.")]
    lean_units: Annotated[int, described("Units ordered from the lean supplier; 0 means no order.")]
    flexible_units: Annotated[
        int, described("Units ordered from the flexible supplier; 0 means no order.")
    ]
    reason: Annotated[str, described("Code of the rule that chose the quantities.")]
    reason_text: Annotated[str, described("The reason in one sentence.")]
    currency: Annotated[str | None, CURRENCY]
    splits: Annotated[
        list[Split], described("Each way to split the order, with its expected cost.")
    ]
    po_ids: Annotated[list[str], described("Ids of the purchase orders that it made.")]


class Decisions(msgspec.Struct, frozen=True, kw_only=True):
    """A page of decisions, the newest first."""

    decisions: Annotated[list[Decision], described("The decisions of this page, the newest first.")]
    next: Annotated[
        str | None,
        described(
            "Given as `before` it brings the page after this one; null means that this was the "
            "last."
        ),
    ]


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True):
    """Who looks after an incident."""

    who: Annotated[str, _WHO]
    acknowledged_ms: Annotated[
        int, described("When it was acknowledged (wall clock), in ms since 1970.")
    ]
    holds_until_ms: Annotated[
        int,
        described("From when on nobody looks after it any more (wall clock), in ms since 1970."),
    ]
    note: Annotated[str, _NOTE] = ""


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """An open incident."""

    incident_id: IncidentId
    kind: Annotated[str, _KIND]
    severity: Annotated[Literal["high", "medium", "low"], _SEVERITY]
    team: Annotated[str, _TEAM]
    subject: Subject
    sku: Annotated[str | None, SKU_OF_INCIDENT]
    warehouse: Annotated[str | None, WAREHOUSE_OF_INCIDENT]
    started_ms: Annotated[int, described("When it began (event time), in ms since 1970.")]
    summary: Annotated[str, described("What has happened, in one sentence.")]
    action: Annotated[str, _ACTION]
    figures: Annotated[
        dict[str, float | int | str | None],
        described("What it rests on, by name with its unit at the end; null means not known."),
    ]
    acknowledged: Annotated[
        Acknowledgement | None, described("Who looks after it; null means nobody.")
    ]
    runbook: Annotated[
        str | None,
        described(
            "Path of its runbook on this port; null means that it calls nobody, and has none."
        ),
    ] = None


class Incidents(msgspec.Struct, frozen=True, kw_only=True):
    """A page of open incidents: unacknowledged first, then by severity and age."""

    open: Annotated[int, described("How many incidents are open.")]
    total: Annotated[
        int, described("How many of them are listed and counted in groups: about the first 5,000.")
    ]
    offset: Annotated[int, _OFFSET]
    groups: Annotated[
        list["IncidentGroup"], described("The groups of all that are listed, the gravest first.")
    ]
    incidents: Annotated[list[Incident], described("The incidents of this page.")]


class IncidentGroup(msgspec.Struct, frozen=True, kw_only=True):
    """The open incidents of one kind."""

    kind: Annotated[str, _KIND]
    severity: Annotated[Literal["high", "medium", "low"], _SEVERITY]
    team: Annotated[str, _TEAM]
    action: Annotated[str, described("The action that most of them recommend.")]
    action_total: Annotated[int, described("How many of them recommend it.")]
    total: Annotated[int, described("How many incidents of this kind are open.")]
    unacknowledged: Annotated[int, described("How many of them nobody looks after.")]
    oldest_ms: Annotated[
        int, described("When the oldest of them began (event time), in ms since 1970.")
    ]
    newest_ms: Annotated[
        int, described("When the newest of them began (event time), in ms since 1970.")
    ]
    newest: Annotated[list[Incident], described("A few of them, the newest first.")]


class DeadLetterRow(msgspec.Struct, frozen=True, kw_only=True):
    """One of the newest records that were bad, or came too late to be counted."""

    topic: Annotated[str, described("Topic of the bad record, without prefix.")]
    partition: Annotated[int, described("Number of its partition, from 0.")]
    offset: Annotated[int, described("Its offset in the partition.")]
    written_ms: Annotated[
        int | None,
        described("When it was written to the log, in ms since 1970; null means not known."),
    ]
    code: Annotated[
        str, described("Code of what is wrong with it; late means that it came after the grace.")
    ]
    message: Annotated[str, described("What is wrong with it, in words.")]
    advice: Annotated[str, described("What to do about records of that code.")]
    key: Annotated[str | None, described("Its Kafka key as text; null means none.")]
    value: Annotated[str | None, described("Its value as text; null means none.")]


class DeadLetters(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the newest records that were bad or came too late, and counts of all."""

    by_topic: Annotated[
        dict[str, int],
        described("How many records were dead-lettered since the beginning, by topic."),
    ]
    late_by_topic: Annotated[
        dict[str, int],
        described("How many records came too late to be counted, since the beginning, by topic."),
    ]
    total: Annotated[
        int, described("How many of the newest are kept ready; `tidegate dlt list` has all.")
    ]
    offset: Annotated[int, _OFFSET]
    dead_letters: Annotated[
        list[DeadLetterRow], described("The records of this page, the newest first.")
    ]


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """What one item sold on one day."""

    day: Annotated[str, described("The day in UTC, as YYYY-MM-DD.")]
    units: Annotated[int, described("Units ordered.")]
    lines: Annotated[int, described("Order lines placed.")]
    cancelled_units: Annotated[int, described("Units cancelled.")]
    returned_units: Annotated[int, described("Units returned.")]


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """Demand as it is expected, units a day."""

    level: Annotated[float, described("Expected demand in units per day.")]
    low: Annotated[
        float, described("Lower end of the range that nine days of ten lie in, in units per day.")
    ]
    high: Annotated[float, described("Upper end of that range, in units per day.")]
    trend_per_day: Annotated[
        float, described("Change of the level from day to day, in units per day.")
    ]
    observed_days: Annotated[int, described("Days that the estimate rests on.")]


class Projected(msgspec.Struct, frozen=True, kw_only=True):
    """The stock at one moment of the future; at an arrival there are two, before and after."""

    at_ms: Annotated[int, described("The moment (event time), in ms since 1970.")]
    units: Annotated[float, described("Expected stock in units; below 0 where customers wait.")]
    low: Annotated[
        float, described("Lower end of the range that holds the stock nine times of ten, in units.")
    ]
    high: Annotated[float, described("Upper end of that range, in units.")]


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """An open purchase order."""

    po_id: Annotated[str, PURCHASE_ORDER_ID]
    supplier: Annotated[str, SUPPLIER]
    role: Annotated[str, described("Which of the item's two suppliers it is: lean or flexible.")]
    quantity: Annotated[int, described("Units ordered.")]
    outstanding: Annotated[int, described("Units that have not arrived.")]
    due_ms: Annotated[int, described("When they are due (event time), in ms since 1970.")]
    state: Annotated[
        str, described("Kind of the last answer to the order; proposed before the first.")
    ]
    is_late: Annotated[bool, described("Whether it is past its due date.")]


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One input of a decision, in words."""

    name: Annotated[str, described("What it is.")]
    value: Annotated[str, described("Its value in words, with its unit.")]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why the newest decision is as it is, and the same computed again from its record."""

    decision: Annotated[Decision, described("The newest decision about the item.")]
    facts: Annotated[list[Fact], described("The inputs that it rested on.")]
    is_same: Annotated[
        bool | None,
        described(
            "Whether the computation gives the same again; null means that nothing was "
            "computed, because the decision was held."
        ),
    ]
    again: Annotated[str, described("What computing it again gives, in one sentence.")]


class ItemPage(msgspec.Struct, frozen=True, kw_only=True):
    """All that is shown of one item."""

    item: Annotated[Item, described("The item as in the list.")]
    as_of_ms: Annotated[
        int | None,
        described(
            "Event time that all of this is as of, in ms since 1970; null means nothing yet."
        ),
    ]
    counted_ms: Annotated[
        int | None,
        described(
            "When the stock was last counted (event time), in ms since 1970; null means never."
        ),
    ]
    on_hand_units: Annotated[int | None, _ON_HAND]
    next_review_ms: Annotated[
        int | None,
        described("When its next review is due (event time), in ms since 1970; null means none."),
    ]
    is_in_catalog: Annotated[
        bool, described("Whether its catalog line has come; nothing is ordered before.")
    ]
    days: Annotated[list[Day], described("Its days with sales, the oldest first.")]
    estimate: Annotated[
        Estimate | None,
        described("Expected demand; null means that no day has closed since the first sale."),
    ]
    projection: Annotated[
        list[Projected],
        described("Projected stock over time; empty means that stock or demand is not known."),
    ]
    orders: Annotated[list[Arrival], described("Its open purchase orders.")]
    explanation: Annotated[
        Explanation | None,
        described("Why the newest decision is as it is; null means that there is none."),
    ]
    incidents: Annotated[list[Incident], described("Its open incidents.")]
    others: Annotated[list[str], described("Other warehouses of the sku.")]


# --- questions --------------------------------------------------------------------------------

Limit = Annotated[int, Meta(ge=1, le=200), described("Rows of a page at most. From 1 to 200.")]
Offset = Annotated[
    int, Meta(ge=0, le=10_000_000), described("Rows to leave out first. From 0 to 10,000,000.")
]
Text = Annotated[str, Meta(max_length=512)]


class NoQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing can be asked."""


class SalesQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far back."""

    span: Annotated[Span, described("How far back: an hour, a day or a week.")] = Span.HOUR


class PageQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part of a list."""

    limit: Limit = 50
    offset: Offset = 0


class ItemsQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which items, in what order."""

    sort: Annotated[
        Literal["minutes_to_zero", "speed", "stock", "backlog", "sku"],
        described("What the items are sorted by."),
    ] = "minutes_to_zero"
    query: Annotated[
        Text,
        described(
            "Words, each a part of the sku, the warehouse or the category. At most 512 "
            "characters; empty means every item."
        ),
    ] = ""
    only: Annotated[
        Literal["all", "incidents", "out", "soon"],
        described(
            "Which items: all, those with incidents, those that are out, or those that sell and"
            " will soon be out."
        ),
    ] = "all"


class DecisionsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which decisions."""

    limit: Limit = 50
    only: Annotated[
        Literal["all", "ordered"], described("All decisions, or those that ordered something.")
    ] = "all"
    before: Annotated[
        str,
        Meta(pattern=PATTERN),
        described("The `next` of the page before; empty means the newest."),
    ] = ""


class ItemQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which item."""

    sku: Annotated[
        str, Meta(min_length=1, max_length=512), described("Sku of the item. 1 to 512 characters.")
    ]
    warehouse: Annotated[
        Text, described("Its warehouse. At most 512 characters; empty means the first one.")
    ] = ""


class Acknowledge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody takes an incident on."""

    incident_id: Annotated[IncidentId, Meta(pattern="^in-[0-9a-f]{20}$")]
    who: Annotated[str, Meta(min_length=1, max_length=80), _WHO]
    note: Annotated[str, Meta(max_length=200), _NOTE] = ""


class FieldError(msgspec.Struct, frozen=True, kw_only=True):
    """A field, the rule that it breaks, and its value."""

    field: Annotated[str, described("The field that breaks a rule.")]
    rule: Annotated[str, described("The rule that it breaks.")]
    value: Annotated[
        str | int | float | bool | None,
        described("Its value; null means none, or that it is not shown."),
    ] = None


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is no answer."""

    error: Annotated[FieldError, described("What is wrong.")]
    data_read_ms: Annotated[
        int | None,
        described(
            "When the newest data was read while Redis is away (wall clock), in ms since 1970; "
            "null otherwise."
        ),
    ] = None


class Liveness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a worker reads on. Only who may look is given the reasons."""

    status: Annotated[
        Literal["ok", "stuck"], described("Whether the worker reads on: ok or stuck.")
    ]
    reasons: Annotated[list[str] | UnsetType, _REASONS] = UNSET


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a worker owns partitions and reaches Redis. Only who may look is given more."""

    status: Annotated[
        Literal["ok", "not ready"],
        described("Whether the worker can do its work: ok or not ready."),
    ]
    reasons: Annotated[list[str] | UnsetType, _REASONS] = UNSET
    partitions: Annotated[
        list[int] | UnsetType,
        described("Numbers of the partitions that it owns; left out where it is not ready."),
    ] = UNSET
    handover: Annotated[
        list[str] | UnsetType,
        described(
            "Why its purchase orders wait, each in one sentence; empty means that they do not."
        ),
    ] = UNSET
