"""`tidegate demo`: a synthetic live sale through a whole Tidegate, and what happened."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from infra.cli.terminal.output import make_console, make_table, safe
from infra.cli.terminal.wait import Remaining, Target, remaining
from infra.kafka.topic_reader import (
    Ledger,
    TopicRecord,
    open_consumer,
    partition_counts,
    read_topics,
)
from infra.local.stack import LocalStack
from infra.redis.reader import open_reader
from infra.redis.rows import DECISION_COLUMNS, Row
from infra.replay.replay import Progress as Sent
from infra.replay.replay import ReplayResult, heartbeat_seconds_for, replay
from infra.replay.schemas import adapt
from infra.sale import Sale, SaleSettings, generate_sale
from infra.settings import Settings, load_settings
from infra.wording.format import duration, moment, number
from streams.contracts.alerts import AlertKind, AlertState
from streams.contracts.topics import ALERTS, INPUTS, PURCHASE_ORDERS, dead_letter_topic
from streams.timestamps import DAY_MS

_SHOWN_OF_A_KIND = 3  # the feed prints the first ones, then only counts
_TOP_ITEMS = 5
_LOOK_SECONDS = 0.25


@dataclass
class Demo:
    """One run.

    Args:
        directory: takes logs and the state file.
        speed: event time passes this many times faster; None means as fast as possible.
        sale: what is played.
        started: when the command began, on the monotonic clock.
    """

    directory: Path
    speed: float | None
    sale: SaleSettings
    started: float

    def run(self, *, keep: bool, stop: threading.Event) -> bool:
        """Play the sale and sum it up; return whether it was played to its end.

        It ends at today's clock: ages that are alerts compare event time with now.
        """
        console = make_console()
        self.sale = at_todays_clock(self.sale, self.speed, datetime.now(UTC))
        settings = load_settings(
            tick_seconds=60, minimum_history_days=1, sale_days=float(self.sale.days)
        )
        stack = LocalStack(self.directory, settings)
        console.print(
            f"Tidegate demo: {self.sale.days} event days of a shop with "
            f"{self.sale.skus} SKUs in two warehouses, {self._pace()}."
        )
        try:
            play = _Play(stack, generate_sale(self.sale), self, console, stop)
            finished = asyncio.run(play.run())
            if finished:
                asyncio.run(
                    Summary(stack.settings, play.sale, console, self.directory, keep).show()
                )
                if keep:
                    console.print(f"\nThe live page stays at {stack.admin_url}/; Ctrl-C ends it.")
                    self._stay(stack, console, stop)
            return finished
        finally:
            stack.stop()

    def _stay(self, stack: LocalStack, console: Console, stop: threading.Event) -> None:
        while not stop.wait(_LOOK_SECONDS):
            for said in stack.watch():
                console.print(said)

    def _pace(self) -> str:
        if self.speed is None:
            return "as fast as it goes"
        return f"a day in {duration(86_400 / self.speed)}"


def at_todays_clock(sale: SaleSettings, speed: float | None, now: datetime) -> SaleSettings:
    """Return a sale that ends when it has been played, so that no event is ever in the future.

    Its first day is written at once; the others take their time.

    >>> now = datetime(2026, 11, 27, 12, 0, 30, tzinfo=UTC)
    >>> print(at_todays_clock(SaleSettings(days=5), 7200.0, now).starts_at)
    2026-11-22 12:01:00+00:00
    """
    played = timedelta(0) if speed is None else timedelta(days=sale.days - 1) / speed
    ends_at = (now + played).replace(second=0, microsecond=0)
    return replace(sale, starts_at=ends_at - timedelta(days=sale.days))


class _Play:
    """Servers up, sale in, feed on the screen."""

    def __init__(
        self, stack: LocalStack, sale: Sale, demo: Demo, console: Console, stop: threading.Event
    ) -> None:
        self.sale = sale
        self.result: ReplayResult | None = None
        self._stack = stack
        self._demo = demo
        self._console = console
        self._stop = stop

    async def run(self) -> bool:
        """Return whether the sale was played to its end."""
        await asyncio.to_thread(self._stack.start_servers)
        self._console.print(f"broker {self._stack.broker.bootstrap}, Redis {self._stack.redis.url}")
        stop = asyncio.Event()
        columns = (SpinnerColumn(), BarColumn(bar_width=30), TextColumn("{task.description}"))
        with Progress(*columns, console=self._console, transient=True) as bar:
            task = bar.add_task(
                "starting a worker (the first start on a machine compiles)", total=1
            )
            feed = asyncio.create_task(_Feed(self._stack.settings, bar.console, self._demo).run())
            watch = asyncio.create_task(self._watch(stop))
            workers = asyncio.create_task(asyncio.to_thread(self._stack.start_workers))
            telling = asyncio.create_task(self._tell_page(workers))
            try:
                self.result = await self._send(stop, bar, task)
                await workers
                return self.result.complete and await self._wait(self.result, stop, bar, task)
            finally:
                for helper in (feed, watch):
                    helper.cancel()
                await asyncio.gather(feed, watch, workers, telling, return_exceptions=True)

    async def _tell_page(self, workers: "asyncio.Task[None]") -> None:
        await asyncio.wait([workers])
        if self._stack.workers:
            self._console.print(f"live page {self._stack.admin_url}/")

    async def _send(self, stop: asyncio.Event, bar: Progress, task: Any) -> ReplayResult:
        first_ms = _start_ms(self.sale)
        length_ms = self._demo.sale.days * DAY_MS

        def show(sent: Sent) -> None:
            clock_ms = sent.clock_ms or first_ms
            share = min(1.0, (clock_ms - first_ms) / length_ms)
            text = f"{moment(clock_ms)}   {number(sent.records)} events sent"
            bar.update(task, completed=share, description=text)

        records = list(adapt(self.sale.lines, schema="tidegate"))
        calm = next(n for n, one in enumerate(records) if one.occurred_ms >= first_ms + DAY_MS)
        # The first day only teaches the baseline: it is written at once.
        for part, speed in ((records[:calm], None), (records[calm:], self._demo.speed)):
            result = await replay(
                part,
                bootstrap=self._stack.broker.bootstrap,
                partitions=self._stack.settings.partitions,
                speed=speed,
                heartbeat_seconds=heartbeat_seconds_for(self._demo.speed),
                allowed_lateness_seconds=self._stack.settings.allowed_lateness_seconds,
                on_progress=show,
                stop=stop,
            )
        return result

    async def _wait(
        self, result: ReplayResult, stop: asyncio.Event, bar: Progress, task: Any
    ) -> bool:
        settings = self._stack.settings
        target = Target(
            result.end_offsets,
            settings.allowed_lateness_seconds * 1000,
            settings.tick_seconds * 1000,
        )
        with open_reader(settings) as reader:
            while not stop.is_set():
                left: Remaining = await asyncio.to_thread(
                    lambda: remaining(reader.shards(), target)
                )
                if left.is_nothing:
                    return True
                bar.update(task, total=None, description=f"waiting: {left}")
                await asyncio.sleep(_LOOK_SECONDS)
        return False

    async def _watch(self, stop: asyncio.Event) -> None:
        """Pass Ctrl-C on, and start a worker again that ended."""
        while not self._stop.is_set():
            for said in await asyncio.to_thread(self._stack.watch):
                self._console.print(said)
            await asyncio.sleep(_LOOK_SECONDS)
        stop.set()


def _start_ms(sale: Sale) -> int:
    from streams.timestamps import one_time

    return one_time(sale.truth["starts_at"])


# --- while it plays ---------------------------------------------------------------------------


class _Feed:
    """Prints the first decisions and alerts of each kind as they are published."""

    def __init__(self, settings: Settings, console: Console, demo: Demo) -> None:
        self._settings = settings
        self._console = console
        self._demo = demo
        self._seen: Counter[str] = Counter()

    async def run(self) -> None:
        """Read both output topics until cancelled."""
        async for value, topic in self._values():
            record = msgspec.json.decode(value)
            if topic == PURCHASE_ORDERS:
                self._tell("order", _order_line(record))
            elif record["state"] == AlertState.RAISED:
                self._tell(record["kind"], _alert_line(record))

    async def _values(self) -> AsyncIterator[tuple[bytes, str]]:
        from aiokafka import TopicPartition

        counts = await partition_counts(self._settings)
        places = [
            TopicPartition(topic, partition)
            for topic in (PURCHASE_ORDERS, ALERTS)
            for partition in range(counts[topic])
        ]
        async with open_consumer(self._settings, places) as consumer:
            await consumer.seek_to_beginning(*places)
            async for record in consumer:
                yield record.value, record.topic

    def _tell(self, kind: str, line: str) -> None:
        self._seen[kind] += 1
        if kind == "order" and self._seen[kind] == 1:
            seconds = time.monotonic() - self._demo.started
            self._console.print(f"first decision after {seconds:.0f} s:")
        if self._seen[kind] <= _SHOWN_OF_A_KIND:
            self._console.print(line)
        elif self._seen[kind] == _SHOWN_OF_A_KIND + 1:
            self._console.print(f"  ... more of {kind.replace('_', ' ')} in the summary")


def _order_line(order: dict[str, Any]) -> str:
    item = safe(f"{order['sku']}@{order['warehouse']}")
    return (
        f"  {order['decided_at']}  order  {order['quantity']:>5} x {item} from the "
        f"{order['supplier_role']} supplier ({order['reason'].replace('_', ' ')})"
    )


def _alert_line(alert: dict[str, Any]) -> str:
    return f"  {alert['occurred_at']}  alert  {safe(alert['summary'])}"


# --- afterwards -------------------------------------------------------------------------------


@dataclass
class Summary:
    """What happened, read back from Redis and Kafka as anybody would."""

    settings: Settings
    sale: Sale
    console: Console
    directory: Path
    is_kept: bool  # everything still runs afterwards

    async def show(self) -> None:
        """Print all of it."""
        orders, alerts = (
            await self._ledger(PURCHASE_ORDERS, "orders"),
            await self._ledger(ALERTS, "alerts"),
        )
        with open_reader(self.settings) as reader:
            counts: Counter[str] = Counter()
            for shard in reader.shards():
                counts.update(shard.meta.counts if shard.meta else {})
            days = list(reader.days())
            decisions = list(reader.decisions())
        self._events(counts)
        self._demand(days)
        self._decisions(decisions, orders)
        self._alerts(alerts)
        await self._dead_letters()
        self._next_commands(orders)

    async def _ledger(self, topic: str, kind: str) -> list[dict[str, Any]]:
        ledger = Ledger(kind)
        async for record in read_topics(self.settings, [self.settings.topic_prefix + topic]):
            ledger.add(record.value)
        return [msgspec.json.decode(value) for value in ledger.in_order()]

    def _events(self, counts: Counter[str]) -> None:
        outcomes = ("folded", "duplicate", "late", "dead_lettered", "heartbeat")
        rows = [
            (topic, *(number(counts[f"{topic}:{outcome}"]) for outcome in outcomes))
            for topic in INPUTS
        ]
        columns = [("topic", False), *((outcome.replace("_", " "), True) for outcome in outcomes)]
        self._print(make_table(columns, rows, "Events"))

    def _demand(self, days: Iterable[Row]) -> None:
        rows = list(days)
        orders, lines, units = (sum(row[column] for row in rows) for column in (2, 3, 4))
        truth = self.sale.truth["totals"]
        agrees = (orders, lines, units) == (
            sum(row[2] for row in self.sale.truth["days"]),
            truth["lines"],
            truth["units"],
        )
        said = "exactly what the sale's own truth says" if agrees else f"but the sale says {truth}"
        self.console.print(
            f"{number(lines)} order lines of {number(units)} units in Redis: {said}."
        )
        sold: Counter[str] = Counter()
        for row in rows:
            sold[row[1]] += row[4]
        top = [(sku, number(count)) for sku, count in sold.most_common(_TOP_ITEMS)]
        self._print(make_table([("most sold", False), ("units", True)], top, "Demand"))

    def _decisions(self, decisions: list[Row], orders: list[dict[str, Any]]) -> None:
        place = DECISION_COLUMNS.index("reason")
        reasons = Counter(row[place] for row in decisions)
        rows = [
            (reason.replace("_", " "), number(count)) for reason, count in reasons.most_common()
        ]
        title = f"Decisions: {number(len(decisions))}"
        self._print(make_table([("reason", False), ("reviews", True)], rows, title))
        roles: Counter[str] = Counter(order["supplier_role"] for order in orders)
        totals = [
            (
                role,
                number(count),
                number(sum(o["quantity"] for o in orders if o["supplier_role"] == role)),
                number(sum(o["occasion"] == "surge" for o in orders if o["supplier_role"] == role)),
            )
            for role, count in sorted(roles.items())
        ]
        columns = [("supplier", False), ("orders", True), ("units", True), ("in a surge", True)]
        self._print(make_table(columns, totals, f"Purchase orders: {number(len(orders))}"))

    def _alerts(self, alerts: list[dict[str, Any]]) -> None:
        steps = Counter((alert["kind"], alert["state"]) for alert in alerts)
        rows = [
            (
                kind.replace("_", " "),
                number(steps[kind, AlertState.RAISED]),
                number(steps[kind, AlertState.RESOLVED]),
            )
            for kind in AlertKind
            if steps[kind, AlertState.RAISED]
        ]
        columns = [("alert", False), ("raised", True), ("resolved", True)]
        self._print(make_table(columns, rows, "Alerts"))
        surged = {alert["sku"] for alert in alerts if alert["kind"] == AlertKind.SURGE}
        planted = set(self.sale.truth["surge"]["skus"])
        self.console.print(
            f"{len(planted)} SKUs sold {self.sale.truth['surge']['factor']:g} times as much "
            f"without announcement; {len(planted & surged)} of them raised a surge."
        )

    async def _dead_letters(self) -> None:
        codes: Counter[tuple[str, str]] = Counter()
        for topic in INPUTS:
            name = self.settings.topic_prefix + dead_letter_topic(topic)
            async for record in read_topics(self.settings, [name]):
                codes[topic, _code(record)] += 1
        rows = [(topic, code, number(count)) for (topic, code), count in sorted(codes.items())]
        columns = [("topic", False), ("error code", False), ("records", True)]
        self._print(make_table(columns, rows, "Dead letters"))

    def _next_commands(self, orders: list[dict[str, Any]]) -> None:
        """Say what to try, with ids and names of this very run."""
        commands = ["doctor", "dlt list", "export orders"]
        if orders:
            commands += [f"explain {orders[-1]['po_id']}", f"item {orders[-1]['sku']}"]
        how = "while this runs" if self.is_kept else "while `tidegate demo --keep --state DIR` runs"
        self.console.print(f"\nNext, in another terminal, {how}:")
        for command in commands:
            state = self.directory if self.is_kept else "DIR"
            text = f"  .venv/bin/tidegate {command} --state {state}"
            self.console.print(text, soft_wrap=True)
        self.console.print("And with orders of your own:")
        self.console.print("  .venv/bin/tidegate up --state DIR")
        self.console.print("  .venv/bin/tidegate replay FILE --state DIR --schema uci --wait")

    def _print(self, table: Any) -> None:
        self.console.print()
        self.console.print(table)


def _code(record: TopicRecord) -> str:
    return safe((record.header("tidegate-error-code") or b"none").decode("utf-8", "replace"))
