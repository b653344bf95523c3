"""Incidents of single items: their start lies in the item's row, each step leaves as an alert."""

from collections.abc import Callable

from streams.contracts.alerts import AlertKind, AlertState, Figures
from streams.contracts.outgoing import OutboxRecord
from streams.incidents.actions import Case
from streams.incidents.kinds import INCIDENT_KINDS, ITEM_FIELDS
from streams.incidents.records import alert
from streams.index_set import IndexSet
from streams.state.items import Items
from streams.types import AnyArray, Table

FiguresOf = Callable[[int, Table, int], Figures]  # of an item, its row, at a boundary


class ItemIncidents:
    """Raises, updates and resolves incidents of items, whatever their kind.

    Args:
        changed: takes the items of which an incident begins or ends.
        is_promoted: whether a campaign plans an item at a time.
    """

    def __init__(self, changed: IndexSet, is_promoted: Callable[[int, int], bool]) -> None:
        self._changed = changed
        self._is_promoted = is_promoted

    def begin(
        self, kind: AlertKind, chosen: AnyArray, items: Items, boundary: int, figures: FiguresOf
    ) -> list[OutboxRecord]:
        """Raise an incident of a kind for each of these items.

        Args:
            kind: one with a field in the rows of items.
            chosen: places of the items, shape (n,).
            items: of the shard; the start is written to their rows.
            boundary: event time.
            figures: returns what the incident of an item rests on.
        """
        items.rows[ITEM_FIELDS[kind]][chosen] = boundary
        self._changed.add(chosen)
        return [
            self._step(kind, AlertState.RAISED, item, boundary, items, boundary, figures)
            for item in chosen.tolist()
        ]

    def update(
        self, kind: AlertKind, chosen: AnyArray, items: Items, boundary: int, figures: FiguresOf
    ) -> list[OutboxRecord]:
        """Publish the open incidents of these items again; arguments as for `begin`."""
        started = items.rows[ITEM_FIELDS[kind]][chosen].tolist()
        return [
            self._step(kind, AlertState.UPDATED, item, since, items, boundary, figures)
            for item, since in zip(chosen.tolist(), started, strict=True)
        ]

    def end(
        self, kind: AlertKind, chosen: AnyArray, items: Items, boundary: int, figures: FiguresOf
    ) -> list[OutboxRecord]:
        """Resolve the open incidents of these items; arguments as for `begin`."""
        field = ITEM_FIELDS[kind]
        started = items.rows[field][chosen].tolist()
        items.rows[field][chosen] = 0
        self._changed.add(chosen)
        return [
            self._step(kind, AlertState.RESOLVED, item, since, items, boundary, figures)
            for item, since in zip(chosen.tolist(), started, strict=True)
        ]

    def _step(
        self,
        kind: AlertKind,
        state: AlertState,
        item: int,
        started: int,
        items: Items,
        boundary: int,
        figures_of: FiguresOf,
    ) -> OutboxRecord:
        row = items.rows[item]
        figures = figures_of(item, row, boundary)
        is_promoted = self._is_promoted(item, boundary)
        return alert(
            kind,
            state,
            items.key(item),
            items.names[item],
            started,
            boundary,
            figures,
            action=INCIDENT_KINDS[kind].action(Case(figures, boundary, row, is_promoted)),
            version=int(row["surge_version"]) if kind == AlertKind.SURGE else 0,
        )
