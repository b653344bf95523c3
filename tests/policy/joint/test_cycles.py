"""Joint replenishment with certain demand."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.joint.cycles import best_cycles


def test_the_printed_case() -> None:
    """A 40, a 15, r .24: multiples 1, 1, 4, 3, T .0761734, cost 2067.6508, apart 2554.9157."""
    found = best_cycles(40, [15] * 4, 0.24 * np.array([86000.0, 12500, 1400, 3000]))
    assert found.multiples == (1, 1, 4, 3)
    assert found.cycle_periods == pytest.approx(0.0761734, abs=5e-8)
    assert found.cost_per_period == pytest.approx(2067.6508, abs=5e-5)
    assert found.cost_apart_per_period == pytest.approx(2554.9157, abs=5e-5)


@settings(max_examples=40, deadline=None)
@given(
    st.floats(0.5, 100),
    st.lists(st.tuples(st.floats(0.5, 50), st.floats(0.5, 5000)), min_size=1, max_size=3),
)
def test_no_multiples_are_better(header: float, rows: list[tuple[float, float]]) -> None:
    """Every choice of multiples up to 12, one of them 1, costs at least as much."""
    lines, rate = np.array(rows).T
    found = best_cycles(header, lines, rate)
    for multiples in product(range(1, 13), repeat=len(rows)):
        if 1 in multiples:
            times = np.array(multiples)
            ordering = header + (lines / times).sum()
            cost = np.sqrt(2 * ordering * (times * rate).sum())
            assert found.cost_per_period <= cost * (1 + 1e-9)


def test_a_dear_header_has_items_in_almost_every_order() -> None:
    """And a joint order costs less than those of each item by itself."""
    found = best_cycles(300, [5] * 20, np.linspace(50, 900, 20))
    assert set(found.multiples) <= {1, 2}
    assert found.cost_per_period < 0.4 * found.cost_apart_per_period
