"""Incidents of groups as alerts: which items are in them, by name, and what they rest on.

`streams.incidents.group_incidents` says when one begins and ends.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from streams.contracts.alerts import AlertKind, AlertState, Figures
from streams.contracts.ids import incident_id
from streams.contracts.outgoing import OutboxRecord
from streams.detection.groups import SHOP, Groups
from streams.detection.surge import SurgeSettings
from streams.incidents.actions import Case
from streams.incidents.figures import group_surge_figures, shortfall_figures
from streams.incidents.group_incidents import GroupIncident, GroupIncidents, GroupIncidentSettings
from streams.incidents.kinds import INCIDENT_KINDS, ITEM_FIELDS
from streams.incidents.records import alert
from streams.state.items import Items
from streams.timestamps import DAY_MS
from streams.types import Int64Array


class GroupAlerts:
    """The open surges and shortfalls of a shard's groups.

    Args:
        partition: the shard's number, a figure of each alert.
        settings: when many items are one incident.
        surge: of the surge test.
        groups: the groups' own totals.
        groups_of_item: the groups of an item, the widest first.
    """

    def __init__(
        self,
        partition: int,
        settings: GroupIncidentSettings,
        surge: SurgeSettings,
        groups: Groups,
        groups_of_item: Callable[[int], list[str]],
    ) -> None:
        self._partition = partition
        self._settings = settings
        self._surge = surge
        self._groups = groups
        self._groups_of_item = groups_of_item
        self.surges = GroupIncidents(settings)
        self.shortfalls = GroupIncidents(settings)

    def update_surges(self, items: Items, boundary: int) -> Iterable[OutboxRecord]:
        """Raise, update and resolve the surges of whole groups."""
        kind = AlertKind.BROAD_SURGE
        members = self._members_in(AlertKind.SURGE, items)
        fresh, many = _count_members(members, items.rows[ITEM_FIELDS[AlertKind.SURGE]], boundary)
        totals = self._groups.surging
        for group, state, incident in self.surges.watch(boundary, fresh, many, totals):
            inside = members.get(group, [])
            total = self._groups.row(group) if group in totals else None
            figures: Figures = {**group_surge_figures(items.rows[inside], total, self._surge)}
            if group != SHOP and SHOP in self.surges.open:
                figures["part_of"] = self._id_of_surge(SHOP)
            shown = sorted(map(items.key, inside))
            if total is not None and not shown:
                shown = self._best_sellers(group, items)
            yield self._step(kind, group, state, incident, figures, shown, boundary)

    def update_shortfalls(
        self, short: Iterable[str], items: Items, boundary: int
    ) -> Iterable[OutboxRecord]:
        """Raise, update and resolve the shortfalls of whole campaigns.

        Args:
            short: groups of which the total is short of its plan.
            items: of the shard.
            boundary: event time.
        """
        kind, totals = AlertKind.PLAN_SHORTFALL, [*short]
        members = self._members_in(kind, items)
        members = {group: some for group, some in members.items() if group.startswith("campaign:")}
        fresh, many = _count_members(members, items.rows[ITEM_FIELDS[kind]], boundary)
        for group, state, incident in self.shortfalls.watch(boundary, fresh, many, totals):
            inside = members.get(group, [])
            judged_by = "total" if group in totals else "items"
            figures: Figures = {"judged_by": judged_by, "items": len(inside)}
            if (row := self._groups.row(group))["plan_day_due_orders"] or row["plan_due_orders"]:
                figures |= shortfall_figures(row, None)
            shown = sorted(items.key(item) for item in inside)
            yield self._step(kind, group, state, incident, figures, shown, boundary)

    def surge_with(self, item: int) -> str | None:
        """Return the incident of the widest group that surges with this item in it."""
        widest = (group for group in self._groups_of_item(item) if group in self.surges.open)
        return next(map(self._id_of_surge, widest), None)

    def shortfall_with(self, campaigns: Sequence[str]) -> str | None:
        """Return the incident of the first of these campaigns that is short of its plan."""
        of = next((group for group in campaigns if group in self.shortfalls.open), None)
        if of is None:
            return None
        return incident_id(AlertKind.PLAN_SHORTFALL, of, self.shortfalls.open[of].window_ms)

    def _id_of_surge(self, group: str) -> str:
        return incident_id(AlertKind.BROAD_SURGE, group, self.surges.open[group].window_ms)

    def _members_in(self, kind: AlertKind, items: Items) -> dict[str, list[int]]:
        """Return the items with an open incident of a kind, by group."""
        members: dict[str, list[int]] = defaultdict(list)
        since_ms = items.rows[ITEM_FIELDS[kind]][: len(items)]
        for item in np.flatnonzero(since_ms > 0).tolist():
            for group in self._groups_of_item(item):
                members[group].append(item)
        return members

    def _best_sellers(self, group: str, items: Items) -> list[str]:
        """Return the items of a group by name, those with most orders today first."""
        every = self._groups.members(group, len(items))
        sold = every[items.rows["day_orders"][every] > 0].tolist()
        most = sorted((-int(items.rows["day_orders"][one]), items.key(one)) for one in sold)
        return [key for _, key in most]

    def _step(
        self,
        kind: AlertKind,
        group: str,
        state: AlertState,
        incident: GroupIncident,
        figures: Figures,
        shown: list[str],
        boundary: int,
    ) -> OutboxRecord:
        named = ", ".join(shown[: self._settings.shown])
        return alert(
            kind,
            state,
            group,
            (None, None),
            incident.window_ms,
            boundary,
            {**figures, "shown_items": named, "partition": self._partition},
            action=INCIDENT_KINDS[kind].action(Case(figures, boundary, group=group)),
            version=incident.version,
        )


def _count_members(
    members: dict[str, list[int]], since_ms: Int64Array, boundary: int
) -> tuple[dict[str, int], dict[str, int]]:
    """Items of each group of which the incident began within a day, and all with an open one."""
    fresh = {
        group: sum(int(since_ms[one]) > boundary - DAY_MS for one in inside)
        for group, inside in members.items()
    }
    return fresh, {group: len(inside) for group, inside in members.items()}
