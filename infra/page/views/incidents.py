"""Open incidents: who has to act, on what, and whether somebody does."""

from collections import Counter
from collections.abc import Sequence

from infra.page.contracts import Incident, IncidentGroup, Incidents, PageQuery
from infra.page.snapshot import Snapshot
from streams.contracts.alerts import Alert
from streams.incidents.figures import AMOUNT_AT_RISK
from streams.incidents.kinds import INCIDENT_KINDS
from streams.timestamps import one_time

_RANK = {"high": 0, "medium": 1, "low": 2}
_NEWEST_SHOWN = 4


def incidents(snapshot: Snapshot, query: PageQuery) -> Incidents:
    """Return the part that is asked for: unacknowledged and grave ones first, by money at risk."""
    every = [incident(snapshot, alert) for alert in snapshot.incidents]
    every.sort(
        key=lambda one: (
            one.acknowledged is not None,
            _RANK[one.severity],
            -_at_risk(one),
            one.started_ms,
            one.incident_id,
        )
    )
    return Incidents(
        open=snapshot.incidents_open,
        total=len(every),
        offset=query.offset,
        groups=groups(every),
        incidents=every[query.offset : query.offset + query.limit],
    )


def groups(every: Sequence[Incident]) -> list[IncidentGroup]:
    """Return the incidents by kind: a hundred items in trouble are one line to act on."""
    kinds = {one.kind: one for one in every}
    found = [
        _group(first, [one for one in every if one.kind == kind]) for kind, first in kinds.items()
    ]
    return sorted(found, key=lambda group: (_RANK[group.severity], group.kind))


def _at_risk(one: Incident) -> float:
    """What is lost an hour; 0 where it is not known."""
    amount = one.figures.get(AMOUNT_AT_RISK)
    return float(amount) if isinstance(amount, int | float) else 0.0


def _group(first: Incident, members: Sequence[Incident]) -> IncidentGroup:
    newest = sorted(members, key=lambda one: (-one.started_ms, one.incident_id))
    ((action, recommend_it),) = Counter(one.action for one in members).most_common(1)
    return IncidentGroup(
        kind=first.kind,
        severity=first.severity,
        team=first.team,
        action=action,
        action_total=recommend_it,
        total=len(members),
        unacknowledged=sum(one.acknowledged is None for one in members),
        oldest_ms=newest[-1].started_ms,
        newest_ms=newest[0].started_ms,
        newest=newest[:_NEWEST_SHOWN],
    )


def incident(snapshot: Snapshot, alert: Alert) -> Incident:
    """Return an incident as it is shown."""
    kind = INCIDENT_KINDS[alert.kind]
    return Incident(
        incident_id=alert.incident_id,
        kind=str(alert.kind),
        severity=kind.severity,
        team=kind.team,
        subject=alert.subject,
        sku=alert.sku,
        warehouse=alert.warehouse,
        started_ms=one_time(alert.started_at),
        summary=alert.summary,
        action=alert.action,
        figures=alert.figures,
        acknowledged=snapshot.acknowledged.get(alert.incident_id),
        runbook=None if kind.rule is None else f"/static/runbooks/{kind.rule}.html",
    )
