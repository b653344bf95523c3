"""The rounding grid of live estimates: what its docstring promises of cost and service."""

import pytest

from policy import PolicyCache, ServiceType
from policy.rounding import MEAN_STEPS_PER_DOUBLING, VARIATION_STEPS_PER_DOUBLING
from tests.bench.rounding import excess, on_grid

MEAN = on_grid(30.0, MEAN_STEPS_PER_DOUBLING)
VARIATION = on_grid(0.6, VARIATION_STEPS_PER_DOUBLING)


@pytest.mark.parametrize("service", [ServiceType.COST, ServiceType.CYCLE])
def test_live_rule_on_single_units_is_near_the_certified_optimum(service):
    """Read at every whole stock level and evaluated exactly, it costs at most 0.1 % too much."""
    cost, reached = excess(MEAN, MEAN * VARIATION, service, PolicyCache())
    assert 0.0 <= cost <= 1e-3
    assert service is ServiceType.COST or reached == pytest.approx(0.95, abs=1e-3)


def test_estimates_between_the_grid_cost_little_and_move_service_by_a_point():
    """Half a step off in mean and spread, cost at the service reached stays within 0.1 %."""
    mean = MEAN * 2 ** (0.49 / MEAN_STEPS_PER_DOUBLING)
    variation = VARIATION * 2 ** (0.49 / VARIATION_STEPS_PER_DOUBLING)
    cost, reached = excess(mean, mean * variation, ServiceType.CYCLE, PolicyCache())
    assert 0.0 <= cost <= 1e-3
    assert reached == pytest.approx(0.95, abs=0.013)
