"""Files as rows: CSV, Excel, JSON, JSON Lines, Parquet, plain or compressed, read as a stream."""

import bz2
import csv
import gzip
import hashlib
import io
import lzma
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple, cast

import msgspec

from infra.connect import encodings
from infra.connect.faults import FileError
from infra.connect.json_values import BLANKS, json_values

_HEAD_BYTES = 65_536
_BLOCK_BYTES = 1 << 20
_MOST_CELL_CHARACTERS = 1 << 20
_HEADER_WITHIN_ROWS = 15
_DAMAGED = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


class Row(NamedTuple):
    """One row of a table, or one object of a JSON file."""

    number: int  # as a spreadsheet counts: the first line of a plain table is row 1
    line: int  # where it begins in the file
    cells: dict[str, Any]
    fault: str = ""  # why it cannot be read; the cells are what could be
    raw: int = 0  # stands for all its cells, also those that are not read


@dataclass(frozen=True)
class ReadOptions:
    """How a file is read; None means that it is found out."""

    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    header_row: int | None = None


@dataclass
class Source:
    """A file that can be read from its start any number of times.

    Args:
        path: where it is.
        form: csv, xlsx, json, jsonl or parquet.
        options: what was found out, or said.
    """

    path: Path
    form: str
    options: ReadOptions
    notes: list[str] = field(default_factory=list)
    used: frozenset[str] | None = None  # columns that are read; None means all of them

    def is_used(self, column: str) -> bool:
        """Whether a column is read."""
        return self.used is None or column in self.used

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.name

    @property
    def is_table(self) -> bool:
        """Whether rows are flat, under one header."""
        return self.form in ("csv", "xlsx", "parquet")

    @cached_property
    def digest(self) -> str:
        """Twelve digits that stand for all bytes of the file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:12]

    def rows(self) -> Iterator[Row]:
        """Yield every row; blank ones are left out.

        Raises:
            FileError: the file is damaged.
        """
        with _readable(self):
            yield from _READERS[self.form](self)

    def sample(self, count: int) -> list[Row]:
        """Return the first rows."""
        return list(islice(self.rows(), count))


@contextmanager
def _readable(source: Source) -> Iterator[None]:
    """Say of a file that cannot be read what it must be."""
    try:
        yield
    except UnicodeError as error:
        name = source.options.encoding or "utf-8"
        rule = f"text in {name} to its end; --encoding says another one"
        raise FileError(f"{source.name} must be {rule}: {error}") from error
    except _DAMAGED as error:
        raise FileError(f"{source.name} must be readable to its end: {error}") from error


def open_source(path: Path, options: ReadOptions | None = None) -> Source:
    """Find out what a file is. What is not certain (its encoding) is left open in the options.

    Raises:
        FileError: it cannot be opened, or is of a kind that is not read.
    """
    options = options or ReadOptions()
    try:
        with open_bytes(path) as file:
            head = file.read(_HEAD_BYTES)
    except _DAMAGED as error:
        raise FileError(f"{path} must be a readable file: {error}") from error
    form = _form_of(head, path)
    source = Source(path, form, options)
    if form in ("csv", "json", "jsonl") and options.encoding is None:
        source.options = replace(options, encoding=_certain_encoding(path, head))
    return source


def _form_of(head: bytes, path: Path) -> str:
    if head.startswith(b"PK\x03\x04"):
        return "xlsx"
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        rule = "saved as .xlsx or CSV: the old Excel format is not read"
        raise FileError(f"{path.name} must be {rule}")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        raise FileError(f"{path.name} must hold rows, got an empty file")
    if text[:1] not in (b"{", b"["):
        return "csv"
    first, _, rest = text.partition(b"\n")
    return "jsonl" if _is_object(first) and rest.strip() else "json"


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def _certain_encoding(path: Path, head: bytes) -> str | None:
    """Return the encoding of a file if it is beyond doubt."""
    if (marked := encodings.marked_encoding(head)) is not None:
        return marked
    with open_bytes(path) as file:
        return "utf-8" if encodings.is_utf8(_blocks(file)) else None


def foreign_lines(source: Source, count: int = 50) -> list[bytes]:
    """Return the first lines that are not UTF-8, to see how they read in other encodings."""
    with open_bytes(source.path) as file:
        foreign = (line.rstrip() for line in file if not encodings.is_utf8([line]))
        return list(islice(foreign, count))


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_BLOCK_BYTES):
        yield block


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Open a file; what is compressed (gzip, bzip2, xz, a zip of one file) is unpacked."""
    with path.open("rb") as raw:
        head = raw.read(6)
        raw.seek(0)
        if head.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=raw) as file:
                yield cast(BinaryIO, file)
        elif head.startswith(b"BZh"):
            with bz2.BZ2File(raw) as file:
                yield cast(BinaryIO, file)
        elif head.startswith(b"\xfd7zXZ"):
            with lzma.LZMAFile(raw) as file:
                yield cast(BinaryIO, file)
        elif head.startswith(b"\x28\xb5\x2f\xfd"):
            raise FileError(f"{path.name} must be plain, gzip, bzip2, xz or zip, got Zstandard")
        elif head.startswith(b"PK\x03\x04") and (member := _only_member(raw)) is not None:
            with zipfile.ZipFile(raw) as archive, archive.open(member) as file:
                yield cast(BinaryIO, file)
        else:
            raw.seek(0)
            yield raw


