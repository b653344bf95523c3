"""What people see: text that cannot harm their terminal, tables, and one voice for complaints."""

import io
import logging
import sys
import unicodedata
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

_PIPE_COLUMNS = 160  # a pipe has no width; rich would cut at 80
_UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # control, bidirectional, unpaired, breaks


def safe(text: str) -> str:
    r"""Return text in which nothing can move the cursor, change colours or reverse the line.

    >>> safe("lamp\x1b[2J\u202e \U0001f4a1")
    'lamp\\x1b[2J\\u202e 💡'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(char) if _is_unsafe(char) else char for char in text)


def _is_unsafe(char: str) -> bool:
    return unicodedata.category(char) in _UNSAFE


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode()


def safe_bytes(data: bytes) -> str:
    r"""Return bytes as text that is safe to show; what is not UTF-8 as escapes.

    >>> safe_bytes(b'{"sku": "\xff\n')
    '{"sku": "\\xff\\n'
    """
    return safe(data.decode("utf-8", "backslashreplace"))


def prepare_streams() -> None:
    """Let no character end a command, and no library talk to the terminal."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # The client's own notices go to standard error unless somebody else takes them.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())


def make_console(*, stderr: bool = False) -> Console:
    """Return a console that takes no markup, no emoji codes and guesses no colours."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _PIPE_COLUMNS
    return Console(
        stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=False, width=width
    )


def complain(text: str) -> None:
    """Tell standard error what is wrong."""
    for line in f"tidegate: {text}".splitlines():  # a server's log may follow the one line
        note(line)


def note(text: str) -> None:
    """Tell standard error what is going on."""
    print(safe(text), file=sys.stderr, flush=True)


def make_table(
    columns: Sequence[tuple[str, bool]], rows: Iterable[Sequence[object]], title: str = ""
) -> Table:
    """Return a plain table.

    Args:
        columns: heading, and whether the column holds numbers.
        rows: what stands below the headings; it is made safe here.
        title: above it.
    """
    table = Table(
        title=safe(title) or None,
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, 2, 0, 0),
        header_style="dim",
        show_header=any(name for name, _ in columns),
        pad_edge=False,
    )
    for heading, is_number in columns:
        table.add_column(heading, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    return table


def make_facts(facts: Iterable[tuple[str, object]]) -> Table:
    """Return names and values, one pair a line."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts:
        grid.add_row(Text(name), _cell(value))
    return grid


def _cell(value: object) -> Text:
    return value if isinstance(value, Text) else Text(safe(str(value)))


def heading(text: str) -> Text:
    """Return a line that begins a part."""
    return Text(safe(text), style="bold")
