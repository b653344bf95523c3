"""Incidents of groups: what a category, a campaign or the shop does as a whole is one incident.

A group surges as a whole when many of its items do at once, or when its total does, each item too
thin to tell (`streams.groups.stage`); a campaign sells below its plan in the same two ways.

Whoever is paged for a campaign that takes off wants one page, not one for each of its items: the
incident of the group carries them (a few by name, all as a count), and theirs name their groups.

A group's incident is counted from the UTC day on which it begins. It cannot end on that day, so
that its id cannot begin twice.
"""

from collections.abc import Collection, Iterator, Mapping

import msgspec

from streams.contracts.alerts import AlertState
from streams.settings import GroupIncidentSettings
from streams.timestamps import DAY_MS


class GroupIncident(msgspec.Struct, kw_only=True):
    """A group's open incident."""

    window_ms: int  # start of the UTC day on which it began
    version: int = 0
    published_items: int = 0


class GroupIncidents:
    """The groups that surge as a whole."""

    def __init__(self, settings: GroupIncidentSettings) -> None:
        self._settings = settings
        self.open: dict[str, GroupIncident] = {}

    def watch(
        self,
        boundary_ms: int,
        fresh: Mapping[str, int],
        members: Mapping[str, int],
        totals: Collection[str],
    ) -> Iterator[tuple[str, AlertState, GroupIncident]]:
        """Say which groups begin, grow or end to surge as a whole.

        Args:
            boundary_ms: event time.
            fresh: items of each group whose surges began within a day.
            members: items of each group in a surge.
            totals: groups of which the total says so (`streams.groups.stage`), however few their
                items.
        """
        for group in sorted({*fresh, *totals, *self.open}):
            incident = self.open.get(group)
            many = members.get(group, 0)
            if incident is None:
                if group in totals or fresh[group] >= self._settings.items:
                    window_ms = (boundary_ms - 1) // DAY_MS * DAY_MS
                    self.open[group] = incident = GroupIncident(window_ms=window_ms)
                    yield _step(group, AlertState.RAISED, incident, many)
            elif group not in totals and self._has_ended(incident, many, boundary_ms):
                del self.open[group]
                yield _step(group, AlertState.RESOLVED, incident, many)
            elif many >= 2 * incident.published_items:
                yield _step(group, AlertState.UPDATED, incident, many)

    def _has_ended(self, incident: GroupIncident, many: int, boundary_ms: int) -> bool:
        is_over = boundary_ms > incident.window_ms + DAY_MS
        return is_over and 2 * many < self._settings.items


def _step(
    group: str, state: AlertState, incident: GroupIncident, many: int
) -> tuple[str, AlertState, GroupIncident]:
    incident.version += 1
    incident.published_items = max(many, 1)
    return group, state, incident
