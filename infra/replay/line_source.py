"""Lines of a file: plain, gzip, or standard input."""

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from infra.replay.faults import SourceError

STANDARD_INPUT = "-"


class LineSource:
    """The lines of a plain or gzip file, or of standard input. Read once."""

    def __init__(self, path: str | Path) -> None:
        self._name = "standard input" if str(path) == STANDARD_INPUT else str(path)
        self._file = _open(path, self._name)
        self._total_bytes = _size_bytes(self._file)

    def share(self) -> float | None:
        """How much of the file has been read, from 0 to 1; None when its size is not known."""
        if self._total_bytes is None:
            return None
        try:
            return min(1.0, self._file.tell() / max(self._total_bytes, 1))
        except (ValueError, OSError):  # closed meanwhile: read to its end
            return 1.0

    def __iter__(self) -> Iterator[bytes]:
        try:
            with self._file as file:
                yield from gzip.GzipFile(fileobj=file) if _is_gzip(file) else file
        except (EOFError, OSError, zlib.error) as error:  # what damaged gzip files raise
            raise SourceError(f"{self._name} must be readable to its end: {error}") from error


def open_lines(path: str | Path) -> LineSource:
    """Open a file of lines: plain, gzip (by its first bytes, not by its name), or `-`.

    Raises:
        SourceError: it cannot be opened; while iterating: it is damaged.
    """
    return LineSource(path)


def _open(path: str | Path, name: str) -> BinaryIO:
    try:
        # Not sys.stdin: a thread that waits in it makes the interpreter's own exit fail.
        return os.fdopen(os.dup(0), "rb") if str(path) == STANDARD_INPUT else open(path, "rb")
    except OSError as error:
        raise SourceError(f"{name} must be a readable file: {error.strerror}") from error


def _size_bytes(file: BinaryIO) -> int | None:
    return os.fstat(file.fileno()).st_size if file.seekable() else None


def _is_gzip(file: Any) -> bool:
    return bool(file.peek(2)[:2] == b"\x1f\x8b")
