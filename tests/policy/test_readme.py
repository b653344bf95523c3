"""The example of `policy/README.md` is what the library answers."""

import doctest
from pathlib import Path

README = Path(__file__).parents[2] / "policy" / "README.md"


def test_notebook_example_runs_and_gives_what_it_shows() -> None:
    """Every line after `>>>` runs, in their order, and prints the line below it."""
    failed, attempted = doctest.testfile(str(README), module_relative=False)
    assert attempted >= 7
    assert failed == 0
