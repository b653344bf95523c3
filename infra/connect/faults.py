"""What is wrong with the rows of a file: one line for each kind of fault, a file of them all."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

_EXAMPLES = 5
_LISTED = 1_000  # in the answer for programs
_SHOWN_CHARACTERS = 80
_RISKY = ("=", "+", "-", "@", "\t", "\r", "'")  # what begins like this a spreadsheet may run
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)*", re.ASCII)


class FileError(ValueError):
    """A file cannot be read at all."""


class CellError(ValueError):
    """A value breaks the rule of its field.

    Args:
        rule: what it must be.
        value: what it is.
        repaired: what it certainly means; None means that nobody knows.
    """

    def __init__(self, rule: str, value: object, repaired: str | None = None) -> None:
        super().__init__(f"must be {rule}, got {value!r}")
        self.rule = rule
        self.value = value
        self.repaired = repaired


@dataclass(frozen=True)
class Fault:
    """One value that breaks a rule; its row was not taken."""

    row: int  # as a spreadsheet counts: the header of a plain table is row 1
    line: int  # of the file; another number than the row where cells hold line breaks
    column: str
    rule: str
    value: str
    repaired: str | None = None

    def __str__(self) -> str:
        place = f"row {self.row}" + (f" (line {self.line})" if self.line != self.row else "")
        hint = f"; perhaps {self.repaired!r}" if self.repaired is not None else ""
        return f"{place}, {self.column}: must be {self.rule}, got {clip(self.value)!r}{hint}"

    def public(self) -> dict[str, Any]:
        """Return what a program gets."""
        own = {"row": self.row, "line": self.line, "column": self.column}
        repaired = {} if self.repaired is None else {"repaired": self.repaired}
        return {**own, "value": self.value, "rule": self.rule, **repaired}


@dataclass(frozen=True)
class LeftOut:
    """Rows that are no fault and no event, by reason, with examples."""

    row: int
    why: str
    what: str = ""


@dataclass
class FaultKind:
    """Faults of one column and rule."""

    column: str
    rule: str
    count: int = 0
    examples: list[Fault] = field(default_factory=list)


class Faults:
    """Counts faults by kind, keeps examples, and writes each to a file where one is asked for.

    Args:
        refused: takes the rows with a fault as CSV; None means that none is written.
        columns: of the file that a row is written with: only those that are used, so that names
            and addresses go nowhere.
    """

    def __init__(self, refused: IO[str] | None = None, columns: Sequence[str] = ()) -> None:
        self.kinds: dict[tuple[str, str], FaultKind] = {}
        self.listed: list[Fault] = []
        self.rows: Counter[str] = Counter()
        self._columns = columns
        self._writer = None if refused is None else csv.writer(refused)
        if self._writer is not None:
            self._writer.writerow([*_FAULT_COLUMNS, *columns])

    def add(self, faults: Iterable[Fault], cells: Mapping[str, Any]) -> None:
        """Take the faults of one row."""
        faults = list(faults)
        for fault in faults:
            kind = self.kinds.setdefault(
                (fault.column, fault.rule), FaultKind(fault.column, fault.rule)
            )
            kind.count += 1
            if len(kind.examples) < _EXAMPLES:
                kind.examples.append(fault)
            if len(self.listed) < _LISTED:
                self.listed.append(fault)
        self.rows["refused"] += 1
        if self._writer is not None:
            mended = {one.column: one.repaired for one in faults if one.repaired is not None}
            copy = [guarded(mended.get(name, cells.get(name))) for name in self._columns]
            for fault in faults:
                self._writer.writerow([*_fault_cells(fault), *copy])

    @property
    def count(self) -> int:
        """Rows that were refused."""
        return self.rows["refused"]

    def by_kind(self) -> list[FaultKind]:
        """Return the kinds, the most frequent first."""
        return sorted(self.kinds.values(), key=lambda kind: (-kind.count, kind.column, kind.rule))


_FAULT_COLUMNS = (
    "fault_row",
    "fault_line",
    "fault_column",
    "fault_rule",
    "fault_value",
    "repaired",
)


def _fault_cells(fault: Fault) -> list[object]:
    texts = (fault.column, fault.rule, fault.value, fault.repaired)
    return [fault.row, fault.line, *map(guarded, texts)]


def guarded(value: object) -> str:
    """Return a cell that no spreadsheet runs as a formula.

    >>> guarded("=1+1"), guarded("-3"), guarded(None)
    ("'=1+1", '-3', '')
    """
    text = "" if value is None else str(value)
    if text.startswith(_RISKY) and not _NUMBER.fullmatch(text):
        return "'" + text
    return text


def open_refused(path: Path) -> IO[str]:
    """Open the file of refused rows; the mark at its start tells spreadsheets that it is UTF-8."""
    try:
        return path.open("w", encoding="utf-8-sig", newline="")
    except OSError as error:
        raise FileError(f"{path} must be a file that can be written: {error.strerror}") from error


def clip(value: object) -> str:
    """Return a text that is short enough to be shown."""
    text = str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."
