"""The supervisor with small children of its own: real processes, pipes and signals."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from infra.supervisor import Patience, Supervisor, signs_of_life

IMPATIENT = Patience(start_s=60.0, silent_s=0.5, stop_s=2.0, backoff_s=(0.01,), stuck_signs=2)
PATIENT_WITH_SILENCE = replace(IMPATIENT, silent_s=3_600.0)

_PRELUDE = """
import os, signal, sys, time
from pathlib import Path
signs = int(os.environ["TIDEGATE_SIGNS_FD"])
runs = Path(sys.argv[1])
number = len(runs.read_text()) + 1 if runs.exists() else 1
runs.write_text("x" * number)
"""


def supervise(tmp_path: Path, body: str, patience: Patience = IMPATIENT) -> tuple[int, int]:
    """Run a child with that body; return the exit code and how often it was started."""
    runs = tmp_path / "runs"
    command = [sys.executable, "-c", _PRELUDE + body, str(runs)]
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        return Supervisor(command, patience).run(), len(runs.read_text())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_worker_that_crashed_is_started_again(tmp_path):
    """Until it ends of its own accord."""
    body = "os.write(signs, b'+'); sys.exit(0 if number == 3 else 70)"
    assert supervise(tmp_path, body) == (0, 3)


def test_worker_that_was_killed_is_started_again(tmp_path):
    """By the kernel for its memory, for example."""
    body = "number == 1 and os.kill(os.getpid(), signal.SIGKILL)"
    assert supervise(tmp_path, body) == (0, 2)


def test_worker_that_says_it_is_stuck_is_started_again(tmp_path):
    """Its own progress check failed twice in a row; silence alone would not end it here."""
    body = """
if number == 1:
    for sign in (b"+", b"-", b"+", b"-", b"-"):
        os.write(signs, sign)
        time.sleep(0.05)
    time.sleep(600)
"""
    assert supervise(tmp_path, body, PATIENT_WITH_SILENCE) == (0, 2)


def test_worker_that_stands_still_is_killed_and_started_again(tmp_path):
    """It gives no sign and heeds no SIGTERM."""
    body = """
if number == 1:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.write(signs, b"+")
    time.sleep(600)
"""
    assert supervise(tmp_path, body) == (0, 2)


@pytest.mark.parametrize(("code", "starts"), [(2, 1), (3, 1)])
def test_what_a_restart_cannot_mend_ends_the_supervisor(tmp_path, code, starts):
    """A wrong setting, or servers that were never reached: the exit code goes to the caller."""
    assert supervise(tmp_path, f"sys.exit({code})") == (code, starts)


def test_servers_that_went_away_later_are_waited_for(tmp_path):
    """A worker that lived once is started until they are back."""
    body = "number == 1 and os.write(signs, b'+'); sys.exit(0 if number == 3 else 3)"
    assert supervise(tmp_path, body) == (0, 3)


def test_sigterm_reaches_the_worker_and_its_exit_code_the_caller(tmp_path):
    """The worker may finish what it has in hand."""
    body = """
def leave(*_):
    Path(sys.argv[1] + ".left").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
os.write(signs, b"+")
while True:
    os.write(signs, b"+")
    time.sleep(0.05)
"""
    runs = tmp_path / "runs"
    program = (
        "import sys; from infra.supervisor import Supervisor;"
        "sys.exit(Supervisor([sys.executable, *sys.argv[1:]]).run())"
    )
    command = [sys.executable, "-c", program, "-c", _PRELUDE + body, str(runs)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2]) as process:
        _wait_for(runs)
        time.sleep(0.2)
        process.terminate()
        assert process.wait(30) == 0
    assert Path(f"{runs}.left").exists()


def test_worker_notices_that_its_supervisor_is_gone(monkeypatch):
    """Its next sign finds nobody: it has to end, or two would run after a restart."""
    read, write = os.pipe()
    monkeypatch.setenv("TIDEGATE_SIGNS_FD", str(write))
    give = signs_of_life()
    assert give is not None
    assert give(True)
    assert os.read(read, 10) == b"+"
    assert give(False)
    assert os.read(read, 10) == b"-"
    os.close(read)
    assert not give(True)
    os.close(write)


def test_without_a_supervisor_no_signs_are_given(monkeypatch):
    """Kubernetes asks /livez."""
    monkeypatch.delenv("TIDEGATE_SIGNS_FD", raising=False)
    assert signs_of_life() is None


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
