"""The first rows of a file, and what their columns hold."""

from dataclasses import dataclass
from typing import Any

from infra.connect.files import Row
from infra.connect.guessing.headers import is_personal

SAMPLE_ROWS = 2_000


@dataclass
class Sample:
    """The first rows of a file, and what their columns hold."""

    rows: list[Row]

    def __post_init__(self) -> None:
        names: dict[str, None] = {}
        for row in self.rows:
            names.update(dict.fromkeys(row.cells))
        self.columns = [name for name in names if not is_personal(name)]

    def values(self, column: str) -> list[Any]:
        """Return what is filled of a column."""
        found = (row.cells.get(column) for row in self.rows)
        return [value for value in found if value not in (None, "")]

    def texts(self, column: str) -> list[str]:
        """Return the texts of a column; what a spreadsheet stores as a number or date is none."""
        return [value for value in self.values(column) if isinstance(value, str)]
