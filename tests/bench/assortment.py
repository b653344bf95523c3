"""Made-up items with the parameters of a shop, all different: the same for the same seed."""

import numpy as np
import numpy.typing as npt

from policy import ReviewInputs, ServiceType

HOLDING_PER_YEAR = 0.25  # of the price


def assortment(
    count: int, seed: int, *, target: float | None = None, lots: bool = False
) -> ReviewInputs:
    """Return `count` items, each parameter drawn on its own.

    Demand a day: mean log-uniform 0.02 to 300 units, variance 0.8 to 1.3 times the mean (counts)
    plus a coefficient of variation of 0 to 0.6 (busy and quiet days). Review every 5, 7, 9 or 14
    days; lean delivers after 3 or 4 days, flexible after 1 or 2. Price log-uniform 1 to 100, held
    at 25 % a year, owed at 0.5 to 10 % a day; the flexible unit costs 2 to 40 % more. Set-ups: lean
    5 to 100, flexible a tenth to a half of it. `target` is the cycle service wanted, None the plain
    cost optimum. With `lots` the lean supplier sells in packs of 6 or 12 (a third of the items),
    not below 10 units (a quarter), not above 1.1 to 3 reviews' demand (a tenth).
    """
    draw = np.random.default_rng(seed)

    def between(low: float, high: float) -> npt.NDArray[np.float64]:
        return draw.uniform(low, high, count)

    mean = np.exp(between(np.log(0.02), np.log(300)))
    variance = mean * between(0.8, 1.3) + (between(0, 0.6) * mean) ** 2
    price = np.exp(between(np.log(1), np.log(100)))
    review = draw.choice([5.0, 7.0, 9.0, 14.0], count)
    setup = between(5, 100)
    one, none = np.ones(count), np.zeros(count)
    capacity = np.where(draw.random(count) < 0.1, mean * review * between(1.1, 3), np.inf)
    service = ServiceType.COST if target is None else ServiceType.CYCLE
    return ReviewInputs(
        inventory_position_units=np.floor(mean * between(-2, 14)),
        demand_mean_units_per_day=mean,
        demand_sd_units_per_day=np.sqrt(variance),
        review_period_days=review,
        lead_time_days_lean=draw.choice([3.0, 4.0], count),
        lead_time_days_flexible=draw.choice([1.0, 2.0], count),
        setup_cost_lean=setup,
        setup_cost_flexible=setup * between(0.1, 0.5),
        unit_cost_lean=price,
        unit_cost_flexible=price * between(1.02, 1.4),
        holding_cost_per_unit_day=price * HOLDING_PER_YEAR / 365,
        backorder_cost_per_unit_day=price * between(0.005, 0.1),
        service_target=one * (0.0 if target is None else target),
        service_type=np.full(count, service),
        lean_capacity_units=capacity if lots else one * np.inf,
        minimum_order_units_lean=np.where(draw.random(count) < 0.25, 10.0, 0.0) if lots else none,
        minimum_order_units_flexible=none,
        pack_size_units_lean=draw.choice([1.0, 1.0, 6.0, 12.0], count) if lots else one,
        pack_size_units_flexible=one,
    )
