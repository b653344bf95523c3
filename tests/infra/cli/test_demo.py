"""`tidegate demo`, as `make demo` runs it."""

import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.system
def test_demo_plays_a_sale_and_counts_every_order() -> None:
    """It starts its own servers, and what it counted is what the sale says."""
    command = [sys.executable, "-m", "infra.cli", "demo"]
    done = subprocess.run(
        [*command, "--speed", "0", "--events", "20000", "--no-keep"],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "exactly what the sale's own truth says" in done.stdout
    assert "first decision after" in done.stdout
    for title in ("Events", "Demand", "Decisions: ", "Purchase orders: ", "Alerts", "Dead letters"):
        assert title in done.stdout
