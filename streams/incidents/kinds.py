"""The registry of incident kinds: one row says of a kind what the other parts derive from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from streams.contracts.alerts import AlertKind

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
        subjects: what an incident of this kind can be about.
        summary: what has happened, a sentence with `{subject}` in it.
        severity: how soon somebody has to act.
        team: who has to act, as grafana/rules/tidegate.yaml routes it.
        item_field: field of `streams.state.items.ROW` with the time since when an incident of the
            item is open, above 0 while it is. None: it is never about an item.
    """

    kind: AlertKind
    subjects: frozenset[SubjectClass]
    summary: str
    severity: Severity
    team: Team
    item_field: str | None = None

    def __post_init__(self) -> None:
        """Refuse a row that contradicts itself.

        Raises:
            ValueError: a kind of items has no field in their rows, or the other way round.
        """
        if (SubjectClass.ITEM in self.subjects) != (self.item_field is not None):
            raise ValueError(f"item_field must be given exactly for a kind of items: {self.kind}")


_ROWS = (
    IncidentKind(
        kind=AlertKind.SURGE,
        subjects=_ITEM,
        summary="{subject} sells much faster than usual",
        severity="medium",
        team="marketing",
        item_field="surge_since_ms",
    ),
    IncidentKind(
        kind=AlertKind.BROAD_SURGE,
        subjects=_GROUP,
        summary="many items of {subject} sell much faster than usual at once",
        severity="high",
        team="marketing",
    ),
    IncidentKind(
        kind=AlertKind.BULK_ORDER,
        subjects=_ITEM,
        summary="one order takes many days' demand of {subject}",
        severity="low",
        team="marketing",
        item_field="bulk_since_ms",
    ),
    IncidentKind(
        kind=AlertKind.PLAN_SHORTFALL,
        subjects=_ITEM | _GROUP,
        summary="{subject} sells well below its plan",
        severity="medium",
        team="marketing",
        item_field="plan_shortfall_since_ms",
    ),
    IncidentKind(
        kind=AlertKind.LOW_COVER,
        subjects=_ITEM,
        summary="{subject} will run out before the next arrival",
        severity="high",
        team="warehouse",
        item_field="low_cover_since_ms",
    ),
    IncidentKind(
        kind=AlertKind.LATE_DELIVERY,
        subjects=_ORDER,
        summary="{subject} has not arrived",
        severity="medium",
        team="logistics",
    ),
    IncidentKind(
        kind=AlertKind.STALE_INPUT,
        subjects=_INPUT,
        summary="no orders on {subject} where orders were due",
        severity="high",
        team="platform",
    ),
    IncidentKind(
        kind=AlertKind.STALE_STOCK,
        subjects=_ITEM,
        summary="the stock of {subject} is not known: nothing is ordered",
        severity="medium",
        team="warehouse",
        item_field="stale_stock_since_ms",
    ),
    IncidentKind(
        kind=AlertKind.PHANTOM_STOCK,
        subjects=_ITEM,
        summary="{subject} is in stock by the record, but does not sell",
        severity="medium",
        team="warehouse",
        item_field="silent_since_ms",
    ),
    IncidentKind(
        kind=AlertKind.DEAD_LETTERS,
        subjects=_INPUT,
        summary="bad records on {subject}",
        severity="low",
        team="platform",
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
