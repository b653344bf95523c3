"""From packed state to rows with names: pure, so that whoever has the bytes can read them."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from policy.record import CODES
from streams.contracts.purchase_orders import Occasion
from streams.demand.campaigns import Uplift
from streams.replenishment.decision_record import (
    CANDIDATE_UNITS,
    CANDIDATES,
    DEMAND_BASIS,
    POLICY_INPUTS,
    RESULTS,
    code_name,
)
from streams.state.bucket_rings import DAY_CELL
from streams.state.items import ESTIMATE_WORDS, READABLE, ROW
from streams.timestamps import rfc3339
from streams.types import Table

Names = Sequence[tuple[str, str]]  # (sku, warehouse) by place
Row = tuple[Any, ...]

DAY_COLUMNS = ("day", "sku", "orders", "lines", "units")
WAREHOUSE_DAY_COLUMNS = ("day", "sku", "warehouse", "orders", "lines", "units")
ITEM_COLUMNS = ("sku", "warehouse", *(name.removesuffix("_ms") for name in READABLE))

_STOCK = ("on_hand_units", "backlog_units", "on_order_lean_units", "on_order_flexible_units")
_QUANTITIES = ("quantity_lean_units", "quantity_flexible_units")
_COSTS = tuple(f"expected_cost_{candidate}" for candidate in CANDIDATES)
_OUTCOME = (*_QUANTITIES, *_COSTS, *CANDIDATE_UNITS, *RESULTS, "method", "reason")
_PLAIN = (*_STOCK, *DEMAND_BASIS, *POLICY_INPUTS, *_OUTCOME)
DECISION_COLUMNS = ("reviewed_at", "window_started_at", "sku", "warehouse", "occasion", *_PLAIN)


class StateError(ValueError):
    """Something in Redis is not what this version of Tidegate writes."""

    def __init__(self, key: str, rule: str, value: object) -> None:
        super().__init__(
            f"{key} must be {rule}, got {value!r}: was it written by another version of Tidegate?"
        )


def unpack(packed: bytes, dtype: "np.dtype[np.void]", key: str) -> Table:
    """Return packed records; raise `StateError` where they are of another shape."""
    if len(packed) % dtype.itemsize:
        raise StateError(key, f"records of {dtype.itemsize} bytes", f"{len(packed)} bytes")
    return np.frombuffer(packed, dtype)


# --- days -------------------------------------------------------------------------------------


def day_rows(
    day: str, hashes: Mapping[str, Mapping[bytes, bytes]], *, by_warehouse: bool
) -> list[Row]:
    """Return what each sku sold on one day, sorted; rows of `DAY_COLUMNS`.

    Args:
        day: as it is shown.
        hashes: key in Redis -> item -> its packed cell of that day.
        by_warehouse: a row for each warehouse (`WAREHOUSE_DAY_COLUMNS`), not one for all of them.
    """
    sums: dict[tuple[str, ...], tuple[int, int, int]] = {}
    for key, cells in hashes.items():
        table = unpack(b"".join(cells.values()), DAY_CELL, key)
        columns = (table[name].tolist() for name in ("orders", "lines", "units"))
        for item, orders, lines, units in zip(cells, *columns, strict=True):
            if lines > 0:
                sku, _, warehouse = text_of(item).rpartition("@")
                name = (sku, warehouse) if by_warehouse else (sku,)
                before = sums.get(name, (0, 0, 0))
                sums[name] = (before[0] + orders, before[1] + lines, before[2] + units)
    return [(day, *name, *sums[name]) for name in sorted(sums)]


# --- items ------------------------------------------------------------------------------------


def item_row(sku: str, warehouse: str, values: Sequence[bytes | None]) -> Row:
    """Return one item as a row of `ITEM_COLUMNS`.

    Args:
        sku: its name.
        warehouse: where it lies.
        values: of the fields `READABLE`, as they stand in Redis.
    """
    fields = zip(READABLE, values, strict=True)
    return (sku, warehouse, *(_readable_value(name, value) for name, value in fields))


def _readable_value(name: str, value: bytes | None) -> Any:
    if value is None:
        return None
    if name.endswith("_ms"):
        return time_or_none(int(value))
    if name in ESTIMATE_WORDS:
        return value.decode()
    return int(value) if ROW[name].kind == "i" else float(value)


UPLIFT_COLUMNS = (
    *("promotion", "windows", "units", "baseline_units", "uplift_factor", "uplift_factor_error"),
)


def uplift_row(promotion: str, uplift: Uplift) -> Row:
    """Return what promotions of a type brought as a row of `UPLIFT_COLUMNS`."""
    factor, error = uplift.factor, uplift.factor_error
    return (
        promotion,
        uplift.windows,
        uplift.units,
        round(uplift.baseline_units, 3),
        None if factor is None else round(factor, 4),
        None if error is None else round(error, 4),
    )


# --- decisions --------------------------------------------------------------------------------


def decision_rows(decisions: Table, names: Names) -> list[Row]:
    """Return decisions as rows of `DECISION_COLUMNS`, in the order given.

    The inputs stand under the names that `policy.recompute` reads, none for infinite.
    """
    places = decisions["item"].tolist()
    columns = [
        [_time(value) for value in decisions["reviewed_ms"].tolist()],
        [_time(value) for value in decisions["window_ms"].tolist()],
        [names[place][0] for place in places],
        [names[place][1] for place in places],
        [_OCCASIONS[is_surge] for is_surge in decisions["is_surge"].tolist()],
        *(_decision_column(name, decisions[name]) for name in _PLAIN),
    ]
    return list(zip(*columns, strict=True))


_OCCASIONS = {False: str(Occasion.REGULAR), True: str(Occasion.SURGE)}


def _decision_column(name: str, column: Table) -> list[Any]:
    values: list[Any] = column.tolist()
    if name in CODES:
        return [code_name(name, value) for value in values]
    if column.dtype.kind == "S":
        return [value.decode() for value in values]
    if column.ndim == 2:  # tiers of price breaks
        return [[one for one in tiers if np.isfinite(one)] for tiers in values]
    if column.dtype.kind == "f" and not np.isfinite(column).all():
        finite = np.isfinite(column).tolist()
        return [value if known else None for value, known in zip(values, finite, strict=True)]
    return values


def sorted_decision_rows(parts: Iterable[tuple[Table, Names]]) -> list[Row]:
    """Return the decisions of several partitions by time, sku, warehouse and occasion."""
    rows = [row for decisions, names in parts for row in decision_rows(decisions, names)]
    # Reviews stand at whole seconds and in UTC, so that their times sort as text.
    rows.sort(key=lambda row: (row[0], row[2], row[3], row[4]))
    return rows


# --- values -----------------------------------------------------------------------------------


def text_of(data: bytes) -> str:
    """Return a name as it came in: half characters are kept, as the store keeps them."""
    return data.decode("utf-8", "surrogatepass")


def time_or_none(milliseconds: int) -> str | None:
    """Return a time as text; 0 stands for none."""
    return _time(milliseconds) if milliseconds else None


@lru_cache(maxsize=65_536)  # a review has one time and many items
def _time(milliseconds: int) -> str:
    return rfc3339(milliseconds)
