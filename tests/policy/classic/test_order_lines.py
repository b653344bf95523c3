"""Order-line fill: a simulation agrees, and large numbers of lines lose nothing."""

import numpy as np
import pytest
from scipy import stats

from policy.classic.cases.answer import answer
from policy.classic.order_lines import base_stock_for_lines, line_demand, line_fill, read_sizes
from policy.errors import PolicyInputError

SIZES = read_sizes([[1, 0.7], [3, 0.3]])


def test_simulated_lines_are_served_as_often() -> None:
    """Lines and units served at once, over 200,000 drawn lead times."""
    generator = np.random.default_rng(7)
    counts = generator.poisson(2.0, 200_000)
    drawn = generator.choice([1, 3], size=(200_000, counts.max()), p=[0.7, 0.3])
    before = np.where(np.arange(counts.max()) < counts[:, None], drawn, 0).sum(axis=1)
    line = generator.choice([1, 3], size=200_000, p=[0.7, 0.3])
    served = np.clip(6 - before, 0, line)
    found = line_fill(2, SIZES, 1, 6)
    assert found.line_fill == pytest.approx((served == line).mean(), abs=0.004)
    assert found.unit_fill == pytest.approx(served.sum() / line.sum(), abs=0.004)


@pytest.mark.parametrize("lines", [0.01, 3.0, 499.0, 700.0, 5000.0])
def test_lines_of_one_unit_are_poisson(lines) -> None:
    """Also where the chance of no line at all is too small for a float."""
    largest = int(lines + 12 * lines**0.5 + 20)
    found = line_demand(lines, read_sizes([[1, 1.0]]), largest)
    known = stats.poisson.pmf(np.arange(largest + 1), lines)
    assert found == pytest.approx(known, abs=1e-12)


@pytest.mark.parametrize("target", [0.5, 0.95, 0.999])
def test_base_stock_for_lines_is_the_least(target) -> None:
    """One unit less misses the target; more stock never serves less."""
    found = base_stock_for_lines(2, SIZES, 1, target)
    assert found.line_fill >= target
    assert line_fill(2, SIZES, 1, found.base_stock - 1).line_fill < target
    fills = [line_fill(2, SIZES, 1, stock).line_fill for stock in range(12)]
    assert fills == sorted(fills)


def test_edges_of_stock_and_lead_time() -> None:
    """No stock serves nothing; without a lead time a line needs its own size in stock."""
    assert line_fill(2, SIZES, 1, 0).line_fill == 0
    at_once = line_fill(2, SIZES, 0, 1)
    assert (at_once.line_fill, at_once.unit_fill) == pytest.approx((0.7, 1 / 1.6))
    assert line_fill(2, SIZES, 0, 3).line_fill == pytest.approx(1)


def test_sizes_may_be_an_object() -> None:
    """JSON has text as keys."""
    case = {"model": "order_line_fill", "lines_per_period": 2, "lead_time_periods": 1}
    found = answer(case | {"line_sizes": {"1": 0.7, "3": 0.3}, "target": 0.75})
    assert found["base_stock"] == 6


@pytest.mark.parametrize(
    ("sizes", "complaint"),
    [
        ([], "line_sizes must be"),
        ([[1, 0.5]], "line_sizes must be .* sum to 1"),
        ([[0, 1]], r"line_sizes\[0\]\[0\] must be a whole number >= 1 and <= 100000, got 0"),
        ([[1, 2]], r"line_sizes\[0\]\[1\] must be >= 0 and <= 1, got 2"),
        ([3], r"line_sizes\[0\] must be \[units, chance\], got 3"),
    ],
)
def test_bad_sizes_are_named(sizes, complaint) -> None:
    """The place in the list, the rule and the value."""
    with pytest.raises(PolicyInputError, match=complaint):
        read_sizes(sizes)
    with pytest.raises(PolicyInputError, match="base_stock must be given where target is absent"):
        answer({"model": "order_line_fill", "lines_per_period": 2, "lead_time_periods": 1,
                "line_sizes": [[1, 1]]})  # fmt: skip
