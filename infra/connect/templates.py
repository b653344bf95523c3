"""Templates: files to fill in, one for each preset, as CSV or Excel."""

import csv
import io
from pathlib import Path
from typing import Literal

from infra.connect.presets import PRESETS, Preset

Form = Literal["csv", "xlsx"]
_TEXT_COLUMNS = ("sku", "order_id", "campaign_id")
_DATES = ("placed_at", "cancelled_at", "counted_at", "starts_at", "ends_at")


def template_text(name: str) -> str:
    """Return a template as CSV, with example rows.

    >>> template_text("counts").splitlines()[0]
    'sku,level,counted_at'
    """
    preset = PRESETS[name]
    text = io.StringIO()
    writer = csv.DictWriter(text, preset.columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(preset.example)
    return text.getvalue()


def write_template(name: str, path: Path) -> None:
    """Write a template as an Excel workbook: columns of ids are text, so that zeros stay."""
    from openpyxl import Workbook
    from openpyxl.styles import Font

    preset = PRESETS[name]
    book = Workbook()
    sheet = book.active
    sheet.title = name
    sheet.append(preset.columns)
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    for row in preset.example:
        sheet.append([row.get(column, "") for column in preset.columns])
    for place, column in enumerate(preset.columns, 1):
        letter = sheet.cell(1, place).column_letter
        sheet.column_dimensions[letter].width = max(12, len(column) + 4)
        if column in (*_TEXT_COLUMNS, *_DATES):
            for number in range(2, 1_000):
                sheet.cell(number, place).number_format = "@"
    sheet.freeze_panes = "A2"
    _add_help(book, preset)
    book.save(path)


def _add_help(book: object, preset: Preset) -> None:
    sheet = book.create_sheet("read me")  # type: ignore[attr-defined]
    sheet.append(["needed", ", ".join(" or ".join(group) for group in preset.needs)])
    sheet.append(["may be there", ", ".join(preset.may)])
    sheet.append(["rows", f"{preset.words}; delete the example"])
    sheet.column_dimensions["A"].width = 16