def _only_member(raw: BinaryIO) -> str | None:
    """Return the one file of a zip archive; None means that it is a workbook."""
    with zipfile.ZipFile(raw) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        names = [name for name in names if not name.startswith("__MACOSX")]
    if "[Content_Types].xml" in names:
        return None
    if len(names) != 1:
        raise FileError(f"a zip archive must hold one file, got {len(names)}")
    return names[0]


# --- tables of text ---------------------------------------------------------------------------


@contextmanager
def _open_text(source: Source) -> Iterator[IO[str]]:
    """Open a file as text; every encoding but UTF-8 was said or asked."""
    encoding = source.options.encoding or "utf-8"
    encoding = "utf-8-sig" if encoding == "utf-8" else encoding
    with open_bytes(source.path) as file:
        text = io.TextIOWrapper(file, encoding=encoding, newline="")
        try:
            yield text
        finally:
            text.detach()


def _csv_rows(source: Source) -> Iterator[Row]:
    csv.field_size_limit(_MOST_CELL_CHARACTERS)
    with _open_text(source) as text:
        delimiter = source.options.delimiter or csv_delimiter(source)
        yield from _under_header(source, _numbered(csv.reader(text, delimiter=delimiter)))


def _numbered(reader: Any) -> Iterator[tuple[int, int, list[Any]]]:
    """Yield number, line and cells of each row; a row ends where its last cell does."""
    line = 1
    rows = iter(reader)
    number = 0
    while True:
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise FileError(f"line {reader.line_num} must be a row of CSV: {error}") from error
        number += 1
        yield number, line, cells
        line = reader.line_num + 1


def csv_delimiter(source: Source) -> str:
    """Return the separator of a table of text."""
    lines = head_lines(source)
    if lines and lines[0].casefold().startswith("sep=") and len(lines[0].strip()) == 5:
        return lines[0].strip()[4]
    return encodings.guess_delimiter(lines)[0]


def head_lines(source: Source, count: int = 40) -> list[str]:
    """Return the first lines of a text file."""
    with _readable(source), _open_text(source) as text:
        return list(islice(text, count))


def _under_header(source: Source, rows: Iterable[tuple[int, int, list[Any]]]) -> Iterator[Row]:
    """Give the cells of each row the names of the header."""
    rows = iter(rows)
    first = list(islice(rows, _HEADER_WITHIN_ROWS))
    place = _header_place(source, first)
    if place is None:
        return
    header = [_clean(cell) for cell in first[place][2]]
    while header and header[-1] in ("", None):
        header.pop()
    names = unique_names(header)
    used = [(n, name) for n, name in enumerate(names) if source.is_used(name)]
    for number, line, cells in _chained(first[place + 1 :], rows):
        values = {name: _clean(cells[n]) if n < len(cells) else None for n, name in used}
        if _is_blank(values, cells) or _is_header(cells, header):
            continue  # or the header once more, where files were put together
        fault = ""
        if len(cells) > len(names) and any(_clean(cell) for cell in cells[len(names) :]):
            fault = f"of at most {len(names)} cells: a separator inside a cell needs quotes"
        yield Row(number, line, values, fault, hash(tuple(cells)))


def _is_blank(values: Mapping[str, Any], cells: Iterable[Any]) -> bool:
    """Whether nothing stands in a row, be it in a column that is used or in another."""
    return not any(map(_is_filled, values.values())) and not any(map(_is_filled, cells))


def _is_header(cells: list[Any], header: list[Any]) -> bool:
    is_like = _clean(cells[0]) == header[0] if cells else False
    return is_like and [_clean(cell) for cell in cells[: len(header)]] == header


def _is_filled(cell: Any) -> bool:
    return _clean(cell) not in ("", None)


def _chained(*parts: Iterable[Any]) -> Iterator[Any]:
    for part in parts:
        yield from part


def _header_place(source: Source, rows: list[tuple[int, int, list[Any]]]) -> int | None:
    """Return the place of the header: titles and blank rows may stand above it."""
    wanted = source.options.header_row
    if wanted is not None:
        return next((n for n, row in enumerate(rows) if row[0] == wanted), None)
    filled = [sum(_clean(cell) not in ("", None) for cell in cells) for _, _, cells in rows]
    if not any(filled):
        return None
    widest = max(filled)
    # A title has one or two cells; the header is the first row about as wide as the table.
    return next(n for n, count in enumerate(filled) if count and count * 2 > widest)


