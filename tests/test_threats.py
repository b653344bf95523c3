"""The threat model names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "infra" / "THREATS.md").read_text().splitlines()
    if line.startswith("|") and not line.startswith(("|---", "| threat"))
]


def test_every_threat_has_tests_that_exist():
    """A line without a test, or with one that is gone, is a promise that nobody keeps."""
    written = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert len(ROWS) > 10
    for threat, answer, tests in ROWS:
        named = re.findall(r"`(test_\w+)`", tests)
        assert named, f"no test covers: {threat}"
        assert answer
        assert set(named) <= written, f"{threat}: {set(named) - written} is not there"
