"""Columns of a campaign as a table, and its template."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from infra.connect.guessing.headers import name_score, plain

PLACES = (
    *("campaign_id", "name", "goal", "audience", "method", "owner", "starts_at", "ends_at"),
    *("timezone", "checked_at", "currency", "order_profile", "late_cost_per_order"),
    *("peak_hour_share", "confidence"),
)
"""Columns that belong to the campaign."""

LINE = (
    *("sku", "warehouse", "expected_units", "expected_units_p10", "expected_units_p90"),
    *("expected_units_sd", "baseline_units_per_day", "uplift", "uplift_samples"),
    *("promise_days", "units_per_order", "price", "unit_cost", "ad_budget", "stock_units"),
    *("blocked_units", "owed_units", "give_up_cost_per_unit"),
)
LOT_PARTS = {
    "lot_units": ("lots", "units"),
    "lot_expires_at": ("lots", "expires_at"),
    "lot_blocked": ("lots", "blocked"),
    "arriving_units": ("arrivals", "units"),
    "arriving_at": ("arrivals", "expected_at"),
    "arriving_chance": ("arrivals", "chance"),
}
CAPACITY = (
    *("orders_per_day", "orders_per_hour", "hours_per_day", "units_per_day"),
    *("pack_orders_per_day", "packers", "pack_minutes_per_order", "staff"),
    *("orders_per_staff_hour", "space_units", "packages", "returns_per_day", "return_share"),
    *("return_days", "backlog_orders"),
)
COLUMNS = (*PLACES, *LINE, *LOT_PARTS, *CAPACITY)
TEXTS = (
    *("campaign_id", "name", "goal", "audience", "method", "owner", "starts_at", "ends_at"),
    *("timezone", "checked_at", "currency", "order_profile", "sku", "warehouse"),
    *("lot_expires_at", "lot_blocked", "arriving_at"),
)

_KNOWN_ELSEWHERE = {
    **{name: name for name in ("sku", "warehouse", "campaign_id", "starts_at", "ends_at")},
    **{name: name for name in ("expected_units", "price", "unit_cost", "currency")},
    "level": "stock_units",
}
_SURE = 0.9

EXAMPLE: dict[str, Any] = {
    "campaign_id": "sale-1111",
    "goal": "clear the summer mugs",
    "starts_at": "2026-11-11T00:00:00+08:00",
    "ends_at": "2026-11-12T00:00:00+08:00",
    "promise_days": 3,
    "currency": "EUR",
    "lines": [
        {
            "sku": "A",
            "expected_units": 8000,
            "expected_units_p90": 9500,
            "price": 20,
            "unit_cost": 12,
            "ad_budget": 4000,
            "stock_units": 5000,
            "lots": [{"units": 400, "expires_at": "2026-11-05"}],
            "arrivals": [{"units": 1000, "expected_at": "2026-11-09", "chance": 0.7}],
            "purchases": [
                {"kind": "lean", "supplier": "Slow & Steady", "lead_time_days": 9,
                 "unit_cost": 12, "minimum_units": 500},
                {"kind": "flexible", "supplier": "Fast & Co", "lead_time_days": 2,
                 "unit_cost": 14},
            ],
        }
    ],
    "capacity": [{"warehouse": "main", "orders_per_day": 500, "orders_per_hour": 50}],
    "extra_capacity": [
        {"kind": "overtime", "orders_per_day": 150, "cost_per_day": 400},
        {"kind": "third_party", "orders_per_day": 2000, "start_delay_days": 5,
         "cost_per_order": 2.5, "fixed_cost": 1000},
    ],
}  # fmt: skip
"""A whole campaign, as JSON."""

_ROW = {
    "campaign_id": "sale-1111",
    "starts_at": "2026-11-11T00:00:00+08:00",
    "ends_at": "2026-11-12T00:00:00+08:00",
    "promise_days": 3,
    "currency": "EUR",
    "sku": "A",
    "warehouse": "main",
    "expected_units": 8000,
    "expected_units_p90": 9500,
    "price": 20,
    "unit_cost": 12,
    "ad_budget": 4000,
    "stock_units": 5000,
    "blocked_units": 0,
    "lot_units": 400,
    "lot_expires_at": "2026-11-05",
    "arriving_units": 1000,
    "arriving_at": "2026-11-09",
    "arriving_chance": 0.7,
    "orders_per_day": 500,
    "orders_per_hour": 50,
}


def column_of(header: str) -> str | None:
    """Return the column that a header means; None means that it is none.

    >>> column_of("Expected units"), column_of("Artikelnummer"), column_of("orders_per_day")
    ('expected_units', 'sku', 'orders_per_day')
    """
    name = plain(header).replace(" ", "_")
    if name in COLUMNS:
        return name
    scores = {role: name_score(role, header) for role in _KNOWN_ELSEWHERE}
    best = max(scores, key=lambda role: scores[role])
    return _KNOWN_ELSEWHERE[best] if scores[best] >= _SURE else None


_ORDER_ROLES = {"order_id": "order_id", "sku": "sku", "quantity": "units",
                "promised_by": "promised_at"}  # fmt: skip


def order_column_of(header: str) -> str | None:
    """Return the field of an order that a column means; None means none of them.

    >>> order_column_of("Order number"), order_column_of("promised_at"), order_column_of("note")
    ('order_id', 'promised_at', None)
    """
    name = plain(header).replace(" ", "_")
    if name in _ORDER_ROLES.values():
        return name
    scores = {role: name_score(role, header) for role in _ORDER_ROLES}
    best = max(scores, key=lambda role: scores[role])
    return _ORDER_ROLES[best] if scores[best] >= _SURE else None


def template_text(form: str) -> str:
    """Return the template of a campaign with an example: `csv` or `json`."""
    if form == "json":
        return json.dumps(EXAMPLE, ensure_ascii=False, indent=2) + "\n"
    text = io.StringIO()
    writer = csv.DictWriter(text, list(_ROW), lineterminator="\n")
    writer.writeheader()
    writer.writerow(_ROW)
    return text.getvalue()


def write_workbook(path: Path) -> None:
    """Write the template as an Excel workbook, with all columns that may be there beside it."""
    from openpyxl import Workbook
    from openpyxl.styles import Font

    book = Workbook()
    sheet = book.active
    sheet.title = "campaign"
    sheet.append(list(_ROW))
    sheet.append(list(_ROW.values()))
    for place, (name, cell) in enumerate(zip(_ROW, sheet[1], strict=True), 1):
        cell.font = Font(bold=True)
        letter = sheet.cell(1, place).column_letter
        sheet.column_dimensions[letter].width = max(12, len(name) + 4)
        if name in TEXTS:
            for number in range(2, 1_000):
                sheet.cell(number, place).number_format = "@"
    sheet.freeze_panes = "A2"
    about = book.create_sheet("read me")
    about.append(["rows", "one for each sku and warehouse; more rows of it add lots and arrivals"])
    about.append(["columns", ", ".join(COLUMNS)])
    about.append(["more", "purchases and extra capacity: as JSON, see infra/campaigns/README.md"])
    book.save(path)