def unique_names(header: Iterable[object]) -> list[str]:
    """Return names of columns, each once.

    >>> unique_names(["sku", "", "sku"])
    ['sku', 'column 2', 'sku (2)']
    """
    names: list[str] = []
    for place, cell in enumerate(header, 1):
        base = str(cell) if cell not in ("", None) else f"column {place}"
        name, copy = base, 1
        while name in names:
            copy += 1
            name = f"{base} ({copy})"
        names.append(name)
    return names


def _clean(cell: Any) -> Any:
    """Return a cell without blanks around it; ="007" is how Excel is kept from making 7 of it."""
    if not isinstance(cell, str):
        return cell
    text = cell.strip(BLANKS)
    if text.startswith('="') and text.endswith('"') and len(text) > 2:
        return text[2:-1]
    return text


# --- workbooks --------------------------------------------------------------------------------


def _xlsx_rows(source: Source) -> Iterator[Row]:
    import warnings

    from openpyxl import load_workbook

    with open_bytes(source.path) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of styles and extensions that do not matter here
        try:
            book = load_workbook(file, read_only=True, data_only=True)
        except (KeyError, ValueError, *_DAMAGED) as error:
            raise FileError(f"{source.name} must be an Excel workbook: {error}") from error
        sheet = _sheet_of(source, book)
        sheet.reset_dimensions()  # some writers state a wrong one
        rows = (
            (number, number, [_cell_value(cell) for cell in cells])
            for number, cells in enumerate(sheet.iter_rows(), 1)
        )
        yield from _under_header(source, rows)


def _sheet_of(source: Source, book: Any) -> Any:
    wanted = source.options.sheet
    if wanted is not None:
        if wanted not in book.sheetnames:
            names = ", ".join(book.sheetnames)
            raise FileError(f"sheet must be one of {names}, got {wanted!r}")
        return book[wanted]
    name = book.sheetnames[0]
    for candidate in book.sheetnames:
        rows = list(islice(book[candidate].iter_rows(values_only=True), 3))
        if sum(any(cell is not None for cell in row) for row in rows) >= 2:
            name = candidate
            break
    note = f"sheet {name!r} of {len(book.sheetnames)} is read; --sheet reads another"
    if len(book.sheetnames) > 1 and note not in source.notes:
        source.notes.append(note)
    return book[name]


def _cell_value(cell: Any) -> Any:
    value = cell.value
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float) and float(value).is_integer():
        width = (cell.number_format or "").strip()
        if len(width) > 1 and set(width) == {"0"}:  # a format that shows zeros at the start
            return str(int(value)).zfill(len(width))
        return int(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time(12))
    return value


# --- JSON -------------------------------------------------------------------------------------


def _jsonl_rows(source: Source) -> Iterator[Row]:
    with _open_text(source) as lines:
        number = 0
        for line, text in enumerate(lines, 1):
            if not text.strip():
                continue
            number += 1
            try:
                value = msgspec.json.decode(text)
            except (msgspec.DecodeError, UnicodeError):
                value = None
            if isinstance(value, dict):
                yield Row(number, line, value)
            else:
                yield Row(number, line, {}, "a JSON object")


def _json_rows(source: Source) -> Iterator[Row]:
    with _open_text(source) as text:
        for number, value in enumerate(json_values(text, source.name), 1):
            if isinstance(value, dict):
                yield Row(number, number, value)
            else:
                yield Row(number, number, {}, "a JSON object")


# --- Parquet ----------------------------------------------------------------------------------


def _parquet_rows(source: Source) -> Iterator[Row]:
    try:
        from pyarrow import ArrowInvalid, parquet
    except ImportError:
        raise FileError(
            f"{source.name} is Parquet, which needs a library that is not installed: "
            'pip install "tidegate[parquet]", or save it as CSV'
        ) from None
    with open_bytes(source.path) as file:
        data = file if isinstance(file, io.BufferedReader) else io.BytesIO(file.read())
        try:
            table = parquet.ParquetFile(data)
        except ArrowInvalid as error:
            raise FileError(f"{source.name} must be Parquet: {error}") from None
        number = 0
        for batch in table.iter_batches(batch_size=10_000):
            for cells in batch.to_pylist():
                number += 1
                yield Row(number, number, {name: _clean(cell) for name, cell in cells.items()})


_READERS = {
    "csv": _csv_rows,
    "xlsx": _xlsx_rows,
    "json": _json_rows,
    "jsonl": _jsonl_rows,
    "parquet": _parquet_rows,
}


def size_bytes(path: Path) -> int:
    """Return how large a file is."""
    return os.stat(path).st_size
