"""Keeps a worker running: starts it as a child, and again when it ended or hangs.

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
_USAGE, _UNREACHABLE = 2, 3
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


class Supervisor:
    """Runs one command until it is told to stop.

    Args:
        command: of the worker.
        patience: as above.
    """

    def __init__(self, command: Sequence[str], patience: Patience | None = None) -> None:
        self._command = list(command)
        self._patience = patience or Patience()
        self._wake_read, self._wake_write = os.pipe()
        self._is_told_to_stop = False
        self.starts = 0

    def run(self) -> int:
        """Return the worker's exit code once it ended for good."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        was_alive = False
        failures = 0
        while True:
            started = time.monotonic()
            code, gave_signs = self._run_once()
            was_alive |= gave_signs
            if self._is_over(code, was_alive):
                return code
            failures = 0 if time.monotonic() - started > self._patience.calm_s else failures
            pause_s = self._patience.backoff_s[min(failures, len(self._patience.backoff_s) - 1)]
            failures += 1
            _log.warning("the worker ended with code %d; again in %g s", code, pause_s)
            if self._sleep(pause_s):
                return 0

    def _is_over(self, code: int, was_alive: bool) -> bool:
        """A wrong setting stays wrong; servers that were never there are for a person to see."""
        return (
            self._is_told_to_stop or code in (0, _USAGE) or (code == _UNREACHABLE and not was_alive)
        )

    def _run_once(self) -> tuple[int, bool]:
        """Return the exit code of one run, and whether it ever gave a sign of life."""
        signs_read, signs_write = os.pipe()
        environment = {**os.environ, SIGNS_VARIABLE: str(signs_write)}
        try:
            child = subprocess.Popen(
                self._command,
                env=environment,
                pass_fds=[signs_write],
                start_new_session=True,  # Ctrl-C reaches the supervisor, which tells the worker
            )
        finally:
            os.close(signs_write)
        self.starts += 1
        try:
            gave_signs = self._watch(child, signs_read)
            return self._end(child), gave_signs
        finally:
            os.close(signs_read)

    def _watch(self, child: "subprocess.Popen[bytes]", signs: int) -> bool:
        """Return when the child ended, hangs or has to end; whether it ever gave a sign of life."""
        heard, stuck = 0, 0
        with selectors.DefaultSelector() as selector:
            selector.register(signs, selectors.EVENT_READ)
            selector.register(self._wake_read, selectors.EVENT_READ)
            while not self._is_told_to_stop:
                patience_s = self._patience.silent_s if heard else self._patience.start_s
                ready = [key.fd for key, _ in selector.select(patience_s)]
                if not ready:
                    _log.error("worker %d gave no sign for %g s", child.pid, patience_s)
                    break
                if signs not in ready:
                    continue
                given = os.read(signs, 4096)
                if not given:
                    break
                heard += len(given)
                since_alive = given.rpartition(ALIVE)[2]
                stuck = len(since_alive) + (stuck if since_alive == given else 0)
                if stuck >= self._patience.stuck_signs:
                    _log.error("worker %d hangs: records wait and none is read", child.pid)
                    break
        return heard > 0

    def _end(self, child: "subprocess.Popen[bytes]") -> int:
        child.terminate()
        try:
            return child.wait(self._patience.stop_s)
        except subprocess.TimeoutExpired:
            _log.error("worker %d does not end, killing it", child.pid)
            child.kill()
            return child.wait()

    def _sleep(self, seconds: float) -> bool:
        """Wait; return whether the supervisor was told to stop meanwhile."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_read, selectors.EVENT_READ)
            selector.select(seconds)
        return self._is_told_to_stop

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._is_told_to_stop = True
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
