"""What a tick costs for 100,000 items, and what an item takes in memory.

    python -m tests.bench.ticks

Rows as a shard has them, with a made-up history; each part as the timeline calls it. The end of a
day is the dearest tick: exposures, estimates and the search for suspicious silence.
"""

import sys
import time
from collections.abc import Callable

import numpy as np

from streams.estimate import Correction, EstimateSettings, close_day
from streams.exposure import SilenceSettings, close_exposure, suspicious_items
from streams.items import ROW
from streams.profile import flat_profile
from streams.rings import DAY_MS

ITEMS, DAYS, ROUNDS = 100_000, 30, 7
START_MS = 20_000 * DAY_MS


def history(random: np.random.Generator) -> np.ndarray:
    """Rows of items that sold for some weeks."""
    rows = np.zeros(ITEMS, ROW)
    rows["counted_at_ms"], rows["on_hand_units"] = START_MS, 1_000
    rates = random.gamma(0.5, 2.0, ITEMS)
    correction = Correction()
    for day in range(DAYS):
        sell(rows, random.poisson(rates), START_MS + day * DAY_MS)
        correction = end_day(rows, START_MS + (day + 1) * DAY_MS, correction)
    return rows


def sell(rows: np.ndarray, orders: np.ndarray, at_ms: int) -> None:
    """Let a day have orders of three units."""
    rows["day_orders"] = rows["day_taught_orders"] = orders
    rows["day_taught_units"] = 3 * orders
    rows["size_count"] += orders
    rows["size_logs"] += orders * np.log(3.0)
    rows["size_log_squares"] += orders * np.log(3.0) ** 2
    rows["quiet_since_ms"] = np.where(orders > 0, at_ms, rows["quiet_since_ms"])


def end_day(rows: np.ndarray, end_ms: int, correction: Correction) -> Correction:
    """Close a day: exposures and estimates."""
    elapsed, nothing = flat_profile().elapsed, np.zeros(rows.size)
    close_exposure(rows, elapsed, end_ms - DAY_MS, end_ms, 1.0, nothing)
    categories = np.zeros(rows.size, np.int32)
    return close_day(rows, end_ms, categories, correction, EstimateSettings())


def milliseconds(work: Callable[[], object]) -> str:
    """The best and the median of some runs."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        times.append((time.process_time() - start) * 1000)
    return f"{min(times):6.1f} best, {sorted(times)[ROUNDS // 2]:6.1f} median"


def main() -> int:
    """Run the benchmark."""
    random = np.random.default_rng(6)
    rows = history(random)
    end_ms = START_MS + (DAYS + 1) * DAY_MS
    elapsed = flat_profile().elapsed
    parts: dict[str, Callable[[], object]] = {
        "end of a day": lambda: end_day(rows, end_ms, Correction()),
        "suspicious silence (hourly)": lambda: suspicious_items(
            rows, elapsed, end_ms, 10**9, 1e5, SilenceSettings()
        ),
    }
    print(f"{ITEMS:,} items, {ROW.itemsize} bytes each; milliseconds of processor time")
    for name, work in parts.items():
        print(f"{name:32s} {milliseconds(work)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
