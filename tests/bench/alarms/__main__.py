"""The demo's sale over some seeds: planted troubles that were called, false alarms, low cover.

    python -m tests.bench.alarms --seeds 10

Each sale is read through whole shards as a stream, with both stages and the demo's own settings. A
surge is true where it is planted and raised while it runs or within an hour after; promoted items
that are called inside their window sold more than their plan, and count apart.
"""

import argparse
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.replay.schemas import adapt
from infra.sale import SaleSettings, generate_sale
from infra.settings import load_settings
from streams.timestamps import HOUR_MS, MINUTE_MS, one_time
from tests.bench.surges import replay


@dataclass(frozen=True)
class Alarms:
    """What one sale brought."""

    seed: int
    planted: int
    called: int  # of these
    false: int
    promoted: int
    broad: int
    low_cover_a_day: float
    minutes: tuple[float, ...]  # from the beginning of a planted surge to its alarm


def alarms(seed: int, partitions: int) -> Alarms:
    """Play a sale and compare what was raised with what was planted."""
    sale_settings = SaleSettings(seed=seed)
    sale = generate_sale(sale_settings)
    settings = load_settings(
        tick_seconds=60, minimum_history_days=1, sale_days=float(sale_settings.days)
    )
    records = adapt(sale.lines, schema="tidegate")
    replayed = replay(records, settings.worker().shard, partitions=partitions)
    raised = [one for one in replayed.alerts if one["state"] == "raised"]
    surge, promotion = sale.truth["surge"], sale.truth["promotion"]
    minutes, called, outcomes = [], set(), Counter[str]()
    for one in (one for one in raised if one["kind"] == "surge"):
        at_ms = one_time(one["occurred_at"])
        if _is_in(surge, one["sku"], at_ms):
            called.add(one["sku"])
            minutes.append((at_ms - one_time(surge["starts_at"])) / MINUTE_MS)
        else:
            outcomes["promoted" if _is_in(promotion, one["sku"], at_ms) else "false"] += 1
    kinds = Counter(one["kind"] for one in raised)
    return Alarms(
        seed,
        len(surge["skus"]),
        len(called),
        outcomes["false"],
        outcomes["promoted"],
        kinds["broad_surge"],
        kinds["low_cover"] / sale_settings.days,
        tuple(minutes),
    )


def _is_in(window: dict[str, Any], sku: str, at_ms: int) -> bool:
    starts_ms, ends_ms = one_time(window["starts_at"]), one_time(window["ends_at"])
    return sku in window["skus"] and starts_ms <= at_ms <= ends_ms + HOUR_MS


def lines_of(found: Sequence[Alarms]) -> list[str]:
    """A line for each seed, and one for all."""
    lines = [
        f"{'seed':>6}{'called':>10}{'false':>8}{'promoted':>10}{'broad':>7}{'low cover a day':>17}"
    ]
    for one in found:
        lines.append(
            f"{one.seed:>6}{f'{one.called} of {one.planted}':>10}{one.false:>8}{one.promoted:>10}"
            f"{one.broad:>7}{one.low_cover_a_day:>17.1f}"
        )
    minutes = sorted(value for one in found for value in one.minutes)
    lines.append(
        f"false in the mean {statistics.mean(one.false for one in found):.1f} a sale; "
        f"minutes to the alarm: median {statistics.median(minutes or [0]):.0f}, "
        f"90 % {(minutes or [0])[int(0.9 * (len(minutes) - 1))]:.0f}"
    )
    return lines


def main(arguments: list[str]) -> int:
    """Play, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=7)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--plot", type=Path, help="taken, and ignored: there is nothing to draw")
    options = parser.parse_args(arguments)
    found = []
    for seed in range(options.first, options.first + options.seeds):
        found.append(alarms(seed, options.partitions))
        print(f"seed {seed} done", file=sys.stderr, flush=True)
    print("\n".join(lines_of(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
