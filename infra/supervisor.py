"""Keeps a worker running: starts it as a child, and again however it ended, or when it hangs.

Two things end it for good: a person's order (SIGTERM or SIGINT to the supervisor), and settings
with which no worker ever ran (the child's exit code 2). The last line of the log says which of the
two it was. Everything else passes: a server that is away, a port that is still taken, an error in
the worker, and an end with code 0 that nobody ordered.

The child gives a sign of life every second through a pipe that it inherits, as long as its own
progress check holds (`Worker.is_alive`, what `/livez` says). It needs no port and no token, and a
child whose event loop stands still gives none. The pipe tells either side when the other has died:
a worker never outlives its supervisor by more than a moment.

Nothing heavy is imported here: the supervisor is small beside its worker.
"""

import logging
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType

SIGNS_VARIABLE = "TIDEGATE_SIGNS_FD"
ALIVE, STUCK = b"+", b"-"
_USAGE = 2
_CANNOT_START = 126
_log = logging.getLogger("tidegate.supervisor")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the supervisor waits for what."""

    start_s: float = 300.0  # for the first sign: a first start compiles
    silent_s: float = 120.0  # between signs: a kernel that is compiled late stops the loop
    stuck_signs: int = 3
    stop_s: float = 30.0
    backoff_s: tuple[float, ...] = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
    calm_s: float = 60.0  # a worker that lived so long starts anew without waiting


@dataclass(frozen=True, slots=True)
class _Run:
    """How one run of the worker ended."""

    code: int
    gave_signs: bool
    fault: str | None = None  # why the supervisor ended it; None means that it ended by itself

    @property
    def account(self) -> str:
        """What happened, for the log."""
        return f"the worker {self.fault or 'ended'} (code {self.code})"


class Supervisor:
    """Runs one command until a person stops it.

    Args:
        command: of the worker.
        patience: as above.
    """

    def __init__(self, command: Sequence[str], patience: Patience | None = None) -> None:
        self._command = list(command)
        self._patience = patience or Patience()
        self._wake_read, self._wake_write = os.pipe()
        self._ordered_by: signal.Signals | None = None
        self.starts = 0

    def run(self) -> int:
        """Return the exit code once the worker ended for good.

        It is 2 where a setting is wrong; after an order it is the code of the worker, 0 where
        it ended as it should.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        was_alive = False
        failures = 0
        while True:
            started = time.monotonic()
            run = self._run_once()
            was_alive |= run.gave_signs
            if self._ordered_by is not None:
                return self._end_as_ordered(run.code)
            if run.code == _USAGE and not was_alive:
                _log.error("not started again: a setting is wrong, correct it first (code 2)")
                return _USAGE
            failures = 0 if time.monotonic() - started > self._patience.calm_s else failures
            pause_s = self._patience.backoff_s[min(failures, len(self._patience.backoff_s) - 1)]
            failures += 1
            _log.warning("%s; starting it again in %g s", run.account, pause_s)
            if self._sleep(pause_s):
                return self._end_as_ordered(0)

    def _end_as_ordered(self, code: int) -> int:
        name = self._ordered_by.name if self._ordered_by is not None else "no signal"
        _log.info("stopped as ordered by %s; the worker ended with code %d", name, code)
        if code == -signal.SIGTERM:  # it was not far enough to heed the signal
            return 0
        return code if code >= 0 else 128 - code

    def _run_once(self) -> _Run:
        signs_read, signs_write = os.pipe()
        environment = {**os.environ, SIGNS_VARIABLE: str(signs_write)}
        try:
            child = subprocess.Popen(
                self._command,
                env=environment,
                pass_fds=[signs_write],
                start_new_session=True,  # Ctrl-C reaches the supervisor, which tells the worker
            )
        except OSError as error:  # the machine has no memory or no process left for it
            os.close(signs_read)
            return _Run(_CANNOT_START, gave_signs=False, fault=f"cannot be started: {error}")
        finally:
            os.close(signs_write)
        self.starts += 1
        try:
            gave_signs, fault = self._watch(child, signs_read)
            return _Run(self._end(child), gave_signs, fault)
        finally:
            os.close(signs_read)

    def _watch(self, child: "subprocess.Popen[bytes]", signs: int) -> tuple[bool, str | None]:
        """Return when the child ended, hangs or has to end.

        Returns:
            Whether it ever gave a sign of life, and why it has to be ended.
        """
        heard, stuck = 0, 0
        with selectors.DefaultSelector() as selector:
            selector.register(signs, selectors.EVENT_READ)
            selector.register(self._wake_read, selectors.EVENT_READ)
            while self._ordered_by is None:
                patience_s = self._patience.silent_s if heard else self._patience.start_s
                ready = [key.fd for key, _ in selector.select(patience_s)]
                if not ready:
                    return heard > 0, f"gave no sign for {patience_s:g} s"
                if signs not in ready:
                    continue
                given = os.read(signs, 4096)
                if not given:
                    break
                heard += len(given)
                since_alive = given.rpartition(ALIVE)[2]
                stuck = len(since_alive) + (stuck if since_alive == given else 0)
                if stuck >= self._patience.stuck_signs:
                    return True, "hung: records wait and none is read"
        return heard > 0, None

    def _end(self, child: "subprocess.Popen[bytes]") -> int:
        child.terminate()
        try:
            return child.wait(self._patience.stop_s)
        except subprocess.TimeoutExpired:
            _log.error("worker %d does not end, killing it", child.pid)
            child.kill()
            return child.wait()

    def _sleep(self, seconds: float) -> bool:
        """Wait; return whether the supervisor was ordered to stop meanwhile."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_read, selectors.EVENT_READ)
            selector.select(seconds)
        return self._ordered_by is not None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._ordered_by = signal.Signals(number)
        os.write(self._wake_write, b".")


def signs_of_life(write: Callable[[int, bytes], int] = os.write) -> Callable[[bool], bool] | None:
    """Return what gives a sign to the supervisor; none where there is no supervisor.

    The sign says whether the worker is alive; the call says whether anybody was there to see it.
    """
    if SIGNS_VARIABLE not in os.environ:
        return None
    signs = int(os.environ.pop(SIGNS_VARIABLE))
    os.set_blocking(signs, False)

    def give(is_alive: bool) -> bool:
        try:
            write(signs, ALIVE if is_alive else STUCK)
        except BlockingIOError:
            return True  # it is there, and busy
        except OSError:
            return False
        return True

    return give
