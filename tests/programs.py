"""Programs from outside of Python that tests drive: the real Prometheus and its companions."""

import os
import shutil

import pytest

REQUIRED = "TIDEGATE_REQUIRE_PROMETHEUS"


def program(name: str) -> str:
    """Return where a program is; without it a test is skipped, or fails where it is required."""
    if (found := shutil.which(name)) is not None:
        return found
    reason = f"needs {name} (Debian's packages prometheus and prometheus-alertmanager)"
    if os.environ.get(REQUIRED):
        pytest.fail(f"{reason}, and {REQUIRED} is set", pytrace=False)
    pytest.skip(reason)
