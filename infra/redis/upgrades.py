"""State of older versions: what each version changed, and how a stored shard becomes the newest.

Every state version from `OLDEST_VERSION` on has a `Step` that makes the next version of it. A step
speaks of stored names and bytes only, never of today's structs, so that it stays true when those
change. `Upgrade` is the way from one stored shard to `STATE_VERSION`: the store reads an older
shard through it, and rewrites Redis through it before its first commit.

Packed tables are read by the layout that the shard was stored with: its columns by name. A column
that both layouts have is copied; a column that a step adds gets the default that the step names;
any other difference is an error, so that no renamed column turns to zeros unnoticed.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
import numpy as np

from streams.replenishment.decision_record import DECISION
from streams.shard.checkpoint import STATE_VERSION
from streams.state.bucket_rings import CELL, DAY_CELL
from streams.state.items import ROW
from streams.state.minute_totals import TOTAL
from streams.state.pending import ENTRY
from streams.types import Table

Fields = Mapping[bytes, bytes]  # of one hash in Redis
Layout = Mapping[str, "np.dtype[np.void]"]  # by table

TABLES: Layout = {
    "row": ROW,
    "cell": CELL,
    "day_cell": DAY_CELL,
    "total": TOTAL,
    "entry": ENTRY,
    "decision": DECISION,
}
"""The packed tables of a shard, as this version writes them."""

TABLE_OF = {
    "rows": "row",
    "groups": "row",
    "minute": "cell",
    "hour": "cell",
    "day": "day_cell",
    "totals": "total",
    "pending": "entry",
    "decisions": "decision",
}
"""Which table the values of a family of keys are packed as."""

_FIRST_STORED_LAYOUT = 8
"""From this version on the layout lies in the shard's hash; for those before it is shipped here."""


class StateVersionError(ValueError):
    """A shard was stored by a version that this one cannot go on from; the text says what to do."""


@dataclass(frozen=True, slots=True)
class ColumnChanges:
    """What a version changed in the columns of a table."""

    renamed: Mapping[str, str] = field(default_factory=dict)
    added: Mapping[str, float | bytes] = field(default_factory=dict)  # column -> its default
    removed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Step:
    """How a shard of one version becomes one of the next."""

    moved: Mapping[str, str] = field(default_factory=dict)  # family of keys -> its new name
    meta: Callable[[dict[str, Any]], dict[str, Any]] = lambda meta: meta
    values: Mapping[str, Callable[[bytes], bytes]] = field(default_factory=dict)
    """By family, under its new name: makes the new form of one value of its hash."""
    columns: Mapping[str, ColumnChanges] = field(default_factory=dict)  # by table


# -- version 7 to 8: names of the field ------------------------------------------------------------

_ALERT_TO_8 = {"kind": "state", "alert": "kind"}
_FIGURES_TO_8 = {
    "usual_orders_per_day": "baseline_orders_per_day",
    "usual_units_per_order": "baseline_units_per_order",
}
_ALERTS_TO_8 = {"feed": "order_feed", "broad": "group_surges", "short": "group_shortfalls"}
_ORDER_FEED_TO_8 = {
    "pause_start_ms": "blackout_start_ms",
    "pause_end_ms": "blackout_end_ms",
    "owed_orders": "catch_up_debt_orders",
    "calm_from_ms": "settled_from_ms",
    "calm_orders": "settled_orders",
}
_GROUP_INCIDENT_TO_8 = {"told_items": "published_items"}
_UPLIFT_TO_8 = {"everyday_units": "baseline_units", "everyday_squares": "baseline_squares"}
_ROW_TO_8 = {
    "campaign_everyday_units": "campaign_baseline_units",
    "usual_orders": "baseline_orders",
    "usual_days": "baseline_days",
    "usual_excess": "baseline_excess",
    "usual_squares": "baseline_squares",
    "usual_pace": "baseline_pace",
    "surge_told_ms": "surge_published_ms",
    "surge_told_orders": "surge_published_orders",
}


