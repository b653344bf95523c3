"""Compiles every kernel once and leaves the results in numba's cache: `python -m infra.compile`.

`make setup` runs it, so that the first worker on a machine need not. Nothing depends on it: what is
not in the cache is compiled when it is first used.
"""

import subprocess
import sys
from collections.abc import Callable

import numpy as np

_DAY = "2026-03-0{day}T00:00:00Z"


def compile_policy() -> None:
    """Decide for an item with short lead times, one with long ones, and one without demand."""
    from policy import PolicyCache, ReviewInputs, ServiceType, decide

    def column(*values: float) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        return np.array(values, np.float64)

    def same(value: float) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        return np.full(3, value)

    inputs = ReviewInputs(
        inventory_position_units=same(40.0),
        demand_mean_units_per_day=column(10.0, 10.0, 0.0),
        demand_sd_units_per_day=column(5.0, 5.0, 0.0),
        review_period_days=column(9.0, 1.0, 9.0),
        lead_time_days_lean=same(4.0),
        lead_time_days_flexible=same(2.0),
        setup_cost_lean=same(90.0),
        setup_cost_flexible=same(9.0),
        unit_cost_lean=same(1.0),
        unit_cost_flexible=same(1.3),
        holding_cost_per_unit_day=same(0.09),
        backorder_cost_per_unit_day=same(0.2),
        service_target=same(0.95),
        service_type=np.full(3, ServiceType.CYCLE),
        lean_capacity_units=same(np.inf),
        minimum_order_units_lean=same(0.0),
        minimum_order_units_flexible=same(0.0),
        pack_size_units_lean=same(1.0),
        pack_size_units_flexible=same(1.0),
    )
    cache = PolicyCache()
    decide(inputs, cache)
    decide(inputs, cache)


def compile_streams() -> None:
    """Let a shard see a sale, a cancellation and two days."""
    from policy import PolicyCache
    from streams.decode import TopicDecoder
    from streams.events import TOPICS
    from streams.shard import Shard, ShardSettings

    shard = Shard(0, ShardSettings(), PolicyCache())

    def take(topic: str, offset: int, *values: str) -> None:
        encoded: list[bytes | None] = [value.encode() for value in values]
        shard.fold(topic, TopicDecoder(topic).decode(encoded, None), offset)

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
    shard.take_commit()


_PARTS: dict[str, Callable[[], None]] = {"policy": compile_policy, "streams": compile_streams}


def main(parts: list[str]) -> int:
    """Compile the named parts here, or all of them side by side."""
    if parts:
        for part in parts:
            _PARTS[part]()
        return 0
    command = [sys.executable, "-m", "infra.compile"]
    running = [subprocess.Popen([*command, part]) for part in _PARTS]
    return max(process.wait() for process in running)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
