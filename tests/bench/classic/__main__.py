"""Classic control of 100,000 items in one call of each function, beside one call for each item.

    python -m tests.bench.classic [--items 100000] [--sample 300] [--json FILE]

Each item is classed (ABC, XYZ, demand class) from a year of weeks, gets its target from the service
matrix, its economic lot and its safety stock by fill rate, with and without the second term. One by
one is a sample, extrapolated; the ratio of the two carries over to other machines.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from policy.classic.classes import abc_classes, demand_classes, service_targets, xyz_classes
from policy.classic.fields import FloatArray
from policy.classic.lots import economic_lot
from policy.classic.safety import Needs, safety_stock
from tests.bench.harness import machine

SEED = 20
WEEKS = 52
ORDER_COST = 20.0
HOLDING_RATE_PER_WEEK = 0.25 / 52


@dataclass(frozen=True)
class Shop:
    """Items with a year of weekly demand; every array has shape (item, ...)."""

    unit_cost: FloatArray
    weeks: FloatArray
    lead_time_weeks: FloatArray

    def part(self, items: slice) -> "Shop":
        return Shop(self.unit_cost[items], self.weeks[items], self.lead_time_weeks[items])


def made_up_shop(items: int) -> Shop:
    """Return items whose weekly sales go from one in half a year to hundreds."""
    generator = np.random.default_rng(SEED)
    mean = generator.lognormal(0.5, 1.6, items)
    weeks = generator.poisson(mean[:, None] * generator.gamma(2, 0.5, (items, WEEKS)))
    lead = generator.uniform(0.5, 6, items)
    return Shop(generator.lognormal(2, 1, items), weeks.astype(float), lead)


def control(shop: Shop) -> FloatArray:
    """Return the reorder points of all items: classes, targets, lots, safety stocks."""
    mean, sd = shop.weeks.mean(axis=1), shop.weeks.std(axis=1)
    demand_classes(shop.weeks)
    by_spread = xyz_classes(shop.weeks)[1]
    targets = service_targets(abc_classes(mean * shop.unit_cost), by_spread)
    holding = HOLDING_RATE_PER_WEEK * shop.unit_cost
    lots = np.maximum(economic_lot(ORDER_COST, holding, mean).order_quantity, 1.0)
    needs = Needs(mean, sd, shop.lead_time_weeks, 0.25 * shop.lead_time_weeks)
    return safety_stock("fill", targets, needs, lots).exact_reorder_point


def seconds_of(work: Callable[[], object]) -> float:
    """Return the least of three rounds."""
    rounds = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        rounds.append(time.perf_counter() - started)
    return min(rounds)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.classic", description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--sample", type=int, default=300, help="items computed one by one")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    options = parser.parse_args(arguments)
    shop = made_up_shop(options.items)
    singles = [shop.part(slice(item, item + 1)) for item in range(options.sample)]
    together = seconds_of(lambda: control(shop))
    alone = seconds_of(lambda: [control(single) for single in singles])
    alone *= options.items / options.sample
    table = Table(title=f"{options.items:,} items: {machine()}", title_justify="left")
    for heading in ("way", "seconds", "times as long"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    table.add_row("all items in a call", f"{together:.2f}", "1")
    table.add_row("an item a call", f"{alone:.1f}", f"{alone / together:.0f}")
    Console(width=None if sys.stdout.isatty() else 110).print(table)
    if options.json:
        document = {"items": options.items, "together_seconds": together, "alone_seconds": alone}
        options.json.write_text(json.dumps(document, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
