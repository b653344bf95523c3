"""Demand history out of a file of events: units per item and day, and what its catalog says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from infra.replay.faults import Record
from policy import ServiceType
from policy.review_inputs import ROLES
from streams.contracts.events import MOST_PRICE_BREAKS, Item, PriceBreak
from streams.timestamps import DAY_MS

# How units of a line count towards the day's demand.
_SIGNS = {"placed": 1, "cancelled": -1}


@dataclass(frozen=True)
class History:
    """Demand of items over days, and their terms.

    `demand` has shape (item, day), units, in UTC days from `first_day` (days since 1970): what was
    ordered less what was cancelled on the same day, never below 0. `terms` has a column for each
    field that `policy.studies.backtest` reads, shape (item,). Busiest items first.
    """

    skus: Sequence[str]
    first_day: int
    demand: npt.NDArray[np.float64]
    terms: dict[str, npt.NDArray[np.float64]]
    left_out: int
    """Items with orders that are not here."""
    bad_records: int = 0
    """Records that are no orders or catalog lines, though they stand among them."""

    def busiest(self, items: int) -> History:
        """Return the history of the first `items` items."""
        return self._only(np.arange(min(items, len(self.skus))))

    def with_demand_before(self, day: int) -> History:
        """Return the history of the items that sold before a day, counted from the first one.

        Raises:
            ValueError: no item did.
        """
        sold = np.flatnonzero(self.demand[:, : max(0, day)].any(axis=1))
        if not sold.size:
            raise ValueError(f"some item must sell in the first {day} days, got none")
        return self._only(sold)

    def _only(self, rows: npt.NDArray[np.int64]) -> History:
        terms = {name: column[rows] for name, column in self.terms.items()}
        skus = [self.skus[row] for row in rows]
        left_out = self.left_out + len(self.skus) - len(skus)
        return History(skus, self.first_day, self.demand[rows], terms, left_out, self.bad_records)


class _Line(msgspec.Struct):
    """What counts of an order line."""

    kind: str
    quantity: Annotated[int, msgspec.Meta(ge=0)] = 0


_line_decoder = msgspec.json.Decoder(_Line)
_item_decoder = msgspec.json.Decoder(Item)


def read_history(records: Iterable[Record], tell: Callable[[], None] | None = None) -> History:
    """Return the demand that the records of a file hold; a bad record counts as none.

    Args:
        records: of `infra.replay.schemas.adapt`; only catalog lines and orders count. An item's
            last catalog line holds for the whole history.
        tell: called now and then.

    Raises:
        ValueError: there is no item with both a catalog line and demand.
    """
    units: dict[str, dict[int, int]] = {}
    items: dict[str, Item] = {}
    bad_records = 0
    for number, record in enumerate(records):
        if tell and number % 10_000 == 0:
            tell()
        try:
            _count(record, units, items)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            bad_records += 1
    known = [sku for sku in units if sku in items and any(n > 0 for n in units[sku].values())]
    if not known:
        rule = "at least one item with orders and a catalog line"
        raise ValueError(f"the file must hold {rule}, got {len(units)} items with orders")
    history = _history(known, units, items, len(units) - len(known))
    return replace(history, bad_records=bad_records)


def _count(record: Record, units: dict[str, dict[int, int]], items: dict[str, Item]) -> None:
    """Take a record into the units of its day, or the catalog.

    Raises:
        DecodeError: it is neither an order's event nor a catalog line.
    """
    if record.topic == "orders":
        line = _line_decoder.decode(record.value)
        days = units.setdefault(record.key.decode(), {})
        day = record.occurred_ms // DAY_MS
        days[day] = days.get(day, 0) + _SIGNS.get(line.kind, 0) * line.quantity
    elif record.topic == "catalog" and b'"kind":"item"' in record.value:
        items[record.key.decode()] = _item_decoder.decode(record.value)


def _history(
    known: list[str], units: dict[str, dict[int, int]], items: dict[str, Item], missing: int
) -> History:
    first = min(min(units[sku]) for sku in known)
    last = max(max(units[sku]) for sku in known)
    totals = {sku: sum(max(0, count) for count in units[sku].values()) for sku in known}
    known = sorted(known, key=lambda sku: (-totals[sku], sku))
    demand = np.zeros((len(known), last - first + 1))
    for row, sku in enumerate(known):
        for day, count in units[sku].items():
            demand[row, day - first] = max(0, count)
    return History(known, first, demand, _terms([items[sku] for sku in known]), missing)


class _Column(Protocol):
    def __call__(self, item: Item) -> float: ...


def _terms(items: list[Item]) -> dict[str, npt.NDArray[np.float64]]:
    columns = {name: _plain(name) for name in _PLAIN_FIELDS}
    columns["service_target"] = lambda item: item.service_target or 0.0
    columns["service_type"] = _service_type
    columns["lean_capacity_units"] = _capacity
    terms = {name: np.array([float(of(item)) for item in items]) for name, of in columns.items()}
    for role in ROLES:
        breaks = [getattr(item, f"price_breaks_{role}") for item in items]
        if any(breaks):
            terms |= _breaks(role, breaks)
    return terms


def _breaks(role: str, lines: list[list[PriceBreak]]) -> dict[str, npt.NDArray[np.float64]]:
    shape = (len(lines), MOST_PRICE_BREAKS)
    units, unit_cost = np.full(shape, np.inf), np.full(shape, np.inf)
    for row, breaks in enumerate(lines):
        for tier, one in enumerate(breaks):
            units[row, tier], unit_cost[row, tier] = one.from_units, one.unit_cost
    return {f"price_break_units_{role}": units, f"price_break_unit_cost_{role}": unit_cost}


def _plain(name: str) -> _Column:
    return lambda item: float(getattr(item, name))


def _service_type(item: Item) -> float:
    wanted: Any = item.service_type
    return float(ServiceType.COST if item.service_target is None else ServiceType[wanted.upper()])


def _capacity(item: Item) -> float:
    return float("inf") if item.lean_capacity_units is None else float(item.lean_capacity_units)


_PLAIN_FIELDS = (
    *("review_period_days", "lead_time_days_lean", "lead_time_days_flexible"),
    *("setup_cost_lean", "setup_cost_flexible", "unit_cost_lean", "unit_cost_flexible"),
    *("holding_cost_per_unit_day", "backorder_cost_per_unit_day"),
    *("minimum_order_units_lean", "minimum_order_units_flexible"),
    *("pack_size_units_lean", "pack_size_units_flexible"),
)
