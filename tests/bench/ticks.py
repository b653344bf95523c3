"""What a tick costs for 100,000 items, and what an item takes in memory.

    python -m tests.bench.ticks

Rows as a shard has them, with a made-up history. First whole ticks as the timeline runs them, in
one shard and in two side by side (the kernels hold no interpreter lock): every item has an order in
the same minute, so that each is moved, counted for its estimate and tested; then the last tick of a
day, which closes the estimates of all. Then the parts, each alone. The goal is 50 ms for 100,000
items a tick on two cores.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from policy import PolicyCache
from streams.contracts.codes import Kind
from streams.demand.baseline import Pool, learn_baseline, pool_items
from streams.demand.estimate import Correction, close_day
from streams.demand.exposure import close_exposure
from streams.demand.week_profile import flat_profile
from streams.detection.phantom_stock import suspicious_items
from streams.detection.surge import NULL_FACTOR, surge_tick
from streams.settings import (
    BaselineSettings,
    EstimateSettings,
    SilenceSettings,
    SurgeSettings,
    TimelineSettings,
)
from streams.state.items import ROW
from streams.state.pending import ENTRY
from streams.timeline.timeline import Timeline
from streams.timestamps import DAY_MS, HOUR_MS, MINUTE_MS

ITEMS, DAYS, ROUNDS = 100_000, 30, 7
START_MS = 20_000 * DAY_MS
GOAL_MS = 50.0


def history(items: int, random: np.random.Generator) -> np.ndarray:
    """Rows of items that sold for some weeks."""
    rows = np.zeros(items, ROW)
    rows["counted_at_ms"], rows["on_hand_units"] = START_MS, 1_000_000
    rates = random.gamma(0.5, 2.0, items)
    correction, pool = Correction(), Pool(0.0, 0.2)
    for day in range(DAYS):
        sell(rows, random.poisson(rates), START_MS + day * DAY_MS)
        correction = end_day(rows, START_MS + (day + 1) * DAY_MS, correction, pool)
    return rows


def sell(rows: np.ndarray, orders: np.ndarray, at_ms: int) -> None:
    """Let a day have orders of three units."""
    rows["day_orders"] = rows["day_taught_orders"] = orders
    rows["day_taught_units"] = 3 * orders
    rows["size_count"] += orders
    rows["size_logs"] += orders * np.log(3.0)
    rows["size_log_squares"] += orders * np.log(3.0) ** 2
    rows["quiet_since_ms"] = np.where(orders > 0, at_ms, rows["quiet_since_ms"])


def end_day(rows: np.ndarray, end_ms: int, correction: Correction, pool: Pool) -> Correction:
    """Close a day: exposures, what is usual, and estimates."""
    elapsed, nothing = flat_profile().elapsed, np.zeros(rows.size)
    close_exposure(rows, elapsed, end_ms - DAY_MS, end_ms, 1.0, nothing)
    learn_baseline(rows, pool, BaselineSettings(), null_factor=NULL_FACTOR, least_rate=0.2)
    categories = np.zeros(rows.size, np.int32)
    return close_day(rows, end_ms, categories, correction, EstimateSettings())


class Ticks:
    """A timeline whose items all sell in each minute.

    Args:
        rows: of its items.
        start_ms: where its time begins.
    """

    def __init__(self, rows: np.ndarray, start_ms: int) -> None:
        self.timeline = Timeline(0, TimelineSettings(), PolicyCache())
        names = [(f"sku{number}", "main") for number in range(rows.size)]
        self.timeline.items.restore(names, rows.copy())
        self.timeline.applied_ms = self._now = start_ms
        self.timeline.state.pool_items()
        self.timeline.state.learn_rate()

    def pass_minute(self) -> None:
        """One tick in which every item has an order."""
        size = len(self.timeline.items)
        entries = np.zeros(size, ENTRY)
        entries["effective_ms"] = self._now + np.arange(size) * MINUTE_MS // size
        entries["item"], entries["quantity"] = np.arange(size), 1
        entries["code"], entries["is_new_order"] = Kind.PLACED, True
        self.timeline.pending.add("orders", entries, {})
        self._now += MINUTE_MS
        self.timeline.advance(self._now, START_MS, 1)


def tick_milliseconds(rows: np.ndarray, shards: int, start_ms: int) -> float:
    """The least wall time of a tick of all items, split over shards in as many threads."""
    parts = np.array_split(rows, shards)
    ticking = [Ticks(part, start_ms) for part in parts]
    times = []
    with ThreadPoolExecutor(shards) as pool:
        for _ in range(ROUNDS):
            start = time.perf_counter()
            list(pool.map(Ticks.pass_minute, ticking))
            times.append((time.perf_counter() - start) * 1000)
    return min(times)


def milliseconds(work: Callable[[], object]) -> tuple[float, float]:
    """The least and the median of some runs, of processor time."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        times.append((time.process_time() - start) * 1000)
    return min(times), sorted(times)[ROUNDS // 2]


def measured(rows: np.ndarray) -> Iterator[tuple[str, float, str]]:
    """Yield name, milliseconds and what they are."""
    noon_ms = START_MS + DAYS * DAY_MS + 12 * HOUR_MS + 30 * MINUTE_MS
    for shards in (1, 2):
        name = f"a tick, each item with an order, {shards} shard{'s' * (shards > 1)}"
        yield name, tick_milliseconds(rows, shards, noon_ms), "wall, least"
    end_ms = START_MS + (DAYS + 1) * DAY_MS
    elapsed, pool = flat_profile().elapsed, pool_items(rows, DAYS, BaselineSettings())
    everyone = np.arange(rows.size, dtype=np.int32)
    tested = rows.copy()

    def test() -> None:
        tested["tick_orders"] = 1
        nonlocal noon_ms
        noon_ms += MINUTE_MS
        surge_tick(tested, everyone, flat_profile(), noon_ms, MINUTE_MS, pool, SurgeSettings())

    parts: dict[str, Callable[[], object]] = {
        "  of it the surge test": test,
        "end of a day: estimates of all": lambda: end_day(rows, end_ms, Correction(), pool),
        "suspicious silence, each hour": lambda: suspicious_items(
            rows, elapsed, end_ms, 10**9, 1e5, SilenceSettings()
        ),
    }
    for name, work in parts.items():
        least, median = milliseconds(work)
        yield name, least, f"processor, least; median {median:.1f}"


def plot(told: list[tuple[str, float, str]], path: Path) -> None:
    """Draw the times beside the goal."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 3.5), layout="constrained")
    axes.barh([name.strip() for name, _, _ in told], [least for _, least, _ in told])
    axes.axvline(GOAL_MS, color="C3", label="goal")
    axes.invert_yaxis()
    axes.set(xlabel=f"milliseconds, {ITEMS:,} items")
    axes.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(arguments: list[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--plot", type=Path, help="draw the times to this file")
    options = parser.parse_args(arguments)
    rows = history(ITEMS, np.random.default_rng(6))
    print(f"{ITEMS:,} items, {ROW.itemsize} bytes each in the row; milliseconds, goal {GOAL_MS:g}")
    told = list(measured(rows))
    for name, least, what in told:
        print(f"{name:44s} {least:7.1f}  {what}")
    if options.plot:
        plot(told, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
