"""One check: what was found, and how long it may take to find it."""

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

CHECK_SECONDS = 3.0
"""Each check has so long; what takes longer is reported, and the next one begins."""

_CLEANING_SECONDS = 0.5  # so that connections are closed before the next check begins
_T = TypeVar("_T")


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"  # not looked at: what it depends on did not answer


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report."""

    name: str
    status: Status
    finding: str
    advice: str = ""

    def record(self) -> dict[str, str]:
        """The same for programs."""
        return {
            "name": self.name,
            "status": str(self.status),
            "finding": self.finding,
            "advice": self.advice,
        }


class NoAnswerError(Exception):
    """A check took longer than it may."""


def within(work: Callable[[], _T], seconds: float | None = None) -> _T:
    """Return what the work returns.

    It runs in a thread of its own, which is left alone when it takes too long.

    Raises:
        NoAnswerError: it took too long.
    """
    seconds = CHECK_SECONDS if seconds is None else seconds
    answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((work(), None))
        except BaseException as error:
            answers.put((None, error))

    threading.Thread(target=run, daemon=True, name="doctor").start()
    try:
        answer, error = answers.get(timeout=seconds + _CLEANING_SECONDS)
    except queue.Empty:
        raise NoAnswerError from None
    if error is not None:
        raise error
    result: _T = answer
    return result


def run_within(make: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Return what a coroutine returns; one that takes too long is cancelled.

    Raises:
        NoAnswerError: it took too long.
    """

    async def run() -> _T:
        try:
            async with asyncio.timeout(CHECK_SECONDS) as limit:
                return await make()
        except TimeoutError:
            if limit.expired():
                raise NoAnswerError from None
            raise

    return within(lambda: asyncio.run(run()))


@dataclass(slots=True)
class Server:
    """A server that checks ask; once it did not answer, it is asked no more.

    Attributes:
        name: for people.
        errors: with which its client fails.
        explain: says what such an error means.
        advice: where it cannot be reached.
        is_away: whether such an error means that it does not serve us at all.
        says_what_to_do: whether such an explanation has its own advice.
        away: why it is asked no more, in words; None means that it answers.
    """

    name: str
    errors: tuple[type[Exception], ...]
    explain: Callable[[Exception], str]
    advice: str
    is_away: Callable[[Exception], bool]
    says_what_to_do: Callable[[str], bool] = lambda text: False
    away: str | None = None

    def ask(self, check: str, ask: Callable[[], _T]) -> tuple[_T | None, list[Check]]:
        """Return what it answered; or None, and the line that says why there is no answer.

        Args:
            check: name of the line.
            ask: asks it; `within` or `run_within` bounds it.
        """
        if self.away is not None:
            return None, [self.skipped(check)]
        try:
            return ask(), []
        except NoAnswerError:
            self.away = f"{self.name} did not answer"
            text = f"{self.away} within {CHECK_SECONDS:g} s"
            advice = f"is it stopped, or busy with something long? {self.advice}"
            return None, [Check(check, Status.FAIL, text, advice)]
        except self.errors as error:
            if self.is_away(error):
                self.away = f"{self.name} did not answer"
            text = self.explain(error)
            advice = "" if self.says_what_to_do(text) else self.advice
            return None, [Check(check, Status.FAIL, text, advice)]

    def skipped(self, check: str) -> Check:
        """The line of what is not looked at because the server did not answer."""
        return Check(check, Status.SKIP, f"not looked at: {self.away}")
