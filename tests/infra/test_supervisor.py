"""The supervisor with small children of its own: real processes, pipes and signals."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from infra.cli.terminal.failures import CommandError, ExitCode, outcome_of
from infra.cli.worker import _faults_are_no_settings
from infra.settings import SettingsError
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

def stop_supervisor():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(600)
"""


def supervise(tmp_path: Path, body: str, patience: Patience = IMPATIENT) -> tuple[int, int]:
    """Run a child with that body; return the exit code and how often it was started.

    `stop_supervisor()` in the body is what a person does with `kill`.
    """
    runs = tmp_path / "runs"
    command = [sys.executable, "-c", _PRELUDE + body, str(runs)]
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        return Supervisor(command, patience).run(), len(runs.read_text())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("code", [0, 1, 2, 3, 70, 130])
def test_worker_that_ends_by_itself_is_started_again(tmp_path, code):
    """With whatever code: it lived before, so its settings can be, and nobody ordered its end."""
    body = f"os.write(signs, b'+'); number == 3 and stop_supervisor(); sys.exit({code})"
    busy = replace(IMPATIENT, stop_s=60.0)  # the machine may be: whoever has to end does
    assert supervise(tmp_path, body, busy) == (0, 3)


def test_worker_that_was_killed_is_started_again(tmp_path):
    """By the kernel for its memory, for example."""
    body = "number == 1 and os.kill(os.getpid(), signal.SIGKILL); stop_supervisor()"
    assert supervise(tmp_path, body) == (0, 2)


@pytest.mark.parametrize("code", [0, 2, 3])
def test_worker_that_says_it_is_stuck_is_started_again(tmp_path, caplog, code):
    """Its progress check failed twice in a row; it heeds SIGTERM with a code that says no fault."""
    body = f"""
signal.signal(signal.SIGTERM, lambda *_: sys.exit({code}))
if number == 3:
    stop_supervisor()
for sign in (b"+", b"-", b"+", b"-", b"-"):
    os.write(signs, sign)
    time.sleep(0.05)
time.sleep(600)
"""
    assert supervise(tmp_path, body, PATIENT_WITH_SILENCE)[1] == 3
    again = [said for said in caplog.messages if "starting it again" in said]
    assert len(again) == 2
    assert all(f"hung: records wait and none is read (code {code})" in said for said in again)


@pytest.mark.slow
def test_worker_that_stands_still_is_killed_and_started_again(tmp_path, caplog):
    """It gives no sign and heeds no SIGTERM."""
    body = """
if number == 2:
    stop_supervisor()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.write(signs, b"+")
time.sleep(600)
"""
    assert supervise(tmp_path, body)[1] == 2
    assert "the worker gave no sign for 0.5 s (code -9)" in caplog.text


def test_settings_that_cannot_be_end_the_supervisor(tmp_path, caplog):
    """No worker ever ran with them: the code is 2, and the last line of the log says why."""
    assert supervise(tmp_path, "sys.exit(2)") == (2, 1)
    assert "not started again: a setting is wrong" in caplog.messages[-1]


def test_servers_that_are_not_there_yet_are_waited_for(tmp_path):
    """After a power cut the worker can be up before its broker; nobody may have to start it."""
    body = "number == 3 and stop_supervisor(); sys.exit(3)"
    assert supervise(tmp_path, body) == (0, 3)


def test_worker_that_cannot_be_started_is_tried_again(tmp_path, caplog):
    """A machine without memory or processes for it has some later."""
    program = tmp_path / "program"

    def make(number: int, frame: object) -> None:
        program.write_text(f"#!/bin/sh\necho x >> {tmp_path}/runs\nkill -TERM {os.getpid()}\n")
        program.chmod(0o755)

    before = signal.signal(signal.SIGALRM, make)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert Supervisor([str(program)], IMPATIENT).run() == 0
    finally:
        signal.signal(signal.SIGALRM, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert "cannot be started" in caplog.text
    assert (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("offset out of range"), ExitCode.NO),
        (OSError(98, "address already in use"), ExitCode.NO),
        (ConnectionError("Redis is away"), ExitCode.NO),
        (SettingsError("partitions must be >= 1, got 0"), ExitCode.USAGE),
    ],
)
def test_only_wrong_settings_give_the_code_for_them(error, code):
    """Code 2 keeps a worker down, so no fault of a running worker may have it."""
    with pytest.raises((CommandError, OSError, SettingsError)) as raised, _faults_are_no_settings():
        raise error
    assert outcome_of(raised.value)[0] == code
    assert str(error) in outcome_of(raised.value)[1]


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
