"""Incidents of groups as alerts: which items are in them, by name, and what they rest on.

`streams.incidents.group_incidents` says when one begins and ends.
"""

from collections.abc import Collection, Iterable, Mapping

from streams.contracts.alerts import AlertKind, AlertState, Figures
from streams.contracts.ids import incident_id
from streams.contracts.outgoing import OutboxRecord
from streams.detection.factors import baseline_rate_of
from streams.groups.facts import Member
from streams.groups.members import count_fresh, sums_of
from streams.groups.rows import CAMPAIGN, SHOP, GroupRows
from streams.incidents.actions import Case
from streams.incidents.figures import group_surge_figures, shortfall_figures
from streams.incidents.group_incidents import GroupIncident, GroupIncidents
from streams.incidents.kinds import INCIDENT_KINDS
from streams.incidents.records import alert
from streams.settings import GroupIncidentSettings, SurgeSettings


class WholeIncidents:
    """The open surges and shortfalls of groups.

    Args:
        settings: when many items are one incident.
        surge: of the tests.
        rows: the groups' own totals.
    """

    def __init__(
        self, settings: GroupIncidentSettings, surge: SurgeSettings, rows: GroupRows
    ) -> None:
        self._settings = settings
        self._surge = surge
        self._rows = rows
        self.surges = GroupIncidents(settings)
        self.shortfalls = GroupIncidents(settings)

    def update_surges(
        self,
        members: Mapping[str, list[Member]],
        totals: Collection[str],
        sellers: Mapping[str, list[str]],
        at_ms: int,
    ) -> Iterable[OutboxRecord]:
        """Raise, update and resolve the surges of whole groups.

        Args:
            members: items in a surge, by group.
            totals: groups of which the total is in a surge.
            sellers: items of each group with most orders today.
            at_ms: event time.
        """
        fresh = {group: count_fresh(inside, at_ms) for group, inside in members.items()}
        many = {group: len(inside) for group, inside in members.items()}
        for group, state, incident in self.surges.watch(at_ms, fresh, many, totals):
            inside = members.get(group, [])
            figures = self._surge_figures(group, inside, is_total=group in totals)
            shown = [one.item for one in inside] or sellers.get(group, [])
            yield self._step(AlertKind.BROAD_SURGE, group, state, incident, figures, shown, at_ms)

    def _surge_figures(self, group: str, inside: list[Member], *, is_total: bool) -> Figures:
        if is_total:
            row = self._rows.row(group)
            due = baseline_rate_of(row, self._surge) * float(row["surge_days"])
            orders, dispersion = int(row["surge_orders"]), float(row["surge_dispersion"])
        else:
            orders, due = sums_of(inside)
            dispersion = 1.0
        judged: Figures = {"judged_by": "total" if is_total else "items", "items": len(inside)}
        figures: Figures = {**judged, **group_surge_figures(orders, due, dispersion)}
        if group != SHOP and SHOP in self.surges.open:
            began_ms = self.surges.open[SHOP].window_ms
            figures = {**figures, "part_of": incident_id(AlertKind.BROAD_SURGE, SHOP, began_ms)}
        return figures

    def update_shortfalls(
        self, members: Mapping[str, list[Member]], totals: Collection[str], at_ms: int
    ) -> Iterable[OutboxRecord]:
        """Raise, update and resolve the shortfalls of whole campaigns; as for `update_surges`."""
        inside_of = {name: inside for name, inside in members.items() if name.startswith(CAMPAIGN)}
        fresh = {group: count_fresh(inside, at_ms) for group, inside in inside_of.items()}
        many = {group: len(inside) for group, inside in inside_of.items()}
        for group, state, incident in self.shortfalls.watch(at_ms, fresh, many, totals):
            inside = inside_of.get(group, [])
            judged_by = "total" if group in totals else "items"
            figures: Figures = {"judged_by": judged_by, "items": len(inside)}
            row = self._rows.row(group)
            if row["plan_day_due_orders"] or row["plan_due_orders"]:
                figures = {**figures, **shortfall_figures(row, None)}
            shown = [one.item for one in inside]
            kind = AlertKind.PLAN_SHORTFALL
            yield self._step(kind, group, state, incident, figures, shown, at_ms)

    def _step(
        self,
        kind: AlertKind,
        group: str,
        state: AlertState,
        incident: GroupIncident,
        figures: Figures,
        shown: list[str],
        at_ms: int,
    ) -> OutboxRecord:
        return alert(
            kind,
            state,
            group,
            (None, None),
            incident.window_ms,
            at_ms,
            {**figures, "shown_items": ", ".join(shown[: self._settings.shown])},
            action=INCIDENT_KINDS[kind].action(Case(figures, at_ms, group=group)),
            version=incident.version,
        )
