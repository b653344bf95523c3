"""Compiling the kernels before they are needed."""

import subprocess
import sys

import pytest

from infra import compile as compiling


@pytest.mark.parametrize("part", compiling._PARTS)
def test_each_part_runs(part: str) -> None:
    """What `make setup` calls keeps up with the code that it calls."""
    assert compiling.main([part]) == 0


def test_whoever_waits_sees_what_is_done(capfd: pytest.CaptureFixture[str]) -> None:
    """A bar on a terminal; elsewhere a line for each part that has ended."""
    command = [sys.executable, "-c", "pass"]
    compiling.watch({"rules": subprocess.Popen(command), "streams": subprocess.Popen(command)})
    reported = capfd.readouterr().err
    assert "compiled rules" in reported
    assert "compiled streams" in reported
