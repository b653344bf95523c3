"""The real Prometheus and Alertmanager, where they are installed."""

import os
import shutil

import pytest

REQUIRED = "TIDEGATE_REQUIRE_PROMETHEUS"


def program(name: str) -> str:
    """Return where a program is; without it the tests are skipped, or fail where it is required."""
    if (found := shutil.which(name)) is not None:
        return found
    reason = f"needs {name} (Debian's packages prometheus and prometheus-alertmanager)"
    if os.environ.get(REQUIRED):
        pytest.fail(f"{reason}, and {REQUIRED} is set")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def promtool() -> str:
    """Checks and tests rules."""
    return program("promtool")
