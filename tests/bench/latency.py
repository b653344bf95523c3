"""From an order's produce call to its effect being visible in Redis, at a steady rate.

    python -m tests.bench.latency [--broker auto|kafka|embedded] [--rate 10000] [--seconds 10]

Orders are produced evenly by this process, which also asks Redis about each millisecond how far the
contender is: the figures include that, and the producer's linger of 5 ms.
"""

import argparse
import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from infra.kafka.topic_admin import ensure_topics
from streams.contracts.topics import input_topics
from tests.bench.harness import Bench, Contender, Running, machine, running, servers
from tests.bench.orders import (
    Flood,
    flush,
    load_side_topics,
    make_producer,
    produce,
)
from tests.bench.progress import Progress

PREFIX = "latency-"
LINGER_MS = 5  # librdkafka's default; with 0 a broker on two cores does not keep up with 10,000/s
_POLL_SECONDS = 0.001
_READY_TIMEOUT_SECONDS = 90.0
_DRAIN_TIMEOUT_SECONDS = 60.0
_WARM_UP_SECONDS = 5  # a broker in Java is slow at first


@dataclass(frozen=True)
class Latencies:
    name: str
    milliseconds: np.ndarray
    produced_per_second: float

    def percentile(self, percent: float) -> float:
        return float(np.percentile(self.milliseconds, percent))


class Watch:
    """Notes, from a thread of its own, when Redis reached which offsets."""

    def __init__(self, bench: Bench, contender: Contender) -> None:
        self._client = bench.client()
        self._contender = contender
        self._stop = threading.Event()
        self.seen: dict[int, list[tuple[int, float]]] = {}  # partition -> (next offset, time)
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                offsets = self._contender.committed(self._client)
                now = time.perf_counter()
                for partition, offset in offsets.items():
                    steps = self.seen.setdefault(partition, [])
                    if not steps or steps[-1][0] < offset:
                        steps.append((offset, now))
                time.sleep(_POLL_SECONDS)
        except BaseException as error:
            self.error = error

    def reached(self, ends: dict[int, int]) -> bool:
        if self.error is not None:
            raise self.error
        last = {partition: steps[-1][0] for partition, steps in list(self.seen.items())}
        return all(last.get(partition, 0) >= end for partition, end in ends.items())

    def times(self, partition: int, offsets: np.ndarray) -> np.ndarray:
        """When each offset became visible."""
        steps = self.seen[partition]
        nexts = np.array([offset for offset, _ in steps])
        moments = np.array([moment for _, moment in steps])
        return moments[np.searchsorted(nexts, offsets, side="right")]

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._stop.set()
        self._thread.join()
        self._client.close()


def measure(
    bench: Bench, contender: Contender, topic: str, *, rate: int, seconds: int
) -> Latencies:
    """Run the contender, warm it up, produce at the rate, and match offsets with moments."""
    with bench.client() as client:
        client.flushall()
    with running(contender, bench.directory) as run, Watch(bench, contender) as watch:
        warm = Load(bench, topic, rate * _WARM_UP_SECONDS, rate=rate)
        warm.run()
        wait(run, watch, warm.ends(), _READY_TIMEOUT_SECONDS)
        load = Load(bench, topic, rate * seconds, rate=rate)
        elapsed = load.run(f"{contender.name}: {rate:,} orders/s")
        wait(run, watch, load.ends(), _DRAIN_TIMEOUT_SECONDS)
        visible, produced = [], []
        for partition, rows in load.delivered.items():
            offsets, moments = np.array(rows).T
            visible.append(watch.times(partition, offsets))
            produced.append(moments)
    milliseconds = (np.concatenate(visible) - np.concatenate(produced)) * 1000
    return Latencies(contender.name, milliseconds, load.orders / elapsed)


