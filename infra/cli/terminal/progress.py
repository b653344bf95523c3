"""A bar for what takes longer than two seconds, on a terminal only."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from infra.cli.terminal.output import make_console, safe

PATIENCE_SECONDS = 2.0

Tell = Callable[[float, str], None]
"""Takes the share that is done, 0..1, and what is being done now."""


@contextmanager
def progress(text: str) -> Iterator[Tell]:
    """Show on standard error how far a command is, once it has taken two seconds.

    Yields:
        A function to tell the share that is done and what is being done. Elsewhere than on a
        terminal it does nothing.
    """
    if not sys.stderr.isatty():
        yield lambda share, text: None
        return
    bar = Progress(
        SpinnerColumn(),
        BarColumn(bar_width=30),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=make_console(stderr=True),
        transient=True,
    )
    task = bar.add_task(safe(text), total=1.0)
    later = threading.Timer(PATIENCE_SECONDS, bar.start)
    later.daemon = True
    later.start()
    try:
        yield lambda share, text: bar.update(task, completed=share, description=safe(text))
    finally:
        later.cancel()
        later.join()
        bar.stop()
