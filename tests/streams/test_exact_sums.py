"""Sums that do not depend on the order of the items."""

import numpy as np

from streams.exact_sums import MILLIONTHS, millionths


def test_sum_is_the_same_in_every_order() -> None:
    """Floating-point sums of these values differ with their order; sums of millionths do not."""
    values = np.random.default_rng(5).exponential(100.0, 10_000)
    orders = [np.random.default_rng(seed).permutation(values) for seed in range(20)]
    assert len({float(order.sum()) for order in orders}) > 1
    assert len({millionths(order).sum().item() for order in orders}) == 1


def test_value_is_rounded_to_the_nearest_millionth() -> None:
    """No value is off by more than half a millionth, negative ones neither."""
    values = np.array([-1.0000004, -0.25, 0.0, 1e-7, 6e-7, 12.3456789])
    assert np.all(np.abs(millionths(values) / MILLIONTHS - values) <= 0.5 / MILLIONTHS)
    assert millionths(values).tolist() == [-1_000_000, -250_000, 0, 0, 1, 12_345_679]
