"""The file of notices: one row for each notice that a customer gets, appended, never rewritten."""

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.campaigns.columns import order_column_of
from infra.connect.cells import NumberStyle, read_number, read_text
from infra.connect.faults import CellError, FileError
from infra.connect.files import open_source
from policy.errors import PolicyInputError

COLUMNS = ("order_id", "sku", "promised_date", "new_date", "noticed_at")


def read_notices(path: Path) -> list[dict[str, Any]]:
    """Return the newest notice of each order, as the document names them; no file means none."""
    if not path.exists() or not path.stat().st_size:
        return []
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    if rows and not {"order_id", "new_date"} <= set(rows[0]):
        raise FileError(f"{path} must be a file of notices with the columns {', '.join(COLUMNS)}")
    newest = {row["order_id"]: row["new_date"] for row in rows}
    return [{"order_id": name, "date": date or None} for name, date in newest.items()]


def append_notices(path: Path, found: Mapping[str, Any]) -> int:
    """Append the notices of an outcome and return how many; they are on the disk then."""
    wanted = set(found["notices"])
    rows = [
        {**{name: one.get(name) for name in COLUMNS}, "noticed_at": found["at"]}
        for one in found["late"]
        if one["order_id"] in wanted
    ]
    if not rows:
        return 0
    is_new = not path.exists() or not path.stat().st_size
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerows(rows)
        file.flush()
        os.fsync(file.fileno())
    return len(rows)


def read_orders(path: Path) -> list[dict[str, Any]]:
    """Return the orders of a file, in its order: order_id, sku, units, promised_at.

    Raises:
        FileError: a column is missing.
        PolicyInputError: a cell breaks its rule.
    """
    orders: list[dict[str, Any]] = []
    for row in open_source(path).rows():
        cells = {order_column_of(header): (header, value) for header, value in row.cells.items()}
        missing = [name for name in ("order_id", "sku", "promised_at") if name not in cells]
        if missing:
            raise FileError(f"{path.name} must have a column {missing[0]}")
        orders.append(_order(row.number, cells))
    return orders


def _order(number: int, cells: Mapping[str | None, tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {"units": 1}
    for name in ("order_id", "sku", "units", "promised_at"):
        header, value = cells.get(name, ("", None))
        if value in (None, ""):
            continue
        try:
            made[name] = read_number(value, NumberStyle()) if name == "units" else _plain(value)
        except CellError as error:
            raise PolicyInputError(f"row {number}, {header}", error.rule, value) from None
    return made


def _plain(value: Any) -> Any:
    return read_text(value) if isinstance(value, str | int | float) else value
