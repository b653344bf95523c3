"""The contract of alerts: each is one step of an incident."""

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from streams.contracts.fields import (
    SKU_OF_INCIDENT,
    WAREHOUSE_OF_INCIDENT,
    Action,
    IncidentId,
    StartedAt,
    SteppedAt,
    StepVersion,
    Subject,
    Summary,
)

Figures = dict[str, float | int | str | None]


class AlertKind(StrEnum):
    """What an alert is about."""

    SURGE = "surge"
    BROAD_SURGE = "broad_surge"
    BULK_ORDER = "bulk_order"
    PLAN_SHORTFALL = "plan_shortfall"
    LOW_COVER = "low_cover"
    BACKLOG_AGE = "backlog_age"
    LATE_DELIVERY = "late_delivery"
    ORDER_DISCREPANCY = "order_discrepancy"
    STALE_INPUT = "stale_input"
    STALE_STOCK = "stale_stock"
    PHANTOM_STOCK = "phantom_stock"
    DEAD_LETTERS = "dead_letters"
    LOG_CHANGED = "log_changed"
    RECORDS_LOST = "records_lost"
    ORDER_IMPORT = "order_import"


class AlertState(StrEnum):
    """Where an incident stands."""

    RAISED = "raised"
    UPDATED = "updated"
    RESOLVED = "resolved"


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One step of an incident. Kafka key: `subject`. An incident keeps its id until resolved."""

    state: Annotated[
        AlertState,
        Meta(
            description="What this step does: the incident is raised, updated or resolved.",
            examples=["raised", "resolved"],
        ),
    ]
    incident_id: IncidentId
    version: StepVersion
    kind: Annotated[
        AlertKind, Meta(description="Kind of the incident.", examples=["low_cover", "surge"])
    ]
    subject: Subject
    sku: Annotated[str | None, SKU_OF_INCIDENT]
    warehouse: Annotated[str | None, WAREHOUSE_OF_INCIDENT]
    started_at: StartedAt
    occurred_at: SteppedAt
    summary: Summary
    action: Action
    figures: Annotated[
        dict[str, float | int | str | None],
        Meta(
            description="What the incident rests on, by name with its unit at the end; null means "
            "not known.",
            examples=[{"available_units": 37, "minutes_to_zero": 50, "next_arrival_at": None}],
        ),
    ]
