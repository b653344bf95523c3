"""One stack in a directory at a time: a lock that the kernel frees when its holder ends."""

import contextlib
import fcntl
import logging
import os
import sys
from pathlib import Path
from typing import IO

LOCK_FILE = "tidegate.lock"
_log = logging.getLogger(__name__)


class DirectoryInUseError(OSError):
    """Another process runs a stack in this directory; the text names it."""


class DirectoryLock:
    """Held from `take` to `release`, or until this process ends, even by kill -9.

    The file stays: whoever deleted it could free a directory that somebody has just locked.

    Args:
        directory: that only one may use.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: IO[str] | None = None

    @property
    def is_held(self) -> bool:
        """Whether this very object has it."""
        return self._file is not None

    def take(self) -> None:
        """Take the lock, and write down who holds it.

        Raises:
            DirectoryInUseError: somebody else has it.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        file = (self._directory / LOCK_FILE).open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with file:
                raise DirectoryInUseError(self._refusal(file)) from None
        except OSError as error:  # some network file systems have no locks
            _log.warning("%s cannot be locked: %s; use it for one stack only", file.name, error)
        file.truncate(0)
        file.write(f"process {os.getpid()} ({_own_command()})")
        file.flush()
        self._file = file

    def _refusal(self, file: IO[str]) -> str:
        file.seek(0)
        holder = file.read().strip() or "another process"
        return (
            f"{self._directory} is in use by {holder}; "
            "wait until it has ended, or stop it, or name another directory"
        )

    def release(self) -> None:
        """Let others have the directory. Safe to call twice."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.truncate(0)
            self._file.close()
            self._file = None


def _own_command() -> str:
    return " ".join(["tidegate", *sys.argv[1:2]])
