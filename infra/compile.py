"""Compiles every kernel once and leaves the results in numba's cache: `python -m infra.compile`.

`make setup` runs it, so that the first worker on a machine need not. Nothing depends on it: what is
not in the cache is compiled when it is first used.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from policy import ReviewInputs

_LOOK_SECONDS = 0.2
_DAY = "2026-03-0{day}T00:00:00Z"


def _inputs(review_period_days: float) -> "ReviewInputs":
    from policy import ReviewInputs, ServiceType

    def same(value: float) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        return np.full(1, value)

    return ReviewInputs(
        inventory_position_units=same(40.0),
        demand_mean_units_per_day=same(10.0),
        demand_sd_units_per_day=same(5.0),
        review_period_days=same(review_period_days),
        lead_time_days_lean=same(4.0),
        lead_time_days_flexible=same(2.0),
        setup_cost_lean=same(90.0),
        setup_cost_flexible=same(9.0),
        unit_cost_lean=same(1.0),
        unit_cost_flexible=same(1.3),
        holding_cost_per_unit_day=same(0.09),
        backorder_cost_per_unit_day=same(0.2),
        service_target=same(0.95),
        service_type=np.full(1, ServiceType.CYCLE),
        lean_capacity_units=same(np.inf),
        minimum_order_units_lean=same(0.0),
        minimum_order_units_flexible=same(0.0),
        pack_size_units_lean=same(1.0),
        pack_size_units_flexible=same(1.0),
    )


def compile_solver() -> None:
    """Solve for one item whose lead times are short; by far the largest kernel."""
    from importlib import import_module

    from policy.review_inputs import checked_columns

    # Not by `decide`, which compiles the other kernels as well: those have a process of their own.
    columns = import_module("policy.solver.columns")
    rows = import_module("policy.parameters").parameter_rows(checked_columns(_inputs(9.0)))
    import_module("policy.solver.item").solve_rows(
        rows,
        import_module("policy.live_decision").TOLERANCE,
        np.empty((1, columns.TABLES, columns.LEVELS_CAP)),
        np.empty((1, columns.LEVEL_ROWS, columns.LEVELS_CAP), np.int64),
        np.zeros((1, columns.ANSWERS)),
        np.zeros(1, np.bool_),
    )


def compile_rules() -> None:
    """Decide for an item whose lead times are long, and read a table for it."""
    from policy import PolicyCache, decide

    decide(_inputs(1.0), PolicyCache())


def compile_levels() -> None:
    """Fit levels of a slow lean supplier, and order by them."""
    from dataclasses import replace

    from policy import PolicyCache, decide
    from policy.dual_index.rule import POINTS

    wide, one = np.full((1, POINTS), 100.0), np.zeros(1)
    inputs = replace(
        _inputs(7.0),
        lead_time_days_lean=np.full(1, 14.0),
        outlook_demand_units=wide,
        outlook_demand_variance=wide,
        outlook_supply_units=0.5 * wide,
        outlook_arrival_chance=0.0 * wide,
        outlook_uncertain_units=one,
        outlook_strain=np.zeros(1, np.int64),
    )
    decide(inputs, PolicyCache(100_000))


def compile_streams() -> None:
    """Let a shard see a sale, a cancellation and two days."""
    from policy import PolicyCache
    from streams.contracts.events import TOPICS
    from streams.ingest.decode import TopicDecoder
    from streams.ingest.placement import Place, refuse_misplaced
    from streams.settings import ShardSettings
    from streams.shard.checkpoint import take_commit
    from streams.shard.shard import Shard

    shard = Shard(0, ShardSettings(), PolicyCache())

    def take(topic: str, offset: int, *values: str) -> None:
        encoded: list[bytes | None] = [value.encode() for value in values]
        decoded = TopicDecoder(topic).decode(encoded, None)
        keys: list[bytes | None] = [b"lamp"] * len(encoded)
        shard.fold(topic, refuse_misplaced(decoded, keys, Place(0, 1)), offset)

    sale = (
        '"event_id":"{number}","occurred_at":"2026-03-02T10:00:00Z","sku":"lamp",'
        '"order_id":"o","quantity":1}}'
    )
    take(
        "orders",
        2,
        '{"kind":"placed",' + sale.format(number=1),
        '{"kind":"cancelled",' + sale.format(number=2),
    )
    for day in (2, 8):
        for offset, topic in enumerate(TOPICS, start=10 * day):
            beat = f'{{"kind":"heartbeat","occurred_at":"{_DAY.format(day=day)}"}}'
            take(topic, offset, beat)
        while not shard.advance():
            pass
    take_commit(shard)


_PARTS: dict[str, Callable[[], None]] = {
    "solver": compile_solver,
    "rules": compile_rules,
    "levels": compile_levels,
    "streams": compile_streams,
}


def main(parts: list[str]) -> int:
    """Compile the named parts here, or all of them side by side."""
    if parts:
        for part in parts:
            _PARTS[part]()
        return 0
    command = [sys.executable, "-m", "infra.compile"]
    running = {part: subprocess.Popen([*command, part]) for part in _PARTS}
    watch(running)
    return max(process.wait() for process in running.values())


def watch(running: "Mapping[str, subprocess.Popen[bytes]]") -> None:
    """Show a bar until all have ended; where there is no terminal, a line for each that has."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), BarColumn(bar_width=30), TimeElapsedColumn())
    left = dict(running)
    with Progress(*columns, TextColumn("{task.description}"), console=console) as bar:
        task = bar.add_task("", total=len(running))
        while left:
            bar.update(task, description=f"compiling {', '.join(left)}")
            time.sleep(_LOOK_SECONDS)
            for part in [part for part, process in left.items() if process.poll() is not None]:
                del left[part]
                bar.advance(task)
                if not console.is_terminal:
                    console.print(f"compiled {part}")
        bar.update(task, description="compiled")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