def _rename(record: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return a record with its fields under their new names, in the old order."""
    return {names.get(name, name): value for name, value in record.items()}


def _rename_each(records: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {key: _rename(record, names) for key, record in records.items()}


def _alert_to_8(value: bytes) -> bytes:
    alert = msgspec.json.decode(value)
    alert["figures"] = _rename(alert["figures"], _FIGURES_TO_8)
    return msgspec.json.encode(_rename(alert, _ALERT_TO_8))


def _outbox_to_8(packed: bytes) -> bytes:
    try:
        topic, key, value, *rest = msgspec.msgpack.decode(packed)
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError, ValueError):
        return packed  # not readable then either: loading puts it away
    if topic == "alerts":
        value = _alert_to_8(value)
    return msgspec.msgpack.encode((topic, key, value, *rest))


def _order_to_8(value: bytes) -> bytes:
    added = {"is_date_agreed": False, "is_foreign": False, "source": ""}
    return msgspec.json.encode({**msgspec.json.decode(value), **added})


_NEW_OF_INPUTS_IN_8 = ("lost_records", "lost_since_ms", "last_loss_ms", "log_changed_since_ms")


def _meta_to_8(meta: dict[str, Any]) -> dict[str, Any]:
    alerts = _rename(meta["alerts"], _ALERTS_TO_8)
    alerts["order_feed"] = _rename(alerts["order_feed"], _ORDER_FEED_TO_8)
    for groups in ("group_surges", "group_shortfalls"):
        alerts[groups] = _rename_each(alerts[groups], _GROUP_INCIDENT_TO_8)
    alerts |= {"discrepancies": {}, **dict.fromkeys(_NEW_OF_INPUTS_IN_8, 0)}
    uplifts = _rename_each(meta["uplifts"], _UPLIFT_TO_8)
    return {**meta, "alerts": alerts, "uplifts": uplifts, "logs": {}}


# -- version 8 to 9: the backlog by order lines, orders that are imported by the day --------------

_IMPORTS_IN_9 = {
    **dict.fromkeys(("import_ms", "import_until_ms", "import_covered_ms"), 0),
    "is_import_blackout": False,
    "is_outage": False,
    "day_import_orders": 0.0,
    **dict.fromkeys(("import_since_ms", "imported_orders"), 0),
    **dict.fromkeys(("day_burst_orders", "day_burst_ms", "before_orders", "before_ms"), 0),
}


def _meta_to_9(meta: dict[str, Any]) -> dict[str, Any]:
    alerts = meta["alerts"]
    order_feed = {**_IMPORTS_IN_9, **alerts["order_feed"]}
    return {**meta, "alerts": {**alerts, "order_feed": order_feed}}


_LINES_IN_9 = {
    # Of a backlog that was summed up no line is known, and of what waits no order is.
    "row": ColumnChanges(added={"open_line_units": 0}),
    "entry": ColumnChanges(added={"order_key": 0}),
}

# -- version 9 to 10: the dispersion of hours -----------------------------------------------------

_HOURS_IN_10 = (
    *("hour_ms", "hour_orders", "hours_orders", "hours_squares", "hours_products"),
    *("fullest_hour_orders", "fullest_hour_days", "hourly_excess", "hourly_weight"),
    "surge_dispersion",
)
"""Nothing is known of the hours yet: the prior holds."""


def _meta_to_10(meta: dict[str, Any]) -> dict[str, Any]:
    """Groups were judged by each partition alone: the whole begins anew, and what was open ends."""
    alerts = dict(meta["alerts"])
    ended = [
        (kind, group, incident["window_ms"], incident["version"])
        for kind, name in (("broad_surge", "group_surges"), ("plan_shortfall", "group_shortfalls"))
        for group, incident in alerts.pop(name).items()
    ]
    if since_ms := alerts.pop("silent_since_ms"):
        ended.append(("stale_input", "", since_ms, 1))
    return {**meta, "alerts": alerts, "facts": [], "groups": None, "ended": ended}


_STEPS = {
    7: Step(
        moved={"told": "catalog"},
        meta=_meta_to_8,
        values={"incidents": _alert_to_8, "orders": _order_to_8, "outbox": _outbox_to_8},
        columns={"row": ColumnChanges(renamed=_ROW_TO_8, added={"backlog_age_since_ms": 0})},
    ),
    8: Step(meta=_meta_to_9, columns=_LINES_IN_9),
    9: Step(meta=_meta_to_10, columns={"row": ColumnChanges(added=dict.fromkeys(_HOURS_IN_10, 0))}),
}
"""By the version that a step starts from; none between the oldest and the newest is left out."""

OLDEST_VERSION = min(_STEPS)


# -- versions and layouts --------------------------------------------------------------------------


class _Version(msgspec.Struct):
    version: int


def version_of(meta: bytes) -> int:
    """Return the state version that a shard's meta names.

    >>> version_of(b'{"version":7,"clocks":{}}')
    7
    """
    return msgspec.json.decode(meta, type=_Version).version


def require_known(version: int, what: str) -> None:
    """Raise unless this Tidegate can go on from a state version.

    Args:
        version: of the state.
        what: which state, for the text.

    Raises:
        StateVersionError: the version is newer than this one, or too old.
    """
    if version > STATE_VERSION:
        raise StateVersionError(
            f"{what} has state version {version}, newer than {STATE_VERSION}, the newest that this "
            "Tidegate knows: run the Tidegate that wrote it, or go back to an export of version "
            f"{STATE_VERSION} with `tidegate state import DIR --replace`"
        )
    if version < OLDEST_VERSION:
        raise StateVersionError(
            f"{what} has state version {version}, older than {OLDEST_VERSION}, the oldest that "
            "this Tidegate upgrades: run `tidegate worker` of a Tidegate that upgrades version "
            f"{version} first, until its `tidegate doctor` names no older version"
        )


@cache
def packed_layout() -> bytes:
    """Return the layout of this version's packed tables as it lies in a shard's hash."""
    return msgspec.json.encode({name: dtype.descr for name, dtype in TABLES.items()})


def read_layout(packed: bytes) -> Layout:
    """Return the layout of packed tables that was stored."""
    return {name: _dtype(columns) for name, columns in json.loads(packed).items()}


def _dtype(columns: list[list[Any]]) -> "np.dtype[np.void]":
    described = [(name, kind, *map(tuple, shape)) for name, kind, *shape in columns]
    return np.dtype(described)


def _layout_of(version: int, stored: bytes | None, what: str) -> Layout:
    if version < _FIRST_STORED_LAYOUT:
        shipped = files("infra.redis").joinpath(f"layout-{version}.json")
        return read_layout(shipped.read_bytes())
    if stored is None:
        raise StateVersionError(f"{what} has state version {version}, but no layout is stored")
    return read_layout(stored)


# -- the way of one shard --------------------------------------------------------------------------


class Upgrade:
    """The way from a stored shard to the newest version; for the newest there is nothing to do.

    Args:
        meta: as stored.
        layout: as stored; None where the version stored none.
        what: which shard, for the texts of errors.

    Raises:
        StateVersionError: there is no way.
    """

    def __init__(self, meta: bytes, layout: bytes | None, what: str) -> None:
        self.version = version_of(meta)
        require_known(self.version, what)
        self.meta_before = meta
        self._steps = [_STEPS[version] for version in range(self.version, STATE_VERSION)]
        self._repacks = self._plan(_layout_of(self.version, layout, what), what)
        self.meta = self._upgraded_meta() if self.is_needed else meta

    @property
    def is_needed(self) -> bool:
        """Whether the shard was stored by an older version."""
        return self.version < STATE_VERSION

    def _upgraded_meta(self) -> bytes:
        meta: dict[str, Any] = msgspec.json.decode(self.meta_before)
        for step in self._steps:
            meta = step.meta(meta)
        return msgspec.json.encode({**meta, "version": STATE_VERSION})

    def _plan(self, stored: Layout, what: str) -> dict[str, "_Repack"]:
        plans = {}
        for name, now in TABLES.items():
            changes = [step.columns.get(name, ColumnChanges()) for step in self._steps]
            repack = _Repack(f"{what}, table {name!r}", stored[name], now, changes)
            if not repack.is_same:
                plans[name] = repack
        return plans

    @property
    def moved(self) -> dict[str, str]:
        """The families of keys that have another name now: old name -> new name."""
        found: dict[str, str] = {}
        for step in self._steps:
            found = {old: step.moved.get(new, new) for old, new in found.items()}
            known = set(found.values())
            found.update({old: new for old, new in step.moved.items() if new not in known})
        return found

    def source(self, family: str) -> str:
        """Return the name under which a family of keys is stored as yet."""
        return next((old for old, new in self.moved.items() if new == family), family)

    @property
    def rewritten(self) -> list[str]:
        """The families of keys, by their new names, of which values change."""
        converted = {family for step in self._steps for family in step.values}
        repacked = {family for family, table in TABLE_OF.items() if table in self._repacks}
        return sorted(converted | repacked)

    def values(self, family: str, stored: list[bytes]) -> list[bytes]:
        """Return stored values of a family of keys, by its new name, in their new form."""
        for step in self._steps:
            if (convert := step.values.get(family)) is not None:
                stored = [convert(value) for value in stored]
        repack = self._repacks.get(TABLE_OF.get(family, ""))
        if repack is None:
            return stored
        if family == "pending":
            return [_repack_chunk(value, repack) for value in stored]
        return repack.values(stored)

    def fields(self, family: str, stored: Fields) -> dict[bytes, bytes]:
        """Return a hash of a family of keys in its new form."""
        return dict(zip(stored, self.values(family, list(stored.values())), strict=True))


def _repack_chunk(packed: bytes, repack: "_Repack") -> bytes:
    topic, entries, *rest = msgspec.msgpack.decode(packed)
    return msgspec.msgpack.encode((topic, *repack.values([entries]), *rest))


class _Repack:
    """From one layout of a table to another: by the names of its columns.

    Raises:
        StateVersionError: the layouts differ by more than the steps between them say.
    """

    def __init__(
        self,
        what: str,
        stored: "np.dtype[np.void]",
        now: "np.dtype[np.void]",
        changes: list[ColumnChanges],
    ) -> None:
        self._stored, self._now = stored, now
        names = {name: name for name in stored.names or ()}  # as stored -> as they are called now
        self._defaults: dict[str, float | bytes] = {}
        for change in changes:
            names = {
                old: change.renamed.get(name, name)
                for old, name in names.items()
                if name not in change.removed
            }
            self._defaults = {
                change.renamed.get(name, name): default
                for name, default in {**self._defaults, **change.added}.items()
                if name not in change.removed
            }
        self._columns = {new: old for old, new in names.items()}
        self._require_whole(what)

    def _require_whole(self, what: str) -> None:
        """A column that no step speaks of must be in both layouts, and of the same type."""
        now = set(self._now.names or ())
        known = {*self._columns, *self._defaults}
        if lost := sorted(known - now):
            raise StateVersionError(f"{what}: no step says what became of {', '.join(lost)}")
        if new := sorted(now - known):
            raise StateVersionError(f"{what}: no step says where {', '.join(new)} comes from")
        for name, old in self._columns.items():
            if self._stored[old] != self._now[name]:
                rule = f"must be {self._now[name]}, got {self._stored[old]}"
                raise StateVersionError(f"{what}: column {name} {rule}")

    @property
    def is_same(self) -> bool:
        """Whether the bytes stay as they are: columns may have other names."""
        order = [self._columns.get(name) for name in self._now.names or ()]
        return order == list(self._stored.names or ())

    def values(self, stored: list[bytes]) -> list[bytes]:
        """Return packed values, each of any number of records, in the new layout."""
        before: Table = np.frombuffer(b"".join(stored), self._stored)
        after: Table = np.zeros(before.size, self._now)
        for name in self._now.names or ():
            old = self._columns.get(name)
            after[name] = self._defaults[name] if old is None else before[old]
        packed = after.tobytes()
        size, old_size = self._now.itemsize, self._stored.itemsize
        ends = np.cumsum([len(value) // old_size for value in stored]).tolist()
        starts = [0, *ends[:-1]]
        return [packed[a * size : b * size] for a, b in zip(starts, ends, strict=True)]