class Load:
    """Orders produced evenly, with the offset that each one got."""

    _numbers = 0

    def __init__(self, bench: Bench, topic: str, orders: int, *, rate: int) -> None:
        self.orders = orders
        self.delivered: dict[int, list[tuple[int, float]]] = {}  # partition -> (offset, produced)
        self._topic = topic
        self._rate = rate
        self._producer = make_producer(bench.broker.bootstrap, "none", linger_ms=LINGER_MS)
        # Each load has other event ids; its orders happen now, as far as event time goes.
        Load._numbers += 1
        start = (int(time.time()) - 1) * 1000
        self._flood = Flood(orders, start, events_per_second=rate, first=Load._numbers << 32)

    def run(self, title: str = "warming up") -> float:
        """Produce all; return the seconds that it took."""
        partitions = self._flood.partitions
        streams = [self._flood.records(partition) for partition in range(partitions)]
        start = time.perf_counter()
        with Progress(title, self.orders) as progress:
            done = 0
            while done < self.orders:
                due = min(self.orders, int((time.perf_counter() - start) * self._rate) + 1)
                for number in range(done, due):
                    self._send(number % partitions, streams[number % partitions])
                done = due
                self._producer.poll(0)
                progress.update(done)
                time.sleep(0.001)
            elapsed = time.perf_counter() - start
            flush(self._producer)
        return elapsed

    def _send(self, partition: int, records: Iterator[tuple[str, bytes]]) -> None:
        sku, value = next(records)
        rows = self.delivered.setdefault(partition, [])
        moment = time.perf_counter()

        def delivered(error: object, message: object) -> None:
            if error is None:
                rows.append((message.offset(), moment))  # type: ignore[attr-defined]

        produce(self._producer, self._topic, partition, sku, value, on_delivery=delivered)

    def ends(self) -> dict[int, int]:
        count = sum(len(rows) for rows in self.delivered.values())
        if count != self.orders:
            raise RuntimeError(f"{self.orders - count:,} of {self.orders:,} orders were refused")
        return {p: max(offset for offset, _ in rows) + 1 for p, rows in self.delivered.items()}


def wait(run: Running, watch: Watch, ends: dict[int, int], timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not watch.reached(ends):
        run.require_alive()
        if time.monotonic() > deadline:
            raise RuntimeError(
                f"{run.contender.name} did not reach {ends} within {timeout_seconds:g} s"
            )
        time.sleep(0.01)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.latency", description=__doc__)
    parser.add_argument("--broker", choices=("auto", "kafka", "embedded"), default="auto")
    parser.add_argument("--rate", type=int, default=10_000, help="orders per second")
    parser.add_argument("--seconds", type=int, default=10)
    options = parser.parse_args(arguments)
    topic = f"{PREFIX}orders"
    results = []
    with servers(options.broker) as bench:
        flood = Flood.ending_now(1)
        asyncio.run(ensure_topics(bench.broker.bootstrap, PREFIX, flood.partitions))
        load_side_topics(flood, bench.broker.bootstrap, PREFIX, input_topics(PREFIX))
        for make in (
            lambda: bench.plain("confluent by hand", "by_hand", topic, flush_seconds=0),
            lambda: bench.tidegate(PREFIX),
        ):
            rate, seconds = options.rate, options.seconds
            results.append(measure(bench, make(), topic, rate=rate, seconds=seconds))
        setting = f"{bench.broker_name}, {options.rate:,} orders/s asked for; {machine()}"
    report(results, setting)


def report(results: list[Latencies], setting: str) -> None:
    table = Table(title="Order produced to visible in Redis", caption=setting)
    table.add_column("contender")
    for column in ("orders", "orders/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms"):
        table.add_column(column, justify="right")
    for result in results:
        table.add_row(
            result.name,
            f"{len(result.milliseconds):,}",
            f"{result.produced_per_second:,.0f}",
            *(f"{result.percentile(p):.1f}" for p in (50, 99, 99.9, 100)),
        )
    Console(width=None if sys.stdout.isatty() else 110).print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
