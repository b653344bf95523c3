"""Progress of a benchmark: a bar in a terminal, a line every few seconds elsewhere."""

import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

console = Console(stderr=True)
_SECONDS_BETWEEN_LINES = 5.0
Step = TypeVar("Step")


class Progress:
    """`with Progress("loading", total) as progress: progress.update(done)`."""

    def __init__(self, title: str, total: int) -> None:
        self._title = title
        self._total = total
        self._next_line = time.monotonic() + _SECONDS_BETWEEN_LINES
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bars.add_task(title, total=total)

    def update(self, done: int) -> None:
        self._bars.update(self._task, completed=done)
        if not console.is_terminal and time.monotonic() > self._next_line:
            self._next_line = time.monotonic() + _SECONDS_BETWEEN_LINES
            console.print(f"{self._title}: {done:,} of {self._total:,}")

    def __enter__(self) -> Self:
        if not console.is_terminal:
            console.print(f"{self._title} ...")
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bars.stop()


def steps(title: str, work: Sequence[Step]) -> Iterator[Step]:
    """Yield what there is to do, and show how much of it is done."""
    with Progress(title, len(work)) as progress:
        for done, step in enumerate(work):
            progress.update(done)
            yield step
        progress.update(len(work))
