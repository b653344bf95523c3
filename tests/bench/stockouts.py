"""Stock-outs cut into real orders: does the estimate come through them unharmed?

    python -m tests.bench.stockouts --seed 6

From each item of the 300-SKU sample with enough orders one stretch of 3 to 21 days is cut, drawn by
a printed seed. Three shards read what is left: one sees the whole history, one sees the cut with a
stock record that says "none" from its start to the refill, one sees the cut while the record says
that there is stock (phantom stock). Compared are the estimates right after the refill, when the cut
hurts most, and at the end of the history; beside them those of a shard that knows no stock at all.

Right after the refill the shard that saw everything has learned from days that the others could not
see. So the table begins with its own estimate from before the cut: demand moved by so much
meanwhile, and an estimate that stands still as it should is off by the same.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from streams.settings import ShardSettings, TimelineSettings
from streams.timestamps import DAY_MS, HOUR_MS
from tests.bench.forecast import DATA
from tests.bench.replayed import Line, Replay, read_sales

SAMPLE = "uci_sample_2011_autumn_300skus.jsonl.gz"
LEAST_ORDERS = 30
FIRST_CUT_DAY, LAST_REFILL_DAY = 40, 95
ENOUGH_UNITS = 1_000_000


class Cut(NamedTuple):
    """A stretch without sales of one item."""

    start_ms: int
    end_ms: int


def draw_cuts(lines: list[Line], seed: int) -> dict[str, Cut]:
    """Draw a stretch for each item that sold enough, from noon to noon."""
    random = np.random.default_rng(seed)
    skus = [json.loads(value)["sku"] for _, value in lines]
    first_day = lines[0][0] // DAY_MS
    names, counts = np.unique(skus, return_counts=True)
    cuts = {}
    for sku in names[counts >= LEAST_ORDERS].tolist():
        days = int(random.integers(3, 22))
        start = first_day + int(random.integers(FIRST_CUT_DAY, LAST_REFILL_DAY - days))
        noon = start * DAY_MS + DAY_MS // 2
        cuts[sku] = Cut(noon, noon + days * DAY_MS)
    return cuts


def without(lines: list[Line], cuts: dict[str, Cut]) -> list[Line]:
    """Return the sales outside the cuts."""
    return [line for line in lines if not _is_cut(line, cuts)]


def _is_cut(line: Line, cuts: dict[str, Cut]) -> bool:
    cut = cuts.get(json.loads(line[1])["sku"])
    return cut is not None and cut.start_ms <= line[0] < cut.end_ms


def counts_of(cuts: dict[str, Cut], start_ms: int, *, is_honest: bool) -> list[Line]:
    """Return stock counts: plenty at the start, and where the record is honest none in a cut."""
    told = [(start_ms, sku, ENOUGH_UNITS) for sku in cuts]
    if is_honest:
        told += [(cut.start_ms, sku, 0) for sku, cut in cuts.items()]
        told += [(cut.end_ms, sku, ENOUGH_UNITS) for sku, cut in cuts.items()]
    return [(at_ms, _count(at_ms, sku, level)) for at_ms, sku, level in sorted(told)]


def _count(at_ms: int, sku: str, level: int) -> bytes:
    event_id = f"count-{sku}-{at_ms}"
    record = {"kind": "counted", "event_id": event_id, "occurred_at": at_ms, "sku": sku}
    return json.dumps({**record, "level": level}).encode()


class Outcome(NamedTuple):
    """What a shard said."""

    before_cut: np.ndarray  # units per operational day, shape (item,)
    after_refill: np.ndarray
    at_end: np.ndarray
    alerts: dict[str, int]  # raised by kind


def outcome(sales: list[Line], counts: list[Line], cuts: dict[str, Cut]) -> Outcome:
    """Read a history and note the level of each cut item at the midnights around its cut."""
    replay = Replay(ShardSettings(timeline=TimelineSettings(tick_ms=HOUR_MS)))
    before, after = dict.fromkeys(cuts, 0.0), dict.fromkeys(cuts, 0.0)
    told = sorted([(at, "orders", value) for at, value in sales]
                  + [(at, "stock", value) for at, value in counts])  # fmt: skip
    for day, events in groupby(told, key=lambda event: event[0] // DAY_MS):
        records = list(events)
        for topic in ("orders", "stock"):
            replay.read(topic, [value for _, kind, value in records if kind == topic])
        replay.pass_time((day + 1) * DAY_MS)
        for sku, cut in cuts.items():
            if (day + 1) * DAY_MS <= cut.start_ms:
                before[sku] = _level(replay, sku)
            if not after[sku] and cut.end_ms // DAY_MS <= day:
                after[sku] = _level(replay, sku)
    at_end = np.array([_level(replay, sku) for sku in cuts])
    around = (np.array(list(levels.values())) for levels in (before, after))
    return Outcome(*around, at_end, replay.raised())


def _level(replay: Replay, sku: str) -> float:
    items = replay.shard.timeline.items
    place = items.find(sku, "main")
    return 0.0 if place is None else float(items.rows["demand_level_units_per_day"][place])


def report(whole: Outcome, others: dict[str, Outcome]) -> Iterator[str]:
    """Yield a table of how far the estimates are from those without a cut."""
    yield "                                   off by, median (90 % of items), and lower by"
    yield _line("from before the cut", "after refill", whole.before_cut / whole.after_refill)
    for name, other in others.items():
        yield _line(name, "after refill", other.after_refill / whole.after_refill)
        yield _line(name, "at end", other.at_end / whole.at_end)
    for name, other in {"whole history": whole, **others}.items():
        raised = ", ".join(f"{kind} {count}" for kind, count in sorted(other.alerts.items()))
        yield f"alerts, {name}: {raised or 'none'}"


def _line(name: str, moment: str, ratio: np.ndarray) -> str:
    off = np.abs(ratio - 1)
    return (
        f"{name:24s} {moment:12s} {np.median(off):6.1%} ({np.quantile(off, 0.9):6.1%})   "
        f"{1 - np.median(ratio):+6.1%}"
    )


def plot(whole: Outcome, others: dict[str, Outcome], path: Path) -> None:
    """Draw how the estimates stand to those without a cut, item by item."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    for axes, moment in zip(panels, ("after_refill", "at_end"), strict=True):
        for name, other in others.items():
            ratio = np.sort(getattr(other, moment) / getattr(whole, moment))
            axes.plot(ratio, np.linspace(0, 1, ratio.size), label=name)
        axes.axvspan(0.9, 1.1, color="0.9")
        axes.set(xscale="log", xlabel="estimate / estimate without the cut",
                 title=moment.replace("_", " "))  # fmt: skip
    panels[0].set(ylabel="share of items")
    panels[0].legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(arguments: list[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the shared data")
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--plot", type=Path, help="draw the results to this file")
    options = parser.parse_args(arguments)
    lines = list(read_sales(options.data / SAMPLE))
    cuts = draw_cuts(lines, options.seed)
    rest, start_ms = without(lines, cuts), lines[0][0]
    honest, plenty = (counts_of(cuts, start_ms, is_honest=is_honest) for is_honest in (True, False))
    print(f"{len(cuts)} items, seed {options.seed}, {len(lines) - len(rest)} sales cut")
    others = {
        "record says none": outcome(rest, honest, cuts),
        "record says stock": outcome(rest, plenty, cuts),
        "no record": outcome(rest, [], cuts),
    }
    whole = outcome(lines, plenty, cuts)
    print("\n".join(report(whole, others)))
    if options.plot:
        plot(whole, others, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
