"""How the steps of an incident are published: as alerts, with a summary, figures and one action."""

from streams.contracts.alerts import Alert, AlertKind, AlertState, Figures
from streams.contracts.ids import incident_id
from streams.contracts.outgoing import OutboxRecord, alert_record
from streams.contracts.purchase_orders import SupplierRole
from streams.incidents.actions import Case
from streams.incidents.kinds import INCIDENT_KINDS
from streams.incidents.subjects import subject_text
from streams.state.items import Items
from streams.state.open_orders import OpenOrder
from streams.timestamps import rfc3339


def input_alert(
    kind: AlertKind,
    state: AlertState,
    subject: str,
    started: int,
    boundary: int,
    figures: dict[str, int],
) -> OutboxRecord:
    """Return an alert about an input of the shard."""
    action = INCIDENT_KINDS[kind].action(Case(figures, boundary))
    widened: Figures = {**figures}
    return alert(kind, state, subject, (None, None), started, boundary, widened, action=action)


def late_alert(state: AlertState, order: OpenOrder, items: Items, boundary: int) -> OutboxRecord:
    """Return an alert about an order whose goods have not come."""
    figures: Figures = {
        "supplier": order.supplier,
        "supplier_role": str(SupplierRole(order.role)),
        "outstanding_units": order.outstanding,
        "expected_at": rfc3339(order.due_ms),
    }
    case = Case(figures, boundary, role=SupplierRole(order.role))
    started = order.late_since_ms
    names = items.names[order.item]
    return alert(
        AlertKind.LATE_DELIVERY,
        state,
        order.po_id,
        names,
        started,
        boundary,
        figures,
        action=INCIDENT_KINDS[AlertKind.LATE_DELIVERY].action(case),
    )


def alert(
    kind: AlertKind,
    state: AlertState,
    subject: str,
    names: tuple[str | None, str | None],
    started: int,
    boundary: int,
    figures: Figures,
    *,
    action: str,
    version: int = 0,
) -> OutboxRecord:
    """Return a step of an incident as it is published.

    Args:
        kind: of the incident.
        state: raised, updated or resolved.
        subject: what it is about; with kind and start it makes the incident's id.
        names: sku and warehouse, of an item's incident.
        started: when the incident began, event time in ms.
        boundary: event time of the step.
        figures: that it rests on.
        action: the one to take.
        version: of an incident that is published more than twice; 0 means 1 when raised, 2 when
            resolved.
    """
    said = subject_text(subject) if names[0] is None else subject
    step = Alert(
        state=state,
        incident_id=incident_id(kind, subject, started),
        version=version or (1 if state == AlertState.RAISED else 2),
        kind=kind,
        subject=subject,
        sku=names[0],
        warehouse=names[1],
        started_at=rfc3339(started),
        occurred_at=rfc3339(boundary),
        summary=INCIDENT_KINDS[kind].summary.format(subject=said),
        action=action,
        figures=figures,
    )
    return alert_record(step)
