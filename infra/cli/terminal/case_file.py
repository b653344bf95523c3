"""JSON files of cases: one or a list, read strictly, with complaints that say where they belong."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.cli.terminal.failures import CommandError, ExitCode
from infra.replay.line_source import STANDARD_INPUT

LARGEST_FILE_BYTES = 16 * 1024 * 1024


def read_cases(file: Path) -> Any:
    """Return the JSON value of a file; `-` is standard input.

    Raises:
        CommandError: the file cannot be read, is too large, is no JSON or names a field twice.
    """
    name = "standard input" if str(file) == STANDARD_INPUT else str(file)
    with input_errors(name):
        text = _bytes(file)
        if len(text) > LARGEST_FILE_BYTES:
            raise ValueError(f"must be at most {LARGEST_FILE_BYTES} bytes")
        return json.loads(text, object_pairs_hook=_without_repeats)


def _bytes(file: Path) -> bytes:
    if str(file) == STANDARD_INPUT:
        return sys.stdin.buffer.read(LARGEST_FILE_BYTES + 1)
    with file.open("rb") as opened:
        return opened.read(LARGEST_FILE_BYTES + 1)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that names a field twice: JSON would silently keep the last one."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice} must be there once, got it {names.count(twice)} times")
    return fields


def case_name(kind: str, number: int, case: Any) -> str:
    """Return the number of a case in its file, and its name where it has one.

    >>> case_name("instance", 2, {"name": "row 7"}), case_name("case", 1, {})
    ('instance 2 (row 7)', 'case 1')
    """
    named = isinstance(case, Mapping) and "name" in case
    return f"{kind} {number} ({case['name']})" if named else f"{kind} {number}"


@contextmanager
def input_errors(place: str) -> Iterator[None]:
    """Say where an error of the input stands, in one line."""
    try:
        yield
    except OSError as error:
        raise CommandError(
            f"{place} must be a readable file: {error.strerror}", ExitCode.USAGE
        ) from error
    except json.JSONDecodeError as error:
        raise CommandError(f"{place} must be JSON: {error}", ExitCode.USAGE) from error
    except (ValueError, RecursionError) as error:
        text = f"{place}: {error}" if place else str(error)
        raise CommandError(text, ExitCode.USAGE) from error
