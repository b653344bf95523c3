"""What the rounding of live estimates costs: the table in the docstring of `policy/rounding.py`.

    python -m tests.bench.rounding

The rule that the live decision follows is read at every whole stock level and evaluated exactly on
single units, under negative binomial demand of the unrounded moments. So the figures hold the cost
of the live lattice's cells as well: the first row is theirs alone.
"""

import itertools
import math

import numpy as np
from rich.console import Console
from rich.table import Table

from policy import PolicyCache, ReviewInputs, ServiceType, decide
from policy.dual.demand import negative_binomial_demand
from policy.dual.problem import parameter_row
from policy.dual.solve import DualProblem, solve_dual
from policy.dual.terms import grid_terms, lattice_levels
from policy.rounding import (
    MEAN_STEPS_PER_DOUBLING,
    VARIATION_STEPS_PER_DOUBLING,
    round_to_grid,
)
from policy.solver.order_rules import make_rules
from policy.solver.policy_evaluation import MEASURE_CYCLE, MEASURE_FILL, rates_of

DEMANDS = ((1.0, 1.3), (5.0, 0.9), (30.0, 0.6), (100.0, 0.45))  # mean, coefficient of variation
PLACES = {"on the grid": 0.0, "a quarter step off": 0.25, "half a step off": 0.49}
TARGET = 0.95


def on_grid(value: float, steps: int) -> float:
    return float(round_to_grid(np.array([value]), steps)[0])


def problem_of(mean: float, sd: float, service: ServiceType) -> DualProblem:
    return DualProblem(
        demand=negative_binomial_demand(mean, sd),
        review_period_steps=9,
        lead_time_steps_lean=4,
        lead_time_steps_flexible=2,
        setup_cost_lean=9 * mean,
        setup_cost_flexible=0.9 * mean,
        unit_cost_lean=10,
        unit_cost_flexible=13,
        holding_cost_per_unit_step=0.9,
        backorder_cost_per_unit_step=2,
        service_type=service,
        service_target=TARGET if service is ServiceType.CYCLE else 0.0,
    )


def live_plan(problem: DualProblem, units: np.ndarray, cache: PolicyCache) -> np.ndarray:
    """The lattice levels (2, level) that the live decision raises every stock level to."""

    def all_alike(value: float) -> np.ndarray:
        return np.full(units.size, float(value))

    found = decide(
        ReviewInputs(
            inventory_position_units=units,
            demand_mean_units_per_day=all_alike(problem.demand.mean_units),
            demand_sd_units_per_day=all_alike(problem.demand.sd_units),
            review_period_days=all_alike(problem.review_period_steps),
            lead_time_days_lean=all_alike(problem.lead_time_steps_lean),
            lead_time_days_flexible=all_alike(problem.lead_time_steps_flexible),
            setup_cost_lean=all_alike(problem.setup_cost_lean),
            setup_cost_flexible=all_alike(problem.setup_cost_flexible),
            unit_cost_lean=all_alike(problem.unit_cost_lean),
            unit_cost_flexible=all_alike(problem.unit_cost_flexible),
            holding_cost_per_unit_day=all_alike(problem.holding_cost_per_unit_step),
            backorder_cost_per_unit_day=all_alike(problem.backorder_cost_per_unit_step),
            service_target=all_alike(problem.service_target),
            service_type=np.full(units.size, problem.service_type),
            lean_capacity_units=all_alike(math.inf),
            minimum_order_units_lean=all_alike(0.0),
            minimum_order_units_flexible=all_alike(0.0),
            pack_size_units_lean=all_alike(1.0),
            pack_size_units_flexible=all_alike(1.0),
        ),
        cache,
    )
    here = np.arange(units.size)
    middle = here + found.quantity_flexible_units
    levels = np.stack([middle, middle + found.quantity_lean_units])
    return np.minimum(levels, units.size - 1)


def excess(mean: float, sd: float, service: ServiceType, cache: PolicyCache) -> tuple[float, float]:
    """(Cost of the live rule over the exact optimum - 1, its cycle service) under true demand."""
    problem = problem_of(mean, sd, service)
    units = lattice_levels(problem, 1.0, 1.3)
    terms = grid_terms(problem, units)
    rules = make_rules(parameter_row(problem), 1.0, units.size)
    rates = np.empty(3)
    plan = live_plan(problem, units, cache)
    rates_of(terms, rules, plan, np.array([MEASURE_CYCLE, MEASURE_FILL]), rates)
    # A rule that misses the target is cheaper for it: compare at the service that it reaches.
    service_reached = 1.0 - float(rates[1])
    if service is ServiceType.CYCLE:
        problem = DualProblem(**(vars(problem) | {"service_target": min(service_reached, 0.999)}))
    optimum = solve_dual(problem).lower_bound * problem.review_period_steps
    return float(rates[0]) / optimum - 1.0, service_reached


def main() -> None:
    cache = PolicyCache(200_000)
    table = Table(title="Cost over the certified optimum, worst and mean of four items")
    for column in ("estimates", "cost only", "95 % of cycles", "cycle service reached"):
        table.add_column(column, justify="right")
    for name, off in PLACES.items():
        free, bound, services = [], [], []
        for (mean, cv), side, other in itertools.product(DEMANDS, (-1, 1), (-1, 1)):
            true_mean = on_grid(mean, MEAN_STEPS_PER_DOUBLING) * 2 ** (
                side * off / MEAN_STEPS_PER_DOUBLING
            )
            true_cv = on_grid(cv, VARIATION_STEPS_PER_DOUBLING) * 2 ** (
                other * off / VARIATION_STEPS_PER_DOUBLING
            )
            free.append(excess(true_mean, true_mean * true_cv, ServiceType.COST, cache)[0])
            found = excess(true_mean, true_mean * true_cv, ServiceType.CYCLE, cache)
            bound.append(found[0])
            services.append(found[1])
        table.add_row(
            name,
            f"{max(free):.3%}, {np.mean(free):.3%}",
            f"{max(bound):.3%}, {np.mean(bound):.3%}",
            f"{min(services):.2%} to {max(services):.2%}",
        )
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
