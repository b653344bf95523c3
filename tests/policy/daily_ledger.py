"""A plain day-by-day ledger of one item, written without a look at the solvers it judges."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Orders = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # net stock -> (lean, flexible)


def replaced_normal(mean, sd):
    """Draws rounded to units; those below 0 become the mean (the paper's treatment)."""

    def draw(generator, shape):
        demand = generator.normal(mean, sd, shape)
        return np.rint(np.where(demand < 0, mean, demand))

    return draw


def run_ledger(
    order: Orders,
    draw,
    *,
    reviews,
    runs,
    start,
    seed,
    warm=0,
    review_days=9,
    lean_days=4,
    flexible_days=2,
    setup=(900.0, 90.0),
    unit=(10.0, 13.0),
    holding=0.9,
    backorder=2.0,
):
    """Return (cost per day of each run, share of cycles without stock-out, fill rate).

    A day: deliver, meet demand, pay half of the start level's and half of the end level's cost. A
    cycle runs from one flexible delivery day to the next; shortage is new backlog of a day.
    """
    generator = np.random.default_rng(seed)
    stock = np.full(runs, float(start))
    paid = np.zeros(runs)
    good = cycles = short = wanted = 0.0
    clean = None
    for review in range(reviews):
        counted = review >= warm
        lean, flexible = order(stock)
        if counted:
            paid += setup[0] * (lean > 0) + unit[0] * lean
            paid += setup[1] * (flexible > 0) + unit[1] * flexible
        demand = draw(generator, (review_days, runs))
        for day in range(review_days):
            if day == flexible_days:
                stock = stock + flexible
                if clean is not None and counted:
                    good += clean.sum()
                    cycles += runs
                clean = np.ones(runs, bool)
            if day == lean_days:
                stock = stock + lean
            after = stock - demand[day]
            if clean is not None:
                clean &= after >= 0
            if counted:
                for level in (stock, after):
                    paid += 0.5 * np.where(level > 0, holding * level, -backorder * level)
                short += (np.maximum(-after, 0) - np.maximum(-stock, 0)).sum()
                wanted += demand[day].sum()
            stock = after
    return paid / ((reviews - warm) * review_days), good / max(cycles, 1), 1 - short / wanted
