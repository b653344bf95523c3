"""The contract of alerts: each is one step of an incident."""

from enum import StrEnum

import msgspec

Figures = dict[str, float | int | str | None]


class AlertKind(StrEnum):
    """What an alert is about."""

    SURGE = "surge"
    BROAD_SURGE = "broad_surge"
    BULK_ORDER = "bulk_order"
    PLAN_SHORTFALL = "plan_shortfall"
    LOW_COVER = "low_cover"
    LATE_DELIVERY = "late_delivery"
    STALE_INPUT = "stale_input"
    STALE_STOCK = "stale_stock"
    PHANTOM_STOCK = "phantom_stock"
    DEAD_LETTERS = "dead_letters"


class AlertState(StrEnum):
    """Where an incident stands."""

    RAISED = "raised"
    UPDATED = "updated"
    RESOLVED = "resolved"


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One step of an incident. Kafka key: `subject`. An incident keeps its id until resolved."""

    kind: AlertState
    incident_id: str
    version: int
    alert: AlertKind
    subject: str  # an item (sku@warehouse), a purchase order, a topic partition or a group of items
    sku: str | None
    warehouse: str | None
    started_at: str
    occurred_at: str
    summary: str
    action: str
    figures: dict[str, float | int | str | None]
