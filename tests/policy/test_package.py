"""What `from policy import ...` gives."""

import subprocess
import sys

import pytest

import policy


@pytest.mark.parametrize("name", policy.__all__)
def test_every_public_name_is_there(name: str) -> None:
    """A name of `__all__` can be imported, whether it is loaded at once or when used."""
    assert getattr(policy, name).__name__ == name


def test_unknown_names_are_refused_as_usual() -> None:
    """Loading names when they are used hides no typing error."""
    with pytest.raises(AttributeError, match="module 'policy' has no attribute 'sovle'"):
        policy.sovle  # noqa: B018


@pytest.mark.slow
def test_live_decision_needs_no_distributions() -> None:
    """A worker decides without scipy's distributions, which take a second to load."""
    program = "import sys, policy; print('scipy.stats' in sys.modules); policy.solve; " + (
        "print('scipy.stats' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "True"]
