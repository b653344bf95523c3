"""The path of an unforeseen rise."""

import pytest

from policy.dual_index.forecast import surge_path


def test_a_rise_decays_to_the_ordinary_level():
    """It never falls below it, and an older rise lasts longer."""
    young, old = surge_path(4.0, 1.0, 40), surge_path(4.0, 12.0, 40)
    assert young[0] > young[5] > young[39] >= 1.0
    assert old.sum() > young.sum()
    assert young[39] == pytest.approx(1.0, abs=1e-3)


def test_without_a_rise_the_path_is_flat():
    """A factor of one changes nothing."""
    assert surge_path(1.0, 3.0, 3).tolist() == [1.0, 1.0, 1.0]
