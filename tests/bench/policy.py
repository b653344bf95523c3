"""Decisions per second of the policy: 100,000 different items, solved, certified and cached.

    python -m tests.bench.policy [--items 100000] [--threads 2] [--sample 500] [--json FILE]

Beside them a loop over `decide` with one item a call (a sample, extrapolated), and `idinn` on a
published instance where it is installed (`pip install idinn`; it needs torch, so it is no part of
the development tools).
"""

import argparse
import importlib.util
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from policy import Method, PolicyCache, ReviewInputs, decide
from policy.sourcing.solve import solve
from tests.bench.assortment import assortment
from tests.bench.harness import ROOT, machine
from tests.bench.progress import console

SEED = 1
GOAL_GAP = 6e-4
LEVELS_AN_ITEM = 160
CASES: dict[str, dict[str, Any]] = {
    "cost only": {},
    "95 % of cycles": {"target": 0.95},
    "95 %, lots and capacities": {"target": 0.95, "lots": True},
}
PUBLISHED = {
    "regular_lead_periods": 2,
    "expedited_lead_periods": 0,
    "regular_cost": 0,
    "expedited_cost": 20,
    "regular_setup": 0,
    "expedited_setup": 0,
    "holding": 5,
    "backorder": 495,
    "demand": {"family": "uniform", "low": 0, "high": 4},
}
PUBLISHED_COST = 23.071429  # Boettcher et al. (2023), DOI 10.1287/ijoc.2022.0136


@dataclass(frozen=True)
class Batch:
    """One batch of decisions; seconds on the clock and of CPU, gaps relative."""

    case: str
    items: int
    certified: int
    seconds: float
    cpu_seconds: float
    cached_seconds: float
    loop_seconds: float  # all items one by one, extrapolated from a sample
    loop_sample: int
    gap_median: float
    gap_95: float
    gap_worst: float
    within_goal: float  # share of items
    within_goal_single_units: float
    within_goal_wider_cells: float
    cell_median_units: float
    cell_widest_units: float


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return the result, and seconds on the clock and of CPU."""
    clock, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - clock, time.process_time() - cpu


def part(inputs: ReviewInputs, chosen: slice) -> ReviewInputs:
    values = {field.name: getattr(inputs, field.name) for field in fields(inputs)}
    return ReviewInputs(**{k: None if v is None else v[chosen] for k, v in values.items()})


def loop_seconds(inputs: ReviewInputs, sample: int) -> float:
    """Seconds for all items if each were decided by a call of its own."""

    def one_by_one() -> None:
        for k in range(sample):
            decide(part(inputs, slice(k, k + 1)))

    return timed(one_by_one)[1] / sample * len(inputs)


def run_case(case: str, items: int, threads: int, sample: int) -> Batch:
    console.print(f"{case}: {items:,} items on {threads} threads ...")
    inputs = assortment(items, SEED, **CASES[case])
    cache = PolicyCache(max(100_000, items * LEVELS_AN_ITEM))
    found, seconds, cpu = timed(lambda: decide(inputs, cache, threads=threads))
    _, cached, _ = timed(lambda: decide(inputs, cache, threads=threads))
    exact = found.method == Method.EXACT
    gap, cell = found.gap[exact], found.cell_units[exact]
    good = gap <= GOAL_GAP
    return Batch(
        case=case,
        items=items,
        certified=int(exact.sum()),
        seconds=seconds,
        cpu_seconds=cpu,
        cached_seconds=cached,
        loop_seconds=loop_seconds(inputs, min(sample, items)),
        loop_sample=min(sample, items),
        gap_median=float(np.median(gap)),
        gap_95=float(np.quantile(gap, 0.95)),
        gap_worst=float(gap.max()),
        within_goal=float(good.mean()),
        within_goal_single_units=float(good[cell == 1].mean()),
        within_goal_wider_cells=float(good[cell > 1].mean()),
        cell_median_units=float(np.median(cell)),
        cell_widest_units=float(cell.max()),
    )


def first_decision_seconds(cache_directory: str) -> tuple[float, float]:
    """Seconds and CPU-seconds of a fresh process until its first decision, imports included."""
    script = (
        "import time, os\n"
        "from policy import PolicyCache, decide\n"
        "from tests.bench.assortment import assortment\n"
        "decide(assortment(4, 1, target=0.95, lots=True), PolicyCache())\n"
        "print(sum(os.times()[:2]))"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": cache_directory, "PYTHONPATH": str(ROOT)}
    start = time.perf_counter()
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, env=environment, cwd=ROOT, check=True, capture_output=True, text=True
    )
    return time.perf_counter() - start, float(done.stdout)


def starts() -> tuple[tuple[float, float], tuple[float, float]]:
    """First decision with nothing compiled, and with the kernels on disk."""
    console.print("compiling in a fresh process ...")
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as directory:
        return first_decision_seconds(directory), first_decision_seconds(directory)


def idinn_seconds() -> tuple[float, float]:
    """Seconds and cost per period of idinn's dynamic program on the published instance."""
    from idinn.demand import UniformDemand  # type: ignore[import-not-found]
    from idinn.dual_controller import (  # type: ignore[import-not-found]
        DynamicProgrammingController,
    )
    from idinn.sourcing_model import DualSourcingModel  # type: ignore[import-not-found]

    logging.disable(logging.INFO)
    model = DualSourcingModel(
        regular_lead_time=2,
        expedited_lead_time=0,
        regular_order_cost=0,
        expedited_order_cost=20,
        holding_cost=5,
        shortage_cost=495,
        init_inventory=6,
        demand_generator=UniformDemand(low=0, high=4),
    )
    controller = DynamicProgrammingController()
    controller.fit(model, tolerance=float("inf"), validation_freq=2)  # compiles
    console.print("idinn's dynamic program: one to two minutes ...")
    _, seconds, _ = timed(lambda: controller.fit(model))
    return seconds, float(controller.vf)


