"""Orders made durable per second: Tidegate beside an ordinary agent, a peer by hand, and the floor.

    python -m tests.bench.throughput [--broker auto|kafka|embedded] [--events N] [--repeat N]

All read the same preloaded topic of one broker, one after another, each in a fresh process. The
floor (read and decode only) runs first and last: the two differ by the machine's noise.
"""

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from infra.kafka.topic_admin import ensure_topics
from streams.contracts.topics import input_topics
from tests.bench.harness import Bench, Contender, Measured, machine, measure, servers
from tests.bench.orders import Flood, load, load_side_topics

PREFIX = "bench-"
FLOOR = "floor (read, decode)"
FLOOR_AGAIN = "floor again"
ORDINARY = "ordinary Faust agent"
BY_HAND = "confluent by hand"
TIDEGATE = "Tidegate"
NAMES = {"floor": FLOOR, "ordinary": ORDINARY, "by-hand": BY_HAND, "tidegate": TIDEGATE}


@dataclass(frozen=True)
class Options:
    broker: str
    events: int
    ordinary_events: int
    items: int
    partitions: int
    compression: str
    repeat: int
    only: tuple[str, ...]
    json: Path | None


def main(arguments: list[str]) -> None:
    options = parse(arguments)
    with servers(options.broker) as bench:
        flood = fill(bench, options)
        measured = [
            each for _ in range(options.repeat) for each in one_round(bench, options, flood)
        ]
    report(measured, describe(bench, options, flood))
    if options.json:
        document = {
            "setting": describe(bench, options, flood),
            "measured": [asdict(each) for each in measured],
        }
        options.json.write_text(json.dumps(document, indent=2) + "\n")


def parse(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.throughput", description=__doc__)
    parser.add_argument("--broker", choices=("auto", "kafka", "embedded"), default="auto")
    parser.add_argument("--events", type=int, default=4_000_000)
    parser.add_argument("--ordinary-events", type=int, default=200_000)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--compression", choices=("none", "lz4", "gzip", "zstd"), default="none")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=tuple(NAMES), default=tuple(NAMES))
    parser.add_argument("--json", type=Path, default=None, help="write the figures there too")
    given = vars(parser.parse_args(arguments))
    return Options(**given | {"only": tuple(given["only"])})


def fill(bench: Bench, options: Options) -> Flood:
    flood = Flood.ending_now(options.events, items=options.items, partitions=options.partitions)
    asyncio.run(ensure_topics(bench.broker.bootstrap, PREFIX, options.partitions))
    topics = input_topics(PREFIX)
    load_side_topics(flood, bench.broker.bootstrap, PREFIX, topics)
    orders = f"{PREFIX}orders"
    load(flood, bench.broker.bootstrap, orders, compression=options.compression, processes=2)
    return flood


def one_round(bench: Bench, options: Options, flood: Flood) -> list[Measured]:
    topic = f"{PREFIX}orders"
    ends = {partition: flood.count(partition) for partition in range(flood.partitions)}
    some = min(options.ordinary_events, flood.events)
    plan: list[tuple[str, Callable[[], Contender]]] = [
        ("floor", lambda: bench.plain(FLOOR, "floor", topic)),
        ("ordinary", lambda: bench.plain(ORDINARY, "ordinary_agent", topic, most_events=some)),
        ("by-hand", lambda: bench.plain(BY_HAND, "by_hand", topic)),
        ("tidegate", lambda: bench.tidegate(PREFIX)),
        ("floor", lambda: bench.plain(FLOOR_AGAIN, "floor", topic)),
    ]
    return [measure(bench, make(), ends) for name, make in plan if name in options.only]


def describe(bench: Bench, options: Options, flood: Flood) -> str:
    sample = [len(value) for _, (_, value) in zip(range(1000), flood.records(0), strict=False)]
    return (
        f"{bench.broker_name}, {flood.events:,} orders of {round(statistics.mean(sample))} bytes, "
        f"{flood.items:,} SKUs, {flood.partitions} partitions, compression {options.compression}, "
        f"{flood.events_per_second:,} events per event second, "
        f"{options.repeat} round(s); {machine()}"
    )


def report(measured: list[Measured], setting: str) -> None:
    """Print the table: medians over the rounds, and the noise."""
    rounds: dict[str, list[Measured]] = {}
    for each in measured:
        rounds.setdefault(each.name, []).append(each)
    medians = {
        name: statistics.median(each.events_per_second for each in several)
        for name, several in rounds.items()
    }
    floor = [medians[name] for name in (FLOOR, FLOOR_AGAIN) if name in medians]
    out = Console(width=None if sys.stdout.isatty() else 110)
    table = Table(title="Orders made durable", caption=setting, caption_justify="left")
    table.add_column("contender")
    for column in ("events", "events/s", "range", "CPU s/M", "Redis CPU s/M", "x floor", "x agent"):
        table.add_column(column, justify="right")
    for name, several in rounds.items():
        rates = [each.events_per_second for each in several]
        table.add_row(
            name,
            f"{several[0].events:,}",
            f"{medians[name]:,.0f}",
            f"{min(rates):,.0f}-{max(rates):,.0f}" if len(rates) > 1 else "",
            f"{statistics.median(each.cpu_seconds_per_million for each in several):.2f}",
            f"{statistics.median(each.redis_cpu_seconds_per_million for each in several):.2f}",
            f"{medians[name] / statistics.mean(floor):.2f}" if floor else "",
            f"{medians[name] / medians[ORDINARY]:.1f}" if ORDINARY in medians else "",
        )
    out.print(table)
    if floors := [e.events_per_second for e in measured if e.name in (FLOOR, FLOOR_AGAIN)]:
        noise = (max(floors) - min(floors)) / statistics.mean(floors)
        out.print(f"Noise of the machine: {len(floors)} runs of the floor differ by {noise:.0%}.")


if __name__ == "__main__":
    main(sys.argv[1:])
