"""Compiling the kernels before they are needed."""

import pytest

from infra import compile as compiling


@pytest.mark.parametrize("part", compiling._PARTS)
def test_each_part_runs(part: str) -> None:
    """What `make setup` calls keeps up with the code that it calls."""
    assert compiling.main([part]) == 0
