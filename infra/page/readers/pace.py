"""How often something is worth doing: never more than a tenth of the time goes into it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

BUSY_SHARE = 0.1


class Pace:
    """Says when a repeated work is due again: the dearer it was, the later.

    Args:
        least_seconds: between two beginnings.
        clock: seconds that only grow.

    >>> moments = iter([0.0, 1.0, 9.9, 10.0])
    >>> pace = Pace(2.0, lambda: next(moments))
    >>> with pace.doing():
    ...     pass  # from 0.0 to 1.0
    >>> pace.is_due(), pace.is_due()
    (False, True)
    """

    def __init__(self, least_seconds: float, clock: Callable[[], float]) -> None:
        self._least_seconds = least_seconds
        self._clock = clock
        self._due_at = float("-inf")

    def is_due(self) -> bool:
        """Whether it is time again."""
        return self._clock() >= self._due_at

    @contextmanager
    def doing(self) -> Iterator[None]:
        """Do it; how long it takes says when it is due again."""
        started = self._clock()
        yield
        took = self._clock() - started
        self._due_at = started + max(self._least_seconds, took / BUSY_SHARE)
