"""The real Prometheus's own tool, where it is installed."""

import pytest

from tests.programs import program


@pytest.fixture(scope="session")
def promtool() -> str:
    """Checks and tests rules."""
    return program("promtool")