def report(batches: list[Batch], output: Console) -> None:
    table = Table(title="Decisions of one review, every item different", caption=machine())
    table.add_column("")
    for batch in batches:
        table.add_column(batch.case, justify="right")
    rows: dict[str, Callable[[Batch], str]] = {
        "items, certified": lambda b: f"{b.items:,}, {b.certified:,}",
        "seconds (CPU)": lambda b: f"{b.seconds:.1f} ({b.cpu_seconds:.1f})",
        "again, cached": lambda b: f"{b.cached_seconds:.2f}",
        "one call an item*": lambda b: f"{b.loop_seconds:.0f}",
        "that is, times": lambda b: f"{b.loop_seconds / b.seconds:.1f}",
        "gap, median": lambda b: f"{b.gap_median:.4%}",
        "gap, 95 % of items": lambda b: f"{b.gap_95:.4%}",
        "gap, worst": lambda b: f"{b.gap_worst:.3%}",
        "within 0.06 %": lambda b: f"{b.within_goal:.2%}",
        "of them on wider cells": lambda b: f"{b.within_goal_wider_cells:.2%}",
        "of them on single units": lambda b: f"{b.within_goal_single_units:.2%}",
        "cell, median / widest": lambda b: f"{b.cell_median_units:g} / {b.cell_widest_units:g}",
    }
    for name, cell in rows.items():
        table.add_row(name, *map(cell, batches))
    output.print(table)
    output.print(f"* extrapolated from {batches[0].loop_sample:,} items")


def report_published(output: Console) -> None:
    """The published instance here and, where it is installed, with idinn."""
    solve(PUBLISHED)  # the first run compiles
    ours, seconds, _ = timed(lambda: solve(PUBLISHED))
    table = Table(title="A published instance: lead times 2 and 0, optimum 23.071429 a period")
    for column in ("solver", "seconds", "cost per period", "times"):
        table.add_column(column, justify="right" if column != "solver" else "left")
    table.add_row("Tidegate", f"{seconds:.4f}", f"{ours['cost_per_period']:.6f}", "1.0")
    if importlib.util.find_spec("idinn") is None:
        output.print(table)
        output.print("idinn was left out: not installed (pip install idinn; it brings torch)")
        return
    other, cost = idinn_seconds()
    table.add_row("idinn", f"{other:.4f}", f"{cost:.6f}", f"{other / seconds:.1f}")
    output.print(table)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.policy", description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sample", type=int, default=500, help="items decided one by one")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    options = parser.parse_args(arguments)
    output = Console(width=None if sys.stdout.isatty() else 110)
    cold, warm = starts()
    decide(assortment(4, SEED, target=0.95, lots=True))
    batches = [run_case(case, options.items, options.threads, options.sample) for case in CASES]
    report(batches, output)
    output.print(
        f"first decision of a process: {cold[0]:.1f} s ({cold[1]:.1f} s CPU) with nothing compiled,"
        f" {warm[0]:.1f} s ({warm[1]:.1f} s CPU) with the kernels on disk"
    )
    report_published(output)
    if options.json:
        document = {"cold_start": cold, "warm_start": warm, "batches": [*map(asdict, batches)]}
        options.json.write_text(json.dumps(document, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
