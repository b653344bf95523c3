"""The rows of groups, by name: records of the fields of an item, one level up."""

import numpy as np

from streams.state.items import ROW
from streams.types import AnyArray, Int64Array, Table

SHOP = "shop"
CAMPAIGN = "campaign:"
CATEGORY = "category:"
_FIRST_ROWS = 16


def groups_of(category: str | None, campaigns: list[str]) -> list[str]:
    """Return the groups of an item, the widest first.

    >>> groups_of("lamps", ["1111"])
    ['shop', 'category:lamps', 'campaign:1111']
    """
    named = [] if category is None else [CATEGORY + category]
    return [SHOP, *named, *(CAMPAIGN + one for one in sorted(campaigns))]


class GroupRows:
    """The groups that were ever heard of, and are not over."""

    def __init__(self) -> None:
        self.rows: Table = np.zeros(_FIRST_ROWS, ROW)
        self._names: list[str | None] = []
        self._places: dict[str, int] = {}
        self._changed: set[str] = set()
        self._removed: set[str] = set()
        self.place(SHOP)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    @property
    def names(self) -> list[str]:
        """All of them, in the order of their names."""
        return sorted(self._places)

    @property
    def used(self) -> Table:
        """The rows up to the last one in use, to be changed in place, shape (group,)."""
        used: Table = self.rows[: len(self._names)]
        return used

    def place(self, name: str) -> int:
        """Return the place of a group; a new one gets the first that is free."""
        place = self._places.get(name)
        if place is not None:
            return place
        place = self._names.index(None) if None in self._names else len(self._names)
        self._names[place : place + 1] = [name]
        self._places[name] = place
        if place == self.rows.size:
            self.rows = np.concatenate([self.rows, np.zeros(place, ROW)])
        self.rows[place] = np.zeros((), ROW)
        self._changed.add(name)
        self._removed.discard(name)
        return place

    def places(self, names: list[str]) -> Int64Array:
        """Return the places of groups, shape (n,)."""
        return np.array([self.place(name) for name in names], np.int64)

    def living(self) -> Table:
        """The rows of all groups, by name: a copy."""
        living: Table = self.rows[[self._places[name] for name in self.names]]
        return living

    def row(self, name: str) -> Table:
        """The row of a group."""
        row: Table = self.rows[self.place(name)]
        return row

    def named(self, places: AnyArray) -> list[str]:
        """Return the names of the groups at some places, sorted."""
        names = (self._names[place] for place in places.tolist())
        return sorted(name for name in names if name is not None)

    def remove(self, name: str) -> None:
        """Forget a group."""
        self._names[self._places.pop(name)] = None
        self._changed.discard(name)
        self._removed.add(name)

    def note_changed(self, places: AnyArray) -> None:
        """Note that the rows of these groups changed."""
        self._changed.update(self.named(places))

    def take_changes(self) -> dict[str, bytes | None]:
        """Return the rows that changed since the last call, none for groups that are gone."""
        stored: dict[str, bytes | None] = {name: self.row(name).tobytes() for name in self._changed}
        stored.update(dict.fromkeys(self._removed))
        self._changed, self._removed = set(), set()
        return dict(sorted(stored.items()))

    def as_bytes(self) -> dict[str, bytes]:
        """The rows of all groups."""
        return {name: self.row(name).tobytes() for name in self.names}

    def restore(self, stored: dict[str, bytes]) -> None:
        """Take over stored rows."""
        for name, row in stored.items():
            self.rows[self.place(name)] = np.frombuffer(row, ROW)[0]
        self._changed = set()
