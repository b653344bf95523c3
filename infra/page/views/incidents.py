"""Open incidents: who has to act, on what, and whether somebody does."""

from collections import Counter
from typing import Literal

from infra.page.contracts import Incident, Incidents, PageQuery
from infra.page.snapshot import Snapshot
from streams.outputs import Alert, AlertKind
from streams.text import one_time

Severity = Literal["high", "medium", "low"]

_SEVERITY: dict[str, Severity] = {
    AlertKind.STALE_INPUT: "high",
    AlertKind.LOW_COVER: "high",
    AlertKind.SURGE: "medium",
    AlertKind.LATE_DELIVERY: "medium",
    AlertKind.STALE_STOCK: "medium",
    AlertKind.DEAD_LETTERS: "low",
}
_TEAM: dict[str, str] = {
    AlertKind.SURGE: "marketing",
    AlertKind.LOW_COVER: "marketing",
    AlertKind.LATE_DELIVERY: "logistics",
    AlertKind.STALE_STOCK: "warehouse",
    AlertKind.STALE_INPUT: "platform",
    AlertKind.DEAD_LETTERS: "platform",
}
_RANK = {"high": 0, "medium": 1, "low": 2}


def incidents(snapshot: Snapshot, query: PageQuery) -> Incidents:
    """Return the part that is asked for: unacknowledged, grave and old ones first."""
    every = [incident(snapshot, alert) for alert in snapshot.incidents]
    every.sort(
        key=lambda one: (
            one.acknowledged is not None,
            _RANK[one.severity],
            one.started_ms,
            one.incident_id,
        )
    )
    return Incidents(
        total=len(every),
        offset=query.offset,
        by_kind=dict(sorted(Counter(one.kind for one in every).items())),
        incidents=every[query.offset : query.offset + query.limit],
    )


def incident(snapshot: Snapshot, alert: Alert) -> Incident:
    """Return an incident as it is shown."""
    return Incident(
        incident_id=alert.incident_id,
        kind=str(alert.alert),
        severity=_SEVERITY.get(alert.alert, "medium"),
        team=_TEAM.get(alert.alert, "platform"),
        subject=alert.subject,
        sku=alert.sku,
        warehouse=alert.warehouse,
        started_ms=one_time(alert.started_at),
        summary=alert.summary,
        action=alert.action,
        figures=alert.figures,
        acknowledged=snapshot.acknowledged.get(alert.incident_id),
    )
