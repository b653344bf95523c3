"""The registry of incident kinds: one row says of a kind what the other parts derive from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from streams.contracts.alerts import AlertKind
from streams.incidents import actions
from streams.incidents.actions import Case

Severity = Literal["high", "medium", "low"]
Team = Literal["marketing", "warehouse", "logistics", "platform"]


class SubjectClass(StrEnum):
    """What an incident is about."""

    ITEM = "item"  # sku@warehouse
    ORDER = "order"  # a purchase order
    GROUP = "group"  # of items: the shop, a category, a campaign
    INPUT = "input"  # a topic of one partition


_ITEM = frozenset({SubjectClass.ITEM})
_ORDER = frozenset({SubjectClass.ORDER})
_GROUP = frozenset({SubjectClass.GROUP})
_INPUT = frozenset({SubjectClass.INPUT})


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentKind:
    """One kind of incident.

    Attributes:
        kind: its code.
        label: two or three words, for a tag beside an item.
        subjects: what an incident of this kind can be about.
        summary: what has happened, a sentence with `{subject}` in it.
        actions: every action that an incident of this kind may recommend.
        choose: returns the action of a case. None means the kind has one action.
        severity: how soon somebody has to act.
        team: who has to act, as the alert rule routes it.
        rule: the rule in grafana/rules/tidegate.yaml that calls the team; its runbook has the same
            name. None means the kind calls nobody, it is only shown.
        item_field: field of `streams.state.items.ROW` with the time since when an incident of the
            item is open, above 0 while it is. None means it is never about an item.
    """

    kind: AlertKind
    label: str
    subjects: frozenset[SubjectClass]
    summary: str
    actions: tuple[str, ...]
    choose: Callable[[Case], str] | None = None
    severity: Severity
    team: Team
    rule: str | None
    item_field: str | None = None

    def __post_init__(self) -> None:
        """Refuse a row that contradicts itself.

        Raises:
            ValueError: a kind of items has no field in their rows, or the other way round; or a
                kind with several actions does not say how to choose.
        """
        if (SubjectClass.ITEM in self.subjects) != (self.item_field is not None):
            raise ValueError(f"item_field must be given exactly for a kind of items: {self.kind}")
        if (len(self.actions) > 1) != (self.choose is not None):
            raise ValueError(f"choose must be given exactly for several actions: {self.kind}")

    def action(self, case: Case) -> str:
        """Return the one action that an incident recommends."""
        return self.actions[0] if self.choose is None else self.choose(case)


_ROWS = (
    IncidentKind(
        kind=AlertKind.SURGE,
        label="surge",
        subjects=_ITEM,
        summary="{subject} sells much faster than its baseline",
        actions=(
            actions.COUNT_FIRST,
            actions.NAME_SUPPLIERS,
            actions.RATION,
            actions.ORDER_FLEXIBLE,
            actions.EXPEDITE,
            actions.RAISE_LEAN,
        ),
        choose=actions.surge_action,
        severity="medium",
        team="marketing",
        rule="TidegateItemSurge",
        item_field="surge_since_ms",
    ),
    IncidentKind(
        kind=AlertKind.BROAD_SURGE,
        label="group surge",
        subjects=_GROUP,
        summary="many items of {subject} sell much faster than their baseline at once",
        actions=(
            actions.FIND_CAUSE,
            actions.RAISE_PLAN,
        ),
        choose=actions.group_surge_action,
        severity="high",
        team="marketing",
        rule="TidegateBroadSurge",
    ),
    IncidentKind(
        kind=AlertKind.BULK_ORDER,
        label="bulk order",
        subjects=_ITEM,
        summary="one order takes many days' demand of {subject}",
        actions=(
            actions.CONFIRM,
            actions.PART_DELIVERY,
        ),
        choose=actions.bulk_order_action,
        severity="low",
        team="marketing",
        rule=None,
        item_field="bulk_since_ms",
    ),
    IncidentKind(
        kind=AlertKind.PLAN_SHORTFALL,
        label="below plan",
        subjects=_ITEM | _GROUP,
        summary="{subject} sells well below its plan",
        actions=(
            actions.CHECK_OFFER,
            actions.SHRINK_ORDERS,
            actions.PUSH,
        ),
        choose=actions.shortfall_action,
        severity="medium",
        team="marketing",
        rule="TidegatePlanShortfall",
        item_field="plan_shortfall_since_ms",
    ),
    IncidentKind(
        kind=AlertKind.LOW_COVER,
        label="low cover",
        subjects=_ITEM,
        summary="{subject} will run out before the next arrival",
        actions=(
            actions.WEAKEN,
            actions.EXPEDITE,
            actions.ORDER_FLEXIBLE,
        ),
        choose=actions.low_cover_action,
        severity="high",
        team="warehouse",
        rule="TidegateLowCover",
        item_field="low_cover_since_ms",
    ),
    IncidentKind(
        kind=AlertKind.BACKLOG_AGE,
        label="waits too long",
        subjects=_ITEM,
        summary="orders of {subject} wait longer than promised",
        actions=(actions.DISPATCH_FIRST, actions.TELL_CUSTOMERS),
        choose=actions.backlog_age_action,
        severity="high",
        team="logistics",
        rule="TidegateBacklogAge",
        item_field="backlog_age_since_ms",
    ),
    IncidentKind(
        kind=AlertKind.LATE_DELIVERY,
        label="late delivery",
        subjects=_ORDER,
        summary="{subject} has not arrived",
        actions=(
            actions.TURN_TO_FLEXIBLE,
            actions.TURN_TO_LEAN,
        ),
        choose=actions.late_delivery_action,
        severity="medium",
        team="logistics",
        rule="TidegateLateSupplier",
    ),
    IncidentKind(
        kind=AlertKind.ORDER_DISCREPANCY,
        label="does not fit",
        subjects=_ORDER,
        summary="what was said of {subject} does not fit an open order",
        actions=(actions.FIND_ORDER, actions.CHECK_DELIVERY),
        choose=actions.order_discrepancy_action,
        severity="low",
        team="logistics",
        rule=None,
    ),
    IncidentKind(
        kind=AlertKind.STALE_INPUT,
        label="no orders",
        subjects=_INPUT,
        summary="nothing comes in on {subject}, where orders were due",
        actions=(actions.CHECK_FEED,),
        severity="high",
        team="platform",
        rule="TidegateStaleInput",
    ),
    IncidentKind(
        kind=AlertKind.STALE_STOCK,
        label="count the shelf",
        subjects=_ITEM,
        summary="the stock of {subject} is not known: nothing is ordered",
        actions=(
            actions.COUNT,
            actions.FIRST_COUNT,
        ),
        choose=actions.stale_stock_action,
        severity="medium",
        team="warehouse",
        rule="TidegateStockUnknown",
        item_field="stale_stock_since_ms",
    ),
    IncidentKind(
        kind=AlertKind.PHANTOM_STOCK,
        label="does not sell",
        subjects=_ITEM,
        summary="{subject} is in stock by the record, but does not sell",
        actions=(actions.FIND_STOCK,),
        severity="medium",
        team="warehouse",
        rule="TidegatePhantomStock",
        item_field="silent_since_ms",
    ),
    IncidentKind(
        kind=AlertKind.DEAD_LETTERS,
        label="bad records",
        subjects=_INPUT,
        summary="bad records on {subject}",
        actions=(actions.READ_DEAD_LETTERS,),
        severity="low",
        team="platform",
        rule="TidegateDeadLetters",
    ),
    IncidentKind(
        kind=AlertKind.LOG_CHANGED,
        label="another log",
        subjects=_INPUT,
        summary="a log of {subject} is not the one that was read: no order leaves",
        actions=(actions.ADOPT_LOGS,),
        severity="high",
        team="platform",
        rule="TidegateLogChanged",
    ),
    IncidentKind(
        kind=AlertKind.RECORDS_LOST,
        label="records lost",
        subjects=_INPUT,
        summary="records of {subject} were deleted before they were read",
        actions=(actions.COUNT_AGAIN,),
        severity="high",
        team="platform",
        rule="TidegateRecordsLost",
    ),
    IncidentKind(
        kind=AlertKind.ORDER_IMPORT,
        label="imported orders",
        subjects=_INPUT,
        summary="a day's orders of {subject} came at once: an import, judged by its total",
        actions=(actions.JUDGE_BY_DAYS,),
        severity="low",
        team="platform",
        rule=None,
    ),
)


def table_of(rows: tuple[IncidentKind, ...]) -> Mapping[AlertKind, IncidentKind]:
    """Return the rows by kind, in the order of `AlertKind`.

    Raises:
        ValueError: a kind has no row, or several.
    """
    if sorted(row.kind for row in rows) != sorted(AlertKind):
        raise ValueError("every kind of alert must have one row in streams.incidents.kinds")
    by_kind = {row.kind: row for row in rows}
    return {kind: by_kind[kind] for kind in AlertKind}


INCIDENT_KINDS = table_of(_ROWS)
"""Every kind, in the order of `AlertKind`."""

ITEM_FIELDS: Mapping[AlertKind, str] = {
    kind: row.item_field for kind, row in INCIDENT_KINDS.items() if row.item_field is not None
}
"""Where an item's row says since when an incident of a kind is open; the kinds of items only."""
