"""One stack in a directory at a time, seen from other processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from infra.cli.terminal.failures import ExitCode, outcome_of
from infra.local.directory_lock import DirectoryInUseError, DirectoryLock
from infra.local.stack import LocalStack
from infra.settings import STATE_FILE, Settings

_HOLDER = """
import sys, time
from pathlib import Path
from infra.local.directory_lock import DirectoryLock
lock = DirectoryLock(Path(sys.argv[2]))
lock.take()
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process, as `tidegate demo` by its first argument, that has the directory."""
    command = [sys.executable, "-c", _HOLDER, "demo", str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3], text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_directory_in_use_is_refused_by_name(tmp_path, holder):
    """The text says which process and command it is; the exit code is that of a wrong argument."""
    with pytest.raises(DirectoryInUseError) as refused:
        DirectoryLock(tmp_path).take()
    code, text = outcome_of(refused.value)
    assert code == ExitCode.USAGE
    assert f"{tmp_path} is in use by process {holder.pid} (tidegate demo)" in text


def test_refused_stack_leaves_the_other_one_alone(tmp_path, holder):
    """Its end deletes neither the state file nor the token of the one that runs."""
    (tmp_path / STATE_FILE).write_text("{}")
    stack = LocalStack(tmp_path, Settings())
    with pytest.raises(DirectoryInUseError):
        stack.start_servers()
    stack.stop()
    assert (tmp_path / STATE_FILE).exists()
    assert not (tmp_path / "broker.log").exists()


def test_directory_is_free_when_its_holder_is_gone(tmp_path, holder):
    """However it ended; a released one is free at once, and can be taken again."""
    holder.kill()
    holder.wait()
    lock = DirectoryLock(tmp_path)
    lock.take()
    with pytest.raises(DirectoryInUseError, match="in use by process"):
        DirectoryLock(tmp_path).take()
    lock.release()
    lock.release()
    assert not lock.is_held
    lock.take()
    lock.release()
